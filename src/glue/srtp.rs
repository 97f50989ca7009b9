//! The SRTP provider: SDES for chan_sip and chan_pjsip, and whatever engine asks the core for SRTP.
//! chan_sip takes no DTLS peer either unless some provider is registered.

use crate::host::openssl::rand;
use crate::host::srtp::{Policy, Refused, SrtpSession, Stream, Suite};
use crate::rtc::srtp::{Context, Profile};

/// Room for the longest packet's tag and, in SRTCP, its index.
const OVERHEAD: usize = crate::rtc::srtp::MAX_OVERHEAD;

/// One RTP instance's contexts. A context holds every SSRC under its key.
pub struct Session {
    inbound: Vec<(Stream, Context)>,
    outbound: Vec<(Stream, Context)>,
}

impl Session {
    fn side(&mut self, stream: Stream) -> &mut Vec<(Stream, Context)> {
        match stream {
            // The core gives a policy with an SSRC of our own for what is sent.
            Stream::AnyOutbound | Stream::Ssrc(_) => &mut self.outbound,
            Stream::AnyInbound => &mut self.inbound,
        }
    }
}

impl SrtpSession for Session {
    fn new(policy: Option<&Policy>) -> Option<Self> {
        let mut session = Self { inbound: Vec::new(), outbound: Vec::new() };
        match policy {
            Some(policy) if !session.add_stream(policy) => None,
            _ => Some(session),
        }
    }

    fn add_stream(&mut self, policy: &Policy) -> bool {
        let Some(profile) = profile(policy.suite) else { return false };
        let Ok(context) = Context::new(profile, &policy.master_key, &policy.master_salt) else { return false };
        let side = self.side(policy.stream);
        side.retain(|(stream, _)| *stream != policy.stream);
        // A new key replaces the old one; more than a few at once are a mistake of the caller's.
        side.truncate(3);
        side.insert(0, (policy.stream, context));
        true
    }

    fn change_source(&mut self, from: u32, to: u32) -> bool {
        for (stream, _) in &mut self.outbound {
            if *stream == Stream::Ssrc(from) {
                *stream = Stream::Ssrc(to);
            }
        }
        // The keys stay, and a context takes up a new SSRC by itself.
        true
    }

    fn protect(&mut self, rtcp: bool, packet: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        let (_, context) = self.outbound.first_mut().ok_or(Refused)?;
        out.reserve(packet.len() + OVERHEAD);
        out.extend_from_slice(packet);
        let done = if rtcp { context.protect_rtcp(out) } else { context.protect_rtp(out) };
        done.map_err(|_| Refused)
    }

    fn unprotect(&mut self, rtcp: bool, packet: &mut [u8]) -> Result<usize, Refused> {
        let (_, context) = self.inbound.first_mut().ok_or(Refused)?;
        let done = if rtcp { context.unprotect_rtcp(packet) } else { context.unprotect_rtp(packet) };
        done.map_err(|_| Refused)
    }

    fn random(out: &mut [u8]) -> bool {
        rand::fill(out).is_ok()
    }
}

fn profile(suite: Suite) -> Option<Profile> {
    Some(match suite {
        Suite::AesCm128HmacSha1_80 => Profile::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32 => Profile::AesCm128HmacSha1_32,
        Suite::AesCm192HmacSha1_80 => Profile::AesCm192HmacSha1_80,
        Suite::AesCm192HmacSha1_32 => Profile::AesCm192HmacSha1_32,
        Suite::AesCm256HmacSha1_80 => Profile::AesCm256HmacSha1_80,
        Suite::AesCm256HmacSha1_32 => Profile::AesCm256HmacSha1_32,
        Suite::AeadAes128Gcm => Profile::AeadAes128Gcm,
        Suite::AeadAes256Gcm => Profile::AeadAes256Gcm,
        // RFC 7714 has full tags only.
        Suite::AeadAes128Gcm8 | Suite::AeadAes256Gcm8 => return None,
    })
}
