//! A leg with real sockets and a worker that asks a STUN server on loopback.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use res_rust_webrtc::driver::rtp::{Driver, Leg, Observer, PortRange};
use res_rust_webrtc::rtc::ice::{CandidateKind, Component};
use res_rust_webrtc::rtc::session::{Event, GatherPlan, RtpPacket};
use res_rust_webrtc::rtc::{Config, Session};

/// Counts what servers have brought.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Observer for Counter {
    fn divert(&self, _: &Leg, _: &RtpPacket<'_>) -> bool {
        false
    }

    fn owner(&self) -> Option<String> {
        None
    }

    fn event(&self, _: &Leg, event: &Event) {
        if let Event::Gathered(_) = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn leg(driver: &Driver, observer: &Arc<Counter>) -> Arc<Leg> {
    let range = PortRange { start: 42_000, end: 42_998 };
    let random = std::process::id();
    let socket = range.bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED), random).unwrap();
    let session = Session::new(Instant::now(), Config::new(socket.local_addr().unwrap())).unwrap();
    driver.open(session, socket, Arc::<Counter>::clone(observer)).unwrap()
}

fn ask(leg: &Leg, server: SocketAddr) {
    let bound = leg.local_address();
    let base = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), bound.port());
    let plan = GatherPlan { bases: vec![base], stun: vec![server], ..GatherPlan::default() };
    leg.with(|session, now| session.gather(now, Component::Rtp, bound, &plan));
}

/// Answers one Binding request after `delay`, as behind a NAT that shows everybody as
/// 192.0.2.1:4660.
fn answer_one(server: UdpSocket, delay: Duration) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut request = [0; 200];
        let (length, from) = server.recv_from(&mut request).unwrap();
        assert!(length >= 20 && request[..2] == [0, 1]);
        thread::sleep(delay);
        let mut response = vec![1, 1, 0, 12];
        response.extend_from_slice(&request[4..20]);
        response.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 0x12 ^ 0x21, 0x34 ^ 0x12]);
        response.extend([192 ^ 0x21, 0x12, 2 ^ 0xa4, 1 ^ 0x42]);
        server.send_to(&response, from).unwrap();
    })
}

#[test]
fn waiting_ends_with_the_answer_and_the_adopter_finds_a_candidate() {
    let driver = Driver::start(1).unwrap();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (maker, adopter) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    let leg = leg(&driver, &maker);
    let answering = answer_one(server, Duration::from_millis(100));
    let begin = Instant::now();
    ask(&leg, address);
    let in_vain = leg.wait_while(begin + Duration::from_secs(20), |session| !session.gathering().is_empty());
    assert!(!in_vain);
    assert!(begin.elapsed() < Duration::from_secs(10), "it slept on");
    answering.join().unwrap();
    assert_eq!(maker.0.load(Ordering::Relaxed), 1, "its maker was told");

    assert!(!leg.is_adopted());
    leg.adopt(Arc::<Counter>::clone(&adopter));
    assert!(leg.is_adopted());
    let base = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), leg.local_address().port());
    leg.with(|session, _| {
        session.enable_ice().unwrap();
        session.add_local_candidate(Component::Rtp, CandidateKind::Host, base, base);
        session.offer_gathered(Component::Rtp);
        let found = session.local_candidates();
        let [host, reflexive] = &found[..] else { panic!("{found:?}") };
        assert_eq!(host.kind, CandidateKind::Host);
        assert_eq!(reflexive.kind, CandidateKind::ServerReflexive);
        assert_eq!((reflexive.address, reflexive.related), ("192.0.2.1:4660".parse().unwrap(), Some(base)));
    });
    leg.close();
}

#[test]
fn waiting_for_a_silent_server_ends_when_it_is_told_to() {
    let driver = Driver::start(1).unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let leg = leg(&driver, &Arc::new(Counter::default()));
    ask(&leg, silent.local_addr().unwrap());
    let begin = Instant::now();
    assert!(leg.wait_while(begin + Duration::from_millis(60), |session| !session.gathering().is_empty()));
    assert!(begin.elapsed() >= Duration::from_millis(60));
    // Meanwhile the session was free: it can be looked at from elsewhere while somebody waits.
    let waiter = Arc::clone(&leg);
    let waiting = thread::spawn(move || {
        waiter.wait_while(Instant::now() + Duration::from_millis(300), |session| !session.gathering().is_empty())
    });
    thread::sleep(Duration::from_millis(50));
    let begin = Instant::now();
    assert_eq!(leg.look(|session| session.gathering().len()), 1);
    assert!(begin.elapsed() < Duration::from_millis(150), "the waiting thread keeps the lock");
    assert!(waiting.join().unwrap());
    leg.close();
}
