//! RTCP of a session: reports at their times, feedback when it is wanted, both ways.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Event, RtcpMode, Session};
use crate::host::openssl::rand;
use crate::rtc::error::{Discard, SendError};
use crate::rtc::ice::Component;
use crate::rtc::rtcp::{self, Feedback, NtpClock, Packet, Report, ReportBlock, Schedule, SenderInfo};
use crate::rtc::srtp;
use crate::rtc::stats::{Series, Stats};

/// The largest feedback message.
const MAX_FEEDBACK: usize = 1200;
/// Lost packets that one message may name.
const MAX_NACK: usize = 512;

pub(super) struct Control {
    clock: NtpClock,
    pub(super) schedule: Schedule,
    stats: Stats,
    /// Cumulative loss of the peer's last report.
    reported_lost: i64,
    fir_sent: u8,
    fir_received: Option<u8>,
}

impl Control {
    pub(super) fn new(clock: NtpClock, schedule: Schedule) -> Self {
        Control { clock, schedule, stats: Stats::default(), reported_lost: 0, fir_sent: 0, fir_received: None }
    }

    /// The figures that RTCP knows; the others are at their defaults.
    pub(super) fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// The round-trip time of the last report.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        (self.stats.rtt.count() > 0).then(|| Duration::from_secs_f64(self.stats.rtt.last()))
    }

    /// Takes note of a compound that was received.
    pub(super) fn note_compound(&mut self) {
        self.stats.rx_rtcp += 1;
    }

    fn block_received(&mut self, now: Instant, block: &ReportBlock) -> Option<Duration> {
        let rtt = rtcp::round_trip(self.clock.at(now), block.lsr, block.dlsr);
        if let Some(rtt) = rtt {
            self.stats.rtt.add(rtt.as_secs_f64());
        }
        let lost = i64::from(block.lost);
        add_loss(&mut self.stats.remote_loss, lost - self.reported_lost);
        self.reported_lost = lost;
        self.stats.remote_lost = lost;
        self.stats.remote_jitter.add(f64::from(block.jitter));
        rtt
    }
}

fn add_loss(series: &mut Series, lost: i64) {
    series.add(lost.max(0) as f64);
}

impl Session {
    pub(super) fn rtcp_component(&self) -> Component {
        match self.rtcp_mode {
            RtcpMode::Separate => Component::Rtcp,
            RtcpMode::Mux | RtcpMode::Off => Component::Rtp,
        }
    }

    pub(super) fn schedule_report(&mut self, now: Instant) {
        if self.rtcp_mode == RtcpMode::Off {
            self.control.schedule.stop();
            return;
        }
        // Without randomness the interval is the mean: reports are late or early to nobody.
        let random = rand::bytes().map_or(0x8000, u16::from_be_bytes);
        self.control.schedule.advance(now, random);
    }

    /// Sends the report that is due and sets the time of the next.
    pub(super) fn send_report(&mut self, now: Instant) {
        self.schedule_report(now);
        if self.readiness(self.rtcp_component()).is_err() {
            return;
        }
        let ssrc = self.sent.ssrc();
        let block = self.received.last_mut().and_then(|s| s.report(now));
        let sender = self.sender_info(now);
        let mut buffer = self.buffer();
        self.write_report(&mut buffer, sender.as_ref(), block.as_slice());
        if self.send_rtcp(buffer).is_ok() {
            self.event(Event::ReportSent(Report { ssrc, sender, block, rtt: None }));
        }
    }

    /// What a sender report says, if there is anything sent to report.
    fn sender_info(&self, now: Instant) -> Option<SenderInfo> {
        let (packets, octets) = self.sent.counts();
        self.sent.has_sent().then(|| SenderInfo {
            ntp: self.control.clock.at(now),
            rtp: self.sent.timestamp_at(now),
            packets,
            octets,
        })
    }

    /// A report and our CNAME: what every compound begins with (RFC 3550 §6.1).
    fn write_report(&self, buffer: &mut Vec<u8>, sender: Option<&SenderInfo>, blocks: &[ReportBlock]) {
        let ssrc = self.sent.ssrc();
        match sender {
            Some(info) => rtcp::sender_report(buffer, ssrc, info, blocks),
            None => rtcp::receiver_report(buffer, ssrc, blocks),
        }
        rtcp::sdes_cname(buffer, ssrc, &self.config.cname);
    }

    /// Protects and queues a compound.
    fn send_rtcp(&mut self, mut buffer: Vec<u8>) -> Result<(), SendError> {
        let component = self.rtcp_component();
        let route = self.route(component).ok_or(SendError::NoPath)?;
        if let Some(tap) = &mut self.tap {
            tap.put(true, route.0, route.1, &buffer);
        }
        if self.security.is_required() {
            let protected = match self.security.tx(component) {
                Some(context) => context.protect_rtcp(&mut buffer).is_ok(),
                None => false,
            };
            if !protected {
                self.recycle(buffer);
                return Err(SendError::Srtp);
            }
        }
        self.transmit(component, route, buffer)?;
        self.control.stats.tx_rtcp += 1;
        Ok(())
    }

    /// Sends feedback about the peer's stream, in a compound of its own. A keyframe request that
    /// follows another closely is sent later.
    pub fn send_feedback(&mut self, now: Instant, feedback: &Feedback) -> Result<(), SendError> {
        if self.rtcp_mode == RtcpMode::Off {
            return Err(SendError::RtcpOff);
        }
        self.readiness(self.rtcp_component())?;
        let media = self.remote_ssrc().ok_or(SendError::NoPath)?;
        let keyframe = matches!(feedback, Feedback::Pli | Feedback::Fir);
        if keyframe && !self.may_ask_for_keyframe(now) {
            return Ok(());
        }
        let ssrc = self.sent.ssrc();
        let mut buffer = self.buffer();
        // Without blocks, so that the interval of the report that is due is not cut.
        self.write_report(&mut buffer, None, &[]);
        match feedback {
            Feedback::Pli => rtcp::pli(&mut buffer, ssrc, media),
            Feedback::Fir => {
                self.control.fir_sent = self.control.fir_sent.wrapping_add(1);
                rtcp::fir(&mut buffer, ssrc, media, self.control.fir_sent);
            }
            Feedback::Nack(lost) => {
                let lost = lost.get(..lost.len().min(MAX_NACK)).unwrap_or_default();
                rtcp::nack(&mut buffer, ssrc, media, lost);
            }
            Feedback::Remb(bitrate) => rtcp::remb(&mut buffer, ssrc, *bitrate, &[media]),
            Feedback::TransportCc(fci) if fci.len() <= MAX_FEEDBACK => {
                rtcp::transport_cc(&mut buffer, ssrc, media, fci);
            }
            Feedback::TransportCc(_) => return Err(SendError::TooLarge),
        }
        self.send_rtcp(buffer)?;
        match feedback {
            Feedback::Pli | Feedback::Fir => {
                self.keyframe_asked(now);
                self.control.stats.keyframe_requests_sent += 1;
            }
            Feedback::Nack(_) => self.control.stats.nacks_sent += 1,
            Feedback::Remb(_) | Feedback::TransportCc(_) => {}
        }
        Ok(())
    }

    pub(super) fn send_bye(&mut self, now: Instant) {
        let spoke = self.sent.has_sent() || !self.received.is_empty();
        if self.rtcp_mode == RtcpMode::Off || !spoke || self.readiness(self.rtcp_component()).is_err() {
            return;
        }
        let block = self.received.last_mut().and_then(|s| s.report(now));
        let sender = self.sender_info(now);
        let mut buffer = self.buffer();
        self.write_report(&mut buffer, sender.as_ref(), block.as_slice());
        rtcp::bye(&mut buffer, &[self.sent.ssrc()]);
        // The last word: nobody waits for it.
        let _ = self.send_rtcp(buffer);
    }

    pub(super) fn receive_rtcp(
        &mut self,
        now: Instant,
        component: Component,
        local: SocketAddr,
        remote: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), Discard> {
        self.check_rtcp_source(component, remote)?;
        let compound = if self.security.is_required() {
            let Some(context) = self.security.rx(component) else {
                return self.hold_received(now, component, local, remote, datagram);
            };
            let len = context.unprotect_rtcp(datagram).map_err(|discard| match discard {
                srtp::Discard::Replayed | srtp::Discard::TooOld => Discard::SrtcpReplay,
                srtp::Discard::NotAuthentic => Discard::SrtcpAuthentication,
                _ => Discard::SrtcpRefused,
            })?;
            datagram.get(..len).ok_or(Discard::SrtcpRefused)?
        } else {
            &*datagram
        };
        // The compound is believed as a whole or not at all.
        if rtcp::packets(compound).any(|packet| packet.is_err()) {
            return Err(Discard::RtcpMalformed);
        }
        self.control.note_compound();
        if let Some(tap) = &mut self.tap {
            tap.put(false, local, remote, compound);
        }
        self.share_compound(compound);
        for packet in rtcp::packets(compound).flatten() {
            if self.is_own(&packet) {
                self.rtcp_packet(now, packet);
            }
        }
        Ok(())
    }

    pub(super) fn rtcp_packet(&mut self, now: Instant, packet: Packet<'_>) {
        let ours = self.sent.ssrc();
        match packet {
            Packet::SenderReport { ssrc, info, .. } => {
                let stream = self.received.iter_mut().find(|s| s.ssrc == ssrc);
                if let Some(stream) = stream {
                    stream.sender_report(now, info.ntp);
                }
                self.report_received(now, ssrc, Some(info), &packet);
            }
            Packet::ReceiverReport { ssrc, .. } => {
                self.report_received(now, ssrc, None, &packet);
            }
            Packet::Bye { .. } => {
                for ssrc in packet.ssrcs() {
                    if self.received.iter().any(|s| s.ssrc == ssrc) {
                        self.event(Event::Bye { ssrc });
                    }
                }
            }
            Packet::Pli { media, .. } if media == ours => {
                self.control.stats.keyframe_requests_received += 1;
                self.event(Event::Feedback(Feedback::Pli));
            }
            Packet::Fir { media, seq, .. } if media == ours => {
                // The same number again is the same request, repeated in case it was lost.
                if self.control.fir_received != Some(seq) {
                    self.control.fir_received = Some(seq);
                    self.control.stats.keyframe_requests_received += 1;
                    self.event(Event::Feedback(Feedback::Fir));
                }
            }
            Packet::Nack { media, .. } if media == ours => {
                self.control.stats.nacks_received += 1;
                let lost = packet.lost().take(MAX_NACK);
                if self.repair.retransmission.answer {
                    self.resend(now, lost);
                } else {
                    let lost = lost.collect();
                    self.event(Event::Feedback(Feedback::Nack(lost)));
                }
            }
            Packet::Remb { bitrate, .. } => self.event(Event::Feedback(Feedback::Remb(bitrate))),
            Packet::TransportCc { fci, .. } => {
                self.event(Event::Feedback(Feedback::TransportCc(fci.to_vec())));
            }
            Packet::Pli { .. }
            | Packet::Fir { .. }
            | Packet::Nack { .. }
            | Packet::SourceDescription
            | Packet::App { .. }
            | Packet::Other { .. } => {}
        }
    }

    fn report_received(&mut self, now: Instant, ssrc: u32, sender: Option<SenderInfo>, packet: &Packet<'_>) {
        let ours = self.sent.ssrc();
        let block = packet.blocks().find(|block| block.ssrc == ours);
        let rtt = block.and_then(|block| self.control.block_received(now, &block));
        self.event(Event::ReportReceived(Report { ssrc, sender, block, rtt }));
    }
}
