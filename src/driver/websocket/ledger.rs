//! What has happened since the module was loaded: sessions taken, refused and ended, by reason.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::sync::lock;
use crate::websocket::handshake::Reason;
use crate::websocket::{CloseCause, Counters};

/// The counters. Reasons are a closed set of names, so that peers cannot make it grow.
pub struct Ledger(Mutex<Totals>);

/// A copy of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Upgrades that became sessions.
    pub accepted: u64,
    /// Upgrades that did not, by [`Reason::kind`] or the name of another obstacle.
    pub refused: BTreeMap<&'static str, u64>,
    /// Sessions that are over, by [`CloseCause::kind`].
    pub ended: BTreeMap<&'static str, u64>,
    /// The traffic of sessions that are over.
    pub traffic: Counters,
}

impl Ledger {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Totals {
            accepted: 0,
            refused: BTreeMap::new(),
            ended: BTreeMap::new(),
            traffic: Counters::ZERO,
        }))
    }

    pub fn accept(&self) {
        lock(&self.0).accepted += 1;
    }

    pub fn refuse(&self, reason: &Reason) {
        self.refuse_for(reason.kind());
    }

    /// Refused for something that the handshake knows nothing of.
    pub fn refuse_for(&self, what: &'static str) {
        *lock(&self.0).refused.entry(what).or_default() += 1;
    }

    /// A session is over, having carried `traffic`.
    pub fn end(&self, cause: CloseCause, traffic: &Counters) {
        let mut totals = lock(&self.0);
        *totals.ended.entry(cause.kind()).or_default() += 1;
        totals.traffic.add(traffic);
    }

    /// Begins anew, and holds nothing: what a static holds when the module is unloaded is lost.
    pub fn clear(&self) {
        *lock(&self.0) = Totals::default();
    }

    pub fn totals(&self) -> Totals {
        lock(&self.0).clone()
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::ProtocolError;

    #[test]
    fn counts_by_reason_and_not_by_what_the_peer_wrote() {
        let ledger = Ledger::new();
        for origin in ["https://a.example", "https://b.example"] {
            ledger.refuse(&Reason::Origin(origin.to_owned()));
        }
        ledger.refuse(&Reason::InvalidKey);
        ledger.refuse_for("refused by the consumer");
        let totals = ledger.totals();
        assert_eq!(totals.refused.len(), 3);
        assert_eq!(totals.refused["origin not allowed"], 2);
        assert_eq!(totals.refused["refused by the consumer"], 1);
    }

    #[test]
    fn traffic_of_the_ended_adds_up() {
        let ledger = Ledger::new();
        ledger.accept();
        ledger.accept();
        let one = Counters { messages_in: 1, messages_out: 2, octets_in: 30, octets_out: 40, ..Counters::ZERO };
        ledger.end(CloseCause::Violation(ProtocolError::Unmasked), &one);
        ledger.end(CloseCause::Violation(ProtocolError::ReservedBit), &one);
        let totals = ledger.totals();
        assert_eq!((totals.accepted, totals.ended["protocol error"]), (2, 2));
        assert_eq!((totals.traffic.messages_in, totals.traffic.octets_out), (2, 80));
    }
}
