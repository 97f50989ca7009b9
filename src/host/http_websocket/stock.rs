//! `res_http_websocket.so`, when it is loaded beside us.

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

use super::super::sys;
use super::Unavailable;
use super::functions::Functions;

const FILE: &CStr = c"res_http_websocket.so";

/// Stock's module: its file is held open, so that its functions stay where they are.
pub(super) struct Stock {
    file: NonNull<c_void>,
    functions: Functions,
}

// SAFETY: a handle of the dynamic linker, which any thread may use.
unsafe impl Send for Stock {}
// SAFETY: as above.
unsafe impl Sync for Stock {}

impl Stock {
    /// Its functions on sessions, as far as it has them.
    pub(super) fn functions(&self) -> Functions {
        self.functions
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // SAFETY: opened in `find`, and nobody uses its functions through us any more.
        unsafe { libc::dlclose(self.file.as_ptr()) };
    }
}

/// Stock's module, if it runs.
pub(super) fn find() -> Result<Option<Stock>, Unavailable> {
    // SAFETY: the name is NUL-terminated.
    if unsafe { sys::ast_module_check(FILE.as_ptr()) } == 0 {
        return Ok(None);
    }
    // SAFETY: set while Asterisk starts and never changed or freed.
    let directory = unsafe { CStr::from_ptr(sys::ast_config_AST_MODULE_DIR) };
    let mut path = directory.to_bytes().to_vec();
    path.push(b'/');
    path.extend_from_slice(FILE.to_bytes());
    let path = CString::new(path).map_err(|_| Unavailable::UnknownStock("has an odd path"))?;
    // SAFETY: with RTLD_NOLOAD nothing is loaded and no code runs.
    let file = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
    let file = NonNull::new(file).ok_or(Unavailable::UnknownStock("its file is not in the modules directory"))?;
    let symbol = |name: &CStr| {
        // SAFETY: the handle is open, the name NUL-terminated.
        NonNull::new(unsafe { libc::dlsym(file.as_ptr(), name.as_ptr()) })
    };
    // SAFETY: the symbols are those of the header that the signatures are checked against.
    let functions = unsafe { Functions::look_up(symbol) };
    let stock = Stock { file, functions };
    if functions.read_message.is_none() {
        return Err(Unavailable::UnknownStock("does not export its functions"));
    }
    Ok(Some(stock))
}

/// Whether `function` lies in stock's file.
pub(super) fn contains(function: *const c_void) -> bool {
    // SAFETY: all-zero is a valid `Dl_info`.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is written during the call.
    if unsafe { libc::dladdr(function, &raw mut info) } == 0 || info.dli_fname.is_null() {
        return false;
    }
    // SAFETY: not NULL, NUL-terminated, and the file stays loaded while its function is registered.
    unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes().ends_with(FILE.to_bytes())
}
