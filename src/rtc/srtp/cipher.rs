//! One packet's encryption and authentication, for RTP and for RTCP.
//!
//! ```text
//!        RTP, counter mode                        RTCP, counter mode
//!  | header | payload, encrypted | tag |    | 8 bytes | encrypted | E, index | tag |
//!  '------- authenticated, + ROC -'         '---------- authenticated -------'
//!
//!        RTP, GCM                                 RTCP, GCM
//!  | header | payload, encrypted | tag |    | 8 bytes | encrypted | tag | E, index |
//!  '- AAD --'                               '- AAD ---'                 '-- AAD ---'
//! ```

use super::kdf::{Kdf, Label};
use super::{Discard, Profile};
use crate::host::openssl::cipher::{AesCtr, AesGcm, TAG_LENGTH};
use crate::host::openssl::hmac::HmacSha1;
use crate::host::openssl::{Error, cleanse};

/// The session keys of one direction, for RTP or for RTCP.
#[expect(clippy::large_enum_variant, reason = "two to a context, and the larger variant is read for each packet")]
pub enum Transform {
    CounterMode { cipher: AesCtr, salt: [u8; 16], mac: HmacSha1, tag_length: usize },
    Gcm { cipher: AesGcm, salt: [u8; 12] },
}

/// The first bytes of an RTCP packet, which stay in the clear.
pub const RTCP_HEADER: usize = 8;
const RTCP_INDEX: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

impl Transform {
    pub fn for_rtp(kdf: &mut Kdf, profile: Profile) -> Result<Transform, Error> {
        let labels = [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt];
        Transform::derive(kdf, profile, labels, profile.rtp_tag_length())
    }

    pub fn for_rtcp(kdf: &mut Kdf, profile: Profile) -> Result<Transform, Error> {
        let labels = [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt];
        Transform::derive(kdf, profile, labels, profile.rtcp_tag_length())
    }

    fn derive(
        kdf: &mut Kdf,
        profile: Profile,
        [encryption, authentication, salt]: [Label; 3],
        tag_length: usize,
    ) -> Result<Transform, Error> {
        let key = kdf.derive(encryption, profile.key_length())?;
        let salt = kdf.derive(salt, profile.salt_length())?;
        if profile.is_aead() {
            return Ok(Transform::Gcm { cipher: AesGcm::new(&key)?, salt: filled(&salt) });
        }
        let mac = kdf.derive(authentication, 20)?;
        Ok(Transform::CounterMode {
            cipher: AesCtr::new(&key)?,
            salt: filled(&salt),
            mac: HmacSha1::new(&mac),
            tag_length,
        })
    }

    /// Protects the RTP packet that is the first `length` bytes of `buf`; its new length.
    pub fn protect_rtp(
        &mut self,
        buf: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Discard> {
        let (packet, room) = buf.split_at_mut_checked(length).ok_or(Discard::NoRoom)?;
        let tag_length = self.tag_length();
        let tag_room = room.get_mut(..tag_length).ok_or(Discard::NoRoom)?;
        let (aad, payload) = packet.split_at_mut_checked(header).ok_or(Discard::Malformed)?;
        match self {
            Transform::CounterMode { cipher, salt, mac, .. } => {
                cipher.apply(&counter(salt, ssrc, index), payload).map_err(|_| Discard::Library)?;
                copy(tag_room, &mac.sign(&[aad, payload, &roc(index)]));
            }
            Transform::Gcm { cipher, salt } => {
                let tag = cipher.seal(&rtp_nonce(salt, ssrc, index), &[aad], payload).map_err(|_| Discard::Library)?;
                copy(tag_room, &tag);
            }
        }
        Ok(length + tag_length)
    }

    /// Checks and opens an SRTP packet; the length of the RTP packet. When it is not authentic,
    /// the payload is left as it came if `keep` says so; otherwise it may be anything.
    pub fn unprotect_rtp(
        &mut self,
        packet: &mut [u8],
        header: usize,
        ssrc: u32,
        index: u64,
        keep: bool,
    ) -> Result<usize, Discard> {
        let length = packet.len().checked_sub(self.tag_length()).ok_or(Discard::Malformed)?;
        let (packet, tag) = packet.split_at_mut_checked(length).ok_or(Discard::Malformed)?;
        let (aad, payload) = packet.split_at_mut_checked(header).ok_or(Discard::Malformed)?;
        match self {
            Transform::CounterMode { cipher, salt, mac, .. } => {
                if !mac.verify(&[aad, payload, &roc(index)], tag) {
                    return Err(Discard::NotAuthentic);
                }
                cipher.apply(&counter(salt, ssrc, index), payload).map_err(|_| Discard::Library)?;
            }
            Transform::Gcm { cipher, salt } => {
                let nonce = rtp_nonce(salt, ssrc, index);
                if !open(cipher, &nonce, &[aad], payload, tag)? {
                    if keep {
                        // The same key stream once more takes it off again.
                        cipher.seal(&nonce, &[], payload).map_err(|_| Discard::Library)?;
                    }
                    return Err(Discard::NotAuthentic);
                }
            }
        }
        Ok(length)
    }

    /// Protects the RTCP packet that is the first `length` bytes of `buf`; its new length.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], length: usize, ssrc: u32, index: u32) -> Result<usize, Discard> {
        let tag_length = self.tag_length();
        let (packet, room) = buf.split_at_mut_checked(length).ok_or(Discard::NoRoom)?;
        let trailer = room.get_mut(..tag_length + RTCP_INDEX).ok_or(Discard::NoRoom)?;
        let (header, body) = packet.split_at_mut_checked(RTCP_HEADER).ok_or(Discard::Malformed)?;
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Transform::CounterMode { cipher, salt, mac, .. } => {
                cipher.apply(&counter(salt, ssrc, index.into()), body).map_err(|_| Discard::Library)?;
                let (word_room, tag_room) = trailer.split_at_mut(RTCP_INDEX);
                copy(word_room, &word);
                copy(tag_room, &mac.sign(&[header, body, &word]));
            }
            Transform::Gcm { cipher, salt } => {
                let tag = cipher
                    .seal(&rtcp_nonce(salt, ssrc, index), &[header, &word], body)
                    .map_err(|_| Discard::Library)?;
                let (tag_room, word_room) = trailer.split_at_mut(TAG_LENGTH);
                copy(tag_room, &tag);
                copy(word_room, &word);
            }
        }
        Ok(length + tag_length + RTCP_INDEX)
    }

    /// The index that an SRTCP packet claims.
    pub fn rtcp_index(&self, packet: &[u8]) -> Result<u32, Discard> {
        self.rtcp_word(packet).map(|word| word & !ENCRYPTED)
    }

    /// Checks and opens an SRTCP packet; the length of the RTCP packet.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8], ssrc: u32) -> Result<usize, Discard> {
        let word = self.rtcp_word(packet)?;
        let encrypted = word & ENCRYPTED != 0;
        let index = word & !ENCRYPTED;
        let length = packet
            .len()
            .checked_sub(self.tag_length() + RTCP_INDEX)
            .filter(|length| *length >= RTCP_HEADER)
            .ok_or(Discard::Malformed)?;
        let (packet, trailer) = packet.split_at_mut(length);
        let word = word.to_be_bytes();
        let clear = if encrypted { RTCP_HEADER } else { length };
        let (header, body) = packet.split_at_mut(clear);
        match self {
            Transform::CounterMode { cipher, salt, mac, .. } => {
                let (_, tag) = trailer.split_at(RTCP_INDEX);
                if !mac.verify(&[header, body, &word], tag) {
                    return Err(Discard::NotAuthentic);
                }
                cipher.apply(&counter(salt, ssrc, index.into()), body).map_err(|_| Discard::Library)?;
            }
            Transform::Gcm { cipher, salt } => {
                let (tag, _) = trailer.split_at(TAG_LENGTH);
                let nonce = rtcp_nonce(salt, ssrc, index);
                if !open(cipher, &nonce, &[header, &word], body, tag)? {
                    return Err(Discard::NotAuthentic);
                }
            }
        }
        Ok(length)
    }

    /// The word that holds the flag E and the index: before the tag, or after it with GCM.
    fn rtcp_word(&self, packet: &[u8]) -> Result<u32, Discard> {
        let behind = match self {
            Transform::CounterMode { tag_length, .. } => *tag_length,
            Transform::Gcm { .. } => 0,
        };
        packet
            .len()
            .checked_sub(behind)
            .and_then(|end| packet.get(..end))
            .and_then(|packet| packet.last_chunk::<RTCP_INDEX>())
            .map(|word| u32::from_be_bytes(*word))
            .ok_or(Discard::Malformed)
    }

    fn tag_length(&self) -> usize {
        match self {
            Transform::CounterMode { tag_length, .. } => *tag_length,
            Transform::Gcm { .. } => TAG_LENGTH,
        }
    }
}

impl Drop for Transform {
    fn drop(&mut self) {
        match self {
            Transform::CounterMode { salt, .. } => cleanse(salt),
            Transform::Gcm { salt, .. } => cleanse(salt),
        }
    }
}

fn open(cipher: &mut AesGcm, nonce: &[u8; 12], aad: &[&[u8]], data: &mut [u8], tag: &[u8]) -> Result<bool, Discard> {
    let tag = tag.first_chunk().ok_or(Discard::Malformed)?;
    cipher.open(nonce, aad, data, tag).map_err(|_| Discard::Library)
}

/// The first counter block (RFC 3711 section 4.1.1):
/// `salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16`.
fn counter(salt: &[u8; 16], ssrc: u32, index: u64) -> [u8; 16] {
    let block = u128::from_be_bytes(*salt) ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
    block.to_be_bytes()
}

/// RFC 7714 section 8.1: `00 00 | SSRC | ROC | SEQ XOR salt`. The last two are the index.
fn rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> [u8; 12] {
    nonce(salt, u128::from(ssrc) << 48 ^ u128::from(index))
}

/// RFC 7714 section 9.1: `00 00 | SSRC | 00 00 | index XOR salt`.
fn rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> [u8; 12] {
    nonce(salt, u128::from(ssrc) << 48 ^ u128::from(index))
}

fn nonce(salt: &[u8; 12], value: u128) -> [u8; 12] {
    let mut nonce = *salt;
    for (byte, value) in nonce.iter_mut().zip(value.to_be_bytes().iter().skip(4)) {
        *byte ^= value;
    }
    nonce
}

fn roc(index: u64) -> [u8; 4] {
    // An index has 48 bits.
    ((index >> 16) as u32).to_be_bytes()
}

/// `from` in an array, zeros behind it.
fn filled<const N: usize>(from: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    copy(&mut out, from);
    out
}

/// Copies as much as both have.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
