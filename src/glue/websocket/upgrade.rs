//! From a request for an upgrade to a session.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::super::config;
use super::consumer::Holder;
use super::wire::Wire;
use super::{LEDGER, SEATS, reactor};
use crate::driver::websocket::{Consumer, Info, Opening, Reactor, Seat, Session};
use crate::host::http_websocket::{Handshake, SessionObject, Subprotocol, new_session_id};
use crate::host::log::{self, Level};
use crate::host::module_ref::ModuleRef;
use crate::settings;
use crate::websocket::deflate::Settings;
use crate::websocket::handshake::{self, Reason, Refusal, Request, Upgrade, accept};
use crate::websocket::{Close, CloseCause, Config, Limits, Role, Timing};

/// How long a writer is held by a full queue unless the consumer says otherwise: stock's default.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Answers one request, on the HTTP server's thread of that connection. With a consumer it returns
/// when the consumer does.
pub(super) fn upgrade(mut handshake: Handshake<'_>) {
    let Some(reactor) = reactor() else { return };
    let settings = config::current();
    let client = Client::of(&handshake, &settings.websocket);
    match judge(&handshake, &client, &settings.websocket) {
        Ok(accepted) => open(&reactor, &settings.websocket, &mut handshake, client, accepted),
        Err(refusal) => refuse(&handshake, &client.name, &refusal),
    }
}

/// Who asks.
struct Client {
    /// Behind trusted proxies the client's own.
    address: Option<SocketAddr>,
    proxy: Option<SocketAddr>,
    /// The address, for logs.
    name: String,
}

impl Client {
    fn of(handshake: &Handshake<'_>, options: &settings::WebSocket) -> Self {
        let peer = handshake.request.remote_address();
        let is_trusted = |ip| options.trusted_proxies.iter().any(|network| network.contains(ip));
        let address = peer.map(|peer| handshake::client_address(peer, handshake.request.headers(), is_trusted));
        Self {
            address,
            proxy: peer.filter(|_| address != peer),
            name: address.map_or_else(|| "unknown".to_owned(), |address| address.to_string()),
        }
    }
}

fn refuse(handshake: &Handshake<'_>, peer: &str, refusal: &Refusal) {
    LEDGER.refuse(&refusal.reason);
    log::warning(&format!("WebSocket connection from '{peer}' refused: {refusal}"));
    handshake.request.respond(refusal.status(), refusal.title(), refusal.headers());
}

/// An upgrade that is to become a session.
struct Accepted {
    upgrade: Upgrade,
    subprotocol: Subprotocol,
    /// The subprotocol's name as the client spelt it, if it named any.
    chosen: Option<String>,
    seat: Seat,
}

fn judge(handshake: &Handshake<'_>, client: &Client, options: &settings::WebSocket) -> Result<Accepted, Refusal> {
    let request = Request { method: handshake.request.method(), version: None };
    let upgrade = accept(request, handshake.request.headers())?;
    if let Some(origin) = &upgrade.origin
        && !options.allowed_origins.is_empty()
        && !options.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    {
        return Err(Refusal::new(Reason::Origin(origin.clone())));
    }
    // As stock: the first of the client's that is served; and a client that names none gets the
    // only one there is.
    let (subprotocol, chosen) = if upgrade.protocols.is_empty() {
        (handshake.only_subprotocol(), None)
    } else {
        let found = upgrade.protocols.iter().find_map(|name| Some((handshake.subprotocol(name)?, name.clone())));
        found.map_or((None, None), |(subprotocol, name)| (Some(subprotocol), Some(name)))
    };
    let Some(subprotocol) = subprotocol else {
        return Err(Refusal::new(Reason::NoProtocol(upgrade.protocols)));
    };
    let address = client.address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip());
    match SEATS.take(address, options.max_sessions, options.max_sessions_per_address) {
        Some(seat) => Ok(Accepted { upgrade, subprotocol, chosen, seat }),
        None => Err(Refusal::new(Reason::TooMany)),
    }
}

fn open(
    reactor: &Reactor,
    options: &settings::WebSocket,
    handshake: &mut Handshake<'_>,
    client: Client,
    accepted: Accepted,
) {
    let Accepted { upgrade, subprotocol, chosen, seat } = accepted;
    let peer = client.name;
    let request = &mut handshake.request;
    if !request.discard_body() {
        LEDGER.refuse_for("unreadable body");
        log::warning(&format!("WebSocket connection from '{peer}' refused: its request's body cannot be read"));
        return;
    }
    let Some(session_id) = new_session_id() else {
        log::error("no identifier for a WebSocket session");
        request.respond(500, "Internal Server Error", &[]);
        return;
    };
    if !subprotocol.attempt(request, &session_id) {
        LEDGER.refuse_for("by the consumer");
        log::write(
            Level::Debug(1),
            &format!("WebSocket connection from '{peer}' refused by the consumer of '{}'", subprotocol.name()),
        );
        // The consumer may have responded already; then this is the last thing on the connection.
        request.close_on_completion();
        request.respond(400, "Bad Request", &[]);
        return;
    }
    let deflate = if options.permessage_deflate { upgrade.negotiate_deflate(&Settings::default()) } else { None };
    let preface = handshake::response(&upgrade, chosen.as_deref(), deflate.as_ref());
    let Some(mut stream) = request.take_stream() else { return };
    let local = stream.local_address();
    let input = stream.read_ahead();
    let is_secure = stream.is_secure();
    let name = subprotocol.name();
    log::write(Level::Verbose(2), &format!("WebSocket connection from '{peer}' for protocol '{name}' accepted"));
    LEDGER.accept();

    // A consumer's session is counted as long as he holds it; nobody holds this one.
    let in_use = if subprotocol.is_echo() { ModuleRef::take() } else { None };
    let opening = Opening {
        config: Config { role: Role::Server, limits: limits(options), timing: timing(options), deflate },
        consumer: if subprotocol.is_echo() { Consumer::Echo } else { Consumer::Holder },
        info: Info {
            peer: peer.clone(),
            proxy: client.proxy.map(|proxy| proxy.to_string()),
            session_id: session_id.to_string_lossy().into_owned(),
            subprotocol: name,
            tls: stream.tls(),
            user_agent: upgrade.user_agent,
        },
        preface,
        input,
        on_end: Box::new(move |session, close| {
            report_end(session, close);
            drop((in_use, seat));
        }),
        stream: Box::new(Wire(stream)),
    };
    let session = match reactor.open(opening) {
        Ok(session) => session,
        Err(error) => {
            log::error(&format!("WebSocket connection from '{peer}' cannot be served: {error}"));
            return;
        }
    };
    if subprotocol.is_echo() {
        return;
    }
    session.set_write_timeout(Some(WRITE_TIMEOUT));
    let holder = Box::new(Holder(session));
    match SessionObject::new(holder, client.address, local, session_id, is_secure) {
        Some(object) => subprotocol.establish(request, object),
        None => log::error(&format!("no memory for the WebSocket connection from '{peer}'")),
    }
}

fn report_end(session: &Session, close: &Close) {
    LEDGER.end(close.cause, &session.summary().counters);
    let peer = &session.info().peer;
    let code = close.code.map_or(String::new(), |code| format!(" with {}", code.get()));
    match close.cause {
        CloseCause::Peer | CloseCause::Acknowledged => {
            log::write(Level::Verbose(2), &format!("WebSocket connection from '{peer}' closed{code}"));
        }
        cause => log::write(Level::Verbose(2), &format!("WebSocket connection from '{peer}' closed{code}: {cause}")),
    }
}

fn limits(options: &settings::WebSocket) -> Limits {
    Limits { max_frame: options.max_message_size, max_message: options.max_message_size, max_queue: options.send_queue }
}

fn timing(options: &settings::WebSocket) -> Timing {
    Timing {
        ping_interval: options.ping_interval,
        idle_timeout: options.idle_timeout,
        write_timeout: Some(options.write_timeout),
        ..Timing::default()
    }
}
