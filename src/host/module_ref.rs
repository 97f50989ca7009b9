//! References to modules: our own, which keep it from being unloaded, and whether another is there.

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::entry::Info;
use super::sys;

/// This module, once something of it is registered with the core.
static SELF: AtomicPtr<sys::ast_module> = AtomicPtr::new(ptr::null_mut());

/// Must be called before anything that takes a [`ModuleRef`] can be.
pub(in crate::host) fn remember(info: &Info) -> *mut sys::ast_module {
    let module = info.module();
    SELF.store(module, Ordering::Release);
    module
}

/// While one exists, the loader refuses to unload this module. For objects that C holds and that
/// the core does not count itself, as it does RTP instances.
pub struct ModuleRef(NonNull<sys::ast_module>);

// SAFETY: the loader counts atomically, and the module's record outlives its references.
unsafe impl Send for ModuleRef {}
// SAFETY: as above.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// `None` before this module is registered.
    pub fn take() -> Option<Self> {
        let module = NonNull::new(SELF.load(Ordering::Acquire))?;
        // SAFETY: our own module, which runs: this code is part of it.
        unsafe { sys::rw_module_ref(module.as_ptr()) };
        Some(Self(module))
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: gives back what `take` took.
        unsafe { sys::rw_module_unref(self.0.as_ptr()) };
    }
}

/// Whether the loader has this module, named with its `.so`.
pub fn is_loaded(name: &CStr) -> bool {
    // SAFETY: a NUL-terminated string; looks through a list under its lock.
    unsafe { sys::ast_module_check(name.as_ptr()) != 0 }
}
