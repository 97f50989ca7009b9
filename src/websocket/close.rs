//! Close codes (RFC 6455 §7.4) and the payload of a close frame (§5.5.1).
//!
//! ```text
//!  0                   1
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 ...
//! +-------------------------------+-------------------
//! |      code, network order      |  reason, UTF-8 ...
//! +-------------------------------+-------------------
//! ```
//! The payload is empty or holds at least the code.

use super::error::ProtocolError;

/// A code that may be sent in a close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    pub const NORMAL: Self = Self(1000);
    pub const GOING_AWAY: Self = Self(1001);
    pub const PROTOCOL_ERROR: Self = Self(1002);
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    pub const INVALID_PAYLOAD: Self = Self(1007);
    pub const POLICY_VIOLATION: Self = Self(1008);
    pub const TOO_BIG: Self = Self(1009);
    pub const INTERNAL_ERROR: Self = Self(1011);
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code, unless §7.4 keeps it off the wire: 1004, 1005, 1006 and 1015 are reserved,
    /// 1016-2999 unassigned, below 1000 and above 4999 undefined.
    pub fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number as it stands on the wire.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// Reads the payload of a received close frame: code and reason, or neither.
pub(super) fn parse(payload: &[u8]) -> Result<(Option<CloseCode>, String), ProtocolError> {
    let (code, reason) = match payload {
        [] => return Ok((None, String::new())),
        [_] => return Err(ProtocolError::TruncatedCloseCode),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    let code = CloseCode::new(code).ok_or(ProtocolError::ReservedCloseCode(code))?;
    let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
    Ok((Some(code), reason.to_owned()))
}

/// Writes the payload of a close frame, the reason cut at a character so that the frame stays
/// within a control frame's 125 bytes.
pub(super) fn payload(code: Option<CloseCode>, reason: &str) -> Vec<u8> {
    let Some(code) = code else {
        return Vec::new();
    };
    let reason = prefix(reason, 123);
    let mut payload = Vec::with_capacity(2 + reason.len());
    payload.extend_from_slice(&code.get().to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    payload
}

/// The longest start of `text` within `max` octets that ends between characters.
pub(super) fn prefix(text: &str, max: usize) -> &str {
    (0..=max.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_allowed_on_the_wire() {
        let allowed: Vec<u16> = (0..=u16::MAX).filter(|code| CloseCode::new(*code).is_some()).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn payload_is_read_back() {
        for reason in ["", "bye", "größer"] {
            let bytes = payload(Some(CloseCode::TOO_BIG), reason);
            assert_eq!(parse(&bytes), Ok((Some(CloseCode::TOO_BIG), reason.to_owned())));
        }
        assert_eq!(parse(&payload(None, "lost")), Ok((None, String::new())));
    }

    #[test]
    fn one_byte_is_no_code() {
        assert_eq!(parse(&[3]), Err(ProtocolError::TruncatedCloseCode));
    }

    #[test]
    fn reason_must_be_utf8() {
        assert_eq!(parse(&[0x03, 0xe8, 0xff]), Err(ProtocolError::InvalidCloseReason));
    }

    #[test]
    fn long_reason_is_cut_at_a_character() {
        let bytes = payload(Some(CloseCode::NORMAL), &"ä".repeat(100));
        assert_eq!(bytes.len(), 2 + 122);
        assert!(parse(&bytes).is_ok());
    }
}
