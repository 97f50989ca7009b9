//! DTLS with OpenSSL, on datagrams in memory.
//!
//! A [`Context`] holds what sessions share: certificate, ciphers, verification. A [`Connection`]
//! is one association; it is fed datagrams and gives datagrams. There is no socket and no thread;
//! only the retransmission timer reads the library's own (wall) clock.

mod connection;
mod context;
mod queue;

pub use connection::{Connection, PeerDigest, Rejected, Role, Step};
pub use context::{Config, Context, Version};
