//! Crypto attributes of SDP, answered with [`rtc::sdes`](crate::rtc::sdes).

use super::srtp;
use crate::host::log;
use crate::host::sdp_crypto::{Accepted, Refused, SdpCrypto};
use crate::host::srtp::{Policy, Stream, Suite};
use crate::rtc::sdes::{self, Attribute, Change, Line, Refusal};
use crate::rtc::srtp::Profile;

/// Our side of one `a=crypto` line.
pub struct Sdes(Line);

impl SdpCrypto for Sdes {
    fn new() -> Option<Self> {
        match Line::new() {
            Ok(line) => Some(Self(line)),
            Err(error) => {
                log::error(&format!("no key for SDP: {error}"));
                None
            }
        }
    }

    fn offers(short_tag: bool) -> Vec<Self> {
        // One line, as stock's provider writes it: there are phones that refuse an offer for a
        // second line with a suite that they do not know.
        let profile = if short_tag { Profile::AesCm128HmacSha1_32 } else { Profile::AesCm128HmacSha1_80 };
        match Line::offers(&[profile]) {
            Ok(lines) => lines.into_iter().map(Self).collect(),
            Err(error) => {
                log::error(&format!("no key for SDP: {error}"));
                Vec::new()
            }
        }
    }

    fn tag(&self) -> u32 {
        self.0.tag()
    }

    fn tag_of(text: &str) -> Option<u32> {
        Attribute::tag_of(text)
    }

    fn accept(&mut self, text: &str) -> Result<Accepted, Refused> {
        let change = Attribute::parse(text).and_then(|attribute| self.0.accept(attribute));
        match change {
            Ok(Change::None) => Ok(Accepted::Unchanged),
            Ok(Change::Keys(keys)) => {
                let policy = |stream, key: &[u8]| {
                    let (master_key, master_salt) = key.split_at_checked(keys.profile.key_length())?;
                    Some(Policy {
                        suite: srtp::suite(keys.profile),
                        stream,
                        master_key: master_key.to_vec(),
                        master_salt: master_salt.to_vec(),
                    })
                };
                match (policy(Stream::AnyInbound, &keys.remote), policy(Stream::AnyOutbound, &keys.local)) {
                    (Some(inbound), Some(outbound)) => Ok(Accepted::Keys { inbound, outbound }),
                    _ => Err(refused(Refusal::KeyLength)),
                }
            }
            Err(refusal) => Err(refused(refusal)),
        }
    }

    fn forget(&mut self) {
        self.0.forget();
    }

    fn choose(&mut self, suite: Suite, draft_name: bool) -> bool {
        srtp::profile(suite).is_some_and(|profile| {
            let suite = sdes::Suite::from(profile);
            self.0.choose(if draft_name { suite.with_draft_name() } else { suite })
        })
    }

    fn write(&self, short_tag: bool) -> String {
        self.0.write(short_tag)
    }
}

fn refused(refusal: Refusal) -> Refused {
    Refused { why: refusal.to_string(), common: refusal == Refusal::Suite }
}
