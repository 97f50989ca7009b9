//! Whose configuration is wrong.
//!
//! A DTLS configuration reaches the engine without the name of the peer or endpoint it belongs to,
//! and a warning without a name sends the administrator searching. So the configuration files are
//! searched for him: which sections give this certificate, key or cipher.
//!
//! And Asterisk leaves out of it a file that it cannot read, as if the option were not there: a
//! peer whose certificate is missing looks like one that asks for a generated one. That, too, only
//! the files tell. They are read when a configuration is met for the first time.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::host::config::{self, Loaded, Variable};
use crate::host::rtp_engine::DtlsConfig;

/// Option names in sip.conf and pjsip.conf: certificate, key, cipher, authority.
const OPTIONS: [(&str, [&str; 4]); 2] = [
    ("sip.conf", ["dtlscertfile", "dtlsprivatekey", "dtlscipher", "dtlscafile"]),
    ("pjsip.conf", ["dtls_cert_file", "dtls_private_key", "dtls_cipher", "dtls_ca_file"]),
];

/// Of [`OPTIONS`], the one that is no file.
const CIPHER: usize = 2;

/// When the files were last written, for whoever keeps what he has learned from them.
pub fn dates() -> [Option<SystemTime>; 2] {
    OPTIONS.map(|(file, _)| {
        let path = PathBuf::from(config::directory()).join(file);
        std::fs::metadata(path).and_then(|data| data.modified()).ok()
    })
}

/// One line for the log: who cannot be called, why, and where to mend it.
pub fn blame(config: &DtlsConfig, error: &str) -> String {
    let names: Vec<String> = sections(config).into_iter().map(|section| section.name).collect();
    let who = match names.as_slice() {
        [] => "a peer".to_owned(),
        [one] => format!("peer {one}"),
        several => format!("one of the peers {}", several.join(", ")),
    };
    format!("{who}: the call is refused, its DTLS configuration cannot be used: {error}")
}

/// Whether the configuration lacks a file that Asterisk could not read: then the files, named. Where
/// another peer has the same configuration and means it so, nobody can tell whose call it is, and
/// it is taken.
pub fn unreadable(config: &DtlsConfig) -> Option<String> {
    let sections = sections(config);
    let files: Option<Vec<String>> = sections
        .iter()
        .map(|section| {
            let (option, file) = section.unreadable.as_ref()?;
            Some(format!("{file} ({option} of {}) does not exist or cannot be read", section.name))
        })
        .collect();
    files.filter(|files| !files.is_empty()).map(|files| files.join("; "))
}

struct Section {
    name: String,
    /// An option whose file Asterisk has left out, and that file.
    unreadable: Option<(&'static str, String)>,
}

/// The sections that this configuration may be of.
fn sections(config: &DtlsConfig) -> Vec<Section> {
    let wanted = [&config.certfile, &config.pvtfile, &config.cipher, &config.cafile];
    let mut found = Vec::new();
    for (file, options) in OPTIONS {
        let Loaded::File(loaded) = config::load(file, false) else { continue };
        let variables = loaded.variables();
        let mut names: Vec<&str> = Vec::new();
        for variable in &variables {
            if !names.contains(&variable.category.as_str()) && !is_shared(&variable.category) {
                names.push(&variable.category);
            }
        }
        for name in names {
            let own = |option: &str| last(&variables, name, option);
            // chan_sip's peers inherit from its general section.
            let value = |option: &str| own(option).or_else(|| last(&variables, "general", option));
            let mut section = Section { name: format!("[{name}] in {file}"), unreadable: None };
            let mut is_dtls = false;
            let mut matches = true;
            for (place, (option, wanted)) in options.into_iter().zip(wanted).enumerate() {
                is_dtls |= own(option).is_some();
                let mut given = value(option).filter(|value| !value.is_empty());
                if let Some(file) = given
                    && place != CIPHER
                    && wanted.is_none()
                    && File::open(file).is_err()
                {
                    section.unreadable = Some((option, file.to_owned()));
                    given = None;
                }
                matches &= given == wanted.as_deref();
            }
            if matches && is_dtls {
                found.push(section);
            }
        }
    }
    found
}

fn is_shared(category: &str) -> bool {
    ["general", "global", "authentication"].iter().any(|shared| category.eq_ignore_ascii_case(shared))
}

fn last<'a>(variables: &'a [Variable], category: &str, option: &str) -> Option<&'a str> {
    variables
        .iter()
        .rfind(|variable| variable.category == category && variable.name.eq_ignore_ascii_case(option))
        .map(|variable| variable.value.as_str())
}
