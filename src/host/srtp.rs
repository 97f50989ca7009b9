//! An SRTP provider for Asterisk's core, in place of `res_srtp`.
//!
//! chan_sip refuses DTLS peers when no provider is registered, although DTLS-SRTP inside the
//! engine `webrtc` needs none of it; and SDES, as well as stock's engine when it is loaded beside
//! ours, protect their packets through it. The core's objects `ast_srtp` and `ast_srtp_policy` are
//! opaque to it: here they are a session and a policy of ours.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_uchar, c_uint, c_ulong, c_void};
use std::marker::PhantomData;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::boundary;
use super::entry::Info;
use super::module_ref::{self, ModuleRef};
use super::openssl::constant_time_eq;
use super::{log, slice, sys};
use crate::sync::lock;

/// The protection profiles that Asterisk can name, by the names of RFC 3711, 6188 and 7714.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AesCm192HmacSha1_80,
    AesCm192HmacSha1_32,
    AesCm256HmacSha1_80,
    AesCm256HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
    /// With an authentication tag of 8 bytes.
    AeadAes128Gcm8,
    AeadAes256Gcm8,
}

impl Suite {
    /// `None` for 0 (not set) and for what this Asterisk's number means something else.
    pub(in crate::host) fn from_c(suite: sys::ast_srtp_suite) -> Option<Self> {
        Some(match suite {
            sys::ast_srtp_suite_AST_AES_CM_128_HMAC_SHA1_80 => Self::AesCm128HmacSha1_80,
            sys::ast_srtp_suite_AST_AES_CM_128_HMAC_SHA1_32 => Self::AesCm128HmacSha1_32,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_CM_192_HMAC_SHA1_80 => Self::AesCm192HmacSha1_80,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_CM_192_HMAC_SHA1_32 => Self::AesCm192HmacSha1_32,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_CM_256_HMAC_SHA1_80 => Self::AesCm256HmacSha1_80,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_CM_256_HMAC_SHA1_32 => Self::AesCm256HmacSha1_32,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_GCM_128 => Self::AeadAes128Gcm,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_GCM_256 => Self::AeadAes256Gcm,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_GCM_128_8 => Self::AeadAes128Gcm8,
            #[cfg(ast_has_srtp_suite_gcm)]
            sys::ast_srtp_suite_AST_AES_GCM_256_8 => Self::AeadAes256Gcm8,
            _ => return None,
        })
    }
}

/// Which stream a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Whatever arrives.
    AnyInbound,
    /// Whatever is sent.
    AnyOutbound,
    Ssrc(u32),
}

/// Keys for a stream. The key material is overwritten when the policy goes.
#[derive(Clone)]
pub struct Policy {
    pub suite: Suite,
    pub stream: Stream,
    pub master_key: Vec<u8>,
    pub master_salt: Vec<u8>,
}

impl Policy {
    /// Whether packets are protected in the same way.
    pub fn has_same_keys(&self, other: &Policy) -> bool {
        self.suite == other.suite
            && constant_time_eq(&self.master_key, &other.master_key)
            && constant_time_eq(&self.master_salt, &other.master_salt)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.master_key.fill(0);
        self.master_salt.fill(0);
        // Keeps the writes to memory that is about to be freed.
        std::hint::black_box((&self.master_key, &self.master_salt));
    }
}

/// Why a packet was not protected or unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// One RTP instance's SRTP: streams that are sent and streams that are received. Called with no
/// lock held, so it may call the core; it orders its threads itself.
pub trait SrtpSession: Send + Sync + Sized + 'static {
    /// `policy`: of what is received, as a rule. `instance`: the number that
    /// [`Instance::id`](super::rtp_engine::Instance::id) gives, of whatever engine's.
    fn new(instance: usize, policy: Option<&Policy>) -> Option<Self>;
    /// Adds a stream, or gives one that is there (same [`Stream`]) new keys.
    fn add_stream(&self, policy: &Policy) -> bool;
    /// What was sent under one SSRC will be sent under another, with the same keys.
    fn change_source(&self, from: u32, to: u32) -> bool;
    /// Writes the protected packet to the empty `out`.
    fn protect(&self, rtcp: bool, packet: &[u8], out: &mut Vec<u8>) -> Result<(), Refused>;
    /// In place; gives the length of the plain packet.
    fn unprotect(&self, rtcp: bool, packet: &mut [u8]) -> Result<usize, Refused>;
    /// Fills `out` with key material.
    fn random(out: &mut [u8]) -> bool;
}

/// The provider's tables, with sessions of type `S`. To be kept in a static.
pub struct Provider<S> {
    session: UnsafeCell<sys::ast_srtp_res>,
    policy: UnsafeCell<sys::ast_srtp_policy_res>,
    registered: AtomicBool,
    sessions: PhantomData<fn() -> S>,
}

// SAFETY: the tables are written before they are registered and read-only while they are.
unsafe impl<S> Sync for Provider<S> {}

impl<S: SrtpSession> Provider<S> {
    #[expect(clippy::new_without_default, reason = "const, for a static")]
    pub const fn new() -> Self {
        Self {
            session: UnsafeCell::new(sys::ast_srtp_res {
                create: Some(create::<S>),
                replace: Some(replace::<S>),
                destroy: Some(destroy::<S>),
                add_stream: Some(add_stream::<S>),
                change_source: Some(change_source::<S>),
                set_cb: Some(set_cb),
                unprotect: Some(unprotect::<S>),
                protect: Some(protect::<S>),
                get_random: Some(get_random::<S>),
            }),
            policy: UnsafeCell::new(sys::ast_srtp_policy_res {
                alloc: Some(policy_alloc),
                destroy: Some(policy_destroy),
                set_suite: Some(policy_set_suite),
                set_master_key: Some(policy_set_master_key),
                set_ssrc: Some(policy_set_ssrc),
            }),
            registered: AtomicBool::new(false),
            sessions: PhantomData,
        }
    }

    /// Becomes the core's provider. `false` when there is one already, which is left alone.
    pub fn register(&'static self, info: &Info) -> bool {
        module_ref::remember(info);
        // SAFETY: asks for a pointer the core holds.
        if unsafe { sys::ast_rtp_engine_srtp_is_registered() } != 0 {
            return false;
        }
        // SAFETY: complete tables that live as long as the module.
        let done = unsafe { sys::ast_rtp_engine_register_srtp(self.session.get(), self.policy.get()) } == 0;
        self.registered.store(done, Ordering::Release);
        done
    }

    /// Undoes [`Self::register`]. No session can be left: each keeps the module loaded.
    pub fn unregister(&self) {
        if self.registered.swap(false, Ordering::AcqRel) {
            // SAFETY: the core does not ask whose provider it forgets; it is ours.
            unsafe { sys::ast_rtp_engine_unregister_srtp() };
        }
    }
}

/// What the core knows as `struct ast_srtp`.
struct Session<S> {
    session: S,
    /// One of its methods panicked.
    closed: AtomicBool,
    /// What `protect` returned last, for RTP and for RTCP: C reads it until the next call.
    protected: [Mutex<Vec<u8>>; 2],
    _module: Option<ModuleRef>,
}

impl<S: SrtpSession> boundary::Poison for Session<S> {
    fn poison(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// What the core knows as `struct ast_srtp_policy`: filled in step by step.
struct Draft(Mutex<DraftState>);

struct DraftState {
    suite: Option<Suite>,
    stream: Stream,
    key: Vec<u8>,
    salt: Vec<u8>,
}

impl Draft {
    /// # Safety
    /// `raw` is null or came from `policy_alloc` and is not destroyed for `'a`.
    unsafe fn of<'a>(raw: *mut sys::ast_srtp_policy) -> Option<&'a Self> {
        // SAFETY: the caller's word.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    fn policy(&self) -> Option<Policy> {
        let state = lock(&self.0);
        let (master_key, master_salt) = (state.key.clone(), state.salt.clone());
        Some(Policy { suite: state.suite?, stream: state.stream, master_key, master_salt })
    }
}

#[cfg(ast_has_sdp_crypto_register)]
impl From<&Policy> for Draft {
    fn from(policy: &Policy) -> Self {
        let (key, salt) = (policy.master_key.clone(), policy.master_salt.clone());
        Self(Mutex::new(DraftState { suite: Some(policy.suite), stream: policy.stream, key, salt }))
    }
}

impl Drop for DraftState {
    fn drop(&mut self) {
        self.key.fill(0);
        self.salt.fill(0);
        std::hint::black_box((&self.key, &self.salt));
    }
}

/// Runs `body` on the session behind `raw`.
///
/// # Safety
/// `raw` is null or came from `create` and is not destroyed during the call.
unsafe fn with<S: SrtpSession>(
    name: &'static str,
    raw: *mut sys::ast_srtp,
    body: impl FnOnce(&Session<S>) -> c_int,
) -> c_int {
    // SAFETY: the caller's word.
    match unsafe { raw.cast::<Session<S>>().as_ref() } {
        Some(session) if !session.closed.load(Ordering::Acquire) => {
            boundary::guard_owned(name, session, || body(session))
        }
        _ => -1,
    }
}

/// Hands keys for both directions of an instance to the core, which passes them to the provider.
///
/// # Safety
/// `rtp` is a live instance, and the registered provider is one of ours.
#[cfg(ast_has_sdp_crypto_register)]
pub(in crate::host) unsafe fn add_policies(rtp: *mut sys::ast_rtp_instance, inbound: Policy, outbound: Policy) -> bool {
    let (inbound, outbound) = (Draft::from(&inbound), Draft::from(&outbound));
    let raw = |draft: &Draft| std::ptr::from_ref(draft).cast_mut().cast();
    // SAFETY: the caller's word; the provider copies what the policies hold.
    unsafe { sys::ast_rtp_instance_add_srtp_policy(rtp, raw(&inbound), raw(&outbound), 0) == 0 }
}

fn status(done: bool) -> c_int {
    if done { 0 } else { -1 }
}

unsafe extern "C" fn create<S: SrtpSession>(
    srtp: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    policy: *mut sys::ast_srtp_policy,
) -> c_int {
    boundary::guard("srtp create", || {
        // SAFETY: the core passes a policy of ours, or none.
        let draft = unsafe { Draft::of(policy) };
        let policy = draft.and_then(Draft::policy);
        if draft.is_some() && policy.is_none() {
            return -1;
        }
        let Some(session) = S::new(rtp.addr(), policy.as_ref()) else { return -1 };
        let closed = AtomicBool::new(false);
        let session = Session { session, closed, protected: Default::default(), _module: ModuleRef::take() };
        let session = Box::into_raw(Box::new(session));
        // SAFETY: the core passes the place where it keeps the session.
        unsafe { srtp.write(session.cast()) };
        0
    })
}

unsafe extern "C" fn replace<S: SrtpSession>(
    srtp: *mut *mut sys::ast_srtp,
    rtp: *mut sys::ast_rtp_instance,
    policy: *mut sys::ast_srtp_policy,
) -> c_int {
    // SAFETY: the place where the core keeps the session, which is null or ours.
    let former = unsafe { srtp.read() };
    // SAFETY: the core's arguments, passed on. On failure the former session stays in its place.
    let outcome = unsafe { create::<S>(srtp, rtp, policy) };
    if outcome == 0 {
        // SAFETY: no longer in the core's hands.
        unsafe { destroy::<S>(former) };
    }
    outcome
}

unsafe extern "C" fn destroy<S: SrtpSession>(srtp: *mut sys::ast_srtp) {
    if !srtp.is_null() {
        boundary::guard("srtp destroy", || {
            // SAFETY: made by `Box::into_raw` in `create`; the core destroys it once.
            drop(unsafe { Box::from_raw(srtp.cast::<Session<S>>()) });
        });
    }
}

unsafe extern "C" fn add_stream<S: SrtpSession>(srtp: *mut sys::ast_srtp, policy: *mut sys::ast_srtp_policy) -> c_int {
    // SAFETY: the core passes a policy of ours.
    let Some(policy) = (unsafe { Draft::of(policy) }).and_then(Draft::policy) else { return -1 };
    // SAFETY: the core passes a session of ours.
    unsafe { with::<S>("srtp add_stream", srtp, |session| status(session.session.add_stream(&policy))) }
}

unsafe extern "C" fn change_source<S: SrtpSession>(srtp: *mut sys::ast_srtp, from: c_uint, to: c_uint) -> c_int {
    // SAFETY: the core passes a session of ours.
    unsafe { with::<S>("srtp change_source", srtp, |session| status(session.session.change_source(from, to))) }
}

/// The callback would be asked for the policy of an SSRC that has none. Nothing in Asterisk sets
/// one, and [`Stream::AnyInbound`] leaves nothing to ask.
unsafe extern "C" fn set_cb(_srtp: *mut sys::ast_srtp, _cb: *const sys::ast_srtp_cb, _data: *mut c_void) {}

unsafe extern "C" fn unprotect<S: SrtpSession>(
    srtp: *mut sys::ast_srtp,
    buf: *mut c_void,
    size: *mut c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the engine passes a session of ours, and a packet with its length.
    unsafe {
        with::<S>("srtp unprotect", srtp, |session| {
            let Some(packet) = slice::bytes_mut(buf.cast::<u8>(), *size as isize) else { return -1 };
            match session.session.unprotect(flags & 1 != 0, packet) {
                Ok(len) => {
                    *size = len.min(packet.len()) as c_int;
                    0
                }
                Err(Refused) => -1,
            }
        })
    }
}

unsafe extern "C" fn protect<S: SrtpSession>(
    srtp: *mut sys::ast_srtp,
    buf: *mut *mut c_void,
    size: *mut c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the engine passes a session of ours, and where a packet and its length are; it reads
    // the answer before it protects another packet with this session.
    unsafe {
        with::<S>("srtp protect", srtp, |session| {
            let rtcp = flags & 1 != 0;
            let out = &mut *lock(&session.protected[usize::from(rtcp)]);
            out.clear();
            let packet = slice::bytes((*buf).cast::<u8>(), *size as isize);
            if session.session.protect(rtcp, packet, out).is_err() {
                return -1;
            }
            let Ok(len) = c_int::try_from(out.len()) else { return -1 };
            *buf = out.as_mut_ptr().cast::<c_void>();
            *size = len;
            0
        })
    }
}

unsafe extern "C" fn get_random<S: SrtpSession>(key: *mut c_uchar, len: usize) -> c_int {
    boundary::guard("srtp get_random", || {
        // SAFETY: the caller passes that many bytes to fill.
        match unsafe { slice::bytes_mut(key, len.cast_signed()) } {
            Some(out) => status(S::random(out)),
            None => status(len == 0),
        }
    })
}

unsafe extern "C" fn policy_alloc() -> *mut sys::ast_srtp_policy {
    let state = DraftState { suite: None, stream: Stream::AnyInbound, key: Vec::new(), salt: Vec::new() };
    Box::into_raw(Box::new(Draft(Mutex::new(state)))).cast()
}

unsafe extern "C" fn policy_destroy(policy: *mut sys::ast_srtp_policy) {
    if !policy.is_null() {
        // SAFETY: made by `Box::into_raw` in `policy_alloc`; its owner destroys it once.
        drop(unsafe { Box::from_raw(policy.cast::<Draft>()) });
    }
}

unsafe extern "C" fn policy_set_suite(policy: *mut sys::ast_srtp_policy, suite: sys::ast_srtp_suite) -> c_int {
    boundary::guard("srtp set_suite", || {
        // SAFETY: a policy of ours.
        let Some(draft) = (unsafe { Draft::of(policy) }) else { return -1 };
        let Some(suite) = Suite::from_c(suite) else {
            log::error(&format!("there is no SRTP suite {suite}"));
            return -1;
        };
        lock(&draft.0).suite = Some(suite);
        0
    })
}

unsafe extern "C" fn policy_set_master_key(
    policy: *mut sys::ast_srtp_policy,
    key: *const c_uchar,
    key_len: usize,
    salt: *const c_uchar,
    salt_len: usize,
) -> c_int {
    boundary::guard("srtp set_master_key", || {
        // SAFETY: a policy of ours.
        let Some(draft) = (unsafe { Draft::of(policy) }) else { return -1 };
        // SAFETY: the caller passes both with their lengths.
        let (key, salt) =
            unsafe { (slice::bytes(key, key_len.cast_signed()), slice::bytes(salt, salt_len.cast_signed())) };
        let mut state = lock(&draft.0);
        state.key = key.to_vec();
        state.salt = salt.to_vec();
        0
    })
}

unsafe extern "C" fn policy_set_ssrc(policy: *mut sys::ast_srtp_policy, ssrc: c_ulong, inbound: c_int) {
    boundary::guard("srtp set_ssrc", || {
        // SAFETY: a policy of ours.
        if let Some(draft) = unsafe { Draft::of(policy) } {
            lock(&draft.0).stream = match (ssrc, inbound) {
                (0, 0) => Stream::AnyOutbound,
                (0, _) => Stream::AnyInbound,
                // An SSRC has 32 bits; the argument is wider than it.
                (ssrc, _) => Stream::Ssrc(ssrc as u32),
            };
        }
    });
}
