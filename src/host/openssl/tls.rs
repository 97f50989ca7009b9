//! A view on a TLS session that somebody else owns and has shaken hands on: Asterisk's HTTP
//! server hands over an `SSL *` whose socket is non-blocking, and frees it later itself.
//!
//! [`Stream::has_pending`] is what makes a poll on the descriptor honest: bytes that the library has
//! already taken from the socket make no descriptor readable.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr::{self, NonNull};

use openssl_sys as sys;

use super::{Error, error, ffi};

mod client;

pub use client::{Client, ClientConfig, ClientContext};

/// Why nothing could be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Try again when the socket is readable.
    WantRead,
    /// Try again when the socket is writable.
    WantWrite,
    /// The peer has said close_notify: there will be no more to read.
    Closed,
    /// The session is over: a broken record, a reset, or an end without close_notify.
    Failed(Error),
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocked::WantRead => f.write_str("waits for input"),
            Blocked::WantWrite => f.write_str("waits for room"),
            Blocked::Closed => f.write_str("closed by the peer"),
            Blocked::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Blocked {}

/// A session on loan.
pub struct Stream {
    ssl: NonNull<sys::SSL>,
    failed: bool,
}

// SAFETY: an `SSL` has no thread affinity; `from_raw` demands that nobody else uses it.
unsafe impl Send for Stream {}

impl Stream {
    /// Borrows `ssl` and lets writes be partial and be repeated from another buffer, buffers be
    /// freed while they are empty, which saves an idle session some 34 KiB, and the socket be read
    /// as far as the buffer goes, so that a record costs one system call and not two. `None` for
    /// NULL.
    ///
    /// # Safety
    /// Until the value is dropped, `ssl` is valid, its handshake is complete, its socket is
    /// non-blocking, and nobody else uses it. SIGPIPE is ignored in this process.
    pub unsafe fn from_raw(ssl: *mut sys::SSL) -> Option<Stream> {
        let ssl = NonNull::new(ssl)?;
        let mode = sys::SSL_MODE_ENABLE_PARTIAL_WRITE
            | sys::SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
            | sys::SSL_MODE_RELEASE_BUFFERS;
        // SAFETY: valid, by contract.
        unsafe {
            sys::SSL_ctrl(ssl.as_ptr(), ffi::SSL_CTRL_MODE, mode, ptr::null_mut());
            ffi::SSL_set_read_ahead(ssl.as_ptr(), 1);
        }
        Some(Stream { ssl, failed: false })
    }

    /// Reads what there is, at least one byte, into `buf`.
    pub fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, Blocked> {
        let room = clamp(buf.len());
        if room == 0 {
            return Ok(0);
        }
        error::clear();
        // SAFETY: valid, by `from_raw`; `buf` has `room` writable bytes.
        let got = unsafe { sys::SSL_read(self.ssl.as_ptr(), buf.as_mut_ptr().cast(), room) };
        self.outcome("TLS read", got)
    }

    /// Writes as much of `data` as one record takes.
    pub fn try_write(&mut self, data: &[u8]) -> Result<usize, Blocked> {
        let length = clamp(data.len());
        if length == 0 {
            return Ok(0);
        }
        error::clear();
        // SAFETY: valid, by `from_raw`; `data` has `length` readable bytes.
        let put = unsafe { sys::SSL_write(self.ssl.as_ptr(), data.as_ptr().cast(), length) };
        self.outcome("TLS write", put)
    }

    /// Whether the library holds bytes that came from the socket: decrypted, a record that it has
    /// not looked at, or the beginning of one. Only the next read tells which.
    pub fn has_pending(&self) -> bool {
        // SAFETY: valid, by `from_raw`.
        unsafe { ffi::SSL_has_pending(self.ssl.as_ptr()) == 1 }
    }

    /// Says close_notify. It does not wait for the peer's, and does nothing after a failure,
    /// when the library forbids it.
    pub fn shutdown(&mut self) -> Result<(), Blocked> {
        if self.failed {
            return Ok(());
        }
        error::clear();
        // SAFETY: valid, by `from_raw`.
        let done = unsafe { sys::SSL_shutdown(self.ssl.as_ptr()) };
        if done >= 0 {
            error::clear();
            return Ok(());
        }
        self.outcome("TLS shutdown", done).map(drop)
    }

    /// The cipher suite in OpenSSL's name.
    pub fn cipher_name(&self) -> String {
        // SAFETY: valid, by `from_raw`; the name is static and NUL-terminated.
        unsafe {
            let cipher = sys::SSL_get_current_cipher(self.ssl.as_ptr());
            text(sys::SSL_CIPHER_get_name(cipher))
        }
    }

    /// The version in OpenSSL's name, such as `TLSv1.3`.
    pub fn version_name(&self) -> String {
        // SAFETY: valid, by `from_raw`; the name is static and NUL-terminated.
        unsafe { text(sys::SSL_get_version(self.ssl.as_ptr())) }
    }

    fn outcome(&mut self, what: &'static str, returned: c_int) -> Result<usize, Blocked> {
        if let Ok(moved @ 1..) = usize::try_from(returned) {
            return Ok(moved);
        }
        // Before the next system call can change it.
        let system = std::io::Error::last_os_error();
        // SAFETY: valid, by `from_raw`; `returned` is of the call just made on it.
        let code = unsafe { sys::SSL_get_error(self.ssl.as_ptr(), returned) };
        let blocked = match code {
            sys::SSL_ERROR_WANT_READ => Blocked::WantRead,
            sys::SSL_ERROR_WANT_WRITE => Blocked::WantWrite,
            sys::SSL_ERROR_ZERO_RETURN => Blocked::Closed,
            _ => {
                self.failed = true;
                let error = Error::take(what);
                Blocked::Failed(match (error.reasons().is_empty(), code) {
                    (true, sys::SSL_ERROR_SYSCALL) if returned == 0 => {
                        Error::plain(what, "connection ended without close_notify")
                    }
                    (true, _) => Error::plain(what, system.to_string()),
                    _ => error,
                })
            }
        };
        error::clear();
        Err(blocked)
    }
}

fn clamp(length: usize) -> c_int {
    c_int::try_from(length).unwrap_or(c_int::MAX)
}

/// # Safety
/// `text` is NUL-terminated.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
