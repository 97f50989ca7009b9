//! Media formats: counted objects of Asterisk's (13 and later), each naming a codec and its
//! parameters.

use std::ffi::{CStr, c_uint, c_void};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::sys;

/// What kind of media a format is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    Audio,
    Video,
    Text,
    /// Images, and what is not known.
    Other,
}

/// A reference to a format. Formats do not change once they are shared.
///
/// # Invariants
/// The pointer is a live `ast_format`, and one of its references belongs to this value.
pub struct Format(NonNull<sys::ast_format>);

// SAFETY: formats are immutable once published and ao2 counts atomically.
unsafe impl Send for Format {}
// SAFETY: as above.
unsafe impl Sync for Format {}

impl Format {
    /// Takes a reference of its own to a format that C lends.
    ///
    /// # Safety
    /// `raw` is null or a format that is alive during the call.
    pub(in crate::host) unsafe fn from_borrowed(raw: *mut sys::ast_format) -> Option<Self> {
        let format = NonNull::new(raw)?;
        // SAFETY: alive, says the caller.
        unsafe { sys::rw_ao2_ref(raw.cast::<c_void>(), 1) };
        // INVARIANT: the reference just taken is ours.
        Some(Self(format))
    }

    /// Looks at a format that C lends, without a reference of its own.
    ///
    /// # Safety
    /// `raw` is null or a format that stays alive as long as the result is used.
    pub(in crate::host) unsafe fn peek(raw: *mut sys::ast_format) -> Option<ManuallyDrop<Self>> {
        // INVARIANT: never dropped, so it gives back no reference; the lender's keeps it alive.
        NonNull::new(raw).map(|format| ManuallyDrop::new(Self(format)))
    }

    pub(in crate::host) fn as_ptr(&self) -> *mut sys::ast_format {
        self.0.as_ptr()
    }

    pub fn media_type(&self) -> MediaType {
        // SAFETY: a live format.
        match unsafe { sys::ast_format_get_type(self.as_ptr()) } {
            sys::ast_media_type_AST_MEDIA_TYPE_AUDIO => MediaType::Audio,
            sys::ast_media_type_AST_MEDIA_TYPE_VIDEO => MediaType::Video,
            sys::ast_media_type_AST_MEDIA_TYPE_TEXT => MediaType::Text,
            _ => MediaType::Other,
        }
    }

    /// Samples per second of what the codec codes; never 0.
    pub fn sample_rate(&self) -> u32 {
        // SAFETY: a live format.
        unsafe { sys::ast_format_get_sample_rate(self.as_ptr()) }.max(1)
    }

    /// Ticks per second of the RTP timestamp: the sample rate, except for G.722, whose clock runs
    /// at 8000 by an error that RFC 3551 §4.5.2 keeps for compatibility, and for video, whose
    /// codecs say 1000 in Asterisk while RTP runs at 90000 (RFC 7741 §4.1, RFC 6184 §5.1).
    pub fn rtp_clock_rate(&self) -> u32 {
        match self.media_type() {
            MediaType::Video => 90_000,
            _ => self.frame_clock_rate(),
        }
    }

    /// The clock by which the times in a frame turn into ticks. With video's rate of 1000 a frame
    /// carries the RTP timestamp itself, to the tick, where audio's is in milliseconds; stock's
    /// engine does the same, so that the two may bridge.
    pub(in crate::host) fn frame_clock_rate(&self) -> u32 {
        if self.is_g722() { 8000 } else { self.sample_rate() }
    }

    /// The codec's name: `opus`, `ulaw`, `vp8`, `t140`, `red` …
    pub fn codec_name(&self) -> String {
        // SAFETY: a live format; the name is the codec's, NUL-terminated, and the codec lives as
        // long as the format.
        unsafe { text(sys::ast_format_get_codec_name(self.as_ptr())) }
    }

    /// The format's own name, for messages.
    pub fn name(&self) -> String {
        // SAFETY: as above.
        unsafe { text(sys::ast_format_get_name(self.as_ptr())) }
    }

    /// Same codec with the same parameters.
    pub fn is_equal(&self, other: &Self) -> bool {
        // SAFETY: two live formats.
        let outcome = unsafe { sys::ast_format_cmp(self.as_ptr(), other.as_ptr()) };
        outcome == sys::ast_format_cmp_res_AST_FORMAT_CMP_EQUAL
    }

    /// Bytes for `framing_ms` milliseconds, or for the codec's own default when `framing_ms` is 0
    /// and the codec insists on equal packets; `None` when frames are to be sent as they come.
    pub(in crate::host) fn packet_bytes(&self, framing_ms: u32) -> Option<u32> {
        // SAFETY: a live format, here and below.
        if unsafe { sys::ast_format_can_be_smoothed(self.as_ptr()) } == 0 {
            return None;
        }
        let forced = self.smoother_flags() & sys::AST_SMOOTHER_FLAG_FORCED != 0;
        let ms = match framing_ms {
            // SAFETY: as above.
            0 if forced => unsafe { sys::ast_format_get_default_ms(self.as_ptr()) },
            given => given,
        };
        // SAFETY: as above.
        let (bytes, unit) = unsafe {
            (sys::ast_format_get_minimum_bytes(self.as_ptr()), sys::ast_format_get_minimum_ms(self.as_ptr()))
        };
        ms.checked_mul(bytes)?.checked_div(unit).filter(|n| *n > 0)
    }

    pub(in crate::host) fn smoother_flags(&self) -> c_uint {
        // SAFETY: a live format.
        unsafe { sys::ast_format_get_smoother_flags(self.as_ptr()) as c_uint }
    }

    /// Signed linear audio: big-endian in RTP, the machine's order in Asterisk.
    pub(in crate::host) fn is_slinear(&self) -> bool {
        // SAFETY: a live format, which is only read.
        unsafe { sys::ast_format_cache_is_slinear(self.as_ptr()) != 0 }
    }

    fn is_g722(&self) -> bool {
        // SAFETY: both are live formats; the cached one lives as long as Asterisk.
        unsafe {
            sys::ast_format_cmp(self.as_ptr(), sys::ast_format_g722) == sys::ast_format_cmp_res_AST_FORMAT_CMP_EQUAL
        }
    }
}

impl Clone for Format {
    fn clone(&self) -> Self {
        // SAFETY: our own reference keeps the format alive during the call.
        unsafe { sys::rw_ao2_ref(self.as_ptr().cast::<c_void>(), 1) };
        Self(self.0)
    }
}

impl Drop for Format {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that this value owns.
        unsafe { sys::rw_ao2_ref(self.as_ptr().cast::<c_void>(), -1) };
    }
}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// A set of formats that Asterisk lends for the length of a call.
pub struct FormatCap<'a> {
    raw: *mut sys::ast_format_cap,
    lent: PhantomData<&'a mut sys::ast_format_cap>,
}

impl FormatCap<'_> {
    /// # Safety
    /// `raw` is a live capabilities object that nobody else uses while this value does.
    pub(in crate::host) unsafe fn new(raw: *mut sys::ast_format_cap) -> Self {
        Self { raw, lent: PhantomData }
    }

    /// Adds a format; `false` when there is no memory for it.
    pub fn append(&mut self, format: &Format) -> bool {
        // SAFETY: a live capabilities object and a live format, to which it takes its own reference.
        unsafe { sys::rw_format_cap_append(self.raw, format.as_ptr(), 0) == 0 }
    }
}

/// # Safety
/// `raw` is null or a NUL-terminated string that lives during the call.
unsafe fn text(raw: *const std::ffi::c_char) -> String {
    if raw.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the rest is the caller's word.
    unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned()
}
