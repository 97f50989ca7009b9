//! A TURN allocation and what is sent through it (RFC 8656).
//!
//! ```text
//! Allocate ─▶ 401 realm, nonce ─▶ Allocate, signed ─▶ relayed address
//!   datagram to a peer ─▶ CreatePermission, held meanwhile ─▶ Send indication
//!   media to a peer    ─▶ ChannelBind ─▶ ChannelData, four bytes more than the datagram
//!   Refresh, CreatePermission and ChannelBind again before they expire; Refresh 0 at the end
//! ```
//!
//! Success responses to what we signed count only with the right MESSAGE-INTEGRITY. Error responses
//! may lack it, as those that ask for credentials must; a wrong one is not believed.
//!
//! The username's password algorithm is MD5 with SHA-1 integrity, which every server of RFC 5389
//! and later takes; the newer ones are for servers to offer, not to demand.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{self, Builder, Class, Id, Message, attribute};
use super::request::{Due, Request};
use super::{Failure, SOFTWARE};
use crate::host::openssl::{Secret, digest, rand};

/// What we ask for, and what servers grant by default (RFC 8656 §3.2).
const LIFETIME: Duration = Duration::from_secs(600);
/// Permissions last 300 s, channels 600 s; both are renewed together with time to spare.
const RENEW: Duration = Duration::from_secs(240);
/// A peer that nothing was sent to for so long is not renewed.
const UNUSED: Duration = Duration::from_secs(300);
/// A permission that was refused is asked for again after this.
const REFUSED: Duration = Duration::from_secs(30);
/// Peers of one allocation.
const MAX_PEERS: usize = 64;
/// Datagrams that wait for a permission. ICE sends again what is lost.
const MAX_HELD: usize = 16;
/// How often a request is sent anew because of 401 or 438.
const MAX_CHALLENGES: u8 = 3;
/// Channel numbers (RFC 8656 §12).
const CHANNELS: Range<u16> = 0x4000..0x5000;

/// Username and password at a TURN server.
#[derive(Clone)]
pub struct Login {
    pub username: String,
    pub password: Secret,
}

impl Login {
    pub fn new(username: &str, password: &str) -> Self {
        Login { username: username.to_owned(), password: Secret::new(password.as_bytes()) }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.username == other.username && self.password[..] == other.password[..]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Allocate,
    Refresh,
    Permission(IpAddr),
    Channel(SocketAddr, u16),
}

/// What a request is for, whether it was signed, and how often it was challenged before.
#[derive(Clone, Copy, Debug)]
struct Asked {
    purpose: Purpose,
    signed: bool,
    challenges: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    /// To be asked for as soon as time passes.
    Wanted,
    Asked,
    /// Until it is to be renewed.
    Granted(Instant),
    Refused(Instant),
}

/// What the server lets us send to one peer address.
#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    permission: Grant,
    /// Number and state, once media was sent.
    channel: Option<(u16, Grant)>,
    used: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Allocating,
    /// The relayed and the mapped address, and when the allocation is to be refreshed.
    Allocated(SocketAddr, SocketAddr, Instant),
    Ended,
}

/// What became of a request or a datagram, for the gatherer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    /// The allocation is there: relayed and mapped address.
    Allocated(SocketAddr, SocketAddr),
    /// The server wants credentials: it is there.
    Answered,
    Failed(Failure),
}

/// An allocation, made or in the making.
#[derive(Debug)]
pub(super) struct Relay {
    /// What is sent from; the kernel chooses the address if it is a wildcard.
    pub base: SocketAddr,
    pub server: SocketAddr,
    login: Arc<Login>,
    software: bool,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: Option<Secret>,
    state: State,
    requests: Vec<Request<Asked>>,
    peers: Vec<Peer>,
    next_channel: u16,
    held: VecDeque<(SocketAddr, Vec<u8>)>,
    out: VecDeque<Vec<u8>>,
    /// The latest time that the caller has told.
    latest: Instant,
}

impl Relay {
    pub fn new(now: Instant, base: SocketAddr, server: SocketAddr, login: Arc<Login>, software: bool) -> Self {
        let mut relay = Relay {
            base,
            server,
            login,
            software,
            realm: Vec::new(),
            nonce: Vec::new(),
            key: None,
            state: State::Allocating,
            requests: Vec::new(),
            peers: Vec::new(),
            next_channel: CHANNELS.start,
            held: VecDeque::new(),
            out: VecDeque::new(),
            latest: now,
        };
        relay.request(now, Purpose::Allocate, 0);
        relay
    }

    /// The relayed address, while there is an allocation.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated(address, ..) => Some(address),
            _ => None,
        }
    }

    /// The relayed and the mapped address, while there is an allocation.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self.state {
            State::Allocated(address, mapped, _) => Some((address, mapped)),
            _ => None,
        }
    }

    pub fn is_allocating(&self) -> bool {
        self.state == State::Allocating
    }

    fn request(&mut self, now: Instant, purpose: Purpose, challenges: u8) {
        // Without random numbers nothing is asked for, and the caller's time-out ends it.
        let Ok(id) = rand::bytes() else { return };
        let message = self.message(&id, purpose);
        let asked = Asked { purpose, signed: self.key.is_some(), challenges };
        self.requests.push(Request::new(now, id, asked, message));
    }

    fn message(&self, id: &Id, purpose: Purpose) -> Vec<u8> {
        let lifetime = (LIFETIME.as_secs() as u32).to_be_bytes();
        let message = match purpose {
            Purpose::Allocate => {
                let message = Builder::new(message::ALLOCATE_REQUEST, id);
                // 17 is UDP.
                let message = message.attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
                let message = message.attribute(attribute::LIFETIME, &lifetime);
                if self.software { message.attribute(attribute::SOFTWARE, SOFTWARE) } else { message }
            }
            Purpose::Refresh => Builder::new(message::REFRESH_REQUEST, id).attribute(attribute::LIFETIME, &lifetime),
            Purpose::Permission(ip) => Builder::new(message::CREATE_PERMISSION_REQUEST, id).xor_address(
                attribute::XOR_PEER_ADDRESS,
                SocketAddr::new(ip, 0),
                id,
            ),
            Purpose::Channel(peer, number) => {
                let [high, low] = number.to_be_bytes();
                Builder::new(message::CHANNEL_BIND_REQUEST, id)
                    .attribute(attribute::CHANNEL_NUMBER, &[high, low, 0, 0])
                    .xor_address(attribute::XOR_PEER_ADDRESS, peer, id)
            }
        };
        self.sign(message)
    }

    fn sign(&self, message: Builder) -> Vec<u8> {
        match &self.key {
            None => message.finish(),
            Some(key) => message
                .attribute(attribute::USERNAME, self.login.username.as_bytes())
                .attribute(attribute::REALM, &self.realm)
                .attribute(attribute::NONCE, &self.nonce)
                .sign(key),
        }
    }

    /// Gives the allocation back. What `poll_transmit` gives afterwards is the last.
    pub fn close(&mut self) {
        if self.address().is_some()
            && let Ok(id) = rand::bytes()
        {
            let message = Builder::new(message::REFRESH_REQUEST, &id).attribute(attribute::LIFETIME, &[0; 4]);
            self.out.push_back(self.sign(message));
        }
        self.end();
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.requests.clear();
        self.peers.clear();
        self.held.clear();
    }

    /// Takes a message from the server that is not a datagram of a peer's. `None`: it is not for
    /// this allocation.
    pub fn handle_response(&mut self, now: Instant, message: &Message<'_>) -> Option<Outcome> {
        self.latest = now;
        let at = self.requests.iter().position(|request| request.id == message.id)?;
        let request = self.requests.get(at)?;
        let asked = request.purpose;
        let method = match asked.purpose {
            Purpose::Allocate => message::ALLOCATE_REQUEST,
            Purpose::Refresh => message::REFRESH_REQUEST,
            Purpose::Permission(_) => message::CREATE_PERMISSION_REQUEST,
            Purpose::Channel(..) => message::CHANNEL_BIND_REQUEST,
        };
        if message.method() != method {
            return None;
        }
        let integrity = self.key.as_ref().and_then(|key| message.integrity(key));
        match message.class() {
            // One that is not authentic is no response: the right one may follow.
            Class::Success if asked.signed && integrity != Some(true) => None,
            Class::Success => {
                self.requests.swap_remove(at);
                Some(self.granted(now, asked.purpose, message))
            }
            Class::Error if asked.signed && integrity == Some(false) => None,
            Class::Error => {
                self.requests.swap_remove(at);
                Some(self.refused(now, asked, message))
            }
            _ => None,
        }
    }

    fn granted(&mut self, now: Instant, purpose: Purpose, message: &Message<'_>) -> Outcome {
        let lifetime = message.u32(attribute::LIFETIME).map_or(LIFETIME, |s| Duration::from_secs(u64::from(s)));
        // A minute early, or half-way for a server that grants little.
        let refresh = now + lifetime.saturating_sub(Duration::from_secs(60)).max(lifetime / 2);
        match purpose {
            Purpose::Allocate => {
                let relayed = message.xor_address(attribute::XOR_RELAYED_ADDRESS);
                let mapped = message.xor_address(attribute::XOR_MAPPED_ADDRESS);
                let (Some(relayed), Some(mapped)) = (relayed, mapped) else {
                    self.end();
                    return Outcome::Failed(Failure::Malformed);
                };
                self.state = State::Allocated(relayed, mapped, refresh);
                Outcome::Allocated(relayed, mapped)
            }
            Purpose::Refresh => {
                if let State::Allocated(.., at) = &mut self.state {
                    *at = refresh;
                }
                Outcome::Nothing
            }
            Purpose::Permission(ip) => {
                self.set_permission(ip, Grant::Granted(now + RENEW));
                self.release(ip);
                Outcome::Nothing
            }
            Purpose::Channel(peer, number) => {
                // Binding a channel makes the permission too.
                self.set_permission(peer.ip(), Grant::Granted(now + RENEW));
                if let Some(peer) = self.peers.iter_mut().find(|p| p.address == peer) {
                    peer.channel = Some((number, Grant::Granted(now + RENEW)));
                }
                Outcome::Nothing
            }
        }
    }

    fn set_permission(&mut self, ip: IpAddr, grant: Grant) {
        for peer in self.peers.iter_mut().filter(|peer| peer.address.ip() == ip) {
            peer.permission = grant;
        }
    }

    fn release(&mut self, ip: IpAddr) {
        for (peer, payload) in std::mem::take(&mut self.held) {
            if peer.ip() == ip {
                if let Some(message) = indication(peer, &payload) {
                    self.out.push_back(message);
                }
            } else {
                self.held.push_back((peer, payload));
            }
        }
    }

    fn refused(&mut self, now: Instant, asked: Asked, message: &Message<'_>) -> Outcome {
        let Asked { purpose, signed, challenges } = asked;
        let (code, phrase) = message.error().unwrap_or((500, b""));
        match code {
            401 | 438 if challenges < MAX_CHALLENGES && !(code == 401 && signed) => match self.challenged(message) {
                Ok(()) => {
                    self.request(now, purpose, challenges + 1);
                    Outcome::Answered
                }
                Err(failure) => {
                    self.end();
                    Outcome::Failed(failure)
                }
            },
            _ => match purpose {
                Purpose::Allocate => {
                    self.end();
                    Outcome::Failed(Failure::refused(code, phrase))
                }
                Purpose::Refresh => {
                    self.end();
                    Outcome::Failed(Failure::Lost)
                }
                Purpose::Permission(ip) => {
                    self.set_permission(ip, Grant::Refused(now + REFUSED));
                    self.held.retain(|(peer, _)| peer.ip() != ip);
                    Outcome::Nothing
                }
                // Send indications serve without a channel.
                Purpose::Channel(address, number) => {
                    if let Some(peer) = self.peers.iter_mut().find(|p| p.address == address) {
                        peer.channel = Some((number, Grant::Refused(now + REFUSED)));
                    }
                    Outcome::Nothing
                }
            },
        }
    }

    /// Takes realm and nonce of a 401 or 438 and makes the key (RFC 8489 §9.2.2).
    fn challenged(&mut self, message: &Message<'_>) -> Result<(), Failure> {
        let nonce = message.attribute(attribute::NONCE).ok_or(Failure::Malformed)?;
        if let Some(realm) = message.attribute(attribute::REALM) {
            self.realm = realm.to_vec();
        }
        // RFC 8489 §14.9, §14.10: less than 128 characters, in UTF-8 at most 763 bytes.
        if nonce.len() > 763 || self.realm.is_empty() || self.realm.len() > 763 {
            return Err(Failure::Malformed);
        }
        self.nonce = nonce.to_vec();
        let username = self.login.username.as_bytes();
        let key = digest::md5(&[username, b":", &self.realm, b":", &self.login.password]);
        self.key = Some(Secret::new(&key.map_err(|_| Failure::NoMd5)?));
        Ok(())
    }

    /// The peer and the place of its datagram in a Data indication.
    pub fn data(&self, message: &Message<'_>) -> Option<(SocketAddr, Range<usize>)> {
        self.address()?;
        Some((message.xor_address(attribute::XOR_PEER_ADDRESS)?, message.data()?))
    }

    /// The same for a ChannelData message, which may be padded (RFC 8656 §12.5).
    pub fn channel_data(&self, datagram: &[u8]) -> Option<(SocketAddr, Range<usize>)> {
        self.address()?;
        let [a, b, c, d] = *datagram.first_chunk::<4>()?;
        let (number, length) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        let bound = |peer: &&Peer| matches!(peer.channel, Some((found, _)) if found == number);
        let peer = self.peers.iter().find(bound)?.address;
        (datagram.len() >= 4 + length).then_some((peer, 4..4 + length))
    }

    /// Wraps a datagram for `peer`, or keeps it until there is a permission.
    pub fn send(&mut self, peer: SocketAddr, mut payload: Vec<u8>) {
        let latest = self.latest;
        if self.address().is_none() || payload.len() > usize::from(u16::MAX) {
            return;
        }
        // Everything but connectivity checks is worth a channel.
        let media = payload.first().is_some_and(|first| *first > 3);
        let at = match self.peers.iter().position(|p| p.address == peer) {
            Some(at) => at,
            None if self.peers.len() >= MAX_PEERS => return,
            None => {
                // A permission is for an address with all its ports.
                let known = self.peers.iter().find(|p| p.address.ip() == peer.ip()).map(|p| p.permission);
                let permission = known.unwrap_or(Grant::Wanted);
                self.peers.push(Peer { address: peer, permission, channel: None, used: latest });
                self.peers.len() - 1
            }
        };
        let number = self.next_channel;
        let Some(known) = self.peers.get_mut(at) else { return };
        known.used = latest;
        match (known.permission, known.channel) {
            (Grant::Granted(_), Some((number, Grant::Granted(_)))) => {
                let [a, b] = number.to_be_bytes();
                let [c, d] = (payload.len() as u16).to_be_bytes();
                payload.splice(..0, [a, b, c, d]);
                self.out.push_back(payload);
            }
            (Grant::Granted(_), channel) => {
                if media && channel.is_none() && CHANNELS.contains(&number) {
                    known.channel = Some((number, Grant::Wanted));
                    self.next_channel += 1;
                }
                self.out.extend(indication(peer, &payload));
            }
            (Grant::Wanted | Grant::Asked, _) => {
                if self.held.len() >= MAX_HELD {
                    self.held.pop_front();
                }
                self.held.push_back((peer, payload));
            }
            (Grant::Refused(_), _) => {}
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) -> Outcome {
        self.latest = now;
        if let State::Allocated(.., at) = &mut self.state {
            if *at <= now {
                *at = now + LIFETIME;
                self.request(now, Purpose::Refresh, 0);
            }
            self.renew(now);
        }
        let mut failed = None;
        let out = &mut self.out;
        self.requests.retain_mut(|request| match request.due(now) {
            Due::Nothing => true,
            Due::Send(message) => {
                out.push_back(message.to_vec());
                true
            }
            Due::TimedOut => {
                failed = failed.or(Some(request.purpose.purpose));
                false
            }
        });
        match failed {
            None => Outcome::Nothing,
            Some(Purpose::Allocate) => {
                self.end();
                Outcome::Failed(Failure::NoAnswer)
            }
            Some(_) => {
                self.end();
                Outcome::Failed(Failure::Lost)
            }
        }
    }

    fn renew(&mut self, now: Instant) {
        self.peers.retain(|peer| now.saturating_duration_since(peer.used) < UNUSED);
        let mut wanted = Vec::new();
        let due = |grant: Grant| match grant {
            Grant::Wanted => true,
            Grant::Granted(at) | Grant::Refused(at) => at <= now,
            Grant::Asked => false,
        };
        for peer in &mut self.peers {
            if due(peer.permission) {
                // While it is renewed it is still good; before the first answer it is not.
                peer.permission = match peer.permission {
                    Grant::Granted(_) => Grant::Granted(now + RENEW),
                    _ => Grant::Asked,
                };
                let purpose = Purpose::Permission(peer.address.ip());
                if !wanted.contains(&purpose) {
                    wanted.push(purpose);
                }
            }
            if let Some((number, grant)) = &mut peer.channel
                && due(*grant)
            {
                *grant = match *grant {
                    Grant::Granted(_) => Grant::Granted(now + RENEW),
                    _ => Grant::Asked,
                };
                wanted.push(Purpose::Channel(peer.address, *number));
            }
        }
        for purpose in wanted {
            self.request(now, purpose, 0);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let refresh = match self.state {
            State::Allocated(.., at) => Some(at),
            _ => None,
        };
        let grants = self.peers.iter().flat_map(|peer| [Some(peer.permission), peer.channel.map(|(_, grant)| grant)]);
        let grants = grants.flatten().filter_map(|grant| match grant {
            Grant::Wanted => Some(self.latest),
            Grant::Asked => None,
            Grant::Granted(at) | Grant::Refused(at) => Some(at),
        });
        self.requests.iter().map(Request::next).chain(refresh).chain(grants).min()
    }

    /// The next message for the server.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }
}

/// A Send indication. It has no response, and nothing of it is authenticated (RFC 8656 §11.1).
fn indication(peer: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let id = rand::bytes().ok()?;
    let message = Builder::new(message::SEND_INDICATION, &id)
        .xor_address(attribute::XOR_PEER_ADDRESS, peer, &id)
        .attribute(attribute::DATA, payload);
    Some(message.finish())
}

#[cfg(test)]
impl Relay {
    pub fn is_bounded(&self) -> bool {
        self.peers.len() <= MAX_PEERS && self.held.len() <= MAX_HELD && self.requests.len() <= 3 * MAX_PEERS
    }
}
