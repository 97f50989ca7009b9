//! A user's media: the project's own session as a browser would be one, a UDP socket, and a
//! record of every packet sent and received.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use res_rust_webrtc::driver::sys;
use res_rust_webrtc::rtc::dtls::{Context, Fingerprint, Hash, Identity, Setup};
use res_rust_webrtc::rtc::ice::{CandidateKind, Component, RemoteCandidate, Role};
use res_rust_webrtc::rtc::session::{Config, OutgoingRtp, PayloadKind, PayloadType, Received, RtcpMode, RtpPacket};
use res_rust_webrtc::rtc::{Event, Session};

const MAGIC: [u8; 8] = *b"CLR-WEB\0";
pub const INTERVAL: Duration = Duration::from_millis(20);

/// What is sent.
#[derive(Clone, Copy)]
pub struct Codec {
    pub pt: u8,
    pub rtpmap: &'static str,
    pub rate: u32,
    pub payload: usize,
}

pub const PCMU: Codec = Codec { pt: 0, rtpmap: "PCMU/8000", rate: 8000, payload: 160 };
pub const OPUS: Codec = Codec { pt: 111, rtpmap: "opus/48000/2", rate: 48_000, payload: 80 };

/// What the users of a run share.
pub struct Shared {
    pub identity: Identity,
    pub context: Context,
    pub codec: Codec,
    pub begin: Instant,
}

/// A packet that arrived: its number, and how long it took in microseconds.
pub struct Arrival {
    pub seq: u32,
    pub took: u32,
}

/// When a call reached each stage.
#[derive(Clone, Copy, Default)]
pub struct Marks {
    pub invited: Option<Instant>,
    pub answered: Option<Instant>,
    pub ice: Option<Instant>,
    pub dtls: Option<Instant>,
    pub media: Option<Instant>,
}

pub struct Media {
    socket: UdpSocket,
    local: SocketAddr,
    session: Session,
    codec: Codec,
    begin: Instant,
    /// Tells this call's packets from any other's.
    stream: u32,
    /// Packets sent; `next_send` is set while it speaks.
    pub sent: u32,
    pub next_send: Option<Instant>,
    pub arrivals: Vec<Arrival>,
    pub duplicates: u32,
    pub foreign: u32,
    /// Media that came unencrypted.
    pub clear: u32,
    /// Flights of DTLS that were sent once more, by us and by the server.
    pub repeated: [u32; 2],
    flights: [Vec<[u8; 9]>; 2],
    pub marks: Marks,
    pub failure: Option<String>,
    heard: Vec<bool>,
}

impl Media {
    pub fn new(shared: &Shared, ip: IpAddr, stream: u32, now: Instant) -> Result<Media, String> {
        let socket = sys::bind_udp(SocketAddr::new(ip, 0)).map_err(|error| error.to_string())?;
        let local = socket.local_addr().map_err(|error| error.to_string())?;
        let config = Config {
            rtcp: RtcpMode::Mux,
            unix_time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            ..Config::new(local)
        };
        let mut session = Session::new(now, config).map_err(|error| error.to_string())?;
        let codec = shared.codec;
        session.set_payload_types(&[PayloadType { pt: codec.pt, clock_rate: codec.rate, kind: PayloadKind::Media }]);
        session.enable_ice().map_err(|error| error.to_string())?;
        session.add_local_candidate(Component::Rtp, CandidateKind::Host, local, local);
        session.enable_dtls(shared.context.clone(), Setup::Actpass);
        Ok(Media {
            socket,
            local,
            session,
            codec,
            begin: shared.begin,
            stream,
            sent: 0,
            next_send: None,
            arrivals: Vec::new(),
            duplicates: 0,
            foreign: 0,
            clear: 0,
            repeated: [0; 2],
            flights: [Vec::new(), Vec::new()],
            marks: Marks::default(),
            failure: None,
            heard: Vec::new(),
        })
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The offer, or the answer once `accept` has been given the offer.
    pub fn sdp(&mut self, shared: &Shared) -> String {
        let (ip, port) = (self.local.ip(), self.local.port());
        let setup = match self.session.setup() {
            Some(Setup::Active) => "active",
            Some(Setup::Passive) => "passive",
            _ => "actpass",
        };
        let credentials = self.session.local_credentials().expect("ICE is on");
        let fingerprint = shared.identity.fingerprint(Hash::Sha256).expect("a certificate");
        let Codec { pt, rtpmap, .. } = self.codec;
        let mut text = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} UDP/TLS/RTP/SAVPF {pt}\r\n\
             a=rtpmap:{pt} {rtpmap}\r\na=ptime:20\r\na=sendrecv\r\na=rtcp-mux\r\na=setup:{setup}\r\n\
             a=fingerprint:sha-256 {}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
            fingerprint.value(),
            credentials.ufrag,
            credentials.pwd
        );
        for candidate in self.session.local_candidates() {
            text.push_str(&format!(
                "a=candidate:{} 1 UDP {} {} {} typ host\r\n",
                candidate.foundation,
                candidate.priority,
                candidate.address.ip(),
                candidate.address.port()
            ));
        }
        text
    }

    /// Takes the other side's description and begins to check.
    pub fn accept(&mut self, now: Instant, sdp: &str, role: Role) -> Result<(), String> {
        let attribute = |name: &str| sdp.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name));
        let needed = |name: &str| attribute(name).map(str::trim).ok_or(format!("no a={name} in {sdp}"));
        self.session.set_remote_credentials(Some(needed("ice-ufrag:")?), Some(needed("ice-pwd:")?));
        for line in sdp.lines().filter_map(|line| line.strip_prefix("a=candidate:")) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [foundation, "1", transport, priority, ip, port, "typ", "host", ..] = fields[..] else { continue };
            if let (true, Ok(priority), Ok(ip), Ok(port)) =
                (transport.eq_ignore_ascii_case("udp"), priority.parse(), ip.parse(), port.parse())
            {
                let address = SocketAddr::new(ip, port);
                let (component, kind) = (Component::Rtp, CandidateKind::Host);
                let foundation = foundation.to_owned();
                let candidate = RemoteCandidate { component, foundation, priority, address, kind };
                self.session.add_remote_candidate(now, candidate);
            }
        }
        let setup = match needed("setup:")? {
            "active" => Setup::Active,
            "passive" => Setup::Passive,
            _ => Setup::Actpass,
        };
        self.session.set_remote_setup(now, setup);
        let (hash, value) = needed("fingerprint:")?.split_once(' ').ok_or("a=fingerprint")?;
        let fingerprint = Fingerprint::parse(&hash.to_ascii_lowercase(), value).map_err(|error| error.to_string())?;
        self.session.set_remote_fingerprint(now, fingerprint);
        self.session.set_ice_role(role);
        self.session.start_ice(now);
        self.drain(now);
        Ok(())
    }

    pub fn deadline(&mut self) -> Option<Instant> {
        [self.session.poll_timeout(), self.next_send].into_iter().flatten().min()
    }

    /// The socket is readable.
    pub fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        while let Ok((length, from, _)) = sys::receive(&self.socket, &mut buffer) {
            let datagram = &mut buffer[..length];
            if datagram.get(12..20) == Some(&MAGIC) {
                self.clear += 1;
            }
            self.flight(1, datagram);
            let received = self.session.handle_datagram(now, Component::Rtp, self.local, from, datagram);
            if let Received::Media(packet) = received {
                self.record(&packet);
            }
            self.drain(now);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        self.session.handle_timeout(now);
        while let Some(at) = self.next_send
            && at <= now
        {
            self.next_send = Some(at + INTERVAL);
            self.speak(now);
        }
        self.drain(now);
    }

    fn speak(&mut self, now: Instant) {
        let mut payload = [0x55; 160];
        let at = u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(0);
        payload[..8].copy_from_slice(&MAGIC);
        payload[8..12].copy_from_slice(&self.stream.to_be_bytes());
        payload[12..16].copy_from_slice(&self.sent.to_be_bytes());
        payload[16..24].copy_from_slice(&at.to_be_bytes());
        let timestamp = self.sent.wrapping_mul(self.codec.rate / 50);
        let payload = &payload[..self.codec.payload];
        let packet = OutgoingRtp { pt: self.codec.pt, marker: false, timestamp, seq: None, payload };
        if self.session.send_rtp(now, packet).is_ok() {
            self.sent += 1;
        }
    }

    fn record(&mut self, packet: &RtpPacket<'_>) {
        let payload = packet.payload;
        if payload.len() < 24 || payload[..8] != MAGIC {
            self.foreign += 1;
            return;
        }
        let seq = u32::from_be_bytes([payload[12], payload[13], payload[14], payload[15]]);
        let sent = u64::from_be_bytes(payload[16..24].try_into().unwrap_or_default());
        let at = seq as usize;
        if at >= self.heard.len() {
            self.heard.resize(at + 1, false);
        }
        if std::mem::replace(&mut self.heard[at], true) {
            self.duplicates += 1;
            return;
        }
        let now = u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(0);
        self.arrivals.push(Arrival { seq, took: u32::try_from(now.saturating_sub(sent)).unwrap_or(u32::MAX) });
        self.marks.media.get_or_insert(packet.arrival);
    }

    fn drain(&mut self, now: Instant) {
        while let Some(transmit) = self.session.poll_transmit() {
            self.flight(0, &transmit.payload);
            // A datagram that cannot be sent is lost and shows in the figures.
            let _ = sys::send(&self.socket, &transmit.payload, None, transmit.remote, false);
            self.session.recycle(transmit.payload);
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Media(held) => self.record(&held.packet()),
                Event::IceConnected { .. } => drop(self.marks.ice.get_or_insert(now)),
                Event::DtlsConnected { .. } => {
                    self.marks.dtls.get_or_insert(now);
                    self.next_send.get_or_insert(now);
                }
                Event::IceFailed(why) => self.failure = Some(format!("ICE: {}", why.as_str())),
                Event::DtlsFailed { reason } => self.failure = Some(format!("DTLS: {reason}")),
                _ => {}
            }
        }
    }

    /// Counts a flight that begins with a handshake message that went the same way before.
    fn flight(&mut self, way: usize, datagram: &[u8]) {
        // Content type handshake, epoch 0; then the message's type, sequence and fragment offset.
        if datagram.len() < 25 || datagram[0] != 22 || datagram[3..5] != [0, 0] {
            return;
        }
        let mut key = [0; 9];
        key[0] = datagram[13];
        key[1..3].copy_from_slice(&datagram[17..19]);
        key[3..9].copy_from_slice(&datagram[19..25]);
        if self.flights[way].contains(&key) {
            self.repeated[way] += 1;
        } else {
            self.flights[way].push(key);
        }
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant) {
        self.next_send = None;
        self.session.close(now);
        self.drain(now);
    }
}
