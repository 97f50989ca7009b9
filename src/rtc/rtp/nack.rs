//! What is missing of a received stream and worth asking for again (RFC 4585 §6.2.1).
//!
//! A gap may be reordering: it is asked for only after a tolerance, which grows when packets turn
//! up that were merely late. What does not come is asked for again after a round trip, and given
//! up in the end; a decoder then needs a keyframe.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The least and the greatest time that a packet may be late without being asked for.
const LEAST_TOLERANCE: Duration = Duration::from_millis(5);
const GREATEST_TOLERANCE: Duration = Duration::from_millis(100);
/// The least time before the same packet is asked for again.
const LEAST_REPEAT: Duration = Duration::from_millis(20);
/// How often a packet is asked for.
const MAX_TRIES: u8 = 10;
/// After this nobody waits for a packet any more, and senders have forgotten it.
const MAX_AGE: Duration = Duration::from_secs(1);
/// So many packets missing are no loss to be mended but an outage.
const MAX_MISSING: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Missing {
    since: Instant,
    due: Instant,
    asked: Option<Instant>,
    tries: u8,
}

/// What is to be asked of the sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Packets to be sent again, in ascending order.
    pub again: Vec<u16>,
    /// Something is lost for good.
    pub keyframe: bool,
}

/// The missing packets of one source.
#[derive(Clone, Debug)]
pub struct NackGenerator {
    missing: BTreeMap<u64, Missing>,
    tolerance: Duration,
    round_trip: Duration,
    /// A gap was too large to be mended.
    outage: bool,
}

impl Default for NackGenerator {
    fn default() -> Self {
        NackGenerator {
            missing: BTreeMap::new(),
            tolerance: LEAST_TOLERANCE,
            round_trip: Duration::from_millis(100),
            outage: false,
        }
    }
}

impl NackGenerator {
    /// Sets the round-trip time.
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Takes note of packet `ext_seq`, before which `gap` numbers were skipped.
    pub fn packet(&mut self, now: Instant, ext_seq: u64, gap: u64) {
        if let Some(missing) = self.missing.remove(&ext_seq) {
            // It came by itself if nobody asked, or sooner than an answer could.
            let by_itself =
                missing.asked.is_none_or(|asked| now.saturating_duration_since(asked) < self.round_trip / 2);
            if by_itself {
                let late = now.saturating_duration_since(missing.since);
                self.tolerance = self.tolerance.max(late + late / 4).min(GREATEST_TOLERANCE);
            }
        }
        if gap == 0 {
            return;
        }
        if gap > (MAX_MISSING - self.missing.len().min(MAX_MISSING)) as u64 {
            self.missing.clear();
            self.outage = true;
            return;
        }
        self.tolerance = (self.tolerance - self.tolerance / 64).max(LEAST_TOLERANCE);
        let missing = Missing { since: now, due: now + self.tolerance, asked: None, tries: 0 };
        self.missing.extend((ext_seq - gap..ext_seq).map(|number| (number, missing)));
    }

    /// What is due to be asked for; the times are set for the next asking.
    pub fn due(&mut self, now: Instant) -> Wanted {
        let repeat = (self.round_trip + self.round_trip / 4).max(LEAST_REPEAT);
        let mut wanted = Wanted { again: Vec::new(), keyframe: std::mem::take(&mut self.outage) };
        for (number, missing) in &mut self.missing {
            if missing.due > now {
                continue;
            }
            if missing.tries >= MAX_TRIES || now.saturating_duration_since(missing.since) >= MAX_AGE {
                wanted.keyframe = true;
                break;
            }
            missing.tries += 1;
            missing.asked = Some(now);
            missing.due = now + repeat;
            wanted.again.push(*number as u16);
        }
        if wanted.keyframe {
            // The keyframe will need nothing that was sent before it.
            self.missing.clear();
            wanted.again.clear();
        }
        wanted
    }

    /// When `due` has something to tell.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.due).min()
    }

    /// Whether a keyframe is wanted at once.
    pub fn has_outage(&self) -> bool {
        self.outage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    fn generator() -> NackGenerator {
        let mut nack = NackGenerator::default();
        nack.set_round_trip(RTT);
        nack
    }

    #[test]
    fn a_gap_is_asked_for_after_the_tolerance_and_again_after_a_round_trip() {
        let start = Instant::now();
        let mut nack = generator();
        nack.packet(start, 65_537, 2);
        assert_eq!(nack.poll_timeout(), Some(start + LEAST_TOLERANCE));
        assert_eq!(nack.due(start), Wanted::default());
        let first = start + LEAST_TOLERANCE;
        assert_eq!(nack.due(first), Wanted { again: vec![65_535, 0], keyframe: false });
        assert_eq!(nack.due(first + RTT), Wanted::default());
        nack.packet(first + RTT, 65_536, 0);
        assert_eq!(nack.due(first + RTT * 2), Wanted { again: vec![65_535], keyframe: false });
        nack.packet(first + RTT * 3, 65_535, 0);
        assert_eq!(nack.poll_timeout(), None);
    }

    #[test]
    fn what_never_comes_is_given_up_for_a_keyframe() {
        let start = Instant::now();
        let mut nack = generator();
        nack.packet(start, 10, 1);
        let mut asked = 0;
        while let Some(at) = nack.poll_timeout() {
            let wanted = nack.due(at);
            asked += wanted.again.len();
            assert_eq!(wanted.keyframe, wanted.again.is_empty());
            assert!(at <= start + MAX_AGE + RTT * 2);
        }
        assert_eq!(asked, usize::from(MAX_TRIES));
    }

    #[test]
    fn an_outage_wants_a_keyframe_and_nothing_again() {
        let start = Instant::now();
        let mut nack = generator();
        nack.packet(start, 2000, 200);
        nack.packet(start, 2100, 99);
        assert!(nack.has_outage());
        assert_eq!(nack.due(start), Wanted { again: Vec::new(), keyframe: true });
        assert_eq!(nack.due(start + RTT), Wanted::default());
    }

    #[test]
    fn a_network_that_reorders_is_given_time() {
        let start = Instant::now();
        let mut nack = generator();
        let mut needless = 0;
        for round in 0..20u32 {
            let now = start + Duration::from_millis(100) * round;
            let number = 10 * u64::from(round);
            nack.packet(now, number + 5, 1);
            let late = now + Duration::from_millis(15);
            if nack.poll_timeout().is_some_and(|due| due <= late) {
                needless += nack.due(late).again.len();
            }
            nack.packet(late, number + 4, 0);
        }
        assert!(needless <= 7, "{needless}");
    }
}
