//! How single values are read. Each function gives the value or the reason why not.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{HostCandidate, SrtpProfile};

/// A host name or address and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The words that Asterisk takes for yes and no.
pub fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "y" | "t" | "1" | "on" => Ok(true),
        "no" | "false" | "n" | "f" | "0" | "off" => Ok(false),
        _ => Err("neither yes nor no".into()),
    }
}

/// A number within a range.
pub fn number<T>(text: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    match text.parse::<T>() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => Err(format!("not a number from {} to {}", range.start(), range.end())),
    }
}

/// A number that is moved to the nearer end of the range when it lies outside, as stock does;
/// the second value says that it was moved.
pub fn clamped(text: &str, range: &RangeInclusive<i64>) -> Result<(i64, bool), String> {
    let n: i64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let inside = n.clamp(*range.start(), *range.end());
    Ok((inside, inside != n))
}

/// `host`, `host:port`, `[IPv6]`, `[IPv6]:port` or a bare IPv6 address.
pub fn host_port(text: &str, default_port: u16) -> Result<Option<HostPort>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address between the brackets")?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("more text after the bracket".into()),
        }
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err("not a host name or address".into());
    }
    let port = match port {
        Some(port) => number(port, 1..=u16::MAX).map_err(|reason| format!("port: {reason}"))?,
        None => default_port,
    };
    Ok(Some(HostPort { host: host.to_owned(), port }))
}

/// A comma-separated list; empty items do not count.
pub fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(item).collect()
}

/// `scheme://host[:port]`, as a browser sends it in Origin (RFC 6454 §6.2).
pub fn origin(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((scheme, host)) if !scheme.is_empty() && !host.is_empty() && !host.contains('/') => {
            Ok(text.to_ascii_lowercase())
        }
        _ => Err(format!("'{text}' is not an origin such as https://phone.example")),
    }
}

pub fn srtp_profile(text: &str) -> Result<SrtpProfile, String> {
    SrtpProfile::ALL
        .into_iter()
        .find(|profile| profile.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| format!("'{text}' is not an SRTP profile"))
}

/// `local => advertised[,include_local_address]`.
pub fn host_candidate(local: &str, value: &str) -> Result<HostCandidate, String> {
    let (advertised, option) = value.split_once(',').unwrap_or((value, ""));
    Ok(HostCandidate {
        local: address(local)?,
        advertised: address(advertised)?,
        include_local: option.trim() == "include_local_address",
    })
}

fn address(text: &str) -> Result<IpAddr, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("'{text}' is not an IP address"))
}
