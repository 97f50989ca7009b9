//! Networks and permit/deny lists as Asterisk writes them in its files.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address and how many of its leading bits count. IPv4-mapped IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Bits past `prefix` are zero.
    address: IpAddr,
    prefix: u8,
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => mask4(ip, self.prefix) == net,
            (IpAddr::V6(net), IpAddr::V6(ip)) => mask6(ip, self.prefix) == net,
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = String;

    /// `address`, `address/bits` or `address/mask`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, mask) = match text.split_once('/') {
            Some((address, mask)) => (address.trim(), Some(mask.trim())),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("'{address}' is not an IP address"))?;
        let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        let width = if address.is_ipv4() { 32 } else { 128 };
        let mut prefix = match mask {
            None => width,
            Some(mask) => prefix_of(mask, width).ok_or_else(|| format!("'{mask}' is not a mask of {width} bits"))?,
        };
        if mapped {
            prefix = prefix.checked_sub(96).ok_or("an IPv4-mapped network has at least 96 bits")?;
        }
        let address = match address.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(mask4(ip, prefix)),
            IpAddr::V6(ip) => IpAddr::V6(mask6(ip, prefix)),
        };
        Ok(Self { address, prefix })
    }
}

/// A number of bits, or a mask written as an address whose ones stand first.
fn prefix_of(mask: &str, width: u8) -> Option<u8> {
    if let Ok(bits) = mask.parse::<u8>() {
        return (bits <= width).then_some(bits);
    }
    let (ones, trailing) = match mask.parse::<IpAddr>().ok()? {
        IpAddr::V4(mask) if width == 32 => (u32::from(mask).leading_ones(), u32::from(mask).count_ones()),
        IpAddr::V6(mask) if width == 128 => (u128::from(mask).leading_ones(), u128::from(mask).count_ones()),
        _ => return None,
    };
    if ones == trailing { u8::try_from(ones).ok() } else { None }
}

fn mask4(ip: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    Ipv4Addr::from(u32::from(ip) & mask)
}

fn mask6(ip: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    Ipv6Addr::from(u128::from(ip) & mask)
}

/// Rules in the order of the file. The last one that matches decides; with none the address is
/// allowed, as in every access list of Asterisk's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    rules: Vec<(Sense, Network)>,
    /// Lists of `acl.conf` that must allow the address as well; Asterisk knows what they hold.
    pub named: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    Permit,
    Deny,
}

impl Acl {
    /// What the rules of this list say; [`Acl::named`] is for the caller to ask.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.rules
            .iter()
            .rev()
            .find(|(_, network)| network.contains(address))
            .is_none_or(|(sense, _)| *sense == Sense::Permit)
    }

    /// The networks of one sense, in their order.
    pub(super) fn shown(&self, sense: Sense) -> String {
        let of_sense = self.rules.iter().filter(|(other, _)| *other == sense);
        of_sense.map(|(_, network)| network.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// Appends a comma-separated list; `!` before a network turns its sense round. All or nothing.
    pub(super) fn append(&mut self, sense: Sense, list: &str) -> Result<(), String> {
        let mut rules = Vec::new();
        for item in list.split(',') {
            let (sense, item) = match (item.trim().strip_prefix('!'), sense) {
                (Some(rest), Sense::Permit) => (Sense::Deny, rest),
                (Some(rest), Sense::Deny) => (Sense::Permit, rest),
                (None, sense) => (sense, item),
            };
            rules.push((sense, item.parse()?));
        }
        self.rules.append(&mut rules);
        Ok(())
    }
}
