//! Everything that speaks C: Asterisk wrapped, and OpenSSL wrapped. All `unsafe` code of the
//! module is below this folder, except the system calls in `driver/sys.rs`.

pub mod openssl;

#[cfg(feature = "module")]
pub mod ao2;
#[cfg(feature = "module")]
pub mod boundary;
#[cfg(feature = "module")]
pub mod c_face;
#[cfg(feature = "module")]
pub mod channel;
#[cfg(feature = "module")]
pub mod cli;
#[cfg(feature = "module")]
pub mod config;
#[cfg(feature = "module")]
pub mod entry;
#[cfg(feature = "module")]
pub mod format;
#[cfg(feature = "module")]
pub mod frame;
#[cfg(all(feature = "module", ast_has_iostream))]
pub mod http;
#[cfg(all(feature = "module", ast_has_iostream))]
pub mod http_websocket;
#[cfg(all(feature = "module", ast_has_iostream))]
pub mod iostream;
#[cfg(feature = "module")]
pub mod log;
#[cfg(feature = "module")]
pub mod module_ref;
#[cfg(feature = "module")]
pub mod rtp_engine;
#[cfg(all(feature = "module", ast_has_sdp_crypto_register))]
pub mod sdp_crypto;
#[cfg(feature = "module")]
mod slice;
#[cfg(feature = "module")]
mod smoother;
#[cfg(feature = "module")]
pub mod sockaddr;
#[cfg(feature = "module")]
pub mod srtp;
#[cfg(feature = "module")]
pub mod sys;
#[cfg(feature = "module")]
pub mod time;
#[cfg(feature = "module")]
pub mod version;
