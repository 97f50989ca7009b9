//! The physical floor: a process that receives, unprotects, protects and sends, from one thread
//! with epoll, and nothing else; beside it a process that keeps it busy.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use res_rust_webrtc::driver::sys::{self, Epoll, Interest};
use res_rust_webrtc::rtc::srtp::{Context, Profile};

use crate::figures::Figures;
use crate::media::INTERVAL;
use crate::process;

const PAYLOAD: usize = 160;
const READABLE: Interest = Interest { readable: true, writable: false, edge: false };

fn context(key: u8) -> Context {
    let profile = Profile::AesCm128HmacSha1_80;
    Context::new(profile, &vec![key; profile.key_length()], &vec![key; profile.salt_length()]).expect("a good key")
}

/// The process that is measured; it ends when its standard input does.
pub fn serve(streams: usize) -> std::io::Result<()> {
    let epoll = Epoll::new()?;
    let mut legs = Vec::new();
    let mut ports = String::new();
    for n in 0..streams {
        let socket = sys::bind_udp("127.0.0.1:0".parse().expect("an address"))?;
        epoll.add(socket.as_raw_fd(), n as u64, READABLE)?;
        ports.push_str(&format!("{} ", socket.local_addr()?.port()));
        legs.push((socket, context(1), context(2)));
    }
    epoll.add(0, streams as u64, READABLE)?;
    println!("{ports}");
    std::io::stdout().flush()?;
    let mut ready = Vec::new();
    let mut packet = vec![0; 2048];
    loop {
        epoll.wait(&mut ready, None)?;
        for event in &ready {
            let Some((socket, rx, tx)) = legs.get_mut(event.token as usize) else { return Ok(()) };
            packet.resize(2048, 0);
            let Ok((length, from, _)) = sys::receive(socket, &mut packet) else { continue };
            let Ok(length) = rx.unprotect_rtp(&mut packet[..length]) else { continue };
            packet.truncate(length);
            if tx.protect_rtp(&mut packet).is_ok() {
                // What cannot be sent is missed by the other process.
                let _ = sys::send(socket, &packet, None, from, false);
            }
        }
    }
}

/// Runs the floor with `streams` at 50 packets/s for `seconds` and measures it.
pub fn measure(streams: usize, seconds: u64) -> std::io::Result<Figures> {
    let own = std::env::current_exe()?;
    let mut child = Command::new(own)
        .args(["floor-server", "--calls", &streams.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line)?;
    let peers: Vec<SocketAddr> =
        line.split_whitespace().filter_map(|port| format!("127.0.0.1:{port}").parse().ok()).collect();
    let mut sockets = Vec::new();
    for peer in &peers {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(peer)?;
        socket.set_nonblocking(true)?;
        sockets.push((socket, context(1)));
    }
    let begin = Instant::now();
    let settle = Duration::from_secs(1);
    let end = settle + Duration::from_secs(seconds);
    let (mut first, mut sent, mut received) = (None, 0u64, 0u64);
    let mut at_first = 0;
    let mut buffer = [0; 2048];
    let step = INTERVAL / u32::try_from(streams.max(1)).unwrap_or(u32::MAX);
    for n in 0u64.. {
        let due = step * u32::try_from(n).unwrap_or(u32::MAX);
        if due >= end {
            break;
        }
        if first.is_none() && due >= settle {
            first = Some(process::read(child.id()));
            at_first = received;
        }
        if let Some(wait) = due.checked_sub(begin.elapsed()).filter(|wait| *wait > Duration::from_micros(500)) {
            std::thread::sleep(wait);
        }
        let Some((socket, tx)) = sockets.get_mut(n as usize % streams.max(1)) else { break };
        while socket.recv(&mut buffer).is_ok() {
            received += 1;
        }
        let sequence = (n / streams.max(1) as u64) as u16;
        let mut packet = vec![0x55; 12 + PAYLOAD];
        packet[..2].copy_from_slice(&[0x80, 0]);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        if tx.protect_rtp(&mut packet).is_ok() && socket.send(&packet).is_ok() {
            sent += 1;
        }
    }
    let last = process::read(child.id());
    for (socket, _) in &sockets {
        while socket.recv(&mut buffer).is_ok() {
            received += 1;
        }
    }
    let first = first.unwrap_or_default();
    let packets = received.saturating_sub(at_first) as f64;
    let mut figures = Figures::default();
    figures.put("cpu_us_per_packet", (last.cpu - first.cpu) / packets);
    figures.put("switches_per_packet", last.switches.saturating_sub(first.switches) as f64 / packets);
    figures.put("sent", sent as f64);
    figures.put("received", received as f64);
    drop(child.stdin.take());
    child.wait()?;
    Ok(figures)
}
