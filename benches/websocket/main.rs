//! A WebSocket load for `/ws` with the subprotocol `echo`, on this project's own core.
//!
//! It is driven by `benches/websocket/run`, which measures the server: having prepared its
//! connections it prints `ready`, waits for a line, does its work, prints what it saw as one line
//! of JSON, and waits for the end of its input before it closes anything.
//!
//! ```text
//! websocket HOST:PORT ws|wss echo CONNECTIONS BYTES MESSAGES
//! websocket HOST:PORT ws|wss paced CONNECTIONS BYTES RATE SECONDS STALLED
//! websocket HOST:PORT ws|wss handshakes COUNT
//! websocket HOST:PORT ws|wss idle CONNECTIONS
//! ```

mod client;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};

use client::{Client, Target};
use res_rust_webrtc::driver::sys::{Epoll, Interest};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [address, scheme, ref what @ ..] if scheme == "ws" || scheme == "wss" => {
            run(&Target::new(address, scheme == "wss")?, what)
        }
        // What cargo passes when it runs all benches.
        _ => {
            eprintln!("measures nothing by itself: see `make bench-websocket`");
            Ok(())
        }
    }
}

fn run(target: &Target, what: &[&str]) -> Outcome {
    match *what {
        ["echo", connections, bytes, messages] => echo(target, connections.parse()?, bytes.parse()?, messages.parse()?),
        ["paced", connections, bytes, rate, seconds, stalled] => {
            let load = Paced { rate: rate.parse()?, seconds: seconds.parse()?, stalled: stalled.parse()? };
            paced(target, connections.parse()?, bytes.parse()?, &load)
        }
        ["handshakes", count] => handshakes(target, count.parse()?),
        ["idle", connections] => idle(target, connections.parse()?),
        _ => Err("what is to be measured?".into()),
    }
}

/// Says that all is prepared, and waits to be told to begin.
fn ready() -> Outcome {
    println!("ready");
    wait_for_line()
}

fn wait_for_line() -> Outcome {
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(())
}

/// Says what was seen and keeps everything as it is until the measuring is done.
fn report(facts: &BTreeMap<&str, f64>) -> Outcome {
    let pairs: Vec<String> = facts.iter().map(|(name, value)| format!("\"{name}\": {value:.6}")).collect();
    println!("{{{}}}", pairs.join(", "));
    wait_for_line()
}

/// Connections, watched.
struct Crowd {
    clients: Vec<Client>,
    epoll: Epoll,
}

impl Crowd {
    fn new(target: &Target, connections: usize) -> Result<Self, Box<dyn Error>> {
        let epoll = Epoll::new()?;
        let mut clients = Vec::new();
        for number in 0..connections {
            let client = Client::connect(target)?;
            epoll.add(client.fd(), number as u64, Interest { readable: true, ..Interest::default() })?;
            clients.push(client);
        }
        Ok(Self { clients, epoll })
    }

    /// Waits, and calls `on_message` with the number of each connection for each message that
    /// came.
    fn turn(
        &mut self,
        timeout: Duration,
        mut on_message: impl FnMut(usize, &mut Client) -> Outcome,
    ) -> Result<(), Box<dyn Error>> {
        let mut ready = Vec::new();
        self.epoll.wait(&mut ready, Some(timeout))?;
        for event in ready {
            let number = event.token as usize;
            let client = self.clients.get_mut(number).ok_or("no such client")?;
            for _ in 0..client.receive()? {
                on_message(number, client)?;
            }
        }
        Ok(())
    }

    /// Each connection has one message under way until all have been echoed.
    fn ping_pong(&mut self, payload: &[u8], messages: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        let mut sent = vec![Instant::now(); self.clients.len()];
        let mut to_send = messages;
        for client in self.clients.iter_mut().take(messages) {
            client.send(payload)?;
            to_send -= 1;
        }
        let mut latencies = Vec::with_capacity(messages);
        while latencies.len() < messages {
            self.turn(Duration::from_secs(10), |number, client| {
                let now = Instant::now();
                let since = sent.get_mut(number).ok_or("no such client")?;
                latencies.push(now - *since);
                *since = now;
                if to_send > 0 {
                    to_send -= 1;
                    client.send(payload)?;
                }
                Ok(())
            })?;
        }
        Ok(latencies)
    }
}

fn echo(target: &Target, connections: usize, bytes: usize, messages: usize) -> Outcome {
    let payload = vec![b'x'; bytes];
    let mut crowd = Crowd::new(target, connections)?;
    crowd.ping_pong(&payload, 10 * connections)?;
    ready()?;
    let start = Instant::now();
    let latencies = crowd.ping_pong(&payload, messages)?;
    let mut facts = percentiles(latencies);
    facts.insert("seconds", start.elapsed().as_secs_f64());
    facts.insert("operations", messages as f64);
    report(&facts)
}

struct Paced {
    /// Messages a second, over all connections.
    rate: f64,
    seconds: f64,
    /// So many further sessions send and never read.
    stalled: usize,
}

fn paced(target: &Target, connections: usize, bytes: usize, load: &Paced) -> Outcome {
    let payload = vec![b'x'; bytes];
    let mut crowd = Crowd::new(target, connections)?;
    crowd.ping_pong(&payload, 10 * connections)?;
    let mut stalled = Vec::new();
    for _ in 0..load.stalled {
        let mut client = Client::connect(target)?;
        client.send_until_stuck(&vec![b'y'; 60_000])?;
        stalled.push(client);
    }
    ready()?;
    let start = Instant::now();
    let total = (load.rate * load.seconds) as usize;
    let due = |number: usize| start + Duration::from_secs_f64(number as f64 / load.rate);
    let mut latencies = Vec::with_capacity(total);
    // A connection's messages come back in their order.
    let mut under_way = vec![std::collections::VecDeque::new(); connections];
    let mut next = 0;
    while latencies.len() < total {
        let now = Instant::now();
        while next < total && due(next) <= now {
            let number = next % connections;
            crowd.clients.get_mut(number).ok_or("no such client")?.send(&payload)?;
            under_way.get_mut(number).ok_or("no such client")?.push_back(due(next));
            next += 1;
        }
        let wait = if next < total { due(next).saturating_duration_since(now) } else { Duration::from_secs(10) };
        if wait > Duration::ZERO && wait < Duration::from_millis(1) {
            // The wait below counts in milliseconds.
            std::thread::sleep(wait);
        }
        let wait = if wait < Duration::from_millis(1) { Duration::ZERO } else { wait };
        crowd.turn(wait, |number, _| {
            let since = under_way.get_mut(number).and_then(|times| times.pop_front()).ok_or("an echo of nothing")?;
            latencies.push(since.elapsed());
            Ok(())
        })?;
    }
    let mut facts = percentiles(latencies);
    facts.insert("seconds", start.elapsed().as_secs_f64());
    facts.insert("operations", total as f64);
    report(&facts)?;
    drop(stalled);
    Ok(())
}

fn handshakes(target: &Target, count: usize) -> Outcome {
    for _ in 0..5 {
        Client::connect(target)?.close()?;
    }
    ready()?;
    let start = Instant::now();
    for _ in 0..count {
        Client::connect(target)?.close()?;
    }
    report(&BTreeMap::from([("seconds", start.elapsed().as_secs_f64()), ("operations", count as f64)]))
}

fn idle(target: &Target, connections: usize) -> Outcome {
    let mut crowd = Crowd::new(target, 20)?;
    crowd.ping_pong(b"hello", 40)?;
    ready()?;
    let mut more = Crowd::new(target, connections)?;
    more.ping_pong(b"hello", connections)?;
    report(&BTreeMap::from([("operations", connections as f64)]))
}

fn percentiles(mut latencies: Vec<Duration>) -> BTreeMap<&'static str, f64> {
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
    };
    BTreeMap::from([("p50_us", at(0.5)), ("p99_us", at(0.99))])
}
