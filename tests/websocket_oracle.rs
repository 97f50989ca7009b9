//! The connection against tungstenite, an independent implementation, in both roles: seeded
//! messages, fragments, pings and reads cut anywhere must arrive as they were sent.

mod websocket_common;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Instant;

use res_rust_webrtc::websocket::{CloseCause, CloseCode, Connection, DataOpcode, Event, Role};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};
use websocket_common::*;

/// A transport in memory: what tungstenite has written and what it is to read.
#[derive(Debug, Default)]
struct Wire {
    to_oracle: VecDeque<u8>,
    from_oracle: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.to_oracle.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.to_oracle.read(buf)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.from_oracle.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pair {
    now: Instant,
    random: Random,
    oracle: WebSocket<Wire>,
    ours: Connection,
}

impl Pair {
    fn new(seed: u64, role: Role) -> Self {
        let now = Instant::now();
        let other = match role {
            Role::Server => protocol::Role::Client,
            Role::Client { .. } => protocol::Role::Server,
        };
        let mut config = config(role);
        config.limits.max_frame = 1 << 20;
        config.limits.max_message = 1 << 20;
        config.limits.max_queue = 4 << 20;
        Self {
            now,
            random: Random::new(seed),
            oracle: WebSocket::from_raw_socket(Wire::default(), other, Some(WebSocketConfig::default())),
            ours: Connection::new(config, now),
        }
    }

    /// Carries octets to and fro in random pieces and returns what each side has received.
    fn exchange(&mut self) -> (Vec<Event>, Vec<Message>) {
        let mut events = Vec::new();
        let mut messages = Vec::new();
        loop {
            let mut idle = true;
            self.oracle.flush().ok();
            let octets = std::mem::take(&mut self.oracle.get_mut().from_oracle);
            let mut rest = octets.as_slice();
            while !rest.is_empty() {
                idle = false;
                let bound = if self.random.below(3) == 0 { 3 } else { 5000 };
                let size = 1 + self.random.below(bound);
                let (piece, behind) = rest.split_at(size.min(rest.len()));
                rest = behind;
                self.ours.handle_input(self.now, piece);
                while let Some(event) = self.ours.poll_event(self.now) {
                    events.push(event);
                }
            }
            while !self.ours.poll_output().is_empty() {
                idle = false;
                let output = self.ours.poll_output();
                let size = (1 + self.random.below(5000)).min(output.len());
                self.oracle.get_mut().to_oracle.extend(&output[..size]);
                self.ours.consume(self.now, size);
                loop {
                    match self.oracle.read() {
                        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(Error::ConnectionClosed) => break,
                        result => messages.push(result.expect("the oracle does not object")),
                    }
                }
            }
            if idle {
                return (events, messages);
            }
        }
    }

    /// A message of random kind and size; one in eight is long.
    fn message(&mut self) -> (DataOpcode, Vec<u8>) {
        let bound = match self.random.below(8) {
            0 => 100_000,
            1..3 => 1,
            _ => 300,
        };
        let size = self.random.below(bound);
        if self.random.below(2) == 0 {
            (DataOpcode::Text, self.random.text(size).into_bytes())
        } else {
            (DataOpcode::Binary, self.random.octets(size))
        }
    }

    /// The oracle sends a message in random fragments with pings between, and returns how many.
    fn oracle_sends(&mut self, opcode: DataOpcode, payload: &[u8]) -> usize {
        let first = match opcode {
            DataOpcode::Text => Data::Text,
            DataOpcode::Binary => Data::Binary,
        };
        let fragments = 1 + self.random.below(6);
        let mut pings = 0;
        let mut rest = payload;
        for index in 0..fragments {
            let last = index + 1 == fragments;
            let size = if last { rest.len() } else { self.random.below(rest.len() + 1) };
            let (piece, behind) = rest.split_at(size);
            rest = behind;
            let opcode = OpCode::Data(if index == 0 { first } else { Data::Continue });
            let frame = Frame::message(piece.to_vec(), opcode, last);
            self.oracle.send(Message::Frame(frame)).expect("sent");
            if self.random.below(4) == 0 {
                let size = self.random.below(126);
                let payload = self.random.octets(size);
                self.oracle.send(Message::Ping(payload.into())).expect("sent");
                pings += 1;
            }
        }
        pings
    }
}

fn converse(seed: u64, role: Role) {
    let mut pair = Pair::new(seed, role);
    for _ in 0..25 {
        let mut to_us = Vec::new();
        let mut to_oracle = Vec::new();
        let mut pings = 0;
        for _ in 0..pair.random.below(4) {
            let (opcode, payload) = pair.message();
            pings += pair.oracle_sends(opcode, &payload);
            to_us.push(Event::Message { opcode, payload });
        }
        for _ in 0..pair.random.below(4) {
            let (opcode, payload) = pair.message();
            let sent = pair.ours.send_message(pair.now, opcode, &payload);
            assert_eq!(sent, Ok(()));
            to_oracle.push(match opcode {
                DataOpcode::Text => Message::text(String::from_utf8(payload).expect("made of characters")),
                DataOpcode::Binary => Message::binary(payload),
            });
        }
        let (mut events, mut messages) = pair.exchange();
        assert_eq!(events.iter().filter(|e| matches!(e, Event::Ping(_))).count(), pings, "seed {seed}");
        events.retain(|event| matches!(event, Event::Message { .. }));
        assert!(events == to_us, "seed {seed}: what the oracle sent");
        let pongs = messages.len();
        messages.retain(|message| !message.is_pong());
        assert_eq!(pongs - messages.len(), pings, "seed {seed}");
        assert!(messages == to_oracle, "seed {seed}: what we sent");
    }
    if seed.is_multiple_of(2) {
        pair.ours.close(pair.now, CloseCode::GOING_AWAY, "done");
    } else {
        pair.oracle.close(None).expect("sent");
    }
    let (events, messages) = pair.exchange();
    let expected = if seed.is_multiple_of(2) {
        assert!(messages.iter().any(Message::is_close));
        CloseCause::Acknowledged
    } else {
        CloseCause::Peer
    };
    assert_eq!(close(&events).map(|close| close.cause), Some(expected));
    pair.ours.handle_eof(pair.now);
    assert!(pair.ours.is_finished());
    assert!(pair.ours.buffered_bytes() < 1024);
}

#[test]
fn server_converses_with_the_oracle() {
    for seed in 0..20 {
        converse(seed, Role::Server);
    }
}

#[test]
fn client_converses_with_the_oracle() {
    for seed in 100..120 {
        converse(seed, CLIENT);
    }
}
