//! Putting compound packets together: each function appends one packet.

use super::{ReportBlock, SenderInfo, format, packet_type};

/// The most report blocks, sources or chunks that a header can count.
const MAX_COUNT: usize = 31;

/// Appends a packet whose body `body` writes; the length is filled in afterwards.
fn packet(out: &mut Vec<u8>, count: u8, packet_type: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count & 0x1f, packet_type, 0, 0]);
    body(out);
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let words = ((out.len() - start) / 4 - 1) as u16;
    if let Some(length) = out.get_mut(start + 2..start + 4) {
        length.copy_from_slice(&words.to_be_bytes());
    }
}

fn word(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn report_block(out: &mut Vec<u8>, block: &ReportBlock) {
    let lost = block.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0x00ff_ffff;
    word(out, block.ssrc);
    word(out, u32::from(block.fraction_lost) << 24 | lost);
    word(out, block.highest_seq);
    word(out, block.jitter);
    word(out, block.lsr);
    word(out, block.dlsr);
}

/// SR with at most 31 blocks.
pub fn sender_report(out: &mut Vec<u8>, ssrc: u32, info: &SenderInfo, blocks: &[ReportBlock]) {
    let count = blocks.len().min(MAX_COUNT);
    packet(out, count as u8, packet_type::SR, |out| {
        word(out, ssrc);
        out.extend_from_slice(&info.ntp.to_be_bytes());
        word(out, info.rtp);
        word(out, info.packets);
        word(out, info.octets);
        blocks.iter().take(count).for_each(|b| report_block(out, b));
    });
}

/// RR with at most 31 blocks.
pub fn receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    let count = blocks.len().min(MAX_COUNT);
    packet(out, count as u8, packet_type::RR, |out| {
        word(out, ssrc);
        blocks.iter().take(count).for_each(|b| report_block(out, b));
    });
}

/// SDES with one chunk: the CNAME, of which the first 255 bytes are sent.
pub fn sdes_cname(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let text = cname.as_bytes();
    let text = text.get(..255).unwrap_or(text);
    packet(out, 1, packet_type::SDES, |out| {
        word(out, ssrc);
        out.push(1);
        out.push(text.len() as u8);
        out.extend_from_slice(text);
        // The list of items ends with a null octet.
        out.push(0);
    });
}

/// BYE for at most 31 sources.
pub fn bye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    let count = ssrcs.len().min(MAX_COUNT);
    packet(out, count as u8, packet_type::BYE, |out| {
        ssrcs.iter().take(count).for_each(|&ssrc| word(out, ssrc));
    });
}

/// Picture loss indication (RFC 4585 §6.3.1).
pub fn pli(out: &mut Vec<u8>, sender: u32, media: u32) {
    packet(out, format::PLI, packet_type::PSFB, |out| {
        word(out, sender);
        word(out, media);
    });
}

/// Full intra request (RFC 5104 §4.3.1). `seq` grows by one with each new request.
pub fn fir(out: &mut Vec<u8>, sender: u32, media: u32, seq: u8) {
    packet(out, format::FIR, packet_type::PSFB, |out| {
        word(out, sender);
        word(out, 0);
        word(out, media);
        out.extend_from_slice(&[seq, 0, 0, 0]);
    });
}

/// Generic NACK (RFC 4585 §6.2.1). Numbers in ascending order make the shortest message.
pub fn nack(out: &mut Vec<u8>, sender: u32, media: u32, lost: &[u16]) {
    packet(out, format::NACK, packet_type::RTPFB, |out| {
        word(out, sender);
        word(out, media);
        let mut lost = lost.iter().copied().peekable();
        while let Some(first) = lost.next() {
            let mut mask = 0u16;
            while let Some(&next) = lost.peek() {
                let after = next.wrapping_sub(first);
                if !(1..=16).contains(&after) {
                    break;
                }
                mask |= 1 << (after - 1);
                lost.next();
            }
            out.extend_from_slice(&first.to_be_bytes());
            out.extend_from_slice(&mask.to_be_bytes());
        }
    });
}

/// Transport-wide congestion control feedback with the control information `fci`.
pub fn transport_cc(out: &mut Vec<u8>, sender: u32, media: u32, fci: &[u8]) {
    packet(out, format::TRANSPORT_CC, packet_type::RTPFB, |out| {
        word(out, sender);
        word(out, media);
        out.extend_from_slice(fci);
    });
}

/// Receiver estimated maximum bitrate, for at most 255 sources.
pub fn remb(out: &mut Vec<u8>, sender: u32, bitrate: u64, ssrcs: &[u32]) {
    packet(out, format::AFB, packet_type::PSFB, |out| {
        word(out, sender);
        word(out, 0);
        out.extend_from_slice(b"REMB");
        let bits = u64::BITS - bitrate.leading_zeros();
        let exponent = bits.saturating_sub(18);
        let mantissa = (bitrate >> exponent) as u32;
        let count = ssrcs.len().min(255) as u32;
        word(out, count << 24 | exponent << 18 | mantissa);
        ssrcs.iter().take(255).for_each(|&ssrc| word(out, ssrc));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sdes_is_padded_with_nulls() {
        for len in 0..8 {
            let mut out = Vec::new();
            sdes_cname(&mut out, 1, &"abcdefgh"[..len]);
            assert_eq!(out.len() % 4, 0);
            assert_eq!(out[8], 1);
            assert_eq!(usize::from(out[9]), len);
            assert_eq!(*out.last().unwrap(), 0);
            assert_eq!(usize::from(out[3]) * 4 + 4, out.len());
        }
        let mut out = Vec::new();
        sdes_cname(&mut out, 1, &"x".repeat(300));
        assert_eq!(out[9], 255);
    }

    #[test]
    fn counts_are_bounded() {
        let mut out = Vec::new();
        bye(&mut out, &[7; 40]);
        assert_eq!(out[0], 0x80 | 31);
        assert_eq!(out.len(), 4 + 31 * 4);
    }

    #[test]
    fn nack_is_packed() {
        let mut out = Vec::new();
        nack(&mut out, 1, 2, &[10, 11, 26, 27]);
        // 10 with 11 and 26; 27 alone.
        assert_eq!(&out[12..], [0, 10, 0x80, 0x01, 0, 27, 0, 0]);
    }
}
