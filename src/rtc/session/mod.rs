//! One media stream (one `m=` line) towards one peer: ICE, DTLS, SRTP, RTP and RTCP joined.
//!
//! # Driving it
//!
//! ```text
//! handle_datagram(now, component, local, remote, &mut buf) -> Received
//! handle_timeout(now)
//! loop { poll_transmit }   loop { poll_event }   poll_timeout
//! ```
//!
//! After every call that takes `&mut self` the caller drains `poll_transmit` and `poll_event` and
//! reads `poll_timeout`. Time never goes backwards; a late `handle_timeout` does no harm.
//!
//! # Modes
//!
//! | ICE | keys | what is accepted | where it is sent |
//! |---|---|---|---|
//! | no | none | RTP and RTCP from the learned address | `set_remote_address`, or the learned one |
//! | no | SDES | the same, authenticated | the same |
//! | no | DTLS | DTLS from the remote address, SRTP | the same |
//! | yes | any | STUN with our credentials; the rest from addresses that ICE has validated | the nominated pair |
//!
//! Once `enable_dtls` or `set_srtp` was called the session never sends or accepts media in the clear:
//! before the keys exist the last few packets each way are held, the others dropped and counted.

mod config;
mod event;

use std::net::SocketAddr;
use std::time::Instant;

pub use crate::rtc::rtcp::{Feedback, Report, ReportBlock, SenderInfo};
pub use config::{Config, PayloadKind, PayloadType, RtcpMode};
pub use event::{Event, HeldRtp, Received, RtpPacket, Transmit};

use super::error::SendError;
use super::ice::{CandidateKind, Component, IceState, LocalCandidate, RemoteCandidate, Role};
use super::stats::Stats;

/// A packet to send, as Asterisk's frames describe it.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRtp<'a> {
    /// Payload type, 0 to 127.
    pub pt: u8,
    /// The marker bit: the end of a video frame, the first packet of a talk spurt.
    pub marker: bool,
    /// The source's timestamp in units of the payload type's clock. Only differences matter: the
    /// timestamp sent continues from the last one, also after `source_changed`.
    pub timestamp: u32,
    /// The source's sequence number if it has one: gaps and reordering are passed on. `None`
    /// numbers packets in the order they are sent.
    pub seq: Option<u16>,
    /// The payload.
    pub payload: &'a [u8],
}

/* API, by signature (the bodies follow):

impl Session {
    pub fn new(now: Instant, config: Config) -> Result<Session, Error>;      // Error: the random generator failed

    // addresses without ICE
    pub fn set_local_address(&mut self, component: Component, local: SocketAddr);
    pub fn set_remote_address(&mut self, now: Instant, component: Component, remote: Option<SocketAddr>);
    pub fn remote_address(&self, component: Component) -> Option<SocketAddr>;  // where packets go now
    pub fn set_rtcp_mode(&mut self, now: Instant, mode: RtcpMode);
    pub fn set_payload_types(&mut self, types: &[PayloadType]);                // replaces; empty = accept all
    pub fn set_strict_rtp(&mut self, on: bool); set_symmetric_rtp(on)

    // ICE; sockets are the caller's
    pub fn enable_ice(&mut self) -> Result<(), Error>;       // credentials are made here
    pub fn disable_ice(&mut self);                           // peer has icesupport=no
    pub fn ice_enabled(&self) -> bool;
    pub fn add_local_candidate(&mut self, component, kind: CandidateKind, address: SocketAddr, base: SocketAddr);
    pub fn local_candidates(&self) -> &[LocalCandidate];
    pub fn local_credentials(&mut self) -> Option<(&str, &str)>;  // (ufrag, pwd); reading them = they are about to be signalled
    pub fn set_remote_credentials(&mut self, ufrag: Option<&str>, pwd: Option<&str>);  // None keeps; takes effect at start_ice
    pub fn add_remote_candidate(&mut self, now: Instant, candidate: RemoteCandidate);
    pub fn set_remote_ice_lite(&mut self);
    pub fn set_ice_role(&mut self, role: Role);              // heeded before the first start and at a restart
    pub fn start_ice(&mut self, now: Instant);               // idempotent; restarts if the remote credentials changed
    pub fn ice_state(&self) -> IceState;

    // DTLS-SRTP (types from rtc::dtls)
    pub fn enable_dtls(&mut self, context: Arc<dtls::Context>, setup: Setup);
    pub fn disable_dtls(&mut self);                          // a=crypto, or dtls.stop
    pub fn dtls_enabled(&self) -> bool;
    pub fn set_remote_setup(&mut self, setup: Setup);        // maps actpass to active, keeps the role of a live connection
    pub fn setup(&self) -> Setup;                            // what to write in SDP
    pub fn set_remote_fingerprint(&mut self, now: Instant, hash: Hash, value: &str) -> Result<(), _>;
    pub fn reset_dtls(&mut self, now: Instant);              // a=connection:new together with a changed fingerprint
    pub fn dtls_state(&self) -> DtlsState;                   // New | Connecting | Connected | Failed | Closed
    // SDES
    pub fn set_srtp(&mut self, now: Instant, tx: srtp::Context, rx: srtp::Context);

    // media
    pub fn handle_datagram<'b>(&mut self, now: Instant, component: Component, local: SocketAddr, remote: SocketAddr, datagram: &'b mut [u8]) -> Received<'b>;
    pub fn send_rtp(&mut self, now: Instant, packet: OutgoingRtp<'_>) -> Result<(), SendError>;
    pub fn source_changed(&mut self);                        // update_source/change_source: same SSRC, marker on the next packet, timestamps re-based
    pub fn dtmf_begin(&mut self, now: Instant, pt: u8, clock_rate: u32, digit: char) -> Result<(), SendError>;
    pub fn dtmf_end(&mut self, now: Instant, digit: char, duration: Option<Duration>) -> Result<(), SendError>;
    pub fn request_keyframe(&mut self, now: Instant) -> Result<(), SendError>;       // PLI
    pub fn send_feedback(&mut self, now: Instant, feedback: &Feedback) -> Result<(), SendError>;
    pub fn close(&mut self, now: Instant);                   // RTCP BYE, DTLS close_notify; nothing is sent afterwards

    // driving
    pub fn handle_timeout(&mut self, now: Instant);
    pub fn poll_timeout(&self) -> Option<Instant>;
    pub fn poll_transmit(&mut self) -> Option<Transmit>;
    pub fn recycle(&mut self, buffer: Vec<u8>);
    pub fn poll_event(&mut self) -> Option<Event>;
    pub fn is_drained(&self) -> bool;

    pub fn stats(&self) -> Stats; pub fn ssrc(&self) -> u32; pub fn cname(&self) -> &str; pub fn remote_ssrc(&self) -> Option<u32>;
}
*/

/// A media session. See the module's documentation.
#[derive(Debug)]
pub struct Session {
    config: Config,
}
