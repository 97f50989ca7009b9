//! One DTLS association (`SSL`), fed datagrams and giving datagrams.
//!
//! The library's callbacks find their [`State`] in the association's application data. It is
//! reached through a raw pointer everywhere, because the library runs the callbacks in the middle
//! of our own calls; a reference to it never lives across such a call.

use std::collections::VecDeque;
use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use openssl_sys as sys;

use super::context::Context;
use super::queue::Queues;
use crate::host::openssl::x509::{Certificate, Hash};
use crate::host::openssl::{Error, constant_time_eq, error, ffi};

/// Who sends the ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// The digest that the peer's certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerDigest {
    pub hash: Hash,
    pub digest: Vec<u8>,
}

/// How far an operation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All input is used up.
    Waiting,
    /// The handshake is complete; or application data was read and dropped.
    Done,
    /// The peer said close_notify.
    Closed,
}

/// An association.
pub struct Connection {
    ssl: NonNull<sys::SSL>,
    state: *mut State,
    // The library has a reference of its own to the SSL_CTX; the BIO method is ours to keep.
    _context: Arc<Context>,
}

/// What the callbacks need.
struct State {
    queues: Queues,
    expected: Option<PeerDigest>,
    peer: Option<Certificate>,
    rejected: Option<Rejected>,
    initial_timeout: c_uint,
    longest_timeout: c_uint,
    key_log: Vec<String>,
}

/// Why the peer's certificate was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It is not the one that was signalled.
    Fingerprint,
    /// Nobody who is trusted vouches for it.
    Chain(String),
}

/// Application data of an `SSL`: the slot that needs no registration.
const APPLICATION_DATA: c_int = 0;

// SAFETY: the `SSL` and `state` belong to this value alone and have no thread affinity.
unsafe impl Send for Connection {}

impl Connection {
    /// A new association, its datagrams at most `mtu` bytes long. The first flight is repeated
    /// after `initial_timeout`, and then at intervals that double up to `longest_timeout`.
    pub fn new(
        context: &Arc<Context>,
        role: Role,
        mtu: u16,
        initial_timeout: Duration,
        longest_timeout: Duration,
    ) -> Result<Connection, Error> {
        const WHAT: &str = "make DTLS association";
        error::clear();
        // SAFETY: the context is valid; NULL on failure.
        let ssl = unsafe { sys::SSL_new(context.as_ptr()) };
        let ssl = NonNull::new(ssl).ok_or_else(|| Error::take(WHAT))?;
        let connection = Connection {
            ssl,
            state: Box::into_raw(Box::new(State {
                queues: Queues::default(),
                expected: None,
                peer: None,
                rejected: None,
                initial_timeout: microseconds(initial_timeout),
                longest_timeout: microseconds(longest_timeout),
                key_log: Vec::new(),
            })),
            _context: context.clone(),
        };
        // SAFETY: `ssl` is valid and not yet in use. `state` lives until after SSL_free (`drop`),
        // and with it the queues; the library takes over the BIO.
        unsafe {
            let bio = context.method.bio(&raw mut (*connection.state).queues)?;
            sys::SSL_set_bio(ssl.as_ptr(), bio.as_ptr(), bio.as_ptr());
            if sys::SSL_set_ex_data(ssl.as_ptr(), APPLICATION_DATA, connection.state.cast()) != 1 {
                return Err(Error::take(WHAT));
            }
            if sys::SSL_set_mtu(ssl.as_ptr(), c_long::from(mtu)) == 0 {
                return Err(Error::plain("set DTLS MTU", format!("{mtu} is too small")));
            }
            ffi::DTLS_set_timer_cb(ssl.as_ptr(), Some(next_timeout));
            match role {
                Role::Client => sys::SSL_set_connect_state(ssl.as_ptr()),
                Role::Server => sys::SSL_set_accept_state(ssl.as_ptr()),
            }
        }
        error::clear();
        Ok(connection)
    }

    /// Says which certificate the peer must show. Checked when it shows it; the caller checks
    /// again with [`Connection::peer_digest`] if this comes after the handshake.
    pub fn expect(&mut self, digest: PeerDigest) {
        self.state().expected = Some(digest);
    }

    /// Queues a datagram from the peer. False if too many wait already.
    pub fn push(&mut self, datagram: &[u8]) -> bool {
        self.state().queues.push_incoming(datagram)
    }

    /// Takes the datagrams for the peer.
    pub fn outgoing(&mut self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.state().queues.outgoing)
    }

    /// Goes on with the handshake.
    pub fn handshake(&mut self) -> Result<Step, Error> {
        error::clear();
        // SAFETY: `ssl` is valid; callbacks reach `state`, to which no reference lives here.
        let done = unsafe { sys::SSL_do_handshake(self.ssl.as_ptr()) };
        self.outcome("DTLS handshake", done)
    }

    /// Reads and drops application data: what matters is the records that the library answers on
    /// the way (a repeated flight, an alert).
    pub fn read(&mut self) -> Result<Step, Error> {
        let mut scratch = [0u8; 2048];
        error::clear();
        // SAFETY: `scratch` is writable for its length; otherwise as in `handshake`.
        let got = unsafe { sys::SSL_read(self.ssl.as_ptr(), scratch.as_mut_ptr().cast(), scratch.len() as c_int) };
        self.outcome("DTLS read", got)
    }

    /// How long until the last flight is to be repeated.
    pub fn timeout(&mut self) -> Option<Duration> {
        let mut left = libc::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: the control fills in a timeval.
        let running =
            unsafe { sys::SSL_ctrl(self.ssl.as_ptr(), ffi::DTLS_CTRL_GET_TIMEOUT, 0, (&raw mut left).cast()) };
        (running == 1).then(|| {
            Duration::from_secs(u64::try_from(left.tv_sec).unwrap_or(0))
                + Duration::from_micros(u64::try_from(left.tv_usec).unwrap_or(0))
        })
    }

    /// Repeats the last flight if its time has come; false if it has not. An error means that
    /// the library has given up. With `wait` the time is made to come: for tests whose clock is
    /// not the library's.
    pub fn repeat_flight(&mut self, wait: bool) -> Result<bool, Error> {
        if wait && let Some(left) = self.timeout() {
            std::thread::sleep(left);
        }
        error::clear();
        // SAFETY: as in `handshake`.
        let done = unsafe { sys::SSL_ctrl(self.ssl.as_ptr(), ffi::DTLS_CTRL_HANDLE_TIMEOUT, 0, ptr::null_mut()) };
        if done < 0 {
            return Err(Error::take("DTLS retransmission"));
        }
        error::clear();
        Ok(done > 0)
    }

    /// Says close_notify, if the handshake is complete.
    pub fn shutdown(&mut self) {
        // SAFETY: as in `handshake`. A failure leaves nothing to do.
        unsafe { sys::SSL_shutdown(self.ssl.as_ptr()) };
        error::clear();
    }

    /// The digest of the certificate that the peer has shown.
    pub fn peer_digest(&mut self, hash: Hash) -> Option<Vec<u8>> {
        self.state().peer.as_ref()?.digest(hash).ok()
    }

    /// Why the peer's certificate was refused, if it was.
    pub fn rejected(&mut self) -> Option<Rejected> {
        self.state().rejected.clone()
    }

    /// The number of the SRTP protection profile chosen (RFC 5764 section 4.1.2).
    pub fn srtp_profile(&self) -> Option<u16> {
        // SAFETY: `ssl` is valid; the result is NULL or points to a static table.
        let id = unsafe {
            let profile = sys::SSL_get_selected_srtp_profile(self.ssl.as_ptr());
            profile.as_ref()?.id
        };
        u16::try_from(id).ok()
    }

    /// Fills `out` with keying material for `label` (RFC 5705), without context.
    pub fn export(&self, label: &str, out: &mut [u8]) -> Result<(), Error> {
        error::clear();
        // SAFETY: `out` is writable and `label` readable for their lengths.
        let done = unsafe {
            sys::SSL_export_keying_material(
                self.ssl.as_ptr(),
                out.as_mut_ptr(),
                out.len(),
                label.as_ptr().cast(),
                label.len(),
                ptr::null(),
                0,
                0,
            )
        };
        if done == 1 { Ok(()) } else { Err(Error::take("export keying material")) }
    }

    /// The cipher suite in OpenSSL's name, such as `ECDHE-ECDSA-AES128-GCM-SHA256`.
    pub fn cipher_name(&self) -> String {
        // SAFETY: `ssl` is valid; the name is static and NUL-terminated, "(NONE)" for a NULL
        // cipher.
        unsafe {
            let cipher = sys::SSL_get_current_cipher(self.ssl.as_ptr());
            text(sys::SSL_CIPHER_get_name(cipher))
        }
    }

    /// The version in OpenSSL's name, such as `DTLSv1.2`.
    pub fn version_name(&self) -> String {
        // SAFETY: `ssl` is valid; the name is static and NUL-terminated.
        unsafe { text(sys::SSL_get_version(self.ssl.as_ptr())) }
    }

    /// Takes the lines for a key log that have come up.
    pub fn take_key_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.state().key_log)
    }

    fn state(&mut self) -> &mut State {
        // SAFETY: allocated in `new` and freed in `drop`; the library uses it only inside calls,
        // and each of those takes `&mut self` after this borrow has ended.
        unsafe { &mut *self.state }
    }

    /// What the return value of a call means.
    fn outcome(&mut self, what: &'static str, returned: c_int) -> Result<Step, Error> {
        // SAFETY: `ssl` is valid, and `returned` is of the call just made on it.
        let code = unsafe { sys::SSL_get_error(self.ssl.as_ptr(), returned) };
        let step = match code {
            sys::SSL_ERROR_NONE => Ok(Step::Done),
            sys::SSL_ERROR_WANT_READ | sys::SSL_ERROR_WANT_WRITE => Ok(Step::Waiting),
            sys::SSL_ERROR_ZERO_RETURN => Ok(Step::Closed),
            _ => Err(Error::take(what)),
        };
        error::clear();
        step
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: both are ours and freed once; SSL_free frees the BIO, the last user of `state`.
        unsafe {
            sys::SSL_free(self.ssl.as_ptr());
            drop(Box::from_raw(self.state));
        }
        error::clear();
    }
}

/// Decides on the peer's certificate; see [`super::Config::verify_chain`] for `chain`.
///
/// # Safety
/// Called by the library, for an association that [`Connection::new`] made.
pub(super) unsafe extern "C" fn verify_certificate(store: *mut sys::X509_STORE_CTX, chain: *mut c_void) -> c_int {
    // SAFETY: the library keeps the association at this index of the store context, and `new`
    // has put the state into the association before it could run. The certificate belongs to the
    // store context; `share` takes a reference of our own.
    unsafe {
        let index = sys::SSL_get_ex_data_X509_STORE_CTX_idx();
        let ssl: *mut sys::SSL = sys::X509_STORE_CTX_get_ex_data(store, index).cast();
        let Some(state) = state_of(ssl).as_mut() else {
            return 0;
        };
        state.peer = Certificate::share(ffi::X509_STORE_CTX_get0_cert(store));
        if !state.peer_is_expected() {
            state.rejected = Some(Rejected::Fingerprint);
            // Becomes the alert bad_certificate.
            sys::X509_STORE_CTX_set_error(store, sys::X509_V_ERR_CERT_REJECTED);
            return 0;
        }
        if chain.is_null() {
            sys::X509_STORE_CTX_set_error(store, sys::X509_V_OK);
            return 1;
        }
        if sys::X509_verify_cert(store) == 1 {
            return 1;
        }
        let code = sys::X509_STORE_CTX_get_error(store);
        state.rejected = Some(Rejected::Chain(text(sys::X509_verify_cert_error_string(c_long::from(code)))));
        0
    }
}

impl State {
    /// True if the peer has shown the certificate expected, or none is expected yet.
    fn peer_is_expected(&self) -> bool {
        let (Some(peer), Some(expected)) = (&self.peer, &self.expected) else {
            return self.peer.is_some();
        };
        peer.digest(expected.hash).is_ok_and(|digest| constant_time_eq(&digest, &expected.digest))
    }
}

/// Takes a line of the key log.
///
/// # Safety
/// Called by the library, for an association that [`Connection::new`] made.
pub(super) unsafe extern "C" fn key_log_line(ssl: *const sys::SSL, line: *const c_char) {
    /// One handshake has one line (DTLS 1.2) or five (1.3).
    const MAX_LINES: usize = 16;
    // SAFETY: as in `verify_certificate`; the line is NUL-terminated.
    unsafe {
        if let Some(state) = state_of(ssl).as_mut()
            && state.key_log.len() < MAX_LINES
        {
            state.key_log.push(text(line));
        }
    }
}

/// Says how long to wait for an answer to the flight: 0 `running` is the first time.
unsafe extern "C" fn next_timeout(ssl: *mut sys::SSL, running: c_uint) -> c_uint {
    // SAFETY: as in `verify_certificate`.
    match unsafe { state_of(ssl).as_ref() } {
        Some(state) if running == 0 => state.initial_timeout,
        Some(state) => running.saturating_mul(2).min(state.longest_timeout),
        None => 1_000_000,
    }
}

/// # Safety
/// `ssl` is valid, and its application data is NULL or from [`Connection::new`].
unsafe fn state_of(ssl: *const sys::SSL) -> *mut State {
    // SAFETY: by contract.
    unsafe { sys::SSL_get_ex_data(ssl, APPLICATION_DATA).cast() }
}

/// # Safety
/// `text` is NUL-terminated, or NULL.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn microseconds(duration: Duration) -> c_uint {
    c_uint::try_from(duration.as_micros()).unwrap_or(c_uint::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::openssl::dtls::{Config, Version};
    use crate::host::openssl::x509::KeyPair;

    fn context(ciphers: &str) -> Arc<Context> {
        let config = Config {
            ciphers: ciphers.to_owned(),
            srtp_profiles: "SRTP_AES128_CM_SHA1_80".to_owned(),
            max_version: Version::Dtls12,
            verify_chain: false,
            ca_file: None,
            ca_path: None,
            key_log: false,
        };
        Arc::new(Context::new(&KeyPair::self_signed_p256("peer").unwrap(), &config).unwrap())
    }

    fn connection(context: &Arc<Context>, role: Role) -> Connection {
        let (initial, longest) = (Duration::from_millis(50), Duration::from_secs(3));
        let connection = Connection::new(context, role, 1200, initial, longest).unwrap();
        assert_clean();
        connection
    }

    /// Somebody else on this thread will look at the queue next.
    fn assert_clean() {
        assert_eq!(error::peek_last(), (0, 0));
    }

    fn shake(client: &mut Connection, server: &mut Connection) -> [Result<Step, Error>; 2] {
        let mut last = [Ok(Step::Waiting), Ok(Step::Waiting)];
        for _ in 0..6 {
            for (i, last) in last.iter_mut().enumerate() {
                let (from, to) = match i {
                    0 => (&mut *client, &mut *server),
                    _ => (&mut *server, &mut *client),
                };
                if *last == Ok(Step::Waiting) {
                    *last = from.handshake();
                }
                assert_clean();
                for datagram in from.outgoing() {
                    assert!(to.push(&datagram));
                }
            }
        }
        last
    }

    #[test]
    fn leaves_the_error_queue_empty() {
        let context = context("ECDHE");
        let (mut client, mut server) = (connection(&context, Role::Client), connection(&context, Role::Server));
        assert_eq!(shake(&mut client, &mut server), [Ok(Step::Done), Ok(Step::Done)]);
        assert_eq!(client.srtp_profile(), Some(1));
        assert_eq!(client.read(), Ok(Step::Waiting));
        assert_clean();
        client.export("EXTRACTOR-dtls_srtp", &mut [0; 60]).unwrap();
        assert_clean();
        assert_eq!(client.peer_digest(Hash::Sha256), server.peer_digest(Hash::Sha256));
        client.shutdown();
        assert_clean();
        drop(client);
        assert_clean();
    }

    /// No cipher in common: an error with words on one side, an alert on the other.
    #[test]
    fn failure_leaves_the_error_queue_empty() {
        let (mut client, mut server) =
            (connection(&context("ECDHE+AESGCM"), Role::Client), connection(&context("ECDHE+CHACHA20"), Role::Server));
        let [client_says, server_says] = shake(&mut client, &mut server);
        let text = server_says.unwrap_err().to_string();
        assert_eq!(text, "DTLS handshake: no shared cipher");
        let text = client_says.unwrap_err().to_string();
        assert!(text.contains("handshake failure"), "{text}");
        client.shutdown();
        assert_clean();
    }
}
