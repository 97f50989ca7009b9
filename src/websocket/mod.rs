//! RFC 6455 and RFC 7692 without I/O: handshake, frames, messages, close, deflate.

#![forbid(unsafe_code)]
