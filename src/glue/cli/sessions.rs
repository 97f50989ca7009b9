//! `webrtc show sessions`.

use std::fmt::Write;

use crate::driver::rtp::Leg;
use crate::glue::engine;
use crate::host::cli::{Console, Outcome};
use crate::rtc::Session;
use crate::rtc::ice::{Component, IceState, Role};
use crate::rtc::session::{Agreed, DtlsState, RtcpMode};
use crate::rtc::stats::{Series, Stats};

pub(super) fn show(console: &Console, words: &[&str]) -> Outcome {
    let verbose = match words {
        [_, _, _] => false,
        [_, _, _, "verbose"] => true,
        _ => return Outcome::ShowUsage,
    };
    let legs = engine::legs();
    if !verbose && !legs.is_empty() {
        console.line(&format!(
            "{:<28} {:<22} {:<10} {:<10} {:>9} {:>9} {:>6} {:>9} {:>9}",
            "Channel", "Peer", "ICE", "DTLS", "Sent", "Received", "Lost", "Jitter", "RTT"
        ));
    }
    for leg in &legs {
        // Asked before the session is locked: Asterisk is called for it.
        let owner = leg.owner().unwrap_or_else(|| format!("(RTP port {})", leg.local_address().port()));
        let view = leg.look(View::of);
        let text = if verbose { view.block(leg, &owner) } else { view.row(&owner) };
        console.print(&text);
    }
    console.line(&format!("{} session(s)", legs.len()));
    Outcome::Success
}

/// What is shown of a session, taken in one moment.
struct View {
    ice: Option<(IceState, Option<Role>)>,
    pair: Option<String>,
    rtcp_pair: Option<String>,
    peer: Option<String>,
    dtls: Option<DtlsState>,
    agreed: Option<Agreed>,
    encrypted: bool,
    bundled: bool,
    rtcp: RtcpMode,
    stats: Stats,
}

impl View {
    fn of(session: &Session) -> Self {
        let pair = |component| {
            let (local, remote) = (session.local_address(component)?, session.remote_address(component)?);
            Some(format!("{local} to {remote}"))
        };
        Self {
            ice: session.ice_state().map(|state| (state, session.ice_role())),
            pair: pair(Component::Rtp),
            rtcp_pair: pair(Component::Rtcp),
            peer: session.remote_address(Component::Rtp).map(|address| address.to_string()),
            dtls: session.dtls_state(),
            agreed: session.dtls_agreed().cloned(),
            encrypted: session.is_encrypted(),
            bundled: session.is_bundled(),
            rtcp: session.rtcp_mode(),
            stats: session.stats(),
        }
    }

    fn row(&self, owner: &str) -> String {
        let Stats { tx_packets, rx_packets, .. } = self.stats;
        format!(
            "{owner:<28} {:<22} {:<10} {:<10} {tx_packets:>9} {rx_packets:>9} {:>6} {:>9} {:>9}\n",
            self.peer.as_deref().unwrap_or("-"),
            self.ice.map_or(self.without(), |(state, _)| ice_state(state)),
            self.dtls_state(),
            self.stats.local_lost.max(0),
            milliseconds(self.stats.local_jitter.last()),
            self.round_trip().map_or_else(|| "-".to_owned(), milliseconds),
        )
    }

    fn block(&self, leg: &Leg, owner: &str) -> String {
        let mut text = format!("{owner}\n");
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<12} {value}");
        };
        let stats = &self.stats;
        line("bound to", &leg.local_address().to_string());
        let role = self.ice.and_then(|(_, role)| role).map_or("", |role| match role {
            Role::Controlling => ", controlling",
            Role::Controlled => ", controlled",
        });
        line("ICE", &format!("{}{role}", self.ice.map_or(self.without(), |(state, _)| ice_state(state))));
        line("pair", self.pair.as_deref().unwrap_or("none"));
        match self.rtcp {
            RtcpMode::Off => line("RTCP", "off"),
            RtcpMode::Mux => line("RTCP", "on RTP's port"),
            RtcpMode::Separate => line("RTCP", self.rtcp_pair.as_deref().unwrap_or("on its own port")),
        }
        match &self.agreed {
            Some(Agreed { version, cipher, profile }) => {
                line("DTLS", &format!("{}, {version}, {cipher}", self.dtls_state()));
                line("SRTP", profile);
            }
            None => {
                line("DTLS", self.dtls_state());
                line("SRTP", if self.encrypted { "required" } else { self.without() });
            }
        }
        line("SSRC", &format!("{:#010x} sent, {:#010x} received", stats.local_ssrc, stats.remote_ssrc));
        line("sent", &format!("{} packets, {} bytes; {} dropped", stats.tx_packets, stats.tx_octets, stats.tx_dropped));
        line(
            "received",
            &format!(
                "{} packets, {} bytes; {} lost, jitter {}",
                stats.rx_packets,
                stats.rx_octets,
                stats.local_lost.max(0),
                spread(&stats.local_jitter)
            ),
        );
        line("peer reports", &format!("{} lost", stats.remote_lost.max(0)));
        line("round trip", &if stats.rtt.count() > 0 { spread(&stats.rtt) } else { "not measured by RTCP".to_owned() });
        if let Some(rtt) = stats.ice_rtt {
            line("", &format!("{} by STUN", milliseconds(rtt.as_secs_f64())));
        }
        line("reports", &format!("{} sent, {} received", stats.tx_rtcp, stats.rx_rtcp));
        line(
            "keyframes",
            &format!("{} asked for, {} asked of us", stats.keyframe_requests_sent, stats.keyframe_requests_received),
        );
        let discards: Vec<String> = stats.discards.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        line("discarded", &if discards.is_empty() { "nothing".to_owned() } else { discards.join(", ") });
        text
    }

    /// What is said where ICE, DTLS or SRTP would be: another session of the bundle has them.
    fn without(&self) -> &'static str {
        if self.bundled { "bundled" } else { "off" }
    }

    fn dtls_state(&self) -> &'static str {
        match self.dtls {
            None => self.without(),
            Some(DtlsState::New) => "new",
            Some(DtlsState::Connecting) => "connecting",
            Some(DtlsState::Connected) => "connected",
            Some(DtlsState::Failed) => "failed",
            Some(DtlsState::Closed) => "closed",
        }
    }

    /// By RTCP, else by STUN, in seconds.
    fn round_trip(&self) -> Option<f64> {
        let rtt = &self.stats.rtt;
        if rtt.count() > 0 { Some(rtt.last()) } else { self.stats.ice_rtt.map(|rtt| rtt.as_secs_f64()) }
    }
}

fn ice_state(state: IceState) -> &'static str {
    match state {
        IceState::New => "new",
        IceState::Checking => "checking",
        IceState::Connected => "connected",
        IceState::Failed => "failed",
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.1} ms", seconds * 1000.0)
}

fn spread(series: &Series) -> String {
    format!(
        "{} (from {} to {}, mean {})",
        milliseconds(series.last()),
        milliseconds(series.min()),
        milliseconds(series.max()),
        milliseconds(series.mean())
    )
}
