//! What Asterisk asks for, answered with the cores.
#![forbid(unsafe_code)]

pub mod capture;
pub mod cli;
pub mod config;
pub mod engine;
pub mod srtp;
#[cfg(ast_has_iostream)]
pub mod websocket;
