//! UTF-8 checked as it arrives (RFC 6455 §8.1), across fragments and reads.
//!
//! An error is found at the first octet that no valid text could continue with, so that a message
//! fails before it is complete. Between calls only the octets of one unfinished character are
//! kept.

/// The text seen so far is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// The state between two pieces of one text.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// The octets of a character that has begun, `carry[..len]`.
    carry: [u8; 4],
    len: u8,
}

impl Utf8 {
    /// Takes the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((octet, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            let filled = usize::from(self.len) + 1;
            let character = self.carry.get_mut(..filled).ok_or(Invalid)?;
            if let Some(last) = character.last_mut() {
                *last = *octet;
            }
            match std::str::from_utf8(character) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(Invalid),
                Err(_) => self.len += 1,
            }
        }
        let Err(error) = std::str::from_utf8(piece) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        let begun = piece.get(error.valid_up_to()..).unwrap_or_default();
        for (kept, octet) in self.carry.iter_mut().zip(begun) {
            *kept = *octet;
        }
        self.len = begun.len() as u8;
        Ok(())
    }

    /// The text ends here; a character must not be left unfinished.
    pub(super) fn finish(&self) -> Result<(), Invalid> {
        if self.len == 0 { Ok(()) } else { Err(Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many octets are accepted before the text is refused, fed one at a time.
    fn accepted(text: &[u8]) -> usize {
        let mut utf8 = Utf8::default();
        text.iter().position(|octet| utf8.feed(&[*octet]).is_err()).unwrap_or(text.len())
    }

    #[test]
    fn whole_text_in_any_two_pieces() {
        let text = "κόσμε \u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff} z".as_bytes();
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            let mut utf8 = Utf8::default();
            assert_eq!(utf8.feed(head), Ok(()), "cut {cut}");
            assert_eq!(utf8.feed(tail), Ok(()), "cut {cut}");
            assert_eq!(utf8.finish(), Ok(()));
        }
    }

    #[test]
    fn refused_at_the_first_impossible_octet() {
        assert_eq!(accepted(b"ok\x80"), 2, "lone continuation");
        assert_eq!(accepted(b"\xc0\xaf"), 0, "overlong in two");
        assert_eq!(accepted(b"\xe0\x9f\xbf"), 1, "overlong in three");
        assert_eq!(accepted(b"\xf0\x8f\xbf\xbf"), 1, "overlong in four");
        assert_eq!(accepted(b"\xed\xa0\x80"), 1, "surrogate");
        assert_eq!(accepted(b"\xf4\x90\x80\x80"), 1, "above U+10FFFF");
        assert_eq!(accepted(b"\xf5"), 0);
        assert_eq!(accepted(b"\xce\xbaab\xce\x61"), 5);
    }

    #[test]
    fn agrees_with_std_on_every_string_of_three_chosen_octets() {
        let octets = [
            0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf4, 0xf5,
            0xff,
        ];
        for a in octets {
            for b in octets {
                for c in octets {
                    let text = [a, b, c];
                    let expected = std::str::from_utf8(&text).is_ok();
                    let mut utf8 = Utf8::default();
                    let found = text.iter().try_for_each(|octet| utf8.feed(&[*octet])).is_ok() && utf8.finish().is_ok();
                    assert_eq!(found, expected, "{text:02x?}");
                }
            }
        }
    }

    #[test]
    fn unfinished_character_at_the_end() {
        let mut utf8 = Utf8::default();
        assert_eq!(utf8.feed("€".as_bytes().split_at(2).0), Ok(()));
        assert_eq!(utf8.finish(), Err(Invalid));
    }
}
