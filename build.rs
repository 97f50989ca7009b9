//! Finds Asterisk's headers, reads them with bindgen, turns what they contain into
//! `cfg(ast_has_…)`, and compiles the C shim. Version numbers play no part: installed headers
//! hold none.

#[path = "build/features.rs"]
#[cfg_attr(not(feature = "module"), allow(dead_code, reason = "only the names count without the headers"))]
mod features;
#[cfg(feature = "module")]
#[path = "build/host.rs"]
mod host;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Known in every build, so that sources may name them where the module is left out.
    for (name, _) in features::FEATURES {
        println!("cargo:rustc-check-cfg=cfg(ast_has_{name})");
    }
    #[cfg(feature = "module")]
    if let Err(sentence) = host::generate() {
        eprintln!("\nres_rust_webrtc: {sentence}\n");
        std::process::exit(1);
    }
}
