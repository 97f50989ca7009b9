//! How the shared object presents itself to Asterisk's loader.
//!
//! The loader may open the file twice before it calls `load` (`facts/abi.md` §4), so the
//! constructor only registers: it starts no thread and touches no thread-local with a destructor.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_char, c_int};

use super::{boundary, log, sys};

/// What the loader is told about the outcome of `load`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    Success,
    /// The module does not run; Asterisk goes on without it.
    Decline,
}

/// What a module of Asterisk's does.
pub trait Module {
    fn load() -> Load;
    /// `false` while something of the module's is in use.
    fn unload() -> bool;
    fn reload();
}

/// The loader writes `self_` into it, hence the cell.
pub struct Info(UnsafeCell<sys::ast_module_info>);

// SAFETY: written by the loader only, under its own lock, before any other thread knows the module.
unsafe impl Sync for Info {}

impl Info {
    /// The description that `module show` prints and the callbacks of `M`.
    pub const fn new<M: Module>(description: &'static CStr) -> Self {
        // SAFETY: all-zero is a valid `ast_module_info`: pointers and optional functions.
        let mut info: sys::ast_module_info = unsafe { std::mem::zeroed() };
        info.name = c"res_rust_webrtc".as_ptr();
        info.description = description.as_ptr();
        info.key = (&raw const sys::rw_gpl_key).cast::<c_char>();
        info.flags = sys::ast_module_flags_AST_MODFLAG_LOAD_ORDER | sys::ast_module_flags_AST_MODFLAG_GLOBAL_SYMBOLS;
        let sum = sys::AST_BUILDOPT_SUM;
        let mut i = 0;
        while i < sum.len() && i < info.buildopt_sum.len() {
            info.buildopt_sum[i] = sum[i] as c_char;
            i += 1;
        }
        // With the WebSocket server of stock: after it when it is there, before its consumers.
        info.load_pri = sys::ast_module_load_priority_AST_MODPRI_CHANNEL_DEPEND as _;
        info.load = Some(load::<M>);
        info.unload = Some(unload::<M>);
        info.reload = Some(reload::<M>);
        #[cfg(ast_has_module_support_level)]
        {
            info.support_level = sys::ast_module_support_level_AST_MODULE_SUPPORT_EXTENDED;
        }
        #[cfg(ast_has_module_requires)]
        {
            info.optional_modules = c"res_http_websocket,res_rtp_asterisk,res_srtp".as_ptr();
        }
        Self(UnsafeCell::new(info))
    }

    /// The loader's handle of this module, null before it is loaded.
    pub fn module(&self) -> *mut sys::ast_module {
        // SAFETY: the loader wrote the field before it called `load`, and does not change it while
        // the module runs.
        unsafe { (*self.0.get()).self_ }
    }

    /// Constructor: announces the module, unless this Asterisk is not the one it was built for.
    pub fn register(&self) {
        if let Err(sentence) = super::version::check() {
            log::error(&sentence);
            return;
        }
        // SAFETY: the info lives as long as the shared object, as the loader expects.
        unsafe { sys::ast_module_register(self.0.get()) };
    }

    /// Destructor.
    pub fn unregister(&self) {
        // SAFETY: as in `register`; a module that was never registered is looked up and not found.
        unsafe { sys::ast_module_unregister(self.0.get()) };
    }
}

unsafe extern "C" fn load<M: Module>() -> c_int {
    let outcome = boundary::guard("load", || match M::load() {
        Load::Success => sys::ast_module_load_result_AST_MODULE_LOAD_SUCCESS as c_int,
        Load::Decline => sys::ast_module_load_result_AST_MODULE_LOAD_DECLINE as c_int,
    });
    // The failure value of an int would tell the loader to end Asterisk.
    if outcome < 0 { sys::ast_module_load_result_AST_MODULE_LOAD_DECLINE as c_int } else { outcome }
}

unsafe extern "C" fn unload<M: Module>() -> c_int {
    boundary::guard("unload", || if M::unload() { 0 } else { -1 })
}

unsafe extern "C" fn reload<M: Module>() -> c_int {
    boundary::guard("reload", || {
        M::reload();
        0
    })
}

/// Makes this shared object a module of Asterisk's. Used once, in `lib.rs`.
#[macro_export]
macro_rules! module_entry {
    ($module:ty, $description:literal) => {
        pub(crate) static MODULE_INFO: $crate::host::entry::Info =
            $crate::host::entry::Info::new::<$module>($description);

        const _: () = {
            extern "C" fn construct() {
                MODULE_INFO.register();
            }
            extern "C" fn destruct() {
                MODULE_INFO.unregister();
            }
            #[used]
            #[expect(unsafe_code, reason = "the linker section that the dynamic loader runs")]
            #[unsafe(link_section = ".init_array")]
            static CONSTRUCT: extern "C" fn() = construct;
            #[used]
            #[expect(unsafe_code, reason = "as above")]
            #[unsafe(link_section = ".fini_array")]
            static DESTRUCT: extern "C" fn() = destruct;
        };
    };
}
pub use module_entry;
