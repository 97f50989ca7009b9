//! Legs in a bundle: what a member sends leaves by the transport's socket, and what arrives there
//! for it is given to it.
//!
//! A member's own socket stays bound, and what it receives is dropped, until the member leaves.

use std::sync::Arc;

use super::leg::{Leg, Outcome};
use crate::rtc::session::{BundlePath, Received};
use crate::sync::lock;

impl Leg {
    /// Lets this leg's media go over `transport`'s transport. `false` if one of the two already is
    /// what the other is to be, in another bundle.
    pub fn join_bundle(self: &Arc<Self>, transport: &Arc<Leg>) -> bool {
        let leads = !lock(&self.ties).members.is_empty();
        if leads || self.id() == transport.id() || transport.look(|session| session.is_bundled()) {
            return false;
        }
        self.leave_bundle();
        lock(&self.ties).transport = Arc::downgrade(transport);
        lock(&transport.ties).members.push((self.id(), Arc::downgrade(self)));
        self.with(|session, _| session.join_bundle());
        self.inbox_handle().lead_to(Some((transport.inbox_handle(), self.id())));
        self.announce();
        true
    }

    /// Ends what `join_bundle` began.
    pub fn leave_bundle(&self) {
        let transport = std::mem::take(&mut lock(&self.ties).transport);
        if !self.look(|session| session.is_bundled()) {
            return;
        }
        self.inbox_handle().lead_to(None);
        self.with(|session, _| session.leave_bundle());
        if let Some(transport) = transport.upgrade() {
            lock(&transport.ties).members.retain(|(id, _)| *id != self.id());
            transport.with(|session, _| session.remove_member(self.id()));
        }
    }

    /// Tells the transport by what this leg's packets are known, after a change.
    pub fn announce(&self) {
        let transport = lock(&self.ties).transport.upgrade();
        if let Some(transport) = transport {
            let member = self.look(|session| session.membership());
            transport.with(|session, _| session.set_member(self.id(), member));
        }
    }

    /// Carries what came of using the session to the other legs of its bundle.
    pub(super) fn act_on_bundle(&self, bundled: Vec<Vec<u8>>, path: Option<BundlePath>) {
        if !bundled.is_empty() {
            // Without a transport nobody can be sent anything.
            let transport = lock(&self.ties).transport.upgrade();
            if let Some(transport) = transport {
                transport.with(|session, _| {
                    for packet in bundled {
                        // What cannot be sent is counted by the session.
                        let _ = session.send_plain(packet);
                    }
                });
            }
        }
        if let Some(path) = path {
            let members = lock(&self.ties).members.clone();
            for member in members.iter().filter_map(|(_, member)| member.upgrade()) {
                member.with(|session, now| session.set_bundle_path(now, path));
            }
        }
    }

    /// Gives a decrypted packet to the member it is for.
    pub(super) fn pass_on(&self, member: u64, packet: &[u8]) {
        let member = lock(&self.ties).members.iter().find(|(id, _)| *id == member).and_then(|(_, leg)| leg.upgrade());
        if let Some(member) = member {
            member.take_plain(packet);
        }
    }

    fn take_plain(&self, packet: &[u8]) {
        let mut outcome = Outcome::default();
        let received = {
            let mut core = lock(&self.core);
            let received = self.work(&mut core, |session, now| session.handle_plain(now, packet));
            self.drain(&mut core, &mut outcome);
            received
        };
        self.act(outcome);
        if let Received::Media(packet) = received {
            self.deliver(&packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::driver::clock;
    use crate::driver::rtp::{Driver, Incoming, Observer};
    use crate::rtc::ice::Component;
    use crate::rtc::session::{Config, Event, OutgoingRtp, RtcpMode, RtpPacket, Session};

    struct Nobody;

    impl Observer for Nobody {
        fn divert(&self, _: &Leg, _: &RtpPacket<'_>) -> bool {
            false
        }

        fn event(&self, _: &Leg, _: &Event) {}

        fn owner(&self) -> Option<String> {
            None
        }
    }

    const AUDIO: u8 = 0;
    const VIDEO: u8 = 96;

    fn leg(driver: &Driver, pt: u8) -> Arc<Leg> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut config = Config::new(socket.local_addr().unwrap());
        config.rtcp = RtcpMode::Mux;
        config.rtcp_interval = Duration::from_millis(5);
        let mut session = Session::new(clock::now(), config).unwrap();
        session.set_bundle_payload_types(&[pt]);
        driver.open(session, socket, Arc::new(Nobody)).unwrap()
    }

    /// Two ends, each with an audio leg and a video leg bundled with it.
    fn ends(driver: &Driver) -> [[Arc<Leg>; 2]; 2] {
        let ends = [(), ()].map(|()| [leg(driver, AUDIO), leg(driver, VIDEO)]);
        let connect = |leg: &Leg, to: SocketAddr| {
            leg.with(|session, now| session.set_remote_address(now, Component::Rtp, Some(to)));
        };
        connect(&ends[0][0], ends[1][0].local_address());
        connect(&ends[1][0], ends[0][0].local_address());
        for [audio, video] in &ends {
            assert!(video.join_bundle(audio));
            assert!(!audio.join_bundle(video), "a transport is nobody's member");
        }
        ends
    }

    fn send(leg: &Leg, pt: u8, n: u32) {
        let packet = OutgoingRtp { pt, marker: false, timestamp: n * 160, seq: None, payload: b"media" };
        let _ = leg.with(|session, now| session.send_rtp(now, packet));
    }

    fn wait_for(what: impl Fn() -> bool) {
        let end = clock::now() + Duration::from_secs(5);
        while !what() {
            assert!(clock::now() < end, "it does not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_member_s_media_comes_by_the_transport_and_is_pointed_to_in_its_inbox() {
        let driver = Driver::start(2).unwrap();
        let [[_, video], [far_audio, far_video]] = ends(&driver);
        for n in 0..10 {
            send(&video, VIDEO, n);
        }
        wait_for(|| far_video.look(|session| session.stats().rx_packets) == 10);
        let mut found = 0;
        while let Some(item) = far_audio.inbox().take() {
            match item {
                Incoming::Bundled(id) => {
                    assert_eq!(id, far_video.id());
                    found += u32::from(matches!(far_video.inbox().take(), Some(Incoming::Media(_))));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(found, 10);
        assert_eq!(far_audio.look(|session| session.stats().rx_packets), 0);
        // On its own again, it is heard of no more; the others go on.
        far_video.leave_bundle();
        send(&video, VIDEO, 10);
        wait_for(|| far_audio.look(|session| session.stats().discards.total()) > 0);
        assert_eq!(far_video.look(|session| session.stats().rx_packets), 10);
        driver.legs().iter().for_each(|leg| leg.close());
    }

    #[test]
    fn legs_of_a_bundle_end_in_any_order_while_all_of_them_send() {
        for order in [[0, 1, 2, 3], [1, 0, 3, 2], [2, 1, 0, 3], [3, 2, 1, 0]] {
            let driver = Driver::start(2).unwrap();
            let [[a, va], [b, vb]] = ends(&driver);
            let legs = [(a, AUDIO), (va, VIDEO), (b, AUDIO), (vb, VIDEO)];
            let ended = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for (leg, pt) in &legs {
                    let ended = &ended;
                    scope.spawn(move || {
                        let mut n = 0;
                        while !ended.load(Ordering::Acquire) {
                            send(leg, *pt, n);
                            while leg.inbox().take().is_some() {}
                            n += 1;
                        }
                    });
                }
                // A member comes and goes meanwhile.
                let begun: Instant = clock::now();
                while begun.elapsed() < Duration::from_millis(40) {
                    legs[1].0.leave_bundle();
                    assert!(legs[1].0.join_bundle(&legs[0].0));
                }
                for at in order {
                    legs[at].0.close();
                    std::thread::sleep(Duration::from_millis(2));
                }
                ended.store(true, Ordering::Release);
            });
            assert!(driver.legs().is_empty());
        }
    }
}
