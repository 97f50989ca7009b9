//! A sent stream: one SSRC whose sequence numbers and timestamps go on without a break, whatever
//! sources feed it.
//!
//! Invariant: no sequence number is given out twice within a run of 2^15 packets. SRTP derives
//! the key stream from it, and two payloads under one index give both away.

use std::time::{Duration, Instant};

use super::window::{WINDOW, Window};

/// A source whose clock departs this far from ours has been replaced without notice.
const REBASE_AFTER: f64 = 3.0;
/// A source's sequence number may lie this far ahead of the last one.
const MAX_GAP: u16 = 1000;

/// What the header of a packet is to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The sequence number.
    pub seq: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// The packet is the first of another source.
    pub rebased: bool,
}

/// The state of a sent stream.
#[derive(Clone, Debug)]
pub struct SentStream {
    ssrc: u32,
    /// The number of the last packet in order, extended.
    highest: u64,
    /// What was given out.
    used: Window,
    /// No number is below: it would be in the cycle before the first, which SRTP does not have.
    lowest: u64,
    /// Added to the source's sequence numbers, once it has given one.
    seq_offset: Option<u16>,
    /// Added to the source's timestamps.
    ts_offset: Option<u32>,
    first_timestamp: u32,
    last: Option<Last>,
    rebase: bool,
    packets: u32,
    octets: u32,
    total_packets: u64,
    total_octets: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    timestamp: u32,
    clock_rate: u32,
}

impl SentStream {
    /// A stream with a random SSRC, first sequence number and first timestamp. The sequence
    /// begins below 2^15 so that a receiver that misses the first packets does not mistake the
    /// wrap (RFC 3711 §3.3.1).
    pub fn new(ssrc: u32, random: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = random;
        // Not among the first 256 either: a late packet of the source may be numbered below.
        let first = 0x1_0000 + u64::from(u16::from_be_bytes([a & 0x7f | 1, b]));
        SentStream {
            ssrc,
            highest: first - 1,
            used: Window::default(),
            lowest: first - 255,
            seq_offset: None,
            ts_offset: None,
            first_timestamp: u32::from_be_bytes([c, d, e, f]),
            last: None,
            rebase: false,
            packets: 0,
            octets: 0,
            total_packets: 0,
            total_octets: 0,
        }
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The next packet comes from another source: its numbers are fitted to the last ones sent,
    /// and it carries the marker.
    pub fn source_changed(&mut self) {
        if self.last.is_some() {
            self.rebase = true;
        }
    }

    /// The stamp of a packet of the source. `None` if its sequence number was given out before.
    pub fn stamp(
        &mut self,
        now: Instant,
        seq: Option<u16>,
        timestamp: u32,
        marker: bool,
        clock_rate: u32,
    ) -> Option<Stamp> {
        let rebase = std::mem::take(&mut self.rebase) || self.discontinuous(now, timestamp);
        let ts_offset = match self.ts_offset {
            Some(offset) if !rebase => offset,
            _ => self.timestamp_at(now).wrapping_sub(timestamp),
        };
        let seq = match seq {
            Some(seq) => self.map_sequence(seq, rebase)?,
            None => self.next_sequence(),
        };
        self.ts_offset = Some(ts_offset);
        let out = timestamp.wrapping_add(ts_offset);
        let behind = self.last.is_some_and(|last| (out.wrapping_sub(last.timestamp) as i32) < 0);
        if !behind {
            self.last = Some(Last { at: now, timestamp: out, clock_rate: clock_rate.max(1) });
        }
        Some(Stamp { seq, timestamp: out, marker: marker || rebase, rebased: rebase })
    }

    /// A sequence number for a packet that no source numbers.
    pub fn next_sequence(&mut self) -> u16 {
        // The source's later packets move up by one.
        if let Some(offset) = &mut self.seq_offset {
            *offset = offset.wrapping_add(1);
        }
        self.advance(1)
    }

    fn advance(&mut self, by: u16) -> u16 {
        let number = self.highest + u64::from(by);
        self.used.advance(self.highest, number);
        self.highest = number;
        number as u16
    }

    fn map_sequence(&mut self, seq: u16, rebase: bool) -> Option<u16> {
        if let Some(offset) = self.seq_offset
            && !rebase
        {
            let out = seq.wrapping_add(offset);
            let ahead = out.wrapping_sub(self.highest as u16);
            if (1..=MAX_GAP).contains(&ahead) {
                return Some(self.advance(ahead));
            }
            let behind = u64::from(0u16.wrapping_sub(ahead));
            if behind < WINDOW {
                let number = self.highest - behind;
                return (number >= self.lowest && self.used.fill(number)).then_some(out);
            }
        }
        let out = self.advance(1);
        self.seq_offset = Some(out.wrapping_sub(seq));
        Some(out)
    }

    fn discontinuous(&self, now: Instant, timestamp: u32) -> bool {
        let (Some(last), Some(offset)) = (self.last, self.ts_offset) else {
            return false;
        };
        let advanced = timestamp.wrapping_add(offset).wrapping_sub(last.timestamp) as i32;
        let elapsed = now.saturating_duration_since(last.at).as_secs_f64();
        (f64::from(advanced) / f64::from(last.clock_rate) - elapsed).abs() > REBASE_AFTER
    }

    /// The stream's timestamp at `now`, by the time since the last packet.
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        let Some(last) = self.last else {
            return self.first_timestamp;
        };
        let elapsed: Duration = now.saturating_duration_since(last.at);
        let units = elapsed.as_micros() * u128::from(last.clock_rate) / 1_000_000;
        last.timestamp.wrapping_add(units as u32)
    }

    /// The timestamp of an event that begins at `now`. Before any media the first one sets the
    /// clock going: events of one timestamp would be taken for a single one.
    pub fn event_timestamp(&mut self, now: Instant, clock_rate: u32) -> u32 {
        let first = Last { at: now, timestamp: self.first_timestamp, clock_rate: clock_rate.max(1) };
        self.last.get_or_insert(first);
        self.timestamp_at(now)
    }

    /// Counts a packet as sent.
    pub fn sent(&mut self, payload: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
        self.total_packets += 1;
        self.total_octets += payload as u64;
    }

    /// Whether a packet has been sent yet.
    pub fn has_sent(&self) -> bool {
        self.total_packets > 0
    }

    /// Packets and octets sent, modulo 2^32, as a sender report carries them.
    pub fn counts(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// Packets and octets sent.
    pub fn totals(&self) -> (u64, u64) {
        (self.total_packets, self.total_octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn stream() -> SentStream {
        SentStream::new(1, [0xff, 0xff, 1, 2, 3, 4])
    }

    #[test]
    fn begins_below_the_middle_and_counts_on() {
        let start = Instant::now();
        let mut stream = stream();
        let first = stream.stamp(start, None, 77, false, 8000).unwrap();
        assert_eq!(first.seq, 0x7fff);
        assert_eq!(first.timestamp, 0x0102_0304);
        assert!(!first.marker);
        let next = stream.stamp(start + FRAME, None, 77 + 160, true, 8000);
        let next = next.unwrap();
        assert_eq!(next.seq, 0x8000);
        assert_eq!(next.timestamp, 0x0102_0304 + 160);
        assert!(next.marker);
    }

    #[test]
    fn events_before_any_media_have_timestamps_of_their_own() {
        let start = Instant::now();
        let mut stream = stream();
        let first = stream.event_timestamp(start, 8000);
        assert_eq!(stream.event_timestamp(start + FRAME * 25, 8000), first + 4000);
        let media = stream.stamp(start + FRAME * 50, None, 77, false, 8000).unwrap();
        assert_eq!(media.timestamp, first + 8000, "and media goes on from there");
    }

    #[test]
    fn another_source_continues_numbers_and_time() {
        let start = Instant::now();
        let mut stream = stream();
        let first = stream.stamp(start, Some(9000), 77, false, 8000).unwrap();
        stream.source_changed();
        let next = stream.stamp(start + FRAME, Some(3), 5_000_000, false, 8000).unwrap();
        assert_eq!(next.seq, first.seq.wrapping_add(1));
        assert_eq!(next.timestamp, first.timestamp + 160);
        assert!(next.marker);
        let next = stream.stamp(start + FRAME * 2, Some(4), 5_000_160, false, 8000).unwrap();
        assert_eq!(next.seq, first.seq.wrapping_add(2));
        assert_eq!(next.timestamp, first.timestamp + 320);
        assert!(!next.marker);
    }

    #[test]
    fn a_source_replaced_without_notice_is_rebased() {
        let start = Instant::now();
        let mut stream = stream();
        let first = stream.stamp(start, None, 0, false, 8000).unwrap();
        let next = stream.stamp(start + FRAME, None, 80_000_000, false, 8000).unwrap();
        assert_eq!(next.timestamp, first.timestamp + 160);
        assert!(next.marker);
    }

    #[test]
    fn gaps_and_reordering_of_the_source_are_kept() {
        let start = Instant::now();
        let mut stream = stream();
        let mut send = |seq| stream.stamp(start, Some(seq), 0, false, 90000);
        let first = send(100).unwrap().seq;
        assert_eq!(send(103).unwrap().seq, first.wrapping_add(3));
        assert_eq!(send(101).unwrap().seq, first.wrapping_add(1));
        assert_eq!(send(101), None);
        assert_eq!(send(103), None);
        assert_eq!(send(104).unwrap().seq, first.wrapping_add(4));
        // Far away: another source.
        assert_eq!(send(30_000).unwrap().seq, first.wrapping_add(5));
        assert_eq!(send(30_001).unwrap().seq, first.wrapping_add(6));
    }

    #[test]
    fn no_number_is_given_out_twice() {
        let start = Instant::now();
        let mut stream = stream();
        let mut given = std::collections::HashSet::new();
        let mut state = 12345u32;
        let mut source = 500u16;
        for step in 0..20_000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let choice = state >> 24;
            let seq = match choice {
                0..8 => Some(stream.next_sequence()),
                8..16 => {
                    stream.source_changed();
                    source = source.wrapping_add(choice as u16 * 1000);
                    None
                }
                16..64 => {
                    let late = source.wrapping_sub((choice as u16) % 9);
                    stream.stamp(start, Some(late), 0, false, 8000).map(|stamp| stamp.seq)
                }
                _ => {
                    source = source.wrapping_add(1 + (choice as u16) % 3);
                    stream.stamp(start, Some(source), 0, false, 8000).map(|stamp| stamp.seq)
                }
            };
            if let Some(seq) = seq {
                assert!(given.insert(seq), "number {seq} twice at step {step}");
            }
            // Far behind the present, numbers may come again.
            if step % 5000 == 4999 {
                given.clear();
            }
        }
    }

    #[test]
    fn counts() {
        let mut stream = stream();
        assert!(!stream.has_sent());
        stream.sent(160);
        stream.sent(40);
        assert_eq!(stream.counts(), (2, 200));
        assert_eq!(stream.totals(), (2, 200));
    }
}
