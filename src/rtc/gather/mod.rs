//! Server-reflexive and relayed candidates: a client of STUN (RFC 8489) and TURN (RFC 8656) servers
//! on the very socket that a component sends its media from.
//!
//! ```text
//! gather(bases, servers) ─▶ Binding, Allocate ─▶ poll_transmit ─▶ socket
//! socket ─▶ handle_datagram ─┬─ a response to one of ours ─▶ Gathered::Reflexive, Relayed, Failed
//!                            ├─ a peer's datagram out of a relay ─▶ Received::Relayed
//!                            └─ anything else ─▶ Received::NotOurs (ICE's checks, DTLS, RTP)
//! ```
//!
//! Responses are told from ICE's own STUN by server address and transaction ID, which are from the
//! cryptographic generator. Nothing waits for an answer: what a server has said by the time that SDP
//! is written stands in it. A Binding is repeated every 15 s, which keeps the NAT's mapping alive
//! and notices when it changes.
//!
//! Every list is bounded by what the caller configured; nothing from the network makes it grow.

mod message;
mod relay;
mod request;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use relay::Login;

use self::message::{Builder, Class, Message, attribute};
use self::relay::{Outcome, Relay};
use self::request::{Due, Request};
use crate::host::openssl::rand;

/// Between Binding requests once there was an answer. NATs keep a UDP mapping for 30 s and more.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// After a failure the server is asked again.
const AGAIN: Duration = Duration::from_secs(60);
/// Base addresses of one component that ask: interfaces beyond that have host candidates only.
const MAX_BASES: usize = 8;
/// Allocations of one component.
const MAX_RELAYS: usize = 4;
/// The value of SOFTWARE.
const SOFTWARE: &[u8] = b"res_rust_webrtc";

/// Why a server was of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing came back within 39.5 s.
    NoAnswer,
    /// An error response.
    Refused {
        /// The number of ERROR-CODE.
        code: u16,
        /// Its phrase, cleaned and cut.
        phrase: String,
    },
    /// A success response without what it must have.
    Malformed,
    /// The OpenSSL in use refuses MD5, which TURN's credentials need.
    NoMd5,
    /// An allocation that was there could not be kept.
    Lost,
}

impl Failure {
    fn refused(code: u16, phrase: &[u8]) -> Self {
        let phrase = String::from_utf8_lossy(phrase).chars().filter(|c| !c.is_control()).take(80).collect();
        Failure::Refused { code, phrase }
    }

    /// A phrase for the log, which says what can be done about it.
    pub fn sentence(&self) -> String {
        match self {
            Failure::NoAnswer => "does not answer; is the address right, and is UDP to it open?".into(),
            Failure::Refused { code, phrase } => {
                let meaning = match code {
                    300 => "it names another server, which is not followed",
                    401 => "username or password is wrong",
                    403 => "it forbids us to",
                    437 => "it still holds an allocation of an earlier socket with this port",
                    438 => "it does not accept its own nonces",
                    442 => "it does not relay UDP",
                    486 => "this user has as many allocations as the server allows",
                    508 => "it has no relay addresses or ports left",
                    _ => "see the server's log",
                };
                format!("refuses with {code} {phrase}: {meaning}")
            }
            Failure::Malformed => "answers with something that is not STUN as we know it".into(),
            Failure::NoMd5 => "wants credentials, and this OpenSSL refuses the MD5 that they need (FIPS mode)".into(),
            Failure::Lost => "no longer holds our allocation".into(),
        }
    }
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gathered {
    /// The server has answered, with a challenge at least.
    Answered {
        /// Its address.
        server: SocketAddr,
        /// The socket's own address; a wildcard if it is bound to one.
        base: SocketAddr,
    },
    /// A server-reflexive candidate.
    Reflexive {
        /// Who saw it.
        server: SocketAddr,
        /// What it saw.
        address: SocketAddr,
        /// The socket's own address.
        base: SocketAddr,
    },
    /// A relayed candidate.
    Relayed {
        /// Who relays.
        server: SocketAddr,
        /// The address at the server.
        address: SocketAddr,
        /// The address that the server saw us at.
        mapped: SocketAddr,
        /// The socket's own address; a wildcard if it is bound to one.
        base: SocketAddr,
    },
    /// Nothing, or no longer anything.
    Failed {
        /// The server.
        server: SocketAddr,
        /// The socket's own address; of one bound to a wildcard, for a relay, the wildcard.
        base: SocketAddr,
        /// Whether it was asked for a relay.
        relay: bool,
        /// Why.
        failure: Failure,
    },
}

/// What a datagram was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing that was asked for here.
    NotOurs,
    /// Of a server, for us.
    Handled,
    /// A peer's datagram through a relay.
    Relayed {
        /// The relayed address that it came to.
        relay: SocketAddr,
        /// Who sent it.
        peer: SocketAddr,
        /// Where it lies in the datagram.
        place: Range<usize>,
    },
}

/// Binding requests from one base to one server, again and again.
#[derive(Debug)]
struct Reflexive {
    base: SocketAddr,
    server: SocketAddr,
    request: Option<Request<()>>,
    /// When to ask next, unless a request is under way.
    next: Instant,
    address: Option<SocketAddr>,
    /// Whether the first question was answered or given up.
    settled: bool,
}

/// The client of one component's socket.
#[derive(Debug, Default)]
pub struct Gatherer {
    reflexive: Vec<Reflexive>,
    relays: Vec<Relay>,
    software: bool,
    out: VecDeque<(SocketAddr, SocketAddr, Vec<u8>)>,
    gathered: VecDeque<Gathered>,
}

impl Gatherer {
    /// A client that asks nobody yet. `software`: whether messages name what wrote them.
    pub fn new(software: bool) -> Self {
        Gatherer { software, ..Gatherer::default() }
    }

    /// Whether there is nothing to do and nothing to look for in what arrives.
    pub fn is_empty(&self) -> bool {
        self.reflexive.is_empty() && self.relays.is_empty()
    }

    /// Asks `server` how it sees `base`, an address of the socket and of the server's family.
    pub fn ask_reflexive(&mut self, now: Instant, base: SocketAddr, server: SocketAddr) {
        let known = |r: &Reflexive| r.base == base && r.server == server;
        if base.is_ipv4() == server.is_ipv4() && self.reflexive.len() < MAX_BASES && !self.reflexive.iter().any(known) {
            self.reflexive.push(Reflexive { base, server, request: None, next: now, address: None, settled: false });
        }
    }

    /// Asks `server` for a relayed address. `base` is the socket's address, a wildcard if it is
    /// bound to one.
    pub fn ask_relay(&mut self, now: Instant, base: SocketAddr, server: SocketAddr, login: Arc<Login>) {
        if self.relays.len() < MAX_RELAYS && !self.relays.iter().any(|relay| relay.server == server) {
            self.relays.push(Relay::new(now, base, server, login, self.software));
        }
    }

    /// The servers that still owe an answer which may bring a candidate, each with the base that
    /// asks.
    pub fn waiting(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> + '_ {
        let reflexive = self.reflexive.iter().filter(|r| !r.settled).map(|r| (r.base, r.server));
        reflexive.chain(self.relays.iter().filter(|r| r.is_allocating()).map(|r| (r.base, r.server)))
    }

    /// The candidates there are now: what `Gathered` has told and has not been lost since.
    pub fn candidates(&self) -> impl Iterator<Item = Gathered> + '_ {
        let reflexive = self
            .reflexive
            .iter()
            .filter_map(|r| Some(Gathered::Reflexive { server: r.server, address: r.address?, base: r.base }));
        let relayed = self.relays.iter().filter_map(|relay| {
            let (address, mapped) = relay.addresses()?;
            Some(Gathered::Relayed { server: relay.server, address, mapped, base: relay.base })
        });
        reflexive.chain(relayed)
    }

    /// Takes a datagram that came to the socket from `remote`.
    pub fn handle_datagram(&mut self, now: Instant, remote: SocketAddr, datagram: &[u8]) -> Received {
        let of_relay = self.relays.iter().any(|relay| relay.server == remote);
        if !of_relay && !self.reflexive.iter().any(|r| r.server == remote) {
            return Received::NotOurs;
        }
        match datagram.first() {
            Some(0..=3) => {}
            Some(64..=79) if of_relay => {
                let found = self.relays.iter().find(|relay| relay.server == remote);
                return relayed(found, |relay| relay.channel_data(datagram));
            }
            _ => return Received::NotOurs,
        }
        let Some(message) = Message::parse(datagram) else {
            return Received::NotOurs;
        };
        match message.class() {
            // It may be the peer's as well as the server's.
            Class::Request => Received::NotOurs,
            Class::Indication if message.method() == message::DATA_INDICATION & !0x0110 => {
                let found = self.relays.iter().find(|relay| relay.server == remote);
                relayed(found, |relay| relay.data(&message))
            }
            Class::Indication => Received::NotOurs,
            Class::Success | Class::Error => self.handle_response(now, remote, &message),
        }
    }

    fn handle_response(&mut self, now: Instant, remote: SocketAddr, message: &Message<'_>) -> Received {
        for relay in self.relays.iter_mut().filter(|relay| relay.server == remote) {
            if let Some(outcome) = relay.handle_response(now, message) {
                self.gathered.extend(of_relay(relay, outcome));
                self.drain_relays();
                return Received::Handled;
            }
        }
        let asked = |r: &&mut Reflexive| r.server == remote && r.request.as_ref().is_some_and(|q| q.id == message.id);
        let Some(reflexive) = self.reflexive.iter_mut().find(asked) else {
            return Received::NotOurs;
        };
        if message.method() != message::BINDING_REQUEST {
            return Received::NotOurs;
        }
        reflexive.request = None;
        reflexive.settled = true;
        let (server, base) = (reflexive.server, reflexive.base);
        if message.class() == Class::Error {
            let (code, phrase) = message.error().unwrap_or((500, b""));
            reflexive.next = now + AGAIN;
            let failure = Failure::refused(code, phrase);
            self.gathered.push_back(Gathered::Failed { server, base, relay: false, failure });
            return Received::Handled;
        }
        match message.mapped_address().filter(|mapped| usable(*mapped) && mapped.is_ipv4() == base.is_ipv4()) {
            Some(address) => {
                reflexive.next = now + KEEPALIVE;
                if reflexive.address.replace(address) != Some(address) {
                    self.gathered.push_back(Gathered::Reflexive { server, address, base });
                }
            }
            None => {
                reflexive.next = now + AGAIN;
                self.gathered.push_back(Gathered::Failed { server, base, relay: false, failure: Failure::Malformed });
            }
        }
        Received::Handled
    }

    /// Sends a datagram to a peer from a relayed address. It gives the datagram back if `relay` is
    /// none of ours.
    pub fn send_relayed(&mut self, relay: SocketAddr, peer: SocketAddr, payload: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.relays.iter_mut().find(|known| known.address() == Some(relay)) {
            None => Err(payload),
            Some(known) => {
                known.send(peer, payload);
                self.drain_relays();
                Ok(())
            }
        }
    }

    /// Whether `address` is that of an allocation.
    pub fn is_relay(&self, address: SocketAddr) -> bool {
        self.relays.iter().any(|relay| relay.address() == Some(address))
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        for reflexive in &mut self.reflexive {
            if reflexive.request.is_none()
                && reflexive.next <= now
                && let Ok(id) = rand::bytes()
            {
                let message = Builder::new(message::BINDING_REQUEST, &id);
                let message = if self.software { message.attribute(attribute::SOFTWARE, SOFTWARE) } else { message };
                reflexive.request = Some(Request::new(now, id, (), message.finish()));
            }
            match reflexive.request.as_mut().map(|request| request.due(now)) {
                None | Some(Due::Nothing) => {}
                Some(Due::Send(message)) => {
                    self.out.push_back((reflexive.base, reflexive.server, message.to_vec()));
                }
                Some(Due::TimedOut) => {
                    reflexive.request = None;
                    reflexive.settled = true;
                    // The mapping may live on, but nobody knows.
                    reflexive.next = now + AGAIN;
                    let (server, base) = (reflexive.server, reflexive.base);
                    self.gathered.push_back(Gathered::Failed {
                        server,
                        base,
                        relay: false,
                        failure: Failure::NoAnswer,
                    });
                }
            }
        }
        for relay in &mut self.relays {
            let outcome = relay.handle_timeout(now);
            self.gathered.extend(of_relay(relay, outcome));
        }
        self.drain_relays();
    }

    /// When `handle_timeout` is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let reflexive = self.reflexive.iter().map(|r| r.request.as_ref().map_or(r.next, Request::next));
        reflexive.chain(self.relays.iter().filter_map(Relay::poll_timeout)).min()
    }

    /// The next datagram: from, to, bytes.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    /// The next thing that came of asking.
    pub fn poll_gathered(&mut self) -> Option<Gathered> {
        self.gathered.pop_front()
    }

    /// Gives allocations back and asks for nothing more.
    pub fn close(&mut self) {
        for relay in &mut self.relays {
            relay.close();
        }
        self.drain_relays();
        self.reflexive.clear();
        self.relays.clear();
    }

    fn drain_relays(&mut self) {
        for relay in &mut self.relays {
            while let Some(message) = relay.poll_transmit() {
                self.out.push_back((relay.base, relay.server, message));
            }
        }
    }
}

fn usable(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
}

fn relayed(found: Option<&Relay>, data: impl Fn(&Relay) -> Option<(SocketAddr, Range<usize>)>) -> Received {
    let read = |relay: &Relay| {
        let (peer, place) = data(relay)?;
        Some(Received::Relayed { relay: relay.address()?, peer, place })
    };
    found.and_then(read).unwrap_or(Received::NotOurs)
}

fn of_relay(relay: &Relay, outcome: Outcome) -> Option<Gathered> {
    let (server, base) = (relay.server, relay.base);
    match outcome {
        Outcome::Nothing => None,
        Outcome::Answered => Some(Gathered::Answered { server, base }),
        Outcome::Allocated(address, mapped) => Some(Gathered::Relayed { server, address, mapped, base }),
        Outcome::Failed(failure) => Some(Gathered::Failed { server, base, relay: true, failure }),
    }
}

#[cfg(test)]
mod tests;
