//! RTP (RFC 3550): headers, sequence numbers, and the state of a stream sent and received.

mod header;
mod nack;
mod receive;
mod resend;
mod send;
mod sequence;
mod transport_cc;
mod window;

pub use header::{Extensions, Header, MAX_HEADER, parse, write_header};
pub use nack::NackGenerator;
pub use receive::{Accepted, ReceivedStream, SenderReportMark};
pub use resend::ResendBuffer;
pub use send::{SentStream, Stamp};
pub use sequence::{Sequence, SequenceError};
pub use transport_cc::TransportCc;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
