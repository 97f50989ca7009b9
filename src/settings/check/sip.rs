//! `sip.conf`: chan_sip's peers.

use super::peers::{Options, Peer, sections};
use super::{Files, Line, Notes, World};

const FILE: &str = "sip.conf";

const OPTIONS: Options = Options {
    certificate: "dtlscertfile",
    key: "dtlsprivatekey",
    generate: "dtlsautogeneratecert",
    codecs: &["ulaw", "alaw"],
};

/// Of `[general]`, what a peer takes over where it says nothing. DTLS is not turned on there, and
/// encryption, avpf and rtp_engine are a peer's own.
const INHERITED: &[&str] = &[
    "allow",
    "disallow",
    "transport",
    "icesupport",
    "rtcp_mux",
    "dtlscertfile",
    "dtlsprivatekey",
    "dtlsautogeneratecert",
    "dtlsverify",
];

/// Judges the browsers' peers and names them.
pub(super) fn check(files: &Files, world: &dyn World, only: Option<&str>, notes: &mut Notes) -> Vec<String> {
    let inherited = |line: &&Line| INHERITED.iter().any(|name| line.name.eq_ignore_ascii_case(name));
    let general: Vec<&Line> =
        files.sip.iter().filter(|line| line.category.eq_ignore_ascii_case("general")).filter(inherited).collect();
    let mut found = Vec::new();
    for own in sections(&files.sip) {
        let Some(name) = own.first().map(|line| line.category.as_str()) else { continue };
        let peer = Peer { file: FILE, name, own, general: general.clone(), options: &OPTIONS };
        let is_peer = peer
            .own("type")
            .is_some_and(|kind| ["friend", "peer", "user"].iter().any(|known| kind.eq_ignore_ascii_case(known)));
        if !is_peer || !only.map_or_else(|| is_browsers(&peer), |only| only == name) {
            continue;
        }
        judge(&peer, world, notes);
        found.push(format!("SIP/{name}"));
    }
    found
}

/// Whether somebody meant it for a browser. A transport of `[general]` says nothing: desk phones
/// have it too.
fn is_browsers(peer: &Peer<'_>) -> bool {
    let on = |name| peer.own(name).is_some_and(super::truth);
    let own = transports(peer.own("transport"));
    own.iter().any(|name| name.starts_with("ws"))
        || on("dtlsenable")
        || on("avpf")
        || peer.own("rtp_engine").is_some_and(|engine| engine.eq_ignore_ascii_case("webrtc"))
}

fn transports(value: Option<&str>) -> Vec<String> {
    value.unwrap_or("udp").split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn judge(peer: &Peer<'_>, world: &dyn World, notes: &mut Notes) {
    let transports = transports(peer.value("transport"));
    let has = |name: &str| transports.iter().any(|known| known == name);
    if !has("wss") {
        peer.fault(notes, "wss is not among its transports, and a web page may open wss:// only", &["transport = wss"]);
    } else if has("ws") {
        peer.fault(
            notes,
            "with ws beside wss it cannot be called: browsers write transport=ws into their Contact, and chan_sip then looks for a connection without TLS",
            &["transport = wss"],
        );
    }
    let mut wanted = |name: &str, why: &str| {
        if !peer.is_on(name) {
            peer.fault(notes, format!("{name} is off, {why}"), &[&format!("{name} = yes")]);
        }
    };
    wanted("encryption", "and browsers send SRTP only");
    wanted("dtlsenable", "and browsers agree on keys by DTLS only");
    wanted("avpf", "and browsers offer the profile SAVPF only");
    wanted("icesupport", "and browsers send media over ICE only");
    if world.has_rtcp_mux() {
        wanted("rtcp_mux", "and browsers send RTP and RTCP on one port only");
    }
    if peer
        .value("dtlsverify")
        .is_some_and(|verify| ["yes", "certificate"].iter().any(|bad| verify.eq_ignore_ascii_case(bad)))
    {
        peer.fault(
            notes,
            "dtlsverify asks for a certificate that an authority has signed, and browsers sign their own",
            &["dtlsverify = fingerprint"],
        );
    }
    peer.check(world, peer.is_on("dtlsenable"), notes);
}
