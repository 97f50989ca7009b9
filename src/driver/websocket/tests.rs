//! Sessions over socket pairs, with the real reactor.

mod stress;

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::*;
use crate::driver::sys::poll_readable;
use crate::websocket::{Close, CloseCause, CloseCode, Config, DataOpcode, Limits, Opcode, Role, Timing};

/// A socket; and, like TLS, one that may read more than it gives at once.
struct Pair {
    socket: UnixStream,
    hoard: Option<Vec<u8>>,
}

impl Stream for Pair {
    fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, Stalled> {
        let Some(hoard) = &mut self.hoard else { return stalled(self.socket.read(buf), Stalled::WantRead) };
        if hoard.is_empty() {
            let mut all = vec![0; 65536];
            let count = stalled(self.socket.read(&mut all), Stalled::WantRead)?;
            hoard.extend_from_slice(&all[..count]);
        }
        let count = hoard.len().min(3).min(buf.len());
        buf[..count].copy_from_slice(&hoard[..count]);
        hoard.drain(..count);
        Ok(count)
    }

    fn try_write(&mut self, data: &[u8]) -> Result<usize, Stalled> {
        stalled(self.socket.write(data), Stalled::WantWrite)
    }

    fn has_buffered(&self) -> bool {
        self.hoard.as_ref().is_some_and(|hoard| !hoard.is_empty())
    }

    fn shutdown_write(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}

fn stalled(outcome: io::Result<usize>, wait: Stalled) -> Result<usize, Stalled> {
    match outcome {
        Ok(0) => Err(Stalled::Eof),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(wait),
        Err(error) => Err(Stalled::Broken(error.to_string())),
    }
}

struct Client(UnixStream);

impl Client {
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.0.write_all(&frame(opcode, payload)).unwrap();
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut data = vec![0; count];
        self.0.read_exact(&mut data).unwrap();
        data
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let head = self.take(2);
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.take(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).try_into().unwrap()) as usize,
            length => usize::from(length),
        };
        (head[0], self.take(length))
    }
}

/// A client's frame, masked with zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..65536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

struct Setup {
    consumer: Consumer,
    limits: Limits,
    ping_interval: Option<Duration>,
    hoard: bool,
    input: Vec<u8>,
    preface: Vec<u8>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            consumer: Consumer::Holder,
            limits: Limits::default(),
            ping_interval: Timing::default().ping_interval,
            hoard: false,
            input: Vec::new(),
            preface: Vec::new(),
        }
    }
}

fn open(reactor: &Reactor, setup: Setup) -> (Arc<Session>, Client, Receiver<Close>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (tell, told) = channel();
    let session = reactor
        .open(Opening {
            stream: Box::new(Pair { socket: ours, hoard: setup.hoard.then(Vec::new) }),
            config: Config {
                role: Role::Server,
                limits: setup.limits,
                timing: Timing {
                    close_timeout: Duration::from_millis(200),
                    ping_interval: setup.ping_interval,
                    ..Timing::default()
                },
                deflate: None,
            },
            consumer: setup.consumer,
            info: Info::default(),
            preface: setup.preface,
            input: setup.input,
            on_end: Box::new(move |_, close| {
                // Not every test wants to know.
                let _ = tell.send(close.clone());
            }),
        })
        .unwrap();
    (session, Client(theirs), told)
}

fn holder() -> Setup {
    Setup::default()
}

fn text(payload: &[u8]) -> Read {
    Read::Message(Message { opcode: DataOpcode::Text, continuation: false, fin: true, payload: payload.to_vec() })
}

fn readable(session: &Session) -> bool {
    poll_readable(session.fd().unwrap(), 0).unwrap()
}

/// Waits for something that the reactor does in its own time.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ended(told: &Receiver<Close>) -> Close {
    match told.recv_timeout(Duration::from_secs(5)) {
        Ok(close) => close,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the end was not told"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("the session went without telling"),
    }
}

#[test]
fn echo_needs_no_consumer_and_coalesced_frames_do_not_wait() {
    for hoard in [false, true] {
        let reactor = Reactor::start().unwrap();
        let (_, mut client, told) = open(&reactor, Setup { consumer: Consumer::Echo, hoard, ..holder() });
        let mut both = frame(1, b"one");
        both.extend(frame(2, b"two"));
        client.0.write_all(&both).unwrap();
        assert_eq!(client.receive(), (0x81, b"one".to_vec()));
        assert_eq!(client.receive(), (0x82, b"two".to_vec()));
        client.send(8, &1001u16.to_be_bytes());
        assert_eq!(client.receive(), (0x88, 1001u16.to_be_bytes().to_vec()));
        assert_eq!(client.0.read(&mut [0]).unwrap(), 0, "the server ends the transport first");
        drop(client);
        assert_eq!(ended(&told).cause, CloseCause::Peer);
        eventually("forgotten", || reactor.sessions().is_empty());
    }
}

#[test]
fn preface_goes_first_and_input_of_the_handshake_counts() {
    let reactor = Reactor::start().unwrap();
    let input = frame(1, b"early");
    let preface = b"HTTP/1.1 101\r\n\r\n".to_vec();
    let (_, mut client, _told) =
        open(&reactor, Setup { consumer: Consumer::Echo, input, preface: preface.clone(), ..holder() });
    assert_eq!(client.take(preface.len()), preface);
    assert_eq!(client.receive(), (0x81, b"early".to_vec()));
}

#[test]
fn descriptor_is_readable_exactly_while_a_message_waits() {
    for hoard in [false, true] {
        let reactor = Reactor::start().unwrap();
        let (session, mut client, _told) = open(&reactor, Setup { hoard, ..holder() });
        session.set_nonblocking();
        assert!(!readable(&session));
        assert_eq!(session.read(), Read::Nothing);
        // A ping is answered and is nothing for the consumer.
        client.send(9, b"p");
        assert_eq!(client.receive(), (0x8a, b"p".to_vec()));
        assert!(!readable(&session));
        let mut both = frame(1, b"one");
        both.extend(frame(1, b"two"));
        client.0.write_all(&both).unwrap();
        assert!(session.wait_for_input(5000).unwrap());
        assert!(readable(&session));
        assert_eq!(session.read(), text(b"one"));
        eventually("second", || readable(&session));
        assert_eq!(session.read(), text(b"two"));
        assert!(!readable(&session));
        assert_eq!(session.read(), Read::Nothing);
        assert!(!session.wait_for_input(1).unwrap());
    }
}

#[test]
fn blocking_read_waits_for_the_message() {
    let reactor = Reactor::start().unwrap();
    let (session, mut client, _told) = open(&reactor, holder());
    let reader = std::thread::spawn(move || session.read());
    std::thread::sleep(Duration::from_millis(20));
    client.send(1, b"late");
    assert_eq!(reader.join().unwrap(), text(b"late"));
}

#[test]
fn consumer_that_lags_holds_the_peer_back_and_loses_nothing() {
    let reactor = Reactor::start().unwrap();
    let (session, mut client, _told) = open(&reactor, holder());
    let writer = std::thread::spawn(move || {
        for number in 0u32..2000 {
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(4096, b'.');
            client.send(2, &payload);
        }
        client
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!writer.is_finished(), "eight megabytes were taken without a reader");
    for number in 0u32..2000 {
        match session.read() {
            Read::Message(message) => assert_eq!(message.payload[..4], number.to_be_bytes()),
            other => panic!("{other:?} instead of message {number}"),
        }
    }
    drop(writer.join().unwrap());
}

#[test]
fn what_was_sent_before_the_peer_went_can_still_be_read() {
    let reactor = Reactor::start().unwrap();
    let (session, mut client, told) = open(&reactor, holder());
    client.send(1, b"last words");
    drop(client);
    assert_eq!(ended(&told).cause, CloseCause::Eof);
    assert_eq!(session.read(), text(b"last words"));
    assert_eq!(session.read(), Read::Closed(false));
    assert!(readable(&session), "the end stays readable");
    assert_eq!(session.write(Opcode::Text, b"x"), Err(WriteError::Closed));
}

#[test]
fn orderly_close_is_told_once() {
    let reactor = Reactor::start().unwrap();
    let (session, mut client, told) = open(&reactor, holder());
    client.send(8, &[]);
    assert_eq!(client.receive(), (0x88, vec![]));
    assert_eq!(session.read(), Read::Closed(true));
    assert_eq!(session.read(), Read::Closed(false));
    assert_eq!(ended(&told).cause, CloseCause::Peer);
}

#[test]
fn peer_that_does_not_read_holds_the_writer_no_longer_than_allowed() {
    let reactor = Reactor::start().unwrap();
    let limits = Limits { max_queue: 100_000, ..Limits::default() };
    let (session, client, told) = open(&reactor, Setup { limits, ..holder() });
    session.set_write_timeout(Some(Duration::from_millis(50)));
    let start = Instant::now();
    let mut outcome = Ok(());
    for _ in 0..200 {
        outcome = session.write(Opcode::Binary, &[0; 50_000]);
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(WriteError::Overflow));
    assert!((Duration::from_millis(50)..Duration::from_secs(2)).contains(&start.elapsed()));
    assert_eq!(ended(&told).code, Some(CloseCode::INTERNAL_ERROR));
    assert_eq!(session.write(Opcode::Binary, b"x"), Err(WriteError::Closed));
    drop(client);
}

#[test]
fn stalled_peer_does_not_delay_another() {
    let reactor = Reactor::start().unwrap();
    let (_, mut stalled, _told) = open(&reactor, Setup { consumer: Consumer::Echo, ..holder() });
    stalled.0.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let payload = frame(2, &[7; 60_000]);
    while stalled.0.write_all(&payload).is_ok() {}
    let (_, mut other, _told) = open(&reactor, Setup { consumer: Consumer::Echo, ..holder() });
    let start = Instant::now();
    for _ in 0..100 {
        other.send(1, b"quick");
        assert_eq!(other.receive(), (0x81, b"quick".to_vec()));
    }
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn text_that_is_no_utf8_goes_as_binary() {
    let reactor = Reactor::start().unwrap();
    let (session, mut client, _told) = open(&reactor, holder());
    session.write(Opcode::Text, b"caf\xe9").unwrap();
    assert_eq!(client.receive(), (0x82, b"caf\xe9".to_vec()));
}

#[test]
fn abandoned_session_says_goodbye_and_is_forgotten() {
    let reactor = Reactor::start().unwrap();
    let (session, mut client, told) = open(&reactor, holder());
    client.send(1, b"unread");
    eventually("arrived", || session.summary().unread == 1);
    session.abandon();
    drop(session);
    assert_eq!(client.receive(), (0x88, 1000u16.to_be_bytes().to_vec()));
    // It does not answer: the connection is given up after its close timeout.
    assert_eq!(ended(&told).cause, CloseCause::CloseTimeout);
    eventually("forgotten", || reactor.sessions().is_empty());
}

#[test]
fn shutting_the_descriptor_down_wakes_who_polls_it() {
    let reactor = Reactor::start().unwrap();
    let (session, _client, _told) = open(&reactor, holder());
    session.set_nonblocking();
    let theirs = Arc::clone(&session);
    let reader = std::thread::spawn(move || {
        assert!(theirs.wait_for_input(-1).unwrap());
        theirs.read()
    });
    std::thread::sleep(Duration::from_millis(20));
    session.close(1000);
    session.shut_down();
    assert_eq!(reader.join().unwrap(), Read::Closed(false));
}

#[test]
fn panic_ends_its_session_only() {
    struct Bomb(UnixStream);

    impl Stream for Bomb {
        fn fd(&self) -> RawFd {
            self.0.as_raw_fd()
        }

        fn try_read(&mut self, _: &mut [u8]) -> Result<usize, Stalled> {
            panic!("a fault of ours")
        }

        fn try_write(&mut self, _: &[u8]) -> Result<usize, Stalled> {
            Err(Stalled::WantWrite)
        }

        fn has_buffered(&self) -> bool {
            false
        }

        fn shutdown_write(&mut self) {}
    }

    let reactor = Reactor::start().unwrap();
    let (_, mut client, _told) = open(&reactor, Setup { consumer: Consumer::Echo, ..holder() });
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let session = reactor
        .open(Opening {
            stream: Box::new(Bomb(ours)),
            config: Config { role: Role::Server, limits: Limits::default(), timing: Timing::default(), deflate: None },
            consumer: Consumer::Holder,
            info: Info::default(),
            preface: Vec::new(),
            input: Vec::new(),
            on_end: Box::new(|_, _| {}),
        })
        .unwrap();
    theirs.write_all(b"x").unwrap();
    assert!(matches!(theirs.read(&mut [0]), Ok(0) | Err(_)), "the transport is closed");
    assert_eq!(session.read(), Read::Closed(false));
    client.send(1, b"still there");
    assert_eq!(client.receive(), (0x81, b"still there".to_vec()));
    eventually("forgotten", || reactor.sessions().len() == 1);
}

/// The reactor is not woken to learn of it.
#[test]
fn deadline_further_away_than_a_tick_is_met() {
    let reactor = Reactor::start().unwrap();
    let (_first, _client, _told) = open(&reactor, holder());
    eventually("known", || reactor.sessions().len() == 1);
    let start = Instant::now();
    let ping_interval = Some(Duration::from_millis(1500));
    let (_session, mut client, _told) = open(&reactor, Setup { ping_interval, ..holder() });
    assert_eq!(client.receive().0, 0x89);
    assert!((1500..2500).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    client.send(1, b"meanwhile");
    assert_eq!(client.receive().0, 0x89);
    assert!(start.elapsed() >= Duration::from_secs(3));
}

#[test]
fn stopping_closes_every_session_with_1001() {
    let reactor = Reactor::start().unwrap();
    let (_, mut echo, told_echo) = open(&reactor, Setup { consumer: Consumer::Echo, ..holder() });
    let (held, mut client, told) = open(&reactor, holder());
    reactor.stop();
    for client in [&mut echo, &mut client] {
        let (opcode, payload) = client.receive();
        assert_eq!((opcode, &payload[..2]), (0x88, &1001u16.to_be_bytes()[..]));
        assert_eq!(client.0.read(&mut [0]).unwrap(), 0);
    }
    ended(&told_echo);
    ended(&told);
    assert_eq!(held.read(), Read::Closed(false));
    assert!(reactor.sessions().is_empty());
}
