//! Both sides of the opening handshake: header lines for the server, a response for the client.
#![no_main]

use libfuzzer_sys::fuzz_target;
use res_rust_webrtc::websocket::deflate::Settings;
use res_rust_webrtc::websocket::handshake::{ClientHandshake, ClientRequest, Request, accept, response};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let request = Request { method: "GET", version: Some("HTTP/1.1") };
    match accept(request, text.lines().filter_map(|line| line.split_once(':'))) {
        Ok(upgrade) => {
            let deflate = upgrade.negotiate_deflate(&Settings::default());
            let protocol = upgrade.protocols.first().map(String::as_str);
            let text = response(&upgrade, protocol, deflate.as_ref());
            assert!(text.ends_with(b"\r\n\r\n"));
        }
        Err(refusal) => assert!(!refusal.to_string().contains(['\r', '\n'])),
    }
    let request = ClientRequest { host: "h", resource: "/", deflate: Some(Settings::default()), ..Default::default() };
    if let Ok((mut handshake, _)) = ClientHandshake::new(request, [0; 16]) {
        let _ = handshake.handle_input(data);
    }
});
