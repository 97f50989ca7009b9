//! The client's side of the handshake (RFC 6455 §4.1): the request, and the response read as its
//! octets come in.
//!
//! The errors are those that `enum ast_websocket_result` tells apart.

use std::fmt;

use super::super::deflate::{self, Negotiated, Settings};
use super::header::{has_token, is_token, list, parse_extensions, trim};
use super::{VERSION, accept_value, base64};

/// The longest response head that is read.
const MAX_HEAD: usize = 16 << 10;

/// What to ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientRequest<'a> {
    /// Host and port as they stand in the URI.
    pub host: &'a str,
    /// Path and query, from the leading slash on.
    pub resource: &'a str,
    /// The subprotocols to offer.
    pub protocols: &'a [&'a str],
    pub deflate: Option<Settings>,
    /// Further headers: Authorization, Origin, User-Agent.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The request cannot be written: a part of it has characters that do not belong there.
    InvalidRequest,
    /// No status line, or not of HTTP/1.1.
    BadStatus,
    /// A status other than 101. 400 and 404 have names of their own in Asterisk.
    Refused(u16),
    /// A header that is needed is missing.
    HeaderMissing(&'static str),
    /// A header has not the value that it must have, or is malformed.
    HeaderMismatch(&'static str),
    /// The server has chosen an extension or subprotocol that was not offered.
    NotOffered(&'static str),
    /// The response's head has no end.
    TooLong,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRequest => f.write_str("request has characters that are not allowed"),
            Self::BadStatus => f.write_str("no HTTP/1.1 status line"),
            Self::Refused(status) => write!(f, "refused with status {status}"),
            Self::HeaderMissing(name) => write!(f, "{name} is missing"),
            Self::HeaderMismatch(name) => write!(f, "{name} is not as it must be"),
            Self::NotOffered(name) => write!(f, "{name} names what was not offered"),
            Self::TooLong => f.write_str("response too long"),
        }
    }
}

impl std::error::Error for ClientError {}

/// A connection that the server has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    pub protocol: Option<String>,
    pub deflate: Option<Negotiated>,
    /// What came behind the response: the first frames.
    pub rest: Vec<u8>,
}

/// A handshake that waits for the server.
#[derive(Debug)]
pub struct ClientHandshake {
    accept: String,
    protocols: Vec<String>,
    deflate: Option<Settings>,
    head: Vec<u8>,
}

impl ClientHandshake {
    /// Begins a handshake: the request to write, and what reads the answer. `nonce` is drawn for
    /// this connection alone.
    pub fn new(request: ClientRequest<'_>, nonce: [u8; 16]) -> Result<(Self, Vec<u8>), ClientError> {
        let visible = |text: &str| text.bytes().all(|octet| octet.is_ascii_graphic());
        let plain = |text: &str| text.bytes().all(|octet| octet == b'\t' || octet >= b' ');
        if request.host.is_empty()
            || !visible(request.host)
            || !request.resource.starts_with('/')
            || !visible(request.resource)
            || !request.protocols.iter().all(|name| is_token(name))
            || !request.headers.iter().all(|(name, value)| is_token(name) && plain(value))
        {
            return Err(ClientError::InvalidRequest);
        }
        let key = base64(&nonce);
        let mut text = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {VERSION}\r\n",
            request.resource, request.host,
        );
        if !request.protocols.is_empty() {
            text.push_str(&format!("Sec-WebSocket-Protocol: {}\r\n", request.protocols.join(", ")));
        }
        if let Some(settings) = &request.deflate {
            text.push_str(&format!("Sec-WebSocket-Extensions: {}\r\n", deflate::offer(settings)));
        }
        for (name, value) in request.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let handshake = Self {
            accept: accept_value(&key),
            protocols: request.protocols.iter().map(|&p| p.to_owned()).collect(),
            deflate: request.deflate,
            head: Vec::new(),
        };
        Ok((handshake, text.into_bytes()))
    }

    /// Takes what the server has sent; `None` asks for more.
    pub fn handle_input(&mut self, data: &[u8]) -> Result<Option<Established>, ClientError> {
        // The end may lie across the two pieces, or be of bare line feeds.
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(data);
        let Some(end) = end_of_head(&self.head, from) else {
            if self.head.len() > MAX_HEAD {
                return Err(ClientError::TooLong);
            }
            return Ok(None);
        };
        if end > MAX_HEAD {
            return Err(ClientError::TooLong);
        }
        let rest = self.head.split_off(end);
        let head = std::mem::take(&mut self.head);
        self.check(&head, rest).map(Some)
    }

    fn check(&self, head: &[u8], rest: Vec<u8>) -> Result<Established, ClientError> {
        let head = std::str::from_utf8(head).map_err(|_| ClientError::BadStatus)?;
        let mut lines = head.lines();
        check_status(lines.next().unwrap_or_default())?;

        let mut upgrade = None;
        let mut connection = None;
        let mut accept = None;
        let mut protocol = None;
        let mut extensions = String::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) =
                line.split_once(':').filter(|(name, _)| is_token(name)).ok_or(ClientError::HeaderMismatch("header"))?;
            let value = trim(value);
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("Upgrade") {
                upgrade = Some(value.eq_ignore_ascii_case("websocket"));
            } else if is("Connection") {
                connection = Some(connection == Some(true) || has_token(value, "upgrade"));
            } else if is("Sec-WebSocket-Accept") {
                accept = Some(accept != Some(false) && value == self.accept);
            } else if is("Sec-WebSocket-Protocol") {
                if protocol.replace(value).is_some() || list(value).count() != 1 {
                    return Err(ClientError::HeaderMismatch("Sec-WebSocket-Protocol"));
                }
            } else if is("Sec-WebSocket-Extensions") {
                extensions.push_str(value);
                extensions.push(',');
            }
        }
        for (found, name) in [(upgrade, "Upgrade"), (connection, "Connection"), (accept, "Sec-WebSocket-Accept")] {
            match found {
                Some(true) => {}
                Some(false) => return Err(ClientError::HeaderMismatch(name)),
                None => return Err(ClientError::HeaderMissing(name)),
            }
        }
        if let Some(protocol) = protocol
            && !self.protocols.iter().any(|offered| offered == protocol)
        {
            return Err(ClientError::NotOffered("Sec-WebSocket-Protocol"));
        }
        Ok(Established { protocol: protocol.map(str::to_owned), deflate: self.check_extensions(&extensions)?, rest })
    }

    fn check_extensions(&self, value: &str) -> Result<Option<Negotiated>, ClientError> {
        const NAME: &str = "Sec-WebSocket-Extensions";
        let chosen = parse_extensions(value).ok_or(ClientError::HeaderMismatch(NAME))?;
        match (chosen.as_slice(), &self.deflate) {
            ([], _) => Ok(None),
            ([extension], Some(settings)) => {
                deflate::accept(extension, settings).map(Some).ok_or(ClientError::NotOffered(NAME))
            }
            _ => Err(ClientError::NotOffered(NAME)),
        }
    }
}

fn check_status(line: &str) -> Result<(), ClientError> {
    let mut parts = line.splitn(3, ' ');
    if parts.next() != Some("HTTP/1.1") {
        return Err(ClientError::BadStatus);
    }
    let status = parts.next().filter(|status| status.len() == 3);
    match status.and_then(|status| status.parse().ok()) {
        Some(101) => Ok(()),
        Some(status) => Err(ClientError::Refused(status)),
        None => Err(ClientError::BadStatus),
    }
}

/// Where the first empty line ends. Bare line feeds end a line as well (RFC 9112 §2.2).
fn end_of_head(head: &[u8], from: usize) -> Option<usize> {
    let tail = head.get(from..)?;
    (0..tail.len()).find_map(|at| {
        let tail = tail.get(at..)?;
        [&b"\n\r\n"[..], b"\n\n"].iter().find(|end| tail.starts_with(end)).map(|end| from + at + end.len())
    })
}

#[cfg(test)]
mod tests;
