//! `a=setup` (RFC 4145 section 4, RFC 8842 section 5): who sends the ClientHello.

use std::fmt;
use std::str::FromStr;

use super::Role;

/// The values of `a=setup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    Active,
    Passive,
    Actpass,
    Holdconn,
}

impl Setup {
    /// Our role, if this is ours in an answer or the outcome of a negotiation.
    pub fn role(self) -> Option<Role> {
        match self {
            Setup::Active => Some(Role::Client),
            Setup::Passive => Some(Role::Server),
            Setup::Actpass | Setup::Holdconn => None,
        }
    }

    /// What we become when the peer says `remote` and we prefer this: an offer of `actpass`
    /// leaves the choice to us, anything else leaves one role (RFC 4145 section 4.1). Without a
    /// preference (`actpass`) we become active, as RFC 5763 section 5 recommends.
    pub fn answer(self, remote: Setup) -> Setup {
        match (remote, self) {
            (Setup::Active, _) => Setup::Passive,
            (Setup::Passive, _) => Setup::Active,
            (Setup::Actpass, Setup::Passive) => Setup::Passive,
            (Setup::Actpass, _) => Setup::Active,
            (Setup::Holdconn, _) => Setup::Holdconn,
        }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::Actpass => "actpass",
            Setup::Holdconn => "holdconn",
        })
    }
}

impl FromStr for Setup {
    type Err = ();

    fn from_str(text: &str) -> Result<Setup, ()> {
        [Setup::Active, Setup::Passive, Setup::Actpass, Setup::Holdconn]
            .into_iter()
            .find(|setup| text.eq_ignore_ascii_case(&setup.to_string()))
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for setup in [Setup::Active, Setup::Passive, Setup::Actpass, Setup::Holdconn] {
            assert_eq!(setup.to_string().parse(), Ok(setup));
        }
        assert_eq!("ACTPASS".parse(), Ok(Setup::Actpass));
        assert_eq!("both".parse::<Setup>(), Err(()));
    }

    /// Never actpass in an answer, never the same role on both sides.
    #[test]
    fn answers() {
        use Setup::*;
        for ours in [Active, Passive, Actpass, Holdconn] {
            assert_eq!(ours.answer(Active), Passive);
            assert_eq!(ours.answer(Passive), Active);
            assert_eq!(ours.answer(Holdconn), Holdconn);
        }
        assert_eq!(Passive.answer(Actpass), Passive);
        assert_eq!(Actpass.answer(Actpass), Active);
        assert_eq!(Active.role(), Some(Role::Client));
        assert_eq!(Passive.role(), Some(Role::Server));
        assert_eq!(Actpass.role(), None);
    }
}
