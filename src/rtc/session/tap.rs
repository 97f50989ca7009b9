//! The plain packets of a session, for whoever is debugging a call: taken after decryption and
//! before encryption, only while asked for.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::Session;

/// Packets that wait for `poll_plain`; the caller drains after every call, so one batch is enough.
const MAX_WAITING: usize = 64;

/// An RTP or RTCP packet in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Sent by us, not received.
    pub outbound: bool,
    /// The address at this end.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The packet.
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Tap {
    waiting: VecDeque<Plain>,
}

impl Tap {
    pub(super) fn put(&mut self, outbound: bool, local: SocketAddr, remote: SocketAddr, packet: &[u8]) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(Plain { outbound, local, remote, bytes: packet.to_vec() });
        }
    }
}

impl Session {
    /// Begins or ends to keep plain packets for `poll_plain`.
    pub fn set_tap(&mut self, on: bool) {
        if self.tap.is_some() != on {
            self.tap = on.then(Tap::default);
        }
    }

    /// The next plain packet, in the order they were received and sent.
    pub fn poll_plain(&mut self) -> Option<Plain> {
        self.tap.as_mut()?.waiting.pop_front()
    }
}
