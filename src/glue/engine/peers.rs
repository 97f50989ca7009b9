//! Whose configuration is wrong.
//!
//! A DTLS configuration reaches the engine without the name of the peer or endpoint it belongs to,
//! and a warning without a name sends the administrator searching. So the configuration files are
//! searched for him: which sections name this certificate, key or cipher. This is done only when a
//! call is refused for it.

use crate::host::config::{self, Loaded};
use crate::host::rtp_engine::DtlsConfig;

/// Option names in sip.conf and pjsip.conf.
const OPTIONS: [(&str, &[&str]); 2] = [
    ("sip.conf", &["dtlscertfile", "dtlsprivatekey", "dtlscipher", "dtlscafile"]),
    ("pjsip.conf", &["dtls_cert_file", "dtls_private_key", "dtls_cipher", "dtls_ca_file"]),
];

/// One line for the log: who cannot be called, why, and where to mend it.
pub fn blame(config: &DtlsConfig, error: &str) -> String {
    let sections = sections(config);
    let who = match sections.as_slice() {
        [] => "a peer".to_owned(),
        [one] => format!("peer {one}"),
        several => format!("one of the peers {}", several.join(", ")),
    };
    format!("{who}: the call is refused, its DTLS configuration cannot be used: {error}")
}

fn sections(config: &DtlsConfig) -> Vec<String> {
    let wanted = [&config.certfile, &config.pvtfile, &config.cipher, &config.cafile];
    let mut found = Vec::new();
    for (file, options) in OPTIONS {
        let Loaded::File(loaded) = config::load(file, false) else { continue };
        let variables = loaded.variables();
        let mut names: Vec<&str> = Vec::new();
        for variable in &variables {
            if !names.contains(&variable.category.as_str()) {
                names.push(&variable.category);
            }
        }
        for name in names {
            let matches = options.iter().zip(wanted).all(|(option, wanted)| {
                let last = variables
                    .iter()
                    .rfind(|v| v.category == name && v.name.eq_ignore_ascii_case(option))
                    .map(|v| v.value.as_str());
                // Unset may be inherited from [general]; set must be the same.
                last.is_none() || last == wanted.as_deref()
            });
            let any = variables
                .iter()
                .any(|v| v.category == name && options.iter().any(|option| v.name.eq_ignore_ascii_case(option)));
            if matches && any {
                found.push(format!("[{name}] in {file}"));
            }
        }
    }
    found
}
