//! ICE of a session: what signalling says, and the agents of its components.
//!
//! chan_sip gives the remote credentials and candidates while it parses SDP, reads ours while it
//! writes SDP, and calls `start` for each provisional and final answer and each re-INVITE. So what
//! comes from signalling is kept and takes effect in `start_ice`: credentials that have not
//! changed touch nothing, others restart ICE.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Event, RtcpMode, Session, slot};
use crate::host::openssl::{Error, rand};
use crate::rtc::error::Discard;
use crate::rtc::ice::{
    Agent, AgentEvent, CandidateKind, Component, Credentials, IceState, LocalCandidate, RemoteCandidate, Role,
};

/// Remote candidates that wait for `start_ice`.
const MAX_PENDING: usize = 64;

pub(super) struct Ice {
    agents: [Agent; 2],
    local: Credentials,
    /// What a restart that is being answered will use.
    next_local: Option<Credentials>,
    remote: Option<Credentials>,
    pending_ufrag: Option<String>,
    pending_pwd: Option<String>,
    pending_candidates: Vec<RemoteCandidate>,
    role: Role,
    lite: bool,
    remote_lite: bool,
}

impl Ice {
    /// How many agents are in use: the second one only with RTCP on its own port.
    fn used(&self, mode: RtcpMode) -> usize {
        let separate =
            mode == RtcpMode::Separate && self.agents.get(1).is_some_and(|agent| !agent.local_candidates().is_empty());
        if separate { 2 } else { 1 }
    }

    /// The agents in use.
    fn agents(&mut self, mode: RtcpMode) -> &mut [Agent] {
        let count = self.used(mode);
        self.agents.get_mut(..count).unwrap_or_default()
    }

    fn agent(&self, component: Component) -> Option<&Agent> {
        self.agents.get(slot(component))
    }

    pub(super) fn selected(&self, component: Component) -> Option<(SocketAddr, SocketAddr)> {
        self.agent(component)?.selected()
    }

    /// The selected pair, if it is one of the present credentials.
    pub(super) fn nominated(&self, component: Component) -> Option<(SocketAddr, SocketAddr)> {
        let agent = self.agent(component)?;
        (agent.state() == IceState::Connected).then(|| agent.selected())?
    }

    /// Whether a source was authenticated with the present credentials.
    pub(super) fn is_checked(&self, component: Component, remote: SocketAddr) -> bool {
        self.agent(component).is_some_and(|agent| agent.is_checked(remote))
    }

    pub(super) fn is_validated(&self, component: Component, remote: SocketAddr) -> bool {
        self.agent(component).is_some_and(|agent| agent.is_validated(remote))
    }

    pub(super) fn poll_timeout(&mut self, mode: RtcpMode) -> Option<Instant> {
        self.agents(mode).iter_mut().filter_map(Agent::poll_timeout).min()
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.agent(Component::Rtp)?.round_trip()
    }

    fn pending(&self) -> Option<Credentials> {
        let ufrag = self.pending_ufrag.as_deref()?;
        Credentials::from_remote(ufrag, self.pending_pwd.as_deref()?)
    }

    fn effective_role(&self) -> Role {
        // RFC 8445 §6.1.1: a full agent controls a lite one.
        match (self.lite, self.remote_lite) {
            (false, true) => Role::Controlling,
            (true, false) => Role::Controlled,
            _ => self.role,
        }
    }

    fn start(&mut self, now: Instant, mode: RtcpMode) -> bool {
        let Some(remote) = self.pending() else {
            return false;
        };
        let mut restarted = false;
        if self.remote.as_ref() != Some(&remote) {
            if self.remote.is_some() {
                restarted = true;
                if let Some(local) = self.next_local.take() {
                    self.local = local;
                }
                for agent in &mut self.agents {
                    agent.restart(&self.local);
                }
            }
            self.remote = Some(remote.clone());
        }
        self.next_local = None;
        let role = self.effective_role();
        let candidates = std::mem::take(&mut self.pending_candidates);
        for agent in self.agents(mode) {
            agent.start(now, &remote, role);
            for candidate in &candidates {
                agent.add_remote(candidate);
            }
        }
        restarted
    }
}

impl Session {
    /// Turns ICE on and makes credentials. Candidates are added afterwards. Does nothing if it is
    /// on.
    pub fn enable_ice(&mut self) -> Result<(), Error> {
        if self.ice.is_some() {
            return Ok(());
        }
        let local = Credentials::generate()?;
        let tie_breaker = u64::from_be_bytes(rand::bytes()?);
        let lite = self.config.ice_lite;
        let timeout = self.config.ice_timeout;
        let agent = |component| Agent::new(component, &local, tie_breaker, lite, timeout);
        self.ice = Some(Ice {
            agents: [agent(Component::Rtp), agent(Component::Rtcp)],
            local,
            next_local: None,
            remote: None,
            pending_ufrag: None,
            pending_pwd: None,
            pending_candidates: Vec::new(),
            role: Role::Controlled,
            lite,
            remote_lite: false,
        });
        Ok(())
    }

    /// Turns ICE off: the peer does not use it.
    pub fn disable_ice(&mut self) {
        self.ice = None;
    }

    /// Whether ICE is on.
    pub fn ice_enabled(&self) -> bool {
        self.ice.is_some()
    }

    /// Adds a local candidate. `base` is the address of the socket it is reached by, the same as
    /// `address` for a host candidate. Duplicates and unusable addresses are left out.
    pub fn add_local_candidate(
        &mut self,
        component: Component,
        kind: CandidateKind,
        address: SocketAddr,
        base: SocketAddr,
    ) {
        if let Some(ice) = &mut self.ice
            && let Some(agent) = ice.agents.get_mut(slot(component))
        {
            agent.add_local(kind, address, base);
        }
    }

    /// The local candidates for SDP: of both components unless RTCP is multiplexed or off.
    pub fn local_candidates(&mut self) -> Vec<LocalCandidate> {
        let mode = self.rtcp_mode;
        let Some(ice) = &mut self.ice else {
            return Vec::new();
        };
        ice.agents(mode).iter().flat_map(|agent| agent.local_candidates().iter().cloned()).collect()
    }

    /// The local candidates of one component, in use or not.
    pub(super) fn local_candidates_of(&self, component: Component) -> &[LocalCandidate] {
        let agent = self.ice.as_ref().and_then(|ice| ice.agent(component));
        agent.map_or(&[], Agent::local_candidates)
    }

    /// Our username fragment and password, to be signalled now. If the peer has offered a restart
    /// they are new ones (RFC 8839 §4.4.1.1.1), else those in use.
    pub fn local_credentials(&mut self) -> Option<Credentials> {
        let ice = self.ice.as_mut()?;
        let restart = match (&ice.remote, ice.pending()) {
            (Some(remote), Some(pending)) => *remote != pending,
            _ => false,
        };
        if restart && ice.next_local.is_none() {
            ice.next_local = Credentials::generate().ok();
        }
        let credentials = match &ice.next_local {
            Some(next) if restart => next,
            _ => &ice.local,
        };
        Some(credentials.clone())
    }

    /// Takes the peer's username fragment and password as they are parsed; `None` leaves one as
    /// it is. They take effect in `start_ice`.
    pub fn set_remote_credentials(&mut self, ufrag: Option<&str>, pwd: Option<&str>) {
        if let Some(ice) = &mut self.ice {
            if let Some(ufrag) = ufrag {
                ice.pending_ufrag = Some(ufrag.chars().take(300).collect());
            }
            if let Some(pwd) = pwd {
                ice.pending_pwd = Some(pwd.chars().take(300).collect());
            }
        }
    }

    /// Adds a remote candidate: at once if it belongs to the credentials in use, else in
    /// `start_ice`.
    pub fn add_remote_candidate(&mut self, now: Instant, candidate: RemoteCandidate) {
        let mode = self.rtcp_mode;
        if let Some(ice) = &mut self.ice {
            if ice.remote.is_some() && ice.remote == ice.pending() {
                for agent in ice.agents(mode) {
                    agent.add_remote(&candidate);
                }
                self.drain_ice(now);
            } else if ice.pending_candidates.len() < MAX_PENDING {
                ice.pending_candidates.push(candidate);
            }
        }
    }

    /// The peer is lite: we control.
    pub fn set_remote_ice_lite(&mut self) {
        if let Some(ice) = &mut self.ice {
            ice.remote_lite = true;
        }
    }

    /// Sets the role for the first start, or for a restart; in between it stays as it is.
    pub fn set_ice_role(&mut self, role: Role) {
        if let Some(ice) = &mut self.ice {
            ice.role = role;
        }
    }

    /// The role in use.
    pub fn ice_role(&self) -> Option<Role> {
        Some(self.ice.as_ref()?.agent(Component::Rtp)?.role())
    }

    /// Begins to check, or does nothing if it has begun with the same credentials; restarts if
    /// they have changed. Without remote credentials it does nothing.
    pub fn start_ice(&mut self, now: Instant) {
        let mode = self.rtcp_mode;
        if let Some(ice) = &mut self.ice {
            let restarted = ice.start(now, mode);
            if restarted {
                self.security.ice_restarted();
            }
            self.ice_timeout(now);
        }
    }

    /// How far ICE has come: as far as the component that is behind. `None` if it is off.
    pub fn ice_state(&self) -> Option<IceState> {
        let order = |state: IceState| match state {
            IceState::Failed => 0,
            IceState::New => 1,
            IceState::Checking => 2,
            IceState::Connected => 3,
        };
        let ice = self.ice.as_ref()?;
        ice.agents.iter().take(ice.used(self.rtcp_mode)).map(Agent::state).min_by_key(|s| order(*s))
    }

    pub(super) fn handle_stun(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let ice = self.ice.as_mut().ok_or(Discard::StunWithoutIce)?;
        let agent = ice.agents.get_mut(slot(component)).ok_or(Discard::StunWithoutIce)?;
        let result = agent.handle_stun(now, local, remote, datagram);
        self.drain_ice(now);
        result
    }

    pub(super) fn ice_timeout(&mut self, now: Instant) {
        let mode = self.rtcp_mode;
        if let Some(ice) = &mut self.ice {
            for agent in ice.agents(mode) {
                agent.handle_timeout(now);
            }
            self.drain_ice(now);
        }
    }

    /// Media of an authentic source may show that the peer has moved.
    pub(super) fn ice_media_from(&mut self, now: Instant, component: Component, local: SocketAddr, remote: SocketAddr) {
        if let Some(ice) = &mut self.ice
            && let Some(agent) = ice.agents.get_mut(slot(component))
            && agent.selected().is_some_and(|(_, at)| at != remote)
        {
            agent.media_from(now, local, remote);
            self.drain_ice(now);
        }
    }

    fn drain_ice(&mut self, now: Instant) {
        for component in [Component::Rtp, Component::Rtcp] {
            self.drain_agent(now, component);
        }
    }

    fn drain_agent(&mut self, now: Instant, component: Component) {
        let Some(ice) = &mut self.ice else {
            return;
        };
        let Some(agent) = ice.agents.get_mut(slot(component)) else {
            return;
        };
        let mut out = Vec::new();
        while let Some(transmit) = agent.poll_transmit() {
            out.push(transmit);
        }
        let mut events = Vec::new();
        while let Some(event) = agent.poll_event() {
            events.push(event);
        }
        for (local, remote, payload) in out {
            // What does not fit is sent again by ICE's own timer.
            let _ = self.transmit(component, (local, remote), payload);
        }
        for event in events {
            match event {
                AgentEvent::Selected { local, remote } => {
                    self.event(Event::IceConnected { component, local, remote });
                    self.start_dtls_where_due(now);
                    self.release_held(now);
                }
                AgentEvent::Validated { remote } => {
                    self.start_dtls_where_due(now);
                    self.release_early_dtls(now, component, remote);
                }
                AgentEvent::Failed(failure) => self.event(Event::IceFailed(failure)),
            }
        }
    }
}
