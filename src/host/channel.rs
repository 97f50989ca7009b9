//! Asterisk's channels, as far as lists show them.

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

use super::sys;

/// The name of the channel with this unique id, if there is one now. Asterisk locks the list of
/// channels and each of them in turn for it: not to be called where one of these may be held.
pub fn name(unique_id: &str) -> Option<String> {
    let unique_id = CString::new(unique_id).ok()?;
    // SAFETY: NUL-terminated; the channel comes with a reference, which `Found` gives back.
    let channel = Found(NonNull::new(unsafe { sys::ast_channel_get_by_name(unique_id.as_ptr()) })?);
    let object = channel.0.as_ptr().cast::<c_void>();
    // SAFETY: an ao2 object that we have a reference to. A name changes under this lock.
    unsafe { sys::rw_ao2_lock(object) };
    // SAFETY: alive and locked.
    let name = unsafe { sys::ast_channel_name(channel.0.as_ptr()) };
    // SAFETY: NUL-terminated, and unchanged while the lock is held.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
    // SAFETY: locked above, by this thread.
    unsafe { sys::rw_ao2_unlock(object) };
    name
}

/// A channel with a reference of ours.
struct Found(NonNull<sys::ast_channel>);

impl Drop for Found {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that came with it.
        unsafe { sys::rw_ao2_ref(self.0.as_ptr().cast(), -1) };
    }
}
