//! The one place where this module reads the clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, which the cores get as a parameter.
pub fn now() -> Instant {
    Instant::now()
}

/// Microseconds since 1970, for captures that are laid beside others.
pub fn unix_microseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
