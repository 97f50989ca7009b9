//! Header values of the handshake: tokens, lists, extensions (RFC 9110 §5.6, RFC 6455 §9.1).

/// One element of `Sec-WebSocket-Extensions`, parameters in their order and with quotes undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    pub name: String,
    pub params: Vec<(String, Option<String>)>,
}

/// The elements of a comma-separated list. Empty ones, which RFC 9110 §5.6.1.2 has a recipient
/// ignore, are left out.
pub(super) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(trim).filter(|element| !element.is_empty())
}

/// Whether a list has the token, whose case does not matter.
pub(super) fn has_token(value: &str, token: &str) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// Whether `text` is a token: at least one character, no separators, no control characters.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_octet)
}

/// Optional white space is space and tab only.
pub(super) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// Reads a value of `Sec-WebSocket-Extensions`; several lines are joined by commas beforehand.
/// `None` for what the grammar does not allow: the handshake then fails.
pub fn parse_extensions(value: &str) -> Option<Vec<Extension>> {
    let mut rest = Cursor(value.as_bytes());
    let mut extensions = Vec::new();
    loop {
        rest.skip_space();
        if rest.eat(b',') {
            continue;
        }
        if rest.is_empty() {
            return Some(extensions);
        }
        let name = rest.token()?;
        let mut params = Vec::new();
        rest.skip_space();
        while rest.eat(b';') {
            rest.skip_space();
            let name = rest.token()?;
            rest.skip_space();
            let mut value = None;
            if rest.eat(b'=') {
                rest.skip_space();
                value = Some(rest.token_or_quoted()?);
                rest.skip_space();
            }
            params.push((name, value));
        }
        extensions.push(Extension { name, params });
        if !rest.is_empty() && !rest.eat(b',') {
            return None;
        }
    }
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn eat(&mut self, octet: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == octet => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        while self.eat(b' ') || self.eat(b'\t') {}
    }

    fn token(&mut self) -> Option<String> {
        let end = self.0.iter().position(|octet| !is_token_octet(*octet)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (!token.is_empty()).then(|| String::from_utf8_lossy(token).into_owned())
    }

    /// A parameter's value. What quotes enclose must be a token, too (§9.1).
    fn token_or_quoted(&mut self) -> Option<String> {
        if !self.eat(b'"') {
            return self.token();
        }
        let mut value = String::new();
        while !self.eat(b'"') {
            self.eat(b'\\');
            let (octet, rest) = self.0.split_first()?;
            if !is_token_octet(*octet) {
                return None;
            }
            value.push(char::from(*octet));
            self.0 = rest;
        }
        (!value.is_empty()).then_some(value)
    }
}

fn is_token_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(name: &str, params: &[(&str, Option<&str>)]) -> Extension {
        Extension {
            name: name.to_owned(),
            params: params.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect(),
        }
    }

    #[test]
    fn rfc6455_9_1_examples() {
        assert_eq!(
            parse_extensions("foo, bar; baz=2"),
            Some(vec![extension("foo", &[]), extension("bar", &[("baz", Some("2"))])])
        );
        assert_eq!(
            parse_extensions("deflate-stream , mux ;max-channels = \"4\"; flow-control"),
            Some(vec![
                extension("deflate-stream", &[]),
                extension("mux", &[("max-channels", Some("4")), ("flow-control", None)])
            ])
        );
    }

    #[test]
    fn empty_elements_are_ignored() {
        assert_eq!(parse_extensions(""), Some(vec![]));
        assert_eq!(parse_extensions(" ,\t, x,,"), Some(vec![extension("x", &[])]));
        assert_eq!(list(" , sip ,, ari").collect::<Vec<_>>(), ["sip", "ari"]);
    }

    #[test]
    fn grammar_is_enforced() {
        for wrong in
            [";", "a b", "a;", "a;;b", "a;=1", "a;b=", "a;b=\"", "a;b=\"\"", "a;b=\"c d\"", "a;b=c d", "a=b", "ä"]
        {
            assert_eq!(parse_extensions(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tokens() {
        assert!(is_token("v10.sip!"));
        for wrong in ["", "a b", "a,b", "a\r", "a/b", "\"a\"", "ü"] {
            assert!(!is_token(wrong), "{wrong}");
        }
        assert!(has_token("keep-alive, Upgrade", "upgrade"));
        assert!(!has_token("keep-alive, Upgrades", "upgrade"));
    }
}
