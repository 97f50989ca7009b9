//! What the peer's sender is told of the network: transport-wide congestion control.

use std::time::Instant;

use super::{RtcpMode, Session};
use crate::rtc::rtcp::Feedback;
use crate::rtc::rtp::{Header, TransportCc};

impl Session {
    /// The peer numbers its packets in header extension `id`, and wants to be told when each
    /// arrived; `None`: it does not.
    pub fn set_transport_cc(&mut self, now: Instant, id: Option<u8>) {
        if self.transport_cc.as_ref().map(TransportCc::id) != id {
            self.transport_cc = id.map(|id| TransportCc::new(now, id));
        }
    }

    /// Takes note of an accepted packet.
    pub(super) fn note_transport_cc(&mut self, now: Instant, header: &Header, packet: &[u8]) {
        let Some(cc) = &mut self.transport_cc else {
            return;
        };
        let id = cc.id();
        let number = header.extensions(packet).find(|(of, _)| *of == id).and_then(|(_, data)| data.try_into().ok());
        if let Some(number) = number {
            cc.packet(now, u16::from_be_bytes(number));
        }
    }

    pub(super) fn send_due_transport_cc(&mut self, now: Instant) {
        while let Some(fci) = self.transport_cc.as_mut().and_then(|cc| cc.poll_message(now)) {
            if self.rtcp_mode != RtcpMode::Off {
                // One that is lost is lost; the sender notices by its number.
                let _ = self.send_feedback(now, &Feedback::TransportCc(fci));
            }
        }
    }
}
