//! WebSocket sessions on real sockets: one thread reads and writes them all.
//!
//! A [`Session`] joins the pure [`Connection`](crate::websocket::Connection) with a [`Stream`]
//! that somebody else opened. The reactor's thread reads the stream to its end, so that nothing
//! decrypted is ever left where no poll sees it, and queues whole messages for the consumer, whose
//! descriptor ([`Session::fd`]) is readable exactly while one waits. Consumers' threads write: they
//! append to the connection's bounded queue and push what the socket takes at once; the reactor
//! writes the rest.
//!
//! # Locks
//!
//! A session's state has one mutex. It is held for computing and for system calls that do not
//! block, never while waiting. Logging, closing the stream and telling of the end happen after it
//! was released. The reactor's table is locked for look-ups only and never together with a
//! session.
#![forbid(unsafe_code)]

mod ledger;
mod reactor;
mod seats;
mod session;
mod stream;

pub use ledger::{Ledger, Totals};
pub use reactor::Reactor;
pub use seats::{Seat, Seats};
pub use session::{Consumer, Info, Message, Opening, Read, Session, Summary, WriteError};
pub use stream::{Stalled, Stream};

#[cfg(test)]
mod tests;
