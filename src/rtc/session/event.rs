//! What a session tells its caller.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::PayloadKind;
use crate::rtc::error::Discard;
use crate::rtc::gather::Gathered;
use crate::rtc::ice::{Component, IceFailure};
use crate::rtc::rtcp::{Feedback, Report};

/// An RTP packet, decrypted; the payload lies in the buffer the datagram came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Payload type, 0 to 127.
    pub pt: u8,
    /// What the payload type stands for.
    pub kind: PayloadKind,
    /// The marker bit.
    pub marker: bool,
    /// Sequence number.
    pub seq: u16,
    /// Sequence number extended by the number of wraps (RFC 3550 A.1).
    pub ext_seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// When the datagram was handed in.
    pub arrival: Instant,
    /// The payload without padding.
    pub payload: &'a [u8],
}

/// The same, owning its payload: media that was held back and is released by a later datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRtp {
    pt: u8,
    kind: PayloadKind,
    marker: bool,
    seq: u16,
    ext_seq: u64,
    timestamp: u32,
    ssrc: u32,
    arrival: Instant,
    payload: Vec<u8>,
}

impl From<RtpPacket<'_>> for HeldRtp {
    fn from(packet: RtpPacket<'_>) -> Self {
        HeldRtp {
            pt: packet.pt,
            kind: packet.kind,
            marker: packet.marker,
            seq: packet.seq,
            ext_seq: packet.ext_seq,
            timestamp: packet.timestamp,
            ssrc: packet.ssrc,
            arrival: packet.arrival,
            payload: packet.payload.to_vec(),
        }
    }
}

impl HeldRtp {
    /// The packet as it would have been returned by `handle_datagram`.
    pub fn packet(&self) -> RtpPacket<'_> {
        RtpPacket {
            pt: self.pt,
            kind: self.kind,
            marker: self.marker,
            seq: self.seq,
            ext_seq: self.ext_seq,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            arrival: self.arrival,
            payload: &self.payload,
        }
    }
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Media for the channel, or for the bridged session.
    Media(RtpPacket<'a>),
    /// RTP of a member of the bundle, decrypted, for its `handle_plain`.
    Foreign {
        /// The member.
        member: u64,
        /// The packet.
        packet: &'a [u8],
    },
    /// It was of use inside: STUN, DTLS, RTCP, telephone-events, media held back. Events and
    /// datagrams to transmit may have come of it.
    Handled,
    /// It was dropped, and counted.
    Discarded(Discard),
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The component, which tells the socket where each has its own.
    pub component: Component,
    /// The address to send from: that of a host candidate or of `Config`. What leaves from a relayed
    /// candidate is wrapped already and goes from the socket to the TURN server.
    pub local: SocketAddr,
    /// The address to send to.
    pub remote: SocketAddr,
    /// The datagram. Give it back by [`super::Session::recycle`] to spare an allocation.
    pub payload: Vec<u8>,
}

/// Something for the session's owner to act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Media that had been held back until it could be decrypted or its source was validated.
    Media(HeldRtp),
    /// RTP that had been held back, or an RTCP compound, of a member of the bundle: for its
    /// `handle_plain`.
    Foreign {
        /// The member.
        member: u64,
        /// The packet.
        packet: Vec<u8>,
    },
    /// A digit began.
    DtmfBegin {
        /// 0-9, *, #, A-D, or X for flash.
        digit: char,
    },
    /// A digit ended.
    DtmfEnd {
        /// 0-9, *, #, A-D, or X for flash.
        digit: char,
        /// How long it was held.
        duration: Duration,
    },
    /// A component has a nominated pair, or has changed to another one.
    IceConnected {
        /// The component.
        component: Component,
        /// The address of this side.
        local: SocketAddr,
        /// The address of the peer.
        remote: SocketAddr,
    },
    /// What a STUN or TURN server has brought.
    Gathered(Gathered),
    /// ICE has failed; nothing can be sent. It may recover by a restart.
    IceFailed(IceFailure),
    /// The handshake is done and media is encrypted with the keys it made.
    DtlsConnected {
        /// The component: RTP, and RTCP too when it has its own.
        component: Component,
        /// The SRTP protection profile.
        profile: String,
        /// The cipher suite, as OpenSSL names it.
        cipher: String,
        /// The protocol version, as OpenSSL names it.
        version: String,
    },
    /// The handshake failed, or the peer's certificate does not match its fingerprint.
    DtlsFailed {
        /// A sentence for the log.
        reason: String,
    },
    /// The peer has closed the DTLS connection.
    DtlsClosed,
    /// The peer's media now comes with another SSRC.
    SsrcChanged {
        /// `None` before the first packet.
        old: Option<u32>,
        /// The new one.
        new: u32,
    },
    /// Without ICE: media is now sent to the address that the peer's media comes from.
    RemoteLearned {
        /// The component.
        component: Component,
        /// The peer's address.
        remote: SocketAddr,
    },
    /// A report was received.
    ReportReceived(Report),
    /// A report was sent.
    ReportSent(Report),
    /// The peer wants something of our stream.
    Feedback(Feedback),
    /// The peer will decode what it is sent from now on only if that begins with a keyframe: there
    /// are new keys, or video of another source.
    KeyframeNeeded,
    /// The peer has left (RTCP BYE for its SSRC).
    Bye {
        /// The SSRC that left.
        ssrc: u32,
    },
}
