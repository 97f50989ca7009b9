//! What all instances share: workers, the generated certificate, DTLS contexts, legs made ready.

use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::contexts::Contexts;
use super::gather::{Gather, Maker};
use super::sdes::Keyed;
use crate::driver::capture::Capture;
use crate::driver::interfaces::Interfaces;
use crate::driver::rtp::{Driver, Leg, PortRange};
use crate::driver::{clock, sys};
use crate::glue::config;
use crate::host::openssl::rand;
use crate::rtc::dtls::Identity;
use crate::rtc::ice::Component;
use crate::rtc::session::{Config, Session};
use crate::settings::{Settings, Strict};
use crate::sync::{read, write};

/// LOCK: a leaf, held for the exchange of a pointer only.
static CURRENT: RwLock<Option<Arc<Runtime>>> = RwLock::new(None);

/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;

pub struct Runtime {
    pub driver: Driver,
    pub interfaces: Interfaces,
    /// For peers without a certificate of their own; made once, P-256.
    pub identity: Identity,
    pub contexts: Contexts,
    pub keyed: Keyed,
    pub gather: Gather,
}

impl Runtime {
    /// The capture of decrypted media, running or not.
    pub fn capture(&self) -> &Capture {
        self.driver.capture()
    }

    /// Opens a leg bound to `ip`, to be adopted, that asks the servers of the settings for
    /// candidates.
    pub fn open_leg(&self, settings: &Settings, ip: IpAddr) -> std::io::Result<Arc<Leg>> {
        let rtp = &settings.rtp;
        let range = PortRange { start: rtp.port_start, end: rtp.port_end };
        let random = rand::bytes::<4>().map_or(0, u32::from_ne_bytes);
        let socket = range.bind(ip, random)?;
        if !rtp.checksums {
            sys::leave_out_checksums(&socket)?;
        }
        let local = socket.local_addr()?;
        let config = Config {
            rtcp_interval: rtp.rtcp_interval,
            strict_rtp: rtp.strict != Strict::No,
            probation: u8::try_from(rtp.probation).unwrap_or(u8::MAX),
            dtmf_timeout: Duration::from_micros(u64::from(rtp.dtmf_timeout) * 125),
            // `read` drops what has no meaning; here it would be too early, for payload types
            // are made known one by one.
            check_payload_types: false,
            unix_time: unix_time(),
            ice_timeout: settings.rtc.ice_timeout,
            ice_lite: settings.rtc.ice_lite,
            ..Config::new(local)
        };
        let mut session = Session::new(clock::now(), config).map_err(std::io::Error::other)?;
        session.set_replay_protection(rtp.srtp_replay_protection);
        let leg = self.driver.open(session, socket, Arc::new(Maker))?;
        let plan = self.gather.plan(self, settings, local);
        if !plan.is_empty() {
            leg.with(|session, now| session.gather(now, Component::Rtp, local, &plan));
        }
        Ok(leg)
    }

    /// The addresses that a socket bound to `bound` has.
    pub fn local_addresses(&self, bound: IpAddr) -> Vec<IpAddr> {
        if !bound.is_unspecified() {
            return vec![bound];
        }
        let all = self.interfaces.addresses(clock::now());
        // A wildcard IPv6 socket takes IPv4 too.
        all.into_iter().filter(|ip| ip.is_ipv4() || bound.is_ipv6()).collect()
    }

    /// The settings in force now.
    pub fn settings(&self) -> Arc<Settings> {
        config::current()
    }
}

/// Starts the workers. `Err` with a sentence.
pub fn start() -> Result<(), String> {
    let identity = Identity::generate().map_err(|error| format!("no certificate could be made: {error}"))?;
    let processors = || std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let threads = config::current().rtc.workers.unwrap_or_else(processors);
    let driver = Driver::start(threads).map_err(|error| format!("no worker thread could be started: {error}"))?;
    let runtime = Arc::new(Runtime {
        driver,
        interfaces: Interfaces::new(),
        identity,
        contexts: Contexts::default(),
        keyed: Keyed::default(),
        gather: Gather::default(),
    });
    *write(&CURRENT) = Some(Arc::clone(&runtime));
    runtime.gather.refresh(&runtime);
    Ok(())
}

/// Ends the workers. No instance is left by then: each holds a reference to the module.
pub fn stop() {
    let runtime = write(&CURRENT).take();
    if let Some(runtime) = runtime {
        runtime.gather.stop();
    }
}

/// The settings have been read anew.
pub fn reload() {
    if let Some(runtime) = current() {
        runtime.gather.refresh(&runtime);
    }
}

/// What there is now of RTP instances, oldest first.
pub fn legs() -> Vec<Arc<Leg>> {
    let mut legs = current().map(|runtime| runtime.driver.legs()).unwrap_or_default();
    legs.retain(|leg| leg.is_adopted());
    legs.sort_by_key(|leg| leg.id());
    legs
}

pub fn current() -> Option<Arc<Runtime>> {
    read(&CURRENT).clone()
}

/// The time since 1970, for NTP timestamps in sender reports.
pub fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time of an NTP timestamp (32.32 fixed point).
pub fn from_ntp(ntp: u64) -> SystemTime {
    let seconds = (ntp >> 32).saturating_sub(NTP_TO_UNIX);
    let nanoseconds = ((ntp & 0xffff_ffff) * 1_000_000_000) >> 32;
    UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}
