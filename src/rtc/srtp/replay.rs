//! The replay window (RFC 3711 section 3.3.2): which packet indices have been seen.

const WORDS: usize = 16;

/// How many indices back from the highest are remembered.
pub const WINDOW: u64 = 64 * WORDS as u64;

/// The verdict on an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    New,
    Before,
    TooOldToKnow,
}

/// The last [`WINDOW`] indices, one bit each. Bit `i` of the ring is the index that is `i`
/// modulo [`WINDOW`].
#[derive(Clone, Debug, Default)]
pub struct ReplayWindow {
    bits: [u64; WORDS],
    highest: Option<u64>,
}

impl ReplayWindow {
    /// The highest index accepted.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Whether `index` has been accepted before. To be asked before the packet is authenticated.
    pub fn check(&self, index: u64) -> Seen {
        let Some(highest) = self.highest else {
            return Seen::New;
        };
        if index > highest {
            Seen::New
        } else if highest - index >= WINDOW {
            Seen::TooOldToKnow
        } else if self.word(index) & mask(index) != 0 {
            Seen::Before
        } else {
            Seen::New
        }
    }

    /// Notes `index`, once the packet is authenticated.
    pub fn accept(&mut self, index: u64) {
        match self.highest {
            None => self.highest = Some(index),
            Some(highest) if index > highest => {
                if index - highest >= WINDOW {
                    self.bits = [0; WORDS];
                } else {
                    for skipped in highest + 1..index {
                        *self.word_mut(skipped) &= !mask(skipped);
                    }
                }
                self.highest = Some(index);
            }
            Some(highest) if highest - index >= WINDOW => return,
            Some(_) => {}
        }
        *self.word_mut(index) |= mask(index);
    }

    fn word(&self, index: u64) -> u64 {
        self.bits[slot(index)]
    }

    fn word_mut(&mut self, index: u64) -> &mut u64 {
        &mut self.bits[slot(index)]
    }
}

/// Below [`WORDS`], whatever the index.
fn slot(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

fn mask(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn accepts_once() {
        let mut window = ReplayWindow::default();
        for index in [100, 102, 101, 99] {
            assert_eq!(window.check(index), Seen::New);
            window.accept(index);
            assert_eq!(window.check(index), Seen::Before);
        }
        assert_eq!(window.highest(), Some(102));
        assert_eq!(window.check(98), Seen::New);
    }

    #[test]
    fn knows_its_edge() {
        let mut window = ReplayWindow::default();
        window.accept(0);
        window.accept(WINDOW - 1);
        assert_eq!(window.check(0), Seen::Before);
        window.accept(WINDOW);
        assert_eq!(window.check(0), Seen::TooOldToKnow);
        assert_eq!(window.check(1), Seen::New);
        window.accept(0);
        // The slot of 0 is that of WINDOW.
        assert_eq!(window.check(WINDOW), Seen::Before);
        window.accept(10 * WINDOW);
        assert_eq!(window.check(10 * WINDOW - 5), Seen::New);
    }

    /// Against the obvious model, on a walk with jumps of every size.
    #[test]
    fn agrees_with_a_set() {
        let mut window = ReplayWindow::default();
        let mut model = HashSet::new();
        let mut highest = 0u64;
        let mut state = 0x2545_f491_4f6c_dd1du64;
        for _ in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let jump = match state % 100 {
                0 => state >> 8 & 0xfff,
                1..30 => state >> 8 & 3,
                _ => 0,
            };
            let back = state >> 32 & 0x4ff;
            let index = if jump > 0 { highest + jump } else { highest.saturating_sub(back) };
            let expected = if !model.is_empty() && index + WINDOW <= highest {
                Seen::TooOldToKnow
            } else if model.contains(&index) {
                Seen::Before
            } else {
                Seen::New
            };
            assert_eq!(window.check(index), expected, "{index} of {highest}");
            if expected == Seen::New {
                window.accept(index);
                model.insert(index);
                highest = highest.max(index);
            }
        }
    }
}
