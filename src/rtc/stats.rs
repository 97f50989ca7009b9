//! A snapshot of a session's figures, in the units of `struct ast_rtp_instance_stats`.
//!
//! "Local" is what was measured here on packets from the peer, "remote" is what the peer's report
//! blocks say about ours. Times are in seconds; a count of lost packets is cumulative; the maxima,
//! minima, means and deviations of loss are of packets lost per reporting interval, and those of
//! remote jitter are in timestamp units as the report blocks carry them (stock's engine publishes
//! them so).

use std::time::Duration;

use super::error::Discards;

/// Maximum, minimum, mean and standard deviation of a series of samples (Welford's method).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Series {
    count: u64,
    last: f64,
    max: f64,
    min: f64,
    mean: f64,
    squares: f64,
}

impl Series {
    /// Adds a sample.
    pub fn add(&mut self, sample: f64) {
        if self.count == 0 {
            self.max = sample;
            self.min = sample;
        }
        self.count += 1;
        self.last = sample;
        self.max = self.max.max(sample);
        self.min = self.min.min(sample);
        let delta = sample - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (sample - self.mean);
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latest sample, 0 before the first.
    pub fn last(&self) -> f64 {
        self.last
    }

    /// The largest sample.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The smallest sample.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The arithmetic mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The population standard deviation.
    pub fn deviation(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).sqrt() }
    }
}

/// What [`super::Session::stats`] returns. The name of Asterisk's field is in parentheses.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// RTP packets sent (`txcount`).
    pub tx_packets: u64,
    /// RTP payload octets sent (`txoctetcount`).
    pub tx_octets: u64,
    /// RTP packets received and accepted (`rxcount`).
    pub rx_packets: u64,
    /// RTP payload octets received (`rxoctetcount`).
    pub rx_octets: u64,
    /// Our SSRC (`local_ssrc`).
    pub local_ssrc: u32,
    /// The peer's SSRC, 0 before its first packet (`remote_ssrc`).
    pub remote_ssrc: u32,

    /// Interarrival jitter measured here, in seconds (`local_*jitter`; the latest value is what
    /// stock's engine gives as `txjitter`).
    pub local_jitter: Series,
    /// Packets expected less packets received (`rxploss`).
    pub local_lost: i64,
    /// Packets lost per interval between our reports (`local_*rxploss`).
    pub local_loss: Series,

    /// Jitter that the peer reports, in timestamp units (`remote_*jitter`; the latest value
    /// divided by the clock rate is the peer's jitter in seconds, `rxjitter`).
    pub remote_jitter: Series,
    /// Cumulative loss that the peer reports (`txploss`).
    pub remote_lost: i64,
    /// The peer's reports' loss per interval (`remote_*rxploss`).
    pub remote_loss: Series,

    /// Round-trip time from LSR and DLSR, in seconds (`rtt`, `maxrtt`, `minrtt`, `normdevrtt`,
    /// `stdevrtt`).
    pub rtt: Series,
    /// Round-trip time of the last STUN transaction, where ICE is in use.
    pub ice_rtt: Option<Duration>,

    /// RTCP compounds sent and received.
    pub tx_rtcp: u64,
    /// RTCP compounds received and accepted.
    pub rx_rtcp: u64,
    /// Packets held back for want of keys or a path, and dropped when the bound was passed.
    pub tx_dropped: u64,
    /// NACK messages sent (RFC 4585).
    pub nacks_sent: u64,
    /// NACK messages received.
    pub nacks_received: u64,
    /// Packets sent again because the peer asked for them.
    pub resent: u64,
    /// PLI and FIR sent.
    pub keyframe_requests_sent: u64,
    /// PLI and FIR received.
    pub keyframe_requests_received: u64,
    /// Arriving datagrams dropped, by reason.
    pub discards: Discards,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_known_samples() {
        let mut series = Series::default();
        assert_eq!(series.deviation(), 0.0);
        for sample in [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0] {
            series.add(sample);
        }
        assert_eq!(series.count(), 8);
        assert_eq!(series.min(), 2.0);
        assert_eq!(series.max(), 9.0);
        assert_eq!(series.last(), 9.0);
        assert!((series.mean() - 5.0).abs() < 1e-12);
        assert!((series.deviation() - 2.0).abs() < 1e-12);
    }
}
