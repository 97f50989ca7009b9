//! Whatever a peer sends: no panic, bounded memory, and an end. Seeded, so that a failure comes
//! again.

mod websocket_common;

use std::time::{Duration, Instant};

use res_rust_webrtc::websocket::handshake::{
    ClientHandshake, ClientRequest, Request, accept, parse_extensions, response,
};
use res_rust_webrtc::websocket::{Connection, DataOpcode, Event, Limits, ProtocolError, Reassembly, Role};
use websocket_common::*;

const LIMIT: usize = 4096;

/// What a connection may hold at most: a message of twice the limit for the buffer's growth, the
/// backlog, one read, the events themselves, and the queue.
const BOUND: usize = 2 * LIMIT + 2 * LIMIT + 2 * READ + 64 * 1024 + 2 * QUEUE;
const READ: usize = 2048;
const QUEUE: usize = 4096;

fn small(role: Role, deflate_bits: Option<u8>) -> Connection {
    let mut config = config(role);
    config.limits = Limits { max_frame: LIMIT, max_message: LIMIT, max_queue: QUEUE };
    config.deflate = deflate_bits.map(|bits| deflate(bits % 2 == 0, bits));
    Connection::new(config, Instant::now())
}

/// A lively stream of valid frames as the given role's peer would send it.
fn valid_stream(random: &mut Random, deflate_bits: Option<u8>) -> Vec<u8> {
    let now = Instant::now();
    let mut config = config(CLIENT);
    config.deflate = deflate_bits.map(|bits| deflate(bits % 2 == 0, bits));
    let mut client = Connection::new(config, now);
    let mut out = Vec::new();
    for _ in 0..1 + random.below(6) {
        match random.below(5) {
            0 => {
                let size = random.below(126);
                let payload = random.octets(size);
                client.ping(now, &payload).expect("taken");
            }
            1 => {
                out.extend(frame(0x01, b"frag"));
                out.extend(frame(0x80, b"ment"));
            }
            2 => {
                let size = random.below(3000);
                let payload = random.octets(size);
                client.send_message(now, DataOpcode::Binary, &payload).expect("taken");
            }
            _ => {
                let characters = random.below(200);
                let text = random.text(characters);
                client.send_message(now, DataOpcode::Text, text.as_bytes()).expect("taken");
            }
        }
        out.extend(written(&mut client, now));
    }
    out
}

fn mutate(random: &mut Random, octets: &mut Vec<u8>) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(octets.len());
        match random.below(6) {
            0 => octets[at] ^= 1 << random.below(8),
            1 => octets[at] = random.next() as u8,
            2 => {
                octets.remove(at);
                if octets.is_empty() {
                    octets.push(0x81);
                }
            }
            3 => octets.insert(at, random.next() as u8),
            4 => octets.truncate(at.max(1)),
            _ => {
                let end = at + random.below(octets.len() - at);
                let copy = octets[at..end].to_vec();
                octets.splice(at..at, copy);
            }
        }
    }
}

#[test]
fn mutated_streams_neither_panic_nor_pile_up() {
    let start = Instant::now();
    let mut violations = 0;
    for seed in 0..10_000 {
        let mut random = Random::new(seed);
        let bits = (seed % 3 == 0).then(|| 8 + (seed % 8) as u8);
        let mut octets = valid_stream(&mut random, bits);
        mutate(&mut random, &mut octets);
        let mut server = small(Role::Server, bits);
        if seed % 5 == 0 {
            server.set_reassembly(Reassembly::UpTo(random.below(100)));
        }
        let mut now = start;
        let mut ended = false;
        let mut rest = octets.as_slice();
        while !rest.is_empty() && server.wants_input() {
            now += Duration::from_millis(1);
            let size = (1 + random.below(READ)).min(rest.len());
            let (piece, behind) = rest.split_at(size);
            rest = behind;
            server.handle_input(now, piece);
            assert!(server.buffered_bytes() <= BOUND, "seed {seed}");
            if random.below(3) > 0 || !server.wants_input() {
                for event in events(&mut server, now) {
                    assert!(!ended, "seed {seed}: nothing comes after the close");
                    if let Event::Close(close) = event {
                        ended = true;
                        violations += usize::from(close.code.is_some());
                    }
                }
            }
            if random.below(4) > 0 {
                let size = random.below(server.queued_bytes() + 1);
                server.consume(now, size);
            }
        }
        server.handle_eof(now);
        ended |= close(&events(&mut server, now)).is_some();
        assert!(ended, "seed {seed}: an end is told");
        written(&mut server, now);
        assert!(server.is_finished(), "seed {seed}");
        assert!(server.buffered_bytes() <= 1024, "seed {seed}");
    }
    assert!(violations > 2000, "mutations are found: {violations}");
}

#[test]
fn noise_neither_panics_nor_piles_up() {
    let now = Instant::now();
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let role = if seed % 2 == 0 { Role::Server } else { CLIENT };
        let mut connection = small(role, (seed % 3 == 0).then_some(15));
        for _ in 0..20 {
            let size = random.below(READ);
            let mut octets = random.octets(size);
            if let Some(first) = octets.first_mut() {
                // A first octet that is right keeps the noise going a little further.
                *first = [0x81, 0x82, 0x01, 0xc2, 0x89, 0x80][random.below(6)];
            }
            connection.handle_input(now, &octets);
            assert!(connection.buffered_bytes() <= BOUND, "seed {seed}");
        }
        events(&mut connection, now);
    }
}

/// Every pair of places at which a stream of small frames can be cut.
#[test]
fn every_two_cuts_give_the_same() {
    let now = Instant::now();
    let stream = [
        frame(0x01, "é€".as_bytes()),
        frame(0x89, b"p"),
        frame(0x80, "😀".as_bytes()),
        frame(0x82, b""),
        frame(0x82, &[9; 126]),
        frame(0x88, &[3, 232]),
    ]
    .concat();
    let expected = feed(&mut server(now), now, &stream);
    assert_eq!(expected.len(), 5);
    for first in 0..stream.len() {
        for second in first..stream.len() {
            let mut server = server(now);
            let mut found = feed(&mut server, now, &stream[..first]);
            found.extend(feed(&mut server, now, &stream[first..second]));
            found.extend(feed(&mut server, now, &stream[second..]));
            assert!(found == expected, "cuts {first} and {second}");
        }
    }
}

#[test]
fn compressed_streams_at_every_cut() {
    let now = Instant::now();
    for bits in [8, 9, 15] {
        let stream = valid_stream(&mut Random::new(77), Some(bits));
        let config = || {
            let mut config = config(Role::Server);
            config.deflate = Some(deflate(bits % 2 == 0, bits));
            config
        };
        let expected = feed(&mut Connection::new(config(), now), now, &stream);
        assert!(close(&expected).is_none());
        for cut in 0..stream.len() {
            let mut server = Connection::new(config(), now);
            let mut found = feed(&mut server, now, &stream[..cut]);
            found.extend(feed(&mut server, now, &stream[cut..]));
            assert!(found == expected, "{bits} bits, cut {cut}");
        }
    }
}

/// A bomb in one frame, and one that unfolds over many frames.
#[test]
fn bombs_are_defused() {
    let now = Instant::now();
    let mut sender = {
        let mut config = config(CLIENT);
        config.deflate = Some(deflate(false, 15));
        Connection::new(config, now)
    };
    sender.send_message(now, DataOpcode::Binary, &vec![0; 3 << 20]).expect("taken");
    let bomb = written(&mut sender, now);
    assert!(bomb.len() < LIMIT);
    let mut server = small(Role::Server, Some(15));
    let events = feed(&mut server, now, &bomb);
    assert!(format!("{:?}", close(&events)).contains("MessageTooBig"));

    // In pieces, each of which is allowed, the message may be as long as it likes, yet little is
    // held.
    let mut server = small(Role::Server, Some(15));
    server.set_reassembly(Reassembly::UpTo(0));
    let body: Vec<u8> = bomb[8..].iter().zip(bomb[4..8].iter().cycle()).map(|(a, b)| a ^ b).collect();
    for (index, octet) in body.iter().enumerate() {
        let first = if index == 0 { 0x42 } else { 0x00 };
        server.handle_input(now, &frame(first, &[*octet]));
        assert!(server.buffered_bytes() <= BOUND);
        websocket_common::events(&mut server, now);
    }
}

#[test]
fn header_lines_never_panic() {
    let names = [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Origin",
    ];
    let values = [
        "h",
        "websocket",
        "Upgrade",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "13",
        "sip, echo",
        "permessage-deflate; client_max_window_bits=\"10\"",
        "https://o",
    ];
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut lines: Vec<(&str, String)> =
            names.into_iter().zip(values).map(|(name, value)| (name, value.to_owned())).collect();
        if random.below(4) > 0 {
            let line = random.below(lines.len());
            let mut octets = lines[line].1.clone().into_bytes();
            mutate(&mut random, &mut octets);
            lines[line].1 = String::from_utf8_lossy(&octets).into_owned();
        }
        let request = Request { method: "GET", version: None };
        match accept(request, lines.iter().map(|(name, value)| (*name, value.as_str()))) {
            Ok(upgrade) => {
                accepted += 1;
                let deflate = upgrade.negotiate_deflate(&Default::default());
                let text = response(&upgrade, Some("sip"), deflate.as_ref());
                let text = String::from_utf8(text).expect("ascii");
                assert_eq!(text.matches("\r\n\r\n").count(), 1, "seed {seed}");
                assert!(text.lines().count() <= 7, "seed {seed}");
            }
            Err(refusal) => {
                refused += 1;
                assert!(!refusal.to_string().contains(['\r', '\n', '\0']));
            }
        }
        parse_extensions(&lines[6].1);
    }
    assert!(accepted > 5000 && refused > 5000, "{accepted}, {refused}");
}

#[test]
fn responses_never_panic() {
    let request = ClientRequest {
        host: "h",
        resource: "/ws",
        protocols: &["sip"],
        deflate: Some(Default::default()),
        headers: &[],
    };
    let good = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut established = 0;
    for seed in 0..10_000 {
        let mut random = Random::new(seed);
        let mut octets = good.as_bytes().to_vec();
        if seed % 4 > 0 {
            mutate(&mut random, &mut octets);
        }
        let (mut handshake, _) = ClientHandshake::new(request, *b"the sample nonce").expect("request");
        let cut = random.below(octets.len());
        let result = match handshake.handle_input(&octets[..cut]) {
            Ok(None) => handshake.handle_input(&octets[cut..]),
            other => other,
        };
        established += usize::from(matches!(result, Ok(Some(_))));
    }
    assert!(established >= 2500);
}

/// The limits are exact, in one frame or in many.
#[test]
fn limits_are_exact() {
    let now = Instant::now();
    let mut server = small(Role::Server, None);
    let events = feed(&mut server, now, &frame(0x82, &[0; LIMIT]));
    assert_eq!(payloads(&events), [[0; LIMIT]]);
    let halves = [frame(0x02, &[0; LIMIT / 2]), frame(0x80, &[0; LIMIT / 2])].concat();
    assert_eq!(payloads(&feed(&mut server, now, &halves)).len(), 1);
    let over = [frame(0x02, &[0; LIMIT / 2]), frame(0x80, &[0; LIMIT / 2 + 1])].concat();
    let events = feed(&mut server, now, &over);
    assert!(matches!(
        close(&events).map(|close| close.cause),
        Some(res_rust_webrtc::websocket::CloseCause::Violation(ProtocolError::MessageTooBig))
    ));
}
