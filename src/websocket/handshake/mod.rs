//! The opening handshake (RFC 6455 §4), server's and client's side.
//!
//! The server's side is given a request that Asterisk's HTTP server has read and split into
//! lines; the client's side writes the request and reads the response itself.

mod client;
mod forwarded;
mod header;
mod server;

pub use client::{ClientError, ClientHandshake, ClientRequest, Established};
pub use forwarded::client_address;
pub use header::{Extension, parse_extensions};
pub use server::{Reason, Refusal, Request, Upgrade, accept, response};

use crate::host::openssl::digest::sha1;

/// What a server appends to the key to prove that it has read it (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The version of the protocol that RFC 6455 defines.
const VERSION: &str = "13";

/// The value of `Sec-WebSocket-Accept` for a key as it stands in the request (§4.2.2).
fn accept_value(key: &str) -> String {
    let mut input = Vec::with_capacity(key.len() + GUID.len());
    input.extend_from_slice(key.as_bytes());
    input.extend_from_slice(GUID);
    base64(&sha1(&input))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648 §4).
fn base64(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let mut bits = [0; 3];
        for (bits, octet) in bits.iter_mut().zip(group) {
            *bits = *octet;
        }
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for position in 0..4 {
            let sextet = (bits >> (18 - 6 * position)) as usize & 0x3f;
            text.push(match ALPHABET.get(sextet) {
                Some(letter) if position <= group.len() => char::from(*letter),
                _ => '=',
            });
        }
    }
    text
}

/// Whether `text` is the base64 of 16 octets: 22 letters, the last of which stands for two bits
/// more, and the padding.
fn is_key(text: &str) -> bool {
    text.len() == 24
        && text.strip_suffix("==").is_some_and(|letters| letters.bytes().all(|letter| ALPHABET.contains(&letter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_1_3_accept() {
        assert_eq!(accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn rfc4648_10_vectors() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn key_is_sixteen_octets_in_base64() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_key(&base64(&[0xff; 16])));
        for wrong in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=a",
            "dGhlIHNhbXBsZSBub25jZWE=",
            "dGhl IHNhbXBsZSBub25jZ==",
            "dGhlIHNhbXBsZSBub25jZ-==",
            "dGhlIHNhbXBsZSBub25jZQAAAA==",
        ] {
            assert!(!is_key(wrong), "{wrong}");
        }
    }
}
