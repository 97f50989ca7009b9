//! SRTP and SRTCP (RFC 3711, 6188, 7714).
//!
//! A [`Context`] is one direction's master key with everything derived from it. It works in
//! place on caller's buffers and allocates only when an SSRC is new. What the network sends badly
//! comes back as a [`Discard`]; nothing here fails in another way.

mod cipher;
mod context;
mod kdf;
mod profile;
mod replay;
mod stream;

pub use context::{Context, KeyError, MAX_OVERHEAD};
pub use profile::Profile;

use std::fmt;

/// Why a packet goes no further. Counted by the caller, never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Not RTP or RTCP: too short, another version, lengths that point outside.
    Malformed,
    /// This packet was received before.
    Replayed,
    /// So old that it cannot be known whether it was received before.
    TooOld,
    /// Changed on its way, or protected with another key.
    NotAuthentic,
    /// More sources under one key than a session has use for.
    TooManySources,
    /// A source has used up the indices that its key allows (RFC 3711 section 9.2).
    KeyExhausted,
    /// The buffer has no room for the tag.
    NoRoom,
    /// The crypto library refused; the process is out of memory, or the algorithm is disabled.
    Library,
}

impl Discard {
    /// Each of them, for tables of counters.
    pub const ALL: [Discard; 8] = [
        Discard::Malformed,
        Discard::Replayed,
        Discard::TooOld,
        Discard::NotAuthentic,
        Discard::TooManySources,
        Discard::KeyExhausted,
        Discard::NoRoom,
        Discard::Library,
    ];
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Discard::Malformed => "malformed",
            Discard::Replayed => "replayed",
            Discard::TooOld => "too old",
            Discard::NotAuthentic => "not authentic",
            Discard::TooManySources => "too many sources",
            Discard::KeyExhausted => "key exhausted",
            Discard::NoRoom => "no room for the tag",
            Discard::Library => "refused by the crypto library",
        })
    }
}

impl std::error::Error for Discard {}

#[cfg(test)]
mod tests;
