//! Functions of libcrypto and libssl that `openssl-sys` does not bind. Each has had this
//! signature since OpenSSL 1.1.0 or 1.1.1.

use std::ffi::{c_int, c_uint, c_ulong, c_void};

use openssl_sys::{EVP_PKEY, SSL, SSL_CTX, X509, X509_STORE_CTX};

/// Told the running timeout in microseconds, or 0 when a flight is first sent; says the next.
pub type TimerCallback = Option<unsafe extern "C" fn(*mut SSL, c_uint) -> c_uint>;

/// Takes the place of chain verification as a whole; returns 1 to accept.
pub type CertVerifyCallback = Option<unsafe extern "C" fn(*mut X509_STORE_CTX, *mut c_void) -> c_int>;

unsafe extern "C" {
    pub fn ERR_peek_last_error() -> c_ulong;
    pub fn OPENSSL_cleanse(ptr: *mut c_void, len: usize);
    pub fn X509_check_private_key(x509: *const X509, key: *const EVP_PKEY) -> c_int;
    pub fn X509_STORE_CTX_get0_cert(ctx: *mut X509_STORE_CTX) -> *mut X509;
    pub fn SSL_CTX_set_cert_verify_callback(ctx: *mut SSL_CTX, callback: CertVerifyCallback, argument: *mut c_void);
    pub fn SSL_set_fd(ssl: *mut SSL, fd: c_int) -> c_int;
    pub fn SSL_set_read_ahead(ssl: *mut SSL, yes: c_int);
    pub fn SSL_has_pending(ssl: *const SSL) -> c_int;
    pub fn DTLS_set_timer_cb(ssl: *mut SSL, callback: TimerCallback);
}

// Controls that the headers hide behind macros (openssl/ssl.h, openssl/bio.h).
pub const SSL_CTRL_MODE: c_int = 33;
pub const DTLS_CTRL_GET_TIMEOUT: c_int = 73;
pub const DTLS_CTRL_HANDLE_TIMEOUT: c_int = 74;
pub const BIO_CTRL_FLUSH: c_int = 11;
pub const BIO_CTRL_DGRAM_GET_MTU_OVERHEAD: c_int = 49;
/// `BIO_TYPE_SOURCE_SINK` with a number of no type of the library's own.
pub const BIO_TYPE_DATAGRAM_QUEUE: c_int = 0x0400 | 0xfe;
