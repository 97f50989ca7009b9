//! What the ICE agent needs of cryptography, from OpenSSL.

use crate::host::openssl::hmac::HmacSha1;

/// MESSAGE-INTEGRITY (RFC 8489 section 14.5) for the crate `is`.
#[derive(Debug)]
pub struct OpenSslSha1Hmac;

impl is::Sha1HmacProvider for OpenSslSha1Hmac {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        HmacSha1::new(key).sign(payloads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use is::Sha1HmacProvider;

    // RFC 2202 section 3, case 2, in two pieces.
    #[test]
    fn signs_the_concatenation() {
        let code = OpenSslSha1Hmac.sha1_hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(code[..4], [0xef, 0xfc, 0xdf, 0x6a]);
    }
}
