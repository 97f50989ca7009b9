//! DTLS handshakes over a link that loses, repeats and reorders, under a virtual clock and from
//! a seed. The datagrams are small, so that every flight is in fragments; both sides get their
//! share of the bad luck.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use res_rust_webrtc::rtc::dtls::{Config, Connected, Context, Endpoint, Event, Hash, Identity, Role};

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

/// What the link does, in per cent of datagrams and milliseconds.
#[derive(Clone, Copy)]
struct Link {
    loss: u64,
    duplicates: u64,
    delay: u64,
    jitter: u64,
}

struct Simulation {
    random: Random,
    link: Link,
    now: Instant,
    /// By time of arrival; the number keeps equal times apart.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    longest: usize,
    peers: [Endpoint; 2],
    connected: [Option<Connected>; 2],
}

impl Simulation {
    fn new(seed: u64, link: Link, contexts: &[(Context, Identity); 2]) -> Simulation {
        let endpoint = |own: usize, role| {
            let mut endpoint = Endpoint::new(&contexts[own].0, role).unwrap();
            let peer = contexts[1 - own].1.fingerprint(Hash::Sha256).unwrap();
            endpoint.set_remote_fingerprint(peer);
            endpoint
        };
        Simulation {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            link,
            now: Instant::now(),
            flying: BTreeMap::new(),
            sent: 0,
            longest: 0,
            peers: [endpoint(0, Role::Client), endpoint(1, Role::Server)],
            connected: [None, None],
        }
    }

    /// Runs until both are connected; how long that took.
    fn run(&mut self) -> Duration {
        let begin = self.now;
        for peer in &mut self.peers {
            peer.start(begin);
        }
        for _ in 0..20_000 {
            self.drain();
            if self.connected.iter().all(Option::is_some) {
                return self.now - begin;
            }
            let arrival = self.flying.keys().next().map(|(at, _)| *at);
            let timeout = self.peers.iter().filter_map(Endpoint::poll_timeout).min();
            let next = arrival.into_iter().chain(timeout).min();
            self.now = self.now.max(next.expect("nothing will ever happen again"));
            while let Some(entry) = self.flying.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (to, datagram) = entry.remove();
                self.peers[to].handle_datagram(self.now, &datagram).unwrap();
                self.drain();
            }
            for peer in &mut self.peers {
                peer.handle_timeout(self.now);
            }
        }
        panic!("no end in sight");
    }

    fn drain(&mut self) {
        for from in 0..2 {
            while let Some(datagram) = self.peers[from].poll_transmit() {
                self.longest = self.longest.max(datagram.len());
                let copies = match (self.random.percent(self.link.loss), self.random.percent(self.link.duplicates)) {
                    (true, _) => 0,
                    (_, true) => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    self.sent += 1;
                    let jitter = self.random.next() % (self.link.jitter + 1);
                    let at = self.now + Duration::from_millis(self.link.delay + jitter);
                    self.flying.insert((at, self.sent), (1 - from, datagram.clone()));
                }
            }
            match self.peers[from].poll_event() {
                Some(Event::Connected(connected)) => self.connected[from] = Some(*connected),
                None => {}
                Some(other) => panic!("{other:?}"),
            }
        }
    }
}

/// The library's timer runs on the wall clock and is waited for: it is kept short.
fn config(mtu: u16) -> Config {
    Config {
        mtu,
        initial_timeout: Duration::from_millis(25),
        longest_timeout: Duration::from_millis(50),
        wait_out_library_timer: true,
        ..Config::default()
    }
}

fn generated(mtu: u16) -> [(Context, Identity); 2] {
    [(), ()].map(|()| {
        let identity = Identity::generate().unwrap();
        (Context::new(&identity, config(mtu)).unwrap(), identity)
    })
}

fn rsa(mtu: u16) -> (Context, Identity) {
    let pem = include_bytes!("../src/host/openssl/x509/rsa.pem");
    let identity = Identity::from_pem(pem, pem).unwrap();
    (Context::new(&identity, config(mtu)).unwrap(), identity)
}

fn check(simulation: &mut Simulation, mtu: usize) -> Duration {
    let took = simulation.run();
    let [Some(client), Some(server)] = &simulation.connected else {
        panic!("not connected");
    };
    assert_eq!(client.local, server.remote);
    assert_eq!(client.remote, server.local);
    assert!(simulation.longest <= mtu, "{}", simulation.longest);
    took
}

#[test]
fn ideal_link_needs_no_repetition() {
    let link = Link { loss: 0, duplicates: 0, delay: 4, jitter: 0 };
    for mtu in [256, 1200] {
        let mut simulation = Simulation::new(1, link, &generated(mtu));
        let took = check(&mut simulation, mtu.into());
        // ClientHello, ServerHello and the rest, certificate to Finished, Finished.
        assert!(took <= Duration::from_millis(4 * 4), "{took:?}");
    }
}

#[test]
fn fragments_in_any_order() {
    let contexts = generated(256);
    let link = Link { loss: 0, duplicates: 30, delay: 1, jitter: 8 };
    for seed in 1..=20 {
        check(&mut Simulation::new(seed, link, &contexts), 256);
    }
}

#[test]
fn loss_duplicates_and_reordering() {
    let contexts = generated(256);
    let link = Link { loss: 10, duplicates: 10, delay: 2, jitter: 5 };
    for seed in 1..=12 {
        check(&mut Simulation::new(seed, link, &contexts), 256);
    }
}

/// Whole flights at once, so that in the end each has been lost in some run.
#[test]
fn heavy_loss_of_whole_flights() {
    let contexts = generated(1200);
    let link = Link { loss: 35, duplicates: 0, delay: 2, jitter: 0 };
    for seed in 1..=12 {
        check(&mut Simulation::new(seed, link, &contexts), 1200);
    }
}

/// A certificate of RSA on either side, longer than several datagrams.
#[test]
fn rsa_in_fragments() {
    let link = Link { loss: 5, duplicates: 5, delay: 1, jitter: 3 };
    let [other, _] = generated(256);
    let client = [rsa(256), (other.0.clone(), other.1.clone())];
    let server = [other, rsa(256)];
    for seed in 1..=3 {
        check(&mut Simulation::new(seed, link, &client), 256);
        check(&mut Simulation::new(seed, link, &server), 256);
    }
}
