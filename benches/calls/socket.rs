//! A user's WebSocket: TLS below the project's own client core.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use res_rust_webrtc::host::openssl::rand;
use res_rust_webrtc::host::openssl::tls::Blocked;
use res_rust_webrtc::websocket::handshake::{ClientHandshake, ClientRequest};
use res_rust_webrtc::websocket::{CloseCode, Config, Connection, DataOpcode, Event, Limits, Role, Timing};

use crate::tls;

enum State {
    Opening { handshake: ClientHandshake, request: Vec<u8> },
    Open(Box<Connection>),
}

/// One connection. Any failure is a sentence.
pub struct Socket {
    tls: tls::Client,
    state: State,
}

fn mask_key() -> [u8; 4] {
    rand::bytes().expect("randomness")
}

impl Socket {
    pub fn connect(context: &tls::Context, server: SocketAddr) -> io::Result<Socket> {
        let tcp = TcpStream::connect(server)?;
        tcp.set_nonblocking(true)?;
        tcp.set_nodelay(true)?;
        let host = server.to_string();
        let request = ClientRequest { host: &host, resource: "/ws", protocols: &["sip"], ..ClientRequest::default() };
        let nonce = rand::bytes().map_err(io::Error::other)?;
        let (handshake, request) = ClientHandshake::new(request, nonce).map_err(io::Error::other)?;
        Ok(Socket { tls: tls::Client::new(context, tcp), state: State::Opening { handshake, request } })
    }

    pub fn fd(&self) -> RawFd {
        self.tls.tcp().as_raw_fd()
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    pub fn send(&mut self, now: Instant, text: &str) -> Result<(), String> {
        let State::Open(connection) = &mut self.state else { return Err("WebSocket not open".into()) };
        connection.send_message(now, DataOpcode::Text, text.as_bytes()).map_err(|error| error.to_string())?;
        self.flush(now)
    }

    pub fn close(&mut self, now: Instant) {
        if let State::Open(connection) = &mut self.state {
            connection.close(now, CloseCode::NORMAL, "");
            let _ = self.flush(now);
        }
    }

    /// Reads what there is and returns the messages that are complete.
    pub fn read(&mut self, now: Instant) -> Result<Vec<String>, String> {
        let mut messages = Vec::new();
        let mut buffer = [0; 16384];
        self.flush(now)?;
        loop {
            let stream = match self.tls.stream() {
                Ok(stream) => stream,
                Err(Blocked::WantRead | Blocked::WantWrite) => return Ok(messages),
                Err(error) => return Err(format!("TLS: {error}")),
            };
            let length = match stream.try_read(&mut buffer) {
                Ok(length) => length,
                Err(Blocked::WantRead | Blocked::WantWrite) => return Ok(messages),
                Err(error) => return Err(format!("TLS: {error}")),
            };
            self.take(now, &buffer[..length])?;
            if let State::Open(connection) = &mut self.state {
                while let Some(event) = connection.poll_event(now) {
                    match event {
                        Event::Message { payload, .. } => messages.push(String::from_utf8_lossy(&payload).into_owned()),
                        Event::Close(close) => return Err(format!("WebSocket closed: {:?}", close.cause)),
                        _ => {}
                    }
                }
            }
            self.flush(now)?;
        }
    }

    fn take(&mut self, now: Instant, data: &[u8]) -> Result<(), String> {
        match &mut self.state {
            State::Open(connection) => connection.handle_input(now, data),
            State::Opening { handshake, .. } => {
                if let Some(open) = handshake.handle_input(data).map_err(|error| error.to_string())? {
                    let timing = Timing { ping_interval: None, idle_timeout: None, ..Timing::default() };
                    let role = Role::Client { mask_key };
                    let config = Config { role, limits: Limits::default(), timing, deflate: None };
                    let mut connection = Connection::new(config, now);
                    connection.handle_input(now, &open.rest);
                    self.state = State::Open(Box::new(connection));
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self, now: Instant) -> Result<(), String> {
        loop {
            let stream = match self.tls.stream() {
                Ok(stream) => stream,
                Err(Blocked::WantRead | Blocked::WantWrite) => return Ok(()),
                Err(error) => return Err(format!("TLS: {error}")),
            };
            let output: &[u8] = match &self.state {
                State::Opening { request, .. } => request,
                State::Open(connection) => connection.poll_output(),
            };
            if output.is_empty() {
                return Ok(());
            }
            match stream.try_write(output) {
                Ok(count) => match &mut self.state {
                    State::Opening { request, .. } => drop(request.drain(..count)),
                    State::Open(connection) => connection.consume(now, count),
                },
                // SIP messages are far smaller than a socket's buffer.
                Err(error) => return Err(format!("TLS: {error}")),
            }
        }
    }
}
