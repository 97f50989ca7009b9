//! What the live configuration lacks for a browser to call, each with the lines to add.
//!
//! Pure: the files come as [`Line`]s, and what only the running Asterisk or its disk can say is
//! asked of a [`World`]. A [`Finding`] never repeats a value that may be a secret: it names files,
//! sections and options.
//!
//! Only files are read. A peer that lives in a database is not seen.

use std::fmt;

mod codecs;
mod http;
mod modules;
mod peers;
mod pjsip;
mod sip;
#[cfg(test)]
mod tests;

/// One `name = value` of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which section of the file, counted from 0: several may have one name.
    pub section: usize,
    pub category: String,
    pub name: String,
    pub value: String,
}

/// The files, as Asterisk reads them. One that is not there is empty.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub http: Vec<Line>,
    pub rtp: Vec<Line>,
    pub modules: Vec<Line>,
    pub sip: Vec<Line>,
    pub pjsip: Vec<Line>,
}

/// What the files do not say.
pub trait World {
    /// Whether the loader has this module, named without its `.so`.
    fn is_loaded(&self, module: &str) -> bool;

    /// Whether somebody takes the sessions of this WebSocket subprotocol on `/ws`.
    fn serves(&self, subprotocol: &str) -> bool;

    /// Reads certificate and key as the server that uses them does. `key`: the file it is in, when
    /// it is not the certificate's. `Err` is a sentence that names the file.
    fn certificate(&self, file: &str, key: Option<&str>) -> Result<Certificate, String>;

    /// Seconds since 1970.
    fn now(&self) -> i64;

    /// Whether this Asterisk's chan_sip knows rtcp_mux.
    fn has_rtcp_mux(&self) -> bool;
}

/// What of a certificate decides whether a browser takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub not_before: i64,
    pub not_after: i64,
    pub has_alternative_name: bool,
    pub weak_digest: Option<&'static str>,
    pub rsa_bits: Option<u32>,
    pub is_self_signed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A browser cannot call, or cannot be called.
    Fault,
    /// It can, but not as one would expect.
    Advice,
}

/// Something that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub file: &'static str,
    /// The sections that it is true of.
    pub sections: Vec<String>,
    pub text: String,
    /// What to write there.
    pub lines: Vec<String>,
}

/// How many sections of a finding are named.
const NAMED_SECTIONS: usize = 6;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<String> = self.sections.iter().take(NAMED_SECTIONS).map(|name| format!("[{name}]")).collect();
        write!(f, "{} {}", self.file, named.join(", "))?;
        if let Some(more @ 1..) = self.sections.len().checked_sub(NAMED_SECTIONS) {
            write!(f, " and {more} more")?;
        }
        writeln!(f, "\n  {}", self.text)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "      {line}"))
    }
}

/// The whole verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Faults first.
    pub findings: Vec<Finding>,
    /// The peers that were taken for browsers', such as `SIP/1001`.
    pub peers: Vec<String>,
    /// Where browsers connect; the host is the administrator's to fill in.
    pub url: String,
}

impl Report {
    pub fn faults(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Fault).count()
    }
}

/// Judges the files. With `peer`, that one alone is taken for a browser's, whatever it looks like;
/// `None` when there is none of that name.
pub fn check(files: &Files, world: &dyn World, peer: Option<&str>) -> Option<Report> {
    let mut notes = Notes::default();
    let mut peers = Vec::new();
    modules::check(files, world, &mut notes);
    if world.is_loaded("chan_sip") {
        peers.extend(sip::check(files, world, peer, &mut notes));
    }
    if world.is_loaded("chan_pjsip") {
        peers.extend(pjsip::check(files, world, peer, &mut notes));
    }
    if peers.is_empty() && peer.is_some() {
        return None;
    }
    if peers.is_empty() {
        peers::none(world, &mut notes);
    } else if ice_is_off(&files.rtp) {
        notes.fault(
            "rtp.conf",
            "general",
            "ICE is off for all of RTP, and browsers send media over ICE only",
            &["icesupport = yes"],
        );
    }
    http::check(files, world, peers.len(), &mut notes);
    let mut findings = notes.0;
    findings.sort_by_key(|finding| finding.severity);
    Some(Report { findings, peers, url: http::url(&files.http) })
}

/// Findings as they are made; the same of several sections becomes one.
#[derive(Debug, Default)]
struct Notes(Vec<Finding>);

impl Notes {
    fn fault(&mut self, file: &'static str, section: &str, text: impl Into<String>, lines: &[&str]) {
        self.add(Severity::Fault, file, section, text.into(), lines);
    }

    fn advice(&mut self, file: &'static str, section: &str, text: impl Into<String>, lines: &[&str]) {
        self.add(Severity::Advice, file, section, text.into(), lines);
    }

    fn add(&mut self, severity: Severity, file: &'static str, section: &str, text: String, lines: &[&str]) {
        let same = self.0.iter_mut().find(|known| {
            (known.severity, known.file, &known.text) == (severity, file, &text) && known.lines.iter().eq(lines)
        });
        match same {
            Some(known) => known.sections.push(section.to_owned()),
            None => self.0.push(Finding {
                severity,
                file,
                sections: vec![section.to_owned()],
                text,
                lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            }),
        }
    }
}

/// The value of an option that has several names; the last line counts, as in Asterisk's own loops.
fn option<'a>(lines: &'a [Line], category: &str, names: &[&str]) -> Option<&'a str> {
    lines
        .iter()
        .rev()
        .find(|line| {
            line.category.eq_ignore_ascii_case(category)
                && names.iter().any(|name| line.name.eq_ignore_ascii_case(name))
        })
        .map(|line| line.value.trim())
}

/// rtp.conf is read by name, and so the first of several lines counts.
fn ice_is_off(rtp: &[Line]) -> bool {
    let first = rtp
        .iter()
        .find(|line| line.category.eq_ignore_ascii_case("general") && line.name.eq_ignore_ascii_case("icesupport"));
    first.is_some_and(|line| !truth(&line.value))
}

/// What Asterisk takes for yes; all else is no.
fn truth(value: &str) -> bool {
    super::value::flag(value.trim()).unwrap_or(false)
}

fn enabled(lines: &[Line], category: &str, names: &[&str]) -> bool {
    option(lines, category, names).is_some_and(truth)
}
