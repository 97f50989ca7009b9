//! `modules.conf`: whether the module is loaded, after each start and in time.
//!
//! From the places of `load` lines alone nothing follows: the loader starts modules by priority,
//! and ours comes before the channel drivers wherever it stands. Only `preload` overtakes it.

use super::{Files, Line, Notes, World, enabled};

const FILE: &str = "modules.conf";
const MODULES: &str = "modules";
const OURS: &str = "res_rust_webrtc";

/// Who registers the subprotocol `sip`.
const CONSUMERS: [&str; 2] = ["chan_sip", "res_pjsip_transport_websocket"];

pub(super) fn check(files: &Files, world: &dyn World, notes: &mut Notes) {
    let lines = &files.modules;
    let ours = places(lines, OURS);
    let autoload = enabled(lines, MODULES, &["autoload"]);
    if ours.noload {
        notes.fault(
            FILE,
            MODULES,
            "this module is kept from being loaded: it is gone after the next start",
            &["; remove: noload = res_rust_webrtc.so"],
        );
    } else if !autoload && !ours.load && !ours.preload {
        notes.fault(
            FILE,
            MODULES,
            "autoload is off and this module is not listed: it is gone after the next start",
            &["load = res_rust_webrtc.so"],
        );
    }
    // What it registers with stock's server this module finds there.
    let stock = places(lines, "res_http_websocket").preload;
    for driver in CONSUMERS {
        if places(lines, driver).preload && !ours.preload && !ours.noload && !stock {
            notes.fault(
                FILE,
                MODULES,
                format!(
                    "{driver} is preloaded and so starts before this module, whose WebSocket server it does not find"
                ),
                &[&format!("load = {driver}.so   ; in place of preload")],
            );
        }
    }
    let (sip, pjsip) = (world.is_loaded("chan_sip"), world.is_loaded("chan_pjsip"));
    let transport = world.is_loaded("res_pjsip_transport_websocket");
    if !sip && !pjsip {
        notes.fault(
            FILE,
            MODULES,
            "no SIP channel driver is loaded",
            &["load = chan_pjsip.so   ; or chan_sip.so, up to Asterisk 20"],
        );
    } else if pjsip && !transport && !sip {
        notes.fault(
            FILE,
            MODULES,
            "chan_pjsip is loaded without its WebSocket transport",
            &["load = res_pjsip_transport_websocket.so"],
        );
    }
    let told = super::option(&files.sip, "general", &["websocket_enabled"]).is_some_and(|value| !super::truth(value));
    if sip && told && !transport {
        notes.fault("sip.conf", "general", "chan_sip is told to leave WebSockets alone", &["websocket_enabled = yes"]);
    } else if let Some(late) = CONSUMERS.iter().find(|name| world.is_loaded(name))
        && !world.serves("sip")
    {
        notes.fault(
            FILE,
            MODULES,
            format!("{late} was started before this module, and /ws does not know the subprotocol sip. Start Asterisk anew, or unload and load {late}"),
            &["load = res_rust_webrtc.so"],
        );
    }
}

/// What modules.conf says of a module.
struct Places {
    load: bool,
    preload: bool,
    noload: bool,
}

fn places(lines: &[Line], module: &str) -> Places {
    let any = |names: &[&str]| {
        lines.iter().any(|line| {
            let value = line.value.trim();
            line.category.eq_ignore_ascii_case(MODULES)
                && names.iter().any(|name| line.name.eq_ignore_ascii_case(name))
                && value.strip_suffix(".so").unwrap_or(value).eq_ignore_ascii_case(module)
        })
    };
    Places { load: any(&["load", "require"]), preload: any(&["preload", "preload-require"]), noload: any(&["noload"]) }
}
