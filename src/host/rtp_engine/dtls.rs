//! DTLS configuration and attributes as Asterisk passes them.

/// RFC 4145 `a=setup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsSetup {
    Active,
    Passive,
    Actpass,
    Holdconn,
}

/// RFC 4145 `a=connection`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsConnection {
    New,
    Existing,
}

/// The hash of an `a=fingerprint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha1,
}

/// What of the peer's certificate is checked, by configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verify {
    pub fingerprint: bool,
    pub certificate: bool,
}

/// `struct ast_rtp_dtls_cfg`: a peer's or an endpoint's `dtls…` options. Empty strings are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsConfig {
    pub enabled: bool,
    /// Seconds between rekeyings, 0 for none.
    pub rekey: u32,
    pub default_setup: DtlsSetup,
    /// The SRTP suite that SDP or configuration asked for, when it is one we know.
    pub suite: Option<Suite>,
    pub hash: Hash,
    pub verify: Verify,
    pub certfile: Option<String>,
    pub pvtfile: Option<String>,
    pub cipher: Option<String>,
    pub cafile: Option<String>,
    pub capath: Option<String>,
    /// `dtls_auto_generate_cert` (16 and later).
    pub ephemeral_cert: bool,
}

pub use crate::host::srtp::Suite;
