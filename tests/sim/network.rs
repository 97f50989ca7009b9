//! The network between the two peers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// xorshift64*: enough for loss and delay, the same on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound.max(1)
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < u64::from(percent)
    }
}

/// What the network does to datagrams. The default is a wire of 1 ms.
#[derive(Clone, Debug)]
pub struct Conditions {
    pub loss: u32,
    pub duplicate: u32,
    pub delay: Duration,
    pub jitter: Duration,
    /// Nothing passes.
    pub down: bool,
    /// What the address translator of `a` makes of its addresses: the public IP's port offset.
    pub nat: Option<Nat>,
}

/// A translator with endpoint-independent mapping in front of `a`.
#[derive(Clone, Debug)]
pub struct Nat {
    pub inside: std::net::IpAddr,
    pub outside: std::net::IpAddr,
    pub shift: u16,
}

impl Default for Conditions {
    fn default() -> Self {
        Conditions {
            loss: 0,
            duplicate: 0,
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            down: false,
            nat: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    pub at: Instant,
    order: u64,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Datagrams under way, and all that were ever sent.
pub struct Network {
    pub conditions: Conditions,
    rng: Rng,
    order: u64,
    under_way: BinaryHeap<Reverse<Datagram>>,
    /// Everything that was put on the wire: source before translation, bytes.
    pub log: Vec<(SocketAddr, Vec<u8>)>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Network {
            conditions: Conditions::default(),
            rng: Rng::new(seed),
            order: 0,
            under_way: BinaryHeap::new(),
            log: Vec::new(),
        }
    }

    pub fn send(&mut self, now: Instant, source: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.log.push((source, bytes.to_vec()));
        let conditions = self.conditions.clone();
        let copies = if self.rng.chance(conditions.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if conditions.down || self.rng.chance(conditions.loss) {
                continue;
            }
            let jitter = self.rng.below(conditions.jitter.as_micros() as u64 + 1);
            let mut source = source;
            let mut destination = to;
            if let Some(nat) = &conditions.nat {
                if source.ip() == nat.inside {
                    source = SocketAddr::new(nat.outside, source.port().wrapping_add(nat.shift));
                } else if destination.ip() == nat.outside {
                    let port = destination.port().wrapping_sub(nat.shift);
                    destination = SocketAddr::new(nat.inside, port);
                } else if destination.ip() == nat.inside {
                    // Nobody routes to an address inside.
                    continue;
                }
            }
            self.order += 1;
            self.under_way.push(Reverse(Datagram {
                at: now + conditions.delay + Duration::from_micros(jitter),
                order: self.order,
                source,
                destination,
                bytes: bytes.to_vec(),
            }));
        }
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.peek().map(|Reverse(datagram)| datagram.at)
    }

    pub fn arrived(&mut self, now: Instant) -> Option<Datagram> {
        if self.next_arrival()? > now {
            return None;
        }
        self.under_way.pop().map(|Reverse(datagram)| datagram)
    }
}
