//! A WebRTC media session without I/O: demultiplexing, ICE, DTLS, SRTP, RTP and RTCP.
//!
//! ```text
//! datagram ─▶ gather ─ what servers answer, and what comes through a relay, taken out of it
//!          ─▶ demux ─┬─ STUN ──▶ ice                (who may speak, and where to)
//!                    ├─ DTLS ──▶ dtls ──▶ keys
//!                    └─ RTP/RTCP ─▶ srtp ─▶ rtp │ rtcp │ dtmf ─▶ Received, Event
//! frame ─▶ rtp ─▶ srtp ─▶ Transmit
//! ```
//!
//! [`session::Session`] joins the layers; each of them is usable alone. Nothing here opens a
//! socket or reads a clock: packets and time come in by `handle_*`, and datagrams, events and the
//! next deadline go out by `poll_*`. The caller drains all three after every call that takes
//! `&mut Session`.
//!
//! Input from the network is never trusted: what cannot be used is counted under an
//! [`error::Discard`] and dropped, every queue has a bound, and nothing panics.

#![forbid(unsafe_code)]

pub mod crypto;
pub mod demux;
pub mod dtls;
pub mod dtmf;
pub mod error;
pub mod gather;
pub mod ice;
pub mod rtcp;
pub mod rtp;
pub mod sdes;
pub mod session;
pub mod srtp;
pub mod stats;

pub use error::{Discard, SendError};
pub use session::{Config, Event, Received, Session, Transmit};
