//! Sessions torn down from every side at once: consumers write, read, close and let go, peers send
//! half frames and vanish, the reactor stops. Whatever the order, each session's end is told once,
//! nothing hangs and nothing is left. The seeds fix what each thread does; the order in which they
//! run is the machine's.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Knuth's MMIX generator: enough to make choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// As Asterisk holds a session: who gives back the last reference lets it go.
struct Held(Arc<Session>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn consume(held: &Held, dice: &mut Dice) {
    let session = &held.0;
    for _ in 0..dice.roll(40) {
        match dice.roll(12) {
            0..=3 => drop(session.write(Opcode::Text, b"a word")),
            4 => drop(session.write(Opcode::Binary, &[7; 70_000])),
            5 | 6 => drop(session.read()),
            7 => drop(session.wait_for_input(1)),
            8 => drop(session.summary()),
            9 => session.set_reassembly(crate::websocket::Reassembly::UpTo(16)),
            10 if dice.roll(4) == 0 => session.close(1000),
            11 if dice.roll(6) == 0 => session.kill(CloseCode::POLICY_VIOLATION, "stress"),
            _ => std::thread::yield_now(),
        }
    }
}

/// What a peer may do; a transport that is gone is no surprise.
fn misbehave(mut client: Client, dice: &mut Dice) {
    client.0.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    client.0.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut buf = [0; 4096];
    for _ in 0..dice.roll(40) {
        let _ = match dice.roll(8) {
            0..=2 => client.0.write(&frame(1, b"hello")),
            3 => client.0.write(&frame(9, b"ping")),
            4 if dice.roll(4) == 0 => client.0.write(&frame(8, &1000u16.to_be_bytes())),
            5 if dice.roll(8) == 0 => client.0.write(&[0x81, 0x01, b'x']),
            6 if dice.roll(8) == 0 => client.0.write(&frame(2, &[1; 500])[..7]),
            _ => client.0.read(&mut buf),
        };
    }
    if dice.roll(2) == 0 {
        let _ = client.0.shutdown(std::net::Shutdown::Write);
        while client.0.read(&mut buf).is_ok_and(|count| count > 0) {}
    }
}

fn round(seed: u64) {
    const SESSIONS: usize = 5;
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let reactor = Reactor::start().unwrap();
    let mut told = Vec::new();
    let mut watched = Vec::new();
    let running = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            let consumer = if dice.roll(4) == 0 { Consumer::Echo } else { Consumer::Holder };
            let limits = Limits { max_queue: 100_000, ..Limits::default() };
            let (session, client, end) = open(&reactor, Setup { consumer, limits, ..holder() });
            session.set_nonblocking();
            session.set_write_timeout(Some(Duration::from_millis(5)));
            told.push(end);
            watched.push(Arc::clone(&session));
            let mut theirs = Dice(dice.roll(u64::from(u32::MAX)));
            scope.spawn(move || misbehave(client, &mut theirs));
            if consumer == Consumer::Echo {
                continue;
            }
            let held = Arc::new(Held(session));
            for _ in 0..3 {
                let held = Arc::clone(&held);
                let mut own = Dice(dice.roll(u64::from(u32::MAX)));
                let running = &running;
                running.fetch_add(1, Ordering::Relaxed);
                scope.spawn(move || {
                    consume(&held, &mut own);
                    drop(held);
                    running.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        // The module may go at any moment.
        std::thread::sleep(Duration::from_micros(dice.roll(4000)));
        reactor.stop();
    });
    assert_eq!(running.load(Ordering::Relaxed), 0);
    for (number, end) in told.iter().enumerate() {
        ended(end);
        assert!(end.try_recv().is_err(), "seed {seed}: the end of session {number} was told twice");
    }
    for session in watched {
        let summary = session.summary();
        assert!(summary.is_over && !summary.is_open, "seed {seed}: session {} lives on", summary.id);
        assert_eq!(session.write(Opcode::Text, b"x"), Err(WriteError::Closed));
        assert_eq!(Arc::strong_count(&session), 1, "seed {seed}: somebody holds a session that is over");
    }
    assert!(reactor.sessions().is_empty());
}

#[test]
fn teardown_from_every_side_in_any_order() {
    for seed in 0..60 {
        round(seed);
    }
}
