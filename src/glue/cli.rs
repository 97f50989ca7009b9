//! The console: `webrtc …`. A command is one entry of [`COMMANDS`], or of the table of the module
//! whose subject it is.

use std::sync::Mutex;

use crate::host::cli::{self, Command, Console, Outcome, Registration, nothing};
use crate::host::version;
use crate::settings::Source;
use crate::sync;

mod sessions;

#[cfg(ast_has_iostream)]
use super::websocket;
use super::{capture, check, config, engine};

const COMMANDS: &[Command] = &[
    Command {
        words: c"webrtc check",
        summary: c"Say what a browser lacks to call",
        usage: c"Usage: webrtc check [<peer>]\n       \
                 Reads http.conf, rtp.conf, modules.conf, sip.conf and pjsip.conf as they are now, and says\n       \
                 what in them keeps browsers from calling, with the lines to add. Without a name, those\n       \
                 peers are looked at that are set up for a browser in part. Peers that live in a database\n       \
                 are not seen.\n",
        run: check::run,
        complete: nothing,
    },
    Command {
        words: c"webrtc show sessions",
        summary: c"Show the RTP sessions of the WebRTC module",
        usage: c"Usage: webrtc show sessions [verbose]\n       \
                 Prints a line for each RTP session: its channel, the peer's address, how far ICE and\n       \
                 DTLS have come, packets sent, received and lost, jitter and round-trip time. With\n       \
                 \"verbose\", also the candidate pair, the ciphers agreed on, what the peer reports, and\n       \
                 what was discarded for which reason.\n",
        run: sessions::show,
        complete: |cursor| if cursor.position == 3 { vec!["verbose".into()] } else { Vec::new() },
    },
    Command {
        words: c"webrtc show settings",
        summary: c"Show the options of the WebRTC module",
        usage: c"Usage: webrtc show settings [all]\n       \
                 Prints the options of webrtc.conf, rtp.conf and http.conf that differ from their\n       \
                 defaults; with \"all\", every option that the module reads.\n",
        run: show_settings,
        complete: |cursor| if cursor.position == 3 { vec!["all".into()] } else { Vec::new() },
    },
    Command {
        words: c"webrtc show servers",
        summary: c"Show the STUN and TURN servers and what came of them",
        usage: c"Usage: webrtc show servers\n       \
                 Prints what the names of rtp.conf's stunaddr and turnaddr are, from which local\n       \
                 addresses the servers answer, and how many RTP ports are ready with their answers.\n",
        run: show_servers,
        complete: nothing,
    },
    Command {
        words: c"webrtc show version",
        summary: c"Show version and build of the WebRTC module",
        usage: c"Usage: webrtc show version\n       \
                 Prints the module's version, the Asterisk it was built for and the one that runs.\n",
        run: show_version,
        complete: nothing,
    },
    #[cfg(feature = "fault-injection")]
    Command {
        words: c"_webrtc panic",
        summary: c"Panic inside the module",
        usage: c"Usage: _webrtc panic\n",
        run: |_, _| panic!("asked for on the console"),
        complete: |_| panic!("asked for on the console, in completion"),
    },
];

/// LOCK: a leaf; taken empty before Asterisk is called.
static REGISTERED: Mutex<Vec<Registration>> = Mutex::new(Vec::new());

/// Adds all commands. One that Asterisk refuses is missing from the console, and no more than that.
pub fn register() {
    #[cfg(ast_has_iostream)]
    let websocket = &websocket::cli::COMMANDS[..];
    #[cfg(not(ast_has_iostream))]
    let websocket: &[Command] = &[];
    let registered: Vec<Registration> = COMMANDS
        .iter()
        .chain(&capture::COMMANDS)
        .chain(websocket)
        .filter_map(|command| cli::register(*command, &crate::MODULE_INFO))
        .collect();
    sync::lock(&REGISTERED).extend(registered);
}

/// Withdraws them.
pub fn unregister() {
    let registered = std::mem::take(&mut *sync::lock(&REGISTERED));
    drop(registered);
}

fn show_settings(console: &Console, words: &[&str]) -> Outcome {
    let all = match words {
        [_, _, _] => false,
        [_, _, _, "all"] => true,
        _ => return Outcome::ShowUsage,
    };
    let shown = config::current().shown();
    for source in Source::ALL {
        let mut heading = "";
        for option in shown.iter().filter(|option| option.source == source && (all || !option.is_default)) {
            if option.category != heading {
                heading = option.category;
                console.line(&format!("{} [{heading}]", source.file()));
            }
            let mark = if option.is_default { "" } else { " *" };
            console.line(&format!("  {:<26} {}{mark}", option.name, option.value));
        }
    }
    match shown.iter().filter(|option| !option.is_default).count() {
        0 => console.line("All options have their defaults."),
        n => console.line(&format!("{n} option(s) differ from the default, marked *.")),
    }
    Outcome::Success
}

fn show_servers(console: &Console, words: &[&str]) -> Outcome {
    if words.len() != 3 {
        return Outcome::ShowUsage;
    }
    for line in engine::servers() {
        console.line(&line);
    }
    Outcome::Success
}

fn show_version(console: &Console, words: &[&str]) -> Outcome {
    if words.len() != 3 {
        return Outcome::ShowUsage;
    }
    console.line(&format!("res_rust_webrtc {}", env!("CARGO_PKG_VERSION")));
    console.line(&format!("  built for Asterisk {}", version::built_for()));
    console.line(&format!("  layouts compared   {}", version::layouts()));
    console.line(&format!("  running Asterisk   {}", version::running()));
    Outcome::Success
}
