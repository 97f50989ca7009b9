//! RTCP feedback for video: what of it is agreed on with the peer, and how.
//!
//! chan_pjsip writes `a=rtcp-fb` by itself and says by properties what it agreed on. chan_sip knows
//! nothing of it: its SDP has no such line, and a browser that finds none sends neither NACK nor
//! PLI. But chan_sip prints some strings of the engine's verbatim, each into a growing buffer, so
//! the lines for its video are put behind the fingerprint. Which profile its `m=` line has the
//! engine is not told; a stream with both ICE and DTLS is a WebRTC peer's, whose profile is
//! always one with feedback (RFC 8834 §4.2).

use super::Engine;
use crate::rtc::session::Retransmission;

/// How chan_sip, in every version, describes its video stream when it sets the class of service,
/// which is right after it made the instance. No other channel driver says the same.
const CHAN_SIP_VIDEO: &str = "SIP VIDEO";

/// What sessions do. Not goog-remb: chan_sip passes no REMB on, so a browser would estimate in
/// vain. Not transport-cc: it needs a header extension whose number is negotiated.
const LINES: &str = "\r\na=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm fir";

/// What is known of a stream's feedback.
#[derive(Debug, Default)]
pub struct Feedback {
    /// It is chan_sip's video, and the administrator wants it to have feedback.
    speak_for_chan_sip: bool,
    /// `AST_RTP_PROPERTY_REMB`: estimates that others make are sent to the peer.
    pub remb: bool,
    /// The video that the channel read last: sequence number and timestamp.
    read: Option<(u16, u64)>,
    /// What the channel writes is what it reads.
    echoes: bool,
}

impl Feedback {
    /// A packet of video goes to the channel.
    pub fn read(&mut self, sequence: u16, timestamp: u64) {
        self.read = Some((sequence, timestamp));
    }

    /// One comes from it.
    pub fn written(&mut self, sequence: Option<u16>, timestamp: Option<u64>) {
        self.echoes = self.read.is_some() && self.read == sequence.zip(timestamp);
    }
}

impl Engine {
    /// Learns from the description of the class of service whose stream this is.
    pub(super) fn recognise_caller(&self, description: &str) {
        if description == CHAN_SIP_VIDEO && self.runtime.settings().rtc.rtcp_feedback {
            self.state().feedback.speak_for_chan_sip = true;
            self.retransmit(|wanted| *wanted = Retransmission { ask: true, answer: true });
        }
    }

    pub(super) fn retransmit(&self, change: impl FnOnce(&mut Retransmission)) {
        self.leg.with(|session, _| {
            let mut wanted = session.retransmission();
            change(&mut wanted);
            session.set_retransmission(wanted);
        });
    }

    /// The fingerprint as it is to be printed.
    pub(super) fn with_feedback_lines(&self, fingerprint: String) -> String {
        let speak = self.state().feedback.speak_for_chan_sip;
        if speak && self.leg.look(|session| session.ice_enabled()) { fingerprint + LINES } else { fingerprint }
    }

    /// The peer wants a keyframe. Echo() passes one such request on in a call and ignores the
    /// others; where the peer sees its own video, it is asked directly.
    pub(super) fn answer_own_keyframe_request(&self) {
        if self.state().feedback.echoes {
            // Refused while there is nobody to ask.
            let _ = self.leg.with(|session, now| session.request_keyframe(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_told_from_a_bridge() {
        let mut feedback = Feedback::default();
        feedback.written(None, None);
        assert!(!feedback.echoes);
        feedback.read(7, 3000);
        feedback.written(Some(7), Some(3000));
        assert!(feedback.echoes);
        feedback.written(Some(7), Some(9_999));
        assert!(!feedback.echoes);
        feedback.written(Some(8), None);
        assert!(!feedback.echoes);
    }
}
