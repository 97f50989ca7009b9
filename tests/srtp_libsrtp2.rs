//! Our SRTP against libsrtp2, in both directions: every packet that one protects the other opens,
//! and what one refuses the other refuses.
//!
//! libsrtp2 is linked by this test alone; the module does not use it (one process has room for
//! one user of it). `cargo test --features test-libsrtp2`, with Debian's libsrtp2-dev.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::Once;

use res_rust_webrtc::rtc::srtp::{Context, Discard, MAX_OVERHEAD, Profile};

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CryptoPolicy {
    cipher_type: u32,
    cipher_key_length: c_int,
    auth_type: u32,
    auth_key_length: c_int,
    auth_tag_length: c_int,
    services: c_uint,
}

#[repr(C)]
struct Policy {
    ssrc_type: c_uint,
    ssrc_value: c_uint,
    rtp: CryptoPolicy,
    rtcp: CryptoPolicy,
    key: *mut c_uchar,
    keys: *mut c_void,
    key_count: c_ulong,
    deprecated: *mut c_void,
    window_size: c_ulong,
    allow_repeat_tx: c_int,
    encrypted_extensions: *mut c_int,
    encrypted_extension_count: c_int,
    next: *mut Policy,
}

type SetPolicy = unsafe extern "C" fn(*mut CryptoPolicy);

#[link(name = "srtp2")]
unsafe extern "C" {
    fn srtp_init() -> c_int;
    fn srtp_create(session: *mut *mut c_void, policy: *const Policy) -> c_int;
    fn srtp_dealloc(session: *mut c_void) -> c_int;
    fn srtp_protect(session: *mut c_void, packet: *mut c_void, length: *mut c_int) -> c_int;
    fn srtp_unprotect(session: *mut c_void, packet: *mut c_void, length: *mut c_int) -> c_int;
    fn srtp_protect_rtcp(session: *mut c_void, packet: *mut c_void, length: *mut c_int) -> c_int;
    fn srtp_unprotect_rtcp(session: *mut c_void, packet: *mut c_void, length: *mut c_int) -> c_int;
    fn srtp_set_stream_roc(session: *mut c_void, ssrc: u32, roc: u32) -> c_int;
    fn srtp_crypto_policy_set_rtp_default(policy: *mut CryptoPolicy);
    fn srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(policy: *mut CryptoPolicy);
    fn srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(policy: *mut CryptoPolicy);
    fn srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32(policy: *mut CryptoPolicy);
    fn srtp_crypto_policy_set_aes_gcm_128_16_auth(policy: *mut CryptoPolicy);
    fn srtp_crypto_policy_set_aes_gcm_256_16_auth(policy: *mut CryptoPolicy);
}

const REPLAY_FAIL: c_int = 9;
const REPLAY_OLD: c_int = 10;
const AUTH_FAIL: c_int = 7;

/// A session of libsrtp2, in one direction.
struct Theirs(*mut c_void);

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Inbound = 2,
    Outbound = 3,
}

impl Theirs {
    fn new(profile: Profile, key: &[u8], direction: Direction) -> Theirs {
        static INIT: Once = Once::new();
        // SAFETY: called once.
        INIT.call_once(|| assert_eq!(unsafe { srtp_init() }, 0));
        let (rtp, rtcp): (SetPolicy, SetPolicy) = match profile {
            Profile::AesCm128HmacSha1_80 => (srtp_crypto_policy_set_rtp_default, srtp_crypto_policy_set_rtp_default),
            Profile::AesCm128HmacSha1_32 => {
                (srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32, srtp_crypto_policy_set_rtp_default)
            }
            Profile::AesCm192HmacSha1_80 | Profile::AesCm192HmacSha1_32 => {
                unreachable!("not compared")
            }
            Profile::AesCm256HmacSha1_80 => {
                (srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80)
            }
            Profile::AesCm256HmacSha1_32 => {
                (srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32, srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80)
            }
            Profile::AeadAes128Gcm => {
                (srtp_crypto_policy_set_aes_gcm_128_16_auth, srtp_crypto_policy_set_aes_gcm_128_16_auth)
            }
            Profile::AeadAes256Gcm => {
                (srtp_crypto_policy_set_aes_gcm_256_16_auth, srtp_crypto_policy_set_aes_gcm_256_16_auth)
            }
        };
        let mut key = key.to_vec();
        let mut policy = Policy {
            ssrc_type: direction as c_uint,
            ssrc_value: 0,
            rtp: CryptoPolicy::default(),
            rtcp: CryptoPolicy::default(),
            key: key.as_mut_ptr(),
            keys: ptr::null_mut(),
            key_count: 0,
            deprecated: ptr::null_mut(),
            window_size: 1024,
            allow_repeat_tx: 1,
            encrypted_extensions: ptr::null_mut(),
            encrypted_extension_count: 0,
            next: ptr::null_mut(),
        };
        let mut session = ptr::null_mut();
        // SAFETY: the layouts are those of srtp.h 2.3 to 2.8; the key is as long as the policy
        // says, and copied.
        let status = unsafe {
            rtp(&mut policy.rtp);
            rtcp(&mut policy.rtcp);
            srtp_create(&mut session, &policy)
        };
        assert_eq!(status, 0, "libsrtp2 was built without {profile}");
        Theirs(session)
    }

    fn run(
        &self,
        function: unsafe extern "C" fn(*mut c_void, *mut c_void, *mut c_int) -> c_int,
        packet: &[u8],
    ) -> Result<Vec<u8>, c_int> {
        // The library wants the packet aligned, and room behind it.
        let mut words = vec![0u32; packet.len() / 4 + 40];
        let mut length = packet.len() as c_int;
        // SAFETY: the buffer is longer than the packet by more than SRTP_MAX_TRAILER_LEN (144).
        unsafe {
            let buffer: *mut u8 = words.as_mut_ptr().cast();
            ptr::copy_nonoverlapping(packet.as_ptr(), buffer, packet.len());
            match function(self.0, buffer.cast(), &mut length) {
                0 => {
                    let mut out = vec![0; length as usize];
                    ptr::copy_nonoverlapping(buffer, out.as_mut_ptr(), out.len());
                    Ok(out)
                }
                status => Err(status),
            }
        }
    }

    fn protect(&self, packet: &[u8]) -> Vec<u8> {
        self.run(srtp_protect, packet).unwrap()
    }

    fn unprotect(&self, packet: &[u8]) -> Result<Vec<u8>, c_int> {
        self.run(srtp_unprotect, packet)
    }

    fn protect_rtcp(&self, packet: &[u8]) -> Vec<u8> {
        self.run(srtp_protect_rtcp, packet).unwrap()
    }

    fn unprotect_rtcp(&self, packet: &[u8]) -> Result<Vec<u8>, c_int> {
        self.run(srtp_unprotect_rtcp, packet)
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // SAFETY: made by srtp_create, freed once.
        unsafe { srtp_dealloc(self.0) };
    }
}

/// Our half of a direction and theirs.
struct Pair {
    profile: Profile,
    ours: Context,
    theirs: Theirs,
}

/// All profiles but those with keys of 192 bits. There libsrtp2 (2.5) does not derive the session
/// keys as RFC 6188 says, whose vectors are a test beside our derivation: it takes the master key
/// and the first 8 bytes of the salt for a key of AES-256, and what is left of the salt, with zeros
/// behind it, for the salt.
fn pairs(direction: Direction) -> Vec<Pair> {
    Profile::ALL
        .into_iter()
        .filter(|profile| profile.key_length() != 24)
        .map(|profile| {
            let key: Vec<u8> = (0..profile.key_length() + profile.salt_length()).map(|i| (i * 37 + 11) as u8).collect();
            let (master, salt) = key.split_at(profile.key_length());
            Pair {
                profile,
                ours: Context::new(profile, master, salt).unwrap(),
                theirs: Theirs::new(profile, &key, direction),
            }
        })
        .collect()
}

fn ours_unprotect(context: &mut Context, packet: &[u8]) -> Result<Vec<u8>, Discard> {
    let mut packet = packet.to_vec();
    let length = context.unprotect_rtp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

fn rtp(ssrc: u32, sequence: u16, seed: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 0x6f];
    packet.extend(sequence.to_be_bytes());
    packet.extend(seed.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    // Contributing sources and an extension now and then, and every length of payload.
    if seed.is_multiple_of(3) {
        packet[0] |= 2;
        packet.extend([7; 8]);
    }
    if seed.is_multiple_of(5) {
        packet[0] |= 0x10;
        packet.extend([0xbe, 0xde, 0, 2, 0x30, 1, 2, 3, 4, 5, 6, 7]);
    }
    packet.extend((0..seed % 171).map(|i| (i ^ seed) as u8));
    packet
}

fn rtcp(ssrc: u32, words: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 200, 0, 1 + words as u8];
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..words * 4).map(|i| (i * 3) as u8));
    packet
}

/// Sequence numbers through two wraps, with gaps and disorder, from sources that take turns.
fn walk() -> impl Iterator<Item = (u32, u32)> {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut highest = [64_900u32, 100, 32_768];
    (0..9000).map(move |step| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let source = (step / 20 % 3) as usize;
        let index = if state.is_multiple_of(10) {
            highest[source].saturating_sub(1 + (state >> 8) as u32 % 60)
        } else {
            highest[source] += 1 + (state >> 8) as u32 % 90;
            highest[source]
        };
        (0xaa00 + source as u32, index)
    })
}

#[test]
fn what_we_protect_they_open() {
    for mut pair in pairs(Direction::Inbound) {
        let mut opened = 0;
        for (ssrc, index) in walk() {
            let plain = rtp(ssrc, index as u16, index);
            let mut packet = plain.clone();
            pair.ours.protect_rtp(&mut packet).unwrap();
            match pair.theirs.unprotect(&packet) {
                Ok(got) => {
                    assert!(got == plain, "{}", pair.profile);
                    opened += 1;
                }
                // The walk comes by some indices twice.
                Err(status) => assert_eq!(status, REPLAY_FAIL, "{} {index}", pair.profile),
            }
        }
        assert!(opened > 8000, "{opened}");
        assert_eq!(pair.ours.roc(0xaa00), Some(2));
    }
}

#[test]
fn what_they_protect_we_open_and_refuse_alike() {
    for (mut pair, receiver) in pairs(Direction::Outbound).into_iter().zip(pairs(Direction::Inbound)) {
        for (i, (ssrc, index)) in walk().enumerate() {
            let plain = rtp(ssrc, index as u16, index);
            let packet = pair.theirs.protect(&plain);
            // Each fourth packet comes again, each seventh is damaged first.
            if i % 7 == 0 {
                let mut damaged = packet.clone();
                damaged[packet.len() - 1 - i % 4] ^= 0x10;
                let ours = ours_unprotect(&mut pair.ours, &damaged);
                let theirs = receiver.theirs.unprotect(&damaged);
                assert_eq!(verdict(&ours), verdict_of_theirs(&theirs), "{index}");
            }
            for _ in 0..if i % 4 == 0 { 2 } else { 1 } {
                let ours = ours_unprotect(&mut pair.ours, &packet);
                let theirs = receiver.theirs.unprotect(&packet);
                assert_eq!(verdict(&ours), verdict_of_theirs(&theirs), "{} {index}", pair.profile);
                if let Ok(ours) = ours {
                    assert!(ours == plain);
                }
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Opened,
    Replayed,
    Old,
    NotAuthentic,
}

fn verdict(result: &Result<Vec<u8>, Discard>) -> Verdict {
    match result {
        Ok(_) => Verdict::Opened,
        Err(Discard::Replayed) => Verdict::Replayed,
        Err(Discard::TooOld) => Verdict::Old,
        Err(Discard::NotAuthentic) => Verdict::NotAuthentic,
        Err(other) => panic!("{other}"),
    }
}

fn verdict_of_theirs(result: &Result<Vec<u8>, c_int>) -> Verdict {
    match result {
        Ok(_) => Verdict::Opened,
        Err(REPLAY_FAIL) => Verdict::Replayed,
        Err(REPLAY_OLD) => Verdict::Old,
        Err(AUTH_FAIL) => Verdict::NotAuthentic,
        Err(other) => panic!("status {other}"),
    }
}

/// The edge of the window of 1024. The sender is ours: theirs refuses to send what is so old.
#[test]
fn window_is_as_wide() {
    for (mut sender, mut receiver) in pairs(Direction::Outbound).into_iter().zip(pairs(Direction::Inbound)) {
        let mut verdicts = Vec::new();
        for back in [0, 1022, 1023, 1024, 1025, 0] {
            let mut packet = rtp(1, 2000 - back, 1);
            sender.ours.protect_rtp(&mut packet).unwrap();
            let ours = verdict(&ours_unprotect(&mut receiver.ours, &packet));
            let theirs = verdict_of_theirs(&receiver.theirs.unprotect(&packet));
            assert_eq!(ours, theirs, "{} {back}", receiver.profile);
            verdicts.push(ours);
        }
        assert_eq!(verdicts[2..4], [Verdict::Opened, Verdict::Old]);
    }
}

/// Both sides told the rollover counter of a source that is joined late.
#[test]
fn late_join() {
    const SSRC: u32 = 0x77;
    for (mut pair, mut sender) in pairs(Direction::Inbound).into_iter().zip(pairs(Direction::Outbound)) {
        sender.ours.set_roc(SSRC, 5).unwrap();
        let plain = rtp(SSRC, 1000, 9);
        let mut packet = plain.clone();
        sender.ours.protect_rtp(&mut packet).unwrap();
        assert_eq!(sender.ours.roc(SSRC), Some(5));

        // Their stream must be there before its counter can be set.
        let first = pair.theirs.unprotect(&packet);
        assert_eq!(verdict_of_theirs(&first), Verdict::NotAuthentic);
        assert_eq!(ours_unprotect(&mut pair.ours, &packet), Err(Discard::NotAuthentic));
        pair.ours.set_roc(SSRC, 5).unwrap();
        assert_eq!(ours_unprotect(&mut pair.ours, &packet), Ok(plain.clone()));

        // What they protect with that counter, we open without a word after our second cycle.
        let fresh = rtp(0x78, 65_535, 9);
        sender.theirs.protect(&fresh);
        let wrapped = rtp(0x78, 3, 9);
        let packet = sender.theirs.protect(&wrapped);
        assert_eq!(ours_unprotect(&mut pair.ours, &packet), Ok(wrapped));

        // SAFETY: the session is valid, and the stream was made by the packet above.
        assert_eq!(unsafe { srtp_set_stream_roc(sender.theirs.0, 0x78, 9) }, 0);
        let much_later = rtp(0x78, 4, 9);
        let packet = sender.theirs.protect(&much_later);
        let mut late = pairs(Direction::Inbound).into_iter().find(|other| other.profile == pair.profile).unwrap();
        late.ours.set_roc(0x78, 9).unwrap();
        assert_eq!(ours_unprotect(&mut late.ours, &packet), Ok(much_later));
    }
}

#[test]
fn rtcp_both_ways() {
    for (mut inbound, mut outbound) in pairs(Direction::Inbound).into_iter().zip(pairs(Direction::Outbound)) {
        for i in 0..300 {
            let plain = rtcp(5 + i % 2, i % 30);
            let mut packet = plain.clone();
            inbound.ours.protect_rtcp(&mut packet).unwrap();
            assert!(packet.len() <= plain.len() + MAX_OVERHEAD);
            assert_eq!(inbound.theirs.unprotect_rtcp(&packet), Ok(plain.clone()));
            assert_eq!(inbound.theirs.unprotect_rtcp(&packet), Err(REPLAY_FAIL));

            let packet = outbound.theirs.protect_rtcp(&plain);
            let mut copy = packet.clone();
            let length = outbound.ours.unprotect_rtcp(&mut copy).unwrap();
            assert_eq!(copy[..length], plain);
            assert_eq!(outbound.ours.unprotect_rtcp(&mut packet.clone()), Err(Discard::Replayed));
        }
    }
}

/// A packet sent again for a NACK comes out as theirs does.
#[test]
fn resending() {
    for mut pair in pairs(Direction::Outbound) {
        for sequence in [65_500, 65_530, 3, 65_530, 60, 65_500] {
            let plain = rtp(3, sequence, sequence.into());
            let mut packet = plain.clone();
            pair.ours.protect_rtp(&mut packet).unwrap();
            assert!(packet == pair.theirs.protect(&plain), "{}", pair.profile);
        }
    }
}
