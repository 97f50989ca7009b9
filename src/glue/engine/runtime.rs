//! What all instances share: workers, the generated certificate, DTLS contexts.

use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::contexts::Contexts;
use super::sdes::Keyed;
use crate::driver::capture::Capture;
use crate::driver::interfaces::Interfaces;
use crate::driver::rtp::{Driver, Leg};
use crate::glue::config;
use crate::rtc::dtls::Identity;
use crate::settings::Settings;
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
}

impl Runtime {
    /// The capture of decrypted media, running or not.
    pub fn capture(&self) -> &Capture {
        self.driver.capture()
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
    let runtime = Runtime {
        driver,
        interfaces: Interfaces::new(),
        identity,
        contexts: Contexts::default(),
        keyed: Keyed::default(),
    };
    *write(&CURRENT) = Some(Arc::new(runtime));
    Ok(())
}

/// Ends the workers. No instance is left by then: each holds a reference to the module.
pub fn stop() {
    let runtime = write(&CURRENT).take();
    drop(runtime);
}

/// What there is now of RTP instances, oldest first.
pub fn legs() -> Vec<Arc<Leg>> {
    let mut legs = current().map(|runtime| runtime.driver.legs()).unwrap_or_default();
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
