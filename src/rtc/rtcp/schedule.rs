//! When reports are due, what time it is in NTP terms, and what the round trip took.

use std::time::{Duration, Instant};

/// Seconds from 1900, where NTP time begins, to 1970.
const NTP_UNIX: u64 = 2_208_988_800;

/// Turns instants into NTP timestamps.
#[derive(Clone, Copy, Debug)]
pub struct NtpClock {
    origin: Instant,
    at_origin: Duration,
}

impl NtpClock {
    /// A clock by which `since_epoch` has passed from 1970 to `origin`.
    pub fn new(origin: Instant, since_epoch: Duration) -> Self {
        NtpClock { origin, at_origin: since_epoch }
    }

    /// The NTP timestamp of `now`, 32.32 fixed point.
    pub fn at(&self, now: Instant) -> u64 {
        let time = self.at_origin + now.saturating_duration_since(self.origin);
        let seconds = time.as_secs().wrapping_add(NTP_UNIX);
        let fraction = (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000;
        seconds << 32 | fraction
    }
}

/// The round-trip time by a report block that arrived at NTP time `now` (RFC 3550 §6.4.1).
/// `None` if the block carries none, or what it carries cannot be.
pub fn round_trip(now: u64, lsr: u32, dlsr: u32) -> Option<Duration> {
    if lsr == 0 {
        return None;
    }
    let units = ((now >> 16) as u32).wrapping_sub(lsr).wrapping_sub(dlsr);
    // The peer rounds; a trip of less than nothing or of more than a minute is a lie.
    if (units as i32) < 0 {
        return ((units as i32) > -655).then_some(Duration::ZERO);
    }
    let time = Duration::from_nanos(u64::from(units) * 1_000_000_000 / 65_536);
    (time < Duration::from_secs(60)).then_some(time)
}

/// The times at which compounds are sent (RFC 3550 §6.2, §6.3): a mean interval, varied by half
/// of it each way so that parties do not fall into step, the first one halved.
#[derive(Clone, Debug)]
pub struct Schedule {
    interval: Duration,
    next: Option<Instant>,
    first: bool,
}

impl Schedule {
    /// A schedule that is not running yet.
    pub fn new(interval: Duration) -> Self {
        Schedule { interval: interval.max(Duration::from_millis(100)), next: None, first: true }
    }

    /// Sets the next time after `now`. `random` is uniform over its range.
    pub fn advance(&mut self, now: Instant, random: u16) {
        let mut interval = self.interval.mul_f64(0.5 + f64::from(random) / 65_536.0);
        if self.first {
            interval /= 2;
            self.first = false;
        }
        self.next = Some(now + interval);
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// When the next compound is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_time() {
        let origin = Instant::now();
        let clock = NtpClock::new(origin, Duration::from_secs(1));
        assert_eq!(clock.at(origin), (NTP_UNIX + 1) << 32);
        let half = clock.at(origin + Duration::from_millis(500));
        assert_eq!(half as u32, 1 << 31);
    }

    #[test]
    fn round_trips() {
        let origin = Instant::now();
        let clock = NtpClock::new(origin, Duration::from_secs(1_700_000_000));
        let lsr = (clock.at(origin) >> 16) as u32;
        // The peer held the report for one second, the trip took 100 ms.
        let now = clock.at(origin + Duration::from_millis(1100));
        let rtt = round_trip(now, lsr, 65_536).unwrap();
        assert!((rtt.as_secs_f64() - 0.1).abs() < 1e-3);
        assert_eq!(round_trip(now, 0, 0), None);
        // More delay than there was time.
        assert_eq!(round_trip(now, lsr, 65_536 * 10), None);
        // By a rounding's breadth.
        assert_eq!(round_trip(clock.at(origin), lsr, 3), Some(Duration::ZERO));
        // Wrap of the middle 32 bits.
        assert!(round_trip(0x0000_0001_0000_0000, 0xffff_0000, 0).is_some());
    }

    #[test]
    fn intervals_stay_within_their_bounds() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(5));
        assert!(!schedule.is_due(now));
        schedule.advance(now, 0);
        assert_eq!(schedule.poll_timeout(), Some(now + Duration::from_millis(1250)));
        for random in [0, 1, 30_000, 65_535] {
            schedule.advance(now, random);
            let wait = schedule.poll_timeout().unwrap() - now;
            assert!(wait >= Duration::from_millis(2500) && wait < Duration::from_millis(7500));
            assert!(!schedule.is_due(now) && schedule.is_due(now + wait));
        }
        schedule.stop();
        assert_eq!(schedule.poll_timeout(), None);
    }
}
