//! `struct ast_sockaddr` and [`SocketAddr`].
//!
//! An IPv4 address comes out as such even when Asterisk holds it v4-mapped, which happens on
//! sockets bound to `::`: that is how stock compares and prints them too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::sys;

/// The address, `None` when it is null or of another family.
pub fn from_c(address: &sys::ast_sockaddr) -> Option<SocketAddr> {
    let len = address.len as usize;
    match i32::from(address.ss.ss_family) {
        libc::AF_INET if len >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: `ss` is large enough and aligned for every family, plain data, and its
            // family says which; `len` was checked.
            let v4 = unsafe { &*(&raw const address.ss).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 if len >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const address.ss).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddr::new(IpAddr::V4(v4), port),
                None => SocketAddr::V6(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id)),
            })
        }
        _ => None,
    }
}

/// Reads an address that C points at.
///
/// # Safety
/// `raw` is null or points to an initialised `ast_sockaddr`.
pub unsafe fn from_ptr(raw: *const sys::ast_sockaddr) -> Option<SocketAddr> {
    // SAFETY: the caller's word.
    unsafe { raw.as_ref() }.and_then(from_c)
}

/// Asterisk's form of an address; `None` gives its null address.
pub fn to_c(address: Option<SocketAddr>) -> sys::ast_sockaddr {
    // SAFETY: all-zero is the null `ast_sockaddr`: plain data.
    let mut raw: sys::ast_sockaddr = unsafe { std::mem::zeroed() };
    let ss = &raw mut raw.ss;
    match address {
        None => {}
        Some(SocketAddr::V4(v4)) => {
            // SAFETY: `ss` is large enough and aligned for every family, and all of it is plain
            // data that was zeroed.
            let out = unsafe { &mut *ss.cast::<libc::sockaddr_in>() };
            out.sin_family = libc::AF_INET as libc::sa_family_t;
            out.sin_port = v4.port().to_be();
            out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            raw.len = size_of::<libc::sockaddr_in>() as _;
        }
        Some(SocketAddr::V6(v6)) => {
            // SAFETY: as above.
            let out = unsafe { &mut *ss.cast::<libc::sockaddr_in6>() };
            out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            out.sin6_port = v6.port().to_be();
            out.sin6_flowinfo = v6.flowinfo();
            out.sin6_scope_id = v6.scope_id();
            out.sin6_addr.s6_addr = v6.ip().octets();
            raw.len = size_of::<libc::sockaddr_in6>() as _;
        }
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> SocketAddr {
        let address: SocketAddr = text.parse().unwrap();
        from_c(&to_c(Some(address))).unwrap()
    }

    #[test]
    fn both_families_survive_the_way_to_c_and_back() {
        for text in ["192.0.2.1:5004", "0.0.0.0:0", "[2001:db8::1]:65535", "[fe80::1%3]:9"] {
            assert_eq!(round(text), text.parse().unwrap());
        }
    }

    #[test]
    fn a_mapped_address_comes_back_as_ipv4() {
        assert_eq!(round("[::ffff:192.0.2.1]:5004"), "192.0.2.1:5004".parse().unwrap());
    }

    #[test]
    fn null_and_short_addresses_are_none() {
        assert_eq!(from_c(&to_c(None)), None);
        let mut short = to_c(Some("192.0.2.1:1".parse().unwrap()));
        short.len = 4;
        assert_eq!(from_c(&short), None);
    }
}
