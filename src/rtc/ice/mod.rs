//! Interactive Connectivity Establishment (RFC 8445), one agent per component.
//!
//! The protocol machine is the crate `is`; this folder hides it behind a type of our own, which
//! adds what it leaves to its user: credentials and tie-breaker from a cryptographic generator,
//! SDP foundations and priorities, a bound on what an authenticated peer can make us remember, a
//! rate limit before any HMAC is computed, the states `Failed` and consent expiry (RFC 7675), and
//! the list of source addresses that ICE has validated.
//!
//! Invariant: a STUN message whose MESSAGE-INTEGRITY does not verify changes nothing but a counter.

mod agent;
mod credentials;
mod rate;

use std::fmt;
use std::net::SocketAddr;

pub use agent::{Agent, AgentEvent};
pub use credentials::Credentials;

/// A component of a data stream: RTP is 1, RTCP is 2 (RFC 8445 §4). With rtcp-mux there is only
/// component 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// RTP, and RTCP when it is multiplexed.
    Rtp = 1,
    /// RTCP on its own port.
    Rtcp = 2,
}

impl Component {
    /// The component ID as SDP writes it.
    pub fn id(self) -> u8 {
        self as u8
    }
}

/// The role in nominating a pair (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nominates the pair to use. The offerer, unless the peer is lite.
    Controlling,
    /// Uses the pair that the peer nominates.
    Controlled,
}

/// The type of a candidate (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of this host.
    Host,
    /// An address that a STUN server saw.
    ServerReflexive,
    /// An address that a peer saw.
    PeerReflexive,
    /// An address of a TURN server.
    Relayed,
}

impl CandidateKind {
    /// The word after `typ` in SDP.
    pub fn as_str(self) -> &'static str {
        match self {
            CandidateKind::Host => "host",
            CandidateKind::ServerReflexive => "srflx",
            CandidateKind::PeerReflexive => "prflx",
            CandidateKind::Relayed => "relay",
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A local candidate as it is written in SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// The component it serves.
    pub component: Component,
    /// At most 9 characters; the same for candidates of one kind, base address and server.
    pub foundation: String,
    /// RFC 8445 §5.1.2.1.
    pub priority: u32,
    /// The candidate's transport address.
    pub address: SocketAddr,
    /// What to write as `raddr`/`rport`: the base of a reflexive candidate, the mapped address of
    /// a relayed one, nothing for a host candidate.
    pub related: Option<SocketAddr>,
    /// The candidate's type.
    pub kind: CandidateKind,
}

/// A remote candidate as SDP gave it. Only UDP candidates with a numeric address are to be made
/// into one; the others (mDNS names, TCP) are of no use here and the peer is found through
/// peer-reflexive candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCandidate {
    /// The component it serves.
    pub component: Component,
    /// 1 to 32 characters.
    pub foundation: String,
    /// 1 to 2^31 - 1.
    pub priority: u32,
    /// The candidate's transport address.
    pub address: SocketAddr,
    /// The candidate's type.
    pub kind: CandidateKind,
}

/// How far an agent, or a session of one or two, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceState {
    /// `start` has not been called yet.
    New,
    /// Checks are under way; no pair is nominated.
    Checking,
    /// A valid pair is nominated.
    Connected,
    /// No pair was nominated in time, which a late nomination or another `start` mends; or consent
    /// expired, which only a restart mends.
    Failed,
}

/// Why ICE failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceFailure {
    /// No pair was nominated within the time allowed.
    NoPair,
    /// Nothing authenticated was heard from the peer for 30 s (RFC 7675 §5.1).
    ConsentExpired,
}

impl IceFailure {
    /// A short phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            IceFailure::NoPair => "no candidate pair was nominated in time",
            IceFailure::ConsentExpired => "consent expired",
        }
    }
}

#[cfg(test)]
mod tests;
