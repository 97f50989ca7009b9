//! Everything that speaks C: Asterisk wrapped, and OpenSSL wrapped. All `unsafe` code of the
//! module is below this folder, except the system calls in `driver/sys.rs`.

pub mod openssl;
