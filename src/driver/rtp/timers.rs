//! Deadlines of many sessions in one queue.
//!
//! A session has at most one deadline that counts. Moving it to an earlier time adds an entry and
//! makes the old one stale; moving it to a later time adds nothing: the early entry fires, the
//! session is asked, and its true deadline is entered then. So the common case, a deadline pushed
//! back by every packet, costs nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Instant;

/// The queue.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    armed: HashMap<u64, Instant>,
}

impl Timers {
    /// Makes sure that `id` fires at `deadline` or before. True if that is now the earliest of all.
    pub fn arm(&mut self, id: u64, deadline: Instant) -> bool {
        match self.armed.get(&id) {
            Some(&armed) if armed <= deadline => return false,
            _ => {}
        }
        self.armed.insert(id, deadline);
        self.heap.push(Reverse((deadline, id)));
        self.earliest() == Some(deadline)
    }

    /// Forgets `id`.
    pub fn disarm(&mut self, id: u64) {
        self.armed.remove(&id);
    }

    /// When the next one fires.
    pub fn earliest(&mut self) -> Option<Instant> {
        while let Some(Reverse((deadline, id))) = self.heap.peek() {
            if self.armed.get(id) == Some(deadline) {
                return Some(*deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// One that is due; it is disarmed.
    pub fn due(&mut self, now: Instant) -> Option<u64> {
        if self.earliest()? > now {
            return None;
        }
        let Reverse((_, id)) = self.heap.pop()?;
        self.armed.remove(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::driver::clock;

    #[test]
    fn the_earliest_fires_first_and_stale_entries_never() {
        let start = clock::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        assert!(timers.arm(1, at(30)));
        assert!(timers.arm(2, at(20)));
        assert!(!timers.arm(1, at(40)), "later than armed: nothing changes");
        assert!(timers.arm(1, at(10)), "earlier: it is now the first");
        assert_eq!(timers.due(at(5)), None);
        assert_eq!(timers.due(at(50)), Some(1));
        assert_eq!(timers.due(at(50)), Some(2));
        assert_eq!(timers.due(at(50)), None, "the entry of 1 at 30 is stale");
        assert_eq!(timers.earliest(), None);
    }

    #[test]
    fn a_deadline_moved_back_for_ever_does_not_grow_the_queue() {
        let start = clock::now();
        let mut timers = Timers::default();
        for ms in 0..10_000 {
            timers.arm(1, start + Duration::from_millis(ms));
        }
        assert_eq!(timers.heap.len(), 1);
    }

    #[test]
    fn a_forgotten_one_does_not_fire() {
        let start = clock::now();
        let mut timers = Timers::default();
        timers.arm(1, start);
        timers.disarm(1);
        assert_eq!(timers.due(start), None);
    }
}
