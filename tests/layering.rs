//! Keeps the rules of the house: who may import whom (the table at the head of `src/lib.rs`),
//! where `unsafe` may stand, where the clock may be read, how long a file may be.
//!
//! The sources are read as tokens, not compiled, so that the rules hold for every feature and
//! every `cfg` at once. The last tests show that each rule can be broken.

#![allow(clippy::unwrap_used, reason = "a test")]

mod layering {
    pub mod rules;
    pub mod tokens;
}

use std::fs;
use std::path::{Path, PathBuf};

use layering::rules::{self, Table};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with one of these endings, as a path relative to the repository.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if !["target", "node_modules", "__pycache__"].iter().any(|skip| name == *skip) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|end| endings.iter().any(|ending| end == *ending)) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn table() -> Table {
    Table::parse(&read(Path::new("src/lib.rs"))).unwrap()
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table = table();
    let crates = rules::dependencies(&read(Path::new("Cargo.toml")));
    assert!(crates.iter().any(|name| name == "openssl_sys"), "the dependencies were not found");
    let sources = files("src", &["rs"]);
    assert!(sources.len() > 10, "the sources were not found");
    let faults: Vec<String> =
        sources.iter().flat_map(|path| rules::imports(&table, &crates, path, &read(path))).collect();
    report(&faults);
}

#[test]
fn every_room_stands_in_the_table_and_every_line_of_it_is_a_room() {
    let mut rooms: Vec<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .flatten()
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .filter(|name| name != "lib")
        .collect();
    rooms.sort();
    rooms.dedup();
    assert_eq!(table().rooms(), rooms);
}

#[test]
fn unsafe_code_stays_in_host() {
    let faults: Vec<String> =
        files("src", &["rs"]).iter().flat_map(|path| rules::unsafe_code(path, &read(path))).collect();
    report(&faults);
}

#[test]
fn the_clock_is_read_only_where_io_is_done() {
    let faults: Vec<String> = files("src", &["rs"]).iter().flat_map(|path| rules::clock(path, &read(path))).collect();
    report(&faults);
}

#[test]
fn a_file_can_be_read_at_a_sitting() {
    let folders = ["src", "build", "asterisk-headers", "tests", "benches", "examples"];
    let faults: Vec<String> = folders
        .iter()
        .flat_map(|folder| files(folder, &["rs", "c", "h", "py", "js", "mjs", "css", "html"]))
        .filter_map(|path| rules::length(&path, &read(&path)))
        .collect();
    report(&faults);
}

/// A small house in which each rule is broken once.
mod a_broken_rule_is_found {
    use super::*;

    const HOUSE: &str = "//! | room | may import | crates |\n//! |---|---|---|\n\
        //! | [`settings`] | std | |\n\
        //! | [`host`] | std, settings | libc |\n\
        //! | [`rtc`] | std, `host::openssl` | is |\n\
        //! | `glue` | host, rtc | |\n";

    fn imports(path: &str, source: &str) -> Vec<String> {
        let crates = ["libc", "is", "log"].map(String::from);
        rules::imports(&Table::parse(HOUSE).unwrap(), &crates, Path::new(path), source)
    }

    #[test]
    fn of_imports() {
        assert_eq!(imports("src/rtc/a.rs", "use crate::host::log;").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "use crate::{rtc::b, host::{openssl::x, log}};").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "fn f() { crate::glue::f() }").len(), 1);
        assert_eq!(imports("src/rtc/mod.rs", "use super::settings;").len(), 1);
        assert_eq!(imports("src/rtc/a/mod.rs", "mod t { use super::super::super::glue; }").len(), 1);
        assert_eq!(imports("src/settings.rs", "use crate::MODULE_INFO;").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "pub(in crate::glue) fn f() {}").len(), 1);
    }

    #[test]
    fn of_crates_and_of_std() {
        assert_eq!(imports("src/rtc/a.rs", "use libc::c_int;").len(), 1);
        assert_eq!(imports("src/glue/a.rs", "fn f() { ::log::info!(\"\") }").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "fn f() { log::info!(\"\") }").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "use std::net::{IpAddr, UdpSocket};").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "use std::thread;").len(), 1);
        assert_eq!(imports("src/rtc/a.rs", "fn f() { std::fs::read(\"x\"); }").len(), 1);
    }

    #[test]
    fn and_what_is_allowed_is_not_reported() {
        for source in [
            "use crate::host::openssl::Digest; use crate::rtc::b; use std::net::IpAddr; use is::Agent;",
            "// use crate::glue\n/* libc::x /* crate::glue */ */ fn f() -> &'static str { \"crate::glue 'x\" }",
            "mod tests { use super::*; use super::super::b; }",
            "fn f<'a>(c: char) { if c == '\"' { g(r#\"crate::glue\"#) } }",
            "#[cfg(test)] mod tests { use libc::c_int; use std::net::UdpSocket; }",
        ] {
            assert_eq!(imports("src/rtc/a.rs", source), Vec::<String>::new(), "{source}");
        }
        assert_eq!(imports("src/glue/a.rs", "use crate::host::log; fn f() { log::info(\"\") }").len(), 0);
    }

    #[test]
    fn of_unsafe_code() {
        let found = |path: &str, source: &str| rules::unsafe_code(Path::new(path), source).len();
        let lifted = "#![deny(unsafe_code)]\n#[expect(unsafe_code)]\nmod sys;";
        assert_eq!(found("src/rtc/a.rs", "fn f() { unsafe { g() } }"), 1);
        assert_eq!(found("src/rtc/mod.rs", "//! About.\npub mod a;"), 1, "no forbid");
        assert_eq!(found("src/driver/mod.rs", lifted), 0);
        assert_eq!(found("src/driver/mod.rs", &format!("{lifted}\n#[allow(unsafe_code)] mod b;")), 1, "one file only");
        assert_eq!(found("src/driver/a.rs", "#![allow(unsafe_code)]"), 1);
        assert_eq!(found("src/host/a.rs", "fn f() { unsafe { g() } }"), 0);
        assert_eq!(found("src/rtc/mod.rs", "#![forbid(unsafe_code)]\n// unsafe\nfn f() { \"unsafe\" }"), 0);
    }

    #[test]
    fn of_the_clock() {
        let found = |path: &str, source: &str| rules::clock(Path::new(path), source).len();
        assert_eq!(found("src/rtc/a.rs", "fn f() { Instant::now(); }"), 1);
        assert_eq!(found("src/rtc/a.rs", "fn f() { std::time::SystemTime :: now() }"), 1);
        assert_eq!(found("src/rtc/a.rs", "fn f(t: Instant) { t.elapsed(); }"), 1);
        assert_eq!(found("src/rtc/a.rs", "#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }"), 0);
        assert_eq!(found("src/rtc/a.rs", "#[cfg(test)] mod tests; fn f() { Instant::now(); }"), 1);
        assert_eq!(found("src/rtc/tests.rs", "fn f() { Instant::now(); }"), 0);
        assert_eq!(found("src/driver/a.rs", "fn f() { Instant::now(); }"), 0);
    }

    #[test]
    fn of_length() {
        assert!(rules::length(Path::new("a.rs"), &"\n".repeat(801)).is_some());
        assert!(rules::length(Path::new("a.rs"), &"\n".repeat(800)).is_none());
    }
}
