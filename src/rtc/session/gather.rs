//! Candidates from servers, and datagrams that go through a relay.
//!
//! What is gathered before ICE is on is kept; [`Session::offer_gathered`] makes candidates of it
//! once the host candidates are there, and what comes later becomes a candidate at once. A relayed
//! candidate that comes after SDP was written still serves: to the peer it is peer-reflexive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Event, Session, slot};
use crate::rtc::gather::{Gathered, Gatherer, Login, Received};
use crate::rtc::ice::{CandidateKind, Component};

/// Whom to ask, and for what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatherPlan {
    /// Addresses of the socket, each with its port, that ask how they are seen.
    pub bases: Vec<SocketAddr>,
    /// STUN servers, at most one of each family.
    pub stun: Vec<SocketAddr>,
    /// The TURN server.
    pub turn: Option<(SocketAddr, Arc<Login>)>,
    /// Whether messages have SOFTWARE.
    pub software: bool,
}

impl GatherPlan {
    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        (self.stun.is_empty() || self.bases.is_empty()) && self.turn.is_none()
    }
}

impl Session {
    /// Asks the servers of `plan` for candidates of a component whose socket is bound to `bound`.
    /// The answers come when they come.
    pub fn gather(&mut self, now: Instant, component: Component, bound: SocketAddr, plan: &GatherPlan) {
        let Some(place) = self.gatherers.get_mut(slot(component)) else {
            return;
        };
        let gatherer = place.get_or_insert_with(|| Gatherer::new(plan.software));
        for server in &plan.stun {
            for base in &plan.bases {
                gatherer.ask_reflexive(now, *base, *server);
            }
        }
        if let Some((server, login)) = &plan.turn {
            gatherer.ask_relay(now, bound, *server, Arc::clone(login));
        }
        self.gather_timeout(now);
    }

    /// The servers that still owe an answer which may bring a candidate, each with the base that
    /// asks.
    pub fn gathering(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.gatherers.iter().flatten().flat_map(Gatherer::waiting).collect()
    }

    /// Whether a component has asked servers.
    pub fn has_gathered(&self, component: Component) -> bool {
        self.gatherers.get(slot(component)).is_some_and(Option::is_some)
    }

    /// Gives a component's allocations back and asks no more, for its socket is to be closed.
    pub fn stop_gathering(&mut self, component: Component) {
        if let Some(Some(gatherer)) = self.gatherers.get_mut(slot(component)) {
            gatherer.close();
            self.drain_gatherers();
        }
        if let Some(place) = self.gatherers.get_mut(slot(component)) {
            *place = None;
        }
    }

    /// What has been gathered so far.
    pub fn gathered(&self) -> Vec<Gathered> {
        self.gatherers.iter().flatten().flat_map(Gatherer::candidates).collect()
    }

    /// Makes local candidates of what has been gathered. Call it when ICE is on and the host
    /// candidates have been added.
    pub fn offer_gathered(&mut self, component: Component) {
        let found: Vec<Gathered> =
            self.gatherers.get(slot(component)).iter().copied().flatten().flat_map(Gatherer::candidates).collect();
        for gathered in &found {
            self.offer(component, gathered);
        }
    }

    fn offer(&mut self, component: Component, gathered: &Gathered) {
        match *gathered {
            Gathered::Reflexive { address, base, .. } => {
                // RFC 8445 §5.1.3: without a NAT it is the host candidate once more.
                let known = |known: &crate::rtc::ice::LocalCandidate| known.address == address;
                if !self.local_candidates_of(component).iter().any(known) {
                    self.add_local_candidate(component, CandidateKind::ServerReflexive, address, base);
                }
            }
            Gathered::Relayed { address, mapped, .. } => {
                self.add_local_candidate(component, CandidateKind::Relayed, address, mapped);
            }
            Gathered::Answered { .. } | Gathered::Failed { .. } => {}
        }
    }

    pub(super) fn gather_timeout(&mut self, now: Instant) {
        for gatherer in self.gatherers.iter_mut().flatten() {
            gatherer.handle_timeout(now);
        }
        self.drain_gatherers();
    }

    pub(super) fn gather_poll_timeout(&self) -> Option<Instant> {
        self.gatherers.iter().flatten().filter_map(Gatherer::poll_timeout).min()
    }

    /// Looks whether a datagram is a server's. What came through a relay is to be received again
    /// as what it holds; a relay inside a relay there is not.
    pub(super) fn receive_gathering(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &[u8],
    ) -> Received {
        let Some(Some(gatherer)) = self.gatherers.get_mut(slot(component)) else {
            return Received::NotOurs;
        };
        if gatherer.is_relay(local) {
            return Received::NotOurs;
        }
        let received = gatherer.handle_datagram(now, remote, datagram);
        if received == Received::Handled {
            self.drain_gatherers();
        }
        received
    }

    /// Sends through a relay if `local` is one, else gives the datagram back.
    pub(super) fn send_relayed(
        &mut self,
        component: Component,
        (local, remote): (SocketAddr, SocketAddr),
        payload: Vec<u8>,
    ) -> Result<(), Vec<u8>> {
        let Some(Some(gatherer)) = self.gatherers.get_mut(slot(component)) else {
            return Err(payload);
        };
        gatherer.send_relayed(local, remote, payload)?;
        self.drain_gatherers();
        Ok(())
    }

    /// Gives allocations back.
    pub(super) fn close_gatherers(&mut self) {
        self.stop_gathering(Component::Rtp);
        self.stop_gathering(Component::Rtcp);
    }

    fn drain_gatherers(&mut self) {
        for component in [Component::Rtp, Component::Rtcp] {
            let Some(Some(gatherer)) = self.gatherers.get_mut(slot(component)) else {
                continue;
            };
            let mut out = Vec::new();
            let mut gathered = Vec::new();
            while let Some(transmit) = gatherer.poll_transmit() {
                out.push(transmit);
            }
            while let Some(one) = gatherer.poll_gathered() {
                gathered.push(one);
            }
            for (local, server, payload) in out {
                // What does not fit is lost as on the network, and asked for again.
                let _ = self.transmit_direct(component, (local, server), payload);
            }
            for one in gathered {
                self.offer(component, &one);
                self.event(Event::Gathered(one));
            }
        }
    }
}
