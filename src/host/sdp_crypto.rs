//! The core's crypto attributes (`a=crypto`, RFC 4568), in place of those of `res_srtp`.
//!
//! chan_pjsip makes one for every encrypted stream, DTLS peers' too, and refuses the offer when
//! there is nobody to make it. The core's object `ast_sdp_crypto` is opaque to it: here it holds
//! a state of ours.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::Info;
use super::module_ref::{self, ModuleRef};
use super::{boundary, sys};

/// Our side of one `a=crypto` line.
pub trait SdpCrypto: Send + Sized + 'static {
    /// With new keys. `None` when there is no randomness.
    fn new() -> Option<Self>;
}

/// The table, with states of type `C`. To be kept in a static.
pub struct Crypto<C> {
    table: UnsafeCell<sys::ast_sdp_crypto_api>,
    registered: AtomicBool,
    states: PhantomData<fn() -> C>,
}

// SAFETY: the table is written before it is registered and read-only while it is.
unsafe impl<C> Sync for Crypto<C> {}

impl<C: SdpCrypto> Crypto<C> {
    #[expect(clippy::new_without_default, reason = "const, for a static")]
    pub const fn new() -> Self {
        Self {
            table: UnsafeCell::new(sys::ast_sdp_crypto_api {
                dtor: Some(dtor::<C>),
                alloc: Some(alloc::<C>),
                build_offer: Some(build_offer),
                parse_offer: Some(parse_offer),
                get_attr: Some(get_attr),
            }),
            registered: AtomicBool::new(false),
            states: PhantomData,
        }
    }

    /// `false` when there is a table already, which is left alone.
    pub fn register(&'static self, info: &Info) -> bool {
        module_ref::remember(info);
        // SAFETY: a complete table that lives as long as the module.
        let done = unsafe { sys::ast_sdp_crypto_register(self.table.get()) } == 0;
        self.registered.store(done, Ordering::Release);
        done
    }

    /// Undoes [`Self::register`]. No attribute can be left: each keeps the module loaded.
    pub fn unregister(&self) {
        if self.registered.swap(false, Ordering::AcqRel) {
            // SAFETY: the table that was registered.
            unsafe { sys::ast_sdp_crypto_unregister(self.table.get()) };
        }
    }
}

/// What the core knows as `struct ast_sdp_crypto`.
struct Attribute<C> {
    _state: Mutex<C>,
    _module: Option<ModuleRef>,
}

unsafe extern "C" fn alloc<C: SdpCrypto>() -> *mut sys::ast_sdp_crypto {
    boundary::guard("sdp_crypto alloc", || match C::new() {
        Some(state) => {
            let attribute = Attribute { _state: Mutex::new(state), _module: ModuleRef::take() };
            Box::into_raw(Box::new(attribute)).cast()
        }
        None => ptr::null_mut(),
    })
}

unsafe extern "C" fn dtor<C: SdpCrypto>(crypto: *mut sys::ast_sdp_crypto) {
    if !crypto.is_null() {
        boundary::guard("sdp_crypto dtor", || {
            // SAFETY: made by `Box::into_raw` in `alloc`; its owner destroys it once.
            drop(unsafe { Box::from_raw(crypto.cast::<Attribute<C>>()) });
        });
    }
}

/// Keys by signalling are refused; DTLS peers need none.
unsafe extern "C" fn parse_offer(
    _rtp: *mut sys::ast_rtp_instance,
    _srtp: *mut sys::ast_sdp_srtp,
    _attr: *const c_char,
) -> c_int {
    -1
}

unsafe extern "C" fn build_offer(_crypto: *mut sys::ast_sdp_crypto, _taglen: c_int) -> c_int {
    -1
}

unsafe extern "C" fn get_attr(
    _srtp: *mut sys::ast_sdp_srtp,
    _dtls_enabled: c_int,
    _default_taglen_32: c_int,
) -> *const c_char {
    ptr::null()
}
