//! The contexts against published packets and against themselves.

use super::context::{Context, KeyError};
use super::*;

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn pair(profile: Profile) -> (Context, Context) {
    let key: Vec<u8> = (1..).take(profile.key_length()).collect();
    let salt: Vec<u8> = (101..).take(profile.salt_length()).collect();
    let make = || Context::new(profile, &key, &salt).unwrap();
    (make(), make())
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(0x1122_3344u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    // An empty receiver report.
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(b"\x81\xca\x00\x02\x00\x00\x00\x07\x01\x01x\x00");
    packet
}

fn sealed(context: &mut Context, mut packet: Vec<u8>) -> Vec<u8> {
    context.protect_rtp(&mut packet).unwrap();
    packet
}

fn opened(context: &mut Context, packet: &[u8]) -> Result<Vec<u8>, Discard> {
    let mut packet = packet.to_vec();
    let length = context.unprotect_rtp(&mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// The session of RFC 7714 section 16: its keys are session keys, so the key derivation is left
/// out and the transform used by itself.
mod rfc7714 {
    use super::super::cipher::Transform;
    use super::*;
    use crate::host::openssl::cipher::AesGcm;

    fn transform(key: &str) -> Transform {
        Transform::Gcm {
            cipher: AesGcm::new(&hex(key)).unwrap(),
            salt: hex("51756964 2070726f 2071756f").try_into().unwrap(),
        }
    }

    const KEY_128: &str = "00010203 04050607 08090a0b 0c0d0e0f";
    const KEY_256: &str = "00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f";
    const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
    const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";

    #[test]
    fn rtp_128() {
        let expected = hex(
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
        check_rtp(KEY_128, &expected);
    }

    #[test]
    fn rtp_256() {
        let expected = hex(
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        );
        check_rtp(KEY_256, &expected);
    }

    fn check_rtp(key: &str, expected: &[u8]) {
        let mut buf = hex(RTP);
        let length = buf.len();
        buf.resize(length + MAX_OVERHEAD, 0);
        let index = 0xf17b;
        let mut transform = transform(key);
        let sealed = transform.protect_rtp(&mut buf, 12, length, 0x5501_a0b2, index).unwrap();
        assert_eq!(buf[..sealed], *expected);
        let opened = transform.unprotect_rtp(&mut buf[..sealed], 12, 0x5501_a0b2, index, false).unwrap();
        assert_eq!(buf[..opened], hex(RTP));
    }

    #[test]
    fn rtcp_128() {
        let expected = hex(
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        );
        check_rtcp(KEY_128, &expected);
    }

    #[test]
    fn rtcp_256() {
        let expected = hex(
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        );
        check_rtcp(KEY_256, &expected);
    }

    fn check_rtcp(key: &str, expected: &[u8]) {
        let mut buf = hex(RTCP);
        let length = buf.len();
        buf.resize(length + MAX_OVERHEAD, 0);
        let mut transform = transform(key);
        let sealed = transform.protect_rtcp(&mut buf, length, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(buf[..sealed], *expected);
        assert_eq!(transform.rtcp_index(&buf[..sealed]), Ok(0x5d4));
        let opened = transform.unprotect_rtcp(&mut buf[..sealed], 0x4d61_7273).unwrap();
        assert_eq!(buf[..opened], hex(RTCP));
    }

    /// E = 0: in the clear, authenticated as a whole.
    #[test]
    fn unencrypted_rtcp() {
        let mut packet = hex(RTCP);
        let aad = packet.clone();
        let word = 0x5d5u32.to_be_bytes();
        let mut nonce: [u8; 12] = hex("51756964 2070726f 2071756f").try_into().unwrap();
        for (byte, other) in nonce.iter_mut().zip(hex("0000 4d617273 0000 000005d5")) {
            *byte ^= other;
        }
        let tag = AesGcm::new(&hex(KEY_128)).unwrap().seal(&nonce, &[&aad, &word], &mut []).unwrap();
        packet.extend(tag);
        packet.extend(word);
        let mut transform = transform(KEY_128);
        assert_eq!(transform.unprotect_rtcp(&mut packet.clone(), 0x4d61_7273), Ok(aad.len()));
        packet[20] ^= 1;
        assert_eq!(transform.unprotect_rtcp(&mut packet, 0x4d61_7273), Err(Discard::NotAuthentic));
    }
}

/// RFC 3711 appendix B.2 and RFC 6188 section 7.1: the key stream for SSRC 0, index 0.
#[test]
fn counter_mode_key_stream() {
    use crate::host::openssl::cipher::AesCtr;
    let iv: [u8; 16] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
    for (key, expected) in [
        ("2B7E151628AED2A6ABF7158809CF4F3C", "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB"),
        (
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
            "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac",
        ),
    ] {
        let mut stream = [0; 32];
        AesCtr::new(&hex(key)).unwrap().apply(&iv, &mut stream).unwrap();
        assert_eq!(stream[..], hex(expected));
    }
}

#[test]
fn every_profile_there_and_back() {
    for profile in Profile::ALL {
        let (mut tx, mut rx) = pair(profile);
        for sequence in [1, 2, 7, 5] {
            let plain = rtp(9, sequence, b"payload");
            let packet = sealed(&mut tx, plain.clone());
            assert_eq!(packet.len(), plain.len() + profile.rtp_tag_length());
            assert_ne!(packet[12..19], plain[12..]);
            assert_eq!(opened(&mut rx, &packet).unwrap(), plain, "{profile}");
        }
        for _ in 0..3 {
            let plain = rtcp(9);
            let mut packet = plain.clone();
            tx.protect_rtcp(&mut packet).unwrap();
            assert_eq!(packet.len(), plain.len() + profile.rtcp_tag_length() + 4);
            let length = rx.unprotect_rtcp(&mut packet).unwrap();
            assert_eq!(packet[..length], plain, "{profile}");
        }
    }
}

#[test]
fn every_changed_bit_is_noticed() {
    for profile in Profile::ALL {
        let (mut tx, mut rx) = pair(profile);
        let packet = sealed(&mut tx, rtp(9, 40_000, b"payload"));
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(rx.unprotect_rtp(&mut changed).is_err(), "{profile} {bit}");
        }
        assert!(opened(&mut rx, &packet).is_ok());

        let mut packet = rtcp(9);
        tx.protect_rtcp(&mut packet).unwrap();
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(rx.unprotect_rtcp(&mut changed).is_err(), "{profile} {bit}");
        }
        assert!(rx.unprotect_rtcp(&mut packet).is_ok());
    }
}

#[test]
fn header_with_sources_and_extension_stays_clear() {
    for profile in [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm] {
        let (mut tx, mut rx) = pair(profile);
        let mut plain = rtp(9, 1, b"");
        plain[0] = 0x92;
        plain.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        plain.extend([0xbe, 0xde, 0, 1, 0x10, 0x7f, 0, 0]);
        let clear = plain.len();
        plain.extend(b"voice");
        let packet = sealed(&mut tx, plain.clone());
        assert_eq!(packet[..clear], plain[..clear]);
        assert_ne!(packet[clear..clear + 5], plain[clear..]);
        assert_eq!(opened(&mut rx, &packet).unwrap(), plain);
    }
}

#[test]
fn replay_is_discarded_and_can_be_allowed() {
    let (mut tx, mut rx) = pair(Profile::AeadAes128Gcm);
    let packet = sealed(&mut tx, rtp(9, 5000, b"x"));
    assert!(opened(&mut rx, &packet).is_ok());
    assert_eq!(opened(&mut rx, &packet), Err(Discard::Replayed));
    let late = sealed(&mut tx, rtp(9, 5000 - 1023, b"y"));
    let later = sealed(&mut tx, rtp(9, 5000 - 1024, b"z"));
    assert!(opened(&mut rx, &late).is_ok());
    assert_eq!(opened(&mut rx, &later), Err(Discard::TooOld));
    rx.set_replay_protection(false);
    assert!(opened(&mut rx, &packet).is_ok());
    assert!(opened(&mut rx, &later).is_ok());

    let mut first = rtcp(9);
    tx.protect_rtcp(&mut first).unwrap();
    let (mut tx2, mut rx2) = pair(Profile::AeadAes128Gcm);
    let mut second = rtcp(9);
    tx2.protect_rtcp(&mut second).unwrap();
    assert_eq!(first, second);
    assert!(rx2.unprotect_rtcp(&mut first).is_ok());
    assert_eq!(rx2.unprotect_rtcp(&mut second), Err(Discard::Replayed));
}

/// A forged packet must not move the window, nor add a source.
#[test]
fn what_is_not_authentic_leaves_no_trace() {
    let (mut tx, mut rx) = pair(Profile::AesCm128HmacSha1_80);
    assert!(opened(&mut rx, &sealed(&mut tx, rtp(9, 100, b"x"))).is_ok());
    let mut forged = sealed(&mut tx, rtp(9, 20_000, b"x"));
    forged[12] ^= 1;
    assert_eq!(opened(&mut rx, &forged), Err(Discard::NotAuthentic));
    assert!(opened(&mut rx, &sealed(&mut tx, rtp(9, 99, b"x"))).is_ok());
    for ssrc in 1000..3000 {
        let mut forged = rtp(ssrc, 1, &[0; 20]);
        assert_eq!(rx.unprotect_rtp(&mut forged), Err(Discard::NotAuthentic));
        let mut forged = rtcp(ssrc);
        forged.extend([0; 14]);
        assert_eq!(rx.unprotect_rtcp(&mut forged), Err(Discard::NotAuthentic));
    }
    assert!(opened(&mut rx, &sealed(&mut tx, rtp(10, 1, b"x"))).is_ok());
}

#[test]
fn rollover_counter_follows_two_wraps_with_loss() {
    for profile in [Profile::AesCm128HmacSha1_32, Profile::AeadAes256Gcm] {
        let (mut tx, mut rx) = pair(profile);
        let mut heard = 0;
        for index in (65_000u32..200_000).step_by(7) {
            let plain = rtp(9, index as u16, &index.to_be_bytes());
            let packet = sealed(&mut tx, plain.clone());
            if index % 11 == 0 {
                continue;
            }
            assert_eq!(opened(&mut rx, &packet).unwrap(), plain);
            heard += 1;
        }
        assert!(heard > 15_000);
        assert_eq!(rx.roc(9), Some(3));
        assert_eq!(tx.roc(9), Some(3));
    }
}

/// The first packets were lost and with them the wrap-around (facts/rtp.md, SRTP).
#[test]
fn source_first_heard_after_its_first_wrap() {
    for profile in Profile::ALL {
        let (mut tx, mut rx) = pair(profile);
        sealed(&mut tx, rtp(9, 65_535, b"lost"));
        let plain = rtp(9, 0, b"heard");
        let packet = sealed(&mut tx, plain.clone());
        assert_eq!(opened(&mut rx, &packet).unwrap(), plain, "{profile}");
        assert_eq!(rx.roc(9), Some(1));
    }
}

#[test]
fn joins_late_with_the_counter_signalled() {
    let (mut tx, mut rx) = pair(Profile::AeadAes128Gcm);
    for index in (0..400_000u32).step_by(1000) {
        sealed(&mut tx, rtp(9, index as u16, b"missed"));
    }
    let plain = rtp(9, (400_000u32 % 65_536) as u16, b"heard");
    let packet = sealed(&mut tx, plain.clone());
    assert_eq!(opened(&mut rx, &packet), Err(Discard::NotAuthentic));
    rx.set_roc(9, tx.roc(9).unwrap()).unwrap();
    assert_eq!(opened(&mut rx, &packet).unwrap(), plain);
}

/// NACK: the packet sent once is protected once more, on either side of a wrap-around.
#[test]
fn resending_gives_the_same_packet() {
    for profile in Profile::ALL {
        let (mut tx, _) = pair(profile);
        let before = sealed(&mut tx, rtp(9, 65_530, b"old"));
        for sequence in (0..5000).step_by(100) {
            sealed(&mut tx, rtp(9, sequence, b"new"));
        }
        assert_eq!(sealed(&mut tx, rtp(9, 65_530, b"old")), before);
        assert_eq!(tx.roc(9), Some(1));
    }
}

#[test]
fn sources_are_bounded() {
    let (mut tx, mut rx) = pair(Profile::AeadAes128Gcm);
    let mut last = Ok(());
    let mut accepted = 0;
    for ssrc in 0..300 {
        let mut packet = rtp(ssrc, 1, b"x");
        last = tx.protect_rtp(&mut packet);
        if last.is_ok() {
            assert!(rx.unprotect_rtp(&mut packet).is_ok());
            accepted += 1;
        }
    }
    assert_eq!((accepted, last), (256, Err(Discard::TooManySources)));
    // Another sender with the same key.
    let (mut other, _) = pair(Profile::AeadAes128Gcm);
    let mut packet = sealed(&mut other, rtp(999, 1, b"x"));
    assert_eq!(rx.unprotect_rtp(&mut packet), Err(Discard::TooManySources));
    assert!(opened(&mut rx, &sealed(&mut tx, rtp(0, 2, b"x"))).is_ok());
}

#[test]
fn malformed_packets() {
    for profile in Profile::ALL {
        let (mut tx, mut rx) = pair(profile);
        let mut lies = rtp(9, 1, &[0; 30]);
        lies[0] = 0x9f;
        lies[12 + 60 - 30..].fill(0xff);
        for bad in [vec![], vec![0x80; 11], vec![0x40; 40], vec![0x8f; 40], lies, rtp(9, 1, b"")] {
            let length = bad.len();
            let mut packet = bad.clone();
            assert_eq!(rx.unprotect_rtp(&mut packet), Err(Discard::Malformed));
            if length != 12 {
                assert_eq!(tx.protect_rtp(&mut packet), Err(Discard::Malformed));
                assert_eq!(packet.len(), length);
            }
        }
        for length in 0..8 + 4 + profile.rtcp_tag_length() {
            let mut packet = vec![0x80; length];
            assert_eq!(rx.unprotect_rtcp(&mut packet), Err(Discard::Malformed));
        }
    }
}

#[test]
fn no_room_for_the_tag() {
    for profile in Profile::ALL {
        let (mut tx, _) = pair(profile);
        let mut buf = rtp(9, 1, b"payload");
        let length = buf.len();
        buf.resize(length + profile.rtp_tag_length() - 1, 0);
        assert_eq!(tx.protect_rtp_in_place(&mut buf, length), Err(Discard::NoRoom));
        assert_eq!(tx.protect_rtp_in_place(&mut buf, length + 100), Err(Discard::NoRoom));
        let mut buf = rtcp(9);
        let length = buf.len();
        buf.resize(length + profile.rtcp_tag_length() + 3, 0);
        assert_eq!(tx.protect_rtcp_in_place(&mut buf, length), Err(Discard::NoRoom));
    }
}

#[test]
fn keys_of_the_wrong_length() {
    for profile in Profile::ALL {
        let (key, salt) = (profile.key_length(), profile.salt_length());
        for (key, salt) in [(key - 1, salt), (key, salt + 1), (0, 0)] {
            let made = Context::new(profile, &vec![1; key], &vec![2; salt]);
            assert_eq!(made.err(), Some(KeyError::Length));
        }
    }
}
