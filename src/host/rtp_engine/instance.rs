//! Asterisk's RTP instance, as the engine sees it during a call.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::report::{Publisher, Report, Shared};
use super::types::{Extension, Payload, PropertyName};
use crate::host::format::Format;
use crate::host::{sockaddr, sys};

/// An instance that C lends for the length of one callback. Nothing here may be called with a lock
/// of ours held: the core locks the instance.
pub struct Instance<'a> {
    raw: NonNull<sys::ast_rtp_instance>,
    shared: &'a Arc<Shared>,
    /// Belongs to the thread that was called: another could outlive the instance.
    lent: PhantomData<*mut sys::ast_rtp_instance>,
}

impl<'a> Instance<'a> {
    /// # Safety
    /// `raw` is an instance that stays alive for `'a`, and `shared` is its own.
    pub(super) unsafe fn new(raw: NonNull<sys::ast_rtp_instance>, shared: &'a Arc<Shared>) -> Self {
        Self { raw, shared, lent: PhantomData }
    }

    fn ptr(&self) -> *mut sys::ast_rtp_instance {
        self.raw.as_ptr()
    }

    fn codecs(&self) -> *mut sys::ast_rtp_codecs {
        // SAFETY: a live instance; the codecs are part of it and have a lock of their own.
        unsafe { sys::ast_rtp_instance_get_codecs(self.ptr()) }
    }

    /// A number that tells instances apart in messages.
    pub fn id(&self) -> usize {
        self.raw.addr().get()
    }

    /// A property's value; 0 where this Asterisk does not have the property.
    pub fn prop(&self, name: PropertyName) -> i32 {
        let property = match name {
            PropertyName::Nat => sys::ast_rtp_property_AST_RTP_PROPERTY_NAT,
            PropertyName::Dtmf => sys::ast_rtp_property_AST_RTP_PROPERTY_DTMF,
            PropertyName::DtmfCompensate => sys::ast_rtp_property_AST_RTP_PROPERTY_DTMF_COMPENSATE,
            PropertyName::Stun => sys::ast_rtp_property_AST_RTP_PROPERTY_STUN,
            PropertyName::Rtcp => sys::ast_rtp_property_AST_RTP_PROPERTY_RTCP,
            #[cfg(ast_has_property_asymmetric_codec)]
            PropertyName::AsymmetricCodec => sys::ast_rtp_property_AST_RTP_PROPERTY_ASYMMETRIC_CODEC,
            #[cfg(ast_has_property_retrans)]
            PropertyName::RetransReceive => sys::ast_rtp_property_AST_RTP_PROPERTY_RETRANS_RECV,
            #[cfg(ast_has_property_retrans)]
            PropertyName::RetransSend => sys::ast_rtp_property_AST_RTP_PROPERTY_RETRANS_SEND,
            #[cfg(ast_has_property_remb)]
            PropertyName::Remb => sys::ast_rtp_property_AST_RTP_PROPERTY_REMB,
            #[allow(unreachable_patterns, reason = "what an older Asterisk lacks")]
            _ => return 0,
        };
        // SAFETY: a live instance and one of the core's own property numbers.
        unsafe { sys::ast_rtp_instance_get_prop(self.ptr(), property) }
    }

    /// What a packet of this payload type that arrives is.
    pub fn payload(&self, payload_type: u8) -> Option<Payload> {
        // SAFETY: a live instance's codecs.
        let raw = unsafe { sys::ast_rtp_codecs_get_payload(self.codecs(), payload_type.into()) };
        // SAFETY: null, or an object with a reference for us.
        let found = unsafe { raw.as_ref() }?;
        let payload = if found.asterisk_format != 0 {
            // SAFETY: the payload type object keeps its format alive.
            unsafe { Format::from_borrowed(found.format) }.map(Payload::Format)
        } else {
            #[cfg(ast_has_payload_type_sample_rate)]
            let clock_rate = found.sample_rate;
            #[cfg(not(ast_has_payload_type_sample_rate))]
            let clock_rate = 0;
            Some(payload_of_code(found.rtp_code, clock_rate))
        };
        // SAFETY: gives back the reference we were given.
        unsafe { sys::rw_ao2_ref(raw.cast(), -1) };
        payload
    }

    /// The payload type under which frames of this format are sent; `None`: the peer does not
    /// take them.
    pub fn payload_type(&self, format: &Format) -> Option<u8> {
        #[cfg(ast_has_codecs_payload_code_tx)]
        // SAFETY: a live instance's codecs and a live format.
        let code = unsafe { sys::ast_rtp_codecs_payload_code_tx(self.codecs(), 1, format.as_ptr(), 0) };
        #[cfg(not(ast_has_codecs_payload_code_tx))]
        // SAFETY: as above.
        let code = unsafe { sys::ast_rtp_codecs_payload_code(self.codecs(), 1, format.as_ptr(), 0) };
        u8::try_from(code).ok()
    }

    /// The payload type for telephone events beside a stream with this clock rate, and the rate
    /// that its durations are counted at: where the peer has none of the stream's rate, that of the
    /// type which everybody has.
    pub fn telephone_event_type(&self, clock_rate: u32) -> Option<(u8, u32)> {
        #[cfg(ast_has_codecs_payload_code_tx_sample_rate)]
        // SAFETY: a live instance's codecs.
        let matching = unsafe {
            let dtmf = sys::AST_RTP_DTMF as c_int;
            sys::ast_rtp_codecs_payload_code_tx_sample_rate(self.codecs(), 0, ptr::null(), dtmf, clock_rate)
        };
        #[cfg(not(ast_has_codecs_payload_code_tx_sample_rate))]
        let matching = {
            let _ = clock_rate;
            -1
        };
        let common = || self.code_type(sys::AST_RTP_DTMF).map(|payload_type| (payload_type, 8000));
        u8::try_from(matching).ok().map(|payload_type| (payload_type, clock_rate)).or_else(common)
    }

    /// The payload type for comfort noise.
    pub fn comfort_noise_type(&self) -> Option<u8> {
        self.code_type(sys::AST_RTP_CN)
    }

    fn code_type(&self, code: u32) -> Option<u8> {
        let code = code as c_int;
        #[cfg(ast_has_codecs_payload_code_tx)]
        // SAFETY: a live instance's codecs; no format goes with such a code.
        let payload_type = unsafe { sys::ast_rtp_codecs_payload_code_tx(self.codecs(), 0, ptr::null(), code) };
        #[cfg(not(ast_has_codecs_payload_code_tx))]
        // SAFETY: as above.
        let payload_type = unsafe { sys::ast_rtp_codecs_payload_code(self.codecs(), 0, ptr::null_mut(), code) };
        u8::try_from(payload_type).ok()
    }

    /// Milliseconds per packet that were negotiated, 0 when each frame is a packet.
    pub(super) fn framing(&self) -> u32 {
        // SAFETY: a live instance's codecs.
        unsafe { sys::ast_rtp_codecs_get_framing(self.codecs()) }
    }

    /// The id under which a header extension was negotiated.
    pub fn extension_id(&self, extension: Extension) -> Option<u8> {
        #[cfg(ast_has_extmap)]
        {
            let number = match extension {
                Extension::AbsSendTime => sys::ast_rtp_extension_AST_RTP_EXTENSION_ABS_SEND_TIME,
                #[cfg(ast_has_extension_transport_wide_cc)]
                Extension::TransportWideCc => sys::ast_rtp_extension_AST_RTP_EXTENSION_TRANSPORT_WIDE_CC,
                #[cfg(not(ast_has_extension_transport_wide_cc))]
                Extension::TransportWideCc => return None,
            };
            // SAFETY: a live instance.
            let id = unsafe { sys::ast_rtp_instance_extmap_get_id(self.ptr(), number) };
            u8::try_from(id).ok().filter(|id| *id > 0)
        }
        #[cfg(not(ast_has_extmap))]
        {
            let _ = extension;
            None
        }
    }

    pub fn local_address(&self) -> Option<SocketAddr> {
        self.address(sys::ast_rtp_instance_get_local_address)
    }

    /// What `c=` and `m=` announce. To be set in [`RtpEngine::new`](super::RtpEngine::new).
    pub fn set_local_address(&self, address: SocketAddr) {
        let raw = sockaddr::to_c(Some(address));
        // SAFETY: a live instance; the address is copied.
        unsafe { sys::ast_rtp_instance_set_local_address(self.ptr(), &raw) };
    }

    /// Where the peer's packets come from, or what its SDP said while none came.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        #[cfg(ast_has_requested_target_address)]
        {
            self.address(sys::ast_rtp_instance_get_incoming_source_address)
        }
        #[cfg(not(ast_has_requested_target_address))]
        {
            self.address(sys::ast_rtp_instance_get_remote_address)
        }
    }

    /// What the peer's SDP said.
    pub fn requested_address(&self) -> Option<SocketAddr> {
        #[cfg(ast_has_requested_target_address)]
        {
            self.address(sys::ast_rtp_instance_get_requested_target_address)
        }
        #[cfg(not(ast_has_requested_target_address))]
        {
            self.remote_address()
        }
    }

    /// Tells Asterisk where the peer is (ICE found it). Comes back at once as
    /// [`RtpEngine::remote_address_set`](super::RtpEngine::remote_address_set).
    pub fn set_remote_address(&self, address: SocketAddr) {
        let raw = sockaddr::to_c(Some(address));
        #[cfg(ast_has_requested_target_address)]
        // SAFETY: a live instance; the address is copied.
        unsafe {
            sys::ast_rtp_instance_set_incoming_source_address(self.ptr(), &raw)
        };
        #[cfg(not(ast_has_requested_target_address))]
        // SAFETY: as above.
        unsafe {
            sys::ast_rtp_instance_set_remote_address(self.ptr(), &raw)
        };
    }

    fn address(
        &self,
        get: unsafe extern "C" fn(*mut sys::ast_rtp_instance, *mut sys::ast_sockaddr),
    ) -> Option<SocketAddr> {
        let mut raw = sockaddr::to_c(None);
        // SAFETY: a live instance and one of its getters, which copies into `raw`.
        unsafe { get(self.ptr(), &mut raw) };
        sockaddr::from_c(&raw)
    }

    /// The unique id of the channel that the instance belongs to; empty while it has none.
    pub fn channel_id(&self) -> String {
        // SAFETY: a live instance.
        let raw = unsafe { sys::ast_rtp_instance_get_channel_id(self.ptr()) };
        if raw.is_null() {
            return String::new();
        }
        // SAFETY: an array inside the instance, always terminated; written while the channel is
        // being created, before media.
        unsafe { CStr::from_ptr(raw) }.to_string_lossy().into_owned()
    }

    /// Whether native bridging sends what arrives here straight to another instance.
    pub fn is_bridged(&self) -> bool {
        // SAFETY: a live instance; the other one is not touched.
        unsafe { !sys::ast_rtp_instance_get_bridged(self.ptr()).is_null() }
    }

    /// Notes that something was sent just now, for keepalives and timeouts of channel drivers.
    pub fn sent_now(&self) {
        #[cfg(ast_has_last_tx)]
        // SAFETY: reads the clock; then a live instance.
        unsafe {
            sys::ast_rtp_instance_set_last_tx(self.ptr(), libc::time(ptr::null_mut()) as _);
        }
    }

    /// Seconds without incoming media after which the channel driver hangs up, 0 for never.
    pub fn timeout(&self) -> u32 {
        // SAFETY: a live instance.
        u32::try_from(unsafe { sys::ast_rtp_instance_get_timeout(self.ptr()) }).unwrap_or(0)
    }

    /// As [`Self::timeout`], while the call is on hold.
    pub fn hold_timeout(&self) -> u32 {
        // SAFETY: a live instance.
        u32::try_from(unsafe { sys::ast_rtp_instance_get_hold_timeout(self.ptr()) }).unwrap_or(0)
    }

    /// Whether a session of Asterisk's SRTP provider (SDES) belongs to this instance.
    pub fn has_srtp(&self) -> bool {
        // SAFETY: a live instance; the session is not touched.
        unsafe { !sys::ast_rtp_instance_get_srtp(self.ptr(), 0).is_null() }
    }

    /// Tells Asterisk's listeners (AMI, ARI, queues) of a report that was sent or received.
    pub fn publish(&self, report: &Report) {
        self.publisher().publish(report);
    }

    /// For threads of our own: publishes reports for this instance as long as it exists.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.shared)
    }
}

/// `clock_rate` 0 stands for the one that everybody has.
pub(super) fn payload_of_code(code: c_int, clock_rate: u32) -> Payload {
    match u32::try_from(code) {
        Ok(sys::AST_RTP_DTMF) => {
            Payload::TelephoneEvent { clock_rate: if clock_rate == 0 { 8000 } else { clock_rate } }
        }
        Ok(sys::AST_RTP_CN) => Payload::ComfortNoise,
        Ok(sys::AST_RTP_CISCO_DTMF) => Payload::CiscoDtmf,
        _ => Payload::Other(code),
    }
}
