//! A thread that serves the sockets and deadlines of many legs.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::leg::Leg;
use super::timers::Timers;
use crate::driver::clock;
use crate::driver::sys::{Epoll, EventFd, Interest, Ready, Thread};
use crate::rtc::ice::Component;
use crate::sync::lock;

/// The largest UDP datagram.
const LARGEST: usize = 65_536;

/// The token of the descriptor that wakes the worker; legs count from 1.
const NUDGE: u64 = 0;

/// How often the worker looks for channels that do not read the sockets lent to them.
const SUPERVISION: Duration = Duration::from_millis(50);

/// OpenSSL's handshake is the deepest that a worker's stack gets.
const STACK: usize = 512 * 1024;

pub struct Worker {
    epoll: Epoll,
    nudge: EventFd,
    stopping: AtomicBool,
    /// Legs whose channels read their sockets themselves.
    lent: AtomicUsize,
    legs: Mutex<HashMap<u64, Arc<Leg>>>,
    timers: Mutex<Timers>,
    thread: Mutex<Option<Thread>>,
}

impl Worker {
    pub fn start(number: usize) -> io::Result<Arc<Self>> {
        let worker = Arc::new(Self {
            epoll: Epoll::new()?,
            nudge: EventFd::new()?,
            stopping: AtomicBool::new(false),
            lent: AtomicUsize::new(0),
            legs: Mutex::default(),
            timers: Mutex::default(),
            thread: Mutex::new(None),
        });
        let readable = Interest { readable: true, ..Interest::default() };
        worker.epoll.add(worker.nudge.as_raw_fd(), NUDGE, readable)?;
        let served = Arc::clone(&worker);
        let thread = Thread::spawn(&format!("webrtc-media-{number}"), STACK, move || served.serve())?;
        *lock(&worker.thread) = Some(thread);
        Ok(worker)
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.nudge.signal();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            thread.join();
        }
    }

    pub fn legs(&self) -> Vec<Arc<Leg>> {
        lock(&self.legs).values().cloned().collect()
    }

    pub fn adopt(&self, leg: &Arc<Leg>) {
        lock(&self.legs).insert(leg.id(), Arc::clone(leg));
    }

    pub fn release(&self, id: u64) {
        lock(&self.timers).disarm(id);
        // The leg may be dropped here, which must not happen under the lock.
        let leg = lock(&self.legs).remove(&id);
        drop(leg);
    }

    pub fn watch(&self, fd: RawFd, id: u64, component: Component) -> io::Result<()> {
        self.epoll.add(fd, token(id, component), Interest { readable: true, ..Interest::default() })
    }

    pub fn unwatch(&self, fd: RawFd) {
        self.epoll.remove(fd);
    }

    /// A leg's channel reads its socket itself from now on.
    pub fn lent(&self) {
        if self.lent.fetch_add(1, Ordering::AcqRel) == 0 {
            self.nudge.signal();
        }
    }

    /// It does no more.
    pub fn returned(&self) {
        self.lent.fetch_sub(1, Ordering::AcqRel);
    }

    /// Sees to it that leg `id` gets its `handle_timeout` at `deadline`.
    pub fn arm(&self, id: u64, deadline: Instant) {
        let first = lock(&self.timers).arm(id, deadline);
        let own = lock(&self.thread).as_ref().is_some_and(Thread::is_current);
        if first && !own {
            self.nudge.signal();
        }
    }

    fn serve(&self) {
        let mut ready: Vec<Ready> = Vec::new();
        let mut buffer = vec![0; LARGEST];
        let mut supervised = clock::now();
        while !self.stopping.load(Ordering::Acquire) {
            let now = clock::now();
            let mut timeout = lock(&self.timers).earliest().map(|at| at.saturating_duration_since(now));
            if self.lent.load(Ordering::Acquire) > 0 {
                let due = (supervised + SUPERVISION).saturating_duration_since(now);
                if due.is_zero() {
                    supervised = now;
                    lock(&self.legs).values().for_each(|leg| leg.supervise(now));
                    continue;
                }
                timeout = Some(timeout.map_or(due, |timeout| timeout.min(due)));
            }
            if self.epoll.wait(&mut ready, timeout).is_err() {
                // Only a programming error makes epoll_wait fail; do not turn it into a busy loop.
                self.pause();
            }
            for event in &ready {
                if event.token == NUDGE {
                    self.nudge.clear();
                } else if let Some(leg) = self.leg(event.token >> 1) {
                    leg.receive(component(event.token), &mut buffer);
                }
            }
            self.fire();
        }
    }

    fn fire(&self) {
        let now = clock::now();
        loop {
            let due = lock(&self.timers).due(now);
            let Some(id) = due else { break };
            if let Some(leg) = self.leg(id) {
                leg.expire();
            }
        }
    }

    fn leg(&self, id: u64) -> Option<Arc<Leg>> {
        lock(&self.legs).get(&id).cloned()
    }

    fn pause(&self) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn token(id: u64, component: Component) -> u64 {
    id << 1 | u64::from(component == Component::Rtcp)
}

fn component(token: u64) -> Component {
    if token & 1 == 0 { Component::Rtp } else { Component::Rtcp }
}
