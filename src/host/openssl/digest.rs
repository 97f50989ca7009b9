//! One-shot message digests.

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
}
