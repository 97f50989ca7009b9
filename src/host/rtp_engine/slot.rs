//! What an instance's data points to: the session, and what the host keeps beside it because C
//! goes on using it after a callback has returned.

use std::collections::VecDeque;
use std::ffi::{CString, c_char};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};

use super::instance::Instance;
use super::report::Shared;
use super::traits::RtpEngine;
use crate::host::boundary::{self, Failure, Poison};
use crate::host::frame::FrameList;
use crate::host::smoother::Smoother;
use crate::host::{log, sys};
use crate::sync::lock;

/// How many former values of one string stay readable. The core unlocks the instance before its
/// caller has printed the string, so a value must outlive the next change.
const FORMER_STRINGS: usize = 8;

/// The data of one instance.
pub(super) struct Slot<T> {
    pub(super) session: Arc<T>,
    pub(super) shared: Arc<Shared>,
    /// A callback panicked: nothing is passed on to the session any more.
    closed: AtomicBool,
    /// The stream number that the instance's frames carry.
    pub(super) stream: AtomicI32,
    /// Frame lists that no `read` is filling. One, unless two threads read at once.
    pub(super) frames: Mutex<Vec<FrameList>>,
    pub(super) smoother: Mutex<Option<Smoother>>,
    pub(super) ufrag: Kept,
    pub(super) password: Kept,
    pub(super) fingerprint: Kept,
    pub(super) cname: Kept,
}

impl<T: RtpEngine> Slot<T> {
    pub(super) fn new(session: Arc<T>, shared: Arc<Shared>) -> Box<Self> {
        Box::new(Self {
            session,
            shared,
            closed: AtomicBool::new(false),
            stream: AtomicI32::new(0),
            frames: Mutex::new(Vec::new()),
            smoother: Mutex::new(None),
            ufrag: Kept::default(),
            password: Kept::default(),
            fingerprint: Kept::default(),
            cname: Kept::default(),
        })
    }

    /// The slot of an instance of this engine; `None` while `new` runs and after `destroy`.
    ///
    /// # Safety
    /// `instance` is null or an instance of an engine whose session type is `T`, alive for `'a`.
    pub(super) unsafe fn of<'a>(instance: *mut sys::ast_rtp_instance) -> Option<&'a Self> {
        if instance.is_null() {
            return None;
        }
        // SAFETY: the engine's `new` stored a `Slot<T>` or nothing; `destroy` removes it when no
        // other callback can run any more.
        unsafe { sys::ast_rtp_instance_get_data(instance).cast::<Self>().as_ref() }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl<T: RtpEngine> Poison for Slot<T> {
    fn poison(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.session.close();
        }
    }
}

/// Runs `body` for the C entry `name` on the instance's session, unless it is closed.
///
/// # Safety
/// As [`Slot::of`].
pub(super) unsafe fn enter<T: RtpEngine, R: Failure>(
    name: &'static str,
    instance: *mut sys::ast_rtp_instance,
    body: impl FnOnce(&Slot<T>, &Instance<'_>) -> R,
) -> R {
    // SAFETY: the caller's word.
    let slot = unsafe { Slot::<T>::of(instance) };
    let (Some(slot), Some(raw)) = (slot, NonNull::new(instance)) else {
        return R::failure();
    };
    if slot.is_closed() {
        return R::failure();
    }
    boundary::guard_owned(name, slot, || {
        // SAFETY: alive for this call, says the caller; the slot is its own.
        let instance = unsafe { Instance::new(raw, &slot.shared) };
        body(slot, &instance)
    })
}

/// A string that C was given, and some that it was given before.
#[derive(Default)]
pub(super) struct Kept(Mutex<VecDeque<CString>>);

impl Kept {
    /// The C form of `value`, null for `None`. Stays readable as long as the instance lives or
    /// until it has changed [`FORMER_STRINGS`] times.
    pub(super) fn give(&self, value: Option<String>) -> *const c_char {
        let Some(value) = value else { return ptr::null() };
        let value = match CString::new(value) {
            Ok(value) => value,
            Err(_) => {
                log::error("a string for SDP contains NUL, it is left out");
                return ptr::null();
            }
        };
        let mut kept = lock(&self.0);
        if kept.back() != Some(&value) {
            if kept.len() > FORMER_STRINGS {
                kept.pop_front();
            }
            kept.push_back(value);
        }
        kept.back().map_or(ptr::null(), |value| value.as_ptr())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn an_unchanged_string_keeps_its_address_and_a_former_one_stays_readable() {
        let kept = Kept::default();
        let first = kept.give(Some("one".into()));
        assert_eq!(first, kept.give(Some("one".into())));
        for n in 0..FORMER_STRINGS {
            kept.give(Some(format!("later {n}")));
        }
        // SAFETY: changed as often as is allowed, and not more.
        assert_eq!(unsafe { CStr::from_ptr(first) }, c"one");
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_changes() {
        let kept = Kept::default();
        for n in 0..1000 {
            kept.give(Some(n.to_string()));
        }
        assert_eq!(lock(&kept.0).len(), FORMER_STRINGS + 1);
    }

    #[test]
    fn none_is_null() {
        assert!(Kept::default().give(None).is_null());
    }
}
