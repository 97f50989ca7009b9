//! Taking compound packets apart.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |V=2|P| count/FMT |     PT      |             length            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The length counts 32-bit words less one. Every packet must lie within the datagram, and every
//! part of it within the packet. Reduced-size packets (RFC 5506) are taken: any type may be first.

use super::{Malformed, ReportBlock, SenderInfo, format, packet_type};

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// SR.
    SenderReport {
        /// The reporter.
        ssrc: u32,
        /// Its clock and counts.
        info: SenderInfo,
        /// The report blocks, each of 24 bytes: see [`Packet::blocks`].
        blocks: &'a [u8],
    },
    /// RR.
    ReceiverReport {
        /// The reporter.
        ssrc: u32,
        /// The report blocks, each of 24 bytes: see [`Packet::blocks`].
        blocks: &'a [u8],
    },
    /// SDES; the chunks are not looked at.
    SourceDescription,
    /// BYE.
    Bye {
        /// The SSRCs that leave, of 4 bytes each: see [`Packet::ssrcs`].
        ssrcs: &'a [u8],
    },
    /// APP.
    App {
        /// The sender.
        ssrc: u32,
        /// The name.
        name: [u8; 4],
    },
    /// Generic NACK: pairs of packet ID and bitmask: see [`Packet::lost`].
    Nack {
        /// The sender.
        sender: u32,
        /// The source it is about.
        media: u32,
        /// The pairs.
        fci: &'a [u8],
    },
    /// Transport-wide congestion control feedback.
    TransportCc {
        /// The sender.
        sender: u32,
        /// The source it is about.
        media: u32,
        /// The feedback control information.
        fci: &'a [u8],
    },
    /// Picture loss indication.
    Pli {
        /// The sender.
        sender: u32,
        /// The source it is about.
        media: u32,
    },
    /// Full intra request: one entry.
    Fir {
        /// The sender.
        sender: u32,
        /// The source it is about, from the first entry.
        media: u32,
        /// The command sequence number; the same one again is the same request.
        seq: u8,
    },
    /// Receiver estimated maximum bitrate.
    Remb {
        /// The sender.
        sender: u32,
        /// In bit/s.
        bitrate: u64,
        /// The SSRCs of the streams it is about, of 4 bytes each: see [`Packet::ssrcs`].
        ssrcs: &'a [u8],
    },
    /// A packet that is well-formed and of no use here: XR, unknown types and formats.
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

impl<'a> Packet<'a> {
    /// The report blocks of a report.
    pub fn blocks(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        let blocks: &'a [u8] = match *self {
            Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks,
            _ => &[],
        };
        blocks.chunks_exact(24).filter_map(report_block)
    }

    /// The SSRCs of a BYE or a REMB.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + 'a {
        let ssrcs: &'a [u8] = match *self {
            Packet::Bye { ssrcs } | Packet::Remb { ssrcs, .. } => ssrcs,
            _ => &[],
        };
        ssrcs.chunks_exact(4).filter_map(|word| u32_at(word, 0))
    }

    /// The sequence numbers of a NACK.
    pub fn lost(&self) -> impl Iterator<Item = u16> + 'a {
        let fci: &'a [u8] = match *self {
            Packet::Nack { fci, .. } => fci,
            _ => &[],
        };
        fci.chunks_exact(4).flat_map(|pair| {
            let first = u16_at(pair, 0).unwrap_or(0);
            let mask = u16_at(pair, 2).unwrap_or(0);
            let following =
                (0..16u16).filter(move |bit| mask >> bit & 1 != 0).map(move |bit| first.wrapping_add(bit + 1));
            std::iter::once(first).chain(following)
        })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn report_block(bytes: &[u8]) -> Option<ReportBlock> {
    let loss = u32_at(bytes, 4)?;
    Some(ReportBlock {
        ssrc: u32_at(bytes, 0)?,
        fraction_lost: (loss >> 24) as u8,
        // 24 bits with sign.
        lost: ((loss << 8) as i32) >> 8,
        highest_seq: u32_at(bytes, 8)?,
        jitter: u32_at(bytes, 12)?,
        lsr: u32_at(bytes, 16)?,
        dlsr: u32_at(bytes, 20)?,
    })
}

/// The packets of a compound. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

/// Takes a compound packet apart, decrypted and without SRTCP trailer.
pub fn packets(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.take().ok_or(Malformed);
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

impl<'a> Packets<'a> {
    fn take(&mut self) -> Option<Packet<'a>> {
        let first = *self.rest.first()?;
        let packet_type = *self.rest.get(1)?;
        let len = (usize::from(u16_at(self.rest, 2)?) + 1) * 4;
        if first >> 6 != 2 || len > self.rest.len() {
            return None;
        }
        let (packet, rest) = self.rest.split_at(len);
        self.rest = rest;
        let mut body = packet.get(4..)?;
        if first & 0x20 != 0 {
            // Padding is allowed on the last packet alone.
            let count = usize::from(*packet.last()?);
            if !rest.is_empty() || count == 0 || count % 4 != 0 {
                return None;
            }
            body = body.get(..body.len().checked_sub(count)?)?;
        }
        parse_body(packet_type, first & 0x1f, body)
    }
}

fn parse_body(packet_type: u8, count: u8, body: &[u8]) -> Option<Packet<'_>> {
    let blocks = usize::from(count) * 24;
    Some(match packet_type {
        packet_type::SR => Packet::SenderReport {
            ssrc: u32_at(body, 0)?,
            info: SenderInfo {
                ntp: u64::from(u32_at(body, 4)?) << 32 | u64::from(u32_at(body, 8)?),
                rtp: u32_at(body, 12)?,
                packets: u32_at(body, 16)?,
                octets: u32_at(body, 20)?,
            },
            blocks: body.get(24..24 + blocks)?,
        },
        packet_type::RR => Packet::ReceiverReport { ssrc: u32_at(body, 0)?, blocks: body.get(4..4 + blocks)? },
        packet_type::SDES => Packet::SourceDescription,
        packet_type::BYE => Packet::Bye { ssrcs: body.get(..usize::from(count) * 4)? },
        packet_type::APP => Packet::App { ssrc: u32_at(body, 0)?, name: body.get(4..8)?.try_into().ok()? },
        packet_type::RTPFB => {
            let sender = u32_at(body, 0)?;
            let media = u32_at(body, 4)?;
            let fci = body.get(8..)?;
            match count {
                format::NACK if !fci.is_empty() => Packet::Nack { sender, media, fci },
                format::NACK => return None,
                format::TRANSPORT_CC => Packet::TransportCc { sender, media, fci },
                _ => Packet::Other { packet_type },
            }
        }
        packet_type::PSFB => {
            let sender = u32_at(body, 0)?;
            let media = u32_at(body, 4)?;
            let fci = body.get(8..)?;
            match count {
                format::PLI => Packet::Pli { sender, media },
                format::FIR => Packet::Fir {
                    sender,
                    // RFC 5104 §4.3.1.2: the media source field is 0, the entry names it.
                    media: u32_at(fci, 0)?,
                    seq: *fci.get(4)?,
                },
                format::AFB => match remb_bitrate(fci) {
                    Some(bitrate) => Packet::Remb { sender, bitrate, ssrcs: fci.get(8..).unwrap_or_default() },
                    None => Packet::Other { packet_type },
                },
                _ => Packet::Other { packet_type },
            }
        }
        _ => Packet::Other { packet_type },
    })
}

fn remb_bitrate(fci: &[u8]) -> Option<u64> {
    if fci.get(..4)? != b"REMB" {
        return None;
    }
    let word = u32_at(fci, 4)?;
    let exponent = word >> 18 & 0x3f;
    let mantissa = u64::from(word & 0x3_ffff);
    Some(mantissa.checked_shl(exponent).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    fn all(compound: &[u8]) -> Result<Vec<Packet<'_>>, Malformed> {
        packets(compound).collect()
    }

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 0x1111_2222,
        fraction_lost: 64,
        lost: -3,
        highest_seq: 0x0001_0203,
        jitter: 17,
        lsr: 0xaabb_ccdd,
        dlsr: 0x8000,
    };

    const INFO: SenderInfo = SenderInfo { ntp: 0x1122_3344_5566_7788, rtp: 5, packets: 6, octets: 7 };

    #[test]
    fn compound_round_trip() {
        let mut compound = Vec::new();
        sender_report(&mut compound, 9, &INFO, &[BLOCK, BLOCK]);
        sdes_cname(&mut compound, 9, "someone@example");
        pli(&mut compound, 9, 8);
        fir(&mut compound, 9, 8, 3);
        nack(&mut compound, 9, 8, &[65_535, 0, 15, 16, 300]);
        remb(&mut compound, 9, 1_000_000, &[8]);
        bye(&mut compound, &[9, 10]);
        assert_eq!(compound.len() % 4, 0);
        let found = all(&compound).unwrap();
        assert_eq!(found.len(), 7);
        assert!(matches!(found[0], Packet::SenderReport { ssrc: 9, info, .. } if info == INFO));
        assert_eq!(found[0].blocks().collect::<Vec<_>>(), [BLOCK, BLOCK]);
        assert_eq!(found[1], Packet::SourceDescription);
        assert_eq!(found[2], Packet::Pli { sender: 9, media: 8 });
        assert_eq!(found[3], Packet::Fir { sender: 9, media: 8, seq: 3 });
        assert_eq!(found[4].lost().collect::<Vec<_>>(), [65_535, 0, 15, 16, 300]);
        let Packet::Remb { bitrate, ssrcs: [0, 0, 0, 8], .. } = found[5] else {
            panic!("{found:?}");
        };
        assert!((990_000..=1_000_000).contains(&bitrate));
        assert_eq!(found[6].ssrcs().collect::<Vec<_>>(), [9, 10]);
    }

    #[test]
    fn receiver_report_without_blocks_and_reduced_size() {
        let mut compound = Vec::new();
        receiver_report(&mut compound, 9, &[]);
        assert_eq!(compound.len(), 8);
        let found = all(&compound).unwrap();
        assert!(matches!(found[0], Packet::ReceiverReport { ssrc: 9, .. }));
        let mut reduced = Vec::new();
        pli(&mut reduced, 1, 2);
        assert_eq!(all(&reduced), Ok(vec![Packet::Pli { sender: 1, media: 2 }]));
    }

    #[test]
    fn what_is_not_known_is_skipped() {
        // XR, an unknown PSFB format, APP.
        let compound = [
            0x80, 207, 0, 1, 0, 0, 0, 1, //
            0x89, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, //
            0x80, 204, 0, 2, 0, 0, 0, 1, b'n', b'a', b'm', b'e',
        ];
        assert_eq!(
            all(&compound).unwrap(),
            [
                Packet::Other { packet_type: 207 },
                Packet::Other { packet_type: 206 },
                Packet::App { ssrc: 1, name: *b"name" },
            ]
        );
    }

    #[test]
    fn every_truncation_is_refused_or_shorter() {
        let mut compound = Vec::new();
        sender_report(&mut compound, 9, &INFO, &[BLOCK]);
        nack(&mut compound, 9, 8, &[1]);
        let first = 52;
        for len in 1..compound.len() {
            let found = all(&compound[..len]);
            assert_eq!(found.is_ok(), len == first, "length {len}");
        }
    }

    #[test]
    fn lies_about_counts_are_refused() {
        // A sender report that claims 31 blocks and has none (AST-2017-012).
        let mut compound = Vec::new();
        sender_report(&mut compound, 9, &INFO, &[]);
        compound[0] |= 31;
        assert_eq!(all(&compound), Err(Malformed));
        let mut compound = Vec::new();
        bye(&mut compound, &[1]);
        compound[0] |= 31;
        assert_eq!(all(&compound), Err(Malformed));
        // A NACK and a FIR without an entry, padding longer than the packet, another version.
        assert_eq!(all(&[0x81, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]), Err(Malformed));
        assert_eq!(all(&[0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]), Err(Malformed));
        assert_eq!(all(&[0xa0, 201, 0, 1, 0, 0, 0, 8]), Err(Malformed));
        assert_eq!(all(&[0x40, 201, 0, 1, 0, 0, 0, 8]), Err(Malformed));
        // Padding on a packet that is not the last.
        let mut compound = vec![0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4];
        assert!(all(&compound).is_ok());
        receiver_report(&mut compound, 1, &[]);
        assert_eq!(all(&compound), Err(Malformed));
    }

    #[test]
    fn extreme_remb_does_not_overflow() {
        let mut fci = b"REMB".to_vec();
        fci.extend_from_slice(&[1, 0xff, 0xff, 0xff]);
        assert!(remb_bitrate(&fci).is_some());
        assert_eq!(remb_bitrate(b"RE"), None);
    }
}
