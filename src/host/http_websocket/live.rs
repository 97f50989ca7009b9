//! Whether stock's server has sessions.
//!
//! It keeps no list, and its use count is that of the modules that depend on it, too. But it sets
//! SO_KEEPALIVE on every connection that it upgrades, and Asterisk's HTTP server on none: a
//! connection of this process to a port of the HTTP server that has the option is one of stock's
//! sessions, whichever consumer it was given to.

use std::mem;
use std::os::fd::RawFd;

use libc::{c_int, socklen_t};

/// `enum tcp_state`: the connection stands, or the peer has ended it and we have not yet.
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;

/// More descriptors than this are not looked at.
const MOST: libc::rlim_t = 1 << 20;

/// How many sessions stock's server has on `ports`.
///
/// Every number that a descriptor can have is asked: an Asterisk that has changed its user may not
/// list its own descriptors in /proc.
pub(super) fn sessions(ports: &[u16]) -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is written during the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return 0;
    }
    let end = RawFd::try_from(limit.rlim_cur.min(MOST)).unwrap_or(RawFd::MAX);
    (0..end).filter(|&fd| is_session(fd, ports)).count()
}

fn is_session(fd: RawFd, ports: &[u16]) -> bool {
    option::<c_int>(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE).is_some_and(|on| on != 0)
        && local_port(fd).is_some_and(|port| ports.contains(&port))
        // The state is the first byte of `struct tcp_info`.
        && option::<[u8; 8]>(fd, libc::IPPROTO_TCP, libc::TCP_INFO)
            .is_some_and(|info| matches!(info[0], ESTABLISHED | CLOSE_WAIT))
}

/// An option of a socket, `None` if `fd` is no socket or has no such option.
fn option<T: Copy + Default>(fd: RawFd, level: c_int, name: c_int) -> Option<T> {
    let mut value = T::default();
    let mut length = mem::size_of::<T>() as socklen_t;
    // SAFETY: `value` has `length` writable bytes; a descriptor that is no socket, or closed by
    // now, is an error.
    let outcome = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) };
    (outcome == 0).then_some(value)
}

fn local_port(fd: RawFd) -> Option<u16> {
    // SAFETY: all-zero is a valid socket address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&storage) as socklen_t;
    // SAFETY: `storage` has `length` writable bytes.
    if unsafe { libc::getsockname(fd, (&raw mut storage).cast(), &raw mut length) } != 0 {
        return None;
    }
    match c_int::from(storage.ss_family) {
        libc::AF_INET | libc::AF_INET6 => {
            // SAFETY: the port lies in the same place for both families, and storage is larger.
            let address = unsafe { (&raw const storage).cast::<libc::sockaddr_in>().read() };
            Some(u16::from_be(address.sin_port))
        }
        _ => None,
    }
}
