//! Asterisk's WebSocket API (`asterisk/http_websocket.h`), provided by us.
//!
//! Consumers (chan_sip, res_pjsip_transport_websocket, ARI, chan_websocket, …) know sessions,
//! servers and subprotocols as counted objects and call `ast_websocket_*` through the optional API,
//! where the last provider wins and all its users are linked anew at once.
//!
//! # Beside stock's module
//!
//! `res_http_websocket.so` has to stay loaded on 16 and later, for other modules require it by
//! name. [`provide`] then takes its place without touching what it holds:
//!
//! - Servers and subprotocols stay stock's objects and are still made by stock's functions, so that
//!   whatever was registered before or is registered later is known to both, and nothing has to be
//!   moved when we come or go. All that is read of a server is its first member, the container of
//!   `struct ast_websocket_protocol`, which is public.
//! - Sessions are ours. The functions on sessions and the upgrade of a connection are ours; given a
//!   session of stock's (a client's, say) they pass it on. The two are told apart by the first
//!   word: ours is a magic number, stock's a pointer or NULL.
//! - `/ws` is linked a second time; the HTTP server asks the handler that was linked last. What it
//!   hides is stock's handler, whose data is stock's server.
//!
//! The loader keeps stock's module running while ours runs, as ours names it in
//! `optional_modules`; its file is held open besides.
//!
//! Without stock's module everything is ours.

mod functions;
mod live;
mod server;
mod session;
mod stock;

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub use server::Subprotocol;
pub use session::{Opcode, Received, Session, SessionObject};

use super::ao2::Ao2;
use super::entry::Info;
use super::http::{Path, Request};
use super::{boundary, module_ref, sys};
use crate::sync::{read, write};

pub const OPCODE_CONTINUATION: Opcode = sys::ast_websocket_opcode_AST_WEBSOCKET_OPCODE_CONTINUATION;
pub const OPCODE_TEXT: Opcode = sys::ast_websocket_opcode_AST_WEBSOCKET_OPCODE_TEXT;
pub const OPCODE_BINARY: Opcode = sys::ast_websocket_opcode_AST_WEBSOCKET_OPCODE_BINARY;
pub const OPCODE_CLOSE: Opcode = sys::ast_websocket_opcode_AST_WEBSOCKET_OPCODE_CLOSE;
pub const OPCODE_PING: Opcode = sys::ast_websocket_opcode_AST_WEBSOCKET_OPCODE_PING;
pub const OPCODE_PONG: Opcode = sys::ast_websocket_opcode_AST_WEBSOCKET_OPCODE_PONG;

/// An identifier for a session, such as consumers use to find theirs.
pub fn new_session_id() -> Option<CString> {
    let mut text = [0 as c_char; 64];
    // SAFETY: the buffer is as long as told, longer than a UUID, and comes back NUL-terminated.
    if unsafe { sys::rw_uuid(text.as_mut_ptr(), text.len()) } != 0 {
        return None;
    }
    // SAFETY: as above.
    Some(unsafe { CStr::from_ptr(text.as_ptr()) }.to_owned())
}

/// What is asked to accept or refuse an upgrade.
pub type Upgrade = fn(Handshake<'_>);

/// An upgrade under way: the request and the server it is for.
pub struct Handshake<'a> {
    pub request: Request<'a>,
    server: server::Server<'a>,
}

impl Handshake<'_> {
    /// The server's handler of a subprotocol, whose name's case does not matter.
    pub fn subprotocol(&self, name: &str) -> Option<Subprotocol> {
        self.server.find(name)
    }

    /// The handler of the server's only subprotocol, if it has no other.
    pub fn only_subprotocol(&self) -> Option<Subprotocol> {
        self.server.only()
    }
}

/// Our place among Asterisk's providers.
pub struct Provision {
    path: Path,
    stock: Option<stock::Stock>,
    /// Our `/ws` server, where stock's is not there.
    own_server: Option<Ao2<server::ServerObject>>,
}

/// Why our functions cannot be provided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// So many connections are in the hands of stock's server.
    LiveSessions(usize),
    /// Stock's module is loaded, but not as it is known.
    UnknownStock(&'static str),
    NoMemory,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LiveSessions(count) => write!(
                f,
                "{count} WebSocket session{} of res_http_websocket's live, and they cannot be taken over: close them, or \
                 have this module loaded before anybody connects, with 'load => res_rust_webrtc.so' in modules.conf",
                if *count == 1 { "" } else { "s" }
            ),
            Self::UnknownStock(what) => write!(
                f,
                "res_http_websocket is loaded, but {what}: put 'noload => res_http_websocket.so' into modules.conf"
            ),
            Self::NoMemory => f.write_str("no memory"),
        }
    }
}

static UPGRADE: RwLock<Option<Upgrade>> = RwLock::new(None);

/// Upgrades that are inside our callback.
static UPGRADES: AtomicUsize = AtomicUsize::new(0);

/// Makes us the provider of the API and the server of `/ws`. `http_ports` are the ports of the HTTP
/// server, to tell whether stock's server has sessions.
pub fn provide(info: &Info, upgrade: Upgrade, http_ports: &[u16]) -> Result<Provision, Unavailable> {
    module_ref::remember(info);
    let stock = stock::find()?;
    if stock.is_some() {
        let live = live::sessions(http_ports);
        if live > 0 {
            return Err(Unavailable::LiveSessions(live));
        }
    }
    *write(&UPGRADE) = Some(upgrade);
    // SAFETY: `withdraw` unlinks, waits for callbacks under way, and drops the path.
    let mut path = unsafe { Path::link(c"ws", c"WebSocket server of res_rust_webrtc", Some(upgrade_callback)) };
    let own_server = if stock.is_some() {
        // SAFETY: this is called while our module loads, one module at a time.
        let hidden = unsafe { path.hidden() }.map_or(std::ptr::null_mut(), |uri| uri.data);
        if hidden.is_null() {
            path.unlink();
            return Err(Unavailable::UnknownStock("does not serve /ws"));
        }
        path.set_data(hidden);
        None
    } else {
        let Some(server) = server::ServerObject::new(true) else {
            path.unlink();
            return Err(Unavailable::NoMemory);
        };
        path.set_data(server.as_ptr().cast());
        server::set_default(Some(server.clone()));
        Some(server)
    };
    functions::provide(stock.as_ref().map(stock::Stock::functions));
    Ok(Provision { path, stock, own_server })
}

impl Provision {
    /// Gives our place back. False, with all as it was, when something of ours is in use: a
    /// session, a server or a subprotocol that a consumer made, or an upgrade under way.
    pub fn withdraw(&mut self) -> bool {
        if self.is_in_use() {
            return false;
        }
        self.path.unlink();
        let deadline = Instant::now() + Duration::from_secs(1);
        while UPGRADES.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.is_in_use() || UPGRADES.load(Ordering::Acquire) > 0 {
            self.path.relink();
            return false;
        }
        functions::withdraw();
        server::set_default(None);
        *write(&UPGRADE) = None;
        true
    }

    /// Whether somebody takes the sessions of this subprotocol on `/ws`.
    pub fn serves(&self, subprotocol: &str) -> bool {
        // SAFETY: the path lives as long as this value, and so does the server that it has for
        // data: ours is held here, and stock's module keeps running.
        unsafe { server::Server::of(self.path.handler()) }.is_some_and(|server| server.find(subprotocol).is_some())
    }

    fn is_in_use(&self) -> bool {
        session::count() > 0 || server::count() > usize::from(self.own_server.is_some())
    }

    /// Whether stock's module is behind us.
    pub fn is_beside_stock(&self) -> bool {
        self.stock.is_some()
    }
}

/// The `ast_http_callback` of `/ws`, and `ast_websocket_uri_cb` for paths of others.
unsafe extern "C" fn upgrade_callback(
    session: *mut sys::ast_tcptls_session_instance,
    handler: *const sys::ast_http_uri,
    _uri: *const c_char,
    method: sys::ast_http_method,
    parameters: *mut sys::ast_variable,
    headers: *mut sys::ast_variable,
) -> c_int {
    UPGRADES.fetch_add(1, Ordering::AcqRel);
    let outcome = boundary::guard("ast_websocket_uri_cb", || {
        // SAFETY: the arguments are the callback's, and the value does not outlive it.
        let Some(request) = (unsafe { Request::new(session, method, parameters, headers) }) else {
            return -1;
        };
        // SAFETY: the caller passes the handler that it serves, with its server for data.
        let server = unsafe { server::Server::of(handler) };
        let upgrade = *read(&UPGRADE);
        match (server, upgrade) {
            (Some(server), Some(upgrade)) => upgrade(Handshake { request, server }),
            _ => request.respond(503, "Service Unavailable", &[]),
        }
        0
    });
    UPGRADES.fetch_sub(1, Ordering::AcqRel);
    outcome
}
