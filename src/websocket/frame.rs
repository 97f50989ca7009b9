//! Frame headers (RFC 6455 §5.2), read as their octets come in and written whole.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| length (7)  |   length (16 or 64, if the    |
//! |I|S|S|S|  (4)  |A|             |   seven bits say 126 or 127)  |
//! |N|V|V|V|       |S|             |                               |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
//! |           masking key, if MASK, then the payload ...          |
//! +---------------------------------------------------------------+
//! ```
//! A header is refused at the first octet that makes it wrong.

use super::error::ProtocolError;

/// The longest header: two octets, a 64-bit length and a masking key.
pub const MAX_HEADER: usize = 14;

/// The opcodes that RFC 6455 defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl Opcode {
    fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            other => Err(ProtocolError::ReservedOpcode(other)),
        }
    }

    /// Close, ping and pong: never fragmented, at most 125 octets.
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// What a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataOpcode {
    Text,
    Binary,
}

impl From<DataOpcode> for Opcode {
    fn from(opcode: DataOpcode) -> Self {
        match opcode {
            DataOpcode::Text => Self::Text,
            DataOpcode::Binary => Self::Binary,
        }
    }
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub fin: bool,
    /// "Compressed" on the first frame of a message, if permessage-deflate was agreed.
    pub rsv1: bool,
    pub opcode: Opcode,
    pub mask: Option<[u8; 4]>,
    pub length: u64,
}

impl Header {
    /// Appends the header to `out`, the length in its shortest form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let first = u8::from(self.fin) << 7 | u8::from(self.rsv1) << 6 | self.opcode as u8;
        let masked = u8::from(self.mask.is_some()) << 7;
        if self.length < 126 {
            out.extend_from_slice(&[first, masked | self.length as u8]);
        } else if let Ok(length) = u16::try_from(self.length) {
            out.extend_from_slice(&[first, masked | 126]);
            out.extend_from_slice(&length.to_be_bytes());
        } else {
            out.extend_from_slice(&[first, masked | 127]);
            out.extend_from_slice(&self.length.to_be_bytes());
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }
}

/// What the peer's frames must look like.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A server expects masks, a client forbids them (§5.1).
    pub masked: bool,
    /// RSV1 has a meaning: permessage-deflate was agreed.
    pub rsv1: bool,
}

/// Collects the octets of one header.
#[derive(Debug, Default)]
pub struct HeaderDecoder {
    octets: [u8; MAX_HEADER],
    len: u8,
}

impl HeaderDecoder {
    /// Takes octets from the front of `input` until a header is complete; `None` asks for more.
    pub fn push(&mut self, input: &mut &[u8], rules: Rules) -> Result<Option<Header>, ProtocolError> {
        loop {
            let have = usize::from(self.len);
            let need = self.need();
            if have == need {
                let header = self.decode(rules)?;
                self.len = 0;
                return Ok(Some(header));
            }
            let take = (need - have).min(input.len());
            let Some((head, rest)) = input.split_at_checked(take) else {
                return Ok(None);
            };
            if let Some(place) = self.octets.get_mut(have..have + take) {
                place.copy_from_slice(head);
            }
            *input = rest;
            self.len += take as u8;
            self.check_start(rules)?;
            if take < need - have {
                return Ok(None);
            }
        }
    }

    /// Whether a header has begun and is not complete.
    pub fn is_partial(&self) -> bool {
        self.len > 0
    }

    /// How many octets the header has, as far as the ones in hand tell.
    fn need(&self) -> usize {
        if self.len < 2 {
            return 2;
        }
        let [_, second, ..] = self.octets;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + if second & 0x80 != 0 { 4 } else { 0 }
    }

    /// Refuses what the first one or two octets already show to be wrong.
    fn check_start(&self, rules: Rules) -> Result<(), ProtocolError> {
        let [first, second, ..] = self.octets;
        if self.len < 1 {
            return Ok(());
        }
        let opcode = Opcode::from_bits(first & 0x0f)?;
        let rsv1 = first & 0x40 != 0;
        if first & 0x30 != 0 || rsv1 && (!rules.rsv1 || opcode.is_control() || opcode == Opcode::Continuation) {
            return Err(ProtocolError::ReservedBit);
        }
        if opcode.is_control() && first & 0x80 == 0 {
            return Err(ProtocolError::FragmentedControl);
        }
        if self.len < 2 {
            return Ok(());
        }
        match (second & 0x80 != 0, rules.masked) {
            (false, true) => return Err(ProtocolError::Unmasked),
            (true, false) => return Err(ProtocolError::Masked),
            _ => {}
        }
        if opcode.is_control() && second & 0x7f > 125 {
            return Err(ProtocolError::LongControl);
        }
        Ok(())
    }

    /// Decodes the complete header in `octets`.
    fn decode(&self, rules: Rules) -> Result<Header, ProtocolError> {
        let [first, second, rest @ ..] = self.octets;
        let [a, b, c, d, e, f, g, h, ..] = rest;
        let (length, key) = match second & 0x7f {
            126 => {
                let length = u64::from(u16::from_be_bytes([a, b]));
                if length < 126 {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (length, [c, d, e, f])
            }
            127 => {
                let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                if length >> 63 != 0 {
                    return Err(ProtocolError::LengthOverflow);
                }
                if length <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                let [.., i, j, k, l] = rest;
                (length, [i, j, k, l])
            }
            short => (u64::from(short), [a, b, c, d]),
        };
        Ok(Header {
            fin: first & 0x80 != 0,
            rsv1: first & 0x40 != 0,
            opcode: Opcode::from_bits(first & 0x0f)?,
            mask: rules.masked.then_some(key),
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Rules = Rules { masked: true, rsv1: false };
    const CLIENT: Rules = Rules { masked: false, rsv1: false };

    fn decode(mut octets: &[u8], rules: Rules) -> Result<Option<Header>, ProtocolError> {
        HeaderDecoder::default().push(&mut octets, rules)
    }

    #[test]
    fn every_length_form_is_read_back_at_every_split() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, u64::MAX >> 1] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let header = Header { fin: true, rsv1: false, opcode: Opcode::Binary, mask, length };
                let rules = if mask.is_some() { SERVER } else { CLIENT };
                let mut octets = Vec::new();
                header.encode(&mut octets);
                for cut in 0..octets.len() {
                    let mut decoder = HeaderDecoder::default();
                    let (mut head, mut tail) = octets.split_at(cut);
                    assert_eq!(decoder.push(&mut head, rules), Ok(None));
                    assert_eq!(decoder.is_partial(), cut > 0);
                    assert_eq!(decoder.push(&mut tail, rules), Ok(Some(header)));
                    assert!(!decoder.is_partial());
                }
            }
        }
    }

    #[test]
    fn payload_is_left_in_the_input() {
        let mut input: &[u8] = &[0x82, 0x02, 7, 8];
        let header = HeaderDecoder::default().push(&mut input, CLIENT);
        assert_eq!(header.map(|h| h.map(|h| h.length)), Ok(Some(2)));
        assert_eq!(input, &[7, 8]);
    }

    #[test]
    fn refused_at_the_first_octet() {
        for opcode in (0x3..=0x7).chain(0xb..=0xf) {
            assert_eq!(decode(&[0x80 | opcode], SERVER), Err(ProtocolError::ReservedOpcode(opcode)));
        }
        for bits in [0x10, 0x20, 0x40] {
            assert_eq!(decode(&[0x81 | bits], SERVER), Err(ProtocolError::ReservedBit));
        }
        for opcode in [0x8, 0x9, 0xa] {
            assert_eq!(decode(&[opcode], SERVER), Err(ProtocolError::FragmentedControl));
        }
    }

    #[test]
    fn rsv1_only_where_deflate_gives_it_a_meaning() {
        let deflate = Rules { masked: false, rsv1: true };
        assert!(matches!(decode(&[0xc1, 0], deflate), Ok(Some(h)) if h.rsv1));
        assert!(matches!(decode(&[0x42, 0], deflate), Ok(Some(h)) if h.rsv1 && !h.fin));
        for first in [0xc0, 0xc8, 0xc9, 0xca] {
            assert_eq!(decode(&[first, 0], deflate), Err(ProtocolError::ReservedBit));
        }
    }

    #[test]
    fn mask_by_role() {
        assert_eq!(decode(&[0x81, 0x05], SERVER), Err(ProtocolError::Unmasked));
        assert_eq!(decode(&[0x81, 0x85], CLIENT), Err(ProtocolError::Masked));
    }

    #[test]
    fn control_frame_lengths() {
        assert_eq!(decode(&[0x89, 126], CLIENT), Err(ProtocolError::LongControl));
        assert_eq!(decode(&[0x88, 127], CLIENT), Err(ProtocolError::LongControl));
        assert!(matches!(decode(&[0x8a, 125], CLIENT), Ok(Some(h)) if h.length == 125));
    }

    #[test]
    fn lengths_in_their_shortest_form_only() {
        assert_eq!(decode(&[0x82, 126, 0, 125], CLIENT), Err(ProtocolError::NonMinimalLength));
        assert_eq!(decode(&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], CLIENT), Err(ProtocolError::NonMinimalLength));
    }

    #[test]
    fn length_of_64_bits_is_refused() {
        assert_eq!(
            decode(&[0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], CLIENT),
            Err(ProtocolError::LengthOverflow)
        );
    }
}
