//! TLS as a client: a session of our own on a connected socket.
//!
//! The server's name is sent (RFC 6066 §3) and, unless the caller says otherwise, its certificate
//! must chain to a trusted one and bear the name or address that was asked for (RFC 9525).

use std::ffi::{CString, c_int};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use openssl_sys as sys;

use super::super::{Error, error, ffi};
use super::{Blocked, Stream};

/// What sessions have in common.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// Whom to trust: a PEM file, a folder of hashed names. Neither: whom the system trusts.
    pub ca_file: Option<PathBuf>,
    pub ca_path: Option<PathBuf>,
    /// PEM files to identify ourselves with. The key may stand in the certificate's file.
    pub certificate: Option<PathBuf>,
    pub private_key: Option<PathBuf>,
    /// OpenSSL's cipher list, for TLS 1.2.
    pub ciphers: Option<String>,
    /// Whether the certificate must chain to a trusted one.
    pub verify_chain: bool,
    /// Whether it must bear the server's name.
    pub verify_name: bool,
}

/// A context for sessions of one configuration.
pub struct ClientContext {
    ctx: NonNull<sys::SSL_CTX>,
    verify_name: bool,
}

// SAFETY: an SSL_CTX is reference counted atomically and locks its own mutable parts; after `new`
// it is only read (SSL_new).
unsafe impl Send for ClientContext {}
// SAFETY: as above.
unsafe impl Sync for ClientContext {}

impl ClientContext {
    /// Fails with what the library says about a file or cipher list that it cannot use.
    pub fn new(config: &ClientConfig) -> Result<Self, Error> {
        error::clear();
        // SAFETY: allocates; NULL on failure.
        let ctx = unsafe { sys::SSL_CTX_new(sys::TLS_client_method()) };
        let ctx = NonNull::new(ctx).ok_or_else(|| Error::take("make TLS context"))?;
        let context = Self { ctx, verify_name: config.verify_name };
        let mode = if config.verify_chain || config.verify_name { sys::SSL_VERIFY_PEER } else { sys::SSL_VERIFY_NONE };
        // SAFETY: valid; without a callback the library decides.
        unsafe { sys::SSL_CTX_set_verify(ctx.as_ptr(), mode, None) };
        context.trust(config)?;
        context.identify(config)?;
        if let Some(ciphers) = &config.ciphers {
            let ciphers = c_string("set TLS ciphers", ciphers.as_bytes())?;
            // SAFETY: valid; the string is NUL-terminated and copied.
            check("set TLS ciphers", unsafe { sys::SSL_CTX_set_cipher_list(ctx.as_ptr(), ciphers.as_ptr()) })?;
        }
        error::clear();
        Ok(context)
    }

    fn trust(&self, config: &ClientConfig) -> Result<(), Error> {
        const WHAT: &str = "load trusted certificates";
        if config.ca_file.is_none() && config.ca_path.is_none() {
            // SAFETY: valid. Missing default files are no failure.
            return check(WHAT, unsafe { sys::SSL_CTX_set_default_verify_paths(self.ctx.as_ptr()) });
        }
        let file = config.ca_file.as_deref().map(|path| c_path(WHAT, path)).transpose()?;
        let folder = config.ca_path.as_deref().map(|path| c_path(WHAT, path)).transpose()?;
        let pointer = |path: &Option<CString>| path.as_ref().map_or(ptr::null(), |path| path.as_ptr());
        // SAFETY: valid; the paths are NUL-terminated or NULL, and not both are.
        check(WHAT, unsafe { sys::SSL_CTX_load_verify_locations(self.ctx.as_ptr(), pointer(&file), pointer(&folder)) })
    }

    fn identify(&self, config: &ClientConfig) -> Result<(), Error> {
        const WHAT: &str = "load client certificate";
        let Some(certificate) = &config.certificate else { return Ok(()) };
        let key = c_path(WHAT, config.private_key.as_ref().unwrap_or(certificate))?;
        let certificate = c_path(WHAT, certificate)?;
        let ctx = self.ctx.as_ptr();
        // SAFETY: valid; the paths are NUL-terminated. That key and certificate belong together is
        // checked as the key is loaded.
        check(WHAT, unsafe { sys::SSL_CTX_use_certificate_chain_file(ctx, certificate.as_ptr()) })?;
        // SAFETY: as above.
        check(WHAT, unsafe { sys::SSL_CTX_use_PrivateKey_file(ctx, key.as_ptr(), sys::SSL_FILETYPE_PEM) })
    }
}

impl Drop for ClientContext {
    fn drop(&mut self) {
        // SAFETY: ours; sessions hold references of their own.
        unsafe { sys::SSL_CTX_free(self.ctx.as_ptr()) };
    }
}

/// A session. Dropping it frees it and closes the socket.
///
/// # Invariants
/// `stream` is a view on `ssl`, whose descriptor is `socket`'s.
pub struct Client {
    stream: Stream,
    ssl: NonNull<sys::SSL>,
    socket: OwnedFd,
}

// SAFETY: an `SSL` has no thread affinity, and nobody else has this one.
unsafe impl Send for Client {}

impl Client {
    /// A session with `host` (a name, or an address without brackets) on a connected socket.
    /// Nothing is sent yet. The process must ignore SIGPIPE.
    pub fn new(context: &ClientContext, socket: OwnedFd, host: &str) -> Result<Self, Error> {
        const WHAT: &str = "make TLS session";
        let name = c_string(WHAT, host.as_bytes())?;
        error::clear();
        // SAFETY: the context is valid; the session takes a reference to it.
        let ssl = NonNull::new(unsafe { sys::SSL_new(context.ctx.as_ptr()) }).ok_or_else(|| Error::take(WHAT))?;
        // SAFETY: valid. The contract speaks of a session whose handshake is complete, for only
        // then reads and writes are not for the handshake: `handshake` is called first, and what
        // they do before that is an error of the library's, not undefined.
        let stream = unsafe { Stream::from_raw(ssl.as_ptr()) }.ok_or_else(|| Error::plain(WHAT, "no session"))?;
        let client = Self { stream, ssl, socket };
        // SAFETY: valid; the descriptor outlives the session, which does not close it.
        check(WHAT, unsafe { ffi::SSL_set_fd(ssl.as_ptr(), client.socket.as_raw_fd()) })?;
        let address = host.parse::<IpAddr>().ok();
        if address.is_none() {
            // SAFETY: valid; the name is copied. Addresses are not sent (RFC 6066 §3).
            check(WHAT, unsafe { sys::SSL_set_tlsext_host_name(ssl.as_ptr(), name.as_ptr().cast_mut()) } as c_int)?;
        }
        if context.verify_name {
            client.expect(host, address)?;
        }
        Ok(client)
    }

    fn expect(&self, host: &str, address: Option<IpAddr>) -> Result<(), Error> {
        let octets = match address {
            None => {
                // SAFETY: the parameters are the session's; the name is copied.
                let done = unsafe {
                    let parameters = sys::SSL_get0_param(self.ssl.as_ptr());
                    sys::X509_VERIFY_PARAM_set1_host(parameters, host.as_ptr().cast(), host.len())
                };
                return check("expect TLS server", done);
            }
            Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
            Some(IpAddr::V6(v6)) => v6.octets().to_vec(),
        };
        // SAFETY: as above; 4 or 16 octets.
        check("expect TLS server", unsafe {
            let parameters = sys::SSL_get0_param(self.ssl.as_ptr());
            sys::X509_VERIFY_PARAM_set1_ip(parameters, octets.as_ptr(), octets.len())
        })
    }

    /// Goes on with the handshake. A certificate that is not accepted is a failure with the reason.
    pub fn handshake(&mut self) -> Result<(), Blocked> {
        error::clear();
        // SAFETY: valid, and ours.
        let done = unsafe { sys::SSL_connect(self.ssl.as_ptr()) };
        if done == 1 {
            return Ok(());
        }
        // SAFETY: as above; `done` is of the call just made.
        let verified = unsafe { sys::SSL_get_verify_result(self.ssl.as_ptr()) };
        match self.stream.outcome("TLS handshake", done) {
            Err(Blocked::Failed(_)) if verified != c_long_ok() => {
                // SAFETY: a static text for any number.
                let reason = unsafe { super::text(sys::X509_verify_cert_error_string(verified)) };
                Err(Blocked::Failed(Error::plain("TLS handshake", format!("server's certificate: {reason}"))))
            }
            Err(blocked) => Err(blocked),
            Ok(_) => Ok(()),
        }
    }

    /// Reading and writing, once the handshake is complete.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// See [`Stream::has_pending`].
    pub fn has_pending(&self) -> bool {
        self.stream.has_pending()
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: ours; the view does nothing when it is dropped, the socket is closed after this.
        unsafe { sys::SSL_free(self.ssl.as_ptr()) };
    }
}

/// `X509_V_OK`.
fn c_long_ok() -> std::ffi::c_long {
    sys::X509_V_OK.into()
}

fn check(what: &'static str, done: c_int) -> Result<(), Error> {
    if done == 1 { Ok(()) } else { Err(Error::take(what)) }
}

fn c_path(what: &'static str, path: &Path) -> Result<CString, Error> {
    c_string(what, path.as_os_str().as_encoded_bytes())
}

fn c_string(what: &'static str, text: &[u8]) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::plain(what, "text with a NUL"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::host::openssl::x509::KeyPair;

    /// Shakes hands with a server of the library's whose certificate is self-signed.
    fn connect(config: &ClientConfig, host: &str) -> (Result<(), Blocked>, Option<String>) {
        let pair = KeyPair::self_signed_p256("server").unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        for socket in [&near, &far] {
            socket.set_nonblocking(true).unwrap();
        }
        let context = ClientContext::new(config).unwrap();
        let mut client = Client::new(&context, near.into(), host).unwrap();
        // SAFETY: ordinary use of the library on objects made here; the socket outlives them.
        unsafe {
            let ctx = sys::SSL_CTX_new(sys::TLS_server_method());
            assert_eq!(sys::SSL_CTX_use_certificate(ctx, pair.certificate.as_ptr()), 1);
            assert_eq!(sys::SSL_CTX_use_PrivateKey(ctx, pair.key.as_ptr()), 1);
            let server = sys::SSL_new(ctx);
            ffi::SSL_set_fd(server, far.as_raw_fd());
            let mut outcome = client.handshake();
            for _ in 0..10 {
                if !matches!(outcome, Err(Blocked::WantRead)) {
                    break;
                }
                sys::SSL_accept(server);
                outcome = client.handshake();
            }
            let name = sys::SSL_get_servername(server, sys::TLSEXT_NAMETYPE_host_name);
            let name = (!name.is_null()).then(|| super::super::text(name));
            if outcome.is_ok() {
                sys::SSL_accept(server);
                assert_eq!(client.stream().try_write(b"hello"), Ok(5));
                let mut buf = [0u8; 8];
                assert_eq!(sys::SSL_read(server, buf.as_mut_ptr().cast(), 8), 5);
                assert_eq!(buf[..5], *b"hello");
            }
            sys::SSL_free(server);
            sys::SSL_CTX_free(ctx);
            error::clear();
            (outcome, name)
        }
    }

    #[test]
    fn sends_the_name_of_the_server_but_no_address() {
        let config = ClientConfig::default();
        assert_eq!(connect(&config, "pbx.example"), (Ok(()), Some("pbx.example".to_owned())));
        assert_eq!(connect(&config, "192.0.2.1"), (Ok(()), None));
    }

    #[test]
    fn an_untrusted_certificate_is_refused_with_the_reason() {
        let config = ClientConfig { verify_chain: true, ..ClientConfig::default() };
        let (outcome, _) = connect(&config, "pbx.example");
        match outcome {
            Err(Blocked::Failed(error)) => assert!(error.to_string().contains("self"), "{error}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_certificate_of_another_host_is_refused() {
        let config = ClientConfig { verify_name: true, ..ClientConfig::default() };
        for host in ["pbx.example", "192.0.2.1", "2001:db8::1"] {
            assert!(matches!(connect(&config, host).0, Err(Blocked::Failed(_))), "{host}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named_as_such() {
        let path = std::env::temp_dir().join(format!("rust-webrtc-tls-{}", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(b"no certificate").unwrap();
        let ca = ClientConfig { ca_file: Some(path.clone()), ..ClientConfig::default() };
        let own = ClientConfig { certificate: Some(path.clone()), ..ClientConfig::default() };
        let ciphers = ClientConfig { ciphers: Some("NO-SUCH".to_owned()), ..ClientConfig::default() };
        for config in [ca, own, ciphers] {
            assert!(ClientContext::new(&config).is_err());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
