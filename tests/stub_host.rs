//! The real module in a stand-in for Asterisk (`tests/stub_host/`): opened, loaded, driven and
//! unloaded again and again under AddressSanitizer, with everything counted.
//!
//! Needs gcc, nm and Asterisk's headers (`ASTERISK_INCLUDE_DIR`, else /usr/include), as the build
//! does.
#![cfg(feature = "module")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const SOURCES: &[&str] = &["main.c", "core.c", "console.c", "media.c", "sdp.c", "web.c"];

/// The version that the stand-in claims: one whose headers look like those of the build.
const VERSION: &str = if cfg!(not(ast_has_frame_topology)) {
    "16.28.0"
} else if cfg!(ast_has_monitor) {
    "20.20.1"
} else {
    "22.10.1"
};

struct Built {
    program: PathBuf,
    module: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn include() -> String {
    std::env::var("ASTERISK_INCLUDE_DIR").unwrap_or_else(|_| "/usr/include".into())
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?} does not run: {e}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Module and program, built once for all tests.
fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A directory of its own: a cdylib has one name whatever its features, and the tests of
        // the pure cores build one without the module in it.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stub_host");
        run(Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["build", "--lib", "--features", "fault-injection", "--target-dir"])
            .arg(&target)
            .env_remove("CARGO_BUILD_TARGET"));
        let module = target.join("debug/libres_rust_webrtc.so");
        let program = compile(&target, &module);
        Built { program, module }
    })
}

fn compile(target: &Path, module: &Path) -> PathBuf {
    let cc = |arguments: &[&str], input: &Path, output: &Path| {
        run(Command::new("cc")
            .args(["-std=gnu11", "-g", "-O1", "-fsanitize=address", "-fno-omit-frame-pointer", "-Wall", "-Werror"])
            .args(["-D_GNU_SOURCE", "-DAST_MODULE=\"stub_host\"", "-DAST_MODULE_SELF_SYM=__internal_stub_host_self"])
            .arg(format!("-DSTUB_VERSION=\"{VERSION}\""))
            .arg(format!("-I{}", include()))
            .arg(format!("-I{}", root().join("include").display()))
            .args(arguments)
            .arg(input)
            .arg("-o")
            .arg(output));
    };
    let mut objects = Vec::new();
    for source in SOURCES {
        let object = target.join(source).with_extension("o");
        cc(&["-c"], &root().join("tests/stub_host").join(source), &object);
        objects.push(object);
    }
    let missing = target.join("missing.c");
    fs::write(&missing, stand_ins(module, &objects)).unwrap();
    let object = missing.with_extension("o");
    cc(&["-c", "-fno-builtin"], &missing, &object);
    objects.push(object);

    let program = target.join("stub_host");
    run(Command::new("cc")
        .args(["-fsanitize=address", "-rdynamic"])
        .args(&objects)
        .args(["-ldl", "-lpthread", "-o"])
        .arg(&program));
    program
}

/// Functions that the module names and nothing in the scenarios should reach: each ends the
/// program with its own name.
fn stand_ins(module: &Path, objects: &[PathBuf]) -> String {
    let names = |command: &mut Command| -> BTreeSet<String> {
        String::from_utf8(run(command).stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_whitespace().last())
            .map(str::to_owned)
            .collect()
    };
    let wanted = names(Command::new("nm").args(["-D", "--undefined-only"]).arg(module));
    let defined = names(Command::new("nm").arg("--defined-only").args(objects));
    let mut text = String::from("void fail(const char *, ...);\n");
    let of_asterisk = |name: &&String| {
        let name = name.trim_start_matches('_');
        name.starts_with("ast_") || name.starts_with("ao2_") || name.starts_with("stasis_")
    };
    for name in wanted.iter().filter(of_asterisk).filter(|name| !defined.contains(*name)) {
        let _ = writeln!(text, "void {name}(void) {{ fail(\"{name} was called and has no stand-in\"); }}");
    }
    text
}

fn drive(scenario: &str) {
    let Built { program, module } = built();
    let output = Command::new(program)
        .arg(module)
        .arg(scenario)
        .env("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.ends_with("stub host: well\n"),
        "{}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn twenty_loads_and_unloads_leave_nothing() {
    drive("cycles");
}

#[test]
fn calls_leave_nothing_and_strangers_change_nothing() {
    drive("calls");
}

#[test]
fn keys_by_sdp_are_agreed_on_and_leave_nothing() {
    drive("sdes");
}

#[test]
fn websocket_sessions_leave_nothing() {
    drive("websocket");
}

#[test]
fn a_panic_stays_inside() {
    drive("panic");
}

#[test]
fn a_build_for_another_asterisk_declines_with_a_sentence() {
    drive("other-version");
}
