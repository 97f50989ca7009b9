//! What it costs to make an RTP instance while servers are to be asked for candidates:
//! `cargo bench --no-default-features --bench gather`.
//!
//! What `new` of the engine does without Asterisk: bind a port, make a session, hand it to a worker,
//! turn ICE on, add a host candidate for each of eight addresses, and ask a STUN server that never
//! answers from each of them and a TURN server that never answers. The target is less than 1 ms at
//! the 99th percentile; on a busy machine run it with `chrt -f 1`, or it measures the others. The last line is a leg that was made ready: adopted, with candidates added.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use res_rust_webrtc::driver::rtp::{Driver, Leg, Observer, PortRange};
use res_rust_webrtc::rtc::gather::Login;
use res_rust_webrtc::rtc::ice::{CandidateKind, Component};
use res_rust_webrtc::rtc::session::{Event, GatherPlan, RtpPacket};
use res_rust_webrtc::rtc::{Config, Session};

const TIMES: usize = 2000;
const INTERFACES: u8 = 8;
/// Legs that are open at once; sockets are not to run out.
const OPEN: usize = 100;

struct Nobody;

impl Observer for Nobody {
    fn divert(&self, _: &Leg, _: &RtpPacket<'_>) -> bool {
        true
    }

    fn owner(&self) -> Option<String> {
        None
    }

    fn event(&self, _: &Leg, _: &Event) {}
}

fn open(driver: &Driver, random: usize) -> Arc<Leg> {
    let range = PortRange { start: 20_000, end: 29_998 };
    let socket = range.bind(IpAddr::V4(Ipv4Addr::UNSPECIFIED), random as u32).expect("a port");
    let local = socket.local_addr().expect("an address");
    let session = Session::new(Instant::now(), Config::new(local)).expect("random numbers");
    driver.open(session, socket, Arc::new(Nobody)).expect("a leg")
}

fn ask(leg: &Leg, silent: SocketAddr, turn: bool) {
    let bound = leg.local_address();
    let login = Arc::new(Login::new("user", "secret"));
    let plan = GatherPlan {
        bases: bases(bound.port()).collect(),
        stun: vec![silent],
        turn: turn.then_some((silent, login)),
        software: true,
    };
    leg.with(|session, now| session.gather(now, Component::Rtp, bound, &plan));
}

fn bases(port: u16) -> impl Iterator<Item = SocketAddr> {
    (1..=INTERFACES).map(move |n| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, n)), port))
}

fn enable_ice(leg: &Leg) {
    leg.with(|session, _| {
        session.enable_ice().expect("random numbers");
        for base in bases(leg.local_address().port()) {
            session.add_local_candidate(Component::Rtp, CandidateKind::Host, base, base);
        }
        session.offer_gathered(Component::Rtp);
    });
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!("{what:<44}{:>8}{:>8}{:>8}", at(50), at(99), at(100));
}

fn main() {
    // It takes what comes and says nothing.
    let silent = UdpSocket::bind("127.0.0.99:0").expect("a port");
    let server = silent.local_addr().expect("an address");
    let driver = Driver::start(2).expect("threads");
    println!(
        "µs to make an instance with {INTERFACES} addresses, {TIMES} times{:>8}{:>8}{:>8}",
        "median", "p99", "most"
    );
    for (what, asks) in [("no server", false), ("unreachable STUN and TURN servers", true)] {
        let mut legs: Vec<Arc<Leg>> = Vec::new();
        let mut times = Vec::new();
        for n in 0..TIMES {
            let begin = Instant::now();
            let leg = open(&driver, n * 7919);
            if asks {
                ask(&leg, server, true);
            }
            enable_ice(&leg);
            times.push(begin.elapsed());
            legs.push(leg);
            if legs.len() > OPEN {
                legs.drain(..OPEN / 2).for_each(|leg| leg.close());
            }
        }
        legs.iter().for_each(|leg| leg.close());
        report(what, times);
    }
    let mut times = Vec::new();
    for n in 0..TIMES / 10 {
        let leg = open(&driver, n * 7919);
        ask(&leg, server, true);
        let begin = Instant::now();
        leg.adopt(Arc::new(Nobody));
        enable_ice(&leg);
        times.push(begin.elapsed());
        leg.close();
    }
    report("made ready in advance", times);
}
