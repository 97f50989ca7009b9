//! The table of options: where each stands, how it is read, how it is shown.

use std::time::Duration;

use super::acl::Sense;
use super::value::{clamped, flag, host_port, list, number, origin, srtp_profile};
use super::{Settings, Source, Strict};

const STUN_PORT: u16 = 3478;

pub(super) struct Key {
    pub source: Source,
    pub category: &'static str,
    pub name: &'static str,
    /// Other spellings that stock takes.
    pub aliases: &'static [&'static str],
    /// Each occurrence adds to the value.
    pub repeats: bool,
    /// Stores the value. `Err` says why the value is not used as written.
    pub set: fn(&mut Settings, &str) -> Result<(), String>,
    pub show: fn(&Settings) -> String,
}

impl Key {
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

type Set = fn(&mut Settings, &str) -> Result<(), String>;
type Show = fn(&Settings) -> String;

const fn rtp(name: &'static str, set: Set, show: Show) -> Key {
    Key { source: Source::Rtp, category: "general", name, aliases: &[], repeats: false, set, show }
}

const fn rules(name: &'static str, aliases: &'static [&'static str], set: Set, show: Show) -> Key {
    Key { aliases, repeats: true, ..rtp(name, set, show) }
}

const fn http(name: &'static str, set: Set, show: Show) -> Key {
    Key { source: Source::Http, ..rtp(name, set, show) }
}

const fn websocket(name: &'static str, set: Set, show: Show) -> Key {
    Key { source: Source::Webrtc, category: "websocket", ..rtp(name, set, show) }
}

const fn rtc(name: &'static str, set: Set, show: Show) -> Key {
    Key { source: Source::Webrtc, category: "rtc", ..rtp(name, set, show) }
}

pub(super) const KEYS: &[Key] = &[
    websocket(
        "max_message_size",
        |s, v| store(&mut s.websocket.max_message_size, number(v, 1024..=16 * 1024 * 1024)),
        |s| s.websocket.max_message_size.to_string(),
    ),
    websocket(
        "send_queue",
        |s, v| store(&mut s.websocket.send_queue, number(v, 65536..=64 * 1024 * 1024)),
        |s| s.websocket.send_queue.to_string(),
    ),
    websocket(
        "write_timeout",
        |s, v| store(&mut s.websocket.write_timeout, number(v, 10..=600_000).map(Duration::from_millis)),
        |s| s.websocket.write_timeout.as_millis().to_string(),
    ),
    websocket(
        "ping_interval",
        |s, v| store(&mut s.websocket.ping_interval, seconds(v)),
        |s| shown_seconds(s.websocket.ping_interval),
    ),
    websocket(
        "idle_timeout",
        |s, v| store(&mut s.websocket.idle_timeout, seconds(v)),
        |s| shown_seconds(s.websocket.idle_timeout),
    ),
    websocket(
        "max_sessions",
        |s, v| store(&mut s.websocket.max_sessions, limit(v)),
        |s| shown_limit(s.websocket.max_sessions),
    ),
    websocket(
        "max_sessions_per_address",
        |s, v| store(&mut s.websocket.max_sessions_per_address, limit(v)),
        |s| shown_limit(s.websocket.max_sessions_per_address),
    ),
    websocket(
        "allowed_origins",
        |s, v| store(&mut s.websocket.allowed_origins, list(v, origin)),
        |s| s.websocket.allowed_origins.join(", "),
    ),
    websocket(
        "trusted_proxies",
        |s, v| store(&mut s.websocket.trusted_proxies, list(v, str::parse)),
        |s| s.websocket.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    ),
    websocket(
        "permessage_deflate",
        |s, v| store(&mut s.websocket.permessage_deflate, flag(v)),
        |s| shown_flag(s.websocket.permessage_deflate),
    ),
    rtc("workers", |s, v| store(&mut s.rtc.workers, workers(v)), |s| shown_limit(s.rtc.workers)),
    rtc("ice_lite", |s, v| store(&mut s.rtc.ice_lite, flag(v)), |s| shown_flag(s.rtc.ice_lite)),
    rtc(
        "ice_timeout",
        |s, v| store(&mut s.rtc.ice_timeout, number(v, 1..=600).map(Duration::from_secs)),
        |s| s.rtc.ice_timeout.as_secs().to_string(),
    ),
    rtc("gather_ready", |s, v| store(&mut s.rtc.gather_ready, number(v, 0..=64)), |s| s.rtc.gather_ready.to_string()),
    rtc(
        "gather_wait",
        |s, v| store(&mut s.rtc.gather_wait, number(v, 0..=200).map(Duration::from_millis)),
        |s| s.rtc.gather_wait.as_millis().to_string(),
    ),
    rtc("srtp_profiles", srtp_profiles, |s| {
        s.rtc.srtp_profiles.iter().map(|profile| profile.name()).collect::<Vec<_>>().join(", ")
    }),
    rtc("rtcp_feedback", |s, v| store(&mut s.rtc.rtcp_feedback, flag(v)), |s| shown_flag(s.rtc.rtcp_feedback)),
    rtp("rtpstart", |s, v| port(&mut s.rtp.port_start, v), |s| s.rtp.port_start.to_string()),
    rtp("rtpend", |s, v| port(&mut s.rtp.port_end, v), |s| s.rtp.port_end.to_string()),
    rtp("rtpchecksums", |s, v| store(&mut s.rtp.checksums, flag(v)), |s| shown_flag(s.rtp.checksums)),
    rtp("dtmftimeout", |s, v| store(&mut s.rtp.dtmf_timeout, number(v, 0..=64000)), |s| s.rtp.dtmf_timeout.to_string()),
    rtp("rtcpinterval", rtcp_interval, |s| s.rtp.rtcp_interval.as_millis().to_string()),
    rtp(
        "strictrtp",
        |s, v| store(&mut s.rtp.strict, strict(v)),
        |s| {
            match s.rtp.strict {
                Strict::No => "no",
                Strict::Yes => "yes",
                Strict::Seqno => "seqno",
            }
            .to_owned()
        },
    ),
    rtp("probation", |s, v| store(&mut s.rtp.probation, number(v, 2..=1000)), |s| s.rtp.probation.to_string()),
    rtp(
        "srtpreplayprotection",
        |s, v| store(&mut s.rtp.srtp_replay_protection, flag(v)),
        |s| shown_flag(s.rtp.srtp_replay_protection),
    ),
    rtp("icesupport", |s, v| store(&mut s.rtp.ice_support, flag(v)), |s| shown_flag(s.rtp.ice_support)),
    rtp(
        "stun_software_attribute",
        |s, v| store(&mut s.rtp.stun_software_attribute, flag(v)),
        |s| shown_flag(s.rtp.stun_software_attribute),
    ),
    rtp(
        "stunaddr",
        |s, v| store(&mut s.rtp.stun, host_port(v, STUN_PORT)),
        |s| s.rtp.stun.as_ref().map(ToString::to_string).unwrap_or_default(),
    ),
    rtp(
        "turnaddr",
        |s, v| store(&mut s.rtp.turn, host_port(v, STUN_PORT)),
        |s| s.rtp.turn.as_ref().map(ToString::to_string).unwrap_or_default(),
    ),
    rtp("turnusername", |s, v| store(&mut s.rtp.turn_username, Ok(v.into())), |s| s.rtp.turn_username.clone()),
    // Never shown: the console is read over shoulders and pasted into tickets.
    rtp(
        "turnpassword",
        |s, v| store(&mut s.rtp.turn_password, Ok(v.into())),
        |s| {
            if s.rtp.turn_password.is_empty() { String::new() } else { "(set)".into() }
        },
    ),
    rules(
        "ice_deny",
        &["ice_blacklist"],
        |s, v| s.rtp.ice_acl.append(Sense::Deny, v),
        |s| s.rtp.ice_acl.shown(Sense::Deny),
    ),
    rules("ice_permit", &[], |s, v| s.rtp.ice_acl.append(Sense::Permit, v), |s| s.rtp.ice_acl.shown(Sense::Permit)),
    rules("ice_acl", &[], |s, v| named(&mut s.rtp.ice_acl.named, v), |s| s.rtp.ice_acl.named.join(", ")),
    rules(
        "stun_deny",
        &["stun_blacklist"],
        |s, v| s.rtp.stun_acl.append(Sense::Deny, v),
        |s| s.rtp.stun_acl.shown(Sense::Deny),
    ),
    rules("stun_permit", &[], |s, v| s.rtp.stun_acl.append(Sense::Permit, v), |s| s.rtp.stun_acl.shown(Sense::Permit)),
    rules("stun_acl", &[], |s, v| named(&mut s.rtp.stun_acl.named, v), |s| s.rtp.stun_acl.named.join(", ")),
    rtp("dtls_mtu", |s, v| store(&mut s.rtp.dtls_mtu, number(v, 256..=16384)), |s| s.rtp.dtls_mtu.to_string()),
    http("enabled", |s, v| store(&mut s.http.enabled, flag(v)), |s| shown_flag(s.http.enabled)),
    http("bindaddr", |s, v| store(&mut s.http.bind_address, Ok(v.into())), |s| s.http.bind_address.clone()),
    http("bindport", |s, v| store(&mut s.http.bind_port, number(v, 0..=u16::MAX)), |s| s.http.bind_port.to_string()),
    http("prefix", |s, v| store(&mut s.http.prefix, Ok(v.into())), |s| s.http.prefix.clone()),
    http(
        "sessionlimit",
        |s, v| store(&mut s.http.session_limit, number(v, 1..=i32::MAX as u32)),
        |s| s.http.session_limit.to_string(),
    ),
    http("tlsenable", |s, v| store(&mut s.http.tls_enabled, flag(v)), |s| shown_flag(s.http.tls_enabled)),
    http("tlsbindaddr", |s, v| store(&mut s.http.tls_bind_address, Ok(v.into())), |s| s.http.tls_bind_address.clone()),
    http("tlscertfile", |s, v| store(&mut s.http.tls_certificate, Ok(v.into())), |s| s.http.tls_certificate.clone()),
    http("tlsprivatekey", |s, v| store(&mut s.http.tls_private_key, Ok(v.into())), |s| s.http.tls_private_key.clone()),
];

fn store<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

fn port(place: &mut u16, text: &str) -> Result<(), String> {
    let (n, moved) = clamped(text, &(1024..=65535))?;
    *place = u16::try_from(n).map_err(|_| "not a port")?;
    if moved { Err("outside 1024 to 65535".into()) } else { Ok(()) }
}

fn rtcp_interval(settings: &mut Settings, text: &str) -> Result<(), String> {
    let (n, moved) = clamped(text, &(500..=60000))?;
    settings.rtp.rtcp_interval = Duration::from_millis(n.unsigned_abs());
    if moved { Err("outside 500 to 60000".into()) } else { Ok(()) }
}

fn strict(text: &str) -> Result<Strict, String> {
    if text.eq_ignore_ascii_case("seqno") {
        return Ok(Strict::Seqno);
    }
    match flag(text) {
        Ok(true) => Ok(Strict::Yes),
        Ok(false) => Ok(Strict::No),
        Err(_) => Err("not yes, no or seqno".into()),
    }
}

fn named(lists: &mut Vec<String>, text: &str) -> Result<(), String> {
    lists.extend(list(text, |name| Ok(name.to_owned()))?);
    Ok(())
}

fn seconds(text: &str) -> Result<Option<Duration>, String> {
    number(text, 0..=86400_u64).map(|n| (n > 0).then(|| Duration::from_secs(n)))
}

fn shown_seconds(value: Option<Duration>) -> String {
    value.map_or(0, |duration| duration.as_secs()).to_string()
}

fn limit(text: &str) -> Result<Option<usize>, String> {
    number(text, 0..=1_000_000_usize).map(|n| (n > 0).then_some(n))
}

fn workers(text: &str) -> Result<Option<usize>, String> {
    number(text, 0..=256_usize).map(|n| (n > 0).then_some(n))
}

fn shown_limit(value: Option<usize>) -> String {
    value.unwrap_or(0).to_string()
}

fn shown_flag(value: bool) -> String {
    if value { "yes" } else { "no" }.into()
}

fn srtp_profiles(settings: &mut Settings, text: &str) -> Result<(), String> {
    let profiles = list(text, srtp_profile)?;
    if profiles.is_empty() {
        return Err("no profile is left".into());
    }
    settings.rtc.srtp_profiles = profiles;
    Ok(())
}
