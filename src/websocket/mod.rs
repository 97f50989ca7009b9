//! RFC 6455 and RFC 7692 without I/O: handshake, frames, messages, close, deflate.
//!
//! [`handshake`] reads an upgrade that somebody has already split into header lines and writes
//! the answer; [`Connection`] is everything after it. Neither knows a socket or a clock: bytes and
//! instants are parameters.
//!
//! # Driving a connection
//!
//! After every `handle_*`, `send_*`, `ping` or `close`:
//!
//! 1. take events until [`Connection::poll_event`] gives `None`, or stop when the consumer has
//!    enough: what was not taken bounds what is decoded next. An event is dealt with before the
//!    next is asked for;
//! 2. write [`Connection::poll_output`] and tell how much went by [`Connection::consume`];
//! 3. once [`Connection::wants_shutdown`], shut the write side down (TLS: close_notify, then FIN);
//! 4. once [`Connection::is_finished`], close the descriptor;
//! 5. read only while [`Connection::wants_input`];
//! 6. wake at [`Connection::poll_timeout`] and call [`Connection::handle_timeout`].
//!
//! # Invariants
//!
//! - No allocation depends on a length that a peer claims, only on bytes that it has sent.
//! - What a connection holds is bounded by its [`Limits`] and by one read of its driver.
//! - Nothing a peer sends panics; a violation ends this connection with the close code that the
//!   RFC names for it.
//! - An idle connection holds no buffer.

#![forbid(unsafe_code)]

pub mod close;
pub mod config;
pub mod connection;
pub mod deflate;
pub mod error;
pub mod event;
pub mod frame;
pub mod handshake;
mod mask;
mod output;
mod receive;
mod utf8;

pub use close::CloseCode;
pub use config::{Config, Limits, Role, Timing};
pub use connection::Connection;
pub use error::ProtocolError;
pub use event::{Close, CloseCause, Counters, Event, SendError};
pub use frame::{DataOpcode, Opcode};
pub use receive::Reassembly;
