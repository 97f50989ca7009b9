//! Asterisk's log. Messages are made in Rust and cross as the argument of a constant `"%s"`; the
//! level is looked up before anything is formatted.

use std::ffi::{CString, c_int};

use super::sys;

/// Which of Asterisk's levels a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Notice,
    Warning,
    Error,
    /// Shown when `core set debug` is at least this.
    Debug(c_int),
    /// Shown when `core set verbose` is at least this.
    Verbose(c_int),
}

/// Whether a message of this level would be written.
pub fn enabled(level: Level) -> bool {
    match level {
        // SAFETY: reads an integer option of the running Asterisk.
        Level::Debug(n) => unsafe { sys::rw_debug_at_least(n) != 0 },
        // SAFETY: as above.
        Level::Verbose(n) => unsafe { sys::rw_verbose_at_least(n) != 0 },
        _ => true,
    }
}

pub fn error(message: &str) {
    write(Level::Error, message);
}

pub fn warning(message: &str) {
    write(Level::Warning, message);
}

pub fn notice(message: &str) {
    write(Level::Notice, message);
}

/// Writes one line. NUL and line breaks, which could only come from a peer, are made visible.
pub fn write(level: Level, message: &str) {
    if !enabled(level) {
        return;
    }
    let line = printable(message);
    let number = match level {
        Level::Notice => sys::__LOG_NOTICE,
        Level::Warning => sys::__LOG_WARNING,
        Level::Error => sys::__LOG_ERROR,
        Level::Debug(_) => sys::__LOG_DEBUG,
        Level::Verbose(n) => {
            // SAFETY: `line` is a NUL-terminated string that outlives the call.
            unsafe { sys::rw_verbose(n, line.as_ptr()) };
            return;
        }
    };
    // SAFETY: all three strings are NUL-terminated and outlive the call; the shim passes the
    // message as an argument, never as the format.
    unsafe { sys::rw_log(number as c_int, c"res_rust_webrtc".as_ptr(), 0, c"webrtc".as_ptr(), line.as_ptr()) };
}

fn printable(message: &str) -> CString {
    let clean: String =
        message.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect();
    CString::new(clean).unwrap_or_default()
}

/// Carries what the cores log (through the crate `log`, target = their layer) to Asterisk.
struct Bridge;

impl ::log::Log for Bridge {
    fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
        enabled(level_of(metadata))
    }

    fn log(&self, record: &::log::Record<'_>) {
        let level = level_of(record.metadata());
        if enabled(level) {
            write(level, &format!("{}: {}", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

fn level_of(metadata: &::log::Metadata<'_>) -> Level {
    // What the ICE library warns of is mostly what strangers send; the session counts it.
    let foreign = metadata.target().split("::").next() == Some("is");
    match metadata.level() {
        ::log::Level::Error if !foreign => Level::Error,
        ::log::Level::Warn if !foreign => Level::Warning,
        ::log::Level::Info if !foreign => Level::Verbose(3),
        ::log::Level::Trace => Level::Debug(5),
        _ => Level::Debug(if foreign { 4 } else { 2 }),
    }
}

/// Routes the cores' messages to Asterisk. Harmless when called again after a reload.
pub fn install() {
    // A second call fails because the bridge is there already, which is what is wanted.
    let _ = ::log::set_logger(&Bridge);
    ::log::set_max_level(::log::LevelFilter::Trace);
}
