//! Asterisk's RTP engine interface, both ways: [`Engine`] is registered with the core and turns its
//! calls into calls of safe traits; [`Instance`] turns ours into calls of the core.

mod candidate;
mod dtls;
mod entries;
mod ice;
mod instance;
mod report;
mod slot;
mod stats;
mod table;
mod traits;
mod types;

pub use candidate::{Candidate, CandidateType, Component, IceRole};
pub use dtls::{DtlsConfig, DtlsConnection, DtlsSetup, Hash, Verify};
pub use instance::Instance;
pub use report::{Publisher, Report, ReportBlock, ReportDirection, SenderInfo};
pub use table::Engine;
pub use traits::{RtpEngine, RtpEngineDtls, RtpEngineIce};
pub use types::{DtmfMode, Extension, Hangup, Payload, Property, PropertyName, RtcpMode, Spread, Stats, TurnServer};
