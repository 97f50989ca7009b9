//! RTP legs: sockets and timers of media sessions, served by a few worker threads.
//!
//! A worker reads the sockets of many legs, decrypts, and leaves media in the leg's [`Inbox`]. As soon
//! as a channel reads what it is left there, the channel's thread reads the RTP socket itself, which
//! saves waking two threads for a packet (`docs/bench-calls.md` has the figures of both ways). The
//! worker keeps the timers, and takes the socket back from a channel that has not read for a while:
//! ICE consent, DTLS retransmission and RTCP go on while a channel thread sits in an application that
//! does not read. What the channel polls is an epoll descriptor over the inbox's and, while it is lent
//! to the channel, the socket. What the channel writes leaves from the channel's own thread.
//!
//! Locks: `Timers` is a leaf. The leg table of a worker is held while a leg's `reader` is tried, which
//! is held for a system call at most. A leg's session is locked while the
//! core is fed and its datagrams are sent (the sockets never block); its events are acted on after
//! that, so an [`Observer`] may call Asterisk. No thread holds two sessions: what one has for
//! another, in a bundle, is carried over between the two locks.

mod bundle;
mod inbox;
mod leg;
mod ports;
mod timers;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

pub use inbox::{Inbox, Incoming, Media};
pub use leg::{Leg, Observer, Taken};
pub use ports::PortRange;
use worker::Worker;

use crate::driver::capture::Capture;
use crate::rtc::Session;

/// The worker threads. Dropping it ends and joins them.
pub struct Driver {
    workers: Vec<Arc<Worker>>,
    next: AtomicUsize,
    ids: AtomicU64,
    capture: Arc<Capture>,
}

impl Driver {
    /// Starts `threads` workers (at least one).
    pub fn start(threads: usize) -> io::Result<Self> {
        let mut driver =
            Self { workers: Vec::new(), next: AtomicUsize::new(0), ids: AtomicU64::new(1), capture: Arc::default() };
        for n in 0..threads.max(1) {
            driver.workers.push(Worker::start(n)?);
        }
        Ok(driver)
    }

    /// Gives a session and its socket to the worker that is next in turn.
    pub fn open(
        &self,
        session: Session,
        socket: std::net::UdpSocket,
        observer: Arc<dyn Observer>,
    ) -> io::Result<Arc<Leg>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        // `start` made at least one, and `turn` is below their number.
        let worker = Arc::clone(&self.workers[turn]);
        Leg::open(id, worker, session, socket, observer, Arc::clone(&self.capture))
    }

    /// The capture of plain packets, running or not.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Legs that are open.
    pub fn legs(&self) -> Vec<Arc<Leg>> {
        self.workers.iter().flat_map(|worker| worker.legs()).collect()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.stop();
        }
    }
}

#[cfg(test)]
mod tests;
