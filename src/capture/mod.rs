//! Decrypted packet capture and key logs, written only when asked for.

#![forbid(unsafe_code)]
