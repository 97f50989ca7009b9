//! Asterisk's configuration files, read through its own loader: included files, templates and
//! `extconfig.conf` work as they do for every module.

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;

use super::sys;

/// What came of asking for a file.
#[derive(Debug)]
pub enum Loaded {
    File(Config),
    /// There is none, which is no error: every option has a default.
    Absent,
    /// Asterisk has said in its log what is wrong with it.
    Invalid,
    /// The same as when it was last loaded.
    Unchanged,
}

/// A loaded file.
///
/// # Invariants
/// The pointer came from `ast_config_load2`, is none of its status values, and is ours to destroy.
#[derive(Debug)]
pub struct Config {
    raw: NonNull<sys::ast_config>,
    name: String,
}

/// One `name = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub category: String,
    /// Which of the file's categories, counted from 0: several may have one name.
    pub section: usize,
    pub name: String,
    pub value: String,
    /// The file it stands in, which may have been included by the one that was asked for.
    pub file: String,
    pub line: u32,
}

/// Asterisk's configuration directory.
pub fn directory() -> String {
    // SAFETY: set while Asterisk starts and never changed or freed.
    text(unsafe { sys::ast_config_AST_CONFIG_DIR })
}

/// Loads a file of Asterisk's configuration directory. With `only_if_changed`, a file that is as it
/// was when this module last loaded it is [`Loaded::Unchanged`].
pub fn load(file: &str, only_if_changed: bool) -> Loaded {
    let Ok(path) = CString::new(file) else {
        return Loaded::Absent;
    };
    let mut config = std::ptr::null_mut();
    // SAFETY: the name is NUL-terminated and both pointers outlive the call.
    let status = unsafe { sys::rw_config_load(path.as_ptr(), only_if_changed.into(), &raw mut config) };
    match (status, NonNull::new(config)) {
        // INVARIANT: the shim gives a pointer only when it is no status value.
        (sys::rw_config_status_RW_CONFIG_LOADED, Some(config)) => {
            Loaded::File(Config { raw: config, name: file.into() })
        }
        (sys::rw_config_status_RW_CONFIG_UNCHANGED, _) => Loaded::Unchanged,
        (sys::rw_config_status_RW_CONFIG_INVALID, _) => Loaded::Invalid,
        _ => Loaded::Absent,
    }
}

impl Config {
    /// Everything in the file, in its order.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        let mut category: *const c_char = std::ptr::null();
        for section in 0.. {
            // SAFETY: the config is alive; `category` is null or what the last call returned.
            category = unsafe { sys::ast_category_browse(self.raw.as_ptr(), category) };
            if category.is_null() {
                break;
            }
            // SAFETY: both belong to the config, which is alive. Passing the very pointer that
            // browsing returned tells apart categories of one name.
            let mut next = unsafe { sys::ast_variable_browse(self.raw.as_ptr(), category) };
            // SAFETY: null, or a variable of the config, which is not changed while we read it.
            while let Some(variable) = unsafe { next.as_ref() } {
                found.push(Variable {
                    category: text(category),
                    section,
                    name: text(variable.name),
                    value: text(variable.value),
                    file: self.file_of(variable),
                    line: u32::try_from(variable.lineno).unwrap_or(0),
                });
                next = variable.next;
            }
        }
        found
    }
}

impl Config {
    /// Asterisk names the file of a variable only when it was included.
    fn file_of(&self, variable: &sys::ast_variable) -> String {
        let file = text(variable.file);
        if file.is_empty() { self.name.clone() } else { file }
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: ours to destroy, once.
        unsafe { sys::ast_config_destroy(self.raw.as_ptr()) };
    }
}

fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: Asterisk's strings are NUL-terminated and live as long as their config, which the
    // caller holds.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
