//! OpenSSL wrapped safely: a leaf that knows no Asterisk, no sockets and no clocks.
//!
//! It stands directly on `openssl-sys` and links the very `libssl` that Asterisk has loaded. Two
//! rules come from living in somebody else's process:
//!
//! - The error queue is per thread and shared with Asterisk's own TLS code, which reads it to
//!   explain failures of its own. Every call that can fail clears it first and leaves it empty.
//! - The module is unloaded with `dlclose`. Nothing here registers a callback that outlives the
//!   object it serves: no `ex_data` index with a destructor, no `atexit`, no locking callback.
//!   The one `ex_data` slot in use is number 0 of an `SSL` of our own, the "application data"
//!   that needs no registration.
//!
//! Works with OpenSSL 1.1.1 and 3.x: functions whose names differ between the two are avoided.

pub mod cipher;
pub mod digest;
pub mod dtls;
mod error;
mod ffi;
pub mod hmac;
pub mod rand;
mod secret;
pub mod tls;
pub mod x509;

pub use error::Error;
pub use secret::{Secret, cleanse};

/// The version of the library in use, such as `OpenSSL 3.0.22 25 Aug 2026`.
pub fn version() -> String {
    // SAFETY: returns a pointer to a static, NUL-terminated string, for any argument.
    let text = unsafe { std::ffi::CStr::from_ptr(openssl_sys::OpenSSL_version(0)) };
    text.to_string_lossy().into_owned()
}

/// True if `a` and `b` are equal, in a time that depends on their length only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // SAFETY: both point to `a.len()` readable bytes.
    unsafe { openssl_sys::CRYPTO_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), a.len()) == 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_the_library() {
        assert!(super::version().starts_with("OpenSSL "));
    }

    #[test]
    fn compares_contents_and_length() {
        assert!(super::constant_time_eq(b"abc", b"abc"));
        assert!(!super::constant_time_eq(b"abc", b"abd"));
        assert!(!super::constant_time_eq(b"abc", b"ab"));
        assert!(super::constant_time_eq(b"", b""));
    }
}
