//! The agent of one component.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{Class, Method, StunMessage, StunPacket};

use super::credentials::Credentials;
use super::rate::Bucket;
use super::{CandidateKind, Component, IceFailure, IceState, LocalCandidate, RemoteCandidate, Role};
use crate::rtc::crypto::OpenSslSha1Hmac;
use crate::rtc::error::Discard;

/// The least time between two checks (Ta). RFC 8445 §14.2 has 50 ms for networks that nothing is
/// known of and allows less; the number of candidates here is small.
const PACING: Duration = Duration::from_millis(5);
/// The interval of consent checks on an established pair, and the longest between retransmissions
/// (RFC 7675 §5.1: 5 s).
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// How long consent lasts (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// A selected pair on which nothing was heard for so long gives way to another that lives.
const SILENCE: Duration = Duration::from_secs(6);
/// Source addresses that are remembered as authenticated.
const MAX_VALIDATED: usize = 32;
/// Remote candidates that are taken from signalling.
const MAX_REMOTE: usize = 32;
/// Local candidates of a component.
const MAX_LOCAL: usize = 64;
/// Local peer-reflexive addresses that the peer's responses may teach us.
const MAX_MAPPED: usize = 16;
/// Pairs that are checked (RFC 8445 §6.1.2.5).
const MAX_PAIRS: usize = 100;

/// What an agent reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEvent {
    /// A pair was selected, the first one or another one.
    Selected {
        /// The address of this side.
        local: SocketAddr,
        /// The address of the peer.
        remote: SocketAddr,
    },
    /// The peer has been authenticated at an address for the first time.
    Validated {
        /// The address of the peer.
        remote: SocketAddr,
    },
    /// It has failed.
    Failed(IceFailure),
}

/// A source that has sent STUN with the right MESSAGE-INTEGRITY.
#[derive(Clone, Copy, Debug)]
struct Validated {
    local: SocketAddr,
    remote: SocketAddr,
    heard: Instant,
    /// By credentials that a restart has replaced: good until the new ones have a pair.
    former: bool,
}

/// The library's agent. It walks over all its pairs to say when it wants to be called next, and it
/// is asked after every packet of media: the answer is kept until the agent is used.
#[derive(Debug)]
struct Library {
    agent: is::IceAgent,
    next: Option<Option<Instant>>,
}

impl Library {
    fn new(agent: is::IceAgent) -> Self {
        Library { agent, next: None }
    }

    /// To be used in a way that may change when it wants to be called.
    fn touch(&mut self) -> &mut is::IceAgent {
        self.next = None;
        &mut self.agent
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        *self.next.get_or_insert_with(|| self.agent.poll_timeout())
    }
}

/// The ICE agent of one component.
#[derive(Debug)]
pub struct Agent {
    component: Component,
    tie_breaker: u64,
    lite: bool,
    timeout: Duration,
    inner: Library,
    role: Role,
    local: Vec<LocalCandidate>,
    bases: Vec<SocketAddr>,
    remote: Vec<SocketAddr>,
    mapped: Vec<SocketAddr>,
    validated: Vec<Validated>,
    selected: Option<(SocketAddr, SocketAddr)>,
    state: IceState,
    /// Consent was lost: only a restart may bring it back (RFC 7675 §5.1).
    expired: bool,
    started: Option<Instant>,
    /// When the search for a pair is given up.
    deadline: Option<Instant>,
    /// When the peer was last heard on the selected pair.
    heard: Option<Instant>,
    known_sources: Bucket,
    other_sources: Bucket,
    events: VecDeque<AgentEvent>,
}

impl Agent {
    /// An agent that has not started. `timeout` is how long it looks for a pair.
    pub fn new(
        component: Component,
        credentials: &Credentials,
        tie_breaker: u64,
        lite: bool,
        timeout: Duration,
    ) -> Self {
        Agent {
            component,
            tie_breaker,
            lite,
            timeout,
            inner: Library::new(library_agent(credentials, tie_breaker, lite)),
            role: Role::Controlled,
            local: Vec::new(),
            bases: Vec::new(),
            remote: Vec::new(),
            mapped: Vec::new(),
            validated: Vec::new(),
            selected: None,
            state: IceState::New,
            expired: false,
            started: None,
            deadline: None,
            heard: None,
            known_sources: Bucket::new(400, 200),
            other_sources: Bucket::new(200, 100),
            events: VecDeque::new(),
        }
    }

    /// Adds a local candidate. `base` is the address of the socket: the same as `address` for a
    /// host candidate. Duplicates and unusable addresses are left out.
    pub fn add_local(&mut self, kind: CandidateKind, address: SocketAddr, base: SocketAddr) {
        let known = |c: &LocalCandidate| c.address == address && c.kind == kind;
        if self.local.len() >= MAX_LOCAL || address.port() == 0 || self.local.iter().any(known) {
            return;
        }
        let Some(priority) = add_to_library(self.inner.touch(), kind, address, base) else {
            return;
        };
        let related = match kind {
            CandidateKind::Host => None,
            _ => Some(base),
        };
        self.local.push(LocalCandidate {
            component: self.component,
            foundation: foundation(kind, base),
            // The library counts every component as the first.
            priority: priority - u32::from(self.component.id() - 1),
            address,
            related,
            kind,
        });
        self.bases.push(base);
    }

    /// The local candidates.
    pub fn local_candidates(&self) -> &[LocalCandidate] {
        &self.local
    }

    /// The role now; a conflict may have changed it.
    pub fn role(&self) -> Role {
        if self.state == IceState::New {
            return self.role;
        }
        match self.inner.agent.controlling() {
            true => Role::Controlling,
            false => Role::Controlled,
        }
    }

    /// Begins to check, or looks longer if it has begun without finding a pair.
    pub fn start(&mut self, now: Instant, remote: &Credentials, role: Role) {
        if self.state != IceState::New {
            if self.selected.is_none() && !self.expired {
                self.deadline = Some(now + self.timeout);
                if self.state == IceState::Failed {
                    self.state = IceState::Checking;
                    self.inner.touch().recreate_candidate_pairs();
                }
            }
            return;
        }
        self.role = role;
        self.inner.touch().set_controlling(role == Role::Controlling);
        self.inner.touch().set_remote_credentials(remote.to_library());
        self.state = IceState::Checking;
        self.started = Some(now);
        self.deadline = Some(now + self.timeout);
    }

    /// Forgets the session and begins another with new credentials (RFC 8445 §9). The selected
    /// pair and the sources validated stay in use until the new session has a pair.
    pub fn restart(&mut self, local: &Credentials) {
        let mut inner = library_agent(local, self.tie_breaker, self.lite);
        for (candidate, &base) in self.local.iter().zip(&self.bases) {
            add_to_library(&mut inner, candidate.kind, candidate.address, base);
        }
        self.inner = Library::new(inner);
        self.remote.clear();
        self.mapped.clear();
        for validated in &mut self.validated {
            validated.former = true;
        }
        self.state = IceState::New;
        self.expired = false;
        self.deadline = None;
    }

    /// Adds a remote candidate. Those that cannot be used are left out.
    pub fn add_remote(&mut self, candidate: &RemoteCandidate) {
        let address = candidate.address;
        let ip = address.ip();
        if self.remote.len() >= MAX_REMOTE
            || self.remote.contains(&address)
            || candidate.component != self.component
            || address.port() == 0
            || ip.is_unspecified()
            || ip.is_multicast()
        {
            return;
        }
        self.remote.push(address);
        self.inner.touch().add_remote_candidate(is::Candidate::from_parts(
            candidate.foundation.clone(),
            1,
            is::Protocol::Udp,
            candidate.priority.clamp(1, 0x7fff_ffff),
            address,
            library_kind(candidate.kind),
            None,
            None,
            None,
        ));
    }

    /// Takes a STUN message.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        if self.expired {
            return Err(Discard::IceFailed);
        }
        let known = self.validated.iter().any(|v| v.remote == remote);
        let bucket = match known {
            true => &mut self.known_sources,
            false => &mut self.other_sources,
        };
        if !bucket.take(now) {
            return Err(Discard::StunRateLimited);
        }
        let message = StunMessage::parse(datagram).map_err(|_| Discard::StunMalformed)?;
        if message.method() != Method::Binding {
            return Err(Discard::StunMalformed);
        }
        if message.class() == Class::Indication {
            // A keep-alive (RFC 8445 §11): it carries no integrity and is to change nothing.
            return Ok(());
        }
        if !known && self.validated.len() >= MAX_VALIDATED {
            return Err(Discard::IceTooManyAddresses);
        }
        if let Some(mapped) = message.mapped_address()
            && !self.may_be_mapped(mapped)
        {
            return Err(Discard::IceTooManyAddresses);
        }
        let local = self.map_local(local);
        let mapped = message.mapped_address();
        let packet = StunPacket { proto: is::Protocol::Udp, source: remote, destination: local, message };
        if !self.inner.touch().handle_packet(now, packet) {
            return Err(Discard::StunUnauthenticated);
        }
        if let Some(mapped) = mapped {
            self.note_mapped(mapped);
        }
        self.note_validated(now, local, remote);
        self.collect(now);
        self.turn_from_silence(now, local, remote);
        // What the message has triggered need not wait for the caller's timer.
        self.handle_timeout(now);
        Ok(())
    }

    fn may_be_mapped(&self, mapped: SocketAddr) -> bool {
        self.mapped.len() < MAX_MAPPED
            || self.mapped.contains(&mapped)
            || self.local.iter().any(|c| c.address == mapped)
    }

    fn note_mapped(&mut self, mapped: SocketAddr) {
        if !self.mapped.contains(&mapped) && !self.local.iter().any(|c| c.address == mapped) {
            self.mapped.push(mapped);
        }
    }

    fn note_validated(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        if self.selected.is_none_or(|(_, selected)| selected == remote) {
            self.heard = Some(now);
        }
        match self.validated.iter_mut().find(|v| v.remote == remote) {
            Some(validated) => {
                validated.local = local;
                validated.heard = now;
                validated.former = false;
            }
            None => {
                self.validated.push(Validated { local, remote, heard: now, former: false });
                self.events.push_back(AgentEvent::Validated { remote });
            }
        }
    }

    /// The library holds to the pair of the highest priority until its checks have failed for
    /// half a minute. A peer whose address has changed is followed sooner.
    fn turn_from_silence(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        let silent = self.heard.is_some_and(|heard| now.saturating_duration_since(heard) > SILENCE);
        if silent && self.selected.is_some_and(|(_, at)| at != remote) {
            self.follow(now, local, remote);
        }
    }

    /// Authenticated media has come from an address other than the selected one: the peer has
    /// moved, if ICE knows that it can be reached there.
    pub fn media_from(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        if self.state == IceState::Connected && self.selected.is_some_and(|(_, at)| at != remote) {
            let local = self.map_local(local);
            self.follow(now, local, remote);
        }
    }

    fn follow(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        if self.state == IceState::Connected && self.inner.agent.has_viable_remote_candidate(remote) {
            self.select(now, local, remote);
        }
    }

    fn select(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) {
        self.validated.retain(|v| !v.former);
        let again = self.state == IceState::Connected && self.selected == Some((local, remote));
        self.state = IceState::Connected;
        self.deadline = None;
        self.heard = Some(now);
        if !again {
            self.selected = Some((local, remote));
            self.events.push_back(AgentEvent::Selected { local, remote });
        }
    }

    fn collect(&mut self, now: Instant) {
        while let Some(event) = self.inner.agent.poll_event() {
            if let is::IceAgentEvent::NominatedSend { source, destination, .. } = event {
                self.select(now, source, destination);
            }
        }
    }

    /// Sends checks that are due and notices what has run out.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.is_running() {
            return;
        }
        if self.inner.poll_timeout().is_none_or(|at| at <= now) {
            self.inner.touch().handle_timeout(now);
            self.collect(now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.fail(IceFailure::NoPair);
        }
        if self.consent_end().is_some_and(|end| end <= now) {
            self.fail(IceFailure::ConsentExpired);
        }
    }

    fn fail(&mut self, failure: IceFailure) {
        if failure == IceFailure::ConsentExpired {
            self.expired = true;
            self.selected = None;
            self.validated.clear();
        }
        self.state = IceState::Failed;
        self.events.push_back(AgentEvent::Failed(failure));
    }

    fn is_running(&self) -> bool {
        match self.state {
            IceState::New => false,
            IceState::Checking | IceState::Connected | IceState::Failed => !self.expired,
        }
    }

    fn consent_end(&self) -> Option<Instant> {
        match self.state {
            IceState::Connected => Some(self.heard? + CONSENT),
            _ => None,
        }
    }

    /// When `handle_timeout` is wanted.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        if !self.is_running() {
            return None;
        }
        // Before its first time-out the library knows no time to give.
        let inner = self.inner.poll_timeout().or(self.started);
        [inner, self.deadline, self.consent_end()].into_iter().flatten().min()
    }

    /// The next STUN message to send.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let transmit = self.inner.agent.poll_transmit()?;
        self.inner.touch();
        Some((transmit.source, transmit.destination, transmit.contents.into()))
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<AgentEvent> {
        self.events.pop_front()
    }

    /// How far it has come.
    pub fn state(&self) -> IceState {
        self.state
    }

    /// The pair to send on: addresses of this side and of the peer.
    pub fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.selected
    }

    /// Whether a source has been authenticated: a check or a response of it had the right
    /// MESSAGE-INTEGRITY.
    pub fn is_validated(&self, remote: SocketAddr) -> bool {
        self.selected.is_some_and(|(_, at)| at == remote) || self.validated.iter().any(|v| v.remote == remote)
    }

    /// The same, with the present credentials and not those before a restart.
    pub fn is_checked(&self, remote: SocketAddr) -> bool {
        self.validated.iter().any(|v| v.remote == remote && !v.former)
    }

    /// The round-trip time of the last check on the nominated pair.
    pub fn round_trip(&self) -> Option<Duration> {
        self.inner.agent.nominated_pair_rtt()
    }

    /// The address of the candidate that a datagram to `local` belongs to. A socket bound to the
    /// wildcard address is the host candidate with its port.
    fn map_local(&self, local: SocketAddr) -> SocketAddr {
        let is_socket = |c: &&LocalCandidate| matches!(c.kind, CandidateKind::Host | CandidateKind::Relayed);
        let sockets = || self.local.iter().filter(is_socket);
        if sockets().any(|c| c.address == local) {
            return local;
        }
        let same = |c: &&LocalCandidate| c.address.port() == local.port() && c.address.is_ipv4() == local.is_ipv4();
        sockets().find(same).map_or(local, |c| c.address)
    }
}

fn library_agent(credentials: &Credentials, tie_breaker: u64, lite: bool) -> is::IceAgent {
    let mut agent = is::IceAgent::with_hmac(credentials.to_library(), &OpenSslSha1Hmac);
    agent.set_control_tie_breaker(tie_breaker);
    agent.set_ice_lite(lite);
    agent.set_timing_advance(PACING);
    agent.set_max_stun_rto(CHECK_INTERVAL);
    agent.set_max_candidate_pairs(MAX_PAIRS);
    agent
}

fn library_kind(kind: CandidateKind) -> is::CandidateKind {
    match kind {
        CandidateKind::Host => is::CandidateKind::Host,
        CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
        CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
        CandidateKind::Relayed => is::CandidateKind::Relayed,
    }
}

/// Gives the library a local candidate and returns its priority.
fn add_to_library(agent: &mut is::IceAgent, kind: CandidateKind, address: SocketAddr, base: SocketAddr) -> Option<u32> {
    let udp = is::Protocol::Udp;
    let candidate = match kind {
        CandidateKind::Host => is::Candidate::host(address, udp),
        CandidateKind::ServerReflexive => is::Candidate::server_reflexive(address, base, udp),
        CandidateKind::Relayed => is::Candidate::relayed(address, base, udp),
        // Found by checks, never given.
        CandidateKind::PeerReflexive => return None,
    };
    Some(agent.add_local_candidate(candidate.ok()?)?.prio())
}

/// The same for candidates of one kind and base address: a letter and the FNV-1a hash of the
/// address, as eight hexadecimal digits.
fn foundation(kind: CandidateKind, base: SocketAddr) -> String {
    let letter = match kind {
        CandidateKind::Host => 'H',
        CandidateKind::ServerReflexive => 'S',
        CandidateKind::PeerReflexive => 'P',
        CandidateKind::Relayed => 'R',
    };
    let hash = |bytes: &[u8]| {
        bytes.iter().fold(0x811c_9dc5u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    };
    let hash = match base {
        SocketAddr::V4(v4) => hash(&v4.ip().octets()),
        SocketAddr::V6(v6) => hash(&v6.ip().octets()),
    };
    format!("{letter}{hash:08x}")
}
