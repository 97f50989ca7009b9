//! The client's TLS, and MD5 for digest authentication: the bench's only unsafe code.

use std::ffi::c_int;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};

use openssl_sys as sys;
use res_rust_webrtc::host::openssl::tls::{Blocked, Stream};

unsafe extern "C" {
    fn SSL_set_fd(ssl: *mut sys::SSL, fd: c_int) -> c_int;
}

/// What the connections of a run share. The server's certificate is made by the rig for the run,
/// so it is not verified.
pub struct Context(NonNull<sys::SSL_CTX>);

impl Context {
    pub fn new() -> Context {
        // SAFETY: the method is static; the result is checked.
        let context = unsafe { sys::SSL_CTX_new(sys::TLS_client_method()) };
        Context(NonNull::new(context).expect("an SSL_CTX"))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by SSL_CTX_new; an SSL made of it holds a reference of its own.
        unsafe { sys::SSL_CTX_free(self.0.as_ptr()) };
    }
}

/// A connection. The stream is there once the handshake is done; it is dropped before the `SSL`.
pub struct Client {
    stream: Option<Stream>,
    ssl: NonNull<sys::SSL>,
    tcp: TcpStream,
}

impl Client {
    /// Begins a handshake over a socket that is, or is about to be, connected.
    pub fn new(context: &Context, tcp: TcpStream) -> Client {
        // SAFETY: the context is valid; the result is checked.
        let ssl = NonNull::new(unsafe { sys::SSL_new(context.0.as_ptr()) }).expect("an SSL");
        // SAFETY: valid, and the descriptor lives as long as the client.
        unsafe { SSL_set_fd(ssl.as_ptr(), tcp.as_raw_fd()) };
        Client { stream: None, ssl, tcp }
    }

    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The stream, once the handshake is done.
    pub fn stream(&mut self) -> Result<&mut Stream, Blocked> {
        if self.stream.is_none() {
            // SAFETY: valid until drop.
            let done = unsafe { sys::SSL_connect(self.ssl.as_ptr()) };
            if done != 1 {
                // SAFETY: as above; `done` is of the call just made on it.
                return Err(match unsafe { sys::SSL_get_error(self.ssl.as_ptr(), done) } {
                    sys::SSL_ERROR_WANT_READ => Blocked::WantRead,
                    sys::SSL_ERROR_WANT_WRITE => Blocked::WantWrite,
                    _ => Blocked::Closed,
                });
            }
            // SAFETY: the handshake is complete, the socket is non-blocking, this struct alone uses
            // the `SSL`, and Rust's runtime ignores SIGPIPE.
            self.stream = unsafe { Stream::from_raw(self.ssl.as_ptr()) };
        }
        self.stream.as_mut().ok_or(Blocked::Closed)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stream = None;
        // SAFETY: made by SSL_new and not used again.
        unsafe { sys::SSL_free(self.ssl.as_ptr()) };
    }
}

/// MD5 in hexadecimal.
pub fn md5(text: &str) -> String {
    let mut out = [0u8; 16];
    // SAFETY: the context is made and freed here; the text is readable for its length and MD5
    // fills 16 bytes.
    unsafe {
        let context = sys::EVP_MD_CTX_new();
        sys::EVP_DigestInit_ex(context, sys::EVP_md5(), ptr::null_mut());
        sys::EVP_DigestUpdate(context, text.as_ptr().cast(), text.len());
        sys::EVP_DigestFinal_ex(context, out.as_mut_ptr(), ptr::null_mut());
        sys::EVP_MD_CTX_free(context);
    }
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}
