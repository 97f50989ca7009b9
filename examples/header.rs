//! Writes `include/res_rust_webrtc.h` from `src/host/c_face.rs`; with `--check`, fails when the
//! file in the repository is another. Called by `tests/rig/header`.

use std::path::Path;
use std::process::ExitCode;

const HEADER: &str = "include/res_rust_webrtc.h";
const INTRODUCTION: &str = "/*
 * What C code may call in res_rust_webrtc.so. Written by tests/rig/header from
 * src/host/c_face.rs: change it there.
 *
 * A module of Asterisk's finds these functions with dlsym() on a handle from
 * dlopen(\"res_rust_webrtc.so\", RTLD_NOW | RTLD_NOLOAD), and closes the handle when it is done.
 * dlsym(RTLD_DEFAULT, ...) would keep this module mapped after its unload.
 *
 * The module also provides the functions that asterisk/http_websocket.h declares, in the place of
 * res_http_websocket: use them through that header, as with Asterisk's own module.
 */";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = match generate(root) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("header: src/host/c_face.rs cannot be read as a C interface: {error}");
            return ExitCode::FAILURE;
        }
    };
    let path = root.join(HEADER);
    if std::env::args().nth(1).as_deref() == Some("--check") {
        if std::fs::read(&path).is_ok_and(|found| found == text) {
            return ExitCode::SUCCESS;
        }
        eprintln!("header: {HEADER} is stale: run tests/rig/header and commit what it writes");
        return ExitCode::FAILURE;
    }
    match std::fs::write(&path, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("header: cannot write {HEADER}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(root: &Path) -> Result<Vec<u8>, cbindgen::Error> {
    let mut text = Vec::new();
    cbindgen::Builder::new()
        .with_src(root.join("src/host/c_face.rs"))
        .with_language(cbindgen::Language::C)
        .with_header(INTRODUCTION)
        .with_include_guard("RES_RUST_WEBRTC_H")
        .with_cpp_compat(true)
        .with_no_includes()
        .with_documentation(true)
        .generate()?
        .write(&mut text);
    Ok(text)
}
