//! RTP timestamps of what is sent.
//!
//! A frame that came from RTP brings its timestamp; what Asterisk makes itself (prompts, music,
//! mixed audio) has only a length. The session wants timestamps whose differences are right, so a
//! source without them gets a clock of its own, and a change between the two is a new source.

use std::time::Instant;

/// A source may be late by so much before its timestamps follow the clock on the wall.
const SKEW_MS: u32 = 80;

/// Which timestamp the next packet has.
#[derive(Debug, Default)]
pub struct TxClock {
    rate: u32,
    timed: Option<bool>,
    last: u32,
    at: Option<Instant>,
}

/// What a packet is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub timestamp: u32,
    /// The timestamps do not continue those before.
    pub new_source: bool,
    /// The first after a pause: a talk spurt begins.
    pub after_pause: bool,
}

impl TxClock {
    /// The clock rate of what was sent last, 8000 before anything was.
    pub fn rate(&self) -> u32 {
        if self.rate == 0 { 8000 } else { self.rate }
    }

    /// The stamp of a packet of `ticks` at `rate`, with the `timestamp` it had where it came from.
    pub fn stamp(&mut self, now: Instant, rate: u32, ticks: u32, timestamp: Option<u64>) -> Stamp {
        let timed = timestamp.is_some();
        let new_source = self.timed != Some(timed) || self.rate != rate;
        let mut after_pause = false;
        let next = match timestamp {
            // The differences of the low 32 bits are what RTP carries.
            Some(timestamp) => timestamp as u32,
            None if new_source => self.last,
            None => {
                let predicted = self.last.wrapping_add(ticks);
                let elapsed = self.at.map_or(0, |at| now.saturating_duration_since(at).as_micros());
                let waited = u32::try_from(elapsed * u128::from(rate) / 1_000_000).unwrap_or(u32::MAX);
                after_pause = waited.saturating_sub(ticks) > SKEW_MS * (rate / 1000);
                if after_pause { self.last.wrapping_add(waited) } else { predicted }
            }
        };
        let first = self.timed.is_none();
        *self = Self { rate, timed: Some(timed), last: next, at: Some(now) };
        Stamp { timestamp: next, new_source: new_source && !first, after_pause }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::clock;

    #[test]
    fn a_prompt_advances_by_its_frames_whatever_the_jitter_of_the_timer() {
        let start = clock::now();
        let mut tx = TxClock::default();
        let first = tx.stamp(start, 8000, 160, None);
        for (n, jitter) in [(1, 3), (2, 0), (3, 15), (4, 1)] {
            let now = start + Duration::from_millis(20 * u64::from(n) + jitter);
            let stamp = tx.stamp(now, 8000, 160, None);
            assert_eq!(stamp.timestamp.wrapping_sub(first.timestamp), 160 * n);
            assert!(!stamp.after_pause);
        }
    }

    #[test]
    fn a_pause_moves_the_timestamp_and_begins_a_talk_spurt() {
        let start = clock::now();
        let mut tx = TxClock::default();
        let first = tx.stamp(start, 8000, 160, None);
        let stamp = tx.stamp(start + Duration::from_secs(2), 8000, 160, None);
        assert_eq!(stamp.timestamp.wrapping_sub(first.timestamp), 16_000);
        assert!(stamp.after_pause);
    }

    #[test]
    fn a_relayed_source_keeps_its_own_timestamps() {
        let start = clock::now();
        let mut tx = TxClock::default();
        assert_eq!(tx.stamp(start, 48_000, 960, Some(5_000)).timestamp, 5_000);
        let gap = tx.stamp(start + Duration::from_millis(1), 48_000, 960, Some(9_000));
        assert_eq!(gap, Stamp { timestamp: 9_000, new_source: false, after_pause: false });
    }

    #[test]
    fn a_change_between_relayed_and_made_audio_is_a_new_source() {
        let start = clock::now();
        let mut tx = TxClock::default();
        assert!(!tx.stamp(start, 8000, 160, Some(77)).new_source, "the first is no change");
        assert!(tx.stamp(start, 8000, 160, None).new_source);
        assert!(!tx.stamp(start, 8000, 160, None).new_source);
        assert!(tx.stamp(start, 16_000, 320, None).new_source);
    }
}
