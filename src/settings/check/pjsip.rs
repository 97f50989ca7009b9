//! `pjsip.conf`: chan_pjsip's endpoints.

use super::peers::{Options, Peer, sections};
use super::{Files, Line, Notes, World};

const FILE: &str = "pjsip.conf";

const OPTIONS: Options = Options {
    certificate: "dtls_cert_file",
    key: "dtls_private_key",
    generate: "dtls_auto_generate_cert",
    codecs: &[],
};

/// Judges the browsers' endpoints and names them.
pub(super) fn check(files: &Files, world: &dyn World, only: Option<&str>, notes: &mut Notes) -> Vec<String> {
    let transports: Vec<(&str, &str)> = sections(&files.pjsip)
        .filter(|section| is_type(section, "transport"))
        .filter_map(|section| Some((section.first()?.category.as_str(), last(section, "protocol").unwrap_or("udp"))))
        .collect();
    let mut found = Vec::new();
    for own in sections(&files.pjsip).filter(|section| is_type(section, "endpoint")) {
        let Some(name) = own.first().map(|line| line.category.as_str()) else { continue };
        let peer = Peer { file: FILE, name, own, general: Vec::new(), options: &OPTIONS };
        if only.map_or_else(|| is_browsers(&peer, &transports), |only| only == name) {
            judge(&peer, world, notes);
            found.push(format!("PJSIP/{name}"));
        }
    }
    let is_secure = |protocol: &str| protocol.eq_ignore_ascii_case("wss");
    if !found.is_empty() && !transports.iter().any(|(_, protocol)| is_secure(protocol)) {
        notes.advice(
            FILE,
            "transport-wss",
            "no transport has the protocol wss, which Asterisk's documentation asks for",
            &["type = transport", "protocol = wss", "bind = 0.0.0.0"],
        );
    }
    found
}

fn is_type(section: &[Line], kind: &str) -> bool {
    last(section, "type").is_some_and(|found| found.eq_ignore_ascii_case(kind))
}

fn last<'a>(section: &'a [Line], name: &str) -> Option<&'a str> {
    section.iter().rev().find(|line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value.trim())
}

fn is_browsers(peer: &Peer<'_>, transports: &[(&str, &str)]) -> bool {
    let over_websocket = peer.own("transport").is_some_and(|own| {
        transports.iter().any(|(name, protocol)| *name == own && protocol.to_ascii_lowercase().starts_with("ws"))
    });
    over_websocket
        || peer.is_on("webrtc")
        || has_dtls(peer)
        || peer.is_on("use_avpf")
        || peer.own("rtp_engine").is_some_and(|engine| engine.eq_ignore_ascii_case("webrtc"))
}

fn has_dtls(peer: &Peer<'_>) -> bool {
    peer.own("media_encryption").is_some_and(|kind| kind.eq_ignore_ascii_case("dtls"))
}

fn judge(peer: &Peer<'_>, world: &dyn World, notes: &mut Notes) {
    let webrtc = peer.is_on("webrtc");
    if !webrtc {
        let mut lacks: Vec<&str> =
            ["ice_support", "use_avpf", "rtcp_mux"].into_iter().filter(|name| !peer.is_on(name)).collect();
        if !has_dtls(peer) {
            lacks.push("media_encryption=dtls");
        }
        if !lacks.is_empty() {
            peer.fault(
                notes,
                format!("browsers need {}, which webrtc=yes turns on", lacks.join(", ")),
                &["webrtc = yes"],
            );
        }
        // webrtc=yes sets it to fingerprint.
        if peer
            .own("dtls_verify")
            .is_some_and(|verify| ["yes", "certificate"].iter().any(|bad| verify.eq_ignore_ascii_case(bad)))
        {
            peer.fault(
                notes,
                "dtls_verify asks for a certificate that an authority has signed, and browsers sign their own",
                &["dtls_verify = fingerprint"],
            );
        }
    }
    peer.check(world, webrtc || has_dtls(peer), notes);
}
