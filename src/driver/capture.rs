//! Runs a capture: legs offer their plain packets, a thread of its own writes them to the file.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::clock;
use super::sys::Thread;
use crate::capture::{Direction, Packet, Recorder};
use crate::sync::{lock, read, write};

/// How often what was taken is written to the file.
const WRITE_EVERY: Duration = Duration::from_millis(200);

const STACK: usize = 128 * 1024;

/// The one capture that may run at a time.
#[derive(Default)]
pub struct Capture {
    /// What legs look at for each packet.
    running: AtomicBool,
    recorder: RwLock<Option<Arc<Recorder>>>,
    writer: Mutex<Option<Writer>>,
}

struct Writer {
    thread: Thread,
    ending: Arc<(Mutex<bool>, Condvar)>,
}

impl Capture {
    /// Begins to write to `path`, which must not exist yet.
    pub fn start(&self, path: &Path, only: Option<IpAddr>, application: &str) -> io::Result<()> {
        let mut writer = lock(&self.writer);
        if writer.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a capture is running already"));
        }
        let recorder = Arc::new(Recorder::create(path, only, application)?);
        let ending = Arc::new((Mutex::new(false), Condvar::new()));
        let (written, told) = (Arc::clone(&recorder), Arc::clone(&ending));
        let thread = Thread::spawn("webrtc-capture", STACK, move || write_until_told(&written, &told))?;
        *writer = Some(Writer { thread, ending });
        *write(&self.recorder) = Some(recorder);
        self.running.store(true, Ordering::Release);
        Ok(())
    }

    /// Ends the capture and gives what it was; `None` if none ran.
    pub fn stop(&self) -> Option<Arc<Recorder>> {
        self.running.store(false, Ordering::Release);
        let recorder = write(&self.recorder).take();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            *lock(&writer.ending.0) = true;
            writer.ending.1.notify_all();
            writer.thread.join();
        }
        recorder
    }

    /// The capture that runs.
    pub fn current(&self) -> Option<Arc<Recorder>> {
        read(&self.recorder).clone()
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    pub(super) fn offer(&self, outbound: bool, local: SocketAddr, remote: SocketAddr, payload: &[u8]) {
        if let Some(recorder) = self.current() {
            let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
            recorder.offer(&Packet { at: clock::unix_microseconds(), direction, local, remote, payload });
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_until_told(recorder: &Recorder, ending: &(Mutex<bool>, Condvar)) {
    loop {
        let ended = {
            let told = lock(&ending.0);
            let waited = ending.1.wait_timeout_while(told, WRITE_EVERY, |ended| !*ended);
            *waited.unwrap_or_else(PoisonError::into_inner).0
        };
        if let Err(error) = recorder.write_out() {
            log::error!(target: "capture", "{}: {error}; the rest of the capture is lost", recorder.path().display());
            return;
        }
        if ended {
            return;
        }
    }
}
