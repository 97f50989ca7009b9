//! `res_rust_webrtc`: a WebSocket server and a WebRTC RTP engine for Asterisk.
//!
//! One shared object between two C faces: Asterisk calls it through vtables and exported
//! functions, and it calls Asterisk back. Between them lie protocol cores that know neither
//! Asterisk nor sockets nor clocks.
//!
//! ```text
//! browser ──TLS──▶ http.c ──upgrade──▶ glue::websocket ─▶ websocket ─▶ message queue ─▶ chan_sip / pjsip / ARI
//! browser ──UDP──▶ driver ─▶ rtc::demux ─▶ ice │ dtls │ srtp ─▶ rtp/rtcp ─▶ frame ─▶ channel thread
//! ```
//!
//! # Who may import whom
//!
//! | room | may import | crates |
//! |---|---|---|
//! | [`sync`], [`settings`] | std | |
//! | [`host`] | std, sync | libc, openssl-sys, log |
//! | [`websocket`] | std, `host::openssl` | flate2, log |
//! | [`rtc`] | std, `host::openssl` | is, tracing, log |
//! | [`capture`] | std | |
//! | [`driver`] | rtc, websocket, settings, capture, sync | libc, if-addrs, log |
//! | `glue` | host, driver, rtc, websocket, settings, capture, sync, `MODULE_INFO` | log |
//! | `module` | host, glue, driver, settings, sync, `MODULE_INFO` | |
//!
//! `host::openssl` is the one exception to "cores never import host": it is what the crate
//! `openssl` would be if its licence and its ex_data callbacks suited a module that is unloaded
//! (README, dependencies). It touches neither Asterisk nor sockets nor clocks, and all unsafe
//! code stays in one layer. `tests/layering.rs` keeps this table true.
//!
//! # Lock order
//!
//! Asterisk's locks (channel, pvt, instance) are outside ours: Asterisk may call us holding them,
//! so we never call Asterisk while holding one of ours. Lock, feed the core, collect its outputs,
//! unlock, act on them.
#![deny(unsafe_code)]

pub mod capture;
pub mod driver;
pub mod rtc;
pub mod settings;
pub mod sync;
pub mod websocket;

#[expect(unsafe_code, reason = "the layer that speaks C")]
pub mod host;

#[cfg(feature = "module")]
mod glue;
#[cfg(feature = "module")]
mod module;

#[cfg(feature = "module")]
host::entry::module_entry!(module::WebRtc, c"WebSocket server and WebRTC RTP engine (Rust)");
