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
