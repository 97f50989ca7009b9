//! A token bucket: how much STUN is looked at before any HMAC is computed for it.

use std::time::Instant;

/// Tokens that fill up at a steady rate to a bound.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(capacity: u32, per_second: u32) -> Self {
        Bucket {
            capacity: f64::from(capacity),
            per_second: f64::from(per_second),
            tokens: f64::from(capacity),
            filled: None,
        }
    }

    /// Takes a token; false if there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if let Some(filled) = self.filled {
            let elapsed = now.saturating_duration_since(filled).as_secs_f64();
            self.tokens = (self.tokens + elapsed * self.per_second).min(self.capacity);
        }
        self.filled = Some(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bursts_then_refills() {
        let now = Instant::now();
        let mut bucket = Bucket::new(3, 10);
        let taken = (0..5).filter(|_| bucket.take(now)).count();
        assert_eq!(taken, 3);
        assert!(!bucket.take(now + Duration::from_millis(90)));
        assert!(bucket.take(now + Duration::from_millis(200)));
        let later = now + Duration::from_secs(60);
        assert_eq!((0..5).filter(|_| bucket.take(later)).count(), 3);
    }
}
