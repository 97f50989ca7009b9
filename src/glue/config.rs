//! The settings in force, read from Asterisk's files at load and at reload.
//!
//! A session takes [`current`] when it begins and keeps it; a reload changes what later sessions
//! take.

use std::sync::{Arc, RwLock};

use crate::host::config::{self, Loaded, Variable};
use crate::host::log;
use crate::settings::{Entry, Settings, Source};
use crate::sync;

/// LOCK: a leaf, held for the exchange of a pointer only.
static CURRENT: RwLock<Option<Arc<Settings>>> = RwLock::new(None);

/// What is in force; the defaults before [`load`].
pub fn current() -> Arc<Settings> {
    sync::read(&CURRENT).clone().unwrap_or_default()
}

/// Reads all files. One that Asterisk could not parse leaves everything as it is, so that a typing
/// error before a reload does not change a running system.
pub fn load() {
    let mut variables = Vec::new();
    for source in Source::ALL {
        match config::load(source.file(), false) {
            Loaded::File(file) => variables.push((source, file.variables())),
            Loaded::Absent | Loaded::Unchanged => {}
            Loaded::Invalid => {
                log::error(&format!("{} cannot be read; the settings stay as they are", source.file()));
                return;
            }
        }
    }
    let entries = variables.iter().flat_map(|(source, file)| file.iter().map(|variable| entry(*source, variable)));
    let (settings, warnings) = Settings::parse(entries);
    for warning in warnings {
        log::warning(&warning.to_string());
    }
    *sync::write(&CURRENT) = Some(Arc::new(settings));
}

/// Forgets the settings, for the loader may open the file again with its old statics.
pub fn clear() {
    *sync::write(&CURRENT) = None;
}

fn entry(source: Source, variable: &Variable) -> Entry<'_> {
    Entry {
        source,
        category: &variable.category,
        name: &variable.name,
        value: &variable.value,
        file: &variable.file,
        line: variable.line,
    }
}
