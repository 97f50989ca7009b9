//! The core's crypto attributes (`a=crypto`, RFC 4568), in place of those of `res_srtp`.
//!
//! chan_pjsip makes one for every encrypted stream, DTLS peers' too, and refuses the offer when
//! there is nobody to make it. The core's object `ast_sdp_crypto` is opaque to it: here it holds
//! a [`SdpCrypto`] of ours. A stream has a list of `ast_sdp_srtp`, one for each line of an offer;
//! its head is the line that is, or will be, in use.

use std::cell::UnsafeCell;
use std::ffi::{CString, c_char, c_int, c_uint};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::Info;
use super::log::{self, Level};
use super::module_ref::{self, ModuleRef};
use super::openssl::cleanse;
use super::srtp::{self, Policy, Suite};
use super::{boundary, slice, sys};
use crate::sync::lock;

/// What an attribute of the peer's has brought.
pub enum Accepted {
    /// The key in use goes on.
    Unchanged,
    Keys {
        inbound: Policy,
        outbound: Policy,
    },
}

/// Why an attribute is not accepted.
pub struct Refused {
    pub why: String,
    /// Nothing wrong with it, and no news: the next line of the offer may do.
    pub common: bool,
}

/// Our side of one `a=crypto` line. Texts are what stands behind the colon.
pub trait SdpCrypto: Send + Sized + 'static {
    /// To answer with, with a new key. `None` when there is no randomness.
    fn new() -> Option<Self>;
    /// To offer, the preferred first. `short_tag`: as the peer's configuration says.
    fn offers(short_tag: bool) -> Vec<Self>;
    fn tag(&self) -> u32;
    /// The tag of an attribute of the peer's.
    fn tag_of(text: &str) -> Option<u32>;
    /// Takes the peer's offer or answer.
    fn accept(&mut self, text: &str) -> Result<Accepted, Refused>;
    /// What was accepted last did not come into use.
    fn forget(&mut self);
    /// Chooses what to write; `false` if that does not fit our key. `draft_name`: by the name that
    /// the suite had before RFC 6188.
    fn choose(&mut self, suite: Suite, draft_name: bool) -> bool;
    fn write(&self, short_tag: bool) -> String;
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
                build_offer: Some(build_offer::<C>),
                parse_offer: Some(parse_offer::<C>),
                get_attr: Some(get_attr::<C>),
            }),
            registered: AtomicBool::new(false),
            states: PhantomData,
        }
    }

    /// `false` when there is a table already, which is left alone. Belongs to an SRTP provider of
    /// ours: the keys are handed to it.
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

/// What the core knows as `struct ast_sdp_crypto`. The state is taken out while a callback works
/// on it, so that none calls the core with the lock held; after a panic it stays out.
struct Attribute<C> {
    state: Mutex<Option<State<C>>>,
    _module: Option<ModuleRef>,
}

struct State<C> {
    crypto: C,
    /// What C was given last and reads until it asks again.
    text: Text,
}

/// A text that holds a key.
#[derive(Default)]
struct Text(CString);

impl Text {
    fn set(&mut self, text: String) -> *const c_char {
        match CString::new(text) {
            Ok(text) if text == self.0 => drop(Self(text)),
            Ok(text) => *self = Self(text),
            Err(_) => return ptr::null(),
        }
        self.0.as_ptr()
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        cleanse(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

/// A new object for C, null without `crypto`.
fn give<C: SdpCrypto>(crypto: Option<C>) -> *mut sys::ast_sdp_crypto {
    let Some(crypto) = crypto else { return ptr::null_mut() };
    let state = Mutex::new(Some(State { crypto, text: Text::default() }));
    Box::into_raw(Box::new(Attribute { state, _module: ModuleRef::take() })).cast()
}

/// Runs `body` on the state behind `raw`; `None` if there is none.
///
/// # Safety
/// `raw` is null or came from [`give`] and is not destroyed during the call.
unsafe fn with<C: SdpCrypto, R>(raw: *mut sys::ast_sdp_crypto, body: impl FnOnce(&mut State<C>) -> R) -> Option<R> {
    // SAFETY: the caller's word.
    let attribute = unsafe { raw.cast::<Attribute<C>>().as_ref() }?;
    let mut state = lock(&attribute.state).take()?;
    let result = body(&mut state);
    *lock(&attribute.state) = Some(state);
    Some(result)
}

unsafe extern "C" fn alloc<C: SdpCrypto>() -> *mut sys::ast_sdp_crypto {
    boundary::guard("sdp_crypto alloc", || give(C::new()))
}

unsafe extern "C" fn dtor<C: SdpCrypto>(crypto: *mut sys::ast_sdp_crypto) {
    if !crypto.is_null() {
        boundary::guard("sdp_crypto dtor", || {
            // SAFETY: made by `Box::into_raw` in `give`; its owner destroys it once.
            drop(unsafe { Box::from_raw(crypto.cast::<Attribute<C>>()) });
        });
    }
}

unsafe extern "C" fn parse_offer<C: SdpCrypto>(
    rtp: *mut sys::ast_rtp_instance,
    srtp: *mut sys::ast_sdp_srtp,
    attr: *const c_char,
) -> c_int {
    boundary::guard("sdp_crypto parse_offer", || {
        // SAFETY: the channel driver passes a live instance, a stream's list that it holds, and a
        // string. Nobody else uses the list meanwhile.
        unsafe {
            let (Some(text), Some(head)) = (slice::string(attr), srtp.as_mut()) else { return -1 };
            bring_to_head::<C>(head, C::tag_of(&text));
            let accepted = with::<C, _>(head.crypto, |state| accept(rtp, &mut state.crypto, &text));
            if accepted != Some(true) {
                return -1;
            }
            head.flags |= sys::AST_SRTP_CRYPTO_OFFER_OK as c_uint;
            // The peer has chosen; an answer of ours must not repeat what it left.
            let rest = std::mem::replace(&mut head.sdp_srtp_list.next, ptr::null_mut());
            if !rest.is_null() {
                sys::ast_sdp_srtp_destroy(rest);
            }
        }
        0
    })
}

/// # Safety
/// `rtp` is a live instance.
unsafe fn accept<C: SdpCrypto>(rtp: *mut sys::ast_rtp_instance, crypto: &mut C, text: &str) -> bool {
    match crypto.accept(text) {
        Ok(Accepted::Unchanged) => true,
        Ok(Accepted::Keys { inbound, outbound }) => {
            // SAFETY: the caller's word.
            let done = unsafe { srtp::add_policies(rtp, inbound, outbound) };
            if !done {
                log::warning("the keys of a crypto attribute did not come into use");
                crypto.forget();
            }
            done
        }
        Err(Refused { why, common }) => {
            // Not the text, which holds a key.
            let level = if common { Level::Debug(1) } else { Level::Notice };
            log::write(level, &format!("a crypto attribute of the peer's is refused: {why}"));
            false
        }
    }
}

/// Of several lines that were offered the answer names one by its tag: that becomes the head, by
/// exchanging what the two hold.
///
/// # Safety
/// A stream's list whose objects came from [`give`].
unsafe fn bring_to_head<C: SdpCrypto>(head: &mut sys::ast_sdp_srtp, tag: Option<u32>) {
    // SAFETY: the caller's word; `other` is never `head`.
    unsafe {
        let named = |crypto| with::<C, _>(crypto, |state| state.crypto.tag()) == tag;
        if tag.is_none() || named(head.crypto) {
            return;
        }
        let mut next = head.sdp_srtp_list.next;
        while let Some(other) = next.as_mut() {
            if named(other.crypto) {
                std::mem::swap(&mut head.crypto, &mut other.crypto);
                std::mem::swap(&mut head.flags, &mut other.flags);
                return;
            }
            next = other.sdp_srtp_list.next;
        }
    }
}

unsafe extern "C" fn build_offer<C: SdpCrypto>(crypto: *mut sys::ast_sdp_crypto, taglen: c_int) -> c_int {
    boundary::guard("sdp_crypto build_offer", || {
        let Some((suite, draft_name)) = suite_of(taglen) else { return -1 };
        // SAFETY: an object of ours.
        let built = unsafe {
            with::<C, _>(crypto, |state| {
                state.crypto.choose(suite, draft_name) && !state.text.set(state.crypto.write(false)).is_null()
            })
        };
        if built == Some(true) { 0 } else { -1 }
    })
}

/// What the core's number means: the tag's length, the key's in two higher bits, and a bit for the
/// names of drafts.
fn suite_of(taglen: c_int) -> Option<(Suite, bool)> {
    let suite = match (taglen & 0x7f, taglen & 0x300) {
        (80, 0) => Suite::AesCm128HmacSha1_80,
        (32, 0) => Suite::AesCm128HmacSha1_32,
        (80, 0x100) => Suite::AesCm192HmacSha1_80,
        (32, 0x100) => Suite::AesCm192HmacSha1_32,
        (80, 0x200) => Suite::AesCm256HmacSha1_80,
        (32, 0x200) => Suite::AesCm256HmacSha1_32,
        (16, 0) => Suite::AeadAes128Gcm,
        (16, 0x200) => Suite::AeadAes256Gcm,
        _ => return None,
    };
    Some((suite, taglen & 0x80 != 0))
}

unsafe extern "C" fn get_attr<C: SdpCrypto>(
    srtp: *mut sys::ast_sdp_srtp,
    dtls_enabled: c_int,
    default_taglen_32: c_int,
) -> *const c_char {
    boundary::guard("sdp_crypto get_attr", || {
        // SAFETY: the channel driver passes a member of a list that it holds, or null.
        unsafe {
            let Some(member) = srtp.as_mut() else { return ptr::null() };
            if dtls_enabled != 0 {
                // The keys will come from the handshake.
                return ptr::null();
            }
            let short_tag = default_taglen_32 != 0;
            if member.crypto.is_null() {
                fill::<C>(member, short_tag);
            }
            let text = with::<C, _>(member.crypto, |state| state.text.set(state.crypto.write(short_tag)));
            text.unwrap_or_else(|| {
                log::warning("no crypto attribute could be made");
                ptr::null()
            })
        }
    })
}

/// Puts what we offer into `head` and, beyond one line, into members that it makes behind it.
///
/// # Safety
/// The last member of a list, without an object yet.
unsafe fn fill<C: SdpCrypto>(head: &mut sys::ast_sdp_srtp, short_tag: bool) {
    let mut offers = C::offers(short_tag).into_iter();
    head.crypto = give(offers.next());
    if !head.sdp_srtp_list.next.is_null() {
        return;
    }
    let mut last = head;
    for offer in offers {
        // SAFETY: a new member, zeroed, that the core frees with the list.
        let Some(member) = (unsafe { sys::ast_sdp_srtp_alloc().as_mut() }) else { return };
        member.crypto = give(Some(offer));
        last.sdp_srtp_list.next = ptr::from_mut(member);
        last = member;
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn the_core_s_numbers_are_suites() {
        assert_eq!(suite_of(80), Some((Suite::AesCm128HmacSha1_80, false)));
        assert_eq!(suite_of(0x2a0), Some((Suite::AesCm256HmacSha1_32, true)));
        assert_eq!(suite_of(0x210), Some((Suite::AeadAes256Gcm, false)));
        for none in [0, 8, 0x110, 0x350, 81] {
            assert_eq!(suite_of(none), None, "{none:#x}");
        }
    }

    #[test]
    fn an_unchanged_text_keeps_its_address() {
        let mut text = Text::default();
        let first = text.set("1 SUITE inline:key".into());
        assert_eq!(text.set("1 SUITE inline:key".into()), first);
        // SAFETY: nothing was set since.
        assert_eq!(unsafe { CStr::from_ptr(first) }, c"1 SUITE inline:key");
        assert!(text.set("a\0b".into()).is_null());
    }
}
