//! One-shot message digests.

use std::ptr;

use openssl_sys as sys;

use super::{Error, error};

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $function:ident, $length:literal) => {
        $(#[$doc])*
        pub fn $name(data: &[u8]) -> [u8; $length] {
            let mut out = [0; $length];
            // SAFETY: `data` is readable for its length, `out` has room for the digest.
            unsafe { openssl_sys::$function(data.as_ptr(), data.len(), out.as_mut_ptr()) };
            out
        }
    };
}

digest!(
    /// SHA-1 (FIPS 180-4).
    sha1, SHA1, 20
);
digest!(
    /// SHA-256 (FIPS 180-4).
    sha256, SHA256, 32
);
digest!(
    /// SHA-384 (FIPS 180-4).
    sha384, SHA384, 48
);
digest!(
    /// SHA-512 (FIPS 180-4).
    sha512, SHA512, 64
);

/// MD5 (RFC 1321) of the concatenation of `parts`, for the keys of STUN's long-term credentials
/// and nothing that needs a strong hash. A library that runs in FIPS mode refuses.
pub fn md5(parts: &[&[u8]]) -> Result<[u8; 16], Error> {
    let mut out = [0; 16];
    error::clear();
    // SAFETY: takes nothing; NULL is checked below.
    let context = unsafe { sys::EVP_MD_CTX_new() };
    if context.is_null() {
        return Err(Error::take("make a digest context"));
    }
    // SAFETY: a live context and a static algorithm.
    let mut good = unsafe { sys::EVP_DigestInit_ex(context, sys::EVP_md5(), ptr::null_mut()) == 1 };
    for part in parts {
        // SAFETY: an initialised context; `part` is readable for its length.
        good = good && unsafe { sys::EVP_DigestUpdate(context, part.as_ptr().cast(), part.len()) == 1 };
    }
    // SAFETY: as above; `out` has room for the 16 bytes of an MD5 digest.
    good = good && unsafe { sys::EVP_DigestFinal_ex(context, out.as_mut_ptr(), ptr::null_mut()) == 1 };
    // SAFETY: made above, freed once.
    unsafe { sys::EVP_MD_CTX_free(context) };
    if good { Ok(out) } else { Err(Error::take("compute MD5")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    // FIPS 180-4 examples, "abc".
    #[test]
    fn known_answers() {
        assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(hex(&sha384(b"abc")).starts_with("cb00753f45a35e8bb5a03d699ac65007"));
        assert!(hex(&sha512(b"abc")).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    // RFC 1321 A.5, in two pieces.
    #[test]
    fn md5_of_the_concatenation() {
        assert_eq!(hex(&md5(&[b"message ", b"digest"]).unwrap()), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
