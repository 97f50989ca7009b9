//! Frames for Asterisk to read.
//!
//! The channel thread uses what one `read` returned and frees it before the next (`ast_frfree`
//! leaves frames alone whose `mallocd` is 0, and `ast_queue_frame` copies). So the memory is the
//! instance's own, and used again from one `read` to the next.

use std::ffi::{c_long, c_void};
use std::ptr::{self, NonNull};
use std::time::{Duration, SystemTime};

use super::{Feedback, set_format};
use crate::host::format::Format;
use crate::host::{sys, time};

/// Room before the payload, so that whoever sends it on can put its headers there.
const FRIENDLY_OFFSET: usize = sys::AST_FRIENDLY_OFFSET as usize;

/// Frames and buffers that are kept for the next `read`.
const KEPT: usize = 8;

/// One packet's media.
#[derive(Clone, Copy, Debug)]
pub struct Media<'a> {
    pub format: &'a Format,
    pub sequence: u16,
    /// Extended over the wraps of its 32 bits: Asterisk wants milliseconds, which a wrap would
    /// make jump back where the clock rate does not divide 2³² (Opus).
    pub timestamp: u64,
    pub payload: &'a [u8],
}

/// What else than media can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The peer asks for a key frame (PLI, FIR).
    VideoUpdate,
    /// What follows comes from another source (a new SSRC).
    SourceChange,
    /// What follows is discontinuous but of the same source.
    SourceUpdate,
}

/// The frames of one `read`, oldest first.
pub struct FrameList {
    slots: Vec<NonNull<Slot>>,
    used: usize,
    stream: i32,
}

/// A frame and what it points to.
struct Slot {
    frame: sys::ast_frame,
    format: Option<Format>,
    buffer: Vec<u8>,
}

// SAFETY: owns its slots, which nobody else touches except Asterisk between two calls of `clear`,
// and then on one thread.
unsafe impl Send for FrameList {}

impl FrameList {
    pub(in crate::host) fn new() -> Self {
        Self { slots: Vec::new(), used: 0, stream: 0 }
    }

    /// Audio. `delivery` is when it is to be played, by the peer's clock mapped to ours;
    /// `talk_spurt` the marker bit, which takes the place it has in video and which nobody between
    /// two engines looks at.
    pub fn voice(&mut self, media: &Media<'_>, delivery: Option<SystemTime>, talk_spurt: bool) {
        let slot = self.media(sys::ast_frame_type_AST_FRAME_VOICE, media);
        slot.frame.subclass.frame_ending = talk_spurt.into();
        if media.format.is_slinear() && cfg!(target_endian = "little") {
            for pair in slot.buffer[FRIENDLY_OFFSET..].chunks_exact_mut(2) {
                pair.swap(0, 1);
            }
        }
        // SAFETY: a complete frame with a live format; the payload is only read.
        let samples = unsafe { sys::ast_codec_samples_count(&raw mut slot.frame) };
        slot.frame.samples = i32::try_from(samples).unwrap_or(0);
        slot.frame.len = (samples / (media.format.sample_rate() / 1000).max(1)) as c_long;
        slot.frame.delivery = time::to_timeval(delivery);
        slot.timing(media);
    }

    /// Video: `ticks` since the previous frame's timestamp, `frame_ending` the marker bit.
    pub fn video(&mut self, media: &Media<'_>, ticks: u32, frame_ending: bool) {
        let slot = self.media(sys::ast_frame_type_AST_FRAME_VIDEO, media);
        slot.frame.samples = i32::try_from(ticks).unwrap_or(0);
        slot.frame.subclass.frame_ending = frame_ending.into();
        slot.timing(media);
    }

    /// T.140 text: milliseconds since the previous block.
    pub fn text(&mut self, media: &Media<'_>, ticks: u32) {
        let slot = self.media(sys::ast_frame_type_AST_FRAME_TEXT, media);
        slot.frame.samples = i32::try_from(ticks).unwrap_or(0);
    }

    pub fn dtmf_begin(&mut self, digit: char) {
        self.event(sys::ast_frame_type_AST_FRAME_DTMF_BEGIN, digit as i32);
    }

    pub fn dtmf_end(&mut self, digit: char, duration: Duration) {
        let slot = self.event(sys::ast_frame_type_AST_FRAME_DTMF_END, digit as i32);
        slot.frame.len = c_long::try_from(duration.as_millis()).unwrap_or(c_long::MAX);
    }

    /// RFC 3389, noise at `level` dB below overload.
    pub fn comfort_noise(&mut self, level: u8) {
        self.event(sys::ast_frame_type_AST_FRAME_CNG, level.into());
    }

    pub fn control(&mut self, control: Control) {
        let number = match control {
            Control::VideoUpdate => sys::ast_control_frame_type_AST_CONTROL_VIDUPDATE,
            Control::SourceChange => sys::ast_control_frame_type_AST_CONTROL_SRCCHANGE,
            Control::SourceUpdate => sys::ast_control_frame_type_AST_CONTROL_SRCUPDATE,
        };
        self.event(sys::ast_frame_type_AST_FRAME_CONTROL, number as i32);
    }

    /// Feedback for whoever is behind the bridge. Does nothing where Asterisk knows no such frame.
    pub fn feedback(&mut self, feedback: Feedback) {
        #[cfg(ast_has_rtcp_feedback)]
        {
            let (packet_type, fmt, remb) = match feedback {
                Feedback::Remb { exponent, mantissa } => {
                    (sys::AST_RTP_RTCP_PSFB as i32, sys::AST_RTP_RTCP_FMT_REMB, (exponent, mantissa))
                }
                Feedback::Other { packet_type, format } => (packet_type.into(), format.into(), (0, 0)),
            };
            let slot = self.event(sys::ast_frame_type_AST_FRAME_RTCP, packet_type);
            // SAFETY: all-zero is a valid value: integers.
            let mut message: sys::ast_rtp_rtcp_feedback = unsafe { std::mem::zeroed() };
            message.fmt = fmt;
            message.__bindgen_anon_1.remb = sys::ast_rtp_rtcp_feedback_remb { br_exp: remb.0, br_mantissa: remb.1 };
            // SAFETY: plain integers without padding, read for their length.
            let bytes = unsafe {
                crate::host::slice::bytes((&raw const message).cast::<u8>(), size_of_val(&message).cast_signed())
            };
            slot.fill(bytes);
        }
        #[cfg(not(ast_has_rtcp_feedback))]
        let _ = feedback;
    }

    /// The number that the next frames carry, other than that of the instance that is read.
    pub fn set_stream(&mut self, stream: i32) {
        self.stream = stream;
    }

    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes the memory back from Asterisk and forgets the frames. `stream` is the number that the
    /// next ones carry.
    pub(in crate::host) fn clear(&mut self, stream: i32) {
        for slot in self.slots.drain(KEPT.min(self.slots.len())..) {
            // SAFETY: made by `Box::into_raw` in `next`, and taken out of the list here.
            drop(unsafe { Box::from_raw(slot.as_ptr()) });
        }
        self.used = 0;
        self.stream = stream;
    }

    /// The frames linked as Asterisk expects them, null when there are none. They may be used
    /// until the next `clear`.
    pub(in crate::host) fn chain(&mut self) -> *mut sys::ast_frame {
        let mut next = ptr::null_mut();
        for slot in self.slots[..self.used].iter().rev() {
            // SAFETY: the slots are ours, alive, and distinct.
            unsafe {
                let frame = &raw mut (*slot.as_ptr()).frame;
                (*frame).frame_list.next = next;
                next = frame;
            }
        }
        next
    }

    fn media(&mut self, kind: sys::ast_frame_type, media: &Media<'_>) -> &mut Slot {
        let slot = self.next(kind);
        set_format(&mut slot.frame, media.format.as_ptr());
        slot.format = Some(media.format.clone());
        slot.frame.flags = sys::AST_FRFLAG_HAS_SEQUENCE_NUMBER as _;
        slot.frame.seqno = media.sequence.into();
        slot.fill(media.payload);
        slot
    }

    fn event(&mut self, kind: sys::ast_frame_type, number: i32) -> &mut Slot {
        let slot = self.next(kind);
        slot.frame.subclass.integer = number;
        slot
    }

    fn next(&mut self, kind: sys::ast_frame_type) -> &mut Slot {
        if self.used == self.slots.len() {
            // SAFETY: all-zero is an empty `ast_frame`: integers and null pointers.
            let frame = unsafe { std::mem::zeroed() };
            let slot = Box::new(Slot { frame, format: None, buffer: Vec::new() });
            // A raw pointer, because Asterisk keeps one across our next borrow of the list.
            self.slots.push(NonNull::from(Box::leak(slot)));
        }
        // SAFETY: in bounds by the line above; alive, ours, and borrowed as `self` is.
        let slot = unsafe { self.slots[self.used].as_mut() };
        self.used += 1;
        // SAFETY: as above.
        slot.frame = unsafe { std::mem::zeroed() };
        slot.frame.frametype = kind;
        slot.frame.src = c"RTP".as_ptr();
        #[cfg(ast_has_frame_stream_num)]
        {
            slot.frame.stream_num = self.stream;
        }
        slot.format = None;
        slot
    }
}

impl Drop for FrameList {
    fn drop(&mut self) {
        for slot in self.slots.drain(..) {
            // SAFETY: made by `Box::leak` in `next`, and taken out of the list here.
            drop(unsafe { Box::from_raw(slot.as_ptr()) });
        }
    }
}

impl Slot {
    fn fill(&mut self, payload: &[u8]) {
        self.buffer.clear();
        self.buffer.resize(FRIENDLY_OFFSET, 0);
        self.buffer.extend_from_slice(payload);
        self.frame.data.ptr = self.buffer[FRIENDLY_OFFSET..].as_mut_ptr().cast::<c_void>();
        self.frame.datalen = i32::try_from(payload.len()).unwrap_or(0);
        self.frame.offset = FRIENDLY_OFFSET as i32;
    }

    /// Lets a jitter buffer on the other side of a bridge do its work.
    fn timing(&mut self, media: &Media<'_>) {
        let ticks_per_ms = u64::from(media.format.frame_clock_rate() / 1000).max(1);
        self.frame.flags |= sys::AST_FRFLAG_HAS_TIMING_INFO as std::ffi::c_uint;
        self.frame.ts = (media.timestamp / ticks_per_ms) as c_long;
    }
}
