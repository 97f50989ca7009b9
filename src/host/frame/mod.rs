//! `struct ast_frame`: building the ones that Asterisk reads ([`FrameList`]), reading the ones it
//! writes ([`OutFrame`]).

mod list;
mod out;

pub use list::{Control, FrameList, Media};
pub use out::{OutFrame, OutKind};

use super::sys;

/// RTCP feedback that travels between channels as a frame of its own, so that a conference bridge
/// can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Receiver estimated maximum bitrate: `mantissa << exponent` bits per second.
    Remb { exponent: u32, mantissa: u32 },
    /// Any other, by its packet type and feedback message type.
    Other { packet_type: u8, format: u8 },
}

/// Where the format is kept moved in 18.
///
/// # Safety
/// `frame` points to a live frame that carries media.
unsafe fn format_of(frame: *const sys::ast_frame) -> *mut sys::ast_format {
    #[cfg(ast_has_frame_topology)]
    // SAFETY: the caller's word; for media the union holds a format.
    unsafe {
        (*frame).subclass.__bindgen_anon_1.format
    }
    #[cfg(not(ast_has_frame_topology))]
    // SAFETY: the caller's word.
    unsafe {
        (*frame).subclass.format
    }
}

fn set_format(frame: &mut sys::ast_frame, format: *mut sys::ast_format) {
    #[cfg(ast_has_frame_topology)]
    {
        frame.subclass.__bindgen_anon_1.format = format;
    }
    #[cfg(not(ast_has_frame_topology))]
    {
        frame.subclass.format = format;
    }
}
