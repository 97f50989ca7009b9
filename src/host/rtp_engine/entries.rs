//! The entries of the main table.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::instance::{Instance, payload_of_code};
use super::report::Shared;
use super::slot::{Slot, enter};
use super::stats;
use super::traits::RtpEngine;
use super::types::{DtmfMode, Extension, Hangup, Payload, Property, RtcpMode};
use crate::host::boundary::{self, Failure};
use crate::host::format::{Format, FormatCap};
use crate::host::frame::{FrameList, OutFrame, OutKind};
use crate::host::smoother::Smoother;
use crate::host::{log, slice, sockaddr, sys};
use crate::sync::lock;

type Raw = *mut sys::ast_rtp_instance;

/// Sets every function this Asterisk has, except those that only 11 calls.
pub(super) fn fill<T: RtpEngine>(table: &mut sys::ast_rtp_engine) {
    table.new = Some(new::<T>);
    table.destroy = Some(destroy::<T>);
    table.write = Some(write::<T>);
    table.stop = Some(stop::<T>);
    table.dtmf_begin = Some(dtmf_begin::<T>);
    table.dtmf_end = Some(dtmf_end::<T>);
    table.dtmf_end_with_duration = Some(dtmf_end_with_duration::<T>);
    table.update_source = Some(update_source::<T>);
    table.change_source = Some(change_source::<T>);
    table.extended_prop_set = Some(extended_prop_set);
    table.extended_prop_get = Some(extended_prop_get);
    table.prop_set = Some(prop_set::<T>);
    table.payload_set = Some(payload_set::<T>);
    table.remote_address_set = Some(remote_address_set::<T>);
    table.dtmf_mode_set = Some(dtmf_mode_set::<T>);
    table.dtmf_mode_get = Some(dtmf_mode_get::<T>);
    table.get_stat = Some(get_stat::<T>);
    table.qos = Some(qos::<T>);
    table.fd = Some(fd::<T>);
    table.red_init = Some(red_init::<T>);
    table.red_buffer = Some(red_buffer::<T>);
    table.read = Some(read::<T>);
    table.local_bridge = Some(local_bridge::<T>);
    // The core looks at one of these two and then calls either.
    table.set_read_format = Some(set_read_format::<T>);
    table.set_write_format = Some(set_write_format::<T>);
    table.make_compatible = Some(make_compatible);
    table.dtmf_compatible = Some(dtmf_compatible);
    table.activate = Some(activate::<T>);
    table.stun_request = Some(stun_request::<T>);
    table.available_formats = Some(available_formats::<T>);
    table.sendcng = Some(sendcng::<T>);
    #[cfg(ast_has_engine_ssrc_get)]
    {
        table.ssrc_get = Some(ssrc_get::<T>);
    }
    #[cfg(ast_has_engine_cname_get)]
    {
        table.cname_get = Some(cname_get::<T>);
    }
    #[cfg(ast_has_engine_bundle)]
    {
        table.bundle = Some(bundle::<T>);
    }
    #[cfg(ast_has_engine_set_remote_ssrc)]
    {
        table.set_remote_ssrc = Some(set_remote_ssrc::<T>);
    }
    #[cfg(ast_has_engine_set_stream_num)]
    {
        table.set_stream_num = Some(set_stream_num::<T>);
    }
    #[cfg(ast_has_engine_extension_enable)]
    {
        table.extension_enable = Some(extension_enable::<T>);
    }
}

/// What the unit tests of stock's engine look at: buffers that this engine keeps elsewhere.
#[cfg(ast_has_engine_test)]
pub(super) fn fill_test(table: &mut sys::ast_rtp_engine_test) {
    unsafe extern "C" fn none(_instance: Raw) -> usize {
        0
    }
    unsafe extern "C" fn set_schedid(_instance: Raw, _id: c_int) {}
    table.recv_buffer_count = Some(none);
    table.recv_buffer_max = Some(none);
    table.send_buffer_count = Some(none);
    table.set_schedid = Some(set_schedid);
}

fn status(done: bool) -> c_int {
    if done { 0 } else { -1 }
}

/// [`enter`] for the many entries that pass nothing but the instance.
///
/// # Safety
/// As [`enter`].
unsafe fn call<T: RtpEngine, R: Failure>(
    name: &'static str,
    instance: Raw,
    body: impl FnOnce(&T, &Instance<'_>) -> R,
) -> R {
    // SAFETY: the caller's word.
    unsafe { enter::<T, R>(name, instance, |slot, instance| body(&slot.session, instance)) }
}

unsafe extern "C" fn new<T: RtpEngine>(
    instance: Raw,
    _sched: *mut sys::ast_sched_context,
    address: *mut sys::ast_sockaddr,
    _data: *mut c_void,
) -> c_int {
    boundary::guard("rtp new", || {
        let Some(raw) = NonNull::new(instance) else { return -1 };
        // SAFETY: the core passes an address, possibly null or unset.
        let address = unsafe { sockaddr::from_ptr(address) };
        let shared = Shared::new(raw);
        // SAFETY: alive during this call; made for it.
        let lent = unsafe { Instance::new(raw, &shared) };
        let Some(session) = T::new(&lent, address) else {
            shared.withdraw();
            return -1;
        };
        let slot = Slot::new(session, shared);
        // SAFETY: a live instance, whose data `destroy` will take back.
        unsafe { sys::ast_rtp_instance_set_data(instance, Box::into_raw(slot).cast::<c_void>()) };
        0
    })
}

unsafe extern "C" fn destroy<T: RtpEngine>(instance: Raw) -> c_int {
    // SAFETY: the core passes an instance of this engine; nobody else has it any more.
    let data = unsafe {
        let data = sys::ast_rtp_instance_get_data(instance).cast::<Slot<T>>();
        sys::ast_rtp_instance_set_data(instance, ptr::null_mut());
        data
    };
    let (Some(data), Some(raw)) = (NonNull::new(data), NonNull::new(instance)) else { return -1 };
    boundary::guard("rtp destroy", || {
        // SAFETY: made by `Box::into_raw` in `new`, and just taken out of the instance.
        let slot = unsafe { Box::from_raw(data.as_ptr()) };
        // Also when the session panics: our other threads must not see the instance any more.
        slot.shared.withdraw();
        // SAFETY: alive until this callback returns.
        let lent = unsafe { Instance::new(raw, &slot.shared) };
        slot.session.destroy(&lent);
        0
    })
}

unsafe extern "C" fn write<T: RtpEngine>(instance: Raw, frame: *mut sys::ast_frame) -> c_int {
    // SAFETY: the core passes an instance of this engine and a frame that it keeps meanwhile.
    unsafe {
        enter::<T, _>("rtp write", instance, |slot, instance| {
            let Some(out) = NonNull::new(frame).and_then(|frame| OutFrame::new(frame.as_ptr())) else {
                // Control frames and the like: nothing for RTP, nothing wrong.
                return 0;
            };
            match out.kind() {
                OutKind::VideoUpdate | OutKind::Feedback(_) => status(slot.session.write(instance, &out)),
                // An empty packet of video is padding, and has a number that must not be missing.
                OutKind::Voice { .. } | OutKind::Text if out.payload().is_empty() => 0,
                OutKind::Voice { .. } => packetize(slot, instance, frame, &out),
                OutKind::Video { .. } | OutKind::Text => {
                    status(out.format().is_some() && slot.session.write(instance, &out))
                }
            }
        })
    }
}

/// Gives a frame of audio to the session as packets of the negotiated length.
///
/// # Safety
/// `frame` is the frame that `out` reads.
unsafe fn packetize<T: RtpEngine>(
    slot: &Slot<T>,
    instance: &Instance<'_>,
    frame: *mut sys::ast_frame,
    out: &OutFrame<'_>,
) -> c_int {
    let Some(format) = out.format() else { return -1 };
    let Some(bytes) = format.packet_bytes(instance.framing()) else {
        *lock(&slot.smoother) = None;
        return status(slot.session.write(instance, out));
    };
    // Out of its place while it is used, so that no lock is held during `write`.
    let former = lock(&slot.smoother).take().filter(|smoother| smoother.is_for(format, bytes));
    let Some(mut smoother) = former.or_else(|| Smoother::new(format, bytes)) else { return -1 };
    // SAFETY: a live frame of the smoother's format.
    if !unsafe { smoother.feed(frame) } {
        // Too long for a smoother to hold: start anew with the next frame.
        return -1;
    }
    let mut done = true;
    while let Some(packet) = smoother.read() {
        done &= slot.session.write(instance, &packet);
    }
    *lock(&slot.smoother) = Some(smoother);
    status(done)
}

unsafe extern "C" fn read<T: RtpEngine>(instance: Raw, rtcp: c_int) -> *mut sys::ast_frame {
    // SAFETY: the core passes an instance of this engine.
    unsafe {
        enter::<T, _>("rtp read", instance, |slot, instance| {
            let mut frames = lock(&slot.frames).pop().unwrap_or_else(FrameList::new);
            frames.clear(slot.stream.load(Ordering::Relaxed));
            let outcome = slot.session.read(instance, rtcp != 0, &mut frames);
            let first = frames.chain();
            lock(&slot.frames).push(frames);
            match outcome {
                Err(Hangup) => ptr::null_mut(),
                Ok(()) if first.is_null() => sys::rw_null_frame(),
                Ok(()) => first,
            }
        })
    }
}

unsafe extern "C" fn fd<T: RtpEngine>(instance: Raw, rtcp: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp fd", instance, |session, instance| session.fd(instance, rtcp != 0).unwrap_or(-1)) }
}

unsafe extern "C" fn stop<T: RtpEngine>(instance: Raw) {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp stop", instance, |session, instance| RtpEngine::stop(session, instance)) };
}

unsafe extern "C" fn activate<T: RtpEngine>(instance: Raw) -> c_int {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp activate", instance, |session, instance| status(session.activate(instance))) }
}

/// A digit as C passes it: an ASCII character.
fn digit_of(digit: c_char) -> char {
    char::from(digit as u8)
}

unsafe extern "C" fn dtmf_begin<T: RtpEngine>(instance: Raw, digit: c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        call::<T, _>("rtp dtmf_begin", instance, |session, instance| {
            status(session.dtmf_begin(instance, digit_of(digit)))
        })
    }
}

unsafe extern "C" fn dtmf_end<T: RtpEngine>(instance: Raw, digit: c_char) -> c_int {
    // SAFETY: as above.
    unsafe {
        call::<T, _>("rtp dtmf_end", instance, |session, instance| status(session.dtmf_end(instance, digit_of(digit))))
    }
}

unsafe extern "C" fn dtmf_end_with_duration<T: RtpEngine>(instance: Raw, digit: c_char, milliseconds: c_uint) -> c_int {
    let duration = Duration::from_millis(milliseconds.into());
    // SAFETY: as above.
    unsafe {
        call::<T, _>("rtp dtmf_end_with_duration", instance, |session, instance| {
            status(session.dtmf_end_with_duration(instance, digit_of(digit), duration))
        })
    }
}

unsafe extern "C" fn dtmf_mode_set<T: RtpEngine>(instance: Raw, mode: sys::ast_rtp_dtmf_mode) -> c_int {
    let mode = match mode {
        sys::ast_rtp_dtmf_mode_AST_RTP_DTMF_MODE_RFC2833 => DtmfMode::Rfc4733,
        sys::ast_rtp_dtmf_mode_AST_RTP_DTMF_MODE_INBAND => DtmfMode::Inband,
        _ => DtmfMode::None,
    };
    // SAFETY: as above.
    unsafe {
        call::<T, _>("rtp dtmf_mode_set", instance, |session, instance| status(session.dtmf_mode_set(instance, mode)))
    }
}

unsafe extern "C" fn dtmf_mode_get<T: RtpEngine>(instance: Raw) -> sys::ast_rtp_dtmf_mode {
    // SAFETY: as above.
    unsafe {
        call::<T, _>("rtp dtmf_mode_get", instance, |session, instance| match session.dtmf_mode_get(instance) {
            DtmfMode::None => sys::ast_rtp_dtmf_mode_AST_RTP_DTMF_MODE_NONE,
            DtmfMode::Rfc4733 => sys::ast_rtp_dtmf_mode_AST_RTP_DTMF_MODE_RFC2833,
            DtmfMode::Inband => sys::ast_rtp_dtmf_mode_AST_RTP_DTMF_MODE_INBAND,
        })
    }
}

unsafe extern "C" fn update_source<T: RtpEngine>(instance: Raw) {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp update_source", instance, |session, instance| session.update_source(instance)) };
}

unsafe extern "C" fn change_source<T: RtpEngine>(instance: Raw) {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp change_source", instance, |session, instance| session.change_source(instance)) };
}

/// Untyped properties, of which Asterisk defines none.
unsafe extern "C" fn extended_prop_set(_instance: Raw, _property: c_int, _value: *mut c_void) -> c_int {
    -1
}

unsafe extern "C" fn extended_prop_get(_instance: Raw, _property: c_int) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn prop_set<T: RtpEngine>(instance: Raw, property: sys::ast_rtp_property, value: c_int) {
    let property = property_of(property, value);
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp prop_set", instance, |session, instance| session.prop_set(instance, property)) };
}

fn property_of(property: sys::ast_rtp_property, value: c_int) -> Property {
    let on = value != 0;
    match property {
        sys::ast_rtp_property_AST_RTP_PROPERTY_NAT => Property::Nat(on),
        sys::ast_rtp_property_AST_RTP_PROPERTY_DTMF => Property::Dtmf(on),
        sys::ast_rtp_property_AST_RTP_PROPERTY_DTMF_COMPENSATE => Property::DtmfCompensate(on),
        sys::ast_rtp_property_AST_RTP_PROPERTY_STUN => Property::Stun(on),
        sys::ast_rtp_property_AST_RTP_PROPERTY_RTCP => Property::Rtcp(rtcp_mode(value)),
        #[cfg(ast_has_property_asymmetric_codec)]
        sys::ast_rtp_property_AST_RTP_PROPERTY_ASYMMETRIC_CODEC => Property::AsymmetricCodec(on),
        #[cfg(ast_has_property_retrans)]
        sys::ast_rtp_property_AST_RTP_PROPERTY_RETRANS_RECV => Property::RetransReceive(on),
        #[cfg(ast_has_property_retrans)]
        sys::ast_rtp_property_AST_RTP_PROPERTY_RETRANS_SEND => Property::RetransSend(on),
        #[cfg(ast_has_property_remb)]
        sys::ast_rtp_property_AST_RTP_PROPERTY_REMB => Property::Remb(on),
        other => Property::Other(other, value),
    }
}

fn rtcp_mode(value: c_int) -> RtcpMode {
    match value {
        0 => RtcpMode::Disabled,
        #[cfg(ast_has_rtcp_mux)]
        value if value == sys::ast_rtp_instance_rtcp_AST_RTP_INSTANCE_RTCP_MUX as c_int => RtcpMode::Mux,
        _ => RtcpMode::Standard,
    }
}

unsafe extern "C" fn payload_set<T: RtpEngine>(
    instance: Raw,
    payload: c_int,
    asterisk_format: c_int,
    format: *mut sys::ast_format,
    code: c_int,
) {
    // SAFETY: as above; the format is null or alive during the call.
    unsafe {
        call::<T, _>("rtp payload_set", instance, |session, instance| {
            let Ok(payload_type) = u8::try_from(payload) else { return };
            let meaning = match (asterisk_format, code) {
                (0, 0) => None,
                // The rate is not passed; `Instance::payload` has it once signalling is complete.
                (0, code) => Some(payload_of_code(code, 0)),
                _ => Format::from_borrowed(format).map(Payload::Format),
            };
            session.payload_set(instance, payload_type, meaning);
        });
    }
}

unsafe extern "C" fn remote_address_set<T: RtpEngine>(instance: Raw, address: *mut sys::ast_sockaddr) {
    // SAFETY: as above; the address is the instance's own.
    unsafe {
        call::<T, _>("rtp remote_address_set", instance, |session, instance| {
            session.remote_address_set(instance, sockaddr::from_ptr(address));
        });
    }
}

unsafe extern "C" fn get_stat<T: RtpEngine>(
    instance: Raw,
    out: *mut sys::ast_rtp_instance_stats,
    _stat: sys::ast_rtp_instance_stat,
) -> c_int {
    // SAFETY: as above; the caller passes the struct to fill. Whatever it asked for, it gets all:
    // every caller reads only its own field.
    unsafe {
        call::<T, _>("rtp get_stat", instance, |session, instance| {
            let (Some(stats), Some(out)) = (session.get_stats(instance), out.as_mut()) else { return -1 };
            stats::write(&stats, &instance.channel_id(), out);
            0
        })
    }
}

unsafe extern "C" fn qos<T: RtpEngine>(instance: Raw, tos: c_int, cos: c_int, description: *const c_char) -> c_int {
    // SAFETY: as above; the string may be null.
    unsafe {
        call::<T, _>("rtp qos", instance, |session, instance| {
            let description = slice::string(description).unwrap_or_default();
            status(session.qos(instance, tos, cos, &description))
        })
    }
}

unsafe extern "C" fn red_init<T: RtpEngine>(
    instance: Raw,
    buffer_time: c_int,
    payloads: *mut c_int,
    generations: c_int,
) -> c_int {
    let buffer_time = Duration::from_millis(u64::try_from(buffer_time).unwrap_or(0));
    // SAFETY: as above; the array has one payload type per generation.
    unsafe {
        call::<T, _>("rtp red_init", instance, |session, instance| {
            let count = usize::try_from(generations).unwrap_or(0).min(16);
            let types: Vec<c_int> =
                if payloads.is_null() { Vec::new() } else { (0..count).map(|n| payloads.add(n).read()).collect() };
            status(session.red_init(instance, buffer_time, &types))
        })
    }
}

unsafe extern "C" fn red_buffer<T: RtpEngine>(instance: Raw, frame: *mut sys::ast_frame) -> c_int {
    // SAFETY: as above; the caller keeps the frame meanwhile.
    unsafe {
        call::<T, _>("rtp red_buffer", instance, |session, instance| {
            let frame = NonNull::new(frame).and_then(|frame| OutFrame::new(frame.as_ptr()));
            status(frame.is_some_and(|frame| session.red_buffer(instance, &frame)))
        })
    }
}

/// The session of another instance, if it is of this engine too.
///
/// # Safety
/// Both are null or live instances, the first one of this engine.
unsafe fn peer_of<T: RtpEngine>(instance: Raw, peer: Raw) -> Option<Arc<T>> {
    if instance.is_null() || peer.is_null() {
        return None;
    }
    // SAFETY: the caller's word; an instance has an engine as long as it lives.
    unsafe {
        let ours = sys::ast_rtp_instance_get_engine(instance).as_ref()?.ice;
        let theirs = sys::ast_rtp_instance_get_engine(peer).as_ref()?.ice;
        // Two names of the same engine have two tables with the same functions.
        let same = ptr::eq(ours, theirs)
            || match (ours.as_ref()?.start, theirs.as_ref()?.start) {
                (Some(ours), Some(theirs)) => ptr::fn_addr_eq(ours, theirs),
                _ => false,
            };
        if !same {
            return None;
        }
        let slot = Slot::<T>::of(peer)?;
        (!slot.is_closed()).then(|| Arc::clone(&slot.session))
    }
}

unsafe extern "C" fn local_bridge<T: RtpEngine>(instance: Raw, peer: Raw) -> c_int {
    // SAFETY: native bridging passes two instances that it holds, the second null at the end.
    unsafe {
        let session = peer_of::<T>(instance, peer);
        if session.is_none() && !peer.is_null() {
            return -1;
        }
        call::<T, _>("rtp local_bridge", instance, |own, instance| status(own.local_bridge(instance, session)))
    }
}

unsafe extern "C" fn set_read_format<T: RtpEngine>(instance: Raw, format: *mut sys::ast_format) -> c_int {
    // SAFETY: the core passes an instance of this engine and a live format.
    unsafe {
        call::<T, _>("rtp set_read_format", instance, |session, instance| {
            status(Format::peek(format).is_some_and(|format| session.set_read_format(instance, &format)))
        })
    }
}

unsafe extern "C" fn set_write_format<T: RtpEngine>(instance: Raw, format: *mut sys::ast_format) -> c_int {
    // SAFETY: as above.
    unsafe {
        call::<T, _>("rtp set_write_format", instance, |session, instance| {
            status(Format::peek(format).is_some_and(|format| session.set_write_format(instance, &format)))
        })
    }
}

/// Nothing in Asterisk calls it; there is nothing to be made compatible.
unsafe extern "C" fn make_compatible(
    _chan0: *mut sys::ast_channel,
    _instance0: Raw,
    _chan1: *mut sys::ast_channel,
    _instance1: Raw,
) -> c_int {
    0
}

/// Whether digits mean the same on both sides, so that native bridging need not see them: both
/// use telephone events or neither does, and both channels take the beginning of a digit or
/// neither does (SIP INFO knows no beginning).
unsafe extern "C" fn dtmf_compatible(
    chan0: *mut sys::ast_channel,
    instance0: Raw,
    chan1: *mut sys::ast_channel,
    instance1: Raw,
) -> c_int {
    let dtmf = sys::ast_rtp_property_AST_RTP_PROPERTY_DTMF;
    // SAFETY: native bridging passes two channels and instances that it holds; a channel has a
    // technology as long as it lives.
    unsafe {
        let events0 = sys::ast_rtp_instance_get_prop(instance0, dtmf) != 0;
        let events1 = sys::ast_rtp_instance_get_prop(instance1, dtmf) != 0;
        let (Some(tech0), Some(tech1)) = (sys::ast_channel_tech(chan0).as_ref(), sys::ast_channel_tech(chan1).as_ref())
        else {
            return 0;
        };
        let begins_alike = tech0.send_digit_begin.is_some() == tech1.send_digit_begin.is_some();
        (events0 == events1 && begins_alike).into()
    }
}

unsafe extern "C" fn stun_request<T: RtpEngine>(instance: Raw, to: *mut sys::ast_sockaddr, username: *const c_char) {
    // SAFETY: the core passes an instance of this engine; address and string may be null.
    unsafe {
        call::<T, _>("rtp stun_request", instance, |session, instance| {
            session.stun_request(instance, sockaddr::from_ptr(to), slice::string(username).as_deref());
        });
    }
}

unsafe extern "C" fn available_formats<T: RtpEngine>(
    instance: Raw,
    _to_endpoint: *mut sys::ast_format_cap,
    _to_asterisk: *mut sys::ast_format_cap,
    result: *mut sys::ast_format_cap,
) {
    if result.is_null() {
        return;
    }
    // SAFETY: as above; the result is the caller's, for us to fill.
    unsafe {
        call::<T, _>("rtp available_formats", instance, |session, instance| {
            session.available_formats(instance, &mut FormatCap::new(result));
        });
    }
}

unsafe extern "C" fn sendcng<T: RtpEngine>(instance: Raw, level: c_int) -> c_int {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp sendcng", instance, |session, instance| status(session.send_cng(instance, level))) }
}

#[cfg(ast_has_engine_ssrc_get)]
unsafe extern "C" fn ssrc_get<T: RtpEngine>(instance: Raw) -> c_uint {
    // SAFETY: as above.
    unsafe { call::<T, _>("rtp ssrc_get", instance, |session, instance| session.ssrc_get(instance)) }
}

#[cfg(ast_has_engine_cname_get)]
unsafe extern "C" fn cname_get<T: RtpEngine>(instance: Raw) -> *const c_char {
    // SAFETY: as above.
    let name = unsafe {
        enter::<T, _>("rtp cname_get", instance, |slot, instance| {
            slot.cname.give(Some(slot.session.cname_get(instance)))
        })
    };
    // chan_pjsip prints it without a look.
    if name.is_null() { c"".as_ptr() } else { name }
}

#[cfg(ast_has_engine_bundle)]
unsafe extern "C" fn bundle<T: RtpEngine>(child: Raw, parent: Raw) -> c_int {
    // SAFETY: the core passes two instances of the same engine, the second null to end it.
    unsafe {
        let session = peer_of::<T>(child, parent);
        if session.is_none() && !parent.is_null() {
            return -1;
        }
        call::<T, _>("rtp bundle", child, |own, instance| status(own.bundle(instance, session)))
    }
}

#[cfg(ast_has_engine_set_remote_ssrc)]
unsafe extern "C" fn set_remote_ssrc<T: RtpEngine>(instance: Raw, ssrc: c_uint) {
    // SAFETY: the core passes an instance of this engine.
    unsafe {
        call::<T, _>("rtp set_remote_ssrc", instance, |session, instance| session.set_remote_ssrc(instance, ssrc));
    }
}

#[cfg(ast_has_engine_set_stream_num)]
unsafe extern "C" fn set_stream_num<T: RtpEngine>(instance: Raw, stream: c_int) {
    // SAFETY: as above.
    unsafe {
        enter::<T, _>("rtp set_stream_num", instance, |slot, instance| {
            slot.stream.store(stream, Ordering::Relaxed);
            slot.session.set_stream_num(instance, stream);
        });
    }
}

#[cfg(ast_has_engine_extension_enable)]
unsafe extern "C" fn extension_enable<T: RtpEngine>(instance: Raw, extension: sys::ast_rtp_extension) -> c_int {
    let extension = match extension {
        sys::ast_rtp_extension_AST_RTP_EXTENSION_ABS_SEND_TIME => Extension::AbsSendTime,
        #[cfg(ast_has_extension_transport_wide_cc)]
        sys::ast_rtp_extension_AST_RTP_EXTENSION_TRANSPORT_WIDE_CC => Extension::TransportWideCc,
        other => {
            log::write(log::Level::Debug(1), &format!("header extension {other} is not one we know"));
            return 0;
        }
    };
    // Unsigned, because failure is "not supported", which is 0.
    // SAFETY: as above.
    let enabled: c_uint = unsafe {
        call::<T, _>("rtp extension_enable", instance, |session, instance| {
            session.extension_enable(instance, extension).into()
        })
    };
    enabled as c_int
}
