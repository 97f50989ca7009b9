//! A capture on its way to its file.
//!
//! The threads that carry media only queue; the file is written by whoever calls
//! [`Recorder::write_out`]. The queue is bounded: a disk that is too slow costs packets of the
//! capture, never of the call.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::pcapng::{self, Direction};

/// Bytes that may wait for the disk: some seconds of a hundred calls.
const QUEUE: usize = 8 * 1024 * 1024;

/// A plain packet as it is offered to a capture.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Microseconds since 1970.
    pub at: u64,
    pub direction: Direction,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub payload: &'a [u8],
}

/// A capture that is running.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    only: Option<IpAddr>,
    waiting: Mutex<Vec<u8>>,
    file: Mutex<File>,
    packets: AtomicU64,
    dropped: AtomicU64,
}

impl Recorder {
    /// Creates the file, which must not exist, readable by its owner alone: it will hold what was
    /// said. `only` limits the capture to one peer.
    pub fn create(path: &Path, only: Option<IpAddr>, application: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut head = Vec::new();
        pcapng::begin(&mut head, application);
        file.write_all(&head)?;
        Ok(Self {
            path: path.to_owned(),
            only,
            waiting: Mutex::default(),
            file: Mutex::new(file),
            packets: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The peer it is limited to.
    pub fn only(&self) -> Option<IpAddr> {
        self.only
    }

    /// Packets taken and packets that found the queue full.
    pub fn counts(&self) -> (u64, u64) {
        (self.packets.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Takes a packet if it is one that was asked for.
    pub fn offer(&self, packet: &Packet<'_>) {
        if self.only.is_some_and(|only| only != packet.remote.ip()) {
            return;
        }
        let (source, destination) = match packet.direction {
            Direction::Inbound => (packet.remote, packet.local),
            Direction::Outbound => (packet.local, packet.remote),
        };
        let mut waiting = unpoisoned(&self.waiting);
        if waiting.len() + packet.payload.len() > QUEUE {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        pcapng::packet(&mut waiting, packet.at, packet.direction, source, destination, packet.payload);
        self.packets.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes what waits.
    pub fn write_out(&self) -> io::Result<()> {
        let bytes = std::mem::take(&mut *unpoisoned(&self.waiting));
        if bytes.is_empty() {
            return Ok(());
        }
        unpoisoned(&self.file).write_all(&bytes)
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn packet(remote: &str) -> Packet<'static> {
        Packet {
            at: 1,
            direction: Direction::Inbound,
            local: "127.0.0.1:1".parse().unwrap(),
            remote: remote.parse().unwrap(),
            payload: &[0x80; 172],
        }
    }

    #[test]
    fn a_capture_holds_the_peer_asked_for_and_is_private() {
        let path = std::env::temp_dir().join(format!("rw-capture-{}.pcapng", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let recorder = Recorder::create(&path, Some("127.0.0.7".parse().unwrap()), "test").unwrap();
        let head = std::fs::metadata(&path).unwrap();
        assert_eq!(head.permissions().mode() & 0o777, 0o600);
        recorder.offer(&packet("127.0.0.7:5"));
        recorder.offer(&packet("127.0.0.8:5"));
        recorder.write_out().unwrap();
        assert_eq!(recorder.counts(), (1, 0));
        assert!(std::fs::metadata(&path).unwrap().len() > head.len() + 172);
        assert!(Recorder::create(&path, None, "test").is_err(), "an existing file is never overwritten");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_slow_disk_costs_packets_of_the_capture_and_no_memory() {
        let path = std::env::temp_dir().join(format!("rw-capture-slow-{}.pcapng", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let recorder = Recorder::create(&path, None, "test").unwrap();
        for _ in 0..60_000 {
            recorder.offer(&packet("127.0.0.7:5"));
        }
        let (taken, dropped) = recorder.counts();
        assert!(dropped > 0);
        assert_eq!(taken + dropped, 60_000);
        assert!(unpoisoned(&recorder.waiting).len() <= QUEUE + 1024);
        std::fs::remove_file(&path).unwrap();
    }
}
