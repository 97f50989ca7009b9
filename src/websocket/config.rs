//! What a connection is made with: its end, its limits, its patience.

use std::time::Duration;

use super::deflate::Negotiated;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Server,
    /// A client masks every frame with a key that the peer cannot foretell (§10.3): `mask_key`
    /// draws one from a cryptographic generator.
    Client {
        mask_key: fn() -> [u8; 4],
    },
}

/// How much a connection may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The payload of one received frame; above it 1009.
    pub max_frame: usize,
    /// A received message, once inflated; above it 1009.
    pub max_message: usize,
    /// What may wait to be written. A message that finds the queue empty is taken whatever its
    /// size.
    pub max_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_frame: 64 << 10, max_message: 64 << 10, max_queue: 1 << 20 }
    }
}

/// How long a connection waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A ping is sent so often.
    pub ping_interval: Option<Duration>,
    /// A peer from which nothing has come for so long is given up. With pings on it must exceed
    /// their interval.
    pub idle_timeout: Option<Duration>,
    /// A transport that takes nothing for so long while something waits is given up.
    pub write_timeout: Option<Duration>,
    /// How long the peer has to answer our close frame, and then to end the transport.
    pub close_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(90)),
            write_timeout: Some(Duration::from_secs(10)),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// What a connection is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    pub role: Role,
    pub limits: Limits,
    pub timing: Timing,
    /// permessage-deflate, if the handshake agreed on it.
    pub deflate: Option<Negotiated>,
}
