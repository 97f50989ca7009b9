//! Sockets, workers, the clock, the session table: the only room that does I/O.

#![deny(unsafe_code)]
