//! One `a=crypto` line: what stands behind the colon.

use std::fmt;

use super::base64;
use crate::host::openssl::Secret;
use crate::rtc::srtp::Profile;

/// The largest tag: nine digits (RFC 4568 section 9.1).
pub const TAG_MAX: u32 = 999_999_999;

/// The least lifetime that is accepted, in packets: nearly six hours of telephony. Who promises
/// fewer would have to be asked for new keys during the call.
const LIFETIME_MIN: u64 = 1 << 20;

/// The names that suites had while RFC 6188 was a draft. Phones write them still, and are answered
/// with what they wrote.
const DRAFT_NAMES: [(&str, Profile); 4] = [
    ("AES_CM_192_HMAC_SHA1_80", Profile::AesCm192HmacSha1_80),
    ("AES_CM_192_HMAC_SHA1_32", Profile::AesCm192HmacSha1_32),
    ("AES_CM_256_HMAC_SHA1_80", Profile::AesCm256HmacSha1_80),
    ("AES_CM_256_HMAC_SHA1_32", Profile::AesCm256HmacSha1_32),
];

/// A crypto-suite, by the name that the peer uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    profile: Profile,
    name: &'static str,
}

impl Suite {
    /// `None` for what is unknown here.
    pub fn named(name: &str) -> Option<Suite> {
        if let Some(profile) = Profile::from_sdes_name(name) {
            return Some(profile.into());
        }
        let (name, profile) = *DRAFT_NAMES.iter().find(|(draft, _)| *draft == name)?;
        Some(Suite { profile, name })
    }

    /// The same by the name that its draft gave it, if it had another.
    #[must_use]
    pub fn with_draft_name(self) -> Suite {
        match DRAFT_NAMES.iter().find(|(_, profile)| *profile == self.profile) {
            Some((name, profile)) => Suite { profile: *profile, name },
            None => self,
        }
    }

    /// What the suite protects with.
    pub fn profile(self) -> Profile {
        self.profile
    }

    /// The length of a master key with its salt, as the attribute holds them.
    pub fn key_length(self) -> usize {
        self.profile.key_length() + self.profile.salt_length()
    }
}

impl From<Profile> for Suite {
    fn from(profile: Profile) -> Suite {
        Suite { profile, name: profile.sdes_name() }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Why an attribute cannot be used. Another line of the same offer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Tag, suite or key are missing.
    Malformed,
    Tag,
    /// A suite that is not known here.
    Suite,
    /// Session parameters change what SRTP does to packets, and none is implemented.
    SessionParameters,
    /// There is no key parameter with the method "inline".
    Method,
    Lifetime,
    /// Packets with a master key identifier (RFC 3711 section 3.1), other than the first and only.
    Mki,
    /// The key is not base64.
    Base64,
    /// Key and salt together are not as long as the suite wants.
    KeyLength,
    /// The answer wants keys of another length than those that were offered to it.
    NotOffered,
    /// No randomness for a key of our own.
    Library,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed => "it has no tag, suite or key",
            Refusal::Tag => "its tag is not a number of one to nine digits",
            Refusal::Suite => "its suite is not supported",
            Refusal::SessionParameters => "it has session parameters, and none is supported",
            Refusal::Method => "it has no inline key",
            Refusal::Lifetime => "its lifetime is below 2^20 packets, or not a number",
            Refusal::Mki => "it has a master key identifier other than 1",
            Refusal::Base64 => "its key is not base64",
            Refusal::KeyLength => "its key is not as long as its suite wants",
            Refusal::NotOffered => "it answers with a suite that was not offered",
            Refusal::Library => "there is no randomness for a key",
        })
    }
}

impl std::error::Error for Refusal {}

/// An attribute that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub tag: u32,
    pub suite: Suite,
    /// The master key, and behind it the salt.
    pub key: Secret,
}

impl Attribute {
    /// The tag alone, of an attribute that may be unusable for the rest.
    pub fn tag_of(text: &str) -> Option<u32> {
        let tag = text.split_ascii_whitespace().next()?;
        let digits = (1..=9).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| tag.parse().ok()).flatten()
    }

    /// Reads what stands behind `a=crypto:`. Of several keys the first that can be used is taken:
    /// they would be told apart by their identifiers.
    pub fn parse(text: &str) -> Result<Attribute, Refusal> {
        let mut words = text.split_ascii_whitespace();
        let (Some(_), Some(suite), Some(keys)) = (words.next(), words.next(), words.next()) else {
            return Err(Refusal::Malformed);
        };
        let tag = Attribute::tag_of(text).ok_or(Refusal::Tag)?;
        if words.next().is_some() {
            return Err(Refusal::SessionParameters);
        }
        let suite = Suite::named(suite).ok_or(Refusal::Suite)?;
        let mut refusal = Refusal::Method;
        for parameter in keys.split(';') {
            let Some((method, info)) = parameter.split_once(':') else { continue };
            if !method.eq_ignore_ascii_case("inline") {
                continue;
            }
            match inline(info, suite) {
                Ok(key) => return Ok(Attribute { tag, suite, key }),
                Err(reason) => refusal = reason,
            }
        }
        Err(refusal)
    }

    /// What to write behind `a=crypto:`.
    pub fn write(&self) -> String {
        // Enough for the longest, so that no copy is left behind by growing.
        let mut text = String::with_capacity(128);
        text.push_str(&format!("{} {} inline:", self.tag, self.suite));
        base64::encode(&self.key, &mut text);
        text
    }
}

/// `key||salt ["|" lifetime] ["|" MKI ":" length]` (RFC 4568 section 6.1).
fn inline(info: &str, suite: Suite) -> Result<Secret, Refusal> {
    let mut parts = info.split('|');
    let key = parts.next().ok_or(Refusal::Malformed)?;
    let mut next = parts.next();
    if let Some(lifetime) = next.filter(|part| !part.contains(':')) {
        if !is_long_enough(lifetime) {
            return Err(Refusal::Lifetime);
        }
        next = parts.next();
    }
    // The identifier 1 is what phones write that have one key and send no identifier.
    if next.is_some_and(|mki| mki.split(':').next() != Some("1")) || parts.next().is_some() {
        return Err(Refusal::Mki);
    }
    let key = base64::decode(key).ok_or(Refusal::Base64)?;
    if key.len() != suite.key_length() {
        return Err(Refusal::KeyLength);
    }
    Ok(key)
}

/// A power of two as `2^n`, or a plain number.
fn is_long_enough(lifetime: &str) -> bool {
    let (digits, exponent) = match lifetime.strip_prefix("2^") {
        Some(digits) => (digits, true),
        None => (lifetime, false),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    // What does not fit is long enough in any case.
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    if exponent { number >= LIFETIME_MIN.ilog2().into() } else { number >= LIFETIME_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 octets, from RFC 4568 section 6.1.
    const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

    fn parse(rest: &str) -> Result<Attribute, Refusal> {
        Attribute::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {rest}"))
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:32");
        let attribute = Attribute::parse(&text).unwrap();
        assert_eq!((attribute.tag, attribute.suite), (1, Profile::AesCm128HmacSha1_80.into()));
        assert_eq!(attribute.key[..], *b"=-n@%^x!Bjufr9)?,#5h\\`=&]{qiPQ");
        for text in [
            "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
            "1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
        ] {
            let attribute = Attribute::parse(text).unwrap();
            assert_eq!(attribute.key.len(), 30, "{text}");
            assert!(text.starts_with(&attribute.write()), "{text}");
        }
        // "FEC_ORDER=FEC_SRTP" of section 9.1's second line, and a suite of section 6.2.3.
        let parameters = format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP");
        assert_eq!(Attribute::parse(&parameters), Err(Refusal::SessionParameters));
        assert_eq!(Attribute::parse(&format!("2 F8_128_HMAC_SHA1_80 inline:{KEY}")), Err(Refusal::Suite));
    }

    #[test]
    fn every_suite_is_written_and_read_again() {
        let names = Profile::ALL.iter().map(|profile| profile.sdes_name()).chain(DRAFT_NAMES.map(|(name, _)| name));
        for name in names {
            let suite = Suite::named(name).unwrap();
            assert_eq!(Suite::named(&suite.with_draft_name().to_string()), Some(suite.with_draft_name()));
            let key: Vec<u8> = (0..suite.key_length()).map(|n| n as u8 ^ 0x5a).collect();
            let attribute = Attribute { tag: TAG_MAX, suite, key: Secret::new(&key) };
            let text = attribute.write();
            assert!(text.starts_with(&format!("999999999 {name} inline:")), "{text}");
            assert_eq!(Attribute::parse(&text).unwrap(), attribute);
            assert!(text.len() <= 128, "the text grew");
        }
    }

    #[test]
    fn a_key_must_be_as_long_as_its_suite_wants() {
        assert_eq!(parse(&format!("inline:{}", &KEY[4..])), Err(Refusal::KeyLength));
        assert_eq!(parse(&format!("inline:{KEY}AAAA")), Err(Refusal::KeyLength));
        assert_eq!(parse("inline:"), Err(Refusal::KeyLength));
        assert_eq!(parse(&format!("inline:{}*", &KEY[1..])), Err(Refusal::Base64));
        assert_eq!(Attribute::parse(&format!("1 AEAD_AES_128_GCM inline:{KEY}")), Err(Refusal::KeyLength));
        // 28 octets: a key of 16 and a salt of 12 (RFC 7714).
        assert!(Attribute::parse(&format!("1 AEAD_AES_128_GCM inline:{}==", &KEY[..38])).is_ok());
    }

    #[test]
    fn a_tag_has_one_to_nine_digits() {
        let tagged = |tag: &str| Attribute::parse(&format!("{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY}"));
        assert_eq!(tagged("0").unwrap().tag, 0);
        assert_eq!(tagged("999999999").unwrap().tag, TAG_MAX);
        for tag in ["1000000000", "-1", "+1", "1a", "a"] {
            assert_eq!(tagged(tag), Err(Refusal::Tag), "{tag}");
        }
        for text in ["", " ", "1", "1 AES_CM_128_HMAC_SHA1_80"] {
            assert_eq!(Attribute::parse(text), Err(Refusal::Malformed), "{text}");
        }
    }

    #[test]
    fn a_lifetime_below_a_million_packets_is_refused() {
        for good in ["2^20", "2^31", "2^48", "2^99999999999999999999999", "1048576", "99999999999999999999999"] {
            assert!(parse(&format!("inline:{KEY}|{good}")).is_ok(), "{good}");
        }
        for bad in ["2^19", "1048575", "0", "", "2^", "2^x", "x", "-1", "1e9", "2^20 "] {
            let refused = parse(&format!("inline:{KEY}|{bad}|1:1"));
            assert!(matches!(refused, Err(Refusal::Lifetime | Refusal::SessionParameters)), "{bad}");
        }
    }

    #[test]
    fn only_the_first_master_key_identifier_is_accepted() {
        assert!(parse(&format!("inline:{KEY}|1:4")).is_ok());
        for bad in ["2:4", "12:4", ":4", "2^20|2:4", "2^20|1:4|1:4", "2^20|"] {
            assert_eq!(parse(&format!("inline:{KEY}|{bad}")), Err(Refusal::Mki), "{bad}");
        }
    }

    #[test]
    fn the_first_key_that_can_be_used_is_taken() {
        let second = KEY.replace('P', "Q");
        assert_eq!(parse(&format!("inline:{KEY};inline:{second}")).unwrap(), parse(&format!("inline:{KEY}")).unwrap());
        for first in [format!("inline:{KEY}|2^4|1:1"), format!("inline:{KEY}|2:1"), "other:x".into(), "junk".into()] {
            assert_eq!(
                parse(&format!("{first};inline:{second}")).unwrap(),
                parse(&format!("inline:{second}")).unwrap(),
                "{first}"
            );
        }
        assert_eq!(parse("other:x;junk;"), Err(Refusal::Method));
    }

    #[test]
    fn no_text_makes_it_panic() {
        let text = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4;inline:{KEY} X=1");
        for at in 0..text.len() {
            let _ = Attribute::parse(&text[..at]);
            for other in ["\u{e9}", "\0", "|", ":", ";", " ", "^"] {
                let _ = Attribute::parse(&format!("{}{other}{}", &text[..at], &text[at + 1..]));
            }
        }
    }
}
