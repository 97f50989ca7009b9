//! The DTLS table.

use std::sync::atomic::Ordering;

use super::Engine;
use super::contexts::{self, LocalDtls};
use crate::host::log;
use crate::host::rtp_engine::{DtlsConfig, DtlsConnection, DtlsSetup, Hash, Instance, RtpEngineDtls};
use crate::rtc::dtls;
use crate::rtc::session::DtlsState;

impl RtpEngineDtls for Engine {
    fn set_configuration(&self, _: &Instance<'_>, config: &DtlsConfig) -> bool {
        if !config.enabled {
            return true;
        }
        self.leave_bundle();
        if self.state().dtls.is_some() {
            // Set already; a re-INVITE must not touch what runs.
            return true;
        }
        match contexts::get(&self.runtime, config) {
            Ok(local) => {
                let context = local.context.clone();
                let setup = setup_from_asterisk(config.default_setup);
                self.state().dtls = Some(local);
                self.leg.with(|session, _| session.enable_dtls(context, setup));
                true
            }
            Err(error) => {
                log::warning(&super::peers::blame(config, &error));
                false
            }
        }
    }

    fn active(&self, _: &Instance<'_>) -> bool {
        self.leg.look(|session| session.dtls_enabled())
    }

    fn stop(&self, _: &Instance<'_>) {
        self.state().dtls = None;
        // Nothing the channel writes may leave in the clear for want of DTLS: only what signalling
        // agrees on next (SDES, or plain RTP) lets it flow again.
        self.sending.store(false, Ordering::Relaxed);
        self.leg.with(|session, _| session.disable_dtls());
    }

    fn reset(&self, _: &Instance<'_>) {
        self.leg.with(|session, _| session.reset_dtls());
    }

    fn get_connection(&self, _: &Instance<'_>) -> DtlsConnection {
        match self.leg.look(|session| session.dtls_state()) {
            Some(DtlsState::Connected) => DtlsConnection::Existing,
            _ => DtlsConnection::New,
        }
    }

    fn get_setup(&self, _: &Instance<'_>) -> DtlsSetup {
        match self.leg.look(|session| session.setup()) {
            Some(dtls::Setup::Active) => DtlsSetup::Active,
            Some(dtls::Setup::Passive) => DtlsSetup::Passive,
            Some(dtls::Setup::Actpass) | None => DtlsSetup::Actpass,
            Some(dtls::Setup::Holdconn) => DtlsSetup::Holdconn,
        }
    }

    fn set_setup(&self, _: &Instance<'_>, setup: DtlsSetup) {
        let setup = setup_from_asterisk(setup);
        self.leg.with(|session, now| session.set_remote_setup(now, setup));
    }

    fn set_fingerprint(&self, instance: &Instance<'_>, hash: Hash, fingerprint: &str) {
        let name = match hash {
            Hash::Sha256 => "sha-256",
            Hash::Sha1 => "sha-1",
        };
        let parsed = match dtls::Fingerprint::parse(name, fingerprint) {
            Ok(parsed) => parsed,
            Err(error) => {
                log::warning(&format!(
                    "channel {}: the peer's fingerprint {name} {fingerprint} is not one ({error}); no media will flow",
                    instance.channel_id()
                ));
                return;
            }
        };
        self.leg.with(|session, now| session.set_remote_fingerprint(now, parsed));
    }

    fn get_fingerprint_hash(&self, _: &Instance<'_>) -> Hash {
        self.state().dtls.as_ref().map_or(Hash::Sha256, |local| local.hash)
    }

    fn get_fingerprint(&self, _: &Instance<'_>) -> Option<String> {
        let fingerprint = self.state().dtls.as_ref().map(|local: &LocalDtls| local.fingerprint.clone())?;
        Some(self.with_feedback_lines(fingerprint))
    }
}

fn setup_from_asterisk(setup: DtlsSetup) -> dtls::Setup {
    match setup {
        DtlsSetup::Active => dtls::Setup::Active,
        DtlsSetup::Passive => dtls::Setup::Passive,
        DtlsSetup::Actpass => dtls::Setup::Actpass,
        DtlsSetup::Holdconn => dtls::Setup::Holdconn,
    }
}
