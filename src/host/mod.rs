//! Everything that speaks C: Asterisk wrapped, and OpenSSL wrapped. All `unsafe` code of the
//! module is below this folder, except the system calls in `driver/sys.rs`.

pub mod openssl;

#[cfg(feature = "module")]
pub mod ao2;
#[cfg(feature = "module")]
pub mod boundary;
#[cfg(feature = "module")]
pub mod cli;
#[cfg(feature = "module")]
pub mod config;
#[cfg(feature = "module")]
pub mod entry;
#[cfg(feature = "module")]
pub mod log;
#[cfg(feature = "module")]
pub mod sys;
#[cfg(feature = "module")]
pub mod version;
