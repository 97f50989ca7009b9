//! One RTP instance: its session, its sockets, and what waits for its channel.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::inbox::{Inbox, Incoming};
use super::worker::Worker;
use crate::driver::capture::Capture;
use crate::driver::clock;
use crate::driver::sys::{self, Epoll, Interest};
use crate::rtc::ice::Component;
use crate::rtc::session::{BundlePath, Event, Feedback, Received, RtpPacket, Session, Transmit};
use crate::sync::{lock, read, write};

/// Datagrams taken from one socket before others get their turn.
const BURST: usize = 32;

const READABLE: Interest = Interest { readable: true, writable: false, edge: false };

/// A channel that has not read for so long does not read: the worker takes the socket back.
const UNREAD: Duration = Duration::from_millis(60);

/// Who reads the RTP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// The worker, into the inbox: until media flows, and while the channel's thread is busy with
    /// something else.
    Worker,
    /// The channel's thread, itself: a packet costs one thread's waking instead of two's.
    Channel,
    /// The leg is closed.
    Nobody,
}

/// Something for the channel, from the inbox or straight from the socket.
#[derive(Debug)]
pub enum Taken<'a> {
    Item(Incoming),
    Packet(RtpPacket<'a>),
}

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

/// A session and its place in the worker's timers.
pub(super) struct Core {
    session: Session,
    /// The deadline for which the worker has the leg in its timers.
    armed: Option<Instant>,
}

impl Core {
    /// The session's deadline, if it is nearer than the one that is armed.
    fn nearer(&mut self) -> Option<Instant> {
        let deadline = self.session.poll_timeout()?;
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        self.armed = Some(deadline);
        self.armed
    }
}

/// Which legs share a transport. Neither keeps the other alive: a leg ends when its instance does.
#[derive(Default)]
pub(super) struct Ties {
    /// Whose transport carries this leg's media.
    pub(super) transport: Weak<Leg>,
    /// Whose media this leg's transport carries.
    pub(super) members: Vec<(u64, Weak<Leg>)>,
}

/// What comes of using a session and is acted on when it is unlocked.
#[derive(Default)]
pub(super) struct Outcome {
    events: Vec<Event>,
    /// Packets in the clear for the transport.
    bundled: Vec<Vec<u8>>,
    /// What members are to be told.
    path: Option<BundlePath>,
}

pub struct Leg {
    id: u64,
    worker: Arc<Worker>,
    rtp: Socket,
    rtcp: std::sync::RwLock<Option<Arc<Socket>>>,
    pub(super) core: Mutex<Core>,
    inbox: Arc<Inbox>,
    /// LOCK: a leaf, held for the exchange of pointers only.
    pub(super) ties: Mutex<Ties>,
    /// Told until somebody has adopted the leg.
    maker: Arc<dyn Observer>,
    adopter: OnceLock<Arc<dyn Observer>>,
    /// Notified after each datagram while a thread is in `wait_while`.
    progress: Condvar,
    waiting: AtomicBool,
    /// What the channel polls: the inbox's descriptor, and the socket while the channel reads it.
    gate: Epoll,
    /// Locked while the RTP socket is read, not while use is made of what was read.
    reader: Mutex<Reader>,
    /// When the channel read last, in milliseconds from `opened`.
    read_at: AtomicU64,
    opened: Instant,
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
            core: Mutex::new(Core { session, armed: None }),
            inbox: Arc::new(Inbox::new()?),
            ties: Mutex::default(),
            maker: observer,
            adopter: OnceLock::new(),
            progress: Condvar::new(),
            waiting: AtomicBool::new(false),
            gate: Epoll::new()?,
            reader: Mutex::new(Reader::Worker),
            read_at: AtomicU64::new(0),
            opened: clock::now(),
            capture,
            closed: AtomicBool::new(false),
        });
        leg.gate.add(leg.inbox.fd(), 0, READABLE)?;
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

    /// The descriptor that is readable while there is something for [`Leg::take`].
    pub fn fd(&self) -> RawFd {
        self.gate.as_raw_fd()
    }

    /// Whose leg it is, for lists.
    pub fn owner(&self) -> Option<String> {
        self.observer().owner()
    }

    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn inbox_handle(&self) -> &Arc<Inbox> {
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
        let mut outcome = Outcome::default();
        let result = {
            let mut core = lock(&self.core);
            let result = self.work(&mut core, work);
            self.drain(&mut core, &mut outcome);
            result
        };
        self.act(outcome);
        result
    }

    pub(super) fn work<R>(&self, core: &mut Core, work: impl FnOnce(&mut Session, Instant) -> R) -> R {
        core.session.set_tap(self.capture.is_running());
        work(&mut core.session, clock::now())
    }

    /// Reads from the session without changing it.
    pub fn look<R>(&self, work: impl FnOnce(&Session) -> R) -> R {
        work(&lock(&self.core).session)
    }

    /// Waits as long as `condition` holds, no longer than until `deadline`, and tells whether it
    /// holds still. Our locks are free meanwhile. One thread at a time.
    pub fn wait_while(&self, deadline: Instant, condition: impl Fn(&Session) -> bool) -> bool {
        self.waiting.store(true, Ordering::Release);
        let mut core = lock(&self.core);
        let holds = loop {
            if !condition(&core.session) {
                break false;
            }
            let left = deadline.saturating_duration_since(clock::now());
            if left.is_zero() {
                break true;
            }
            let woken = self.progress.wait_timeout(core, left);
            core = woken.unwrap_or_else(PoisonError::into_inner).0;
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
        self.leave_bundle();
        let former = std::mem::replace(&mut *lock(&self.reader), Reader::Nobody);
        match former {
            Reader::Worker => self.worker.unwatch(self.rtp.socket.as_raw_fd()),
            Reader::Channel => {
                self.gate.remove(self.rtp.socket.as_raw_fd());
                self.worker.returned();
            }
            Reader::Nobody => {}
        }
        self.close_rtcp();
        self.worker.release(self.id);
    }

    /// The channel's thread: the next thing for it. `buffer` is what a packet is read into that
    /// does not come by the inbox.
    pub fn take<'b>(&self, buffer: &'b mut [u8]) -> Option<Taken<'b>> {
        self.read_at.store(self.age(clock::now()), Ordering::Relaxed);
        if let Some(item) = self.inbox.take() {
            // Media flows and the channel reads it: from now on it may do so without us.
            if matches!(item, Incoming::Media(_)) && self.inbox.is_empty() {
                self.lend();
            }
            return Some(Taken::Item(item));
        }
        let (length, from, ip) = {
            let reader = lock(&self.reader);
            if *reader != Reader::Channel {
                return None;
            }
            // What fails here fails for lack of a datagram, or for an ICMP error about one that was sent.
            sys::receive(&self.rtp.socket, buffer).ok()?
        };
        let received = self.feed(Component::Rtp, self.rtp.local(ip), from, buffer.get_mut(..length)?);
        let packet = match received {
            Received::Media(packet) => packet,
            Received::Foreign { member, packet } => {
                self.pass_on(member, packet);
                return self.inbox.take().map(Taken::Item);
            }
            Received::Handled | Received::Discarded(_) => return None,
        };
        if self.observer().divert(self, &packet) {
            return None;
        }
        if self.inbox.is_empty() {
            return Some(Taken::Packet(packet));
        }
        // Media that this datagram released is older than the datagram's own.
        self.inbox.put_media(&packet);
        self.inbox.take().map(Taken::Item)
    }

    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.opened).as_millis()).unwrap_or(u64::MAX)
    }

    /// Lets the channel's thread read the socket.
    fn lend(&self) {
        let mut reader = lock(&self.reader);
        let fd = self.rtp.socket.as_raw_fd();
        if *reader == Reader::Worker && self.gate.add(fd, 1, READABLE).is_ok() {
            self.worker.unwatch(fd);
            self.worker.lent();
            *reader = Reader::Channel;
        }
    }

    /// Worker, every now and then: takes the socket back from a channel that does not read.
    pub(super) fn supervise(&self, now: Instant) {
        let idle = self.age(now).saturating_sub(self.read_at.load(Ordering::Relaxed));
        if u128::from(idle) < UNREAD.as_millis() {
            return;
        }
        // Held by the channel's thread it is being read just now.
        let Ok(mut reader) = self.reader.try_lock() else { return };
        let fd = self.rtp.socket.as_raw_fd();
        if *reader == Reader::Channel && self.worker.watch(fd, self.id, Component::Rtp).is_ok() {
            self.gate.remove(fd);
            self.worker.returned();
            *reader = Reader::Worker;
        }
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
            let outcome = match component {
                Component::Rtcp => sys::receive(&socket.socket, buffer),
                Component::Rtp => match lock(&self.reader) {
                    reader if *reader == Reader::Worker => sys::receive(&socket.socket, buffer),
                    _ => return,
                },
            };
            match outcome {
                Ok((length, from, ip)) => {
                    let Some(datagram) = buffer.get_mut(..length) else { continue };
                    match self.feed(component, socket.local(ip), from, datagram) {
                        Received::Media(packet) => self.deliver(&packet),
                        Received::Foreign { member, packet } => self.pass_on(member, packet),
                        Received::Handled | Received::Discarded(_) => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about something we sent earlier; the next call gets datagrams again.
                Err(_) => {}
            }
        }
    }

    fn feed<'b>(
        &self,
        component: Component,
        local: SocketAddr,
        from: SocketAddr,
        datagram: &'b mut [u8],
    ) -> Received<'b> {
        let mut outcome = Outcome::default();
        let received = {
            let mut core = lock(&self.core);
            let received =
                self.work(&mut core, |session, now| session.handle_datagram(now, component, local, from, datagram));
            self.drain(&mut core, &mut outcome);
            received
        };
        if self.waiting.load(Ordering::Acquire) {
            self.progress.notify_all();
        }
        // Media released by this datagram is older than the datagram's own.
        self.act(outcome);
        received
    }

    /// Worker: the session's deadline has come.
    pub(super) fn expire(&self) {
        let mut outcome = Outcome::default();
        {
            let mut core = lock(&self.core);
            core.armed = None;
            self.work(&mut core, Session::handle_timeout);
            self.drain(&mut core, &mut outcome);
        }
        self.act(outcome);
    }

    pub(super) fn drain(&self, core: &mut Core, outcome: &mut Outcome) {
        let session = &mut core.session;
        while let Some(transmit) = session.poll_transmit() {
            self.send(&transmit);
            session.recycle(transmit.payload);
        }
        while let Some(plain) = session.poll_plain() {
            self.capture.offer(plain.outbound, plain.local, plain.remote, &plain.bytes);
        }
        while let Some(event) = session.poll_event() {
            outcome.events.push(event);
        }
        outcome.bundled.extend(std::iter::from_fn(|| session.poll_bundled()));
        outcome.path = session.poll_bundle_path();
        if let Some(deadline) = core.nearer()
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

    pub(super) fn act(&self, outcome: Outcome) {
        let Outcome { events, bundled, path } = outcome;
        self.act_on_bundle(bundled, path);
        for event in events {
            match &event {
                Event::Foreign { member, packet } => self.pass_on(*member, packet),
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

    pub(super) fn deliver(&self, packet: &RtpPacket<'_>) {
        if !self.observer().divert(self, packet) {
            self.inbox.put_media(packet);
        }
    }
}
