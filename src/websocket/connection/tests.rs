use super::super::config::Limits;
use super::super::deflate::Negotiated;
use super::super::error::ProtocolError;
use super::*;

fn config(role: Role) -> Config {
    Config {
        role,
        limits: Limits { max_queue: 1000, ..Limits::default() },
        timing: Timing {
            ping_interval: None,
            idle_timeout: None,
            write_timeout: None,
            close_timeout: Duration::from_secs(5),
        },
        deflate: None,
    }
}

const CLIENT: Role = Role::Client { mask_key: || [1, 2, 3, 4] };

fn server(now: Instant) -> Connection {
    Connection::new(config(Role::Server), now)
}

fn client(now: Instant) -> Connection {
    Connection::new(config(CLIENT), now)
}

/// A client's frame with the mask 0.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { fin: true, rsv1: false, opcode: Opcode::Text, mask: Some([0; 4]), length: payload.len() as u64 }
        .encode(&mut out);
    out[0] = first;
    out.extend_from_slice(payload);
    out
}

fn events(connection: &mut Connection, now: Instant) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event(now)).collect()
}

fn written(connection: &mut Connection, now: Instant) -> Vec<u8> {
    let out = connection.poll_output().to_vec();
    connection.consume(now, out.len());
    out
}

fn transfer(from: &mut Connection, to: &mut Connection, now: Instant) {
    let octets = written(from, now);
    to.handle_input(now, &octets);
}

fn closed(events: &[Event]) -> &Close {
    match events.last() {
        Some(Event::Close(close)) => close,
        other => panic!("no close but {other:?}"),
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn messages_pass_in_both_directions() {
    let now = Instant::now();
    let (mut server, mut client) = (server(now), client(now));
    assert_eq!(client.send_message(now, DataOpcode::Text, b"to"), Ok(()));
    assert_eq!(client.send_message(now, DataOpcode::Binary, b""), Ok(()));
    assert_eq!(client.poll_output()[..2], [0x81, 0x82], "masked");
    transfer(&mut client, &mut server, now);
    assert_eq!(
        events(&mut server, now),
        [
            Event::Message { opcode: DataOpcode::Text, payload: b"to".to_vec() },
            Event::Message { opcode: DataOpcode::Binary, payload: Vec::new() }
        ]
    );
    assert_eq!(server.send_message(now, DataOpcode::Text, b"fro"), Ok(()));
    assert_eq!(server.poll_output(), [0x81, 3, b'f', b'r', b'o']);
    transfer(&mut server, &mut client, now);
    assert_eq!(events(&mut client, now).len(), 1);
    assert_eq!(
        server.counters(),
        Counters {
            messages_in: 2,
            messages_out: 1,
            payload_in: 2,
            payload_out: 3,
            octets_in: 14,
            octets_out: 5,
            pings_in: 0,
            pongs_in: 0
        }
    );
}

#[test]
fn close_handshake_begun_by_the_peer() {
    let now = Instant::now();
    let (mut server, mut client) = (server(now), client(now));
    client.close(now, CloseCode::GOING_AWAY, "bye");
    assert_eq!(client.send_message(now, DataOpcode::Text, b"late"), Err(SendError::Closed));
    transfer(&mut client, &mut server, now);
    let close = closed(&events(&mut server, now)).clone();
    assert_eq!(close.cause, CloseCause::Peer);
    assert_eq!(close.code, Some(CloseCode::GOING_AWAY));
    assert_eq!(close.reason, "bye");
    assert!(!server.wants_shutdown(), "the answer is to be written first");
    transfer(&mut server, &mut client, now);
    assert!(server.wants_shutdown());
    assert!(!server.is_finished(), "the peer's input may not be cut off");
    let close = closed(&events(&mut client, now)).clone();
    assert_eq!(close.cause, CloseCause::Acknowledged);
    assert_eq!(close.code, Some(CloseCode::GOING_AWAY), "echoed");
    assert!(!client.wants_shutdown(), "the server goes first");
    client.handle_eof(now);
    assert!(client.wants_shutdown() && client.is_finished());
    server.handle_eof(now);
    assert!(server.is_finished());
    assert!(events(&mut server, now).is_empty(), "told once");
}

#[test]
fn close_frame_without_a_code_is_answered_without_one() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x88, b""));
    assert_eq!(server.poll_output(), [0x88, 0]);
    assert_eq!(closed(&events(&mut server, now)).code, None);
}

#[test]
fn both_sides_close_at_once() {
    let now = Instant::now();
    let (mut server, mut client) = (server(now), client(now));
    server.close(now, CloseCode::NORMAL, "");
    client.close(now, CloseCode::GOING_AWAY, "");
    let (down, up) = (written(&mut server, now), written(&mut client, now));
    server.handle_input(now, &up);
    client.handle_input(now, &down);
    for connection in [&mut server, &mut client] {
        assert_eq!(connection.queued_bytes(), 0, "no second close frame");
        let events = events(connection, now);
        assert_eq!(closed(&events).cause, CloseCause::Acknowledged);
    }
}

#[test]
fn after_our_close_frame_messages_are_dropped_and_the_answer_is_found() {
    let now = Instant::now();
    let mut server = server(now);
    server.close(now, CloseCode::NORMAL, "");
    let stream =
        [frame(0x81, &[b'x'; 60_000]), frame(0x89, b"ping"), frame(0x88, &[3, 232]), frame(0x81, b"behind")].concat();
    server.handle_input(now, &stream);
    let events = events(&mut server, now);
    assert_eq!(events.len(), 1);
    assert_eq!(closed(&events).cause, CloseCause::Acknowledged);
    assert_eq!(written(&mut server, now), [0x88, 2, 3, 232]);
}

#[test]
fn peer_that_does_not_answer_our_close_is_left_behind() {
    let now = Instant::now();
    let mut server = server(now);
    server.close(now, CloseCode::NORMAL, "");
    assert_eq!(server.poll_timeout(), Some(now + seconds(5)));
    server.handle_timeout(now + seconds(4));
    assert!(!server.is_finished());
    server.handle_timeout(now + seconds(5));
    assert!(server.is_finished());
    let events = events(&mut server, now);
    assert_eq!(closed(&events).cause, CloseCause::CloseTimeout);
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn violation_is_answered_drained_and_lingered_over() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x81, b"good"));
    server.handle_input(now, &frame(0x83, b"bad"));
    let events = events(&mut server, now);
    assert_eq!(events.len(), 2, "what came before is delivered");
    let close = closed(&events);
    assert_eq!(close.code, Some(CloseCode::PROTOCOL_ERROR));
    assert_eq!(close.cause, CloseCause::Violation(ProtocolError::ReservedOpcode(3)));
    // The peer has not seen it yet and goes on sending: that must be read and dropped, or a
    // reset would overtake the close frame.
    assert!(server.wants_input());
    server.handle_input(now, &frame(0x81, b"more"));
    assert!(super::tests::events(&mut server, now).is_empty());
    let out = written(&mut server, now);
    assert_eq!(out[..1], [0x88]);
    assert_eq!(out[2..4], [3, 234], "1002");
    assert_eq!(&out[4..], b"reserved opcode 3");
    assert!(server.wants_shutdown() && !server.is_finished());
    server.handle_timeout(now + seconds(5));
    assert!(server.is_finished());
}

/// Takes events one by one and echoes each message before the next is asked for.
fn echo(connection: &mut Connection, now: Instant) {
    while let Some(event) = connection.poll_event(now) {
        if let Event::Message { opcode, payload } = event {
            assert_eq!(connection.send_message(now, opcode, &payload), Ok(()));
        }
    }
}

#[test]
fn answers_to_what_came_before_go_out_ahead_of_the_close_frame() {
    let now = Instant::now();
    for (end, code) in [(frame(0x83, b""), [3, 234]), (frame(0x88, &[3, 233]), [3, 233])] {
        for messages in [1, 2, MAX_EVENTS, MAX_EVENTS + 1] {
            let mut server = server(now);
            let mut stream = frame(0x81, b"echo").repeat(messages);
            stream.extend_from_slice(&end);
            stream.extend(frame(0x81, b"lost"));
            server.handle_input(now, &stream);
            assert!(server.has_event());
            echo(&mut server, now);
            let out = written(&mut server, now);
            assert_eq!(out[..6 * messages], b"\x81\x04echo".repeat(messages));
            assert_eq!(out[6 * messages], 0x88);
            assert_eq!(out[6 * messages + 2..][..2], code);
            assert!(server.wants_shutdown() && !server.has_event());
        }
    }
}

#[test]
fn consumer_with_a_message_in_hand_may_still_answer_it() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x81, b"first"));
    assert!(server.poll_event(now).is_some());
    server.handle_input(now, &frame(0x88, &[3, 232]));
    assert_eq!(server.send_message(now, DataOpcode::Text, b"answer"), Ok(()));
    assert_eq!(closed(&events(&mut server, now)).cause, CloseCause::Peer);
    assert_eq!(written(&mut server, now), b"\x81\x06answer\x88\x02\x03\xe8");
}

#[test]
fn end_behind_untaken_events_does_not_wait_for_ever() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &[frame(0x81, b"untaken"), frame(0x88, b"")].concat());
    assert_eq!(server.queued_bytes(), 0);
    assert_eq!(server.poll_timeout(), Some(now + seconds(5)));
    server.handle_eof(now);
    assert!(!server.is_finished());
    server.handle_timeout(now + seconds(5));
    assert_eq!(written(&mut server, now), [0x88, 0]);
    assert!(server.is_finished());
    assert_eq!(events(&mut server, now).len(), 2);
}

#[test]
fn own_close_answers_an_end_that_waits() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &[frame(0x81, b"untaken"), frame(0x88, &[3, 233])].concat());
    server.close(now, CloseCode::NORMAL, "");
    assert_eq!(written(&mut server, now), [0x88, 2, 3, 233]);
    assert!(server.wants_shutdown());
    let events = events(&mut server, now);
    assert_eq!(closed(&events).cause, CloseCause::Peer);
}

#[test]
fn eof_without_a_close_frame() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x81, b"last"));
    server.handle_eof(now);
    assert!(server.is_finished());
    let events = events(&mut server, now);
    assert_eq!(events.len(), 2);
    assert_eq!(closed(&events).cause, CloseCause::Eof);
    assert_eq!(closed(&events).code, None);
}

#[test]
fn broken_transport_ends_at_once() {
    let now = Instant::now();
    let mut server = server(now);
    assert_eq!(server.send_message(now, DataOpcode::Text, b"x"), Ok(()));
    server.handle_broken();
    assert!(server.is_finished());
    assert_eq!(server.queued_bytes(), 0);
    assert_eq!(closed(&events(&mut server, now)).cause, CloseCause::Broken);
}

#[test]
fn given_up_by_this_side() {
    let now = Instant::now();
    let mut server = server(now);
    server.fail(now, CloseCode::POLICY_VIOLATION, "queue overflow");
    assert!(!server.is_open());
    assert_eq!(written(&mut server, now)[2..4], [3, 240], "1008");
    let events = events(&mut server, now);
    assert_eq!(closed(&events).cause, CloseCause::Failed);
    assert!(server.wants_shutdown());
}

#[test]
fn pings_are_answered_and_pongs_are_free() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x89, b"are you there"));
    server.handle_input(now, &frame(0x8a, b"unasked"));
    assert_eq!(written(&mut server, now), [&[0x8a, 13][..], b"are you there"].concat());
    assert_eq!(events(&mut server, now), [Event::Ping(b"are you there".to_vec()), Event::Pong(b"unasked".to_vec())]);
    assert_eq!(server.rtt(), None);
    assert_eq!(server.ping(now, &[0; 126]), Err(SendError::LongControl));
}

#[test]
fn flood_of_pings_is_bounded_and_the_last_is_answered() {
    let now = Instant::now();
    let mut server = server(now);
    for i in 0..1000_u16 {
        server.handle_input(now, &frame(0x89, &[&i.to_be_bytes()[..], &[0; 100]].concat()));
        events(&mut server, now);
        assert!(server.queued_bytes() < 1000 + 127);
    }
    written(&mut server, now);
    let owed = written(&mut server, now);
    assert_eq!(owed[..4], [0x8a, 102, 3, 231], "the 1000th");
    assert_eq!(server.queued_bytes(), 0);
}

#[test]
fn keep_alive_pings_measure_the_round_trip() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.ping_interval = Some(seconds(30));
    let (mut server, mut client) = (Connection::new(config, now), client(now));
    assert_eq!(server.poll_timeout(), Some(now + seconds(30)));
    server.handle_timeout(now + seconds(29));
    assert_eq!(server.queued_bytes(), 0);
    server.handle_timeout(now + seconds(30));
    transfer(&mut server, &mut client, now);
    assert_eq!(server.poll_timeout(), Some(now + seconds(60)));
    let later = now + seconds(30) + Duration::from_millis(40);
    transfer(&mut client, &mut server, later);
    assert_eq!(server.rtt(), Some(Duration::from_millis(40)));
}

#[test]
fn forged_pong_measures_nothing() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.ping_interval = Some(seconds(30));
    let mut server = Connection::new(config, now);
    server.handle_input(now, &frame(0x8a, &0_u64.to_be_bytes()));
    server.handle_timeout(now + seconds(30));
    server.handle_input(now + seconds(31), &frame(0x8a, &9_u64.to_be_bytes()));
    assert_eq!(server.rtt(), None);
}

#[test]
fn half_open_peer_is_given_up() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.ping_interval = Some(seconds(30));
    config.timing.idle_timeout = Some(seconds(70));
    let mut server = Connection::new(config, now);
    for at in [30, 60] {
        server.handle_timeout(now + seconds(at));
        assert!(server.is_open());
        written(&mut server, now);
    }
    assert_eq!(server.poll_timeout(), Some(now + seconds(70)));
    server.handle_timeout(now + seconds(70));
    let events = events(&mut server, now);
    assert_eq!(closed(&events).cause, CloseCause::IdleTimeout);
    assert_eq!(written(&mut server, now)[2..4], [3, 233], "1001");
    server.handle_timeout(now + seconds(75));
    assert!(server.is_finished());
}

#[test]
fn any_octet_keeps_a_connection_alive() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.idle_timeout = Some(seconds(10));
    let mut server = Connection::new(config, now);
    let slow = frame(0x81, &[b'x'; 20]);
    let mut at = now;
    for octet in &slow {
        at += seconds(9);
        server.handle_timeout(at);
        server.handle_input(at, &[*octet]);
    }
    assert_eq!(events(&mut server, at).len(), 1);
    assert!(server.is_open());
}

#[test]
fn transport_that_takes_nothing_is_given_up() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.write_timeout = Some(seconds(10));
    let mut server = Connection::new(config, now);
    assert_eq!(server.poll_timeout(), None);
    let later = now + seconds(100);
    assert_eq!(server.send_message(later, DataOpcode::Binary, &[0; 500]), Ok(()));
    assert_eq!(server.poll_timeout(), Some(later + seconds(10)));
    // Slow is not stalled.
    server.consume(later + seconds(9), 1);
    server.handle_timeout(later + seconds(18));
    assert!(server.is_open());
    server.handle_timeout(later + seconds(19));
    assert!(server.is_finished());
    assert_eq!(closed(&events(&mut server, now)).cause, CloseCause::WriteTimeout);
}

#[test]
fn queue_is_bounded_and_keeps_whole_frames() {
    let now = Instant::now();
    let mut server = server(now);
    let big = vec![b'x'; 5000];
    assert_eq!(server.send_message(now, DataOpcode::Text, &big), Ok(()));
    assert_eq!(server.send_message(now, DataOpcode::Text, b"y"), Err(SendError::QueueFull));
    assert_eq!(server.ping(now, b""), Err(SendError::QueueFull));
    server.consume(now, 4500);
    assert_eq!(server.send_message(now, DataOpcode::Text, b"y"), Ok(()));
    let out = written(&mut server, now);
    assert_eq!(out.len(), 504 + 3);
    assert_eq!(out[504..], [0x81, 1, b'y']);
}

#[test]
fn partial_writes_give_the_same_octets() {
    let now = Instant::now();
    for step in [1, 2, 3, 7, 100] {
        let mut server = server(now);
        let mut found = Vec::new();
        let mut expected = Vec::new();
        for i in 0..50_u8 {
            let payload = vec![b'a' + i % 26; usize::from(i) * 3];
            Header { fin: true, rsv1: false, opcode: Opcode::Text, mask: None, length: payload.len() as u64 }
                .encode(&mut expected);
            expected.extend_from_slice(&payload);
            while server.send_message(now, DataOpcode::Text, &payload) == Err(SendError::QueueFull) {
                let take = step.min(server.queued_bytes());
                found.extend_from_slice(&server.poll_output()[..take]);
                server.consume(now, take);
            }
        }
        found.extend(written(&mut server, now));
        assert_eq!(found, expected, "step {step}");
    }
}

#[test]
fn text_that_is_not_utf8_is_not_sent() {
    let now = Instant::now();
    let mut server = server(now);
    assert_eq!(server.send_message(now, DataOpcode::Text, b"\xe4"), Err(SendError::InvalidUtf8));
    assert_eq!(server.queued_bytes(), 0);
    assert_eq!(server.send_message(now, DataOpcode::Binary, b"\xe4"), Ok(()));
}

#[test]
fn slow_consumer_holds_the_peer_back_and_loses_nothing() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.idle_timeout = Some(seconds(10));
    let mut server = Connection::new(config, now);
    let stream: Vec<u8> = (0..200_u8).flat_map(|i| frame(0x82, &[i])).chain(frame(0x88, b"")).collect();
    server.handle_input(now, &stream);
    assert!(!server.wants_input());
    assert_eq!(server.poll_timeout(), None, "the peer is not to blame");
    let later = now + seconds(60);
    let mut expected = 0..200_u8;
    let mut last = None;
    while let Some(event) = server.poll_event(later) {
        if let Event::Message { payload, .. } = &event {
            assert_eq!(Some(payload[0]), expected.next());
        }
        last = Some(event);
    }
    assert_eq!(expected.next(), None);
    assert!(matches!(last, Some(Event::Close(_))));
}

#[test]
fn idle_time_begins_anew_when_a_slow_consumer_comes_back() {
    let now = Instant::now();
    let mut config = config(Role::Server);
    config.timing.idle_timeout = Some(seconds(10));
    let mut server = Connection::new(config, now);
    for _ in 0..MAX_EVENTS {
        server.handle_input(now, &frame(0x82, b""));
    }
    assert!(!server.wants_input());
    let later = now + seconds(60);
    assert_eq!(events(&mut server, later).len(), MAX_EVENTS);
    assert!(server.wants_input());
    assert_eq!(server.poll_timeout(), Some(later + seconds(10)));
}

#[test]
fn eof_behind_a_backlog_comes_last() {
    let now = Instant::now();
    let mut server = server(now);
    let stream: Vec<u8> = (0..100).flat_map(|_| frame(0x82, b"x")).collect();
    server.handle_input(now, &stream);
    server.handle_eof(now);
    assert!(!server.is_finished());
    let events = events(&mut server, now);
    assert_eq!(events.len(), 101);
    assert_eq!(closed(&events).cause, CloseCause::Eof);
    assert!(server.is_finished());
}

#[test]
fn close_is_not_kept_waiting_by_a_backlog() {
    let now = Instant::now();
    let mut server = server(now);
    let stream: Vec<u8> = (0..100).flat_map(|_| frame(0x82, b"x")).chain(frame(0x88, b"")).collect();
    server.handle_input(now, &stream);
    server.close(now, CloseCode::NORMAL, "");
    let events = events(&mut server, now);
    assert_eq!(events.len(), MAX_EVENTS + 1);
    assert_eq!(closed(&events).cause, CloseCause::Acknowledged);
}

#[test]
fn idle_connection_holds_no_buffer() {
    let now = Instant::now();
    let mut server = server(now);
    server.handle_input(now, &frame(0x82, &vec![0; 60_000]));
    server.send_message(now, DataOpcode::Binary, &vec![0; 60_000]).expect("taken");
    for _ in 0..40 {
        server.handle_input(now, &frame(0x89, b""));
    }
    assert!(server.buffered_bytes() > 120_000);
    events(&mut server, now);
    written(&mut server, now);
    assert!(server.buffered_bytes() <= 1024, "{}", server.buffered_bytes());
    assert!(size_of::<Connection>() <= 768, "{}", size_of::<Connection>());
}

fn deflating() -> (Connection, Connection) {
    let now = Instant::now();
    let deflate = Some(Negotiated {
        server_no_context_takeover: false,
        client_no_context_takeover: true,
        server_max_window_bits: Some(10),
        client_max_window_bits: None,
        level: 6,
    });
    let make = |role| Connection::new(Config { deflate, ..config(role) }, now);
    (make(Role::Server), make(CLIENT))
}

#[test]
fn compressed_messages_pass_in_both_directions() {
    let now = Instant::now();
    let (mut server, mut client) = deflating();
    let payload = "INVITE sip:echo@example.com SIP/2.0\r\n".repeat(20);
    for _ in 0..3 {
        server.send_message(now, DataOpcode::Text, payload.as_bytes()).expect("taken");
        assert!(server.queued_bytes() < payload.len() / 4);
        assert_eq!(server.poll_output()[0], 0xc1);
        transfer(&mut server, &mut client, now);
        assert_eq!(events(&mut client, now).len(), 1);
        client.send_message(now, DataOpcode::Text, payload.as_bytes()).expect("taken");
        transfer(&mut client, &mut server, now);
        assert_eq!(
            events(&mut server, now),
            [Event::Message { opcode: DataOpcode::Text, payload: payload.clone().into_bytes() }]
        );
    }
}

#[test]
fn decompression_bomb_is_too_big() {
    let now = Instant::now();
    let (mut server, mut client) = deflating();
    client.send_message(now, DataOpcode::Binary, &vec![0; 16 << 20]).expect("taken");
    assert!(client.queued_bytes() < 32 << 10, "passes as a frame");
    transfer(&mut client, &mut server, now);
    let close = closed(&events(&mut server, now)).clone();
    assert_eq!(close.code, Some(CloseCode::TOO_BIG));
    assert!(server.buffered_bytes() < 1024);
}

#[test]
fn many_small_bombs_wait_for_the_consumer() {
    let now = Instant::now();
    let (mut server, mut client) = deflating();
    let mut stream = Vec::new();
    for _ in 0..50 {
        client.send_message(now, DataOpcode::Binary, &vec![0; 60_000]).expect("taken");
        stream.extend(written(&mut client, now));
    }
    server.handle_input(now, &stream);
    assert!(server.buffered_bytes() < 300 << 10, "{}", server.buffered_bytes());
    assert_eq!(events(&mut server, now).len(), 50);
}
