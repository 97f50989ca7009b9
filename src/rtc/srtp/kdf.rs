//! Session keys from a master key (RFC 3711 section 4.3, RFC 6188 section 3, RFC 7714
//! section 11), for a key derivation rate of zero: each key is derived once.

use crate::host::openssl::cipher::AesCtr;
use crate::host::openssl::{Error, Secret, cleanse};

/// What a derived key is for (RFC 3711 section 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// A master key, ready to derive from.
pub struct Kdf {
    prf: AesCtr,
    /// The master salt, filled up with zeros on the right to the 112 bits of the counter mode,
    /// and the 16 bits of the block counter.
    salt: [u8; 16],
}

impl Kdf {
    /// Keys the pseudo-random function, which is AES in counter mode for every profile. `salt` is
    /// 12 or 14 bytes long.
    pub fn new(master_key: &[u8], salt: &[u8]) -> Result<Kdf, Error> {
        let mut kdf = Kdf { prf: AesCtr::new(master_key)?, salt: [0; 16] };
        for (to, from) in kdf.salt.iter_mut().take(14).zip(salt) {
            *to = *from;
        }
        Ok(kdf)
    }

    /// Derives `length` bytes.
    pub fn derive(&mut self, label: Label, length: usize) -> Result<Secret, Error> {
        let mut iv = self.salt;
        // key_id = label || r, with r = 0 of 48 bits, aligned with the 112 bits on the right.
        iv[7] ^= label as u8;
        let mut out = vec![0; length];
        self.prf.apply(&iv, &mut out)?;
        let key = Secret::new(&out);
        cleanse(&mut out);
        Ok(key)
    }
}

impl Drop for Kdf {
    fn drop(&mut self) {
        cleanse(&mut self.salt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtc::srtp::tests::hex;

    fn derive(kdf: &mut Kdf, label: Label, length: usize) -> Vec<u8> {
        kdf.derive(label, length).unwrap().to_vec()
    }

    // RFC 3711 appendix B.3.
    #[test]
    fn rfc3711() {
        let mut kdf = Kdf::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6")).unwrap();
        assert_eq!(derive(&mut kdf, Label::RtpEncryption, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive(&mut kdf, Label::RtpSalt, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            derive(&mut kdf, Label::RtpAuthentication, 94),
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCEE049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }

    // RFC 6188 section 7.3 and 7.4.
    #[test]
    fn rfc6188() {
        for (key, salt, cipher, session_salt, authentication) in [
            (
                "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
                "3b04803de51ee7c96423ab5b78d2",
                "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
                "fa31791685ca444a9e07c6c64e93",
                "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
            ),
            (
                "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1",
                "c8522f3acd4ce86d5add78edbb11",
                "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb",
                "2372b82d639b6d8503a47adc0a6c",
                "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
            ),
        ] {
            let key = hex(key);
            let mut kdf = Kdf::new(&key, &hex(salt)).unwrap();
            let derived = derive(&mut kdf, Label::RtpEncryption, key.len());
            assert_eq!(derived, hex(cipher));
            assert_eq!(derive(&mut kdf, Label::RtpSalt, 14), hex(session_salt));
            let derived = derive(&mut kdf, Label::RtpAuthentication, 20);
            assert_eq!(derived, hex(authentication));
        }
    }
}
