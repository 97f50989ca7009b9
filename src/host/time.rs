//! `struct timeval` and [`SystemTime`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::sys;

/// A point in time; `None` for the zero that Asterisk uses for "not set".
pub fn from_timeval(tv: sys::timeval) -> Option<SystemTime> {
    if tv.tv_sec == 0 && tv.tv_usec == 0 {
        return None;
    }
    let seconds = u64::try_from(tv.tv_sec).ok()?;
    let micros = u32::try_from(tv.tv_usec).ok().filter(|n| *n < 1_000_000)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, micros * 1000))
}

/// The same as Asterisk has it; `None`, and what is before 1970, gives zero.
pub fn to_timeval(time: Option<SystemTime>) -> sys::timeval {
    let since = time.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    sys::timeval { tv_sec: since.as_secs() as _, tv_usec: since.subsec_micros() as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_survive_and_zero_means_not_set() {
        let time = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_000);
        assert_eq!(from_timeval(to_timeval(Some(time))), Some(time));
        assert_eq!(from_timeval(to_timeval(None)), None);
    }

    #[test]
    fn nonsense_is_not_a_time() {
        assert_eq!(from_timeval(sys::timeval { tv_sec: -1, tv_usec: 5 }), None);
        assert_eq!(from_timeval(sys::timeval { tv_sec: 1, tv_usec: 2_000_000 }), None);
    }
}
