//! A request under way and when it is sent again (RFC 8489 §6.2.1).

use std::time::{Duration, Instant};

use super::message::Id;

/// The first retransmission comes after this time, each later one after twice the time before.
const RTO: Duration = Duration::from_millis(500);
/// How often a request is sent at most (Rc).
const SENT_AT_MOST: u32 = 7;
/// How long after the last one the answer may take, in units of the first interval (Rm).
const LAST_WAIT: u32 = 16;

/// A request that waits for its response.
#[derive(Debug)]
pub struct Request<P> {
    pub id: Id,
    pub purpose: P,
    message: Vec<u8>,
    sent: u32,
    next: Instant,
}

/// What time has done to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Due<'a> {
    Nothing,
    Send(&'a [u8]),
    TimedOut,
}

impl<P> Request<P> {
    /// A request that is due to be sent at once.
    pub fn new(now: Instant, id: Id, purpose: P, message: Vec<u8>) -> Self {
        Request { id, purpose, message, sent: 0, next: now }
    }

    /// What is due now; ask once each time.
    pub fn due(&mut self, now: Instant) -> Due<'_> {
        if now < self.next {
            return Due::Nothing;
        }
        if self.sent >= SENT_AT_MOST {
            return Due::TimedOut;
        }
        self.sent += 1;
        let wait = match self.sent {
            SENT_AT_MOST => RTO * LAST_WAIT,
            sent => RTO * 2u32.pow(sent - 1),
        };
        self.next = now + wait;
        Due::Send(&self.message)
    }

    /// When something is due.
    pub fn next(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_times_in_the_intervals_of_the_rfc() {
        let begin = Instant::now();
        let mut request = Request::new(begin, [0; 12], (), vec![1]);
        let mut times = Vec::new();
        loop {
            let at = request.next();
            match request.due(at) {
                Due::Send(message) => {
                    assert_eq!(message, [1]);
                    times.push((at - begin).as_millis());
                    assert_eq!(request.due(at), Due::Nothing);
                }
                Due::TimedOut => {
                    times.push((at - begin).as_millis());
                    break;
                }
                Due::Nothing => panic!("it is due when it says"),
            }
        }
        assert_eq!(times, [0, 500, 1500, 3500, 7500, 15500, 31500, 39500]);
    }
}
