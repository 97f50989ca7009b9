//! What a relayed packet costs in the core: `cargo bench --no-default-features --bench session`.
//!
//! One packet is received, checked, decrypted, re-stamped, encrypted and queued, as between the two
//! sessions of a bridged call; sockets are not included. Prints the least nanoseconds of several
//! passes, for plain RTP and for each SRTP profile that browsers use.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use res_rust_webrtc::rtc::ice::Component;
use res_rust_webrtc::rtc::rtp::write_header;
use res_rust_webrtc::rtc::session::{OutgoingRtp, PayloadKind, PayloadType, Received};
use res_rust_webrtc::rtc::srtp::{Context, Profile};
use res_rust_webrtc::rtc::{Config, Session};

const PASSES: usize = 15;
const PACKETS: u16 = 5000;

fn main() {
    println!("ns per relayed packet, least of {PASSES} passes of {PACKETS}");
    println!("{:<28}{:>8}{:>8}{:>10}", "keys", "payload", "relay", "receive");
    for payload in [160, 1180] {
        measure(None, payload);
        measure(Some(Profile::AesCm128HmacSha1_80), payload);
        measure(Some(Profile::AeadAes128Gcm), payload);
    }
}

fn context(profile: Profile) -> Context {
    let (key, salt) = (vec![1; profile.key_length()], vec![2; profile.salt_length()]);
    Context::new(profile, &key, &salt).expect("a good key")
}

fn session(now: Instant, local: SocketAddr, remote: SocketAddr, profile: Option<Profile>) -> Session {
    let mut session = Session::new(now, Config::new(local)).expect("random numbers");
    session.set_remote_address(now, Component::Rtp, Some(remote));
    session.set_payload_types(&[PayloadType { pt: 0, clock_rate: 8000, kind: PayloadKind::Media }]);
    if let Some(profile) = profile {
        session.set_srtp(now, context(profile), context(profile));
    }
    session
}

fn measure(profile: Option<Profile>, payload: usize) {
    let addresses = ["10.0.0.1:1000", "10.0.0.2:2000", "10.0.0.3:3000"];
    let [caller, us, callee] = addresses.map(|text| text.parse::<SocketAddr>().expect("an address"));
    let (mut relayed, mut received) = (f64::MAX, f64::MAX);
    for _ in 0..PASSES {
        for relay in [false, true] {
            let begin = Instant::now();
            let mut packets = packets(profile, payload);
            let mut from = session(begin, us, caller, profile);
            let mut to = session(begin, us, callee, profile);
            let start = Instant::now();
            for (number, packet) in packets.iter_mut().enumerate() {
                let now = begin + Duration::from_millis(20) * number as u32;
                let media = from.handle_datagram(now, Component::Rtp, us, caller, packet);
                let Received::Media(media) = media else {
                    unreachable!("{media:?}");
                };
                if relay {
                    let outgoing = OutgoingRtp {
                        pt: media.pt,
                        marker: media.marker,
                        timestamp: media.timestamp,
                        seq: Some(media.seq),
                        payload: media.payload,
                    };
                    to.send_rtp(now, outgoing).expect("sent");
                    let transmit = to.poll_transmit().expect("a datagram");
                    black_box(&transmit.payload);
                    to.recycle(transmit.payload);
                    while to.poll_event().is_some() {}
                    black_box(to.poll_timeout());
                }
                while from.poll_event().is_some() {}
                black_box(from.poll_timeout());
            }
            let each = start.elapsed().as_nanos() as f64 / f64::from(PACKETS);
            let least = if relay { &mut relayed } else { &mut received };
            *least = least.min(each);
        }
    }
    let name = profile.map_or("none".to_owned(), |profile| profile.to_string());
    println!("{name:<28}{payload:>8}{relayed:>8.0}{received:>10.0}");
}

fn packets(profile: Option<Profile>, payload: usize) -> Vec<Vec<u8>> {
    let mut keys = profile.map(context);
    let body = vec![7; payload];
    (0..PACKETS)
        .map(|seq| {
            let mut packet = Vec::with_capacity(1500);
            write_header(&mut packet, 0, false, seq, u32::from(seq) * 160, 99, &[]);
            packet.extend_from_slice(&body);
            if let Some(keys) = &mut keys {
                keys.protect_rtp(&mut packet).expect("protected");
            }
            packet
        })
        .collect()
}
