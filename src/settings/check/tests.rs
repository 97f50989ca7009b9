//! A configuration that works, and what is said when one thing of it is changed.

use super::*;

const HTTP: &str =
    "[general]\nenabled=yes\nbindaddr=0.0.0.0\ntlsenable=yes\ntlsbindaddr=0.0.0.0:8089\ntlscertfile=/http.pem\n";
const RTP: &str = "[general]\nrtpstart=10000\n";
const MODULES: &str = "[modules]\nautoload=no\nload=chan_sip.so\nload=res_rust_webrtc.so\n";
const SIP: &str = "[general]\ntransport=udp,ws,wss\n\
    [1001]\ntype=friend\nsecret=xyzzy\ntransport=wss\nencryption=yes\navpf=yes\nicesupport=yes\nrtcp_mux=yes\ndtlsenable=yes\n\
    dtlsverify=fingerprint\ndtlscertfile=/dtls.pem\ndisallow=all\nallow=opus,ulaw\n\
    [2001]\ntype=peer\nsecret=xyzzy\nallow=g729\n";
const PJSIP: &str = "[transport-wss]\ntype=transport\nprotocol=wss\n\
    [1001]\ntype=endpoint\nwebrtc=yes\nallow=!all,opus,ulaw\nauth=a\n[1001]\ntype=aor\nmax_contacts=1\n[a]\ntype=auth\npassword=xyzzy\n\
    [2001]\ntype=endpoint\nallow=g729\n";

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

const GOOD: Certificate = Certificate {
    not_before: NOW - 86400,
    not_after: NOW + 90 * 86400,
    has_alternative_name: true,
    weak_digest: None,
    rsa_bits: Some(2048),
    is_self_signed: false,
};

struct Rig {
    loaded: Vec<&'static str>,
    serves: bool,
    certificate: Result<Certificate, String>,
    has_rtcp_mux: bool,
    files: [(&'static str, String); 5],
}

impl World for Rig {
    fn is_loaded(&self, module: &str) -> bool {
        self.loaded.contains(&module)
    }
    fn serves(&self, subprotocol: &str) -> bool {
        self.serves && subprotocol == "sip"
    }
    fn certificate(&self, file: &str, _: Option<&str>) -> Result<Certificate, String> {
        match file {
            "/http.pem" => self.certificate.clone(),
            "/dtls.pem" => Ok(GOOD),
            _ => Err(format!("certificate file {file} does not exist")),
        }
    }
    fn now(&self) -> i64 {
        NOW
    }
    fn has_rtcp_mux(&self) -> bool {
        self.has_rtcp_mux
    }
}

impl Rig {
    fn sip() -> Self {
        let files = [("http", HTTP), ("rtp", RTP), ("modules", MODULES), ("sip", SIP), ("pjsip", "")];
        Self {
            loaded: vec!["chan_sip", "res_rust_webrtc"],
            serves: true,
            certificate: Ok(GOOD),
            has_rtcp_mux: true,
            files: files.map(|(name, text)| (name, text.to_owned())),
        }
    }

    fn pjsip() -> Self {
        let mut rig = Self::sip();
        rig.loaded = vec!["chan_pjsip", "res_pjsip_transport_websocket"];
        rig.put("modules", "[modules]\nautoload=yes\n");
        rig.put("sip", "");
        rig.put("pjsip", PJSIP);
        rig
    }

    fn put(&mut self, name: &str, text: &str) {
        let (_, place) = self.files.iter_mut().find(|(known, _)| *known == name).unwrap();
        text.clone_into(place);
    }

    /// Changes a text that is there.
    fn change(mut self, name: &str, old: &str, new: &str) -> Self {
        let (_, text) = self.files.iter_mut().find(|(known, _)| *known == name).unwrap();
        assert!(text.contains(old), "{old}");
        *text = text.replace(old, new);
        self
    }

    fn certificate(mut self, change: impl FnOnce(&mut Certificate)) -> Self {
        change(self.certificate.as_mut().unwrap());
        self
    }

    fn report(&self, peer: Option<&str>) -> Option<Report> {
        let [http, rtp, modules, sip, pjsip] = self.files.each_ref().map(|(_, text)| lines(text));
        check(&Files { http, rtp, modules, sip, pjsip }, self, peer)
    }

    /// The only finding, as printed, which never shows a secret.
    fn only(&self) -> String {
        let report = self.report(None).unwrap();
        let [finding] = &report.findings[..] else { panic!("{:#?}", report.findings) };
        let text = finding.to_string();
        assert!(!text.contains("xyzzy"));
        text
    }

    fn fault(&self) -> String {
        let text = self.only();
        assert_eq!(self.report(None).unwrap().faults(), 1, "{text}");
        text
    }

    fn advice(&self) -> String {
        let text = self.only();
        assert_eq!(self.report(None).unwrap().faults(), 0, "{text}");
        text
    }
}

fn lines(text: &str) -> Vec<Line> {
    let (mut section, mut category, mut found) = (0, String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section += 1;
            category = name.trim_end_matches(']').to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            found.push(Line { section, category: category.clone(), name: name.into(), value: value.into() });
        }
    }
    found
}

/// Each of `words` in `text`.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "'{word}' is not in: {text}");
    }
}

#[test]
fn of_what_works_nothing_is_said() {
    for (rig, peer) in [(Rig::sip(), "SIP/1001"), (Rig::pjsip(), "PJSIP/1001")] {
        let report = rig.report(None).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(report.peers, [peer], "the desk phone is not judged");
        assert_eq!(report.url, "wss://<host>:8089/ws");
    }
}

// The commonest misconfigurations, each alone.

#[test]
fn tls_is_off() {
    let text = Rig::sip().change("http", "tlsenable=yes", "").fault();
    says(&text, &["http.conf [general]", "tlsenable = yes", "tlsbindaddr = 0.0.0.0:8089"]);
    assert!(!text.contains("tlscertfile"), "that is there: {text}");
    let mut rig = Rig::sip();
    rig.put("http", "");
    says(&rig.fault(), &["tlsenable = yes", "tlscertfile ="]);
    // Other spellings that Asterisk takes.
    let rig = Rig::sip().change("http", "tlsenable", "sslenable").change("http", "tlscertfile", "sslcert");
    assert_eq!(rig.report(None).unwrap().findings, []);
}

#[test]
fn tls_needs_an_address() {
    let rig = Rig::sip().change("http", "[general]\nenabled=yes", "[general]\nenabled=no");
    let rig = rig.change("http", "tlsbindaddr=0.0.0.0:8089\n", "");
    says(&rig.fault(), &["enabled = yes"]);
    let alone = Rig::sip().change("http", "[general]\nenabled=yes", "[general]\nenabled=no");
    assert_eq!(alone.report(None).unwrap().findings, [], "an address of its own is enough");
    let local = Rig::sip().change("http", "tlsbindaddr=0.0.0.0:8089", "tlsbindaddr=127.0.0.1:8089");
    says(&local.advice(), &["loopback"]);
}

#[test]
fn the_certificate_cannot_be_used() {
    let mut rig = Rig::sip();
    rig.certificate = Err("/http.pem: holds no private key".into());
    says(&rig.fault(), &["/http.pem: holds no private key", "does not start", "tlscertfile =", "tlsprivatekey ="]);
    let text = Rig::sip().change("http", "tlscertfile=/http.pem\n", "").fault();
    says(&text, &["no certificate is named", "tlscertfile ="]);
}

#[test]
fn the_certificate_is_one_that_browsers_refuse() {
    type Change = fn(&mut Certificate);
    let cases: [(Change, &str); 5] = [
        (|c| c.not_after = NOW, "has expired"),
        (|c| c.not_before = NOW + 1, "not valid yet"),
        (|c| c.has_alternative_name = false, "no subjectAltName"),
        (|c| c.weak_digest = Some("SHA-1"), "signed with SHA-1"),
        (|c| c.rsa_bits = Some(1024), "has 1024 bits"),
    ];
    for (change, words) in cases {
        says(&Rig::sip().certificate(change).fault(), &["/http.pem", words, "browsers refuse it", "tlscertfile ="]);
    }
    says(&Rig::sip().certificate(|c| c.is_self_signed = true).advice(), &["self-signed"]);
    says(&Rig::sip().certificate(|c| c.not_after = NOW + 3 * 86400).advice(), &["expires in 3 day(s)"]);
}

#[test]
fn ice_is_off() {
    let mut rig = Rig::sip();
    rig.put("rtp", "[general]\nicesupport=no\n");
    says(&rig.fault(), &["rtp.conf [general]", "icesupport = yes"]);
    rig.put("rtp", "[general]\nicesupport=no\nicesupport=yes\n");
    says(&rig.fault(), &["rtp.conf [general]"]);
    says(
        &Rig::sip().change("sip", "icesupport=yes", "icesupport=no").fault(),
        &["sip.conf [1001]", "icesupport = yes"],
    );
    // Where the peer says nothing, [general] holds.
    let rig =
        Rig::sip().change("sip", "icesupport=yes\n", "").change("sip", "[general]\n", "[general]\nicesupport=yes\n");
    assert_eq!(rig.report(None).unwrap().findings, []);
}

#[test]
fn a_switch_of_the_peer_is_off() {
    for name in ["encryption", "dtlsenable", "avpf", "rtcp_mux"] {
        let text = Rig::sip().change("sip", &format!("{name}=yes\n"), "").fault();
        says(&text, &["sip.conf [1001]", &format!("{name} is off"), &format!("    {name} = yes\n")]);
    }
    // In [general] these do not count.
    for name in ["encryption", "dtlsenable", "avpf"] {
        let rig = Rig::sip().change("sip", &format!("{name}=yes\n"), "");
        let rig = rig.change("sip", "[general]\n", &format!("[general]\n{name}=yes\n"));
        says(&rig.fault(), &[&format!("{name} is off")]);
    }
    let mut old = Rig::sip().change("sip", "rtcp_mux=yes\n", "");
    old.has_rtcp_mux = false;
    assert_eq!(old.report(None).unwrap().findings, [], "chan_sip of 11 has no such option");
}

#[test]
fn the_transport_is_not_wss_alone() {
    says(&Rig::sip().change("sip", "transport=wss", "transport=ws").fault(), &["wss is not among", "transport = wss"]);
    says(
        &Rig::sip().change("sip", "transport=wss", "transport=wss,ws").fault(),
        &["cannot be called", "transport = wss"],
    );
    let inherited = Rig::sip().change("sip", "transport=wss\n", "");
    says(&inherited.fault(), &["cannot be called", "transport = wss"]);
}

#[test]
fn the_peer_has_no_certificate_where_it_needs_one() {
    let none = || Rig::sip().change("sip", "dtlscertfile=/dtls.pem\n", "");
    assert_eq!(none().report(None).unwrap().findings, [], "our engine makes one");
    let mut rig = none();
    rig.loaded.push("res_rtp_asterisk");
    let report = rig.report(None).unwrap();
    assert_eq!(report.faults(), 1);
    says(&report.findings[0].to_string(), &["sip.conf [1001]", "no certificate", "dtlscertfile ="]);
    let mut rig = none().change("sip", "avpf=yes", "avpf=yes\ndtlsautogeneratecert=yes\nrtp_engine=asterisk");
    rig.loaded.push("res_rtp_asterisk");
    assert_eq!(rig.report(None).unwrap().faults(), 0);
    says(&Rig::sip().change("sip", "/dtls.pem", "/gone.pem").fault(), &["/gone.pem does not exist", "dtlscertfile ="]);
    let both = Rig::sip().change("sip", "avpf=yes", "avpf=yes\ndtlsautogeneratecert=yes");
    says(&both.fault(), &["exclude each other", "dtlsautogeneratecert = no"]);
    says(&Rig::sip().change("sip", "dtlsverify=fingerprint", "dtlsverify=yes").fault(), &["dtlsverify = fingerprint"]);
}

#[test]
fn the_module_is_not_in_modules_conf_or_comes_too_late() {
    let unlisted = Rig::sip().change("modules", "load=res_rust_webrtc.so\n", "");
    says(&unlisted.fault(), &["modules.conf [modules]", "not listed", "load = res_rust_webrtc.so"]);
    let noload = Rig::sip().change("modules", "load=res_rust_webrtc.so", "noload=res_rust_webrtc.so");
    says(&noload.fault(), &["remove: noload"]);
    let preloaded = Rig::sip().change("modules", "load=chan_sip.so", "preload=chan_sip.so");
    says(&preloaded.fault(), &["preloaded", "load = chan_sip.so"]);
    let both = preloaded.change("modules", "autoload=no\n", "autoload=no\npreload=res_http_websocket.so\n");
    assert_eq!(both.report(None).unwrap().findings, [], "stock's server, whose protocols are ours, is there");
    let mut late = Rig::sip();
    late.serves = false;
    says(&late.fault(), &["chan_sip was started before this module", "load = res_rust_webrtc.so"]);
    let off = late.change("sip", "[general]\n", "[general]\nwebsocket_enabled=no\n");
    says(&off.fault(), &["websocket_enabled = yes"]);
    let mut bare = Rig::pjsip();
    bare.loaded.retain(|name| *name != "res_pjsip_transport_websocket");
    says(&bare.fault(), &["load = res_pjsip_transport_websocket.so"]);
}

#[test]
fn another_engine_serves_the_peer() {
    let mut rig = Rig::sip();
    rig.loaded.push("res_rtp_asterisk");
    says(&rig.advice(), &["sip.conf [1001]", "rtp_engine = webrtc"]);
    let mut rig = rig.change("sip", "avpf=yes", "avpf=yes\nrtp_engine=webrtc");
    assert_eq!(rig.report(None).unwrap().findings, []);
    rig.put("sip", &rig.files[3].1.replace("rtp_engine=webrtc", "rtp_engine=other"));
    says(&rig.advice(), &["rtp_engine = webrtc"]);
}

#[test]
fn the_http_server_has_too_few_sessions() {
    let rig = Rig::sip().change("http", "enabled=yes\nbindaddr", "enabled=yes\nsessionlimit=1\nbindaddr");
    says(&rig.fault(), &["sessionlimit is 1", "sessionlimit = 100"]);
    let mut many = Rig::sip();
    let peer = SIP.split("[1001]").nth(1).unwrap().split("[2001]").next().unwrap();
    let peers: String = (0..150).map(|n| format!("[3{n:03}]{peer}")).collect();
    many.put("sip", &peers);
    says(&many.fault(), &["sessionlimit is 100", "sessionlimit = 200"]);
}

#[test]
fn nothing_is_allowed_that_chrome_speaks() {
    for allowed in ["gsm", "g729,vp8", "all,!opus,!ulaw,!alaw,!g722"] {
        let text = Rig::sip().change("sip", "allow=opus,ulaw", &format!("allow={allowed}")).fault();
        says(&text, &["sip.conf [1001]", "no audio is allowed", "allow = opus,ulaw,alaw,g722,vp8,h264"]);
    }
    for allowed in ["g722:40", "all", "gsm|alaw"] {
        let rig = Rig::sip().change("sip", "allow=opus,ulaw", &format!("allow={allowed}"));
        assert_eq!(rig.report(None).unwrap().findings, [], "{allowed}");
    }
    let silent = Rig::sip().change("sip", "disallow=all\nallow=opus,ulaw\n", "");
    assert_eq!(silent.report(None).unwrap().findings, [], "chan_sip allows ulaw and alaw by itself");
    says(&Rig::pjsip().change("pjsip", "allow=!all,opus,ulaw\n", "").fault(), &["no audio is allowed"]);
}

#[test]
fn an_endpoint_of_pjsip_lacks_what_webrtc_turns_on() {
    let text = Rig::pjsip().change("pjsip", "webrtc=yes", "media_encryption=dtls\nuse_avpf=yes\nrtcp_mux=no").fault();
    says(&text, &["pjsip.conf [1001]", "ice_support, rtcp_mux", "webrtc = yes"]);
    assert!(!text.contains("use_avpf"), "{text}");
    let whole = "media_encryption=dtls\nuse_avpf=yes\nrtcp_mux=yes\nice_support=yes\ndtls_verify=fingerprint";
    let rig = Rig::pjsip().change("pjsip", "webrtc=yes", whole);
    assert_eq!(rig.report(None).unwrap().findings, []);
    says(&rig.change("pjsip", "fingerprint", "certificate").fault(), &["dtls_verify = fingerprint"]);
    let meant = Rig::pjsip().change("pjsip", "webrtc=yes", "transport=transport-wss").fault();
    says(&meant, &["ice_support, use_avpf, rtcp_mux, media_encryption=dtls", "webrtc = yes"]);
    says(&Rig::pjsip().change("pjsip", "protocol=wss", "protocol=udp").advice(), &["protocol = wss"]);
}

#[test]
fn nobody_is_a_browser() {
    let mut rig = Rig::sip();
    rig.put("sip", "[2001]\ntype=peer\nallow=ulaw\n");
    says(&rig.fault(), &["sip.conf [<peer>]", "transport = wss", "dtlsenable = yes", "rtcp_mux = yes"]);
    let rig = Rig::pjsip().change("pjsip", "webrtc=yes\n", "");
    says(&rig.fault(), &["pjsip.conf [<endpoint>]", "webrtc = yes"]);
}

#[test]
fn the_same_of_several_peers_is_said_once() {
    let mut rig = Rig::sip().change("sip", "avpf=yes\n", "");
    let peer = rig.files[3].1.split("[1001]").nth(1).unwrap().split("[2001]").next().unwrap().to_owned();
    rig.put("sip", &(0..9).map(|n| format!("[30{n}]{peer}")).collect::<String>());
    let text = rig.fault();
    says(&text, &["sip.conf [300], [301], [302], [303], [304], [305] and 3 more\n", "avpf = yes"]);
    assert_eq!(text.matches("avpf = yes").count(), 1);
}

#[test]
fn one_peer_is_judged_by_name() {
    let report = Rig::sip().report(Some("2001")).unwrap();
    assert_eq!(report.peers, ["SIP/2001"]);
    assert!(report.faults() >= 6, "{:#?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.sections == ["2001"]));
    assert_eq!(Rig::sip().report(Some("general")), None);
    assert_eq!(Rig::pjsip().report(Some("transport-wss")), None);
}

#[test]
fn faults_come_before_advice() {
    let rig = Rig::sip().certificate(|c| c.is_self_signed = true).change("sip", "avpf=yes\n", "");
    let severities: Vec<Severity> = rig.report(None).unwrap().findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Fault, Severity::Advice]);
}

#[test]
fn where_browsers_connect() {
    let url = |text: &str| http::url(&lines(&format!("[general]\n{text}")));
    assert_eq!(url("tlsbindaddr=0.0.0.0:443\nprefix=pbx\n"), "wss://<host>:443/pbx/ws");
    assert_eq!(url("tlsbindaddr=[::]:8443\n"), "wss://<host>:8443/ws");
    assert_eq!(url("tlsbindaddr=fe80::1\n"), "wss://<host>:8089/ws");
    assert_eq!(url("tlsbindaddr=0.0.0.0\n"), "wss://<host>:8089/ws");
}
