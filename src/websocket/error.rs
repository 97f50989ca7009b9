//! What a peer can do wrong once the connection is open, and the close code that answers it.

use std::fmt;

use super::close::CloseCode;

/// A violation by the peer. It fails the connection (RFC 6455 §7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A reserved bit that no extension has given a meaning (§5.2).
    ReservedBit,
    /// An opcode between 3 and 7 or above 10 (§5.2).
    ReservedOpcode(u8),
    /// A client's frame without a mask (§5.1).
    Unmasked,
    /// A server's frame with a mask (§5.1).
    Masked,
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (§5.5).
    LongControl,
    /// A length that would have fitted a shorter form (§5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (§5.2).
    LengthOverflow,
    /// A continuation with no message begun (§5.4).
    OrphanContinuation,
    /// A new message while another is unfinished (§5.4).
    InterleavedMessage,
    /// A close frame with a payload of one byte (§5.5.1).
    TruncatedCloseCode,
    /// A close code that must not appear on the wire (§7.4).
    ReservedCloseCode(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// Text that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A compressed message that does not inflate (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A frame longer than the limit.
    FrameTooBig,
    /// A message longer than the limit, as sent or once inflated.
    MessageTooBig,
}

impl ProtocolError {
    /// The code with which the connection is failed.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidCloseReason | Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBit => f.write_str("reserved bit set"),
            Self::ReservedOpcode(opcode) => write!(f, "reserved opcode {opcode}"),
            Self::Unmasked => f.write_str("unmasked frame from a client"),
            Self::Masked => f.write_str("masked frame from a server"),
            Self::FragmentedControl => f.write_str("fragmented control frame"),
            Self::LongControl => f.write_str("control frame over 125 bytes"),
            Self::NonMinimalLength => f.write_str("length not in its shortest form"),
            Self::LengthOverflow => f.write_str("length over 63 bits"),
            Self::OrphanContinuation => f.write_str("continuation of no message"),
            Self::InterleavedMessage => f.write_str("message begun inside another"),
            Self::TruncatedCloseCode => f.write_str("close code of one byte"),
            Self::ReservedCloseCode(code) => write!(f, "close code {code} not allowed"),
            Self::InvalidCloseReason => f.write_str("close reason is not UTF-8"),
            Self::InvalidUtf8 => f.write_str("text is not UTF-8"),
            Self::InvalidDeflate => f.write_str("message does not inflate"),
            Self::FrameTooBig => f.write_str("frame over the limit"),
            Self::MessageTooBig => f.write_str("message over the limit"),
        }
    }
}

impl std::error::Error for ProtocolError {}
