//! A session of the driver's as its consumer in Asterisk uses it.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use crate::driver::websocket::{Read, Session};
use crate::host::http_websocket::{self as api, OPCODE_BINARY, OPCODE_CONTINUATION, OPCODE_TEXT, Received};
use crate::websocket::{DataOpcode, Opcode, Reassembly};

/// Messages are put together up to their limit however large a piece the consumer can take:
/// stock's ceiling bounds what it gathers, not what it delivers.
const WHOLE: Reassembly = Reassembly::Whole;

pub(super) struct Holder(pub(super) Arc<Session>);

impl api::Session for Holder {
    fn read(&self) -> Received {
        match self.0.read() {
            Read::Message(message) => {
                let kind = match message.opcode {
                    DataOpcode::Text => OPCODE_TEXT,
                    DataOpcode::Binary => OPCODE_BINARY,
                };
                // As stock has it: pieces are CONTINUATION, the last has the message's opcode.
                let opcode = if message.fin { kind } else { OPCODE_CONTINUATION };
                Received::Data { opcode, payload: message.payload, fragmented: !message.fin }
            }
            Read::Closed(true) => Received::Close,
            Read::Closed(false) => Received::Gone,
            Read::Nothing => Received::Nothing,
        }
    }

    fn write(&self, opcode: api::Opcode, payload: &[u8]) -> bool {
        let opcode = match opcode {
            OPCODE_TEXT => Opcode::Text,
            OPCODE_BINARY => Opcode::Binary,
            api::OPCODE_PING => Opcode::Ping,
            api::OPCODE_PONG => Opcode::Pong,
            api::OPCODE_CLOSE => {
                let code = payload.first_chunk().map_or(1000, |code| u16::from_be_bytes(*code));
                self.0.close(code);
                return true;
            }
            _ => return false,
        };
        self.0.write(opcode, payload).is_ok()
    }

    fn close(&self, code: u16) {
        self.0.close(code);
    }

    fn fd(&self) -> Option<RawFd> {
        self.0.fd().ok()
    }

    fn wait_for_input(&self, milliseconds: i32) -> Option<bool> {
        self.0.wait_for_input(milliseconds).ok()
    }

    fn set_nonblocking(&self) {
        self.0.set_nonblocking();
    }

    fn set_timeout(&self, milliseconds: i32) {
        self.0.set_write_timeout(u64::try_from(milliseconds).ok().map(Duration::from_millis));
    }

    fn set_reconstruct(&self, bytes: usize) {
        self.0.set_reassembly(if bytes == 0 { Reassembly::UpTo(0) } else { WHOLE });
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
