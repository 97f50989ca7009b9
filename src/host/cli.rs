//! Commands of Asterisk's console.
//!
//! A [`Command`] is a constant; [`register`] hands it to Asterisk and gives back a
//! [`Registration`], whose drop withdraws it. Asterisk holds a reference to the module while a
//! command of it runs, so unloading never overtakes one.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::entry::Info;
use super::{boundary, sys};

/// A console command.
#[derive(Clone, Copy)]
pub struct Command {
    /// The words that call it, in Asterisk's notation: `webrtc set debug {on|off}`.
    pub words: &'static CStr,
    /// A line for lists of commands, under 60 characters.
    pub summary: &'static CStr,
    /// What `core show help` prints: "Usage: …", newline at the end.
    pub usage: &'static CStr,
    pub run: fn(&Console, &[&str]) -> Outcome,
    /// What the word at the cursor may become, see [`Cursor`].
    pub complete: fn(&Cursor<'_>) -> Vec<String>,
}

/// For commands without arguments.
pub fn nothing(_: &Cursor<'_>) -> Vec<String> {
    Vec::new()
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// The arguments make no sense: Asterisk prints the usage.
    ShowUsage,
    /// Asterisk says that the command failed.
    Failure,
}

/// Where the words of a command go while the user types them.
#[derive(Debug)]
pub struct Cursor<'a> {
    /// Index of the word at the cursor, the command's own words included.
    pub position: usize,
    /// All words so far.
    pub words: &'a [&'a str],
}

/// Where a command prints.
#[derive(Debug)]
pub struct Console {
    fd: c_int,
}

impl Console {
    /// Prints a line.
    pub fn line(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Prints as it is; control characters that a peer may have sent are made visible.
    pub fn print(&self, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        let text = CString::new(clean).unwrap_or_default();
        // SAFETY: NUL-terminated, outlives the call; the shim passes it as an argument, never as
        // the format.
        unsafe { sys::rw_cli_print(self.fd, text.as_ptr()) };
    }
}

/// What Asterisk links into its list, with what the handler needs behind it.
///
/// # Invariants
/// `entry` comes first, so that a pointer to it is a pointer to the whole. Asterisk writes into it
/// under its own lock while it is registered; nothing else does.
#[repr(C)]
struct Entry {
    entry: UnsafeCell<sys::ast_cli_entry>,
    command: Command,
}

/// A registered command; dropping it withdraws it.
pub struct Registration(NonNull<Entry>);

// SAFETY: the entry is only touched by Asterisk, under its lock, and by the drop, which owns it.
unsafe impl Send for Registration {}
// SAFETY: a shared registration offers nothing to do.
unsafe impl Sync for Registration {}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration")
    }
}

/// Adds a command to the console on behalf of this module. `None` when Asterisk has one of the same
/// words, which it logs.
pub fn register(command: Command, info: &Info) -> Option<Registration> {
    // SAFETY: all-zero is a valid entry: null pointers, no handler, integers.
    let mut entry: sys::ast_cli_entry = unsafe { std::mem::zeroed() };
    entry.summary = command.summary.as_ptr();
    entry.handler = Some(handle);
    let boxed = Box::new(Entry { entry: UnsafeCell::new(entry), command });
    let raw = Box::into_raw(boxed);
    // SAFETY: the entry stays in place until the registration is dropped, and the module's handle
    // is null or what the loader wrote.
    let refused = unsafe { sys::rw_cli_register(raw.cast(), info.module()) } != 0;
    let entry = NonNull::new(raw)?;
    if refused {
        // SAFETY: Asterisk refused it and so keeps no pointer; nobody else has one.
        drop(unsafe { Box::from_raw(entry.as_ptr()) });
        return None;
    }
    Some(Registration(entry))
}

impl Registration {
    /// How many consoles run the command at this moment.
    fn in_use(&self) -> c_int {
        // SAFETY: the entry is alive until the drop ends.
        let entry = unsafe { self.0.as_ref() }.entry.get();
        // SAFETY: Asterisk counts users with atomic operations on this aligned int.
        unsafe { AtomicI32::from_ptr(&raw mut (*entry).inuse) }.load(Ordering::SeqCst)
    }

    /// Whether Asterisk still has the entry in its list; it clears the text when it lets it go.
    fn is_linked(&self) -> bool {
        // SAFETY: the entry is alive until the drop ends.
        let entry = unsafe { self.0.as_ref() }.entry.get();
        // SAFETY: written under Asterisk's lock, by `register` before and by the call that has
        // just returned on this thread.
        !unsafe { (*entry)._full_cmd }.is_null()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // Asterisk refuses to remove a command in use, and a console may begin one between its
        // check and the removal: so ask until it is out of the list, then wait for the last user.
        loop {
            if self.is_linked() {
                // SAFETY: registered by `register` and not yet removed.
                unsafe { sys::rw_cli_unregister(self.0.as_ptr().cast()) };
            }
            if !self.is_linked() && self.in_use() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // SAFETY: from Box, out of Asterisk's list, used by nobody.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The handler of every command: initialises the entry, completes a word, or runs the command.
unsafe extern "C" fn handle(raw: *mut sys::ast_cli_entry, action: c_int, args: *mut sys::ast_cli_args) -> *mut c_char {
    boundary::guard("cli", || {
        // SAFETY: Asterisk calls the handler with the entry it was given, the head of an `Entry`.
        let Some(entry) = (unsafe { raw.cast::<Entry>().as_ref() }) else {
            return CliResult(FAILURE);
        };
        match action {
            sys::ast_cli_command_CLI_INIT => {
                let cell = entry.entry.get();
                // SAFETY: called from `register` under Asterisk's lock. Asterisk copies the words
                // and frees its copy; it only reads the usage.
                unsafe {
                    (*cell).command = entry.command.words.as_ptr().cast_mut();
                    (*cell).usage = entry.command.usage.as_ptr();
                }
                CliResult(std::ptr::null_mut())
            }
            // SAFETY: the arguments are valid during the call, see below.
            sys::ast_cli_command_CLI_GENERATE => CliResult(match unsafe { args.as_ref() } {
                Some(args) => complete(&entry.command, args),
                None => std::ptr::null_mut(),
            }),
            // SAFETY: as above.
            _ => CliResult(match unsafe { args.as_ref() } {
                Some(args) => run(&entry.command, args),
                None => FAILURE,
            }),
        }
    })
    .0
}

/// What a handler returns: a pointer, or one of three numbers in its place.
struct CliResult(*mut c_char);

const SUCCESS: *mut c_char = std::ptr::without_provenance_mut(sys::RESULT_SUCCESS as usize);
const SHOW_USAGE: *mut c_char = std::ptr::without_provenance_mut(sys::RESULT_SHOWUSAGE as usize);
const FAILURE: *mut c_char = std::ptr::without_provenance_mut(sys::RESULT_FAILURE as usize);

impl boundary::Failure for CliResult {
    /// Null would read as success. Completion, where it must be null, has a guard of its own.
    fn failure() -> Self {
        Self(FAILURE)
    }
}

fn run(command: &Command, args: &sys::ast_cli_args) -> *mut c_char {
    let words = words(args);
    let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
    match (command.run)(&Console { fd: args.fd }, &borrowed) {
        Outcome::Success => SUCCESS,
        Outcome::ShowUsage => SHOW_USAGE,
        Outcome::Failure => FAILURE,
    }
}

fn complete(command: &Command, args: &sys::ast_cli_args) -> *mut c_char {
    boundary::guard("cli completion", || {
        let words = words(args);
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        let cursor = Cursor { position: usize::try_from(args.pos).unwrap_or(0), words: &borrowed };
        let choices: Vec<CString> =
            (command.complete)(&cursor).into_iter().filter_map(|choice| CString::new(choice).ok()).collect();
        let mut pointers: Vec<*const c_char> = choices.iter().map(|choice| choice.as_ptr()).collect();
        pointers.push(std::ptr::null());
        // SAFETY: the word is Asterisk's, the list ends with NULL, and all strings outlive the
        // call; the answer is a copy from Asterisk's allocator, which its caller frees.
        unsafe { sys::ast_cli_complete(args.word, pointers.as_ptr(), args.n) }
    })
}

fn words(args: &sys::ast_cli_args) -> Vec<String> {
    if args.argv.is_null() {
        return Vec::new();
    }
    (0..usize::try_from(args.argc).unwrap_or(0))
        .map_while(|i| {
            // SAFETY: `argv` holds `argc` strings, valid during the call.
            let word = unsafe { *args.argv.add(i) };
            if word.is_null() {
                return None;
            }
            // SAFETY: not null, NUL-terminated.
            Some(unsafe { CStr::from_ptr(word) }.to_string_lossy().into_owned())
        })
        .collect()
}
