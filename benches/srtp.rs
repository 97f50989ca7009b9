//! What a packet costs: `cargo bench --no-default-features --bench srtp`.
//!
//! Prints, for each profile and two sizes of payload, the least nanoseconds of several passes to
//! protect and to unprotect a packet, and beside them the bare primitives that the profile is made
//! of (cipher and authentication on a context keyed once, without headers, indices or windows).
//! Passes of both take turns, because the machine's clock does not stand still: compare within a
//! line.

use std::hint::black_box;
use std::time::Instant;

use res_rust_webrtc::host::openssl::cipher::{AesCtr, AesGcm};
use res_rust_webrtc::host::openssl::hmac::HmacSha1;
use res_rust_webrtc::host::openssl::version;
use res_rust_webrtc::rtc::srtp::{Context, MAX_OVERHEAD, Profile};

const PASSES: usize = 15;
const PACKETS: u16 = 2000;
const HEADER: usize = 12;

fn main() {
    println!("{}, ns per packet, least of {PASSES} passes", version());
    println!(
        "{:<26}{:>8}{:>9}{:>11}{:>14}{:>8}",
        "profile", "payload", "protect", "unprotect", "bare one way", "ratio"
    );
    for profile in Profile::ALL {
        for payload in [160, 1180] {
            measure(profile, payload);
        }
    }
}

fn measure(profile: Profile, payload: usize) {
    let key = vec![1; profile.key_length()];
    let salt = vec![2; profile.salt_length()];
    let context = || Context::new(profile, &key, &salt).expect("a good key");
    let length = HEADER + payload;
    let mut packets = vec![vec![0u8; length + MAX_OVERHEAD]; PACKETS.into()];
    let mut bare = Bare::new(profile, &key);
    let (mut protect, mut unprotect, mut primitive) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..PASSES {
        let (mut tx, mut rx) = (context(), context());
        for (sequence, packet) in (0..).zip(&mut packets) {
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&u16::to_be_bytes(sequence));
        }
        let mut protected = 0;
        protect = protect.min(timed(|| {
            for packet in &mut packets {
                protected = tx.protect_rtp_in_place(packet, length).expect("protected");
            }
        }));
        unprotect = unprotect.min(timed(|| {
            for packet in &mut packets {
                let opened = rx.unprotect_rtp(&mut packet[..protected]);
                assert_eq!(black_box(opened), Ok(length));
            }
        }));
        primitive = primitive.min(timed(|| {
            for packet in &mut packets {
                bare.run(&mut packet[..length]);
            }
        }));
    }
    println!(
        "{:<26}{payload:>8}{protect:>9.0}{unprotect:>11.0}{primitive:>14.0}{:>8.2}",
        profile.to_string(),
        (protect + unprotect) / (2.0 * primitive)
    );
}

enum Bare {
    CounterMode(AesCtr, HmacSha1),
    Gcm(AesGcm),
}

impl Bare {
    fn new(profile: Profile, key: &[u8]) -> Bare {
        if profile.is_aead() {
            Bare::Gcm(AesGcm::new(key).expect("a good key"))
        } else {
            Bare::CounterMode(AesCtr::new(key).expect("a good key"), HmacSha1::new(&[3; 20]))
        }
    }

    fn run(&mut self, packet: &mut [u8]) {
        let (header, payload) = packet.split_at_mut(HEADER);
        match self {
            Bare::CounterMode(cipher, mac) => {
                cipher.apply(&[4; 16], payload).expect("encrypted");
                black_box(mac.sign(&[header, payload, &[0; 4]]));
            }
            Bare::Gcm(cipher) => {
                let tag = cipher.seal(&[4; 12], &[header], payload);
                black_box(tag.expect("sealed"));
            }
        }
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_nanos() as f64 / f64::from(PACKETS)
}
