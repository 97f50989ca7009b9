//! The rules. Each takes a path relative to the repository and the file's text, and gives the
//! faults it finds, one line of text each.

use std::collections::BTreeMap;
use std::path::Path;

use super::tokens::{Token, tokens};

/// Of `std`, what a room without I/O must not touch.
const IO: &[&[&str]] = &[
    &["std", "net", "UdpSocket"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "thread"],
    &["std", "fs"],
    &["std", "process"],
    &["std", "env"],
    &["std", "os"],
];
const WITHOUT_IO: &[&str] = &["websocket", "rtc", "settings"];
const MAY_READ_THE_CLOCK: &[&str] = &["driver", "host", "glue", "module"];
const LONGEST_FILE: usize = 800;

/// Which room may import which rooms and crates.
#[derive(Debug, Default)]
pub struct Table {
    rooms: BTreeMap<String, Line>,
}

#[derive(Clone, Debug, Default)]
struct Line {
    rooms: Vec<Vec<String>>,
    crates: Vec<String>,
}

impl Table {
    /// Reads the table in the documentation of `src/lib.rs`.
    pub fn parse(lib: &str) -> Result<Self, String> {
        let mut table = Self::default();
        for line in lib.lines().filter_map(|line| line.strip_prefix("//! | ")) {
            let cells: Vec<&str> = line.trim_end().trim_end_matches('|').split('|').map(str::trim).collect();
            let [rooms, imports, crates] = cells[..] else {
                return Err(format!("the table has three columns, and this line has not: {line}"));
            };
            if rooms == "room" {
                continue;
            }
            let imports = words(imports)
                .filter(|word| word != "std")
                .map(|word| word.split("::").map(str::to_owned).collect())
                .collect();
            let entry = Line { rooms: imports, crates: words(crates).map(|name| name.replace('-', "_")).collect() };
            for room in words(rooms) {
                table.rooms.insert(room, entry.clone());
            }
        }
        if table.rooms.is_empty() { Err("no table was found".into()) } else { Ok(table) }
    }

    pub fn rooms(&self) -> Vec<String> {
        self.rooms.keys().cloned().collect()
    }
}

fn words(cell: &str) -> impl Iterator<Item = String> {
    cell.split(',').map(|word| word.trim().trim_matches(['[', ']', '`']).to_owned()).filter(|word| !word.is_empty())
}

/// The crates of `[dependencies]` as they are named in source.
pub fn dependencies(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once('=')?.0.trim().replace('-', "_")))
        .collect()
}

/// The first folder or file below `src`; none for `lib.rs`, which is the house itself.
fn room(path: &Path) -> Option<String> {
    let below = path.strip_prefix("src").ok()?;
    let name = Path::new(below.components().next()?.as_os_str()).file_stem()?.to_str()?.to_owned();
    (name != "lib").then_some(name)
}

/// How many modules deep a file's items stand below the crate.
fn depth(path: &Path) -> usize {
    let parts = path.components().count() - 1;
    if path.ends_with("mod.rs") { parts - 1 } else { parts }
}

/// A path that a file names, from the crate's root or from a crate or `std`.
#[derive(Debug)]
struct Named {
    path: Vec<String>,
    line: usize,
    in_test: bool,
}

pub fn imports(table: &Table, crates: &[String], path: &Path, source: &str) -> Vec<String> {
    let Some(room) = room(path) else { return Vec::new() };
    let Some(allowed) = table.rooms.get(&room) else {
        return vec![format!("{}: {room} is not in the table of src/lib.rs", path.display())];
    };
    let mut faults = Vec::new();
    for named in paths(path, crates, source) {
        let mut fault = |what: String| faults.push(format!("{}:{}: {what}", path.display(), named.line));
        let Some(first) = named.path.first() else { continue };
        if first == "crate" {
            let target = &named.path[1..];
            let inside = target.first() == Some(&room) || target.is_empty();
            if !inside && !allowed.rooms.iter().any(|may| target.starts_with(may)) {
                fault(format!("{room} may not import {}", named.path.join("::")));
            }
        } else if crates.contains(first) {
            if !named.in_test && !allowed.crates.contains(first) {
                fault(format!("{room} may not use the crate {first}"));
            }
        } else if WITHOUT_IO.contains(&room.as_str()) && !named.in_test {
            let io = |banned: &&&[&str]| {
                named.path.iter().zip(banned.iter()).filter(|(a, b)| a == *b).count() == banned.len()
            };
            if let Some(banned) = IO.iter().find(io) {
                fault(format!("{room} does no I/O and may not use {}", banned.join("::")));
            }
        }
    }
    faults
}

/// Every path in the file that begins with `crate`, `std`, a crate's name, or enough `super`s to
/// reach the root.
fn paths(path: &Path, crates: &[String], source: &str) -> Vec<Named> {
    let tokens = tokens(source);
    let tests = test_modules(&tokens);
    let depths = module_depths(&tokens);
    let mut named = Vec::new();
    let mut local = Vec::new();
    for at in 0..tokens.len() {
        let word = tokens[at].text.as_str();
        // Only where a path begins: not after another segment, unless that is a leading `::`.
        let continued = at > 0 && tokens[at - 1].text == "::" && at > 1 && is_word(&tokens[at - 2].text);
        let starts = ["crate", "super", "std", "core"].contains(&word) || crates.iter().any(|name| name == word);
        if continued || !starts || tokens.get(at + 1).is_none_or(|next| next.text != "::") {
            continue;
        }
        let mut found = Vec::new();
        tree(&tokens, at, &mut Vec::new(), &mut found);
        for mut path_found in found {
            let supers = path_found.iter().take_while(|segment| *segment == "super").count();
            if supers > 0 {
                if supers < depth(path) + depths[at] {
                    local.extend(path_found.pop());
                    continue;
                }
                path_found.splice(..supers, ["crate".to_owned()]);
            }
            if path_found[0] == "crate" {
                local.extend(path_found.last().cloned());
            }
            let leading = at > 0 && tokens[at - 1].text == "::";
            let imported = at > 0 && tokens[at - 1].text == "use";
            named.push((
                Named { path: path_found, line: tokens[at].line, in_test: tests[at] || is_test_file(path) },
                leading || imported,
            ));
        }
    }
    // `log::warning()` after `use crate::host::log` means the room's own import, not the crate.
    named.into_iter().filter(|(named, sure)| *sure || !local.contains(&named.path[0])).map(|(named, _)| named).collect()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_') && text != "use" && text != "return" && text != "in"
}

/// Expands the path or use-tree that begins at `at`; gives the index after it.
fn tree(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let start = prefix.len();
    while let Some(token) = tokens.get(at) {
        if token.text == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token.text != "}") {
                at = tree(tokens, at, prefix, found);
                while tokens.get(at).is_some_and(|token| token.text != "," && token.text != "}") {
                    at += 1;
                }
                if tokens.get(at).is_some_and(|token| token.text == ",") {
                    at += 1;
                }
            }
            prefix.truncate(start);
            return at + 1;
        }
        prefix.push(token.text.clone());
        at += 1;
        if tokens.get(at).is_none_or(|token| token.text != "::") {
            break;
        }
        at += 1;
    }
    found.push(prefix.clone());
    prefix.truncate(start);
    at
}

/// For each token: how many inline modules it stands in.
fn module_depths(tokens: &[Token]) -> Vec<usize> {
    let mut open = Vec::new();
    let mut depths = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => open.push(at > 1 && tokens[at - 2].text == "mod"),
            "}" => drop(open.pop()),
            _ => {}
        }
        depths.push(open.iter().filter(|module| **module).count());
    }
    depths
}

/// For each token: whether it stands in an inline module marked `#[cfg(test)]`.
fn test_modules(tokens: &[Token]) -> Vec<bool> {
    let mut inside = vec![false; tokens.len()];
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    for at in 0..tokens.len() {
        if !mark.iter().enumerate().all(|(i, text)| tokens.get(at + i).is_some_and(|token| token.text == *text)) {
            continue;
        }
        let mut next = at + mark.len();
        while tokens.get(next).is_some_and(|token| !["{", ";"].contains(&token.text.as_str())) {
            next += 1;
        }
        if tokens.get(next).is_none_or(|token| token.text == ";") {
            continue;
        }
        let mut depth = 0;
        for (place, token) in inside.iter_mut().zip(tokens).skip(next) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            *place = true;
            if depth == 0 {
                break;
            }
        }
    }
    inside
}

/// `tests.rs` beside what it tests, or a file in a folder `tests`; their `mod` line is `cfg(test)`.
fn is_test_file(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
        || path.components().any(|part| part.as_os_str() == "tests")
}

pub fn unsafe_code(path: &Path, source: &str) -> Vec<String> {
    let Some(room) = room(path) else { return Vec::new() };
    let tokens = tokens(source);
    let text: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let count = |words: &[&str]| text.windows(words.len()).filter(|window| window == &words).count();
    let mut faults = Vec::new();
    let top = depth(path) == 1;
    if room == "host" {
        return faults;
    }
    let required: &[&str] = if room == "driver" { &["deny"] } else { &["forbid"] };
    if top && count(&[&["#", "!", "["], required, &["(", "unsafe_code", ")", "]"]].concat()) == 0 {
        faults.push(format!("{}: lacks #![{}(unsafe_code)]", path.display(), required[0]));
    }
    if path == Path::new("src/driver/sys.rs") {
        return faults;
    }
    let lifted = count(&["expect", "(", "unsafe_code"]) + count(&["allow", "(", "unsafe_code"]);
    let may_lift = usize::from(path == Path::new("src/driver/mod.rs"));
    if lifted > may_lift {
        faults.push(format!("{}: lifts the ban on unsafe code", path.display()));
    }
    let lines = tokens.iter().filter(|token| token.text == "unsafe").map(|token| token.line);
    faults.extend(lines.map(|line| format!("{}:{line}: unsafe outside host", path.display())));
    faults
}

pub fn clock(path: &Path, source: &str) -> Vec<String> {
    let Some(room) = room(path) else { return Vec::new() };
    if MAY_READ_THE_CLOCK.contains(&room.as_str()) || is_test_file(path) {
        return Vec::new();
    }
    let tokens = tokens(source);
    let tests = test_modules(&tokens);
    let reads = [["Instant", "::", "now"], ["SystemTime", "::", "now"], [".", "elapsed", "("]];
    tokens
        .windows(3)
        .enumerate()
        .filter(|(at, window)| !tests[*at] && reads.iter().any(|read| window.iter().map(|token| &token.text).eq(read)))
        .map(|(_, window)| {
            format!("{}:{}: {room} reads the clock; time is a parameter", path.display(), window[0].line)
        })
        .collect()
}

pub fn length(path: &Path, source: &str) -> Option<String> {
    let lines = source.lines().count();
    (lines > LONGEST_FILE).then(|| format!("{}: {lines} lines, {LONGEST_FILE} is the ceiling", path.display()))
}
