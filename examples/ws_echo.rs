//! An echo server over the WebSocket core alone: what Autobahn's fuzzingclient is run against, and
//! the shortest example of how a connection is driven.
//!
//! `ws_echo ADDRESS:PORT [--deflate]`; port 0 takes a free one. The address is printed once the
//! server listens. One thread per connection, blocking sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use res_rust_webrtc::websocket::deflate::Settings;
use res_rust_webrtc::websocket::handshake::{Request, accept, response};
use res_rust_webrtc::websocket::{CloseCode, Config, Connection, Event, Limits, Role, Timing};

/// Autobahn's largest message has 16 MiB.
const LIMITS: Limits = Limits { max_frame: 64 << 20, max_message: 64 << 20, max_queue: 128 << 20 };

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let deflate = arguments.next().is_some_and(|argument| argument == "--deflate");
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = serve(stream, deflate) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream, deflate: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (head, behind) = read_head(&mut stream)?;
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let request = Request { method: words.next().unwrap_or_default(), version: words.nth(1) };
    let upgrade = match accept(request, lines.filter_map(|line| line.split_once(':'))) {
        Ok(upgrade) => upgrade,
        Err(refusal) => {
            let mut text = format!("HTTP/1.1 {} {}\r\n", refusal.status(), refusal.title());
            for (name, value) in refusal.headers() {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("Content-Length: 0\r\n\r\n");
            return stream.write_all(text.as_bytes());
        }
    };
    let agreed = upgrade.negotiate_deflate(&Settings::default()).filter(|_| deflate);
    let protocol = upgrade.protocols.first().map(String::as_str);
    stream.write_all(&response(&upgrade, protocol, agreed.as_ref()))?;

    let config = Config { role: Role::Server, limits: LIMITS, timing: Timing::default(), deflate: agreed };
    let mut connection = Connection::new(config, Instant::now());
    connection.handle_input(Instant::now(), &behind);
    drive(&mut stream, &mut connection)
}

/// Feeds the connection and does what it asks for, until it is finished.
fn drive(stream: &mut TcpStream, connection: &mut Connection) -> io::Result<()> {
    let mut octets = vec![0; 64 << 10];
    let mut shut_down = false;
    loop {
        let now = Instant::now();
        connection.handle_timeout(now);
        while let Some(event) = connection.poll_event(now) {
            if let Event::Message { opcode, payload } = event
                && connection.is_open()
                && connection.send_message(now, opcode, &payload).is_err()
            {
                connection.fail(now, CloseCode::INTERNAL_ERROR, "queue overflow");
            }
        }
        while !connection.poll_output().is_empty() {
            let count = stream.write(connection.poll_output())?;
            connection.consume(Instant::now(), count);
        }
        if connection.wants_shutdown() && !shut_down {
            stream.shutdown(Shutdown::Write)?;
            shut_down = true;
        }
        if connection.is_finished() {
            return Ok(());
        }
        let patience = connection.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        stream.set_read_timeout(patience.map(|patience| patience.max(Duration::from_millis(1))))?;
        match stream.read(&mut octets) {
            Ok(0) => connection.handle_eof(Instant::now()),
            Ok(count) => connection.handle_input(Instant::now(), &octets[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => connection.handle_broken(),
        }
    }
}

/// The request up to its empty line, and what came behind it.
fn read_head(stream: &mut TcpStream) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    let mut octets = [0; 4096];
    while head.len() < 64 << 10 {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            let behind = head.split_off(end + 4);
            return Ok((head, behind));
        }
        let count = stream.read(&mut octets)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&octets[..count]);
    }
    Err(io::ErrorKind::InvalidData.into())
}
