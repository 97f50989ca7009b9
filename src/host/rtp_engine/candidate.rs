//! ICE candidates as Asterisk passes them.

use std::ffi::CString;
use std::net::SocketAddr;

use crate::host::ao2::Ao2;
use crate::host::{slice, sockaddr, sys};

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
    /// At most 2³¹ − 1, as RFC 8445 §5.1.2 has it: chan_sip prints an int.
    pub priority: u32,
    pub address: SocketAddr,
    /// `raddr`/`rport`. Asterisk's parsers take other attributes for one (`generation 0`), so it
    /// means nothing on a host candidate.
    pub related_address: Option<SocketAddr>,
    pub kind: CandidateType,
}

impl Component {
    pub(super) fn from_c(component: sys::ast_rtp_ice_component_type) -> Self {
        match component {
            sys::ast_rtp_ice_component_type_AST_RTP_ICE_COMPONENT_RTCP => Self::Rtcp,
            _ => Self::Rtp,
        }
    }

    fn to_c(self) -> sys::ast_rtp_ice_component_type {
        match self {
            Self::Rtp => sys::ast_rtp_ice_component_type_AST_RTP_ICE_COMPONENT_RTP,
            Self::Rtcp => sys::ast_rtp_ice_component_type_AST_RTP_ICE_COMPONENT_RTCP,
        }
    }
}

impl CandidateType {
    fn from_c(kind: sys::ast_rtp_ice_candidate_type) -> Self {
        match kind {
            sys::ast_rtp_ice_candidate_type_AST_RTP_ICE_CANDIDATE_TYPE_SRFLX => Self::ServerReflexive,
            sys::ast_rtp_ice_candidate_type_AST_RTP_ICE_CANDIDATE_TYPE_RELAYED => Self::Relayed,
            _ => Self::Host,
        }
    }

    fn to_c(self) -> sys::ast_rtp_ice_candidate_type {
        match self {
            Self::Host => sys::ast_rtp_ice_candidate_type_AST_RTP_ICE_CANDIDATE_TYPE_HOST,
            Self::ServerReflexive => sys::ast_rtp_ice_candidate_type_AST_RTP_ICE_CANDIDATE_TYPE_SRFLX,
            Self::Relayed => sys::ast_rtp_ice_candidate_type_AST_RTP_ICE_CANDIDATE_TYPE_RELAYED,
        }
    }
}

/// Reads a candidate of the peer's. `None` when it has no address.
///
/// # Safety
/// `raw` is null or a candidate whose strings are null or NUL-terminated, alive during the call.
pub(super) unsafe fn from_c(raw: *const sys::ast_rtp_engine_ice_candidate) -> Option<Candidate> {
    // SAFETY: the caller's word, here and for the strings.
    let raw = unsafe { raw.as_ref() }?;
    // SAFETY: as above.
    let (foundation, transport) = unsafe { (slice::string(raw.foundation), slice::string(raw.transport)) };
    Some(Candidate {
        foundation: foundation.unwrap_or_default(),
        component: Component::from_c(raw.id),
        transport: transport.unwrap_or_default(),
        priority: raw.priority.cast_unsigned(),
        address: sockaddr::from_c(&raw.address)?,
        related_address: sockaddr::from_c(&raw.relay_address),
        kind: CandidateType::from_c(raw.type_),
    })
}

/// A candidate of ours as C reads it, and the strings it points to.
#[repr(C)]
struct Object {
    raw: sys::ast_rtp_engine_ice_candidate,
    foundation: CString,
    transport: CString,
}

// SAFETY: the pointers lead to the object's own strings, and nothing changes after construction.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Object {
    fn new(candidate: Candidate) -> Option<Self> {
        let foundation = CString::new(candidate.foundation).ok()?;
        let transport = CString::new(candidate.transport).ok()?;
        let raw = sys::ast_rtp_engine_ice_candidate {
            // The strings' memory stays where it is when the object moves.
            foundation: foundation.as_ptr().cast_mut(),
            id: candidate.component.to_c(),
            transport: transport.as_ptr().cast_mut(),
            priority: candidate.priority.cast_signed(),
            address: sockaddr::to_c(Some(candidate.address)),
            relay_address: sockaddr::to_c(candidate.related_address),
            type_: candidate.kind.to_c(),
        };
        Some(Self { raw, foundation, transport })
    }
}

/// A container of candidates for C, with one reference for the caller; null without memory.
pub(super) fn container(candidates: Vec<Candidate>) -> *mut sys::ao2_container {
    // SAFETY: allocates a container.
    let container = unsafe { sys::rw_ao2_list_alloc() };
    if container.is_null() {
        return container;
    }
    for object in candidates.into_iter().filter_map(Object::new).filter_map(Ao2::new) {
        // SAFETY: a live container and a live object; the container takes its own reference. What
        // C sees of the object is its first field, which `repr(C)` puts first.
        unsafe { sys::rw_ao2_link(container, object.as_ptr().cast()) };
    }
    container
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_survives_the_way_to_c_and_back() {
        let candidate = Candidate {
            foundation: "Hc0a80001".into(),
            component: Component::Rtcp,
            transport: "UDP".into(),
            priority: 2_130_706_431,
            address: "192.0.2.1:5005".parse().unwrap(),
            related_address: Some("[2001:db8::1]:9".parse().unwrap()),
            kind: CandidateType::ServerReflexive,
        };
        let object = Object::new(candidate.clone()).unwrap();
        let moved = Box::new(object);
        // SAFETY: the object owns what its first field points to.
        assert_eq!(unsafe { from_c(&moved.raw) }, Some(candidate));
    }

    #[test]
    fn a_candidate_without_an_address_is_none() {
        // SAFETY: all-zero is a candidate with null strings and null addresses.
        let raw: sys::ast_rtp_engine_ice_candidate = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        assert_eq!(unsafe { from_c(&raw) }, None);
    }
}
