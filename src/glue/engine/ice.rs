//! The ICE table.

use std::net::SocketAddr;

use super::Engine;
use crate::driver::clock as driver_clock;
use crate::host::log::{self, Level};
use crate::host::rtp_engine::{self as host, Candidate, CandidateType, IceRole, Instance, RtpEngineIce, TurnServer};
use crate::rtc::gather::Login;
use crate::rtc::ice::Component;
use crate::rtc::ice::{CandidateKind, LocalCandidate, RemoteCandidate, Role};
use crate::settings::HostPort;

impl Engine {
    /// Turns ICE on and gathers host candidates.
    pub(super) fn enable_ice(&self) {
        if let Err(error) = self.leg.with(|session, _| session.enable_ice()) {
            log::error(&format!("no ICE for RTP port {}: {error}", self.leg.local_address().port()));
            return;
        }
        self.offer_host_candidates(Component::Rtp, self.leg.local_address());
    }

    /// Adds a host candidate for each address that `bound` stands for.
    pub(super) fn offer_host_candidates(&self, component: Component, bound: SocketAddr) {
        if !self.leg.look(|session| session.ice_enabled()) {
            return;
        }
        let settings = &self.runtime.settings().rtp;
        let mut addresses = Vec::new();
        for ip in self.runtime.local_addresses(bound.ip()) {
            if !settings.ice_acl.allows(ip) {
                continue;
            }
            let base = SocketAddr::new(ip, bound.port());
            match settings.host_candidates.iter().find(|mapping| mapping.local == ip) {
                Some(mapping) => {
                    addresses.push((SocketAddr::new(mapping.advertised, bound.port()), base));
                    if mapping.include_local {
                        addresses.push((base, base));
                    }
                }
                None => addresses.push((base, base)),
            }
        }
        self.leg.with(|session, _| {
            for (address, base) in addresses {
                session.add_local_candidate(component, CandidateKind::Host, address, base);
            }
            session.offer_gathered(component);
        });
    }

    /// Lets servers that are known to answer do so, within the bounds of `gather_wait`. The caller
    /// holds locks of Asterisk's, hence the bounds; ours are free.
    fn await_servers(&self, components: u32) {
        let settings = self.runtime.settings();
        if components == 2
            && let Some(bound) = self.leg.rtcp_address()
            && !self.leg.look(|session| session.has_gathered(Component::Rtcp))
        {
            // Not when the port was opened: most peers multiplex, and then nobody needs it.
            let plan = self.runtime.gather.plan(&self.runtime, &settings, bound);
            if !plan.is_empty() {
                self.leg.with(|session, now| session.gather(now, Component::Rtcp, bound, &plan));
            }
        }
        let waiting = self.leg.look(|session| session.gathering());
        let deadline = self.begun + settings.rtc.gather_wait;
        if waiting.is_empty() || deadline <= driver_clock::now() || !self.runtime.gather.expects(&waiting) {
            return;
        }
        let gather = &self.runtime.gather;
        if self.leg.wait_while(deadline, |session| gather.expects(&session.gathering())) {
            gather.disappointed(&self.leg.look(|session| session.gathering()));
        }
    }
}

impl RtpEngineIce for Engine {
    fn set_authentication(&self, _: &Instance<'_>, ufrag: Option<&str>, password: Option<&str>) {
        if ufrag.is_some() {
            self.state().remote_ufrag = true;
        }
        self.leg.with(|session, _| session.set_remote_credentials(ufrag, password));
    }

    fn add_remote_candidate(&self, _: &Instance<'_>, candidate: &Candidate) {
        if !candidate.transport.eq_ignore_ascii_case("udp") {
            return;
        }
        let candidate = RemoteCandidate {
            component: component(candidate.component),
            foundation: candidate.foundation.clone(),
            priority: candidate.priority,
            address: candidate.address,
            kind: match candidate.kind {
                CandidateType::Host => CandidateKind::Host,
                CandidateType::ServerReflexive => CandidateKind::ServerReflexive,
                CandidateType::Relayed => CandidateKind::Relayed,
            },
        };
        self.leg.with(|session, now| session.add_remote_candidate(now, candidate));
    }

    fn start(&self, _: &Instance<'_>) {
        if !self.state().remote_ufrag {
            // The peer speaks no ICE: media goes to the address in its SDP.
            self.leg.with(|session, _| session.disable_ice());
            return;
        }
        self.leg.with(|session, now| session.start_ice(now));
    }

    fn stop(&self, _: &Instance<'_>) {
        self.leg.with(|session, _| session.disable_ice());
    }

    fn get_ufrag(&self, _: &Instance<'_>) -> Option<String> {
        self.leg.with(|session, _| session.local_credentials()).map(|local| local.ufrag)
    }

    fn get_password(&self, _: &Instance<'_>) -> Option<String> {
        self.leg.with(|session, _| session.local_credentials()).map(|local| local.pwd)
    }

    fn get_local_candidates(&self, _: &Instance<'_>) -> Option<Vec<Candidate>> {
        let components = self.state().components;
        if self.leg.look(|session| session.ice_enabled()) {
            self.await_servers(components);
        }
        self.leg.with(|session, _| {
            session.ice_enabled().then(|| {
                let candidates = session.local_candidates();
                let wanted = candidates.iter().filter(|candidate| u32::from(candidate.component.id()) <= components);
                wanted.map(asterisk_candidate).collect()
            })
        })
    }

    fn ice_lite(&self, _: &Instance<'_>) {
        self.leg.with(|session, _| session.set_remote_ice_lite());
    }

    fn set_role(&self, _: &Instance<'_>, role: IceRole) {
        let role = match role {
            IceRole::Controlled => Role::Controlled,
            IceRole::Controlling => Role::Controlling,
        };
        self.leg.with(|session, _| session.set_ice_role(role));
    }

    fn turn_request(&self, instance: &Instance<'_>, of: host::Component, server: &TurnServer) {
        if server.tcp {
            let channel = instance.channel_id();
            log::write(Level::Debug(1), &format!("{channel}: the relay is asked for by UDP, not TCP"));
        }
        let name = HostPort { host: server.host.clone(), port: server.port };
        let login = Login::new(&server.username, &server.password);
        self.runtime.gather.request_relay(&self.runtime, &self.leg, component(of), &name, login);
    }

    fn change_components(&self, _: &Instance<'_>, components: u32) {
        // Asked only of a stream with a transport.
        self.leave_bundle();
        self.state().components = components;
    }
}

fn component(component: host::Component) -> Component {
    match component {
        host::Component::Rtp => Component::Rtp,
        host::Component::Rtcp => Component::Rtcp,
    }
}

fn asterisk_candidate(candidate: &LocalCandidate) -> Candidate {
    Candidate {
        foundation: candidate.foundation.clone(),
        component: match candidate.component {
            Component::Rtp => host::Component::Rtp,
            Component::Rtcp => host::Component::Rtcp,
        },
        transport: "udp".into(),
        priority: candidate.priority,
        address: candidate.address,
        related_address: candidate.related,
        kind: match candidate.kind {
            CandidateKind::Host | CandidateKind::PeerReflexive => CandidateType::Host,
            CandidateKind::ServerReflexive => CandidateType::ServerReflexive,
            CandidateKind::Relayed => CandidateType::Relayed,
        },
    }
}
