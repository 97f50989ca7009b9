//! A received stream: what report blocks and statistics say of it (RFC 3550 §6.4.1, A.3, A.8).

use std::time::{Duration, Instant};

use super::sequence::{Sequence, SequenceError};
use crate::rtc::rtcp::ReportBlock;
use crate::rtc::stats::Series;

/// A packet that belongs to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its sequence number, extended.
    pub ext_seq: u64,
    /// How many numbers were skipped just before it: 0 if it is in order, or late.
    pub gap: u64,
}

/// The last sender report of the stream's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReportMark {
    /// The middle 32 bits of its NTP timestamp.
    pub lsr: u32,
    /// When it arrived.
    pub arrival: Instant,
}

/// One SSRC of the peer.
#[derive(Clone, Debug)]
pub struct ReceivedStream {
    /// The peer's SSRC.
    pub ssrc: u32,
    sequence: Sequence,
    /// The base that `received` is counted from.
    counted_base: u64,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    /// Packets and payload octets in all, over resynchronisations.
    packets: u64,
    octets: u64,
    lost_before: i64,
    /// Arrival and timestamp of the packet before, and its clock rate.
    previous: Option<(Instant, u32, u32)>,
    /// In timestamp units.
    jitter: f64,
    clock_rate: u32,
    jitter_seconds: Series,
    loss: Series,
    sender_report: Option<SenderReportMark>,
    last_arrival: Option<Instant>,
}

impl ReceivedStream {
    /// A stream whose first packet has number `seq`.
    pub fn new(ssrc: u32, seq: u16, probation: u8) -> Self {
        let sequence = Sequence::new(seq, probation);
        ReceivedStream {
            ssrc,
            counted_base: sequence.base(),
            sequence,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            packets: 0,
            octets: 0,
            lost_before: 0,
            previous: None,
            jitter: 0.0,
            clock_rate: 8000,
            jitter_seconds: Series::default(),
            loss: Series::default(),
            sender_report: None,
            last_arrival: None,
        }
    }

    /// Takes note of a packet. `trusted`: see [`Sequence::update`].
    pub fn packet(&mut self, now: Instant, seq: u16, payload: usize, trusted: bool) -> Result<Accepted, SequenceError> {
        let before = self.sequence.highest();
        let ext_seq = self.sequence.update(seq, trusted)?;
        let base = self.sequence.base();
        if base > self.counted_base && self.received > 0 {
            // The source jumped: keep what was lost until then and count anew.
            self.lost_before += self.lost_in_run(before);
            self.received = 0;
            self.expected_prior = 0;
            self.received_prior = 0;
        }
        self.counted_base = base;
        let gap = match ext_seq.checked_sub(before + 1) {
            Some(gap) if self.received > 0 => gap,
            _ => 0,
        };
        self.received += 1;
        self.packets += 1;
        self.octets += payload as u64;
        self.last_arrival = Some(now);
        Ok(Accepted { ext_seq, gap })
    }

    /// Updates the jitter with an accepted packet (RFC 3550 A.8). Packets whose timestamp does
    /// not tell when they were sampled, as telephone-events, are left out by the caller.
    pub fn timing(&mut self, now: Instant, timestamp: u32, clock_rate: u32) {
        let clock_rate = clock_rate.max(1);
        if let Some((arrival, previous, rate)) = self.previous
            && rate == clock_rate
        {
            let elapsed = now.saturating_duration_since(arrival).as_secs_f64();
            let advanced = f64::from(timestamp.wrapping_sub(previous) as i32);
            let transit = elapsed * f64::from(clock_rate) - advanced;
            // A jump of the timestamp by seconds is another source, not jitter.
            if transit.abs() < 5.0 * f64::from(clock_rate) {
                self.jitter += (transit.abs() - self.jitter) / 16.0;
                self.jitter_seconds.add(self.jitter / f64::from(clock_rate));
            }
        } else {
            self.jitter = 0.0;
        }
        self.clock_rate = clock_rate;
        self.previous = Some((now, timestamp, clock_rate));
    }

    /// Takes note of a sender report of this source.
    pub fn sender_report(&mut self, now: Instant, ntp: u64) {
        self.sender_report = Some(SenderReportMark { lsr: (ntp >> 16) as u32, arrival: now });
    }

    fn expected_in_run(&self, highest: u64) -> u64 {
        (highest + 1).saturating_sub(self.counted_base)
    }

    fn lost_in_run(&self, highest: u64) -> i64 {
        self.expected_in_run(highest) as i64 - self.received as i64
    }

    /// Packets expected less packets received.
    pub fn lost(&self) -> i64 {
        if self.received == 0 {
            return self.lost_before;
        }
        self.lost_before + self.lost_in_run(self.sequence.highest())
    }

    /// The report block for this stream, and the end of a reporting interval: the fraction lost
    /// counts from the last call. `None` if nothing was received yet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        if self.received == 0 {
            return None;
        }
        let expected = self.expected_in_run(self.sequence.highest());
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.received - self.received_prior;
        self.expected_prior = expected;
        self.received_prior = self.received;
        let lost_interval = expected_interval.saturating_sub(received_interval);
        self.loss.add(lost_interval as f64);
        let fraction_lost = match (lost_interval << 8).checked_div(expected_interval) {
            Some(fraction) => fraction.min(255) as u8,
            None => 0,
        };
        let (lsr, dlsr) = match self.sender_report {
            Some(mark) => (mark.lsr, to_dlsr(now.saturating_duration_since(mark.arrival))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_seq: self.sequence.highest_reported(),
            jitter: self.jitter as u32,
            lsr,
            dlsr,
        })
    }

    /// Packets accepted.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload octets accepted.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Jitter in seconds.
    pub fn jitter(&self) -> Series {
        self.jitter_seconds
    }

    /// Packets lost per interval between reports.
    pub fn loss(&self) -> Series {
        self.loss
    }

    /// When the last packet was accepted.
    pub fn last_arrival(&self) -> Option<Instant> {
        self.last_arrival
    }
}

/// A delay in units of 1/65536 s.
fn to_dlsr(delay: Duration) -> u32 {
    let units = (delay.as_micros() << 16) / 1_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(20);

    #[test]
    fn fraction_and_cumulative_loss_of_rfc_3550_a3() {
        let start = Instant::now();
        let mut stream = ReceivedStream::new(7, 100, 0);
        for seq in 100..200u16 {
            if seq % 4 != 3 {
                stream.packet(start, seq, 160, true).unwrap();
            }
        }
        // The last one, 199, is lost too and cannot be missed yet.
        let block = stream.report(start).unwrap();
        assert_eq!(block.lost, 24);
        assert_eq!(block.fraction_lost, (24 * 256 / 99) as u8);
        assert_eq!(block.highest_seq, 198);
        assert_eq!(stream.packets(), 75);
        assert_eq!(stream.octets(), 75 * 160);
        // The next interval is without loss but for 199, which now shows.
        for seq in 200..210u16 {
            stream.packet(start, seq, 160, true).unwrap();
        }
        let block = stream.report(start).unwrap();
        assert_eq!(block.lost, 25);
        assert_eq!(block.fraction_lost, (256 / 11) as u8);
        assert_eq!(stream.loss().count(), 2);
        assert_eq!(stream.loss().max(), 24.0);
        assert_eq!(stream.loss().min(), 1.0);
    }

    #[test]
    fn gap_is_told_once_and_late_packets_fill_it() {
        let start = Instant::now();
        let mut stream = ReceivedStream::new(7, 1, 0);
        assert_eq!(stream.packet(start, 1, 0, true).unwrap().gap, 0);
        assert_eq!(stream.packet(start, 5, 0, true).unwrap().gap, 3);
        assert_eq!(stream.packet(start, 3, 0, true).unwrap().gap, 0);
        assert_eq!(stream.lost(), 2);
        assert_eq!(stream.packet(start, 3, 0, true), Err(SequenceError::Duplicate));
    }

    #[test]
    fn loss_survives_a_jump() {
        let start = Instant::now();
        let mut stream = ReceivedStream::new(7, 1, 0);
        stream.packet(start, 1, 0, true).unwrap();
        stream.packet(start, 3, 0, true).unwrap();
        assert_eq!(stream.lost(), 1);
        stream.packet(start, 40_000, 0, true).unwrap();
        assert_eq!(stream.lost(), 1);
        stream.packet(start, 40_002, 0, true).unwrap();
        assert_eq!(stream.lost(), 2);
        let block = stream.report(start).unwrap();
        assert_eq!(block.lost, 2);
        assert_eq!(block.fraction_lost, (256 / 3) as u8);
    }

    #[test]
    fn jitter_of_regular_and_irregular_arrival() {
        let start = Instant::now();
        let mut stream = ReceivedStream::new(7, 0, 0);
        for i in 0..200u32 {
            stream.timing(start + FRAME * i, i * 160, 8000);
        }
        assert!(stream.jitter().last() < 1e-6);
        // Alternately 5 ms late: the difference of transit is 5 ms each time.
        for i in 200..600u32 {
            let late = Duration::from_millis(if i % 2 == 0 { 5 } else { 0 });
            stream.timing(start + FRAME * i + late, i * 160, 8000);
        }
        assert!((stream.jitter().last() - 0.005).abs() < 1e-4);
        // A timestamp that jumps is not jitter.
        stream.timing(start + FRAME * 600, 0x8000_0000, 8000);
        assert!(stream.jitter().last() < 0.006);
    }

    #[test]
    fn lsr_and_dlsr() {
        let start = Instant::now();
        let mut stream = ReceivedStream::new(7, 0, 0);
        stream.packet(start, 0, 0, true).unwrap();
        assert_eq!(stream.report(start).unwrap().lsr, 0);
        stream.sender_report(start, 0x1122_3344_5566_7788);
        let block = stream.report(start + Duration::from_millis(1500)).unwrap();
        assert_eq!(block.lsr, 0x3344_5566);
        assert_eq!(block.dlsr, 0x1_8000);
    }
}
