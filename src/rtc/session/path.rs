//! Where media goes and comes from without ICE.
//!
//! Strict RTP: the first source that is believed is kept, and packets from other addresses are
//! dropped, so that nobody who guesses a port can take the stream (AST-2017-008). The signalled
//! address is believed at once, another one after a number of packets in sequence.

use std::net::SocketAddr;

/// The peer's address of one component.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    signalled: Option<SocketAddr>,
    learned: Option<SocketAddr>,
    candidate: Option<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    next: u16,
    count: u8,
}

/// What a packet's source address means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The one that is known.
    Known,
    /// It is known from now on.
    Learned,
    /// Not to be believed.
    Refused,
}

impl Path {
    /// Another address is signalled: learn anew. `c=0.0.0.0` and port 0 are none.
    pub(super) fn set_remote(&mut self, remote: Option<SocketAddr>) {
        let remote = remote.filter(|at| !at.ip().is_unspecified() && at.port() != 0);
        if self.signalled != remote {
            *self = Path { signalled: remote, learned: None, candidate: None };
        }
    }

    pub(super) fn signalled(&self) -> Option<SocketAddr> {
        self.signalled
    }

    pub(super) fn learned(&self) -> Option<SocketAddr> {
        self.learned
    }

    /// Where to send.
    pub(super) fn destination(&self, symmetric: bool) -> Option<SocketAddr> {
        match symmetric {
            true => self.learned.or(self.signalled),
            false => self.signalled,
        }
    }

    /// Believes a source whose packet was authenticated.
    pub(super) fn authenticated(&mut self, source: SocketAddr) -> Source {
        if self.learned == Some(source) {
            return Source::Known;
        }
        self.learned = Some(source);
        self.candidate = None;
        Source::Learned
    }

    /// Judges the source of an RTP packet that nothing authenticates.
    pub(super) fn judge(&mut self, source: SocketAddr, seq: u16, strict: bool, probation: u8) -> Source {
        if self.learned == Some(source) {
            return Source::Known;
        }
        if !strict || (self.learned.is_none() && self.signalled == Some(source)) {
            return self.authenticated(source);
        }
        if self.learned.is_some() {
            return Source::Refused;
        }
        let count = match self.candidate {
            Some(candidate) if candidate.source == source && candidate.next == seq => candidate.count.saturating_add(1),
            _ => 1,
        };
        if count >= probation.max(1) {
            return self.authenticated(source);
        }
        self.candidate = Some(Candidate { source, next: seq.wrapping_add(1), count });
        Source::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_signalled_address_is_believed_and_kept() {
        let (peer, other) = (address("192.0.2.1:1"), address("192.0.2.9:9"));
        let mut path = Path::default();
        path.set_remote(Some(peer));
        assert_eq!(path.judge(peer, 5, true, 4), Source::Learned);
        for seq in 0..100 {
            assert_eq!(path.judge(other, seq, true, 4), Source::Refused);
        }
        assert_eq!(path.judge(peer, 6, true, 4), Source::Known);
        // Signalled again, it changes nothing; another one does.
        path.set_remote(Some(peer));
        assert_eq!(path.learned(), Some(peer));
        path.set_remote(Some(other));
        assert_eq!(path.learned(), None);
        for nowhere in ["0.0.0.0:9", "[::]:9", "192.0.2.1:0"] {
            path.set_remote(Some(address(nowhere)));
            assert_eq!(path.destination(true), None);
        }
    }

    #[test]
    fn another_address_is_believed_after_packets_in_sequence() {
        let (peer, nat) = (address("10.0.0.1:1"), address("192.0.2.9:9"));
        let mut path = Path::default();
        path.set_remote(Some(peer));
        assert_eq!(path.judge(nat, 10, true, 4), Source::Refused);
        assert_eq!(path.judge(nat, 11, true, 4), Source::Refused);
        // A break begins the count anew.
        assert_eq!(path.judge(nat, 20, true, 4), Source::Refused);
        assert_eq!(path.judge(nat, 21, true, 4), Source::Refused);
        assert_eq!(path.judge(nat, 22, true, 4), Source::Refused);
        assert_eq!(path.judge(nat, 23, true, 4), Source::Learned);
        assert_eq!(path.destination(true), Some(nat));
        assert_eq!(path.destination(false), Some(peer));
        assert_eq!(path.judge(peer, 24, true, 4), Source::Refused);
    }

    #[test]
    fn without_strictness_every_address_is_followed() {
        let (peer, other) = (address("192.0.2.1:1"), address("192.0.2.9:9"));
        let mut path = Path::default();
        assert_eq!(path.judge(peer, 5, false, 4), Source::Learned);
        assert_eq!(path.judge(other, 5, false, 4), Source::Learned);
        assert_eq!(path.judge(other, 6, false, 4), Source::Known);
    }
}
