//! As much SIP as a browser's phone speaks: messages taken apart and written, digest
//! authentication (RFC 2617, MD5).

use res_rust_webrtc::host::openssl::rand;

use crate::tls::md5;

/// A received message.
pub struct Message {
    pub first: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn parse(text: &str) -> Option<Message> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Message { first, headers, body: body.to_owned() })
    }

    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub fn method(&self) -> &str {
        match self.status() {
            Some(_) => self.header("cseq").split(' ').nth(1).unwrap_or(""),
            None => self.first.split(' ').next().unwrap_or(""),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// The header lines that a response copies.
    fn copied(&self) -> String {
        let wanted = ["via", "record-route", "from", "to", "call-id", "cseq"];
        let lines = self.headers.iter().filter(|(name, _)| wanted.contains(&name.as_str()));
        lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }

    /// A response to this request. `tag` is added to a To that has none.
    pub fn response(&self, status: &str, tag: &str, contact: &str, sdp: &str) -> String {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for line in self.copied().lines() {
            text.push_str(line);
            if line.starts_with("to:") && !line.contains("tag=") {
                text.push_str(&format!(";tag={tag}"));
            }
            text.push_str("\r\n");
        }
        text.push_str(&format!("contact: {contact}\r\n"));
        finish(text, sdp)
    }
}

fn finish(mut text: String, sdp: &str) -> String {
    if !sdp.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len()));
    text
}

pub fn token() -> String {
    rand::bytes::<8>().expect("randomness").iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stays the same over a user's requests of one dialog or registration.
pub struct Dialog {
    pub user: String,
    pub host: String,
    pub contact: String,
    pub call_id: String,
    pub tag: String,
    pub cseq: u32,
    /// Request URI and To of the next request.
    pub uri: String,
    pub to: String,
    branch: String,
}

impl Dialog {
    pub fn new(user: &str, host: &str, contact: &str, uri: &str, to: &str) -> Dialog {
        Dialog {
            user: user.to_owned(),
            host: host.to_owned(),
            contact: contact.to_owned(),
            call_id: token(),
            tag: token(),
            cseq: 0,
            uri: uri.to_owned(),
            to: to.to_owned(),
            branch: String::new(),
        }
    }

    /// A new request.
    pub fn request(&mut self, method: &str, extra: &str, sdp: &str) -> String {
        self.cseq += 1;
        self.branch = token();
        self.text(method, extra, sdp)
    }

    /// The ACK of a 200 has a branch of its own, that of a refusal the INVITE's (RFC 3261 §17.1.1.3).
    pub fn ack(&mut self, accepted: bool) -> String {
        if accepted {
            self.branch = token();
        }
        self.text("ACK", "", "")
    }

    fn text(&self, method: &str, extra: &str, sdp: &str) -> String {
        let Dialog { user, host, contact, call_id, tag, cseq, uri, to, branch } = self;
        finish(
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/WSS {user}.invalid;branch=z9hG4bK{branch}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@{host}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
                 CSeq: {cseq} {method}\r\nContact: {contact}\r\n{extra}"
            ),
            sdp,
        )
    }

    /// The header that answers a 401 or 407.
    pub fn authorization(&self, challenge: &Message, method: &str, password: &str) -> String {
        let (name, value) = match challenge.status() {
            Some(401) => ("Authorization", challenge.header("www-authenticate")),
            _ => ("Proxy-Authorization", challenge.header("proxy-authenticate")),
        };
        let field = |wanted: &str| {
            let fields = value.trim_start_matches("Digest ").split(',');
            fields
                .filter_map(|field| field.trim().split_once('='))
                .find(|(name, _)| *name == wanted)
                .map_or("", |(_, value)| value.trim_matches('"'))
                .to_owned()
        };
        let (realm, nonce, uri, user) = (field("realm"), field("nonce"), &self.uri, &self.user);
        let secret = md5(&format!("{user}:{realm}:{password}"));
        let action = md5(&format!("{method}:{uri}"));
        let (digest, qop) = match field("qop").as_str() {
            "" => (md5(&format!("{secret}:{nonce}:{action}")), String::new()),
            _ => {
                let client = token();
                let digest = md5(&format!("{secret}:{nonce}:00000001:{client}:auth:{action}"));
                (digest, format!(", qop=auth, nc=00000001, cnonce=\"{client}\""))
            }
        };
        let opaque = match field("opaque").as_str() {
            "" => String::new(),
            opaque => format!(", opaque=\"{opaque}\""),
        };
        format!(
            "{name}: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             algorithm=MD5{qop}{opaque}, response=\"{digest}\"\r\n"
        )
    }
}
