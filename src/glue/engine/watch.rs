//! What happens to a leg, told to the administrator and to Asterisk's listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::driver::rtp::{Incoming, Leg, Observer};
use crate::host::channel;
use crate::host::log::{self, Level};
use crate::host::rtp_engine::{Instance, Publisher, Report, ReportBlock, ReportDirection, SenderInfo};
use crate::rtc::ice::Component;
use crate::rtc::session::{self, Event, RtpPacket};

/// Watches one leg; called on a worker or on whichever thread uses the leg, with no lock held.
pub struct Watch {
    publisher: Publisher,
    number: usize,
    /// False while the channel driver has stopped the instance: on hold, or after the call, when
    /// chan_sip keeps it for half a minute. A peer that goes away then is no news.
    active: Arc<AtomicBool>,
}

impl Watch {
    pub fn new(instance: &Instance<'_>, active: Arc<AtomicBool>) -> Self {
        Self { publisher: instance.publisher(), number: instance.id(), active }
    }

    fn name(&self, leg: &Leg) -> String {
        let channel = self.publisher.channel_id();
        let port = leg.local_address().port();
        if channel.is_empty() {
            format!("RTP session {:#x} (port {port})", self.number)
        } else {
            format!("channel {channel} (RTP port {port})")
        }
    }

    /// Whether there is a call that a failure ends. Before there is a channel, and when the channel
    /// driver is done with it, a peer that is silent is no news.
    fn in_call(&self) -> bool {
        self.active.load(Ordering::Relaxed) && !self.publisher.channel_id().is_empty()
    }

    fn report(&self, leg: &Leg, direction: ReportDirection, report: &session::Report) {
        let (local, remote) = leg.look(|session| {
            let local = session.is_bundled().then(|| session.local_address(Component::Rtp)).flatten();
            (Some(local.unwrap_or(leg.local_address())), session.remote_address(Component::Rtp))
        });
        let (from, to) = match direction {
            ReportDirection::Sent => (local, remote),
            ReportDirection::Received => (remote, local),
        };
        self.publisher.publish(&Report {
            direction,
            ssrc: report.ssrc,
            sender: report.sender.map(|sender| SenderInfo {
                ntp: super::runtime::from_ntp(sender.ntp),
                rtp_timestamp: sender.rtp,
                packets: sender.packets,
                octets: sender.octets,
            }),
            blocks: report
                .block
                .iter()
                .map(|block| ReportBlock {
                    source_ssrc: block.ssrc,
                    fraction_lost: block.fraction_lost,
                    cumulative_lost: u32::try_from(block.lost).unwrap_or(0),
                    highest_sequence: block.highest_seq,
                    jitter: block.jitter,
                    lsr: block.lsr,
                    dlsr: block.dlsr,
                })
                .collect(),
            from,
            to,
            round_trip: report.rtt.map(|rtt| rtt.as_secs_f64()),
        });
    }
}

impl Observer for Watch {
    fn owner(&self) -> Option<String> {
        let id = self.publisher.channel_id();
        (!id.is_empty()).then(|| channel::name(&id).unwrap_or(id))
    }

    fn divert(&self, _: &Leg, _: &RtpPacket<'_>) -> bool {
        false
    }

    fn event(&self, leg: &Leg, event: &Event) {
        match event {
            Event::IceConnected { component, local, remote } => {
                log::write(
                    Level::Verbose(3),
                    &format!("{}: ICE connected, component {}, {local} to {remote}", self.name(leg), component.id()),
                );
                leg.inbox().put(Incoming::Learned { rtcp: *component == Component::Rtcp, remote: *remote });
            }
            Event::Gathered(gathered) => super::gather::note(gathered),
            Event::IceFailed(why) if !self.in_call() => {
                log::write(Level::Debug(1), &format!("{}: {} outside a call", self.name(leg), why.as_str()));
                leg.inbox().put(Incoming::Ended);
            }
            Event::IceFailed(why) => {
                log::warning(&format!(
                    "{}: ICE failed, {}; the call is ended. Check that UDP between the peer and the RTP ports \
                     (rtp.conf: rtpstart, rtpend) is not blocked, and whether a STUN or TURN server is needed",
                    self.name(leg),
                    why.as_str()
                ));
                leg.inbox().put(Incoming::Ended);
            }
            Event::DtlsConnected { component, profile, cipher, version } => {
                let (name, id) = (self.name(leg), component.id());
                let text = format!("{name}: {version} connected, component {id}, {cipher}, {profile}");
                log::write(Level::Verbose(3), &text);
                // Video that began before the keys were there lacks its keyframe.
                leg.inbox().put(Incoming::SourceChanged);
            }
            Event::DtlsFailed { reason } if !self.in_call() => {
                log::write(Level::Debug(1), &format!("{}: DTLS failed outside a call, {reason}", self.name(leg)));
                leg.inbox().put(Incoming::Ended);
            }
            Event::DtlsFailed { reason } => {
                log::warning(&format!("{}: DTLS failed, {reason}; the call is ended", self.name(leg)));
                leg.inbox().put(Incoming::Ended);
            }
            Event::DtlsClosed => {
                log::write(Level::Debug(1), &format!("{}: the peer has closed DTLS", self.name(leg)));
            }
            Event::SsrcChanged { old, new } => {
                log::write(
                    Level::Debug(1),
                    &format!("{}: the peer's SSRC is now {new:#010x} (was {old:x?})", self.name(leg)),
                );
                if old.is_some() {
                    leg.inbox().put(Incoming::SourceChanged);
                }
            }
            Event::RemoteLearned { component, remote } => {
                log::write(
                    Level::Verbose(4),
                    &format!("{}: media comes from {remote}, answering there", self.name(leg)),
                );
                leg.inbox().put(Incoming::Learned { rtcp: *component == Component::Rtcp, remote: *remote });
            }
            Event::ReportReceived(report) => self.report(leg, ReportDirection::Received, report),
            Event::ReportSent(report) => self.report(leg, ReportDirection::Sent, report),
            Event::Bye { ssrc } => {
                log::write(Level::Debug(1), &format!("{}: RTCP BYE from {ssrc:#010x}", self.name(leg)));
            }
            // The leg keeps these for the channel.
            Event::Media(_)
            | Event::Foreign { .. }
            | Event::DtmfBegin { .. }
            | Event::DtmfEnd { .. }
            | Event::Feedback(_)
            | Event::KeyframeNeeded => {}
        }
    }
}
