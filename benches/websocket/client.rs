//! One connection of the load.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use res_rust_webrtc::host::openssl::tls::{self, Blocked, ClientConfig, ClientContext};
use res_rust_webrtc::websocket::handshake::{ClientHandshake, ClientRequest};
use res_rust_webrtc::websocket::{Config, Connection, DataOpcode, Event, Limits, Role, SendError, Timing};

/// What to connect to, and how.
pub struct Target {
    address: SocketAddr,
    tls: Option<ClientContext>,
}

impl Target {
    /// The server's certificate is not looked at: it is the test's own.
    pub fn new(address: &str, tls: bool) -> Result<Self, Box<dyn Error>> {
        let tls = if tls { Some(ClientContext::new(&ClientConfig::default())?) } else { None };
        Ok(Self { address: address.parse()?, tls })
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(tls::Client),
}

impl Transport {
    /// `None` when it would block.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(socket) => unblock(socket.read(buffer)),
            Self::Tls(session) => unblock_tls(session.stream().try_read(buffer)),
        }
    }

    fn write(&mut self, data: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(socket) => unblock(socket.write(data)),
            Self::Tls(session) => unblock_tls(session.stream().try_write(data)),
        }
    }
}

fn unblock(outcome: io::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

fn unblock_tls(outcome: Result<usize, Blocked>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(count) => Ok(Some(count)),
        Err(Blocked::WantRead | Blocked::WantWrite) => Ok(None),
        Err(Blocked::Closed) => Ok(Some(0)),
        Err(Blocked::Failed(error)) => Err(io::Error::other(error)),
    }
}

/// A connection after its handshake.
pub struct Client {
    transport: Transport,
    connection: Connection,
    fd: RawFd,
}

impl Client {
    pub fn connect(target: &Target) -> Result<Self, Box<dyn Error>> {
        let socket = TcpStream::connect(target.address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let fd = socket.as_raw_fd();
        let dup = socket.try_clone()?;
        let mut transport = match &target.tls {
            None => Transport::Plain(socket),
            Some(context) => {
                let mut session = tls::Client::new(context, socket.into(), &target.address.ip().to_string())?;
                session.handshake()?;
                Transport::Tls(session)
            }
        };
        let host = target.address.to_string();
        let request = ClientRequest { host: &host, resource: "/ws", protocols: &["echo"], ..ClientRequest::default() };
        let (mut handshake, head) = ClientHandshake::new(request, [7; 16])?;
        transport.write(&head)?.ok_or("the request does not go out")?;
        let mut buffer = vec![0; 4096];
        let established = loop {
            let count = transport.read(&mut buffer)?.ok_or("no answer to the upgrade")?;
            if count == 0 {
                return Err("the upgrade was not answered".into());
            }
            if let Some(established) = handshake.handle_input(buffer.get(..count).unwrap_or_default())? {
                break established;
            }
        };
        dup.set_nonblocking(true)?;
        let now = Instant::now();
        let config = Config {
            role: Role::Client { mask_key: || [0x12, 0x34, 0x56, 0x78] },
            limits: Limits { max_queue: 256 << 20, ..Limits::default() },
            timing: Timing { ping_interval: None, idle_timeout: None, write_timeout: None, ..Timing::default() },
            deflate: None,
        };
        let mut connection = Connection::new(config, now);
        connection.handle_input(now, &established.rest);
        Ok(Self { transport, connection, fd })
    }

    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Sends a message; the socket must take it as a whole.
    pub fn send(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        self.connection.send_message(Instant::now(), DataOpcode::Binary, payload)?;
        if self.flush()? { Ok(()) } else { Err("the server does not read".into()) }
    }

    /// Sends until the server's buffers and ours are full, or the server has had enough: stock ends
    /// a session whose peer does not read.
    pub fn send_until_stuck(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut stuck = 0;
        while stuck < 20 && Instant::now() < deadline {
            let Ok(flushed) = self.flush() else { return Ok(()) };
            if flushed {
                match self.connection.send_message(Instant::now(), DataOpcode::Binary, payload) {
                    Ok(()) | Err(SendError::QueueFull) => stuck = 0,
                    Err(error) => return Err(error.into()),
                }
            } else {
                stuck += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    }

    /// Whether everything went.
    fn flush(&mut self) -> Result<bool, Box<dyn Error>> {
        while !self.connection.poll_output().is_empty() {
            match self.transport.write(self.connection.poll_output()) {
                Ok(Some(count)) => self.connection.consume(Instant::now(), count),
                Ok(None) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// How many messages have come.
    pub fn receive(&mut self) -> Result<usize, Box<dyn Error>> {
        let mut buffer = [0; 16384];
        let mut messages = 0;
        loop {
            match self.transport.read(&mut buffer)? {
                Some(0) => return Err("the server went".into()),
                Some(count) => self.connection.handle_input(Instant::now(), buffer.get(..count).unwrap_or_default()),
                None => break,
            }
            while let Some(event) = self.connection.poll_event(Instant::now()) {
                match event {
                    Event::Message { .. } => messages += 1,
                    Event::Close(close) => return Err(format!("the server closed: {}", close.cause).into()),
                    _ => {}
                }
            }
        }
        self.flush()?;
        Ok(messages)
    }

    /// Closes in order: waits for the server's close frame.
    pub fn close(mut self) -> Result<(), Box<dyn Error>> {
        self.connection.close(Instant::now(), res_rust_webrtc::websocket::CloseCode::NORMAL, "");
        self.flush()?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            match self.transport.read(&mut buffer) {
                Ok(Some(0)) | Err(_) => return Ok(()),
                Ok(Some(count)) => {
                    self.connection.handle_input(Instant::now(), buffer.get(..count).unwrap_or_default());
                    if let Some(Event::Close(_)) = self.connection.poll_event(Instant::now()) {
                        return Ok(());
                    }
                }
                Ok(None) => {
                    res_rust_webrtc::driver::sys::poll_readable(self.fd, 1000)?;
                }
            }
        }
        Err("the server does not close".into())
    }
}
