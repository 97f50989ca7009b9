//! RTP (RFC 3550): headers, sequence numbers, and the state of a stream sent and received.

mod header;
mod receive;
mod send;
mod sequence;

pub use header::{Extensions, Header, MAX_HEADER, parse, write_header};
pub use receive::{Accepted, ReceivedStream, SenderReportMark};
pub use send::{SentStream, Stamp};
pub use sequence::{Sequence, SequenceError};

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
