//! Username fragments and passwords (RFC 8445 §5.3).

use std::fmt;

use crate::host::openssl::{Error, rand};

/// 48 bits of randomness; the RFC wants 24 and 4 characters.
const UFRAG: usize = 8;
/// 144 bits of randomness; the RFC wants 128 and 22 characters.
const PWD: usize = 24;
/// The library writes a USERNAME of at most 128 bytes: the peer's fragment, a colon and ours.
const MAX_REMOTE_UFRAG: usize = 128 - 1 - UFRAG;
/// RFC 8445 §5.3.
const MAX_REMOTE_PWD: usize = 256;

const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The credentials of one side.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

impl Credentials {
    /// New local credentials from the cryptographic generator. They are short: chan_sip of some
    /// versions has buffers of fixed size for the lines they stand in.
    pub fn generate() -> Result<Self, Error> {
        Ok(Credentials { ufrag: random_chars::<UFRAG>()?, pwd: random_chars::<PWD>()? })
    }

    /// Credentials of the peer, if they can be used: of lengths that the protocol machine can
    /// handle, without control characters, spaces and colons.
    pub fn from_remote(ufrag: &str, pwd: &str) -> Option<Self> {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let usable = (1..=MAX_REMOTE_UFRAG).contains(&ufrag.len())
            && (1..=MAX_REMOTE_PWD).contains(&pwd.len())
            && plain(ufrag)
            && plain(pwd);
        usable.then(|| Credentials { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }

    pub(super) fn to_library(&self) -> is::IceCreds {
        is::IceCreds { ufrag: self.ufrag.clone(), pass: self.pwd.clone() }
    }
}

fn random_chars<const N: usize>() -> Result<String, Error> {
    let bytes = rand::bytes::<N>()?;
    // 64 characters: each keeps 6 bits, evenly.
    let chars = bytes.iter().filter_map(|b| ICE_CHARS.get(usize::from(b & 63)));
    Ok(chars.map(|&b| char::from(b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_credentials_are_ice_chars_and_differ() {
        let a = Credentials::generate().unwrap();
        let b = Credentials::generate().unwrap();
        assert_ne!(a, b);
        for text in [&a.ufrag, &a.pwd] {
            assert!(text.bytes().all(|b| ICE_CHARS.contains(&b)));
        }
        assert_eq!((a.ufrag.len(), a.pwd.len()), (8, 24));
        assert!(!format!("{a:?}").contains(&a.pwd));
    }

    #[test]
    fn remote_credentials_are_checked() {
        let pwd = "asd88fgpdd777uzjYhagZg";
        assert!(Credentials::from_remote("8hhY", pwd).is_some());
        assert!(Credentials::from_remote(&"x".repeat(119), pwd).is_some());
        assert!(Credentials::from_remote(&"x".repeat(120), pwd).is_none());
        assert!(Credentials::from_remote("8hhY", &"x".repeat(257)).is_none());
        for bad in ["", "a:b", "a b", "a\r\n", "ä"] {
            assert!(Credentials::from_remote(bad, pwd).is_none(), "{bad:?}");
            assert!(Credentials::from_remote("8hhY", bad).is_none(), "{bad:?}");
        }
    }
}
