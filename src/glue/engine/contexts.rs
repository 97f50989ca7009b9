//! Certificates and DTLS contexts, made once per configuration and shared by its calls.
//!
//! Making one costs a fraction of a millisecond (a P-256 key, an `SSL_CTX`), reading a file a
//! little more; a key of another kind is never made here, for callbacks run with Asterisk's locks
//! held.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use super::peers;
use super::runtime::Runtime;
use crate::host::rtp_engine::{DtlsConfig, Hash};
use crate::host::srtp::Suite;
use crate::rtc::dtls::{self, Config, Context, DEFAULT_CIPHERS, Identity, Verify};
use crate::rtc::srtp::Profile;
use crate::settings::SrtpProfile;
use crate::sync::lock;

/// More configurations than this are not kept: an exchange has a handful.
const KEPT: usize = 64;

/// What an instance has of its configuration.
#[derive(Clone)]
pub struct LocalDtls {
    pub context: Context,
    pub hash: Hash,
    pub fingerprint: String,
}

/// What a context is made of. The times of the files are part of it, so that a renewed certificate
/// is used by the next call.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    certificate: Option<(PathBuf, Option<SystemTime>)>,
    private_key: Option<(PathBuf, Option<SystemTime>)>,
    cipher: Option<String>,
    ca_file: Option<(PathBuf, Option<SystemTime>)>,
    ca_path: Option<PathBuf>,
    verify_chain: bool,
    suite_32: bool,
    /// Of the files that tell why a certificate or a key is absent.
    configured: Option<[Option<SystemTime>; 2]>,
}

/// Contexts in use.
#[derive(Default)]
pub struct Contexts {
    made: Mutex<HashMap<Key, (Identity, Context)>>,
}

/// The context for a peer's configuration; `Err` with a sentence that names the file or option.
pub fn get(runtime: &Runtime, config: &DtlsConfig) -> Result<LocalDtls, String> {
    let key = Key::new(config);
    let known = lock(&runtime.contexts.made).get(&key).cloned();
    let (identity, context) = match known {
        Some(known) => known,
        None => {
            if key.configured.is_some()
                && let Some(files) = peers::unreadable(config)
            {
                return Err(files);
            }
            let identity = identity(runtime, &key)?;
            let context = context(runtime, &key, &identity)?;
            let mut made = lock(&runtime.contexts.made);
            if made.len() >= KEPT {
                made.clear();
            }
            made.insert(key, (identity.clone(), context.clone()));
            (identity, context)
        }
    };
    let hash = match config.hash {
        Hash::Sha256 => dtls::Hash::Sha256,
        Hash::Sha1 => dtls::Hash::Sha1,
    };
    let fingerprint = identity.fingerprint(hash).map_err(|error| format!("no fingerprint: {error}"))?;
    Ok(LocalDtls { context, hash: config.hash, fingerprint: fingerprint.value() })
}

impl Key {
    fn new(config: &DtlsConfig) -> Self {
        let dated = |path: &Option<String>| {
            path.as_ref().map(|path| {
                let path = PathBuf::from(path);
                let modified = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
                (path, modified)
            })
        };
        let certificate = if config.ephemeral_cert { None } else { dated(&config.certfile) };
        Self {
            private_key: certificate.as_ref().and_then(|_| dated(&config.pvtfile)),
            certificate,
            cipher: config.cipher.clone(),
            ca_file: dated(&config.cafile),
            ca_path: config.capath.as_ref().map(PathBuf::from),
            verify_chain: config.verify.certificate,
            suite_32: config.suite == Some(Suite::AesCm128HmacSha1_32),
            configured: (!config.ephemeral_cert && (config.certfile.is_none() || config.pvtfile.is_none()))
                .then(peers::dates),
        }
    }
}

fn identity(runtime: &Runtime, key: &Key) -> Result<Identity, String> {
    match &key.certificate {
        None => Ok(runtime.identity.clone()),
        Some((certificate, _)) => {
            let private_key: Option<&Path> = key.private_key.as_ref().map(|(path, _)| path.as_path());
            Identity::load(certificate, private_key).map_err(|error| error.to_string())
        }
    }
}

fn context(runtime: &Runtime, key: &Key, identity: &Identity) -> Result<Context, String> {
    let settings = runtime.settings();
    let mut profiles: Vec<Profile> = settings.rtc.srtp_profiles.iter().map(|profile| profile_of(*profile)).collect();
    if key.suite_32 {
        // `encryption_taglen=32` in sip.conf: the short tag is preferred, others still do.
        profiles.retain(|profile| *profile != Profile::AesCm128HmacSha1_32);
        profiles.insert(0, Profile::AesCm128HmacSha1_32);
    }
    let config = Config {
        ciphers: key.cipher.clone().unwrap_or_else(|| DEFAULT_CIPHERS.to_owned()),
        verify: if key.verify_chain { Verify::Chain } else { Verify::FingerprintOnly },
        ca_file: key.ca_file.as_ref().map(|(path, _)| path.clone()),
        ca_path: key.ca_path.clone(),
        mtu: settings.rtp.dtls_mtu,
        profiles,
        ..Config::default()
    };
    Context::new(identity, config).map_err(|error| match &key.cipher {
        Some(cipher) => format!("cipher list '{cipher}' or certificate authority: {error}"),
        None => format!("DTLS cannot be set up: {error}"),
    })
}

fn profile_of(profile: SrtpProfile) -> Profile {
    match profile {
        SrtpProfile::Aes128CmHmacSha1_80 => Profile::AesCm128HmacSha1_80,
        SrtpProfile::Aes128CmHmacSha1_32 => Profile::AesCm128HmacSha1_32,
        SrtpProfile::AeadAes128Gcm => Profile::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm => Profile::AeadAes256Gcm,
    }
}
