//! Keys for SRTP that signalling carries: `a=crypto` in SDP (RFC 4568, suites of RFC 6188 and
//! RFC 7714). Not RTCP's source description, whose acronym it shares.
//!
//! [`Attribute`] is one line, [`Line`] our side of one through offers and answers. Each end names
//! the key that it sends with. Keys are wiped when they go; texts that hold them are the caller's.
//!
//! Invariants: a key that came into use is never used with another suite, and the same key again
//! changes nothing, so that the contexts made of it, with their rollover counters, go on.

mod attribute;
mod base64;
mod line;

pub use attribute::{Attribute, Refusal, Suite, TAG_MAX};
pub use line::{Change, Keys, Line};
