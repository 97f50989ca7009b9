//! DTLS configuration and attributes as Asterisk passes them, and the entries of the DTLS table.

use std::ffi::{c_char, c_int, c_uint};

use super::slot::enter;
use super::traits::RtpEngineDtls;
use crate::host::srtp::Suite;
use crate::host::{slice, sys};

/// RFC 4145 `a=setup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsSetup {
    Active,
    Passive,
    Actpass,
    Holdconn,
}

/// RFC 4145 `a=connection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsConnection {
    New,
    Existing,
}

/// The hash of an `a=fingerprint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha1,
}

/// What of the peer's certificate is checked, by configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verify {
    pub fingerprint: bool,
    pub certificate: bool,
}

/// `struct ast_rtp_dtls_cfg`: a peer's or an endpoint's `dtls…` options. Empty strings are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsConfig {
    pub enabled: bool,
    /// Seconds between rekeyings, 0 for none.
    pub rekey: u32,
    pub default_setup: DtlsSetup,
    /// The SRTP suite that SDP or configuration asked for, when it is one we know.
    pub suite: Option<Suite>,
    pub hash: Hash,
    pub verify: Verify,
    pub certfile: Option<String>,
    pub pvtfile: Option<String>,
    pub cipher: Option<String>,
    pub cafile: Option<String>,
    pub capath: Option<String>,
    /// `dtls_auto_generate_cert` (16 and later).
    pub ephemeral_cert: bool,
}

impl DtlsSetup {
    fn from_c(setup: sys::ast_rtp_dtls_setup) -> Self {
        match setup {
            sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_ACTIVE => Self::Active,
            sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_PASSIVE => Self::Passive,
            sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_HOLDCONN => Self::Holdconn,
            _ => Self::Actpass,
        }
    }

    fn to_c(self) -> sys::ast_rtp_dtls_setup {
        match self {
            Self::Active => sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_ACTIVE,
            Self::Passive => sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_PASSIVE,
            Self::Actpass => sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_ACTPASS,
            Self::Holdconn => sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_HOLDCONN,
        }
    }
}

impl DtlsConnection {
    fn to_c(self) -> sys::ast_rtp_dtls_connection {
        match self {
            Self::New => sys::ast_rtp_dtls_connection_AST_RTP_DTLS_CONNECTION_NEW,
            Self::Existing => sys::ast_rtp_dtls_connection_AST_RTP_DTLS_CONNECTION_EXISTING,
        }
    }
}

impl Hash {
    fn from_c(hash: sys::ast_rtp_dtls_hash) -> Self {
        match hash {
            sys::ast_rtp_dtls_hash_AST_RTP_DTLS_HASH_SHA1 => Self::Sha1,
            _ => Self::Sha256,
        }
    }

    fn to_c(self) -> sys::ast_rtp_dtls_hash {
        match self {
            Self::Sha256 => sys::ast_rtp_dtls_hash_AST_RTP_DTLS_HASH_SHA256,
            Self::Sha1 => sys::ast_rtp_dtls_hash_AST_RTP_DTLS_HASH_SHA1,
        }
    }
}

impl DtlsConfig {
    /// # Safety
    /// The configuration's strings are null or NUL-terminated, and alive during the call.
    unsafe fn from_c(raw: &sys::ast_rtp_dtls_cfg) -> Self {
        let verify = raw.verify;
        // SAFETY: the caller's word.
        let string = |text: *const c_char| unsafe { slice::string(text) };
        Self {
            enabled: raw.enabled() != 0,
            rekey: raw.rekey,
            default_setup: DtlsSetup::from_c(raw.default_setup),
            suite: Suite::from_c(raw.suite),
            hash: Hash::from_c(raw.hash),
            verify: Verify {
                fingerprint: verify & sys::ast_rtp_dtls_verify_AST_RTP_DTLS_VERIFY_FINGERPRINT != 0,
                certificate: verify & sys::ast_rtp_dtls_verify_AST_RTP_DTLS_VERIFY_CERTIFICATE != 0,
            },
            certfile: string(raw.certfile),
            pvtfile: string(raw.pvtfile),
            cipher: string(raw.cipher),
            cafile: string(raw.cafile),
            capath: string(raw.capath),
            #[cfg(ast_has_dtls_cfg_ephemeral_cert)]
            ephemeral_cert: raw.ephemeral_cert() != 0,
            #[cfg(not(ast_has_dtls_cfg_ephemeral_cert))]
            ephemeral_cert: false,
        }
    }
}

pub(super) fn fill<T: RtpEngineDtls>(table: &mut sys::ast_rtp_engine_dtls) {
    table.set_configuration = Some(set_configuration::<T>);
    table.active = Some(active::<T>);
    table.stop = Some(stop::<T>);
    table.reset = Some(reset::<T>);
    table.get_connection = Some(get_connection::<T>);
    table.get_setup = Some(get_setup::<T>);
    table.set_setup = Some(set_setup::<T>);
    table.set_fingerprint = Some(set_fingerprint::<T>);
    #[cfg(ast_has_dtls_get_fingerprint_hash)]
    {
        table.get_fingerprint_hash = Some(get_fingerprint_hash::<T>);
    }
    table.get_fingerprint = Some(get_fingerprint::<T>);
}

type Raw = *mut sys::ast_rtp_instance;

unsafe extern "C" fn set_configuration<T: RtpEngineDtls>(instance: Raw, config: *const sys::ast_rtp_dtls_cfg) -> c_int {
    // SAFETY: the core passes an instance of this engine and a configuration that it keeps.
    unsafe {
        enter::<T, _>("dtls set_configuration", instance, |slot, instance| {
            let Some(config) = config.as_ref() else { return -1 };
            if slot.session.set_configuration(instance, &DtlsConfig::from_c(config)) { 0 } else { -1 }
        })
    }
}

unsafe extern "C" fn active<T: RtpEngineDtls>(instance: Raw) -> c_int {
    // Unsigned, because failure is "not active", which is 0.
    // SAFETY: the core passes an instance of this engine.
    let active: c_uint =
        unsafe { enter::<T, _>("dtls active", instance, |slot, instance| slot.session.active(instance).into()) };
    active as c_int
}

unsafe extern "C" fn stop<T: RtpEngineDtls>(instance: Raw) {
    // SAFETY: as above.
    unsafe { enter::<T, _>("dtls stop", instance, |slot, instance| RtpEngineDtls::stop(&*slot.session, instance)) };
}

unsafe extern "C" fn reset<T: RtpEngineDtls>(instance: Raw) {
    // SAFETY: as above.
    unsafe { enter::<T, _>("dtls reset", instance, |slot, instance| slot.session.reset(instance)) };
}

unsafe extern "C" fn get_connection<T: RtpEngineDtls>(instance: Raw) -> sys::ast_rtp_dtls_connection {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("dtls get_connection", instance, |slot, instance| slot.session.get_connection(instance).to_c())
    }
}

unsafe extern "C" fn get_setup<T: RtpEngineDtls>(instance: Raw) -> sys::ast_rtp_dtls_setup {
    // SAFETY: as above.
    unsafe { enter::<T, _>("dtls get_setup", instance, |slot, instance| slot.session.get_setup(instance).to_c()) }
}

unsafe extern "C" fn set_setup<T: RtpEngineDtls>(instance: Raw, setup: sys::ast_rtp_dtls_setup) {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("dtls set_setup", instance, |slot, instance| {
            slot.session.set_setup(instance, DtlsSetup::from_c(setup));
        });
    }
}

unsafe extern "C" fn set_fingerprint<T: RtpEngineDtls>(
    instance: Raw,
    hash: sys::ast_rtp_dtls_hash,
    fingerprint: *const c_char,
) {
    // SAFETY: as above; the string may be null.
    unsafe {
        enter::<T, _>("dtls set_fingerprint", instance, |slot, instance| {
            let fingerprint = slice::string(fingerprint).unwrap_or_default();
            slot.session.set_fingerprint(instance, Hash::from_c(hash), &fingerprint);
        });
    }
}

#[cfg(ast_has_dtls_get_fingerprint_hash)]
unsafe extern "C" fn get_fingerprint_hash<T: RtpEngineDtls>(instance: Raw) -> sys::ast_rtp_dtls_hash {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("dtls get_fingerprint_hash", instance, |slot, instance| {
            slot.session.get_fingerprint_hash(instance).to_c()
        })
    }
}

unsafe extern "C" fn get_fingerprint<T: RtpEngineDtls>(instance: Raw) -> *const c_char {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("dtls get_fingerprint", instance, |slot, instance| {
            slot.fingerprint.give(slot.session.get_fingerprint(instance))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_with_empty_strings_as_none() {
        // SAFETY: all-zero is a configuration without strings.
        let mut raw: sys::ast_rtp_dtls_cfg = unsafe { std::mem::zeroed() };
        raw.set_enabled(1);
        raw.default_setup = sys::ast_rtp_dtls_setup_AST_RTP_DTLS_SETUP_ACTPASS;
        raw.verify = sys::ast_rtp_dtls_verify_AST_RTP_DTLS_VERIFY_CERTIFICATE;
        raw.hash = sys::ast_rtp_dtls_hash_AST_RTP_DTLS_HASH_SHA1;
        raw.certfile = c"/etc/asterisk/keys/asterisk.pem".as_ptr().cast_mut();
        raw.cafile = c"".as_ptr().cast_mut();
        // SAFETY: the strings are constants.
        let config = unsafe { DtlsConfig::from_c(&raw) };
        assert!(config.enabled && !config.ephemeral_cert);
        assert_eq!(config.default_setup, DtlsSetup::Actpass);
        assert_eq!(config.verify, Verify { fingerprint: false, certificate: true });
        assert_eq!(config.hash, Hash::Sha1);
        assert_eq!(config.certfile.as_deref(), Some("/etc/asterisk/keys/asterisk.pem"));
        assert_eq!((config.cafile, config.pvtfile, config.suite), (None, None, None));
    }
}
