//! Asterisk's counted objects, holding a Rust value each.

use std::marker::PhantomData;
use std::ops::Deref;
use std::os::raw::c_void;
use std::ptr::NonNull;

use super::{boundary, sys};

/// A reference to an ao2 object whose user data is a `T`. Dropping it gives the reference back;
/// when the last one goes, from Rust or from C, the value is dropped.
///
/// # Invariants
/// The pointer came from [`Ao2::new`] (so that the data is a `T` and the destructor drops it), and
/// one of the object's references belongs to this value.
pub struct Ao2<T: Send + Sync + 'static> {
    object: NonNull<T>,
    owns: PhantomData<T>,
}

// SAFETY: ao2 counts atomically, and the value is shared only by reference.
unsafe impl<T: Send + Sync> Send for Ao2<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Ao2<T> {}

impl<T: Send + Sync + 'static> Ao2<T> {
    /// Allocates an object; `None` when Asterisk has no memory for it.
    pub fn new(value: T) -> Option<Self> {
        const { assert!(align_of::<T>() <= 16, "ao2 aligns its data to 16 bytes at most") };
        // SAFETY: the destructor is given the memory of this object and nothing else.
        let raw = unsafe { sys::rw_ao2_alloc(size_of::<T>(), Some(destroy::<T>)) };
        let object = NonNull::new(raw.cast::<T>())?;
        // SAFETY: fresh memory of the right size and alignment, seen by nobody else yet.
        unsafe { object.write(value) };
        // INVARIANT: ao2_alloc gives the first reference to its caller.
        Some(Self { object, owns: PhantomData })
    }

    /// Takes a further reference to an object that C lent us.
    ///
    /// # Safety
    /// `raw` is an object made by [`Ao2::new`] for this `T`, and alive during the call.
    pub unsafe fn from_borrowed(raw: *mut T) -> Option<Self> {
        let object = NonNull::new(raw)?;
        // SAFETY: the caller vouches for a live object.
        unsafe { sys::rw_ao2_ref(raw.cast::<c_void>(), 1) };
        // INVARIANT: the reference just taken is ours.
        Some(Self { object, owns: PhantomData })
    }

    /// The object as C sees it; no reference changes hands.
    pub fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }

    /// Hands our reference to C.
    pub fn into_raw(self) -> *mut T {
        let raw = self.object.as_ptr();
        std::mem::forget(self);
        raw
    }
}

impl<T: Send + Sync + 'static> Deref for Ao2<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: our reference keeps the object alive, and nobody has it mutably.
        unsafe { self.object.as_ref() }
    }
}

impl<T: Send + Sync + 'static> Clone for Ao2<T> {
    fn clone(&self) -> Self {
        // SAFETY: our own reference keeps the object alive during the call.
        unsafe { sys::rw_ao2_ref(self.object.as_ptr().cast::<c_void>(), 1) };
        Self { object: self.object, owns: PhantomData }
    }
}

impl<T: Send + Sync + 'static> Drop for Ao2<T> {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that this value owns.
        unsafe { sys::rw_ao2_ref(self.object.as_ptr().cast::<c_void>(), -1) };
    }
}

unsafe extern "C" fn destroy<T>(object: *mut c_void) {
    boundary::guard("ao2 destructor", || {
        // SAFETY: ao2 calls the destructor once, with the data that `Ao2::new` wrote.
        unsafe { object.cast::<T>().drop_in_place() };
    });
}
