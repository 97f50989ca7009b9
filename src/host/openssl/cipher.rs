//! AES in counter mode and in Galois/counter mode, keyed once and used for many packets.
//!
//! Keying an `EVP_CIPHER_CTX` costs a microsecond or more on OpenSSL 3 (the algorithm is looked
//! up, the key expanded); setting only the next IV costs tens of nanoseconds. So a context is
//! made when a session gets its keys, and a packet never names the algorithm.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use openssl_sys::{
    EVP_CIPHER, EVP_CIPHER_CTX, EVP_CIPHER_CTX_ctrl, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new, EVP_CTRL_GCM_GET_TAG,
    EVP_CTRL_GCM_SET_TAG, EVP_CipherFinal, EVP_CipherInit_ex, EVP_CipherUpdate,
};

use super::Error;
use super::error;

/// The length of a GCM tag.
pub const TAG_LENGTH: usize = 16;

const DECRYPT: c_int = 0;
const ENCRYPT: c_int = 1;

/// AES-CTR with a key of 128, 192 or 256 bits.
pub struct AesCtr(Keyed);

impl AesCtr {
    /// Keys a context. The length of `key` chooses the variant.
    pub fn new(key: &[u8]) -> Result<AesCtr, Error> {
        // SAFETY: these return pointers to static descriptions.
        let cipher = unsafe {
            match key.len() {
                16 => openssl_sys::EVP_aes_128_ctr(),
                24 => openssl_sys::EVP_aes_192_ctr(),
                32 => openssl_sys::EVP_aes_256_ctr(),
                _ => return Err(Error::plain("key AES-CTR", "not a key length of AES")),
            }
        };
        Keyed::new("key AES-CTR", cipher, key).map(AesCtr)
    }

    /// Encrypts or decrypts `data` in place, the first counter block being `iv`.
    pub fn apply(&mut self, iv: &[u8; 16], data: &mut [u8]) -> Result<(), Error> {
        const WHAT: &str = "AES-CTR";
        self.0.start(WHAT, iv, ENCRYPT)?;
        self.0.update(WHAT, data)
    }
}

/// AES-GCM with a key of 128 or 256 bits, a 96-bit IV and a 128-bit tag.
pub struct AesGcm(Keyed);

impl AesGcm {
    /// Keys a context. The length of `key` chooses the variant.
    pub fn new(key: &[u8]) -> Result<AesGcm, Error> {
        // SAFETY: these return pointers to static descriptions.
        let cipher = unsafe {
            match key.len() {
                16 => openssl_sys::EVP_aes_128_gcm(),
                32 => openssl_sys::EVP_aes_256_gcm(),
                _ => return Err(Error::plain("key AES-GCM", "not a key length in use")),
            }
        };
        Keyed::new("key AES-GCM", cipher, key).map(AesGcm)
    }

    /// Encrypts `data` in place and returns the tag over it and the parts of `aad`.
    pub fn seal(&mut self, iv: &[u8; 12], aad: &[&[u8]], data: &mut [u8]) -> Result<[u8; TAG_LENGTH], Error> {
        const WHAT: &str = "AES-GCM seal";
        self.0.start(WHAT, iv, ENCRYPT)?;
        self.0.authenticate(WHAT, aad)?;
        self.0.update(WHAT, data)?;
        if !self.0.finish() {
            return Err(Error::take(WHAT));
        }
        let mut tag = [0; TAG_LENGTH];
        self.0.tag(WHAT, EVP_CTRL_GCM_GET_TAG, &mut tag)?;
        Ok(tag)
    }

    /// Decrypts `data` in place; true if `tag` is right. Where it is not, `data` holds bytes of no
    /// meaning.
    pub fn open(
        &mut self,
        iv: &[u8; 12],
        aad: &[&[u8]],
        data: &mut [u8],
        tag: &[u8; TAG_LENGTH],
    ) -> Result<bool, Error> {
        const WHAT: &str = "AES-GCM open";
        self.0.start(WHAT, iv, DECRYPT)?;
        let mut tag = *tag;
        self.0.tag(WHAT, EVP_CTRL_GCM_SET_TAG, &mut tag)?;
        self.0.authenticate(WHAT, aad)?;
        self.0.update(WHAT, data)?;
        let right = self.0.finish();
        if !right {
            error::clear();
        }
        Ok(right)
    }
}

struct Keyed(NonNull<EVP_CIPHER_CTX>);

// SAFETY: a context is owned data without thread affinity; the library locks nothing in it, and
// every use needs `&mut`.
unsafe impl Send for Keyed {}
// SAFETY: `&Keyed` gives access to nothing.
unsafe impl Sync for Keyed {}

impl Keyed {
    fn new(what: &'static str, cipher: *const EVP_CIPHER, key: &[u8]) -> Result<Keyed, Error> {
        error::clear();
        // SAFETY: allocates; NULL on failure.
        let ctx = unsafe { EVP_CIPHER_CTX_new() };
        let keyed = Keyed(NonNull::new(ctx).ok_or_else(|| Error::take(what))?);
        // SAFETY: the caller chose `cipher` by the length of `key`.
        let done = unsafe { EVP_CipherInit_ex(ctx, cipher, ptr::null_mut(), key.as_ptr(), ptr::null(), ENCRYPT) };
        if done != 1 {
            return Err(Error::take(what));
        }
        Ok(keyed)
    }

    /// Begins a message. `iv` has the length that the cipher wants: the callers' types say so.
    fn start(&mut self, what: &'static str, iv: &[u8], direction: c_int) -> Result<(), Error> {
        // SAFETY: the context is keyed; a NULL cipher and key leave both as they are.
        let done = unsafe {
            EVP_CipherInit_ex(self.0.as_ptr(), ptr::null(), ptr::null_mut(), ptr::null(), iv.as_ptr(), direction)
        };
        if done == 1 { Ok(()) } else { Err(Error::take(what)) }
    }

    fn authenticate(&mut self, what: &'static str, aad: &[&[u8]]) -> Result<(), Error> {
        for part in aad.iter().filter(|part| !part.is_empty()) {
            let length = length(what, part)?;
            let mut taken = 0;
            // SAFETY: a NULL output means additional data; `part` is readable for `length` bytes.
            let done = unsafe { EVP_CipherUpdate(self.0.as_ptr(), ptr::null_mut(), &mut taken, part.as_ptr(), length) };
            if done != 1 {
                return Err(Error::take(what));
            }
        }
        Ok(())
    }

    fn update(&mut self, what: &'static str, data: &mut [u8]) -> Result<(), Error> {
        // An empty update is an error to some versions of the library.
        if data.is_empty() {
            return Ok(());
        }
        let length = length(what, data)?;
        let mut written = 0;
        let data = data.as_mut_ptr();
        // SAFETY: a counter mode writes exactly as much as it reads, and allows both to be the
        // same buffer.
        let done = unsafe { EVP_CipherUpdate(self.0.as_ptr(), data, &mut written, data, length) };
        if done != 1 || written != length {
            return Err(Error::take(what));
        }
        Ok(())
    }

    fn finish(&mut self) -> bool {
        let mut nothing = [0u8; 32];
        let mut written = 0;
        // SAFETY: a counter mode writes nothing here; the buffer has room for a block anyway.
        unsafe { EVP_CipherFinal(self.0.as_ptr(), nothing.as_mut_ptr(), &mut written) == 1 }
    }

    fn tag(&mut self, what: &'static str, control: c_int, tag: &mut [u8; TAG_LENGTH]) -> Result<(), Error> {
        // SAFETY: both controls take a pointer to as many bytes as the third argument says.
        let done =
            unsafe { EVP_CIPHER_CTX_ctrl(self.0.as_ptr(), control, TAG_LENGTH as c_int, tag.as_mut_ptr().cast()) };
        if done == 1 { Ok(()) } else { Err(Error::take(what)) }
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        // SAFETY: ours, and freed once. The library wipes the key schedule.
        unsafe { EVP_CIPHER_CTX_free(self.0.as_ptr()) }
    }
}

fn length(what: &'static str, data: &[u8]) -> Result<c_int, Error> {
    c_int::try_from(data.len()).map_err(|_| Error::plain(what, "message too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    // NIST SP 800-38A, F.5.1, the first two blocks.
    #[test]
    fn ctr_known_answer_and_reuse() {
        let mut ctr = AesCtr::new(&hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
        let iv: [u8; 16] = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
        let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
        let sealed = hex("874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff");
        for _ in 0..2 {
            let mut data = plain.clone();
            ctr.apply(&iv, &mut data).unwrap();
            assert_eq!(data, sealed);
            ctr.apply(&iv, &mut data).unwrap();
            assert_eq!(data, plain);
        }
        ctr.apply(&iv, &mut []).unwrap();
    }

    // The GCM specification (McGrew, Viega), test cases 4 (AES-128) and 1 (empty).
    #[test]
    fn gcm_known_answer_and_reuse() {
        let mut gcm = AesGcm::new(&hex("feffe9928665731c6d6a8f9467308308")).unwrap();
        let iv: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        for _ in 0..2 {
            let mut data = plain.clone();
            let tag = gcm.seal(&iv, &[&aad[..3], &[], &aad[3..]], &mut data).unwrap();
            assert_eq!(tag[..], hex("5bc94fbc3221a5db94fae95ae7121a47"));
            assert!(gcm.open(&iv, &[&aad], &mut data, &tag).unwrap());
            assert_eq!(data, plain);
            let mut wrong = tag;
            wrong[15] ^= 1;
            assert!(!gcm.open(&iv, &[&aad], &mut data, &wrong).unwrap());
        }
        let mut gcm = AesGcm::new(&[0; 16]).unwrap();
        let tag = gcm.seal(&[0; 12], &[], &mut []).unwrap();
        assert_eq!(tag[..], hex("58e2fccefa7e3061367f1d57a4e7455a"));
        assert!(gcm.open(&[0; 12], &[], &mut [], &tag).unwrap());
    }

    #[test]
    fn refuses_other_key_lengths() {
        assert!(AesCtr::new(&[0; 15]).is_err());
        assert!(AesGcm::new(&[0; 24]).is_err());
    }
}
