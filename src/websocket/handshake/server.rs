//! The server's side of the handshake (RFC 6455 §4.2): an upgrade is accepted as it should be
//! written, or refused with a status, the headers that go with it, and a line for the log.

use std::collections::BTreeSet;
use std::fmt;

use super::super::close::prefix;
use super::super::deflate::{Negotiated, Settings, negotiate};
use super::header::{Extension, has_token, is_token, list, parse_extensions, trim};
use super::{VERSION, accept_value, is_key};

/// What the HTTP server knows of a request, besides its headers.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// "HTTP/1.1", or `None` where the HTTP server does not tell.
    pub version: Option<&'a str>,
}

/// An upgrade that may be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The client's key.
    pub key: String,
    /// The answer to it, for `Sec-WebSocket-Accept`.
    pub accept: String,
    pub host: String,
    /// The subprotocols, in the client's order of preference, each once.
    pub protocols: Vec<String>,
    pub extensions: Vec<Extension>,
    pub origin: Option<String>,
    pub user_agent: Option<String>,
}

impl Upgrade {
    /// Whether the client offers the subprotocol. Asterisk compares their names without case.
    pub fn offers(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|offered| offered.eq_ignore_ascii_case(protocol))
    }

    /// permessage-deflate, if the client offers it in a way that `settings` can meet.
    pub fn negotiate_deflate(&self, settings: &Settings) -> Option<Negotiated> {
        negotiate(&self.extensions, settings)
    }
}

/// Why an upgrade is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Method(String),
    HttpVersion(String),
    MissingHost,
    NotWebSocket,
    MissingConnection,
    MissingKey,
    InvalidKey,
    MissingVersion,
    Version(String),
    InvalidProtocol,
    InvalidExtensions,
    Repeated(&'static str),
    /// None of the offered subprotocols is served. The consumer's decision.
    NoProtocol(Vec<String>),
    /// The origin is not allowed. The consumer's decision.
    Origin(String),
    /// Too many sessions, in all or of one address. The consumer's decision.
    TooMany,
}

impl Reason {
    /// The reason without what the client wrote: the name of a counter.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Method(_) => "method",
            Self::HttpVersion(_) => "HTTP version",
            Self::MissingHost => "no Host",
            Self::NotWebSocket => "no Upgrade",
            Self::MissingConnection => "no Connection: Upgrade",
            Self::MissingKey => "no key",
            Self::InvalidKey => "invalid key",
            Self::MissingVersion => "no version",
            Self::Version(_) => "version",
            Self::InvalidProtocol => "invalid subprotocol",
            Self::InvalidExtensions => "invalid extensions",
            Self::Repeated(_) => "repeated header",
            Self::NoProtocol(_) => "subprotocol not served",
            Self::Origin(_) => "origin not allowed",
            Self::TooMany => "too many sessions",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(method) => write!(f, "method {} is not GET", Printable(method)),
            Self::HttpVersion(version) => write!(f, "{} is below HTTP/1.1", Printable(version)),
            Self::MissingHost => f.write_str("no Host"),
            Self::NotWebSocket => f.write_str("no Upgrade to websocket"),
            Self::MissingConnection => f.write_str("no Connection: Upgrade"),
            Self::MissingKey => f.write_str("no Sec-WebSocket-Key"),
            Self::InvalidKey => f.write_str("Sec-WebSocket-Key is not 16 bytes in base64"),
            Self::MissingVersion => f.write_str("no Sec-WebSocket-Version"),
            Self::Version(version) => {
                write!(f, "Sec-WebSocket-Version {} is not 13", Printable(version))
            }
            Self::InvalidProtocol => f.write_str("Sec-WebSocket-Protocol is not a list of tokens"),
            Self::InvalidExtensions => f.write_str("Sec-WebSocket-Extensions is malformed"),
            Self::Repeated(name) => write!(f, "more than one {name}"),
            Self::NoProtocol(offered) if offered.is_empty() => f.write_str("no subprotocol requested"),
            Self::NoProtocol(offered) => {
                write!(f, "no subprotocol out of '{}' served", offered.join(", "))
            }
            Self::Origin(origin) => write!(f, "origin {} not allowed", Printable(origin)),
            Self::TooMany => f.write_str("too many sessions"),
        }
    }
}

/// What a peer wrote, for one line of a log: control characters escaped, length bounded.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = prefix(self.0, 64);
        write!(f, "'{}'", shown.escape_debug())?;
        if shown.len() < self.0.len() {
            f.write_str("...")?;
        }
        Ok(())
    }
}

/// How an upgrade is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
}

impl Refusal {
    /// A refusal for a reason that only the consumer can know.
    pub fn new(reason: Reason) -> Self {
        Self { reason }
    }

    /// The response's status.
    pub fn status(&self) -> u16 {
        match self.reason {
            Reason::Method(_) => 405,
            Reason::HttpVersion(_) => 505,
            Reason::NotWebSocket | Reason::MissingVersion | Reason::Version(_) => 426,
            Reason::Origin(_) => 403,
            Reason::TooMany => 503,
            _ => 400,
        }
    }

    /// The status in words.
    pub fn title(&self) -> &'static str {
        match self.status() {
            403 => "Forbidden",
            405 => "Method Not Allowed",
            426 => "Upgrade Required",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "Bad Request",
        }
    }

    /// What the response has to say beyond the status (§4.4; RFC 9110 §15.5.6, §15.5.22).
    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            405 => &[("Allow", "GET")],
            426 => &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", VERSION)],
            503 => &[("Retry-After", "30")],
            _ => &[],
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.status())
    }
}

/// Judges an upgrade by §4.2.1. Header lines are given in their order, repeated ones too.
pub fn accept<'a>(
    request: Request<'_>,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Upgrade, Refusal> {
    judge(request, headers).map_err(Refusal::new)
}

fn judge<'a>(request: Request<'_>, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Upgrade, Reason> {
    if request.method != "GET" {
        return Err(Reason::Method(request.method.to_owned()));
    }
    if let Some(version) = request.version
        && !is_http_1_1_or_later(version)
    {
        return Err(Reason::HttpVersion(version.to_owned()));
    }
    let found = Found::collect(headers)?;
    // First what tells that the client speaks another protocol, for which 426 names the right
    // one; then what it got wrong in this.
    if !found.upgrade {
        return Err(Reason::NotWebSocket);
    }
    match found.version {
        Some(VERSION) => {}
        Some(other) => return Err(Reason::Version(other.to_owned())),
        None => return Err(Reason::MissingVersion),
    }
    if !found.connection {
        return Err(Reason::MissingConnection);
    }
    let host = found.host.filter(|host| !host.is_empty()).ok_or(Reason::MissingHost)?;
    let key = found.key.ok_or(Reason::MissingKey)?;
    if !is_key(key) {
        return Err(Reason::InvalidKey);
    }
    let extensions = parse_extensions(&found.extensions).ok_or(Reason::InvalidExtensions)?;
    Ok(Upgrade {
        key: key.to_owned(),
        accept: accept_value(key),
        host: host.to_owned(),
        protocols: found.protocols,
        extensions,
        origin: found.origin.map(str::to_owned),
        user_agent: found.user_agent.map(str::to_owned),
    })
}

/// The headers that the handshake is about.
#[derive(Default)]
struct Found<'a> {
    host: Option<&'a str>,
    upgrade: bool,
    connection: bool,
    key: Option<&'a str>,
    version: Option<&'a str>,
    origin: Option<&'a str>,
    user_agent: Option<&'a str>,
    protocols: Vec<String>,
    extensions: String,
}

impl<'a> Found<'a> {
    fn collect(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Reason> {
        let mut found = Self::default();
        let mut seen = BTreeSet::new();
        for (name, value) in headers {
            let value = trim(value);
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if is("Upgrade") {
                found.upgrade |= has_token(value, "websocket");
            } else if is("Connection") {
                found.connection |= has_token(value, "upgrade");
            } else if is("Host") {
                once(&mut found.host, value, "Host")?;
            } else if is("Sec-WebSocket-Key") {
                once(&mut found.key, value, "Sec-WebSocket-Key")?;
            } else if is("Sec-WebSocket-Version") {
                once(&mut found.version, value, "Sec-WebSocket-Version")?;
            } else if is("Origin") {
                once(&mut found.origin, value, "Origin")?;
            } else if is("User-Agent") {
                found.user_agent = Some(value);
            } else if is("Sec-WebSocket-Protocol") {
                for protocol in list(value) {
                    if !is_token(protocol) {
                        return Err(Reason::InvalidProtocol);
                    }
                    if seen.insert(protocol) {
                        found.protocols.push(protocol.to_owned());
                    }
                }
            } else if is("Sec-WebSocket-Extensions") {
                // Several lines mean the same as one with all their elements (§9.1).
                found.extensions.push_str(value);
                found.extensions.push(',');
            }
        }
        Ok(found)
    }
}

fn once<'a>(place: &mut Option<&'a str>, value: &'a str, name: &'static str) -> Result<(), Reason> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Reason::Repeated(name)),
    }
}

fn is_http_1_1_or_later(version: &str) -> bool {
    let Some((major, minor)) = version.strip_prefix("HTTP/").and_then(|number| number.split_once('.')) else {
        return false;
    };
    match (major.parse::<u8>(), minor.parse::<u8>()) {
        (Ok(1), Ok(minor)) => minor >= 1,
        (Ok(major), Ok(_)) => major > 1,
        _ => false,
    }
}

/// The response that accepts `upgrade` (§4.2.2), to be written in one piece. `protocol` is the
/// one of [`Upgrade::protocols`] that was chosen, spelt as the client spelt it; anything that the
/// client did not offer would make it fail the connection and is left out.
pub fn response(upgrade: &Upgrade, protocol: Option<&str>, deflate: Option<&Negotiated>) -> Vec<u8> {
    let mut text = String::with_capacity(256);
    text.push_str("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
    text.push_str(&format!("Sec-WebSocket-Accept: {}\r\n", upgrade.accept));
    let offered = |protocol: &str| upgrade.protocols.iter().find(|offered| offered.eq_ignore_ascii_case(protocol));
    if let Some(protocol) = protocol.and_then(offered) {
        text.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    if let Some(deflate) = deflate {
        text.push_str(&format!("Sec-WebSocket-Extensions: {}\r\n", deflate.header_value()));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests;
