//! The SRTP provider: SDES for chan_sip and chan_pjsip, and whatever engine asks the core for SRTP.
//! chan_sip takes no DTLS peer either unless some provider is registered.
//!
//! An engine of another module's has its packets protected here. Ours protects by itself, so the
//! keys of an instance of ours go to its leg, and the core's object is but a handle.

use std::sync::{Arc, Mutex};

use super::engine::{self, Sdes};
use crate::host::openssl::rand;
use crate::host::srtp::{Policy, Refused, SrtpSession, Stream, Suite};
use crate::rtc::srtp::{Context, Profile};
use crate::sync::lock;

/// Room for the longest packet's tag and, in SRTCP, its index.
const OVERHEAD: usize = crate::rtc::srtp::MAX_OVERHEAD;

/// One RTP instance's SRTP.
pub enum Session {
    /// Of our engine: the leg has the keys.
    Own(Arc<Sdes>),
    /// Of another.
    Foreign(Mutex<Contexts>),
}

/// A context holds every SSRC under its key.
#[derive(Default)]
pub struct Contexts {
    inbound: Vec<(Stream, Context)>,
    outbound: Vec<(Stream, Context)>,
}

impl Contexts {
    fn add_stream(&mut self, policy: &Policy) -> bool {
        let Some(context) = context(policy) else { return false };
        let side = if is_outbound(policy.stream) { &mut self.outbound } else { &mut self.inbound };
        side.retain(|(stream, _)| *stream != policy.stream);
        // A new key replaces the old one; more than a few at once are a mistake of the caller's.
        side.truncate(3);
        side.insert(0, (policy.stream, context));
        true
    }
}

impl SrtpSession for Session {
    fn new(instance: usize, policy: Option<&Policy>) -> Option<Self> {
        let session = match engine::sdes_of(instance) {
            Some(sdes) => Self::Own(sdes),
            None => Self::Foreign(Mutex::default()),
        };
        match policy {
            Some(policy) if !session.add_stream(policy) => None,
            _ => Some(session),
        }
    }

    fn add_stream(&self, policy: &Policy) -> bool {
        match self {
            Self::Own(sdes) => sdes.take(policy),
            Self::Foreign(contexts) => lock(contexts).add_stream(policy),
        }
    }

    fn change_source(&self, from: u32, to: u32) -> bool {
        // The keys stay, and a context takes up a new SSRC by itself.
        if let Self::Foreign(contexts) = self {
            for (stream, _) in &mut lock(contexts).outbound {
                if *stream == Stream::Ssrc(from) {
                    *stream = Stream::Ssrc(to);
                }
            }
        }
        true
    }

    fn protect(&self, rtcp: bool, packet: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        // What is protected here would use key stream that the leg uses too.
        let Self::Foreign(contexts) = self else { return Err(Refused) };
        let mut contexts = lock(contexts);
        let (_, context) = contexts.outbound.first_mut().ok_or(Refused)?;
        out.reserve(packet.len() + OVERHEAD);
        out.extend_from_slice(packet);
        let done = if rtcp { context.protect_rtcp(out) } else { context.protect_rtp(out) };
        done.map_err(|_| Refused)
    }

    fn unprotect(&self, rtcp: bool, packet: &mut [u8]) -> Result<usize, Refused> {
        let Self::Foreign(contexts) = self else { return Err(Refused) };
        let mut contexts = lock(contexts);
        let (_, context) = contexts.inbound.first_mut().ok_or(Refused)?;
        let done = if rtcp { context.unprotect_rtcp(packet) } else { context.unprotect_rtp(packet) };
        done.map_err(|_| Refused)
    }

    fn random(out: &mut [u8]) -> bool {
        rand::fill(out).is_ok()
    }
}

/// Whether a stream is one that we send: the core gives a policy with an SSRC of our own for that.
pub fn is_outbound(stream: Stream) -> bool {
    matches!(stream, Stream::AnyOutbound | Stream::Ssrc(_))
}

/// What protects with a policy's keys.
pub fn context(policy: &Policy) -> Option<Context> {
    Context::new(profile(policy.suite)?, &policy.master_key, &policy.master_salt).ok()
}

/// How this Asterisk calls a profile.
pub fn suite(profile: Profile) -> Suite {
    match profile {
        Profile::AesCm128HmacSha1_80 => Suite::AesCm128HmacSha1_80,
        Profile::AesCm128HmacSha1_32 => Suite::AesCm128HmacSha1_32,
        Profile::AesCm192HmacSha1_80 => Suite::AesCm192HmacSha1_80,
        Profile::AesCm192HmacSha1_32 => Suite::AesCm192HmacSha1_32,
        Profile::AesCm256HmacSha1_80 => Suite::AesCm256HmacSha1_80,
        Profile::AesCm256HmacSha1_32 => Suite::AesCm256HmacSha1_32,
        Profile::AeadAes128Gcm => Suite::AeadAes128Gcm,
        Profile::AeadAes256Gcm => Suite::AeadAes256Gcm,
    }
}

/// `None` for what no profile is.
pub fn profile(suite: Suite) -> Option<Profile> {
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
