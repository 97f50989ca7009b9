//! Crypto attributes of SDP: chan_pjsip takes no encrypted stream unless somebody makes them.

use crate::host::sdp_crypto::SdpCrypto;

/// Our side of one `a=crypto` line.
pub struct Sdes;

impl SdpCrypto for Sdes {
    fn new() -> Option<Self> {
        Some(Self)
    }
}
