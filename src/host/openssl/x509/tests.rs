//! Certificates and keys as files, right and wrong.

use super::*;

/// A folder of files, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("x509-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pem(pair: &KeyPair) -> (String, String) {
    (pair.certificate.to_pem().unwrap(), pair.key.to_pem().unwrap())
}

/// A key of 2048 bits, for the tests only, and its certificate, by `openssl req -x509`.
const RSA: &str = include_str!("rsa.pem");

/// By `openssl ecparam -genkey -name prime256v1` (parameters first) and `openssl req -x509`.
const EC: &str = include_str!("ec.pem");

#[test]
fn reads_what_it_writes() {
    let pair = KeyPair::self_signed_p256("there").unwrap();
    let (certificate, key) = pem(&pair);
    let read = KeyPair::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    assert_eq!(read.certificate.digest(Hash::Sha256), pair.certificate.digest(Hash::Sha256));
    assert!(read.chain.is_empty());
}

#[test]
fn fingerprint_is_the_digest_of_the_der_form() {
    // By `openssl x509 -fingerprint -sha1`.
    let [certificate] = Certificate::all_from_pem(EC.as_bytes()).unwrap().try_into().unwrap();
    let digest = certificate.digest(Hash::Sha1).unwrap();
    let text: Vec<String> = digest.iter().map(|b| format!("{b:02X}")).collect();
    assert_eq!(text.join(":"), include_str!("ec.sha1").trim());
}

#[test]
fn one_file_with_everything_in_any_order() {
    let folder = Folder::new("one");
    let (certificate, key) = pem(&KeyPair::self_signed_p256("first").unwrap());
    let (other, _) = pem(&KeyPair::self_signed_p256("second").unwrap());
    for (i, contents) in
        [format!("{key}{certificate}{other}"), format!("words before\n{certificate}{other}{key}words after\n")]
            .iter()
            .enumerate()
    {
        let file = folder.file(&format!("{i}.pem"), contents);
        let pair = KeyPair::load(&file, None).unwrap();
        assert_eq!(pair.chain.len(), 1);
        assert_eq!(pair.certificate.to_pem().unwrap(), certificate);
    }
}

#[test]
fn rsa_and_ec_with_parameters() {
    for text in [RSA, EC] {
        KeyPair::from_pem(text.as_bytes(), text.as_bytes()).unwrap();
    }
}

#[test]
fn each_fault_has_its_own_words() {
    let folder = Folder::new("faults");
    let (certificate, key) = pem(&KeyPair::self_signed_p256("a").unwrap());
    let (_, other_key) = pem(&KeyPair::self_signed_p256("b").unwrap());
    let good = folder.file("good.pem", &certificate);
    let good_key = folder.file("good.key", &key);
    let other_key = folder.file("other.key", &other_key);
    let empty = folder.file("empty", "");
    let broken = folder.file("broken.pem", &certificate.replace('M', "?"));
    let broken_key = folder.file("broken.key", &key.replace('M', "?"));
    let locked = folder.file("locked.key", include_str!("locked.pem"));
    let missing = folder.0.join("missing");

    assert!(KeyPair::load(&good, Some(&good_key)).is_ok());
    let fault = |certificate: &Path, key: Option<&Path>| {
        KeyPair::load(certificate, key).unwrap_err().to_string().replace(&folder.0.display().to_string(), "")
    };
    assert_eq!(fault(&missing, None), "certificate file /missing does not exist");
    assert_eq!(fault(&good, Some(&missing)), "private key file /missing does not exist");
    assert!(fault(&folder.0, None).starts_with("certificate file  cannot be read: "), "a folder is no file");
    assert_eq!(fault(&empty, None), "/empty: holds no certificate");
    assert_eq!(fault(&good, None), "/good.pem: holds no private key");
    assert_eq!(fault(&good, Some(&other_key)), "/other.key: the private key is not the certificate's");
    let text = fault(&broken, Some(&good_key));
    assert!(text.starts_with("/broken.pem: read certificate: "), "{text}");
    let text = fault(&good, Some(&broken_key));
    assert!(text.starts_with("/broken.key: read private key: "), "{text}");
    // Without the callback this would sit and wait at the terminal.
    let text = fault(&good, Some(&locked));
    assert!(text.starts_with("/locked.key: read private key: "), "{text}");
}

#[test]
fn every_error_leaves_the_queue_empty() {
    for text in ["", "-----BEGIN CERTIFICATE-----\n", RSA, EC] {
        let _ = KeyPair::from_pem(text.as_bytes(), text.as_bytes());
        let _ = KeyPair::from_pem(text.as_bytes(), EC.as_bytes());
        assert_eq!(error::peek_last(), (0, 0));
    }
    assert!(KeyPair::self_signed_p256(&"x".repeat(65)).is_err());
    assert_eq!(error::peek_last(), (0, 0));
}

/// RSA of 1024 bits, signed with SHA-1, without alternative names, by `openssl req -x509 -sha1`.
const WEAK: &str = include_str!("weak.pem");

/// Issued by another, for DNS:phone.example.
const ISSUED: &str = include_str!("issued.pem");

#[test]
fn a_certificate_says_what_browsers_judge_it_by() {
    let first = |text: &str| Certificate::all_from_pem(text.as_bytes()).unwrap().remove(0);
    let weak = first(WEAK);
    assert_eq!((weak.rsa_bits(), weak.weak_digest()), (Some(1024), Some("SHA-1")));
    assert!(!weak.has_alternative_name() && weak.is_self_signed());
    // By `openssl x509 -dates`.
    assert_eq!(weak.validity(), Ok((1_795_373_861, 1_795_460_261)));

    let issued = first(ISSUED);
    assert_eq!((issued.rsa_bits(), issued.weak_digest()), (None, None));
    assert!(issued.has_alternative_name() && !issued.is_self_signed());
    assert_eq!(issued.validity(), Ok((1_795_373_906, 2_110_733_906)));
    assert_eq!((first(RSA).rsa_bits(), first(RSA).weak_digest()), (Some(2048), None));
    assert_eq!(error::peek_last(), (0, 0));
}
