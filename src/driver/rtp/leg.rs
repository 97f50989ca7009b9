//! One RTP instance: its session, its sockets, and what waits for its channel.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::inbox::{Inbox, Incoming};
use super::worker::Worker;
use crate::driver::capture::Capture;
use crate::driver::{clock, sys};
use crate::rtc::ice::Component;
use crate::rtc::session::{Event, Feedback, Received, RtpPacket, Session, Transmit};
use crate::sync::{lock, read, write};

/// Datagrams taken from one socket before others get their turn.
const BURST: usize = 32;

/// Told what happens to a leg. Called from a worker or from the thread that used the leg, with no
/// lock held.
pub trait Observer: Send + Sync {
    /// Media that goes elsewhere than to the channel (a native bridge) is taken here. `false` leaves
    /// it to the channel.
    fn divert(&self, leg: &Leg, packet: &RtpPacket<'_>) -> bool;

    /// Whose leg it is, for lists: a channel's name, if it has one by now.
    fn owner(&self) -> Option<String>;

    /// Anything that is not for the channel alone.
    fn event(&self, leg: &Leg, event: &Event);
}

struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Socket {
    fn new(socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// The local transport address of a datagram whose destination the kernel told.
    fn local(&self, ip: Option<IpAddr>) -> SocketAddr {
        match ip {
            Some(ip) if self.address.ip().is_unspecified() => SocketAddr::new(ip, self.address.port()),
            _ => self.address,
        }
    }

    fn send(&self, transmit: &Transmit) -> io::Result<usize> {
        let source = self.address.ip().is_unspecified().then(|| transmit.local.ip());
        sys::send(&self.socket, &transmit.payload, source, transmit.remote, self.address.is_ipv6())
    }
}

pub struct Leg {
    id: u64,
    worker: Arc<Worker>,
    rtp: Socket,
    rtcp: std::sync::RwLock<Option<Arc<Socket>>>,
    session: Mutex<Session>,
    inbox: Inbox,
    /// Told until somebody has adopted the leg.
    maker: Arc<dyn Observer>,
    adopter: OnceLock<Arc<dyn Observer>>,
    /// Notified after each datagram while a thread is in `wait_while`.
    progress: Condvar,
    waiting: AtomicBool,
    capture: Arc<Capture>,
    closed: AtomicBool,
}

impl Leg {
    pub(super) fn open(
        id: u64,
        worker: Arc<Worker>,
        session: Session,
        socket: UdpSocket,
        observer: Arc<dyn Observer>,
        capture: Arc<Capture>,
    ) -> io::Result<Arc<Self>> {
        let leg = Arc::new(Self {
            id,
            worker,
            rtp: Socket::new(socket)?,
            rtcp: std::sync::RwLock::new(None),
            session: Mutex::new(session),
            inbox: Inbox::new()?,
            maker: observer,
            adopter: OnceLock::new(),
            progress: Condvar::new(),
            waiting: AtomicBool::new(false),
            capture,
            closed: AtomicBool::new(false),
        });
        leg.worker.adopt(&leg);
        if let Err(error) = leg.worker.watch(leg.rtp.socket.as_raw_fd(), id, Component::Rtp) {
            leg.worker.release(id);
            return Err(error);
        }
        Ok(leg)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Hands a leg that was made in advance to its user, once.
    pub fn adopt(&self, adopter: Arc<dyn Observer>) {
        // The first one stays; nobody hands a leg out twice.
        let _ = self.adopter.set(adopter);
    }

    /// Whether somebody uses it, or it is only ready to be used.
    pub fn is_adopted(&self) -> bool {
        self.adopter.get().is_some()
    }

    fn observer(&self) -> &dyn Observer {
        self.adopter.get().unwrap_or(&self.maker).as_ref()
    }

    /// Where RTP is bound; the address may be a wildcard.
    pub fn local_address(&self) -> SocketAddr {
        self.rtp.address
    }

    /// Where RTCP is bound, if it has its own port.
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        read(&self.rtcp).as_ref().map(|socket| socket.address)
    }

    /// The descriptor that is readable while something waits in the inbox.
    pub fn fd(&self) -> RawFd {
        self.inbox.fd()
    }

    /// Whose leg it is, for lists.
    pub fn owner(&self) -> Option<String> {
        self.observer().owner()
    }

    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Binds the port above RTP's for RTCP. Does nothing if that is done already.
    pub fn open_rtcp(&self) -> io::Result<SocketAddr> {
        if let Some(address) = self.rtcp_address() {
            return Ok(address);
        }
        let port = self.rtp.address.port().checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = Arc::new(Socket::new(sys::bind_udp(SocketAddr::new(self.rtp.address.ip(), port))?)?);
        self.worker.watch(socket.socket.as_raw_fd(), self.id, Component::Rtcp)?;
        let address = socket.address;
        *write(&self.rtcp) = Some(socket);
        Ok(address)
    }

    /// Gives RTCP's own port back (rtcp-mux, or no RTCP at all).
    pub fn close_rtcp(&self) {
        let socket = write(&self.rtcp).take();
        if let Some(socket) = socket {
            self.worker.unwatch(socket.socket.as_raw_fd());
        }
    }

    /// Type of service and class of service of everything sent.
    pub fn set_qos(&self, tos: i32, cos: i32) -> io::Result<()> {
        sys::set_qos(&self.rtp.socket, tos, cos)?;
        match &*read(&self.rtcp) {
            Some(socket) => sys::set_qos(&socket.socket, tos, cos),
            None => Ok(()),
        }
    }

    /// Uses the session and sends what comes of it.
    pub fn with<R>(&self, work: impl FnOnce(&mut Session, Instant) -> R) -> R {
        let now = clock::now();
        let mut events = Vec::new();
        let result = {
            let mut session = lock(&self.session);
            session.set_tap(self.capture.is_running());
            let result = work(&mut session, now);
            self.drain(&mut session, &mut events);
            result
        };
        self.act(events);
        result
    }

    /// Reads from the session without changing it.
    pub fn look<R>(&self, work: impl FnOnce(&Session) -> R) -> R {
        work(&lock(&self.session))
    }

    /// Waits as long as `condition` holds, no longer than until `deadline`, and tells whether it
    /// holds still. Our locks are free meanwhile. One thread at a time.
    pub fn wait_while(&self, deadline: Instant, condition: impl Fn(&Session) -> bool) -> bool {
        self.waiting.store(true, Ordering::Release);
        let mut session = lock(&self.session);
        let holds = loop {
            if !condition(&session) {
                break false;
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                break true;
            }
            let woken = self.progress.wait_timeout(session, left);
            session = woken.unwrap_or_else(PoisonError::into_inner).0;
        };
        self.waiting.store(false, Ordering::Release);
        holds
    }

    /// Says goodbye to the peer and leaves the worker. The sockets close when the last reference
    /// goes.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.with(|session, now| session.close(now));
        self.worker.unwatch(self.rtp.socket.as_raw_fd());
        self.close_rtcp();
        self.worker.release(self.id);
    }

    /// Worker: a socket is readable.
    pub(super) fn receive(&self, component: Component, buffer: &mut [u8]) {
        let other = if component == Component::Rtcp { read(&self.rtcp).clone() } else { None };
        let socket = match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => match &other {
                Some(socket) => socket,
                None => return,
            },
        };
        for _ in 0..BURST {
            match sys::receive(&socket.socket, buffer) {
                Ok((length, from, ip)) => {
                    if let Some(datagram) = buffer.get_mut(..length) {
                        self.feed(component, socket.local(ip), from, datagram);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about something we sent earlier; the next call gets datagrams again.
                Err(_) => {}
            }
        }
    }

    fn feed(&self, component: Component, local: SocketAddr, from: SocketAddr, datagram: &mut [u8]) {
        let now = clock::now();
        let mut events = Vec::new();
        let received = {
            let mut session = lock(&self.session);
            session.set_tap(self.capture.is_running());
            let received = session.handle_datagram(now, component, local, from, datagram);
            self.drain(&mut session, &mut events);
            received
        };
        if self.waiting.load(Ordering::Acquire) {
            self.progress.notify_all();
        }
        // Media released by this datagram is older than the datagram's own.
        self.act(events);
        if let Received::Media(packet) = received {
            self.deliver(&packet);
        }
    }

    /// Worker: the session's deadline has come.
    pub(super) fn expire(&self) {
        self.with(|session, now| session.handle_timeout(now));
    }

    fn drain(&self, session: &mut Session, events: &mut Vec<Event>) {
        while let Some(transmit) = session.poll_transmit() {
            self.send(&transmit);
            session.recycle(transmit.payload);
        }
        while let Some(plain) = session.poll_plain() {
            self.capture.offer(plain.outbound, plain.local, plain.remote, &plain.bytes);
        }
        while let Some(event) = session.poll_event() {
            events.push(event);
        }
        if let Some(deadline) = session.poll_timeout()
            && !self.closed.load(Ordering::Acquire)
        {
            self.worker.arm(self.id, deadline);
        }
    }

    fn send(&self, transmit: &Transmit) {
        let other = if transmit.component == Component::Rtcp { read(&self.rtcp).clone() } else { None };
        let sent = match &other {
            Some(socket) => socket.send(transmit),
            None => self.rtp.send(transmit),
        };
        // What cannot be sent is lost, as any datagram may be: the socket is full, or the network is
        // unreachable for now. Every protocol above repeats what matters.
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::WouldBlock
        {
            log::trace!(target: "driver", "cannot send to {}: {error}", transmit.remote);
        }
    }

    fn act(&self, events: Vec<Event>) {
        for event in events {
            match &event {
                Event::Media(held) => self.deliver(&held.packet()),
                Event::DtmfBegin { digit } => self.inbox.put(Incoming::DtmfBegin { digit: *digit }),
                Event::DtmfEnd { digit, duration } => {
                    self.inbox.put(Incoming::DtmfEnd { digit: *digit, duration: *duration });
                }
                Event::Feedback(Feedback::Pli | Feedback::Fir) | Event::KeyframeNeeded => {
                    self.inbox.put(Incoming::KeyframeRequest);
                }
                Event::Feedback(Feedback::Remb(rate)) => self.inbox.put(Incoming::Remb(*rate)),
                _ => self.observer().event(self, &event),
            }
        }
    }

    fn deliver(&self, packet: &RtpPacket<'_>) {
        if !self.observer().divert(self, packet) {
            self.inbox.put_media(packet);
        }
    }
}
