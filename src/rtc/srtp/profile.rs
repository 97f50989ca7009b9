//! The protection profiles and their names (RFC 3711, 5764, 6188, 7714).

use std::fmt;

/// A cipher, an authentication and the lengths that go with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm192HmacSha1_80,
    AesCm192HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Profile {
    /// Each of them.
    pub const ALL: [Profile; 8] = [
        Profile::AesCm128HmacSha1_80,
        Profile::AesCm128HmacSha1_32,
        Profile::AesCm192HmacSha1_80,
        Profile::AesCm192HmacSha1_32,
        Profile::AesCm256HmacSha1_80,
        Profile::AesCm256HmacSha1_32,
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
    ];

    /// The length of a master key, and of the session key of the cipher.
    pub fn key_length(self) -> usize {
        match self {
            Profile::AesCm128HmacSha1_80 | Profile::AesCm128HmacSha1_32 | Profile::AeadAes128Gcm => 16,
            Profile::AesCm192HmacSha1_80 | Profile::AesCm192HmacSha1_32 => 24,
            Profile::AesCm256HmacSha1_80 | Profile::AesCm256HmacSha1_32 | Profile::AeadAes256Gcm => 32,
        }
    }

    /// The length of a master salt, and of the session salt.
    pub fn salt_length(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// How much longer than RTP an SRTP packet is.
    pub fn rtp_tag_length(self) -> usize {
        match self {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
            Profile::AesCm128HmacSha1_32 | Profile::AesCm192HmacSha1_32 | Profile::AesCm256HmacSha1_32 => 4,
            _ => 10,
        }
    }

    /// The length of the tag of SRTCP, beside which there is the index of 4 bytes. The profiles
    /// that shorten the tag of RTP do not shorten this one (RFC 5764 section 4.1.2).
    pub fn rtcp_tag_length(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// True for a cipher that authenticates by itself.
    pub fn is_aead(self) -> bool {
        matches!(self, Profile::AeadAes128Gcm | Profile::AeadAes256Gcm)
    }

    /// The crypto-suite of `a=crypto` (RFC 4568, 6188, 7714).
    pub fn sdes_name(self) -> &'static str {
        match self {
            Profile::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Profile::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Profile::AesCm192HmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Profile::AesCm192HmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Profile::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Profile::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Profile::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Profile::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The profile of a crypto-suite.
    pub fn from_sdes_name(name: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|p| p.sdes_name() == name)
    }

    /// The SRTPProtectionProfile of `use_srtp` (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
    /// Those with keys of 192 bits, and of 256 bits in counter mode, have none.
    pub fn dtls_id(self) -> Option<u16> {
        match self {
            Profile::AesCm128HmacSha1_80 => Some(1),
            Profile::AesCm128HmacSha1_32 => Some(2),
            Profile::AeadAes128Gcm => Some(7),
            Profile::AeadAes256Gcm => Some(8),
            _ => None,
        }
    }

    /// The profile of an SRTPProtectionProfile.
    pub fn from_dtls_id(id: u16) -> Option<Profile> {
        Profile::ALL.into_iter().find(|p| p.dtls_id() == Some(id))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sdes_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_sdes_name(profile.sdes_name()), Some(profile));
            if let Some(id) = profile.dtls_id() {
                assert_eq!(Profile::from_dtls_id(id), Some(profile));
            }
        }
        assert_eq!(Profile::from_dtls_id(5), None);
        assert_eq!(Profile::from_sdes_name("F8_128_HMAC_SHA1_80"), None);
    }
}
