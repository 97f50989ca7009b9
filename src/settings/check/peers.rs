//! What chan_sip's peers and chan_pjsip's endpoints have in common.

use super::{Line, Notes, World, codecs};

/// One peer or endpoint, with the names that its driver has for the options.
pub(super) struct Peer<'a> {
    pub file: &'static str,
    pub name: &'a str,
    pub own: &'a [Line],
    /// What holds where the peer says nothing.
    pub general: Vec<&'a Line>,
    pub options: &'static Options,
}

pub(super) struct Options {
    pub certificate: &'static str,
    pub key: &'static str,
    pub generate: &'static str,
    /// Codecs where nothing is said.
    pub codecs: &'static [&'static str],
}

impl<'a> Peer<'a> {
    /// The peer's own value.
    pub fn own(&self, name: &str) -> Option<&'a str> {
        self.own.iter().rev().find(|line| line.name.eq_ignore_ascii_case(name)).map(|line| line.value.trim())
    }

    /// The peer's own value, else the general one.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        let general = || self.general.iter().rev().find(|line| line.name.eq_ignore_ascii_case(name));
        self.own(name).or_else(|| general().map(|line| line.value.trim()))
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.value(name).is_some_and(super::truth)
    }

    pub fn fault(&self, notes: &mut Notes, text: impl Into<String>, lines: &[&str]) {
        notes.fault(self.file, self.name, text, lines);
    }

    /// The rules that are the same for both drivers; `dtls`: whether DTLS is on.
    pub fn check(&self, world: &dyn World, dtls: bool, notes: &mut Notes) {
        if dtls {
            self.dtls(world, notes);
        }
        let lines = self.general.iter().copied().chain(self.own);
        if !codecs::has_audio(lines, self.options.codecs) {
            self.fault(
                notes,
                "no audio is allowed that Chrome speaks",
                &["disallow = all", "allow = opus,ulaw,alaw,g722,vp8,h264"],
            );
        }
        let engine = self.value("rtp_engine").unwrap_or("asterisk");
        let stock = world.is_loaded("res_rtp_asterisk");
        if !engine.eq_ignore_ascii_case("webrtc") && (stock || !engine.eq_ignore_ascii_case("asterisk")) {
            notes.advice(
                self.file,
                self.name,
                "served by another RTP engine than this module's",
                &["rtp_engine = webrtc"],
            );
        }
    }

    fn is_ours(&self, world: &dyn World) -> bool {
        match self.value("rtp_engine") {
            Some(engine) if engine.eq_ignore_ascii_case("webrtc") => true,
            Some(engine) if !engine.eq_ignore_ascii_case("asterisk") => false,
            _ => !world.is_loaded("res_rtp_asterisk"),
        }
    }

    fn dtls(&self, world: &dyn World, notes: &mut Notes) {
        let Options { certificate, key, generate, .. } = *self.options;
        let file = self.value(certificate).filter(|file| !file.is_empty());
        let generated = self.is_on(generate);
        match file {
            Some(_) if generated => self.fault(
                notes,
                format!("{certificate} and {generate} exclude each other, and Asterisk refuses the peer"),
                &[&format!("{generate} = no")],
            ),
            Some(file) => {
                let key = self.value(key).filter(|key| !key.is_empty());
                if let Err(sentence) = world.certificate(file, key) {
                    let line = format!("{certificate} = /etc/asterisk/keys/asterisk.pem   ; certificate and key");
                    self.fault(notes, format!("{sentence}: DTLS calls are refused"), &[&line]);
                }
            }
            // Our engine makes one, and chan_pjsip asks for one with webrtc=yes.
            None if generated || self.is_ours(world) || self.is_on("webrtc") => {}
            None => self.fault(
                notes,
                "DTLS is on, and stock's engine has no certificate for it",
                &[&format!("{certificate} = /etc/asterisk/keys/asterisk.pem   ; or: rtp_engine = webrtc")],
            ),
        }
    }
}

/// There is nobody to judge: shows what a browser's peer looks like.
pub(super) fn none(world: &dyn World, notes: &mut Notes) {
    const TEXT: &str = "nobody here is set up for a browser. In the section of one who is to be:";
    if world.is_loaded("chan_pjsip") {
        notes.fault(
            "pjsip.conf",
            "<endpoint>",
            TEXT,
            &["webrtc = yes", "disallow = all", "allow = opus,ulaw,alaw,g722,vp8,h264"],
        );
    } else if world.is_loaded("chan_sip") {
        let mut lines =
            vec!["transport = wss", "encryption = yes", "avpf = yes", "force_avp = yes", "icesupport = yes"];
        if world.has_rtcp_mux() {
            lines.push("rtcp_mux = yes");
        }
        lines.extend(["dtlsenable = yes", "dtlsverify = fingerprint", "dtlssetup = actpass"]);
        notes.fault("sip.conf", "<peer>", TEXT, &lines);
    }
}

/// The sections of a file, each with its lines.
pub(super) fn sections(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    lines.chunk_by(|a, b| a.section == b.section)
}
