//! The part of the build that needs Asterisk's headers.

#[path = "layout.rs"]
mod layout;

use std::env;
use std::path::{Path, PathBuf};

use crate::features::{FEATURES, Mark};

/// Everything of Asterisk's that the module may name: its own prefixes and no libc.
const ITEMS: &[&str] = &[
    "_*ast_.*",
    "_*ao2_.*",
    "AST_.*",
    "ao2_.*",
    "AO2_.*",
    "CLI_.*",
    "CONFIG_.*",
    "RESULT_.*",
    "rw_.*",
    "OBJ_.*",
    "CMP_.*",
    "CALLERID_.*",
    "LOG_.*",
    "__LOG_.*",
    "option_.*",
];

/// Items that would not compile or link: file-local statics and variables of the reading unit.
const BLOCKED: &[&str] = &["ast_module_info$"];

pub fn generate() -> Result<(), String> {
    println!("cargo:rerun-if-env-changed=ASTERISK_INCLUDE_DIR");
    println!("cargo:rerun-if-changed=asterisk-headers");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=tests/abi");

    let include = include_dir()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let bindings = bindings(&include)?;
    std::fs::write(out.join("bindings.rs"), &bindings).map_err(|e| format!("cannot write bindings: {e}"))?;
    let found = emit_features(&include, &bindings);
    let layout = layout::assertions(&bindings, &found)?;
    std::fs::write(out.join("layout.rs"), layout).map_err(|e| format!("cannot write layout assertions: {e}"))?;
    compile_shim(&include, &found)
}

fn include_dir() -> Result<PathBuf, String> {
    let dir = env::var_os("ASTERISK_INCLUDE_DIR").map_or_else(|| PathBuf::from("/usr/include"), PathBuf::from);
    if dir.join("asterisk.h").is_file() && dir.join("asterisk/rtp_engine.h").is_file() {
        println!("cargo:rerun-if-changed={}", dir.join("asterisk/buildopts.h").display());
        return Ok(dir);
    }
    Err(format!(
        "no Asterisk headers in {}: install the package asterisk-dev (or, from source, run `make install-headers`), \
         or set ASTERISK_INCLUDE_DIR to the directory that holds asterisk.h",
        dir.display()
    ))
}

fn c_flags(include: &Path) -> Vec<String> {
    vec![
        format!("-I{}", include.display()),
        "-Iasterisk-headers".into(),
        "-D_GNU_SOURCE".into(),
        "-DAST_MODULE=\"res_rust_webrtc\"".into(),
        "-DAST_MODULE_SELF_SYM=__internal_res_rust_webrtc_self".into(),
    ]
}

fn bindings(include: &Path) -> Result<String, String> {
    let mut builder = bindgen::Builder::default()
        .header("asterisk-headers/umbrella.h")
        .clang_args(c_flags(include))
        // utils.h nests functions in RAII_VAR; clang knows them only as blocks.
        .clang_arg("-fblocks")
        .formatter(bindgen::Formatter::None)
        .generate_comments(false)
        .layout_tests(true)
        .derive_debug(false)
        .rust_target(bindgen::RustTarget::stable(85, 0).map_err(|e| e.to_string())?)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .prepend_enum_name(true)
        .merge_extern_blocks(true);
    for item in ITEMS {
        builder = builder.allowlist_function(item).allowlist_type(item).allowlist_var(item);
    }
    for item in BLOCKED {
        builder = builder.blocklist_var(item);
    }
    read_headers(builder).map_err(|error| {
        format!(
            "bindgen could not read Asterisk's headers in {}: {error}. It needs libclang (package libclang-dev) and the C \
             library's headers (libc6-dev); the headers of Asterisk 11 also need libssl-dev",
            include.display()
        )
    })
}

/// bindgen panics when there is no libclang. The person who builds is to read a sentence, not that.
fn read_headers(builder: bindgen::Builder) -> Result<String, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.generate()));
    std::panic::set_hook(hook);
    match outcome {
        Ok(Ok(bindings)) => Ok(bindings.to_string()),
        Ok(Err(error)) => Err(error.to_string().trim_end().to_owned()),
        Err(panic) => Err(panic.downcast_ref::<String>().map_or("libclang cannot be used", String::as_str).to_owned()),
    }
}

/// Sets a `cfg(ast_has_…)` for every feature that the headers show; returns them for the C shim.
fn emit_features(include: &Path, bindings: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (name, mark) in FEATURES {
        let present = match mark {
            Mark::Header(file) => include.join("asterisk").join(file).is_file(),
            Mark::Word(file, word) => {
                std::fs::read_to_string(include.join("asterisk").join(file)).is_ok_and(|text| text.contains(word))
            }
            Mark::Item(item) => has_item(bindings, item),
            Mark::Field(object, field) => has_field(bindings, object, field),
        };
        if present {
            println!("cargo:rustc-cfg=ast_has_{name}");
            found.push(*name);
        }
    }
    found
}

fn has_item(bindings: &str, item: &str) -> bool {
    ["fn", "type", "struct", "enum", "union", "const", "static"].iter().any(|kind| {
        let needle = format!("{kind} {item}");
        bindings.match_indices(&needle).any(|(at, _)| {
            bindings[at + needle.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    })
}

fn has_field(bindings: &str, object: &str, field: &str) -> bool {
    let Some((_, body)) = bindings.split_once(&format!("pub struct {object} {{")) else {
        return false;
    };
    let body = body.split_once('}').map_or(body, |(body, _)| body);
    body.contains(&format!("pub {field} :")) || body.contains(&format!("pub {field}:"))
}

fn compile_shim(include: &Path, found: &[&str]) -> Result<(), String> {
    let mut build = cc::Build::new();
    build.file("asterisk-headers/shim.c").warnings(false).cargo_metadata(true);
    for flag in c_flags(include) {
        build.flag(flag);
    }
    for name in found {
        build.define(&format!("AST_HAS_{}", name.to_uppercase()), None);
    }
    build
        .try_compile("res_rust_webrtc_shim")
        .map_err(|e| format!("the C shim did not compile (is gcc installed?): {e}"))
}
