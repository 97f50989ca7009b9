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
//! | no | none | RTP and RTCP from the learned address | the remote address, or the learned one |
//! | no | SDES | authenticated SRTP | the same |
//! | no | DTLS | DTLS from the remote address, SRTP | the same |
//! | yes | any | STUN with our credentials; the rest from addresses that ICE has validated | the selected pair |
//!
//! Once `enable_dtls` or `set_srtp` was called the session never sends or accepts media in the
//! clear: before the keys exist the last few packets each way are held, the others dropped and
//! counted.
//!
//! # Files
//!
//! `config`, `event`: what goes in and comes out. `ice`, `security`, `path`: signalling and state
//! of the three things that must be there before media flows. `gather`: candidates from servers.
//! `receive`, `send`, `control`: RTP in, RTP out, RTCP. `repair`, `congestion`: what video needs on
//! a network that loses. `bundle`: streams that share a transport.

mod bundle;
mod config;
mod congestion;
mod control;
mod event;
mod gather;
mod ice;
mod path;
mod receive;
mod repair;
mod security;
mod send;
mod tap;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

pub use bundle::{BundlePath, Member};
pub use config::{Config, PayloadKind, PayloadType, RtcpMode};
pub use event::{Event, HeldRtp, Received, RtpPacket, Transmit};
pub use gather::GatherPlan;
pub use repair::Retransmission;
pub use security::{Agreed, DtlsState};
pub use send::OutgoingRtp;
pub use tap::Plain;

pub use super::rtcp::{Feedback, Report, ReportBlock, SenderInfo};

use super::dtmf;
use super::error::{Discards, SendError};
use super::gather::Gatherer;
use super::ice::Component;
use super::rtcp::{NtpClock, Schedule};
use super::rtp::{ReceivedStream, SentStream, TransportCc};
use super::stats::{Series, Stats};
use crate::host::openssl::{Error, rand};

/// Datagrams that wait for `poll_transmit`. What is more is lost, as on a network.
const MAX_TRANSMITS: usize = 256;
/// Events that wait for `poll_event`; the oldest gives way.
const MAX_EVENTS: usize = 256;
/// Buffers that are kept for use again.
const MAX_POOL: usize = 16;

/// A media session. See the module's documentation.
pub struct Session {
    config: Config,
    closed: bool,
    rtcp_mode: RtcpMode,
    paths: [path::Path; 2],
    ice: Option<ice::Ice>,
    gatherers: [Option<Gatherer>; 2],
    security: security::Security,
    payload_types: Vec<PayloadType>,
    sent: SentStream,
    /// The peer's sources; the last element is the one heard last.
    received: Vec<ReceivedStream>,
    dtmf_receiver: dtmf::Receiver,
    dtmf_sender: dtmf::Sender,
    control: control::Control,
    repair: repair::Repair,
    transport_cc: Option<TransportCc>,
    held: send::Waiting,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    pool: Vec<Vec<u8>>,
    discards: Discards,
    tx_dropped: u64,
    tap: Option<tap::Tap>,
    bundle: bundle::Bundle,
}

/// The place of a component in arrays of two.
fn slot(component: Component) -> usize {
    match component {
        Component::Rtp => 0,
        Component::Rtcp => 1,
    }
}

impl Session {
    /// A session without peer. The error is that of the random generator.
    pub fn new(now: Instant, mut config: Config) -> Result<Session, Error> {
        let ssrc = match config.ssrc {
            Some(ssrc) => ssrc,
            None => u32::from_be_bytes(rand::bytes()?),
        };
        if config.cname.is_empty() {
            // RFC 7022 §4.2: 96 bits.
            let random = rand::bytes::<12>()?;
            config.cname = random.iter().map(|byte| format!("{byte:02x}")).collect();
        }
        Ok(Session {
            closed: false,
            rtcp_mode: config.rtcp,
            paths: [path::Path::default(), path::Path::default()],
            ice: None,
            gatherers: [None, None],
            security: security::Security::default(),
            payload_types: Vec::new(),
            sent: SentStream::new(ssrc, rand::bytes()?),
            received: Vec::new(),
            dtmf_receiver: dtmf::Receiver::new(config.dtmf_timeout),
            dtmf_sender: dtmf::Sender::default(),
            control: control::Control::new(NtpClock::new(now, config.unix_time), Schedule::new(config.rtcp_interval)),
            repair: repair::Repair::default(),
            transport_cc: None,
            held: send::Waiting::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            pool: Vec::new(),
            discards: Discards::default(),
            tx_dropped: 0,
            tap: None,
            bundle: bundle::Bundle::default(),
            config,
        })
    }

    /// Sets the address that a component sends from without ICE.
    pub fn set_local_address(&mut self, component: Component, local: SocketAddr) {
        match component {
            Component::Rtp => self.config.local = local,
            Component::Rtcp => self.config.local_rtcp = Some(local),
        }
    }

    /// Sets the address that a component is sent to without ICE, or forgets it. Another address
    /// than before is learned anew; the same one changes nothing.
    pub fn set_remote_address(&mut self, now: Instant, component: Component, remote: Option<SocketAddr>) {
        if let Some(path) = self.paths.get_mut(slot(component)) {
            path.set_remote(remote);
        }
        self.start_dtls_where_due(now);
        self.release_held(now);
    }

    /// Where packets of a component go now: the selected pair, the learned or signalled address.
    pub fn remote_address(&self, component: Component) -> Option<SocketAddr> {
        self.route(component).map(|(_, remote)| remote)
    }

    /// The address at this end of the path in use.
    pub fn local_address(&self, component: Component) -> Option<SocketAddr> {
        self.route(component).map(|(local, _)| local)
    }

    /// Turns RTCP on or off, or puts it on another component.
    pub fn set_rtcp_mode(&mut self, now: Instant, mode: RtcpMode) {
        if self.rtcp_mode == mode {
            return;
        }
        self.rtcp_mode = mode;
        if mode == RtcpMode::Off {
            self.control.schedule.stop();
        } else if self.sent.has_sent() || !self.received.is_empty() {
            self.schedule_report(now);
        }
    }

    /// Where RTCP is.
    pub fn rtcp_mode(&self) -> RtcpMode {
        self.rtcp_mode
    }

    /// Replaces the negotiated payload types. With none, every type is accepted and taken to run
    /// at 8000 Hz.
    pub fn set_payload_types(&mut self, types: &[PayloadType]) {
        self.payload_types.clear();
        self.payload_types.extend(types.iter().filter(|t| t.pt < 128).take(128));
    }

    fn payload_type(&self, pt: u8) -> Option<PayloadType> {
        self.payload_types.iter().find(|t| t.pt == pt).copied()
    }

    fn clock_rate(&self, pt: u8) -> u32 {
        self.payload_type(pt).map_or(8000, |t| t.clock_rate)
    }

    /// Whether media is accepted from the learned address only (without ICE).
    pub fn set_strict_rtp(&mut self, on: bool) {
        self.config.strict_rtp = on;
    }

    /// Whether media is sent to where it comes from (without ICE).
    pub fn set_symmetric_rtp(&mut self, on: bool) {
        self.config.symmetric_rtp = on;
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.sent.ssrc()
    }

    /// The SSRC that the peer's media came with last.
    pub fn remote_ssrc(&self) -> Option<u32> {
        self.received.last().map(|stream| stream.ssrc)
    }

    /// Our SDES CNAME.
    pub fn cname(&self) -> &str {
        &self.config.cname
    }

    /// The addresses to send a component's packets from and to.
    fn route(&self, component: Component) -> Option<(SocketAddr, SocketAddr)> {
        if let Some(path) = self.bundle.path() {
            return path;
        }
        if let Some(ice) = &self.ice {
            if let Some(route) = ice.nominated(component) {
                return Some(route);
            }
            // Before a pair is nominated DTLS has shown where the peer is, as long as ICE agrees. In
            // a restart what was selected before serves meanwhile.
            let proven = self.security.proven_route(component);
            return proven.filter(|(_, remote)| ice.is_checked(component, *remote)).or_else(|| ice.selected(component));
        }
        let local = match component {
            Component::Rtp => self.config.local,
            Component::Rtcp => self.config.local_rtcp?,
        };
        let path = self.paths.get(slot(component))?;
        let remote = match path.destination(self.config.symmetric_rtp) {
            Some(remote) => remote,
            // RFC 3550 §11: the next higher port.
            None if component == Component::Rtcp => {
                let rtp = self.paths.first()?.destination(self.config.symmetric_rtp)?;
                SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)
            }
            None => return None,
        };
        Some((local, remote))
    }

    /// Lets time pass: checks, retransmissions, reports, digits.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.gather_timeout(now);
        self.ice_timeout(now);
        self.dtls_timeout(now);
        if let Some(digit) = self.dtmf_receiver.handle_timeout(now) {
            self.digit(digit);
        }
        self.send_due_dtmf(now);
        self.send_due_repairs(now);
        self.send_due_transport_cc(now);
        if self.control.schedule.is_due(now) {
            self.send_report(now);
        }
    }

    /// When `handle_timeout` is wanted, if at all.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let ice = self.ice.as_mut().and_then(|ice| {
            let mode = self.rtcp_mode;
            ice.poll_timeout(mode)
        });
        [
            ice,
            self.gather_poll_timeout(),
            self.security.poll_timeout(),
            self.dtmf_receiver.poll_timeout(),
            self.dtmf_sender.poll_timeout(),
            self.control.schedule.poll_timeout(),
            self.repair_timeout(),
            self.transport_cc.as_ref().and_then(TransportCc::poll_timeout),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes back the buffer of a datagram that was sent.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.pool.len() < MAX_POOL && buffer.capacity() <= 4096 {
            buffer.clear();
            self.pool.push(buffer);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_else(|| Vec::with_capacity(1500))
    }

    /// Sends from `local` to `remote`, through the relay if `local` is an address of one.
    fn transmit(
        &mut self,
        component: Component,
        route: (SocketAddr, SocketAddr),
        payload: Vec<u8>,
    ) -> Result<(), SendError> {
        let payload = match self.hand_over(payload) {
            Ok(done) => return done,
            Err(payload) => payload,
        };
        match self.send_relayed(component, route, payload) {
            Ok(()) => Ok(()),
            Err(payload) => self.transmit_direct(component, route, payload),
        }
    }

    fn transmit_direct(
        &mut self,
        component: Component,
        (local, remote): (SocketAddr, SocketAddr),
        payload: Vec<u8>,
    ) -> Result<(), SendError> {
        if self.transmits.len() >= MAX_TRANSMITS {
            self.recycle(payload);
            self.tx_dropped += 1;
            return Err(SendError::QueueFull);
        }
        self.transmits.push_back(Transmit { component, local, remote, payload });
        Ok(())
    }

    fn event(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn digit(&mut self, digit: dtmf::Digit) {
        self.event(match digit {
            dtmf::Digit::Begin(digit) => Event::DtmfBegin { digit },
            dtmf::Digit::End(digit, duration) => Event::DtmfEnd { digit, duration },
        });
    }

    /// Takes leave of the peer: BYE, close_notify. What is to be transmitted for that is the last;
    /// nothing is accepted afterwards.
    pub fn close(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.send_bye(now);
        self.close_dtls();
        self.close_gatherers();
        self.held.clear();
        self.closed = true;
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The figures of the session. The streams of all the peer's sources are summed up; jitter is
    /// that of the last.
    pub fn stats(&self) -> Stats {
        let (tx_packets, tx_octets) = self.sent.totals();
        let last = self.received.last();
        Stats {
            tx_packets,
            tx_octets,
            rx_packets: self.received.iter().map(ReceivedStream::packets).sum(),
            rx_octets: self.received.iter().map(ReceivedStream::octets).sum(),
            local_ssrc: self.sent.ssrc(),
            remote_ssrc: self.remote_ssrc().or(self.bundle.remote_ssrc()).unwrap_or(0),
            local_jitter: last.map_or(Series::default(), ReceivedStream::jitter),
            local_lost: self.received.iter().map(ReceivedStream::lost).sum(),
            local_loss: last.map_or(Series::default(), ReceivedStream::loss),
            ice_rtt: self.ice.as_ref().and_then(ice::Ice::round_trip),
            tx_dropped: self.tx_dropped,
            resent: self.repair.resent,
            discards: self.discards.clone(),
            ..self.control.stats()
        }
    }
}
