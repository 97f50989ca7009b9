//! Slices over memory that C lends.

use std::ffi::{CStr, c_char};

/// The bytes at `data`; empty when `data` is null or `len` is not positive, which
/// `std::slice::from_raw_parts` does not allow.
///
/// # Safety
/// `data` is null, or `len` initialised bytes there stay alive and unchanged for `'a`.
pub unsafe fn bytes<'a>(data: *const u8, len: isize) -> &'a [u8] {
    match usize::try_from(len) {
        Ok(len) if len > 0 && !data.is_null() => {
            // SAFETY: not null, and the rest is the caller's word.
            #[expect(clippy::disallowed_methods, reason = "this is the checked way")]
            unsafe {
                std::slice::from_raw_parts(data, len)
            }
        }
        _ => &[],
    }
}

/// As [`bytes`], to be written; `None` where there is nothing to write to.
///
/// # Safety
/// `data` is null, or `len` initialised bytes there stay alive and nobody else's for `'a`.
pub unsafe fn bytes_mut<'a>(data: *mut u8, len: isize) -> Option<&'a mut [u8]> {
    let len = usize::try_from(len).ok().filter(|len| *len > 0 && !data.is_null())?;
    // SAFETY: not null, and the rest is the caller's word.
    Some(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// A string of C's, replacing what is not UTF-8; `None` when null or empty.
///
/// # Safety
/// `text` is null or a NUL-terminated string that is alive during the call.
pub unsafe fn string(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the rest is the caller's word.
    let text = unsafe { CStr::from_ptr(text) };
    (!text.is_empty()).then(|| text.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_negative_lengths_are_empty() {
        // SAFETY: nothing is read of a null pointer or with a length below one.
        unsafe {
            assert!(bytes(std::ptr::null(), 5).is_empty());
            assert!(bytes(b"abc".as_ptr(), -1).is_empty());
        }
        // SAFETY: three bytes of a constant.
        assert_eq!(unsafe { bytes(b"abc".as_ptr(), 3) }, b"abc");
    }

    #[test]
    fn empty_strings_are_none() {
        // SAFETY: null or NUL-terminated constants.
        unsafe {
            assert_eq!(string(std::ptr::null()), None);
            assert_eq!(string(c"".as_ptr()), None);
            assert_eq!(string(c"ufrag".as_ptr()).as_deref(), Some("ufrag"));
        }
    }
}
