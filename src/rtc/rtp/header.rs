//! The RTP header (RFC 3550 §5.1) and header extensions (RFC 8285).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           timestamp                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           synchronization source (SSRC) identifier            |
//! +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//! |            contributing source (CSRC) identifiers             |
//! |                             ....                              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |      defined by profile       |            length             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The header is not encrypted by SRTP, the payload with its padding is: `parse` looks at the
//! header alone, and `Header::payload` is asked after decryption.

use super::Malformed;

const FIXED: usize = 12;

/// The longest header that `write_header` makes: no CSRC, extensions of 255 bytes in all.
pub const MAX_HEADER: usize = FIXED + 4 + 256;

/// The fields of an RTP header, and where the parts of the packet lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The padding bit.
    pub padding: bool,
    /// The marker bit.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub pt: u8,
    /// The sequence number.
    pub seq: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The number of contributing sources, 0 to 15.
    pub csrc_count: u8,
    /// The 16 bits "defined by profile", if there is an extension.
    pub extension_profile: Option<u16>,
    /// The length of the header with CSRCs and extension.
    pub len: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Reads the header of `packet`. All of the header lies within the packet.
pub fn parse(packet: &[u8]) -> Result<Header, Malformed> {
    parse_fields(packet).ok_or(Malformed)
}

fn parse_fields(packet: &[u8]) -> Option<Header> {
    let first = *packet.first()?;
    let second = *packet.get(1)?;
    if first >> 6 != 2 {
        return None;
    }
    let csrc_count = first & 0x0f;
    let mut len = FIXED + 4 * usize::from(csrc_count);
    let mut extension_profile = None;
    if first & 0x10 != 0 {
        extension_profile = Some(u16_at(packet, len)?);
        len += 4 + 4 * usize::from(u16_at(packet, len + 2)?);
    }
    if packet.len() < len {
        return None;
    }
    Some(Header {
        padding: first & 0x20 != 0,
        marker: second & 0x80 != 0,
        pt: second & 0x7f,
        seq: u16_at(packet, 2)?,
        timestamp: u32_at(packet, 4)?,
        ssrc: u32_at(packet, 8)?,
        csrc_count,
        extension_profile,
        len,
    })
}

impl Header {
    /// The payload of the decrypted `packet` without its padding.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let payload = packet.get(self.len..).ok_or(Malformed)?;
        if !self.padding {
            return Ok(payload);
        }
        let count = usize::from(*payload.last().ok_or(Malformed)?);
        if count == 0 || count > payload.len() {
            return Err(Malformed);
        }
        payload.get(..payload.len() - count).ok_or(Malformed)
    }

    /// The contributing sources.
    pub fn csrcs<'a>(&self, packet: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let end = FIXED + 4 * usize::from(self.csrc_count);
        packet
            .get(FIXED..end)
            .unwrap_or_default()
            .chunks_exact(4)
            .filter_map(|word| word.try_into().ok().map(u32::from_be_bytes))
    }

    /// The header extensions of RFC 8285; none if the extension has another form.
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        let form = match self.extension_profile {
            Some(0xbede) => Form::OneByte,
            Some(profile) if profile & 0xfff0 == 0x1000 => Form::TwoByte,
            _ => return Extensions::none(),
        };
        let start = FIXED + 4 * usize::from(self.csrc_count) + 4;
        Extensions { form, rest: packet.get(start..self.len).unwrap_or_default() }
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
}

/// The elements of a header extension, `(id, data)`. It ends early at the first element that
/// does not fit.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl Extensions<'_> {
    fn none() -> Self {
        Extensions { form: Form::OneByte, rest: &[] }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                // Padding.
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = match self.form {
                Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1, rest),
                Form::TwoByte => {
                    let (&len, rest) = rest.split_first()?;
                    (first, usize::from(len), rest)
                }
            };
            // RFC 8285 §4.2: the one-byte form's ID 15 ends the list.
            if matches!(self.form, Form::OneByte) && id == 15 || rest.len() < len {
                self.rest = &[];
                return None;
            }
            let (data, rest) = rest.split_at(len);
            self.rest = rest;
            return Some((id, data));
        }
    }
}

/// Appends a header without CSRCs to `out`. `extensions` are written in the one-byte form; an
/// element with an ID outside 1 to 14 or data outside 1 to 16 bytes, or beyond 255 bytes in all,
/// is left out.
pub fn write_header(
    out: &mut Vec<u8>,
    pt: u8,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    extensions: &[(u8, &[u8])],
) {
    let start = out.len();
    out.push(0x80);
    out.push(pt & 0x7f | if marker { 0x80 } else { 0 });
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    if extensions.is_empty() {
        return;
    }
    out.extend_from_slice(&0xbedeu16.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    let data = out.len();
    for &(id, value) in extensions {
        let written = out.len() - data;
        if (1..=14).contains(&id) && (1..=16).contains(&value.len()) && written + 1 + value.len() < 256 {
            out.push(id << 4 | (value.len() - 1) as u8);
            out.extend_from_slice(value);
        }
    }
    while !(out.len() - data).is_multiple_of(4) {
        out.push(0);
    }
    let words = ((out.len() - data) / 4) as u16;
    if let Some(length) = out.get_mut(data - 2..data) {
        length.copy_from_slice(&words.to_be_bytes());
    }
    if let Some(first) = out.get_mut(start) {
        *first |= 0x10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_header_round_trip() {
        let mut packet = Vec::new();
        write_header(&mut packet, 111, true, 0xfffe, 0x1234_5678, 0xdead_beef, &[]);
        assert_eq!(packet.len(), 12);
        packet.extend_from_slice(b"opus");
        let header = parse(&packet).unwrap();
        assert_eq!(header.pt, 111);
        assert!(header.marker);
        assert_eq!(header.seq, 0xfffe);
        assert_eq!(header.timestamp, 0x1234_5678);
        assert_eq!(header.ssrc, 0xdead_beef);
        assert_eq!(header.payload(&packet).unwrap(), b"opus");
        assert_eq!(header.extensions(&packet).count(), 0);
    }

    #[test]
    fn one_byte_extensions_round_trip() {
        let mut packet = Vec::new();
        let long = [7u8; 16];
        write_header(&mut packet, 96, false, 1, 2, 3, &[(1, b"0"), (15, b"never"), (0, b"no"), (4, &long)]);
        packet.push(9);
        let header = parse(&packet).unwrap();
        assert_eq!(header.extension_profile, Some(0xbede));
        let found: Vec<_> = header.extensions(&packet).collect();
        assert_eq!(found, [(1, &b"0"[..]), (4, &long[..])]);
        assert_eq!(header.payload(&packet).unwrap(), [9]);
    }

    #[test]
    fn two_byte_extensions_and_csrcs() {
        let packet = [
            0x92, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, // CC = 2, X
            0, 0, 0, 0xaa, 0, 0, 0, 0xbb, // CSRCs
            0x10, 0x00, 0, 2, // two-byte form, two words
            5, 0, 0, 6, 3, 1, 2, 3, // id 5 empty, padding, id 6
            0x7f,
        ];
        let header = parse(&packet).unwrap();
        assert_eq!(header.csrcs(&packet).collect::<Vec<_>>(), [0xaa, 0xbb]);
        let found: Vec<_> = header.extensions(&packet).collect();
        assert_eq!(found, [(5, &[][..]), (6, &[1, 2, 3][..])]);
        assert_eq!(header.payload(&packet).unwrap(), [0x7f]);
    }

    #[test]
    fn padding_is_removed_and_checked() {
        let mut packet = vec![0xa0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, b'x', 0, 0, 3];
        let header = parse(&packet).unwrap();
        assert_eq!(header.payload(&packet).unwrap(), b"x");
        for bad in [0, 5, 255] {
            *packet.last_mut().unwrap() = bad;
            assert_eq!(header.payload(&packet), Err(Malformed));
        }
        assert_eq!(header.payload(&packet[..12]), Err(Malformed));
    }

    #[test]
    fn lies_about_length_are_refused() {
        let mut packet = Vec::new();
        write_header(&mut packet, 0, false, 1, 2, 3, &[(1, b"abc")]);
        let whole = packet.clone();
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), Err(Malformed), "length {len}");
        }
        assert!(parse(&whole).is_ok());
        // An extension longer than the packet.
        packet[15] = 200;
        assert_eq!(parse(&packet), Err(Malformed));
        // CSRCs longer than the packet.
        assert_eq!(parse(&[0x8f; 20]), Err(Malformed));
        // Another version.
        assert_eq!(parse(&[0x40; 20]), Err(Malformed));
        // An element longer than the extension ends the list.
        let lying = [0x90, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x1f, 1, 2, 3];
        let header = parse(&lying).unwrap();
        assert_eq!(header.extensions(&lying).count(), 0);
    }
}
