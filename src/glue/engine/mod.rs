//! The RTP engine `webrtc`: what `rtp_engine.h` asks for, answered with a [`Leg`].
//!
//! One [`Engine`] per RTP instance, that is per `m=` line. Its own state is small and locked for
//! moments only; the session is behind the leg's lock. Asterisk is called (through [`Instance`])
//! with neither held.

mod bundle;
mod clock;
mod contexts;
mod dtls;
mod feedback;
mod gather;
mod ice;
mod peers;
mod read;
mod runtime;
mod sdes;
mod watch;
mod write;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

pub use gather::shown as servers;
pub use runtime::{current, legs, reload, start, stop};
pub use sdes::{Sdes, sdes_of};

use crate::driver::clock as driver_clock;
use crate::driver::rtp::Leg;
use crate::host::boundary::Poison;
use crate::host::format::MediaType;
use crate::host::frame::{FrameList, OutFrame};
use crate::host::log;
use crate::host::rtp_engine::{
    DtmfMode, Extension, Hangup, Instance, Payload, Property, RtcpMode, RtpEngine, Spread, Stats,
};
use crate::rtc::ice::Component;
use crate::rtc::session::{self, PayloadKind, PayloadType, Session};
use crate::rtc::stats;
use crate::sync::lock;
use clock::TxClock;
use contexts::LocalDtls;
use feedback::Feedback;
use read::RxClock;
use runtime::Runtime;
use watch::Watch;

/// An RTP instance.
pub struct Engine {
    this: Weak<Self>,
    leg: Arc<Leg>,
    /// When the instance was made, from which SDP's waiting for servers is counted.
    begun: Instant,
    runtime: Arc<Runtime>,
    /// False from `stop` (hold, or the end) to the next `activate` or address: nothing is sent that
    /// the channel writes, while ICE, DTLS and RTCP go on.
    sending: Arc<AtomicBool>,
    dtmf_mode: AtomicU8,
    state: Mutex<State>,
}

/// What signalling and media leave for each other.
struct State {
    /// Meanings of payload types that arrive, for the session.
    payloads: Vec<PayloadType>,
    /// Those of them that were negotiated.
    negotiated: Vec<PayloadType>,
    ties: bundle::Ties,
    tx: TxClock,
    rx: RxClock,
    /// What `set_configuration` gave.
    dtls: Option<LocalDtls>,
    remote_ufrag: bool,
    /// 1 with rtcp-mux, else 2: what candidates are written for.
    components: u32,
    feedback: Feedback,
}

impl Engine {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Asks Asterisk what every payload type means and tells the session.
    fn learn_payloads(&self, instance: &Instance<'_>) {
        let known: Vec<PayloadType> =
            (0..=127).filter_map(|pt| instance.payload(pt).and_then(|meaning| payload_type(pt, &meaning))).collect();
        self.state().payloads.clone_from(&known);
        let transport_cc = instance.extension_id(Extension::TransportWideCc);
        self.leg.with(|session, now| {
            session.set_payload_types(&known);
            session.set_transport_cc(now, transport_cc);
        });
    }

    /// Keys that another provider than ours was given cannot be had back from it, and the peer
    /// expects them.
    fn heed_srtp(&self, instance: &Instance<'_>) {
        if instance.has_srtp() && !self.leg.look(Session::is_encrypted) {
            self.leg.with(|session, _| session.require_srtp());
            log::warning(&format!(
                "channel {}: res_srtp has the keys that its SDP brought, so no media will flow; for a=crypto with \
                 the RTP engine webrtc put 'noload => res_srtp.so' into modules.conf",
                instance.channel_id()
            ));
        }
    }

    fn use_rtcp(&self, mode: RtcpMode) {
        match mode {
            RtcpMode::Disabled => {
                self.leg.with(|session, _| session.stop_gathering(Component::Rtcp));
                self.leg.close_rtcp();
                self.leg.with(|session, now| session.set_rtcp_mode(now, session::RtcpMode::Off));
            }
            RtcpMode::Mux => {
                self.state().components = 1;
                self.leg.with(|session, _| session.stop_gathering(Component::Rtcp));
                self.leg.close_rtcp();
                self.leg.with(|session, now| session.set_rtcp_mode(now, session::RtcpMode::Mux));
            }
            RtcpMode::Standard => match self.leg.open_rtcp() {
                Ok(address) => {
                    self.state().components = 2;
                    self.leg.with(|session, now| {
                        session.set_local_address(Component::Rtcp, address);
                        session.set_rtcp_mode(now, session::RtcpMode::Separate);
                    });
                    self.offer_host_candidates(Component::Rtcp, address);
                }
                Err(error) => log::warning(&format!(
                    "no port for RTCP above RTP port {}: {error}; the call goes on without RTCP",
                    self.leg.local_address().port()
                )),
            },
        }
    }
}

fn payload_type(pt: u8, meaning: &Payload) -> Option<PayloadType> {
    let (kind, clock_rate) = match meaning {
        Payload::Format(format) if format.media_type() == MediaType::Video => {
            (PayloadKind::Video, format.rtp_clock_rate())
        }
        Payload::Format(format) => (PayloadKind::Media, format.rtp_clock_rate()),
        Payload::TelephoneEvent { clock_rate } => (PayloadKind::TelephoneEvent, *clock_rate),
        Payload::ComfortNoise => (PayloadKind::ComfortNoise, 8000),
        Payload::CiscoDtmf | Payload::Other(_) => return None,
    };
    Some(PayloadType { pt, clock_rate, kind })
}

impl Poison for Engine {
    fn poison(&self) {
        self.leg.close();
    }
}

impl RtpEngine for Engine {
    fn new(instance: &Instance<'_>, address: Option<SocketAddr>) -> Option<Arc<Self>> {
        let runtime = runtime::current()?;
        let ip = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
        let sending = Arc::new(AtomicBool::new(true));
        let watch = Watch::new(instance, Arc::clone(&sending));
        let begun = driver_clock::now();
        let opened = match runtime.gather.take(&runtime, ip) {
            Some(leg) => Ok(leg),
            None => runtime.open_leg(&runtime.settings(), ip),
        };
        let leg = match opened {
            Ok(leg) => leg,
            Err(error) => {
                log::error(&format!("no RTP session: {error}"));
                return None;
            }
        };
        leg.adopt(Arc::new(watch));
        instance.set_local_address(leg.local_address());
        runtime.keyed.add(instance.id(), Sdes::new(&leg));
        let engine = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            leg,
            begun,
            sending,
            dtmf_mode: AtomicU8::new(0),
            state: Mutex::new(State {
                payloads: Vec::new(),
                negotiated: Vec::new(),
                ties: bundle::Ties::default(),
                tx: TxClock::default(),
                rx: RxClock::default(),
                dtls: None,
                remote_ufrag: false,
                components: 1,
                feedback: Feedback::default(),
            }),
            runtime,
        });
        if engine.runtime.settings().rtp.ice_support {
            engine.enable_ice();
        }
        Some(engine)
    }

    fn destroy(&self, instance: &Instance<'_>) {
        self.runtime.keyed.remove(instance.id());
        self.leg.close();
    }

    fn close(&self) {
        self.leg.close();
    }

    fn write(&self, instance: &Instance<'_>, frame: &OutFrame<'_>) -> bool {
        self.write_frame(instance, frame)
    }

    fn read(&self, instance: &Instance<'_>, rtcp: bool, out: &mut FrameList) -> Result<(), Hangup> {
        if rtcp { Ok(()) } else { self.read_frame(instance, out) }
    }

    fn fd(&self, _: &Instance<'_>, rtcp: bool) -> Option<RawFd> {
        // RTCP is the worker's business; what of it concerns the channel comes by the inbox.
        (!rtcp).then(|| self.leg.fd())
    }

    fn stop(&self, _: &Instance<'_>) {
        self.sending.store(false, Ordering::Relaxed);
        self.leg.with(|session, _| session.source_changed());
    }

    fn activate(&self, instance: &Instance<'_>) -> bool {
        self.heed_srtp(instance);
        self.learn_payloads(instance);
        self.sending.store(true, Ordering::Relaxed);
        true
    }

    fn dtmf_begin(&self, instance: &Instance<'_>, digit: char) -> bool {
        let rate = self.state().tx.rate();
        let Some((pt, rate)) = instance.telephone_event_type(rate) else { return false };
        self.leg.with(|session, now| session.dtmf_begin(now, pt, rate, digit)).is_ok()
    }

    fn dtmf_end(&self, _: &Instance<'_>, _: char) -> bool {
        self.leg.with(|session, now| session.dtmf_end(now, None));
        true
    }

    fn dtmf_end_with_duration(&self, _: &Instance<'_>, _: char, duration: Duration) -> bool {
        self.leg.with(|session, now| session.dtmf_end(now, Some(duration)));
        true
    }

    fn dtmf_mode_set(&self, _: &Instance<'_>, mode: DtmfMode) -> bool {
        let number = match mode {
            DtmfMode::None => 0,
            DtmfMode::Rfc4733 => 1,
            DtmfMode::Inband => 2,
        };
        self.dtmf_mode.store(number, Ordering::Relaxed);
        true
    }

    fn dtmf_mode_get(&self, _: &Instance<'_>) -> DtmfMode {
        match self.dtmf_mode.load(Ordering::Relaxed) {
            1 => DtmfMode::Rfc4733,
            2 => DtmfMode::Inband,
            _ => DtmfMode::None,
        }
    }

    fn update_source(&self, _: &Instance<'_>) {
        self.leg.with(|session, _| session.source_changed());
    }

    fn change_source(&self, _: &Instance<'_>) {
        // The SSRC stays: browsers take a new one without a new offer for another stream
        // (Asterisk issue 1535), and the sequence must go on for the ROC's sake.
        self.leg.with(|session, _| session.source_changed());
    }

    fn prop_set(&self, _: &Instance<'_>, property: Property) {
        match property {
            Property::Rtcp(mode) => self.use_rtcp(mode),
            Property::Nat(on) => self.leg.with(|session, _| session.set_symmetric_rtp(on)),
            Property::RetransReceive(on) => self.retransmit(|wanted| wanted.ask = on),
            Property::RetransSend(on) => self.retransmit(|wanted| wanted.answer = on),
            Property::Remb(on) => self.state().feedback.remb = on,
            _ => {}
        }
    }

    fn payload_set(&self, _: &Instance<'_>, payload_type_number: u8, meaning: Option<Payload>) {
        let meaning = meaning.and_then(|meaning| payload_type(payload_type_number, &meaning));
        let (payloads, negotiated) = {
            let mut state = self.state();
            let State { payloads, negotiated, .. } = &mut *state;
            for list in [payloads, negotiated] {
                list.retain(|known| known.pt != payload_type_number);
                list.extend(meaning);
            }
            (state.payloads.clone(), state.negotiated.clone())
        };
        self.leg.with(|session, _| session.set_payload_types(&payloads));
        self.announce_payloads(&negotiated);
    }

    fn remote_address_set(&self, instance: &Instance<'_>, address: Option<SocketAddr>) {
        if self.is_told(address) {
            return;
        }
        if address.is_some() {
            self.leave_bundle();
        }
        self.heed_srtp(instance);
        self.sending.store(address.is_some(), Ordering::Relaxed);
        let Some(address) = address else { return };
        self.leg.with(|session, now| {
            session.set_remote_address(now, Component::Rtp, Some(address));
            let rtcp = address.port().checked_add(1).map(|port| SocketAddr::new(address.ip(), port));
            session.set_remote_address(now, Component::Rtcp, rtcp);
        });
    }

    fn get_stats(&self, _: &Instance<'_>) -> Option<Stats> {
        Some(asterisk_stats(&self.leg.look(Session::stats), self.state().tx.rate()))
    }

    fn qos(&self, _: &Instance<'_>, tos: i32, cos: i32, description: &str) -> bool {
        self.recognise_caller(description);
        match self.leg.set_qos(tos, cos) {
            Ok(()) => true,
            Err(error) => {
                log::warning(&format!("cannot set TOS {tos} and CoS {cos} for {description}: {error}"));
                false
            }
        }
    }

    fn send_cng(&self, instance: &Instance<'_>, level: i32) -> bool {
        self.send_comfort_noise(instance, level)
    }

    fn local_bridge(&self, _: &Instance<'_>, _: Option<Arc<Self>>) -> bool {
        // The frames of a bridged pair go through the core, which needs no help for that.
        false
    }

    fn ssrc_get(&self, _: &Instance<'_>) -> u32 {
        self.leg.look(Session::ssrc)
    }

    fn cname_get(&self, _: &Instance<'_>) -> String {
        self.leg.look(|session| session.cname().to_owned())
    }

    fn bundle(&self, _: &Instance<'_>, parent: Option<Arc<Self>>) -> bool {
        match parent {
            Some(transport) => self.join_bundle(&transport),
            None => {
                self.leave_bundle();
                true
            }
        }
    }

    fn set_remote_ssrc(&self, _: &Instance<'_>, ssrc: u32) {
        self.leg.with(|session, _| session.set_remote_ssrc(ssrc));
        self.leg.announce();
    }

    fn set_stream_num(&self, _: &Instance<'_>, stream: i32) {
        // The host numbers the frames read from this instance; in a bundle they are read from
        // another.
        self.state().ties.stream = stream;
    }

    fn extension_enable(&self, _: &Instance<'_>, extension: Extension) -> bool {
        match extension {
            Extension::TransportWideCc => true,
            // It is for packets that we send, and those carry no extension.
            Extension::AbsSendTime => false,
        }
    }
}

/// Asterisk's view of a session's figures. `rate` is the clock of what is sent, which the peer's
/// jitter is counted in.
fn asterisk_stats(stats: &stats::Stats, rate: u32) -> Stats {
    let spread = |series: &stats::Series, unit: f64| Spread {
        min: series.min() * unit,
        max: series.max() * unit,
        mean: series.mean() * unit,
        deviation: series.deviation() * unit,
    };
    let tick = 1.0 / f64::from(rate.max(1));
    Stats {
        local_ssrc: stats.local_ssrc,
        remote_ssrc: stats.remote_ssrc,
        tx_count: stats.tx_packets as u32,
        rx_count: stats.rx_packets as u32,
        tx_octets: stats.tx_octets as u32,
        rx_octets: stats.rx_octets as u32,
        tx_lost: u32::try_from(stats.remote_lost).unwrap_or(0),
        rx_lost: u32::try_from(stats.local_lost).unwrap_or(0),
        tx_jitter: stats.remote_jitter.last() * tick,
        rx_jitter: stats.local_jitter.last(),
        remote_loss: spread(&stats.remote_loss, 1.0),
        local_loss: spread(&stats.local_loss, 1.0),
        remote_jitter: spread(&stats.remote_jitter, tick),
        local_jitter: spread(&stats.local_jitter, 1.0),
        round_trip: stats.rtt.last(),
        round_trips: spread(&stats.rtt, 1.0),
        ..Stats::default()
    }
}
