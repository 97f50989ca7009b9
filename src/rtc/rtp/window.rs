//! Which of the last numbers of a stream were seen.
//!
//! A packet that was asked for again comes a round trip after those that were sent behind it. At
//! 10 Mbit/s that is some 200 packets for 200 ms, so the window holds as many as SRTP's own.

const WORDS: usize = 16;

/// The numbers that are remembered, counted back from the highest.
pub const WINDOW: u64 = 64 * WORDS as u64;

/// One bit for each of the last [`WINDOW`] extended numbers: bit `n` of the ring is the number
/// that is `n` modulo [`WINDOW`]. The caller keeps the highest number, and clears what it passes.
#[derive(Clone, Debug, Default)]
pub struct Window {
    bits: [u64; WORDS],
}

impl Window {
    /// Moves on from `highest` to `number`, which is above it: those between are not seen yet.
    pub fn advance(&mut self, highest: u64, number: u64) {
        if number - highest >= WINDOW {
            self.bits = [0; WORDS];
        } else {
            for skipped in highest + 1..number {
                *self.word(skipped) &= !mask(skipped);
            }
        }
        *self.word(number) |= mask(number);
    }

    /// Notes a number within the window; `false` if it was seen before.
    pub fn fill(&mut self, number: u64) -> bool {
        let word = self.word(number);
        let new = *word & mask(number) == 0;
        *word |= mask(number);
        new
    }

    fn word(&mut self, number: u64) -> &mut u64 {
        // Below `WORDS`, whatever the number.
        &mut self.bits[(number / 64) as usize % WORDS]
    }
}

fn mask(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once_until_the_window_has_passed() {
        let mut window = Window::default();
        window.advance(0, 1000);
        assert!(!window.fill(1000));
        window.advance(1000, 1100);
        assert!(window.fill(1099));
        assert!(!window.fill(1099));
        assert!(!window.fill(1000));
        // Jumps shorter and longer than the window leave nothing of the round before.
        window.advance(1100, 1100 + WINDOW - 1);
        assert!(window.fill(1099 + WINDOW - 1));
        window.advance(1100 + WINDOW - 1, 9 * WINDOW);
        for number in 8 * WINDOW + 1..9 * WINDOW {
            assert!(window.fill(number), "{number}");
        }
    }
}
