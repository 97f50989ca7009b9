//! `webrtc check`: the rules of `settings::check`, asked about the configuration as it is now.

use std::ffi::CString;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::host::cli::{Console, Outcome};
use crate::host::config::{self, Loaded};
use crate::host::module_ref;
use crate::host::openssl::x509::KeyPair;
use crate::settings::check::{self, Certificate, Files, Line, World};

pub(super) fn run(console: &Console, words: &[&str]) -> Outcome {
    let peer = match words {
        [_, _] => None,
        [_, _, peer] => Some(*peer),
        _ => return Outcome::ShowUsage,
    };
    let files = match read() {
        Ok(files) => files,
        Err(file) => {
            console.line(&format!("Asterisk cannot read {file}; its log says why."));
            return Outcome::Failure;
        }
    };
    let Some(report) = check::check(&files, &Live, peer) else {
        console
            .line(&format!("There is no peer or endpoint '{}' in sip.conf or pjsip.conf.", peer.unwrap_or_default()));
        return Outcome::Failure;
    };
    for finding in &report.findings {
        console.line(&finding.to_string());
    }
    let (faults, advice) = (report.faults(), report.findings.len() - report.faults());
    let advice = match advice {
        0 => String::new(),
        n => format!(" To consider: {n}."),
    };
    if faults == 0 {
        console.line(&format!(
            "Nothing keeps a browser from calling as {} over {}.{advice}",
            listed(&report.peers),
            report.url
        ));
    } else {
        console.line(&format!("Browsers cannot call, or not be called. Faults: {faults}.{advice}"));
    }
    Outcome::Success
}

fn listed(peers: &[String]) -> String {
    const NAMED: usize = 6;
    match peers.split_at_checked(NAMED) {
        Some((first, more @ [_, ..])) => format!("{} and {} more", first.join(", "), more.len()),
        _ => peers.join(", "),
    }
}

/// The files, or the name of one that Asterisk's parser refuses.
fn read() -> Result<Files, &'static str> {
    let lines = |name: &'static str| match config::load(name, false) {
        Loaded::File(file) => Ok(file
            .variables()
            .into_iter()
            .map(|variable| Line {
                section: variable.section,
                category: variable.category,
                name: variable.name,
                value: variable.value,
            })
            .collect()),
        Loaded::Absent | Loaded::Unchanged => Ok(Vec::new()),
        Loaded::Invalid => Err(name),
    };
    Ok(Files {
        http: lines("http.conf")?,
        rtp: lines("rtp.conf")?,
        modules: lines("modules.conf")?,
        sip: lines("sip.conf")?,
        pjsip: lines("pjsip.conf")?,
    })
}

/// This Asterisk and its disk.
struct Live;

impl World for Live {
    fn is_loaded(&self, module: &str) -> bool {
        CString::new(format!("{module}.so")).is_ok_and(|name| module_ref::is_loaded(&name))
    }

    fn serves(&self, subprotocol: &str) -> bool {
        #[cfg(ast_has_iostream)]
        return super::websocket::serves(subprotocol);
        // Without the WebSocket server of ours, stock's has it.
        #[cfg(not(ast_has_iostream))]
        {
            let _ = subprotocol;
            true
        }
    }

    fn certificate(&self, file: &str, key: Option<&str>) -> Result<Certificate, String> {
        let pair = KeyPair::load(Path::new(file), key.map(Path::new)).map_err(|error| error.to_string())?;
        let certificate = pair.certificate;
        let (not_before, not_after) = certificate.validity().map_err(|error| format!("{file}: {error}"))?;
        Ok(Certificate {
            not_before,
            not_after,
            has_alternative_name: certificate.has_alternative_name(),
            weak_digest: certificate.weak_digest(),
            rsa_bits: certificate.rsa_bits(),
            is_self_signed: certificate.is_self_signed(),
        })
    }

    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    fn has_rtcp_mux(&self) -> bool {
        cfg!(ast_has_rtcp_mux)
    }
}
