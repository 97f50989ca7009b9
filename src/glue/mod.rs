//! What Asterisk asks for, answered with the cores.
#![forbid(unsafe_code)]

pub mod capture;
pub mod check;
pub mod cli;
pub mod config;
pub mod engine;
#[cfg(ast_has_sdp_crypto_register)]
pub mod sdes;
pub mod srtp;
#[cfg(ast_has_iostream)]
pub mod websocket;
