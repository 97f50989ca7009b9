//! What was sent lately, for peers that ask for it again.
//!
//! The packets are kept as they went out, protected. To resend one is then a copy: there is no
//! second encryption under an index, so none that could differ (RFC 3711 §9.1), and none whose
//! rollover counter could be guessed wrongly for an old number. A resend on the same SSRC is a
//! packet that the receiver has not seen, which its replay window lets in. The RTX format
//! (RFC 4588) would want the payload in the clear; neither of Asterisk's SIP channels can
//! negotiate it, nor has Asterisk a format for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes kept: one second at 4 Mbit/s.
const MAX_BYTES: usize = 512 * 1024;
/// Older packets are too late for any decoder.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The least time before the same packet is sent again: a peer repeats its request after a round
/// trip, and a request that is doubled by the network is one request.
const LEAST_INTERVAL: Duration = Duration::from_millis(5);
/// Resends take at most every second byte, on top of what a pause has saved up to this.
const MAX_CREDIT: usize = 128 * 1024;
/// Buffers kept for use again.
const MAX_SPARE: usize = 16;

#[derive(Clone, Debug)]
struct Stored {
    seq: u16,
    at: Instant,
    resent: Option<Instant>,
    bytes: Vec<u8>,
}

/// The packets of one stream, in the order in which they were sent.
#[derive(Clone, Debug)]
pub struct ResendBuffer {
    stored: VecDeque<Stored>,
    bytes: usize,
    credit: usize,
    spare: Vec<Vec<u8>>,
}

impl Default for ResendBuffer {
    fn default() -> Self {
        ResendBuffer { stored: VecDeque::new(), bytes: 0, credit: MAX_CREDIT, spare: Vec::new() }
    }
}

impl ResendBuffer {
    /// Keeps a copy of a packet as it is sent.
    pub fn store(&mut self, now: Instant, seq: u16, packet: &[u8]) {
        while let Some(first) = self.stored.front()
            && (now.saturating_duration_since(first.at) > MAX_AGE || self.bytes + packet.len() > MAX_BYTES)
        {
            if let Some(oldest) = self.stored.pop_front() {
                self.bytes -= oldest.bytes.len();
                if self.spare.len() < MAX_SPARE {
                    self.spare.push(oldest.bytes);
                }
            }
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(packet);
        self.bytes += bytes.len();
        self.credit = (self.credit + packet.len() / 2).min(MAX_CREDIT);
        self.stored.push_back(Stored { seq, at: now, resent: None, bytes });
    }

    /// The packet of number `seq`, if it is to be sent again now: it is still there, was not sent
    /// again within `interval`, and the resends do not outgrow the stream.
    pub fn take(&mut self, now: Instant, seq: u16, interval: Duration) -> Option<&[u8]> {
        let stored = self.stored.iter_mut().rev().find(|stored| stored.seq == seq)?;
        let last = stored.resent.unwrap_or(stored.at);
        let interval = interval.max(LEAST_INTERVAL);
        let soon = stored.resent.is_some() && now.saturating_duration_since(last) < interval;
        let old = now.saturating_duration_since(stored.at) > MAX_AGE;
        if soon || old || self.credit < stored.bytes.len() {
            return None;
        }
        self.credit -= stored.bytes.len();
        stored.resent = Some(now);
        Some(&stored.bytes)
    }

    /// Forgets everything: there are other keys, or the peer is another one.
    pub fn clear(&mut self) {
        self.stored.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(10);
    const RTT: Duration = Duration::from_millis(50);

    #[test]
    fn a_packet_comes_back_as_it_went_and_not_twice_at_once() {
        let start = Instant::now();
        let mut buffer = ResendBuffer::default();
        buffer.store(start, 65_535, b"first");
        buffer.store(start, 0, b"second");
        assert_eq!(buffer.take(start + FRAME, 65_535, RTT), Some(&b"first"[..]));
        assert_eq!(buffer.take(start + FRAME, 65_535, RTT), None);
        assert_eq!(buffer.take(start + FRAME, 0, RTT), Some(&b"second"[..]));
        assert_eq!(buffer.take(start + FRAME, 1, RTT), None);
        assert_eq!(buffer.take(start + FRAME + RTT, 65_535, RTT), Some(&b"first"[..]));
        buffer.clear();
        assert_eq!(buffer.take(start + RTT * 3, 0, RTT), None);
    }

    #[test]
    fn it_is_bounded_in_bytes_and_age() {
        let start = Instant::now();
        let mut buffer = ResendBuffer::default();
        let packet = [0; 1200];
        for n in 0..5000u16 {
            buffer.store(start, n, &packet);
        }
        assert!(buffer.bytes <= MAX_BYTES);
        assert_eq!(buffer.bytes, buffer.stored.len() * 1200);
        assert!(buffer.take(start, 4999, RTT).is_some());
        assert!(buffer.take(start, 4000, RTT).is_none());
        let later = start + MAX_AGE + FRAME;
        assert!(buffer.take(later, 4998, RTT).is_none());
        buffer.store(later, 5000, &packet);
        assert_eq!(buffer.stored.len(), 1);
    }

    #[test]
    fn a_flood_of_requests_takes_no_more_than_every_second_byte() {
        let start = Instant::now();
        let mut buffer = ResendBuffer::default();
        let packet = [0; 1000];
        let (mut sent, mut resent) = (0usize, 0usize);
        for n in 0..10_000u16 {
            let now = start + Duration::from_millis(2) * u32::from(n);
            buffer.store(now, n, &packet);
            sent += packet.len();
            for back in 0..100 {
                resent += buffer.take(now, n.wrapping_sub(back), Duration::ZERO).map_or(0, <[u8]>::len);
            }
        }
        assert!(resent <= sent / 2 + MAX_CREDIT, "{resent} of {sent}");
    }
}
