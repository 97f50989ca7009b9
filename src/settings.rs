//! Typed configuration: what `webrtc.conf`, `rtp.conf` and `http.conf` say, checked once.
//!
//! Pure: a reader of Asterisk's files (`glue::config`) gives the entries, this gives [`Settings`]
//! and a list of [`Warning`]s. A value that cannot be used is reported with its file and line,
//! the default stands, and reading goes on; the module is never refused for its configuration.
//!
//! Each option is one line of the table in `settings/keys.rs`, which says how it is read and how
//! it is shown.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

mod acl;
pub mod check;
mod keys;
#[cfg(test)]
mod tests;
mod value;

pub use acl::{Acl, Network};
pub use value::HostPort;

/// Which of Asterisk's configurations an entry belongs to. Not the file it stands in: that may be
/// one that was included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Rtp,
    Http,
    Webrtc,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Webrtc, Self::Rtp, Self::Http];

    /// The file's name in Asterisk's configuration directory.
    pub fn file(self) -> &'static str {
        match self {
            Self::Rtp => "rtp.conf",
            Self::Http => "http.conf",
            Self::Webrtc => "webrtc.conf",
        }
    }
}

/// One `name = value` as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub source: Source,
    pub category: &'a str,
    pub name: &'a str,
    pub value: &'a str,
    pub file: &'a str,
    pub line: u32,
}

/// Something in a file that is not used as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub file: String,
    pub line: u32,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}", self.file, self.line, self.text)
    }
}

/// An option with the value that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub source: Source,
    pub category: &'static str,
    pub name: &'static str,
    pub value: String,
    pub is_default: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub rtp: Rtp,
    pub http: Http,
    pub websocket: WebSocket,
    pub rtc: Rtc,
}

/// Of `strictrtp`: which sources a stream may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strict {
    No,
    Yes,
    /// As [`Strict::Yes`], but a new source qualifies by sequence numbers alone, not by time.
    Seqno,
}

/// `rtp.conf`, with the meanings and defaults of stock's engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtp {
    /// Even; below `port_end`.
    pub port_start: u16,
    pub port_end: u16,
    /// Whether UDP checksums are computed for what is sent.
    pub checksums: bool,
    /// How long a digit without an end may last, in samples of 1/8000 s.
    pub dtmf_timeout: u32,
    pub rtcp_interval: Duration,
    pub strict: Strict,
    /// Consecutive packets that qualify a new source.
    pub probation: u32,
    pub srtp_replay_protection: bool,
    pub ice_support: bool,
    /// Whether STUN messages carry SOFTWARE.
    pub stun_software_attribute: bool,
    pub stun: Option<HostPort>,
    pub turn: Option<HostPort>,
    pub turn_username: String,
    pub turn_password: String,
    /// Which local addresses are offered as candidates.
    pub ice_acl: Acl,
    /// Which local addresses ask the STUN server.
    pub stun_acl: Acl,
    pub host_candidates: Vec<HostCandidate>,
    pub dtls_mtu: u16,
}

impl Rtp {
    /// The time over which the `probation` packets of a new source must be spread (packets that
    /// come in one burst qualify nobody).
    pub fn learning_min_duration(&self) -> Duration {
        Duration::from_millis((u64::from(self.probation).saturating_sub(1) * 9).saturating_sub(5))
    }
}

impl Default for Rtp {
    fn default() -> Self {
        Self {
            port_start: 5000,
            port_end: 31000,
            checksums: true,
            dtmf_timeout: 1200,
            rtcp_interval: Duration::from_millis(5000),
            strict: Strict::Yes,
            probation: 4,
            srtp_replay_protection: true,
            ice_support: true,
            stun_software_attribute: true,
            stun: None,
            turn: None,
            turn_username: String::new(),
            turn_password: String::new(),
            ice_acl: Acl::default(),
            stun_acl: Acl::default(),
            host_candidates: Vec::new(),
            dtls_mtu: 1200,
        }
    }
}

/// A line of `[ice_host_candidates]`: behind a one-to-one NAT, `advertised` is offered for `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCandidate {
    pub local: IpAddr,
    pub advertised: IpAddr,
    /// Offer both.
    pub include_local: bool,
}

/// What of `http.conf` matters to a browser that wants to reach `/ws`. Asterisk itself serves it;
/// this is only shown and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    pub enabled: bool,
    pub bind_address: String,
    pub bind_port: u16,
    pub tls_enabled: bool,
    pub tls_bind_address: String,
    pub tls_certificate: String,
    pub tls_private_key: String,
    pub prefix: String,
    pub session_limit: u32,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            enabled: false,
            bind_address: String::new(),
            bind_port: 8088,
            tls_enabled: false,
            tls_bind_address: String::new(),
            tls_certificate: "asterisk.pem".into(),
            tls_private_key: String::new(),
            prefix: String::new(),
            session_limit: 100,
        }
    }
}

/// `[websocket]` of `webrtc.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// The longest message accepted, fragments put together; a longer one closes with 1009.
    pub max_message_size: usize,
    /// Bytes that may wait for a peer that reads slowly; more close the session.
    pub send_queue: usize,
    /// How long the queue may stand still.
    pub write_timeout: Duration,
    /// `None`: the server sends no pings.
    pub ping_interval: Option<Duration>,
    /// A peer that sends nothing for so long, not even a pong, is gone. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// `None`: as many as `sessionlimit` of `http.conf` lets in.
    pub max_sessions: Option<usize>,
    pub max_sessions_per_address: Option<usize>,
    /// Empty: pages from anywhere, as stock.
    pub allowed_origins: Vec<String>,
    /// Whose X-Forwarded-For and Forwarded are believed.
    pub trusted_proxies: Vec<Network>,
    pub permessage_deflate: bool,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self {
            max_message_size: 65536,
            send_queue: 1024 * 1024,
            write_timeout: Duration::from_secs(5),
            ping_interval: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(90)),
            max_sessions: None,
            max_sessions_per_address: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            permessage_deflate: false,
        }
    }
}

/// SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpProfile {
    Aes128CmHmacSha1_80,
    Aes128CmHmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl SrtpProfile {
    pub const ALL: [Self; 4] =
        [Self::Aes128CmHmacSha1_80, Self::Aes128CmHmacSha1_32, Self::AeadAes128Gcm, Self::AeadAes256Gcm];

    /// The name in the RFC.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128CmHmacSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::Aes128CmHmacSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }
}

/// `[rtc]` of `webrtc.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtc {
    /// Threads that own sockets and timers. `None`: one for each processor.
    pub workers: Option<usize>,
    /// Answer checks and make none (RFC 8445 §2.5): for a server with a public address.
    pub ice_lite: bool,
    /// How long ICE may look for a pair before the call is ended.
    pub ice_timeout: Duration,
    /// RTP ports kept ready with what STUN and TURN servers say of them, for each address that
    /// calls bind to.
    pub gather_ready: usize,
    /// How long SDP may wait, from the beginning of a call, for a STUN or TURN server that is known
    /// to answer.
    pub gather_wait: Duration,
    /// Preferred first.
    pub srtp_profiles: Vec<SrtpProfile>,
    /// Offer NACK and PLI for the video of chan_sip's WebRTC peers.
    pub rtcp_feedback: bool,
}

impl Default for Rtc {
    fn default() -> Self {
        Self {
            workers: None,
            ice_lite: false,
            ice_timeout: Duration::from_secs(30),
            gather_ready: 4,
            gather_wait: Duration::from_millis(50),
            srtp_profiles: vec![SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80],
            rtcp_feedback: true,
        }
    }
}

impl Settings {
    /// Reads the entries in the order of the files.
    pub fn parse<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> (Self, Vec<Warning>) {
        let mut settings = Self::default();
        let mut warnings = Vec::new();
        let mut seen = Vec::new();
        let mut ports = None;
        for entry in entries {
            settings.apply(&entry, &mut seen, &mut warnings);
            if entry.source == Source::Rtp && is_one_of(entry.name, &["rtpstart", "rtpend"]) {
                ports = Some((entry.file.to_owned(), entry.line));
            }
        }
        if let Some((file, line)) = ports {
            settings.check_ports(&mut |text| warnings.push(Warning { file: file.clone(), line, text }));
        }
        (settings, warnings)
    }

    /// Every option with its value, in the order of the table.
    pub fn shown(&self) -> Vec<Shown> {
        let default = Self::default();
        keys::KEYS
            .iter()
            .map(|key| {
                let value = (key.show)(self);
                let is_default = value == (key.show)(&default);
                Shown { source: key.source, category: key.category, name: key.name, value, is_default }
            })
            .collect()
    }

    fn apply(&mut self, entry: &Entry<'_>, seen: &mut Vec<&'static str>, warnings: &mut Vec<Warning>) {
        let mut warn = |text| warnings.push(Warning { file: entry.file.to_owned(), line: entry.line, text });
        if entry.source == Source::Rtp && entry.category.eq_ignore_ascii_case("ice_host_candidates") {
            match value::host_candidate(entry.name, entry.value) {
                Ok(candidate) => self.rtp.host_candidates.push(candidate),
                Err(reason) => warn(format!("{} => {}: {reason}; the line is ignored", entry.name, entry.value)),
            }
            return;
        }
        let found = keys::KEYS.iter().find(|key| {
            key.source == entry.source
                && key.category.eq_ignore_ascii_case(entry.category)
                && key.names().any(|name| name.eq_ignore_ascii_case(entry.name))
        });
        let Some(key) = found else {
            // The other two files belong to Asterisk, whose options are more than ours.
            if entry.source == Source::Webrtc {
                warn(format!("unknown option '{}' in [{}]", entry.name, entry.category));
            }
            return;
        };
        // Stock reads rtp.conf by name and so takes the first of several, except in lists.
        if entry.source == Source::Rtp && !key.repeats {
            if seen.contains(&key.name) {
                warn(format!("{} is given again; the first value stays", key.name));
                return;
            }
            seen.push(key.name);
        }
        if let Err(reason) = (key.set)(self, entry.value.trim()) {
            let used = (key.show)(self);
            let used = if used.is_empty() { "nothing" } else { &used };
            warn(format!("{} = {}: {reason}; {used} is used", key.name, entry.value));
        }
    }

    /// RTP takes even ports (RFC 3550 §11), and the range must hold one.
    fn check_ports(&mut self, warn: &mut dyn FnMut(String)) {
        if self.rtp.port_start % 2 == 1 {
            self.rtp.port_start = self.rtp.port_start.saturating_add(1);
            warn(format!("rtpstart is odd; {} is used", self.rtp.port_start));
        }
        if self.rtp.port_start >= self.rtp.port_end {
            let Rtp { port_start, port_end, .. } = Rtp::default();
            warn(format!(
                "rtpstart {} is not below rtpend {}; {port_start} to {port_end} is used",
                self.rtp.port_start, self.rtp.port_end
            ));
            (self.rtp.port_start, self.rtp.port_end) = (port_start, port_end);
        }
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}
