//! Video that goes on after loss: packets asked for again and sent again (RFC 4585 NACK), and
//! keyframes asked for when that does not help, or when a decoder begins.

use std::time::{Duration, Instant};

use super::{Event, PayloadKind, RtcpMode, Session};
use crate::rtc::error::SendError;
use crate::rtc::ice::Component;
use crate::rtc::rtcp::Feedback;
use crate::rtc::rtp::{Accepted, NackGenerator, ResendBuffer};

/// The least time between two keyframe requests of ours: an encoder makes no more of them, and a
/// keyframe costs many times what another frame does.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(300);
/// The round-trip time before one was measured.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// Which repairs are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retransmission {
    /// Ask for video packets that are missing (`AST_RTP_PROPERTY_RETRANS_RECV`).
    pub ask: bool,
    /// Send again what the peer asks for (`AST_RTP_PROPERTY_RETRANS_SEND`).
    pub answer: bool,
}

#[derive(Default)]
pub(super) struct Repair {
    pub(super) retransmission: Retransmission,
    /// What is missing of the source with this SSRC.
    nack: Option<(u32, NackGenerator)>,
    pub(super) resend: ResendBuffer,
    /// A keyframe is wanted, and has not been asked for yet.
    keyframe_wanted: bool,
    /// When the next keyframe may be asked for.
    keyframe_after: Option<Instant>,
    /// Packets sent again.
    pub(super) resent: u64,
}

impl Session {
    /// Sets which repairs are made. None are at the outset.
    pub fn set_retransmission(&mut self, retransmission: Retransmission) {
        self.repair.retransmission = retransmission;
        if !retransmission.ask {
            self.repair.nack = None;
        }
        if !retransmission.answer {
            self.repair.resend = ResendBuffer::default();
        }
    }

    /// Which repairs are made.
    pub fn retransmission(&self) -> Retransmission {
        self.repair.retransmission
    }

    /// The round-trip time as ICE or RTCP measured it last.
    fn round_trip(&self) -> Duration {
        let reported = self.control.round_trip();
        self.ice.as_ref().and_then(super::ice::Ice::round_trip).or(reported).unwrap_or(ROUND_TRIP)
    }

    pub(super) fn has_video(&self) -> bool {
        self.payload_types.iter().any(|t| t.kind == PayloadKind::Video)
    }

    /// Asks for a keyframe (PLI). A request that follows another closely is sent when a while has
    /// passed; one that cannot be sent yet, when it can.
    pub fn request_keyframe(&mut self, now: Instant) -> Result<(), SendError> {
        self.repair.keyframe_wanted = true;
        self.ask_for_wanted_keyframe(now)
    }

    fn ask_for_wanted_keyframe(&mut self, now: Instant) -> Result<(), SendError> {
        if !self.repair.keyframe_wanted || self.repair.keyframe_after.is_some_and(|after| now < after) {
            return Ok(());
        }
        self.send_feedback(now, &Feedback::Pli)
    }

    /// Whether a keyframe may be asked for now; if not, it is remembered.
    pub(super) fn may_ask_for_keyframe(&mut self, now: Instant) -> bool {
        if self.repair.keyframe_after.is_some_and(|after| now < after) {
            self.repair.keyframe_wanted = true;
            return false;
        }
        true
    }

    pub(super) fn keyframe_asked(&mut self, now: Instant) {
        self.repair.keyframe_wanted = false;
        self.repair.keyframe_after = Some(now + KEYFRAME_INTERVAL);
    }

    /// There are keys: what the peer sent before them may be lost, and what it was to be sent.
    pub(super) fn begin_video(&mut self, now: Instant) {
        // What was protected with other keys is of no use.
        self.repair.resend.clear();
        if self.has_video() {
            self.event(Event::KeyframeNeeded);
            // Most likely nothing was received yet; it goes out with the first packet.
            let _ = self.request_keyframe(now);
        }
    }

    /// Takes note of a packet of video that was received.
    pub(super) fn note_video(&mut self, now: Instant, ssrc: u32, accepted: Accepted) {
        if self.repair.keyframe_wanted {
            // If it cannot be sent it stays wanted.
            let _ = self.ask_for_wanted_keyframe(now);
        }
        if !self.repair.retransmission.ask || self.rtcp_mode == RtcpMode::Off {
            return;
        }
        let nack = match &mut self.repair.nack {
            Some((of, nack)) if *of == ssrc => nack,
            other => &mut other.insert((ssrc, NackGenerator::default())).1,
        };
        nack.packet(now, accepted.ext_seq, accepted.gap);
        if nack.has_outage() {
            self.send_due_repairs(now);
        }
    }

    /// Asks for what is missing.
    pub(super) fn send_due_repairs(&mut self, now: Instant) {
        let round_trip = self.round_trip();
        if let Some((_, nack)) = &mut self.repair.nack {
            nack.set_round_trip(round_trip);
            let wanted = nack.due(now);
            self.repair.keyframe_wanted |= wanted.keyframe;
            if !wanted.again.is_empty() {
                // If there is no path now, it is asked for again later.
                let _ = self.send_feedback(now, &Feedback::Nack(wanted.again));
            }
        }
        if self.ask_for_wanted_keyframe(now).is_err() {
            // Not before a while has passed, or a packet has come.
            self.repair.keyframe_after = Some(now + KEYFRAME_INTERVAL);
        }
    }

    pub(super) fn repair_timeout(&self) -> Option<Instant> {
        let nack = self.repair.nack.as_ref().and_then(|(_, nack)| nack.poll_timeout());
        // Without a source there is nobody to ask; its first packet will be the occasion.
        let keyframe = match self.repair.keyframe_wanted && self.remote_ssrc().is_some() {
            true => self.repair.keyframe_after,
            false => None,
        };
        [nack, keyframe].into_iter().flatten().min()
    }

    /// Keeps a packet of video that is about to be sent.
    pub(super) fn keep_for_resend(&mut self, now: Instant, pt: u8, seq: u16, packet: &[u8]) {
        if self.repair.retransmission.answer && self.is_video(pt) {
            self.repair.resend.store(now, seq, packet);
        }
    }

    /// Sends again what the peer has lost.
    pub(super) fn resend(&mut self, now: Instant, lost: impl Iterator<Item = u16>) {
        let round_trip = self.round_trip();
        let Some(route) = self.route(Component::Rtp) else {
            return;
        };
        for seq in lost {
            let mut buffer = self.buffer();
            match self.repair.resend.take(now, seq, round_trip) {
                Some(packet) => buffer.extend_from_slice(packet),
                None => {
                    self.recycle(buffer);
                    continue;
                }
            }
            if self.transmit(Component::Rtp, route, buffer).is_err() {
                return;
            }
            self.repair.resent += 1;
        }
    }
}
