//! Keys of a session: DTLS associations, SRTP contexts, and what waits for them.
//!
//! Each component has its own association (RFC 5764 §3); with RTCP multiplexed there is one. DTLS
//! is taken from sources that ICE has validated; what comes before is held, bounded, since the
//! peer's first flight often overtakes the check that validates it, and dropping it costs a
//! retransmission.
//!
//! Invariant: an association ends only when the peer signals another fingerprint. The same one
//! again, with or without `a=connection:new`, touches nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::{Event, RtcpMode, Session, slot};
use crate::host::openssl::Error;
use crate::rtc::dtls::{self, Endpoint, Fingerprint, Hash, Role, Setup};
use crate::rtc::error::Discard;
use crate::rtc::ice::Component;
use crate::rtc::srtp;

/// DTLS datagrams held per component until their source is validated and our role is known.
const MAX_EARLY: usize = 24;
/// The largest of them.
const MAX_EARLY_LEN: usize = 2048;
/// SRTP packets held until the handshake has made keys, and their bytes: a keyframe of video.
const MAX_HELD: usize = 128;
const MAX_HELD_BYTES: usize = 128 * 1024;

/// How far the DTLS association for RTP has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsState {
    /// There is none yet.
    New,
    /// The handshake is under way.
    Connecting,
    /// There are keys.
    Connected,
    /// The handshake failed.
    Failed,
    /// The peer has closed it.
    Closed,
}

/// What a handshake has agreed on; the names are OpenSSL's, the profile's is the RFC's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The protocol version.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The SRTP protection profile.
    pub profile: String,
}

struct Dtls {
    context: dtls::Context,
    preferred: Setup,
    remote_setup: Option<Setup>,
    role: Option<Role>,
    /// One of each hash function that was signalled.
    fingerprints: Vec<Fingerprint>,
    reset: bool,
    ice_restarted: bool,
}

impl Dtls {
    /// The fingerprint of the strongest hash function.
    fn strongest(&self) -> Option<&Fingerprint> {
        self.fingerprints.iter().max_by_key(|f| strength(f.hash()))
    }
}

fn strength(hash: Hash) -> u8 {
    match hash {
        Hash::Sha1 => 0,
        Hash::Sha256 => 1,
        Hash::Sha384 => 2,
        Hash::Sha512 => 3,
    }
}

struct Datagram {
    local: SocketAddr,
    remote: SocketAddr,
    bytes: Vec<u8>,
}

/// An SRTP or SRTCP packet that came before the keys.
pub(super) struct HeldPacket {
    pub(super) arrival: Instant,
    pub(super) component: Component,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// The keys of one component.
#[derive(Default)]
struct Lane {
    endpoint: Option<Endpoint>,
    state: Option<DtlsState>,
    agreed: Option<Agreed>,
    tx: Option<srtp::Context>,
    rx: Option<srtp::Context>,
    early: VecDeque<Datagram>,
    /// The addresses of the last DTLS datagram that was taken.
    proven: Option<(SocketAddr, SocketAddr)>,
}

#[derive(Default)]
pub(super) struct Security {
    dtls: Option<Dtls>,
    sdes: bool,
    lanes: [Lane; 2],
    held: VecDeque<HeldPacket>,
    pub(super) replay_protection_off: bool,
}

impl Security {
    /// Whether media must be encrypted.
    pub(super) fn is_required(&self) -> bool {
        self.dtls.is_some() || self.sdes
    }

    /// The place of a component's keys.
    fn lane_of(&self, component: Component) -> usize {
        // SDES has one master key for both.
        match self.sdes {
            true => 0,
            false => slot(component),
        }
    }

    pub(super) fn tx(&mut self, component: Component) -> Option<&mut srtp::Context> {
        let lane = self.lane_of(component);
        self.lanes.get_mut(lane)?.tx.as_mut()
    }

    pub(super) fn rx(&mut self, component: Component) -> Option<&mut srtp::Context> {
        let lane = self.lane_of(component);
        self.lanes.get_mut(lane)?.rx.as_mut()
    }

    /// Whether the handshake that was to make a component's keys has failed.
    pub(super) fn has_failed(&self, component: Component) -> bool {
        let lane = self.lanes.get(self.lane_of(component));
        lane.is_some_and(|lane| lane.state == Some(DtlsState::Failed))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(|lane| lane.endpoint.as_ref()?.poll_timeout()).min()
    }

    pub(super) fn proven_route(&self, component: Component) -> Option<(SocketAddr, SocketAddr)> {
        self.lanes.get(slot(component))?.proven
    }

    pub(super) fn ice_restarted(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.ice_restarted = true;
        }
    }

    /// Keeps a packet that cannot be decrypted yet.
    pub(super) fn hold(&mut self, packet: HeldPacket) -> Result<(), Discard> {
        let lane = self.lane_of(packet.component);
        let handshaking = self.lanes.get(lane).is_some_and(|lane| lane.endpoint.is_some() && lane.rx.is_none());
        if !handshaking || packet.bytes.len() > MAX_EARLY_LEN {
            return Err(Discard::NoKeys);
        }
        self.held.push_back(packet);
        let mut bytes: usize = self.held.iter().map(|held| held.bytes.len()).sum();
        let mut kept = Ok(());
        while (self.held.len() > MAX_HELD || bytes > MAX_HELD_BYTES)
            && let Some(oldest) = self.held.pop_front()
        {
            bytes -= oldest.bytes.len();
            kept = Err(Discard::NoKeys);
        }
        kept
    }

    pub(super) fn take_held(&mut self) -> VecDeque<HeldPacket> {
        std::mem::take(&mut self.held)
    }

    /// Ends the associations. What is received is decrypted with the old keys until there are others,
    /// and what was held may be the first flight of the next one.
    fn drop_endpoints(&mut self) {
        for lane in &mut self.lanes {
            lane.endpoint = None;
            lane.state = None;
            lane.agreed = None;
        }
    }

    /// Forgets all keys, and that there were to be any.
    pub(super) fn clear(&mut self) {
        *self = Security { replay_protection_off: self.replay_protection_off, ..Security::default() };
    }

    fn is_connected(&self) -> bool {
        self.lanes.iter().filter_map(|lane| lane.endpoint.as_ref()).any(Endpoint::is_connected)
    }
}

impl Session {
    /// Turns DTLS-SRTP on. `preferred` is what we say before the peer has chosen: actpass in an
    /// offer; active or passive is what an offer of actpass is answered with. From now on nothing
    /// is sent or accepted in the clear.
    pub fn enable_dtls(&mut self, context: dtls::Context, preferred: Setup) {
        if self.security.dtls.is_some() {
            return;
        }
        self.security.dtls = Some(Dtls {
            context,
            preferred,
            remote_setup: None,
            role: None,
            fingerprints: Vec::new(),
            reset: false,
            ice_restarted: false,
        });
    }

    /// Turns DTLS-SRTP off: the peer has answered with SDES keys, or without encryption. The
    /// keys that DTLS made are gone.
    pub fn disable_dtls(&mut self) {
        if self.security.dtls.take().is_some() {
            self.security.drop_endpoints();
            if !self.security.sdes {
                self.security.lanes = Default::default();
            }
            self.security.held.clear();
            self.held.clear();
        }
    }

    /// Whether DTLS-SRTP is on.
    pub fn dtls_enabled(&self) -> bool {
        self.security.dtls.is_some()
    }

    /// Whether media is, or must be, encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.security.is_required()
    }

    /// Takes SRTP contexts whose keys came by signalling (SDES): for RTP and RTCP, each way.
    pub fn set_srtp(&mut self, now: Instant, tx: srtp::Context, rx: srtp::Context) {
        self.set_srtp_rx(now, rx);
        self.set_srtp_tx(now, tx);
    }

    /// The context for what is sent, in place of the one before.
    pub fn set_srtp_tx(&mut self, now: Instant, tx: srtp::Context) {
        self.require_srtp();
        if let Some(lane) = self.security.lanes.first_mut() {
            lane.tx = Some(tx);
        }
        self.release_held(now);
    }

    /// The context for what is received, in place of the one before.
    pub fn set_srtp_rx(&mut self, now: Instant, mut rx: srtp::Context) {
        self.require_srtp();
        rx.set_replay_protection(!self.security.replay_protection_off);
        if let Some(lane) = self.security.lanes.first_mut() {
            lane.rx = Some(rx);
        }
        self.begin_video(now);
        self.release_received(now);
    }

    /// Keys by signalling are agreed on: from now on nothing is sent or accepted in the clear,
    /// whether there are contexts yet or not.
    pub fn require_srtp(&mut self) {
        self.security.sdes = true;
    }

    /// Turns the replay protection of received SRTP on or off (`srtpreplayprotection`), for keys
    /// to come.
    pub fn set_replay_protection(&mut self, on: bool) {
        self.security.replay_protection_off = !on;
    }

    /// Takes the peer's `a=setup`. Our role follows from it and from our preference, and stays
    /// for the life of the association.
    pub fn set_remote_setup(&mut self, now: Instant, remote: Setup) {
        let connected = self.security.is_connected();
        let Some(dtls) = &mut self.security.dtls else {
            return;
        };
        dtls.remote_setup = Some(remote);
        let role = dtls.preferred.answer(remote).role();
        let keep = match (dtls.role, role) {
            (_, None) => true,
            (Some(_), Some(_)) if connected || remote == Setup::Actpass => true,
            (ours, new) => ours == new,
        };
        if !keep {
            dtls.role = role;
            self.security.drop_endpoints();
        }
        self.start_dtls_where_due(now);
    }

    /// What to write as `a=setup`: our role once it is known, before that our preference.
    pub fn setup(&self) -> Option<Setup> {
        let dtls = self.security.dtls.as_ref()?;
        Some(match dtls.role {
            Some(Role::Client) => Setup::Active,
            Some(Role::Server) => Setup::Passive,
            None => dtls.preferred,
        })
    }

    /// Takes the peer's `a=fingerprint`. Another one than before, of the same hash function, means
    /// another association (RFC 8842 §5.1).
    pub fn set_remote_fingerprint(&mut self, now: Instant, fingerprint: Fingerprint) {
        let Some(dtls) = &mut self.security.dtls else {
            return;
        };
        let same_hash = |f: &&Fingerprint| f.hash() == fingerprint.hash();
        let known = dtls.fingerprints.iter().find(same_hash);
        // A peer that restarts ICE and asks for a new connection means it, although it shows the
        // same certificate.
        let wanted_anew = std::mem::take(&mut dtls.reset) && dtls.ice_restarted;
        let new = known.is_some_and(|known| *known != fingerprint) || (wanted_anew && known.is_some());
        dtls.ice_restarted = false;
        if new {
            dtls.fingerprints.clear();
            if let Some(remote) = dtls.remote_setup
                && remote != Setup::Actpass
                && let Some(role) = dtls.preferred.answer(remote).role()
            {
                dtls.role = Some(role);
            }
        }
        if !dtls.fingerprints.contains(&fingerprint) {
            dtls.fingerprints.push(fingerprint);
        }
        let strongest = dtls.strongest().cloned();
        if new {
            self.security.drop_endpoints();
            // Another certificate is another peer, which does not know the old keys: what we send
            // waits for the new ones.
            for lane in &mut self.security.lanes {
                lane.tx = None;
            }
        }
        if let Some(strongest) = strongest {
            for lane in &mut self.security.lanes {
                if let Some(endpoint) = &mut lane.endpoint {
                    endpoint.set_remote_fingerprint(strongest.clone());
                }
            }
        }
        self.start_dtls_where_due(now);
        self.drain_dtls(now);
    }

    /// The peer has asked for a new connection (`a=connection:new`). It is given one if it also
    /// shows another fingerprint, or restarts ICE; stock's engine writes the attribute always.
    pub fn reset_dtls(&mut self) {
        if let Some(dtls) = &mut self.security.dtls {
            dtls.reset = true;
        }
    }

    /// How far the association for RTP has come; `None` if DTLS is off.
    pub fn dtls_state(&self) -> Option<DtlsState> {
        self.security.dtls.as_ref()?;
        let state = self.security.lanes.first().and_then(|lane| lane.state);
        Some(state.unwrap_or(DtlsState::New))
    }

    /// What the association for RTP has agreed on, once it has.
    pub fn dtls_agreed(&self) -> Option<&Agreed> {
        self.security.lanes.first()?.agreed.as_ref()
    }

    /// The lines that a key log file would have, if the context keeps them.
    pub fn take_dtls_key_log(&mut self) -> Vec<String> {
        self.security
            .lanes
            .iter_mut()
            .filter_map(|lane| lane.endpoint.as_mut())
            .flat_map(Endpoint::take_key_log)
            .collect()
    }

    /// Makes the endpoints that can be made, and starts those whose path is there: the active side
    /// when there is a pair to send on, the passive side when there is somebody to listen to.
    pub(super) fn start_dtls_where_due(&mut self, now: Instant) {
        let separate = self.rtcp_mode == RtcpMode::Separate;
        for component in [Component::Rtp, Component::Rtcp] {
            if component == Component::Rtcp && !separate {
                continue;
            }
            let has_pair = match &self.ice {
                Some(ice) => ice.nominated(component).is_some(),
                None => self.route(component).is_some(),
            };
            let Some(dtls) = &mut self.security.dtls else {
                return;
            };
            // Without a=setup from the peer the default is as if it had offered actpass.
            if dtls.role.is_none() && has_pair && !dtls.fingerprints.is_empty() {
                dtls.role = dtls.preferred.answer(Setup::Actpass).role();
            }
            let Some(role) = dtls.role else {
                continue;
            };
            let Some(lane) = self.security.lanes.get_mut(slot(component)) else {
                continue;
            };
            if lane.endpoint.is_none() {
                match make_endpoint(dtls, role) {
                    Ok(endpoint) => lane.endpoint = Some(endpoint),
                    Err(error) => {
                        lane.state = Some(DtlsState::Failed);
                        let reason = error.to_string();
                        self.event(Event::DtlsFailed { reason });
                        continue;
                    }
                }
            }
            if lane.state.is_none() && (has_pair || role == Role::Server) {
                lane.state = Some(DtlsState::Connecting);
                if let Some(endpoint) = &mut lane.endpoint {
                    endpoint.start(now);
                }
            }
        }
        self.release_all_early_dtls(now);
        self.drain_dtls(now);
    }

    /// Whether DTLS from `remote` may be looked at.
    fn may_speak_dtls(&self, component: Component, remote: SocketAddr) -> bool {
        if let Some(ice) = &self.ice {
            return ice.is_validated(component, remote);
        }
        let symmetric = self.config.symmetric_rtp;
        self.route(component).is_some_and(|(_, at)| at == remote)
            || (symmetric && self.paths.get(slot(component)).is_some_and(|p| p.signalled().is_some()))
    }

    pub(super) fn handle_dtls(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), Discard> {
        if self.security.dtls.is_none() {
            return Err(Discard::DtlsUnexpected);
        }
        let allowed = self.may_speak_dtls(component, remote);
        let lane = self.security.lanes.get_mut(slot(component)).ok_or(Discard::DtlsUnexpected)?;
        if !allowed || lane.endpoint.is_none() {
            if bytes.len() > MAX_EARLY_LEN {
                return Err(Discard::DtlsNotValidated);
            }
            lane.early.push_back(Datagram { local, remote, bytes: bytes.to_vec() });
            if lane.early.len() > MAX_EARLY {
                lane.early.pop_front();
                return Err(Discard::DtlsNotValidated);
            }
            return Ok(());
        }
        self.feed_dtls(now, component, local, remote, bytes)
    }

    fn feed_dtls(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), Discard> {
        let lane = self.security.lanes.get_mut(slot(component)).ok_or(Discard::DtlsUnexpected)?;
        let endpoint = lane.endpoint.as_mut().ok_or(Discard::DtlsUnexpected)?;
        if lane.state.is_none() {
            lane.state = Some(DtlsState::Connecting);
            endpoint.start(now);
        }
        lane.proven = Some((local, remote));
        let result = endpoint.handle_datagram(now, bytes).map_err(|_| Discard::DtlsRefused);
        self.drain_dtls(now);
        result
    }

    fn release_all_early_dtls(&mut self, now: Instant) {
        for component in [Component::Rtp, Component::Rtcp] {
            let sources: Vec<SocketAddr> = match self.security.lanes.get(slot(component)) {
                Some(lane) if lane.endpoint.is_some() => lane.early.iter().map(|datagram| datagram.remote).collect(),
                _ => continue,
            };
            for remote in sources {
                self.release_early_dtls(now, component, remote);
            }
        }
    }

    /// Takes the datagrams that were held until `remote` was validated.
    pub(super) fn release_early_dtls(&mut self, now: Instant, component: Component, remote: SocketAddr) {
        if !self.may_speak_dtls(component, remote) {
            return;
        }
        let Some(lane) = self.security.lanes.get_mut(slot(component)) else {
            return;
        };
        if lane.endpoint.is_none() {
            return;
        }
        let (released, kept) = std::mem::take(&mut lane.early)
            .into_iter()
            .partition::<VecDeque<_>, _>(|datagram| datagram.remote == remote);
        lane.early = kept;
        for datagram in released {
            let Datagram { local, remote, bytes } = datagram;
            if let Err(reason) = self.feed_dtls(now, component, local, remote, &bytes) {
                self.discards.count(reason);
            }
        }
    }

    pub(super) fn dtls_timeout(&mut self, now: Instant) {
        for lane in &mut self.security.lanes {
            if let Some(endpoint) = &mut lane.endpoint {
                endpoint.handle_timeout(now);
            }
        }
        self.drain_dtls(now);
    }

    pub(super) fn close_dtls(&mut self) {
        for component in [Component::Rtp, Component::Rtcp] {
            if let Some(lane) = self.security.lanes.get_mut(slot(component))
                && let Some(endpoint) = &mut lane.endpoint
            {
                endpoint.close();
            }
            self.transmit_dtls(component);
        }
    }

    fn transmit_dtls(&mut self, component: Component) {
        let route = self.dtls_route(component);
        let Some(lane) = self.security.lanes.get_mut(slot(component)) else {
            return;
        };
        let Some(endpoint) = &mut lane.endpoint else {
            return;
        };
        let datagrams: Vec<_> = std::iter::from_fn(|| endpoint.poll_transmit()).collect();
        if let Some(route) = route {
            for datagram in datagrams {
                // What does not fit is sent again by the handshake's own timer.
                let _ = self.transmit(component, route, datagram);
            }
        }
    }

    fn dtls_route(&self, component: Component) -> Option<(SocketAddr, SocketAddr)> {
        // The source of what is answered, not the address that was signalled.
        let proven = self.security.proven_route(component);
        match proven {
            Some((_, remote)) if self.may_speak_dtls(component, remote) => proven,
            _ => self.route(component),
        }
    }

    pub(super) fn drain_dtls(&mut self, now: Instant) {
        let mut connected = false;
        for component in [Component::Rtp, Component::Rtcp] {
            self.transmit_dtls(component);
            loop {
                let lane = self.security.lanes.get_mut(slot(component));
                let event = lane.and_then(|lane| lane.endpoint.as_mut()).and_then(Endpoint::poll_event);
                let Some(event) = event else {
                    break;
                };
                connected |= self.dtls_event(component, event);
            }
        }
        if connected {
            self.begin_video(now);
            self.release_received(now);
            self.release_held(now);
        }
    }

    fn dtls_event(&mut self, component: Component, event: dtls::Event) -> bool {
        let replay_protection = !self.security.replay_protection_off;
        let Some(lane) = self.security.lanes.get_mut(slot(component)) else {
            return false;
        };
        match event {
            dtls::Event::Connected(connected) => {
                let profile = connected.profile;
                let context = |keys: &dtls::KeyingMaterial| srtp::Context::new(profile, &keys.key, &keys.salt);
                match (context(&connected.local), context(&connected.remote)) {
                    (Ok(tx), Ok(mut rx)) => {
                        rx.set_replay_protection(replay_protection);
                        lane.tx = Some(tx);
                        lane.rx = Some(rx);
                        lane.state = Some(DtlsState::Connected);
                        let (version, cipher) = (connected.version, connected.cipher);
                        let agreed = Agreed { version, cipher, profile: profile.to_string() };
                        lane.agreed = Some(agreed.clone());
                        let Agreed { version, cipher, profile } = agreed;
                        self.event(Event::DtlsConnected { component, profile, cipher, version });
                        return true;
                    }
                    _ => {
                        lane.state = Some(DtlsState::Failed);
                        self.event(Event::DtlsFailed { reason: "cannot make SRTP keys".to_owned() });
                    }
                }
            }
            dtls::Event::Failed(failure) => {
                lane.state = Some(DtlsState::Failed);
                self.event(Event::DtlsFailed { reason: failure.to_string() });
            }
            dtls::Event::Closed => {
                lane.state = Some(DtlsState::Closed);
                self.event(Event::DtlsClosed);
            }
        }
        false
    }
}

fn make_endpoint(dtls: &Dtls, role: Role) -> Result<Endpoint, Error> {
    let mut endpoint = Endpoint::new(&dtls.context, role)?;
    if let Some(fingerprint) = dtls.strongest() {
        endpoint.set_remote_fingerprint(fingerprint.clone());
    }
    Ok(endpoint)
}
