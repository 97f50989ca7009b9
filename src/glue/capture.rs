//! `webrtc capture …`: captures of decrypted RTP and RTCP for Wireshark.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::engine;
use crate::capture::Recorder;
use crate::host::cli::{Command, Console, Outcome, nothing};
use crate::host::log;

/// Entries of the console's table.
pub const COMMANDS: [Command; 3] = [
    Command {
        words: c"webrtc capture start",
        summary: c"Write decrypted RTP and RTCP to a file for Wireshark",
        usage: c"Usage: webrtc capture start <file> [<peer address>]\n       \
                 Writes all RTP and RTCP of the engine, or of one peer, in the clear to a pcapng file\n       \
                 that must not exist yet. The file holds what is said: keep it accordingly.\n       \
                 In Wireshark: Analyze, Decode As, RTP.\n",
        run: start,
        complete: nothing,
    },
    Command {
        words: c"webrtc capture stop",
        summary: c"End the capture of decrypted RTP and RTCP",
        usage: c"Usage: webrtc capture stop\n",
        run: stop,
        complete: nothing,
    },
    Command {
        words: c"webrtc show capture",
        summary: c"Show whether decrypted RTP and RTCP are being captured",
        usage: c"Usage: webrtc show capture\n",
        run: show,
        complete: nothing,
    },
];

/// Begins a capture to `path`, of one peer or of all. `Err` with a sentence.
pub fn begin(path: &Path, only: Option<IpAddr>) -> Result<(), String> {
    let runtime = engine::current().ok_or("the RTP engine is not running")?;
    let application = concat!("res_rust_webrtc ", env!("CARGO_PKG_VERSION"));
    runtime.capture().start(path, only, application).map_err(|error| format!("{}: {error}", path.display()))?;
    let whom = only.map_or_else(|| "all peers".to_owned(), |ip| ip.to_string());
    log::notice(&format!("decrypted media of {whom} is being written to {}", path.display()));
    Ok(())
}

/// Ends the capture; `None` if none ran.
pub fn end() -> Option<Arc<Recorder>> {
    let recorder = engine::current()?.capture().stop()?;
    log::notice(&format!("the capture of decrypted media to {} has ended", recorder.path().display()));
    Some(recorder)
}

fn start(console: &Console, words: &[&str]) -> Outcome {
    let (file, only) = match words {
        [_, _, _, file] => (*file, None),
        [_, _, _, file, peer] => match peer.parse::<IpAddr>() {
            Ok(ip) => (*file, Some(ip)),
            Err(_) => {
                console.line(&format!("{peer} is no IP address"));
                return Outcome::Failure;
            }
        },
        _ => return Outcome::ShowUsage,
    };
    match begin(&PathBuf::from(file), only) {
        Ok(()) => {
            console.line(&format!("Writing decrypted RTP and RTCP to {file}"));
            Outcome::Success
        }
        Err(sentence) => {
            console.line(&sentence);
            Outcome::Failure
        }
    }
}

fn stop(console: &Console, words: &[&str]) -> Outcome {
    if words.len() != 3 {
        return Outcome::ShowUsage;
    }
    match end() {
        Some(recorder) => console.line(&describe(&recorder)),
        None => console.line("No capture is running."),
    }
    Outcome::Success
}

fn show(console: &Console, words: &[&str]) -> Outcome {
    if words.len() != 3 {
        return Outcome::ShowUsage;
    }
    match engine::current().and_then(|runtime| runtime.capture().current()) {
        Some(recorder) => console.line(&describe(&recorder)),
        None => console.line("No capture is running."),
    }
    Outcome::Success
}

fn describe(recorder: &Recorder) -> String {
    let (packets, dropped) = recorder.counts();
    let whom = recorder.only().map_or_else(|| "all peers".to_owned(), |ip| ip.to_string());
    format!("{}: {packets} packets of {whom}, {dropped} lost because the disk was too slow", recorder.path().display())
}
