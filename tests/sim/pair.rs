//! Two sessions and the clock that drives them.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use res_rust_webrtc::rtc::dtls::{Config as DtlsConfig, Context, Hash, Identity, Setup};
use res_rust_webrtc::rtc::ice::{CandidateKind, Component, RemoteCandidate, Role};
use res_rust_webrtc::rtc::session::{Config, OutgoingRtp, PayloadKind, PayloadType, Received, RtcpMode};
use res_rust_webrtc::rtc::{Event, Session};

use crate::network::Network;

pub const OPUS: u8 = 111;
pub const DTMF: u8 = 101;
pub const VP8: u8 = 96;

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A packet that came out at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub at: Instant,
    pub pt: u8,
    pub marker: bool,
    pub seq: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

pub struct Peer {
    pub session: Session,
    pub identity: Identity,
    pub rtp: SocketAddr,
    pub rtcp: SocketAddr,
    pub media: Vec<Media>,
    pub events: Vec<(Instant, Event)>,
    /// A second stream, over the transport of the first.
    pub member: Option<Member>,
    sent: u32,
}

/// A stream that is bundled with a peer's own.
pub struct Member {
    pub session: Session,
    pub media: Vec<Media>,
    pub events: Vec<Event>,
}

/// How the peers are set up.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    pub ice: bool,
    pub dtls: bool,
    pub rtcp: RtcpMode,
    /// What `b`, the answerer, prefers to be.
    pub answer: Setup,
    /// The stream is video, not audio.
    pub video: bool,
    /// How the DTLS library's timer begins.
    pub dtls_timer: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            ice: true,
            dtls: true,
            rtcp: RtcpMode::Mux,
            answer: Setup::Active,
            video: false,
            dtls_timer: ms(50),
        }
    }
}

impl Options {
    pub fn plain() -> Self {
        Options { ice: false, dtls: false, ..Options::default() }
    }
}

/// Key generation is the slow part: two identities do for all tests.
fn identity(index: usize) -> Identity {
    static IDENTITIES: OnceLock<[Identity; 3]> = OnceLock::new();
    let all = IDENTITIES.get_or_init(|| std::array::from_fn(|_| Identity::generate().unwrap()));
    all[index].clone()
}

pub fn another_identity() -> Identity {
    identity(2)
}

impl Peer {
    /// `index` 0 offers, 1 answers; `certificate` is one of three.
    fn new(now: Instant, options: &Options, index: usize, certificate: usize, host: &str) -> Self {
        let rtp = address(&format!("{host}:40000"));
        let rtcp = address(&format!("{host}:40001"));
        let mut config = Config::new(rtp);
        config.local_rtcp = Some(rtcp);
        config.rtcp = options.rtcp;
        config.unix_time = Duration::from_secs(1_700_000_000);
        let mut session = Session::new(now, config).unwrap();
        session.set_payload_types(&[
            PayloadType { pt: OPUS, clock_rate: 48_000, kind: PayloadKind::Media },
            PayloadType { pt: DTMF, clock_rate: 48_000, kind: PayloadKind::TelephoneEvent },
        ]);
        if options.video {
            session.set_payload_types(&[PayloadType { pt: VP8, clock_rate: 90_000, kind: PayloadKind::Video }]);
        }
        if options.ice {
            session.enable_ice().unwrap();
            session.add_local_candidate(Component::Rtp, CandidateKind::Host, rtp, rtp);
            session.add_local_candidate(Component::Rtcp, CandidateKind::Host, rtcp, rtcp);
        }
        let identity = identity(certificate);
        if options.dtls {
            let config = DtlsConfig {
                initial_timeout: options.dtls_timer,
                wait_out_library_timer: true,
                ..DtlsConfig::default()
            };
            let preferred = if index == 0 { Setup::Actpass } else { options.answer };
            session.enable_dtls(Context::new(&identity, config).unwrap(), preferred);
        }
        Peer { session, identity, rtp, rtcp, media: Vec::new(), events: Vec::new(), member: None, sent: 0 }
    }

    /// Carries packets between the transport and its member, as the driver does.
    fn drain_member(&mut self, now: Instant) {
        let path = self.session.poll_bundle_path();
        let Some(member) = &mut self.member else {
            return;
        };
        if let Some(path) = path {
            member.session.set_bundle_path(now, path);
        }
        assert!(member.session.poll_transmit().is_none(), "a member sends nothing by itself");
        while let Some(packet) = member.session.poll_bundled() {
            // Held or dropped is for the test to see from what arrives.
            let _ = self.session.send_plain(packet);
        }
        while let Some(event) = member.session.poll_event() {
            member.events.push(event);
        }
    }

    fn give_member(&mut self, now: Instant, packet: &[u8]) {
        let member = self.member.as_mut().unwrap();
        if let Received::Media(packet) = member.session.handle_plain(now, packet) {
            member.media.push(Media {
                at: now,
                pt: packet.pt,
                marker: packet.marker,
                seq: packet.seq,
                timestamp: packet.timestamp,
                ssrc: packet.ssrc,
                payload: packet.payload.to_vec(),
            });
        }
    }

    fn drain(&mut self, now: Instant, network: &mut Network) {
        self.drain_member(now);
        while let Some(transmit) = self.session.poll_transmit() {
            network.send(now, transmit.local, transmit.remote, &transmit.payload);
            self.session.recycle(transmit.payload);
        }
        while let Some(event) = self.session.poll_event() {
            if let Event::Media(held) = &event {
                let packet = held.packet();
                self.media.push(Media {
                    at: now,
                    pt: packet.pt,
                    marker: packet.marker,
                    seq: packet.seq,
                    timestamp: packet.timestamp,
                    ssrc: packet.ssrc,
                    payload: packet.payload.to_vec(),
                });
            }
            if let Event::Foreign { packet, .. } = &event {
                self.give_member(now, packet);
            }
            self.events.push((now, event));
        }
        // What was held may have been answered.
        self.drain_member(now);
    }

    pub fn receive(&mut self, now: Instant, source: SocketAddr, to: SocketAddr, bytes: &mut [u8]) {
        let component = if to.port() == self.rtcp.port() { Component::Rtcp } else { Component::Rtp };
        let received = self.session.handle_datagram(now, component, to, source, bytes);
        if let Received::Foreign { packet, .. } = received {
            self.give_member(now, packet);
        }
        if let Received::Media(packet) = received {
            self.media.push(Media {
                at: now,
                pt: packet.pt,
                marker: packet.marker,
                seq: packet.seq,
                timestamp: packet.timestamp,
                ssrc: packet.ssrc,
                payload: packet.payload.to_vec(),
            });
        }
    }

    /// Sends the next 20 ms of Opus; the payload tells its number and can be searched for.
    pub fn speak(&mut self, now: Instant) {
        self.sent += 1;
        let mut payload = b"CLEARTEXT-".to_vec();
        payload.extend_from_slice(&self.sent.to_be_bytes());
        payload.resize(80, 0x5a);
        let packet = OutgoingRtp {
            pt: OPUS,
            marker: false,
            timestamp: self.sent.wrapping_mul(960),
            seq: None,
            payload: &payload,
        };
        // Held or dropped is for the test to see from what arrives.
        let _ = self.session.send_rtp(now, packet);
    }

    /// How many packets `speak` has made.
    pub fn spoken(&self) -> u32 {
        self.sent
    }

    /// The numbers of the packets of the other side's `speak` that have arrived.
    pub fn heard(&self) -> Vec<u32> {
        self.media
            .iter()
            .filter_map(|media| media.payload.get(10..14)?.try_into().ok())
            .map(u32::from_be_bytes)
            .collect()
    }

    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| wanted(event)).count()
    }

    pub fn dtls_connected(&self) -> bool {
        self.count(|event| matches!(event, Event::DtlsConnected { .. })) > 0
    }
}

pub struct Pair {
    pub now: Instant,
    pub network: Network,
    /// The offerer, as a browser.
    pub a: Peer,
    /// The answerer, as Asterisk.
    pub b: Peer,
}

impl Pair {
    pub fn new(options: Options) -> Self {
        let begin = base();
        Pair {
            now: begin,
            network: Network::new(options.seed),
            a: Peer::new(begin, &options, 0, 0, "10.0.0.1"),
            b: Peer::new(begin, &options, 1, 1, "10.0.0.2"),
        }
    }

    /// What `b` learns from `a`'s offer, in the order in which chan_sip calls.
    pub fn offer(&mut self) {
        signal(self.now, &mut self.a, &mut self.b, Role::Controlled, Setup::Actpass, true);
    }

    /// What `a` learns from `b`'s answer.
    pub fn answer(&mut self) {
        let setup = self.b.session.setup().unwrap_or(Setup::Active);
        signal(self.now, &mut self.b, &mut self.a, Role::Controlling, setup, true);
    }

    /// The same without any candidate in the offer.
    pub fn offer_without_candidates(&mut self) {
        signal(self.now, &mut self.a, &mut self.b, Role::Controlled, Setup::Actpass, false);
    }

    /// `a` is replaced by somebody else at another address, as by a transfer.
    pub fn replace_offerer(&mut self, options: &Options) {
        self.a = Peer::new(self.now, options, 0, 2, "10.0.0.3");
    }

    pub fn connect(&mut self) {
        self.offer();
        self.answer();
        self.run(ms(500));
        assert!(self.a.dtls_connected() && self.b.dtls_connected());
    }

    /// Lets time pass. It ends early by a panic if both sides keep each other busy for nothing.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps_at_once = 0;
        loop {
            self.a.drain(self.now, &mut self.network);
            self.b.drain(self.now, &mut self.network);
            let next = [self.network.next_arrival(), self.a.session.poll_timeout(), self.b.session.poll_timeout()]
                .into_iter()
                .chain([&mut self.a, &mut self.b].map(|peer| peer.member.as_mut()?.session.poll_timeout()))
                .flatten()
                .min()
                .filter(|next| *next <= until);
            let Some(next) = next else {
                self.now = until;
                return;
            };
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 2000, "livelock");
            self.now = self.now.max(next);
            while let Some(mut datagram) = self.network.arrived(self.now) {
                let (source, to) = (datagram.source, datagram.destination);
                for peer in [&mut self.a, &mut self.b] {
                    if to == peer.rtp || to == peer.rtcp {
                        peer.receive(self.now, source, to, &mut datagram.bytes);
                    }
                }
            }
            for peer in [&mut self.a, &mut self.b] {
                peer.session.handle_timeout(self.now);
                if let Some(member) = &mut peer.member {
                    member.session.handle_timeout(self.now);
                }
            }
        }
    }

    /// Both sides speak for a while.
    pub fn talk(&mut self, time: Duration) {
        let frames = time.as_millis() / 20;
        for _ in 0..frames {
            self.a.speak(self.now);
            self.b.speak(self.now);
            self.run(ms(20));
        }
    }

    /// Whether any payload of `speak` went over the wire unencrypted.
    pub fn cleartext_on_the_wire(&self) -> bool {
        self.network.log.iter().any(|(_, bytes)| bytes.windows(10).any(|part| part == b"CLEARTEXT-"))
    }
}

/// Virtual time begins at the same real instant for all tests of a run.
fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

fn signal(now: Instant, from: &mut Peer, to: &mut Peer, role: Role, setup: Setup, candidates: bool) {
    if let Some(credentials) = from.session.local_credentials() {
        to.session.set_remote_credentials(Some(&credentials.ufrag), None);
        to.session.set_remote_credentials(None, Some(&credentials.pwd));
    }
    for candidate in from.session.local_candidates() {
        if candidates {
            to.session.add_remote_candidate(
                now,
                RemoteCandidate {
                    component: candidate.component,
                    foundation: candidate.foundation,
                    priority: candidate.priority,
                    address: candidate.address,
                    kind: candidate.kind,
                },
            );
        }
    }
    if to.session.dtls_enabled() {
        to.session.set_remote_setup(now, setup);
        let fingerprint = from.identity.fingerprint(Hash::Sha256).unwrap();
        to.session.set_remote_fingerprint(now, fingerprint);
    }
    to.session.set_remote_address(now, Component::Rtp, Some(from.rtp));
    to.session.set_remote_address(now, Component::Rtcp, Some(from.rtcp));
    to.session.set_ice_role(role);
    to.session.start_ice(now);
}
