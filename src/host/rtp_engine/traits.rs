//! What a session must be able to do for Asterisk: the three tables of `rtp_engine.h` as safe
//! traits, implemented by one type `T` per engine.
//!
//! # How Asterisk calls
//!
//! An [`Instance`] is Asterisk's object; its data is an `Arc<T>` that [`RtpEngine::new`] returned
//! and that the host drops after [`RtpEngine::destroy`]. Every method takes `&self`:
//!
//! - 13 and later call with the instance's (recursive) ao2 lock held, except `local_bridge` and
//!   `dtmf_compatible`, which native bridging calls without; 11 never locks. The channel's and the
//!   SIP dialog's locks may be held too. Nothing here may block.
//! - Methods may be called from any thread, and `fd`, `read`, `write`, `get_stats` on one thread
//!   while the signalling methods run on another wherever Asterisk does not lock.
//! - A method may call back into Asterisk through its [`Instance`] (with none of our own locks
//!   held); [`Instance::set_remote_address`] comes back at once as
//!   [`RtpEngine::remote_address_set`].
//! - A panic is caught at the boundary: [`RtpEngine::close`] is called, and from then on Asterisk
//!   gets failure values and `read` answers with a hangup. Other sessions go on.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use super::candidate::{Candidate, Component, IceRole};
use super::dtls::{DtlsConfig, DtlsConnection, DtlsSetup, Hash};
use super::instance::Instance;
use super::types::{DtmfMode, Extension, Hangup, Payload, Property, Stats, TurnServer};
use crate::host::format::{Format, FormatCap};
use crate::host::frame::{FrameList, OutFrame};

/// The main table, `struct ast_rtp_engine`. The host answers `dtmf_compatible` itself, packetizes
/// what `write` is given (`ast_smoother`, by the negotiated framing), and does not implement the
/// extended properties, which are untyped and which nothing in Asterisk uses.
pub trait RtpEngine: Send + Sync + Sized + 'static {
    /// A new instance, bound to `address` when that is given (its port is ours to choose). Must
    /// call [`Instance::set_local_address`]: the port that `m=` announces is taken from there.
    /// Called on the SIP monitor thread with the dialog locked. `None` refuses the call.
    fn new(instance: &Instance<'_>, address: Option<SocketAddr>) -> Option<Arc<Self>>;

    /// The last reference to the instance is gone; may come long after the call, on any thread.
    /// Nothing else is called afterwards.
    fn destroy(&self, instance: &Instance<'_>);

    /// An internal error in one of the methods: release what the session holds and be ready for
    /// `destroy` only.
    fn close(&self);

    /// One packet's worth of voice, video or text, or a feedback request
    /// ([`OutFrame::kind`](crate::host::frame::OutFrame::kind)). `false` is reported to the
    /// channel, which mostly ignores it; a frame that merely cannot be sent yet is `true`.
    fn write(&self, instance: &Instance<'_>, frame: &OutFrame<'_>) -> bool;

    /// Moves what has arrived into `out`, oldest first, after descriptor `rtcp` became readable.
    /// Leaving `out` empty gives Asterisk its null frame; [`Hangup`] ends the call. What `out`
    /// holds stays readable for Asterisk until the next `read`.
    fn read(&self, instance: &Instance<'_>, rtcp: bool, out: &mut FrameList) -> Result<(), Hangup>;

    /// The descriptor that is readable when `read` has something; chan_sip fetches it once per
    /// call and keeps it. `None` (−1) when there is no such stream, as for muxed RTCP.
    fn fd(&self, instance: &Instance<'_>, rtcp: bool) -> Option<RawFd>;

    /// The call is over **or on hold**: chan_sip calls this for both.
    fn stop(&self, instance: &Instance<'_>);

    /// Signalling is complete; packets may flow. Called again for each 18x, 200 and re-INVITE.
    fn activate(&self, instance: &Instance<'_>) -> bool;

    fn dtmf_begin(&self, instance: &Instance<'_>, digit: char) -> bool;
    fn dtmf_end(&self, instance: &Instance<'_>, digit: char) -> bool;
    fn dtmf_end_with_duration(&self, instance: &Instance<'_>, digit: char, duration: Duration) -> bool;
    fn dtmf_mode_set(&self, instance: &Instance<'_>, mode: DtmfMode) -> bool;
    fn dtmf_mode_get(&self, instance: &Instance<'_>) -> DtmfMode;

    /// What is sent next comes from another source but keeps its SSRC: set the marker.
    fn update_source(&self, instance: &Instance<'_>);
    /// As above, and Asterisk would like a new SSRC.
    fn change_source(&self, instance: &Instance<'_>);

    /// Asterisk has stored the value already ([`Instance::prop`]).
    fn prop_set(&self, instance: &Instance<'_>, property: Property);

    /// An incoming payload type is given a meaning, or (`None`) loses it.
    fn payload_set(&self, instance: &Instance<'_>, payload_type: u8, meaning: Option<Payload>);

    /// From `c=`/`m=`, or by our own [`Instance::set_remote_address`]. `None`: no address.
    fn remote_address_set(&self, instance: &Instance<'_>, address: Option<SocketAddr>);

    /// `None` (−1) while there is nothing to report, as when RTCP is off.
    fn get_stats(&self, instance: &Instance<'_>) -> Option<Stats>;

    fn qos(&self, instance: &Instance<'_>, tos: i32, cos: i32, description: &str) -> bool;

    /// Comfort noise, at `level` dB below overload.
    fn send_cng(&self, instance: &Instance<'_>, level: i32) -> bool;

    /// RFC 2198 redundancy for T.140: buffering time and the payload type of each generation.
    fn red_init(&self, instance: &Instance<'_>, buffer_time: Duration, payload_types: &[i32]) -> bool {
        let _ = (instance, buffer_time, payload_types);
        false
    }
    /// Text to be sent with redundancy when the buffering time has passed.
    fn red_buffer(&self, instance: &Instance<'_>, frame: &OutFrame<'_>) -> bool {
        let _ = (instance, frame);
        false
    }

    /// Two-party native bridging, called for either side: `peer` is the other session, `None`
    /// when the bridge ends. Asterisk calls only when both instances are of this engine, and
    /// ignores the answer. It calls before it notes the change: [`Instance::is_bridged`] still tells
    /// the former state.
    fn local_bridge(&self, instance: &Instance<'_>, peer: Option<Arc<Self>>) -> bool;

    /// Whether the engine itself will translate what it reads into `format`; the core then hands on
    /// the frames as they are.
    fn set_read_format(&self, instance: &Instance<'_>, format: &Format) -> bool {
        let _ = (instance, format);
        false
    }
    /// The same of what is written: with `true` the core translates nothing.
    fn set_write_format(&self, instance: &Instance<'_>, format: &Format) -> bool {
        let _ = (instance, format);
        false
    }

    /// Formats that the engine itself could convert between; leaving `result` empty (the default)
    /// lets Asterisk ask its translators.
    fn available_formats(&self, instance: &Instance<'_>, result: &mut FormatCap<'_>) {
        let _ = (instance, result);
    }

    /// A plain STUN binding request, of old Jabber channels; a WebRTC peer has ICE.
    fn stun_request(&self, instance: &Instance<'_>, to: Option<SocketAddr>, username: Option<&str>) {
        let _ = (instance, to, username);
    }

    /// The SSRC of what we send. chan_pjsip prints it in `a=ssrc`.
    fn ssrc_get(&self, instance: &Instance<'_>) -> u32;
    /// The CNAME of what we send.
    fn cname_get(&self, instance: &Instance<'_>) -> String;

    /// This session's media goes over `parent`'s transport, or (`None`) over its own again.
    fn bundle(&self, instance: &Instance<'_>, parent: Option<Arc<Self>>) -> bool;
    /// The SSRC that `a=ssrc` gave for what we receive.
    fn set_remote_ssrc(&self, instance: &Instance<'_>, ssrc: u32);
    /// The number that frames read from this instance carry.
    fn set_stream_num(&self, instance: &Instance<'_>, stream: i32);
    /// Whether the header extension is supported and now wanted.
    fn extension_enable(&self, instance: &Instance<'_>, extension: Extension) -> bool;
}

/// The ICE table. All of it is called without a check, from 13.16 on.
pub trait RtpEngineIce: RtpEngine {
    /// The peer's credentials; each comes in a call of its own, the other one being `None`.
    fn set_authentication(&self, instance: &Instance<'_>, ufrag: Option<&str>, password: Option<&str>);
    fn add_remote_candidate(&self, instance: &Instance<'_>, candidate: &Candidate);
    /// Begin, or go on: called again at each answer and re-INVITE.
    fn start(&self, instance: &Instance<'_>);
    /// ICE is not to be used for this instance (`icesupport=no`, or the peer offered none).
    fn stop(&self, instance: &Instance<'_>);
    /// Printed verbatim after `a=ice-ufrag:`. `None` prints no line.
    fn get_ufrag(&self, instance: &Instance<'_>) -> Option<String>;
    /// Printed verbatim after `a=ice-pwd:`.
    fn get_password(&self, instance: &Instance<'_>) -> Option<String>;
    /// `None` means that ICE is not in use: ufrag and password are then not asked for. With ICE
    /// and no address to name, the list is empty.
    fn get_local_candidates(&self, instance: &Instance<'_>) -> Option<Vec<Candidate>>;
    /// The peer is a lite agent.
    fn ice_lite(&self, instance: &Instance<'_>);
    fn set_role(&self, instance: &Instance<'_>, role: IceRole);
    fn turn_request(&self, instance: &Instance<'_>, component: Component, server: &TurnServer);
    /// 1 when RTCP is multiplexed, else 2.
    fn change_components(&self, instance: &Instance<'_>, components: u32);
}

/// The DTLS table. All of it is called without a check, from 13.16 on.
pub trait RtpEngineDtls: RtpEngine {
    /// `false` refuses the call with 488 (chan_sip logs one line that names neither peer nor file:
    /// the implementor says what was wrong).
    fn set_configuration(&self, instance: &Instance<'_>, config: &DtlsConfig) -> bool;
    /// Whether DTLS-SRTP is in use; decides the profile in `m=` and whether `a=setup` and
    /// `a=fingerprint` are printed.
    fn active(&self, instance: &Instance<'_>) -> bool;
    /// The peer wants another kind of keying (`a=crypto`), or the call ends.
    fn stop(&self, instance: &Instance<'_>);
    /// `a=connection:new`, or a changed fingerprint.
    fn reset(&self, instance: &Instance<'_>);
    fn get_connection(&self, instance: &Instance<'_>) -> DtlsConnection;
    /// What `a=setup` is to say. An answer never says `actpass`.
    fn get_setup(&self, instance: &Instance<'_>) -> DtlsSetup;
    /// What the peer's `a=setup` said.
    fn set_setup(&self, instance: &Instance<'_>, setup: DtlsSetup);
    /// What the peer's `a=fingerprint` said.
    fn set_fingerprint(&self, instance: &Instance<'_>, hash: Hash, fingerprint: &str);
    fn get_fingerprint_hash(&self, instance: &Instance<'_>) -> Hash;
    /// Of our certificate, with the hash just named: colon-separated upper-case hexadecimal.
    fn get_fingerprint(&self, instance: &Instance<'_>) -> Option<String>;
}
