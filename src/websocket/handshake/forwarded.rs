//! Who the client is when reverse proxies stand between: `Forwarded` (RFC 7239) and the older
//! `X-Forwarded-For`.
//!
//! Each proxy appends the address it was connected from. So the list is read from its right end:
//! an entry is believed as long as whoever wrote it is trusted, and the first that names somebody
//! untrusted is the client. What stands left of that, the client may have written himself.
//!
//! A proxy writes one of the two headers and passes the other on as the client sent it. Which one
//! it writes is not known here; where both are there and disagree, neither is believed.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::header::trim;

/// The address of the client: `peer` itself unless it is a trusted proxy that names another. A
/// client whose port is not told is given `peer`'s, so that two of one address remain two.
pub fn client_address<'a>(
    peer: SocketAddr,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> SocketAddr {
    if !is_trusted(peer.ip()) {
        return peer;
    }
    let (mut forwarded, mut x_forwarded_for) = (Vec::new(), Vec::new());
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("Forwarded") {
            forwarded.extend(elements(value).into_iter().map(node_of));
        } else if name.eq_ignore_ascii_case("X-Forwarded-For") {
            x_forwarded_for.extend(value.split(',').map(|entry| node(trim(entry))));
        }
    }
    let first_untrusted = |entries: &[Option<Node>]| {
        let mut found = peer;
        for entry in entries.iter().rev() {
            match entry {
                Some(node) if is_trusted(found.ip()) => found = node.at(peer.port()),
                _ => break,
            }
        }
        found
    };
    match (forwarded.is_empty(), x_forwarded_for.is_empty()) {
        (true, _) => first_untrusted(&x_forwarded_for),
        (_, true) => first_untrusted(&forwarded),
        _ => {
            let (one, other) = (first_untrusted(&forwarded), first_untrusted(&x_forwarded_for));
            if one.ip() == other.ip() { one } else { peer }
        }
    }
}

/// An address as a proxy writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    ip: IpAddr,
    port: Option<u16>,
}

impl Node {
    fn at(self, port: u16) -> SocketAddr {
        match self.ip.to_canonical() {
            IpAddr::V4(ip) => SocketAddr::new(IpAddr::V4(ip), self.port.unwrap_or(port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, self.port.unwrap_or(port), 0, 0)),
        }
    }
}

/// `192.0.2.43`, `192.0.2.43:47011`, `[2001:db8::1]`, `[2001:db8::1]:47011`, and IPv6 without
/// brackets, which X-Forwarded-For has. `None` for `unknown` and obfuscated names (§6.2, §6.3).
fn node(text: &str) -> Option<Node> {
    if let Ok(ip) = text.parse() {
        return Some(Node { ip, port: None });
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            (IpAddr::V6(host.parse().ok()?), rest)
        }
        None => {
            let at = text.find(':').unwrap_or(text.len());
            let (host, rest) = text.split_at_checked(at)?;
            (IpAddr::V4(host.parse().ok()?), rest)
        }
    };
    if rest.is_empty() {
        return Some(Node { ip: host, port: None });
    }
    // An obfuscated port (§6.3) leaves the address what it is.
    let port = rest.strip_prefix(':')?.parse().ok().filter(|port| *port != 0);
    Some(Node { ip: host, port })
}

/// The elements of a Forwarded header: a comma inside quotes parts nothing.
fn elements(value: &str) -> Vec<&str> {
    split(value, ',')
}

/// What `for` says in an element such as `for=192.0.2.43;proto=https`.
fn node_of(element: &str) -> Option<Node> {
    let mut found = None;
    for pair in split(element, ';') {
        let (name, value) = trim(pair).split_once('=')?;
        if !name.eq_ignore_ascii_case("for") {
            continue;
        }
        // "for" must not occur twice (§4).
        if found.is_some() {
            return None;
        }
        // Inside quotes nothing that an address is made of needs an escape.
        let bare = value.strip_prefix('"').map_or(Some(value), |quoted| quoted.strip_suffix('"'))?;
        found = Some(node(bare)?);
    }
    found
}

fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|letter: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match letter {
            '"' => quoted = !quoted,
            '\\' => escaped = quoted,
            _ => {}
        }
        letter == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "127.0.0.1:50000";

    fn trusted(ip: IpAddr) -> bool {
        ip.is_loopback() || matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 10)
    }

    fn client(peer: &str, headers: &[(&str, &str)]) -> String {
        client_address(peer.parse().unwrap(), headers.iter().copied(), trusted).to_string()
    }

    #[test]
    fn a_client_cannot_name_itself() {
        for header in [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")] {
            assert_eq!(client("203.0.113.9:4711", &[header]), "203.0.113.9:4711");
        }
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        assert_eq!(client(PROXY, &[]), PROXY);
        assert_eq!(client(PROXY, &[("X-Forwarded-For", "192.0.2.1")]), "192.0.2.1:50000");
        assert_eq!(client(PROXY, &[("x-forwarded-for", "192.0.2.1:99")]), "192.0.2.1:99");
        assert_eq!(client(PROXY, &[("X-Forwarded-For", "2001:db8::1")]), "[2001:db8::1]:50000");
        assert_eq!(client(PROXY, &[("X-Forwarded-For", "::ffff:192.0.2.1")]), "192.0.2.1:50000");
    }

    #[test]
    fn the_right_most_that_is_not_trusted_counts() {
        let list = [("X-Forwarded-For", "198.51.100.66, 192.0.2.1, 10.0.0.7")];
        assert_eq!(client(PROXY, &list), "192.0.2.1:50000");
        // Several lines are one list.
        let lines =
            [("X-Forwarded-For", "198.51.100.66"), ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-For", "10.0.0.7")];
        assert_eq!(client(PROXY, &lines), "192.0.2.1:50000");
        // With nobody else in the list, the first proxy is as far as can be seen.
        assert_eq!(client(PROXY, &[("X-Forwarded-For", "10.0.0.8, 10.0.0.7")]), "10.0.0.8:50000");
    }

    #[test]
    fn what_cannot_be_read_ends_the_list() {
        for entry in ["unknown", "", "_hidden", "192.0.2.256", "host.example", "192.0.2.1:x:y", "[192.0.2.1]"] {
            let value = format!("192.0.2.1, {entry}");
            let expected = if entry == "192.0.2.1:x:y" { "192.0.2.1:50000" } else { PROXY };
            assert_eq!(client(PROXY, &[("X-Forwarded-For", &value)]), expected, "{entry}");
        }
        assert_eq!(client(PROXY, &[("X-Forwarded-For", "192.0.2.1, unknown, 10.0.0.7")]), "10.0.0.7:50000");
    }

    #[test]
    fn rfc7239_4_examples() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60:50000"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "[2001:db8:cafe::17]:4711"),
            ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17:50000"),
            ("for=192.0.2.43, for=10.0.0.1", "192.0.2.43:50000"),
            ("for=\"_gazonk\"", PROXY),
            ("for=unknown", PROXY),
            ("proto=https", PROXY),
            ("for=192.0.2.1;for=192.0.2.2", PROXY),
            ("for=\"192.0.2.1", PROXY),
            ("for=192.0.2.43;host=\"a,b;for=192.0.2.66\"", "192.0.2.43:50000"),
            ("for=192.0.2.43;host=\"a\\\",b\", for=10.0.0.1;by=\"_x\"", "192.0.2.43:50000"),
            ("for=\"192.0.2.43:_port\"", "192.0.2.43:50000"),
        ] {
            assert_eq!(client(PROXY, &[("Forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn two_headers_that_disagree_are_not_believed() {
        // The proxy wrote one of them, the client the other.
        let both = |a: &'static str, b: &'static str| [("X-Forwarded-For", a), ("Forwarded", b)];
        assert_eq!(client(PROXY, &both("192.0.2.1", "for=198.51.100.66")), PROXY);
        assert_eq!(client(PROXY, &both("192.0.2.1", "for=192.0.2.1")), "192.0.2.1:50000");
    }
}
