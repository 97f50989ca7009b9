//! Which Asterisk this module was built for, and whether that is the one that runs.
//!
//! The loader's build-option sum is the same from 13 to 22 and lets a wrong build through, which
//! then crashes before `load` (`facts/abi.md` §4). Installed headers hold no version number, but
//! what they contain tells the ABI group.

use std::ffi::CStr;
use std::ops::RangeInclusive;

use super::sys;

/// The majors whose headers look like those this module was built against.
pub const BUILT_FOR: RangeInclusive<u32> = if cfg!(not(ast_has_stasis)) {
    11..=11
} else if cfg!(not(ast_has_iostream)) {
    12..=14
} else if cfg!(not(ast_has_frame_topology)) {
    15..=17
} else if cfg!(ast_has_monitor) {
    18..=20
} else {
    21..=99
};

/// The running Asterisk's version, as `core show version` gives it.
pub fn running() -> String {
    // SAFETY: returns a static string.
    let text = unsafe { sys::ast_get_version() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, NUL-terminated, static.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// `Err` with a sentence for the administrator when the module was built for another Asterisk.
pub fn check() -> Result<(), String> {
    let version = running();
    match major(&version) {
        Some(found) if !BUILT_FOR.contains(&found) => Err(format!(
            "res_rust_webrtc was built for Asterisk {} and this is Asterisk {version}: it is not loaded. Build it against \
             the headers of this Asterisk (ASTERISK_INCLUDE_DIR), or install the package made for it",
            built_for()
        )),
        // Development trees have versions such as "GIT-master-…": nothing to compare.
        _ => Ok(()),
    }
}

/// [`BUILT_FOR`] in words.
pub fn built_for() -> String {
    describe(&BUILT_FOR)
}

/// Against what the build held the layouts of Asterisk's structs.
pub fn layouts() -> String {
    let sys::Layout { group, whole, partial, fields, .. } = sys::LAYOUT;
    format!("{} structs and {fields} fields as measured in Asterisk {group}", whole + partial.len())
}

fn describe(majors: &RangeInclusive<u32>) -> String {
    match (majors.start(), majors.end()) {
        (first, last) if first == last => format!("{first}"),
        (first, 99) => format!("{first} or later"),
        (first, last) => format!("{first} to {last}"),
    }
}

fn major(version: &str) -> Option<u32> {
    let version = version.strip_prefix("certified/").or_else(|| version.strip_prefix("certified-")).unwrap_or(version);
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
