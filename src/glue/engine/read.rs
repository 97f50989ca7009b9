//! What waits in the inbox, as frames for the channel.

use super::Engine;
use crate::driver::rtp::{self as driver, Incoming, Taken};
use crate::host::format::MediaType;
use crate::host::frame::{Control, Feedback, FrameList, Media};
use crate::host::log::{self, Level};
use crate::host::rtp_engine::{Hangup, Instance, Payload};
use crate::rtc::session::RtpPacket;

/// A datagram of media is no larger than an Ethernet frame; what is larger comes by the inbox, when
/// the worker reads.
const LARGEST: usize = 2048;

/// A packet, wherever it lies.
struct Packet<'a> {
    pt: u8,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &'a [u8],
}

/// Extends timestamps over the wraps of their 32 bits, and tells how far each moved.
#[derive(Debug, Default)]
pub struct RxClock {
    ssrc: u32,
    last: Option<u64>,
}

impl RxClock {
    /// The extended timestamp and the ticks since the packet before.
    pub fn extend(&mut self, ssrc: u32, timestamp: u32) -> (u64, u32) {
        let extended = match self.last {
            Some(last) if self.ssrc == ssrc => {
                let moved = timestamp.wrapping_sub(last as u32).cast_signed();
                last.saturating_add_signed(i64::from(moved))
            }
            // High enough that a packet from before the first does not fall below zero.
            _ => (1 << 32) + u64::from(timestamp),
        };
        let ticks = match self.last {
            Some(last) if self.ssrc == ssrc => u32::try_from(extended.saturating_sub(last)).unwrap_or(0),
            _ => 0,
        };
        self.ssrc = ssrc;
        self.last = Some(extended);
        (extended, ticks)
    }
}

impl Engine {
    /// One item per call: the descriptor stays readable while more wait, and a chain of frames
    /// would cost the channel a wake-up per frame all the same.
    pub(super) fn read_frame(&self, instance: &Instance<'_>, out: &mut FrameList) -> Result<(), Hangup> {
        let mut buffer = [0; LARGEST];
        match self.leg.take(&mut buffer) {
            None => Ok(()),
            Some(Taken::Packet(packet)) => {
                let RtpPacket { pt, marker, seq, timestamp, ssrc, payload, .. } = packet;
                self.media(instance, &Packet { pt, marker, seq, timestamp, ssrc, payload }, out);
                Ok(())
            }
            Some(Taken::Item(Incoming::Bundled(member))) => {
                self.read_member(instance, member, out);
                Ok(())
            }
            Some(Taken::Item(item)) => self.frame(instance, item, out),
        }
    }

    /// Makes frames of `item`. `instance` is the one that is read, of this stream or of its
    /// transport.
    pub(super) fn frame(&self, instance: &Instance<'_>, item: Incoming, out: &mut FrameList) -> Result<(), Hangup> {
        match item {
            Incoming::Media(media) => {
                let driver::Media { pt, marker, seq, timestamp, ssrc, ref payload } = media;
                self.media(instance, &Packet { pt, marker, seq, timestamp, ssrc, payload }, out);
                self.leg.inbox().recycle(media.payload);
            }
            Incoming::DtmfBegin { digit } => out.dtmf_begin(digit),
            Incoming::DtmfEnd { digit, duration } => out.dtmf_end(digit, duration),
            Incoming::KeyframeRequest => {
                self.answer_own_keyframe_request();
                out.control(Control::VideoUpdate);
            }
            Incoming::SourceChanged => out.control(Control::SourceChange),
            Incoming::Remb(rate) => {
                let (exponent, mantissa) = remb(rate);
                out.feedback(Feedback::Remb { exponent, mantissa });
            }
            Incoming::Learned { rtcp: false, remote } if !self.leg.look(|session| session.is_bundled()) => {
                instance.set_remote_address(remote);
            }
            // A bundle is read by its transport alone.
            Incoming::Learned { .. } | Incoming::Bundled(_) => {}
            Incoming::Ended => return Err(Hangup),
        }
        Ok(())
    }

    fn media(&self, instance: &Instance<'_>, packet: &Packet<'_>, out: &mut FrameList) {
        let format = match instance.payload(packet.pt) {
            Some(Payload::Format(format)) => format,
            Some(Payload::ComfortNoise) => {
                out.comfort_noise(packet.payload.first().map_or(0, |level| level & 0x7f));
                return;
            }
            _ => {
                log::write(
                    Level::Debug(1),
                    &format!("{}: payload type {} was not negotiated", instance.channel_id(), packet.pt),
                );
                return;
            }
        };
        let (timestamp, ticks) = self.state().rx.extend(packet.ssrc, packet.timestamp);
        if format.media_type() == MediaType::Video {
            self.state().feedback.read(packet.seq, timestamp);
        }
        let media = Media { format: &format, sequence: packet.seq, timestamp, payload: packet.payload };
        match format.media_type() {
            MediaType::Audio => out.voice(&media, None, packet.marker),
            MediaType::Video => out.video(&media, ticks, packet.marker),
            MediaType::Text => out.text(&media, ticks),
            MediaType::Other => {}
        }
    }
}

/// A bit rate as REMB writes it: 18 bits of mantissa.
fn remb(rate: u64) -> (u32, u32) {
    let exponent = (64 - rate.leading_zeros()).saturating_sub(18);
    (exponent, (rate >> exponent) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_go_on_over_a_wrap_and_back_for_a_late_packet() {
        let mut rx = RxClock::default();
        let (first, ticks) = rx.extend(1, u32::MAX - 10);
        assert_eq!(ticks, 0);
        let (second, ticks) = rx.extend(1, 149);
        assert_eq!((second - first, ticks), (160, 160));
        let (late, ticks) = rx.extend(1, u32::MAX - 10);
        assert_eq!((late, ticks), (first, 0));
    }

    #[test]
    fn a_rate_keeps_its_eighteen_highest_bits() {
        assert_eq!(remb(200_000), (0, 200_000));
        let (exponent, mantissa) = remb(10_000_000);
        assert!(mantissa < 1 << 18);
        assert!(u64::from(mantissa) << exponent >= 9_990_000);
    }
}
