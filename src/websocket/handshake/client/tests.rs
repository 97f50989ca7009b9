use super::super::{Request, accept, response};
use super::*;

const NONCE: [u8; 16] = *b"the sample nonce";

fn request() -> ClientRequest<'static> {
    ClientRequest {
        host: "server.example.com:8088",
        resource: "/ws?x=1",
        protocols: &["sip", "v1"],
        deflate: None,
        headers: &[("Authorization", "Basic YTpi")],
    }
}

fn answer(response: &str) -> Result<Option<Established>, ClientError> {
    let (mut handshake, _) = ClientHandshake::new(request(), NONCE).expect("request");
    handshake.handle_input(response.as_bytes())
}

const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn good(extra: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{extra}\r\n"
    )
}

#[test]
fn request_as_written() {
    let (_, bytes) = ClientHandshake::new(request(), NONCE).expect("request");
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        "GET /ws?x=1 HTTP/1.1\r\nHost: server.example.com:8088\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip, v1\r\n\
         Authorization: Basic YTpi\r\n\r\n"
    );
}

#[test]
fn accepted_at_every_split_with_the_rest_kept() {
    let mut bytes = good("Sec-WebSocket-Protocol: sip\r\n").into_bytes();
    bytes.extend_from_slice(&[0x81, 0x01, b'x']);
    for cut in 0..bytes.len() {
        let (mut handshake, _) = ClientHandshake::new(request(), NONCE).expect("request");
        let (head, tail) = bytes.split_at(cut);
        let first = handshake.handle_input(head).expect("so far so good");
        let (established, late) = match first {
            Some(established) => (established, tail),
            None => (handshake.handle_input(tail).expect("good").expect("complete"), &[][..]),
        };
        assert_eq!(established.protocol.as_deref(), Some("sip"));
        let rest = [&established.rest, late].concat();
        assert_eq!(rest, [0x81, 0x01, b'x'], "cut {cut}");
    }
}

#[test]
fn own_server_is_accepted() {
    let settings = Settings::default();
    let request = ClientRequest { deflate: Some(settings), ..request() };
    let (mut handshake, bytes) = ClientHandshake::new(request, [7; 16]).expect("request");
    let text = String::from_utf8(bytes).expect("ascii");
    let headers = text.lines().skip(1).filter_map(|line| line.split_once(": "));
    let line = Request { method: "GET", version: Some("HTTP/1.1") };
    let upgrade = accept(line, headers).expect("accepted");
    let agreed = upgrade.negotiate_deflate(&settings);
    let bytes = response(&upgrade, Some("v1"), agreed.as_ref());
    let established = handshake.handle_input(&bytes).expect("good").expect("complete");
    assert_eq!(established.protocol.as_deref(), Some("v1"));
    assert_eq!(established.deflate, agreed);
    assert!(agreed.is_some());
}

#[test]
fn refusals_keep_their_status() {
    for status in [200, 301, 400, 401, 404, 426, 503] {
        assert_eq!(answer(&format!("HTTP/1.1 {status} X\r\n\r\n")), Err(ClientError::Refused(status)));
    }
    for line in ["", "HTTP/1.0 101 X", "HTTP/1.1", "HTTP/1.1 1x1 X", "SIP/2.0 200 OK"] {
        assert_eq!(answer(&format!("{line}\r\n\r\n")), Err(ClientError::BadStatus), "{line}");
    }
}

#[test]
fn needed_headers_are_checked() {
    for (line, missing, mismatch) in [
        ("upgrade: WebSocket", "Upgrade", "upgrade: h2c"),
        ("Connection: upgrade", "Connection", "Connection: close"),
        (
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ),
    ] {
        assert_eq!(answer(&good("").replace(&format!("{line}\r\n"), "")), Err(ClientError::HeaderMissing(missing)));
        assert_eq!(answer(&good("").replace(line, mismatch)), Err(ClientError::HeaderMismatch(missing)));
    }
}

#[test]
fn what_was_not_offered_is_refused() {
    for line in ["Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n"] {
        assert!(matches!(answer(&good(line)), Err(ClientError::NotOffered(_))));
    }
    assert!(matches!(answer(&good("Sec-WebSocket-Protocol: sip, v1\r\n")), Err(ClientError::HeaderMismatch(_))));
}

#[test]
fn endless_response_is_given_up() {
    let (mut handshake, _) = ClientHandshake::new(request(), NONCE).expect("request");
    let mut result = Ok(None);
    for _ in 0..40 {
        result = handshake.handle_input(&[b'x'; 1000]);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, Err(ClientError::TooLong));
}

#[test]
fn request_cannot_be_split() {
    for request in [
        ClientRequest { host: "a\r\nX: y", ..request() },
        ClientRequest { host: "", ..request() },
        ClientRequest { resource: "/a b", ..request() },
        ClientRequest { resource: "ws", ..request() },
        ClientRequest { protocols: &["a,b"], ..request() },
        ClientRequest { headers: &[("X", "a\r\nY: b")], ..request() },
    ] {
        assert_eq!(ClientHandshake::new(request, NONCE).err(), Some(ClientError::InvalidRequest));
    }
}
