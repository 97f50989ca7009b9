//! The system calls that `std` does not offer: epoll, eventfd, socket pairs, and UDP messages that
//! say which local address they came to or are to leave from. The only unsafe code outside `host`.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// What a descriptor is watched for, and what happened to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    pub readable: bool,
    pub writable: bool,
    /// Report each change once instead of as long as it lasts.
    pub edge: bool,
}

/// An event on a watched descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number given to [`Epoll::add`].
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
    /// The peer is gone or the descriptor failed; reading tells which.
    pub hangup: bool,
}

/// A set of watched descriptors.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn add(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    pub fn modify(&self, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    /// Stops watching `fd`. Not being watched is no error.
    pub fn remove(&self, fd: RawFd) {
        // The only failures are a closed or unknown descriptor: then it is not watched.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, Interest::default());
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, token: u64, interest: Interest) -> io::Result<()> {
        let mut events = 0;
        if interest.readable {
            events |= libc::EPOLLIN | libc::EPOLLRDHUP;
        }
        if interest.writable {
            events |= libc::EPOLLOUT;
        }
        if interest.edge {
            events |= libc::EPOLLET;
        }
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` is valid for the call; the kernel checks both descriptors.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits until something happens or `timeout` has passed (`None`: for ever). `ready` is
    /// cleared first. A signal ends the wait early with nothing ready.
    pub fn wait(&self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        const BATCH: usize = 128;
        ready.clear();
        let milliseconds = match timeout {
            None => -1,
            // Rounded up: waking too early would spin until the deadline.
            Some(timeout) => libc::c_int::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX),
        };
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        // SAFETY: the kernel writes at most BATCH events into the array.
        let result =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH as libc::c_int, milliseconds) };
        let count = match check(result) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        for event in events.iter().take(count) {
            let bits = event.events as libc::c_int;
            ready.push(Ready {
                token: event.u64,
                readable: bits & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) != 0,
                writable: bits & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) != 0,
                hangup: bits & (libc::EPOLLHUP | libc::EPOLLERR) != 0,
            });
        }
        Ok(())
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A descriptor that is readable from `signal` until `clear`.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub fn signal(&self) {
        let one = 1u64.to_ne_bytes();
        // It fails only when the counter is full, and then the descriptor is readable already.
        // SAFETY: eight readable bytes.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    pub fn clear(&self) {
        let mut count = [0u8; 8];
        // It fails only when the counter is zero, which is what is wanted.
        // SAFETY: eight writable bytes.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// A thread of ours.
///
/// Not `std::thread`: spawning through it leaves a thread-local destructor behind on the *spawning*
/// thread, which is Asterisk's, and the linker would then keep the module mapped after `dlclose`.
#[derive(Debug)]
pub struct Thread(libc::pthread_t);

impl Thread {
    /// Runs `body` on a new thread called `name` (15 characters are kept).
    pub fn spawn(name: &str, stack: usize, body: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        type Body = Box<dyn FnOnce() + Send>;

        extern "C" fn run(argument: *mut libc::c_void) -> *mut libc::c_void {
            // SAFETY: `spawn` passes the box it leaked, and this thread is the only one to have it.
            let body = unsafe { Box::from_raw(argument.cast::<Body>()) };
            // A panic ends this thread only; `join` still returns. The panic hook has logged it.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            std::ptr::null_mut()
        }

        let argument = Box::into_raw(Box::new(Box::new(body) as Body));
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
        // SAFETY: initialises `attributes`.
        unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
        // SAFETY: `attributes` is initialised. A size the system refuses leaves the default.
        unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack) };
        // SAFETY: `run` takes over the box when the call succeeds.
        let error = unsafe { libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), run, argument.cast()) };
        // SAFETY: initialised above and not used again.
        unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
        if error != 0 {
            // SAFETY: no thread was made, so the box is still ours.
            drop(unsafe { Box::from_raw(argument) });
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: pthread_create succeeded and wrote it.
        let thread = unsafe { thread.assume_init() };
        let name: Vec<u8> = name.bytes().filter(|&b| b != 0).take(15).chain([0]).collect();
        // SAFETY: a NUL-terminated name of at most 16 bytes, and a thread that is not yet joined.
        unsafe { libc::pthread_setname_np(thread, name.as_ptr().cast()) };
        Ok(Self(thread))
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        // SAFETY: joined once, as `self` is consumed.
        unsafe { libc::pthread_join(self.0, std::ptr::null_mut()) };
    }

    /// Whether the caller runs on this thread.
    pub fn is_current(&self) -> bool {
        // SAFETY: compares two thread ids.
        unsafe { libc::pthread_equal(self.0, libc::pthread_self()) != 0 }
    }
}

/// Whether `fd` becomes readable, or its peer goes, within `timeout` milliseconds; negative for as
/// long as it takes.
pub fn poll_readable(fd: RawFd, timeout: libc::c_int) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one `pollfd`, valid for the call.
    check(unsafe { libc::poll(&raw mut poll, 1, timeout) }).map(|count| count > 0)
}

/// A connected pair of stream sockets, both non-blocking.
pub fn socket_pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    Ok((ours, theirs))
}

/// Binds a non-blocking UDP socket that tells the local address of each datagram. A wildcard IPv6
/// address serves IPv4 too.
pub fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers are passed.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0) })?;
    // SAFETY: a fresh descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if family == libc::AF_INET6 {
        let only = libc::c_int::from(!address.ip().is_unspecified());
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only)?;
        set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    }
    if family == libc::AF_INET || address.ip().is_unspecified() {
        set_option(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    }
    let (storage, length) = to_storage(address);
    // SAFETY: `storage` holds a socket address of `length` bytes.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const storage).cast(), length) })?;
    Ok(UdpSocket::from(fd))
}

/// Sets the type of service of what the socket sends (IPv4 TOS, IPv6 traffic class) and its
/// priority in the local queue.
pub fn set_qos(socket: &UdpSocket, tos: i32, cos: i32) -> io::Result<()> {
    match socket.local_addr()? {
        SocketAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_TOS, tos)?,
        SocketAddr::V6(_) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos)?,
    }
    set_option(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, cos)
}

/// Leaves the UDP checksum out of what the socket sends over IPv4 (`rtpchecksums=no`).
pub fn leave_out_checksums(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1)
}

fn set_option(fd: &impl AsRawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: points to an int that outlives the call, with its size.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), length) })?;
    Ok(())
}

/// Room for one packet-information message of either family, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Receives one datagram: its length, where it came from, and which local address it came to
/// (`None` if the kernel did not say). `WouldBlock` when there is none. IPv4 addresses seen through
/// an IPv6 socket come out as IPv4.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut control = Control([0; 64]);
    let mut storage = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = storage.as_mut_ptr().cast();
    message.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: every pointer in `message` is valid for the length beside it.
    let length = check_len(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) })?;
    // SAFETY: the storage was zeroed and the kernel wrote an address into it.
    let from = from_storage(unsafe { storage.assume_init_ref() })
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "datagram from no address"))?;
    Ok((length, from, local_address(&message)))
}

fn local_address(message: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: `message` was filled in by recvmsg; CMSG_FIRSTHDR checks the length.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a header inside the buffer.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        if level == libc::IPPROTO_IP && kind == libc::IP_PKTINFO {
            // SAFETY: the kernel puts an in_pktinfo after a header of this type.
            let info = unsafe { libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().read_unaligned() };
            return Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr))));
        }
        if level == libc::IPPROTO_IPV6 && kind == libc::IPV6_PKTINFO {
            // SAFETY: the kernel puts an in6_pktinfo after a header of this type.
            let info = unsafe { libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>().read_unaligned() };
            return Some(canonical(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))));
        }
        // SAFETY: `header` is inside the buffer that `message` describes.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// Sends one datagram, from the local address `source` when the socket is bound to several.
pub fn send(socket: &UdpSocket, payload: &[u8], source: Option<IpAddr>, to: SocketAddr, v6: bool) -> io::Result<usize> {
    let to = if v6 { mapped(to) } else { to };
    let (storage, length) = to_storage(to);
    let mut control = Control([0; 64]);
    let vector = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
    // SAFETY: all-zero is a valid msghdr.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = (&raw const storage).cast_mut().cast();
    message.msg_namelen = length;
    message.msg_iov = (&raw const vector).cast_mut();
    message.msg_iovlen = 1;
    if let Some(source) = source.filter(|ip| !ip.is_unspecified()) {
        message.msg_control = control.0.as_mut_ptr().cast();
        write_source(&mut message, control.0.len(), source, v6);
    }
    // SAFETY: every pointer in `message` is valid for the length beside it; sendmsg writes to none.
    check_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) })
}

fn write_source(message: &mut libc::msghdr, room: usize, source: IpAddr, v6: bool) {
    fn put<T>(message: &mut libc::msghdr, room: usize, level: libc::c_int, kind: libc::c_int, value: T) {
        // SAFETY: computes sizes only.
        let (space, length) =
            unsafe { (libc::CMSG_SPACE(mem::size_of::<T>() as u32), libc::CMSG_LEN(mem::size_of::<T>() as u32)) };
        debug_assert!(space as usize <= room);
        message.msg_controllen = space as usize;
        // SAFETY: the control buffer is set and `space` bytes long, so there is a first header.
        let header = unsafe { libc::CMSG_FIRSTHDR(message) };
        // SAFETY: the header lies inside the buffer, as does the data of `length`.
        unsafe {
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = length as usize;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
    }
    match (source, v6) {
        (IpAddr::V4(ip), false) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            put(message, room, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        (ip, _) => {
            let ip = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            put(message, room, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port()),
        v6 => v6,
    }
}

fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

fn to_storage(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all-zero is a valid socket address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let value = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is large and aligned enough for every socket address.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(value) };
            mem::size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let value = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(value) };
            mem::size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, length as libc::socklen_t)
}

fn from_storage(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what the storage holds.
            let v4 = unsafe { (&raw const *storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { (&raw const *storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::V4(SocketAddrV4::new(v4, port)),
                None => SocketAddr::V6(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id)),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(bind: &str, to: &str) -> (SocketAddr, Option<IpAddr>) {
        let receiver = bind_udp(bind.parse().unwrap()).unwrap();
        let port = receiver.local_addr().unwrap().port();
        let sender = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        send(&sender, b"hello", None, SocketAddr::new(to.parse().unwrap(), port), false).unwrap();
        let mut buffer = [0; 32];
        let epoll = Epoll::new().unwrap();
        epoll.add(receiver.as_raw_fd(), 7, Interest { readable: true, ..Interest::default() }).unwrap();
        let mut ready = Vec::new();
        epoll.wait(&mut ready, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(ready[0].token, 7);
        let (length, from, local) = receive(&receiver, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello");
        assert_eq!(from.port(), sender.local_addr().unwrap().port());
        (from, local)
    }

    #[test]
    fn a_wildcard_socket_tells_which_address_a_datagram_came_to() {
        let (from, local) = exchange("0.0.0.0:0", "127.0.0.9");
        assert_eq!(from.ip(), "127.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(local, Some("127.0.0.9".parse().unwrap()));
    }

    #[test]
    fn ipv4_through_a_dual_stack_socket_looks_like_ipv4() {
        let (from, local) = exchange("[::]:0", "127.0.0.8");
        assert_eq!(from.ip(), "127.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(local, Some("127.0.0.8".parse().unwrap()));
    }

    #[test]
    fn a_datagram_leaves_from_the_address_asked_for() {
        for bind in ["0.0.0.0:0", "[::]:0"] {
            let sender = bind_udp(bind.parse().unwrap()).unwrap();
            let v6 = sender.local_addr().unwrap().is_ipv6();
            let receiver = bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
            receiver.set_nonblocking(false).unwrap();
            let to = receiver.local_addr().unwrap();
            send(&sender, b"x", Some("127.0.0.7".parse().unwrap()), to, v6).unwrap();
            let (_, from, _) = receive(&receiver, &mut [0; 8]).unwrap();
            assert_eq!(from.ip(), "127.0.0.7".parse::<IpAddr>().unwrap(), "bound to {bind}");
        }
    }

    #[test]
    fn an_event_descriptor_is_readable_from_signal_to_clear() {
        let event = EventFd::new().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(event.as_raw_fd(), 1, Interest { readable: true, ..Interest::default() }).unwrap();
        let mut ready = Vec::new();
        epoll.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
        event.signal();
        event.signal();
        epoll.wait(&mut ready, Some(Duration::from_secs(5))).unwrap();
        assert_eq!(ready.len(), 1);
        event.clear();
        epoll.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
    }
}
