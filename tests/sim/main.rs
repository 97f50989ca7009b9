//! Two sessions over a simulated network: a seeded generator decides what is lost, delayed,
//! doubled and reordered, and a virtual clock jumps from deadline to deadline. A failing test
//! fails again with the same seed.
//!
//! Two things are not the seed's: what comes from the cryptographic generator (keys, SSRCs, the
//! spread of RTCP intervals), on which no test depends, and time in the DTLS library.
//! OpenSSL reads its own clock, and a simulation that loses a flight waits for it
//! (`wait_out_library_timer`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod bundle;
mod calls;
mod hostile;
mod network;
mod pair;
mod plain;
mod video;
