//! permessage-deflate (RFC 7692): agreeing on its parameters. `codec` does the work.
//!
//! An offer that this side cannot take as it stands is passed over, never failed: the next offer
//! or no compression at all is always a lawful answer (§5.1).

pub(super) mod codec;

use super::handshake::Extension;

/// The extension's registered name.
pub const NAME: &str = "permessage-deflate";

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What this side wants of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server forgets its window after every message: memory against ratio.
    pub server_no_context_takeover: bool,
    /// Ask the client to forget its window, so that none need be kept here to inflate.
    pub client_no_context_takeover: bool,
    /// The largest window that the server compresses with, 8 to 15.
    pub server_max_window_bits: u8,
    /// The largest window that the client is to compress with, 8 to 15.
    pub client_max_window_bits: u8,
    /// zlib's level, 1 (fast) to 9 (small).
    pub level: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            level: 6,
        }
    }
}

/// What both sides have agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    pub server_no_context_takeover: bool,
    pub client_no_context_takeover: bool,
    /// `None` where the parameter is left out, which means 15.
    pub server_max_window_bits: Option<u8>,
    pub client_max_window_bits: Option<u8>,
    /// zlib's level; not negotiated, only carried.
    pub level: u8,
}

impl Negotiated {
    /// The value of the response's `Sec-WebSocket-Extensions`.
    pub fn header_value(&self) -> String {
        let mut value = String::from(NAME);
        for (set, name) in [
            (self.server_no_context_takeover, SERVER_NO_CONTEXT_TAKEOVER),
            (self.client_no_context_takeover, CLIENT_NO_CONTEXT_TAKEOVER),
        ] {
            if set {
                value.push_str("; ");
                value.push_str(name);
            }
        }
        for (bits, name) in [
            (self.server_max_window_bits, SERVER_MAX_WINDOW_BITS),
            (self.client_max_window_bits, CLIENT_MAX_WINDOW_BITS),
        ] {
            if let Some(bits) = bits {
                value.push_str(&format!("; {name}={bits}"));
            }
        }
        value
    }
}

/// The server's answer to the client's offers: the first that it can take, in the client's order
/// of preference, or none.
pub fn negotiate(offers: &[Extension], settings: &Settings) -> Option<Negotiated> {
    offers.iter().find_map(|offer| {
        let offer = Parameters::parse(offer)?;
        // §7.1.2.1: an offer without a value for the server's window is malformed.
        let server_bits = match offer.server_max_window_bits {
            Some(None) => return None,
            Some(Some(bits)) => Some(bits.min(settings.server_max_window_bits)),
            None => below_default(settings.server_max_window_bits),
        };
        // §7.1.2.2: the server may name a window only to a client that has said it can use one.
        let client_bits = match offer.client_max_window_bits {
            Some(hint) => below_default(hint.unwrap_or(15).min(settings.client_max_window_bits)),
            None => None,
        };
        Some(Negotiated {
            server_no_context_takeover: offer.server_no_context_takeover || settings.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || settings.client_no_context_takeover,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
            level: settings.level,
        })
    })
}

/// The client's offer.
pub fn offer(settings: &Settings) -> String {
    let mut value = Negotiated {
        server_no_context_takeover: settings.server_no_context_takeover,
        client_no_context_takeover: settings.client_no_context_takeover,
        server_max_window_bits: below_default(settings.server_max_window_bits),
        client_max_window_bits: below_default(settings.client_max_window_bits),
        level: settings.level,
    }
    .header_value();
    if settings.client_max_window_bits >= 15 {
        value.push_str("; ");
        value.push_str(CLIENT_MAX_WINDOW_BITS);
    }
    value
}

/// Checks the server's response against the client's offer (§7.1); `None` fails the connection.
pub fn accept(response: &Extension, settings: &Settings) -> Option<Negotiated> {
    let response = Parameters::parse(response)?;
    let server_bits = match response.server_max_window_bits {
        Some(bits) => Some(bits?),
        None => None,
    };
    let client_bits = match response.client_max_window_bits {
        Some(bits) => Some(bits?),
        None => None,
    };
    // The server must honour what the offer demanded.
    if settings.server_no_context_takeover && !response.server_no_context_takeover
        || server_bits.unwrap_or(15) > settings.server_max_window_bits
    {
        return None;
    }
    Some(Negotiated {
        server_no_context_takeover: response.server_no_context_takeover,
        client_no_context_takeover: response.client_no_context_takeover || settings.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: below_default(client_bits.unwrap_or(15).min(settings.client_max_window_bits)),
        level: settings.level,
    })
}

/// A window that is worth naming: 15 is what leaving the parameter out means.
fn below_default(bits: u8) -> Option<u8> {
    (bits < 15).then_some(bits)
}

/// The parameters of one offer or response. A window is `Some(None)` when named without a value.
#[derive(Debug, Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Option<u8>>,
    client_max_window_bits: Option<Option<u8>>,
}

impl Parameters {
    /// `None` for another extension, or for a parameter that is unknown, repeated or has a value
    /// it must not have: §7.1 has such an offer declined.
    fn parse(extension: &Extension) -> Option<Self> {
        if !extension.name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut found = Self::default();
        for (name, value) in &extension.params {
            match (name.as_str(), value) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) if !found.server_no_context_takeover => {
                    found.server_no_context_takeover = true;
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) if !found.client_no_context_takeover => {
                    found.client_no_context_takeover = true;
                }
                (SERVER_MAX_WINDOW_BITS, value) if found.server_max_window_bits.is_none() => {
                    found.server_max_window_bits = Some(window_bits(value.as_deref())?);
                }
                (CLIENT_MAX_WINDOW_BITS, value) if found.client_max_window_bits.is_none() => {
                    found.client_max_window_bits = Some(window_bits(value.as_deref())?);
                }
                _ => return None,
            }
        }
        Some(found)
    }
}

/// A decimal number from 8 to 15 without leading zeroes; outer `None` for anything else.
fn window_bits(value: Option<&str>) -> Option<Option<u8>> {
    let Some(value) = value else {
        return Some(None);
    };
    (8..=15).find(|bits: &u8| bits.to_string() == value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::handshake::parse_extensions;
    use super::*;

    fn answer(offers: &str, settings: Settings) -> Option<String> {
        let offers = parse_extensions(offers).expect("grammar");
        negotiate(&offers, &settings).map(|agreed| agreed.header_value())
    }

    #[test]
    fn what_chrome_offers() {
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits", Settings::default()).as_deref(),
            Some("permessage-deflate")
        );
    }

    #[test]
    fn every_parameter_of_an_offer_is_honoured() {
        assert_eq!(
            answer(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=9; client_max_window_bits=10",
                Settings::default()
            )
            .as_deref(),
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=9; client_max_window_bits=10"
            )
        );
    }

    #[test]
    fn own_settings_are_added_where_the_offer_allows() {
        let small = Settings {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: 10,
            client_max_window_bits: 11,
            level: 1,
        };
        assert_eq!(
            answer("permessage-deflate", small).as_deref(),
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=10"
            )
        );
        assert_eq!(
            answer("permessage-deflate; client_max_window_bits", small).as_deref(),
            Some(
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=10; client_max_window_bits=11"
            )
        );
    }

    #[test]
    fn faulty_offers_are_passed_over() {
        for faulty in [
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; client_max_window_bits=abc",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; unknown",
            "x-webkit-deflate-frame",
        ] {
            assert_eq!(answer(faulty, Settings::default()), None, "{faulty}");
            let with_fallback = format!("{faulty}, permessage-deflate");
            assert_eq!(answer(&with_fallback, Settings::default()).as_deref(), Some("permessage-deflate"), "{faulty}");
        }
    }

    #[test]
    fn client_takes_only_what_it_offered() {
        let strict = Settings { server_no_context_takeover: true, server_max_window_bits: 12, ..Settings::default() };
        let check = |response: &str, settings: &Settings| {
            let response = parse_extensions(response).expect("grammar");
            accept(response.first().expect("one"), settings)
        };
        assert!(check("permessage-deflate", &strict).is_none());
        assert!(check("permessage-deflate; server_no_context_takeover; server_max_window_bits=13", &strict).is_none());
        assert!(check("permessage-deflate; server_no_context_takeover; server_max_window_bits=12", &strict).is_some());
        let agreed = check("permessage-deflate; client_max_window_bits=9", &Settings::default());
        assert_eq!(agreed.and_then(|agreed| agreed.client_max_window_bits), Some(9));
        assert!(check("permessage-deflate; client_max_window_bits", &strict).is_none());
    }

    #[test]
    fn offer_is_understood_by_the_server() {
        for settings in [
            Settings::default(),
            Settings {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                server_max_window_bits: 9,
                client_max_window_bits: 9,
                level: 1,
            },
        ] {
            let value = answer(&offer(&settings), Settings::default()).expect("agreed");
            let response = parse_extensions(&value).expect("grammar");
            assert!(accept(response.first().expect("one"), &settings).is_some());
        }
    }
}
