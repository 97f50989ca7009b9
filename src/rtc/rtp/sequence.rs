//! Sequence numbers of a received stream: extension by wraps, probation, resynchronisation
//! (RFC 3550 A.1), and duplicates.

use super::window::{WINDOW, Window};

/// A gap up to this is loss.
const MAX_DROPOUT: u16 = 3000;
/// A step back up to this is reordering.
const MAX_MISORDER: u64 = 100;

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// The source has not yet sent enough packets in sequence.
    Probation,
    /// The packet has been received before, or is too old to tell.
    Duplicate,
}

/// The state of one source's sequence numbers.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The lowest extended number counted.
    base: u64,
    /// The highest extended number received. It begins at 2^16 so that the numbers before the
    /// first can be told from those after a wrap.
    highest: u64,
    /// What was received, once `begun`.
    seen: Window,
    begun: bool,
    /// Packets still wanted in sequence before the source is valid.
    probation: u8,
    /// What the sequence must go on with for a jump to be believed.
    after_jump: Option<u16>,
}

impl Sequence {
    /// A source whose first packet has number `seq`. It is valid after `probation` packets in
    /// sequence, at once if that is 0.
    pub fn new(seq: u16, probation: u8) -> Self {
        let first = 0x1_0000 + u64::from(seq);
        Sequence {
            base: first,
            // As if the packet before the first had been the last.
            highest: first - 1,
            seen: Window::default(),
            begun: false,
            probation,
            after_jump: None,
        }
    }

    /// Takes note of number `seq` and returns it extended.
    ///
    /// `trusted` says that the packet is authenticated: a jump is then believed at once, where
    /// otherwise the next packet in sequence must confirm it.
    pub fn update(&mut self, seq: u16, trusted: bool) -> Result<u64, SequenceError> {
        let ahead = seq.wrapping_sub(self.highest as u16);
        if self.probation > 0 && !trusted {
            if ahead == 1 {
                self.probation -= 1;
                self.highest += 1;
            } else {
                // RFC 3550 A.1: begin to count anew from this packet.
                *self = Sequence::new(seq, self.probation.max(1));
                self.highest += 1;
            }
            if self.probation > 0 {
                return Err(SequenceError::Probation);
            }
            self.base = self.highest;
            self.note_highest();
            return Ok(self.highest);
        }
        self.probation = 0;
        if ahead == 0 && self.begun {
            return Err(SequenceError::Duplicate);
        }
        if ahead < MAX_DROPOUT {
            self.advance(u64::from(ahead));
            return Ok(self.highest);
        }
        let behind = u64::from(0u16.wrapping_sub(ahead));
        // What nothing authenticates may be another source of the same SSRC, which would be
        // dropped for as long as its numbers look like old ones. An authentic packet is late, and
        // late by far if it was sent again.
        if behind <= if trusted { WINDOW - 1 } else { MAX_MISORDER } {
            return self.late(behind);
        }
        if trusted || self.after_jump == Some(seq) {
            self.resynchronise(seq);
            return Ok(self.highest);
        }
        self.after_jump = Some(seq.wrapping_add(1));
        Err(SequenceError::Probation)
    }

    fn advance(&mut self, by: u64) {
        let number = self.highest + by;
        if by > 0 {
            self.seen.advance(self.highest, number);
        }
        self.highest = number;
        self.note_highest();
        self.after_jump = None;
    }

    fn note_highest(&mut self) {
        self.seen.fill(self.highest);
        self.begun = true;
    }

    fn late(&mut self, behind: u64) -> Result<u64, SequenceError> {
        let extended = self.highest - behind;
        if !self.seen.fill(extended) {
            return Err(SequenceError::Duplicate);
        }
        self.base = self.base.min(extended);
        Ok(extended)
    }

    /// Begins a new run of numbers above all earlier ones.
    fn resynchronise(&mut self, seq: u16) {
        let cycle = (self.highest | 0xffff) + 1;
        self.highest = cycle + u64::from(seq);
        self.base = self.highest;
        self.seen = Window::default();
        self.note_highest();
        self.after_jump = None;
    }

    /// The highest extended number received.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The highest number as a report block carries it: wraps above, number below.
    pub fn highest_reported(&self) -> u32 {
        (self.highest - 0x1_0000) as u32
    }

    /// The first extended number of the present run: a change of it begins the counting of loss
    /// anew.
    pub fn base(&self) -> u64 {
        self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_twice() {
        let mut sequence = Sequence::new(65_000, 0);
        for i in 0..140_000u64 {
            let seq = (65_000 + i) as u16;
            assert_eq!(sequence.update(seq, false), Ok(0x1_0000 + 65_000 + i));
        }
        assert_eq!(sequence.highest_reported(), 65_000 + 139_999);
        assert_eq!(sequence.base(), 0x1_0000 + 65_000);
    }

    #[test]
    fn reordering_across_the_wrap() {
        let mut sequence = Sequence::new(65_534, 0);
        assert_eq!(sequence.update(65_534, false), Ok(0x1_0000 + 65_534));
        assert_eq!(sequence.update(1, false), Ok(0x2_0001));
        assert_eq!(sequence.update(65_535, false), Ok(0x1_ffff));
        assert_eq!(sequence.update(0, false), Ok(0x2_0000));
        assert_eq!(sequence.update(65_535, false), Err(SequenceError::Duplicate));
        assert_eq!(sequence.update(1, false), Err(SequenceError::Duplicate));
        assert_eq!(sequence.highest(), 0x2_0001);
    }

    #[test]
    fn a_packet_before_the_first_lowers_the_base() {
        let mut sequence = Sequence::new(0, 0);
        assert_eq!(sequence.update(0, false), Ok(0x1_0000));
        assert_eq!(sequence.update(65_535, false), Ok(0xffff));
        assert_eq!(sequence.base(), 0xffff);
    }

    #[test]
    fn probation_wants_packets_in_sequence() {
        let mut sequence = Sequence::new(10, 3);
        assert_eq!(sequence.update(10, false), Err(SequenceError::Probation));
        assert_eq!(sequence.update(11, false), Err(SequenceError::Probation));
        assert_eq!(sequence.update(50, false), Err(SequenceError::Probation));
        assert_eq!(sequence.update(51, false), Ok(0x1_0000 + 51));
        assert_eq!(sequence.base(), 0x1_0000 + 51);
        // Authenticated packets need none.
        let mut sequence = Sequence::new(10, 3);
        assert_eq!(sequence.update(10, true), Ok(0x1_0000 + 10));
    }

    #[test]
    fn a_jump_is_believed_when_confirmed() {
        let mut sequence = Sequence::new(10, 0);
        sequence.update(10, false).unwrap();
        assert_eq!(sequence.update(20_000, false), Err(SequenceError::Probation));
        assert_eq!(sequence.update(11, false), Ok(0x1_0000 + 11));
        assert_eq!(sequence.update(20_000, false), Err(SequenceError::Probation));
        assert_eq!(sequence.update(20_001, false), Ok(0x2_0000 + 20_001));
        assert_eq!(sequence.base(), 0x2_0000 + 20_001);
        // At once if it is authenticated.
        assert_eq!(sequence.update(50_000, true), Ok(0x3_0000 + 50_000));
    }
}
