//! A user: one WebSocket, one registration, one call made or taken.

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use res_rust_webrtc::rtc::ice::Role;

use crate::media::{Media, Shared};
use crate::sip::{self, Dialog, Message};
use crate::socket::Socket;
use crate::tls;

pub const PASSWORD: &str = "rig-secret";

/// A stage that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not begun.
    Waiting,
    /// TLS, WebSocket, REGISTER.
    Registering,
    /// Registered, without a call.
    Idle,
    /// INVITE sent.
    Calling,
    /// Answered; it speaks once DTLS is up.
    InCall,
    /// BYE sent.
    Ending,
    /// The call is over.
    Done,
    Failed,
}

/// What a user does.
pub struct Plan {
    pub name: String,
    pub start: Instant,
    /// Whom it calls once registered, at once or when told to; `None` waits to be called.
    pub target: Option<String>,
    pub call_at_once: bool,
    /// It hangs up after so long and leaves.
    pub hold: Option<Duration>,
}

pub struct User {
    pub plan: Plan,
    pub phase: Phase,
    pub failure: String,
    pub media: Option<Media>,
    /// The descriptors that the loop watches.
    pub watched: Vec<RawFd>,
    pub armed: Option<Instant>,
    number: u32,
    server: SocketAddr,
    socket: Option<Socket>,
    dialog: Option<Dialog>,
    registered: bool,
    tried: bool,
    patience: Option<Instant>,
    hang_up_at: Option<Instant>,
    local_sdp: String,
}

impl User {
    pub fn new(number: u32, server: SocketAddr, plan: Plan) -> User {
        User {
            plan,
            phase: Phase::Waiting,
            failure: String::new(),
            media: None,
            watched: Vec::new(),
            armed: None,
            number,
            server,
            socket: None,
            dialog: None,
            registered: false,
            tried: false,
            patience: None,
            hang_up_at: None,
            local_sdp: String::new(),
        }
    }

    /// The descriptors of its sockets: WebSocket, media.
    pub fn fds(&self) -> [Option<RawFd>; 2] {
        [self.socket.as_ref().map(Socket::fd), self.media.as_ref().map(Media::fd)]
    }

    pub fn is_connected(&self) -> bool {
        self.phase == Phase::InCall && self.media.as_ref().is_some_and(|media| media.marks.dtls.is_some())
    }

    pub fn deadline(&mut self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting => Some(self.plan.start),
            Phase::Done | Phase::Failed => None,
            _ => {
                let media = self.media.as_mut().and_then(Media::deadline);
                [media, self.patience, self.hang_up_at].into_iter().flatten().min()
            }
        }
    }

    fn fail(&mut self, why: String) {
        self.failure = format!("{} while {:?}: {why}", self.plan.name, self.phase);
        self.phase = Phase::Failed;
        self.leave();
    }

    fn leave(&mut self) {
        if let Some(media) = &mut self.media {
            media.next_send = None;
        }
        self.socket = None;
        self.patience = None;
        self.hang_up_at = None;
    }

    fn attempt(&mut self, outcome: Result<(), String>) {
        if let Err(why) = outcome {
            match self.phase {
                // Only the connection's end was awaited.
                Phase::Done => self.leave(),
                _ => self.fail(why),
            }
        }
    }

    pub fn tick(&mut self, tls: &tls::Context, shared: &Shared, now: Instant) {
        if self.phase == Phase::Waiting && self.plan.start <= now {
            self.phase = Phase::Registering;
            self.patience = Some(now + PATIENCE);
            match Socket::connect(tls, self.server) {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => return self.fail(error.to_string()),
            }
            self.readable(shared, now);
        }
        if let Some(media) = &mut self.media {
            media.tick(now);
        }
        self.after_media(now);
        if self.hang_up_at.is_some_and(|at| at <= now) {
            self.hang_up(now);
        }
        if self.patience.is_some_and(|at| at <= now) {
            self.fail("timed out".into());
        }
    }

    pub fn media_readable(&mut self, now: Instant) {
        if let Some(media) = &mut self.media {
            media.receive(now);
        }
        self.after_media(now);
    }

    fn after_media(&mut self, now: Instant) {
        let Some(media) = &mut self.media else { return };
        if let Some(why) = media.failure.take() {
            if self.phase == Phase::InCall || self.phase == Phase::Calling {
                self.fail(why);
            }
            return;
        }
        if self.phase == Phase::InCall && media.marks.media.is_some() && self.patience.take().is_some() {
            self.hang_up_at = self.plan.hold.map(|hold| now + hold);
        }
    }

    /// The WebSocket is readable.
    pub fn readable(&mut self, shared: &Shared, now: Instant) {
        let outcome = self.read(shared, now);
        self.attempt(outcome);
    }

    fn read(&mut self, shared: &Shared, now: Instant) -> Result<(), String> {
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let messages = socket.read(now)?;
        if self.phase == Phase::Registering && self.dialog.is_none() && socket.is_open() {
            let host = self.server.ip().to_string();
            let name = &self.plan.name;
            let contact = format!("<sip:{name}@{}.invalid;transport=ws>", sip::token());
            let own = format!("<sip:{name}@{host}>");
            let mut dialog = Dialog::new(name, &host, &contact, &format!("sip:{host}"), &own);
            let text = dialog.request("REGISTER", "Expires: 600\r\n", "");
            self.dialog = Some(dialog);
            socket.send(now, &text)?;
        }
        for text in messages {
            // A keep-alive of line feeds is no message.
            if let Some(message) = Message::parse(&text) {
                match message.status() {
                    Some(status) => self.response(shared, now, status, &message)?,
                    None => self.request(shared, now, &message)?,
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, now: Instant, text: &str) -> Result<(), String> {
        self.socket.as_mut().ok_or("no WebSocket")?.send(now, text)
    }

    fn response(&mut self, shared: &Shared, now: Instant, status: u16, message: &Message) -> Result<(), String> {
        if status < 200 {
            return Ok(());
        }
        let method = message.method().to_owned();
        let Some(dialog) = &mut self.dialog else { return Ok(()) };
        if message.header("call-id") != dialog.call_id {
            return Ok(());
        }
        if matches!(status, 401 | 407) && !self.tried {
            self.tried = true;
            let ack = if method == "INVITE" { dialog.ack(false) } else { String::new() };
            let mut extra = dialog.authorization(message, &method, PASSWORD);
            let sdp = if method == "INVITE" { self.local_sdp.clone() } else { String::new() };
            if method == "REGISTER" {
                extra.push_str("Expires: 600\r\n");
            }
            let text = dialog.request(&method, &extra, &sdp);
            if !ack.is_empty() {
                self.send(now, &ack)?;
            }
            return self.send(now, &text);
        }
        match (method.as_str(), self.phase) {
            ("REGISTER", Phase::Registering) if status == 200 => {
                self.registered = true;
                self.phase = Phase::Idle;
                self.patience = None;
                if self.plan.call_at_once { self.call(shared, now) } else { Ok(()) }
            }
            ("INVITE", Phase::Calling) if status == 200 => {
                dialog.to = message.header("to").to_owned();
                let contact = message.header("contact");
                dialog.uri = contact.split(['<', '>']).nth(1).unwrap_or(contact).to_owned();
                let ack = dialog.ack(true);
                self.phase = Phase::InCall;
                if let Some(media) = &mut self.media {
                    media.marks.answered = Some(now);
                    media.accept(now, &message.body, Role::Controlling)?;
                }
                self.send(now, &ack)
            }
            ("BYE", Phase::Ending) => {
                self.over(now);
                Ok(())
            }
            _ => Err(format!("{method} was answered: {}", message.first)),
        }
    }

    /// Calls the plan's target.
    pub fn call(&mut self, shared: &Shared, now: Instant) -> Result<(), String> {
        let Some(target) = self.plan.target.clone() else { return Ok(()) };
        let mut media = Media::new(shared, self.server.ip(), self.number, now)?;
        media.marks.invited = Some(now);
        self.local_sdp = media.sdp(shared);
        self.media = Some(media);
        let host = self.server.ip().to_string();
        let uri = format!("sip:{target}@{host}");
        let contact = self.dialog.as_ref().map(|dialog| dialog.contact.clone()).unwrap_or_default();
        let mut dialog = Dialog::new(&self.plan.name, &host, &contact, &uri, &format!("<{uri}>"));
        let text = dialog.request("INVITE", "", &self.local_sdp);
        self.dialog = Some(dialog);
        self.tried = false;
        self.phase = Phase::Calling;
        self.patience = Some(now + PATIENCE);
        self.send(now, &text)
    }

    /// Begins the call of a plan that does not call at once.
    pub fn call_now(&mut self, shared: &Shared, now: Instant) {
        if self.phase == Phase::Idle && self.plan.target.is_some() {
            let outcome = self.call(shared, now);
            self.attempt(outcome);
        }
    }

    fn request(&mut self, shared: &Shared, now: Instant, message: &Message) -> Result<(), String> {
        let contact = self.dialog.as_ref().map(|dialog| dialog.contact.clone()).unwrap_or_default();
        match message.method() {
            "ACK" => Ok(()),
            "INVITE" => {
                if self.phase == Phase::Idle {
                    let mut media = Media::new(shared, self.server.ip(), self.number, now)?;
                    media.marks.invited = Some(now);
                    media.marks.answered = Some(now);
                    media.accept(now, &message.body, Role::Controlled)?;
                    self.local_sdp = media.sdp(shared);
                    self.media = Some(media);
                    self.phase = Phase::InCall;
                    self.patience = Some(now + PATIENCE);
                }
                let answer = message.response("200 OK", "callee", &contact, &self.local_sdp.clone());
                self.send(now, &answer)
            }
            "BYE" => {
                let answer = message.response("200 OK", "callee", &contact, "");
                let sent = self.send(now, &answer);
                if matches!(self.phase, Phase::InCall | Phase::Ending) {
                    self.over(now);
                }
                sent
            }
            _ => {
                let answer = message.response("200 OK", "callee", &contact, "");
                self.send(now, &answer)
            }
        }
    }

    /// Ends the call: the caller says BYE, the callee waits for the server's.
    pub fn hang_up(&mut self, now: Instant) {
        self.hang_up_at = None;
        if self.phase != Phase::InCall {
            return;
        }
        if let Some(media) = &mut self.media {
            media.close(now);
        }
        self.phase = Phase::Ending;
        self.patience = Some(now + PATIENCE);
        if self.plan.target.is_some()
            && let Some(dialog) = &mut self.dialog
        {
            let text = dialog.request("BYE", "", "");
            let outcome = self.send(now, &text);
            self.attempt(outcome);
        }
    }

    fn over(&mut self, now: Instant) {
        if let Some(media) = &mut self.media {
            media.close(now);
        }
        self.phase = Phase::Done;
        self.patience = None;
        if self.plan.hold.is_some() {
            self.disconnect(now);
        }
    }

    /// Closes the WebSocket.
    pub fn disconnect(&mut self, now: Instant) {
        if let Some(socket) = &mut self.socket {
            socket.close(now);
        }
        self.leave();
    }

    /// Whether nothing more is to be expected of it.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Failed)
    }
}
