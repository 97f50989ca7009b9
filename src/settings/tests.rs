//! What the three files may say, and what is made of it.

use std::net::IpAddr;
use std::time::Duration;

use super::{Entry, HostCandidate, HostPort, Settings, Source, SrtpProfile, Strict};

/// Reads lines of the form `[category]` and `name = value`, as Asterisk gives them.
fn read(source: Source, text: &str) -> (Settings, Vec<String>) {
    let mut category = "general";
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split(';').next().unwrap_or("").trim();
        if let Some(name) = line.strip_prefix('[') {
            category = name.trim_end_matches(']');
        } else if let Some((name, value)) = line.split_once('=') {
            let (name, value) = (name.trim(), value.trim_start_matches('>').trim());
            entries.push(Entry { source, category, name, value, file: source.file(), line: number });
        }
    }
    let (settings, warnings) = Settings::parse(entries);
    (settings, warnings.iter().map(ToString::to_string).collect())
}

fn rtp(text: &str) -> (Settings, Vec<String>) {
    read(Source::Rtp, text)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn nothing_configured_gives_the_defaults_of_stock() {
    let (settings, warnings) = rtp("");
    assert_eq!(settings, Settings::default());
    assert!(warnings.is_empty());
    assert_eq!((settings.rtp.port_start, settings.rtp.port_end), (5000, 31000));
    assert_eq!(settings.rtp.learning_min_duration(), Duration::from_millis(22));
}

#[test]
fn rtp_conf_is_read_as_stock_reads_it() {
    let (settings, warnings) = rtp("rtpstart=10000\nrtpend=20000\nrtpchecksums=no\ndtmftimeout=3000\n\
         rtcpinterval=2000\nstrictrtp=seqno\nprobation=8\nsrtpreplayprotection=off\nicesupport=false\n\
         stun_software_attribute=no\nstunaddr=stun.example\nturnaddr=192.0.2.7:3480\nturnusername=a\n\
         turnpassword=b\ndtls_mtu=900\n");
    assert_eq!(warnings, Vec::<String>::new());
    let rtp = settings.rtp;
    assert_eq!((rtp.port_start, rtp.port_end), (10000, 20000));
    assert!(!rtp.checksums && !rtp.srtp_replay_protection && !rtp.ice_support && !rtp.stun_software_attribute);
    assert_eq!((rtp.dtmf_timeout, rtp.rtcp_interval), (3000, Duration::from_secs(2)));
    assert_eq!((rtp.strict, rtp.probation, rtp.dtls_mtu), (Strict::Seqno, 8, 900));
    assert_eq!(rtp.stun, Some(HostPort { host: "stun.example".into(), port: 3478 }));
    assert_eq!(rtp.turn, Some(HostPort { host: "192.0.2.7".into(), port: 3480 }));
    assert_eq!((rtp.turn_username.as_str(), rtp.turn_password.as_str()), ("a", "b"));
}

#[test]
fn a_bad_value_is_reported_with_its_line_and_the_default_stands() {
    let (settings, warnings) = rtp("\nrtpstart=many\ndtmftimeout=64001\nstrictrtp=maybe\nicesupport=2\nprobation=1\n\
         stunaddr=host:99999\ndtls_mtu=255\n");
    assert_eq!(settings, Settings::default());
    assert_eq!(
        warnings,
        [
            "rtp.conf line 2: rtpstart = many: not a number; 5000 is used",
            "rtp.conf line 3: dtmftimeout = 64001: not a number from 0 to 64000; 1200 is used",
            "rtp.conf line 4: strictrtp = maybe: not yes, no or seqno; yes is used",
            "rtp.conf line 5: icesupport = 2: neither yes nor no; yes is used",
            "rtp.conf line 6: probation = 1: not a number from 2 to 1000; 4 is used",
            "rtp.conf line 7: stunaddr = host:99999: port: not a number from 1 to 65535; nothing is used",
            "rtp.conf line 8: dtls_mtu = 255: not a number from 256 to 16384; 1200 is used",
        ]
    );
}

#[test]
fn reading_goes_on_after_a_bad_value() {
    let (settings, warnings) = rtp("rtpend=x\ndtmftimeout=2400\n");
    assert_eq!(warnings.len(), 1);
    assert_eq!(settings.rtp.dtmf_timeout, 2400);
}

#[test]
fn values_outside_a_clamped_range_move_to_its_end() {
    let (settings, warnings) = rtp("rtpstart=80\nrtpend=70000\nrtcpinterval=100\n");
    assert_eq!((settings.rtp.port_start, settings.rtp.port_end), (1024, 65535));
    assert_eq!(settings.rtp.rtcp_interval, Duration::from_millis(500));
    assert_eq!(warnings.len(), 3);
    assert_eq!(warnings[0], "rtp.conf line 1: rtpstart = 80: outside 1024 to 65535; 1024 is used");
}

#[test]
fn an_odd_first_port_is_rounded_up() {
    let (settings, warnings) = rtp("rtpstart=10001\nrtpend=20000\n");
    assert_eq!(settings.rtp.port_start, 10002);
    assert_eq!(warnings, ["rtp.conf line 2: rtpstart is odd; 10002 is used"]);
    // The last port of all is odd, and there is none above it to round up to.
    let (settings, warnings) = rtp("rtpstart=65535\nrtpend=65535\n");
    assert_eq!((settings.rtp.port_start, settings.rtp.port_end), (5000, 31000));
    assert_eq!(warnings.len(), 2);
}

#[test]
fn a_port_range_upside_down_falls_back_to_the_default() {
    let (settings, warnings) = rtp("rtpstart=20000\nrtpend=10000\n");
    assert_eq!((settings.rtp.port_start, settings.rtp.port_end), (5000, 31000));
    assert_eq!(warnings, ["rtp.conf line 2: rtpstart 20000 is not below rtpend 10000; 5000 to 31000 is used"]);
}

#[test]
fn the_first_of_two_equal_names_counts_in_rtp_conf() {
    let (settings, warnings) = rtp("dtmftimeout=100\nDTMFTimeout=200\n");
    assert_eq!(settings.rtp.dtmf_timeout, 100);
    assert_eq!(warnings, ["rtp.conf line 2: dtmftimeout is given again; the first value stays"]);
}

#[test]
fn the_last_matching_rule_of_an_acl_decides() {
    let (settings, warnings) = rtp("ice_deny=0.0.0.0/0\nice_permit=192.0.2.0/255.255.255.0,2001:db8::/32\n\
         ice_blacklist=!198.51.100.1,192.0.2.9\nstun_acl=lan\n");
    assert_eq!(warnings, Vec::<String>::new());
    let acl = &settings.rtp.ice_acl;
    assert!(!acl.allows(ip("203.0.113.1")));
    assert!(acl.allows(ip("192.0.2.1")));
    assert!(acl.allows(ip("::ffff:192.0.2.1")), "IPv4-mapped is IPv4");
    assert!(!acl.allows(ip("192.0.2.9")));
    assert!(acl.allows(ip("198.51.100.1")), "'!' turns the sense round");
    assert!(acl.allows(ip("2001:db9::1")), "no rule speaks of it");
    assert_eq!(settings.rtp.stun_acl.named, ["lan"]);
}

#[test]
fn each_option_of_an_acl_shows_what_it_holds() {
    let (settings, _) = rtp("ice_deny=192.0.2.7/24\nice_permit=198.51.100.1,!203.0.113.0/24\nice_acl=lan,wan\n");
    let differing: Vec<_> = settings.shown().into_iter().filter(|option| !option.is_default).collect();
    let shown: Vec<_> = differing.iter().map(|option| (option.name, option.value.as_str())).collect();
    let expected =
        [("ice_deny", "192.0.2.0/24, 203.0.113.0/24"), ("ice_permit", "198.51.100.1/32"), ("ice_acl", "lan, wan")];
    assert_eq!(shown, expected);
}

#[test]
fn a_bad_rule_adds_nothing() {
    for bad in ["192.0.2.0/33", "192.0.2.0/255.0.255.0", "host.example", "192.0.2.0/24,nonsense", "::1/129", ""] {
        let (settings, warnings) = rtp(&format!("ice_deny={bad}\n"));
        assert!(settings.rtp.ice_acl.allows(ip("192.0.2.1")), "{bad}");
        assert_eq!(warnings.len(), 1, "{bad}");
    }
}

#[test]
fn host_candidates_are_a_list_of_their_own() {
    let (settings, warnings) = rtp("[ice_host_candidates]\n192.168.1.10 => 192.0.2.4\n\
         192.168.1.11 => 192.0.2.5, include_local_address\nfe80::1 => nowhere\n");
    assert_eq!(
        settings.rtp.host_candidates,
        [
            HostCandidate { local: ip("192.168.1.10"), advertised: ip("192.0.2.4"), include_local: false },
            HostCandidate { local: ip("192.168.1.11"), advertised: ip("192.0.2.5"), include_local: true },
        ]
    );
    assert_eq!(warnings, ["rtp.conf line 4: fe80::1 => nowhere: 'nowhere' is not an IP address; the line is ignored"]);
}

#[test]
fn addresses_with_and_without_port() {
    for (text, host, port) in [
        ("stun.example:19302", "stun.example", 19302),
        ("[2001:db8::1]:5349", "2001:db8::1", 5349),
        ("[2001:db8::1]", "2001:db8::1", 3478),
        ("2001:db8::1", "2001:db8::1", 3478),
    ] {
        let (settings, warnings) = rtp(&format!("stunaddr={text}\n"));
        assert_eq!(settings.rtp.stun, Some(HostPort { host: host.into(), port }), "{text} {warnings:?}");
    }
    for bad in ["[::1", "[stun.example]", "[::1]x", ":3478", "a b", "host:0"] {
        let (settings, warnings) = rtp(&format!("stunaddr={bad}\n"));
        assert_eq!((settings.rtp.stun, warnings.len()), (None, 1), "{bad}");
    }
    assert_eq!(rtp("stunaddr=\n").1, Vec::<String>::new(), "an empty address is none");
}

#[test]
fn unknown_names_matter_only_in_our_own_file() {
    assert_eq!(rtp("media_experimental=1\n").1, Vec::<String>::new());
    let (_, warnings) = read(Source::Webrtc, "[websocket]\nmax_mesage_size=1\n[rtp]\nworkers=1\n");
    assert_eq!(
        warnings,
        [
            "webrtc.conf line 2: unknown option 'max_mesage_size' in [websocket]",
            "webrtc.conf line 4: unknown option 'workers' in [rtp]"
        ]
    );
}

#[test]
fn webrtc_conf_is_read() {
    let (settings, warnings) = read(
        Source::Webrtc,
        "[websocket]\nmax_message_size=131072\nping_interval=0\nidle_timeout=60\nwrite_timeout=100\nmax_sessions=500\n\
         allowed_origins=https://Phone.example, http://localhost:8080\ntrusted_proxies=127.0.0.1,10.0.0.0/8\n\
         permessage_deflate=yes\n[rtc]\nworkers=2\nice_lite=yes\nice_timeout=7\nsrtp_profiles=srtp_aead_aes_256_gcm\n\
         rtcp_feedback=no\ngather_ready=0\ngather_wait=200\n",
    );
    assert_eq!(warnings, Vec::<String>::new());
    let ws = settings.websocket;
    assert_eq!((ws.max_message_size, ws.ping_interval, ws.max_sessions), (131_072, None, Some(500)));
    assert_eq!((ws.idle_timeout, ws.write_timeout), (Some(Duration::from_secs(60)), Duration::from_millis(100)));
    assert_eq!(ws.allowed_origins, ["https://phone.example", "http://localhost:8080"]);
    assert!(ws.trusted_proxies.iter().any(|network| network.contains(ip("10.9.8.7"))));
    assert!(ws.permessage_deflate);
    assert_eq!((settings.rtc.workers, settings.rtc.ice_lite), (Some(2), true));
    assert_eq!(settings.rtc.ice_timeout, Duration::from_secs(7));
    assert!(!settings.rtc.rtcp_feedback);
    assert_eq!((settings.rtc.gather_ready, settings.rtc.gather_wait), (0, Duration::from_millis(200)));
    assert_eq!(settings.rtc.srtp_profiles, [SrtpProfile::AeadAes256Gcm]);
}

#[test]
fn lists_with_one_bad_item_are_refused_whole() {
    for bad in ["allowed_origins=https://a.example,b.example", "trusted_proxies=127.0.0.1,proxy"] {
        let (settings, warnings) = read(Source::Webrtc, &format!("[websocket]\n{bad}\n"));
        assert_eq!((settings, warnings.len()), (Settings::default(), 1), "{bad}");
    }
    for bad in ["srtp_profiles=", "srtp_profiles=NULL"] {
        let (settings, warnings) = read(Source::Webrtc, &format!("[rtc]\n{bad}\n"));
        assert_eq!((settings, warnings.len()), (Settings::default(), 1), "{bad}");
    }
}

#[test]
fn http_conf_is_read_for_what_a_browser_needs() {
    let (settings, warnings) = read(
        Source::Http,
        "enabled=yes\nbindport=8088\nprefix=asterisk\ntlsenable=yes\ntlscertfile=/etc/a.pem\nredirect=/ /static\n",
    );
    assert_eq!(warnings, Vec::<String>::new());
    assert!(settings.http.enabled && settings.http.tls_enabled);
    assert_eq!((settings.http.prefix.as_str(), settings.http.tls_certificate.as_str()), ("asterisk", "/etc/a.pem"));
}

#[test]
fn a_password_is_not_shown() {
    let (settings, _) = rtp("turnpassword=secret\n");
    let shown = settings.shown();
    assert!(shown.iter().all(|option| !option.value.contains("secret")));
    let password = shown.iter().find(|option| option.name == "turnpassword").unwrap();
    assert_eq!((password.value.as_str(), password.is_default), ("(set)", false));
}

/// The sample is the documentation: it must name every option of ours, each with its default.
#[test]
fn the_sample_documents_every_option_with_its_default() {
    let sample = include_str!("../../configs/webrtc.conf.sample");
    assert!(read(Source::Webrtc, sample).1.is_empty());
    let ours: Vec<_> = Settings::default().shown().into_iter().filter(|key| key.source == Source::Webrtc).collect();
    let mut category = "";
    let mut documented = Vec::new();
    for line in sample.lines() {
        if let Some(name) = line.strip_prefix('[') {
            category = name.trim_end_matches(']');
        } else if let Some((name, value)) = line.strip_prefix(';').and_then(|line| line.split_once(" ="))
            && !name.starts_with(' ')
        {
            documented.push((category, name, value.trim()));
        }
    }
    let expected: Vec<_> = ours.iter().map(|key| (key.category, key.name, key.value.as_str())).collect();
    assert_eq!(documented, expected);
}
