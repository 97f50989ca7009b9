//! WebRTC calls: ICE, DTLS-SRTP, rtcp-mux, and what happens in the course of a call.

use res_rust_webrtc::rtc::dtls::{Config as DtlsConfig, Context, Endpoint, Hash, Role as DtlsRole, Setup};
use res_rust_webrtc::rtc::error::Discard;
use res_rust_webrtc::rtc::ice::{Component, IceState};
use res_rust_webrtc::rtc::rtcp::Feedback;
use res_rust_webrtc::rtc::session::{DtlsState, RtcpMode};
use res_rust_webrtc::rtc::{Event, SendError, Session};

use crate::network::Nat;
use crate::pair::{Options, Pair, another_identity, ms};

fn is_connected(event: &Event) -> bool {
    matches!(event, Event::DtlsConnected { .. })
}

#[test]
fn a_call_loses_nothing_and_is_never_in_the_clear() {
    for answer in [Setup::Active, Setup::Passive] {
        let mut pair = Pair::new(Options { answer, ..Options::default() });
        pair.offer();
        // Asterisk bridges before the browser has the answer: what is said now is not to be lost,
        // and not to be heard by others (baseline.md §6.1 to 3).
        pair.b.speak(pair.now);
        pair.run(ms(5));
        pair.answer();
        // Long enough for a report of each side that answers one of the other.
        pair.talk(ms(12_000));
        pair.run(ms(100));
        assert!(!pair.cleartext_on_the_wire());
        let everything = |peer: u32| (1..=peer).collect::<Vec<_>>();
        assert_eq!(pair.a.heard(), everything(pair.b.spoken()), "{answer:?}");
        assert_eq!(pair.b.heard(), everything(pair.a.spoken()), "{answer:?}");
        for peer in [&pair.a, &pair.b] {
            let stats = peer.session.stats();
            assert_eq!(stats.discards.total(), 0, "{:?}", stats.discards);
            assert_eq!(stats.tx_dropped, 0);
            assert_eq!(stats.local_lost, 0);
            assert!(stats.rtt.count() > 0);
            assert!((stats.rtt.last() - 0.002).abs() < 0.001, "{:?}", stats.rtt);
            assert!(stats.local_jitter.last() < 0.003);
        }
        assert_eq!(pair.b.session.setup(), Some(answer), "never actpass in an answer");
    }
}

#[test]
fn numbers_and_time_go_on_within_one_ssrc() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(200));
    pair.b.session.source_changed();
    pair.talk(ms(200));
    let media = &pair.a.media;
    for (before, after) in media.iter().zip(&media[1..]) {
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.seq, before.seq.wrapping_add(1));
        assert_eq!(after.timestamp, before.timestamp.wrapping_add(960));
    }
    assert_eq!(media.iter().filter(|m| m.marker).count(), 1);
}

#[test]
fn zero_candidates_in_the_offer_connect_through_peer_reflexive_ones() {
    let mut pair = Pair::new(Options::default());
    pair.offer_without_candidates();
    pair.answer();
    pair.run(ms(200));
    assert!(pair.a.dtls_connected() && pair.b.dtls_connected());
    assert_eq!(pair.b.session.ice_state(), Some(IceState::Connected));
}

#[test]
fn a_client_hello_that_overtakes_ice_is_held_and_costs_no_retransmission() {
    // baseline.md §6.2: stock drops it, and the call begins 45 ms to 1 s later.
    for jitter in [0, 3, 8] {
        for seed in 0..20 {
            let mut pair = Pair::new(Options {
                seed,
                answer: Setup::Passive,
                // If anything had to be sent again it would be by this timer.
                dtls_timer: ms(20_000),
                ..Options::default()
            });
            pair.network.conditions.jitter = ms(jitter);
            pair.offer();
            pair.answer();
            pair.run(ms(2000));
            assert!(pair.a.dtls_connected(), "seed {seed} jitter {jitter}");
            assert!(pair.b.dtls_connected(), "seed {seed} jitter {jitter}");
        }
    }
}

#[test]
fn a_client_hello_from_a_source_that_ice_validates_later_is_held_until_then() {
    let mut pair = Pair::new(Options { answer: Setup::Passive, ..Options::default() });
    // The browser's DTLS is played by a bare endpoint.
    let context = Context::new(&pair.a.identity, DtlsConfig::default()).unwrap();
    let mut client = Endpoint::new(&context, DtlsRole::Client).unwrap();
    client.start(pair.now);
    let mut hello = client.poll_transmit().unwrap();
    pair.a.session.disable_dtls();
    pair.offer();
    let (from, to, now) = (pair.a.rtp, pair.b.rtp, pair.now);
    pair.b.receive(now, from, to, &mut hello);
    pair.run(ms(100));
    let is_dtls = |bytes: &[u8]| bytes[0] == 22;
    assert!(!pair.network.log.iter().any(|(_, bytes)| is_dtls(bytes)));
    assert_eq!(pair.b.session.stats().discards.total(), 0);
    pair.answer();
    pair.run(ms(30));
    let answered = |(source, bytes): &(_, Vec<u8>)| *source == to && is_dtls(bytes);
    assert!(pair.network.log.iter().any(answered));
}

#[test]
fn a_client_hello_before_the_signalling_is_held() {
    // Without ICE, the offerer active: its flight comes before its SDP, when there is neither a
    // remote address nor a role.
    let mut pair =
        Pair::new(Options { ice: false, answer: Setup::Passive, dtls_timer: ms(20_000), ..Options::default() });
    pair.answer();
    pair.run(ms(300));
    assert!(!pair.b.dtls_connected());
    pair.offer();
    pair.run(ms(1500));
    assert!(pair.a.dtls_connected() && pair.b.dtls_connected());
}

#[test]
fn rtcp_on_its_own_component_has_its_own_association() {
    let mut pair = Pair::new(Options { rtcp: RtcpMode::Separate, ..Options::default() });
    pair.connect();
    assert_eq!(pair.a.count(is_connected), 2);
    assert_eq!(pair.b.count(is_connected), 2);
    pair.talk(ms(12_000));
    for peer in [&pair.a, &pair.b] {
        let stats = peer.session.stats();
        assert!(stats.rx_rtcp >= 2);
        assert!(stats.rtt.count() > 0);
        assert_eq!(stats.discards.total(), 0, "{:?}", stats.discards);
    }
    let rtcp = pair.b.rtcp;
    assert_eq!(pair.a.session.remote_address(Component::Rtcp), Some(rtcp));
}

#[test]
fn a_bad_network_delays_a_call_and_does_not_break_it() {
    for seed in 0..6 {
        let mut pair = Pair::new(Options {
            seed,
            answer: if seed % 2 == 0 { Setup::Active } else { Setup::Passive },
            ..Options::default()
        });
        pair.network.conditions.loss = 20;
        pair.network.conditions.duplicate = 10;
        pair.network.conditions.jitter = ms(30);
        pair.offer();
        pair.answer();
        pair.run(ms(15_000));
        assert!(pair.a.dtls_connected(), "seed {seed}");
        assert!(pair.b.dtls_connected(), "seed {seed}");
        pair.talk(ms(4000));
        pair.run(ms(100));
        let heard = pair.a.heard();
        let arrived = heard.len() as f64 / f64::from(pair.b.spoken());
        assert!((0.65..0.95).contains(&arrived), "seed {seed}: {arrived}");
        let mut unique = heard.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), heard.len(), "a duplicate came through");
        let stats = pair.a.session.stats();
        assert!(stats.discards.of(Discard::SrtpReplay) > 0);
        let lost = i64::from(pair.b.spoken()) - heard.len() as i64;
        assert!((stats.local_lost - lost).abs() <= 20, "{} {lost}", stats.local_lost);
        assert!(!pair.cleartext_on_the_wire());
    }
}

#[test]
fn the_same_offer_again_touches_nothing() {
    // Session refresh: rtpengine#226.
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    let selected = pair.a.session.remote_address(Component::Rtp);
    let ours = pair.b.session.local_credentials();
    for _ in 0..5 {
        pair.b.session.reset_dtls(); // a=connection:new, as stock writes always
        pair.offer();
        pair.a.session.reset_dtls();
        pair.answer();
        pair.talk(ms(100));
    }
    pair.run(ms(50));
    assert_eq!(pair.a.session.remote_address(Component::Rtp), selected);
    assert_eq!(pair.b.session.local_credentials(), ours);
    assert_eq!(pair.a.count(is_connected), 1);
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
}

#[test]
fn an_ice_restart_keeps_media_and_keys() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    let before = pair.b.session.local_credentials().unwrap();
    // The browser restarts: its next offer has other credentials.
    let mut other = Pair::new(Options::default());
    let new = other.a.session.local_credentials().unwrap();
    pair.b.session.set_remote_credentials(Some(&new.ufrag), Some(&new.pwd));
    let answered = pair.b.session.local_credentials().unwrap();
    assert_ne!(answered, before, "RFC 8839 §4.4.1.1.1");
    pair.b.session.start_ice(pair.now);
    assert_eq!(pair.b.session.local_credentials(), Some(answered));
    // Until the new session has a pair, the old one carries the media.
    pair.talk(ms(100));
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert_eq!(pair.b.session.dtls_state(), Some(DtlsState::Connected));
    assert_eq!(pair.b.count(is_connected), 1);
}

#[test]
fn another_fingerprint_means_another_association() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    // The transferee has another certificate and does not answer the old association.
    let identity = another_identity();
    let fingerprint = identity.fingerprint(Hash::Sha256).unwrap();
    pair.b.session.set_remote_fingerprint(pair.now, fingerprint);
    assert_ne!(pair.b.session.dtls_state(), Some(DtlsState::Connected));
    pair.run(ms(3000));
    // The peer that answers still has the old certificate: it is not believed.
    assert_eq!(pair.b.count(is_connected), 1);
}

#[test]
fn a_transfer_to_another_browser_restarts_ice_and_dtls_and_keeps_our_stream() {
    // libsrtp#600, rtpengine#664: sequence and SSRC go on; Firefox #1535.
    for answer in [Setup::Active, Setup::Passive] {
        let options = Options { answer, ..Options::default() };
        let mut pair = Pair::new(options.clone());
        pair.connect();
        pair.talk(ms(200));
        pair.run(ms(20));
        let last = pair.a.media.last().unwrap().clone();
        pair.replace_offerer(&options);
        pair.offer();
        pair.b.speak(pair.now);
        pair.answer();
        pair.talk(ms(1000));
        pair.run(ms(20));
        assert_eq!(pair.b.count(is_connected), 2, "{answer:?}");
        assert!(!pair.cleartext_on_the_wire());
        let first = &pair.a.media[0];
        assert_eq!(first.ssrc, last.ssrc);
        let gap = first.seq.wrapping_sub(last.seq);
        assert_eq!(gap, 1);
        assert_eq!(pair.a.media.len(), 51);
        assert_eq!(pair.b.heard().len(), 10 + 50);
    }
}

#[test]
fn a_wrong_fingerprint_ends_dtls_and_nothing_is_sent() {
    let mut pair = Pair::new(Options::default());
    pair.offer();
    pair.answer();
    let wrong = another_identity().fingerprint(Hash::Sha256).unwrap();
    pair.b.session.set_remote_fingerprint(pair.now, wrong);
    pair.run(ms(2000));
    let failed = |event: &Event| matches!(event, Event::DtlsFailed { .. });
    assert_eq!(pair.b.count(failed), 1);
    assert_eq!(pair.b.session.dtls_state(), Some(DtlsState::Failed));
    pair.talk(ms(500));
    assert!(pair.a.heard().is_empty());
    assert!(!pair.cleartext_on_the_wire());
    assert_eq!(pair.b.session.stats().tx_dropped, 25);
}

#[test]
fn a_session_may_move_to_another_thread() {
    fn send<T: Send>() {}
    send::<Session>();
}

#[test]
fn hold_for_ten_minutes_keeps_everything_alive() {
    // No media either way, only consent and RTCP.
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    pair.run(ms(600_000));
    let spoken = pair.b.spoken();
    pair.talk(ms(100));
    pair.run(ms(50));
    assert_eq!(pair.a.heard().len() as u32, pair.b.spoken());
    assert!(pair.b.spoken() > spoken);
    assert_eq!(pair.a.session.ice_state(), Some(IceState::Connected));
}

#[test]
fn two_wraps_of_the_sequence_number() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    for burst in 0..70 {
        for _ in 0..2000 {
            pair.a.speak(pair.now);
            if pair.a.spoken().is_multiple_of(100) {
                pair.run(ms(2000));
            }
        }
        assert_eq!(pair.a.session.stats().tx_dropped, 0, "burst {burst}");
        pair.network.log.clear();
    }
    pair.run(ms(100));
    assert_eq!(pair.b.media.len(), 140_000);
    let last = pair.b.session.stats();
    assert_eq!(last.local_lost, 0);
    assert_eq!(last.discards.total(), 0);
}

#[test]
fn a_nat_rebinding_in_mid_call_is_followed_with_the_next_packets() {
    let mut pair = Pair::new(Options::default());
    let nat = |shift| Nat { inside: "10.0.0.1".parse().unwrap(), outside: "198.51.100.7".parse().unwrap(), shift };
    pair.network.conditions.nat = Some(nat(100));
    pair.offer();
    pair.answer();
    pair.run(ms(500));
    assert!(pair.a.dtls_connected() && pair.b.dtls_connected());
    pair.talk(ms(1000));
    pair.network.conditions.nat = Some(nat(200));
    pair.talk(ms(8000));
    let before = pair.a.heard().len();
    pair.talk(ms(1000));
    assert!(pair.a.heard().len() >= before + 49);
    let seen = pair.b.session.remote_address(Component::Rtp).unwrap();
    assert_eq!(seen, "198.51.100.7:40200".parse().unwrap());
    assert_eq!(pair.b.count(is_connected), 1);
}

#[test]
fn an_outage_of_25_s_is_survived_and_one_of_40_s_ends_the_call() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.network.conditions.down = true;
    pair.talk(ms(25_000));
    pair.network.conditions.down = false;
    pair.talk(ms(7000));
    let before = pair.a.heard().len();
    pair.talk(ms(1000));
    assert!(pair.a.heard().len() >= before + 49);
    pair.network.conditions.down = true;
    pair.talk(ms(40_000));
    let failed = |event: &Event| matches!(event, Event::IceFailed(_));
    assert_eq!(pair.a.count(failed), 1);
    assert_eq!(pair.b.count(failed), 1);
    // RFC 7675: nothing may be sent any more.
    let sent = pair.network.log.len();
    pair.talk(ms(1000));
    assert_eq!(pair.network.log.len(), sent);
}

#[test]
fn a_peer_that_never_answers_ends_by_itself() {
    let mut pair = Pair::new(Options::default());
    pair.offer();
    pair.network.conditions.down = true;
    pair.run(ms(31_000));
    let failed = |event: &Event| matches!(event, Event::IceFailed(_));
    assert_eq!(pair.b.count(failed), 1);
}

#[test]
fn digits_in_the_midst_of_media_at_48_khz() {
    let mut pair = Pair::new(Options::default());
    pair.network.conditions.jitter = ms(5);
    pair.connect();
    for digit in ['1', '#', 'D'] {
        pair.talk(ms(100));
        pair.a.session.dtmf_begin(pair.now, crate::pair::DTMF, 48_000, digit).unwrap();
        pair.run(ms(120));
        pair.a.session.dtmf_end(pair.now, None);
    }
    pair.talk(ms(300));
    let digits: Vec<_> = pair
        .b
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::DtmfBegin { digit } => Some((*digit, 0)),
            Event::DtmfEnd { digit, duration } => Some((*digit, duration.as_millis())),
            _ => None,
        })
        .collect();
    assert_eq!(digits, [('1', 0), ('1', 120), ('#', 0), ('#', 120), ('D', 0), ('D', 120)]);
    // The digits took numbers between the media's: none was lost, none was doubled.
    assert_eq!(pair.b.session.stats().local_lost, 0);
    assert_eq!(pair.b.heard().len() as u32, pair.a.spoken());
}

#[test]
fn feedback_reaches_the_other_side() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    let wanted = [
        Feedback::Pli,
        Feedback::Nack(vec![5, 6, 99]),
        Feedback::Remb(262_144),
        Feedback::TransportCc(vec![1, 2, 3, 4, 5, 6, 7, 8]),
        Feedback::Fir,
    ];
    for feedback in &wanted {
        pair.run(ms(150));
        pair.b.session.send_feedback(pair.now, feedback).unwrap();
    }
    // Too soon after the last: taken as the same request.
    pair.b.session.request_keyframe(pair.now).unwrap();
    pair.run(ms(50));
    let got: Vec<_> = pair
        .a
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Feedback(feedback) => Some(feedback.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(got, wanted);
    assert_eq!(pair.b.session.stats().keyframe_requests_sent, 2);
    assert_eq!(pair.a.session.stats().keyframe_requests_received, 2);
}

#[test]
fn closing_says_goodbye_and_then_nothing() {
    let mut pair = Pair::new(Options::default());
    pair.connect();
    pair.talk(ms(100));
    let ssrc = pair.b.session.ssrc();
    pair.b.session.close(pair.now);
    pair.run(ms(100));
    assert_eq!(pair.a.count(|e| *e == Event::Bye { ssrc }), 1);
    assert_eq!(pair.a.count(|e| *e == Event::DtlsClosed), 1);
    assert_eq!(pair.b.session.poll_timeout(), None);
    let sent = pair.network.log.iter().filter(|(s, _)| *s == pair.b.rtp);
    let sent = sent.count();
    pair.talk(ms(1000));
    let later = pair.network.log.iter().filter(|(s, _)| *s == pair.b.rtp);
    assert_eq!(later.count(), sent);
    assert!(pair.b.session.stats().discards.of(Discard::Closed) > 0);
}

#[test]
fn a_bridged_source_goes_through_with_its_gaps() {
    use res_rust_webrtc::rtc::session::OutgoingRtp;
    let mut pair = Pair::new(Options::default());
    pair.connect();
    let send = |session: &mut Session, now, seq: u16| {
        session.send_rtp(
            now,
            OutgoingRtp {
                pt: crate::pair::OPUS,
                marker: false,
                timestamp: u32::from(seq.wrapping_sub(65_000)) * 960,
                seq: Some(seq),
                payload: b"x",
            },
        )
    };
    for seq in [65_534, 65_535, 1, 0, 5] {
        assert_eq!(send(&mut pair.b.session, pair.now, seq), Ok(()));
        pair.run(ms(20));
    }
    assert_eq!(send(&mut pair.b.session, pair.now, 5), Err(SendError::Duplicate));
    pair.run(ms(20));
    let first = pair.a.media[0].seq;
    let seqs: Vec<u16> = pair.a.media.iter().map(|m| m.seq.wrapping_sub(first)).collect();
    assert_eq!(seqs, [0, 1, 3, 2, 7]);
    assert_eq!(pair.a.session.stats().local_lost, 3);
}
