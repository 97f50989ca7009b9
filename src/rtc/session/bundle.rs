//! BUNDLE (RFC 8843): several streams, each a session of its own, over the transport of one.
//!
//! The session with the transport has ICE, DTLS and SRTP. The others, its members, have none: what
//! they send comes out of `poll_bundled` in the clear and goes nowhere but into `send_plain` of
//! the transport, which protects it. What arrives at the transport and is a member's comes out as
//! [`Received::Foreign`] or [`Event::Foreign`], decrypted, and goes into `handle_plain` of the
//! member. Neither knows the other: the caller carries packets from one to the other, and so never
//! needs both locked.
//!
//! Whose a packet is (RFC 8843 §9.2): the stream's that signalled its SSRC, or had a packet with
//! that SSRC before; else the only one's that negotiated its payload type. RTCP goes to whoever it
//! says something of.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::{Event, MAX_TRANSMITS, Received, RtcpMode, Session};
use crate::rtc::demux::{self, Protocol};
use crate::rtc::error::{Discard, SendError};
use crate::rtc::ice::Component;
use crate::rtc::rtcp::{self, Packet};
use crate::rtc::rtp;

/// Streams that one transport may carry beside its own.
const MAX_MEMBERS: usize = 64;
/// SSRCs of one stream that are remembered beside the one signalled; the oldest gives way.
const MAX_LEARNED: usize = 8;

/// What tells a stream's packets from those of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The SSRC of what we send.
    pub ssrc: u32,
    /// The SSRC that the peer has signalled for what it sends.
    pub remote_ssrc: Option<u32>,
    /// The payload types negotiated for this stream.
    pub payload_types: Vec<u8>,
}

/// The path of the transport, for its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundlePath {
    /// Paths are told by several threads: an older one does not replace a newer one.
    generation: u64,
    route: Option<(SocketAddr, SocketAddr)>,
}

/// A stream and what was learned of it.
#[derive(Default)]
struct Stream {
    id: u64,
    signalled: Member,
    learned: VecDeque<u32>,
}

impl Stream {
    fn has(&self, ssrc: u32) -> bool {
        self.signalled.remote_ssrc == Some(ssrc) || self.learned.contains(&ssrc)
    }

    fn learn(&mut self, ssrc: u32) {
        if self.learned.len() >= MAX_LEARNED {
            self.learned.pop_front();
        }
        self.learned.push_back(ssrc);
    }
}

/// A member's side.
struct Joined {
    path: Option<(SocketAddr, SocketAddr)>,
    generation: u64,
    out: VecDeque<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Bundle {
    /// This session's own stream.
    own: Stream,
    /// The streams of others over this session's transport.
    members: Vec<Stream>,
    /// There are members, or were: what still comes for one that has left is not ours.
    shared: bool,
    /// The path that members were told, once they were.
    told: Option<Option<(SocketAddr, SocketAddr)>>,
    generation: u64,
    /// This session is a member.
    joined: Option<Joined>,
}

impl Bundle {
    /// The SSRC that was signalled for what the peer sends.
    pub(super) fn remote_ssrc(&self) -> Option<u32> {
        self.own.signalled.remote_ssrc
    }

    /// Where a member's packets go, `None` in a session with a transport of its own.
    pub(super) fn path(&self) -> Option<Option<(SocketAddr, SocketAddr)>> {
        Some(self.joined.as_ref()?.path)
    }

    /// Whose stream a packet is of: `None` for this session's own.
    fn owner(&mut self, ssrc: u32, pt: u8) -> Result<Option<u64>, Discard> {
        let of = |stream: &Stream| (stream.id != 0).then_some(stream.id);
        if let Some(stream) = std::iter::once(&self.own).chain(&self.members).find(|stream| stream.has(ssrc)) {
            return Ok(of(stream));
        }
        let streams = std::iter::once(&mut self.own).chain(&mut self.members);
        let mut claiming = streams.filter(|stream| stream.signalled.payload_types.contains(&pt));
        match (claiming.next(), claiming.next()) {
            (Some(stream), None) => {
                stream.learn(ssrc);
                Ok(of(stream))
            }
            _ => Err(Discard::UnknownSource),
        }
    }

    /// A signalled SSRC is no other stream's, whatever was learned before.
    fn forget(&mut self, ssrc: u32) {
        self.own.learned.retain(|learned| *learned != ssrc);
        for member in &mut self.members {
            member.learned.retain(|learned| *learned != ssrc);
        }
    }
}

/// Whether a packet of RTCP says something of a stream that we send as `ours`, and that the peer
/// sends with an SSRC of `theirs`.
fn concerns(packet: &Packet<'_>, ours: u32, theirs: impl Fn(u32) -> bool) -> bool {
    match *packet {
        Packet::SenderReport { ssrc, .. } | Packet::ReceiverReport { ssrc, .. } => {
            theirs(ssrc) || packet.blocks().any(|block| block.ssrc == ours)
        }
        Packet::Bye { .. } => packet.ssrcs().any(theirs),
        Packet::Remb { .. } => packet.ssrcs().any(|ssrc| ssrc == ours),
        Packet::Pli { media, .. }
        | Packet::Fir { media, .. }
        | Packet::Nack { media, .. }
        | Packet::TransportCc { media, .. } => media == ours,
        Packet::SourceDescription | Packet::App { .. } | Packet::Other { .. } => false,
    }
}

impl Session {
    /// The SSRC that signalling gave for what the peer sends.
    pub fn set_remote_ssrc(&mut self, ssrc: u32) {
        self.bundle.forget(ssrc);
        self.bundle.own.signalled.remote_ssrc = Some(ssrc);
    }

    /// The payload types that were negotiated for this stream and not merely have a meaning.
    pub fn set_bundle_payload_types(&mut self, payload_types: &[u8]) {
        self.bundle.own.signalled.payload_types = payload_types.to_vec();
    }

    /// What a transport has to know of this session.
    pub fn membership(&self) -> Member {
        Member { ssrc: self.sent.ssrc(), ..self.bundle.own.signalled.clone() }
    }

    /// Makes this session a member: it gives up whatever transport it had, and waits to be told a
    /// path.
    pub fn join_bundle(&mut self) {
        self.disable_ice();
        self.security.clear();
        self.paths = Default::default();
        // What was on its way to another transport.
        self.transmits.clear();
        // Servers learn that what they lent is not needed; that still leaves by our own socket.
        self.stop_gathering(Component::Rtp);
        self.stop_gathering(Component::Rtcp);
        self.bundle.joined = Some(Joined { path: None, generation: 0, out: VecDeque::new() });
    }

    /// Ends the membership. The session has no path then, and no keys.
    pub fn leave_bundle(&mut self) {
        self.bundle.joined = None;
        // Kept as it was handed over: in the clear.
        self.repair.resend.clear();
    }

    /// Whether this session is a member of a bundle.
    pub fn is_bundled(&self) -> bool {
        self.bundle.joined.is_some()
    }

    /// The transport has a path, or has lost it.
    pub fn set_bundle_path(&mut self, now: Instant, path: BundlePath) {
        let Some(joined) = &mut self.bundle.joined else {
            return;
        };
        if path.generation <= joined.generation {
            return;
        }
        let begins = joined.path.is_none() && path.route.is_some();
        joined.generation = path.generation;
        joined.path = path.route;
        if begins {
            self.begin_video(now);
            self.release_held(now);
        }
    }

    /// The next packet for the transport, in the clear.
    pub fn poll_bundled(&mut self) -> Option<Vec<u8>> {
        self.bundle.joined.as_mut()?.out.pop_front()
    }

    /// Queues a packet for the transport; gives it back if this session is no member.
    pub(super) fn hand_over(&mut self, packet: Vec<u8>) -> Result<Result<(), SendError>, Vec<u8>> {
        match &mut self.bundle.joined {
            None => Err(packet),
            Some(joined) if joined.out.len() >= MAX_TRANSMITS => {
                self.recycle(packet);
                self.tx_dropped += 1;
                Ok(Err(SendError::QueueFull))
            }
            Some(joined) => {
                joined.out.push_back(packet);
                Ok(Ok(()))
            }
        }
    }

    /// Takes an RTP packet or RTCP compound that the transport has received and decrypted.
    pub fn handle_plain<'b>(&mut self, now: Instant, packet: &'b [u8]) -> Received<'b> {
        match self.receive_plain(now, packet) {
            Ok(received) => received,
            Err(reason) => {
                self.discards.count(reason);
                Received::Discarded(reason)
            }
        }
    }

    fn receive_plain<'b>(&mut self, now: Instant, packet: &'b [u8]) -> Result<Received<'b>, Discard> {
        if self.closed {
            return Err(Discard::Closed);
        }
        if !self.is_bundled() {
            return Err(Discard::Unexpected);
        }
        match demux::classify(packet) {
            Some(Protocol::Rtp) => {
                let header = rtp::parse(packet).map_err(|_| Discard::RtpMalformed)?;
                if header.ssrc == self.sent.ssrc() {
                    return Err(Discard::OwnSsrc);
                }
                // The transport has authenticated its source.
                self.accept_rtp(now, header, packet, true)
            }
            Some(Protocol::Rtcp) => {
                if self.rtcp_mode == RtcpMode::Off {
                    return Err(Discard::RtcpUnexpected);
                }
                self.control.note_compound();
                for packet in rtcp::packets(packet).flatten() {
                    let signalled = self.bundle.remote_ssrc();
                    let theirs = |ssrc| signalled == Some(ssrc) || self.received.iter().any(|s| s.ssrc == ssrc);
                    if concerns(&packet, self.sent.ssrc(), theirs) {
                        self.rtcp_packet(now, packet);
                    }
                }
                Ok(Received::Handled)
            }
            _ => Err(Discard::UnknownProtocol),
        }
    }

    /// Lets stream `id`, not 0, use this session's transport, or changes what is known of it.
    /// Members are told the path again.
    pub fn set_member(&mut self, id: u64, member: Member) {
        if let Some(ssrc) = member.remote_ssrc {
            self.bundle.forget(ssrc);
        }
        if let Some(known) = self.bundle.members.iter_mut().find(|known| known.id == id) {
            known.signalled = member;
        } else if self.bundle.members.len() < MAX_MEMBERS {
            self.bundle.members.push(Stream { id, signalled: member, ..Stream::default() });
            self.bundle.shared = true;
            self.bundle.told = None;
        }
    }

    /// Stream `id` no longer uses this session's transport.
    pub fn remove_member(&mut self, id: u64) {
        self.bundle.members.retain(|known| known.id != id);
    }

    /// What members are to be told by `set_bundle_path`, if it has changed.
    pub fn poll_bundle_path(&mut self) -> Option<BundlePath> {
        if self.bundle.members.is_empty() {
            return None;
        }
        let route = self.readiness(Component::Rtp).ok().and_then(|()| self.route(Component::Rtp));
        if self.bundle.told == Some(route) {
            return None;
        }
        self.bundle.told = Some(route);
        self.bundle.generation += 1;
        Some(BundlePath { generation: self.bundle.generation, route })
    }

    /// Protects and sends a packet of a member. Without keys and a path it is dropped: the member
    /// holds what can wait.
    pub fn send_plain(&mut self, mut packet: Vec<u8>) -> Result<(), SendError> {
        let rtcp = demux::classify(&packet) == Some(Protocol::Rtcp);
        let component = if rtcp { self.rtcp_component() } else { Component::Rtp };
        let sent = match (self.readiness(component), self.route(component)) {
            (Ok(()), Some(route)) => self.protect(component, rtcp, &mut packet).map(|()| route),
            (Err(reason), _) => Err(reason),
            (Ok(()), None) => Err(SendError::NoPath),
        };
        match sent {
            Ok(route) => self.transmit(component, route, packet),
            Err(reason) => {
                self.recycle(packet);
                self.tx_dropped += 1;
                Err(reason)
            }
        }
    }

    fn protect(&mut self, component: Component, rtcp: bool, packet: &mut Vec<u8>) -> Result<(), SendError> {
        if !self.security.is_required() {
            return Ok(());
        }
        let context = self.security.tx(component).ok_or(SendError::Srtp)?;
        let protected = if rtcp { context.protect_rtcp(packet) } else { context.protect_rtp(packet) };
        protected.map_err(|_| SendError::Srtp)
    }

    /// The member that an RTP packet belongs to; `None` if it is this session's own.
    pub(super) fn member_of(&mut self, header: &rtp::Header) -> Result<Option<u64>, Discard> {
        if !self.bundle.shared {
            return Ok(None);
        }
        self.bundle.owner(header.ssrc, header.pt)
    }

    /// Gives a compound to every member it says something of.
    pub(super) fn share_compound(&mut self, compound: &[u8]) {
        let concerned: Vec<u64> = self
            .bundle
            .members
            .iter()
            .filter(|member| {
                rtcp::packets(compound).flatten().any(|p| concerns(&p, member.signalled.ssrc, |s| member.has(s)))
            })
            .map(|member| member.id)
            .collect();
        for member in concerned {
            self.event(Event::Foreign { member, packet: compound.to_vec() });
        }
    }

    /// Whether a packet of RTCP is for this session: it says something of our own stream, or, other
    /// than a report, nothing of a member's.
    pub(super) fn is_own(&self, packet: &Packet<'_>) -> bool {
        if self.bundle.members.is_empty() {
            return true;
        }
        let report = matches!(packet, Packet::SenderReport { .. } | Packet::ReceiverReport { .. });
        let theirs = |ssrc| self.bundle.own.has(ssrc) || self.received.iter().any(|s| s.ssrc == ssrc);
        concerns(packet, self.sent.ssrc(), theirs)
            || !report && !self.bundle.members.iter().any(|m| concerns(packet, m.signalled.ssrc, |s| m.has(s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Bundle {
        let mut bundle = Bundle::default();
        bundle.own.signalled = Member { ssrc: 1, remote_ssrc: Some(100), payload_types: vec![111, 0] };
        let video = |id, ssrc| Stream {
            id,
            signalled: Member { ssrc, remote_ssrc: Some(ssrc * 100), payload_types: vec![96] },
            ..Stream::default()
        };
        bundle.members.push(video(2, 2));
        bundle
    }

    #[test]
    fn an_ssrc_that_was_signalled_decides_before_the_payload_type() {
        let mut bundle = bundle();
        assert_eq!(bundle.owner(100, 96), Ok(None));
        assert_eq!(bundle.owner(200, 111), Ok(Some(2)));
    }

    #[test]
    fn a_payload_type_decides_if_it_is_one_stream_s_alone_and_the_ssrc_is_learned() {
        let mut bundle = bundle();
        assert_eq!(bundle.owner(7, 96), Ok(Some(2)));
        assert_eq!(bundle.owner(8, 0), Ok(None));
        let second = Member { ssrc: 3, remote_ssrc: None, payload_types: vec![96] };
        bundle.members.push(Stream { id: 3, signalled: second, ..Stream::default() });
        assert_eq!(bundle.owner(7, 96), Ok(Some(2)), "learned while it was unique");
        assert_eq!(bundle.owner(9, 96), Err(Discard::UnknownSource));
        assert_eq!(bundle.owner(9, 50), Err(Discard::UnknownSource));
    }

    #[test]
    fn what_is_learned_is_bounded_and_gives_way_to_what_is_signalled() {
        let mut bundle = bundle();
        for ssrc in 1000..2000 {
            assert_eq!(bundle.owner(ssrc, 96), Ok(Some(2)));
        }
        assert_eq!(bundle.members[0].learned.len(), MAX_LEARNED);
        bundle.forget(1999);
        bundle.own.signalled.remote_ssrc = Some(1999);
        assert_eq!(bundle.owner(1999, 96), Ok(None));
    }
}
