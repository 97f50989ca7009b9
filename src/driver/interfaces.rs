//! The host's addresses, for host candidates: asked of the kernel at most every few seconds.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// How long an answer is used. Long enough that a burst of calls asks once; short enough that a
/// laptop that changed its network is reachable by its next call.
const FRESH: Duration = Duration::from_secs(5);

/// The addresses of this host's interfaces that are up.
#[derive(Debug, Default)]
pub struct Interfaces {
    known: Mutex<Option<(Instant, Vec<IpAddr>)>>,
}

impl Interfaces {
    pub const fn new() -> Self {
        Self { known: Mutex::new(None) }
    }

    /// Unicast addresses in the kernel's order, without IPv6 link-local ones (they would need a
    /// scope that candidates cannot carry). Loopback addresses are among them only if there is
    /// nothing else: a machine without a network still talks to itself.
    pub fn addresses(&self, now: Instant) -> Vec<IpAddr> {
        let mut known = lock(&self.known);
        if let Some((asked, addresses)) = &*known
            && now.saturating_duration_since(*asked) < FRESH
        {
            return addresses.clone();
        }
        let all: Vec<IpAddr> = if_addrs::get_if_addrs()
            .unwrap_or_default()
            .into_iter()
            .filter(|interface| !interface.is_link_local() || interface.ip().is_ipv4())
            .map(|interface| interface.ip())
            .collect();
        let addresses = prefer_network(all);
        *known = Some((now, addresses.clone()));
        addresses
    }
}

fn prefer_network(all: Vec<IpAddr>) -> Vec<IpAddr> {
    let network: Vec<IpAddr> = all.iter().copied().filter(|ip| !ip.is_loopback()).collect();
    if network.is_empty() { all } else { network }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_offered_only_where_there_is_nothing_else() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let lan: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(prefer_network(vec![loopback, lan]), [lan]);
        assert_eq!(prefer_network(vec![loopback]), [loopback]);
    }
}
