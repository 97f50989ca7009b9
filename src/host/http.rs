//! Asterisk's HTTP server: requests as it hands them over, and the paths it serves.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::ptr::NonNull;

use super::iostream::IoStream;
use super::{sockaddr, sys};

/// A request whose headers have been read, during the callback of its path.
///
/// # Invariants
/// All pointers are those of the callback and stay valid for `'a`.
pub struct Request<'a> {
    pub(super) session: NonNull<sys::ast_tcptls_session_instance>,
    method: sys::ast_http_method,
    pub(super) parameters: *mut sys::ast_variable,
    pub(super) headers: *mut sys::ast_variable,
    callback: PhantomData<&'a sys::ast_variable>,
}

impl Request<'_> {
    /// # Safety
    /// The arguments are those of an `ast_http_callback` that has not returned before the value is
    /// dropped.
    pub(super) unsafe fn new(
        session: *mut sys::ast_tcptls_session_instance,
        method: sys::ast_http_method,
        parameters: *mut sys::ast_variable,
        headers: *mut sys::ast_variable,
    ) -> Option<Self> {
        let session = NonNull::new(session)?;
        Some(Self { session, method, parameters, headers, callback: PhantomData })
    }

    pub fn method(&self) -> &'static str {
        match self.method {
            sys::ast_http_method_AST_HTTP_GET => "GET",
            sys::ast_http_method_AST_HTTP_POST => "POST",
            sys::ast_http_method_AST_HTTP_HEAD => "HEAD",
            sys::ast_http_method_AST_HTTP_PUT => "PUT",
            sys::ast_http_method_AST_HTTP_DELETE => "DELETE",
            sys::ast_http_method_AST_HTTP_OPTIONS => "OPTIONS",
            _ => "unknown",
        }
    }

    /// The header lines in their order. A line that is not UTF-8 is as good as absent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut next = self.headers.cast_const();
        std::iter::from_fn(move || {
            loop {
                // SAFETY: the list is the callback's: live, and changed by nobody.
                let line = unsafe { next.as_ref() }?;
                next = line.next;
                if let (Some(name), Some(value)) = (text(line.name), text(line.value)) {
                    return Some((name, value));
                }
            }
        })
    }

    /// Where the request comes from.
    pub fn remote_address(&self) -> Option<SocketAddr> {
        // SAFETY: the session is live.
        sockaddr::from_c(&unsafe { self.session.as_ref() }.remote_address)
    }

    /// Responds without a body.
    pub fn respond(&self, status: u16, title: &str, headers: &[(&str, &str)]) {
        if !self.is_connected() {
            return;
        }
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (Ok(title), Ok(lines)) = (CString::new(title), CString::new(lines)) else { return };
        // SAFETY: the session is live and connected; the strings outlive the call.
        unsafe { sys::rw_http_respond(self.session.as_ptr(), c_int::from(status), title.as_ptr(), lines.as_ptr()) };
    }

    /// No further request will be read from this connection.
    pub fn close_on_completion(&self) {
        // SAFETY: the session is live and is inside its request.
        unsafe { sys::ast_http_request_close_on_completion(self.session.as_ptr()) };
    }

    /// Reads and forgets the body. False when the connection has failed at it.
    pub fn discard_body(&self) -> bool {
        // SAFETY: the session is live and is inside its request.
        self.is_connected() && unsafe { sys::ast_http_body_discard(self.session.as_ptr()) } == 0
    }

    /// False once a response has ended the connection.
    pub fn is_connected(&self) -> bool {
        // SAFETY: the session is live; the field is its thread's, which is this one.
        !unsafe { self.session.as_ref() }.stream.is_null()
    }

    /// Takes the connection away from the HTTP server, whose thread is free when the callback
    /// returns.
    pub fn take_stream(&mut self) -> Option<IoStream> {
        // SAFETY: the session is live; the field is its thread's, which is this one.
        let stream = std::mem::replace(&mut unsafe { self.session.as_mut() }.stream, std::ptr::null_mut());
        // SAFETY: it was the session's, which has given it up; TLS is set up before a request is
        // read.
        unsafe { IoStream::from_raw(stream) }
    }
}

/// A path that the HTTP server serves through us.
pub struct Path {
    uri: NonNull<sys::ast_http_uri>,
    linked: bool,
}

// SAFETY: the structure is changed by the HTTP server only, under its lock.
unsafe impl Send for Path {}
// SAFETY: as above.
unsafe impl Sync for Path {}

impl Path {
    /// Serves `path`. Of several handlers of one path the one linked last is asked.
    ///
    /// # Safety
    /// `callback` is sound until the value is dropped, which must not be before [`Self::unlink`]
    /// and the end of the last request that had found the path.
    pub(super) unsafe fn link(
        path: &'static CStr,
        description: &'static CStr,
        callback: sys::ast_http_callback,
    ) -> Self {
        // SAFETY: all-zero is a valid `ast_http_uri`: pointers, flags and an optional function.
        let mut uri: Box<sys::ast_http_uri> = Box::new(unsafe { std::mem::zeroed() });
        uri.uri = path.as_ptr();
        uri.description = description.as_ptr();
        uri.callback = callback;
        // Every URI's key is compared when some module unlinks its own.
        uri.key = c"res_rust_webrtc".as_ptr();
        let uri = NonNull::from(Box::leak(uri));
        // SAFETY: lives until unlinked in `drop`.
        unsafe { sys::ast_http_uri_link(uri.as_ptr()) };
        Self { uri, linked: true }
    }

    /// The next handler of the same path, which ours hides.
    ///
    /// # Safety
    /// No other thread changes the server's list: true while a module loads or unloads.
    pub(super) unsafe fn hidden(&self) -> Option<&sys::ast_http_uri> {
        // SAFETY: linked, so live.
        let own = unsafe { self.uri.as_ref() };
        let mut next = own.entry.next.cast_const();
        // SAFETY: the caller vouches for the list, whose elements are live.
        while let Some(uri) = unsafe { next.as_ref() } {
            if text(uri.uri) == text(own.uri) {
                return Some(uri);
            }
            next = uri.entry.next;
        }
        None
    }

    pub(super) fn handler(&self) -> *const sys::ast_http_uri {
        self.uri.as_ptr()
    }

    pub(super) fn set_data(&mut self, data: *mut c_void) {
        // SAFETY: live; a pointer-sized field that a request reads once, NULL or what it is now.
        unsafe { self.uri.as_mut() }.data = data;
    }
}

impl Path {
    /// Serves the path no more. A request may have found it just before, and is given time to
    /// enter the callback: the server's list tells nothing of it.
    pub(super) fn unlink(&mut self) {
        if std::mem::take(&mut self.linked) {
            // SAFETY: linked once, unlinked once.
            unsafe { sys::ast_http_uri_unlink(self.uri.as_ptr()) };
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Path {
    /// Undoes [`Self::unlink`].
    pub(super) fn relink(&mut self) {
        if !std::mem::replace(&mut self.linked, true) {
            // SAFETY: out of the list, and live until unlinked.
            unsafe { sys::ast_http_uri_link(self.uri.as_ptr()) };
        }
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.unlink();
        // SAFETY: leaked in `link`, out of the list, and by the contract of `link` out of use.
        drop(unsafe { Box::from_raw(self.uri.as_ptr()) });
    }
}

fn text<'a>(text: *const c_char) -> Option<&'a str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: Asterisk's strings are NUL-terminated; callers use them while their owner lives.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}
