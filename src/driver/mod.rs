//! Sockets, workers, the clock, the session table: the only room that does I/O.
#![deny(unsafe_code)]

pub mod capture;
pub mod clock;
pub mod interfaces;
pub mod rtp;
#[expect(unsafe_code, reason = "system calls that std does not offer")]
pub mod sys;
pub mod websocket;
