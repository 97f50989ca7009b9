//! Our side of one `a=crypto` line, through offers and answers.

use super::attribute::{Attribute, Refusal, Suite};
use crate::host::openssl::{Error, Secret, cleanse, rand};
use crate::rtc::srtp::Profile;

/// What protects each direction from now on. A key is the master key, and behind it the salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub profile: Profile,
    /// What we send with.
    pub local: Secret,
    /// What the peer sends with.
    pub remote: Secret,
}

/// What an attribute of the peer's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same key as before: what protects the packets goes on.
    None,
    Keys(Keys),
}

/// One line: a tag, a suite, our key, and the peer's once it has said one.
#[derive(Debug)]
pub struct Line {
    tag: u32,
    /// `None` until one is offered or accepted.
    suite: Option<Suite>,
    local: Secret,
    remote: Option<Secret>,
}

impl Line {
    /// To answer with; what the peer offers decides the suite.
    pub fn new() -> Result<Line, Error> {
        let local = random(Suite::from(short_or_long(false)).key_length())?;
        Ok(Line { tag: 1, suite: None, local, remote: None })
    }

    /// To offer, the preferred suite first. Each has a key of its own.
    pub fn offers(profiles: &[Profile]) -> Result<Vec<Line>, Error> {
        let line = |(tag, profile): (u32, &Profile)| {
            let suite = Suite::from(*profile);
            Ok(Line { tag, suite: Some(suite), local: random(suite.key_length())?, remote: None })
        };
        (1..).zip(profiles).map(line).collect()
    }

    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Takes the peer's offer, or its answer to ours. What a refused one leaves is unchanged.
    pub fn accept(&mut self, attribute: Attribute) -> Result<Change, Refusal> {
        let Attribute { tag, suite, key } = attribute;
        let known = self.suite.filter(|_| self.remote.is_some());
        let same_suite = known.is_some_and(|known| known.profile() == suite.profile());
        if same_suite && self.remote.as_ref() == Some(&key) {
            self.tag = tag;
            self.suite = Some(suite);
            return Ok(Change::None);
        }
        let fits = self.local.len() == suite.key_length();
        if !fits && self.suite.is_some() && self.remote.is_none() {
            // The key that was offered is what the peer would have to receive with.
            return Err(Refusal::NotOffered);
        }
        if !fits || (known.is_some() && !same_suite) {
            self.local = random(suite.key_length()).map_err(|_| Refusal::Library)?;
        }
        self.tag = tag;
        self.suite = Some(suite);
        self.remote = Some(key.clone());
        Ok(Change::Keys(Keys { profile: suite.profile(), local: self.local.clone(), remote: key }))
    }

    /// The keys of the last [`Change`] did not come into use: the same attribute is a change again.
    pub fn forget(&mut self) {
        self.suite = None;
        self.remote = None;
    }

    /// Chooses the suite to write. `false` if our key has another length.
    pub fn choose(&mut self, suite: Suite) -> bool {
        let fits = self.local.len() == suite.key_length() && (self.remote.is_none() || self.suite == Some(suite));
        if fits {
            self.suite = Some(suite);
        }
        fits
    }

    /// What to write behind `a=crypto:`. `short_tag`: the tag of 32 bits is preferred where
    /// nothing is agreed yet.
    pub fn write(&self, short_tag: bool) -> String {
        let suite = self.suite.unwrap_or_else(|| short_or_long(short_tag).into());
        Attribute { tag: self.tag, suite, key: self.local.clone() }.write()
    }
}

/// The suite that every phone knows.
fn short_or_long(short_tag: bool) -> Profile {
    if short_tag { Profile::AesCm128HmacSha1_32 } else { Profile::AesCm128HmacSha1_80 }
}

fn random(length: usize) -> Result<Secret, Error> {
    let mut octets = vec![0; length];
    let filled = rand::fill(&mut octets);
    let key = Secret::new(&octets);
    cleanse(&mut octets);
    filled.map(|()| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(tag: u32, profile: Profile, octet: u8) -> Attribute {
        let suite = Suite::from(profile);
        Attribute { tag, suite, key: Secret::new(&vec![octet; suite.key_length()]) }
    }

    fn keys(change: Change) -> Keys {
        match change {
            Change::Keys(keys) => keys,
            Change::None => panic!("nothing has changed"),
        }
    }

    #[test]
    fn two_ends_agree_on_keys() {
        let mut caller = Line::offers(&[Profile::AesCm128HmacSha1_80]).unwrap().remove(0);
        let mut callee = Line::new().unwrap();
        let offered = Attribute::parse(&caller.write(false)).unwrap();
        let theirs = keys(callee.accept(offered).unwrap());
        let answered = Attribute::parse(&callee.write(false)).unwrap();
        let ours = keys(caller.accept(answered).unwrap());
        assert_eq!((&ours.local, &ours.remote), (&theirs.remote, &theirs.local));
        assert_eq!(ours.profile, theirs.profile);
        assert_ne!(ours.local, ours.remote);
    }

    #[test]
    fn the_answer_has_the_tag_and_the_suite_of_the_offer() {
        for profile in Profile::ALL {
            let mut line = Line::new().unwrap();
            let got = keys(line.accept(offer(7, profile, 1)).unwrap());
            let answer = Attribute::parse(&line.write(true)).unwrap();
            assert_eq!((answer.tag, answer.suite, &answer.key), (7, profile.into(), &got.local));
            assert_eq!(got.profile, profile);
        }
        let mut line = Line::new().unwrap();
        let draft = Attribute {
            suite: Suite::named("AES_CM_256_HMAC_SHA1_80").unwrap(),
            ..offer(1, Profile::AesCm256HmacSha1_80, 1)
        };
        line.accept(draft).unwrap();
        assert!(line.write(false).starts_with("1 AES_CM_256_HMAC_SHA1_80 inline:"));
    }

    #[test]
    fn offers_are_lines_with_keys_of_their_own() {
        let lines = Line::offers(&[Profile::AesCm128HmacSha1_80, Profile::AesCm128HmacSha1_32]).unwrap();
        let texts: Vec<String> = lines.iter().map(|line| line.write(false)).collect();
        assert!(texts[0].starts_with("1 AES_CM_128_HMAC_SHA1_80 inline:"));
        assert!(texts[1].starts_with("2 AES_CM_128_HMAC_SHA1_32 inline:"));
        assert_ne!(lines[0].local, lines[1].local);
        assert_eq!(lines[1].tag(), 2);
    }

    #[test]
    fn the_same_key_again_changes_nothing_and_another_does() {
        let mut line = Line::new().unwrap();
        let first = keys(line.accept(offer(1, Profile::AesCm128HmacSha1_80, 1)).unwrap());
        assert_eq!(line.accept(offer(2, Profile::AesCm128HmacSha1_80, 1)), Ok(Change::None));
        assert_eq!(line.tag(), 2, "the answer carries the new tag");
        let second = keys(line.accept(offer(1, Profile::AesCm128HmacSha1_80, 2)).unwrap());
        assert_ne!(first.remote, second.remote);
        assert_eq!(first.local, second.local, "ours need not change");
    }

    #[test]
    fn another_suite_brings_another_key_of_ours() {
        let mut line = Line::new().unwrap();
        let first = keys(line.accept(offer(1, Profile::AesCm128HmacSha1_80, 1)).unwrap());
        let second = keys(line.accept(offer(1, Profile::AesCm128HmacSha1_32, 1)).unwrap());
        assert_ne!(first.local, second.local);
        assert_eq!(second.profile, Profile::AesCm128HmacSha1_32);
    }

    #[test]
    fn an_answer_that_does_not_fit_the_key_offered_is_refused() {
        let mut line = Line::offers(&[Profile::AesCm128HmacSha1_80]).unwrap().remove(0);
        let before = line.write(false);
        assert_eq!(line.accept(offer(1, Profile::AeadAes256Gcm, 1)), Err(Refusal::NotOffered));
        assert_eq!(line.write(false), before);
        // Once the call is up the peer may offer what it likes.
        line.accept(offer(1, Profile::AesCm128HmacSha1_80, 1)).unwrap();
        assert!(line.accept(offer(1, Profile::AeadAes256Gcm, 1)).is_ok());
    }

    #[test]
    fn what_did_not_come_into_use_is_a_change_again() {
        let mut line = Line::new().unwrap();
        keys(line.accept(offer(1, Profile::AesCm128HmacSha1_80, 1)).unwrap());
        line.forget();
        keys(line.accept(offer(1, Profile::AesCm128HmacSha1_80, 1)).unwrap());
    }

    #[test]
    fn a_suite_in_use_is_not_exchanged_for_another() {
        let mut line = Line::new().unwrap();
        assert!(line.choose(Profile::AesCm128HmacSha1_32.into()));
        assert!(line.write(false).starts_with("1 AES_CM_128_HMAC_SHA1_32 "));
        assert!(!line.choose(Profile::AeadAes128Gcm.into()), "the key is too long");
        line.accept(offer(1, Profile::AesCm128HmacSha1_80, 1)).unwrap();
        assert!(!line.choose(Profile::AesCm128HmacSha1_32.into()));
        assert!(line.choose(Profile::AesCm128HmacSha1_80.into()));
    }
}
