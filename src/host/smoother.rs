//! Packets of equal length out of frames of any length: `ast_smoother`.

use std::ptr::NonNull;

use super::format::Format;
use super::frame::OutFrame;
use super::sys;

/// A smoother for one format and packet length.
///
/// # Invariants
/// The pointer came from `ast_smoother_new` and is freed once, here.
pub(in crate::host) struct Smoother {
    raw: NonNull<sys::ast_smoother>,
    format: Format,
    bytes: u32,
}

// SAFETY: nothing in a smoother belongs to a thread.
unsafe impl Send for Smoother {}

impl Smoother {
    pub(in crate::host) fn new(format: &Format, bytes: u32) -> Option<Self> {
        let length = i32::try_from(bytes).ok()?;
        // SAFETY: allocates.
        let raw = NonNull::new(unsafe { sys::ast_smoother_new(length) })?;
        // SAFETY: just made, and ours.
        unsafe { sys::ast_smoother_set_flags(raw.as_ptr(), format.smoother_flags() as i32) };
        Some(Self { raw, format: format.clone(), bytes })
    }

    /// Whether this smoother makes packets of `bytes` out of frames of `format`.
    pub(in crate::host) fn is_for(&self, format: &Format, bytes: u32) -> bool {
        self.bytes == bytes && self.format.is_equal(format)
    }

    /// Takes a frame in. `false`: it was refused (too much is waiting already).
    ///
    /// # Safety
    /// `frame` is alive and of this smoother's format.
    pub(in crate::host) unsafe fn feed(&mut self, frame: *mut sys::ast_frame) -> bool {
        let big_endian = self.format.smoother_flags() & sys::AST_SMOOTHER_FLAG_BE != 0;
        let swap = big_endian && cfg!(target_endian = "little");
        // SAFETY: our smoother; the frame is the caller's word. What is fed is consumed by `read`
        // before the frame is given back, or copied.
        unsafe { sys::__ast_smoother_feed(self.raw.as_ptr(), frame, swap.into()) == 0 }
    }

    /// The next whole packet, until the next call.
    pub(in crate::host) fn read(&mut self) -> Option<OutFrame<'_>> {
        // SAFETY: our smoother; the frame it returns is its own and is overwritten by the next
        // call, which the borrow rules out.
        unsafe {
            let frame = sys::ast_smoother_read(self.raw.as_ptr());
            if frame.is_null() || (*frame).data.ptr.is_null() {
                return None;
            }
            OutFrame::new(frame)
        }
    }
}

impl Drop for Smoother {
    fn drop(&mut self) {
        // SAFETY: ours, and not used afterwards.
        unsafe { sys::ast_smoother_free(self.raw.as_ptr()) };
    }
}
