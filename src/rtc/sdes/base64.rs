//! Base64 of keys (RFC 4648 section 4).

use crate::host::openssl::{Secret, cleanse};

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the padded form of `octets`.
pub fn encode(octets: &[u8], out: &mut String) {
    for group in octets.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            out.push(match LETTERS.get((bits >> (18 - 6 * i) & 0x3f) as usize) {
                Some(letter) if i <= group.len() => char::from(*letter),
                _ => '=',
            });
        }
    }
}

/// The octets that `text` stands for. Its padding may be missing, and the bits behind the last
/// octet may be anything: there are phones that make a key by choosing letters at random.
pub fn decode(text: &str) -> Option<Secret> {
    let letters = text.trim_end_matches('=');
    let padding = text.len() - letters.len();
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut octets = Vec::with_capacity(letters.len() * 3 / 4);
    let done = decode_into(letters.as_bytes(), &mut octets);
    let secret = done.then(|| Secret::new(&octets));
    cleanse(&mut octets);
    secret
}

fn decode_into(letters: &[u8], octets: &mut Vec<u8>) -> bool {
    let (mut bits, mut count) = (0_u32, 0);
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // Six bits left are a letter that belongs to no octet.
    count < 6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(octets: &[u8]) -> String {
        let mut text = String::new();
        encode(octets, &mut text);
        text
    }

    // RFC 4648 section 10.
    #[test]
    fn the_vectors_of_the_rfc_lead_both_ways() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, text) in vectors {
            assert_eq!(encoded(plain.as_bytes()), text);
            assert_eq!(decode(text).unwrap()[..], *plain.as_bytes());
            assert_eq!(decode(text.trim_end_matches('=')).unwrap()[..], *plain.as_bytes());
        }
    }

    #[test]
    fn every_length_of_key_leads_back() {
        let key: Vec<u8> = (0..46).map(|n| (n * 5) ^ 0xa7).collect();
        for length in 0..=key.len() {
            assert_eq!(decode(&encoded(&key[..length])).unwrap()[..], key[..length]);
        }
    }

    #[test]
    fn bits_behind_the_last_octet_are_ignored() {
        assert_eq!(decode("Zh==").unwrap()[..], *b"f");
        assert_eq!(decode("Zm9").unwrap()[..], *b"fo");
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["Zm9v Zm9v", "Zm9v-_", "Z", "Zm9vY", "====", "Zg=", "Zm9v=", "Zg=a", "Zm9v\u{e9}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
