//! What a session tells its caller.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::rtc::error::Discard;
use crate::rtc::ice::{Component, IceFailure};

/// An RTP packet, decrypted; the payload lies in the buffer the datagram came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Payload type, 0 to 127.
    pub pt: u8,
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
    pub(crate) pt: u8,
    pub(crate) marker: bool,
    pub(crate) seq: u16,
    pub(crate) ext_seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) arrival: Instant,
    pub(crate) payload: Vec<u8>,
}

impl HeldRtp {
    /// The packet as it would have been returned by `handle_datagram`.
    pub fn packet(&self) -> RtpPacket<'_> {
        RtpPacket {
            pt: self.pt,
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
    /// The address to send from: that of a host candidate or of `Config`. A relayed candidate's
    /// address stands for the TURN allocation.
    pub local: SocketAddr,
    /// The address to send to.
    pub remote: SocketAddr,
    /// The datagram. Give it back by [`super::Session::recycle`] to spare an allocation.
    pub payload: Vec<u8>,
}

/// One report block of the peer about our stream, after a compound RTCP packet was handled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportBlock {
    /// The SSRC it is about.
    pub ssrc: u32,
    /// Fraction lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Cumulative number of packets lost.
    pub lost: i32,
    /// Extended highest sequence number received.
    pub highest_seq: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Last SR timestamp.
    pub lsr: u32,
    /// Delay since last SR in 1/65536 s.
    pub dlsr: u32,
}

/// What a sender report says of the sender's clock and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP timestamp, 32.32 fixed point.
    pub ntp: u64,
    /// RTP timestamp of the same instant.
    pub rtp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload octets sent.
    pub octets: u32,
}

/// A report, sent or received: what Asterisk publishes as RTCPSent and RTCPReceived.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The reporter's SSRC.
    pub ssrc: u32,
    /// Present in a sender report, absent in a receiver report.
    pub sender: Option<SenderInfo>,
    /// The report block, if there is one for the other side's stream.
    pub block: Option<ReportBlock>,
    /// The round-trip time computed from a received block.
    pub rtt: Option<Duration>,
}

/// Feedback messages (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Picture loss indication: a keyframe is wanted.
    Pli,
    /// Full intra request: a keyframe is wanted.
    Fir,
    /// Packets that the peer has not received and wants again.
    Nack(Vec<u16>),
    /// The peer's estimate of the bandwidth towards it, in bit/s.
    Remb(u64),
    /// Transport-wide congestion control feedback, as it came (FCI part).
    TransportCc(Vec<u8>),
}

/// Something for the session's owner to act on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Media that had been held back until it could be decrypted or its source was validated.
    Media(HeldRtp),
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
    /// ICE has failed; nothing can be sent. It may recover by a restart.
    IceFailed(IceFailure),
    /// The handshake is done and media is encrypted with the keys it made.
    DtlsConnected {
        /// The SRTP protection profile, by its name in RFC 5764 or RFC 7714.
        profile: &'static str,
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
    /// The peer has left (RTCP BYE for its SSRC).
    Bye {
        /// The SSRC that left.
        ssrc: u32,
    },
}
