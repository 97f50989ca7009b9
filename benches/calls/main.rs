//! Calls at load through a real Asterisk: `benches/calls/run` starts it and calls this program,
//! which is one scenario in one thread and prints its figures as a line of JSON.
//!
//! ```text
//! calls echo|pairs|churn --server IP:PORT --pid PID --calls N [--seconds S] [--rate PER_SECOND]
//!                        [--accounts N] [--aftermath S] [--codec pcmu|opus]
//! calls floor --calls N [--seconds S]
//! ```
//!
//! Every packet carries a number and the time it was sent, so that loss, the loss at the head of a
//! stream, delay and media in the clear are known packet by packet. The clients' ICE, DTLS and SRTP
//! are the project's own `rtc::Session`, used from the browser's side.

mod figures;
mod floor;
mod media;
mod process;
mod run;
mod sip;
mod socket;
mod tls;
mod user;

use std::time::{Duration, Instant};

use res_rust_webrtc::rtc::dtls::{Config, Context, Identity};
use res_rust_webrtc::rtc::srtp::Profile;

use media::Shared;
use run::{Kind, Scenario};

struct Arguments(Vec<String>);

impl Arguments {
    fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|argument| argument == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{name} {text}: not a number")),
        }
    }
}

fn main() -> Result<(), String> {
    let arguments = Arguments(std::env::args().skip(1).filter(|argument| argument != "--bench").collect());
    let calls: u32 = arguments.number("--calls", 10)?;
    let seconds: u64 = arguments.number("--seconds", 8)?;
    let kind = match arguments.0.first().map(String::as_str) {
        Some("echo") => Kind::Echo,
        Some("pairs") => Kind::Pairs,
        Some("churn") => Kind::Churn,
        Some("floor") => {
            let figures = floor::measure(calls as usize, seconds).map_err(|error| error.to_string())?;
            println!("{}", figures.json());
            return Ok(());
        }
        Some("floor-server") => return floor::serve(calls as usize).map_err(|error| error.to_string()),
        _ => {
            return Err(
                "usage: calls echo|pairs|churn|floor …: see benches/calls/main.rs, or run make bench-calls".into()
            );
        }
    };
    let server = arguments.get("--server").and_then(|text| text.parse().ok()).ok_or("--server IP:PORT is needed")?;
    let scenario = Scenario {
        kind,
        server,
        pid: arguments.number("--pid", 0)?,
        calls,
        rate: arguments.number("--rate", 25.0)?,
        window: Duration::from_secs(seconds),
        aftermath: Duration::from_secs(arguments.number("--aftermath", 2)?),
        accounts: arguments.number("--accounts", 400)?,
    };
    let identity = Identity::generate().map_err(|error| error.to_string())?;
    let config = Config { profiles: vec![Profile::AesCm128HmacSha1_80], ..Config::default() };
    let context = Context::new(&identity, config).map_err(|error| error.to_string())?;
    let codec = match arguments.get("--codec") {
        Some("opus") => media::OPUS,
        _ => media::PCMU,
    };
    let shared = Shared { identity, context, codec, begin: Instant::now() };
    println!("{}", run::run(&scenario, &shared).json());
    Ok(())
}
