//! RTCP (RFC 3550 §6) with feedback (RFC 4585, RFC 5104, RFC 5506).

mod build;
mod parse;
mod schedule;

use std::time::Duration;

pub use build::{bye, fir, nack, pli, receiver_report, remb, sdes_cname, sender_report, transport_cc};
pub use parse::{Packet, Packets, packets};
pub use schedule::{NtpClock, Schedule, round_trip};

/// Packet types.
mod packet_type {
    pub(super) const SR: u8 = 200;
    pub(super) const RR: u8 = 201;
    pub(super) const SDES: u8 = 202;
    pub(super) const BYE: u8 = 203;
    pub(super) const APP: u8 = 204;
    pub(super) const RTPFB: u8 = 205;
    pub(super) const PSFB: u8 = 206;
}

/// Formats of feedback messages.
mod format {
    pub(super) const NACK: u8 = 1;
    pub(super) const TRANSPORT_CC: u8 = 15;
    pub(super) const PLI: u8 = 1;
    pub(super) const FIR: u8 = 4;
    pub(super) const AFB: u8 = 15;
}

/// Why bytes are not an RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What a receiver says of one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Last SR timestamp: the middle 32 bits of its NTP timestamp, 0 if there was none.
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
    /// Packets sent, modulo 2^32.
    pub packets: u32,
    /// Payload octets sent, modulo 2^32.
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
    /// Packets that have not been received and are wanted again.
    Nack(Vec<u16>),
    /// The estimate of the bandwidth towards the sender of this message, in bit/s.
    Remb(u64),
    /// Transport-wide congestion control feedback, as it came (FCI part).
    TransportCc(Vec<u8>),
}
