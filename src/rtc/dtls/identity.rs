//! What we show the peer: certificate, key and the fingerprints of the certificate.

use std::path::Path;

use super::{Fingerprint, Hash, LoadError, PemError};
use crate::host::openssl::Error;
use crate::host::openssl::x509::KeyPair;

/// A certificate with its key. Cloning shares both.
#[derive(Clone, Debug)]
pub struct Identity {
    pair: KeyPair,
}

impl Identity {
    /// A new P-256 key and a certificate that it signs itself. About 0.2 ms: RSA, of which a key
    /// takes hundreds of milliseconds, is never generated.
    pub fn generate() -> Result<Identity, Error> {
        // The subject says nothing: peers look at the fingerprint.
        let pair = KeyPair::self_signed_p256("WebRTC")?;
        Ok(Identity { pair })
    }

    /// From the contents of PEM files: the certificate with its chain, and the key (EC or RSA).
    /// Both may be the same text.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Identity, PemError> {
        let pair = KeyPair::from_pem(certificate, key)?;
        Ok(Identity { pair })
    }

    /// From PEM files (`dtlscertfile`, `dtlsprivatekey`). Without a key file, the key is looked
    /// for in the certificate's. The error names the file and what is wrong with it.
    pub fn load(certificate: &Path, key: Option<&Path>) -> Result<Identity, LoadError> {
        let pair = KeyPair::load(certificate, key)?;
        Ok(Identity { pair })
    }

    /// The fingerprint for `a=fingerprint`.
    pub fn fingerprint(&self, hash: Hash) -> Result<Fingerprint, Error> {
        let digest = self.pair.certificate.digest(hash)?;
        Fingerprint::new(hash, digest).map_err(|_| Error::unexpected("fingerprint certificate"))
    }

    /// The certificate, without its chain, as PEM text.
    pub fn certificate_pem(&self) -> Result<String, Error> {
        self.pair.certificate.to_pem()
    }

    pub(super) fn pair(&self) -> &KeyPair {
        &self.pair
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_identities_differ() {
        let (a, b) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let fingerprint = a.fingerprint(hash).unwrap();
            assert_eq!(fingerprint, a.clone().fingerprint(hash).unwrap());
            assert_ne!(fingerprint, b.fingerprint(hash).unwrap());
        }
    }
}
