//! Datagrams from the peer: STUN, DTLS, RTP and RTCP told apart, checked, decrypted in place.

use std::net::SocketAddr;
use std::time::Instant;

use super::path::Source;
use super::security::HeldPacket;
use super::{Event, HeldRtp, PayloadKind, Received, RtcpMode, RtpPacket, Session, slot};
use crate::rtc::demux::{self, Protocol};
use crate::rtc::error::Discard;
use crate::rtc::gather;
use crate::rtc::ice::Component;
use crate::rtc::rtp::{self, Accepted, ReceivedStream, SequenceError};
use crate::rtc::srtp;

/// Sources of the peer that are remembered; the one heard least recently gives way.
const MAX_SOURCES: usize = 8;

fn of_srtp(discard: srtp::Discard) -> Discard {
    match discard {
        srtp::Discard::Replayed | srtp::Discard::TooOld => Discard::SrtpReplay,
        srtp::Discard::NotAuthentic => Discard::SrtpAuthentication,
        _ => Discard::SrtpRefused,
    }
}

impl Session {
    /// Takes a datagram that arrived on `component`'s socket, at its address `local`, from
    /// `remote`. SRTP is decrypted in `datagram`, and the media returned lies in it.
    ///
    /// `local` is the address it was sent to; with a socket bound to the wildcard address and ICE,
    /// the wildcard with the socket's port will do.
    pub fn handle_datagram<'b>(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Received<'b> {
        match self.receive(now, component, local, remote, datagram) {
            Ok(received) => received,
            Err(reason) => {
                self.discards.count(reason);
                Received::Discarded(reason)
            }
        }
    }

    fn receive<'b>(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        if self.closed {
            return Err(Discard::Closed);
        }
        if self.is_bundled() {
            return Err(Discard::Bundled);
        }
        if datagram.is_empty() {
            return Err(Discard::Empty);
        }
        match self.receive_gathering(now, component, local, remote, datagram) {
            gather::Received::NotOurs => {}
            gather::Received::Handled => return Ok(Received::Handled),
            gather::Received::Relayed { relay, peer, place } => {
                let inner = datagram.get_mut(place).ok_or(Discard::TurnChannel)?;
                return self.receive(now, component, relay, peer, inner);
            }
        }
        match demux::classify(datagram).ok_or(Discard::UnknownProtocol)? {
            Protocol::Rtp => self.receive_rtp(now, component, local, remote, datagram),
            Protocol::Rtcp => {
                self.receive_rtcp(now, component, local, remote, datagram)?;
                Ok(Received::Handled)
            }
            Protocol::Stun => {
                self.handle_stun(now, component, local, remote, datagram)?;
                Ok(Received::Handled)
            }
            Protocol::Dtls => {
                self.handle_dtls(now, component, local, remote, datagram)?;
                Ok(Received::Handled)
            }
            Protocol::TurnChannel => Err(Discard::TurnChannel),
        }
    }

    fn receive_rtp<'b>(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Result<Received<'b>, Discard> {
        if component != Component::Rtp {
            return Err(Discard::RtpOnRtcpComponent);
        }
        let header = rtp::parse(datagram).map_err(|_| Discard::RtpMalformed)?;
        if header.ssrc == self.sent.ssrc() {
            return Err(Discard::OwnSsrc);
        }
        let encrypted = self.security.is_required();
        if let Some(ice) = &self.ice {
            if !ice.is_validated(component, remote) {
                return Err(Discard::SourceNotValidated);
            }
        } else if !encrypted {
            // Before its source is believed nothing of a packet is.
            self.judge_source(component, remote, header.seq)?;
        }
        let packet = if encrypted {
            let Some(context) = self.security.rx(component) else {
                self.hold_received(now, component, local, remote, datagram)?;
                return Ok(Received::Handled);
            };
            let len = context.unprotect_rtp(datagram).map_err(of_srtp)?;
            self.authenticated_source(now, component, local, remote);
            datagram.get(..len).ok_or(Discard::SrtpRefused)?
        } else {
            &*datagram
        };
        if let Some(tap) = &mut self.tap {
            tap.put(false, local, remote, packet);
        }
        if let Some(member) = self.member_of(&header)? {
            return Ok(Received::Foreign { member, packet });
        }
        self.accept_rtp(now, header, packet, encrypted)
    }

    /// Takes a packet of this session's own stream, decrypted. `trusted`: its source is authentic.
    pub(super) fn accept_rtp<'b>(
        &mut self,
        now: Instant,
        header: rtp::Header,
        packet: &'b [u8],
        trusted: bool,
    ) -> Result<Received<'b>, Discard> {
        let payload = header.payload(packet).map_err(|_| Discard::RtpMalformed)?;

        let payload_type = self.payload_type(header.pt);
        if payload_type.is_none() && self.config.check_payload_types && !self.payload_types.is_empty() {
            return Err(Discard::PayloadType);
        }
        let clock_rate = payload_type.map_or(8000, |t| t.clock_rate);
        let kind = payload_type.map_or(PayloadKind::Media, |t| t.kind);

        let accepted = self.note_packet(now, &header, payload.len(), trusted)?;
        self.note_transport_cc(now, &header, packet);
        if kind == PayloadKind::Video {
            self.note_video(now, header.ssrc, accepted);
        }
        if kind != PayloadKind::TelephoneEvent
            && let Some(stream) = self.received.last_mut()
        {
            stream.timing(now, header.timestamp, clock_rate);
        }
        if self.control.schedule.poll_timeout().is_none() {
            self.schedule_report(now);
        }
        if kind == PayloadKind::TelephoneEvent {
            let digits = self
                .dtmf_receiver
                .packet(now, header.timestamp, header.marker, clock_rate, payload)
                .map_err(|_| Discard::DtmfMalformed)?;
            digits.into_iter().flatten().for_each(|d| self.digit(d));
            return Ok(Received::Handled);
        }
        if payload.is_empty() && kind != PayloadKind::Video {
            // A keep-alive (RFC 6263), or padding alone. Not so for video, which browsers pad to
            // probe the network: whoever gets it passed on would take the missing number for loss.
            return Ok(Received::Handled);
        }
        Ok(Received::Media(RtpPacket {
            pt: header.pt,
            kind,
            marker: header.marker,
            seq: header.seq,
            ext_seq: accepted.ext_seq,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
            arrival: now,
            payload,
        }))
    }

    /// Takes note of a packet in the stream of its source, which is the last element afterwards.
    fn note_packet(
        &mut self,
        now: Instant,
        header: &rtp::Header,
        payload: usize,
        trusted: bool,
    ) -> Result<Accepted, Discard> {
        let old = self.remote_ssrc();
        if old != Some(header.ssrc) {
            match self.received.iter().position(|s| s.ssrc == header.ssrc) {
                Some(at) => {
                    if let Some(later) = self.received.get_mut(at..) {
                        later.rotate_left(1);
                    }
                }
                None => {
                    if self.received.len() >= MAX_SOURCES {
                        self.received.remove(0);
                    }
                    let stream = ReceivedStream::new(header.ssrc, header.seq, 0);
                    self.received.push(stream);
                }
            }
            self.event(Event::SsrcChanged { old, new: header.ssrc });
        }
        let stream = self.received.last_mut().ok_or(Discard::Unexpected)?;
        let accepted = stream.packet(now, header.seq, payload, trusted);
        match accepted {
            Ok(accepted) => Ok(accepted),
            Err(SequenceError::Probation) => Err(Discard::Probation),
            Err(SequenceError::Duplicate) => Err(Discard::Duplicate),
        }
    }

    /// Without ICE and encryption: whether the source is the one that was learned.
    fn judge_source(&mut self, component: Component, remote: SocketAddr, seq: u16) -> Result<(), Discard> {
        let strict = self.config.strict_rtp;
        let probation = self.config.probation;
        let symmetric = self.config.symmetric_rtp;
        let Some(path) = self.paths.get_mut(slot(component)) else {
            return Err(Discard::Unexpected);
        };
        if path.signalled().is_none() && strict {
            return Err(Discard::Unexpected);
        }
        match path.judge(remote, seq, strict, probation) {
            Source::Known => Ok(()),
            Source::Learned => {
                if symmetric && path.signalled() != Some(remote) {
                    self.event(Event::RemoteLearned { component, remote });
                }
                Ok(())
            }
            Source::Refused => Err(Discard::SourceNotLearned),
        }
    }

    /// An authentic packet came from `remote`: that is where the peer is.
    pub(super) fn authenticated_source(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        if self.ice.is_some() {
            self.ice_media_from(now, component, local, remote);
            return;
        }
        let symmetric = self.config.symmetric_rtp;
        if let Some(path) = self.paths.get_mut(slot(component))
            && path.authenticated(remote) == Source::Learned
            && symmetric
            && path.signalled() != Some(remote)
        {
            self.event(Event::RemoteLearned { component, remote });
        }
    }

    pub(super) fn hold_received(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        self.security.hold(HeldPacket { arrival: now, component, local, remote, bytes: datagram.to_vec() })
    }

    /// Takes the packets that came before the keys.
    pub(super) fn release_received(&mut self, now: Instant) {
        for mut held in self.security.take_held() {
            let arrival = held.arrival.min(now);
            let bytes = held.bytes.as_mut_slice();
            match self.handle_datagram(arrival, held.component, held.local, held.remote, bytes) {
                Received::Media(packet) => {
                    let owned = HeldRtp::from(packet);
                    self.event(Event::Media(owned));
                }
                Received::Foreign { member, packet } => {
                    let packet = packet.to_vec();
                    self.event(Event::Foreign { member, packet });
                }
                Received::Handled | Received::Discarded(_) => {}
            }
        }
    }

    /// Whether RTCP may come from `remote` on `component`.
    pub(super) fn check_rtcp_source(&mut self, component: Component, remote: SocketAddr) -> Result<(), Discard> {
        match (self.rtcp_mode, component) {
            (RtcpMode::Off, _) | (RtcpMode::Mux, Component::Rtcp) => {
                return Err(Discard::RtcpUnexpected);
            }
            // RTCP on the RTP component is taken in any mode but off: a peer that multiplexes
            // does no harm.
            (RtcpMode::Mux, Component::Rtp) | (RtcpMode::Separate, _) => {}
        }
        if let Some(ice) = &self.ice {
            return match ice.is_validated(component, remote) {
                true => Ok(()),
                false => Err(Discard::SourceNotValidated),
            };
        }
        if self.security.is_required() || !self.config.strict_rtp {
            return Ok(());
        }
        // The host that RTP comes from, or was signalled.
        let known = self
            .paths
            .iter()
            .any(|path| [path.learned(), path.signalled()].into_iter().flatten().any(|at| at.ip() == remote.ip()));
        match known {
            true => Ok(()),
            false => Err(Discard::SourceNotLearned),
        }
    }
}
