use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const GET: Request<'_> = Request { method: "GET", version: Some("HTTP/1.1") };

/// RFC 6455 §1.2's request.
fn headers() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ]
}

fn without(name: &str) -> Vec<(&'static str, &'static str)> {
    let mut headers = headers();
    headers.retain(|(header, _)| *header != name);
    headers
}

fn with(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut headers = without(name);
    headers.push((name, value));
    headers
}

fn and(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut headers = headers();
    headers.push((name, value));
    headers
}

fn refusal(headers: Vec<(&'static str, &'static str)>) -> (Reason, u16) {
    let refusal = accept(GET, headers).expect_err("must be refused");
    let status = refusal.status();
    (refusal.reason, status)
}

#[test]
fn rfc6455_1_2_request_and_response() {
    let upgrade = accept(GET, headers()).expect("accepted");
    assert_eq!(upgrade.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(upgrade.protocols, ["chat", "superchat"]);
    assert_eq!(upgrade.origin.as_deref(), Some("http://example.com"));
    assert_eq!(
        String::from_utf8_lossy(&response(&upgrade, Some("chat"), None)),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    );
}

#[test]
fn names_and_tokens_have_no_case() {
    let upgrade = accept(
        GET,
        [
            ("HOST", "a"),
            ("upgrade", "h2c, WebSocket"),
            ("CONNECTION", "keep-alive, UPGRADE"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-VERSION", " 13\t"),
        ],
    );
    assert!(upgrade.is_ok());
}

#[test]
fn method_and_http_version() {
    for method in ["POST", "HEAD", "get", "OPTIONS"] {
        let request = Request { method, ..GET };
        let refusal = accept(request, headers()).expect_err("refused");
        assert_eq!(refusal.status(), 405);
        assert_eq!(refusal.headers(), [("Allow", "GET")]);
    }
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/1", "HTTP", ""] {
        let request = Request { version: Some(version), ..GET };
        let refusal = accept(request, headers()).expect_err("refused");
        assert_eq!(refusal.status(), 505, "{version}");
    }
    for version in [None, Some("HTTP/1.1"), Some("HTTP/1.2"), Some("HTTP/2.0")] {
        assert!(accept(Request { version, ..GET }, headers()).is_ok());
    }
}

#[test]
fn what_is_missing_is_named() {
    for (name, reason, status) in [
        ("Host", Reason::MissingHost, 400),
        ("Upgrade", Reason::NotWebSocket, 426),
        ("Connection", Reason::MissingConnection, 400),
        ("Sec-WebSocket-Key", Reason::MissingKey, 400),
        ("Sec-WebSocket-Version", Reason::MissingVersion, 426),
    ] {
        assert_eq!(refusal(without(name)), (reason, status), "{name}");
    }
    assert_eq!(refusal(with("Host", "")), (Reason::MissingHost, 400));
}

#[test]
fn upgrade_and_connection_must_have_the_token() {
    assert_eq!(refusal(with("Upgrade", "websockets")), (Reason::NotWebSocket, 426));
    assert_eq!(refusal(with("Connection", "keep-alive")), (Reason::MissingConnection, 400));
}

#[test]
fn only_version_13() {
    for version in ["0", "7", "8", "12", "14", "013", "13, 8", "13.0", ""] {
        let refusal = accept(GET, with("Sec-WebSocket-Version", version)).expect_err("refused");
        assert_eq!(refusal.reason, Reason::Version(version.to_owned()));
        assert_eq!(refusal.status(), 426);
        assert!(refusal.headers().contains(&("Sec-WebSocket-Version", "13")));
    }
}

#[test]
fn hixie_76_is_told_the_version() {
    let draft = [
        ("Host", "example.com"),
        ("Upgrade", "WebSocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key1", "4 @1  46546xW%0l 1 5"),
        ("Sec-WebSocket-Key2", "12998 5 Y3 1  .P00"),
    ];
    let refusal = accept(GET, draft).expect_err("refused");
    assert_eq!(refusal.status(), 426);
    assert!(refusal.headers().contains(&("Sec-WebSocket-Version", "13")));
}

#[test]
fn key_must_be_sixteen_octets() {
    for key in ["x", "", "dGhlIHNhbXBsZSBub25jZQ", "AAAA"] {
        assert_eq!(refusal(with("Sec-WebSocket-Key", key)), (Reason::InvalidKey, 400));
    }
}

#[test]
fn headers_that_may_stand_once() {
    for (name, value) in [
        ("Host", "other"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Origin", "http://example.com"),
    ] {
        assert_eq!(refusal(and(name, value)), (Reason::Repeated(name), 400));
    }
}

#[test]
fn protocol_lines_are_joined_in_order() {
    let upgrade = accept(GET, and("sec-websocket-protocol", "sip,, chat ,v1.ari")).expect("ok");
    assert_eq!(upgrade.protocols, ["chat", "superchat", "sip", "v1.ari"]);
    assert!(upgrade.offers("SIP"));
    assert!(!upgrade.offers("echo"));
}

#[test]
fn protocols_must_be_tokens() {
    for value in ["a b", "a/b", "\"sip\"", "sip\u{7f}", "sïp"] {
        assert_eq!(refusal(with("Sec-WebSocket-Protocol", value)), (Reason::InvalidProtocol, 400));
    }
}

#[test]
fn response_never_names_what_was_not_offered() {
    let upgrade = accept(GET, headers()).expect("ok");
    let text = String::from_utf8(response(&upgrade, Some("sip"), None)).expect("ascii");
    assert!(!text.contains("Sec-WebSocket-Protocol"));
    let text = String::from_utf8(response(&upgrade, Some("CHAT"), None)).expect("ascii");
    assert!(text.contains("Sec-WebSocket-Protocol: chat\r\n"), "spelt as offered");
}

#[test]
fn extension_lines_are_joined() {
    let mut headers = and("Sec-WebSocket-Extensions", "foo");
    headers.push(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"));
    let upgrade = accept(GET, headers).expect("ok");
    assert_eq!(upgrade.extensions.len(), 2);
    let agreed = upgrade.negotiate_deflate(&Settings::default()).expect("agreed");
    let text = String::from_utf8(response(&upgrade, None, Some(&agreed))).expect("ascii");
    assert!(text.ends_with("Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
}

#[test]
fn malformed_extensions_fail_the_handshake() {
    assert_eq!(refusal(and("Sec-WebSocket-Extensions", "permessage-deflate;;")), (Reason::InvalidExtensions, 400));
}

#[test]
fn log_line_is_one_printable_line() {
    let request = Request { method: "G\r\nET\u{1b}[31m", ..GET };
    let line = accept(request, headers()).expect_err("refused").to_string();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    let long = Reason::Version("9".repeat(500)).to_string();
    assert!(long.len() < 120);
}

#[test]
fn any_number_of_headers() {
    let many = (0..10_000).map(|_| ("X-Filler", "x"));
    assert!(accept(GET, many.chain(headers())).is_ok());
    let huge = "sip,".repeat(5_000);
    let mut headers = headers();
    headers.push(("Sec-WebSocket-Protocol", &huge));
    let upgrade = accept(GET, headers).expect("ok");
    assert_eq!(upgrade.protocols.len(), 3);
}
