//! Load, unload, reload: what is registered, and in which order.
#![forbid(unsafe_code)]

use crate::glue;
use crate::host::entry::{Load, Module};
use crate::host::{boundary, log};

/// The module as Asterisk's loader knows it.
pub struct WebRtc;

impl Module for WebRtc {
    fn load() -> Load {
        boundary::install_panic_hook();
        log::install();
        glue::config::load();
        glue::cli::register();
        Load::Success
    }

    fn unload() -> Result<(), ()> {
        glue::cli::unregister();
        glue::config::clear();
        boundary::restore_panic_hook();
        Ok(())
    }

    fn reload() {
        glue::config::load();
    }
}
