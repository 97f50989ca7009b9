//! The thread that reads and writes all sessions.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::session::{Opening, Session, Turn};
use crate::driver::sys::{Epoll, EventFd, Interest, Ready, Thread};
use crate::sync::lock;
use crate::websocket::CloseCode;

/// The wake-up's token; sessions count from 1.
const WAKE: u64 = 0;

/// One read. A TLS record holds at most 16 KiB, and a message for SIP at most 64.
const SCRATCH: usize = 64 << 10;

/// While there are timers the thread looks up so often, so that a session need not wake it to tell of
/// a deadline that is further away.
const TICK: Duration = Duration::from_secs(1);

/// OpenSSL and Asterisk's logger are called on it.
const STACK: usize = 256 << 10;

/// All sessions and the thread that serves them.
pub struct Reactor {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread>>,
}

/// What sessions need of their reactor.
pub(super) struct Shared {
    pub(super) epoll: Epoll,
    wake: EventFd,
    sessions: Mutex<HashMap<u64, Arc<Session>>>,
    kicked: Mutex<Kicked>,
    /// The thread will look at `kicked` within [`TICK`] by itself.
    ticking: AtomicBool,
    next: AtomicU64,
    stopping: AtomicBool,
}

/// Sessions that the thread is to look at.
#[derive(Default)]
struct Kicked {
    ids: Vec<u64>,
    /// The thread has been woken for them.
    signalled: bool,
}

impl Shared {
    /// Has the reactor look at a session now.
    pub(super) fn kick(&self, id: u64) {
        self.push(id, true);
    }

    /// Has the reactor look at a session by `due`, if only to learn of that deadline.
    pub(super) fn kick_by(&self, id: u64, now: Instant, due: Instant) {
        self.push(id, due.saturating_duration_since(now) <= TICK);
    }

    fn push(&self, id: u64, urgent: bool) {
        let mut kicked = lock(&self.kicked);
        kicked.ids.push(id);
        // Read after the push: the thread ceases to tick before it looks at the list a last time.
        let signal = !kicked.signalled && (urgent || !self.ticking.load(Ordering::Acquire));
        kicked.signalled |= signal;
        drop(kicked);
        if signal {
            self.wake.signal();
        }
    }

    /// Whether a session was kicked that has not been looked at.
    fn has_kicked(&self) -> bool {
        !lock(&self.kicked).ids.is_empty()
    }

    fn session(&self, id: u64) -> Option<Arc<Session>> {
        lock(&self.sessions).get(&id).cloned()
    }
}

impl Reactor {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            epoll: Epoll::new()?,
            wake: EventFd::new()?,
            sessions: Mutex::new(HashMap::new()),
            kicked: Mutex::new(Kicked::default()),
            ticking: AtomicBool::new(false),
            next: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
        });
        shared.epoll.add(shared.wake.as_raw_fd(), WAKE, Interest { readable: true, ..Interest::default() })?;
        let theirs = Arc::clone(&shared);
        let thread = Thread::spawn("rust-websocket", STACK, move || Worker::new(theirs).run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Takes a connection over. On failure the stream is closed and `on_end` is never called.
    pub fn open(&self, opening: Opening) -> io::Result<Arc<Session>> {
        let now = Instant::now();
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (session, input) = Session::new(id, opening, Arc::clone(&self.shared), now);
        {
            // Under the lock, so that the thread, going, either finds the session or is found gone.
            let mut sessions = lock(&self.shared.sessions);
            if self.shared.stopping.load(Ordering::Acquire) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            sessions.insert(id, Arc::clone(&session));
        }
        if let Err(error) = session.start(&input, now) {
            lock(&self.shared.sessions).remove(&id);
            return Err(error);
        }
        Ok(session)
    }

    /// The sessions, oldest first, those included that are over but linger.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let mut sessions: Vec<_> = lock(&self.shared.sessions).values().cloned().collect();
        sessions.sort_by_key(|session| session.id());
        sessions
    }

    /// Closes every session with 1001 and ends the thread.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wake.signal();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            thread.join();
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A panic costs the session it happened in, and no other. The panic hook has logged it.
fn abort(session: &Session) -> Turn {
    if catch_unwind(AssertUnwindSafe(|| session.release())).is_err() {
        log::error!(target: "ws", "session {} cannot even be closed", session.id());
    }
    Turn::Finished(None)
}

/// What only the thread itself needs.
struct Worker {
    shared: Arc<Shared>,
    timers: BTreeSet<(Instant, u64)>,
    due: HashMap<u64, Instant>,
    /// Sessions with more to read that no poll tells of.
    again: Vec<u64>,
    scratch: Vec<u8>,
}

impl Worker {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, timers: BTreeSet::new(), due: HashMap::new(), again: Vec::new(), scratch: vec![0; SCRATCH] }
    }

    fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut ready = Vec::new();
        while !shared.stopping.load(Ordering::Acquire) {
            let timeout = self.patience(Instant::now());
            if let Err(error) = shared.epoll.wait(&mut ready, timeout) {
                log::error!(target: "ws", "waiting for sockets: {error}");
                break;
            }
            for id in std::mem::take(&mut self.again) {
                self.serve(id, None);
            }
            for event in &ready {
                if event.token == WAKE {
                    shared.wake.clear();
                } else {
                    self.serve(event.token, Some(*event));
                }
            }
            let kicked = std::mem::take(&mut *lock(&shared.kicked));
            for id in kicked.ids {
                self.serve(id, None);
            }
            self.expire();
        }
        self.close_all();
    }

    /// How long to wait for sockets.
    fn patience(&self, now: Instant) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let timeout = self.timers.first().map(|(at, _)| at.saturating_duration_since(now).min(TICK));
        self.shared.ticking.store(timeout.is_some(), Ordering::Release);
        match timeout {
            None if self.shared.has_kicked() => Some(Duration::ZERO),
            timeout => timeout,
        }
    }

    fn serve(&mut self, id: u64, event: Option<Ready>) {
        let Some(session) = self.shared.session(id) else { return };
        let scratch = &mut self.scratch;
        let turn = catch_unwind(AssertUnwindSafe(|| session.turn(event, scratch, Instant::now())));
        match turn.unwrap_or_else(|_| abort(&session)) {
            Turn::Wait { due, again } => {
                self.arm(id, due);
                if again {
                    self.again.push(id);
                }
            }
            Turn::Finished(stream) => {
                self.arm(id, None);
                lock(&self.shared.sessions).remove(&id);
                if let Some(stream) = stream {
                    // Closing does it, too, unless somebody has duplicated the descriptor.
                    self.shared.epoll.remove(stream.fd());
                }
            }
        }
    }

    /// Looks at a session again at `due`, or before: every message puts the session's deadlines
    /// off, and to move the timer each time costs more than to look once in vain.
    fn arm(&mut self, id: u64, due: Option<Instant>) {
        match (self.due.get(&id), due) {
            (None, None) => return,
            (Some(at), Some(due)) if *at <= due => return,
            _ => {}
        }
        if let Some(at) = self.due.remove(&id) {
            self.timers.remove(&(at, id));
        }
        if let Some(at) = due {
            self.due.insert(id, at);
            self.timers.insert((at, id));
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some(&(at, id)) = self.timers.first()
            && at <= now
        {
            self.arm(id, None);
            self.serve(id, None);
        }
    }

    /// The module goes: says so to every peer, as far as its socket takes it at once.
    fn close_all(&mut self) {
        let sessions: Vec<_> = lock(&self.shared.sessions).drain().map(|(_, session)| session).collect();
        for session in sessions {
            session.kill(CloseCode::GOING_AWAY, "server goes away");
            session.release();
        }
    }
}
