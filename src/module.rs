//! Load, unload, reload: what is registered, and in which order.
#![forbid(unsafe_code)]

use crate::MODULE_INFO;
#[cfg(ast_has_sdp_crypto_register)]
use crate::glue::sdes;
#[cfg(ast_has_iostream)]
use crate::glue::websocket;
use crate::glue::{cli, config, engine, srtp};
use crate::host::entry::{Load, Module};
use crate::host::rtp_engine::Engine;
#[cfg(ast_has_sdp_crypto_register)]
use crate::host::sdp_crypto::Crypto;
use crate::host::srtp::Provider;
use crate::host::{boundary, log, module_ref};

/// The engine by its own name, chosen per peer (`rtp_engine=webrtc`).
static WEBRTC: Engine<engine::Engine> = Engine::new(c"webrtc");

/// The engine by the name that chan_sip and chan_pjsip ask for by default.
static ASTERISK: Engine<engine::Engine> = Engine::new(c"asterisk");

static SRTP: Provider<srtp::Session> = Provider::new();

#[cfg(ast_has_sdp_crypto_register)]
static SDES: Crypto<sdes::Sdes> = Crypto::new();

/// The module as Asterisk's loader knows it.
pub struct WebRtc;

impl Module for WebRtc {
    fn load() -> Load {
        boundary::install_panic_hook();
        log::install();
        config::load();
        if let Err(sentence) = begin() {
            log::error(&format!("{sentence}; res_rust_webrtc is not loaded"));
            end();
            return Load::Decline;
        }
        Load::Success
    }

    fn unload() -> bool {
        #[cfg(ast_has_iostream)]
        if !websocket::stop() {
            log::notice("a WebSocket session or server of res_rust_webrtc is in use");
            return false;
        }
        end();
        true
    }

    fn reload() {
        config::load();
        engine::reload();
    }
}

fn begin() -> Result<(), String> {
    engine::start()?;
    if !WEBRTC.register(&MODULE_INFO) {
        return Err("Asterisk refuses an RTP engine called 'webrtc'".into());
    }
    if module_ref::is_loaded(c"res_rtp_asterisk.so") {
        log::notice("res_rtp_asterisk is loaded and stays the default RTP engine; choose ours by rtp_engine=webrtc");
    } else {
        // Refused if somebody else took the name; then theirs is the default.
        ASTERISK.register(&MODULE_INFO);
    }
    // Refused if there is one: one is enough for chan_sip. Crypto attributes belong to the provider.
    if SRTP.register(&MODULE_INFO) {
        #[cfg(ast_has_sdp_crypto_register)]
        SDES.register(&MODULE_INFO);
    }
    cli::register();
    // Last, for a consumer may have a session the moment it is there.
    #[cfg(ast_has_iostream)]
    websocket::start()?;
    Ok(())
}

/// Undoes [`begin`], whatever of it was done. Asterisk unloads a module only when nothing uses it.
fn end() {
    cli::unregister();
    #[cfg(ast_has_sdp_crypto_register)]
    SDES.unregister();
    SRTP.unregister();
    ASTERISK.unregister();
    WEBRTC.unregister();
    engine::stop();
    config::clear();
    boundary::restore_panic_hook();
}
