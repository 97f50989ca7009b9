//! What waits to be written: whole frames in order, given away as the transport takes them.
//!
//! # Invariants
//!
//! - Only whole frames are appended, so that a frame is never torn by another.
//! - With nothing to write no more than a small buffer is kept.

use std::time::Instant;

use super::frame::{Header, MAX_HEADER};
use super::mask;

/// An empty queue keeps its memory up to this size, to spare a lively session the allocator.
const KEEP: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Output {
    octets: Vec<u8>,
    /// How much of `octets` the transport has taken.
    taken: usize,
    /// When the queue began to wait for the transport, or last saw it take something.
    waiting_since: Option<Instant>,
}

impl Output {
    /// Appends a frame, masking its payload if the header says so.
    pub(super) fn push(&mut self, now: Instant, header: Header, payload: &[u8]) {
        if self.taken > 0 && self.taken >= self.octets.len() / 2 {
            self.octets.drain(..self.taken);
            self.taken = 0;
        }
        self.octets.reserve(MAX_HEADER + payload.len());
        header.encode(&mut self.octets);
        let start = self.octets.len();
        self.octets.extend_from_slice(payload);
        if let (Some(key), Some(payload)) = (header.mask, self.octets.get_mut(start..)) {
            mask::apply(key, 0, payload);
        }
        self.waiting_since.get_or_insert(now);
    }

    pub(super) fn pending(&self) -> &[u8] {
        self.octets.get(self.taken..).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.octets.len() - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The transport has taken `count` octets from the front.
    pub(super) fn consume(&mut self, now: Instant, count: usize) {
        self.taken = self.taken.saturating_add(count).min(self.octets.len());
        if !self.is_empty() {
            if count > 0 {
                self.waiting_since = Some(now);
            }
            return;
        }
        self.waiting_since = None;
        self.taken = 0;
        self.octets.clear();
        if self.octets.capacity() > KEEP {
            self.octets = Vec::new();
        }
    }

    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.waiting_since
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn buffered(&self) -> usize {
        self.octets.capacity()
    }
}
