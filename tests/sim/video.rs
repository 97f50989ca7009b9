//! Video on a network that loses: what is asked for again, sent again, and given up.

use res_rust_webrtc::rtc::Event;
use res_rust_webrtc::rtc::rtcp::Feedback;
use res_rust_webrtc::rtc::rtp::write_header;
use res_rust_webrtc::rtc::session::{OutgoingRtp, Retransmission};

use crate::pair::{Media, Options, Pair, Peer, VP8, ms};

/// Bytes in a packet of video.
const PACKET: usize = 1000;

fn video(seed: u64) -> Pair {
    let mut pair = Pair::new(Options { seed, video: true, ..Options::default() });
    for peer in [&mut pair.a, &mut pair.b] {
        peer.session.set_retransmission(Retransmission { ask: true, answer: true });
    }
    pair
}

/// Sends a picture of `packets` packets; the payload of each tells its picture and place.
fn show(pair: &mut Pair, picture: u32, packets: u16) {
    for place in 0..packets {
        let mut payload = b"CLEARTEXT-".to_vec();
        payload.extend_from_slice(&picture.to_be_bytes());
        payload.extend_from_slice(&place.to_be_bytes());
        payload.resize(PACKET, 0x5a);
        let packet = OutgoingRtp {
            pt: VP8,
            marker: place + 1 == packets,
            timestamp: picture.wrapping_mul(3000),
            seq: Some((picture as u16).wrapping_mul(packets).wrapping_add(place)),
            payload: &payload,
        };
        // Held, or lost: what arrives is for the test to see.
        let _ = pair.b.session.send_rtp(pair.now, packet);
    }
}

/// Shows `pictures` of four packets at 30 a second.
fn film(pair: &mut Pair, pictures: u32) {
    for picture in 0..pictures {
        show(pair, picture, 4);
        pair.run(ms(33));
    }
}

/// Pictures and places that arrived, sorted.
fn seen(peer: &Peer) -> Vec<(u32, u16)> {
    let read = |media: &Media| {
        let picture = media.payload.get(10..14)?.try_into().ok()?;
        let place = media.payload.get(14..16)?.try_into().ok()?;
        Some((u32::from_be_bytes(picture), u16::from_be_bytes(place)))
    };
    let mut seen: Vec<_> = peer.media.iter().filter_map(read).collect();
    seen.sort_unstable();
    seen
}

fn everything(pictures: u32, packets: u16) -> Vec<(u32, u16)> {
    (0..pictures).flat_map(|picture| (0..packets).map(move |place| (picture, place))).collect()
}

fn plis(peer: &Peer) -> usize {
    peer.count(|event| matches!(event, Event::Feedback(Feedback::Pli)))
}

#[test]
fn nothing_is_lost_for_good_at_five_percent() {
    for seed in 0..8 {
        let mut pair = video(seed);
        pair.connect();
        pair.network.conditions.loss = 5;
        pair.network.conditions.delay = ms(20);
        pair.network.conditions.duplicate = 2;
        film(&mut pair, 300);
        pair.network.conditions.loss = 0;
        show(&mut pair, 300, 4);
        pair.run(ms(1000));
        assert_eq!(seen(&pair.a), everything(301, 4), "seed {seed}");
        let (ours, theirs) = (pair.b.session.stats(), pair.a.session.stats());
        assert!(theirs.nacks_sent > 10 && ours.nacks_received > 10, "seed {seed}");
        assert!((40..160).contains(&ours.resent), "seed {seed}: {}", ours.resent);
        assert!(!pair.cleartext_on_the_wire());
    }
}

#[test]
fn a_packet_sent_again_is_the_packet_that_was_sent() {
    // RFC 3711 §9.1: two packets with the same index must not differ.
    let mut pair = video(3);
    pair.connect();
    pair.network.conditions.loss = 20;
    let from = pair.b.rtp;
    film(&mut pair, 100);
    let mut packets = std::collections::HashMap::new();
    let mut again = 0;
    for (source, bytes) in &pair.network.log {
        if *source != from || bytes.len() < PACKET {
            continue;
        }
        let seq = u16::from_be_bytes([bytes[2], bytes[3]]);
        if let Some(before) = packets.insert(seq, bytes.clone()) {
            assert_eq!(before, *bytes);
            again += 1;
        }
    }
    assert!(again > 20, "{again}");
}

#[test]
fn timestamps_and_markers_are_those_of_the_source() {
    let mut pair = video(5);
    pair.connect();
    pair.network.conditions.loss = 5;
    pair.network.conditions.jitter = ms(10);
    film(&mut pair, 100);
    pair.run(ms(500));
    let first = pair.a.media.iter().find(|media| media.payload[10..16] == [0; 6]).unwrap().clone();
    for media in &pair.a.media {
        let picture = u32::from_be_bytes(media.payload[10..14].try_into().unwrap());
        let place = u16::from_be_bytes(media.payload[14..16].try_into().unwrap());
        assert_eq!(media.timestamp.wrapping_sub(first.timestamp), picture * 3000);
        assert_eq!(media.marker, place == 3);
        assert_eq!(media.seq.wrapping_sub(first.seq), picture as u16 * 4 + place);
    }
}

#[test]
fn reordering_alone_is_hardly_asked_about() {
    let mut pair = video(2);
    pair.connect();
    pair.network.conditions.jitter = ms(30);
    film(&mut pair, 600);
    pair.run(ms(100));
    assert_eq!(seen(&pair.a), everything(600, 4));
    let resent = pair.b.session.stats().resent;
    assert!(resent < 120, "{resent} of 2400");
    assert_eq!(plis(&pair.b), 1, "the one that every call begins with");
}

#[test]
fn what_cannot_be_mended_is_given_up_for_a_keyframe() {
    let mut pair = video(1);
    // The sender does not answer.
    pair.b.session.set_retransmission(Retransmission::default());
    pair.connect();
    film(&mut pair, 30);
    pair.network.conditions.loss = 100;
    show(&mut pair, 30, 4);
    pair.run(ms(33));
    pair.network.conditions.loss = 0;
    let before = plis(&pair.b);
    for picture in 31..120 {
        show(&mut pair, picture, 4);
        pair.run(ms(33));
    }
    assert_eq!(plis(&pair.b) - before, 1);
    let asked = pair.b.count(|event| matches!(event, Event::Feedback(Feedback::Nack(_))));
    assert!((2..=10).contains(&asked), "{asked}");
}

#[test]
fn an_outage_ends_with_a_keyframe_and_no_flood() {
    let mut pair = video(1);
    pair.connect();
    film(&mut pair, 30);
    let before = plis(&pair.b);
    pair.network.conditions.down = true;
    for picture in 30..150 {
        show(&mut pair, picture, 4);
        pair.run(ms(33));
    }
    pair.network.conditions.down = false;
    for picture in 150..240 {
        show(&mut pair, picture, 4);
        pair.run(ms(33));
    }
    assert_eq!(plis(&pair.b) - before, 1);
    assert_eq!(pair.b.session.stats().resent, 0);
}

#[test]
fn a_keyframe_is_asked_for_when_there_are_keys() {
    let mut pair = video(1);
    pair.connect();
    film(&mut pair, 3);
    pair.run(ms(50));
    assert_eq!(plis(&pair.b), 1, "with the first packet, there being a source to ask");
    for peer in [&pair.a, &pair.b] {
        assert_eq!(peer.count(|event| *event == Event::KeyframeNeeded), 1, "and of who sends to the peer");
    }
}

#[test]
fn a_keyframe_that_came_before_the_keys_is_whole() {
    let mut pair = video(1);
    pair.offer();
    // 150 kB, as 720p has them, in one burst before the answer.
    show(&mut pair, 0, 150);
    pair.run(ms(300));
    pair.answer();
    pair.run(ms(500));
    assert!(pair.a.dtls_connected());
    assert_eq!(seen(&pair.a), everything(1, 150));
    assert!(!pair.cleartext_on_the_wire());
    assert_eq!(pair.b.session.stats().tx_dropped, 0);
}

#[test]
fn keyframe_requests_are_throttled_and_not_forgotten() {
    let mut pair = video(1);
    pair.connect();
    film(&mut pair, 30);
    let before = plis(&pair.b);
    for _ in 0..100 {
        pair.a.session.request_keyframe(pair.now).unwrap();
        pair.run(ms(10));
    }
    pair.run(ms(1000));
    // At 0, 300, 600 and 900 ms, and the last one's turn.
    assert_eq!(plis(&pair.b) - before, 5);
}

#[test]
fn another_source_is_noticed_and_its_picture_has_one_end() {
    let mut pair = video(1);
    pair.connect();
    film(&mut pair, 30);
    let before = pair.b.count(|event| *event == Event::KeyframeNeeded);
    pair.a.media.clear();
    pair.b.session.source_changed();
    show(&mut pair, 900_000, 4);
    pair.run(ms(33));
    assert_eq!(pair.b.count(|event| *event == Event::KeyframeNeeded) - before, 1);
    let markers: Vec<bool> = pair.a.media.iter().map(|media| media.marker).collect();
    assert_eq!(markers, [false, false, false, true]);
}

#[test]
fn audio_is_not_asked_for_again() {
    let mut pair = Pair::new(Options::default());
    for peer in [&mut pair.a, &mut pair.b] {
        peer.session.set_retransmission(Retransmission { ask: true, answer: true });
    }
    pair.connect();
    pair.network.conditions.loss = 10;
    pair.talk(ms(5000));
    for peer in [&pair.a, &pair.b] {
        let stats = peer.session.stats();
        assert_eq!((stats.nacks_sent, stats.resent), (0, 0));
        assert!(stats.local_lost > 5);
    }
}

#[test]
fn a_peer_that_asks_for_everything_always_gets_no_flood() {
    let mut pair = video(1);
    pair.connect();
    film(&mut pair, 30);
    let last = pair.a.media.last().unwrap().seq;
    let sent = pair.network.log.len();
    for _ in 0..300 {
        let all: Vec<u16> = (0..120).rev().map(|back| last.wrapping_sub(back)).collect();
        pair.a.session.send_feedback(pair.now, &Feedback::Nack(all)).unwrap();
        pair.run(ms(2));
    }
    let resent = pair.b.session.stats().resent as usize * PACKET;
    assert!(resent <= 192 * 1024, "{resent}");
    assert!(pair.network.log.len() - sent < 700);
}

#[test]
fn resends_stop_with_other_keys() {
    let mut pair = video(1);
    pair.connect();
    film(&mut pair, 30);
    let last = pair.a.media.last().unwrap().seq;
    let options = Options { video: true, ..Options::default() };
    pair.replace_offerer(&options);
    pair.offer();
    pair.answer();
    pair.run(ms(300));
    assert!(pair.a.dtls_connected());
    show(&mut pair, 31, 4);
    pair.run(ms(20));
    pair.a.session.send_feedback(pair.now, &Feedback::Nack(vec![last])).unwrap();
    pair.run(ms(100));
    assert_eq!(pair.b.session.stats().resent, 0, "the old keys' packets are nothing to the new peer");
}

#[test]
fn arrivals_are_reported_for_congestion_control() {
    let mut pair = Pair::new(Options { video: true, ..Options::plain() });
    pair.offer();
    pair.answer();
    let reports = |peer: &Peer| {
        let of = |(at, event): &(_, Event)| match event {
            Event::Feedback(Feedback::TransportCc(fci)) => Some((*at, fci.clone())),
            _ => None,
        };
        peer.events.iter().filter_map(of).collect::<Vec<_>>()
    };
    let mut number = 0u16;
    let mut film = |pair: &mut Pair, id: u8| {
        for _ in 0..50 {
            let mut packet = Vec::new();
            write_header(&mut packet, VP8, true, number, 0, 77, &[(id, &number.to_be_bytes())]);
            packet.extend_from_slice(b"picture");
            number += 1;
            let (now, from, to) = (pair.now, pair.b.rtp, pair.a.rtp);
            pair.a.receive(now, from, to, &mut packet);
            pair.run(ms(20));
        }
    };
    film(&mut pair, 3);
    assert!(reports(&pair.b).is_empty(), "not negotiated");
    pair.a.session.set_transport_cc(pair.now, Some(3));
    film(&mut pair, 4);
    assert!(reports(&pair.b).is_empty(), "another extension");
    let begin = pair.now;
    film(&mut pair, 3);
    pair.run(ms(200));
    let reports = reports(&pair.b);
    assert!((8..=10).contains(&reports.len()), "{}", reports.len());
    let told: u32 = reports.iter().map(|(_, fci)| u32::from(u16::from_be_bytes([fci[2], fci[3]]))).sum();
    assert_eq!(told, 50);
    for (count, (at, fci)) in reports.iter().enumerate() {
        assert_eq!(usize::from(fci[7]), count, "messages are numbered");
        assert!(*at <= begin + ms(120) * (count as u32 + 1));
    }
}
