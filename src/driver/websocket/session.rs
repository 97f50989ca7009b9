//! One session: a connection, its transport, and what its consumer has not read yet.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::reactor::Shared;
use super::stream::{Stalled, Stream};
use crate::driver::sys::{self, Interest};
use crate::sync::lock;
use crate::websocket::{
    Close, CloseCause, CloseCode, Config, Connection, Counters, DataOpcode, Event, Opcode, Reassembly, SendError,
};

/// So much may wait for the consumer before the connection is left alone with what it holds.
const MAX_INBOX_MESSAGES: usize = 32;
const MAX_INBOX_BYTES: usize = 256 << 10;

/// Reads of one session before others have their turn.
const MAX_READS: usize = 8;

/// Who gets the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// Nobody outside: each message is sent back by the reactor itself.
    Echo,
    /// The holder of the [`Session`].
    Holder,
}

/// Who is at the other end, for logs and the CLI.
#[derive(Clone, Debug, Default)]
pub struct Info {
    pub peer: String,
    /// The reverse proxy that the peer was named by.
    pub proxy: Option<String>,
    /// Asterisk's identifier of the session.
    pub session_id: String,
    pub subprotocol: String,
    /// The TLS version and cipher suite.
    pub tls: Option<(String, String)>,
    pub user_agent: Option<String>,
}

/// Told of the end.
pub type OnEnd = Box<dyn FnOnce(&Session, &Close) + Send>;

/// What a session is made from.
pub struct Opening {
    pub stream: Box<dyn Stream>,
    pub config: Config,
    pub consumer: Consumer,
    pub info: Info,
    /// To be written before anything else: the handshake's answer.
    pub preface: Vec<u8>,
    /// What the peer sent behind its handshake.
    pub input: Vec<u8>,
    /// Told once, without a lock held, when nothing can be sent or received any more.
    pub on_end: OnEnd,
}

/// A message, or a piece of one where the holder asked for pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub opcode: DataOpcode,
    /// Not the first piece.
    pub continuation: bool,
    /// The last piece, or whole.
    pub fin: bool,
    pub payload: Vec<u8>,
}

/// What [`Session::read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Message(Message),
    /// The session is over; `true` the first time after an orderly close.
    Closed(bool),
    /// Nothing waits.
    Nothing,
}

/// Why [`Session::write`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The session is closing or over.
    Closed,
    /// The queue stayed full; the session has been closed for it.
    Overflow,
    /// Not something that can be sent.
    Unsendable(SendError),
}

/// What the CLI shows of a session.
#[derive(Clone, Debug)]
pub struct Summary {
    pub id: u64,
    pub info: Info,
    pub consumer: Consumer,
    pub age: Duration,
    pub counters: Counters,
    /// Bytes that wait for the peer to take them.
    pub queued: usize,
    /// Messages that wait for the consumer.
    pub unread: usize,
    pub rtt: Option<Duration>,
    pub is_open: bool,
    /// Nothing can be sent or received any more.
    pub is_over: bool,
}

/// A session, shared by the reactor and its consumer.
pub struct Session {
    id: u64,
    info: Info,
    consumer: Consumer,
    opened: Instant,
    reactor: Arc<Shared>,
    state: Mutex<State>,
    /// The output queue has room again, or the session is over.
    room: Condvar,
}

struct State {
    connection: Connection,
    /// Gone once the connection is finished.
    stream: Option<Box<dyn Stream>>,
    preface: Vec<u8>,
    inbox: VecDeque<Message>,
    inbox_bytes: usize,
    /// A message that echo could not send yet.
    owed: Option<(DataOpcode, Vec<u8>)>,
    /// The holder has let go: nobody will read.
    abandoned: bool,
    ended: Option<Close>,
    /// The orderly close has been read.
    close_read: bool,
    on_end: Option<OnEnd>,
    /// The consumer's end, and ours.
    pipe: Option<(UnixStream, UnixStream)>,
    /// A byte lies in the pipe.
    raised: bool,
    registered: Interest,
    read_wants_write: bool,
    write_wants_read: bool,
    write_shut: bool,
    /// When the reactor will look at this session by itself.
    armed: Option<Instant>,
    /// Writers that wait for room.
    waiting: usize,
    write_timeout: Option<Duration>,
    nonblocking: bool,
}

/// What is to be done once the lock is released.
#[derive(Default)]
struct After {
    end: Option<(OnEnd, Close)>,
    room: bool,
    wake_reactor: bool,
}

impl Session {
    pub(super) fn new(id: u64, opening: Opening, reactor: Arc<Shared>, now: Instant) -> (Arc<Self>, Vec<u8>) {
        let state = State {
            connection: Connection::new(opening.config, now),
            stream: Some(opening.stream),
            preface: opening.preface,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            owed: None,
            abandoned: false,
            ended: None,
            close_read: false,
            on_end: Some(opening.on_end),
            pipe: None,
            raised: false,
            registered: Interest::default(),
            read_wants_write: false,
            write_wants_read: false,
            write_shut: false,
            armed: None,
            waiting: 0,
            write_timeout: None,
            nonblocking: false,
        };
        let session = Self {
            id,
            info: opening.info,
            consumer: opening.consumer,
            opened: now,
            reactor,
            state: Mutex::new(state),
            room: Condvar::new(),
        };
        (Arc::new(session), opening.input)
    }

    /// Puts the stream under the reactor's eyes and handles what came with the handshake.
    pub(super) fn start(&self, input: &[u8], now: Instant) -> io::Result<()> {
        let mut state = lock(&self.state);
        let interest = Interest { readable: true, ..Interest::default() };
        let mut buffered = false;
        if let Some(stream) = &state.stream {
            self.reactor.epoll.add(stream.fd(), self.id, interest)?;
            buffered = stream.has_buffered();
            state.registered = interest;
        }
        if !input.is_empty() {
            state.connection.handle_input(now, input);
        }
        self.settle(state, now, false);
        if buffered {
            self.reactor.kick(self.id);
        }
        Ok(())
    }

    /// The reactor's number of the session.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn info(&self) -> &Info {
        &self.info
    }

    /// A message, if one waits. When none does and the holder has not asked for non-blocking
    /// reads, waits for one or for the end.
    pub fn read(&self) -> Read {
        loop {
            let mut state = lock(&self.state);
            if let Some(message) = state.take() {
                self.settle(state, Instant::now(), false);
                return Read::Message(message);
            }
            if let Some(close) = &state.ended {
                let orderly = matches!(close.cause, CloseCause::Peer | CloseCause::Acknowledged) && !state.close_read;
                state.close_read = true;
                return Read::Closed(orderly);
            }
            if state.nonblocking {
                // After `close` there is no message to come: the holder need not wait for the peer.
                return if state.connection.is_open() { Read::Nothing } else { Read::Closed(false) };
            }
            drop(state);
            if self.wait_for_input(-1).is_err() {
                return Read::Closed(false);
            }
        }
    }

    /// Whether something can be read within `timeout` milliseconds, negative for as long as it
    /// takes.
    pub fn wait_for_input(&self, timeout: i32) -> io::Result<bool> {
        let fd = {
            let mut state = lock(&self.state);
            if state.is_readable() {
                return Ok(true);
            }
            state.pipe_fd()?
        };
        let deadline = u64::try_from(timeout).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
        loop {
            let left = deadline.map_or(-1, |at| {
                i32::try_from(at.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(i32::MAX)
            });
            match sys::poll_readable(fd, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// A descriptor that is readable exactly while a message or the end of the session waits. It
    /// stays the same for the life of the session. The holder may shut it down, which wakes
    /// whoever polls it; reading from it or writing to it is not for him.
    pub fn fd(&self) -> io::Result<RawFd> {
        lock(&self.state).pipe_fd()
    }

    /// Queues a message and writes what the transport takes at once. While the queue has no room
    /// the caller is held for as long as [`Self::set_write_timeout`] allows; then the session is
    /// closed with 1011.
    pub fn write(&self, opcode: Opcode, payload: &[u8]) -> Result<(), WriteError> {
        let mut now = Instant::now();
        let mut state = lock(&self.state);
        let deadline = state.write_timeout.and_then(|timeout| now.checked_add(timeout));
        loop {
            match state.send(now, opcode, payload) {
                Ok(()) => {
                    self.settle(state, now, false);
                    return Ok(());
                }
                Err(SendError::QueueFull) => {}
                Err(SendError::Closed) => return Err(WriteError::Closed),
                Err(error) => return Err(WriteError::Unsendable(error)),
            }
            if deadline.is_some_and(|at| at <= now) {
                state.connection.fail(now, CloseCode::INTERNAL_ERROR, "peer reads too slowly");
                self.settle(state, now, false);
                return Err(WriteError::Overflow);
            }
            state.waiting += 1;
            let held = deadline.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(now));
            state = match self.room.wait_timeout(state, held) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            state.waiting -= 1;
            now = Instant::now();
        }
    }

    /// Begins the close handshake; the reactor finishes it.
    pub fn close(&self, code: u16) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let code = CloseCode::new(code).unwrap_or(CloseCode::NORMAL);
        state.connection.close(now, code, "");
        self.settle(state, now, false);
    }

    /// Closes without waiting for the peer's answer.
    pub fn kill(&self, code: CloseCode, reason: &str) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.connection.fail(now, code, reason);
        self.settle(state, now, false);
    }

    /// The holder will not read any more. What he has not read is dropped and the session closed.
    pub fn abandon(&self) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.abandoned = true;
        state.inbox = VecDeque::new();
        state.inbox_bytes = 0;
        state.connection.close(now, CloseCode::NORMAL, "");
        self.settle(state, now, false);
        // Nobody polls it any more.
        let pipe = lock(&self.state).pipe.take();
        drop(pipe);
    }

    /// What res_pjsip_transport_websocket does to the descriptor.
    #[cfg(test)]
    pub(super) fn shut_down(&self) {
        if let Some((theirs, _)) = &lock(&self.state).pipe {
            theirs.shutdown(std::net::Shutdown::Both).unwrap();
        }
    }

    /// Reads shall not wait.
    pub fn set_nonblocking(&self) {
        lock(&self.state).nonblocking = true;
    }

    /// How long a writer may be held while the queue is full, `None` until the connection itself
    /// gives the peer up.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        lock(&self.state).write_timeout = timeout;
    }

    /// Whether fragments are put together.
    pub fn set_reassembly(&self, reassembly: Reassembly) {
        lock(&self.state).connection.set_reassembly(reassembly);
    }

    pub fn summary(&self) -> Summary {
        let state = lock(&self.state);
        Summary {
            id: self.id,
            info: self.info.clone(),
            consumer: self.consumer,
            age: self.opened.elapsed(),
            counters: state.connection.counters(),
            queued: state.connection.queued_bytes(),
            unread: state.inbox.len(),
            rtt: state.connection.rtt(),
            is_open: state.connection.is_open(),
            is_over: state.ended.is_some(),
        }
    }

    /// The reactor's turn: reads what there is, acts on what is due, writes. `Some` with the
    /// stream once the session is over for good; what is to be looked at again, and when, is left
    /// in `again` and `due`.
    pub(super) fn turn(&self, event: Option<sys::Ready>, scratch: &mut [u8], now: Instant) -> Turn {
        let mut state = lock(&self.state);
        state.armed = None;
        state.connection.handle_timeout(now);
        let again = state.pump(self.consumer, event, scratch, now);
        self.settle(state, now, true);

        let mut state = lock(&self.state);
        if state.connection.is_finished() {
            return Turn::Finished(state.stream.take());
        }
        let due = state.connection.poll_timeout();
        state.armed = due;
        Turn::Wait { due, again }
    }

    /// Closes the transport, whatever state the session is in.
    pub(super) fn release(&self) {
        let mut state = lock(&self.state);
        state.connection.handle_broken();
        let stream = state.stream.take();
        self.settle(state, Instant::now(), true);
        drop(stream);
    }

    /// Brings everything in line with the connection's state, releases the lock, and does what
    /// must be done without it.
    fn settle(&self, mut state: MutexGuard<'_, State>, now: Instant, in_reactor: bool) {
        let mut after = After::default();
        state.deliver(self.consumer, now);
        if state.flush(now) {
            // Room in the queue may let echo go on, and the connection decode what it held back.
            state.deliver(self.consumer, now);
            state.flush(now);
        }
        state.raise();
        if state.ended.is_some()
            && let Some(on_end) = state.on_end.take()
            && let Some(close) = state.ended.clone()
        {
            after.end = Some((on_end, close));
        }
        after.room = state.waiting > 0;
        let interest = state.interest();
        let is_finished = state.connection.is_finished();
        if interest != state.registered
            && !is_finished
            && let Some(stream) = &state.stream
            && self.reactor.epoll.modify(stream.fd(), self.id, interest).is_ok()
        {
            // Bytes that are decrypted already wake no poll.
            after.wake_reactor = interest.readable && !state.registered.readable && stream.has_buffered();
            state.registered = interest;
        }
        let due = state.connection.poll_timeout();
        after.wake_reactor |= is_finished && state.stream.is_some();
        let due = due.filter(|due| state.armed.is_none_or(|armed| *due < armed));
        if due.is_some() {
            // Told once: the reactor will have learnt of it by then.
            state.armed = due;
        }
        drop(state);

        if after.room {
            self.room.notify_all();
        }
        if let Some((on_end, close)) = after.end {
            on_end(self, &close);
        }
        match due {
            _ if in_reactor => {}
            _ if after.wake_reactor => self.reactor.kick(self.id),
            Some(due) => self.reactor.kick_by(self.id, now, due),
            None => {}
        }
    }
}

/// What the reactor is to do with a session after its turn.
pub(super) enum Turn {
    Wait {
        /// The next turn at the latest.
        due: Option<Instant>,
        /// There is more to read that no poll tells of.
        again: bool,
    },
    /// To be dropped without a lock held.
    Finished(Option<Box<dyn Stream>>),
}

impl State {
    /// Feeds the connection from the transport. True when bytes are left that wake no poll.
    fn pump(&mut self, consumer: Consumer, event: Option<sys::Ready>, scratch: &mut [u8], now: Instant) -> bool {
        // A turn without an event is a timer's or was asked for because bytes are buffered.
        let hang_up = event.is_some_and(|event| event.hangup);
        if event.is_some_and(|event| !event.readable) && !hang_up && !self.read_wants_write {
            return false;
        }
        for _ in 0..MAX_READS {
            let Some(stream) = &mut self.stream else { return false };
            if !self.connection.wants_input() {
                // Neither direction works any more: waiting for the consumer would be a busy loop,
                // since hang-ups cannot be masked.
                if hang_up {
                    self.connection.handle_broken();
                }
                return false;
            }
            self.read_wants_write = false;
            match stream.try_read(scratch) {
                Ok(count) => {
                    let more = count == scratch.len() || stream.has_buffered();
                    self.connection.handle_input(now, scratch.get(..count).unwrap_or_default());
                    self.deliver(consumer, now);
                    if !more {
                        return false;
                    }
                }
                Err(Stalled::WantRead) => return false,
                Err(Stalled::WantWrite) => {
                    self.read_wants_write = true;
                    return false;
                }
                Err(Stalled::Eof) => {
                    self.connection.handle_eof(now);
                    return false;
                }
                Err(Stalled::Broken(why)) => {
                    log::debug!(target: "ws", "reading: {why}");
                    self.connection.handle_broken();
                    return false;
                }
            }
        }
        self.stream.as_ref().is_some_and(|stream| stream.has_buffered())
    }

    /// Moves what the connection has decoded to whoever gets it, as far as he keeps up.
    fn deliver(&mut self, consumer: Consumer, now: Instant) {
        loop {
            if let Some((opcode, payload)) = self.owed.take()
                && self.connection.send_message(now, opcode, &payload) == Err(SendError::QueueFull)
            {
                self.owed = Some((opcode, payload));
                return;
            }
            if self.inbox.len() >= MAX_INBOX_MESSAGES || self.inbox_bytes >= MAX_INBOX_BYTES {
                return;
            }
            let Some(event) = self.connection.poll_event(now) else { return };
            let message = match event {
                Event::Message { opcode, payload } => Message { opcode, continuation: false, fin: true, payload },
                Event::Fragment { opcode, first, fin, payload } => {
                    Message { opcode, continuation: !first, fin, payload }
                }
                Event::Ping(_) | Event::Pong(_) => continue,
                Event::Close(close) => {
                    self.ended = Some(close);
                    continue;
                }
            };
            match consumer {
                _ if self.abandoned => {}
                Consumer::Echo => self.owed = Some((message.opcode, message.payload)),
                Consumer::Holder => {
                    self.inbox_bytes += message.payload.len();
                    self.inbox.push_back(message);
                }
            }
        }
    }

    /// Writes what the transport takes. True when something went.
    fn flush(&mut self, now: Instant) -> bool {
        let Some(stream) = &mut self.stream else { return false };
        let mut went = false;
        loop {
            let preface = !self.preface.is_empty();
            let pending = if preface { self.preface.as_slice() } else { self.connection.poll_output() };
            if pending.is_empty() {
                break;
            }
            self.write_wants_read = false;
            match stream.try_write(pending) {
                Ok(count) if preface => {
                    self.preface.drain(..count.min(self.preface.len()));
                    if self.preface.is_empty() {
                        self.preface = Vec::new();
                    }
                }
                Ok(count) => {
                    self.connection.consume(now, count);
                    went = true;
                }
                Err(Stalled::WantWrite) => break,
                Err(Stalled::WantRead) => {
                    self.write_wants_read = true;
                    break;
                }
                Err(stalled @ (Stalled::Eof | Stalled::Broken(_))) => {
                    log::debug!(target: "ws", "writing: {stalled}");
                    self.connection.handle_broken();
                    went = true;
                    break;
                }
            }
        }
        if self.connection.wants_shutdown() && !self.write_shut {
            stream.shutdown_write();
            self.write_shut = true;
        }
        went
    }

    fn send(&mut self, now: Instant, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        match opcode {
            Opcode::Text => match self.connection.send_message(now, DataOpcode::Text, payload) {
                // A browser would fail the connection. SIP may use either kind (RFC 7118 §4.2).
                Err(SendError::InvalidUtf8) => self.connection.send_message(now, DataOpcode::Binary, payload),
                outcome => outcome,
            },
            Opcode::Binary => self.connection.send_message(now, DataOpcode::Binary, payload),
            Opcode::Ping => self.connection.ping(now, payload),
            Opcode::Pong => self.connection.pong(now, payload),
            Opcode::Close | Opcode::Continuation => Err(SendError::Closed),
        }
    }

    fn take(&mut self) -> Option<Message> {
        let message = self.inbox.pop_front()?;
        self.inbox_bytes = self.inbox_bytes.saturating_sub(message.payload.len());
        if self.inbox.is_empty() {
            self.inbox = VecDeque::new();
        }
        Some(message)
    }

    fn is_readable(&self) -> bool {
        !self.inbox.is_empty() || self.ended.is_some()
    }

    fn pipe_fd(&mut self) -> io::Result<RawFd> {
        if self.pipe.is_none() {
            self.pipe = Some(sys::socket_pair()?);
            self.raised = false;
            self.raise();
        }
        self.pipe.as_ref().map(|(theirs, _)| theirs.as_raw_fd()).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Keeps a byte in the pipe while something can be read.
    fn raise(&mut self) {
        let wanted = self.is_readable();
        if wanted == self.raised {
            return;
        }
        let Some((theirs, ours)) = &mut self.pipe else { return };
        self.raised = wanted;
        // Fails only when the holder has shut his end down, and then it is readable anyway.
        let _ = if wanted { ours.write(&[1]) } else { theirs.read(&mut [0]) };
    }

    fn interest(&self) -> Interest {
        let output = !self.preface.is_empty() || !self.connection.poll_output().is_empty();
        Interest {
            readable: self.connection.wants_input() || self.write_wants_read,
            writable: output && !self.write_wants_read || self.read_wants_write,
            edge: false,
        }
    }
}
