//! What a session needs of a connection's transport. Implemented by whoever owns the socket: on
//! Asterisk's HTTP server a plain or a TLS stream, in tests a socket pair.

use std::fmt;
use std::os::fd::RawFd;

/// A connected, non-blocking byte stream. Dropping it closes the descriptor.
pub trait Stream: Send {
    /// The descriptor to wait on.
    fn fd(&self) -> RawFd;

    /// Reads at least one byte.
    fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, Stalled>;

    /// Writes at least one byte. After [`Stalled::WantRead`] or [`Stalled::WantWrite`] the same
    /// bytes come first in the next call.
    fn try_write(&mut self, data: &[u8]) -> Result<usize, Stalled>;

    /// Whether bytes can be read of which the descriptor's readiness tells nothing.
    fn has_buffered(&self) -> bool;

    /// Nothing will be written any more: close_notify where there is TLS, then FIN.
    fn shutdown_write(&mut self);
}

/// Why nothing could be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// Until the descriptor is readable.
    WantRead,
    /// Until the descriptor is writable.
    WantWrite,
    /// For good: the peer has ended its direction.
    Eof,
    /// For good.
    Broken(String),
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WantRead => f.write_str("waits for input"),
            Self::WantWrite => f.write_str("waits for room"),
            Self::Eof => f.write_str("ended by the peer"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}
