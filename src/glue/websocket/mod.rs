//! The WebSocket server: upgrades that Asterisk's HTTP server hands over become sessions of the
//! driver's, and consumers get them as Asterisk's WebSocket objects.

mod consumer;
mod upgrade;
mod wire;

use std::sync::{Arc, RwLock};

use super::config;
use crate::driver::websocket::Reactor;
use crate::host::http_websocket::{self, Provision};
use crate::host::log;
use crate::settings::Http;
use crate::sync::{read, write};

/// The thread that serves all sessions, while the server runs.
static REACTOR: RwLock<Option<Arc<Reactor>>> = RwLock::new(None);

fn reactor() -> Option<Arc<Reactor>> {
    read(&REACTOR).clone()
}

/// The WebSocket server in its place; what [`start`] gives and [`Server::stop`] takes.
pub struct Server {
    provision: Provision,
}

/// Why the server cannot start, as a sentence.
pub fn start() -> Result<Server, String> {
    let reactor = Reactor::start().map_err(|error| format!("no thread for WebSockets: {error}"))?;
    *write(&REACTOR) = Some(Arc::new(reactor));
    match http_websocket::provide(&crate::MODULE_INFO, upgrade::upgrade, &http_ports(&config::current().http)) {
        Ok(provision) => {
            let beside = if provision.is_beside_stock() { ", in the place of res_http_websocket" } else { "" };
            log::write(log::Level::Verbose(2), &format!("WebSocket server of res_rust_webrtc serves /ws{beside}"));
            Ok(Server { provision })
        }
        Err(unavailable) => {
            stop_reactor();
            Err(format!("the WebSocket server does not start: {unavailable}"))
        }
    }
}

/// The ports that Asterisk's HTTP server listens on.
fn http_ports(http: &Http) -> Vec<u16> {
    let of = |address: &str| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    vec![http.bind_port, of(&http.tls_bind_address).unwrap_or(8089)]
}

impl Server {
    /// Gives the place back and ends every session. `Err` with the value while somebody holds a
    /// session or a server of ours.
    pub fn stop(self) -> Result<(), Self> {
        match self.provision.withdraw() {
            Ok(()) => {
                stop_reactor();
                Ok(())
            }
            Err(provision) => Err(Self { provision }),
        }
    }
}

fn stop_reactor() {
    let reactor = write(&REACTOR).take();
    if let Some(reactor) = reactor {
        reactor.stop();
    }
}
