//! The functions of `asterisk/http_websocket.h` on sessions, and what of the API is provided.
//!
//! Each is checked against the header at compile time, runs behind the panic boundary, and passes
//! a session that is not ours on to stock's function.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::RwLock;

use super::super::{boundary, slice, sys};
use super::session::{Opcode, Received, SessionObject};
use super::{OPCODE_CLOSE, OPCODE_CONTINUATION, OPCODE_PONG, OPCODE_TEXT, server, upgrade_callback};
use crate::sync::{read, write};

type Raw = *mut sys::ast_websocket;

/// A function as the registry of optional functions has it.
type Any = unsafe extern "C" fn();

/// Stock's functions, for sessions that are not ours.
static STOCK: RwLock<Option<Functions>> = RwLock::new(None);

macro_rules! session_functions {
    ($(
        $(#[$condition:meta])*
        $symbol:literal $declared:ident
        fn $name:ident($object:ident $(, $argument:ident: $type:ty)*) -> $result:ty $body:block
    )*) => {
        /// Stock's functions on sessions.
        #[derive(Clone, Copy)]
        pub(super) struct Functions {
            $( $(#[$condition])* pub(super) $name: Option<unsafe extern "C" fn(Raw $(, $type)*) -> $result>, )*
        }

        impl Functions {
            /// # Safety
            /// `symbol` finds functions by the header's names with two underscores before them.
            pub(super) unsafe fn look_up(symbol: impl Fn(&CStr) -> Option<NonNull<c_void>>) -> Self {
                Self {
                    $( $(#[$condition])* $name: symbol(prefixed($symbol)).map(|found| {
                        // SAFETY: a function of this name has this signature, as checked below.
                        unsafe {
                            std::mem::transmute::<*mut c_void, unsafe extern "C" fn(Raw $(, $type)*) -> $result>(
                                found.as_ptr(),
                            )
                        }
                    }), )*
                }
            }
        }

        $(
            $(#[$condition])*
            unsafe extern "C" fn $name(session: Raw $(, $argument: $type)*) -> $result {
                boundary::guard(stringify!($declared), || {
                    // SAFETY: callers pass sessions that they hold.
                    match unsafe { SessionObject::borrow(session) } {
                        Some($object) => $body,
                        None => match read(&STOCK).and_then(|stock| stock.$name) {
                            // SAFETY: not ours, so stock's; the arguments are passed as they came.
                            Some(function) if !session.is_null() => unsafe { function(session $(, $argument)*) },
                            _ => boundary::Failure::failure(),
                        },
                    }
                })
            }
        )*

        /// The names and our functions.
        const SESSION_FUNCTIONS: &[(&CStr, Any)] = &[
            $( $(#[$condition])* (
                unprefixed($symbol),
                // SAFETY: only stored; users call it by the header's signature.
                unsafe { std::mem::transmute::<unsafe extern "C" fn(Raw $(, $type)*) -> $result, Any>($name) },
            ), )*
        ];

        fn stock_function(functions: &Functions, name: &CStr) -> Option<Any> {
            $( $(#[$condition])*
            if name == unprefixed($symbol) {
                // SAFETY: as above.
                return functions.$name.map(|function| unsafe {
                    std::mem::transmute::<unsafe extern "C" fn(Raw $(, $type)*) -> $result, Any>(function)
                });
            } )*
            None
        }

        /// Fails to compile where a signature is not the header's.
        const _: () = {
            $( $(#[$condition])*
            #[allow(dead_code, reason = "the types are what matters")]
            fn $name() {
                let _: unsafe extern "C" fn(Raw $(, $type)*) -> $result = sys::$declared;
            } )*
        };
    };
}

/// Stock exports each function with two underscores before its name.
const fn prefixed(symbol: &'static CStr) -> &'static CStr {
    symbol
}

const fn unprefixed(symbol: &'static CStr) -> &'static CStr {
    match CStr::from_bytes_with_nul(symbol.to_bytes_with_nul().split_at(2).1) {
        Ok(name) => name,
        Err(_) => symbol,
    }
}

session_functions! {
    c"__ast_websocket_read" ast_websocket_read
    fn read_message(
        object,
        payload: *mut *mut c_char,
        payload_len: *mut u64,
        opcode: *mut Opcode,
        fragmented: *mut c_int
    ) -> c_int {
        let (outcome, kind, data, pieces) = match object.session.read() {
            Received::Data { opcode, payload, fragmented } => (0, opcode, Some(payload), fragmented),
            Received::Close => (0, OPCODE_CLOSE, None, false),
            // What consumers ignore, where stock would wait for seconds or give the session up.
            Received::Nothing => (0, OPCODE_PONG, None, false),
            Received::Gone => (-1, OPCODE_CLOSE, None, false),
        };
        let length = data.as_ref().map_or(0, Vec::len);
        let data = data.map_or(ptr::null_mut(), |data| object.keep(data));
        // SAFETY: callers pass the addresses of four variables.
        unsafe {
            payload.write(data);
            payload_len.write(length as u64);
            opcode.write(kind);
            fragmented.write(c_int::from(pieces));
        }
        outcome
    }

    #[cfg(ast_has_websocket_strings)]
    c"__ast_websocket_read_string" ast_websocket_read_string
    fn read_string(object, buffer: *mut *mut c_char) -> c_int {
        let mut text = Vec::new();
        loop {
            match object.session.read() {
                Received::Data { opcode, payload, fragmented } if opcode == OPCODE_TEXT || opcode == OPCODE_CONTINUATION => {
                    text.extend_from_slice(&payload);
                    if !fragmented {
                        break;
                    }
                }
                // A non-blocking session that has no text yet: wait for it as stock does.
                Received::Nothing => match object.session.wait_for_input(-1) {
                    Some(_) => {}
                    None => return -1,
                },
                Received::Data { .. } | Received::Close | Received::Gone => return -1,
            }
        }
        // SAFETY: `text` has so many readable bytes, and the copy is for the caller to free.
        let copy = unsafe { sys::rw_strndup(text.as_ptr().cast(), text.len()) };
        if copy.is_null() {
            return -1;
        }
        // SAFETY: the caller passes the address of a variable.
        unsafe { buffer.write(copy) };
        c_int::try_from(text.len()).map_or(c_int::MAX, |length| length.saturating_add(1))
    }

    c"__ast_websocket_write" ast_websocket_write
    fn write_message(object, opcode: Opcode, payload: *mut c_char, payload_size: u64) -> c_int {
        // SAFETY: the caller passes so many readable bytes, or NULL and 0.
        let payload = unsafe { slice::bytes(payload.cast(), isize::try_from(payload_size).unwrap_or(0)) };
        outcome(object.session.write(opcode, payload))
    }

    #[cfg(ast_has_websocket_strings)]
    c"__ast_websocket_write_string" ast_websocket_write_string
    fn write_string(object, text: *const c_char) -> c_int {
        // SAFETY: the caller passes a string.
        let text = unsafe { CStr::from_ptr(text) };
        outcome(object.session.write(OPCODE_TEXT, text.to_bytes()))
    }

    c"__ast_websocket_close" ast_websocket_close
    fn close(object, reason: u16) -> c_int {
        object.session.close(if reason == 0 { 1000 } else { reason });
        0
    }

    c"__ast_websocket_reconstruct_enable" ast_websocket_reconstruct_enable
    fn reconstruct_enable(object, bytes: usize) -> () {
        object.session.set_reconstruct(bytes);
    }

    c"__ast_websocket_reconstruct_disable" ast_websocket_reconstruct_disable
    fn reconstruct_disable(object) -> () {
        object.session.set_reconstruct(0);
    }

    c"__ast_websocket_ref" ast_websocket_ref
    fn reference(object) -> () {
        let object: *const SessionObject = object;
        // SAFETY: the caller holds a reference to this object.
        unsafe { sys::rw_ao2_ref(object.cast_mut().cast(), 1) };
    }

    c"__ast_websocket_unref" ast_websocket_unref
    fn unreference(object) -> () {
        let object: *const SessionObject = object;
        // SAFETY: the caller gives back a reference; the object is not used after this.
        unsafe { sys::rw_ao2_ref(object.cast_mut().cast(), -1) };
    }

    c"__ast_websocket_fd" ast_websocket_fd
    fn descriptor(object) -> c_int {
        object.session.fd().unwrap_or(-1)
    }

    #[cfg(ast_has_websocket_wait_for_input)]
    c"__ast_websocket_wait_for_input" ast_websocket_wait_for_input
    fn wait_for_input(object, timeout: c_int) -> c_int {
        object.session.wait_for_input(timeout).map_or(-1, c_int::from)
    }

    c"__ast_websocket_remote_address" ast_websocket_remote_address
    fn remote_address(object) -> *mut sys::ast_sockaddr {
        object.remote.0.get()
    }

    #[cfg(ast_has_websocket_local_address)]
    c"__ast_websocket_local_address" ast_websocket_local_address
    fn local_address(object) -> *mut sys::ast_sockaddr {
        object.local.0.get()
    }

    c"__ast_websocket_is_secure" ast_websocket_is_secure
    fn is_secure(object) -> c_int {
        c_int::from(object.is_secure)
    }

    c"__ast_websocket_set_nonblock" ast_websocket_set_nonblock
    fn set_nonblock(object) -> c_int {
        object.session.set_nonblocking();
        0
    }

    #[cfg(ast_has_websocket_set_timeout)]
    c"__ast_websocket_set_timeout" ast_websocket_set_timeout
    fn set_timeout(object, timeout: c_int) -> c_int {
        object.session.set_timeout(timeout);
        0
    }

    #[cfg(ast_has_websocket_session_id)]
    c"__ast_websocket_session_id" ast_websocket_session_id
    fn session_id(object) -> *const c_char {
        object.id.as_ptr()
    }

    // A session of ours was accepted, not made by a client.
    #[cfg(ast_has_websocket_client)]
    c"__ast_websocket_client_accept_protocol" ast_websocket_client_accept_protocol
    fn client_accept_protocol(_object) -> *const c_char {
        ptr::null()
    }
}

/// Provides what is ours: with stock beside us the functions on sessions and the upgrade, without
/// it all but the client's.
pub(super) fn provide(stock: Option<Functions>) {
    *write(&STOCK) = stock;
    for &(name, function) in SESSION_FUNCTIONS {
        provide_one(name, function);
    }
    provide_one(UPGRADE, upgrade_function());
    if stock.is_none() {
        for &(name, function) in server::FUNCTIONS {
            provide_one(name, function);
        }
    }
}

/// Puts stock's functions back, or leaves consumers with their stubs.
pub(super) fn withdraw() {
    let stock = write(&STOCK).take();
    for &(name, function) in SESSION_FUNCTIONS {
        give_back(name, function, stock.as_ref().and_then(|stock| stock_function(stock, name)));
    }
    give_back(UPGRADE, upgrade_function(), None);
    if stock.is_none() {
        for &(name, function) in server::FUNCTIONS {
            give_back(name, function, None);
        }
    }
}

const UPGRADE: &CStr = c"ast_websocket_uri_cb";

fn upgrade_function() -> Any {
    let function: unsafe extern "C" fn(_, _, _, _, _, _) -> c_int = upgrade_callback;
    // SAFETY: only stored; users call it by the header's signature, which is the callback's.
    unsafe {
        std::mem::transmute::<
            unsafe extern "C" fn(
                *mut sys::ast_tcptls_session_instance,
                *const sys::ast_http_uri,
                *const c_char,
                sys::ast_http_method,
                *mut sys::ast_variable,
                *mut sys::ast_variable,
            ) -> c_int,
            Any,
        >(function)
    }
}

fn provide_one(name: &CStr, function: Any) {
    // SAFETY: the registry copies the name; the function stays until it is withdrawn.
    unsafe { sys::rw_optional_provide(name.as_ptr(), Some(function)) };
}

fn give_back(name: &CStr, ours: Any, stock: Option<Any>) {
    match stock {
        Some(function) => provide_one(name, function),
        // SAFETY: the registry compares names only; its users get their stubs.
        None => unsafe { sys::rw_optional_unprovide(name.as_ptr(), Some(ours)) },
    }
}

fn outcome(done: bool) -> c_int {
    if done { 0 } else { -1 }
}
