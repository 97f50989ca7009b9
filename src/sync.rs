//! Locks that outlive a panic.
//!
//! A panic inside a callback is caught at the C boundary and closes the session it happened in;
//! the mutex it may have poisoned guards state that is about to be thrown away, and every other
//! thread must go on. `std`'s mutex is used, not `parking_lot`'s: the latter registers a
//! thread-local destructor on Asterisk's own threads, and with one pending the dynamic linker
//! never unmaps the module (`facts/abi.md` §4).
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks `mutex`, whether or not an earlier holder panicked.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for reading, whether or not an earlier holder panicked.
pub fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `lock` for writing, whether or not an earlier holder panicked.
pub fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
