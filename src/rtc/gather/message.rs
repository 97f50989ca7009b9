//! STUN messages as a client of servers writes and reads them (RFC 8489 §5, §14).
//!
//! ```text
//!  0                   1                   2                   3
//! |0 0|     method and class      |            length             |
//! |                     magic cookie 0x2112A442                   |
//! |                   transaction ID (96 bits)                    |
//! |     attribute type            |            length             | value, padded to 4 ...
//! ```
//!
//! Reading is strict: the length must be that of the datagram, every attribute must end within it,
//! a FINGERPRINT that is present must be right, and a comprehension-required attribute that we do
//! not know makes the message unusable (RFC 8489 §6.3.3). Nothing is copied.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::host::openssl::hmac::HmacSha1;

const COOKIE: u32 = 0x2112_a442;
const HEADER: usize = 20;
/// What FINGERPRINT is XORed with.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// A transaction ID.
pub type Id = [u8; 12];

/// The message type: method and class interleaved (RFC 8489 §5).
pub const BINDING_REQUEST: u16 = 0x0001;
pub const ALLOCATE_REQUEST: u16 = 0x0003;
pub const REFRESH_REQUEST: u16 = 0x0004;
pub const CREATE_PERMISSION_REQUEST: u16 = 0x0008;
pub const CHANNEL_BIND_REQUEST: u16 = 0x0009;
pub const SEND_INDICATION: u16 = 0x0016;
pub const DATA_INDICATION: u16 = 0x0017;
/// Set in the type of a success response.
const SUCCESS: u16 = 0x0100;
/// Set in the type of an error response.
const ERROR: u16 = 0x0110;

/// Attribute types.
pub mod attribute {
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const CHANNEL_NUMBER: u16 = 0x000c;
    pub const LIFETIME: u16 = 0x000d;
    pub const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub const DATA: u16 = 0x0013;
    pub const REALM: u16 = 0x0014;
    pub const NONCE: u16 = 0x0015;
    pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
}

/// Comprehension-required attributes that may stand in a message to us: those above, the ones of
/// RFC 3489 that old servers still send, and of RFC 8489 and 8656 what a server may say to us
/// without our having asked for it.
const UNDERSTOOD: [u16; 26] = [
    0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0006, 0x0008, 0x0009, 0x000a, 0x000b, 0x000c, 0x000d, 0x0012, 0x0013,
    0x0014, 0x0015, 0x0016, 0x0017, 0x0018, 0x0019, 0x001a, 0x001c, 0x001d, 0x001e, 0x0020, 0x0022,
];

fn is_understood(kind: u16) -> bool {
    kind >= 0x8000 || UNDERSTOOD.contains(&kind)
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// A message that was parsed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    raw: &'a [u8],
    kind: u16,
    pub id: Id,
}

impl<'a> Message<'a> {
    /// Reads a message, or `None` if it is not one that can be used.
    pub fn parse(raw: &'a [u8]) -> Option<Self> {
        let kind = u16_at(raw, 0)?;
        let length = usize::from(u16_at(raw, 2)?);
        if kind >= 0x4000 || length % 4 != 0 || raw.len() != HEADER + length || u32_at(raw, 4)? != COOKIE {
            return None;
        }
        let message = Message { raw, kind, id: raw.get(8..HEADER)?.try_into().ok()? };
        let mut at = HEADER;
        for (kind, value, place) in message.attributes() {
            if !is_understood(kind) {
                return None;
            }
            if kind == attribute::FINGERPRINT {
                let sum = crc32(raw.get(..place)?) ^ FINGERPRINT_XOR;
                if value != sum.to_be_bytes() || place + 8 != raw.len() {
                    return None;
                }
            }
            at = place + 4 + padded(value.len());
        }
        (at == raw.len()).then_some(message)
    }

    /// The type without the class.
    pub fn method(&self) -> u16 {
        self.kind & !ERROR
    }

    pub fn class(&self) -> Class {
        match self.kind & ERROR {
            0 => Class::Request,
            SUCCESS => Class::Success,
            ERROR => Class::Error,
            _ => Class::Indication,
        }
    }

    /// Type, value, and where the attribute begins.
    fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8], usize)> + use<'a> {
        let raw = self.raw;
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let place = at;
            let kind = u16_at(raw, at)?;
            let length = usize::from(u16_at(raw, at + 2)?);
            let value = raw.get(at + 4..at + 4 + length)?;
            at += 4 + padded(length);
            Some((kind, value, place))
        })
    }

    /// The first attribute of that type before MESSAGE-INTEGRITY; what follows it is not covered by
    /// it and does not count (RFC 8489 §14.5).
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes()
            .take_while(|(found, ..)| *found != attribute::MESSAGE_INTEGRITY)
            .find_map(|(found, value, _)| (found == kind).then_some(value))
    }

    /// Where the value of DATA lies in the datagram.
    pub fn data(&self) -> Option<std::ops::Range<usize>> {
        let (_, value, place) = self.attributes().find(|(kind, ..)| *kind == attribute::DATA)?;
        Some(place + 4..place + 4 + value.len())
    }

    /// An address that is XORed with cookie and transaction ID (RFC 8489 §14.2).
    pub fn xor_address(&self, kind: u16) -> Option<SocketAddr> {
        Some(xor(address(self.attribute(kind)?)?, &self.id))
    }

    /// The address that a Binding response tells; RFC 3489 servers do not XOR it.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        let plain = || address(self.attribute(attribute::MAPPED_ADDRESS)?);
        self.xor_address(attribute::XOR_MAPPED_ADDRESS).or_else(plain)
    }

    pub fn u32(&self, kind: u16) -> Option<u32> {
        u32_at(self.attribute(kind)?, 0)
    }

    /// The number and phrase of ERROR-CODE.
    pub fn error(&self) -> Option<(u16, &'a [u8])> {
        let value = self.attribute(attribute::ERROR_CODE)?;
        let (class, number) = (value.get(2)? & 7, value.get(3)?);
        let code = u16::from(class) * 100 + u16::from(*number);
        ((3..=6).contains(&class) && *number < 100).then_some((code, value.get(4..)?))
    }

    /// Whether MESSAGE-INTEGRITY is there and right; `None` if it is not there.
    pub fn integrity(&self, key: &[u8]) -> Option<bool> {
        let (_, value, place) = self.attributes().find(|(kind, ..)| *kind == attribute::MESSAGE_INTEGRITY)?;
        let length = u16::try_from(place + 24 - HEADER).ok()?.to_be_bytes();
        let parts = [self.raw.get(..2)?, &length, self.raw.get(4..place)?];
        Some(value.len() == 20 && HmacSha1::new(key).verify(&parts, value))
    }
}

/// A message being written.
#[derive(Debug)]
pub struct Builder(Vec<u8>);

impl Builder {
    pub fn new(kind: u16, id: &Id) -> Self {
        let mut raw = Vec::with_capacity(128);
        raw.extend_from_slice(&kind.to_be_bytes());
        raw.extend_from_slice(&[0, 0]);
        raw.extend_from_slice(&COOKIE.to_be_bytes());
        raw.extend_from_slice(id);
        Builder(raw)
    }

    /// Appends an attribute. A value that no attribute can hold is cut.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let value = value.get(..usize::from(u16::MAX) - 64).unwrap_or(value);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(padded(self.0.len()), 0);
        self
    }

    pub fn xor_address(self, kind: u16, plain: SocketAddr, id: &Id) -> Self {
        let mut value = vec![0, if plain.is_ipv4() { 1 } else { 2 }];
        let address = xor(plain, id);
        value.extend_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
        }
        self.attribute(kind, &value)
    }

    /// Ends the message with MESSAGE-INTEGRITY.
    pub fn sign(mut self, key: &[u8]) -> Vec<u8> {
        self.set_length(24);
        let tag = HmacSha1::new(key).sign(&[&self.0]);
        self.attribute(attribute::MESSAGE_INTEGRITY, &tag).finish()
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.set_length(0);
        self.0
    }

    fn set_length(&mut self, more: usize) {
        let length = ((self.0.len() + more).saturating_sub(HEADER) as u16).to_be_bytes();
        if let Some(place) = self.0.get_mut(2..4) {
            place.copy_from_slice(&length);
        }
    }
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn address(value: &[u8]) -> Option<SocketAddr> {
    let port = u16_at(value, 2)?;
    let ip = match (value.get(1)?, value.len()) {
        (1, 8) => IpAddr::from(<[u8; 4]>::try_from(value.get(4..)?).ok()?),
        (2, 20) => IpAddr::from(<[u8; 16]>::try_from(value.get(4..)?).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn xor(address: SocketAddr, id: &Id) -> SocketAddr {
    let port = address.port() ^ (COOKIE >> 16) as u16;
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip) ^ COOKIE)),
        IpAddr::V6(ip) => {
            let mut mask = [0; 16];
            let bytes = COOKIE.to_be_bytes();
            for (to, from) in mask.iter_mut().zip(bytes.iter().chain(id)) {
                *to = *from;
            }
            IpAddr::V6(Ipv6Addr::from(u128::from(ip) ^ u128::from_be_bytes(mask)))
        }
    };
    SocketAddr::new(ip, port)
}

/// CRC-32 of ITU-T V.42, bit by bit: the messages are few and short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut sum, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    /// RFC 5769 §2.2 and §2.3: sample responses, password "VOkJxbRl1RmTxUk/WvJxBt".
    fn rfc5769() -> [(Vec<u8>, &'static str); 2] {
        let v4 = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
                  002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7\
                  80280004c07d4c96";
        let v6 = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
                  002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf1\
                  1784c97c8292c275bfe3ed4180280004c8fb0b4c";
        [(hex(v4), "192.0.2.1:32853"), (hex(v6), "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    }

    #[test]
    fn responses_of_rfc_5769() {
        for (raw, mapped) in rfc5769() {
            let message = Message::parse(&raw).unwrap();
            assert_eq!((message.class(), message.method(), message.id), (Class::Success, 1, ID));
            assert_eq!(message.mapped_address(), Some(mapped.parse().unwrap()));
            assert_eq!(message.integrity(b"VOkJxbRl1RmTxUk/WvJxBt"), Some(true));
            assert_eq!(message.integrity(b"another"), Some(false));
        }
    }

    #[test]
    fn a_changed_bit_is_noticed() {
        let (raw, _) = &rfc5769()[0];
        // Without its type FINGERPRINT is an attribute that we need not understand, and it stands
        // behind the integrity.
        let type_of_fingerprint = (raw.len() - 8) * 8..(raw.len() - 6) * 8;
        for at in (0..raw.len() * 8).filter(|at| !type_of_fingerprint.contains(at)) {
            let mut bad = raw.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let believed = Message::parse(&bad).and_then(|bad| bad.integrity(b"VOkJxbRl1RmTxUk/WvJxBt"));
            assert_ne!(believed, Some(true), "bit {at}");
        }
        for length in 0..raw.len() {
            assert!(Message::parse(&raw[..length]).is_none(), "cut to {length}");
        }
    }

    #[test]
    fn an_unknown_attribute_that_must_be_understood_spoils_the_message() {
        for (kind, good) in [(0x0030, false), (0x7fff, false), (0x0007, false), (0x8030, true), (0x0004, true)] {
            let raw = Builder::new(0x0101, &ID).attribute(kind, b"odd").finish();
            assert_eq!(Message::parse(&raw).is_some(), good, "{kind:#x}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let peer: SocketAddr = "[2001:db8::7]:9".parse().unwrap();
        let raw = Builder::new(SEND_INDICATION, &ID)
            .xor_address(attribute::XOR_PEER_ADDRESS, peer, &ID)
            .attribute(attribute::DATA, b"media")
            .finish();
        let message = Message::parse(&raw).unwrap();
        assert_eq!(message.class(), Class::Indication);
        assert_eq!(message.method(), SEND_INDICATION & !0x0110);
        assert_eq!(message.xor_address(attribute::XOR_PEER_ADDRESS), Some(peer));
        assert_eq!(&raw[message.data().unwrap()], b"media");
        let signed = Builder::new(ALLOCATE_REQUEST, &ID).attribute(attribute::USERNAME, b"user").sign(b"key");
        assert_eq!(Message::parse(&signed).unwrap().integrity(b"key"), Some(true));
    }

    #[test]
    fn attributes_behind_the_integrity_do_not_count() {
        let mut raw = Builder::new(0x0101, &ID).sign(b"key");
        raw = Builder(raw).attribute(attribute::LIFETIME, &[0, 0, 0, 9]).finish();
        let message = Message::parse(&raw).unwrap();
        assert_eq!(message.u32(attribute::LIFETIME), None);
        assert_eq!(message.integrity(b"key"), Some(true));
    }
}
