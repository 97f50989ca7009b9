//! Key bytes that are wiped when they are dropped.

use std::fmt;
use std::ops::Deref;

use super::ffi;

/// A short run of secret bytes. Wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Copies `bytes`. The original stays the caller's to wipe.
    pub fn new(bytes: &[u8]) -> Secret {
        Secret(bytes.into())
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        cleanse(&mut self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// Overwrites `bytes` with zeros in a way that the compiler does not remove.
pub fn cleanse(bytes: &mut [u8]) {
    // SAFETY: `bytes` is writable for its length.
    unsafe { ffi::OPENSSL_cleanse(bytes.as_mut_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_print_its_bytes() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2")), "Secret(7 bytes)");
    }

    #[test]
    fn cleanses() {
        let mut bytes = [1, 2, 3];
        cleanse(&mut bytes);
        assert_eq!(bytes, [0, 0, 0]);
    }
}
