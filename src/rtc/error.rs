//! Why a packet was not used, and why one could not be sent.
//!
//! A datagram that fails any check is dropped: it changes nothing but a counter. The reasons are
//! numbered so that counting one is an increment of an array element.

use std::fmt;

macro_rules! discards {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)+) => {
        /// The reason why an arriving datagram, or a part of it, was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Discard {
            $($(#[$doc])* $name,)+
        }

        impl Discard {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Discard] = &[$(Discard::$name,)+];

            /// A short lower-case phrase for logs and the CLI.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Discard::$name => $text,)+
                }
            }
        }
    };
}

discards! {
    /// An empty datagram.
    Empty => "empty datagram",
    /// The first byte belongs to no protocol of RFC 7983.
    UnknownProtocol => "unknown protocol",
    /// TURN channel data, and no relay is in use.
    TurnChannel => "TURN channel without relay",
    /// STUN where ICE is not in use.
    StunWithoutIce => "STUN without ICE",
    /// The STUN message could not be parsed.
    StunMalformed => "malformed STUN",
    /// USERNAME or MESSAGE-INTEGRITY did not match, or the transaction is unknown.
    StunUnauthenticated => "unauthenticated STUN",
    /// More STUN messages in one second than a peer has cause to send.
    StunRateLimited => "STUN over rate limit",
    /// The peer has already checked from as many addresses as are remembered.
    IceTooManyAddresses => "too many ICE addresses",
    /// STUN after consent was lost, which only a restart brings back.
    IceFailed => "ICE has failed",
    /// DTLS where no DTLS is configured.
    DtlsUnexpected => "unexpected DTLS",
    /// DTLS from an address that ICE has not validated, beyond what is held back.
    DtlsNotValidated => "DTLS from address not validated",
    /// A DTLS record that the connection refused without ending it.
    DtlsRefused => "refused DTLS record",
    /// RTP or RTCP from an address that ICE has not validated.
    SourceNotValidated => "source not validated",
    /// RTP from an address other than the one learned (strict RTP).
    SourceNotLearned => "source not learned",
    /// No remote address or ICE is known yet, so nothing is expected.
    Unexpected => "not expected yet",
    /// Media before the keys, beyond what is held back.
    NoKeys => "keys missing",
    /// Media in the clear on a session that is to be encrypted.
    NotEncrypted => "not encrypted",
    /// The header is truncated or contradicts the length of the packet.
    RtpMalformed => "malformed RTP",
    /// The payload type was not negotiated.
    PayloadType => "payload type not negotiated",
    /// The source is on probation (RFC 3550 A.1).
    Probation => "source on probation",
    /// A packet with a SSRC that is our own (RFC 3550 §8.2).
    OwnSsrc => "own SSRC",
    /// A packet that belongs to none of the streams of a bundle (RFC 8843 §9.2).
    UnknownSource => "of no stream in the bundle",
    /// A datagram to the socket of a stream whose media goes over another's transport.
    Bundled => "stream is bundled",
    /// A packet already received: same SSRC, same extended sequence number.
    Duplicate => "duplicate",
    /// The SRTP authentication tag did not verify.
    SrtpAuthentication => "SRTP authentication failed",
    /// The SRTP index has been seen or lies behind the replay window.
    SrtpReplay => "SRTP replay",
    /// The SRTP packet is malformed or the context refused it.
    SrtpRefused => "refused by SRTP",
    /// The SRTCP authentication tag did not verify.
    SrtcpAuthentication => "SRTCP authentication failed",
    /// The SRTCP index has been seen or lies behind the replay window.
    SrtcpReplay => "SRTCP replay",
    /// The SRTCP packet is malformed or the context refused it.
    SrtcpRefused => "refused by SRTCP",
    /// The compound RTCP packet is malformed; parts before the fault were used.
    RtcpMalformed => "malformed RTCP",
    /// RTCP where it is turned off or on a component that does not carry it.
    RtcpUnexpected => "unexpected RTCP",
    /// RTP on the RTCP component.
    RtpOnRtcpComponent => "RTP on the RTCP component",
    /// A telephone-event payload that is too short or names an unknown event.
    DtmfMalformed => "malformed telephone-event",
    /// The session is closed.
    Closed => "session closed",
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counters of dropped input, by reason.
#[derive(Clone, Debug)]
pub struct Discards([u64; Discard::ALL.len()]);

impl Default for Discards {
    fn default() -> Self {
        Discards([0; Discard::ALL.len()])
    }
}

impl Discards {
    /// Counts one datagram or part dropped for `reason`.
    pub fn count(&mut self, reason: Discard) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// How many were dropped for `reason`.
    pub fn of(&self, reason: Discard) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many were dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that have occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL.iter().map(|&reason| (reason, self.of(reason))).filter(|&(_, count)| count > 0)
    }
}

/// Why a packet could not be sent. None of these ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The session is to be encrypted and there are no keys yet. The packet is kept, within a
    /// bound, and sent when the keys arrive.
    HeldForKeys,
    /// There is nowhere to send to: no remote address, or ICE has no valid pair.
    NoPath,
    /// The peer's consent to receive has expired (RFC 7675); nothing may be sent.
    NoConsent,
    /// DTLS or ICE has failed, or the session is closed.
    Closed,
    /// The packet is larger than a datagram may be.
    TooLarge,
    /// SRTP refused the packet.
    Srtp,
    /// The transmit queue is full: the caller has not drained it.
    QueueFull,
    /// RTCP is turned off.
    RtcpOff,
    /// The source's sequence number was sent before.
    Duplicate,
    /// An argument is out of the protocol's range.
    Invalid,
}

impl SendError {
    /// A short lower-case phrase for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            SendError::HeldForKeys => "held until keys exist",
            SendError::NoPath => "no path to the peer",
            SendError::NoConsent => "consent expired",
            SendError::Closed => "closed",
            SendError::TooLarge => "packet too large",
            SendError::Srtp => "SRTP refused the packet",
            SendError::QueueFull => "transmit queue full",
            SendError::RtcpOff => "RTCP is off",
            SendError::Duplicate => "sequence number sent before",
            SendError::Invalid => "invalid argument",
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_counter() {
        let mut discards = Discards::default();
        for (index, &reason) in Discard::ALL.iter().enumerate() {
            assert_eq!(reason as usize, index);
            discards.count(reason);
        }
        discards.count(Discard::SrtpReplay);
        assert_eq!(discards.of(Discard::SrtpReplay), 2);
        assert_eq!(discards.of(Discard::Empty), 1);
        assert_eq!(discards.total(), Discard::ALL.len() as u64 + 1);
        assert_eq!(discards.iter().count(), Discard::ALL.len());
    }
}
