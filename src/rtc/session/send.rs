//! RTP to the peer: media and digits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Event, PayloadKind, Session};
use crate::rtc::error::SendError;
use crate::rtc::ice::{Component, IceState};
use crate::rtc::rtp::{Stamp, write_header};

/// The largest datagram that is made: what fits in an Ethernet frame, with some room.
const MAX_PACKET: usize = 1472;
/// Bytes held until they can be sent: more than a keyframe of video takes.
const MAX_HELD: usize = 256 * 1024;
/// The age from which a held packet is of no more use. Video may wait longer: a keyframe that is
/// late is shown late, without it nothing is.
const HELD_FOR: Duration = Duration::from_millis(200);
const VIDEO_HELD_FOR: Duration = Duration::from_secs(1);

/// A packet to send, as Asterisk's frames describe it.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRtp<'a> {
    /// Payload type, 0 to 127.
    pub pt: u8,
    /// The marker bit: the end of a video frame, the first packet of a talk spurt.
    pub marker: bool,
    /// The source's timestamp in units of the payload type's clock. Only differences matter: the
    /// timestamp sent continues from the last one, also after `source_changed`.
    pub timestamp: u32,
    /// The source's sequence number if it has one: gaps and reordering are passed on. `None`
    /// numbers packets in the order they are sent.
    pub seq: Option<u16>,
    /// The payload.
    pub payload: &'a [u8],
}

/// Packets that wait for keys or a path, in order.
#[derive(Default)]
pub(super) struct Waiting {
    packets: VecDeque<Held>,
    bytes: usize,
}

struct Held {
    at: Instant,
    /// It is of no use after that.
    until: Instant,
    pt: u8,
    marker: bool,
    timestamp: u32,
    seq: Option<u16>,
    payload: Vec<u8>,
}

impl Waiting {
    fn push(&mut self, held: Held) {
        self.bytes += held.payload.len();
        self.packets.push_back(held);
    }

    fn pop(&mut self) -> Option<Held> {
        let held = self.packets.pop_front()?;
        self.bytes -= held.payload.len();
        Some(held)
    }

    pub(super) fn clear(&mut self) {
        *self = Waiting::default();
    }
}

impl Session {
    /// Sends a packet. Before there are keys and a path it is held if there will be, and sent then
    /// unless it is too old by that time.
    pub fn send_rtp(&mut self, now: Instant, packet: OutgoingRtp<'_>) -> Result<(), SendError> {
        if packet.pt > 127 {
            return Err(SendError::Invalid);
        }
        if packet.payload.len() > MAX_PACKET - 32 {
            return Err(SendError::TooLarge);
        }
        match self.readiness(Component::Rtp) {
            Ok(()) => self.send_now(now, packet),
            Err(reason) => {
                if matches!(reason, SendError::HeldForKeys) {
                    self.hold_for_later(now, packet);
                } else {
                    self.tx_dropped += 1;
                }
                Err(reason)
            }
        }
    }

    /// Whether a packet can be sent now.
    pub(super) fn readiness(&mut self, component: Component) -> Result<(), SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        if self.route(component).is_none() {
            if self.is_bundled() {
                return Err(SendError::HeldForKeys);
            }
            return Err(match self.ice_state() {
                None => SendError::NoPath,
                Some(IceState::Failed) => SendError::NoConsent,
                Some(_) => SendError::HeldForKeys,
            });
        }
        if self.security.is_required() && self.security.tx(component).is_none() {
            if self.security.has_failed(component) {
                return Err(SendError::Closed);
            }
            return Err(SendError::HeldForKeys);
        }
        Ok(())
    }

    pub(super) fn is_video(&self, pt: u8) -> bool {
        self.payload_type(pt).is_some_and(|t| t.kind == PayloadKind::Video)
    }

    fn hold_for_later(&mut self, now: Instant, packet: OutgoingRtp<'_>) {
        while let Some(first) = self.held.packets.front()
            && (first.until < now || self.held.bytes + packet.payload.len() > MAX_HELD)
        {
            self.held.pop();
            self.tx_dropped += 1;
        }
        let patience = if self.is_video(packet.pt) { VIDEO_HELD_FOR } else { HELD_FOR };
        self.held.push(Held {
            at: now,
            until: now + patience,
            pt: packet.pt,
            marker: packet.marker,
            timestamp: packet.timestamp,
            seq: packet.seq,
            payload: packet.payload.to_vec(),
        });
    }

    /// Sends what was held, if it can be sent now.
    pub(super) fn release_held(&mut self, now: Instant) {
        if self.held.packets.is_empty() || self.readiness(Component::Rtp).is_err() {
            return;
        }
        let mut waiting = std::mem::take(&mut self.held);
        while let Some(held) = waiting.pop() {
            if held.until < now {
                self.tx_dropped += 1;
                continue;
            }
            let packet = OutgoingRtp {
                pt: held.pt,
                marker: held.marker,
                timestamp: held.timestamp,
                seq: held.seq,
                payload: &held.payload,
            };
            // A failure is counted where it happens.
            let _ = self.send_now(held.at, packet);
        }
    }

    fn send_now(&mut self, now: Instant, packet: OutgoingRtp<'_>) -> Result<(), SendError> {
        let clock_rate = self.clock_rate(packet.pt);
        let stamp = self.sent.stamp(now, packet.seq, packet.timestamp, packet.marker, clock_rate);
        let Some(mut stamp) = stamp else {
            self.tx_dropped += 1;
            return Err(SendError::Duplicate);
        };
        if stamp.rebased && self.is_video(packet.pt) {
            // The marker of video is the end of a picture, not the beginning of a source.
            stamp.marker = packet.marker;
            self.event(Event::KeyframeNeeded);
        }
        self.emit(now, packet.pt, stamp, packet.payload)
    }

    /// Builds, protects and queues a packet.
    fn emit(&mut self, now: Instant, pt: u8, stamp: Stamp, payload: &[u8]) -> Result<(), SendError> {
        let route = self.route(Component::Rtp).ok_or(SendError::NoPath)?;
        let mut buffer = self.buffer();
        write_header(&mut buffer, pt, stamp.marker, stamp.seq, stamp.timestamp, self.sent.ssrc(), &[]);
        buffer.extend_from_slice(payload);
        if let Some(tap) = &mut self.tap {
            tap.put(true, route.0, route.1, &buffer);
        }
        if self.security.is_required() {
            let protected = match self.security.tx(Component::Rtp) {
                Some(context) => context.protect_rtp(&mut buffer).is_ok(),
                None => false,
            };
            if !protected {
                self.recycle(buffer);
                self.tx_dropped += 1;
                return Err(SendError::Srtp);
            }
        }
        self.keep_for_resend(now, pt, stamp.seq, &buffer);
        self.transmit(Component::Rtp, route, buffer)?;
        self.sent.sent(payload.len());
        if self.control.schedule.poll_timeout().is_none() {
            self.schedule_report(now);
        }
        Ok(())
    }

    /// The packets that follow come from another source: the SSRC stays, numbers and timestamps
    /// go on, and the next packet carries the marker.
    pub fn source_changed(&mut self) {
        self.sent.source_changed();
    }

    /// Begins a digit: 0-9, *, #, A-D, or X for flash. One that is being sent ends first.
    pub fn dtmf_begin(&mut self, now: Instant, pt: u8, clock_rate: u32, digit: char) -> Result<(), SendError> {
        if pt > 127 {
            return Err(SendError::Invalid);
        }
        self.readiness(Component::Rtp)?;
        if self.dtmf_sender.is_sending() {
            self.dtmf_sender.end(now, None);
            let mut at = now;
            while self.dtmf_sender.is_sending() {
                at = self.dtmf_sender.poll_timeout().unwrap_or(at);
                self.send_due_dtmf(at);
            }
        }
        let timestamp = self.sent.event_timestamp(now, clock_rate);
        if !self.dtmf_sender.begin(now, pt, clock_rate, timestamp, digit) {
            return Err(SendError::Invalid);
        }
        self.send_due_dtmf(now);
        Ok(())
    }

    /// Ends the digit. A `duration` longer than the time since its beginning is sent as given.
    pub fn dtmf_end(&mut self, now: Instant, duration: Option<Duration>) {
        self.dtmf_sender.end(now, duration);
        self.send_due_dtmf(now);
    }

    /// The digit that is being sent.
    pub fn dtmf_sending(&self) -> Option<char> {
        self.dtmf_sender.digit()
    }

    pub(super) fn send_due_dtmf(&mut self, now: Instant) {
        while let Some(event) = self.dtmf_sender.poll_packet(now) {
            if self.readiness(Component::Rtp).is_err() {
                self.tx_dropped += 1;
                continue;
            }
            let stamp = Stamp {
                seq: self.sent.next_sequence(),
                timestamp: event.timestamp,
                marker: event.marker,
                rebased: false,
            };
            // A failure is counted where it happens.
            let _ = self.emit(now, event.pt, stamp, &event.payload);
        }
    }
}
