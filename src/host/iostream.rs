//! A connection that Asterisk's HTTP server accepted, TLS included, taken over.
//!
//! `ast_iostream_read` and `_write` wait inside TLS and report errors through a stale `errno`, so
//! they are used once, for what the HTTP server has read ahead; from then on the descriptor and the
//! `SSL` are driven directly. Both are non-blocking, and closing stays Asterisk's.

use std::ffi::c_int;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use super::openssl::tls::{self, Blocked};
use super::{sockaddr, sys};

/// The size of the buffer in `struct ast_iostream`, which one read empties.
const READ_AHEAD: usize = 2048;

/// Why nothing could be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stalled {
    WantRead,
    WantWrite,
    /// The peer has ended its direction.
    Eof,
    Broken(String),
}

/// An accepted connection. Dropping it closes it.
///
/// # Invariants
/// `stream` is a live `ast_iostream` that belongs to this value alone; `tls` is its `SSL`.
pub struct IoStream {
    stream: NonNull<sys::ast_iostream>,
    fd: RawFd,
    tls: Option<tls::Stream>,
    write_shut: bool,
}

/// Since OpenSSL 3.0; 1.1.1 does not know the bit.
const SSL_OP_IGNORE_UNEXPECTED_EOF: SslOptions = 0x80;

/// `uint64_t` since OpenSSL 3.0, before that `unsigned long`.
#[cfg(target_pointer_width = "64")]
type SslOptions = u64;
#[cfg(not(target_pointer_width = "64"))]
type SslOptions = std::ffi::c_ulong;

unsafe extern "C" {
    fn SSL_set_options(ssl: *mut openssl_sys::SSL, options: SslOptions) -> SslOptions;
    fn SSL_set_quiet_shutdown(ssl: *mut openssl_sys::SSL, mode: c_int);
}

// SAFETY: an ast_iostream has no thread affinity, and nobody else has it.
unsafe impl Send for IoStream {}

impl IoStream {
    /// Takes over the stream of an HTTP session. `None` for NULL.
    ///
    /// # Safety
    /// `stream` is live, its handshakes are done, and the caller gives it up.
    pub unsafe fn from_raw(stream: *mut sys::ast_iostream) -> Option<Self> {
        let stream = NonNull::new(stream)?;
        // SAFETY: live and ours; the HTTP server has set the descriptor non-blocking already, and
        // setting it again costs one call per connection.
        let (fd, ssl) = unsafe {
            sys::ast_iostream_nonblock(stream.as_ptr());
            sys::ast_iostream_set_exclusive_input(stream.as_ptr(), 0);
            sys::ast_iostream_set_timeout_disable(stream.as_ptr());
            (sys::ast_iostream_get_fd(stream.as_ptr()), sys::ast_iostream_get_ssl(stream.as_ptr()))
        };
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
        if let Some(ssl) = NonNull::new(ssl) {
            // A session that OpenSSL 3 has failed for an end without close_notify cannot be shut
            // down any more, and closing would log an error for every peer that just goes.
            // SAFETY: live; the option is per session and unknown to older versions.
            unsafe { SSL_set_options(ssl.as_ptr().cast(), SSL_OP_IGNORE_UNEXPECTED_EOF) };
        }
        // SAFETY: the SSL lives until the stream is closed, which `drop` does after dropping this
        // view; its handshake is done, its socket non-blocking; Asterisk ignores SIGPIPE.
        let tls = unsafe { tls::Stream::from_raw(ssl.cast()) };
        Some(Self { stream, fd, tls, write_shut: false })
    }

    /// What the HTTP server has read beyond the request. To be called before any other read, once.
    pub fn read_ahead(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; READ_AHEAD];
        // SAFETY: live; `buffer` has as many writable bytes. Without read-ahead this is a read of
        // the socket that does not wait; its end or failure will be met again.
        let count = unsafe { sys::ast_iostream_read(self.stream.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
        buffer.truncate(usize::try_from(count).unwrap_or(0));
        buffer
    }

    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// The address that the peer has connected to.
    pub fn local_address(&self) -> Option<SocketAddr> {
        // SAFETY: all-zero is a valid `ast_sockaddr`, of no address.
        let mut address: sys::ast_sockaddr = unsafe { mem::zeroed() };
        // SAFETY: the descriptor is ours; on failure the address stays as it is.
        unsafe { sys::ast_getsockname(self.fd, &raw mut address) };
        sockaddr::from_c(&address)
    }

    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// TLS version and cipher suite.
    pub fn tls(&self) -> Option<(String, String)> {
        self.tls.as_ref().map(|tls| (tls.version_name(), tls.cipher_name()))
    }

    /// Reads at least one byte.
    pub fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, Stalled> {
        if let Some(tls) = &mut self.tls {
            let outcome = tls.try_read(buf).map_err(Stalled::from);
            // Many peers end TCP without close_notify. Whether something is missing then, the
            // WebSocket's own close frame tells.
            return match outcome {
                Err(Stalled::Broken(_)) if self.is_at_end() => Err(Stalled::Eof),
                outcome => outcome,
            };
        }
        // SAFETY: the descriptor is ours; `buf` has as many writable bytes.
        let count = unsafe { libc::recv(self.fd, buf.as_mut_ptr().cast(), buf.len(), libc::MSG_DONTWAIT) };
        match usize::try_from(count) {
            Ok(0) => Err(Stalled::Eof),
            Ok(count) => Ok(count),
            Err(_) => Err(stalled(Stalled::WantRead)),
        }
    }

    /// Whether TCP's input is over.
    fn is_at_end(&self) -> bool {
        let mut byte = 0u8;
        let flags = libc::MSG_DONTWAIT | libc::MSG_PEEK;
        // SAFETY: the descriptor is ours; one writable byte.
        unsafe { libc::recv(self.fd, (&raw mut byte).cast(), 1, flags) == 0 }
    }

    /// Writes at least one byte.
    pub fn try_write(&mut self, data: &[u8]) -> Result<usize, Stalled> {
        if let Some(tls) = &mut self.tls {
            return tls.try_write(data).map_err(Stalled::from);
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the descriptor is ours; `data` has as many readable bytes.
        let count = unsafe { libc::send(self.fd, data.as_ptr().cast(), data.len(), flags) };
        usize::try_from(count).map_err(|_| stalled(Stalled::WantWrite))
    }

    /// Whether bytes wait inside TLS that make no descriptor readable.
    pub fn has_buffered(&self) -> bool {
        self.tls.as_ref().is_some_and(tls::Stream::has_pending)
    }

    /// close_notify, then FIN.
    pub fn shutdown_write(&mut self) {
        if std::mem::replace(&mut self.write_shut, true) {
            return;
        }
        if let Some(tls) = &mut self.tls {
            // The peer may be gone, or its window full: FIN tells the same.
            let _ = tls.shutdown();
        }
        // SAFETY: the descriptor is ours. It may be disconnected already.
        unsafe { libc::shutdown(self.fd, libc::SHUT_WR) };
    }
}

impl Drop for IoStream {
    fn drop(&mut self) {
        self.shutdown_write();
        if self.tls.take().is_some() {
            // close_notify has been said if it could be. Asterisk would say it once more, and log
            // an error where the peer is gone.
            // SAFETY: live until the stream is closed, and nobody else has it.
            unsafe { SSL_set_quiet_shutdown(sys::ast_iostream_get_ssl(self.stream.as_ptr()).cast(), 1) };
        }
        // SAFETY: live, ours, and given up here.
        unsafe { sys::ast_iostream_close(self.stream.as_ptr()) };
    }
}

impl From<Blocked> for Stalled {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::WantRead => Self::WantRead,
            Blocked::WantWrite => Self::WantWrite,
            Blocked::Closed => Self::Eof,
            Blocked::Failed(error) => Self::Broken(error.to_string()),
        }
    }
}

fn stalled(wait: Stalled) -> Stalled {
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock => wait,
        // Readiness is level-triggered: it will be told again.
        io::ErrorKind::Interrupted => wait,
        _ => Stalled::Broken(error.to_string()),
    }
}

fn set_option(fd: RawFd, level: c_int, name: c_int, value: c_int) {
    let length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` is an int that outlives the call, with its size. An option that cannot be
    // set costs speed only.
    unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) };
}
