//! HMAC-SHA1 (RFC 2104) with the key's two blocks hashed once.
//!
//! It is computed over the library's low-level SHA-1, whose state is a plain struct: a packet
//! costs two copies of that struct instead of a trip through the provider layer, which is a
//! quarter of the whole cost of an AES_CM_128_HMAC_SHA1_80 packet on OpenSSL 3.0
//! (`benches/srtp.rs`). The functions are marked deprecated since 3.0 and present in every
//! release.

use std::mem::MaybeUninit;

use openssl_sys::{SHA_CTX, SHA1_Final, SHA1_Init, SHA1_Update};

use super::{digest, secret};

const BLOCK: usize = 64;

/// The length of an HMAC-SHA1.
pub const LENGTH: usize = 20;

/// A key, ready for any number of messages.
#[derive(Clone)]
pub struct HmacSha1 {
    inner: SHA_CTX,
    outer: SHA_CTX,
}

impl HmacSha1 {
    /// Prepares `key`, of any length.
    pub fn new(key: &[u8]) -> HmacSha1 {
        let mut block = [0u8; BLOCK];
        let hashed;
        let key = if key.len() > BLOCK {
            hashed = digest::sha1(key);
            &hashed[..]
        } else {
            key
        };
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        for byte in &mut block {
            *byte ^= 0x36;
        }
        let inner = started(&block);
        for byte in &mut block {
            *byte ^= 0x36 ^ 0x5c;
        }
        let outer = started(&block);
        secret::cleanse(&mut block);
        HmacSha1 { inner, outer }
    }

    /// The code of the concatenation of `parts`.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; LENGTH] {
        let mut inner = self.inner.clone();
        for part in parts {
            update(&mut inner, part);
        }
        let mut outer = self.outer.clone();
        update(&mut outer, &finish(inner));
        finish(outer)
    }

    /// True if `tag` is the code of the concatenation of `parts`, or a truncation of it.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let code = self.sign(parts);
        code.get(..tag.len()).is_some_and(|code| super::constant_time_eq(code, tag))
    }
}

impl Drop for HmacSha1 {
    fn drop(&mut self) {
        for state in [&mut self.inner, &mut self.outer] {
            let state: *mut SHA_CTX = state;
            // SAFETY: the struct is plain integers; all zeros is a value of it.
            unsafe { super::ffi::OPENSSL_cleanse(state.cast(), size_of::<SHA_CTX>()) };
        }
    }
}

fn started(block: &[u8; BLOCK]) -> SHA_CTX {
    let mut state = MaybeUninit::<SHA_CTX>::zeroed();
    // SAFETY: the struct is plain integers, so zeroed memory is a value of it, and SHA1_Init
    // sets each field.
    let mut state = unsafe {
        SHA1_Init(state.as_mut_ptr());
        state.assume_init()
    };
    update(&mut state, block);
    state
}

fn update(state: &mut SHA_CTX, data: &[u8]) {
    // SAFETY: `state` was initialised, `data` is readable for its length.
    unsafe { SHA1_Update(state, data.as_ptr().cast(), data.len()) };
}

fn finish(mut state: SHA_CTX) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    // SAFETY: `state` was initialised, `out` has room for the digest. SHA1_Final wipes the
    // buffered block.
    unsafe { SHA1_Final(out.as_mut_ptr(), &mut state) };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    // RFC 2202 section 3, cases 1, 2, 5 and 6.
    #[test]
    fn rfc2202() {
        let case = |key: &[u8], parts: &[&[u8]]| hex(&HmacSha1::new(key).sign(parts));
        assert_eq!(case(&[0x0b; 20], &[b"Hi There"]), "b617318655057264e28bc0b6fb378c8ef146be00");
        assert_eq!(case(b"Jefe", &[b"what do ya want ", b"for nothing?"]), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(case(&[0x0c; 20], &[b"Test With Truncation"]), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04");
        assert_eq!(
            case(&[0xaa; 80], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        );
    }

    #[test]
    fn verifies_truncations_only() {
        let hmac = HmacSha1::new(b"key");
        let tag = hmac.sign(&[b"message"]);
        assert!(hmac.verify(&[b"mess", b"age"], &tag));
        assert!(hmac.verify(&[b"message"], &tag[..10]));
        assert!(!hmac.verify(&[b"massage"], &tag[..10]));
        let longer = [&tag[..], &[0]].concat();
        assert!(!hmac.verify(&[b"message"], &longer));
    }
}
