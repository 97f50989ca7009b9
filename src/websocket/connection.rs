//! One connection after the handshake: events, answers to control frames, the close handshake,
//! keep-alive, limits (RFC 6455 §5.5, §7).
//!
//! ```text
//!            close(), fail                     peer's Close
//!   Open ───────────────────▶ Closing ─────────────────────────▶ Draining ──▶ Finished
//!     └── peer's Close, or a violation: Close is sent at once ──────┘   EOF, or linger over
//! ```
//! In `Draining` nothing that comes in has a meaning any more. The driver writes what is left,
//! shuts the write side down and reads until EOF, so that our close frame is not lost to a reset
//! which unread input would cause (RFC 6455 §7.1.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::close::{self, CloseCode};
use super::config::{Config, Role, Timing};
use super::deflate::codec::{Deflater, Direction, Inflater};
use super::error::ProtocolError;
use super::event::{Close, CloseCause, Counters, Event, SendError};
use super::frame::{DataOpcode, Header, Opcode};
use super::output::Output;
use super::receive::{Reassembly, Received, Receiver};

/// Decoding pauses at so many events that nobody has taken.
const MAX_EVENTS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Draining,
    Finished,
}

/// An end that came in behind events which the consumer has not dealt with.
#[derive(Debug)]
enum Ending {
    Close { code: Option<CloseCode>, reason: String },
    Violation(ProtocolError),
}

/// A connection.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    timing: Timing,
    max_queue: usize,
    max_backlog: usize,
    phase: Phase,
    receiver: Receiver,
    /// Input that waits for the consumer to take events.
    held: Vec<u8>,
    /// The transport's input has ended; acted on once `held` is decoded.
    eof: bool,
    events: VecDeque<Event>,
    /// The payloads in `events`.
    backlog: usize,
    /// The consumer has taken an event and not come back for the next.
    in_hand: bool,
    /// Acted on once the consumer comes back and `events` is empty: what it answers to them still
    /// goes out ahead of the close frame. `close_deadline` bounds the wait.
    ending: Option<Ending>,
    /// [`Event::Close`] is in `events` or has been taken.
    ended: bool,
    output: Output,
    deflater: Option<Deflater>,
    /// A pong that found the queue full; only the latest matters (§5.5.3).
    owed_pong: Option<Vec<u8>>,
    last_heard: Instant,
    next_ping: Option<Instant>,
    close_deadline: Option<Instant>,
    ping_sequence: u64,
    /// The ping under way.
    ping_sent: Option<Instant>,
    rtt: Option<Duration>,
    counters: Counters,
}

impl Connection {
    /// A connection whose handshake is done.
    pub fn new(config: Config, now: Instant) -> Self {
        let is_server = matches!(config.role, Role::Server);
        let (deflater, inflater) = match config.deflate {
            Some(agreed) => {
                let server = Direction {
                    no_context_takeover: agreed.server_no_context_takeover,
                    window_bits: agreed.server_max_window_bits.unwrap_or(15),
                };
                let client = Direction {
                    no_context_takeover: agreed.client_no_context_takeover,
                    window_bits: agreed.client_max_window_bits.unwrap_or(15),
                };
                let (out, into) = if is_server { (server, client) } else { (client, server) };
                (Some(Deflater::new(out, agreed.level)), Some(Inflater::new(into)))
            }
            None => (None, None),
        };
        Self {
            role: config.role,
            timing: config.timing,
            max_queue: config.limits.max_queue,
            max_backlog: config.limits.max_message,
            phase: Phase::Open,
            receiver: Receiver::new(is_server, config.limits.max_frame, config.limits.max_message, inflater),
            held: Vec::new(),
            eof: false,
            events: VecDeque::new(),
            backlog: 0,
            in_hand: false,
            ending: None,
            ended: false,
            output: Output::default(),
            deflater,
            owed_pong: None,
            last_heard: now,
            next_ping: config.timing.ping_interval.and_then(|i| now.checked_add(i)),
            close_deadline: None,
            ping_sequence: 0,
            ping_sent: None,
            rtt: None,
            counters: Counters::default(),
        }
    }

    // What the transport and the clock bring.

    /// Takes what the transport has read. All of it is taken; what cannot be decoded before the
    /// consumer has taken events is kept, and [`Self::wants_input`] is false meanwhile.
    pub fn handle_input(&mut self, now: Instant, data: &[u8]) {
        self.counters.octets_in += data.len() as u64;
        self.last_heard = now;
        if self.held.is_empty() {
            let left = self.decode(now, data);
            self.held.extend_from_slice(left);
        } else {
            self.held.extend_from_slice(data);
            self.decode_held(now);
        }
    }

    /// The transport's input has ended.
    pub fn handle_eof(&mut self, now: Instant) {
        self.eof = true;
        self.decode_held(now);
    }

    /// The transport is broken: nothing more can be read or written.
    pub fn handle_broken(&mut self) {
        self.end(None, String::new(), CloseCause::Broken);
        self.finish();
    }

    /// Acts on every deadline that `now` has reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        let reached = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if reached(self.write_deadline()) {
            self.end(None, String::new(), CloseCause::WriteTimeout);
            self.finish();
        }
        if reached(self.close_deadline) && !self.conclude(now) {
            self.end(None, String::new(), CloseCause::CloseTimeout);
            self.finish();
        }
        if reached(self.idle_deadline()) {
            self.fail_for(now, CloseCode::GOING_AWAY, "idle", CloseCause::IdleTimeout);
        }
        if self.phase == Phase::Open && reached(self.next_ping) {
            self.next_ping = self.timing.ping_interval.and_then(|i| now.checked_add(i));
            self.ping_sequence = self.ping_sequence.wrapping_add(1);
            let payload = self.ping_sequence.to_be_bytes();
            if self.control(now, Opcode::Ping, &payload).is_ok() {
                self.ping_sent = Some(now);
            }
        }
    }

    /// When [`Self::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ping = self.next_ping.filter(|_| self.phase == Phase::Open);
        [ping, self.idle_deadline(), self.write_deadline(), self.close_deadline].into_iter().flatten().min()
    }

    // What the consumer is given.

    /// The next event. To call it again says that the one before has been dealt with: a peer's
    /// close frame or violation behind it is acted on only then, or after `close_timeout`.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let was_heard = self.wants_input();
        self.in_hand = false;
        if self.events.is_empty() {
            self.conclude(now);
        }
        let event = self.events.pop_front()?;
        self.in_hand = true;
        self.backlog = self.backlog.saturating_sub(weight(&event));
        if self.events.is_empty() {
            if self.events.capacity() > 8 {
                self.events = VecDeque::new();
            }
            self.decode_held(now);
        }
        if !was_heard {
            // The peer could not be heard while the consumer was slow.
            self.last_heard = now;
        }
        Some(event)
    }

    /// Whether [`Self::poll_event`] has something to give.
    pub fn has_event(&self) -> bool {
        !self.events.is_empty() || self.ending.is_some()
    }

    // What the consumer asks for.

    /// Queues a message, compressed if that was agreed.
    pub fn send_message(&mut self, now: Instant, opcode: DataOpcode, payload: &[u8]) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        if opcode == DataOpcode::Text && std::str::from_utf8(payload).is_err() {
            return Err(SendError::InvalidUtf8);
        }
        // Judged by the plain length: once compressed a message must be sent, for the peer's
        // window depends on it.
        if !self.output.is_empty() && payload.len() > self.max_queue.saturating_sub(self.output.len()) {
            return Err(SendError::QueueFull);
        }
        let mut compressed = Vec::new();
        let rsv1 = match &mut self.deflater {
            Some(deflater) => deflater.deflate(payload, &mut compressed),
            None => false,
        };
        let body = if rsv1 { &compressed } else { payload };
        self.push(now, opcode.into(), rsv1, body);
        self.counters.messages_out += 1;
        self.counters.payload_out += payload.len() as u64;
        Ok(())
    }

    /// Queues a ping. The round-trip time is measured with the connection's own pings only.
    pub fn ping(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        self.control(now, Opcode::Ping, payload)
    }

    /// Queues a pong that nobody asked for (§5.5.3); pings are answered without it.
    pub fn pong(&mut self, now: Instant, payload: &[u8]) -> Result<(), SendError> {
        self.control(now, Opcode::Pong, payload)
    }

    /// Begins the close handshake; [`Event::Close`] tells its end. Messages that come after this
    /// are dropped. Again, or after the peer's close frame, it does nothing.
    pub fn close(&mut self, now: Instant, code: CloseCode, reason: &str) {
        if self.conclude(now) || self.phase != Phase::Open {
            return;
        }
        self.push(now, Opcode::Close, false, &close::payload(Some(code), reason));
        self.phase = Phase::Closing;
        self.owed_pong = None;
        self.close_deadline = now.checked_add(self.timing.close_timeout);
        self.receiver.discard();
        self.decode_held(now);
    }

    /// Ends the connection without waiting for the peer's close frame, for a reason of this
    /// side's own: 1008 or 1011 when a queue overflows, 1001 when the module goes.
    pub fn fail(&mut self, now: Instant, code: CloseCode, reason: &str) {
        self.fail_for(now, code, reason, CloseCause::Failed);
    }

    /// Whether fragments are put together. By default they are.
    pub fn set_reassembly(&mut self, reassembly: Reassembly) {
        self.receiver.set_reassembly(reassembly);
    }

    /// Changes the time that the transport may take nothing: `ast_websocket_set_timeout`.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.timing.write_timeout = timeout;
    }

    // What the driver needs to know.

    /// What is to be written next; empty when there is nothing. Until it is consumed it stays
    /// what it was, though more may be appended and its address change: over TLS that takes
    /// SSL_MODE_ENABLE_PARTIAL_WRITE and SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER.
    pub fn poll_output(&self) -> &[u8] {
        self.output.pending()
    }

    /// The transport has taken `count` octets of [`Self::poll_output`].
    pub fn consume(&mut self, now: Instant, count: usize) {
        self.counters.octets_out += count.min(self.output.len()) as u64;
        self.output.consume(now, count);
        if self.phase == Phase::Open
            && self.output.len() < self.max_queue
            && let Some(payload) = self.owed_pong.take()
        {
            self.push(now, Opcode::Pong, false, &payload);
        }
    }

    /// How much waits to be written.
    pub fn queued_bytes(&self) -> usize {
        self.output.len()
    }

    /// Whether the transport should be read. False while the consumer has events to take.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Open if self.ending.is_some() => !self.eof,
            Phase::Open => self.held.is_empty() && !self.is_backlogged() && !self.eof,
            Phase::Closing | Phase::Draining => !self.eof,
            Phase::Finished => false,
        }
    }

    /// Whether the transport's write side should be shut down now. A client leaves that to the
    /// server (§7.1.1) and follows.
    pub fn wants_shutdown(&self) -> bool {
        self.phase == Phase::Draining && self.output.is_empty() && (self.eof || matches!(self.role, Role::Server))
    }

    /// Whether the transport may be closed.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished || self.phase == Phase::Draining && self.output.is_empty() && self.eof
    }

    /// Whether messages may still be sent.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// The round-trip time of the last ping that was answered.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// What has passed.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The heap that input, output and events hold at the moment.
    pub fn buffered_bytes(&self) -> usize {
        self.receiver.buffered()
            + self.held.capacity()
            + self.output.buffered()
            + self.backlog
            + self.events.capacity() * size_of::<Event>()
    }

    // Inside.

    /// Decodes `data` as far as the backlog allows and returns what is left.
    fn decode<'a>(&mut self, now: Instant, mut data: &'a [u8]) -> &'a [u8] {
        while self.is_decoding() && !self.is_backlogged() {
            match self.receiver.next(&mut data) {
                Ok(Some(received)) => self.receive(now, received),
                Ok(None) => break,
                Err(error) => self.meet(now, Ending::Violation(error)),
            }
        }
        if self.is_decoding() { data } else { &[] }
    }

    fn is_decoding(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing) && self.ending.is_none()
    }

    fn decode_held(&mut self, now: Instant) {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let left = self.decode(now, &held);
            if left.len() == held.len() {
                self.held = held;
            } else {
                self.held = left.to_vec();
            }
        }
        if self.eof && self.held.is_empty() && self.is_decoding() {
            self.end(None, String::new(), CloseCause::Eof);
            self.finish();
        }
    }

    /// After our close frame messages are dropped unseen, so that none can pile up.
    fn is_backlogged(&self) -> bool {
        self.phase == Phase::Open && (self.events.len() >= MAX_EVENTS || self.backlog >= self.max_backlog)
    }

    fn receive(&mut self, now: Instant, received: Received) {
        let event = match received {
            Received::Message { opcode, payload } => {
                self.counters.messages_in += 1;
                self.counters.payload_in += payload.len() as u64;
                Event::Message { opcode, payload }
            }
            Received::Fragment { opcode, first, fin, payload } => {
                self.counters.messages_in += u64::from(fin);
                self.counters.payload_in += payload.len() as u64;
                Event::Fragment { opcode, first, fin, payload }
            }
            Received::Ping(payload) => {
                self.counters.pings_in += 1;
                if self.control(now, Opcode::Pong, &payload) == Err(SendError::QueueFull) {
                    self.owed_pong = Some(payload.clone());
                }
                Event::Ping(payload)
            }
            Received::Pong(payload) => {
                self.counters.pongs_in += 1;
                if payload == self.ping_sequence.to_be_bytes()
                    && let Some(sent) = self.ping_sent.take()
                {
                    self.rtt = Some(now.saturating_duration_since(sent));
                }
                Event::Pong(payload)
            }
            Received::Close { code, reason } => {
                self.meet(now, Ending::Close { code, reason });
                return;
            }
        };
        if self.phase == Phase::Open {
            self.backlog += weight(&event);
            self.events.push_back(event);
        }
    }

    /// The peer ends the connection, by a close frame or a violation.
    fn meet(&mut self, now: Instant, ending: Ending) {
        let is_last = self.events.is_empty() && !self.in_hand;
        self.ending = Some(ending);
        if self.phase == Phase::Closing || is_last {
            self.conclude(now);
        } else {
            self.close_deadline = now.checked_add(self.timing.close_timeout);
            self.receiver.discard();
        }
    }

    /// Acts on the end that was met, if there is one.
    fn conclude(&mut self, now: Instant) -> bool {
        match self.ending.take() {
            None => return false,
            Some(Ending::Violation(error)) => {
                self.fail_for(now, error.close_code(), &error.to_string(), CloseCause::Violation(error));
            }
            Some(Ending::Close { code, reason }) => {
                let cause = if self.phase == Phase::Open {
                    self.push(now, Opcode::Close, false, &close::payload(code, ""));
                    CloseCause::Peer
                } else {
                    CloseCause::Acknowledged
                };
                self.drain(now);
                self.end(code, reason, cause);
            }
        }
        true
    }

    /// Sends a close frame unless one was sent, and takes nothing more from the peer.
    fn fail_for(&mut self, now: Instant, code: CloseCode, reason: &str, cause: CloseCause) {
        match self.phase {
            Phase::Open => {
                self.push(now, Opcode::Close, false, &close::payload(Some(code), reason));
            }
            Phase::Closing => {}
            Phase::Draining | Phase::Finished => return,
        }
        self.drain(now);
        self.end(Some(code), reason.to_owned(), cause);
    }

    /// Queues a control frame of the consumer's or a pong, within the queue's bound.
    fn control(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        if self.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        if payload.len() > 125 {
            return Err(SendError::LongControl);
        }
        if self.output.len() >= self.max_queue {
            return Err(SendError::QueueFull);
        }
        self.push(now, opcode, false, payload);
        Ok(())
    }

    fn push(&mut self, now: Instant, opcode: Opcode, rsv1: bool, payload: &[u8]) {
        let mask = match self.role {
            Role::Server => None,
            Role::Client { mask_key } => Some(mask_key()),
        };
        let header = Header { fin: true, rsv1, opcode, mask, length: payload.len() as u64 };
        self.output.push(now, header, payload);
    }

    /// Our close frame is queued or sent and the peer's is of no more interest: write, linger,
    /// end.
    fn drain(&mut self, now: Instant) {
        self.phase = Phase::Draining;
        self.close_deadline = now.checked_add(self.timing.close_timeout);
        self.release();
    }

    fn finish(&mut self) {
        self.phase = Phase::Finished;
        self.close_deadline = None;
        self.output.clear();
        self.release();
    }

    fn release(&mut self) {
        self.receiver.discard();
        self.deflater = None;
        self.owed_pong = None;
        self.ending = None;
        self.held = Vec::new();
    }

    /// Tells the consumer of the end, once.
    fn end(&mut self, code: Option<CloseCode>, reason: String, cause: CloseCause) {
        if !std::mem::replace(&mut self.ended, true) {
            self.events.push_back(Event::Close(Close { code, reason, cause }));
        }
    }

    /// A consumer that takes no events keeps the peer from being read, which is no fault of the
    /// peer's.
    fn idle_deadline(&self) -> Option<Instant> {
        let timeout = self.timing.idle_timeout?;
        if self.phase == Phase::Open && self.ending.is_none() && self.wants_input() {
            self.last_heard.checked_add(timeout)
        } else {
            None
        }
    }

    fn write_deadline(&self) -> Option<Instant> {
        self.output.waiting_since()?.checked_add(self.timing.write_timeout?)
    }
}

/// What an event counts for in the backlog.
fn weight(event: &Event) -> usize {
    match event {
        Event::Message { payload, .. }
        | Event::Fragment { payload, .. }
        | Event::Ping(payload)
        | Event::Pong(payload) => payload.len(),
        Event::Close(_) => 0,
    }
}

#[cfg(test)]
mod tests;
