//! How many sessions there may be, in all and from one address.
//!
//! A [`Seat`] is taken before the upgrade is answered and given back when the session is over, so
//! that handshakes which race for the last one cannot both win.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use crate::sync::lock;

/// The seats of one server.
pub struct Seats(Mutex<Option<Taken>>);

#[derive(Default)]
struct Taken {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// A place for one session. Dropping it gives it back.
pub struct Seat {
    seats: &'static Seats,
    source: IpAddr,
}

impl Seats {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// A seat for a client at `address`, unless `total` seats are taken or `each` from there.
    pub fn take(&'static self, address: IpAddr, total: Option<usize>, each: Option<usize>) -> Option<Seat> {
        let source = source(address);
        let mut taken = lock(&self.0);
        let taken = taken.get_or_insert_default();
        let here = taken.by_source.get(&source).copied().unwrap_or(0);
        if total.is_some_and(|total| taken.total >= total) || each.is_some_and(|each| here >= each) {
            return None;
        }
        taken.total += 1;
        taken.by_source.insert(source, here + 1);
        Some(Seat { seats: self, source })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        lock(&self.0).as_ref().map_or(0, |taken| taken.total)
    }
}

impl Default for Seats {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut place = lock(&self.seats.0);
        let Some(taken) = place.as_mut() else { return };
        taken.total = taken.total.saturating_sub(1);
        if let Some(here) = taken.by_source.get_mut(&self.source) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_source.remove(&self.source);
            }
        }
        // What a static holds when the module is unloaded is lost.
        if taken.total == 0 {
            *place = None;
        }
    }
}

/// What counts as one address: of IPv6 the /64 that a host is given as a whole (RFC 6177).
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> &'static Seats {
        Box::leak(Box::default())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_limits_there_is_always_a_seat() {
        let seats = seats();
        let taken: Vec<_> = (0..1000).map(|_| seats.take(ip("192.0.2.1"), None, None).unwrap()).collect();
        assert_eq!(seats.taken(), 1000);
        drop(taken);
        assert_eq!(seats.taken(), 0);
    }

    #[test]
    fn an_address_has_its_share_and_the_whole_its_limit() {
        let seats = seats();
        let take = |address: &str| seats.take(ip(address), Some(3), Some(2));
        let first = take("192.0.2.1").unwrap();
        let _second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "its share is used up");
        assert!(take("::ffff:192.0.2.1").is_none(), "in another spelling, too");
        let third = take("192.0.2.2").unwrap();
        assert!(take("192.0.2.3").is_none(), "all are taken");
        drop(third);
        drop(first);
        assert!(take("192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_address() {
        let seats = seats();
        let _seat = seats.take(ip("2001:db8:0:1::1"), None, Some(1)).unwrap();
        assert!(seats.take(ip("2001:db8:0:1:ffff::9"), None, Some(1)).is_none());
        assert!(seats.take(ip("2001:db8:0:2::1"), None, Some(1)).is_some());
    }
}
