//! Frames that Asterisk gives us to send.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::time::SystemTime;

use super::{Feedback, format_of};
use crate::host::format::Format;
use crate::host::{slice, sys, time};

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutKind {
    /// `talk_spurt`: the first packet after a silence (the marker bit), where it is known.
    Voice {
        talk_spurt: bool,
    },
    /// `frame_ending`: the last packet of its picture (the marker bit).
    Video {
        frame_ending: bool,
    },
    Text,
    /// Ask the peer for a key frame.
    VideoUpdate,
    Feedback(Feedback),
}

/// A frame lent for the length of one `write`.
pub struct OutFrame<'a> {
    raw: *const sys::ast_frame,
    kind: OutKind,
    format: Option<ManuallyDrop<Format>>,
    lent: PhantomData<&'a sys::ast_frame>,
}

impl<'a> OutFrame<'a> {
    /// `None` for kinds of frames that RTP does not carry.
    ///
    /// # Safety
    /// `raw` is a frame that stays alive and unchanged for `'a`.
    pub(in crate::host) unsafe fn new(raw: *const sys::ast_frame) -> Option<Self> {
        // SAFETY: alive, says the caller.
        let frame = unsafe { &*raw };
        let kind = match frame.frametype {
            sys::ast_frame_type_AST_FRAME_VOICE => OutKind::Voice { talk_spurt: frame.subclass.frame_ending != 0 },
            sys::ast_frame_type_AST_FRAME_VIDEO => OutKind::Video { frame_ending: frame.subclass.frame_ending != 0 },
            sys::ast_frame_type_AST_FRAME_TEXT => OutKind::Text,
            sys::ast_frame_type_AST_FRAME_CONTROL
                if frame.subclass.integer == sys::ast_control_frame_type_AST_CONTROL_VIDUPDATE as i32 =>
            {
                OutKind::VideoUpdate
            }
            #[cfg(ast_has_rtcp_feedback)]
            sys::ast_frame_type_AST_FRAME_RTCP => OutKind::Feedback(feedback(frame)?),
            _ => return None,
        };
        let format = match kind {
            // SAFETY: media frames name a format, which lives as long as the frame.
            OutKind::Voice { .. } | OutKind::Video { .. } | OutKind::Text => unsafe { Format::peek(format_of(raw)) },
            OutKind::VideoUpdate | OutKind::Feedback(_) => None,
        };
        Some(Self { raw, kind, format, lent: PhantomData })
    }

    pub fn kind(&self) -> OutKind {
        self.kind
    }

    /// `None` only for what is not media; `write` is not called for media without a format.
    pub fn format(&self) -> Option<&Format> {
        self.format.as_deref()
    }

    /// What follows the RTP header.
    pub fn payload(&self) -> &'a [u8] {
        let frame = self.frame();
        // SAFETY: media frames point at their data, `datalen` bytes that live as the frame does.
        unsafe { slice::bytes(frame.data.ptr.cast::<u8>(), frame.datalen as isize) }
    }

    /// How far the RTP timestamp moves with this frame, in ticks of the format's RTP clock.
    pub fn ticks(&self) -> u32 {
        let samples = u64::try_from(self.frame().samples).unwrap_or(0);
        let ticks = match &self.format {
            Some(format) => samples * u64::from(format.frame_clock_rate()) / u64::from(format.sample_rate()),
            None => samples,
        };
        u32::try_from(ticks).unwrap_or(0)
    }

    /// The sequence number that the frame had where it came from, when it came from RTP.
    pub fn sequence(&self) -> Option<u16> {
        self.flag(sys::AST_FRFLAG_HAS_SEQUENCE_NUMBER).then_some(self.frame().seqno as u16)
    }

    /// The timestamp that the frame had where it came from, in ticks of the format's RTP clock.
    pub fn timestamp(&self) -> Option<u64> {
        let format = self.format.as_ref().filter(|_| self.flag(sys::AST_FRFLAG_HAS_TIMING_INFO))?;
        u64::try_from(self.frame().ts).ok()?.checked_mul((format.frame_clock_rate() / 1000).into())
    }

    /// When the frame is to be played; `None` when it goes out as it comes.
    pub fn delivery(&self) -> Option<SystemTime> {
        time::from_timeval(self.frame().delivery)
    }

    fn frame(&self) -> &'a sys::ast_frame {
        // SAFETY: alive and unchanged for `'a`, says `new`.
        unsafe { &*self.raw }
    }

    fn flag(&self, flag: u32) -> bool {
        self.frame().flags & flag != 0
    }
}

#[cfg(ast_has_rtcp_feedback)]
fn feedback(frame: &sys::ast_frame) -> Option<Feedback> {
    let packet_type = u8::try_from(frame.subclass.integer).ok()?;
    if u32::from(packet_type) != sys::AST_RTP_RTCP_PSFB && u32::from(packet_type) != sys::AST_RTP_RTCP_RTPFB {
        // Sender and receiver reports are our own business.
        return None;
    }
    if usize::try_from(frame.datalen).ok()? < size_of::<sys::ast_rtp_rtcp_feedback>() {
        return None;
    }
    // SAFETY: a feedback frame points at this struct, and its length was checked.
    let message = unsafe { frame.data.ptr.cast::<sys::ast_rtp_rtcp_feedback>().as_ref() }?;
    if u32::from(packet_type) == sys::AST_RTP_RTCP_PSFB && message.fmt == sys::AST_RTP_RTCP_FMT_REMB {
        // SAFETY: the message type says which member is set; all are integers.
        let remb = unsafe { message.__bindgen_anon_1.remb };
        return Some(Feedback::Remb { exponent: remb.br_exp, mantissa: remb.br_mantissa });
    }
    Some(Feedback::Other { packet_type, format: u8::try_from(message.fmt).ok()? })
}
