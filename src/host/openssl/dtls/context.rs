//! What associations share: certificate, ciphers, verification (`SSL_CTX`).

use std::ffi::{CString, c_void};
use std::path::PathBuf;
use std::ptr::{self, NonNull};

use openssl_sys as sys;

use super::connection;
use super::queue::Method;
use crate::host::openssl::x509::KeyPair;
use crate::host::openssl::{Error, error, ffi};

/// A protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Dtls12,
    /// Where the library has it; otherwise the highest that it has.
    Dtls13,
}

/// How associations are to be made.
#[derive(Clone, Debug)]
pub struct Config {
    /// OpenSSL's cipher list for DTLS 1.2 (`dtlscipher`).
    pub ciphers: String,
    /// `use_srtp` profiles in OpenSSL's names, separated by colons, best first.
    pub srtp_profiles: String,
    /// The highest version to negotiate. The lowest is DTLS 1.2.
    pub max_version: Version,
    /// Check the chain of the peer's certificate, besides its fingerprint.
    pub verify_chain: bool,
    /// Whom to trust when the chain is checked: a PEM file (`dtlscafile`), a folder of hashed
    /// names (`dtlscapath`).
    pub ca_file: Option<PathBuf>,
    pub ca_path: Option<PathBuf>,
    /// Keep the lines of a key log (`SSLKEYLOGFILE`) for [`super::Connection::take_key_log`].
    pub key_log: bool,
}

/// A shared context. Its settings are fixed when it is made.
pub struct Context {
    ctx: NonNull<sys::SSL_CTX>,
    // Freed after `ctx`, by which time no BIO of this method is left: each association keeps its
    // context alive.
    pub(super) method: Method,
}

// SAFETY: an SSL_CTX is reference counted atomically and locks its own mutable parts; after `new`
// it is only read (SSL_new).
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// Makes a context. Fails with what the library says about a cipher list, profile or trust
    /// file that it cannot use.
    pub fn new(identity: &KeyPair, config: &Config) -> Result<Context, Error> {
        let method = Method::new()?;
        error::clear();
        // SAFETY: allocates; NULL on failure.
        let ctx = unsafe { sys::SSL_CTX_new(sys::DTLS_method()) };
        let ctx = NonNull::new(ctx).ok_or_else(|| Error::take("make DTLS context"))?;
        let context = Context { ctx, method };
        context.restrict(config)?;
        context.identify(identity)?;
        context.verify(config)?;
        if config.key_log {
            // SAFETY: the callback suits the associations made from this context, which all have
            // our state in their application data.
            unsafe {
                sys::SSL_CTX_set_keylog_callback(ctx.as_ptr(), Some(connection::key_log_line));
            }
        }
        error::clear();
        Ok(context)
    }

    fn restrict(&self, config: &Config) -> Result<(), Error> {
        let ctx = self.ctx.as_ptr();
        let ciphers = c_string("set DTLS ciphers", &config.ciphers)?;
        let profiles = c_string("set SRTP profiles", &config.srtp_profiles)?;
        // NO_QUERY_MTU: the association is told its MTU. The rest leaves out everything that
        // would let an association outlive or change its one handshake.
        let options = sys::SSL_OP_NO_QUERY_MTU
            | sys::SSL_OP_NO_TICKET
            | sys::SSL_OP_NO_RENEGOTIATION
            | sys::SSL_OP_CIPHER_SERVER_PREFERENCE;
        // SAFETY: `ctx` is valid, the strings are NUL-terminated and copied by the library.
        unsafe {
            sys::SSL_CTX_set_options(ctx, options as _);
            sys::SSL_CTX_set_session_cache_mode(ctx, sys::SSL_SESS_CACHE_OFF);
            sys::SSL_CTX_set_read_ahead(ctx, 1);
            if sys::SSL_CTX_set_min_proto_version(ctx, sys::DTLS1_2_VERSION as _) != 1 {
                return Err(Error::take("set lowest DTLS version"));
            }
            // 0 is the highest that the library has.
            let highest = match config.max_version {
                Version::Dtls12 => sys::DTLS1_2_VERSION,
                Version::Dtls13 => 0,
            };
            if sys::SSL_CTX_set_max_proto_version(ctx, highest as _) != 1 {
                return Err(Error::take("set highest DTLS version"));
            }
            if sys::SSL_CTX_set_cipher_list(ctx, ciphers.as_ptr()) != 1 {
                return Err(Error::take("set DTLS ciphers"));
            }
            // The one function here that says success with 0.
            if sys::SSL_CTX_set_tlsext_use_srtp(ctx, profiles.as_ptr()) != 0 {
                return Err(Error::take("set SRTP profiles"));
            }
        }
        Ok(())
    }

    fn identify(&self, identity: &KeyPair) -> Result<(), Error> {
        let ctx = self.ctx.as_ptr();
        // SAFETY: `ctx`, certificate and key are valid; the library takes references of its own,
        // except of a chain certificate, of which it takes over the one that `clone` makes.
        unsafe {
            if sys::SSL_CTX_use_certificate(ctx, identity.certificate.as_ptr()) != 1 {
                return Err(Error::take("use certificate"));
            }
            if sys::SSL_CTX_use_PrivateKey(ctx, identity.key.as_ptr()) != 1 {
                return Err(Error::take("use private key"));
            }
            if sys::SSL_CTX_check_private_key(ctx) != 1 {
                return Err(Error::take("match private key and certificate"));
            }
            for certificate in &identity.chain {
                let given = certificate.clone();
                if sys::SSL_CTX_add_extra_chain_cert(ctx, given.as_ptr()) != 1 {
                    return Err(Error::take("use chain certificate"));
                }
                std::mem::forget(given);
            }
        }
        Ok(())
    }

    fn verify(&self, config: &Config) -> Result<(), Error> {
        let ctx = self.ctx.as_ptr();
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| c_string("load trusted certificates", &path.to_string_lossy())).transpose()
        };
        let (file, folder) = (path(&config.ca_file)?, path(&config.ca_path)?);
        let pointer = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |t| t.as_ptr());
        // The callback's argument carries one bit and is never followed.
        let chain = ptr::without_provenance_mut::<c_void>(usize::from(config.verify_chain));
        // SAFETY: `ctx` is valid, the strings live through the call. The callback finds its state
        // in the application data of the association it is called for.
        unsafe {
            sys::SSL_CTX_set_verify(ctx, sys::SSL_VERIFY_PEER | sys::SSL_VERIFY_FAIL_IF_NO_PEER_CERT, None);
            ffi::SSL_CTX_set_cert_verify_callback(ctx, Some(connection::verify_certificate), chain);
            let nothing = file.is_none() && folder.is_none();
            if !nothing && sys::SSL_CTX_load_verify_locations(ctx, pointer(&file), pointer(&folder)) != 1 {
                return Err(Error::take("load trusted certificates"));
            }
        }
        Ok(())
    }

    pub(super) fn as_ptr(&self) -> *mut sys::SSL_CTX {
        self.ctx.as_ptr()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: gives up our reference; associations keep an `Arc` of this value, so none is
        // left.
        unsafe { sys::SSL_CTX_free(self.ctx.as_ptr()) }
    }
}

fn c_string(what: &'static str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::plain(what, "contains a NUL"))
}
