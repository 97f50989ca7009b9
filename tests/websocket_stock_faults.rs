//! What Asterisk's own WebSocket module got wrong over the years, as far as a core without I/O
//! decides it: one test for each fault, named by what must happen instead. The number or commit
//! behind "stock" says where the fault was seen or cured.

mod websocket_common;

use std::time::{Duration, Instant};

use res_rust_webrtc::websocket::handshake::{Reason, Request, Upgrade, accept, response};
use res_rust_webrtc::websocket::{
    CloseCause, CloseCode, Connection, DataOpcode, Event, ProtocolError, Reassembly, Role,
};
use websocket_common::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

// Reading.

/// Stock, ASTERISK-21930: fewer than 14 octets at once lost one, or gave 1009.
#[test]
fn header_may_come_octet_by_octet() {
    let now = Instant::now();
    for payload in [&b"not so short"[..], &[b'y'; 126], &[b'z'; 65_536]] {
        let octets = frame(0x82, payload);
        for cut in 0..14 {
            let mut server = server(now);
            let (head, tail) = octets.split_at(cut);
            for octet in head {
                assert!(feed(&mut server, now, &[*octet]).is_empty());
            }
            assert_eq!(payloads(&feed(&mut server, now, tail)), [payload]);
        }
    }
}

/// Stock, 551b35e822 and observed 2: ten short reads inside one payload were "unresponsive".
#[test]
fn payload_may_come_in_any_number_of_reads() {
    let mut now = Instant::now();
    let mut server = server(now);
    let payload = vec![b'x'; 60_000];
    let mut found = Vec::new();
    for segment in frame(0x81, &payload).chunks(7) {
        now += milliseconds(1);
        server.handle_timeout(now);
        found.extend(payloads(&feed(&mut server, now, segment)));
    }
    assert_eq!(found, [payload]);
    assert!(server.is_open());
}

/// Stock, ASTERISK-23099 and observed 4: the second frame of one TLS record waited for traffic.
#[test]
fn frames_in_one_record_are_all_delivered_at_once() {
    let now = Instant::now();
    let mut server = server(now);
    let record = [frame(0x89, b""), frame(0x81, b"first"), frame(0x01, b"sec"), frame(0x80, b"ond")].concat();
    let events = feed(&mut server, now, &record);
    assert_eq!(payloads(&events), [&b"first"[..], b"second"]);
    assert_eq!(written(&mut server, now), [0x8a, 0], "and the ping answered");
}

/// Stock, observed 5: a frame behind the upgrade in the same segment waited for more.
#[test]
fn octets_read_together_with_the_upgrade_are_decoded() {
    let now = Instant::now();
    let segment = [b"GET / HTTP/1.1\r\n\r\n".to_vec(), frame(0x81, b"early")].concat();
    let behind = segment
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| segment[at + 4..].to_vec())
        .expect("end of the request");
    let mut server = server(now);
    assert_eq!(payloads(&feed(&mut server, now, &behind)), [b"early"]);
}

/// Stock 11, pipelining: a short ping and the next frame together underflowed a counter.
#[test]
fn ping_and_message_in_one_read() {
    let now = Instant::now();
    let mut server = server(now);
    let octets = [frame(0x89, b"p"), frame(0x82, &[7; 2000])].concat();
    assert_eq!(payloads(&feed(&mut server, now, &octets)), [vec![7; 2000]]);
}

/// Stock 11-13: the 64-bit length was read as 32 bits, so that 64 KiB gave 0 and the payload was
/// taken for frames.
#[test]
fn length_of_64_kib_is_read_as_such() {
    let now = Instant::now();
    let mut server = server(now);
    let payload = frame(0x81, b"injected").repeat(65_536 / 14 + 1)[..65_536].to_vec();
    let events = feed(&mut server, now, &frame(0x82, &payload));
    assert_eq!(payloads(&events), [payload]);
}

/// Stock, observed 1: a length of 2^64-1 took a core for good.
#[test]
fn length_of_all_ones_is_refused_at_once() {
    let mut octets = vec![0x82, 0xff];
    octets.extend_from_slice(&[0xff; 12]);
    assert_refused(&octets, ProtocolError::LengthOverflow);
}

/// Stock 22: header plus 64-bit length could wrap.
#[test]
fn length_just_below_the_top_does_not_wrap() {
    let mut octets = vec![0x82, 0xff, 0x7f];
    octets.extend_from_slice(&[0xff; 11]);
    assert_refused(&octets, ProtocolError::FrameTooBig);

    let now = Instant::now();
    let mut config = config(Role::Server);
    config.limits.max_frame = usize::MAX;
    config.limits.max_message = usize::MAX;
    let mut server = Connection::new(config, now);
    let begun = [frame(0x02, b"begun"), header(0x80, u64::MAX >> 1, 0x80)].concat();
    feed(&mut server, now, &begun);
    feed(&mut server, now, &[0; 4]);
    feed(&mut server, now, b"0123456789");
    assert!(server.buffered_bytes() < 1024, "nothing is reserved for it");
}

/// Stock, AST-2014-019: a frame of no length behind one with a payload was freed twice.
#[test]
fn empty_frame_behind_a_full_one() {
    let now = Instant::now();
    let mut server = server(now);
    let octets = [frame(0x81, b"full"), frame(0x81, b""), frame(0x82, b"")].concat();
    assert_eq!(payloads(&feed(&mut server, now, &octets)), [&b"full"[..], b"", b""]);
}

/// Stock, AST-2018-006: a frame of no length was read for ever.
#[test]
fn empty_frames_alone_and_as_fragments() {
    let now = Instant::now();
    let mut server = server(now);
    let mut octets = frame(0x01, b"");
    for _ in 0..1000 {
        octets.extend(frame(0x00, b""));
    }
    octets.extend(frame(0x80, b""));
    assert_eq!(payloads(&feed(&mut server, now, &octets)), [b""]);
}

/// Stock, e46ea1fe65 and others: consumers read past the payload's end.
#[test]
fn payload_is_exactly_what_was_sent() {
    let now = Instant::now();
    let mut server = server(now);
    let events = feed(&mut server, now, &[frame(0x81, b"a long one"), frame(0x81, b"b")].concat());
    assert_eq!(payloads(&events), [&b"a long one"[..], b"b"]);
}

/// Stock, 59ae83d07e: control frames inside a fragmented message spoilt it.
#[test]
fn control_frames_inside_a_fragmented_message_leave_it_alone() {
    let now = Instant::now();
    let mut server = server(now);
    let octets =
        [frame(0x01, b"frag"), frame(0x89, b"ping"), frame(0x00, b"men"), frame(0x8a, b"pong"), frame(0x80, b"ted")]
            .concat();
    let events = feed(&mut server, now, &octets);
    assert_eq!(payloads(&events), [b"fragmented"]);
    assert_eq!(events.len(), 3);
    assert_eq!(written(&mut server, now), b"\x8a\x04ping");

    let octets = [frame(0x01, b"frag"), frame(0x88, &[3, 232])].concat();
    let events = feed(&mut server, now, &octets);
    assert_eq!(close(&events).map(|close| close.cause), Some(CloseCause::Peer));
}

/// Stock, observed 3: half a frame kept every writer waiting for as long as it lasted.
#[test]
fn half_a_frame_keeps_no_writer_waiting() {
    let now = Instant::now();
    let mut server = server(now);
    let octets = frame(0x81, b"half of this");
    let (head, tail) = octets.split_at(9);
    feed(&mut server, now, head);
    assert_eq!(server.send_message(now, DataOpcode::Text, b"out"), Ok(()));
    assert_eq!(written(&mut server, now), b"\x81\x03out");
    assert_eq!(payloads(&feed(&mut server, now, tail)), [b"half of this"]);
}

/// Stock, §3 and observed 8: of a long fragmented message the first piece looked complete and only
/// the tail was echoed.
#[test]
fn fragmented_message_over_the_limit_is_refused_as_a_whole() {
    let octets = [frame(0x01, &[b'x'; 60_000]), frame(0x00, &[b'x'; 60_000]), frame(0x80, b"tail")].concat();
    assert_refused(&octets, ProtocolError::MessageTooBig);
}

/// Stock, §3: with a ceiling a first piece above it could not be told from a whole message.
#[test]
fn pieces_are_told_from_whole_messages() {
    let now = Instant::now();
    let mut server = server(now);
    server.set_reassembly(Reassembly::UpTo(1024));
    let octets =
        [frame(0x02, &[1; 3000]), frame(0x00, &[2; 10]), frame(0x80, &[3; 10]), frame(0x82, &[4; 3000])].concat();
    let events = feed(&mut server, now, &octets);
    assert!(matches!(
        events[0],
        Event::Fragment { first: true, fin: false, ref payload, .. } if payload.len() == 3000
    ));
    assert!(matches!(
        events[1],
        Event::Fragment { first: false, fin: true, ref payload, .. } if payload.len() == 20
    ));
    assert!(matches!(events[2], Event::Message { ref payload, .. } if payload.len() == 3000));
    assert_eq!(events.len(), 3);
}

/// Stock, e8deea38bd and §3: 65,535 octets were too many, the header being counted in.
#[test]
fn limit_counts_the_payload_alone() {
    let now = Instant::now();
    let mut server = server(now);
    for length in [32_768, 65_535, 65_536] {
        let events = feed(&mut server, now, &frame(0x82, &vec![0; length]));
        assert_eq!(payloads(&events), [vec![0; length]]);
    }
    assert_refused(&frame(0x82, &vec![0; 65_537]), ProtocolError::FrameTooBig);
}

// What stock accepts (§3, observed 10).

#[test]
fn unmasked_frame_is_refused() {
    let octets = [header(0x81, 2, 0), b"hi".to_vec()].concat();
    assert_refused(&octets, ProtocolError::Unmasked);
}

#[test]
fn reserved_bits_are_refused() {
    for bits in 1..8 {
        assert_refused(&frame(0x81 | bits << 4, b"x"), ProtocolError::ReservedBit);
        assert_refused(&frame(0x89 | bits << 4, b""), ProtocolError::ReservedBit);
    }
}

/// Stock answered 1003 and took the payload for the next frame.
#[test]
fn reserved_opcodes_are_refused_and_nothing_after_them_is_read() {
    for opcode in (3..8).chain(11..16) {
        let inner = frame(0x81, b"injected");
        assert_refused(&frame(0x80 | opcode, &inner), ProtocolError::ReservedOpcode(opcode));
    }
}

#[test]
fn fragmented_control_frame_is_refused() {
    for opcode in 8..11 {
        assert_refused(&frame(opcode, b""), ProtocolError::FragmentedControl);
    }
}

#[test]
fn control_frame_of_126_octets_is_refused() {
    for opcode in 8..11 {
        assert_refused(&frame(0x80 | opcode, &[b'x'; 126]), ProtocolError::LongControl);
    }
}

#[test]
fn orphan_continuation_is_refused() {
    assert_refused(&frame(0x80, b"x"), ProtocolError::OrphanContinuation);
    assert_refused(&frame(0x00, b"x"), ProtocolError::OrphanContinuation);
}

#[test]
fn message_inside_a_message_is_refused() {
    let octets = [frame(0x01, b"one"), frame(0x81, b"two")].concat();
    assert_refused(&octets, ProtocolError::InterleavedMessage);
    let octets = [frame(0x01, b"one"), frame(0x02, b"two")].concat();
    assert_refused(&octets, ProtocolError::InterleavedMessage);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    assert_refused(&frame(0x81, b"\xce\xba\xe1\xbd"), ProtocolError::InvalidUtf8);
    let octets = [frame(0x01, b"ok\xf4"), frame(0x00, b"\x90")].concat();
    assert_refused(&octets, ProtocolError::InvalidUtf8);
}

#[test]
fn length_not_in_its_shortest_form_is_refused() {
    assert_refused(&[0x81, 0xfe, 0, 5, 0, 0, 0, 0], ProtocolError::NonMinimalLength);
    let octets = [0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 126, 0, 0, 0, 0];
    assert_refused(&octets, ProtocolError::NonMinimalLength);
}

#[test]
fn close_codes_that_must_not_be_sent_are_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        assert_refused(&frame(0x88, &code.to_be_bytes()), ProtocolError::ReservedCloseCode(code));
    }
}

#[test]
fn close_payload_of_one_octet_is_refused() {
    assert_refused(&frame(0x88, &[3]), ProtocolError::TruncatedCloseCode);
}

#[test]
fn close_reason_that_is_not_utf8_is_refused() {
    assert_refused(&frame(0x88, b"\x03\xe8\xce\xba\xe1\xbd"), ProtocolError::InvalidCloseReason);
}

// Closing.

/// Stock, da50162fa4: the code was never unmasked, and echoed so; its mask was left in the stream.
#[test]
fn close_code_is_unmasked_and_echoed() {
    let now = Instant::now();
    for code in [1000, 1001, 1003, 1007, 1014, 3000, 4999_u16] {
        let mut server = server(now);
        let payload = [&code.to_be_bytes()[..], b"reason"].concat();
        let events = feed(&mut server, now, &frame(0x88, &payload));
        let close = close(&events).expect("close");
        assert_eq!(close.code, CloseCode::new(code));
        assert_eq!(close.reason, "reason");
        assert_eq!(written(&mut server, now), [&[0x88, 2][..], &code.to_be_bytes()].concat());
    }
}

/// Stock, observed 6: with a consumer still holding the session the close frame went unanswered
/// and TCP stayed open.
#[test]
fn close_frame_is_answered_without_the_consumer() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x88, &[3, 232]));
    assert_eq!(server.poll_output(), [0x88, 2, 3, 232], "no event was taken");
    server.consume(now, 4);
    assert!(server.wants_shutdown());
}

/// Stock, observed 6: after the peer's FIN the socket was held for 32 to 70 seconds.
#[test]
fn fin_ends_the_connection_at_once() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_eof(now);
    assert!(server.is_finished());
    let events = events(&mut server, now);
    assert_eq!(close(&events).map(|close| close.cause), Some(CloseCause::Eof));
}

/// Stock, observed 12: after its own 1009 TCP ended at once and the code was lost to a reset.
#[test]
fn after_our_own_close_frame_input_is_drained_until_the_peer_ends() {
    let now = Instant::now();
    let mut server = server(now);
    feed(&mut server, now, &header(0x82, 1 << 20, 0x80));
    feed(&mut server, now, &[0; 4]);
    assert_eq!(written(&mut server, now)[2..4], 1009_u16.to_be_bytes());
    for _ in 0..64 {
        assert!(server.wants_input() && !server.is_finished());
        assert!(feed(&mut server, now, &[0; 16_384]).is_empty());
    }
    assert!(server.buffered_bytes() < 1024);
    server.handle_eof(now);
    assert!(server.is_finished());
}

/// Stock, e18c300550: the close frame could be sent twice.
#[test]
fn close_is_sent_once() {
    let now = Instant::now();
    let mut server = server(now);
    server.close(now, CloseCode::NORMAL, "");
    server.close(now, CloseCode::INTERNAL_ERROR, "");
    server.fail(now, CloseCode::INTERNAL_ERROR, "");
    assert_eq!(written(&mut server, now), [0x88, 2, 3, 232]);
}

/// Stock, b9bd3c1435: a close frame that could not be written left the session for ever.
#[test]
fn close_frame_that_cannot_be_written_ends_by_time() {
    let now = Instant::now();
    let mut server = server(now);
    server.close(now, CloseCode::NORMAL, "");
    let deadline = server.poll_timeout().expect("a deadline");
    server.handle_timeout(deadline);
    assert!(server.is_finished());
    assert_eq!(server.poll_timeout(), None);
}

/// Stock, 8e3e3735ff: any pong to a server session was a crash.
#[test]
fn pong_that_nobody_asked_for_is_harmless() {
    let now = Instant::now();
    let mut server = server(now);
    for payload in [&b""[..], b"x", &[0; 8], &[0xff; 125]] {
        let events = feed(&mut server, now, &frame(0x8a, payload));
        assert_eq!(events, [Event::Pong(payload.to_vec())]);
    }
    assert_eq!(server.rtt(), None);
}

// Writing.

/// Stock, 10435bfa69: header and payload went out in two writes.
#[test]
fn header_and_payload_are_one_write() {
    let now = Instant::now();
    let mut server = server(now);
    server.send_message(now, DataOpcode::Text, b"whole").expect("taken");
    assert_eq!(server.poll_output(), b"\x81\x05whole");
}

/// Stock, f2089dce3d: the octets of a 64-bit length were in the wrong order.
#[test]
fn long_length_is_written_in_network_order() {
    let now = Instant::now();
    let mut server = server(now);
    server.send_message(now, DataOpcode::Binary, &vec![7; 70_000]).expect("taken");
    assert_eq!(server.poll_output()[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    assert_eq!(server.queued_bytes(), 70_010);
}

/// Stock, 635885ec33: the client's side did not mask.
#[test]
fn client_masks_every_frame() {
    let now = Instant::now();
    let mut client = Connection::new(config(CLIENT), now);
    client.send_message(now, DataOpcode::Text, b"text").expect("taken");
    client.ping(now, b"ping").expect("taken");
    client.close(now, CloseCode::NORMAL, "");
    let octets = written(&mut client, now);
    assert!(!octets.windows(4).any(|window| window == b"text"));
    let mut server = server(now);
    let events = feed(&mut server, now, &octets);
    assert_eq!(payloads(&events), [b"text"]);
    assert_eq!(events.len(), 3);
}

/// Stock, 32d684ee25 and observed 7: a reader that paused for half a second was cut off.
#[test]
fn reader_may_pause_below_the_write_timeout() {
    let mut now = Instant::now();
    let mut server = server(now);
    let payload = vec![b'x'; 100_000];
    server.send_message(now, DataOpcode::Text, &payload).expect("taken");
    for _ in 0..20 {
        now += milliseconds(9_000);
        server.handle_timeout(now);
        assert!(server.is_open());
        server.consume(now, 5_000);
    }
    assert_eq!(server.queued_bytes(), 10);
}

/// Stock, b1720c411d: after the write timeout a torn frame was followed by others.
#[test]
fn write_timeout_disconnects() {
    let now = Instant::now();
    let mut server = server(now);
    server.send_message(now, DataOpcode::Text, b"stuck").expect("taken");
    server.consume(now, 3);
    let deadline = server.poll_timeout().expect("a deadline");
    assert_eq!(deadline, now + Duration::from_secs(10));
    server.handle_timeout(deadline);
    assert!(server.is_finished() && server.poll_output().is_empty());
    let events = events(&mut server, now);
    assert_eq!(close(&events).map(|close| close.cause), Some(CloseCause::WriteTimeout));
}

/// Stock, §3: the frame was built on the stack, whatever its size; here the queue has a bound.
#[test]
fn queue_has_a_bound() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.limits.max_queue = 10_000;
    let mut server = Connection::new(config, now);
    let mut taken = 0;
    while server.send_message(now, DataOpcode::Binary, &[0; 1000]).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 9);
    for _ in 0..1000 {
        feed(&mut server, now, &frame(0x89, &[0; 125]));
    }
    assert!(server.queued_bytes() <= 10_000 + 127);
}

/// Stock, §3 and observed 9: a half-open peer was kept for two hours.
#[test]
fn half_open_peer_is_found_by_pings() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.ping_interval = Some(Duration::from_secs(30));
    config.timing.idle_timeout = Some(Duration::from_secs(75));
    config.timing.write_timeout = None;
    let mut server = Connection::new(config, now);
    let mut at = now;
    while let Some(deadline) = server.poll_timeout() {
        assert!(deadline > at, "time goes on");
        at = deadline;
        server.handle_timeout(at);
        written(&mut server, at);
    }
    assert!(server.is_finished());
    assert_eq!(at, now + Duration::from_secs(80), "idle, then lingering");
}

// The handshake (§3, observed 11).

const GET: Request<'_> = Request { method: "GET", version: Some("HTTP/1.1") };

fn upgrade(extra: &[(&'static str, &str)]) -> Result<Upgrade, Reason> {
    let given = [
        ("Host", "pbx.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ];
    let kept = given.into_iter().filter(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    let added = extra.iter().filter(|(_, value)| *value != "absent").copied();
    accept(GET, kept.chain(added)).map_err(|refusal| refusal.reason)
}

#[test]
fn handshake_without_connection_is_refused() {
    let refused = upgrade(&[("Connection", "absent")]);
    assert_eq!(refused, Err(Reason::MissingConnection));
}

#[test]
fn handshake_without_host_is_refused() {
    assert_eq!(upgrade(&[("Host", "absent")]), Err(Reason::MissingHost));
}

#[test]
fn handshake_by_http_1_0_is_refused() {
    let request = Request { version: Some("HTTP/1.0"), ..GET };
    let refusal = accept(request, []).expect_err("refused");
    assert_eq!(refusal.status(), 505);
}

/// Stock, 7e0ebaa2e0: no key or a huge one was a crash; later any key was taken.
#[test]
fn handshake_key_must_be_sixteen_octets() {
    assert_eq!(upgrade(&[("Sec-WebSocket-Key", "absent")]), Err(Reason::MissingKey));
    let huge = "A".repeat(100_000);
    for key in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", &huge] {
        assert_eq!(upgrade(&[("Sec-WebSocket-Key", key)]), Err(Reason::InvalidKey));
    }
}

/// Stock took drafts 7 and 8 and answered others with 400.
#[test]
fn handshake_of_a_draft_is_answered_426_with_the_version() {
    for version in ["7", "8", "0", "14", "x"] {
        let refusal = accept(
            GET,
            [
                ("Host", "h"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", KEY),
                ("Sec-WebSocket-Version", version),
            ],
        )
        .expect_err("refused");
        assert_eq!(refusal.status(), 426);
        assert!(refusal.headers().contains(&("Sec-WebSocket-Version", "13")));
    }
}

/// Stock let the last of several lines win.
#[test]
fn handshake_protocol_lines_are_joined() {
    let upgrade =
        upgrade(&[("Sec-WebSocket-Protocol", "sip, echo"), ("Sec-WebSocket-Protocol", "ari")]).expect("accepted");
    assert_eq!(upgrade.protocols, ["sip", "echo", "ari"]);
}

/// Stock, 80dd0229f1: no subprotocol was a NULL pointer, later an empty header.
#[test]
fn handshake_without_a_subprotocol_is_answered_without_one() {
    let upgrade = upgrade(&[]).expect("accepted");
    assert!(upgrade.protocols.is_empty());
    let text = String::from_utf8(response(&upgrade, None, None)).expect("ascii");
    assert!(!text.contains("Protocol:"));
}

/// Stock, AST-2018-009: many headers or subprotocols used up the stack.
#[test]
fn handshake_with_any_number_of_headers_and_protocols() {
    let list = (0..20_000).map(|i| format!("p{i},")).collect::<String>();
    let mut lines: Vec<(&str, &str)> = vec![("X", "y"); 20_000];
    lines.push(("Sec-WebSocket-Protocol", &list));
    let upgrade = upgrade(&lines).expect("accepted");
    assert!(upgrade.offers("p19999"));
}

/// Stock never looked at it; a policy needs to.
#[test]
fn handshake_tells_the_origin() {
    let upgrade = upgrade(&[("Origin", "https://phone.example.com")]).expect("accepted");
    assert_eq!(upgrade.origin.as_deref(), Some("https://phone.example.com"));
}

/// Stock, 55137c3d12: the 101 went out in several packets, before that not at all.
#[test]
fn handshake_response_is_one_buffer_and_complete() {
    let upgrade = upgrade(&[("Sec-WebSocket-Protocol", "sip")]).expect("accepted");
    let octets = response(&upgrade, Some("sip"), None);
    assert!(octets.starts_with(b"HTTP/1.1 101 "));
    assert!(octets.ends_with(b"\r\n\r\n"));
}
