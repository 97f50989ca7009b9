//! A session over a socket pair: the far end is the library itself.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use super::*;
use crate::host::openssl::x509::KeyPair;

/// Both ends of a session whose handshake is complete, with non-blocking sockets.
struct Session {
    near: *mut sys::SSL,
    far: *mut sys::SSL,
    contexts: [*mut sys::SSL_CTX; 2],
    near_socket: UnixStream,
    far_socket: UnixStream,
}

impl Session {
    fn new() -> Session {
        let pair = KeyPair::self_signed_p256("tls").unwrap();
        let (near_socket, far_socket) = UnixStream::pair().unwrap();
        near_socket.set_nonblocking(true).unwrap();
        far_socket.set_nonblocking(true).unwrap();
        // SAFETY: ordinary use of the library on objects made here; the sockets outlive them.
        unsafe {
            let server = sys::SSL_CTX_new(sys::TLS_server_method());
            assert_eq!(sys::SSL_CTX_use_certificate(server, pair.certificate.as_ptr()), 1);
            assert_eq!(sys::SSL_CTX_use_PrivateKey(server, pair.key.as_ptr()), 1);
            let client = sys::SSL_CTX_new(sys::TLS_client_method());
            let (near, far) = (sys::SSL_new(server), sys::SSL_new(client));
            for (ssl, socket) in [(near, &near_socket), (far, &far_socket)] {
                let bio = sys::BIO_new_socket(socket.as_raw_fd(), 0);
                sys::SSL_set_bio(ssl, bio, bio);
            }
            sys::SSL_set_accept_state(near);
            sys::SSL_set_connect_state(far);
            for _ in 0..10 {
                sys::SSL_do_handshake(far);
                sys::SSL_do_handshake(near);
            }
            assert_eq!(sys::SSL_is_init_finished(near), 1);
            error::clear();
            Session { near, far, contexts: [server, client], near_socket, far_socket }
        }
    }

    fn streams(&self) -> (Stream, Stream) {
        // SAFETY: valid until `drop`, the handshake is complete, the sockets do not block, and
        // the tests drop the streams first. Rust's runtime ignores SIGPIPE.
        unsafe { (Stream::from_raw(self.near).unwrap(), Stream::from_raw(self.far).unwrap()) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: each was made in `new` and is freed once.
        unsafe {
            sys::SSL_free(self.near);
            sys::SSL_free(self.far);
            for context in self.contexts {
                sys::SSL_CTX_free(context);
            }
        }
    }
}

#[test]
fn reads_and_writes() {
    let session = Session::new();
    let (mut near, mut far) = session.streams();
    let mut buf = [0; 64];
    assert_eq!(near.try_read(&mut buf), Err(Blocked::WantRead));
    assert_eq!(far.try_write(b"hello"), Ok(5));
    assert_eq!(near.try_read(&mut buf), Ok(5));
    assert_eq!(buf[..5], *b"hello");
    assert_eq!(near.try_read(&mut []), Ok(0));
    assert_eq!(near.try_write(&[]), Ok(0));
    assert_eq!(near.try_write(b"there"), Ok(5));
    // A ticket may come first; the library skips it.
    assert_eq!(far.try_read(&mut buf), Ok(5));
    assert!(near.version_name().starts_with("TLSv1."));
    assert_eq!(near.cipher_name(), far.cipher_name());
    assert!(near.cipher_name().len() > 5);
}

/// ASTERISK-21930: the rest of a record is in the library, and no poll shows it.
#[test]
fn pending_tells_of_decrypted_bytes() {
    let session = Session::new();
    let (mut near, mut far) = session.streams();
    assert_eq!(far.try_write(b"two frames"), Ok(10));
    let mut buf = [0; 4];
    assert!(!near.has_pending());
    assert_eq!(near.try_read(&mut buf), Ok(4));
    assert!(near.has_pending());
    let mut nothing = [0; 1];
    let read = (&session.near_socket).read(&mut nothing);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(near.try_read(&mut buf), Ok(4));
    assert_eq!(near.try_read(&mut buf), Ok(2));
    assert!(!near.has_pending());
}

/// A write that found no room is repeated from another buffer.
#[test]
fn partial_and_moving_writes() {
    let session = Session::new();
    let (mut near, mut far) = session.streams();
    let data: Vec<u8> = (0..2_000_000u32).map(|i| (i / 7) as u8).collect();
    let (mut sent, mut received) = (0, Vec::new());
    let mut buf = vec![0; 50_000];
    let mut full = 0;
    while received.len() < data.len() {
        loop {
            let copy = data[sent..].to_vec();
            match near.try_write(&copy) {
                Ok(0) => break,
                Ok(n) => sent += n,
                Err(Blocked::WantWrite) => {
                    full += 1;
                    break;
                }
                Err(other) => panic!("{other}"),
            }
        }
        while let Ok(n @ 1..) = far.try_read(&mut buf) {
            received.extend_from_slice(&buf[..n]);
        }
    }
    assert!(full > 0);
    assert!(received == data);
}

#[test]
fn close_notify() {
    let session = Session::new();
    let (mut near, mut far) = session.streams();
    far.shutdown().unwrap();
    let mut buf = [0; 4];
    assert_eq!(near.try_read(&mut buf), Err(Blocked::Closed));
    near.shutdown().unwrap();
    assert_eq!(far.try_read(&mut buf), Err(Blocked::Closed));
    assert_eq!(error::peek_last(), (0, 0));
}

#[test]
fn truncation_and_garbage_are_failures() {
    let session = Session::new();
    let (mut near, _far) = session.streams();
    session.far_socket.shutdown(std::net::Shutdown::Both).unwrap();
    let mut buf = [0; 4];
    let Err(Blocked::Failed(error)) = near.try_read(&mut buf) else {
        panic!("not a failure");
    };
    assert_eq!(error.operation(), "TLS read");
    assert!(!error.reasons().is_empty());
    near.shutdown().unwrap();
    assert_eq!(error::peek_last(), (0, 0));

    let session = Session::new();
    let (mut near, _far) = session.streams();
    (&session.far_socket).write_all(&[0x47; 100]).unwrap();
    let Err(Blocked::Failed(error)) = near.try_read(&mut buf) else {
        panic!("not a failure");
    };
    assert!(error.to_string().starts_with("TLS read: "), "{error}");
    assert_eq!(error::peek_last(), (0, 0));
}

#[test]
fn no_session() {
    // SAFETY: NULL is allowed.
    assert!(unsafe { Stream::from_raw(ptr::null_mut()) }.is_none());
}

/// With read-ahead a second record is in the library as it came, which SSL_pending does not count.
#[test]
fn pending_tells_of_records_not_yet_decrypted() {
    let session = Session::new();
    let (mut near, mut far) = session.streams();
    assert_eq!(far.try_write(b"one"), Ok(3));
    assert_eq!(far.try_write(b"two"), Ok(3));
    let mut buf = [0; 64];
    assert_eq!(near.try_read(&mut buf), Ok(3));
    assert!(near.has_pending());
    let read = (&session.near_socket).read(&mut [0; 1]);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(near.try_read(&mut buf), Ok(3));
    assert!(!near.has_pending());
    assert_eq!(near.try_read(&mut buf), Err(Blocked::WantRead));
}
