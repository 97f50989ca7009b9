//! What the associations of one configuration share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Identity, Version};
use crate::host::openssl::{Error, dtls};
use crate::rtc::srtp::Profile;

/// Key agreement always by elliptic curves, so that a key that leaks later opens no old call.
pub const DEFAULT_CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";

/// What is demanded of the peer's certificate beside its fingerprint, which is always checked
/// (`dtlsverify`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    #[default]
    FingerprintOnly,
    /// Somebody in the CA file or folder vouches for it.
    Chain,
}

/// How associations are made.
#[derive(Clone, Debug)]
pub struct Config {
    /// OpenSSL's cipher list (`dtlscipher`).
    pub ciphers: String,
    pub verify: Verify,
    /// Trusted certificates for [`Verify::Chain`] (`dtlscafile`, `dtlscapath`).
    pub ca_file: Option<PathBuf>,
    pub ca_path: Option<PathBuf>,
    /// The most bytes in a datagram of ours.
    pub mtu: u16,
    /// SRTP profiles, best first. The passive side chooses: the first of its list that the active
    /// side offers too.
    pub profiles: Vec<Profile>,
    /// The highest version; the lowest is 1.2.
    pub max_version: Version,
    /// When a flight is first repeated; the interval then doubles. RFC 6347 suggests a second;
    /// a call on a path of ordinary delay is up 950 ms sooner with less.
    pub initial_timeout: Duration,
    /// Where the doubling ends.
    pub longest_timeout: Duration,
    /// When a handshake is given up.
    pub give_up: Duration,
    /// Keep the lines of a key log for [`super::Endpoint::take_key_log`].
    pub key_log: bool,
    /// For tests under a virtual clock only: see [`super::Endpoint::handle_timeout`].
    pub wait_out_library_timer: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            ciphers: DEFAULT_CIPHERS.to_owned(),
            verify: Verify::FingerprintOnly,
            ca_file: None,
            ca_path: None,
            mtu: 1200,
            profiles: vec![Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80],
            max_version: Version::Dtls12,
            initial_timeout: Duration::from_millis(50),
            longest_timeout: Duration::from_secs(3),
            give_up: Duration::from_secs(30),
            key_log: false,
            wait_out_library_timer: false,
        }
    }
}

/// A configuration made ready. It costs 0.1 to 0.3 ms to make, and is shared by any number of
/// endpoints on any threads.
#[derive(Clone)]
pub struct Context {
    pub(super) shared: Arc<dtls::Context>,
    pub(super) config: Arc<Config>,
}

impl Context {
    /// Fails with the library's words on a cipher list or CA file that it cannot use, and on a
    /// list without any profile that DTLS can negotiate.
    pub fn new(identity: &Identity, config: Config) -> Result<Context, Error> {
        let names: Vec<&str> = config.profiles.iter().filter_map(library_name).collect();
        let shared = dtls::Context::new(
            identity.pair(),
            &dtls::Config {
                ciphers: config.ciphers.clone(),
                srtp_profiles: names.join(":"),
                max_version: config.max_version,
                verify_chain: config.verify == Verify::Chain,
                ca_file: config.ca_file.clone(),
                ca_path: config.ca_path.clone(),
                key_log: config.key_log,
            },
        )?;
        Ok(Context { shared: Arc::new(shared), config: Arc::new(config) })
    }

    /// What it was made from.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// The profile in the words of `SSL_CTX_set_tlsext_use_srtp`.
fn library_name(profile: &Profile) -> Option<&'static str> {
    match profile {
        Profile::AesCm128HmacSha1_80 => Some("SRTP_AES128_CM_SHA1_80"),
        Profile::AesCm128HmacSha1_32 => Some("SRTP_AES128_CM_SHA1_32"),
        Profile::AeadAes128Gcm => Some("SRTP_AEAD_AES_128_GCM"),
        Profile::AeadAes256Gcm => Some("SRTP_AEAD_AES_256_GCM"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_exist_for_what_dtls_can_negotiate() {
        for profile in Profile::ALL {
            assert_eq!(library_name(&profile).is_some(), profile.dtls_id().is_some(), "{profile}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_use() {
        let identity = Identity::generate().unwrap();
        let refused = |config: Config| Context::new(&identity, config).err().unwrap().to_string();
        let text = refused(Config { ciphers: "NO-SUCH-CIPHER".into(), ..Config::default() });
        assert!(text.starts_with("set DTLS ciphers: "), "{text}");
        let text = refused(Config { profiles: vec![Profile::AesCm256HmacSha1_80], ..Config::default() });
        assert!(text.starts_with("set SRTP profiles"), "{text}");
        let text =
            refused(Config { verify: Verify::Chain, ca_file: Some("/nonexistent/ca.pem".into()), ..Config::default() });
        assert!(text.starts_with("load trusted certificates"), "{text}");
        assert!(Context::new(&identity, Config::default()).is_ok());
    }
}
