//! A connection fed with whatever: the first octet chooses role, deflate, reassembly and how the
//! rest is cut.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use res_rust_webrtc::websocket::deflate::{Settings, negotiate};
use res_rust_webrtc::websocket::handshake::parse_extensions;
use res_rust_webrtc::websocket::{Config, Connection, Limits, Reassembly, Role, Timing};

fuzz_target!(|data: &[u8]| {
    let [choice, data @ ..] = data else { return };
    let now = Instant::now();
    let role = if choice & 1 == 0 { Role::Server } else { Role::Client { mask_key: || [1, 2, 3, 4] } };
    let offers = parse_extensions("permessage-deflate").unwrap_or_default();
    let deflate = negotiate(&offers, &Settings::default()).filter(|_| choice & 2 != 0);
    let limits = Limits { max_frame: 4096, max_message: 4096, max_queue: 4096 };
    let mut connection = Connection::new(Config { role, limits, timing: Timing::default(), deflate }, now);
    if choice & 4 != 0 {
        connection.set_reassembly(Reassembly::UpTo(64));
    }
    for piece in data.chunks(1 + usize::from(choice >> 3)) {
        connection.handle_input(now, piece);
        while connection.poll_event(now).is_some() {}
        assert!(connection.buffered_bytes() < 64 << 10);
    }
    connection.handle_eof(now);
    connection.consume(now, usize::MAX);
    assert!(connection.is_finished());
});
