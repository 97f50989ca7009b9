//! What C code may call in this module, besides the WebSocket functions that Asterisk's own header
//! declares. `include/res_rust_webrtc.h` is written from this file (`tests/rig/header`).
//!
//! Another module finds these functions through a handle of its own (`dlopen` with `RTLD_NOLOAD`,
//! then `dlsym`) and closes that when it is done. A reference at link time would make this module a
//! condition for loading the other, and `dlsym(RTLD_DEFAULT, …)` would keep this module mapped
//! after its unload: glibc then counts the caller as dependent on it.

use std::ffi::c_char;

/// The version of res_rust_webrtc, such as "0.1.0". Never NULL. The string belongs to the module
/// and is gone when the module is unloaded.
#[unsafe(no_mangle)]
pub extern "C" fn rust_webrtc_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
