//! BUNDLE: two streams of each peer over one transport (RFC 8843).

use res_rust_webrtc::rtc::ice::IceState;
use res_rust_webrtc::rtc::rtcp::{Feedback, Report};
use res_rust_webrtc::rtc::session::{
    Config, OutgoingRtp, PayloadKind, PayloadType, Received, Retransmission, RtcpMode, Session,
};
use res_rust_webrtc::rtc::{Event, SendError};

use crate::pair::{DTMF, Member, OPUS, Options, Pair, Peer, address, ms};

const VP8: u8 = 96;
const MEMBER: u64 = 7;

/// Adds a video stream to a peer. Its own socket is `port`, which must never be used.
fn add_video(pair: &mut Pair, of: fn(&mut Pair) -> &mut Peer) {
    let now = pair.now;
    let mut config = Config::new(address("10.9.9.9:9"));
    config.rtcp = RtcpMode::Mux;
    config.unix_time = std::time::Duration::from_secs(1_700_000_000);
    let mut video = Session::new(now, config).unwrap();
    video.set_payload_types(&[PayloadType { pt: VP8, clock_rate: 90_000, kind: PayloadKind::Video }]);
    video.set_bundle_payload_types(&[VP8]);
    video.set_retransmission(Retransmission { ask: true, answer: true });
    video.enable_ice().unwrap();
    video.join_bundle();
    let peer = of(pair);
    peer.session.set_bundle_payload_types(&[OPUS, DTMF]);
    peer.session.set_member(MEMBER, video.membership());
    peer.member = Some(Member { session: video, media: Vec::new(), events: Vec::new() });
}

fn bundled(options: Options) -> Pair {
    let mut pair = Pair::new(options);
    add_video(&mut pair, |pair| &mut pair.a);
    add_video(&mut pair, |pair| &mut pair.b);
    pair
}

fn member(peer: &mut Peer) -> &mut Member {
    peer.member.as_mut().unwrap()
}

/// Each side is told the other's SSRCs, as by `a=ssrc`.
fn signal_ssrcs(pair: &mut Pair) {
    let of = |peer: &Peer| (peer.session.ssrc(), peer.member.as_ref().unwrap().session.ssrc());
    let (a, b) = (of(&pair.a), of(&pair.b));
    for (peer, (audio, video)) in [(&mut pair.a, b), (&mut pair.b, a)] {
        peer.session.set_remote_ssrc(audio);
        member(peer).session.set_remote_ssrc(video);
        let membership = member(peer).session.membership();
        peer.session.set_member(MEMBER, membership);
    }
}

/// Sends picture `n`: three packets, of which the last has the marker.
fn show(pair: &mut Pair, n: u32) {
    let now = pair.now;
    for peer in [&mut pair.a, &mut pair.b] {
        for part in 0..3u32 {
            let mut payload = b"CLEARTEXT-".to_vec();
            payload.extend_from_slice(&(n * 3 + part).to_be_bytes());
            payload.resize(900, 0x33);
            let packet = OutgoingRtp { pt: VP8, marker: part == 2, timestamp: n * 3000, seq: None, payload: &payload };
            // Held or dropped is for the test to see from what arrives.
            let _ = member(peer).session.send_rtp(now, packet);
        }
    }
}

fn seen(peer: &Peer) -> Vec<u32> {
    let media = &peer.member.as_ref().unwrap().media;
    media.iter().map(|media| u32::from_be_bytes(media.payload[10..14].try_into().unwrap())).collect()
}

fn talk_and_show(pair: &mut Pair, pictures: std::ops::Range<u32>) {
    for n in pictures {
        show(pair, n);
        pair.talk(ms(40));
    }
}

fn reports(peer: &Peer) -> Vec<&Report> {
    let events = &peer.member.as_ref().unwrap().events;
    events
        .iter()
        .filter_map(|event| if let Event::ReportReceived(report) = event { Some(report) } else { None })
        .collect()
}

#[test]
fn two_streams_over_one_transport_lose_nothing_and_are_never_in_the_clear() {
    for signalled in [true, false] {
        let mut pair = bundled(Options::default());
        if signalled {
            signal_ssrcs(&mut pair);
        }
        pair.offer();
        // Before the browser has the answer: held, and not in the clear.
        show(&mut pair, 0);
        pair.run(ms(5));
        pair.answer();
        talk_and_show(&mut pair, 1..300);
        pair.run(ms(100));
        assert!(!pair.cleartext_on_the_wire());
        let everything: Vec<u32> = (0..900).collect();
        for (peer, other) in [(&pair.a, &pair.b), (&pair.b, &pair.a)] {
            assert_eq!(seen(peer), everything, "signalled: {signalled}");
            assert_eq!(peer.heard().len() as u32, other.spoken());
            assert_eq!(peer.session.stats().discards.total(), 0, "{:?}", peer.session.stats().discards);
            let stats = peer.member.as_ref().unwrap().session.stats();
            assert_eq!(stats.discards.total(), 0, "{:?}", stats.discards);
            assert_eq!((stats.local_lost, stats.tx_dropped), (0, 0));
            assert_eq!(stats.remote_ssrc, other.member.as_ref().unwrap().session.ssrc());
            assert_eq!(peer.session.stats().remote_ssrc, other.session.ssrc());
            // Its own reports, with round trips of its own.
            assert!(stats.rtt.count() > 0 && (stats.rtt.last() - 0.002).abs() < 0.001, "{:?}", stats.rtt);
            let video = other.member.as_ref().unwrap().session.ssrc();
            assert!(!reports(peer).is_empty() && reports(peer).iter().all(|report| report.ssrc == video));
            assert!(peer.count(|e| matches!(e, Event::ReportReceived(r) if r.ssrc == video)) == 0);
        }
    }
}

#[test]
fn feedback_goes_to_the_stream_that_it_names() {
    let mut pair = bundled(Options::default());
    pair.connect();
    talk_and_show(&mut pair, 0..5);
    // A keyframe request that follows another too closely would wait, and be a PLI.
    pair.run(ms(500));
    let now = pair.now;
    for feedback in [Feedback::Fir, Feedback::Remb(500_000)] {
        member(&mut pair.a).session.send_feedback(now, &feedback).unwrap();
    }
    pair.run(ms(400));
    let feedback = |event: &Event| matches!(event, Event::Feedback(_));
    assert_eq!(pair.b.count(feedback), 0);
    let events: Vec<_> = pair.b.member.as_ref().unwrap().events.iter().filter(|event| feedback(event)).collect();
    assert!(events.contains(&&Event::Feedback(Feedback::Fir)), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, Event::Feedback(Feedback::Remb(_)))), "{events:?}");
}

#[test]
fn what_is_lost_of_a_member_s_video_is_sent_again() {
    let mut pair = bundled(Options::default());
    pair.connect();
    talk_and_show(&mut pair, 0..10);
    pair.network.conditions.loss = 5;
    talk_and_show(&mut pair, 10..110);
    pair.network.conditions.loss = 0;
    talk_and_show(&mut pair, 110..125);
    pair.run(ms(500));
    for peer in [&pair.a, &pair.b] {
        let mut seen = seen(peer);
        seen.sort_unstable();
        assert_eq!(seen, (0..375).collect::<Vec<_>>());
        assert!(peer.member.as_ref().unwrap().session.stats().resent > 0);
    }
    assert!(!pair.cleartext_on_the_wire());
}

#[test]
fn a_member_that_leaves_or_whose_transport_ends_sends_nothing_at_all() {
    let mut pair = bundled(Options::default());
    pair.connect();
    talk_and_show(&mut pair, 0..10);
    // The transport of `b` ends first: its member waits in vain.
    let now = pair.now;
    pair.b.session.close(now);
    pair.run(ms(50));
    let sent = pair.network.log.len();
    let packet = OutgoingRtp { pt: VP8, marker: true, timestamp: 0, seq: None, payload: b"CLEARTEXT-" };
    assert_eq!(member(&mut pair.b).session.send_rtp(now, packet), Err(SendError::HeldForKeys));
    // `a`'s member leaves first: it has no path, and what was kept for resending is forgotten.
    let video = &mut member(&mut pair.a).session;
    video.leave_bundle();
    assert!(video.send_rtp(now, packet).is_err());
    assert_eq!(video.remote_address(res_rust_webrtc::rtc::ice::Component::Rtp), None);
    assert!(video.poll_transmit().is_none() && video.poll_bundled().is_none());
    pair.a.session.remove_member(MEMBER);
    let mut nothing = [0x80, VP8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1];
    assert!(matches!(video_of(&mut pair).handle_plain(now, &nothing), Received::Discarded(_)));
    nothing[1] = 200;
    assert!(matches!(video_of(&mut pair).handle_plain(now, &nothing), Received::Discarded(_)));
    // `a` still checks, and speaks to nobody; nothing of what it sends is in the clear.
    pair.run(ms(300));
    assert!(pair.network.log.len() >= sent);
    assert!(!pair.cleartext_on_the_wire());
}

fn video_of(pair: &mut Pair) -> &mut Session {
    &mut member(&mut pair.a).session
}

#[test]
fn a_member_follows_its_transport_through_an_ice_restart() {
    let mut pair = bundled(Options::default());
    pair.connect();
    talk_and_show(&mut pair, 0..10);
    // The peer comes back with another certificate, at another address: nothing is sent with the
    // old keys.
    pair.replace_offerer(&Options::default());
    add_video(&mut pair, |pair| &mut pair.a);
    let membership = member(&mut pair.b).session.membership();
    pair.b.session.set_member(MEMBER, membership);
    pair.offer();
    pair.answer();
    pair.run(ms(500));
    assert_eq!(pair.b.session.ice_state(), Some(IceState::Connected));
    talk_and_show(&mut pair, 10..20);
    pair.run(ms(100));
    assert_eq!(seen(&pair.a), (30..60).collect::<Vec<_>>());
    assert_eq!(seen(&pair.b), (0..60).collect::<Vec<_>>());
    assert!(!pair.cleartext_on_the_wire());
}
