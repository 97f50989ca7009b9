//! What somebody else sends to an ongoing call.

use res_rust_webrtc::rtc::Event;
use res_rust_webrtc::rtc::dtls::Setup;
use res_rust_webrtc::rtc::error::Discard;
use res_rust_webrtc::rtc::ice::Component;

use crate::network::Rng;
use crate::pair::{Options, Pair, address, ms};

const ATTACKER: &str = "203.0.113.66:6666";

/// A ClientHello of another pair's handshake.
fn client_hello() -> Vec<u8> {
    let mut pair = Pair::new(Options::default());
    pair.offer();
    pair.answer();
    pair.run(ms(100));
    let hello = pair.network.log.iter().find(|(_, bytes)| bytes[0] == 22);
    hello.unwrap().1.clone()
}

#[test]
fn a_spoofed_client_hello_before_the_real_one_is_harmless() {
    // CVE-2023-49786.
    let hello = client_hello();
    let mut pair = Pair::new(Options { answer: Setup::Passive, dtls_timer: ms(20_000), ..Options::default() });
    pair.offer();
    let (to, now) = (pair.b.rtp, pair.now);
    pair.b.receive(now, address(ATTACKER), to, &mut hello.clone());
    pair.answer();
    pair.run(ms(1000));
    assert!(pair.a.dtls_connected() && pair.b.dtls_connected());
    assert!(!pair.network.log.iter().any(|(_, bytes)| bytes.is_empty()));
    pair.talk(ms(200));
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    // A flood of them is held within bounds and fed to nobody.
    for _ in 0..10_000 {
        let now = pair.now;
        pair.b.receive(now, address(ATTACKER), to, &mut hello.clone());
    }
    let discards = pair.b.session.stats().discards;
    assert!(discards.of(Discard::DtlsNotValidated) > 9900);
    pair.talk(ms(200));
    pair.run(ms(20));
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
}

#[test]
fn dtls_to_a_session_without_dtls_is_dropped() {
    // Asterisk #575.
    let hello = client_hello();
    let mut pair = Pair::new(Options::plain());
    pair.offer();
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    pair.b.receive(now, from, to, &mut hello.clone());
    let discards = pair.b.session.stats().discards;
    assert_eq!(discards.of(Discard::DtlsUnexpected), 1);
}

#[test]
fn replayed_srtp_is_dropped_and_the_call_goes_on() {
    // CVE-2021-26712.
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(1000));
    pair.run(ms(10));
    let (a, b, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    let sent: Vec<Vec<u8>> = pair
        .network
        .log
        .iter()
        .filter(|(source, bytes)| *source == a && bytes[0] & 0xc0 == 0x80)
        .map(|(_, bytes)| bytes.clone())
        .collect();
    let heard = pair.b.media.len();
    for bytes in &sent {
        pair.b.receive(now, a, b, &mut bytes.clone());
    }
    assert_eq!(pair.b.media.len(), heard);
    pair.talk(ms(1000));
    pair.run(ms(10));
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
}

#[test]
fn media_from_elsewhere_is_dropped() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    let (a, b, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    let genuine = pair.network.log.iter().rfind(|(source, bytes)| *source == a && bytes[0] == 0x80).unwrap().1.clone();
    pair.b.receive(now, address(ATTACKER), b, &mut genuine.clone());
    let discards = pair.b.session.stats().discards;
    assert_eq!(discards.of(Discard::SourceNotValidated), 1);
    // From the right address and in the clear, or with any key but the right one.
    let mut forged = genuine.clone();
    forged[20] ^= 1;
    pair.b.receive(now, a, b, &mut forged);
    pair.run(ms(1));
    assert_eq!(pair.b.session.remote_address(Component::Rtp), Some(a));
}

#[test]
fn ten_thousand_mutations_leave_the_call_undisturbed() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(6000));
    // Everything that was ever on the wire is the corpus: STUN, DTLS, SRTP, SRTCP.
    let corpus: Vec<Vec<u8>> = pair.network.log.iter().map(|(_, b)| b.clone()).collect();
    let sources = [pair.a.rtp, address(ATTACKER)];
    let mut rng = Rng::new(42);
    let selected = pair.b.session.remote_address(Component::Rtp);
    for round in 0..10_000u64 {
        let mut bytes = corpus[rng.below(corpus.len() as u64) as usize].clone();
        for _ in 0..1 + rng.below(8) {
            match rng.below(4) {
                0 => {
                    let at = rng.below(bytes.len() as u64) as usize;
                    bytes[at] = rng.next() as u8;
                }
                1 => {
                    let at = rng.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << rng.below(8);
                }
                2 => bytes.truncate(1 + rng.below(bytes.len() as u64) as usize),
                _ => {
                    let more = 1 + rng.below(40) as usize;
                    bytes.extend((0..more).map(|_| rng.next() as u8));
                }
            }
        }
        let source = sources[rng.below(2) as usize];
        let to = if rng.chance(90) { pair.b.rtp } else { pair.b.rtcp };
        let now = pair.now;
        pair.b.receive(now, source, to, &mut bytes);
        if round % 10 == 0 {
            pair.talk(ms(20));
        }
    }
    pair.run(ms(100));
    assert_eq!(pair.b.session.remote_address(Component::Rtp), selected);
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
    let ended = |event: &Event| {
        matches!(event, Event::IceFailed(_) | Event::DtlsFailed { .. } | Event::DtlsClosed | Event::Bye { .. })
    };
    assert_eq!(pair.b.count(ended), 0);
}

#[test]
fn mutations_of_plain_rtp_and_rtcp_are_survived() {
    let mut pair = Pair::new(Options::plain());
    pair.offer();
    pair.answer();
    pair.talk(ms(12_000));
    let corpus: Vec<Vec<u8>> = pair.network.log.iter().map(|(_, b)| b.clone()).collect();
    let mut rng = Rng::new(7);
    for _ in 0..20_000 {
        let mut bytes = corpus[rng.below(corpus.len() as u64) as usize].clone();
        if rng.chance(30) {
            bytes[1] = 200 + rng.below(8) as u8;
        }
        for _ in 0..1 + rng.below(6) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next() as u8;
            if rng.chance(20) {
                bytes.truncate(1 + at);
            }
        }
        let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
        pair.b.receive(now, from, to, &mut bytes);
    }
    pair.b.media.clear();
    let before = pair.a.spoken();
    pair.talk(ms(1000));
    pair.run(ms(20));
    // A garbled header may pose as another number of the same SSRC; the stream recovers.
    let heard = pair.b.heard();
    let good = heard.iter().filter(|n| **n > before).count();
    assert!(good >= 45, "{good}");
}
