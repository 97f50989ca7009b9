//! The pcapng file format (draft-ietf-opsawg-pcapng), as much as a capture of UDP needs: a section
//! header, one interface that carries bare IP packets, and enhanced packet blocks.
//!
//! Every block is its type, its total length, its body padded to 32 bits, and its total length
//! again. All numbers are little-endian, as the byte-order magic says.

use std::net::{IpAddr, SocketAddr};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;

/// LINKTYPE_RAW: the packet begins with an IPv4 or IPv6 header.
const LINK_RAW: u16 = 101;

const OPTION_END: u16 = 0;
const OPTION_USER_APPLICATION: u16 = 4;
const OPTION_INTERFACE_NAME: u16 = 2;
const OPTION_PACKET_FLAGS: u16 = 2;

/// What fits into an IP packet beside the headers of IPv4 and UDP. RTP is far below.
const LARGEST_PAYLOAD: usize = 65_535 - 20 - 8;

/// Which way a packet went, seen from Asterisk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// Writes what a file begins with.
pub fn begin(out: &mut Vec<u8>, application: &str) {
    block(out, SECTION_HEADER, |body| {
        body.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        // Version 1.0, and a section whose length is not known beforehand.
        body.extend_from_slice(&1u16.to_le_bytes());
        body.extend_from_slice(&0u16.to_le_bytes());
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        option(body, OPTION_USER_APPLICATION, application.as_bytes());
        option(body, OPTION_END, &[]);
    });
    block(out, INTERFACE_DESCRIPTION, |body| {
        body.extend_from_slice(&LINK_RAW.to_le_bytes());
        body.extend_from_slice(&[0; 2]);
        // No snapshot length: packets are whole. Timestamps are in microseconds by default.
        body.extend_from_slice(&0u32.to_le_bytes());
        option(body, OPTION_INTERFACE_NAME, b"res_rust_webrtc (decrypted)");
        option(body, OPTION_END, &[]);
    });
}

/// Writes a UDP datagram. `microseconds` is the time since 1970. Addresses of two families cannot
/// be in one packet; nothing is written then.
pub fn packet(
    out: &mut Vec<u8>,
    microseconds: u64,
    direction: Direction,
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) {
    let payload = payload.get(..LARGEST_PAYLOAD).unwrap_or(payload);
    let mut bytes = Vec::with_capacity(48 + payload.len());
    if !datagram(&mut bytes, source, destination, payload) {
        return;
    }
    block(out, ENHANCED_PACKET, |body| {
        body.extend_from_slice(&0u32.to_le_bytes());
        body.extend_from_slice(&((microseconds >> 32) as u32).to_le_bytes());
        body.extend_from_slice(&(microseconds as u32).to_le_bytes());
        // At most 65,535 and some, by the cut above.
        let length = bytes.len() as u32;
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&length.to_le_bytes());
        body.extend_from_slice(&bytes);
        pad(body);
        let flags: u32 = match direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        };
        option(body, OPTION_PACKET_FLAGS, &flags.to_le_bytes());
        option(body, OPTION_END, &[]);
    });
}

fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - start + 4) as u32;
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    out.extend_from_slice(&length.to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&(value.len() as u16).to_le_bytes());
    body.extend_from_slice(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    // Blocks begin at multiples of four and so does everything in them.
    let padded = body.len().next_multiple_of(4);
    body.resize(padded, 0);
}

/// An IP packet with a UDP datagram in it; `false` when the addresses are of two families.
fn datagram(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> bool {
    const UDP: u8 = 17;
    const HOPS: u8 = 64;
    let udp_length = (8 + payload.len()) as u16;
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            out.extend_from_slice(&[0x45, 0]);
            out.extend_from_slice(&(20 + udp_length).to_be_bytes());
            out.extend_from_slice(&[0, 0, 0, 0, HOPS, UDP, 0, 0]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
            let sum = checksum(out.get(start..).unwrap_or_default());
            if let Some(place) = out.get_mut(start + 10..start + 12) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&udp_length.to_be_bytes());
            out.extend_from_slice(&[UDP, HOPS]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
        }
        _ => return false,
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    out.extend_from_slice(&udp_length.to_be_bytes());
    // No checksum: the datagram never was on a wire like this.
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(payload);
    true
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header
        .chunks(2)
        .map(|pair| {
            u32::from(u16::from_be_bytes([pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]))
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each block as its type and body, checked for its two lengths.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let kind = u32::from_le_bytes(file[..4].try_into().unwrap());
            let length = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(file[length - 4..length], file[4..8], "the lengths of a block agree");
            found.push((kind, file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        found
    }

    #[test]
    fn a_file_is_a_section_an_interface_and_packets() {
        let mut file = Vec::new();
        begin(&mut file, "test");
        let from = "192.0.2.1:10000".parse().unwrap();
        let to = "192.0.2.2:20001".parse().unwrap();
        packet(&mut file, 0x1_2345_6789_abcd, Direction::Outbound, from, to, b"payload");
        let blocks = blocks(&file);
        assert_eq!(
            blocks.iter().map(|b| b.0).collect::<Vec<_>>(),
            [SECTION_HEADER, INTERFACE_DESCRIPTION, ENHANCED_PACKET]
        );
        let body = &blocks[2].1;
        assert_eq!(body[4..8], 0x1_2345u32.to_le_bytes());
        assert_eq!(body[8..12], 0x6789_abcdu32.to_le_bytes());
        let length = u32::from_le_bytes(body[12..16].try_into().unwrap()) as usize;
        assert_eq!(length, 20 + 8 + 7);
        let ip = &body[20..20 + length];
        assert_eq!(checksum(&ip[..20]), 0, "a header with its checksum sums to zero");
        assert_eq!(ip[20..22], 10_000u16.to_be_bytes());
        assert_eq!(ip[22..24], 20_001u16.to_be_bytes());
        assert_eq!(&ip[28..], b"payload");
    }

    #[test]
    fn ipv6_has_its_own_header() {
        let mut file = Vec::new();
        packet(
            &mut file,
            0,
            Direction::Inbound,
            "[2001:db8::1]:1".parse().unwrap(),
            "[2001:db8::2]:2".parse().unwrap(),
            b"x",
        );
        let body = &blocks(&file)[0].1;
        assert_eq!(body[20] >> 4, 6);
        assert_eq!(u32::from_le_bytes(body[12..16].try_into().unwrap()), 40 + 8 + 1);
    }

    #[test]
    fn addresses_of_two_families_write_nothing() {
        let mut file = Vec::new();
        packet(&mut file, 0, Direction::Inbound, "192.0.2.1:1".parse().unwrap(), "[::1]:2".parse().unwrap(), b"x");
        assert!(file.is_empty());
    }
}
