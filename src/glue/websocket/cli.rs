//! `websocket …`: the sessions, the settings and the counters on the console.

use std::time::Duration;

use super::super::config;
use super::{LEDGER, is_beside_stock, reactor};
use crate::driver::websocket::Summary;
use crate::host::cli::{Command, Console, Cursor, Outcome, nothing};
use crate::host::log;
use crate::settings::Source;
use crate::websocket::{CloseCode, Counters};

/// Entries of the console's table.
pub const COMMANDS: [Command; 4] = [
    Command {
        words: c"websocket show sessions",
        summary: c"Show the WebSocket sessions",
        usage: c"Usage: websocket show sessions [verbose]\n       \
                 Lists the sessions of res_rust_webrtc, oldest first: messages in and out, bytes that wait\n       \
                 for the peer, round-trip time of the last ping. With \"verbose\" also traffic, TLS, the\n       \
                 proxy, the identifier that consumers know the session by, and the peer's user agent.\n",
        run: show_sessions,
        complete: |cursor| if cursor.position == 3 { vec!["verbose".into()] } else { Vec::new() },
    },
    Command {
        words: c"websocket show settings",
        summary: c"Show the options of the WebSocket server",
        usage: c"Usage: websocket show settings\n       \
                 Prints who serves WebSockets and the options of [websocket] in webrtc.conf; those that\n       \
                 differ from their defaults are marked *.\n",
        run: show_settings,
        complete: nothing,
    },
    Command {
        words: c"websocket show counters",
        summary: c"Show what the WebSocket server has counted",
        usage: c"Usage: websocket show counters\n       \
                 Prints how many sessions there were, how they ended, and why upgrades were refused,\n       \
                 since the module was loaded.\n",
        run: show_counters,
        complete: nothing,
    },
    Command {
        words: c"websocket kill",
        summary: c"End a WebSocket session",
        usage: c"Usage: websocket kill <id>\n       \
                 Ends the session of this number in \"websocket show sessions\" with code 1008.\n",
        run: kill,
        complete: session_ids,
    },
];

const NOT_RUNNING: &str = "The WebSocket server is not running.";

fn summaries() -> Option<Vec<Summary>> {
    Some(reactor()?.sessions().iter().map(|session| session.summary()).collect())
}

fn show_sessions(console: &Console, words: &[&str]) -> Outcome {
    let verbose = match words {
        [_, _, _] => false,
        [_, _, _, "verbose"] => true,
        _ => return Outcome::ShowUsage,
    };
    let Some(sessions) = summaries() else {
        console.line(NOT_RUNNING);
        return Outcome::Success;
    };
    if !sessions.is_empty() {
        console.line(&format!(
            "{:>6} {:<42} {:<16} {:>12} {:>8} {:>8} {:>8} {:>9}",
            "Id", "Peer", "Protocol", "Age", "In", "Out", "Queued", "RTT ms"
        ));
    }
    for session in &sessions {
        console.line(&row(session));
        if verbose {
            for line in details(session) {
                console.line(&format!("       {line}"));
            }
        }
    }
    console.line(&match sessions.len() {
        0 => "No WebSocket session.".to_owned(),
        1 => "1 WebSocket session.".to_owned(),
        count => format!("{count} WebSocket sessions."),
    });
    Outcome::Success
}

fn row(session: &Summary) -> String {
    let rtt = session.rtt.map_or_else(|| "-".to_owned(), |rtt| format!("{:.1}", rtt.as_secs_f64() * 1000.0));
    format!(
        "{:>6} {:<42} {:<16} {:>12} {:>8} {:>8} {:>8} {:>9}{}",
        session.id,
        session.info.peer,
        session.info.subprotocol,
        age(session.age),
        session.counters.messages_in,
        session.counters.messages_out,
        session.queued,
        rtt,
        if session.is_open { "" } else { " closing" },
    )
}

fn details(session: &Summary) -> Vec<String> {
    let info = &session.info;
    let mut lines = vec![
        format!("session    {}", info.session_id),
        format!("bytes      {}", bytes(&session.counters)),
        format!("waiting    {} message(s) for the consumer", session.unread),
    ];
    lines.push(match &info.tls {
        Some((version, cipher)) => format!("transport  {version}, {cipher}"),
        None => "transport  not encrypted".to_owned(),
    });
    if let Some(proxy) = &info.proxy {
        lines.push(format!("proxy      {proxy}"));
    }
    if let Some(agent) = &info.user_agent {
        lines.push(format!("agent      {}", agent.chars().take(160).collect::<String>()));
    }
    lines
}

fn bytes(counters: &Counters) -> String {
    format!(
        "{} in and {} out, of them payload {} and {}",
        counters.octets_in, counters.octets_out, counters.payload_in, counters.payload_out
    )
}

/// `12:34:56`, with the days before it once there are some.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    let time = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86400 {
        0 => time,
        days => format!("{days}d {time}"),
    }
}

fn show_settings(console: &Console, words: &[&str]) -> Outcome {
    if words.len() != 3 {
        return Outcome::ShowUsage;
    }
    console.line(&match is_beside_stock() {
        Some(true) => "WebSockets are served by res_rust_webrtc, in the place of res_http_websocket.".to_owned(),
        Some(false) => "WebSockets are served by res_rust_webrtc.".to_owned(),
        None => NOT_RUNNING.to_owned(),
    });
    for option in config::current().shown() {
        if option.source == Source::Webrtc && option.category == "websocket" {
            let mark = if option.is_default { "" } else { " *" };
            console.line(&format!("  {:<26} {}{mark}", option.name, option.value));
        }
    }
    Outcome::Success
}

fn show_counters(console: &Console, words: &[&str]) -> Outcome {
    if words.len() != 3 {
        return Outcome::ShowUsage;
    }
    // In this order a session that ends in between is counted twice, but never left out.
    let mut live = summaries().unwrap_or_default();
    live.retain(|session| !session.is_over);
    let totals = LEDGER.totals();
    let mut traffic = totals.traffic;
    for session in &live {
        traffic.add(&session.counters);
    }
    let line = |name: &str, value: u64| console.line(&format!("  {name:<26} {value}"));
    console.line("Sessions");
    line("accepted", totals.accepted);
    line("open", live.len() as u64);
    console.line("Traffic");
    line("messages in", traffic.messages_in);
    line("messages out", traffic.messages_out);
    line("bytes in", traffic.octets_in);
    line("bytes out", traffic.octets_out);
    line("pings in", traffic.pings_in);
    line("pongs in", traffic.pongs_in);
    for (heading, counts) in [("Ended", &totals.ended), ("Refused", &totals.refused)] {
        console.line(heading);
        for (reason, count) in counts {
            line(reason, *count);
        }
        if counts.is_empty() {
            line("none", 0);
        }
    }
    Outcome::Success
}

fn kill(console: &Console, words: &[&str]) -> Outcome {
    let [_, _, id] = words else { return Outcome::ShowUsage };
    let Ok(id) = id.parse::<u64>() else { return Outcome::ShowUsage };
    let Some(reactor) = reactor() else {
        console.line(NOT_RUNNING);
        return Outcome::Failure;
    };
    let Some(session) = reactor.sessions().into_iter().find(|session| session.id() == id) else {
        console.line(&format!("There is no WebSocket session {id}."));
        return Outcome::Failure;
    };
    let peer = &session.info().peer;
    session.kill(CloseCode::POLICY_VIOLATION, "closed by the administrator");
    log::notice(&format!("WebSocket connection from '{peer}' ended from the console"));
    console.line(&format!("Session {id} of {peer} has been ended."));
    Outcome::Success
}

fn session_ids(cursor: &Cursor<'_>) -> Vec<String> {
    if cursor.position != 2 {
        return Vec::new();
    }
    summaries().unwrap_or_default().iter().map(|session| session.id.to_string()).collect()
}
