//! Keys that came by signalling, on their way from the core to a leg.
//!
//! The core hands them to its SRTP provider, which knows an instance by its number only, while the
//! channel driver still reads the SDP that brought them: before it sets the peer's address, so
//! before anything could be sent in the clear.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::runtime;
use crate::driver::rtp::Leg;
use crate::glue::srtp;
use crate::host::srtp::Policy;
use crate::sync::lock;

/// The keys of one instance.
pub struct Sdes {
    leg: Arc<Leg>,
    /// What the leg has: of received, and of sent packets.
    /// LOCK: a leaf, for the comparison only.
    in_use: Mutex<[Option<Policy>; 2]>,
}

impl Sdes {
    pub fn new(leg: &Arc<Leg>) -> Self {
        Self { leg: Arc::clone(leg), in_use: Mutex::default() }
    }

    /// Gives the leg a context for one direction. One whose keys it has already goes on, for its
    /// rollover counter is part of what the peer counts on.
    pub fn take(&self, policy: &Policy) -> bool {
        let Some(context) = srtp::context(policy) else { return false };
        let outbound = srtp::is_outbound(policy.stream);
        {
            let mut in_use = lock(&self.in_use);
            let [inbound, sent] = &mut *in_use;
            let known = if outbound { sent } else { inbound };
            if known.as_ref().is_some_and(|known| known.has_same_keys(policy)) {
                return true;
            }
            *known = Some(policy.clone());
        }
        self.leg.with(|session, now| match outbound {
            true => session.set_srtp_tx(now, context),
            false => session.set_srtp_rx(now, context),
        });
        true
    }
}

/// Instances by their numbers. A number is used again when its instance is gone.
#[derive(Default)]
pub struct Keyed(Mutex<HashMap<usize, Arc<Sdes>>>);

impl Keyed {
    pub fn add(&self, instance: usize, sdes: Sdes) {
        lock(&self.0).insert(instance, Arc::new(sdes));
    }

    pub fn remove(&self, instance: usize) {
        lock(&self.0).remove(&instance);
    }
}

/// Where the keys of an instance go; `None` if it is not of our engine.
pub fn sdes_of(instance: usize) -> Option<Arc<Sdes>> {
    let runtime = runtime::current()?;
    lock(&runtime.keyed.0).get(&instance).cloned()
}
