//! The session as consumers hold it: a counted object.

use std::cell::UnsafeCell;
use std::ffi::{CString, c_char, c_int};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::ao2::Ao2;
use super::super::{sockaddr, sys};
use crate::host::module_ref::ModuleRef;
use crate::sync::lock;

/// The first word of every object of ours. No pointer on the 64-bit machines that Asterisk runs on
/// looks like it, so that it is never the first word of a session or server of stock's.
pub(super) const MAGIC: u64 = 0xad7e_5e55_10f1_c001;

/// `enum ast_websocket_opcode`.
pub type Opcode = sys::ast_websocket_opcode;

/// What a session has for its consumer.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A message, or a piece of one: opcode CONTINUATION with `fragmented` while more follow.
    Data { opcode: Opcode, payload: Vec<u8>, fragmented: bool },
    /// The peer's close frame, or its answer to ours.
    Close,
    /// Nothing at the moment.
    Nothing,
    /// The session is over.
    Gone,
}

/// What a consumer can ask of a session. Dropping it ends the session.
pub trait Session: Send + Sync {
    fn read(&self) -> Received;
    /// False when the message cannot be sent, and then the session is closing.
    fn write(&self, opcode: Opcode, payload: &[u8]) -> bool;
    fn close(&self, code: u16);
    /// Readable exactly while [`Self::read`] has something to tell.
    fn fd(&self) -> Option<RawFd>;
    /// `None` when waiting failed, else whether there is something to read.
    fn wait_for_input(&self, milliseconds: c_int) -> Option<bool>;
    fn set_nonblocking(&self);
    /// How long a writer may be held, negative for ever.
    fn set_timeout(&self, milliseconds: c_int);
    /// Gather fragments up to so many bytes; 0 not at all.
    fn set_reconstruct(&self, bytes: usize);
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many sessions consumers hold.
pub(super) fn count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// The object.
///
/// # Invariants
/// `magic` is `MAGIC` and comes first.
#[repr(C)]
pub struct SessionObject {
    magic: u64,
    pub(super) session: Box<dyn Session>,
    /// Lent to consumers as `struct ast_sockaddr *`.
    pub(super) remote: Address,
    pub(super) local: Address,
    pub(super) id: CString,
    pub(super) is_secure: bool,
    /// The payload that the consumer was given last, with a NUL behind it for those who forget
    /// that a payload has none.
    payload: Mutex<Vec<u8>>,
    _module: Option<ModuleRef>,
}

pub(super) struct Address(pub(super) UnsafeCell<sys::ast_sockaddr>);

// SAFETY: written before it is shared; consumers are lent a pointer to read from.
unsafe impl Sync for Address {}

impl SessionObject {
    /// A session for a consumer, `None` when there is no memory.
    pub fn new(
        session: Box<dyn Session>,
        remote: Option<SocketAddr>,
        local: Option<SocketAddr>,
        id: CString,
        is_secure: bool,
    ) -> Option<Ao2<Self>> {
        COUNT.fetch_add(1, Ordering::AcqRel);
        Ao2::new(Self {
            magic: MAGIC,
            session,
            remote: Address(UnsafeCell::new(sockaddr::to_c(remote))),
            local: Address(UnsafeCell::new(sockaddr::to_c(local))),
            id,
            is_secure,
            payload: Mutex::new(Vec::new()),
            _module: ModuleRef::take(),
        })
    }

    /// The object behind a consumer's pointer, `None` if it is not ours.
    ///
    /// # Safety
    /// `session` is NULL or a live session, ours or stock's, of which the caller has a reference
    /// for `'a`.
    pub(super) unsafe fn borrow<'a>(session: *mut sys::ast_websocket) -> Option<&'a Self> {
        if session.is_null() {
            return None;
        }
        // SAFETY: both kinds of session are larger than a word and aligned for one.
        if unsafe { session.cast::<u64>().read() } != MAGIC {
            return None;
        }
        // SAFETY: the magic says that it is ours, and the caller that it is alive.
        unsafe { session.cast::<Self>().as_ref() }
    }

    /// Keeps `payload` until the next call, as consumers expect.
    pub(super) fn keep(&self, mut payload: Vec<u8>) -> *mut c_char {
        payload.push(0);
        let mut kept = lock(&self.payload);
        *kept = payload;
        kept.as_mut_ptr().cast()
    }
}

impl Drop for SessionObject {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::AcqRel);
    }
}
