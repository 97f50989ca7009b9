//! What is kept for each SSRC: the highest index, and which ones were seen.

use super::Discard;
use super::replay::{ReplayWindow, Seen};

/// The number of indices that a key may protect (RFC 3711 section 9.2): 2^48 packets of RTP,
/// and 2^31 of RTCP.
const RTP_INDICES: u64 = 1 << 48;
pub const RTCP_INDICES: u32 = 1 << 31;

/// A source, seen from one side.
#[derive(Clone, Debug)]
pub struct Stream {
    pub ssrc: u32,
    /// RTP indices: rollover counter and sequence number (RFC 3711 section 3.3.1).
    pub rtp: ReplayWindow,
    /// A rollover counter that was signalled for a source not heard yet.
    pub initial_roc: u32,
    /// SRTCP indices received.
    pub rtcp: ReplayWindow,
    /// The next SRTCP index to send.
    pub next_rtcp: u32,
}

impl Stream {
    pub fn new(ssrc: u32) -> Stream {
        Stream { ssrc, rtp: ReplayWindow::default(), initial_roc: 0, rtcp: ReplayWindow::default(), next_rtcp: 0 }
    }

    /// The index that `sequence` most likely stands for: the one nearest to the highest so far.
    pub fn estimate(&self, sequence: u16) -> Result<u64, Discard> {
        let index = match self.rtp.highest() {
            None => u64::from(self.initial_roc) << 16 | u64::from(sequence),
            Some(highest) => nearest(highest, sequence),
        };
        if index < RTP_INDICES { Ok(index) } else { Err(Discard::KeyExhausted) }
    }
}

/// RFC 3711 appendix A. A step back below index 0 is read as a step forward: in the first
/// cycle of a source there is nothing before it.
fn nearest(highest: u64, sequence: u16) -> u64 {
    let same_cycle = highest & !0xffff | u64::from(sequence);
    if same_cycle + 0x8000 < highest {
        same_cycle + 0x1_0000
    } else if same_cycle > highest + 0x8000 && same_cycle >= 0x1_0000 {
        same_cycle - 0x1_0000
    } else {
        same_cycle
    }
}

/// The verdict on an index as a reason to discard.
pub fn fresh(window: &ReplayWindow, index: u64) -> Result<(), Discard> {
    match window.check(index) {
        Seen::New => Ok(()),
        Seen::Before => Err(Discard::Replayed),
        Seen::TooOldToKnow => Err(Discard::TooOld),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_index() {
        assert_eq!(nearest(0x1_ffff, 0), 0x2_0000);
        assert_eq!(nearest(0x2_0000, 0xffff), 0x1_ffff);
        assert_eq!(nearest(0x1_0000, 0x8000), 0x1_8000);
        assert_eq!(nearest(0x1_0000, 0x8001), 0x8001);
        assert_eq!(nearest(0x1_8000, 0), 0x1_0000);
        assert_eq!(nearest(0x1_8001, 0), 0x2_0000);
        // The first cycle has none before it.
        assert_eq!(nearest(10, 0xfff0), 0xfff0);
    }

    #[test]
    fn stops_at_the_end_of_the_key() {
        let mut stream = Stream::new(1);
        stream.rtp.accept(RTP_INDICES - 1);
        assert_eq!(stream.estimate(0xffff), Ok(RTP_INDICES - 1));
        assert_eq!(stream.estimate(0), Err(Discard::KeyExhausted));
    }
}
