//! Digits as RTP named events (RFC 4733), received and sent.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     event     |E|R| volume    |          duration             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! All packets of an event carry the timestamp of its beginning and a growing duration; the last
//! one is sent three times. An event that outlasts the 16 bits of the duration goes on as another
//! segment whose timestamp is where the segment before ended (§2.5.1.3).

use std::time::{Duration, Instant};

/// How often a continuing event is sent.
const INTERVAL: Duration = Duration::from_millis(20);
/// The space between the repeated end packets.
const END_INTERVAL: Duration = Duration::from_millis(10);
/// How often the end is sent.
const ENDS: u8 = 3;
/// -10 dBm0, as phones send.
const VOLUME: u8 = 10;

/// The digit of an event code.
fn digit_of(event: u8) -> Option<char> {
    Some(match event {
        0..=9 => char::from(b'0' + event),
        10 => '*',
        11 => '#',
        12..=15 => char::from(b'A' + event - 12),
        16 => 'X',
        _ => return None,
    })
}

/// The event code of a digit.
fn event_of(digit: char) -> Option<u8> {
    Some(match digit {
        '0'..='9' => digit as u8 - b'0',
        '*' => 10,
        '#' => 11,
        'A'..='D' => digit as u8 - b'A' + 12,
        'a'..='d' => digit as u8 - b'a' + 12,
        'X' | 'x' => 16,
        _ => return None,
    })
}

fn to_time(units: u32, clock_rate: u32) -> Duration {
    Duration::from_micros(u64::from(units) * 1_000_000 / u64::from(clock_rate.max(1)))
}

/// A digit received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digit {
    /// It began.
    Begin(char),
    /// It ended, after this time.
    End(char, Duration),
}

/// The payload is too short, or names an event that is no digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADigit;

#[derive(Clone, Copy, Debug)]
struct Current {
    digit: char,
    timestamp: u32,
    /// Of the segments before this one.
    earlier: u32,
    duration: u32,
    clock_rate: u32,
    heard: Instant,
}

impl Current {
    fn end(&self) -> Digit {
        let units = self.earlier.saturating_add(self.duration);
        Digit::End(self.digit, to_time(units, self.clock_rate))
    }
}

/// Turns packets into digits.
#[derive(Clone, Debug)]
pub struct Receiver {
    timeout: Duration,
    current: Option<Current>,
    /// The timestamp of the last event that ended.
    ended: Option<u32>,
}

impl Receiver {
    /// A receiver that ends a digit after `timeout` without a packet of it.
    pub fn new(timeout: Duration) -> Self {
        Receiver { timeout, current: None, ended: None }
    }

    /// Takes a packet's payload; at most two digits come of it.
    pub fn packet(
        &mut self,
        now: Instant,
        timestamp: u32,
        marker: bool,
        clock_rate: u32,
        payload: &[u8],
    ) -> Result<[Option<Digit>; 2], NotADigit> {
        let &[event, flags, high, low, ..] = payload else {
            return Err(NotADigit);
        };
        let digit = digit_of(event).ok_or(NotADigit)?;
        let duration = u32::from(u16::from_be_bytes([high, low]));
        let is_end = flags & 0x80 != 0;

        if self.is_past(timestamp) {
            return Ok([None, None]);
        }
        let mut out = [None, None];
        match &mut self.current {
            Some(current) if current.digit == digit && current.timestamp == timestamp => {
                current.duration = current.duration.max(duration);
                current.heard = now;
            }
            Some(current)
                if current.digit == digit && !marker && current.timestamp.wrapping_add(0xffff) == timestamp =>
            {
                // The next segment of a long event.
                current.earlier = current.earlier.saturating_add(0xffff);
                current.timestamp = timestamp;
                current.duration = duration;
                current.heard = now;
            }
            _ => {
                // The end of the one before was lost.
                out[0] = self.finish();
                self.current = Some(Current { digit, timestamp, earlier: 0, duration, clock_rate, heard: now });
                if out[0].is_none() {
                    out[0] = Some(Digit::Begin(digit));
                } else {
                    out[1] = Some(Digit::Begin(digit));
                }
            }
        }
        if is_end {
            if out[0].is_none() {
                out[0] = self.finish();
            } else if out[1].is_none() {
                out[1] = self.finish();
            }
            // Both places are taken when one digit's end and all but the end of the next were
            // lost; the repeated end packets or the timeout then give the end.
        }
        Ok(out)
    }

    /// Whether `timestamp` is of an event that is over, or before the present one.
    fn is_past(&self, timestamp: u32) -> bool {
        let not_after = |than: u32| (timestamp.wrapping_sub(than) as i32) <= 0;
        match (&self.current, self.ended) {
            (Some(current), _) if current.timestamp != timestamp => not_after(current.timestamp),
            (Some(_), _) => false,
            // A jump back by more than a minute at 48 kHz is another source, not an old packet.
            (None, Some(ended)) => not_after(ended) && ended.wrapping_sub(timestamp) < 48_000 * 60,
            (None, None) => false,
        }
    }

    fn finish(&mut self) -> Option<Digit> {
        let current = self.current.take()?;
        self.ended = Some(current.timestamp);
        Some(current.end())
    }

    /// Ends a digit whose packets have stopped coming.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Digit> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.finish()
    }

    /// When the digit that is held times out.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.current?.heard + self.timeout)
    }
}

/// A packet of an event to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// Payload type.
    pub pt: u8,
    /// Set on the first packet of an event.
    pub marker: bool,
    /// The beginning of the event, or of its segment.
    pub timestamp: u32,
    /// The four bytes of payload.
    pub payload: [u8; 4],
}

#[derive(Clone, Copy, Debug)]
struct Sending {
    digit: char,
    event: u8,
    pt: u8,
    clock_rate: u32,
    timestamp: u32,
    begun: Instant,
    next: Instant,
    /// Units before this segment.
    earlier: u64,
    /// Units in this segment, as last sent.
    duration: u16,
    first: bool,
    ends_left: Option<u8>,
}

/// Turns digits into packets.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    sending: Option<Sending>,
}

impl Sender {
    /// Begins a digit whose event has `timestamp`. False if it is none. An unfinished digit is
    /// given up: its end was due with [`Sender::end`].
    pub fn begin(&mut self, now: Instant, pt: u8, clock_rate: u32, timestamp: u32, digit: char) -> bool {
        let Some(event) = event_of(digit) else {
            return false;
        };
        self.sending = Some(Sending {
            digit: digit.to_ascii_uppercase(),
            event,
            pt,
            clock_rate: clock_rate.max(1),
            timestamp,
            begun: now,
            next: now,
            earlier: 0,
            duration: 0,
            first: true,
            ends_left: None,
        });
        true
    }

    /// The digit that is being sent and has not been ended.
    pub fn digit(&self) -> Option<char> {
        self.sending.filter(|sending| sending.ends_left.is_none()).map(|sending| sending.digit)
    }

    /// Ends the digit. If `duration` is longer than it has lasted so far, that is sent as its
    /// duration.
    pub fn end(&mut self, now: Instant, duration: Option<Duration>) {
        if let Some(sending) = &mut self.sending
            && sending.ends_left.is_none()
        {
            sending.ends_left = Some(ENDS);
            sending.next = now;
            if let Some(duration) = duration {
                let begun = now.checked_sub(duration).unwrap_or(now);
                sending.begun = sending.begun.min(begun);
            }
        }
    }

    /// Whether a packet, or the end of one, is still to come.
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// When the next packet is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.sending?.next)
    }

    /// The packet that is due, if one is.
    pub fn poll_packet(&mut self, now: Instant) -> Option<EventPacket> {
        let sending = self.sending.as_mut()?;
        if sending.next > now {
            return None;
        }
        let elapsed = now.saturating_duration_since(sending.begun).max(INTERVAL);
        let total = (elapsed.as_micros() * u128::from(sending.clock_rate) / 1_000_000) as u64;
        // The end packets all carry the same duration.
        if sending.ends_left.is_none_or(|left| left == ENDS) {
            let segment = total.saturating_sub(sending.earlier);
            if segment > 0xffff && sending.duration == 0xffff {
                sending.earlier += 0xffff;
                sending.timestamp = sending.timestamp.wrapping_add(0xffff);
                sending.duration = (segment - 0xffff).clamp(1, 0xffff) as u16;
            } else {
                // The segment is filled before another one begins.
                sending.duration = segment.clamp(1, 0xffff) as u16;
            }
        }
        let [high, low] = sending.duration.to_be_bytes();
        let end = if sending.ends_left.is_some() { 0x80 } else { 0 };
        let packet = EventPacket {
            pt: sending.pt,
            marker: std::mem::take(&mut sending.first),
            timestamp: sending.timestamp,
            payload: [sending.event, end | VOLUME, high, low],
        };
        match &mut sending.ends_left {
            None => sending.next = now + INTERVAL,
            Some(left) => {
                *left -= 1;
                sending.next = now + END_INTERVAL;
                if *left == 0 {
                    self.sending = None;
                }
            }
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(150);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn payload(event: u8, end: bool, duration: u16) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [event, if end { 0x8a } else { 0x0a }, high, low]
    }

    fn digits(found: [Option<Digit>; 2]) -> Vec<Digit> {
        found.into_iter().flatten().collect()
    }

    #[test]
    fn one_digit_with_repeated_ends() {
        let now = Instant::now();
        let mut receiver = Receiver::new(TIMEOUT);
        let mut take = |ts, marker, bytes: [u8; 4]| digits(receiver.packet(now, ts, marker, 8000, &bytes).unwrap());
        assert_eq!(take(1000, true, payload(5, false, 160)), [Digit::Begin('5')]);
        assert_eq!(take(1000, false, payload(5, false, 320)), []);
        assert_eq!(take(1000, false, payload(5, true, 800)), [Digit::End('5', ms(100))]);
        assert_eq!(take(1000, false, payload(5, true, 800)), []);
        assert_eq!(take(1000, false, payload(5, true, 800)), []);
        // A continuation that was overtaken by the end.
        assert_eq!(take(1000, false, payload(5, false, 640)), []);
        assert_eq!(receiver.poll_timeout(), None);
    }

    #[test]
    fn all_digits_at_48_khz() {
        let now = Instant::now();
        let mut receiver = Receiver::new(TIMEOUT);
        for (event, digit) in "0123456789*#ABCDX".chars().enumerate() {
            let ts = 10_000 * event as u32;
            let found = receiver.packet(now, ts, true, 48_000, &payload(event as u8, true, 4800));
            assert_eq!(digits(found.unwrap()), [Digit::Begin(digit), Digit::End(digit, ms(100))]);
        }
        for event in 17..=255u8 {
            assert_eq!(receiver.packet(now, 1, true, 48_000, &payload(event, false, 1)), Err(NotADigit));
        }
        assert_eq!(receiver.packet(now, 1, true, 8000, &[1, 2, 3]), Err(NotADigit));
    }

    #[test]
    fn a_lost_end_is_given_by_the_next_digit_or_by_time() {
        let now = Instant::now();
        let mut receiver = Receiver::new(TIMEOUT);
        receiver.packet(now, 0, true, 8000, &payload(1, false, 400)).unwrap();
        let found = receiver.packet(now, 2000, true, 8000, &payload(1, false, 160));
        assert_eq!(digits(found.unwrap()), [Digit::End('1', ms(50)), Digit::Begin('1')]);
        assert_eq!(receiver.poll_timeout(), Some(now + TIMEOUT));
        assert_eq!(receiver.handle_timeout(now + ms(149)), None);
        assert_eq!(receiver.handle_timeout(now + TIMEOUT), Some(Digit::End('1', ms(20))));
        assert_eq!(receiver.handle_timeout(now + TIMEOUT), None);
        // The end itself, late.
        let found = receiver.packet(now + TIMEOUT, 2000, false, 8000, &payload(1, true, 800));
        assert_eq!(digits(found.unwrap()), []);
    }

    #[test]
    fn a_long_event_goes_on_in_segments() {
        let now = Instant::now();
        let mut receiver = Receiver::new(TIMEOUT);
        let mut sender = Sender::default();
        assert!(sender.begin(now, 101, 48_000, 7, '#'));
        let mut seen = Vec::new();
        let mut time = now;
        while let Some(next) = sender.poll_timeout() {
            time = next;
            if time >= now + ms(5000) {
                sender.end(time, None);
            }
            let packet = sender.poll_packet(time).unwrap();
            seen.extend(digits(
                receiver.packet(time, packet.timestamp, packet.marker, 48_000, &packet.payload).unwrap(),
            ));
        }
        assert_eq!(time, now + ms(5020));
        assert_eq!(seen, [Digit::Begin('#'), Digit::End('#', ms(5000))]);
    }

    #[test]
    fn sends_begin_continuation_and_three_ends() {
        let now = Instant::now();
        let mut sender = Sender::default();
        assert!(sender.begin(now, 101, 8000, 5000, '7'));
        assert_eq!(sender.digit(), Some('7'));
        let first = sender.poll_packet(now).unwrap();
        assert!(first.marker);
        assert_eq!(first.payload, payload(7, false, 160));
        assert_eq!(sender.poll_packet(now + ms(19)), None);
        let second = sender.poll_packet(now + ms(40)).unwrap();
        assert!(!second.marker);
        assert_eq!(second.payload, payload(7, false, 320));
        assert_eq!(second.timestamp, 5000);
        sender.end(now + ms(50), Some(ms(100)));
        assert_eq!(sender.digit(), None);
        for at in [50, 60, 70] {
            let end = sender.poll_packet(now + ms(at)).unwrap();
            assert_eq!(end.payload, payload(7, true, 800));
            assert_eq!(end.timestamp, 5000);
        }
        assert!(!sender.is_sending());
        assert_eq!(sender.poll_packet(now + ms(80)), None);
        assert!(!sender.begin(now, 101, 8000, 0, 'q'));
    }
}
