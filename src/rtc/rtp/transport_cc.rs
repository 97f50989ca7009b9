//! Feedback for congestion control at the sender: when each packet of a transport arrived
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! ```text
//! |      base sequence number     |      packet status count      |
//! |                 reference time                | fb pkt. count |
//! |          packet chunk         |         packet chunk          |
//! |  recv delta   |  recv delta   | ...
//! ```
//!
//! A chunk is a run of one status, or a vector of seven. The reference time counts 64 ms, a delta
//! 250 µs since the packet before: one byte if it fits, else two with sign.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often feedback is sent while packets arrive.
const INTERVAL: Duration = Duration::from_millis(100);
/// Packets that one message tells of, arrived or not. It stays within a datagram with them.
const MAX_STATUSES: u64 = 400;
/// Arrivals kept; the message is due long before.
const MAX_ARRIVALS: usize = 2000;
/// One unit of the reference time, and of a delta, in microseconds.
const REFERENCE: u64 = 64_000;
const TICK: u64 = 250;

/// What becomes of a packet, as two bits say it.
const NOT_RECEIVED: u16 = 0;
const SMALL_DELTA: u16 = 1;
const LARGE_DELTA: u16 = 2;

/// The arrivals of one transport, and the feedback made of them.
#[derive(Clone, Debug)]
pub struct TransportCc {
    id: u8,
    /// What the reference time counts from.
    origin: Instant,
    arrivals: BTreeMap<u64, Instant>,
    highest: Option<u64>,
    /// The first number that no message has told of yet.
    next: Option<u64>,
    due: Option<Instant>,
    messages: u8,
}

impl TransportCc {
    /// Packets carry their transport-wide number in the header extension `id`.
    pub fn new(now: Instant, id: u8) -> Self {
        TransportCc { id, origin: now, arrivals: BTreeMap::new(), highest: None, next: None, due: None, messages: 0 }
    }

    /// The id of the header extension.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// Takes note of a packet with transport-wide number `seq`.
    pub fn packet(&mut self, now: Instant, seq: u16) {
        let number = match self.highest {
            // The first cycle begins above 0, for what arrives late.
            None => 0x1_0000 + u64::from(seq),
            Some(highest) => {
                let ahead = seq.wrapping_sub(highest as u16).cast_signed();
                highest.saturating_add_signed(i64::from(ahead))
            }
        };
        self.highest = self.highest.max(Some(number));
        if self.arrivals.len() < MAX_ARRIVALS {
            // The first arrival counts: a packet may be doubled.
            self.arrivals.entry(number).or_insert(now);
        }
        self.due.get_or_insert(now + INTERVAL);
    }

    /// When a message is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The control information of the message that is due, if one is.
    pub fn poll_message(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.due? > now {
            return None;
        }
        let first = *self.arrivals.first_key_value()?.0;
        let base = match self.next {
            // What is missing since the last message is told too, unless it is an outage.
            Some(next) if next < first && first - next < MAX_STATUSES => next,
            _ => first,
        };
        let reference = self.units(*self.arrivals.first_key_value()?.1) / REFERENCE;
        let mut at = reference * REFERENCE / TICK;
        let mut statuses = Vec::new();
        let mut deltas = Vec::new();
        while let Some((&number, &arrival)) = self.arrivals.first_key_value() {
            if number - base >= MAX_STATUSES {
                break;
            }
            let ticks = self.units(arrival) / TICK;
            let delta = ticks.cast_signed() - at.cast_signed();
            let status = match (u8::try_from(delta), i16::try_from(delta)) {
                (Ok(small), _) => {
                    deltas.push(small);
                    SMALL_DELTA
                }
                (_, Ok(large)) => {
                    deltas.extend_from_slice(&large.to_be_bytes());
                    LARGE_DELTA
                }
                // More than 8 s: the next message begins with another reference time. The first
                // packet's delta is always small.
                _ => break,
            };
            statuses.resize((number - base) as usize, NOT_RECEIVED);
            statuses.push(status);
            at = ticks;
            self.arrivals.pop_first();
        }
        self.next = Some(base + statuses.len() as u64);
        self.due = (!self.arrivals.is_empty()).then_some(now);

        let mut fci = Vec::with_capacity(8 + statuses.len() / 3 + deltas.len());
        fci.extend_from_slice(&(base as u16).to_be_bytes());
        fci.extend_from_slice(&(statuses.len() as u16).to_be_bytes());
        // 24 bits, which wrap.
        fci.extend_from_slice(&((reference as u32) << 8 | u32::from(self.messages)).to_be_bytes());
        write_chunks(&mut fci, &statuses);
        fci.extend_from_slice(&deltas);
        self.messages = self.messages.wrapping_add(1);
        Some(fci)
    }

    fn units(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.origin).as_micros() as u64
    }
}

fn write_chunks(out: &mut Vec<u8>, statuses: &[u16]) {
    let mut rest = statuses;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|status| **status == first).count();
        let (chunk, told) = if run >= 7 {
            // At most `MAX_STATUSES`, which 13 bits hold.
            (first << 13 | run as u16, run)
        } else {
            let told = rest.len().min(7);
            let vector = rest.iter().take(told).enumerate();
            let symbols = vector.fold(0u16, |bits, (place, status)| bits | status << (12 - 2 * place));
            (0xc000 | symbols, told)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        rest = rest.get(told..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What a message says: number and arrival in ticks since the origin, `None` if lost.
    fn read(fci: &[u8]) -> Vec<(u16, Option<i64>)> {
        let word = |at: usize| u16::from_be_bytes([fci[at], fci[at + 1]]);
        let (base, count) = (word(0), usize::from(word(2)));
        let reference = u32::from_be_bytes([0, fci[4], fci[5], fci[6]]);
        let mut statuses = Vec::new();
        let mut at = 8;
        while statuses.len() < count {
            let chunk = word(at);
            at += 2;
            match chunk >> 14 {
                0b11 => statuses.extend((0..7).map(|place| chunk >> (12 - 2 * place) & 3)),
                0b00 | 0b01 => {
                    statuses.extend(std::iter::repeat_n(chunk >> 13 & 3, usize::from(chunk & 0x1fff)));
                }
                other => panic!("chunk of kind {other}"),
            }
        }
        let mut time = i64::from(reference) * 256;
        let told = statuses[..count].iter().enumerate().map(|(place, status)| {
            let delta = match *status {
                NOT_RECEIVED => return (base.wrapping_add(place as u16), None),
                SMALL_DELTA => {
                    at += 1;
                    i64::from(fci[at - 1])
                }
                _ => {
                    at += 2;
                    i64::from(i16::from_be_bytes([fci[at - 2], fci[at - 1]]))
                }
            };
            time += delta;
            (base.wrapping_add(place as u16), Some(time))
        });
        let told = told.collect();
        assert_eq!(at, fci.len());
        told
    }

    #[test]
    fn a_message_of_known_bytes() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start, 3);
        cc.packet(start + ms(64), 0xffff);
        cc.packet(start + ms(65), 1);
        assert_eq!(cc.poll_message(start + ms(100)), None);
        let fci = cc.poll_message(start + ms(164)).unwrap();
        // Base 65535, three packets, 1 × 64 ms, the first message; a vector: small, lost, small; 0 and 4 ticks.
        assert_eq!(fci, [0xff, 0xff, 0, 3, 0, 0, 1, 0, 0b1101_0001, 0, 0, 4]);
        assert_eq!(cc.poll_timeout(), None);
    }

    #[test]
    fn loss_reordering_and_pauses_are_told_once() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start, 3);
        let mut expected = Vec::new();
        let mut told = Vec::new();
        let mut now = start;
        for n in 0..20_000u32 {
            let seq = 60_000u16.wrapping_add(n as u16);
            now += ms(if n % 5000 == 4999 { 9000 } else { 1 + u64::from(n % 3) });
            let lost = n % 100 == 50 || (3000..3020).contains(&n);
            if !lost {
                cc.packet(now, seq);
            }
            let arrival = (now - start).as_micros() as i64 / 250;
            expected.push((seq, (!lost).then_some(arrival)));
            while cc.poll_timeout().is_some_and(|due| due <= now) {
                let fci = cc.poll_message(now).unwrap();
                assert!(fci.len() < 1200);
                told.extend(read(&fci));
            }
        }
        assert!(told.len() > 19_900);
        assert_eq!(told, expected[..told.len()]);
    }

    #[test]
    fn an_arrival_out_of_order_has_a_negative_delta() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start, 3);
        cc.packet(start + ms(10), 5);
        cc.packet(start + ms(30), 7);
        cc.packet(start + ms(20), 8);
        cc.packet(start + ms(40), 6);
        let fci = cc.poll_message(start + ms(200)).unwrap();
        assert_eq!(read(&fci), [(5, Some(40)), (6, Some(160)), (7, Some(120)), (8, Some(80))]);
    }

    #[test]
    fn a_flood_is_bounded() {
        let start = Instant::now();
        let mut cc = TransportCc::new(start, 3);
        for n in 0..50_000u32 {
            cc.packet(start, n.wrapping_mul(7919) as u16);
        }
        assert!(cc.arrivals.len() <= MAX_ARRIVALS);
        let mut messages = 0;
        while cc.poll_message(start + ms(100)).is_some() {
            messages += 1;
        }
        assert!(messages < 4000 && cc.arrivals.is_empty(), "{messages}");
    }
}
