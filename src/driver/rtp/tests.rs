//! Who reads a leg's socket: the worker, the channel, and the worker again.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Driver, Leg, Observer, Taken};
use crate::driver::clock;
use crate::driver::sys::{self, Epoll, Interest};
use crate::rtc::Session;
use crate::rtc::session::{Config, Event, RtpPacket};

struct Nobody;

impl Observer for Nobody {
    fn divert(&self, _: &Leg, _: &RtpPacket<'_>) -> bool {
        false
    }

    fn owner(&self) -> Option<String> {
        None
    }

    fn event(&self, _: &Leg, _: &Event) {}
}

struct Call {
    _driver: Driver,
    leg: Arc<Leg>,
    peer: UdpSocket,
    seq: u16,
    gate: Epoll,
}

impl Call {
    fn new() -> Call {
        let driver = Driver::start(1).unwrap();
        let socket = sys::bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let local: SocketAddr = socket.local_addr().unwrap();
        let config = Config { strict_rtp: false, probation: 1, ..Config::new(local) };
        let session = Session::new(clock::now(), config).unwrap();
        let leg = driver.open(session, socket, Arc::new(Nobody)).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(local).unwrap();
        let gate = Epoll::new().unwrap();
        gate.add(leg.fd(), 0, Interest { readable: true, ..Interest::default() }).unwrap();
        Call { _driver: driver, leg, peer, seq: 0, gate }
    }

    fn speak(&mut self) {
        self.seq += 1;
        let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        packet[2..4].copy_from_slice(&self.seq.to_be_bytes());
        packet.extend_from_slice(b"sound");
        self.peer.send(&packet).unwrap();
    }

    /// Waits as a channel does; the packet's number, and whether the channel read it itself.
    fn hear(&self) -> Option<(u16, bool)> {
        let until = clock::now() + Duration::from_secs(5);
        let mut ready = Vec::new();
        while clock::now() < until {
            self.gate.wait(&mut ready, Some(Duration::from_millis(100))).unwrap();
            if ready.is_empty() {
                continue;
            }
            match self.leg.take(&mut [0; 2048]) {
                Some(Taken::Packet(packet)) => return Some((packet.seq, true)),
                Some(Taken::Item(super::Incoming::Media(media))) => return Some((media.seq, false)),
                _ => {}
            }
        }
        None
    }

    fn wait_for(&self, condition: impl Fn(&Leg) -> bool) -> Duration {
        let begin: Instant = clock::now();
        while !condition(&self.leg) && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        begin.elapsed()
    }
}

#[test]
fn channel_that_reads_is_lent_the_socket_and_misses_nothing() {
    let mut call = Call::new();
    let mut own = 0;
    for seq in 1..=20 {
        call.speak();
        let (heard, itself) = call.hear().expect("a packet");
        assert_eq!(heard, seq);
        own += usize::from(itself);
    }
    assert!(own >= 15, "the channel read {own} of 20 itself");
}

#[test]
fn worker_serves_a_channel_that_has_stopped_to_read() {
    let mut call = Call::new();
    for _ in 0..4 {
        call.speak();
        call.hear().expect("a packet");
    }
    for _ in 0..3 {
        call.speak();
    }
    assert!(call.wait_for(|leg| !leg.inbox().is_empty()) < Duration::from_secs(1), "the worker did not take over");
    let heard: Vec<u16> = (0..3).filter_map(|_| call.hear()).map(|(seq, _)| seq).collect();
    assert_eq!(heard, [5, 6, 7]);
    call.speak();
    assert_eq!(call.hear().map(|(seq, _)| seq), Some(8), "and the channel goes on");
}

#[test]
fn closed_leg_leaves_nothing_to_poll() {
    let mut call = Call::new();
    for _ in 0..3 {
        call.speak();
        call.hear().expect("a packet");
    }
    call.leg.close();
    call.speak();
    let mut ready = Vec::new();
    call.gate.wait(&mut ready, Some(Duration::from_millis(50))).unwrap();
    assert!(ready.is_empty(), "the channel would spin");
}
