//! The engine's tables and their registration with the core.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use super::traits::{RtpEngineDtls, RtpEngineIce};
use super::{dtls, entries, ice};
use crate::host::entry::Info;
use crate::host::{module_ref, sys};

/// An engine under one name, with sessions of type `T`. To be kept in a static; two statics with
/// the same `T` are the same engine under two names and can be bridged with each other.
pub struct Engine<T> {
    name: &'static CStr,
    engine: UnsafeCell<sys::ast_rtp_engine>,
    ice: UnsafeCell<sys::ast_rtp_engine_ice>,
    dtls: UnsafeCell<sys::ast_rtp_engine_dtls>,
    #[cfg(ast_has_engine_test)]
    test: UnsafeCell<sys::ast_rtp_engine_test>,
    registered: AtomicBool,
    sessions: PhantomData<fn() -> T>,
}

// SAFETY: we write the tables only while they are not registered; while they are, the core writes
// its list's link, under its own lock.
unsafe impl<T> Sync for Engine<T> {}

impl<T: RtpEngineIce + RtpEngineDtls> Engine<T> {
    pub const fn new(name: &'static CStr) -> Self {
        // SAFETY: all-zero is valid for each table: pointers, optional functions and integers.
        unsafe {
            Self {
                name,
                engine: UnsafeCell::new(std::mem::zeroed()),
                ice: UnsafeCell::new(std::mem::zeroed()),
                dtls: UnsafeCell::new(std::mem::zeroed()),
                #[cfg(ast_has_engine_test)]
                test: UnsafeCell::new(std::mem::zeroed()),
                registered: AtomicBool::new(false),
                sessions: PhantomData,
            }
        }
    }

    /// Makes the engine known to the core. `false` when it refuses, because the name is taken.
    ///
    /// From then on each instance keeps a reference to the module, so that it cannot be unloaded
    /// with a call up.
    pub fn register(&'static self, info: &Info) -> bool {
        if self.registered.swap(true, Ordering::AcqRel) {
            return true;
        }
        let module = module_ref::remember(info);
        // SAFETY: not registered, so nobody else looks at the tables.
        unsafe {
            ice::fill::<T>(&mut *self.ice.get());
            dtls::fill::<T>(&mut *self.dtls.get());
            let engine = &mut *self.engine.get();
            entries::fill::<T>(engine);
            engine.name = self.name.as_ptr();
            engine.ice = self.ice.get();
            engine.dtls = self.dtls.get();
            #[cfg(ast_has_engine_test)]
            {
                entries::fill_test(&mut *self.test.get());
                engine.test = self.test.get();
            }
        }
        // SAFETY: a complete table that lives as long as the module.
        let done = unsafe { sys::ast_rtp_engine_register2(self.engine.get(), module) } == 0;
        self.registered.store(done, Ordering::Release);
        done
    }

    /// Undoes [`Self::register`]. The loader has seen to it that no instance is left.
    pub fn unregister(&self) {
        if self.registered.swap(false, Ordering::AcqRel) {
            // SAFETY: the table is in the core's list.
            unsafe { sys::ast_rtp_engine_unregister(self.engine.get()) };
        }
    }

    pub fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }
}
