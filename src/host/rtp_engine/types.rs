//! The plain values that cross between Asterisk's `rtp_engine.h` and the engine.

use crate::host::format::Format;

/// Ends the call that a session carries: `read` answers NULL, which every channel driver takes
/// for a hangup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hangup;

/// How RTCP travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpMode {
    Disabled,
    /// On its own port.
    Standard,
    /// On the RTP port, RFC 5761. Versions that cannot say so use [`RtcpMode::Standard`].
    Mux,
}

/// A property and its new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// Symmetric RTP: answer where packets come from.
    Nat(bool),
    /// The peer can be sent RFC 4733 events.
    Dtmf(bool),
    /// Work around peers that send broken RFC 4733 events.
    DtmfCompensate(bool),
    Stun(bool),
    Rtcp(RtcpMode),
    /// The two directions may use different codecs.
    AsymmetricCodec(bool),
    /// Ask for lost packets (NACK).
    RetransReceive(bool),
    /// Resend packets that the peer asks for.
    RetransSend(bool),
    /// Send REMB.
    Remb(bool),
    /// Of a later Asterisk than this code knows.
    Other(u32, i32),
}

/// A property's name, for [`Instance::prop`](super::Instance::prop).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyName {
    Nat,
    Dtmf,
    DtmfCompensate,
    Stun,
    Rtcp,
    AsymmetricCodec,
    RetransReceive,
    RetransSend,
    Remb,
}

/// How digits travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfMode {
    /// Not in RTP at all (SIP INFO).
    None,
    /// Telephone events, RFC 4733.
    Rfc4733,
    /// As tones in the audio.
    Inband,
}

/// What a payload type stands for.
#[derive(Clone, Debug)]
pub enum Payload {
    Format(Format),
    /// `telephone-event`, RFC 4733.
    TelephoneEvent {
        /// Hz; 8000 where Asterisk knows no other.
        clock_rate: u32,
    },
    /// `CN`, RFC 3389.
    ComfortNoise,
    /// Cisco's own digit events.
    CiscoDtmf,
    /// Of a later Asterisk than this code knows.
    Other(i32),
}

/// RTP header extensions that Asterisk can negotiate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    AbsSendTime,
    TransportWideCc,
}

/// A relay server that a dialplan or a channel driver names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnServer {
    pub tcp: bool,
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: String,
}

/// Smallest, largest, mean and standard deviation of a quantity sampled at each report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub deviation: f64,
}

/// `struct ast_rtp_instance_stats`. "remote" is what the peer's reports say about our stream,
/// "local" what we measured of the peer's. Jitter and round-trip time are in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    pub local_ssrc: u32,
    pub remote_ssrc: u32,
    pub tx_count: u32,
    pub rx_count: u32,
    pub tx_octets: u32,
    pub rx_octets: u32,
    /// Our packets that the peer reports lost.
    pub tx_lost: u32,
    /// The peer's packets that we miss.
    pub rx_lost: u32,
    /// Of our stream, as the peer reports it.
    pub tx_jitter: f64,
    /// Of the peer's stream, as we measure it.
    pub rx_jitter: f64,
    pub remote_loss: Spread,
    pub local_loss: Spread,
    pub remote_jitter: Spread,
    pub local_jitter: Spread,
    pub round_trip: f64,
    pub round_trips: Spread,
    /// Media experience scores (18.x and later), 0 when not computed.
    pub tx_mes: f64,
    pub rx_mes: f64,
    pub remote_mes: Spread,
    pub local_mes: Spread,
}
