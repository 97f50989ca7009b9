//! Tells the protocols that share one UDP port apart (RFC 7983, RFC 5761).
//!
//! ```text
//!                   +----------------+
//!                   |        [0..3] -+--> STUN
//!                   |      [20..63] -+--> DTLS
//!       datagram -->|      [64..79] -+--> TURN channel
//!                   |    [128..191] -+--> RTP, RTCP
//!                   +----------------+
//! ```
//!
//! Within the last range a packet is RTCP when its second byte, which is the RTCP packet type or
//! the marker and payload type, lies in 192..=223: payload types 64..=95 with the marker set are
//! given up for RTP where the two are multiplexed (RFC 5761 §4).

/// What a datagram claims to be by its first two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A STUN message (RFC 8489).
    Stun,
    /// A DTLS record (RFC 6347, RFC 9147).
    Dtls,
    /// A TURN ChannelData message (RFC 8656 §12).
    TurnChannel,
    /// An RTP packet (RFC 3550), or SRTP.
    Rtp,
    /// An RTCP packet, or SRTCP.
    Rtcp,
}

/// Classifies a datagram, or `None` when its first byte belongs to no known protocol.
///
/// One byte of RTP or RTCP is classified as RTP: the parsers refuse it by its length.
pub fn classify(datagram: &[u8]) -> Option<Protocol> {
    match *datagram.first()? {
        0..=3 => Some(Protocol::Stun),
        20..=63 => Some(Protocol::Dtls),
        64..=79 => Some(Protocol::TurnChannel),
        128..=191 => match datagram.get(1) {
            Some(192..=223) => Some(Protocol::Rtcp),
            _ => Some(Protocol::Rtp),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_ranges_of_rfc_7983() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Some(Protocol::Stun),
                20..=63 => Some(Protocol::Dtls),
                64..=79 => Some(Protocol::TurnChannel),
                128..=191 => Some(Protocol::Rtp),
                _ => None,
            };
            assert_eq!(classify(&[first, 0]), expected, "first byte {first}");
        }
        assert_eq!(classify(&[]), None);
    }

    #[test]
    fn rtcp_is_told_by_packet_type() {
        for second in 0..=255u8 {
            let expected = match second {
                192..=223 => Protocol::Rtcp,
                _ => Protocol::Rtp,
            };
            assert_eq!(classify(&[0x80, second]), Some(expected));
        }
        // Payload type 111 with marker, and without.
        assert_eq!(classify(&[0x80, 111]), Some(Protocol::Rtp));
        assert_eq!(classify(&[0x80, 0x80 | 111]), Some(Protocol::Rtp));
        // SR, RR, RTPFB, PSFB.
        for packet_type in [200, 201, 205, 206] {
            assert_eq!(classify(&[0x81, packet_type]), Some(Protocol::Rtcp));
        }
        assert_eq!(classify(&[0x80]), Some(Protocol::Rtp));
    }
}
