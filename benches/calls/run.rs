//! A scenario: users in one event loop, a steady window that is measured, an orderly end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use res_rust_webrtc::driver::sys::{Epoll, Interest};

use crate::figures::Figures;
use crate::media::{INTERVAL, Shared};
use crate::process::{self, Reading};
use crate::tls;
use crate::user::{Phase, Plan, User};

const READABLE: Interest = Interest { readable: true, writable: false, edge: false };

/// What is to be done.
pub struct Scenario {
    pub kind: Kind,
    pub server: SocketAddr,
    /// Asterisk's process.
    pub pid: u32,
    pub calls: u32,
    /// New calls a second.
    pub rate: f64,
    /// The steady window.
    pub window: Duration,
    /// How long after the end the process is looked at again.
    pub aftermath: Duration,
    /// Accounts that the rig has made: users 50000 and up.
    pub accounts: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Each user calls Echo.
    Echo,
    /// Each caller calls a user of its own.
    Pairs,
    /// Each user connects, registers, calls Echo for a second and leaves.
    Churn,
}

struct Loop<'a> {
    epoll: Epoll,
    tls: tls::Context,
    shared: &'a Shared,
    users: Vec<User>,
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Loop<'_> {
    /// Watches what a user has opened, and enters its next deadline.
    fn update(&mut self, at: usize) {
        let user = &mut self.users[at];
        let fds = user.fds();
        let open: Vec<RawFd> = fds.iter().flatten().copied().collect();
        if open != user.watched {
            for (n, fd) in fds.iter().enumerate() {
                if let Some(fd) = fd
                    && !user.watched.contains(fd)
                {
                    self.epoll.add(*fd, (at * 2 + n) as u64, READABLE).expect("a descriptor can be watched");
                }
            }
            user.watched = open;
        }
        if let Some(deadline) = user.deadline()
            && user.armed.is_none_or(|armed| deadline < armed)
        {
            user.armed = Some(deadline);
            self.heap.push(Reverse((deadline, at)));
        }
    }

    /// Serves everybody until `until`, or until `done`.
    fn serve(&mut self, until: Instant, done: impl Fn(&[User]) -> bool) {
        let mut ready = Vec::new();
        let mut checked = Instant::now();
        loop {
            let now = Instant::now();
            if now >= until {
                return;
            }
            if now.duration_since(checked) > Duration::from_millis(20) {
                checked = now;
                if done(&self.users) {
                    return;
                }
            }
            while let Some(Reverse((deadline, at))) = self.heap.peek().copied() {
                if deadline > now {
                    break;
                }
                self.heap.pop();
                if self.users[at].armed == Some(deadline) {
                    self.users[at].armed = None;
                    self.users[at].tick(&self.tls, self.shared, Instant::now());
                    self.update(at);
                }
            }
            let next = self.heap.peek().map_or(until, |Reverse((deadline, _))| (*deadline).min(until));
            let wait = next.saturating_duration_since(Instant::now()).min(Duration::from_millis(20));
            self.epoll.wait(&mut ready, Some(wait)).expect("epoll");
            for event in &ready {
                let at = event.token as usize / 2;
                let now = Instant::now();
                if event.token % 2 == 0 {
                    self.users[at].readable(self.shared, now);
                } else {
                    self.users[at].media_readable(now);
                }
                self.update(at);
            }
        }
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut User, &Shared, Instant)) {
        for at in 0..self.users.len() {
            act(&mut self.users[at], self.shared, Instant::now());
            self.update(at);
        }
    }
}

fn name(number: u32) -> String {
    (50_000 + number).to_string()
}

fn plans(scenario: &Scenario, begin: Instant) -> Vec<Plan> {
    let at = |n: u32| begin + Duration::from_secs_f64(f64::from(n) / scenario.rate);
    let echo = || Some("600".to_owned());
    match scenario.kind {
        Kind::Echo => (0..scenario.calls)
            .map(|n| Plan { name: name(n), start: at(n), target: echo(), call_at_once: true, hold: None })
            .collect(),
        Kind::Churn => (0..scenario.calls)
            .map(|n| Plan {
                name: name(n % scenario.accounts),
                start: at(n),
                target: echo(),
                call_at_once: true,
                hold: Some(Duration::from_secs(1)),
            })
            .collect(),
        Kind::Pairs => (0..2 * scenario.calls)
            .map(|n| Plan {
                name: name(n),
                start: at(n / 2),
                target: (n % 2 == 0).then(|| name(n + 1)),
                call_at_once: false,
                hold: None,
            })
            .collect(),
    }
}

/// Runs a scenario and gives its figures. Failures of calls are figures too; their reasons go to
/// standard error.
pub fn run(scenario: &Scenario, shared: &Shared) -> Figures {
    let before = process::read(scenario.pid);
    let begin = Instant::now();
    let plans = plans(scenario, begin);
    let users = (0..).zip(plans).map(|(n, plan)| User::new(n, scenario.server, plan)).collect();
    let mut all =
        Loop { epoll: Epoll::new().expect("epoll"), tls: tls::Context::new(), shared, users, heap: BinaryHeap::new() };
    all.for_each(|_, _, _| {});
    let ramp = Duration::from_secs_f64(f64::from(scenario.calls) / scenario.rate);
    let mut figures = Figures::default();
    if scenario.kind == Kind::Churn {
        churn(scenario, &mut all, ramp, before, &mut figures);
    } else {
        steady(scenario, &mut all, ramp, before, &mut figures);
    }
    let mut failures: Vec<&str> = all.users.iter().map(|u| u.failure.as_str()).filter(|f| !f.is_empty()).collect();
    figures.put("failed", failures.len() as f64);
    failures.truncate(5);
    for failure in failures {
        eprintln!("failed: {failure}");
    }
    figures
}

fn churn(scenario: &Scenario, all: &mut Loop<'_>, ramp: Duration, before: Reading, figures: &mut Figures) {
    let own = process::read(std::process::id());
    let until = Instant::now() + ramp + Duration::from_secs(25);
    all.serve(until, |users| users.iter().all(User::is_over));
    // The last BYE's transaction is not over when its answer is here.
    all.serve(Instant::now() + Duration::from_millis(300), |_| false);
    let after = process::read(scenario.pid);
    let calls = f64::from(scenario.calls);
    let ended = all.users.iter().filter(|user| user.phase == Phase::Done).count();
    figures.put("ended", ended as f64);
    figures.put("cpu_ms_per_call", (after.cpu - before.cpu) / 1000.0 / calls);
    figures.put("generator_cpu_ms_per_call", (process::read(std::process::id()).cpu - own.cpu) / 1000.0 / calls);
    setup(all, figures);
    std::thread::sleep(scenario.aftermath);
    leftover(scenario, before, figures);
}

fn leftover(scenario: &Scenario, before: Reading, figures: &mut Figures) {
    let late = process::read(scenario.pid);
    figures.put("rss_before_kb", before.rss_kb as f64);
    figures.put("rss_after_kb", late.rss_kb as f64);
    figures.put("descriptors_before", before.descriptors as f64);
    figures.put("descriptors_after", late.descriptors as f64);
    figures.put("threads_before", before.threads as f64);
    figures.put("threads_after", late.threads as f64);
}

fn steady(scenario: &Scenario, all: &mut Loop<'_>, ramp: Duration, before: Reading, figures: &mut Figures) {
    if scenario.kind == Kind::Pairs {
        let settled = |users: &[User]| users.iter().all(|user| matches!(user.phase, Phase::Idle | Phase::Failed));
        all.serve(Instant::now() + ramp + Duration::from_secs(20), settled);
        let step = Duration::from_secs_f64(1.0 / scenario.rate);
        for at in (0..all.users.len()).step_by(2) {
            let shared = all.shared;
            all.users[at].call_now(shared, Instant::now());
            all.update(at);
            all.serve(Instant::now() + step, |_| false);
        }
    }
    let until = Instant::now() + ramp + Duration::from_secs(25);
    let up = process::read(scenario.pid);
    all.serve(until, |users| users.iter().all(|user| user.is_connected() || user.phase == Phase::Failed));
    let count = all.users.len().max(1);
    let mut number = 0;
    all.for_each(|user, _, now| {
        let phase = INTERVAL.mul_f64(f64::from(number) / count as f64);
        number += 1;
        if let Some(media) = &mut user.media
            && media.next_send.is_some()
        {
            media.next_send = Some(now + phase);
        }
    });
    all.serve(Instant::now() + Duration::from_millis(1500), |_| false);
    let own = process::read(std::process::id());
    let first = process::read(scenario.pid);
    let opened = Instant::now();
    let sent: Vec<u32> = all.users.iter().map(|user| user.media.as_ref().map_or(0, |media| media.sent)).collect();
    all.serve(Instant::now() + scenario.window, |_| false);
    let last = process::read(scenario.pid);
    let length = opened.elapsed();
    let own_last = process::read(std::process::id());
    let sent_last: Vec<u32> = all.users.iter().map(|user| user.media.as_ref().map_or(0, |media| media.sent)).collect();
    let connected = all.users.iter().filter(|user| user.is_connected()).count();
    all.serve(Instant::now() + Duration::from_millis(700), |_| false);

    let (mut expected, mut received) = (0u64, 0u64);
    let (mut delays, mut heads) = (Vec::new(), Vec::new());
    let (mut clear, mut foreign, mut repeated) = (0, 0, [0, 0]);
    let (mut callee_repeats, mut callees) = (0, 0);
    for (at, user) in all.users.iter().enumerate() {
        let Some(media) = &user.media else { continue };
        let from = if scenario.kind == Kind::Pairs { at ^ 1 } else { at };
        let range = sent[from]..sent_last[from];
        expected += u64::from(range.end - range.start);
        for arrival in media.arrivals.iter().filter(|arrival| range.contains(&arrival.seq)) {
            received += 1;
            delays.push(f64::from(arrival.took) / 1000.0);
        }
        heads.push(media.arrivals.iter().map(|arrival| arrival.seq).min().map_or(f64::NAN, f64::from));
        clear += media.clear;
        foreign += media.foreign;
        repeated[0] += media.repeated[0];
        repeated[1] += media.repeated[1];
        if scenario.kind == Kind::Pairs && at % 2 == 1 {
            callees += 1;
            callee_repeats += u32::from(media.repeated != [0, 0]);
        }
    }
    let packets = received as f64;
    let calls = f64::from(scenario.calls);
    figures.put("connected", connected as f64);
    figures.put("packets", packets);
    figures.put("loss_percent", 100.0 * (expected - received) as f64 / expected.max(1) as f64);
    figures.put("cpu_us_per_packet", (last.cpu - first.cpu) / packets);
    figures.put("user_us_per_packet", (last.user - first.user) / packets);
    figures.put("cpu_percent", (last.cpu - first.cpu) / length.as_micros() as f64 * 100.0);
    figures.put("switches_per_packet", last.switches.saturating_sub(first.switches) as f64 / packets);
    figures.spread("delay_ms", delays);
    figures.spread("head_loss", heads.iter().copied().filter(|head| head.is_finite()).collect());
    figures.put("silent_streams", heads.iter().filter(|head| !head.is_finite()).count() as f64);
    figures.put("clear_packets", f64::from(clear));
    figures.put("foreign_packets", f64::from(foreign));
    figures.put("dtls_repeated_ours", f64::from(repeated[0]));
    figures.put("dtls_repeated_theirs", f64::from(repeated[1]));
    figures.put("callees_with_repeats_percent", 100.0 * f64::from(callee_repeats) / f64::from(callees.max(1)));
    figures.put("rss_per_call_kb", (last.rss_kb as f64 - before.rss_kb as f64) / calls);
    figures.put("threads_per_call", (last.threads as f64 - before.threads as f64) / calls);
    figures.put("descriptors_per_call", (last.descriptors as f64 - before.descriptors as f64) / calls);
    if scenario.kind == Kind::Pairs {
        figures.put("registered_rss_kb", up.rss_kb as f64);
    }
    figures.put("generator_us_per_packet", (own_last.cpu - own.cpu) / packets);
    setup(all, figures);

    all.for_each(|user, _, now| user.hang_up(now));
    all.serve(Instant::now() + Duration::from_secs(10), |users| users.iter().all(User::is_over));
    all.for_each(|user, _, now| user.disconnect(now));
    std::thread::sleep(scenario.aftermath);
    leftover(scenario, before, figures);
}

/// How long each stage of the calls took.
fn setup(all: &Loop<'_>, figures: &mut Figures) {
    let marks: Vec<_> = all.users.iter().filter_map(|user| user.media.as_ref()).map(|media| media.marks).collect();
    let between = |from: fn(&crate::media::Marks) -> Option<Instant>,
                   to: fn(&crate::media::Marks) -> Option<Instant>| {
        marks
            .iter()
            .filter_map(|marks| Some(to(marks)?.saturating_duration_since(from(marks)?).as_secs_f64() * 1000.0))
            .collect::<Vec<f64>>()
    };
    // A callee's marks of INVITE and answer coincide and tell nothing.
    let answered = between(|marks| marks.invited, |marks| marks.answered);
    figures.spread("invite_to_200_ms", answered.into_iter().filter(|ms| *ms > 0.0).collect());
    figures.spread("answer_to_ice_ms", between(|marks| marks.answered, |marks| marks.ice));
    figures.spread("ice_to_dtls_ms", between(|marks| marks.ice, |marks| marks.dtls));
    figures.spread("dtls_to_media_ms", between(|marks| marks.dtls, |marks| marks.media));
}
