//! Finds Asterisk's headers, reads them with bindgen, turns what they contain into
//! `cfg(ast_has_…)`, and compiles the C shim. Version numbers play no part: installed headers
//! hold none.

#[cfg(feature = "module")]
#[path = "build/host.rs"]
mod host;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "module")]
    if let Err(sentence) = host::generate() {
        eprintln!("\nres_rust_webrtc: {sentence}\n");
        std::process::exit(1);
    }
}
