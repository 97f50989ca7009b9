//! Servers and their subprotocols: stock's objects where stock's module is loaded, else ours.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::ao2::Ao2;
use super::super::http::Request;
use super::super::{boundary, log, sys};
use super::session::{MAGIC, SessionObject};
use super::stock;
use crate::sync::lock;

/// The subprotocol that every `/ws` server has built in.
const ECHO: &CStr = c"echo";

/// Who takes the sessions of one subprotocol: a counted reference to a
/// `struct ast_websocket_protocol`, or nobody outside for `echo`.
pub struct Subprotocol(Option<Reference>);

/// # Invariants
/// A live `struct ast_websocket_protocol`, of which one reference is this value's.
struct Reference(NonNull<sys::ast_websocket_protocol>);

// SAFETY: counted atomically; its fields do not change once it is registered.
unsafe impl Send for Reference {}
// SAFETY: as above.
unsafe impl Sync for Reference {}

impl Clone for Reference {
    fn clone(&self) -> Self {
        // SAFETY: alive through our own reference.
        unsafe { sys::rw_ao2_ref(self.0.as_ptr().cast(), 1) };
        Self(self.0)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: gives back the reference that this value owns.
        unsafe { sys::rw_ao2_ref(self.0.as_ptr().cast(), -1) };
    }
}

impl Reference {
    fn get(&self) -> &sys::ast_websocket_protocol {
        // SAFETY: alive through our reference, and not changed.
        unsafe { self.0.as_ref() }
    }

    fn name(&self) -> &CStr {
        // SAFETY: a protocol has a name from its making to its end.
        unsafe { CStr::from_ptr(self.get().name) }
    }
}

impl Subprotocol {
    /// # Safety
    /// NULL, or a live protocol of which the caller gives up a reference.
    unsafe fn from_found(found: *mut c_void) -> Option<Self> {
        let reference = Reference(NonNull::new(found.cast())?);
        // Stock's echo keeps a thread waiting per session; ours needs none. Only its own module
        // can have registered a function of its own.
        let is_stock_echo = reference.name() == ECHO
            && reference.get().session_established.is_some_and(|function| stock::contains(function as *const c_void));
        Some(Self((!is_stock_echo).then_some(reference)))
    }

    /// Whether messages are to be sent back, which needs no consumer.
    pub fn is_echo(&self) -> bool {
        self.0.is_none()
    }

    /// The name as it was registered.
    pub fn name(&self) -> String {
        self.0.as_ref().map_or(ECHO, Reference::name).to_string_lossy().into_owned()
    }

    /// Asks the consumer whether he wants the session, and lets him respond if he does not.
    pub fn attempt(&self, request: &Request<'_>, session_id: &CStr) -> bool {
        let Some(attempted) = self.0.as_ref().and_then(|reference| reference.get().session_attempted) else {
            return true;
        };
        #[cfg(ast_has_websocket_session_id)]
        // SAFETY: the consumer's callback, with what the header says it is given.
        let refused =
            unsafe { attempted(request.session.as_ptr(), request.parameters, request.headers, session_id.as_ptr()) };
        #[cfg(not(ast_has_websocket_session_id))]
        // SAFETY: as above.
        let refused = unsafe { attempted(request.session.as_ptr(), request.parameters, request.headers) };
        #[cfg(not(ast_has_websocket_session_id))]
        let _ = session_id;
        refused == 0
    }

    /// Gives the consumer his session. Most return when it is over.
    pub fn establish(self, request: &Request<'_>, session: Ao2<SessionObject>) {
        let Some(established) = self.0.as_ref().and_then(|reference| reference.get().session_established) else {
            return;
        };
        // SAFETY: the consumer's callback, with what the header says it is given; our reference to
        // the session becomes his.
        unsafe { established(session.into_raw().cast(), request.parameters, request.headers) };
    }
}

/// A server, for the length of a request.
pub(super) enum Server<'a> {
    Ours(&'a ServerObject),
    Stock(NonNull<sys::ao2_container>, PhantomData<&'a ()>),
}

impl Server<'_> {
    /// The server of a handler.
    ///
    /// # Safety
    /// `handler` is live for the value's life, and its data a live server, ours or stock's, or NULL.
    pub(super) unsafe fn of(handler: *const sys::ast_http_uri) -> Option<Self> {
        // SAFETY: the handler is live.
        let data = unsafe { handler.as_ref() }?.data;
        if data.is_null() {
            return None;
        }
        // SAFETY: both kinds of server begin with a word.
        if unsafe { data.cast::<u64>().read() } == MAGIC {
            // SAFETY: the magic says that it is ours, the caller that it is alive.
            return unsafe { data.cast::<ServerObject>().as_ref() }.map(Self::Ours);
        }
        // SAFETY: stock's server begins with the pointer to its container.
        let container = unsafe { data.cast::<*mut sys::ao2_container>().read() };
        NonNull::new(container).map(|container| Self::Stock(container, PhantomData))
    }

    pub(super) fn find(&self, name: &str) -> Option<Subprotocol> {
        match self {
            Self::Ours(server) => server.find(name),
            Self::Stock(container, _) => {
                let name = std::ffi::CString::new(name).ok()?;
                // SAFETY: the container is alive and is searched by name; it gives a reference.
                unsafe { Subprotocol::from_found(sys::rw_ao2_find_key(container.as_ptr(), name.as_ptr())) }
            }
        }
    }

    pub(super) fn only(&self) -> Option<Subprotocol> {
        match self {
            Self::Ours(server) => server.only(),
            // SAFETY: the container is alive; it gives a reference.
            Self::Stock(container, _) => unsafe { Subprotocol::from_found(sys::rw_ao2_only_one(container.as_ptr())) },
        }
    }
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// How many protocols of our making there are: each has a destructor of ours.
static PROTOCOLS: AtomicUsize = AtomicUsize::new(0);

/// The server of `/ws`, where stock's is not there.
static DEFAULT: Mutex<Option<Ao2<ServerObject>>> = Mutex::new(None);

/// How many servers and protocols of ours there are.
pub(super) fn count() -> usize {
    COUNT.load(Ordering::Acquire) + PROTOCOLS.load(Ordering::Acquire)
}

pub(super) fn set_default(server: Option<Ao2<ServerObject>>) {
    let before = std::mem::replace(&mut *lock(&DEFAULT), server);
    // Dropped without the lock: it may be the last reference to a consumer's protocol.
    drop(before);
}

/// A server of our own.
///
/// # Invariants
/// `magic` is [`MAGIC`] and comes first.
#[repr(C)]
pub(super) struct ServerObject {
    magic: u64,
    protocols: Mutex<Vec<Reference>>,
    has_echo: bool,
}

impl ServerObject {
    pub(super) fn new(has_echo: bool) -> Option<Ao2<Self>> {
        COUNT.fetch_add(1, Ordering::AcqRel);
        Ao2::new(Self { magic: MAGIC, protocols: Mutex::new(Vec::new()), has_echo })
    }

    fn find(&self, name: &str) -> Option<Subprotocol> {
        let found = lock(&self.protocols).iter().find(|protocol| is_named(protocol, name.as_bytes())).cloned();
        match found {
            Some(reference) => Some(Subprotocol(Some(reference))),
            None => {
                (self.has_echo && name.as_bytes().eq_ignore_ascii_case(ECHO.to_bytes())).then_some(Subprotocol(None))
            }
        }
    }

    fn only(&self) -> Option<Subprotocol> {
        let protocols = lock(&self.protocols);
        match (&protocols[..], self.has_echo) {
            ([], true) => Some(Subprotocol(None)),
            ([only], false) => Some(Subprotocol(Some(only.clone()))),
            _ => None,
        }
    }

    /// Registers a protocol and takes over the caller's reference, unless its name is taken or it
    /// was made for another version of the header.
    ///
    /// # Safety
    /// `protocol` is live, and the caller has a reference to give.
    unsafe fn add(&self, protocol: *mut sys::ast_websocket_protocol) -> bool {
        let Some(protocol) = NonNull::new(protocol) else { return false };
        // SAFETY: live.
        let (name, version) = unsafe { (CStr::from_ptr(protocol.as_ref().name), protocol.as_ref().version) };
        if version != sys::AST_WEBSOCKET_PROTOCOL_VERSION as c_uint {
            log::warning(&format!(
                "WebSocket subprotocol '{}' is not registered: its version is {version} and not {}",
                name.to_string_lossy(),
                sys::AST_WEBSOCKET_PROTOCOL_VERSION
            ));
            return false;
        }
        let mut protocols = lock(&self.protocols);
        let is_echo = self.has_echo && name.to_bytes().eq_ignore_ascii_case(ECHO.to_bytes());
        if is_echo || protocols.iter().any(|known| is_named(known, name.to_bytes())) {
            return false;
        }
        // INVARIANT: the caller's reference becomes the list's.
        protocols.push(Reference(protocol));
        drop(protocols);
        log::write(log::Level::Verbose(2), &format!("WebSocket registered subprotocol '{}'", name.to_string_lossy()));
        true
    }

    fn remove(&self, name: &CStr, callback: sys::ast_websocket_callback) -> bool {
        let mut protocols = lock(&self.protocols);
        let place = protocols.iter().position(|protocol| {
            is_named(protocol, name.to_bytes())
                && protocol.get().session_established.map(|function| function as usize)
                    == callback.map(|function| function as usize)
        });
        let removed = place.map(|place| protocols.remove(place));
        drop(protocols);
        if removed.is_some() {
            let name = name.to_string_lossy();
            log::write(log::Level::Verbose(2), &format!("WebSocket unregistered subprotocol '{name}'"));
        }
        removed.is_some()
    }
}

impl Drop for ServerObject {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::AcqRel);
    }
}

fn is_named(protocol: &Reference, name: &[u8]) -> bool {
    protocol.name().to_bytes().eq_ignore_ascii_case(name)
}

type RawServer = *mut sys::ast_websocket_server;

/// # Safety
/// `server` is NULL or a live server of ours.
unsafe fn ours<'a>(server: RawServer) -> Option<&'a ServerObject> {
    // SAFETY: live, and larger than a word.
    if server.is_null() || unsafe { server.cast::<u64>().read() } != MAGIC {
        return None;
    }
    // SAFETY: the magic says that it is ours.
    unsafe { server.cast::<ServerObject>().as_ref() }
}

unsafe extern "C" fn server_create() -> RawServer {
    boundary::guard("ast_websocket_server_create", || {
        ServerObject::new(false).map_or(std::ptr::null_mut(), |server| server.into_raw().cast())
    })
}

unsafe extern "C" fn sub_protocol_alloc(name: *const c_char) -> *mut sys::ast_websocket_protocol {
    boundary::guard("ast_websocket_sub_protocol_alloc", || {
        let size = size_of::<sys::ast_websocket_protocol>();
        // SAFETY: ao2 zeroes the memory; the destructor frees what is allocated below.
        let protocol = unsafe { sys::rw_ao2_alloc(size, Some(destroy_protocol)) }.cast::<sys::ast_websocket_protocol>();
        // SAFETY: NULL, or fresh memory that is all-zero.
        let Some(fields) = (unsafe { protocol.as_mut() }) else { return std::ptr::null_mut() };
        // SAFETY: the caller passes a string.
        fields.name = unsafe { sys::rw_strdup(name) };
        fields.version = sys::AST_WEBSOCKET_PROTOCOL_VERSION as c_uint;
        PROTOCOLS.fetch_add(1, Ordering::AcqRel);
        if fields.name.is_null() {
            // SAFETY: ours to give back.
            unsafe { sys::rw_ao2_ref(protocol.cast(), -1) };
            return std::ptr::null_mut();
        }
        protocol
    })
}

unsafe extern "C" fn destroy_protocol(protocol: *mut c_void) {
    PROTOCOLS.fetch_sub(1, Ordering::AcqRel);
    // SAFETY: called once, for an object of `sub_protocol_alloc`, whose name is its own or NULL.
    unsafe { sys::rw_free((*protocol.cast::<sys::ast_websocket_protocol>()).name.cast()) };
}

unsafe extern "C" fn server_add_protocol2(server: RawServer, protocol: *mut sys::ast_websocket_protocol) -> c_int {
    // SAFETY: the caller passes a server and a protocol that he holds.
    boundary::guard("ast_websocket_server_add_protocol2", || unsafe {
        ours(server).map_or(-1, |server| if server.add(protocol) { 0 } else { -1 })
    })
}

unsafe extern "C" fn server_add_protocol(
    server: RawServer,
    name: *const c_char,
    callback: sys::ast_websocket_callback,
) -> c_int {
    // SAFETY: as above; `name` is a string.
    boundary::guard("ast_websocket_server_add_protocol", || unsafe {
        ours(server).map_or(-1, |server| add_named(server, name, callback))
    })
}

unsafe extern "C" fn server_remove_protocol(
    server: RawServer,
    name: *const c_char,
    callback: sys::ast_websocket_callback,
) -> c_int {
    // SAFETY: as above.
    boundary::guard("ast_websocket_server_remove_protocol", || unsafe {
        ours(server).map_or(-1, |server| if server.remove(CStr::from_ptr(name), callback) { 0 } else { -1 })
    })
}

unsafe extern "C" fn add_protocol(name: *const c_char, callback: sys::ast_websocket_callback) -> c_int {
    boundary::guard("ast_websocket_add_protocol", || {
        // SAFETY: `name` is a string.
        default().map_or(-1, |server| unsafe { add_named(&server, name, callback) })
    })
}

unsafe extern "C" fn add_protocol2(protocol: *mut sys::ast_websocket_protocol) -> c_int {
    boundary::guard("ast_websocket_add_protocol2", || {
        // SAFETY: the caller passes a protocol that he holds.
        default().map_or(-1, |server| if unsafe { server.add(protocol) } { 0 } else { -1 })
    })
}

unsafe extern "C" fn remove_protocol(name: *const c_char, callback: sys::ast_websocket_callback) -> c_int {
    boundary::guard("ast_websocket_remove_protocol", || {
        // SAFETY: `name` is a string.
        let name = unsafe { CStr::from_ptr(name) };
        default().map_or(-1, |server| if server.remove(name, callback) { 0 } else { -1 })
    })
}

fn default() -> Option<Ao2<ServerObject>> {
    lock(&DEFAULT).clone()
}

/// # Safety
/// `name` is a string.
unsafe fn add_named(server: &ServerObject, name: *const c_char, callback: sys::ast_websocket_callback) -> c_int {
    // SAFETY: by contract.
    let protocol = unsafe { sub_protocol_alloc(name) };
    // SAFETY: NULL, or fresh and ours.
    let Some(fields) = (unsafe { protocol.as_mut() }) else { return -1 };
    fields.session_established = callback;
    // SAFETY: live, and its only reference is ours to give.
    if unsafe { server.add(protocol) } {
        return 0;
    }
    // SAFETY: not taken, so still ours.
    unsafe { sys::rw_ao2_ref(protocol.cast(), -1) };
    -1
}

macro_rules! server_functions {
    ($( $(#[$condition:meta])* $symbol:literal $declared:ident $name:ident: $type:ty; )*) => {
        /// The names and our functions.
        pub(super) const FUNCTIONS: &[(&CStr, unsafe extern "C" fn())] = &[
            // SAFETY: only stored; users call them by the header's signatures.
            $( $(#[$condition])* ($symbol, unsafe { std::mem::transmute::<$type, unsafe extern "C" fn()>($name) }), )*
        ];

        /// Fails to compile where a signature is not the header's.
        const _: () = {
            $( $(#[$condition])*
            #[allow(dead_code, reason = "the types are what matters")]
            fn $name() {
                let _: $type = sys::$declared;
            } )*
        };
    };
}

server_functions! {
    c"ast_websocket_server_create" ast_websocket_server_create server_create: unsafe extern "C" fn() -> RawServer;
    c"ast_websocket_sub_protocol_alloc" ast_websocket_sub_protocol_alloc sub_protocol_alloc:
        unsafe extern "C" fn(*const c_char) -> *mut sys::ast_websocket_protocol;
    c"ast_websocket_server_add_protocol" ast_websocket_server_add_protocol server_add_protocol:
        unsafe extern "C" fn(RawServer, *const c_char, sys::ast_websocket_callback) -> c_int;
    c"ast_websocket_server_add_protocol2" ast_websocket_server_add_protocol2 server_add_protocol2:
        unsafe extern "C" fn(RawServer, *mut sys::ast_websocket_protocol) -> c_int;
    c"ast_websocket_server_remove_protocol" ast_websocket_server_remove_protocol server_remove_protocol:
        unsafe extern "C" fn(RawServer, *const c_char, sys::ast_websocket_callback) -> c_int;
    c"ast_websocket_add_protocol" ast_websocket_add_protocol add_protocol:
        unsafe extern "C" fn(*const c_char, sys::ast_websocket_callback) -> c_int;
    c"ast_websocket_add_protocol2" ast_websocket_add_protocol2 add_protocol2:
        unsafe extern "C" fn(*mut sys::ast_websocket_protocol) -> c_int;
    c"ast_websocket_remove_protocol" ast_websocket_remove_protocol remove_protocol:
        unsafe extern "C" fn(*const c_char, sys::ast_websocket_callback) -> c_int;
}
