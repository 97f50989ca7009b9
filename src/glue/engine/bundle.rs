//! BUNDLE, as chan_pjsip uses it with `webrtc=yes`.
//!
//! The first stream of a group has the transport. Of the others chan_pjsip polls no descriptor:
//! what they receive is read from the first one's instance, each frame with its stream's number.
//! They are written to themselves. chan_pjsip never says that a stream leaves a group: it goes on
//! as with one that has a transport, which tells it.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use super::Engine;
use crate::host::frame::FrameList;
use crate::host::log;
use crate::host::rtp_engine::{Hangup, Instance};
use crate::rtc::ice::Component;
use crate::rtc::session::PayloadType;

/// What an instance knows of the others of its bundle.
#[derive(Default)]
pub(super) struct Ties {
    /// Whose transport this stream uses.
    transport: Weak<Engine>,
    /// The streams that use this one's, by their legs' numbers.
    members: Vec<(u64, Weak<Engine>)>,
    /// ICE was on before.
    had_ice: bool,
    /// The number of this stream's frames.
    pub(super) stream: i32,
    /// The address of the transport's peer that Asterisk was told is this stream's too.
    told: Option<SocketAddr>,
}

impl Engine {
    pub(super) fn join_bundle(&self, transport: &Arc<Engine>) -> bool {
        if self.state().ties.transport.upgrade().is_some_and(|present| Arc::ptr_eq(&present, transport)) {
            return true;
        }
        let Some(this) = self.this.upgrade() else { return false };
        self.leave_bundle();
        let had_ice = self.leg.look(|session| session.ice_enabled());
        if !self.leg.join_bundle(&transport.leg) {
            log::warning("a stream cannot be bundled with one that is itself bundled with another");
            return false;
        }
        {
            let mut state = self.state();
            state.ties.transport = Arc::downgrade(transport);
            state.ties.had_ice = had_ice;
            state.ties.told = None;
            // They are the transport's now; signalling gives others if there is to be one again.
            state.dtls = None;
            state.remote_ufrag = false;
        }
        let members = &mut transport.state().ties.members;
        members.retain(|(_, member)| member.strong_count() > 0);
        members.push((self.leg.id(), Arc::downgrade(&this)));
        true
    }

    /// Gives this stream a transport of its own again, if it had none: its socket with new ICE
    /// credentials. Nothing is sent before signalling has said where and with which keys.
    pub(super) fn leave_bundle(&self) {
        if !self.leg.look(|session| session.is_bundled()) {
            return;
        }
        self.leg.leave_bundle();
        let (transport, had_ice) = {
            let ties = &mut self.state().ties;
            ties.told = None;
            (std::mem::take(&mut ties.transport), ties.had_ice)
        };
        if let Some(transport) = transport.upgrade() {
            transport.state().ties.members.retain(|(id, _)| *id != self.leg.id());
        }
        self.sending.store(false, std::sync::atomic::Ordering::Relaxed);
        if had_ice {
            self.enable_ice();
            if let Some(rtcp) = self.leg.rtcp_address() {
                self.offer_host_candidates(Component::Rtcp, rtcp);
            }
        }
    }

    /// The payload types that signalling gave this stream, for telling its packets from others'.
    pub(super) fn announce_payloads(&self, payloads: &[PayloadType]) {
        let types: Vec<u8> = payloads.iter().map(|payload| payload.pt).collect();
        self.leg.with(|session, _| session.set_bundle_payload_types(&types));
        self.leg.announce();
    }

    /// One item of what waits for member `id`, on the transport's instance.
    pub(super) fn read_member(&self, instance: &Instance<'_>, id: u64, out: &mut FrameList) {
        let member = {
            let ties = &self.state().ties;
            ties.members.iter().find(|(member, _)| *member == id).and_then(|(_, member)| member.upgrade())
        };
        let Some(member) = member else { return };
        let Some(item) = member.leg.inbox().take() else { return };
        out.set_stream(member.state().ties.stream);
        // A member has no transport whose end would end the call.
        let (Ok(()) | Err(Hangup)) = member.frame(instance, item, out);
    }

    /// Lets Asterisk know where a member's peer is, as it knows it of the transport.
    pub(super) fn tell_remote(&self, instance: &Instance<'_>) {
        let remote = self.leg.look(|session| session.is_bundled().then(|| session.remote_address(Component::Rtp)));
        let Some(Some(remote)) = remote else { return };
        let known = self.state().ties.told.replace(remote);
        if known != Some(remote) {
            instance.set_remote_address(remote);
        }
    }

    /// Whether an address given to this instance is no more than an echo of `tell_remote`.
    pub(super) fn is_told(&self, address: Option<SocketAddr>) -> bool {
        address.is_some() && self.state().ties.told == address
    }
}
