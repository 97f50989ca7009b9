//! A WebRTC media session without I/O: demultiplexing, ICE, DTLS, SRTP, RTP and RTCP.

#![forbid(unsafe_code)]

pub mod crypto;
pub mod dtls;
pub mod srtp;
