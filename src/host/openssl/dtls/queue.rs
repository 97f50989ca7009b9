//! A BIO between an `SSL` and queues of datagrams: one read takes one datagram, one write makes
//! one. The library's memory BIO is a byte stream and would lose the boundaries.

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_long, c_void};
use std::ptr::{self, NonNull};

use openssl_sys as sys;

use crate::host::openssl::{Error, error, ffi};

/// How many datagrams may wait in one direction. A flight with a long RSA chain has about ten; at
/// 1200 bytes each this bounds what an association can be made to hold to some 80 kB.
pub(super) const MAX_QUEUED: usize = 64;

/// The datagrams of one association. The BIO knows it by address.
#[derive(Default)]
pub(super) struct Queues {
    incoming: VecDeque<Vec<u8>>,
    pub(super) outgoing: VecDeque<Vec<u8>>,
}

impl Queues {
    /// Queues what the peer sent. False if there is no room.
    pub(super) fn push_incoming(&mut self, datagram: &[u8]) -> bool {
        if self.incoming.len() >= MAX_QUEUED {
            return false;
        }
        self.incoming.push_back(datagram.to_vec());
        true
    }
}

/// The table of functions that makes a BIO ours.
pub(super) struct Method(NonNull<sys::BIO_METHOD>);

// SAFETY: written in `new` only.
unsafe impl Send for Method {}
// SAFETY: as above.
unsafe impl Sync for Method {}

impl Method {
    pub(super) fn new() -> Result<Method, Error> {
        error::clear();
        // SAFETY: the name is static and NUL-terminated, and the functions have the right types.
        // The table is used by BIOs only that `bio` made.
        unsafe {
            let method = sys::BIO_meth_new(ffi::BIO_TYPE_DATAGRAM_QUEUE, c"datagram queue".as_ptr());
            let method = NonNull::new(method).ok_or_else(|| Error::take("make BIO method"))?;
            sys::BIO_meth_set_read__fixed_rust(method.as_ptr(), Some(read));
            sys::BIO_meth_set_write__fixed_rust(method.as_ptr(), Some(write));
            sys::BIO_meth_set_ctrl__fixed_rust(method.as_ptr(), Some(control));
            Ok(Method(method))
        }
    }

    /// A BIO on `queues`, for an `SSL` to own.
    ///
    /// # Safety
    /// Whenever the BIO is used, `queues` and this method are alive, and nobody holds a reference
    /// into `queues`.
    pub(super) unsafe fn bio(&self, queues: *mut Queues) -> Result<NonNull<sys::BIO>, Error> {
        error::clear();
        // SAFETY: the method is complete; `queues` stays valid, by contract.
        unsafe {
            let bio = sys::BIO_new(self.0.as_ptr());
            let bio = NonNull::new(bio).ok_or_else(|| Error::take("make BIO"))?;
            sys::BIO_set_data(bio.as_ptr(), queues.cast());
            sys::BIO_set_init(bio.as_ptr(), 1);
            Ok(bio)
        }
    }
}

impl Drop for Method {
    fn drop(&mut self) {
        // SAFETY: ours, and the BIOs that used it are gone (see `Context::method`).
        unsafe { sys::BIO_meth_free(self.0.as_ptr()) }
    }
}

/// Takes one datagram; what does not fit the buffer is lost, as with `recv`.
unsafe extern "C" fn read(bio: *mut sys::BIO, out: *mut c_char, room: c_int) -> c_int {
    // SAFETY: called by the library with a BIO of ours, whose data is the queues (`bio`), and
    // `room` writable bytes.
    unsafe {
        sys::BIO_clear_retry_flags(bio);
        let queues: *mut Queues = sys::BIO_get_data(bio).cast();
        let Some(queues) = queues.as_mut() else {
            return -1;
        };
        let Some(datagram) = queues.incoming.pop_front() else {
            sys::BIO_set_retry_read(bio);
            return -1;
        };
        let length = datagram.len().min(usize::try_from(room).unwrap_or(0));
        ptr::copy_nonoverlapping(datagram.as_ptr(), out.cast(), length);
        // At most `room`, which is a c_int.
        length as c_int
    }
}

/// Makes one datagram. When the queue is full it is dropped, as a network does: the library sends
/// it again when its timer says so.
unsafe extern "C" fn write(bio: *mut sys::BIO, data: *const c_char, length: c_int) -> c_int {
    // SAFETY: called by the library with a BIO of ours, whose data is the queues (`bio`), and
    // `length` readable bytes.
    unsafe {
        sys::BIO_clear_retry_flags(bio);
        let queues: *mut Queues = sys::BIO_get_data(bio).cast();
        let (Some(queues), Ok(size)) = (queues.as_mut(), usize::try_from(length)) else {
            return -1;
        };
        if queues.outgoing.len() < MAX_QUEUED {
            let mut datagram = Vec::<u8>::with_capacity(size);
            ptr::copy_nonoverlapping(data.cast(), datagram.as_mut_ptr(), size);
            datagram.set_len(size);
            queues.outgoing.push_back(datagram);
        }
        length
    }
}

/// Answers the few questions that libssl asks a datagram BIO. Zero means "no" or "not known".
unsafe extern "C" fn control(_: *mut sys::BIO, command: c_int, _: c_long, _: *mut c_void) -> c_long {
    match command {
        ffi::BIO_CTRL_FLUSH => 1,
        // The MTU that an association is told counts what a datagram carries.
        ffi::BIO_CTRL_DGRAM_GET_MTU_OVERHEAD => 0,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_boundaries_and_bounds() {
        let method = Method::new().unwrap();
        let queues: *mut Queues = Box::into_raw(Box::default());
        // SAFETY: the queues outlive the BIO, and each reference into them ends before the next
        // call.
        unsafe {
            let bio = method.bio(queues).unwrap().as_ptr();
            assert!((*queues).push_incoming(b"first"));
            assert!((*queues).push_incoming(b"second"));
            let mut out = [0u8; 16];
            assert_eq!(sys::BIO_read(bio, out.as_mut_ptr().cast(), 16), 5);
            assert_eq!(&out[..5], b"first");
            // Truncated; the rest does not show up in the next read.
            assert_eq!(sys::BIO_read(bio, out.as_mut_ptr().cast(), 3), 3);
            assert_eq!(sys::BIO_read(bio, out.as_mut_ptr().cast(), 16), -1);

            for _ in 0..MAX_QUEUED + 5 {
                assert_eq!(sys::BIO_write(bio, b"out".as_ptr().cast(), 3), 3);
            }
            assert_eq!((*queues).outgoing.len(), MAX_QUEUED);
            for i in 0..MAX_QUEUED + 1 {
                assert_eq!((*queues).push_incoming(b"x"), i < MAX_QUEUED);
            }
            sys::BIO_free_all(bio);
            drop(Box::from_raw(queues));
        }
    }
}
