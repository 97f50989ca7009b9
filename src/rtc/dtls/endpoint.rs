//! One DTLS-SRTP association, driven by packets and time.
//!
//! After each call the caller drains [`Endpoint::poll_transmit`] and [`Endpoint::poll_event`] and
//! sets its timer to [`Endpoint::poll_timeout`].
//!
//! ```text
//! Idle ──start──▶ Handshaking ──finished──▶ Unverified ──fingerprint right──▶ Connected
//!                      │                        │ wrong                          │
//!                      ▼                        ▼                                ▼
//!                     Over ◀────────────────────┴─────── close, alert ───────────┘
//! ```
//!
//! Invariant: keys leave this file only in [`Event::Connected`], and that only after the peer's
//! certificate was found to have the fingerprint that was signalled (RFC 5763 section 5).

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use super::{Context, Fingerprint, Role};
use crate::host::openssl::dtls::{Connection, Rejected, Step};
use crate::host::openssl::{Error, Secret, cleanse};
use crate::rtc::srtp::Profile;

/// How many datagrams are held for an endpoint that is not started yet.
const MAX_EARLY: usize = 16;

/// How many datagrams wait for [`Endpoint::poll_transmit`]. What is more is lost, as on a network.
const MAX_TRANSMITS: usize = 64;

/// The exporter label of RFC 5764 section 4.2.
const EXPORTER: &str = "EXTRACTOR-dtls_srtp";

/// An association.
pub struct Endpoint {
    connection: Connection,
    context: Context,
    role: Role,
    state: State,
    fingerprint: Option<Fingerprint>,
    early: usize,
    repeat_at: Option<Instant>,
    give_up_at: Option<Instant>,
    transmits: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    dropped_data: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Handshaking,
    Unverified,
    Connected,
    Over,
}

/// What became of the association. There is at most one of each, and nothing after the last two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer is who signalling said, and both have keys.
    Connected(Box<Connected>),
    /// There is no association, or no longer.
    Failed(Failure),
    /// The peer has closed it.
    Closed,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    pub profile: Profile,
    /// Protects what we send.
    pub local: KeyingMaterial,
    /// Protects what we receive.
    pub remote: KeyingMaterial,
    /// OpenSSL's name of the cipher suite.
    pub cipher: String,
    /// OpenSSL's name of the version.
    pub version: String,
}

/// A master key and a master salt, wiped when dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyingMaterial {
    pub key: Secret,
    pub salt: Secret,
}

/// Why there is no association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    TimedOut,
    /// The peer's certificate is not the one that was signalled.
    FingerprintMismatch,
    /// Nobody who is trusted vouches for the peer's certificate.
    CertificateRejected(String),
    /// No SRTP profile that both sides want.
    NoCommonProfile,
    /// The handshake, or a record after it, went wrong: what the library says.
    Protocol(Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::TimedOut => f.write_str("handshake timed out"),
            Failure::FingerprintMismatch => {
                f.write_str("the peer's certificate has not the fingerprint that was signalled")
            }
            Failure::CertificateRejected(reason) => {
                write!(f, "the peer's certificate is not trusted: {reason}")
            }
            Failure::NoCommonProfile => f.write_str("no SRTP profile in common"),
            Failure::Protocol(error) => error.fmt(f),
        }
    }
}

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Its first byte or its length is not DTLS's (RFC 7983).
    NotDtls,
    /// Too many wait already.
    Full,
    /// The association is over.
    Over,
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Discard::NotDtls => "not DTLS",
            Discard::Full => "too many datagrams wait",
            Discard::Over => "the association is over",
        })
    }
}

impl std::error::Error for Discard {}

impl Endpoint {
    /// An association in which we have `role`. Nothing is sent before [`Endpoint::start`].
    pub fn new(context: &Context, role: Role) -> Result<Endpoint, Error> {
        let config = context.config();
        let connection =
            Connection::new(&context.shared, role, config.mtu, config.initial_timeout, config.longest_timeout)?;
        Ok(Endpoint {
            connection,
            context: context.clone(),
            role,
            state: State::Idle,
            fingerprint: None,
            early: 0,
            repeat_at: None,
            give_up_at: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            dropped_data: 0,
        })
    }

    /// Our role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The fingerprint that the peer's certificate must have. It may come after the handshake,
    /// as with an answer that is slower than the media path; keys are withheld until then. The
    /// one that an association was verified with stays: a peer that signals another one means
    /// another association.
    pub fn set_remote_fingerprint(&mut self, fingerprint: Fingerprint) {
        if matches!(self.state, State::Connected | State::Over) {
            return;
        }
        self.connection.expect(fingerprint.expected());
        self.fingerprint = Some(fingerprint);
        if self.state == State::Unverified {
            self.verify();
        }
    }

    /// The fingerprint that was set.
    pub fn remote_fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// Begins: the path to the peer is there. The active side sends its ClientHello; the passive
    /// side answers what has been held for it. Later calls do nothing.
    pub fn start(&mut self, now: Instant) {
        if self.state != State::Idle {
            return;
        }
        self.state = State::Handshaking;
        self.give_up_at = now.checked_add(self.context.config().give_up);
        self.advance(now);
    }

    /// Takes a datagram from the peer. Before [`Endpoint::start`] a few are held.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Discard> {
        match datagram.first() {
            // The headers of DTLS 1.2 and, with their first three bits 001, of 1.3.
            Some(20..=31) if datagram.len() >= 13 => {}
            Some(32..=63) => {}
            _ => return Err(Discard::NotDtls),
        }
        match self.state {
            State::Over => return Err(Discard::Over),
            State::Idle if self.early >= MAX_EARLY => return Err(Discard::Full),
            _ => {}
        }
        if !self.connection.push(datagram) {
            return Err(Discard::Full);
        }
        if self.state == State::Idle {
            self.early += 1;
        } else {
            self.advance(now);
        }
        Ok(())
    }

    /// Lets time pass: repeats a flight, or gives up. Does nothing before the time that
    /// [`Endpoint::poll_timeout`] says.
    ///
    /// The library measures the interval itself, on the wall clock, and refuses to repeat a flight
    /// early. When its clock is behind `now` the deadline is set anew to what it has left. Under
    /// a virtual clock, which runs ahead by all of the interval, that would never end; a
    /// simulation sets [`super::Config::wait_out_library_timer`], and then what is left is slept
    /// here. Such a simulation is repeatable as long as the machine does not fall behind an
    /// interval in real time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state != State::Handshaking {
            return;
        }
        if self.give_up_at.is_some_and(|at| at <= now) {
            self.fail(Failure::TimedOut);
            return;
        }
        if self.repeat_at.is_none_or(|at| at > now) {
            return;
        }
        let wait = self.context.config().wait_out_library_timer;
        match self.connection.repeat_flight(wait) {
            Ok(_) => {
                self.repeat_at = None;
                self.settle(now);
            }
            // The library gives up after a dozen repetitions, at some 24 s by default.
            Err(_) => self.fail(Failure::TimedOut),
        }
    }

    /// When to call [`Endpoint::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.repeat_at.into_iter().chain(self.give_up_at).min()
    }

    /// The next datagram for the peer, never longer than the MTU.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    /// What has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Tells the peer that the association is over, if there is one.
    pub fn close(&mut self) {
        if matches!(self.state, State::Unverified | State::Connected) {
            self.connection.shutdown();
        }
        self.end();
    }

    /// True once keys are agreed on and until the end.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// How many records of application data were dropped. WebRTC has a use for them (data
    /// channels); this module has none.
    pub fn dropped_data(&self) -> u64 {
        self.dropped_data
    }

    /// Takes the lines for a key log, if [`super::Config::key_log`] is set.
    pub fn take_key_log(&mut self) -> Vec<String> {
        self.connection.take_key_log()
    }

    /// Goes on as far as the queued datagrams lead.
    fn advance(&mut self, now: Instant) {
        if self.state == State::Handshaking {
            match self.connection.handshake() {
                Ok(Step::Done) => self.finish(),
                Ok(Step::Waiting) => {}
                Ok(Step::Closed) => {
                    self.fail(Failure::Protocol(Error::unexpected("DTLS handshake")));
                }
                Err(error) => {
                    let failure = match self.connection.rejected() {
                        Some(Rejected::Fingerprint) => Failure::FingerprintMismatch,
                        Some(Rejected::Chain(reason)) => Failure::CertificateRejected(reason),
                        None => Failure::Protocol(error),
                    };
                    self.fail(failure);
                }
            }
        }
        // Each round takes a record from a bounded queue.
        while matches!(self.state, State::Unverified | State::Connected) {
            match self.connection.read() {
                Ok(Step::Done) => self.dropped_data += 1,
                Ok(Step::Waiting) => break,
                Ok(Step::Closed) => {
                    self.connection.shutdown();
                    self.end();
                    self.events.push_back(Event::Closed);
                }
                Err(error) => self.fail(Failure::Protocol(error)),
            }
        }
        self.settle(now);
    }

    /// Collects what the library has written, and looks at its timer.
    fn settle(&mut self, now: Instant) {
        let written = self.connection.outgoing();
        if self.state == State::Handshaking {
            // Something new was sent, and with that the timer was set. Otherwise the deadline
            // stays, unless the flight was answered and the timer stopped.
            let left = self.connection.timeout();
            if !written.is_empty() || self.repeat_at.is_none() || left.is_none() {
                // A deadline that is now would have the caller come back at once, again and
                // again, while the wall clock lags.
                let left = left.map(|left| left.max(Duration::from_millis(1)));
                self.repeat_at = left.and_then(|left| now.checked_add(left));
            }
        }
        self.transmits.extend(written);
        self.transmits.truncate(MAX_TRANSMITS);
    }

    /// The handshake is complete: are there SRTP keys, and is it the right peer?
    fn finish(&mut self) {
        self.state = State::Unverified;
        self.repeat_at = None;
        self.give_up_at = None;
        if self.profile().is_none() {
            self.connection.shutdown();
            self.fail(Failure::NoCommonProfile);
        } else if self.fingerprint.is_some() {
            self.verify();
        }
    }

    fn profile(&self) -> Option<Profile> {
        let profile = Profile::from_dtls_id(self.connection.srtp_profile()?)?;
        let wanted = &self.context.config().profiles;
        wanted.contains(&profile).then_some(profile)
    }

    fn verify(&mut self) {
        let Some(fingerprint) = &self.fingerprint else {
            return;
        };
        let shown = self.connection.peer_digest(fingerprint.hash());
        if shown.as_deref() != Some(fingerprint.bytes()) {
            // Too late for the alert of the handshake, bad_certificate; close_notify tells the
            // peer as well that nothing comes of it.
            self.connection.shutdown();
            self.fail(Failure::FingerprintMismatch);
            return;
        }
        let Some(profile) = self.profile() else {
            return;
        };
        match self.keys(profile) {
            Ok((local, remote)) => {
                self.state = State::Connected;
                self.events.push_back(Event::Connected(Box::new(Connected {
                    profile,
                    local,
                    remote,
                    cipher: self.connection.cipher_name(),
                    version: self.connection.version_name(),
                })));
            }
            Err(error) => self.fail(Failure::Protocol(error)),
        }
    }

    /// RFC 5764 section 4.2: the client's key, the server's, the client's salt, the server's.
    fn keys(&self, profile: Profile) -> Result<(KeyingMaterial, KeyingMaterial), Error> {
        let (key, salt) = (profile.key_length(), profile.salt_length());
        let mut exported = vec![0; 2 * (key + salt)];
        self.connection.export(EXPORTER, &mut exported)?;
        let (keys, salts) = exported.split_at(2 * key);
        let (client_key, server_key) = keys.split_at(key);
        let (client_salt, server_salt) = salts.split_at(salt);
        let material = |key, salt| KeyingMaterial { key: Secret::new(key), salt: Secret::new(salt) };
        let client = material(client_key, client_salt);
        let server = material(server_key, server_salt);
        cleanse(&mut exported);
        Ok(match self.role {
            Role::Client => (client, server),
            Role::Server => (server, client),
        })
    }

    fn fail(&mut self, failure: Failure) {
        self.end();
        self.events.push_back(Event::Failed(failure));
    }

    fn end(&mut self) {
        self.state = State::Over;
        self.repeat_at = None;
        self.give_up_at = None;
        // The alert or close_notify that goes with it.
        let written = self.connection.outgoing();
        self.transmits.extend(written);
        self.transmits.truncate(MAX_TRANSMITS);
    }
}

#[cfg(test)]
mod tests;
