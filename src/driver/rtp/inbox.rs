//! What waits for a channel's thread: a bounded queue, and a descriptor that is readable exactly
//! while something is in it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::driver::sys::EventFd;
use crate::rtc::session::{PayloadKind, RtpPacket};
use crate::sync::lock;

/// Media that a channel which does not read is owed at most: two seconds of audio. Older packets
/// are of no use to anybody, so the oldest go first.
const CAPACITY: usize = 100;

/// The same for video, of which one keyframe may take as many packets: two seconds at 4 Mbit/s.
const VIDEO_CAPACITY: usize = 800;

/// Buffers kept for reuse.
const SPARE: usize = 8;

/// A media packet on its way to the channel.
#[derive(Debug)]
pub struct Media {
    pub pt: u8,
    pub marker: bool,
    pub seq: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

/// Something for the channel's thread.
#[derive(Debug)]
pub enum Incoming {
    Media(Media),
    DtmfBegin {
        digit: char,
    },
    DtmfEnd {
        digit: char,
        duration: Duration,
    },
    /// The peer cannot decode our video until it gets a keyframe.
    KeyframeRequest,
    /// The peer's estimate of the bandwidth towards it, in bit/s.
    Remb(u64),
    /// The peer's stream begins anew: whoever sends it video should send a keyframe.
    SourceChanged,
    /// Media now comes from another address (without ICE).
    Learned {
        rtcp: bool,
        remote: SocketAddr,
    },
    /// Something waits in the inbox of a leg whose media goes over this one's transport.
    Bundled(u64),
    /// Nothing more will come; the call cannot go on.
    Ended,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Incoming>,
    media: usize,
    spare: Vec<Vec<u8>>,
    dropped: u64,
    /// Where a channel looks that does not poll this inbox, and the number of this one there.
    ///
    /// While something waits here, one `Incoming::Bundled` is there or is being taken: put by
    /// whoever puts the first item, and again by whoever takes one and leaves others.
    led_to: Option<(Weak<Inbox>, u64)>,
}

/// The queue. Any thread puts, the channel's thread takes.
#[derive(Debug)]
pub struct Inbox {
    queue: Mutex<Queue>,
    signal: EventFd,
}

impl Inbox {
    pub fn new() -> io::Result<Self> {
        Ok(Self { queue: Mutex::new(Queue::default()), signal: EventFd::new()? })
    }

    /// The descriptor that Asterisk polls.
    pub fn fd(&self) -> RawFd {
        self.signal.as_raw_fd()
    }

    /// Queues a copy of `packet`.
    pub fn put_media(&self, packet: &RtpPacket<'_>) {
        let mut queue = lock(&self.queue);
        let capacity = if packet.kind == PayloadKind::Video { VIDEO_CAPACITY } else { CAPACITY };
        if queue.media >= capacity
            && let Some(oldest) = queue.waiting.iter().position(|item| matches!(item, Incoming::Media(_)))
        {
            if let Some(Incoming::Media(media)) = queue.waiting.remove(oldest) {
                queue.keep(media.payload);
            }
            queue.media -= 1;
            queue.dropped += 1;
        }
        let mut payload = queue.spare.pop().unwrap_or_default();
        payload.clear();
        payload.extend_from_slice(packet.payload);
        queue.media += 1;
        self.push(
            queue,
            Incoming::Media(Media {
                pt: packet.pt,
                marker: packet.marker,
                seq: packet.seq,
                timestamp: packet.timestamp,
                ssrc: packet.ssrc,
                payload,
            }),
        );
    }

    /// Queues anything but media. Requests that say the same as one already waiting add nothing.
    pub fn put(&self, item: Incoming) {
        let queue = lock(&self.queue);
        let repeats = match item {
            Incoming::KeyframeRequest => queue.waiting.iter().any(|i| matches!(i, Incoming::KeyframeRequest)),
            Incoming::SourceChanged => queue.waiting.iter().any(|i| matches!(i, Incoming::SourceChanged)),
            _ => false,
        };
        // Only a peer that the channel does not listen to could fill it with control events.
        if !repeats
            && (queue.waiting.len() - queue.media < CAPACITY || matches!(item, Incoming::Ended | Incoming::Bundled(_)))
        {
            self.push(queue, item);
        }
    }

    fn push(&self, mut queue: std::sync::MutexGuard<'_, Queue>, item: Incoming) {
        let first = queue.waiting.is_empty();
        queue.waiting.push_back(item);
        // Signalled under the lock: `take` must not clear between the push and the signal.
        if first {
            self.signal.signal();
            let led_to = queue.upstream();
            drop(queue);
            point(led_to);
        }
    }

    /// Lets `elsewhere` tell, by `number`, that something waits here; `None` ends that.
    pub fn lead_to(&self, elsewhere: Option<(&Arc<Inbox>, u64)>) {
        let mut queue = lock(&self.queue);
        queue.led_to = elsewhere.map(|(inbox, number)| (Arc::downgrade(inbox), number));
        let led_to = if queue.waiting.is_empty() { None } else { queue.upstream() };
        drop(queue);
        point(led_to);
    }

    /// The oldest item.
    pub fn take(&self) -> Option<Incoming> {
        let mut queue = lock(&self.queue);
        let item = queue.waiting.pop_front();
        if let Some(Incoming::Media(_)) = item {
            queue.media -= 1;
        }
        let mut led_to = None;
        if !queue.waiting.is_empty() {
            led_to = queue.upstream();
        } else if item.is_some() {
            // Without an item there was no signal either, and no system call is spent on it.
            self.signal.clear();
        }
        drop(queue);
        point(led_to);
        item
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.queue).waiting.is_empty()
    }

    /// Gives a payload buffer back for reuse.
    pub fn recycle(&self, payload: Vec<u8>) {
        lock(&self.queue).keep(payload);
    }

    /// Media packets dropped because the channel did not take them.
    pub fn dropped(&self) -> u64 {
        lock(&self.queue).dropped
    }
}

/// Tells another inbox that something waits; with no inbox locked.
fn point(led_to: Option<(Arc<Inbox>, u64)>) {
    if let Some((inbox, number)) = led_to {
        inbox.put(Incoming::Bundled(number));
    }
}

impl Queue {
    fn upstream(&self) -> Option<(Arc<Inbox>, u64)> {
        let (inbox, number) = self.led_to.as_ref()?;
        Some((inbox.upgrade()?, *number))
    }

    fn keep(&mut self, payload: Vec<u8>) {
        if self.spare.len() < SPARE {
            self.spare.push(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::clock;
    use crate::driver::sys::{Epoll, Interest};

    fn packet(seq: u16) -> RtpPacket<'static> {
        RtpPacket {
            pt: 0,
            kind: PayloadKind::Media,
            marker: false,
            seq,
            ext_seq: u64::from(seq),
            timestamp: 0,
            ssrc: 1,
            arrival: clock::now(),
            payload: b"sound",
        }
    }

    fn readable(inbox: &Inbox) -> bool {
        let epoll = Epoll::new().unwrap();
        epoll.add(inbox.fd(), 0, Interest { readable: true, ..Interest::default() }).unwrap();
        let mut ready = Vec::new();
        epoll.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        !ready.is_empty()
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_something_waits() {
        let inbox = Inbox::new().unwrap();
        assert!(!readable(&inbox));
        inbox.put_media(&packet(1));
        inbox.put(Incoming::KeyframeRequest);
        assert!(readable(&inbox));
        assert!(inbox.take().is_some());
        assert!(readable(&inbox));
        assert!(inbox.take().is_some());
        assert!(!readable(&inbox));
        assert!(inbox.take().is_none());
    }

    #[test]
    fn a_channel_that_does_not_read_is_owed_the_newest_media() {
        let inbox = Inbox::new().unwrap();
        inbox.put(Incoming::DtmfBegin { digit: '5' });
        for seq in 0..250 {
            inbox.put_media(&packet(seq));
        }
        assert_eq!(inbox.dropped(), 150);
        assert!(matches!(inbox.take(), Some(Incoming::DtmfBegin { digit: '5' })), "control is kept");
        let Some(Incoming::Media(first)) = inbox.take() else { panic!("media expected") };
        assert_eq!(first.seq, 150);
    }

    #[test]
    fn a_keyframe_fits() {
        let inbox = Inbox::new().unwrap();
        for seq in 0..300 {
            inbox.put_media(&RtpPacket { kind: PayloadKind::Video, ..packet(seq) });
        }
        assert_eq!(inbox.dropped(), 0);
    }

    #[test]
    fn what_waits_elsewhere_is_pointed_to_once_at_a_time_and_none_is_forgotten() {
        let (polled, other) = (Arc::new(Inbox::new().unwrap()), Inbox::new().unwrap());
        other.put_media(&packet(0));
        other.lead_to(Some((&polled, 7)));
        for seq in 1..5 {
            other.put_media(&packet(seq));
        }
        assert!(readable(&polled));
        let mut found = 0;
        while let Some(item) = polled.take() {
            assert!(matches!(item, Incoming::Bundled(7)));
            assert!(other.take().is_some());
            found += 1;
        }
        assert_eq!(found, 5);
        other.put_media(&packet(5));
        assert!(matches!(polled.take(), Some(Incoming::Bundled(7))));
        other.lead_to(None);
        other.put_media(&packet(6));
        assert!(polled.take().is_none() && readable(&other));
    }

    #[test]
    fn keyframe_requests_do_not_pile_up() {
        let inbox = Inbox::new().unwrap();
        for _ in 0..1000 {
            inbox.put(Incoming::KeyframeRequest);
        }
        assert!(inbox.take().is_some());
        assert!(inbox.take().is_none());
    }
}
