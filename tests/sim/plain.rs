//! RTP without ICE and DTLS: desk phones and trunks.

use res_rust_webrtc::rtc::error::Discard;
use res_rust_webrtc::rtc::ice::Component;
use res_rust_webrtc::rtc::session::RtcpMode;
use res_rust_webrtc::rtc::srtp::{Context, Profile};
use res_rust_webrtc::rtc::{Event, SendError};

use crate::network::Nat;
use crate::pair::{Options, Pair, address, ms};

#[test]
fn media_and_reports_both_ways() {
    let mut pair = Pair::new(Options { rtcp: RtcpMode::Separate, ..Options::plain() });
    pair.offer();
    pair.answer();
    pair.talk(ms(12_000));
    pair.run(ms(50));
    assert!(pair.cleartext_on_the_wire());
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
    for peer in [&pair.a, &pair.b] {
        let stats = peer.session.stats();
        assert!(stats.rtt.count() > 0);
        assert_eq!(stats.discards.total(), 0, "{:?}", stats.discards);
        let sent = peer.count(|e| matches!(e, Event::ReportSent(_)));
        assert!((2..=10).contains(&sent));
    }
}

#[test]
fn without_a_remote_address_nothing_is_sent_and_nothing_expected() {
    let mut pair = Pair::new(Options::plain());
    pair.b.speak(pair.now);
    pair.run(ms(100));
    assert!(pair.network.log.is_empty());
    assert_eq!(pair.b.session.stats().tx_dropped, 1);
    let packet = rtp(7, 1);
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    pair.b.receive(now, from, to, &mut packet.clone());
    assert!(pair.b.media.is_empty());
    assert_eq!(pair.b.session.stats().discards.of(Discard::Unexpected), 1);
}

fn rtp(ssrc: u32, seq: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    let pt = crate::pair::OPUS;
    res_rust_webrtc::rtc::rtp::write_header(&mut packet, pt, false, seq, 0, ssrc, &[]);
    packet.extend_from_slice(b"payload");
    packet
}

#[test]
fn a_stranger_cannot_take_the_stream() {
    // RTPbleed, AST-2017-008.
    let mut pair = Pair::new(Options::plain());
    pair.b.session.set_symmetric_rtp(true);
    pair.offer();
    pair.answer();
    pair.talk(ms(200));
    let stranger = address("203.0.113.9:9");
    let (to, now) = (pair.b.rtp, pair.now);
    let heard = pair.b.media.len();
    for seq in 0..100 {
        pair.b.receive(now, stranger, to, &mut rtp(7, seq));
    }
    assert_eq!(pair.b.media.len(), heard);
    let a = pair.a.rtp;
    assert_eq!(pair.b.session.remote_address(Component::Rtp), Some(a));
    let discards = pair.b.session.stats().discards;
    assert_eq!(discards.of(Discard::SourceNotLearned), 100);
}

#[test]
fn symmetric_rtp_follows_a_nat() {
    let mut pair = Pair::new(Options::plain());
    pair.b.session.set_symmetric_rtp(true);
    pair.network.conditions.nat =
        Some(Nat { inside: "10.0.0.1".parse().unwrap(), outside: "198.51.100.7".parse().unwrap(), shift: 100 });
    pair.offer();
    pair.answer();
    pair.talk(ms(1000));
    let outside = address("198.51.100.7:40100");
    assert_eq!(pair.b.session.remote_address(Component::Rtp), Some(outside));
    let learned = |e: &Event| matches!(e, Event::RemoteLearned { remote, .. } if *remote == outside);
    assert_eq!(pair.b.count(learned), 1);
    // The first packets prove the source, the rest is heard.
    assert!(pair.b.heard().len() >= 46);
    assert!(pair.a.heard().len() >= 44);
}

#[test]
fn unnegotiated_payload_types_are_dropped() {
    // AST-2018-001.
    let mut pair = Pair::new(Options::plain());
    pair.offer();
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    let mut packet = rtp(7, 1);
    packet[1] = 34;
    pair.b.receive(now, from, to, &mut packet);
    assert!(pair.b.media.is_empty());
    let stats = pair.b.session.stats();
    assert_eq!(stats.discards.of(Discard::PayloadType), 1);
    assert_eq!(stats.rx_packets, 0);
}

#[test]
fn another_ssrc_is_accepted_and_told() {
    let mut pair = Pair::new(Options::plain());
    pair.offer();
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    for seq in 0..10 {
        pair.b.receive(now, from, to, &mut rtp(7, seq));
    }
    for seq in 60_000..60_010 {
        pair.b.receive(now, from, to, &mut rtp(8, seq));
    }
    pair.run(ms(1));
    assert_eq!(pair.b.media.len(), 20);
    let changes: Vec<_> = pair
        .b
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::SsrcChanged { old, new } => Some((*old, *new)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(None, 7), (Some(7), 8)]);
    assert_eq!(pair.b.session.stats().local_lost, 0);
    // Any number of them is bounded.
    for ssrc in 100..1000 {
        pair.b.receive(now, from, to, &mut rtp(ssrc, 1));
    }
    assert!(pair.b.session.stats().rx_packets <= 28);
}

#[test]
fn our_own_packets_coming_back_are_dropped() {
    let mut pair = Pair::new(Options::plain());
    pair.offer();
    let ssrc = pair.b.session.ssrc();
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    pair.b.receive(now, from, to, &mut rtp(ssrc, 1));
    assert_eq!(pair.b.session.stats().discards.of(Discard::OwnSsrc), 1);
}

#[test]
fn sdes_keys_encrypt_media_and_reports() {
    let mut pair = Pair::new(Options { rtcp: RtcpMode::Separate, ..Options::plain() });
    let profile = Profile::AesCm128HmacSha1_80;
    let context = |byte: u8| Context::new(profile, &[byte; 16], &[byte; 14]).unwrap();
    pair.a.session.set_srtp(pair.now, context(1), context(2));
    pair.b.session.set_srtp(pair.now, context(2), context(1));
    pair.offer();
    pair.answer();
    pair.talk(ms(6000));
    pair.run(ms(50));
    assert!(!pair.cleartext_on_the_wire());
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert!(pair.a.session.stats().rx_rtcp > 0);
    // In the clear nothing is taken.
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    let heard = pair.b.media.len();
    pair.b.receive(now, from, to, &mut rtp(7, 1));
    assert_eq!(pair.b.media.len(), heard);
}

#[test]
fn once_sdes_is_agreed_nothing_flows_in_the_clear_while_keys_are_missing() {
    let mut pair = Pair::new(Options { rtcp: RtcpMode::Separate, ..Options::plain() });
    pair.b.session.require_srtp();
    pair.offer();
    pair.answer();
    pair.talk(ms(6000));
    let b = pair.b.rtp;
    assert!(pair.network.log.iter().all(|(source, _)| source.ip() != b.ip()), "something was sent");
    assert_eq!(pair.b.heard().len(), 0);
    // With the key for one direction, that direction flows.
    let context = |byte: u8| Context::new(Profile::AesCm128HmacSha1_80, &[byte; 16], &[byte; 14]).unwrap();
    pair.b.session.set_srtp_rx(pair.now, context(1));
    pair.a.session.set_srtp(pair.now, context(1), context(2));
    pair.talk(ms(1000));
    assert!(pair.b.heard().len() >= 49);
    assert_eq!(pair.a.heard().len(), 0);
}

#[test]
fn a_key_that_is_replaced_leaves_the_other_direction_alone() {
    let mut pair = Pair::new(Options { rtcp: RtcpMode::Separate, ..Options::plain() });
    let context = |byte: u8| Context::new(Profile::AesCm128HmacSha1_80, &[byte; 16], &[byte; 14]).unwrap();
    pair.a.session.set_srtp(pair.now, context(1), context(2));
    pair.b.session.set_srtp(pair.now, context(2), context(1));
    pair.offer();
    pair.answer();
    pair.talk(ms(1000));
    pair.run(ms(50));
    pair.a.session.set_srtp_tx(pair.now, context(3));
    pair.b.session.set_srtp_rx(pair.now, context(3));
    pair.talk(ms(1000));
    pair.run(ms(50));
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
}

#[test]
fn dtls_without_ice() {
    let mut pair = Pair::new(Options { ice: false, ..Options::default() });
    pair.offer();
    pair.b.speak(pair.now);
    pair.answer();
    pair.talk(ms(1000));
    pair.run(ms(50));
    assert!(!pair.cleartext_on_the_wire());
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
}

#[test]
fn rtcp_off_sends_none_and_takes_none() {
    let mut pair = Pair::new(Options { rtcp: RtcpMode::Off, ..Options::plain() });
    pair.offer();
    pair.answer();
    pair.talk(ms(15_000));
    assert_eq!(pair.a.session.stats().tx_rtcp, 0);
    assert_eq!(pair.a.session.request_keyframe(pair.now), Err(SendError::RtcpOff));
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    pair.b.receive(now, from, to, &mut [0x80, 201, 0, 1, 0, 0, 0, 7]);
    let discards = pair.b.session.stats().discards;
    assert_eq!(discards.of(Discard::RtcpUnexpected), 1);
}
