//! Certificates and private keys: read from PEM, made afresh, fingerprinted.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::{fmt, fs, io};

use openssl_sys as sys;

use super::error;
use super::{Error, ffi, rand};

mod inspect;

/// The digests that a certificate fingerprint may use (RFC 8122 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// An X.509 certificate. Cloning shares it.
pub struct Certificate(NonNull<sys::X509>);

/// A private key. Cloning shares it; the last owner's drop wipes it.
pub struct PrivateKey(NonNull<sys::EVP_PKEY>);

// SAFETY: both are reference counted atomically, and are not changed once made: every function
// that takes one here reads it. (The library guards the caches inside with locks of its own.)
unsafe impl Send for Certificate {}
// SAFETY: as above.
unsafe impl Sync for Certificate {}
// SAFETY: as above.
unsafe impl Send for PrivateKey {}
// SAFETY: as above.
unsafe impl Sync for PrivateKey {}

impl Certificate {
    /// Reads each certificate of `pem`, in order. An empty list if there is none.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Certificate>, Error> {
        const WHAT: &str = "read certificate";
        let bio = Memory::new(WHAT, pem)?;
        let mut found = Vec::new();
        loop {
            error::clear();
            // SAFETY: the BIO is valid; no object is reused; a certificate needs no password,
            // and the callback refuses to ask for one.
            let x509 =
                unsafe { sys::PEM_read_bio_X509(bio.0.as_ptr(), ptr::null_mut(), Some(no_password), ptr::null_mut()) };
            match NonNull::new(x509) {
                Some(x509) => found.push(Certificate(x509)),
                None if error::peek_last() == (sys::ERR_LIB_PEM, sys::PEM_R_NO_START_LINE) => {
                    error::clear();
                    return Ok(found);
                }
                None => return Err(Error::take(WHAT)),
            }
        }
    }

    /// The digest of the certificate's DER form: its fingerprint.
    pub fn digest(&self, hash: Hash) -> Result<Vec<u8>, Error> {
        error::clear();
        // SAFETY: these return pointers to static descriptions.
        let digest = unsafe {
            match hash {
                Hash::Sha1 => sys::EVP_sha1(),
                Hash::Sha256 => sys::EVP_sha256(),
                Hash::Sha384 => sys::EVP_sha384(),
                Hash::Sha512 => sys::EVP_sha512(),
            }
        };
        let mut out = [0u8; sys::EVP_MAX_MD_SIZE as usize];
        let mut length: c_uint = 0;
        // SAFETY: `out` has room for the longest digest.
        let done = unsafe { sys::X509_digest(self.0.as_ptr(), digest, out.as_mut_ptr(), &mut length) };
        match (done, out.get(..length as usize)) {
            (1, Some(digest)) => Ok(digest.to_vec()),
            _ => Err(Error::take("fingerprint certificate")),
        }
    }

    /// The certificate as PEM text.
    pub fn to_pem(&self) -> Result<String, Error> {
        const WHAT: &str = "write certificate";
        write_pem(WHAT, |bio| {
            // SAFETY: the BIO and the certificate are valid.
            unsafe { sys::PEM_write_bio_X509(bio, self.0.as_ptr()) == 1 }
        })
    }

    /// Takes one more reference to a certificate that the library owns.
    ///
    /// # Safety
    /// `x509` is a valid certificate, or NULL.
    pub(super) unsafe fn share(x509: *mut sys::X509) -> Option<Certificate> {
        let x509 = NonNull::new(x509)?;
        // SAFETY: valid, by contract.
        unsafe { sys::X509_up_ref(x509.as_ptr()) };
        Some(Certificate(x509))
    }

    pub(super) fn as_ptr(&self) -> *mut sys::X509 {
        self.0.as_ptr()
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Certificate {
        // SAFETY: ours is valid.
        unsafe { sys::X509_up_ref(self.0.as_ptr()) };
        Certificate(self.0)
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // SAFETY: gives up the one reference that this value holds.
        unsafe { sys::X509_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl PrivateKey {
    /// Reads the first private key of `pem`. A key behind a passphrase is refused: nobody is
    /// there to type it.
    pub fn from_pem(pem: &[u8]) -> Result<PrivateKey, Error> {
        const WHAT: &str = "read private key";
        let bio = Memory::new(WHAT, pem)?;
        error::clear();
        // SAFETY: the BIO is valid; no object is reused; the callback gives no password.
        let key = unsafe {
            sys::PEM_read_bio_PrivateKey(bio.0.as_ptr(), ptr::null_mut(), Some(no_password), ptr::null_mut())
        };
        let key = NonNull::new(key).ok_or_else(|| Error::take(WHAT))?;
        // The decoder leaves what it tried in the queue even when it succeeds.
        error::clear();
        Ok(PrivateKey(key))
    }

    /// The key as PEM text (PKCS #8), not encrypted.
    pub fn to_pem(&self) -> Result<String, Error> {
        const WHAT: &str = "write private key";
        write_pem(WHAT, |bio| {
            // SAFETY: the BIO and the key are valid; no cipher means no passphrase.
            unsafe {
                sys::PEM_write_bio_PrivateKey(
                    bio,
                    self.0.as_ptr(),
                    ptr::null(),
                    ptr::null_mut(),
                    0,
                    None,
                    ptr::null_mut(),
                ) == 1
            }
        })
    }

    /// A new key on the curve P-256.
    pub fn generate_p256() -> Result<PrivateKey, Error> {
        const WHAT: &str = "generate P-256 key";
        error::clear();
        // SAFETY: allocates; NULL on failure.
        let ctx = unsafe { sys::EVP_PKEY_CTX_new_id(sys::EVP_PKEY_EC, ptr::null_mut()) };
        let ctx = NonNull::new(ctx).ok_or_else(|| Error::take(WHAT))?;
        let mut key = ptr::null_mut();
        // SAFETY: the context is valid until it is freed on the last line, and each step is
        // taken only if the one before it succeeded.
        let done = unsafe {
            let done = sys::EVP_PKEY_keygen_init(ctx.as_ptr()) == 1
                && sys::EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx.as_ptr(), sys::NID_X9_62_prime256v1) == 1
                && sys::EVP_PKEY_keygen(ctx.as_ptr(), &mut key) == 1;
            sys::EVP_PKEY_CTX_free(ctx.as_ptr());
            done
        };
        match NonNull::new(key) {
            Some(key) if done => Ok(PrivateKey(key)),
            _ => Err(Error::take(WHAT)),
        }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::EVP_PKEY {
        self.0.as_ptr()
    }
}

impl Clone for PrivateKey {
    fn clone(&self) -> PrivateKey {
        // SAFETY: ours is valid.
        unsafe { sys::EVP_PKEY_up_ref(self.0.as_ptr()) };
        PrivateKey(self.0)
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        // SAFETY: gives up the one reference that this value holds.
        unsafe { sys::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A certificate, the certificates of those who vouch for it, and its key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    pub certificate: Certificate,
    pub chain: Vec<Certificate>,
    pub key: PrivateKey,
}

impl KeyPair {
    /// Reads certificate (the first is ours, the rest its chain) and key from the contents of
    /// PEM files, which may be one and the same.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<KeyPair, PemError> {
        let mut certificates = Certificate::all_from_pem(certificate).map_err(PemError::Certificate)?.into_iter();
        let certificate = certificates.next().ok_or(PemError::NoCertificate)?;
        if !contains(key, b"PRIVATE KEY-----") {
            return Err(PemError::NoKey);
        }
        let key = PrivateKey::from_pem(key).map_err(PemError::Key)?;
        // SAFETY: both are valid.
        let matches = unsafe { ffi::X509_check_private_key(certificate.as_ptr(), key.as_ptr()) };
        error::clear();
        if matches != 1 {
            return Err(PemError::Mismatch);
        }
        Ok(KeyPair { certificate, chain: certificates.collect(), key })
    }

    /// Reads certificate and key from files. Without `key` it is looked for beside the
    /// certificate, in the same file.
    pub fn load(certificate: &Path, key: Option<&Path>) -> Result<KeyPair, LoadError> {
        let certificate_pem = read("certificate", certificate)?;
        let key_pem = match key {
            Some(key) => &read("private key", key)?,
            None => &certificate_pem,
        };
        KeyPair::from_pem(&certificate_pem, key_pem).map_err(|error| match error {
            PemError::NoKey | PemError::Key(_) | PemError::Mismatch => {
                LoadError::Contents { path: key.unwrap_or(certificate).to_owned(), error }
            }
            _ => LoadError::Contents { path: certificate.to_owned(), error },
        })
    }

    /// A new P-256 key and a certificate that it signs itself, for the common name `cn` (at most
    /// 64 characters).
    ///
    /// Peers judge it by its fingerprint alone; it is valid from yesterday, for clocks that
    /// differ, and for ten years, longer than an Asterisk stays up.
    pub fn self_signed_p256(cn: &str) -> Result<KeyPair, Error> {
        const WHAT: &str = "make certificate";
        const DAY: c_long = 24 * 60 * 60;
        const MBSTRING_UTF8: c_int = 0x1000;
        const VERSION_3: c_long = 2;

        let key = PrivateKey::generate_p256()?;
        // A positive serial number of 63 bits; RFC 5280 wants it positive and not zero.
        let serial = i64::from_be_bytes(rand::bytes()?) & i64::MAX | 1;
        let cn_length = c_int::try_from(cn.len()).map_err(|_| Error::plain(WHAT, "name too long"))?;
        error::clear();
        // SAFETY: allocates; NULL on failure.
        let x509 = unsafe { sys::X509_new() };
        let x509 = NonNull::new(x509).ok_or_else(|| Error::take(WHAT))?;
        let certificate = Certificate(x509);
        let x509 = x509.as_ptr();
        // SAFETY: allocates; NULL on failure.
        let name = unsafe { sys::X509_NAME_new() };
        let name = NonNull::new(name).ok_or_else(|| Error::take(WHAT))?.as_ptr();
        // SAFETY: `x509`, `name` and the key are valid throughout, the certificate's own parts
        // (serial number, times) live as long as it, and `cn` is readable for its length. The
        // certificate copies `name`, which is freed on the last line.
        let done = unsafe {
            let done = sys::X509_set_version(x509, VERSION_3) == 1
                && set_serial(x509, serial)
                && !sys::X509_gmtime_adj(sys::X509_getm_notBefore(x509), -DAY).is_null()
                && !sys::X509_gmtime_adj(sys::X509_getm_notAfter(x509), 3650 * DAY).is_null()
                && sys::X509_NAME_add_entry_by_NID(
                    name,
                    sys::NID_commonName,
                    MBSTRING_UTF8,
                    cn.as_ptr(),
                    cn_length,
                    -1,
                    0,
                ) == 1
                && sys::X509_set_subject_name(x509, name) == 1
                && sys::X509_set_issuer_name(x509, name) == 1
                && sys::X509_set_pubkey(x509, key.as_ptr()) == 1
                && sys::X509_sign(x509, key.as_ptr(), sys::EVP_sha256()) > 0;
            sys::X509_NAME_free(name);
            done
        };
        if !done {
            return Err(Error::take(WHAT));
        }
        Ok(KeyPair { certificate, chain: Vec::new(), key })
    }
}

/// Why PEM text gave no certificate and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemError {
    NoCertificate,
    Certificate(Error),
    NoKey,
    Key(Error),
    Mismatch,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PemError::NoCertificate => f.write_str("holds no certificate"),
            PemError::NoKey => f.write_str("holds no private key"),
            PemError::Mismatch => f.write_str("the private key is not the certificate's"),
            PemError::Certificate(error) | PemError::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PemError {}

/// Why certificate and key could not be had from files.
#[derive(Debug)]
pub enum LoadError {
    /// `what` ("certificate", "private key") is not there.
    Missing { what: &'static str, path: PathBuf },
    /// It is there and cannot be read.
    Unreadable { what: &'static str, path: PathBuf, error: io::Error },
    /// It was read and is of no use.
    Contents { path: PathBuf, error: PemError },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Missing { what, path } => {
                write!(f, "{what} file {} does not exist", path.display())
            }
            LoadError::Unreadable { what, path, error } => {
                write!(f, "{what} file {} cannot be read: {error}", path.display())
            }
            LoadError::Contents { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for LoadError {}

/// A memory BIO; over bytes that outlive it, if it is read.
struct Memory<'a>(NonNull<sys::BIO>, std::marker::PhantomData<&'a [u8]>);

impl<'a> Memory<'a> {
    fn new(what: &'static str, bytes: &'a [u8]) -> Result<Memory<'a>, Error> {
        let length = c_int::try_from(bytes.len()).map_err(|_| Error::plain(what, "file too long"))?;
        error::clear();
        // SAFETY: `bytes` is readable for `length` and borrowed for as long as the BIO lives.
        let bio = unsafe { sys::BIO_new_mem_buf(bytes.as_ptr().cast(), length) };
        let bio = NonNull::new(bio).ok_or_else(|| Error::take(what))?;
        Ok(Memory(bio, std::marker::PhantomData))
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        // SAFETY: ours, and freed once.
        unsafe { sys::BIO_free_all(self.0.as_ptr()) }
    }
}

/// What `write` writes to a memory BIO.
fn write_pem(what: &'static str, write: impl FnOnce(*mut sys::BIO) -> bool) -> Result<String, Error> {
    error::clear();
    // SAFETY: allocates; NULL on failure.
    let bio = unsafe { sys::BIO_new(sys::BIO_s_mem()) };
    let bio = Memory(NonNull::new(bio).ok_or_else(|| Error::take(what))?, std::marker::PhantomData);
    if !write(bio.0.as_ptr()) {
        return Err(Error::take(what));
    }
    let mut text = Vec::new();
    let mut part = [0u8; 1024];
    loop {
        // SAFETY: the BIO is valid, `part` writable for its length.
        let got = unsafe { sys::BIO_read(bio.0.as_ptr(), part.as_mut_ptr().cast(), part.len() as c_int) };
        match usize::try_from(got).ok().and_then(|got| part.get(..got)) {
            Some(got @ [_, ..]) => text.extend_from_slice(got),
            _ => break,
        }
    }
    super::cleanse(&mut part);
    error::clear();
    String::from_utf8(text).map_err(|_| Error::unexpected(what))
}

/// Answers the question for a passphrase: without this the library asks on the terminal.
unsafe extern "C" fn no_password(_: *mut c_char, _: c_int, _: c_int, _: *mut c_void) -> c_int {
    -1
}

/// Gives `x509` a serial number.
///
/// # Safety
/// `x509` is a valid certificate that nobody else uses.
unsafe fn set_serial(x509: *mut sys::X509, serial: i64) -> bool {
    // SAFETY: the number belongs to the certificate. `c_long` has 64 bits where Asterisk runs;
    // elsewhere the number is merely shorter.
    unsafe { sys::ASN1_INTEGER_set(sys::X509_get_serialNumber(x509), serial as c_long) == 1 }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, LoadError> {
    fs::read(path).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => LoadError::Missing { what, path },
            _ => LoadError::Unreadable { what, path, error },
        }
    })
}

#[cfg(test)]
mod tests;
