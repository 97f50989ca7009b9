//! `a=fingerprint` (RFC 8122 section 5): a certificate's digest in signalling.

use std::fmt;
use std::str::FromStr;

use super::Hash;
use crate::host::openssl::dtls::PeerDigest;

/// A digest of a certificate. Its length is that of its hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: Hash,
    bytes: Vec<u8>,
}

/// Why text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// A hash function that is not known, or too weak to be taken (MD5, MD2).
    Hash,
    /// Not pairs of hexadecimal digits between colons.
    Digits,
    /// Not as many bytes as the hash function gives.
    Length,
}

impl Fingerprint {
    /// A fingerprint from the digest itself.
    pub fn new(hash: Hash, bytes: Vec<u8>) -> Result<Fingerprint, ParseError> {
        if bytes.len() == length(hash) { Ok(Fingerprint { hash, bytes }) } else { Err(ParseError::Length) }
    }

    /// From the two parts of the attribute: `sha-256`, `4A:AD:…`. Both in any case, as RFC 8122
    /// says senders may write them.
    pub fn parse(hash: &str, value: &str) -> Result<Fingerprint, ParseError> {
        let hash = HASHES.into_iter().find(|known| hash.eq_ignore_ascii_case(name(*known))).ok_or(ParseError::Hash)?;
        let bytes = value
            .split(':')
            .map(|pair| match pair.as_bytes() {
                [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    u8::from_str_radix(pair, 16).map_err(|_| ParseError::Digits)
                }
                _ => Err(ParseError::Digits),
            })
            .collect::<Result<Vec<u8>, ParseError>>()?;
        Fingerprint::new(hash, bytes)
    }

    /// The hash function.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Its name in SDP, such as `sha-256`.
    pub fn hash_name(&self) -> &'static str {
        name(self.hash)
    }

    /// The digest.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest in SDP's form, `4A:AD:…`, upper case.
    pub fn value(&self) -> String {
        let mut text = String::with_capacity(3 * self.bytes.len());
        for byte in &self.bytes {
            if !text.is_empty() {
                text.push(':');
            }
            text.push_str(&format!("{byte:02X}"));
        }
        text
    }

    pub(super) fn expected(&self) -> PeerDigest {
        PeerDigest { hash: self.hash, digest: self.bytes.clone() }
    }
}

/// `sha-256 4A:AD:…`, what follows `a=fingerprint:`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash_name(), self.value())
    }
}

impl FromStr for Fingerprint {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Fingerprint, ParseError> {
        let (hash, value) = text.trim().split_once(' ').ok_or(ParseError::Digits)?;
        Fingerprint::parse(hash, value.trim())
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseError::Hash => "unknown hash function",
            ParseError::Digits => "not hexadecimal digits",
            ParseError::Length => "wrong number of digits",
        })
    }
}

impl std::error::Error for ParseError {}

const HASHES: [Hash; 4] = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];

fn name(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha1 => "sha-1",
        Hash::Sha256 => "sha-256",
        Hash::Sha384 => "sha-384",
        Hash::Sha512 => "sha-512",
    }
}

fn length(hash: Hash) -> usize {
    match hash {
        Hash::Sha1 => 20,
        Hash::Sha256 => 32,
        Hash::Sha384 => 48,
        Hash::Sha512 => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_case_and_writes_upper() {
        let text = "SHA-1 4a:ad:B9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab";
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.hash(), Hash::Sha1);
        assert_eq!(fingerprint.bytes()[..3], [0x4a, 0xad, 0xb9]);
        assert_eq!(fingerprint.to_string(), "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }

    #[test]
    fn refuses() {
        let parse = |text: &str| text.parse::<Fingerprint>();
        assert_eq!(parse("md5 00:11"), Err(ParseError::Hash));
        assert_eq!(parse("sha-1 00:11"), Err(ParseError::Length));
        assert_eq!(parse("sha-1"), Err(ParseError::Digits));
        assert_eq!(parse("sha-1 0011"), Err(ParseError::Digits));
        assert_eq!(parse("sha-1 00:+1"), Err(ParseError::Digits));
        assert_eq!(parse("sha-1 00:é"), Err(ParseError::Digits));
        assert_eq!(Fingerprint::new(Hash::Sha256, vec![0; 31]), Err(ParseError::Length));
    }
}
