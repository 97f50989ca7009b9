//! The WebSocket server: upgrades that Asterisk's HTTP server hands over become sessions of the
//! driver's, and consumers get them as Asterisk's WebSocket objects.

pub mod cli;
mod consumer;
mod upgrade;
mod wire;

use std::sync::{Arc, Mutex, RwLock};

use super::config;
use crate::driver::websocket::{Ledger, Reactor, Seats};
use crate::host::http_websocket::{self, Provision};
use crate::host::log;
use crate::settings::Http;
use crate::sync::{lock, read, write};

/// The thread that serves all sessions, while the server runs.
static REACTOR: RwLock<Option<Arc<Reactor>>> = RwLock::new(None);

fn reactor() -> Option<Arc<Reactor>> {
    read(&REACTOR).clone()
}

/// What has happened since the module was loaded.
static LEDGER: Ledger = Ledger::new();

/// Who has a session.
static SEATS: Seats = Seats::new();

/// Our place among Asterisk's providers, while the server runs.
///
/// LOCK: a leaf, held for the exchange of a pointer only.
static PROVISION: Mutex<Option<Arc<Provision>>> = Mutex::new(None);

/// Whether somebody takes the sessions of this subprotocol on `/ws`.
pub fn serves(subprotocol: &str) -> bool {
    let provision = lock(&PROVISION).clone();
    provision.is_some_and(|provision| provision.serves(subprotocol))
}

/// Takes the place of Asterisk's WebSocket server, or says in a sentence why not.
pub fn start() -> Result<(), String> {
    let reactor = Reactor::start().map_err(|error| format!("no thread for WebSockets: {error}"))?;
    *write(&REACTOR) = Some(Arc::new(reactor));
    match http_websocket::provide(&crate::MODULE_INFO, upgrade::upgrade, &http_ports(&config::current().http)) {
        Ok(provision) => {
            let beside = if provision.is_beside_stock() { ", in the place of res_http_websocket" } else { "" };
            log::write(log::Level::Verbose(2), &format!("WebSocket server of res_rust_webrtc serves /ws{beside}"));
            *lock(&PROVISION) = Some(Arc::new(provision));
            Ok(())
        }
        Err(unavailable) => {
            stop_reactor();
            Err(format!("the WebSocket server does not start: {unavailable}"))
        }
    }
}

/// While the server runs: whether stock's module is behind us.
fn is_beside_stock() -> Option<bool> {
    lock(&PROVISION).as_ref().map(|provision| provision.is_beside_stock())
}

/// The ports that Asterisk's HTTP server listens on.
fn http_ports(http: &Http) -> Vec<u16> {
    let of = |address: &str| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    vec![http.bind_port, of(&http.tls_bind_address).unwrap_or(8089)]
}

/// Gives the place back and ends every session. False while somebody holds a session or a server
/// of ours, or an upgrade is under way.
pub fn stop() -> bool {
    // Not while the lock is held: giving the place back calls Asterisk.
    let provision = lock(&PROVISION).take();
    if let Some(mut provision) = provision
        && !Arc::get_mut(&mut provision).is_some_and(Provision::withdraw)
    {
        *lock(&PROVISION) = Some(provision);
        return false;
    }
    stop_reactor();
    LEDGER.clear();
    true
}

fn stop_reactor() {
    let reactor = write(&REACTOR).take();
    if let Some(reactor) = reactor {
        reactor.stop();
    }
}
