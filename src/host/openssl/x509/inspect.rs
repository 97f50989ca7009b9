//! What a certificate says of itself, as far as it decides whether a browser accepts it.

use std::ffi::c_int;
use std::ptr;

use openssl_sys as sys;

use super::super::{Error, error};
use super::Certificate;

impl Certificate {
    /// From when and until when it is valid, in seconds since 1970.
    pub fn validity(&self) -> Result<(i64, i64), Error> {
        // SAFETY: both times belong to the certificate, which is valid while they are read.
        unsafe {
            Ok((seconds(sys::X509_getm_notBefore(self.as_ptr()))?, seconds(sys::X509_getm_notAfter(self.as_ptr()))?))
        }
    }

    /// Whether it has a subjectAltName: browsers do not look at the common name.
    pub fn has_alternative_name(&self) -> bool {
        // SAFETY: searches the extensions of a valid certificate.
        unsafe { sys::X509_get_ext_by_NID(self.as_ptr(), sys::NID_subject_alt_name, -1) >= 0 }
    }

    /// The name of the digest that it is signed with, if that is one that can be forged.
    pub fn weak_digest(&self) -> Option<&'static str> {
        let (mut digest, mut key): (c_int, c_int) = (0, 0);
        // SAFETY: reads a valid certificate and a table; both numbers outlive the call.
        let known = unsafe {
            sys::OBJ_find_sigid_algs(sys::X509_get_signature_nid(self.as_ptr()), &raw mut digest, &raw mut key)
        };
        match (known, digest) {
            (1, sys::NID_md5) => Some("MD5"),
            (1, sys::NID_sha1) => Some("SHA-1"),
            _ => None,
        }
    }

    /// The length of its key, if that is one of RSA.
    pub fn rsa_bits(&self) -> Option<u32> {
        // SAFETY: gives a reference of our own, or NULL for a key of an unknown kind.
        let key = unsafe { sys::X509_get_pubkey(self.as_ptr()) };
        if key.is_null() {
            error::clear();
            return None;
        }
        // SAFETY: the key is valid until the reference is given up, once.
        let (kind, bits) = unsafe {
            let found = (sys::EVP_PKEY_id(key), sys::EVP_PKEY_bits(key));
            sys::EVP_PKEY_free(key);
            found
        };
        (kind == sys::EVP_PKEY_RSA).then(|| u32::try_from(bits).unwrap_or(0))
    }

    /// Whether nobody vouches for it but itself.
    pub fn is_self_signed(&self) -> bool {
        // SAFETY: a valid certificate, compared with itself.
        let issued = unsafe { sys::X509_check_issued(self.as_ptr(), self.as_ptr()) } == sys::X509_V_OK;
        error::clear();
        issued
    }
}

/// An ASN.1 time as seconds since 1970.
///
/// # Safety
/// `time` is valid during the call.
unsafe fn seconds(time: *const sys::ASN1_TIME) -> Result<i64, Error> {
    const WHAT: &str = "read certificate's time";
    error::clear();
    // SAFETY: allocates; NULL on failure.
    let epoch = unsafe { sys::ASN1_TIME_set(ptr::null_mut(), 0) };
    if epoch.is_null() {
        return Err(Error::take(WHAT));
    }
    let (mut days, mut rest): (c_int, c_int) = (0, 0);
    // SAFETY: both times are valid and the numbers outlive the call; the epoch is freed once.
    let done = unsafe {
        let done = sys::ASN1_TIME_diff(&raw mut days, &raw mut rest, epoch, time);
        sys::ASN1_TIME_free(epoch);
        done
    };
    if done == 1 { Ok(i64::from(days) * 86400 + i64::from(rest)) } else { Err(Error::take(WHAT)) }
}
