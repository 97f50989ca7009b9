//! Decrypted captures for Wireshark, written only while an administrator asks for one.
//!
//! SRTP in a packet capture says nothing without its keys, and a key log helps with DTLS only. So
//! the packets are taken where they are plain, between SRTP and RTP, and written as UDP datagrams
//! with the addresses that the encrypted ones had: [`pcapng`] makes the blocks, [`Recorder`] writes
//! them to a file from a thread of its caller's.

#![forbid(unsafe_code)]

pub mod pcapng;
mod recorder;

pub use pcapng::Direction;
pub use recorder::{Packet, Recorder};
