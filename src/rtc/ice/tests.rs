//! Two agents over a network that is a function: what passes, from where, and when.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::rtc::error::Discard;

const SECOND: Duration = Duration::from_secs(1);

struct Side {
    agent: Agent,
    credentials: Credentials,
    address: SocketAddr,
    events: Vec<AgentEvent>,
}

impl Side {
    fn new(address: &str, tie_breaker: u64) -> Self {
        let address = address.parse().unwrap();
        let credentials = Credentials::generate().unwrap();
        let mut agent = Agent::new(Component::Rtp, &credentials, tie_breaker, false, 30 * SECOND);
        agent.add_local(CandidateKind::Host, address, address);
        Side { agent, credentials, address, events: Vec::new() }
    }

    fn candidate(&self) -> RemoteCandidate {
        RemoteCandidate {
            component: Component::Rtp,
            foundation: "1".into(),
            priority: 2_130_706_431,
            address: self.address,
            kind: CandidateKind::Host,
        }
    }

    fn selected(&self) -> Option<SocketAddr> {
        self.agent.selected().map(|(_, remote)| remote)
    }
}

/// How a datagram from `a` (true) or `b` appears to the other side: its source, or nothing.
type Network<'n> = &'n mut dyn FnMut(Instant, bool, SocketAddr) -> Option<SocketAddr>;

fn run(now: &mut Instant, until: Instant, a: &mut Side, b: &mut Side, network: Network<'_>) {
    for _ in 0..200_000 {
        let mut moved = true;
        while moved {
            moved = false;
            for from_a in [true, false] {
                let (from, to) = if from_a { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
                while let Some((source, destination, datagram)) = from.agent.poll_transmit() {
                    moved = true;
                    let seen = network(*now, from_a, source);
                    // Whatever address the destination is reached by: there is one socket.
                    let reached = destination == to.address || destination.port() >= 50_000;
                    if let (Some(seen), true) = (seen, reached) {
                        let _ = to.agent.handle_stun(*now, to.address, seen, &datagram);
                    }
                }
                while let Some(event) = from.agent.poll_event() {
                    from.events.push(event);
                }
            }
        }
        let next = [a.agent.poll_timeout(), b.agent.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min() else {
            *now = until;
            return;
        };
        if next > until {
            *now = until;
            return;
        }
        *now = next.max(*now);
        a.agent.handle_timeout(*now);
        b.agent.handle_timeout(*now);
    }
    panic!("livelock");
}

fn pair() -> (Side, Side) {
    (Side::new("192.0.2.1:10000", 1), Side::new("192.0.2.2:20000", 2))
}

fn start(now: Instant, a: &mut Side, b: &mut Side, a_role: Role, b_role: Role) {
    a.agent.start(now, &b.credentials, a_role);
    b.agent.start(now, &a.credentials, b_role);
}

#[test]
fn connects_at_once_with_candidates_of_both_sides() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlling, Role::Controlled);
    a.agent.add_remote(&b.candidate());
    b.agent.add_remote(&a.candidate());
    run(&mut now, begin + Duration::from_millis(50), &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
    assert_eq!(b.selected(), Some(a.address));
    assert!(a.agent.is_validated(b.address));
}

#[test]
fn connects_without_any_remote_candidate_through_peer_reflexive_ones() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    run(&mut now, begin + Duration::from_millis(100), &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
    assert_eq!(b.selected(), Some(a.address));
}

#[test]
fn checks_before_the_remote_credentials_are_known_are_answered_afterwards() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    b.agent.start(now, &a.credentials, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    run(&mut now, begin + Duration::from_millis(20), &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(b.selected(), None);
    a.agent.start(now, &b.credentials, Role::Controlled);
    let until = now + Duration::from_millis(30);
    run(&mut now, until, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(b.selected(), Some(a.address));
    assert_eq!(a.selected(), Some(b.address));
}

#[test]
fn role_conflict_is_resolved_with_487() {
    for role in [Role::Controlling, Role::Controlled] {
        let (mut a, mut b) = pair();
        let begin = Instant::now();
        let mut now = begin;
        start(now, &mut a, &mut b, role, role);
        a.agent.add_remote(&b.candidate());
        b.agent.add_remote(&a.candidate());
        run(&mut now, begin + SECOND, &mut a, &mut b, &mut |_, _, s| Some(s));
        assert_eq!(a.selected(), Some(b.address), "{role:?}");
        assert_eq!(b.selected(), Some(a.address), "{role:?}");
        assert_ne!(a.agent.role(), b.agent.role());
    }
}

#[test]
fn nobody_answers_and_it_fails_in_time() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    a.agent.start(now, &b.credentials, Role::Controlling);
    a.agent.add_remote(&b.candidate());
    run(&mut now, begin + 29 * SECOND, &mut a, &mut b, &mut |_, _, _| None);
    assert_eq!(a.agent.state(), IceState::Checking);
    run(&mut now, begin + 31 * SECOND, &mut a, &mut b, &mut |_, _, _| None);
    assert_eq!(a.agent.state(), IceState::Failed);
    assert_eq!(a.events, [AgentEvent::Failed(IceFailure::NoPair)]);
    // Started again, as chan_sip does with a 200 after a 183, it looks again and succeeds.
    a.agent.start(now, &b.credentials, Role::Controlling);
    b.agent.start(now, &a.credentials, Role::Controlled);
    let until = now + 2 * SECOND;
    run(&mut now, until, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
}

#[test]
fn consent_expires_after_30_s_of_silence_and_not_before() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlling, Role::Controlled);
    a.agent.add_remote(&b.candidate());
    run(&mut now, begin + 5 * 60 * SECOND, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.agent.state(), IceState::Connected);
    assert_eq!(b.agent.state(), IceState::Connected);
    // An outage of 25 s is survived.
    let back = now + 25 * SECOND;
    let mut outage = |at, _, source| (at >= back).then_some(source);
    run(&mut now, back + 60 * SECOND, &mut a, &mut b, &mut outage);
    assert_eq!(a.agent.state(), IceState::Connected);
    assert_eq!(b.agent.state(), IceState::Connected);
    // A lasting one is not.
    let gone = now;
    run(&mut now, gone + 36 * SECOND, &mut a, &mut b, &mut |_, _, _| None);
    for side in [&a, &b] {
        assert_eq!(side.agent.state(), IceState::Failed);
        assert_eq!(side.selected(), None);
        let expired = AgentEvent::Failed(IceFailure::ConsentExpired);
        assert_eq!(side.events.last(), Some(&expired));
    }
}

#[test]
fn inbound_checks_count_as_liveness_when_ours_go_unanswered() {
    // Chrome 144 was seen to send checks and not to answer any (str0m#846).
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    run(&mut now, begin + SECOND, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.agent.state(), IceState::Connected);
    // From now on b's checks arrive and everything of a is lost on the way back.
    run(&mut now, begin + 25 * SECOND, &mut a, &mut b, &mut |_, from_a, s| (!from_a).then_some(s));
    assert_eq!(a.agent.state(), IceState::Connected);
}

#[test]
fn a_nat_that_rebinds_is_followed() {
    for b_role in [Role::Controlling, Role::Controlled] {
        let (mut a, mut b) = pair();
        let begin = Instant::now();
        let mut now = begin;
        let a_role = match b_role {
            Role::Controlling => Role::Controlled,
            Role::Controlled => Role::Controlling,
        };
        start(now, &mut a, &mut b, a_role, b_role);
        b.agent.add_remote(&a.candidate());
        let old: SocketAddr = "198.51.100.9:50001".parse().unwrap();
        let new: SocketAddr = "198.51.100.9:50002".parse().unwrap();
        let mut nat = |_, from_a, s| Some(if from_a { s } else { old });
        run(&mut now, begin + SECOND, &mut a, &mut b, &mut nat);
        assert_eq!(a.selected(), Some(old));
        let rebound = now;
        let mut nat = |_, from_a, s| Some(if from_a { s } else { new });
        run(&mut now, rebound + 6 * SECOND, &mut a, &mut b, &mut nat);
        // With media it is followed at once, if ICE has validated the address.
        assert!(a.agent.is_validated(new));
        let at = a.address;
        let stranger = "203.0.113.66:50666".parse().unwrap();
        a.agent.media_from(now, at, stranger);
        assert_ne!(a.selected(), Some(stranger));
        a.agent.media_from(now, at, new);
        assert_eq!(a.selected(), Some(new), "{b_role:?}");
    }
}

#[test]
fn a_nat_that_rebinds_is_followed_without_media() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    let old: SocketAddr = "198.51.100.9:50001".parse().unwrap();
    let new: SocketAddr = "198.51.100.9:50002".parse().unwrap();
    run(&mut now, begin + SECOND, &mut a, &mut b, &mut |_, from_a, s| Some(if from_a { s } else { old }));
    assert_eq!(a.selected(), Some(old));
    // What a sends to the old address is lost.
    let rebound = now;
    run(&mut now, rebound + 15 * SECOND, &mut a, &mut b, &mut |_, from_a, s| Some(if from_a { s } else { new }));
    assert_eq!(a.selected(), Some(new));
}

#[test]
fn spoofed_stun_changes_nothing() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlling, Role::Controlled);
    let spoofer: SocketAddr = "203.0.113.66:50666".parse().unwrap();
    let mut other = Side::new("203.0.113.66:50666", u64::MAX);
    // The right fragments, the wrong password.
    let mut known = a.credentials.clone();
    known.pwd = "x".repeat(24);
    other.agent = Agent::new(
        Component::Rtp,
        &Credentials { ufrag: b.credentials.ufrag.clone(), pwd: "y".repeat(24) },
        u64::MAX,
        false,
        30 * SECOND,
    );
    other.agent.add_local(CandidateKind::Host, spoofer, spoofer);
    other.agent.start(now, &known, Role::Controlling);
    other.agent.add_remote(&a.candidate());
    other.agent.handle_timeout(now);
    let (_, _, datagram) = other.agent.poll_transmit().unwrap();
    let at = a.address;
    assert_eq!(a.agent.handle_stun(now, at, spoofer, &datagram), Err(Discard::StunUnauthenticated));
    assert!(!a.agent.is_validated(spoofer));
    assert!(a.agent.poll_transmit().is_none());
    assert_eq!(a.agent.role(), Role::Controlling);
    assert_eq!(a.agent.handle_stun(now, at, spoofer, &datagram[..30]), Err(Discard::StunMalformed));
    // A flood of them is not even looked at, and the peer is heard none the less.
    let refused =
        (0..1000).filter(|_| a.agent.handle_stun(now, at, spoofer, &datagram) == Err(Discard::StunRateLimited)).count();
    assert!(refused > 700, "{refused}");
    now += Duration::from_millis(100);
    b.agent.add_remote(&a.candidate());
    let until = now + SECOND;
    run(&mut now, until, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
}

#[test]
fn addresses_that_a_peer_can_teach_are_bounded() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    let mut port = 50_000u16;
    run(&mut now, begin + 600 * SECOND, &mut a, &mut b, &mut |_, from_a, s| {
        if from_a {
            return Some(s);
        }
        port += 1;
        Some(SocketAddr::new("198.51.100.9".parse().unwrap(), port))
    });
    let validated = a.events.iter().filter(|e| matches!(e, AgentEvent::Validated { .. })).count();
    assert!(validated <= 32, "{validated}");
    assert!(port > 50_032);
}

#[test]
fn restart_with_new_credentials_keeps_the_pair_until_the_new_one() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    run(&mut now, begin + SECOND, &mut a, &mut b, &mut |_, _, s| Some(s));
    let former = b.address;
    b.address = "192.0.2.3:20000".parse().unwrap();
    b.credentials = Credentials::generate().unwrap();
    b.agent = Agent::new(Component::Rtp, &b.credentials, 2, false, 30 * SECOND);
    let at = b.address;
    b.agent.add_local(CandidateKind::Host, at, at);
    a.credentials = Credentials::generate().unwrap();
    a.agent.restart(&a.credentials.clone());
    assert_eq!(a.selected(), Some(former));
    assert!(a.agent.is_validated(former));
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    let until = now + SECOND;
    run(&mut now, until, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
    assert!(!a.agent.is_validated(former));
}

#[test]
fn lite_answers_and_sends_no_checks() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    a.agent = Agent::new(Component::Rtp, &a.credentials, 1, true, 30 * SECOND);
    let at = a.address;
    a.agent.add_local(CandidateKind::Host, at, at);
    start(now, &mut a, &mut b, Role::Controlled, Role::Controlling);
    b.agent.add_remote(&a.candidate());
    a.agent.add_remote(&b.candidate());
    a.agent.handle_timeout(now);
    assert!(a.agent.poll_transmit().is_none());
    run(&mut now, begin + SECOND, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
    assert_eq!(b.selected(), Some(a.address));
}

#[test]
fn local_candidates_as_sdp_wants_them() {
    let credentials = Credentials::generate().unwrap();
    let mut agent = Agent::new(Component::Rtcp, &credentials, 1, false, 30 * SECOND);
    let v4: SocketAddr = "192.0.2.1:10001".parse().unwrap();
    let v6: SocketAddr = "[2001:db8::1]:10001".parse().unwrap();
    let reflexive: SocketAddr = "198.51.100.1:4000".parse().unwrap();
    let relay: SocketAddr = "203.0.113.1:5000".parse().unwrap();
    agent.add_local(CandidateKind::Host, v4, v4);
    agent.add_local(CandidateKind::Host, v4, v4);
    agent.add_local(CandidateKind::Host, v6, v6);
    agent.add_local(CandidateKind::ServerReflexive, reflexive, v4);
    agent.add_local(CandidateKind::Relayed, relay, v4);
    let unusable = "0.0.0.0:1".parse().unwrap();
    agent.add_local(CandidateKind::Host, unusable, unusable);
    let found = agent.local_candidates();
    assert_eq!(found.len(), 4);
    for candidate in found {
        assert_eq!(candidate.component, Component::Rtcp);
        assert!(candidate.foundation.len() <= 9);
        // 256 - component ID in the lowest byte.
        assert_eq!(candidate.priority & 0xff, 254);
        assert!(candidate.priority < 1 << 31);
    }
    let types: Vec<u32> = found.iter().map(|c| c.priority >> 24).collect();
    assert_eq!(types, [126, 126, 100, 2]);
    assert_eq!(found[0].related, None);
    assert_eq!(found[2].related, Some(v4));
    assert_ne!(found[0].foundation, found[1].foundation);
    assert_ne!(found[0].foundation, found[2].foundation);
}

#[test]
fn malformed_remote_candidates_are_ignored() {
    let (mut a, mut b) = pair();
    let begin = Instant::now();
    let mut now = begin;
    start(now, &mut a, &mut b, Role::Controlling, Role::Controlled);
    let good = b.candidate();
    for address in ["0.0.0.0:9", "192.0.2.2:0", "224.0.0.1:9", "[::]:9"] {
        let mut bad = good.clone();
        bad.address = address.parse().unwrap();
        a.agent.add_remote(&bad);
    }
    let mut other = good.clone();
    other.component = Component::Rtcp;
    a.agent.add_remote(&other);
    let mut odd = good.clone();
    odd.priority = u32::MAX;
    odd.foundation = "x".repeat(400);
    a.agent.add_remote(&odd);
    for port in 1..200 {
        let mut many = good.clone();
        many.address.set_port(port);
        a.agent.add_remote(&many);
    }
    run(&mut now, begin + SECOND, &mut a, &mut b, &mut |_, _, s| Some(s));
    assert_eq!(a.selected(), Some(b.address));
}
