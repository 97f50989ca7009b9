//! How a session is set up.

use std::net::SocketAddr;
use std::time::Duration;

/// Whether and where RTCP is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpMode {
    /// No RTCP is sent; what arrives is dropped.
    Off,
    /// RTCP has its own component and port.
    Separate,
    /// RTCP shares RTP's component (RFC 5761).
    Mux,
}

/// Parameters of a session that do not come from the peer.
#[derive(Clone, Debug)]
pub struct Config {
    /// The transport address that RTP is sent from without ICE. With ICE the host candidates'
    /// addresses are used.
    pub local: SocketAddr,
    /// The same for RTCP on its own port; `None` if no such port is bound.
    pub local_rtcp: Option<SocketAddr>,
    /// RTCP at the outset; [`super::Session::set_rtcp_mode`] changes it.
    pub rtcp: RtcpMode,
    /// The mean interval between RTCP compounds (rtp.conf `rtcpinterval`, 5 s).
    pub rtcp_interval: Duration,
    /// Our SSRC; `None` chooses one at random.
    pub ssrc: Option<u32>,
    /// The SDES CNAME; empty chooses one at random (RFC 7022).
    pub cname: String,
    /// Without ICE: accept media only from the address learned (rtp.conf `strictrtp`).
    pub strict_rtp: bool,
    /// Without ICE: send to the address that media comes from, not to the one signalled
    /// (`nat=comedia`).
    pub symmetric_rtp: bool,
    /// Packets in sequence before a new source is believed (rtp.conf `probation`, 4); with ICE or
    /// SRTP sources are authenticated and there is no probation.
    pub probation: u8,
    /// A telephone-event without its end ends after this silence (rtp.conf `dtmftimeout`, given
    /// there in samples: 1200 at 8000 Hz is 150 ms).
    pub dtmf_timeout: Duration,
    /// The payload types negotiated are enforced: another one is dropped. It takes effect once
    /// [`super::Session::set_payload_types`] has been given any.
    pub check_payload_types: bool,
    /// The time since 1970-01-01 00:00 UTC when the session is made, for the NTP timestamps of
    /// sender reports. Sessions of one call are to agree, or lip synchronisation suffers.
    pub unix_time: Duration,
    /// How long ICE may take from `start_ice` to the first nomination.
    pub ice_timeout: Duration,
    /// ICE lite (RFC 8445 §2.5): answer checks, send none.
    pub ice_lite: bool,
}

impl Config {
    /// Asterisk's defaults, for a session bound to `local`.
    pub fn new(local: SocketAddr) -> Self {
        Config {
            local,
            local_rtcp: None,
            rtcp: RtcpMode::Off,
            rtcp_interval: Duration::from_secs(5),
            ssrc: None,
            cname: String::new(),
            strict_rtp: true,
            symmetric_rtp: false,
            probation: 4,
            dtmf_timeout: Duration::from_millis(150),
            check_payload_types: true,
            unix_time: Duration::ZERO,
            ice_timeout: Duration::from_secs(30),
            ice_lite: false,
        }
    }
}

/// What a payload type carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// Audio or text: handed on as it is.
    Media,
    /// Video: handed on as it is; what is lost of it may be asked for again.
    Video,
    /// RFC 4733 named events: digits become [`super::Event::DtmfBegin`] and
    /// [`super::Event::DtmfEnd`].
    TelephoneEvent,
    /// RFC 3389 comfort noise: handed on as it is.
    ComfortNoise,
}

/// One payload type of the negotiated set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadType {
    /// 0 to 127.
    pub pt: u8,
    /// The RTP clock rate in Hz.
    pub clock_rate: u32,
    /// What it carries.
    pub kind: PayloadKind,
}
