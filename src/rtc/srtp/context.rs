//! One direction of a session: the sources under a master key, and their packets.

use super::cipher::{RTCP_HEADER, Transform};
use super::kdf::Kdf;
use super::stream::{RTCP_INDICES, Stream, fresh};
use super::{Discard, Profile};
use crate::host::openssl::Error;

/// The most that protection adds to a packet.
pub const MAX_OVERHEAD: usize = 20;

/// How many sources one key may have. A source is remembered as long as the key, because what
/// would be forgotten could be replayed, and on the sender's side a counter would start again and
/// repeat its key stream. Only authenticated sources count.
const MAX_SOURCES: usize = 256;

const RTP_HEADER: usize = 12;

/// A master key of one direction.
///
/// [`Context::protect_rtp`] takes any sequence number: a packet sent once may be protected again
/// for a retransmission, and comes out the same. Two different packets with the same SSRC and
/// sequence number must never be protected (RFC 3711 section 9.1): the caller keeps sequence
/// numbers going across re-INVITEs.
pub struct Context {
    profile: Profile,
    rtp: Transform,
    rtcp: Transform,
    streams: Vec<Stream>,
    /// Where the last packet's source was found: mostly the next one's too.
    recent: usize,
    replay_protection: bool,
}

impl Context {
    /// Derives the session keys. Fails when key or salt have not the lengths that `profile`
    /// wants, or when the library does.
    pub fn new(profile: Profile, master_key: &[u8], master_salt: &[u8]) -> Result<Context, KeyError> {
        if master_key.len() != profile.key_length() || master_salt.len() != profile.salt_length() {
            return Err(KeyError::Length);
        }
        let mut kdf = Kdf::new(master_key, master_salt)?;
        Ok(Context {
            profile,
            rtp: Transform::for_rtp(&mut kdf, profile)?,
            rtcp: Transform::for_rtcp(&mut kdf, profile)?,
            streams: Vec::new(),
            recent: 0,
            replay_protection: true,
        })
    }

    /// Whether packets that were received before are discarded, as they are by default
    /// (`srtpreplayprotection`).
    pub fn set_replay_protection(&mut self, on: bool) {
        self.replay_protection = on;
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The rollover counter of a source.
    pub fn roc(&self, ssrc: u32) -> Option<u32> {
        let stream = self.streams.iter().find(|stream| stream.ssrc == ssrc)?;
        // An index has 48 bits.
        stream.rtp.highest().map(|index| (index >> 16) as u32)
    }

    /// Says where a source that has not been heard yet is in its count, for joining late. Without
    /// it a source is taken to begin in its first or second cycle.
    pub fn set_roc(&mut self, ssrc: u32, roc: u32) -> Result<(), Discard> {
        let i = self.find_or_add(ssrc)?;
        if let Some(stream) = self.streams.get_mut(i) {
            stream.initial_roc = roc;
        }
        Ok(())
    }

    /// Protects an RTP packet.
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), Discard> {
        in_vec(packet, |buf, length| self.protect_rtp_in_place(buf, length))
    }

    /// Protects the RTP packet that is the first `length` bytes of `buf`; its new length.
    pub fn protect_rtp_in_place(&mut self, buf: &mut [u8], length: usize) -> Result<usize, Discard> {
        let packet = buf.get(..length).ok_or(Discard::NoRoom)?;
        let (header, sequence, ssrc) = rtp_header(packet)?;
        let i = self.find_or_add(ssrc)?;
        let stream = self.streams.get_mut(i).ok_or(Discard::TooManySources)?;
        let index = stream.estimate(sequence)?;
        let protected = self.rtp.protect_rtp(buf, header, length, ssrc, index)?;
        stream.rtp.accept(index);
        Ok(protected)
    }

    /// Checks and opens an SRTP packet; the length of the RTP packet in it.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, Discard> {
        let (header, sequence, ssrc) = rtp_header(packet)?;
        let known = self.find(ssrc);
        let full = self.streams.len() >= MAX_SOURCES;
        let mut new = None;
        let stream = match known.and_then(|i| self.streams.get_mut(i)) {
            Some(stream) => stream,
            None if full => return Err(Discard::TooManySources),
            None => new.insert(Stream::new(ssrc)),
        };
        let index = stream.estimate(sequence)?;
        if self.replay_protection {
            fresh(&stream.rtp, index)?;
        }
        // A source that nothing was heard of may have wrapped around already, if its first
        // packets were lost.
        let wrapped =
            (stream.rtp.highest().is_none() && sequence < 0x8000).then(|| index.checked_add(0x1_0000)).flatten();
        let first = self.rtp.unprotect_rtp(packet, header, ssrc, index, wrapped.is_some());
        let (opened, index) = match (first, wrapped) {
            (Err(Discard::NotAuthentic), Some(index)) => {
                (self.rtp.unprotect_rtp(packet, header, ssrc, index, false)?, index)
            }
            (first, _) => (first?, index),
        };
        stream.rtp.accept(index);
        self.recent = known.unwrap_or(self.streams.len());
        self.streams.extend(new);
        Ok(opened)
    }

    /// Protects an RTCP packet, simple or compound.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), Discard> {
        in_vec(packet, |buf, length| self.protect_rtcp_in_place(buf, length))
    }

    /// Protects the RTCP packet that is the first `length` bytes of `buf`; its new length.
    pub fn protect_rtcp_in_place(&mut self, buf: &mut [u8], length: usize) -> Result<usize, Discard> {
        let packet = buf.get(..length).ok_or(Discard::NoRoom)?;
        let ssrc = rtcp_ssrc(packet)?;
        let i = self.find_or_add(ssrc)?;
        let stream = self.streams.get_mut(i).ok_or(Discard::TooManySources)?;
        let index = stream.next_rtcp;
        if index >= RTCP_INDICES {
            return Err(Discard::KeyExhausted);
        }
        let protected = self.rtcp.protect_rtcp(buf, length, ssrc, index)?;
        stream.next_rtcp = index + 1;
        Ok(protected)
    }

    /// Checks and opens an SRTCP packet; the length of the RTCP packet in it.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Discard> {
        let ssrc = rtcp_ssrc(packet)?;
        let index = u64::from(self.rtcp.rtcp_index(packet)?);
        let known = self.find(ssrc);
        let full = self.streams.len() >= MAX_SOURCES;
        let mut new = None;
        let stream = match known.and_then(|i| self.streams.get_mut(i)) {
            Some(stream) => stream,
            None if full => return Err(Discard::TooManySources),
            None => new.insert(Stream::new(ssrc)),
        };
        if self.replay_protection {
            fresh(&stream.rtcp, index)?;
        }
        let opened = self.rtcp.unprotect_rtcp(packet, ssrc)?;
        stream.rtcp.accept(index);
        self.streams.extend(new);
        Ok(opened)
    }

    fn find(&mut self, ssrc: u32) -> Option<usize> {
        let recent = self.recent;
        if self.streams.get(recent).is_some_and(|s| s.ssrc == ssrc) {
            return Some(recent);
        }
        let i = self.streams.iter().position(|s| s.ssrc == ssrc)?;
        self.recent = i;
        Some(i)
    }

    fn find_or_add(&mut self, ssrc: u32) -> Result<usize, Discard> {
        if let Some(i) = self.find(ssrc) {
            return Ok(i);
        }
        if self.streams.len() >= MAX_SOURCES {
            return Err(Discard::TooManySources);
        }
        self.streams.push(Stream::new(ssrc));
        self.recent = self.streams.len() - 1;
        Ok(self.recent)
    }
}

/// Why a master key is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Key or salt is not as long as the profile says.
    Length,
    Library(Error),
}

impl From<Error> for KeyError {
    fn from(error: Error) -> KeyError {
        KeyError::Library(error)
    }
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyError::Length => f.write_str("master key or salt of the wrong length"),
            KeyError::Library(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyError {}

/// The header's length, with contributing sources and extension; the sequence number; the SSRC.
///
/// ```text
///  0                   1                   2                   3
/// |V=2|P|X|  CC   |M|     PT      |       sequence number         |
/// |                           timestamp                           |
/// |                             SSRC                              |
/// |                    CSRC (CC times 4 bytes)                    |
/// |      defined by profile       |  length of extension in words |
/// ```
fn rtp_header(packet: &[u8]) -> Result<(usize, u16, u32), Discard> {
    let fixed: &[u8; RTP_HEADER] = packet.first_chunk().ok_or(Discard::Malformed)?;
    let [first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] = *fixed;
    if first >> 6 != 2 {
        return Err(Discard::Malformed);
    }
    let mut length = RTP_HEADER + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let extension: &[u8; 4] = packet.get(length..).and_then(<[u8]>::first_chunk).ok_or(Discard::Malformed)?;
        let [_, _, high, low] = *extension;
        length += 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
    }
    if length > packet.len() {
        return Err(Discard::Malformed);
    }
    let sequence = u16::from_be_bytes([s0, s1]);
    Ok((length, sequence, u32::from_be_bytes([c0, c1, c2, c3])))
}

/// The SSRC of the first packet of a compound.
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Discard> {
    let header: &[u8; RTCP_HEADER] = packet.first_chunk().ok_or(Discard::Malformed)?;
    let [first, _, _, _, c0, c1, c2, c3] = *header;
    if first >> 6 != 2 {
        return Err(Discard::Malformed);
    }
    Ok(u32::from_be_bytes([c0, c1, c2, c3]))
}

/// Does `protect` with room behind the packet.
fn in_vec(
    packet: &mut Vec<u8>,
    protect: impl FnOnce(&mut [u8], usize) -> Result<usize, Discard>,
) -> Result<(), Discard> {
    let length = packet.len();
    packet.resize(length + MAX_OVERHEAD, 0);
    let result = protect(packet, length);
    packet.truncate(*result.as_ref().unwrap_or(&length));
    result.map(drop)
}
