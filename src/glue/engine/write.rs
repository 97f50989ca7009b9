//! Frames from the channel to the peer.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::driver::clock as driver_clock;
use crate::host::frame::{Feedback, OutFrame, OutKind};
use crate::host::log::{self, Level};
use crate::host::rtp_engine::Instance;
use crate::rtc::session::{self, OutgoingRtp};

impl Engine {
    /// `false` only for what the peer has not agreed to; a packet that cannot leave yet is counted
    /// by the session and no failure of the channel's.
    pub(super) fn write_frame(&self, instance: &Instance<'_>, frame: &OutFrame<'_>) -> bool {
        if !self.sending.load(Ordering::Relaxed) {
            return true;
        }
        let marker = match frame.kind() {
            OutKind::Text => false,
            OutKind::Voice { talk_spurt } => talk_spurt,
            OutKind::Video { frame_ending } => frame_ending,
            OutKind::VideoUpdate => {
                // Refused while there is nobody to ask; the engine asks by itself when there is.
                let _ = self.leg.with(|session, now| session.request_keyframe(now));
                return true;
            }
            OutKind::Feedback(feedback) => return self.write_feedback(feedback),
        };
        if let OutKind::Video { .. } = frame.kind() {
            self.state().feedback.written(frame.sequence(), frame.timestamp());
        }
        let Some(format) = frame.format() else { return true };
        let Some(pt) = instance.payload_type(format) else {
            log::write(Level::Debug(1), &format!("the peer of {} takes no {}", instance.channel_id(), format.name()));
            return false;
        };
        let payload = frame.payload();
        if payload.is_empty() && !matches!(frame.kind(), OutKind::Video { .. }) {
            return true;
        }
        let stamp = {
            let rate = format.rtp_clock_rate();
            self.state().tx.stamp(driver_clock::now(), rate, frame.ticks(), frame.timestamp())
        };
        let sent = self.leg.with(|session, now| {
            if stamp.new_source {
                session.source_changed();
            }
            session.send_rtp(
                now,
                OutgoingRtp {
                    pt,
                    marker: marker || stamp.after_pause,
                    timestamp: stamp.timestamp,
                    seq: frame.sequence(),
                    payload,
                },
            )
        });
        if sent.is_ok() {
            instance.sent_now();
            self.tell_remote(instance);
        }
        true
    }

    fn write_feedback(&self, feedback: Feedback) -> bool {
        if let Feedback::Remb { exponent, mantissa } = feedback
            && self.state().feedback.remb
        {
            let rate = u64::from(mantissa).checked_shl(exponent).unwrap_or(u64::MAX);
            // Refused before there is a path, as above.
            let _ = self.leg.with(|session, now| session.send_feedback(now, &session::Feedback::Remb(rate)));
        }
        true
    }

    /// RFC 3389: one octet, the noise level in -dBov.
    pub(super) fn send_comfort_noise(&self, instance: &Instance<'_>, level: i32) -> bool {
        let Some(pt) = instance.comfort_noise_type() else { return false };
        let payload = [u8::try_from(level.clamp(0, 127)).unwrap_or(127)];
        let stamp = self.state().tx.stamp(driver_clock::now(), 8000, 160, None);
        let packet = OutgoingRtp { pt, marker: true, timestamp: stamp.timestamp, seq: None, payload: &payload };
        self.leg.with(|session, now| session.send_rtp(now, packet)).is_ok()
    }
}
