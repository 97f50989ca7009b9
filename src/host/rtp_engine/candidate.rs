//! ICE candidates as Asterisk passes them.

use std::net::SocketAddr;

/// RFC 8445 component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Rtp,
    Rtcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceRole {
    Controlled,
    Controlling,
}

/// How an address was found. Peer-reflexive candidates are never signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateType {
    Host,
    ServerReflexive,
    Relayed,
}

/// One line `a=candidate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub foundation: String,
    pub component: Component,
    /// `"UDP"`, or what the peer's line said.
    pub transport: String,
    pub priority: u32,
    pub address: SocketAddr,
    /// `raddr`/`rport`. Asterisk's parsers take other attributes for one (`generation 0`), so it
    /// means nothing on a host candidate.
    pub related_address: Option<SocketAddr>,
    pub kind: CandidateType,
}
