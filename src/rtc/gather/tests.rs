//! A gatherer against servers that are played here, over a network that loses what a seed says.

use super::message::Id;
use super::*;

const PASSWORD: &str = "hunter2";
const REALM: &[u8] = b"rig";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A server of both kinds, as far as a client can tell.
struct Server {
    address: SocketAddr,
    /// How the NAT shows our socket.
    mapped: SocketAddr,
    relay: SocketAddr,
    password: &'static str,
    nonce: Vec<u8>,
    /// Answers Allocate with this error once credentials are right.
    refuses: Option<u16>,
    lifetime: u32,
    allocated: bool,
    permissions: Vec<std::net::IpAddr>,
    channels: Vec<(u16, SocketAddr)>,
    seen: Vec<u16>,
    /// What peers were sent.
    delivered: Vec<(SocketAddr, Vec<u8>)>,
}

impl Server {
    fn new() -> Self {
        Server {
            address: address("198.51.100.9:3478"),
            mapped: address("203.0.113.5:61000"),
            relay: address("198.51.100.9:50000"),
            password: PASSWORD,
            nonce: b"first".to_vec(),
            refuses: None,
            lifetime: 600,
            allocated: false,
            permissions: Vec::new(),
            channels: Vec::new(),
            seen: Vec::new(),
            delivered: Vec::new(),
        }
    }

    fn key(&self) -> [u8; 16] {
        crate::host::openssl::digest::md5(&[b"user:", REALM, b":", self.password.as_bytes()]).unwrap()
    }

    fn error(&self, method: u16, id: &Id, code: u16) -> Vec<u8> {
        Builder::new(method | 0x0110, id)
            .attribute(attribute::ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8, b'n', b'o'])
            .attribute(attribute::REALM, REALM)
            .attribute(attribute::NONCE, &self.nonce)
            .finish()
    }

    fn receive(&mut self, raw: &[u8]) -> Option<Vec<u8>> {
        if raw[0] & 0xc0 == 0x40 {
            let number = u16::from_be_bytes([raw[0], raw[1]]);
            let length = usize::from(u16::from_be_bytes([raw[2], raw[3]]));
            let (_, peer) = self.channels.iter().find(|(known, _)| *known == number).expect("a channel that is bound");
            self.delivered.push((*peer, raw[4..4 + length].to_vec()));
            return None;
        }
        let message = Message::parse(raw).expect("a message as it should be");
        let (method, id) = (message.method(), message.id);
        self.seen.push(method);
        let peer = message.xor_address(attribute::XOR_PEER_ADDRESS);
        if message.class() == Class::Indication {
            let peer = peer.unwrap();
            assert!(self.permissions.contains(&peer.ip()), "sent to {peer} without a permission");
            self.delivered.push((peer, raw[message.data().unwrap()].to_vec()));
            return None;
        }
        if method == message::BINDING_REQUEST {
            let response = Builder::new(method | 0x0100, &id);
            return Some(response.xor_address(attribute::XOR_MAPPED_ADDRESS, self.mapped, &id).finish());
        }
        match message.integrity(&self.key()) {
            Some(true) if message.attribute(attribute::NONCE) != Some(&self.nonce) => {
                return Some(self.error(method, &id, 438));
            }
            Some(true) => {}
            _ => return Some(self.error(method, &id, 401)),
        }
        let mut response = Builder::new(method | 0x0100, &id);
        match method {
            message::ALLOCATE_REQUEST => {
                if let Some(code) = self.refuses {
                    return Some(self.error(method, &id, code));
                }
                self.allocated = true;
                response = response
                    .xor_address(attribute::XOR_RELAYED_ADDRESS, self.relay, &id)
                    .xor_address(attribute::XOR_MAPPED_ADDRESS, self.mapped, &id)
                    .attribute(attribute::LIFETIME, &self.lifetime.to_be_bytes());
            }
            message::REFRESH_REQUEST => {
                let lifetime = message.u32(attribute::LIFETIME).unwrap().min(self.lifetime);
                self.allocated = lifetime > 0;
                response = response.attribute(attribute::LIFETIME, &lifetime.to_be_bytes());
            }
            message::CREATE_PERMISSION_REQUEST => self.permissions.push(peer.unwrap().ip()),
            message::CHANNEL_BIND_REQUEST => {
                let number = (message.u32(attribute::CHANNEL_NUMBER).unwrap() >> 16) as u16;
                self.channels.push((number, peer.unwrap()));
            }
            other => panic!("method {other:#x}"),
        }
        Some(response.sign(&self.key()))
    }

    fn count(&self, method: u16) -> usize {
        self.seen.iter().filter(|seen| **seen == method).count()
    }
}

/// The gatherer, its server, and a network of 20 ms each way that loses `loss` per cent.
struct Bench {
    begin: Instant,
    now: Instant,
    gatherer: Gatherer,
    server: Server,
    loss: u64,
    seed: u64,
    gathered: Vec<(Duration, Gathered)>,
    wire: Vec<(Instant, Option<SocketAddr>, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Bench {
            begin: now,
            now,
            gatherer: Gatherer::new(true),
            server: Server::new(),
            loss: 0,
            seed: 1,
            gathered: Vec::new(),
            wire: Vec::new(),
        }
    }

    fn base() -> SocketAddr {
        address("10.0.0.2:20000")
    }

    fn ask_relay(&mut self) {
        let login = Arc::new(Login::new("user", PASSWORD));
        self.gatherer.ask_relay(self.now, address("0.0.0.0:20000"), self.server.address, login);
    }

    fn lost(&mut self) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % 100 < self.loss
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..100_000 {
            while let Some((_, to, bytes)) = self.gatherer.poll_transmit() {
                if !self.lost() {
                    self.wire.push((self.now + ms(20), Some(to), bytes));
                }
            }
            while let Some(one) = self.gatherer.poll_gathered() {
                self.gathered.push((self.now - self.begin, one));
            }
            let next = self.wire.iter().map(|(at, ..)| *at).chain(self.gatherer.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            let now = self.now;
            for (_, to, bytes) in self.wire.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>() {
                if to.is_none() {
                    self.gatherer.handle_datagram(now, self.server.address, &bytes);
                } else if to == Some(self.server.address)
                    && let Some(answer) = self.server.receive(&bytes)
                    && !self.lost()
                {
                    self.wire.push((now + ms(20), None, answer));
                }
            }
            self.gatherer.handle_timeout(now);
        }
        panic!("livelock");
    }

    fn failure(&self) -> Option<&Failure> {
        self.gathered.iter().find_map(|(_, one)| match one {
            Gathered::Failed { failure, .. } => Some(failure),
            _ => None,
        })
    }

    fn relayed(&self) -> Option<Duration> {
        self.gathered.iter().find_map(|(at, one)| matches!(one, Gathered::Relayed { .. }).then_some(*at))
    }
}

#[test]
fn a_binding_is_one_round_trip_and_is_kept_alive() {
    let mut bench = Bench::new();
    bench.gatherer.ask_reflexive(bench.now, Bench::base(), bench.server.address);
    assert!(bench.gatherer.waiting().next().is_some());
    bench.run(ms(100));
    assert!(bench.gatherer.waiting().next().is_none());
    let (server, mapped) = (bench.server.address, bench.server.mapped);
    let expected = Gathered::Reflexive { server, address: mapped, base: Bench::base() };
    assert_eq!(bench.gathered, [(ms(40), expected.clone())]);
    assert_eq!(bench.gatherer.candidates().collect::<Vec<_>>(), [expected]);
    bench.run(Duration::from_secs(60));
    assert_eq!(bench.server.count(message::BINDING_REQUEST), 4, "every 15 s");
    assert_eq!(bench.gathered.len(), 1, "nothing new");
    bench.server.mapped = address("203.0.113.5:61001");
    bench.run(Duration::from_secs(16));
    assert_eq!(bench.gathered.len(), 2, "the NAT has changed its mind");
}

#[test]
fn a_server_that_is_silent_is_given_up_and_asked_again() {
    let mut bench = Bench::new();
    bench.loss = 100;
    bench.gatherer.ask_reflexive(bench.now, Bench::base(), bench.server.address);
    bench.ask_relay();
    bench.run(ms(39_499));
    assert!(bench.gathered.is_empty() && bench.gatherer.waiting().count() == 2);
    bench.run(ms(1));
    assert!(bench.gatherer.waiting().next().is_none());
    assert_eq!(bench.gathered.len(), 2);
    assert_eq!(bench.failure(), Some(&Failure::NoAnswer));
    bench.loss = 0;
    bench.run(Duration::from_secs(61));
    assert!(matches!(bench.gathered.last(), Some((_, Gathered::Reflexive { .. }))));
}

#[test]
fn both_come_through_loss() {
    // A request is lost for good when all of its seven tries are: one time in a thousand.
    let complete = |seed: &u64| {
        let mut bench = Bench::new();
        (bench.loss, bench.seed) = (20, *seed);
        bench.gatherer.ask_reflexive(bench.now, Bench::base(), bench.server.address);
        bench.ask_relay();
        bench.run(Duration::from_secs(70));
        bench.gatherer.candidates().count() == 2
    };
    assert!((0..200).filter(complete).count() >= 198);
}

#[test]
fn an_allocation_is_two_round_trips_and_goes_back_at_the_end() {
    let mut bench = Bench::new();
    bench.ask_relay();
    bench.run(ms(200));
    assert_eq!(bench.relayed(), Some(ms(80)));
    assert!(bench.gatherer.is_relay(bench.server.relay));
    bench.gatherer.close();
    bench.run(ms(100));
    assert!(!bench.server.allocated, "the server still holds it");
    assert!(bench.gatherer.is_empty());
}

#[test]
fn a_wrong_password_is_one_failure_that_says_so() {
    let mut bench = Bench::new();
    bench.server.password = "another";
    bench.ask_relay();
    bench.run(Duration::from_secs(120));
    assert_eq!(bench.server.count(message::ALLOCATE_REQUEST), 2);
    assert!(bench.failure().unwrap().sentence().contains("password is wrong"), "{:?}", bench.gathered);
    let said = format!("{:?} {:?}", bench.gatherer, bench.gathered);
    assert!(!said.contains(PASSWORD), "the password is in a debug print");
}

#[test]
fn quota_and_capacity_are_said_in_words() {
    for (code, words) in [(486, "as many allocations"), (508, "no relay addresses"), (437, "earlier socket")] {
        let mut bench = Bench::new();
        bench.server.refuses = Some(code);
        bench.ask_relay();
        bench.run(Duration::from_secs(1));
        assert!(bench.failure().unwrap().sentence().contains(words), "{code}: {:?}", bench.gathered);
    }
}

#[test]
fn an_allocation_lives_for_an_hour_through_changing_nonces() {
    let mut bench = Bench::new();
    bench.ask_relay();
    let peer = address("192.0.2.77:4000");
    for minute in 0..60_u8 {
        bench.run(Duration::from_secs(60));
        bench.server.nonce = vec![b'n', minute];
        assert_eq!(bench.gatherer.send_relayed(bench.server.relay, peer, vec![0x80, minute]), Ok(()));
    }
    bench.run(ms(200));
    assert_eq!(bench.failure(), None);
    assert!(bench.server.allocated);
    assert_eq!(bench.server.delivered.len(), 60, "every datagram has arrived");
    // Refreshed every nine minutes, permission and channel every four; each nonce was stale.
    let counts = [message::REFRESH_REQUEST, message::CREATE_PERMISSION_REQUEST, message::CHANNEL_BIND_REQUEST]
        .map(|method| bench.server.count(method));
    assert!(counts[0] >= 12 && counts[0] <= 14, "{counts:?}");
    assert!(counts[1] >= 28 && counts[1] <= 32, "{counts:?}");
    assert!(counts[2] >= 28 && counts[2] <= 32, "{counts:?}");
}

#[test]
fn checks_go_as_indications_and_media_by_channel() {
    let mut bench = Bench::new();
    bench.ask_relay();
    bench.run(ms(200));
    let (relay, peer) = (bench.server.relay, address("192.0.2.77:4000"));
    let send = |bench: &mut Bench, payload: &[u8]| {
        assert_eq!(bench.gatherer.send_relayed(relay, peer, payload.to_vec()), Ok(()));
        bench.run(ms(100));
    };
    send(&mut bench, &[0, 1, 2]);
    assert_eq!(bench.server.delivered, [(peer, vec![0, 1, 2])], "held until there was a permission");
    assert!(bench.server.channels.is_empty(), "a check is not worth a channel");
    send(&mut bench, &[0x80, 1]);
    assert_eq!(bench.server.channels.len(), 1);
    let indications = bench.server.count(message::SEND_INDICATION & !0x0010);
    send(&mut bench, &[0x80, 2]);
    assert_eq!(bench.server.delivered.len(), 3);
    assert_eq!(bench.server.count(message::SEND_INDICATION & !0x0010), indications, "the third went by channel");
    let other = bench.gatherer.send_relayed(address("198.51.100.9:1"), peer, vec![7]);
    assert_eq!(other, Err(vec![7]), "no relay of ours");
}

#[test]
fn what_peers_send_comes_out() {
    let mut bench = Bench::new();
    bench.ask_relay();
    bench.run(ms(200));
    let (server, relay, peer) = (bench.server.address, bench.server.relay, address("192.0.2.77:4000"));
    let indication = Builder::new(message::DATA_INDICATION, &[1; 12])
        .xor_address(attribute::XOR_PEER_ADDRESS, peer, &[1; 12])
        .attribute(attribute::DATA, b"hello")
        .finish();
    let mut take = |bytes: &[u8], from: SocketAddr| match bench.gatherer.handle_datagram(bench.now, from, bytes) {
        Received::Relayed { relay: at, peer: from, place } => Some((at, from, bytes[place].to_vec())),
        other => {
            assert_eq!(other, Received::NotOurs);
            None
        }
    };
    assert_eq!(take(&indication, server), Some((relay, peer, b"hello".to_vec())));
    assert_eq!(take(&indication, peer), None, "only the server relays");
    assert_eq!(take(&[0x40, 0, 0, 2, 1, 2], server), None, "no such channel");
    assert_eq!(bench.gatherer.send_relayed(relay, peer, vec![0x80]), Ok(()));
    bench.run(ms(200));
    assert_eq!(bench.gatherer.send_relayed(relay, peer, vec![0x80]), Ok(()));
    bench.run(ms(200));
    let mut take = |bytes: &[u8]| bench.gatherer.handle_datagram(bench.now, server, bytes);
    assert_eq!(take(&[0x40, 0, 0, 2, 1, 2, 0, 0]), Received::Relayed { relay, peer, place: 4..6 });
    assert_eq!(take(&[0x40, 0, 0, 9, 1, 2]), Received::NotOurs, "longer than the datagram");
    assert_eq!(take(&[0x40, 0]), Received::NotOurs);
}

#[test]
fn nobody_else_can_answer() {
    let mut bench = Bench::new();
    bench.gatherer.ask_reflexive(bench.now, Bench::base(), bench.server.address);
    bench.ask_relay();
    bench.gatherer.handle_timeout(bench.now);
    let mut answers = Vec::new();
    while let Some((_, _, bytes)) = bench.gatherer.poll_transmit() {
        answers.extend(bench.server.receive(&bytes));
    }
    assert_eq!(answers.len(), 2);
    for answer in &answers {
        let elsewhere = address("198.51.100.66:3478");
        assert_eq!(bench.gatherer.handle_datagram(bench.now, elsewhere, answer), Received::NotOurs);
        let mut guessed = answer.clone();
        guessed[12] ^= 1;
        assert_eq!(bench.gatherer.handle_datagram(bench.now, bench.server.address, &guessed), Received::NotOurs);
    }
    assert!(bench.gatherer.waiting().next().is_some());
    // An allocation that was signed with another key is none.
    bench.server.password = PASSWORD;
    for answer in &answers {
        assert_eq!(bench.gatherer.handle_datagram(bench.now, bench.server.address, answer), Received::Handled);
    }
    bench.gatherer.handle_timeout(bench.now);
    let (_, _, signed) = bench.gatherer.poll_transmit().unwrap();
    let id = Message::parse(&signed).unwrap().id;
    let forged = Builder::new(message::ALLOCATE_REQUEST | 0x0100, &id)
        .xor_address(attribute::XOR_RELAYED_ADDRESS, address("203.0.113.66:6"), &id)
        .xor_address(attribute::XOR_MAPPED_ADDRESS, address("203.0.113.66:7"), &id);
    let forged = forged.sign(b"not the key");
    assert_eq!(bench.gatherer.handle_datagram(bench.now, bench.server.address, &forged), Received::NotOurs);
    assert!(bench.gatherer.waiting().next().is_some(), "the forged one was not believed");
}

#[test]
fn nothing_from_the_network_panics_or_grows() {
    let mut bench = Bench::new();
    bench.gatherer.ask_reflexive(bench.now, Bench::base(), bench.server.address);
    bench.ask_relay();
    bench.run(ms(200));
    let good = Builder::new(message::DATA_INDICATION, &[1; 12])
        .xor_address(attribute::XOR_PEER_ADDRESS, address("[2001:db8::1]:9"), &[1; 12])
        .attribute(attribute::ERROR_CODE, &[0, 0, 4, 1])
        .attribute(attribute::DATA, b"hello")
        .finish();
    for _ in 0..20_000 {
        let mut bad = good.clone();
        for _ in 0..3 {
            bench.lost();
            let at = (bench.seed >> 40) as usize % bad.len();
            bad[at] = (bench.seed >> 33) as u8;
        }
        bench.lost();
        bad.truncate((bench.seed >> 33) as usize % (bad.len() + 1));
        if let Received::Relayed { place, .. } = bench.gatherer.handle_datagram(bench.now, bench.server.address, &bad) {
            assert!(place.end <= bad.len());
        }
    }
    assert_eq!(bench.gatherer.candidates().count(), 2);
    for port in 1..2000 {
        let peer = SocketAddr::new([192, 0, 2, (port % 250) as u8].into(), port);
        bench.gatherer.send_relayed(bench.server.relay, peer, vec![0x80]).unwrap();
    }
    assert!(bench.gatherer.relays[0].is_bounded());
}
