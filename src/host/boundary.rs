//! No panic crosses into C. Every function that Asterisk calls runs its body through [`guard`],
//! which catches, logs and returns the type's failure value; what the callback was working on is
//! then closed by its owner's [`Poison`].

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::log;

/// The value a C entry returns when its body panicked.
pub trait Failure {
    fn failure() -> Self;
}

impl Failure for () {
    fn failure() {}
}

impl Failure for std::os::raw::c_int {
    fn failure() -> Self {
        -1
    }
}

impl Failure for std::os::raw::c_uint {
    fn failure() -> Self {
        0
    }
}

impl<T> Failure for *mut T {
    fn failure() -> Self {
        std::ptr::null_mut()
    }
}

impl<T> Failure for *const T {
    fn failure() -> Self {
        std::ptr::null()
    }
}

/// State that a panic in one of its callbacks makes unusable: it closes itself and answers every
/// later call with the failure value.
pub trait Poison {
    fn poison(&self);
}

/// Runs `body` for the C entry `name`.
pub fn guard<T: Failure>(name: &'static str, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => {
            report(name, &*panic);
            T::failure()
        }
    }
}

/// Runs `body` for the C entry `name` on behalf of `owner`, which is poisoned when it panics.
pub fn guard_owned<T: Failure>(name: &'static str, owner: &impl Poison, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => {
            report(name, &*panic);
            // Closing runs code that the panic may have left in an odd state.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| owner.poison())) {
                report(name, &*again);
            }
            T::failure()
        }
    }
}

fn report(name: &str, panic: &(dyn Any + Send)) {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    log::error(&format!("{name}: internal error, the session is closed: {text}"));
}

/// Sends panic messages to Asterisk's log instead of standard error, where nobody would see them.
/// Undone by [`restore_panic_hook`] before the module is unmapped.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        log::error(&format!("panic: {info}"));
    }));
}

/// Puts the standard hook back and frees ours.
pub fn restore_panic_hook() {
    drop(std::panic::take_hook());
}
