//! Two endpoints on an ideal link; `tests/dtls_lossy.rs` has the others.

use super::*;
use crate::host::openssl::dtls::Version;
use crate::rtc::dtls::{Config, Hash, Identity, Verify};

struct Pair {
    now: Instant,
    client: Endpoint,
    server: Endpoint,
    longest: usize,
}

fn context(config: Config) -> (Context, Fingerprint) {
    let identity = Identity::generate().unwrap();
    let fingerprint = identity.fingerprint(Hash::Sha256).unwrap();
    (Context::new(&identity, config).unwrap(), fingerprint)
}

impl Pair {
    fn new(client: Config, server: Config) -> Pair {
        let (client, client_print) = context(client);
        let (server, server_print) = context(server);
        let mut pair = Pair::unverified(&client, &server);
        pair.client.set_remote_fingerprint(server_print);
        pair.server.set_remote_fingerprint(client_print);
        pair
    }

    fn unverified(client: &Context, server: &Context) -> Pair {
        Pair {
            now: Instant::now(),
            client: Endpoint::new(client, Role::Client).unwrap(),
            server: Endpoint::new(server, Role::Server).unwrap(),
            longest: 0,
        }
    }

    fn start(&mut self) -> &mut Pair {
        self.client.start(self.now);
        self.server.start(self.now);
        self.exchange()
    }

    /// Passes datagrams until none is left.
    fn exchange(&mut self) -> &mut Pair {
        loop {
            let mut idle = true;
            while let Some(datagram) = self.client.poll_transmit() {
                self.longest = self.longest.max(datagram.len());
                let _ = self.server.handle_datagram(self.now, &datagram);
                idle = false;
            }
            while let Some(datagram) = self.server.poll_transmit() {
                self.longest = self.longest.max(datagram.len());
                let _ = self.client.handle_datagram(self.now, &datagram);
                idle = false;
            }
            if idle {
                return self;
            }
        }
    }

    fn connected(&mut self) -> (Connected, Connected) {
        match (self.client.poll_event(), self.server.poll_event()) {
            (Some(Event::Connected(client)), Some(Event::Connected(server))) => (*client, *server),
            other => panic!("{other:?}"),
        }
    }

    fn events(&mut self) -> (Option<Event>, Option<Event>) {
        (self.client.poll_event(), self.server.poll_event())
    }
}

fn failed(failure: Failure) -> Option<Event> {
    Some(Event::Failed(failure))
}

#[test]
fn connects_and_agrees_on_keys() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let (client, server) = pair.start().connected();
    assert_eq!(client.local, server.remote);
    assert_eq!(client.remote, server.local);
    assert_ne!(client.local, client.remote);
    assert_eq!(client.profile, Profile::AeadAes128Gcm);
    assert_eq!(server.profile, client.profile);
    assert_eq!(client.local.key.len(), 16);
    assert_eq!(client.local.salt.len(), 12);
    assert_eq!(client.version, "DTLSv1.2");
    assert!(client.cipher.starts_with("ECDHE-ECDSA-"), "{}", client.cipher);
    assert!(pair.longest <= 1200);
    assert!(pair.client.is_connected() && pair.server.is_connected());
    assert_eq!(pair.client.poll_timeout(), None);
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn keys_work_with_srtp() {
    use crate::rtc::srtp;
    let mut pair = Pair::new(Config::default(), Config::default());
    let (client, server) = pair.start().connected();
    let make = |profile, material: &KeyingMaterial| srtp::Context::new(profile, &material.key, &material.salt).unwrap();
    let mut packet = b"\x80\x60\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09hello".to_vec();
    make(client.profile, &client.local).protect_rtp(&mut packet).unwrap();
    let length = make(server.profile, &server.remote).unprotect_rtp(&mut packet).unwrap();
    assert_eq!(packet[12..length], *b"hello");
}

/// The passive side chooses by its own order.
#[test]
fn passive_side_chooses_the_profile() {
    use Profile::*;
    let with = |profiles: &[Profile]| Config { profiles: profiles.to_vec(), ..Config::default() };
    // Chrome's order: counter mode first.
    let chrome = [AesCm128HmacSha1_80, AeadAes256Gcm, AeadAes128Gcm];
    for (server, expected) in [
        (&[AeadAes128Gcm, AesCm128HmacSha1_80][..], AeadAes128Gcm),
        (&[AesCm128HmacSha1_80, AeadAes128Gcm], AesCm128HmacSha1_80),
        (&[AeadAes256Gcm, AeadAes128Gcm], AeadAes256Gcm),
        (&[AesCm128HmacSha1_32, AesCm128HmacSha1_80], AesCm128HmacSha1_80),
    ] {
        let mut pair = Pair::new(with(&chrome), with(server));
        let (client, server) = pair.start().connected();
        assert_eq!((client.profile, server.profile), (expected, expected));
    }
}

#[test]
fn no_profile_in_common() {
    let with = |profile| Config { profiles: vec![profile], ..Config::default() };
    let mut pair = Pair::new(with(Profile::AeadAes128Gcm), with(Profile::AesCm128HmacSha1_80));
    pair.start();
    let failure = || failed(Failure::NoCommonProfile);
    assert_eq!(pair.events(), (failure(), failure()));
}

/// The fingerprint is wrong on one side: that side sends the alert bad_certificate.
#[test]
fn wrong_fingerprint() {
    for wrong_at_client in [true, false] {
        let mut pair = Pair::new(Config::default(), Config::default());
        let (_, other) = context(Config::default());
        let victim = if wrong_at_client { &mut pair.client } else { &mut pair.server };
        victim.set_remote_fingerprint(other);
        pair.start();
        let (client, server) = pair.events();
        let (mismatch, alert) = if wrong_at_client { (client, server) } else { (server, client) };
        assert_eq!(mismatch, failed(Failure::FingerprintMismatch));
        match alert {
            Some(Event::Failed(Failure::Protocol(error))) => {
                assert!(error.to_string().contains("bad certificate"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert!(!pair.client.is_connected() && !pair.server.is_connected());
    }
}

/// The fingerprint comes with an answer that is slower than the handshake.
#[test]
fn late_fingerprint() {
    let (client, client_print) = context(Config::default());
    let (server, server_print) = context(Config::default());
    for right in [true, false] {
        let mut pair = Pair::unverified(&client, &server);
        pair.server.set_remote_fingerprint(client_print.clone());
        pair.start();
        assert!(matches!(pair.events(), (None, Some(Event::Connected(_)))));
        assert!(!pair.client.is_connected());
        if right {
            pair.client.set_remote_fingerprint(server_print.clone());
            assert!(matches!(pair.events().0, Some(Event::Connected(_))));
        } else {
            pair.client.set_remote_fingerprint(client_print.clone());
            pair.exchange();
            assert_eq!(pair.events(), (failed(Failure::FingerprintMismatch), Some(Event::Closed)));
        }
    }
}

/// Each hash that signalling may use.
#[test]
fn other_hashes() {
    let identity = Identity::generate().unwrap();
    let context = Context::new(&identity, Config::default()).unwrap();
    for hash in [Hash::Sha1, Hash::Sha384, Hash::Sha512] {
        let mut pair = Pair::unverified(&context, &context);
        let fingerprint = identity.fingerprint(hash).unwrap();
        pair.client.set_remote_fingerprint(fingerprint.clone());
        pair.server.set_remote_fingerprint(fingerprint);
        pair.start().connected();
    }
}

#[test]
fn a_fingerprint_after_the_end_of_the_handshake_changes_nothing() {
    let mut pair = Pair::new(Config::default(), Config::default());
    pair.start().connected();
    let (_, other) = context(Config::default());
    pair.client.set_remote_fingerprint(other.clone());
    assert_eq!(pair.events(), (None, None));
    assert!(pair.client.is_connected());
    assert_ne!(pair.client.remote_fingerprint(), Some(&other));
}

#[test]
fn closes() {
    let mut pair = Pair::new(Config::default(), Config::default());
    pair.start().connected();
    pair.client.close();
    pair.exchange();
    assert_eq!(pair.events(), (None, Some(Event::Closed)));
    let now = pair.now;
    assert_eq!(pair.server.handle_datagram(now, &[22; 40]), Err(Discard::Over));
    pair.server.close();
    assert_eq!(pair.server.poll_transmit(), None);
}

#[test]
fn closing_before_the_handshake_sends_nothing() {
    let mut pair = Pair::new(Config::default(), Config::default());
    pair.client.close();
    pair.client.start(pair.now);
    assert_eq!(pair.client.poll_transmit(), None);
    assert_eq!(pair.client.poll_timeout(), None);
    assert_eq!(pair.events(), (None, None));
}

/// DTLS that overtakes the check which opens the path is held, and not without bound.
#[test]
fn early_datagrams_are_held() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let now = pair.now;
    pair.client.start(now);
    while let Some(datagram) = pair.client.poll_transmit() {
        pair.server.handle_datagram(now, &datagram).unwrap();
    }
    assert_eq!(pair.server.poll_transmit(), None);
    for _ in 0..MAX_EARLY - 1 {
        pair.server.handle_datagram(now, &[22; 40]).unwrap();
    }
    assert_eq!(pair.server.handle_datagram(now, &[22; 40]), Err(Discard::Full));
    pair.server.start(now);
    pair.exchange().connected();
}

#[test]
fn what_is_not_dtls() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let now = pair.now;
    pair.server.start(now);
    for datagram in [&[][..], &[0, 1, 0, 0], &[0x80; 40], &[22; 12], &[64; 40]] {
        assert_eq!(pair.server.handle_datagram(now, datagram), Err(Discard::NotDtls));
    }
    pair.start().connected();
}

/// Garbage with a DTLS first byte, from every stage on, has no effect.
#[test]
fn garbage_is_survived() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let now = pair.now;
    let garbage = |endpoint: &mut Endpoint| {
        for first in 20..64u8 {
            for filler in [0, 0xfe, 0xff] {
                let mut datagram = [filler; 60];
                datagram[0] = first;
                endpoint.handle_datagram(now, &datagram).unwrap();
            }
        }
    };
    pair.server.start(now);
    pair.client.start(now);
    garbage(&mut pair.server);
    garbage(&mut pair.client);
    pair.exchange().connected();
    garbage(&mut pair.server);
    garbage(&mut pair.client);
    assert_eq!(pair.exchange().events(), (None, None));
    assert!(pair.server.is_connected() && pair.client.is_connected());
}

/// Records of the association sent again do nothing.
#[test]
fn replayed_flights_are_survived() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let now = pair.now;
    pair.client.start(now);
    pair.server.start(now);
    let mut all = Vec::new();
    loop {
        let to_server: Vec<_> = std::iter::from_fn(|| pair.client.poll_transmit()).collect();
        for datagram in &to_server {
            pair.server.handle_datagram(now, datagram).unwrap();
        }
        let to_client: Vec<_> = std::iter::from_fn(|| pair.server.poll_transmit()).collect();
        for datagram in &to_client {
            pair.client.handle_datagram(now, datagram).unwrap();
        }
        if to_server.is_empty() && to_client.is_empty() {
            break;
        }
        all.push((to_server, to_client));
    }
    pair.connected();
    for (to_server, to_client) in &all {
        for datagram in to_server {
            pair.server.handle_datagram(now, datagram).unwrap();
        }
        for datagram in to_client {
            pair.client.handle_datagram(now, datagram).unwrap();
        }
    }
    assert_eq!(pair.exchange().events(), (None, None));
    assert!(pair.server.is_connected() && pair.client.is_connected());
}

/// A self-signed certificate is nobody's, unless it is in the CA file.
#[test]
fn chain_is_verified_on_request() {
    let folder = std::env::temp_dir().join(format!("dtls-ca-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let identity = Identity::generate().unwrap();
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, identity.certificate_pem().unwrap()).unwrap();
    let strict = Config { verify: Verify::Chain, ca_file: Some(ca_file), ..Config::default() };
    let (server, server_print) = context(strict);

    for trusted in [true, false] {
        let identity = if trusted { identity.clone() } else { Identity::generate().unwrap() };
        let client = Context::new(&identity, Config::default()).unwrap();
        let mut pair = Pair::unverified(&client, &server);
        pair.client.set_remote_fingerprint(server_print.clone());
        pair.server.set_remote_fingerprint(identity.fingerprint(Hash::Sha256).unwrap());
        pair.start();
        let (_, server) = pair.events();
        match server {
            Some(Event::Connected(_)) if trusted => {}
            Some(Event::Failed(Failure::CertificateRejected(reason))) if !trusted => {
                assert!(reason.contains("self"), "{reason}");
            }
            other => panic!("{trusted}: {other:?}"),
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn key_log() {
    let config = || Config { key_log: true, ..Config::default() };
    let mut pair = Pair::new(config(), config());
    pair.start().connected();
    let lines = pair.client.take_key_log();
    assert_eq!(lines, pair.server.take_key_log());
    assert!(lines.iter().all(|line| line.starts_with("CLIENT_RANDOM ")));
    assert_eq!(lines.len(), 1);
    assert!(pair.client.take_key_log().is_empty());
}

/// Asking for more than the library has gives what it has.
#[test]
fn highest_version() {
    let config = || Config { max_version: Version::Dtls13, ..Config::default() };
    let mut pair = Pair::new(config(), config());
    let (client, server) = pair.start().connected();
    assert_eq!(client.local, server.remote);
    assert!(["DTLSv1.2", "DTLSv1.3"].contains(&client.version.as_str()));
}

/// Without an answer flights are repeated at doubling intervals, and then the end.
#[test]
fn repeats_and_gives_up() {
    let (context, _) = context(Config { give_up: Duration::from_millis(400), ..Config::default() });
    let mut client = Endpoint::new(&context, Role::Client).unwrap();
    let begin = Instant::now();
    client.start(begin);
    let mut flights = Vec::new();
    let event = loop {
        let now = Instant::now();
        if client.poll_transmit().is_some() {
            flights.push((now - begin).as_millis() as i64);
            while client.poll_transmit().is_some() {}
        }
        if let Some(event) = client.poll_event() {
            break event;
        }
        let at = client.poll_timeout().unwrap();
        std::thread::sleep(at.saturating_duration_since(now));
        client.handle_timeout(Instant::now());
    };
    assert_eq!(event, Event::Failed(Failure::TimedOut));
    // 0, 50, 150, 350; the machine may be late, and the library takes 15 ms early for due.
    assert_eq!(flights.len(), 4, "{flights:?}");
    assert!(flights[1] >= 34 && flights[2] - flights[1] >= 84, "{flights:?}");
    assert!(flights[3] - flights[2] >= 184, "{flights:?}");
    assert_eq!(client.poll_timeout(), None);
    assert_eq!(client.handle_datagram(Instant::now(), &[22; 40]), Err(Discard::Over));
}

#[test]
fn passive_side_gives_up_when_nobody_comes() {
    let (context, _) = context(Config::default());
    let mut server = Endpoint::new(&context, Role::Server).unwrap();
    let begin = Instant::now();
    server.start(begin);
    assert_eq!(server.poll_timeout(), Some(begin + Duration::from_secs(30)));
    server.handle_timeout(begin + Duration::from_secs(29));
    assert_eq!(server.poll_event(), None);
    server.handle_timeout(begin + Duration::from_secs(30));
    assert_eq!(server.poll_event(), failed(Failure::TimedOut));
}

#[test]
fn a_certificate_chain_is_fragmented_to_the_mtu() {
    let config = || Config { mtu: 256, ..Config::default() };
    let mut pair = Pair::new(config(), config());
    pair.start().connected();
    assert!(pair.longest <= 256, "{}", pair.longest);
    assert!(pair.longest > 200, "{}", pair.longest);
}

#[test]
fn mtu_that_is_too_small() {
    let (context, _) = context(Config { mtu: 60, ..Config::default() });
    let error = Endpoint::new(&context, Role::Client).err().unwrap();
    assert_eq!(error.to_string(), "set DTLS MTU: 60 is too small");
}

/// A ClientHello that a peer has cut up, as those with post-quantum key shares are, arriving
/// backwards and with a piece twice. Each piece is a record with its own sequence number.
#[test]
fn client_hello_in_pieces_backwards() {
    const RECORD: usize = 13;
    const MESSAGE: usize = 12;
    let mut pair = Pair::new(Config::default(), Config::default());
    let now = pair.now;
    pair.server.start(now);
    pair.client.start(now);
    let hello = pair.client.poll_transmit().unwrap();
    assert_eq!(pair.client.poll_transmit(), None);
    let (message, body) = hello[RECORD..].split_at(MESSAGE);
    assert_eq!(message[1..4], message[9..12], "is not in fragments yet");

    let pieces = body.chunks(25).enumerate().map(|(i, piece)| {
        let mut record = hello[..RECORD].to_vec();
        // The client goes on with 1: leave it its numbers, within the window.
        record[10] = 30 + i as u8;
        record[11..13].copy_from_slice(&((MESSAGE + piece.len()) as u16).to_be_bytes());
        record.extend(&message[..6]);
        record.extend(&((25 * i) as u32).to_be_bytes()[1..]);
        record.extend(&(piece.len() as u32).to_be_bytes()[1..]);
        record.extend(piece);
        record
    });
    let mut pieces: Vec<Vec<u8>> = pieces.collect();
    assert!((4..30).contains(&pieces.len()));
    pieces.push(pieces[1].clone());
    for piece in pieces.iter().rev() {
        assert_eq!(pair.server.poll_transmit(), None);
        pair.server.handle_datagram(now, piece).unwrap();
    }
    pair.exchange().connected();
}
