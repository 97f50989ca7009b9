//! From octets to messages (RFC 6455 §5.4-§5.6): frames, fragments, unmasking, UTF-8, inflating.
//!
//! # Invariants
//!
//! - The message buffer grows by what has come in (or been inflated), never by what a header
//!   claims, and never past its ceiling.
//! - Control frames do not touch the message that they interrupt.
//! - Between messages no buffer is held.

use super::close::{self, CloseCode};
use super::deflate::codec::Inflater;
use super::error::ProtocolError;
use super::frame::{DataOpcode, Header, HeaderDecoder, Opcode, Rules};
use super::mask;
use super::utf8::Utf8;

/// Whether fragments are put together: `ast_websocket_reconstruct_enable` and `_disable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reassembly {
    /// Messages are given whole, and those over the limit refused with 1009.
    #[default]
    Whole,
    /// Fragments are gathered until they hold at least so many octets, then given as they are:
    /// a message may be of any length, each piece is bounded. 0 gives every fragment.
    UpTo(usize),
}

/// What the peer has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Message {
        opcode: DataOpcode,
        payload: Vec<u8>,
    },
    /// A piece of a message that is not given whole. `fin` marks the last, `first` the first; a
    /// piece is never both.
    Fragment {
        opcode: DataOpcode,
        first: bool,
        fin: bool,
        payload: Vec<u8>,
    },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close {
        code: Option<CloseCode>,
        reason: String,
    },
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Receiver {
    rules: Rules,
    max_frame: u64,
    max_message: usize,
    reassembly: Reassembly,
    header: HeaderDecoder,
    /// The frame whose payload is coming in.
    frame: Option<Frame>,
    /// The message that is not yet complete.
    message: Option<Message>,
    /// That message's octets, unmasked and inflated, as far as not yet given.
    buffer: Vec<u8>,
    /// The payload of a control frame that came in more than one read.
    control: Vec<u8>,
    inflater: Option<Inflater>,
    /// Only a close frame is still of interest.
    discarding: bool,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    header: Header,
    received: u64,
}

#[derive(Debug)]
struct Message {
    opcode: DataOpcode,
    compressed: bool,
    /// A piece has been given, so that the rest must be given in pieces, too.
    begun: bool,
    utf8: Utf8,
}

impl Receiver {
    /// `masked` is what a server demands and a client forbids. A frame's payload may have
    /// `max_frame` octets and a message, once inflated, `max_message`.
    pub(super) fn new(masked: bool, max_frame: usize, max_message: usize, inflater: Option<Inflater>) -> Self {
        Self {
            rules: Rules { masked, rsv1: inflater.is_some() },
            max_frame: max_frame as u64,
            max_message,
            reassembly: Reassembly::Whole,
            header: HeaderDecoder::default(),
            frame: None,
            message: None,
            buffer: Vec::new(),
            control: Vec::new(),
            inflater,
            discarding: false,
        }
    }

    /// Takes effect with the next fragment.
    pub(super) fn set_reassembly(&mut self, reassembly: Reassembly) {
        self.reassembly = reassembly;
    }

    /// Lets go of all messages from here on, begun or to come; only a close frame is found.
    pub(super) fn discard(&mut self) {
        self.discarding = true;
        self.buffer = Vec::new();
        self.inflater = None;
    }

    /// The octets held for a message that is not complete.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.capacity() + self.control.capacity()
    }

    /// Takes octets from the front of `input` until something is complete; `None` asks for more.
    /// After an error the stream has no meaning any more.
    pub(super) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Received>, ProtocolError> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => {
                    let Some(header) = self.header.push(input, self.rules)? else {
                        return Ok(None);
                    };
                    self.begin(header)?;
                    Frame { header, received: 0 }
                }
            };
            let left = frame.header.length - frame.received;
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            let (chunk, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
            *input = rest;
            let complete = chunk.len() as u64 == left;

            if frame.header.opcode.is_control() {
                self.take_control(frame, chunk);
            } else {
                self.take_data(frame, chunk)?;
            }
            if !complete {
                frame.received += chunk.len() as u64;
                self.frame = Some(frame);
                return Ok(None);
            }
            self.frame = None;
            if let Some(received) = self.end(frame.header)? {
                return Ok(Some(received));
            }
        }
    }

    /// Judges a frame by its header, before any of its payload.
    fn begin(&mut self, header: Header) -> Result<(), ProtocolError> {
        if header.length > self.max_frame && !header.opcode.is_control() {
            return Err(ProtocolError::FrameTooBig);
        }
        let opcode = match header.opcode {
            Opcode::Text => DataOpcode::Text,
            Opcode::Binary => DataOpcode::Binary,
            Opcode::Continuation if self.message.is_none() => {
                return Err(ProtocolError::OrphanContinuation);
            }
            Opcode::Continuation => return self.check_ceiling(header),
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        };
        if self.message.is_some() {
            return Err(ProtocolError::InterleavedMessage);
        }
        self.message = Some(Message { opcode, compressed: header.rsv1, begun: false, utf8: Utf8::default() });
        self.check_ceiling(header)
    }

    /// Refuses a frame that would take the message past its ceiling. For a compressed message
    /// only inflating can tell.
    fn check_ceiling(&self, header: Header) -> Result<(), ProtocolError> {
        let room = self.ceiling().saturating_sub(self.buffer.len());
        let compressed = self.message.as_ref().is_some_and(|m| m.compressed);
        if !compressed && !self.discarding && header.length > room as u64 {
            return Err(ProtocolError::MessageTooBig);
        }
        Ok(())
    }

    /// How much the message buffer may hold. Pieces of a message are gathered below the bound of
    /// `UpTo`, and one more frame may come on top.
    fn ceiling(&self) -> usize {
        match self.reassembly {
            Reassembly::Whole => self.max_message,
            Reassembly::UpTo(bound) => bound.min(self.max_message).saturating_add(self.max_frame as usize),
        }
    }

    fn take_control(&mut self, frame: Frame, chunk: &[u8]) {
        // At most 125 octets: the header decoder has seen to it.
        let start = self.control.len();
        self.control.extend_from_slice(chunk);
        unmask(frame, self.control.get_mut(start..));
    }

    fn take_data(&mut self, frame: Frame, chunk: &[u8]) -> Result<(), ProtocolError> {
        let ceiling = self.ceiling();
        let Some(message) = self.message.as_mut().filter(|_| !self.discarding) else {
            return Ok(());
        };
        let start = self.buffer.len();
        if message.compressed {
            let inflater = self.inflater.as_mut().ok_or(ProtocolError::ReservedBit)?;
            let mut plain = [0; 1024];
            let mut received = frame.received;
            for part in chunk.chunks(plain.len()) {
                let plain = plain.get_mut(..part.len()).unwrap_or_default();
                plain.copy_from_slice(part);
                if let Some(key) = frame.header.mask {
                    mask::apply(key, received, plain);
                }
                received += part.len() as u64;
                inflater.inflate(plain, &mut self.buffer, ceiling)?;
            }
        } else {
            if frame.header.fin && frame.received + chunk.len() as u64 == frame.header.length {
                self.buffer.reserve_exact(chunk.len());
            }
            self.buffer.extend_from_slice(chunk);
            unmask(frame, self.buffer.get_mut(start..));
        }
        if message.opcode == DataOpcode::Text {
            let added = self.buffer.get(start..).unwrap_or_default();
            message.utf8.feed(added).map_err(|_| ProtocolError::InvalidUtf8)?;
        }
        Ok(())
    }

    /// A frame is complete: what does that make?
    fn end(&mut self, header: Header) -> Result<Option<Received>, ProtocolError> {
        match header.opcode {
            Opcode::Ping => Ok(Some(Received::Ping(std::mem::take(&mut self.control)))),
            Opcode::Pong => Ok(Some(Received::Pong(std::mem::take(&mut self.control)))),
            Opcode::Close => {
                let (code, reason) = close::parse(&std::mem::take(&mut self.control))?;
                Ok(Some(Received::Close { code, reason }))
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary if header.fin => self.end_message(),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => Ok(self.end_fragment()),
        }
    }

    fn end_message(&mut self) -> Result<Option<Received>, ProtocolError> {
        let Some(mut message) = self.message.take().filter(|_| !self.discarding) else {
            return Ok(None);
        };
        if message.compressed {
            let ceiling = self.ceiling();
            let inflater = self.inflater.as_mut().ok_or(ProtocolError::ReservedBit)?;
            let start = self.buffer.len();
            inflater.finish(&mut self.buffer, ceiling)?;
            if message.opcode == DataOpcode::Text {
                let added = self.buffer.get(start..).unwrap_or_default();
                message.utf8.feed(added).map_err(|_| ProtocolError::InvalidUtf8)?;
            }
        }
        message.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
        let opcode = message.opcode;
        let payload = std::mem::take(&mut self.buffer);
        Ok(Some(if message.begun {
            Received::Fragment { opcode, first: false, fin: true, payload }
        } else {
            Received::Message { opcode, payload }
        }))
    }

    fn end_fragment(&mut self) -> Option<Received> {
        let message = self.message.as_mut().filter(|_| !self.discarding)?;
        match self.reassembly {
            Reassembly::UpTo(bound) if !self.buffer.is_empty() && self.buffer.len() >= bound => {
                let first = !message.begun;
                message.begun = true;
                Some(Received::Fragment {
                    opcode: message.opcode,
                    first,
                    fin: false,
                    payload: std::mem::take(&mut self.buffer),
                })
            }
            _ => None,
        }
    }
}

fn unmask(frame: Frame, octets: Option<&mut [u8]>) {
    if let (Some(key), Some(octets)) = (frame.header.mask, octets) {
        mask::apply(key, frame.received, octets);
    }
}

#[cfg(test)]
mod tests;
