use super::super::deflate::codec::{Deflater, Direction};
use super::*;

const LIMIT: usize = 64 << 10;
const DIRECTION: Direction = Direction { no_context_takeover: false, window_bits: 15 };

/// A receiver of a server's frames, which have no mask.
fn receiver() -> Receiver {
    Receiver::new(false, LIMIT, LIMIT, None)
}

fn all(receiver: &mut Receiver, mut input: &[u8]) -> Result<Vec<Received>, ProtocolError> {
    let mut found = Vec::new();
    while let Some(received) = receiver.next(&mut input)? {
        found.push(received);
    }
    assert!(input.is_empty(), "all input is taken");
    Ok(found)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { fin: false, rsv1: false, opcode: Opcode::Continuation, mask: None, length: payload.len() as u64 }
        .encode(&mut out);
    out[0] = first;
    out.extend_from_slice(payload);
    out
}

fn text(payload: &str) -> Received {
    Received::Message { opcode: DataOpcode::Text, payload: payload.as_bytes().to_vec() }
}

fn binary(payload: &[u8]) -> Received {
    Received::Message { opcode: DataOpcode::Binary, payload: payload.to_vec() }
}

fn piece(opcode: DataOpcode, first: bool, fin: bool, payload: &[u8]) -> Received {
    Received::Fragment { opcode, first, fin, payload: payload.to_vec() }
}

#[test]
fn rfc6455_5_7_unmasked_text() {
    let octets = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(all(&mut receiver(), &octets), Ok(vec![text("Hello")]));
}

#[test]
fn rfc6455_5_7_masked_text() {
    let octets = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let mut receiver = Receiver::new(true, LIMIT, LIMIT, None);
    assert_eq!(all(&mut receiver, &octets), Ok(vec![text("Hello")]));
}

#[test]
fn rfc6455_5_7_fragmented_text() {
    let octets = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(all(&mut receiver(), &octets), Ok(vec![text("Hello")]));
}

#[test]
fn rfc6455_5_7_ping_and_masked_pong() {
    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(all(&mut receiver(), &ping), Ok(vec![Received::Ping(b"Hello".to_vec())]));
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let mut receiver = Receiver::new(true, LIMIT, LIMIT, None);
    assert_eq!(all(&mut receiver, &pong), Ok(vec![Received::Pong(b"Hello".to_vec())]));
}

#[test]
fn rfc6455_5_7_binary_of_256_octets_and_of_64_kib() {
    let medium = vec![7; 256];
    let mut octets = vec![0x82, 0x7e, 0x01, 0x00];
    octets.extend_from_slice(&medium);
    assert_eq!(all(&mut receiver(), &octets), Ok(vec![binary(&medium)]));

    let large = vec![9; 65_536];
    let mut octets = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0];
    octets.extend_from_slice(&large);
    assert_eq!(all(&mut receiver(), &octets), Ok(vec![binary(&large)]));
}

#[test]
fn everything_at_every_split() {
    let stream = [
        frame(0x01, b"He"),
        frame(0x89, b"in between"),
        frame(0x00, "l\u{20ac}".as_bytes()),
        frame(0x8a, b""),
        frame(0x80, b"o"),
        frame(0x82, b""),
        frame(0x82, &[5; 300]),
        frame(0x88, &[0x03, 0xe8, b'o', b'k']),
    ]
    .concat();
    let expected = vec![
        Received::Ping(b"in between".to_vec()),
        Received::Pong(Vec::new()),
        text("Hel\u{20ac}o"),
        binary(b""),
        binary(&[5; 300]),
        Received::Close { code: Some(CloseCode::NORMAL), reason: "ok".to_owned() },
    ];
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        let mut receiver = receiver();
        let mut found = all(&mut receiver, head).expect("valid");
        found.extend(all(&mut receiver, tail).expect("valid"));
        assert_eq!(found, expected, "cut {cut}");
    }
    let mut receiver = receiver();
    let mut found = Vec::new();
    for octet in &stream {
        found.extend(all(&mut receiver, &[*octet]).expect("valid"));
    }
    assert_eq!(found, expected);
    assert_eq!(receiver.buffered(), 0, "nothing is kept between messages");
}

#[test]
fn fragments_out_of_order() {
    assert_eq!(all(&mut receiver(), &frame(0x80, b"x")), Err(ProtocolError::OrphanContinuation));
    assert_eq!(all(&mut receiver(), &frame(0x00, b"x")), Err(ProtocolError::OrphanContinuation));
    let stream = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
    assert_eq!(all(&mut receiver(), &stream), Err(ProtocolError::InterleavedMessage));
    let stream = [frame(0x02, b"a"), frame(0x80, b"b"), frame(0x80, b"c")].concat();
    assert_eq!(all(&mut receiver(), &stream), Err(ProtocolError::OrphanContinuation));
}

#[test]
fn invalid_text_fails_before_its_frame_is_complete() {
    let mut receiver = receiver();
    // A frame of 100 octets, of which the second cannot follow the first.
    assert_eq!(all(&mut receiver, &[0x81, 100, 0xce]), Ok(vec![]));
    assert_eq!(all(&mut receiver, &[0xce]), Err(ProtocolError::InvalidUtf8));
}

#[test]
fn text_may_not_end_inside_a_character() {
    assert_eq!(all(&mut receiver(), &frame(0x81, &[0xe2, 0x82])), Err(ProtocolError::InvalidUtf8));
    let stream = [frame(0x01, &[0xe2, 0x82]), frame(0x80, &[0xac])].concat();
    assert_eq!(all(&mut receiver(), &stream), Ok(vec![text("€")]));
}

#[test]
fn claimed_length_reserves_nothing() {
    let mut receiver = Receiver::new(false, 1 << 40, 1 << 40, None);
    let header = [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(all(&mut receiver, &header), Ok(vec![]));
    assert_eq!(all(&mut receiver, b"0123456789"), Ok(vec![]));
    assert!(receiver.buffered() <= 64);
}

#[test]
fn limits_are_judged_by_the_header() {
    assert_eq!(all(&mut receiver(), &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 1]), Err(ProtocolError::FrameTooBig));
    let mut stream = frame(0x02, &[0; LIMIT]);
    stream.extend_from_slice(&[0x80, 1]);
    assert_eq!(all(&mut receiver(), &stream), Err(ProtocolError::MessageTooBig));
    let whole = [frame(0x02, &[0; LIMIT - 1]), frame(0x80, &[0])].concat();
    assert!(all(&mut receiver(), &whole).is_ok());
}

#[test]
fn reassembly_off_gives_every_fragment() {
    let mut receiver = receiver();
    receiver.set_reassembly(Reassembly::UpTo(0));
    let stream = [
        frame(0x01, b"ab"),
        frame(0x89, b""),
        frame(0x00, b""),
        frame(0x00, b"cd"),
        frame(0x80, b""),
        frame(0x82, b"whole"),
    ]
    .concat();
    assert_eq!(
        all(&mut receiver, &stream),
        Ok(vec![
            piece(DataOpcode::Text, true, false, b"ab"),
            Received::Ping(Vec::new()),
            piece(DataOpcode::Text, false, false, b"cd"),
            piece(DataOpcode::Text, false, true, b""),
            binary(b"whole"),
        ])
    );
}

#[test]
fn reassembly_up_to_a_bound_gives_pieces_of_at_least_so_much() {
    let mut receiver = receiver();
    receiver.set_reassembly(Reassembly::UpTo(4));
    let stream = [
        frame(0x02, b"abc"),
        frame(0x00, b"d"),
        frame(0x00, b"ef"),
        frame(0x80, b"g"),
        frame(0x01, b"a"),
        frame(0x80, b"bcdefgh"),
    ]
    .concat();
    assert_eq!(
        all(&mut receiver, &stream),
        Ok(vec![
            piece(DataOpcode::Binary, true, false, b"abcd"),
            piece(DataOpcode::Binary, false, true, b"efg"),
            text("abcdefgh"),
        ])
    );
}

#[test]
fn pieces_lift_the_limit_of_the_message_not_of_the_frame() {
    let mut receiver = receiver();
    receiver.set_reassembly(Reassembly::UpTo(1024));
    let mut total = 0;
    assert_eq!(all(&mut receiver, &frame(0x02, b"x")), Ok(vec![]));
    for _ in 0..10 {
        for received in all(&mut receiver, &frame(0x00, &[1; LIMIT])).expect("valid") {
            match received {
                Received::Fragment { payload, .. } => total += payload.len(),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(total, 1 + 10 * LIMIT);
    assert_eq!(all(&mut receiver, &[0x80, 127, 0, 0, 0, 0, 0, 1, 0, 1]), Err(ProtocolError::FrameTooBig));
}

#[test]
fn pieces_of_text_are_checked_as_one_text() {
    let mut receiver = receiver();
    receiver.set_reassembly(Reassembly::UpTo(0));
    let split = [frame(0x01, &[0xe2]), frame(0x80, &[0x82, 0xac])].concat();
    assert!(all(&mut receiver, &split).is_ok());
    let wrong = [frame(0x01, &[0xe2]), frame(0x80, &[0x82])].concat();
    assert_eq!(all(&mut receiver, &wrong), Err(ProtocolError::InvalidUtf8));
}

#[test]
fn compressed_in_fragments_with_a_ping_between() {
    let plain = "compressible, compressible, compressible ä".repeat(30);
    let mut compressed = Vec::new();
    assert!(Deflater::new(DIRECTION, 6).deflate(plain.as_bytes(), &mut compressed));
    let (head, tail) = compressed.split_at(compressed.len() / 2);
    let stream =
        [frame(0x41, head), frame(0x89, b"p"), frame(0x00, tail), frame(0x80, b""), frame(0x81, b"plain")].concat();
    for cut in 0..=stream.len() {
        let mut receiver = Receiver::new(false, LIMIT, LIMIT, Some(Inflater::new(DIRECTION)));
        let (head, tail) = stream.split_at(cut);
        let mut found = all(&mut receiver, head).expect("valid");
        found.extend(all(&mut receiver, tail).expect("valid"));
        assert_eq!(found, [Received::Ping(b"p".to_vec()), text(&plain), text("plain")], "cut {cut}");
    }
}

#[test]
fn compressed_text_must_be_utf8_once_inflated() {
    let mut compressed = Vec::new();
    Deflater::new(DIRECTION, 6).deflate(b"\xff\xfe", &mut compressed);
    let mut receiver = Receiver::new(false, LIMIT, LIMIT, Some(Inflater::new(DIRECTION)));
    assert_eq!(all(&mut receiver, &frame(0xc1, &compressed)), Err(ProtocolError::InvalidUtf8));
}

#[test]
fn discarding_finds_only_the_close_frame() {
    let mut receiver = receiver();
    assert_eq!(all(&mut receiver, &frame(0x01, b"begun")), Ok(vec![]));
    receiver.discard();
    let stream = [frame(0x00, &[0xff; 1000]), frame(0x80, b"end"), frame(0x82, &[1; LIMIT]), frame(0x88, b"")].concat();
    assert_eq!(all(&mut receiver, &stream), Ok(vec![Received::Close { code: None, reason: String::new() }]));
    assert_eq!(receiver.buffered(), 0);
}
