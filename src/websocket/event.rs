//! What a connection tells its consumer: messages, the end and its cause, refusals, counters.

use std::fmt;

use super::close::CloseCode;
use super::error::ProtocolError;
use super::frame::DataOpcode;

/// What the consumer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message.
    Message { opcode: DataOpcode, payload: Vec<u8> },
    /// A piece of a message, where [`set_reassembly`](super::Connection::set_reassembly) allows pieces. `fin` marks the
    /// last. Pieces of text may part inside a character; the text as a whole is checked.
    Fragment { opcode: DataOpcode, first: bool, fin: bool, payload: Vec<u8> },
    /// The peer's ping; it has been answered.
    Ping(Vec<u8>),
    /// The peer's pong, asked for or not.
    Pong(Vec<u8>),
    /// The last event: nothing can be sent or received any more.
    Close(Close),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The peer's code where it sent one, else the one that was sent to it; `None` stands for
    /// 1005 after a close frame and for 1006 after anything else.
    pub code: Option<CloseCode>,
    pub reason: String,
    pub cause: CloseCause,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The peer began the close handshake.
    Peer,
    /// The peer completed the close handshake that this side began.
    Acknowledged,
    /// The peer violated the protocol or a limit.
    Violation(ProtocolError),
    /// The transport ended without a close frame.
    Eof,
    /// The transport broke.
    Broken,
    /// Nothing came from the peer for too long.
    IdleTimeout,
    /// The transport took nothing for too long.
    WriteTimeout,
    /// The peer did not answer our close frame.
    CloseTimeout,
    /// This side gave the connection up: [`fail`](super::Connection::fail).
    Failed,
}

impl CloseCause {
    /// The cause without what the peer did: the name of a counter.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Peer => "by the peer",
            Self::Acknowledged => "by this side",
            Self::Violation(_) => "protocol error",
            Self::Eof => "without a close frame",
            Self::Broken => "transport broke",
            Self::IdleTimeout => "nothing heard",
            Self::WriteTimeout => "peer stopped reading",
            Self::CloseTimeout => "close not answered",
            Self::Failed => "given up",
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("closed by the peer"),
            Self::Acknowledged => f.write_str("closed"),
            Self::Violation(error) => write!(f, "protocol error: {error}"),
            Self::Eof => f.write_str("peer went without a close frame"),
            Self::Broken => f.write_str("transport broke"),
            Self::IdleTimeout => f.write_str("nothing heard from the peer"),
            Self::WriteTimeout => f.write_str("peer stopped reading"),
            Self::CloseTimeout => f.write_str("peer did not answer the close frame"),
            Self::Failed => f.write_str("given up"),
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// A close frame has been sent or received.
    Closed,
    /// `max_queue` would be exceeded. Nothing was queued; the caller may wait or [`fail`].
    ///
    /// [`fail`]: super::Connection::fail
    QueueFull,
    /// Text that is not UTF-8, for which the peer would fail the connection.
    InvalidUtf8,
    /// A control frame's payload over 125 octets.
    LongControl,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "connection is closing",
            Self::QueueFull => "output queue is full",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::LongControl => "control payload over 125 bytes",
        })
    }
}

impl std::error::Error for SendError {}

/// What has passed. Octets are the wire's, payloads the consumer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages_in: u64,
    pub messages_out: u64,
    pub payload_in: u64,
    pub payload_out: u64,
    pub octets_in: u64,
    pub octets_out: u64,
    pub pings_in: u64,
    pub pongs_in: u64,
}

impl Counters {
    pub const ZERO: Self = Self {
        messages_in: 0,
        messages_out: 0,
        payload_in: 0,
        payload_out: 0,
        octets_in: 0,
        octets_out: 0,
        pings_in: 0,
        pongs_in: 0,
    };

    /// Adds those of another connection.
    pub fn add(&mut self, other: &Self) {
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.payload_in += other.payload_in;
        self.payload_out += other.payload_out;
        self.octets_in += other.octets_in;
        self.octets_out += other.octets_out;
        self.pings_in += other.pings_in;
        self.pongs_in += other.pongs_in;
    }
}
