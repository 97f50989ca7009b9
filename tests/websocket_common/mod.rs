//! What the WebSocket tests share: a connection in a test's hands, frames made by hand, and a
//! seeded generator.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::{Duration, Instant};

use res_rust_webrtc::websocket::deflate::Negotiated;
use res_rust_webrtc::websocket::{Close, CloseCause, Config, Connection, Event, Limits, ProtocolError, Role, Timing};

/// A key that hides nothing; what masks look like is not of interest here.
pub const CLIENT: Role = Role::Client { mask_key: || [0x5a, 0x01, 0xff, 0x80] };

pub fn config(role: Role) -> Config {
    Config {
        role,
        limits: Limits::default(),
        timing: Timing {
            ping_interval: None,
            idle_timeout: None,
            write_timeout: Some(Duration::from_secs(10)),
            close_timeout: Duration::from_secs(5),
        },
        deflate: None,
    }
}

pub fn server(now: Instant) -> Connection {
    Connection::new(config(Role::Server), now)
}

pub fn deflate(no_context_takeover: bool, window_bits: u8) -> Negotiated {
    Negotiated {
        server_no_context_takeover: no_context_takeover,
        client_no_context_takeover: no_context_takeover,
        server_max_window_bits: Some(window_bits),
        client_max_window_bits: Some(window_bits),
        level: 6,
    }
}

/// A client's frame, `first` being FIN, RSV and opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = header(first, payload.len() as u64, 0x80);
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b));
    out
}

/// A header without a masking key; `masked` is the MASK bit.
pub fn header(first: u8, length: u64, masked: u8) -> Vec<u8> {
    let mut out = vec![first];
    if length < 126 {
        out.push(masked | length as u8);
    } else if length <= 0xffff {
        out.push(masked | 126);
        out.extend_from_slice(&(length as u16).to_be_bytes());
    } else {
        out.push(masked | 127);
        out.extend_from_slice(&length.to_be_bytes());
    }
    out
}

pub fn events(connection: &mut Connection, now: Instant) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event(now)).collect()
}

/// Feeds the octets and takes all events.
pub fn feed(connection: &mut Connection, now: Instant, octets: &[u8]) -> Vec<Event> {
    connection.handle_input(now, octets);
    events(connection, now)
}

/// Takes all output.
pub fn written(connection: &mut Connection, now: Instant) -> Vec<u8> {
    let mut out = Vec::new();
    while !connection.poll_output().is_empty() {
        let piece = connection.poll_output().to_vec();
        connection.consume(now, piece.len());
        out.extend(piece);
    }
    out
}

/// The payloads of whole messages.
pub fn payloads(events: &[Event]) -> Vec<Vec<u8>> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Message { payload, .. } => Some(payload.clone()),
            _ => None,
        })
        .collect()
}

pub fn close(events: &[Event]) -> Option<&Close> {
    events.iter().find_map(|event| match event {
        Event::Close(close) => Some(close),
        _ => None,
    })
}

/// Feeds `octets` to a new server and expects it to fail with `error`, sending its code.
pub fn assert_refused(octets: &[u8], error: ProtocolError) {
    let now = Instant::now();
    let mut server = server(now);
    let events = feed(&mut server, now, octets);
    assert_eq!(close(&events).map(|close| close.cause), Some(CloseCause::Violation(error)));
    assert!(payloads(&events).is_empty(), "nothing of it is delivered");
    let out = written(&mut server, now);
    assert_eq!(out[0], 0x88);
    assert_eq!(out[2..4], error.close_code().get().to_be_bytes());
    assert!(server.wants_shutdown());
}

/// xorshift64*: the same sequence for the same seed on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) as usize) % bound.max(1)
    }

    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 56) as u8).collect()
    }

    /// Text of the given number of characters, of one to four octets each.
    pub fn text(&mut self, characters: usize) -> String {
        (0..characters)
            .map(|_| match self.below(5) {
                0 => 'é',
                1 => '€',
                2 => '😀',
                _ => char::from(b' ' + self.below(95) as u8),
            })
            .collect()
    }
}
