//! OpenSSL's error queue as a value.

use std::ffi::{CStr, c_ulong};
use std::fmt;

/// What OpenSSL said when a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    what: &'static str,
    reasons: Vec<String>,
}

impl Error {
    /// Takes everything from this thread's queue, which is empty afterwards. `what` names the
    /// operation that failed.
    pub(super) fn take(what: &'static str) -> Error {
        let mut reasons = Vec::new();
        // The library keeps at most 16 entries.
        for _ in 0..16 {
            // SAFETY: reads this thread's queue.
            let code = unsafe { openssl_sys::ERR_get_error() };
            if code == 0 {
                break;
            }
            reasons.push(reason(code));
        }
        clear();
        Error { what, reasons }
    }

    /// An error of this wrapper's own, where the library has nothing to say.
    pub(super) fn plain(what: &'static str, reason: impl Into<String>) -> Error {
        Error { what, reasons: vec![reason.into()] }
    }

    /// An operation that went against what the library documents.
    pub fn unexpected(what: &'static str) -> Error {
        Error::plain(what, "unexpected result")
    }

    /// The operation that failed.
    pub fn operation(&self) -> &'static str {
        self.what
    }

    /// The queue's entries, the oldest, which is nearest the cause, first.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)?;
        for (i, reason) in self.reasons.iter().enumerate() {
            f.write_str(if i == 0 { ": " } else { "; " })?;
            f.write_str(reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Empties this thread's queue.
pub(super) fn clear() {
    // SAFETY: touches this thread's queue only.
    unsafe { openssl_sys::ERR_clear_error() }
}

/// The library and reason parts of the newest entry, without taking it.
pub(super) fn peek_last() -> (i32, i32) {
    // SAFETY: reads this thread's queue.
    let code = unsafe { super::ffi::ERR_peek_last_error() };
    (openssl_sys::ERR_GET_LIB(code), openssl_sys::ERR_GET_REASON(code))
}

fn reason(code: c_ulong) -> String {
    // SAFETY: returns NULL or a pointer to a static, NUL-terminated string.
    let text = unsafe {
        let text = openssl_sys::ERR_reason_error_string(code);
        (!text.is_null()).then(|| CStr::from_ptr(text))
    };
    match text {
        Some(text) => text.to_string_lossy().into_owned(),
        None => format!("error {code:#010x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::openssl::x509::PrivateKey;

    #[test]
    fn carries_the_queue_and_leaves_it_empty() {
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let error = PrivateKey::from_pem(broken.as_bytes()).unwrap_err();
        assert!(error.to_string().len() > "read private key: ".len(), "{error}");
        // SAFETY: reads this thread's queue.
        assert_eq!(unsafe { openssl_sys::ERR_get_error() }, 0);
    }

    #[test]
    fn joins_reasons() {
        let error =
            Error { what: "read certificate", reasons: vec!["bad base64 decode".into(), "nested asn1 error".into()] };
        assert_eq!(error.to_string(), "read certificate: bad base64 decode; nested asn1 error");
    }
}
