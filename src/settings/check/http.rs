//! `http.conf`: whether a browser's `wss://` finds a server, and a certificate that it accepts.

use super::{Certificate, Files, Line, Notes, World, enabled, option};

const FILE: &str = "http.conf";
const GENERAL: &str = "general";
const DEFAULT_CERTIFICATE: &str = "asterisk.pem";
const CERTIFICATE: &[&str] = &["tlscertfile", "tlscert", "sslcert"];
const KEY: &[&str] = &["tlsprivatekey", "sslprivatekey"];
const ADDRESS: &[&str] = &["tlsbindaddr", "sslbindaddr"];

/// A WebSocket counts against sessionlimit as long as it lives, and stock has no more than this.
const DEFAULT_SESSION_LIMIT: u64 = 100;

/// Warned of when it is so close.
const SOON: i64 = 14 * 86400;

pub(super) fn check(files: &Files, world: &dyn World, browsers: usize, notes: &mut Notes) {
    let http = &files.http;
    let tls = enabled(http, GENERAL, &["tlsenable", "sslenable"]);
    let file = option(http, GENERAL, CERTIFICATE).filter(|file| !file.is_empty());
    // Without an address of its own TLS takes that of the plain server, which must then be on.
    let reachable = enabled(http, GENERAL, &["enabled"]) || option(http, GENERAL, ADDRESS).is_some();
    if !tls {
        let mut lines = vec!["enabled = yes", "tlsenable = yes", "tlsbindaddr = 0.0.0.0:8089"];
        if file.is_none() {
            lines.push("tlscertfile = /etc/asterisk/keys/asterisk.pem");
        }
        notes.fault(FILE, GENERAL, "the HTTP server has no TLS, and a web page may open wss:// only", &lines);
    } else if !reachable {
        notes.fault(FILE, GENERAL, "TLS is on, but neither the server nor an address for TLS is", &["enabled = yes"]);
    }
    // Without a name Asterisk looks for a file in its working directory.
    let key = option(http, GENERAL, KEY).filter(|key| !key.is_empty());
    match (world.certificate(file.unwrap_or(DEFAULT_CERTIFICATE), key), file) {
        (Ok(certificate), _) => judge(&certificate, file.unwrap_or(DEFAULT_CERTIFICATE), world.now(), notes),
        (Err(sentence), Some(_)) => notes.fault(
            FILE,
            GENERAL,
            format!("{sentence}: the TLS server does not start"),
            &[
                "tlscertfile = /etc/asterisk/keys/asterisk.pem   ; certificate and key",
                "tlsprivatekey = <file>   ; if the key is in another file",
            ],
        ),
        (Err(_), None) if tls => notes.fault(
            FILE,
            GENERAL,
            "no certificate is named, without which the TLS server does not start",
            &["tlscertfile = /etc/asterisk/keys/asterisk.pem"],
        ),
        (Err(_), None) => {}
    }
    if tls && reachable && is_loopback(&address(http)) {
        notes.advice(
            FILE,
            GENERAL,
            "TLS is served on loopback only: browsers elsewhere reach it through a proxy on this machine, or not at all",
            &["tlsbindaddr = 0.0.0.0:8089"],
        );
    }
    sessions(http, browsers, notes);
}

fn judge(certificate: &Certificate, file: &str, now: i64, notes: &mut Notes) {
    let mut refused = |why: String| {
        notes.fault(
            FILE,
            GENERAL,
            format!("{file}: {why}; browsers refuse it"),
            &["tlscertfile = <file>   ; another one, made for the name that the browser connects to"],
        );
    };
    if now < certificate.not_before {
        refused("the certificate is not valid yet".into());
    }
    if now >= certificate.not_after {
        refused("the certificate has expired".into());
    }
    if !certificate.has_alternative_name {
        refused("the certificate has no subjectAltName".into());
    }
    if let Some(digest) = certificate.weak_digest {
        refused(format!("the certificate is signed with {digest}"));
    }
    if let Some(bits @ ..2048) = certificate.rsa_bits {
        refused(format!("the certificate's RSA key has {bits} bits and not 2048"));
    }
    if certificate.is_self_signed {
        notes.advice(
            FILE,
            GENERAL,
            format!("{file}: the certificate is self-signed. A WebSocket asks nobody, it fails: have each browser trust it first"),
            &[],
        );
    }
    if now < certificate.not_after && certificate.not_after - now < SOON {
        let days = (certificate.not_after - now) / 86400;
        notes.advice(FILE, GENERAL, format!("{file}: the certificate expires in {days} day(s)"), &[]);
    }
}

fn sessions(http: &[Line], browsers: usize, notes: &mut Notes) {
    let given =
        option(http, GENERAL, &["sessionlimit"]).and_then(|value| value.parse().ok()).filter(|limit| *limit > 0);
    let limit: u64 = given.unwrap_or(DEFAULT_SESSION_LIMIT);
    let browsers = browsers as u64;
    if limit <= browsers {
        let wanted = format!("sessionlimit = {}", (browsers + 50).next_multiple_of(100));
        notes.fault(
            FILE,
            GENERAL,
            format!("sessionlimit is {limit}: with {browsers} browsers' WebSockets, which count as long as they live, the server is full"),
            &[&wanted],
        );
    }
}

/// Where browsers connect.
pub(super) fn url(http: &[Line]) -> String {
    let port = option(http, GENERAL, ADDRESS).and_then(port_of).unwrap_or(8089);
    let prefix = option(http, GENERAL, &["prefix"]).filter(|prefix| !prefix.is_empty());
    format!("wss://<host>:{port}{}/ws", prefix.map(|prefix| format!("/{prefix}")).unwrap_or_default())
}

fn port_of(address: &str) -> Option<u16> {
    // An IPv6 address without brackets has colons and no port.
    let (host, port) = address.rsplit_once(':')?;
    (!host.contains(':') || host.ends_with(']')).then(|| port.parse().ok())?
}

fn address(http: &[Line]) -> String {
    let own = option(http, GENERAL, ADDRESS).or_else(|| option(http, GENERAL, &["bindaddr"]));
    own.unwrap_or_default().to_owned()
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("127.") || address == "::1" || address.starts_with("[::1]") || address.starts_with("localhost")
}
