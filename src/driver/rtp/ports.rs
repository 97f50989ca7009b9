//! RTP ports: an even one, chosen at random in the configured range (RFC 3550 §11), and the odd one
//! above it for RTCP.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::driver::sys;

/// `rtpstart` and `rtpend` of rtp.conf, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    pub start: u16,
    pub end: u16,
}

impl PortRange {
    /// Binds the first free even port, searching from the place that `random` points to.
    pub fn bind(self, ip: IpAddr, random: u32) -> io::Result<UdpSocket> {
        let first = self.start.saturating_add(self.start & 1);
        let last = self.end & !1;
        let pairs = u32::from(last.saturating_sub(first)) / 2 + 1;
        for step in 0..pairs {
            let pair = (random % pairs + step) % pairs;
            // At most `last`, which is a u16.
            let port = u32::from(first) + 2 * pair;
            match sys::bind_udp(SocketAddr::new(ip, port as u16)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                outcome => return outcome,
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("no free RTP port on {ip} from {} to {} (rtp.conf: rtpstart, rtpend)", self.start, self.end),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_even_port_of_the_range_is_used_before_it_is_full() {
        let range = PortRange { start: 41_001, end: 41_007 };
        let ip: IpAddr = "127.0.0.3".parse().unwrap();
        let held: Vec<UdpSocket> = (0..3).map(|n| range.bind(ip, 77 + n).unwrap()).collect();
        let mut ports: Vec<u16> = held.iter().map(|s| s.local_addr().unwrap().port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, [41_002, 41_004, 41_006]);
        let error = range.bind(ip, 5).unwrap_err();
        assert!(error.to_string().contains("rtpstart"), "{error}");
    }
}
