//! Asterisk's declarations as bindgen reads them from the headers this build was given.
#![allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    unsafe_op_in_unsafe_fn,
    unreachable_pub,
    reason = "generated; the names are C's"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

/// What the build compared of the layouts above (`build/layout.rs`).
#[derive(Debug)]
pub struct Layout {
    /// The Asterisks whose tables were used.
    pub group: &'static str,
    /// Structs that were compared from end to end.
    pub whole: usize,
    /// Structs that have fields which no table knows.
    pub partial: &'static [&'static str],
    pub fields: usize,
    pub constants: usize,
}

include!(concat!(env!("OUT_DIR"), "/layout.rs"));
