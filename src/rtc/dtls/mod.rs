//! DTLS-SRTP (RFC 5763, 5764): an association that agrees on SRTP keys, without I/O.
//!
//! An [`Identity`] is what we show, a [`Fingerprint`] what the peer must show, a [`Context`] what
//! the associations of one configuration share, an [`Endpoint`] one association.

mod endpoint;
mod fingerprint;
mod identity;
mod settings;
mod setup;

pub use crate::host::openssl::dtls::{Role, Version};
pub use crate::host::openssl::x509::{Hash, LoadError, PemError};
pub use endpoint::{Connected, Discard, Endpoint, Event, Failure, KeyingMaterial};
pub use fingerprint::{Fingerprint, ParseError};
pub use identity::Identity;
pub use settings::{Config, Context, DEFAULT_CIPHERS, Verify};
pub use setup::Setup;
