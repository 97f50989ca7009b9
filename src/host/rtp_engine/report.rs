//! RTCP reports for Asterisk's message bus (12 and later).

use std::ffi::{CStr, CString};
use std::net::SocketAddr;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::host::sys;
use crate::sync::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportDirection {
    Sent,
    Received,
}

/// A sender or receiver report, RFC 3550 §6.4.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub direction: ReportDirection,
    pub ssrc: u32,
    /// `None` in a receiver report.
    pub sender: Option<SenderInfo>,
    pub blocks: Vec<ReportBlock>,
    pub from: Option<SocketAddr>,
    pub to: Option<SocketAddr>,
    /// Seconds, computed from a received report.
    pub round_trip: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    pub ntp: SystemTime,
    pub rtp_timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    pub source_ssrc: u32,
    pub fraction_lost: u8,
    pub cumulative_lost: u32,
    pub highest_sequence: u32,
    pub jitter: u32,
    pub lsr: u32,
    pub dlsr: u32,
}

/// The instance while it exists. Only publishing uses it: that needs no more of the instance than
/// its channel's id and takes none of the instance's locks, so `destroy`, which holds the
/// instance's lock, can wait here for a publication to end.
pub(super) struct Shared(Mutex<Option<NonNull<sys::ast_rtp_instance>>>);

// SAFETY: the pointer is used under the mutex, and withdrawn before the instance goes.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) fn new(instance: NonNull<sys::ast_rtp_instance>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(instance))))
    }

    /// The instance is about to go. Returns when nobody uses it any more.
    pub(super) fn withdraw(&self) {
        *lock(&self.0) = None;
    }
}

/// Publishes reports of one instance from any thread; does nothing once the instance is gone.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

impl Publisher {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// The unique id of the instance's channel; empty while it has none, or when it is gone.
    pub fn channel_id(&self) -> String {
        let instance = lock(&self.0.0);
        let Some(instance) = *instance else { return String::new() };
        // SAFETY: not withdrawn, and cannot be while we hold the lock; a getter that locks nothing.
        let id = unsafe { sys::ast_rtp_instance_get_channel_id(instance.as_ptr()) };
        if id.is_null() {
            return String::new();
        }
        // SAFETY: an array inside the instance, always terminated.
        unsafe { CStr::from_ptr(id) }.to_string_lossy().into_owned()
    }

    /// Must not be called with a lock held that a method of the engine's takes.
    pub fn publish(&self, report: &Report) {
        #[cfg(ast_has_stasis)]
        {
            let instance = lock(&self.0.0);
            if let Some(instance) = *instance {
                // SAFETY: not withdrawn, and cannot be while we hold the lock.
                unsafe { publish(instance.as_ptr(), report) };
            }
        }
        #[cfg(not(ast_has_stasis))]
        let _ = report;
    }
}

/// # Safety
/// `instance` is alive during the call.
#[cfg(ast_has_stasis)]
unsafe fn publish(instance: *mut sys::ast_rtp_instance, report: &Report) {
    // SAFETY: both are accessors of the core's, null before it has started.
    let kind = unsafe {
        match report.direction {
            ReportDirection::Sent => sys::ast_rtp_rtcp_sent_type(),
            ReportDirection::Received => sys::ast_rtp_rtcp_received_type(),
        }
    };
    let Some(raw) = report_object(report) else { return };
    let blob = addresses(report);
    // SAFETY: a live instance, a report and a blob of ours; the message takes its own references.
    unsafe {
        sys::ast_rtp_publish_rtcp_message(instance, kind, raw.as_ptr(), blob);
        sys::rw_ao2_ref(raw.as_ptr().cast(), -1);
        sys::ast_json_unref(blob);
    }
}

#[cfg(ast_has_stasis)]
fn report_object(report: &Report) -> Option<NonNull<sys::ast_rtp_rtcp_report>> {
    use crate::host::time::to_timeval;

    // The count is 5 bits wide in RTCP.
    let blocks = &report.blocks[..report.blocks.len().min(31)];
    // SAFETY: allocates a zeroed object with room for that many pointers.
    let raw = NonNull::new(unsafe { sys::ast_rtp_rtcp_report_alloc(blocks.len() as u32) })?;
    // SAFETY: fresh and ours alone.
    let object = unsafe { &mut *raw.as_ptr() };
    object.ssrc = report.ssrc;
    object.type_ = sys::AST_RTP_RTCP_RR;
    if let Some(sender) = report.sender {
        object.type_ = sys::AST_RTP_RTCP_SR;
        object.sender_information.ntp_timestamp = to_timeval(Some(sender.ntp));
        object.sender_information.rtp_timestamp = sender.rtp_timestamp;
        object.sender_information.packet_count = sender.packets;
        object.sender_information.octet_count = sender.octets;
    }
    for (index, block) in blocks.iter().enumerate() {
        // The report's destructor frees each block with ast_free.
        // SAFETY: plain allocation.
        let memory = unsafe { sys::rw_malloc(size_of::<sys::ast_rtp_rtcp_report_block>()) };
        let Some(out) = NonNull::new(memory.cast::<sys::ast_rtp_rtcp_report_block>()) else { break };
        let value = sys::ast_rtp_rtcp_report_block {
            source_ssrc: block.source_ssrc,
            lost_count: sys::ast_rtp_rtcp_report_block__bindgen_ty_1 {
                fraction: block.fraction_lost.into(),
                packets: block.cumulative_lost,
            },
            highest_seq_no: block.highest_sequence,
            ia_jitter: block.jitter,
            lsr: block.lsr,
            dlsr: block.dlsr,
        };
        // SAFETY: `out` is fresh memory of that size; the object has room for `blocks.len()`
        // pointers after its fields.
        unsafe {
            out.write(value);
            object.report_block.as_mut_ptr().add(index).write(out.as_ptr());
        }
        object.reception_report_count = (index + 1) as u16;
    }
    Some(raw)
}

/// The addresses and the round-trip time as listeners expect them; null without memory.
#[cfg(ast_has_stasis)]
fn addresses(report: &Report) -> *mut sys::ast_json {
    // SAFETY: makes an object that is ours.
    let blob = unsafe { sys::ast_json_object_create() };
    if blob.is_null() {
        return blob;
    }
    for (key, address) in [(c"from", report.from), (c"to", report.to)] {
        let text = CString::new(address.map(|a| a.to_string()).unwrap_or_default()).unwrap_or_default();
        // SAFETY: an object of ours and NUL-terminated strings, copied; the new value's reference
        // goes to the object.
        unsafe { sys::ast_json_object_set(blob, key.as_ptr(), sys::ast_json_string_create(text.as_ptr())) };
    }
    if let Some(seconds) = report.round_trip {
        // SAFETY: as above.
        unsafe { sys::ast_json_object_set(blob, c"rtt".as_ptr(), sys::ast_json_real_create(seconds)) };
    }
    blob
}
