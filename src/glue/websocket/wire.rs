//! The HTTP server's connection as the driver's stream.

use std::os::fd::RawFd;

use crate::driver::websocket::{Stalled, Stream};
use crate::host::iostream::{self, IoStream};

pub(super) struct Wire(pub(super) IoStream);

impl Stream for Wire {
    fn fd(&self) -> RawFd {
        self.0.fd()
    }

    fn try_read(&mut self, buf: &mut [u8]) -> Result<usize, Stalled> {
        self.0.try_read(buf).map_err(stalled)
    }

    fn try_write(&mut self, data: &[u8]) -> Result<usize, Stalled> {
        self.0.try_write(data).map_err(stalled)
    }

    fn has_buffered(&self) -> bool {
        self.0.has_buffered()
    }

    fn shutdown_write(&mut self) {
        self.0.shutdown_write();
    }
}

fn stalled(stalled: iostream::Stalled) -> Stalled {
    match stalled {
        iostream::Stalled::WantRead => Stalled::WantRead,
        iostream::Stalled::WantWrite => Stalled::WantWrite,
        iostream::Stalled::Eof => Stalled::Eof,
        iostream::Stalled::Broken(why) => Stalled::Broken(why),
    }
}
