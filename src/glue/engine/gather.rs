//! STUN and TURN servers: their names, whether they answer, and RTP ports made ready with what they
//! say.
//!
//! A NAT maps every port differently, so nothing that a server says of one port helps another, and
//! chan_sip has no trickle ICE to send candidates later. Asking when the call begins would cost a
//! round trip (two, for a relay) between INVITE and answer. So a thread of ours keeps a few legs
//! open whose servers have answered already and are asked again every 15 s; a call takes one of
//! them, and the thread makes another. Only a call that finds none ready asks for itself, and its
//! SDP waits for the answer at most `gather_wait` from the call's beginning, and never for a server
//! that has not answered before: one that is unreachable delays nothing.
//!
//! Measured with eight addresses and silent STUN and TURN servers (`benches/gather.rs`, median and
//! 99th percentile): an instance that asks for itself takes 65 and 420 µs, one that takes a ready leg
//! 6 and 47 µs, one without servers 20 and 97 µs.
//!
//! Names are resolved on the same thread, every five minutes (getaddrinfo tells no TTL) and sooner
//! after a failure. `stop` waits for a lookup that is under way.
//!
//! LOCK: `State` is a leaf; legs and Asterisk are called without it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::runtime::{self, Runtime};
use crate::driver::clock;
use crate::driver::rtp::{Leg, Observer};
use crate::driver::sys::Thread;
use crate::host::log::{self, Level};
use crate::rtc::gather::{Failure, Gathered, Login};
use crate::rtc::ice::Component;
use crate::rtc::session::{Event, GatherPlan, RtpPacket};
use crate::settings::{HostPort, Rtp, Settings};
use crate::sync::lock;

/// A name is looked up again after this, and after a failure.
const RESOLVED: Duration = Duration::from_secs(300);
const UNRESOLVED: Duration = Duration::from_secs(30);
/// How often ready legs are looked at when nothing happens.
const ROUND: Duration = Duration::from_secs(5);
/// A ready leg whose relay does not come within this is replaced.
const PATIENCE: Duration = Duration::from_secs(60);
/// Addresses that calls bind to, for which legs are kept ready.
const MAX_POOLS: usize = 4;
/// Bases of one leg that ask.
const MAX_BASES: usize = 8;
/// Servers by base whose answering is remembered.
const MAX_KNOWN: usize = 256;
/// Requests for relays with names that wait to be looked up.
const MAX_WANTED: usize = 64;

const STACK: usize = 256 * 1024;

#[derive(Default)]
pub struct Gather {
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<Thread>>,
    /// Legs that calls took ready, and those that they had to open.
    ready: AtomicU32,
    opened: AtomicU32,
}

#[derive(Default)]
struct State {
    running: bool,
    stopping: bool,
    names: HashMap<HostPort, Name>,
    pools: Vec<Pool>,
    /// Whether a server answered a base when it was asked last.
    answers: HashMap<(IpAddr, SocketAddr), bool>,
    /// Servers whose failure is in the log already; true for its relays.
    warned: HashSet<(SocketAddr, bool)>,
    wanted: VecDeque<(Weak<Leg>, Component, HostPort, Arc<Login>)>,
}

/// A host name's addresses.
struct Name {
    addresses: Vec<SocketAddr>,
    due: Instant,
    failed: bool,
}

/// Legs bound to one address.
struct Pool {
    ip: IpAddr,
    /// Whether a call has ever asked for this address.
    used: bool,
    legs: VecDeque<Ready>,
}

struct Ready {
    leg: Arc<Leg>,
    settings: Arc<Settings>,
    plan: GatherPlan,
    since: Instant,
}

/// Of a leg that nobody has taken yet: what servers say is of interest, the rest is not.
pub struct Maker;

impl Observer for Maker {
    fn divert(&self, _: &Leg, _: &RtpPacket<'_>) -> bool {
        // Nothing is accepted before a peer is known; there is no inbox reader to leave it to.
        true
    }

    fn owner(&self) -> Option<String> {
        None
    }

    fn event(&self, _: &Leg, event: &Event) {
        if let Event::Gathered(gathered) = event {
            note(gathered);
        }
    }
}

/// Takes note of what a server has brought, for the log and for later calls.
pub fn note(gathered: &Gathered) {
    if let Some(runtime) = runtime::current() {
        runtime.gather.note(gathered);
    }
}

/// What the console shows of STUN and TURN servers.
pub fn shown() -> Vec<String> {
    runtime::current().map_or_else(Vec::new, |runtime| runtime.gather.shown())
}

fn is_configured(rtp: &Rtp) -> bool {
    rtp.ice_support && (rtp.stun.is_some() || rtp.turn.is_some())
}

impl Gather {
    /// Starts the thread if the settings name a server and it does not run. Call it after every
    /// change of the settings.
    pub fn refresh(&self, runtime: &Arc<Runtime>) {
        if !is_configured(&runtime.settings().rtp) && !lock(&self.state).running {
            return;
        }
        self.ensure_thread(runtime);
        self.changed.notify_all();
    }

    fn ensure_thread(&self, runtime: &Arc<Runtime>) {
        {
            let mut state = lock(&self.state);
            if state.running || state.stopping {
                return;
            }
            state.running = true;
        }
        let served = Arc::clone(runtime);
        match Thread::spawn("webrtc-gather", STACK, move || served.gather.serve(&served)) {
            Ok(thread) => *lock(&self.thread) = Some(thread),
            Err(error) => {
                lock(&self.state).running = false;
                log::error(&format!("no thread to ask STUN and TURN servers: {error}"));
            }
        }
    }

    /// Ends the thread and closes the legs that nobody took.
    pub fn stop(&self) {
        lock(&self.state).stopping = true;
        self.changed.notify_all();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            thread.join();
        }
        let pools = std::mem::take(&mut lock(&self.state).pools);
        pools.iter().flat_map(|pool| &pool.legs).for_each(|ready| ready.leg.close());
    }

    /// A leg bound to `ip` that was made ready, if there is one.
    pub fn take(&self, runtime: &Arc<Runtime>, ip: IpAddr) -> Option<Arc<Leg>> {
        let settings = runtime.settings();
        if !is_configured(&settings.rtp) || settings.rtc.gather_ready == 0 {
            return None;
        }
        let candidates: Vec<Arc<Leg>> = {
            let mut state = lock(&self.state);
            if state.stopping {
                return None;
            }
            let known = state.pools.iter().position(|pool| pool.ip == ip);
            if known.is_none() && state.pools.len() < MAX_POOLS {
                // Legs that were made on a guess, and nobody asked for, give way.
                let guessed = state.pools.iter_mut().filter(|pool| !pool.used).flat_map(|pool| pool.legs.drain(..));
                let guessed: Vec<Ready> = guessed.collect();
                state.pools.retain(|pool| pool.used);
                state.pools.push(Pool { ip, used: true, legs: VecDeque::new() });
                drop(state);
                guessed.iter().for_each(|ready| ready.leg.close());
                Vec::new()
            } else {
                let pool = known.and_then(|at| state.pools.get_mut(at));
                pool.map_or_else(Vec::new, |pool| {
                    pool.used = true;
                    let current = pool.legs.iter().filter(|ready| Arc::ptr_eq(&ready.settings, &settings));
                    current.map(|ready| Arc::clone(&ready.leg)).collect()
                })
            }
        };
        // One with as many candidates as there are, the oldest of those. Not one that waits for no
        // answer any more: an interface without a way to the server keeps a leg waiting for long.
        let worth = |leg: &Arc<Leg>| leg.look(|session| session.gathered().len());
        let chosen = candidates.iter().rev().max_by_key(|leg| worth(leg));
        let taken = chosen.filter(|leg| self.remove(ip, leg)).cloned();
        let counter = if taken.is_some() { &self.ready } else { &self.opened };
        counter.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
        taken
    }

    /// Takes a leg out of its pool; false if another call was faster.
    fn remove(&self, ip: IpAddr, leg: &Arc<Leg>) -> bool {
        let mut state = lock(&self.state);
        let Some(pool) = state.pools.iter_mut().find(|pool| pool.ip == ip) else { return false };
        let at = pool.legs.iter().position(|ready| Arc::ptr_eq(&ready.leg, leg));
        at.is_some_and(|at| pool.legs.remove(at).is_some())
    }

    /// Whom a leg that is bound to `bound` asks, as far as the names are known.
    pub fn plan(&self, runtime: &Runtime, settings: &Settings, bound: SocketAddr) -> GatherPlan {
        let rtp = &settings.rtp;
        if !is_configured(rtp) || settings.rtc.ice_lite {
            return GatherPlan::default();
        }
        let local = runtime.local_addresses(bound.ip());
        let asks = |ip: &IpAddr| rtp.ice_acl.allows(*ip) && rtp.stun_acl.allows(*ip);
        let bases = local.into_iter().filter(asks).take(MAX_BASES).map(|ip| SocketAddr::new(ip, bound.port()));
        let state = lock(&self.state);
        let addresses = |server: &Option<HostPort>| server.as_ref().map_or_else(Vec::new, |name| state.addresses(name));
        let mut stun = addresses(&rtp.stun);
        // The first of each family.
        let first = |v4: bool| stun.iter().copied().find(|server| server.is_ipv4() == v4);
        let both = [first(true), first(false)];
        stun = both.into_iter().flatten().collect();
        let turn = of_family(bound.ip(), &addresses(&rtp.turn));
        let login = || Arc::new(Login::new(&rtp.turn_username, &rtp.turn_password));
        GatherPlan {
            bases: bases.collect(),
            stun,
            turn: turn.map(|server| (server, login())),
            software: rtp.stun_software_attribute,
        }
    }

    /// Asks a server for a relay, now if its address is known, else when its name is.
    pub fn request_relay(
        &self,
        runtime: &Arc<Runtime>,
        leg: &Arc<Leg>,
        component: Component,
        server: &HostPort,
        login: Login,
    ) {
        let login = Arc::new(login);
        let addresses = lock(&self.state).addresses(server);
        if addresses.is_empty() {
            let mut state = lock(&self.state);
            if state.wanted.len() < MAX_WANTED {
                state.wanted.push_back((Arc::downgrade(leg), component, server.clone(), login));
            }
            drop(state);
            self.ensure_thread(runtime);
            self.changed.notify_all();
            return;
        }
        ask_relay(leg, component, &addresses, login, runtime.settings().rtp.stun_software_attribute);
    }

    /// Whether one of these servers answered when it was asked last, so that an answer is to be
    /// expected within a round trip.
    pub fn expects(&self, waiting: &[(SocketAddr, SocketAddr)]) -> bool {
        let state = lock(&self.state);
        waiting.iter().any(|(base, server)| state.answers.get(&answering(*base, *server)) == Some(&true))
    }

    /// These servers were waited for in vain; later calls do not, until they answer.
    pub fn disappointed(&self, waiting: &[(SocketAddr, SocketAddr)]) {
        let mut state = lock(&self.state);
        for (base, server) in waiting {
            state.answers.insert(answering(*base, *server), false);
        }
    }

    fn note(&self, gathered: &Gathered) {
        let mut said = None;
        {
            let mut state = lock(&self.state);
            if state.answers.len() >= MAX_KNOWN || state.warned.len() >= MAX_KNOWN {
                state.answers.clear();
                state.warned.clear();
            }
            match gathered {
                Gathered::Answered { server, base } => {
                    state.answers.insert(answering(*base, *server), true);
                }
                Gathered::Reflexive { server, base, .. } => {
                    state.answers.insert(answering(*base, *server), true);
                    state.warned.remove(&(*server, false));
                }
                Gathered::Relayed { server, base, .. } => {
                    state.answers.insert(answering(*base, *server), true);
                    state.warned.remove(&(*server, true));
                }
                Gathered::Failed { server, base, relay, failure } => {
                    let before = state.answers.insert(answering(*base, *server), false);
                    // Of several interfaces some have no way to the server; that is no news as long
                    // as another one has.
                    let another = state.answers.iter().any(|((_, known), good)| known == server && *good);
                    let news = *failure != Failure::NoAnswer || before == Some(true) || !another;
                    if news && state.warned.insert((*server, *relay)) {
                        said = Some(sentence(*server, *relay, failure));
                    }
                }
            }
        }
        if let Some(said) = said {
            log::warning(&said);
        }
    }

    /// What the console shows: names, which bases get answers, and how many legs are ready.
    fn shown(&self) -> Vec<String> {
        let state = lock(&self.state);
        let mut lines = Vec::new();
        for (name, known) in &state.names {
            let addresses: Vec<String> = known.addresses.iter().map(ToString::to_string).collect();
            lines
                .push(format!("{name} is {}", if known.failed { "not resolved".into() } else { addresses.join(", ") }));
        }
        for ((base, server), good) in &state.answers {
            lines.push(format!("{server} {} {base}", if *good { "answers" } else { "does not serve" }));
        }
        lines.sort();
        let legs: Vec<Arc<Leg>> =
            state.pools.iter().flat_map(|pool| &pool.legs).map(|ready| Arc::clone(&ready.leg)).collect();
        drop(state);
        let found: usize = legs.iter().map(|leg| leg.look(|session| session.gathered().len())).sum();
        let (ready, opened) = (self.ready.load(Ordering::Relaxed), self.opened.load(Ordering::Relaxed));
        lines.push(format!(
            "{} RTP ports ready with {found} candidates; of those wanted so far {ready} were ready, {opened} were not",
            legs.len()
        ));
        lines
    }

    fn serve(&self, runtime: &Arc<Runtime>) {
        loop {
            self.resolve_due(&runtime.settings());
            self.serve_wanted(runtime);
            let complete = self.fill(runtime);
            let state = lock(&self.state);
            if state.stopping {
                return;
            }
            if !complete {
                continue;
            }
            let now = clock::now();
            let due = state.names.values().map(|name| name.due.saturating_duration_since(now)).min();
            let waited = self.changed.wait_timeout(state, due.unwrap_or(ROUND).min(ROUND));
            if waited.unwrap_or_else(PoisonError::into_inner).0.stopping {
                return;
            }
        }
    }

    /// Looks up the names that the settings and requests need, those that are due.
    fn resolve_due(&self, settings: &Settings) {
        let now = clock::now();
        let due: Vec<HostPort> = {
            let mut state = lock(&self.state);
            let wanted = state.wanted.iter().map(|(_, _, server, _)| server.clone());
            let mut needed: Vec<HostPort> = wanted.collect();
            if settings.rtp.ice_support {
                needed.extend([&settings.rtp.stun, &settings.rtp.turn].into_iter().flatten().cloned());
            }
            state.names.retain(|name, _| needed.contains(name));
            let due = |name: &HostPort| state.names.get(name).is_none_or(|known| known.due <= now);
            needed.into_iter().filter(|name| numeric(name).is_none() && due(name)).collect()
        };
        for name in due {
            if lock(&self.state).stopping {
                return;
            }
            let result = (name.host.as_str(), name.port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            self.resolved(&name, result);
        }
    }

    fn resolved(&self, name: &HostPort, result: io::Result<Vec<SocketAddr>>) {
        let failure = match &result {
            Ok(addresses) if addresses.is_empty() => Some("it has no address".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        let addresses = result.unwrap_or_default();
        let again = clock::now() + if failure.is_some() { UNRESOLVED } else { RESOLVED };
        let mut said = None;
        {
            let mut state = lock(&self.state);
            let known = state.names.entry(name.clone());
            let known = known.or_insert(Name { addresses: Vec::new(), due: again, failed: false });
            known.due = again;
            match failure {
                // What was good stays in use: the server has hardly moved because a resolver is down.
                Some(why) if !known.failed => {
                    known.failed = true;
                    let kept = if known.addresses.is_empty() { "there is" } else { "the old address serves" };
                    let effect = if known.addresses.is_empty() { " no candidate from it" } else { "" };
                    said = Some(format!(
                        "cannot resolve '{}' (rtp.conf: stunaddr, turnaddr): {why}; {kept}{effect} until it can be, \
                         tried again every {} s",
                        name.host,
                        UNRESOLVED.as_secs()
                    ));
                }
                Some(_) => {}
                None => {
                    known.failed = false;
                    known.addresses = addresses;
                }
            }
        }
        if let Some(said) = said {
            log::warning(&said);
        }
    }

    fn serve_wanted(&self, runtime: &Runtime) {
        let wanted = std::mem::take(&mut lock(&self.state).wanted);
        for (leg, component, server, login) in wanted {
            let addresses = lock(&self.state).addresses(&server);
            if let Some(leg) = leg.upgrade()
                && !addresses.is_empty()
            {
                ask_relay(&leg, component, &addresses, login, runtime.settings().rtp.stun_software_attribute);
            }
        }
    }

    /// Replaces legs that have aged and makes one that is missing. False if more may be missing.
    fn fill(&self, runtime: &Arc<Runtime>) -> bool {
        let settings = runtime.settings();
        let size = if is_configured(&settings.rtp) { settings.rtc.gather_ready } else { 0 };
        let now = clock::now();
        let pools: Vec<IpAddr> = {
            let mut state = lock(&self.state);
            if state.stopping {
                return true;
            }
            if state.pools.is_empty() && size > 0 {
                // Where channel drivers bind unless they are told otherwise.
                let ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
                state.pools.push(Pool { ip, used: false, legs: VecDeque::new() });
            }
            state.pools.iter().map(|pool| pool.ip).collect()
        };
        let mut complete = true;
        for ip in pools {
            let plan = self.plan(runtime, &settings, SocketAddr::new(ip, 0));
            let size = if plan.is_empty() { 0 } else { size };
            let (old, missing) = self.sort_out(ip, &settings, &plan, size, now);
            old.iter().for_each(|leg| leg.close());
            if !missing {
                continue;
            }
            match runtime.open_leg(&settings, ip) {
                Ok(leg) => {
                    complete = false;
                    let settings = Arc::clone(&settings);
                    let mut state = lock(&self.state);
                    if let Some(pool) = state.pools.iter_mut().find(|pool| pool.ip == ip) {
                        pool.legs.push_back(Ready { leg, settings, plan, since: now });
                    }
                }
                Err(error) => log::write(Level::Debug(1), &format!("no RTP port can be made ready: {error}")),
            }
        }
        complete
    }

    /// Takes out of a pool the legs that are of no use any more; tells whether one is missing then.
    fn sort_out(
        &self,
        ip: IpAddr,
        settings: &Arc<Settings>,
        plan: &GatherPlan,
        size: usize,
        now: Instant,
    ) -> (Vec<Arc<Leg>>, bool) {
        let looked: Vec<(Arc<Leg>, bool, bool)> = {
            let state = lock(&self.state);
            let Some(pool) = state.pools.iter().find(|pool| pool.ip == ip) else { return (Vec::new(), false) };
            let look = |ready: &Ready| {
                let same = Arc::ptr_eq(&ready.settings, settings) && same_plan(&ready.plan, plan);
                let late = plan.turn.is_some() && now.saturating_duration_since(ready.since) > PATIENCE;
                (Arc::clone(&ready.leg), same, late)
            };
            pool.legs.iter().map(look).collect()
        };
        let relay = |found: &Gathered| matches!(found, Gathered::Relayed { .. });
        let legs = looked.into_iter().map(|(leg, same, late)| {
            let lacks_relay = late && !leg.look(|session| session.gathered().iter().any(relay));
            (leg, !same || lacks_relay)
        });
        let legs: Vec<(Arc<Leg>, bool)> = legs.collect();
        let surplus = legs.iter().filter(|(_, old)| !old).count().saturating_sub(size);
        let old: Vec<Arc<Leg>> = legs.iter().filter(|(_, old)| *old).map(|(leg, _)| Arc::clone(leg)).collect();
        let more = legs.iter().filter(|(_, old)| !old).take(surplus).map(|(leg, _)| Arc::clone(leg));
        let gone: Vec<Arc<Leg>> = old.into_iter().chain(more).filter(|leg| self.remove(ip, leg)).collect();
        let state = lock(&self.state);
        let left = state.pools.iter().find(|pool| pool.ip == ip).map_or(size, |pool| pool.legs.len());
        (gone, left < size)
    }
}

impl State {
    fn addresses(&self, name: &HostPort) -> Vec<SocketAddr> {
        match numeric(name) {
            Some(address) => vec![address],
            None => self.names.get(name).map_or_else(Vec::new, |known| known.addresses.clone()),
        }
    }
}

/// The same but for the port of the bases, which is each leg's own.
fn same_plan(one: &GatherPlan, other: &GatherPlan) -> bool {
    let ips = |plan: &GatherPlan| plan.bases.iter().map(SocketAddr::ip).collect::<Vec<_>>();
    one.stun == other.stun && one.turn == other.turn && ips(one) == ips(other)
}

/// Whose answers tell of whose: all wildcards send from the address that the kernel chooses.
fn answering(base: SocketAddr, server: SocketAddr) -> (IpAddr, SocketAddr) {
    let ip = base.ip();
    (if ip.is_unspecified() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { ip }, server)
}

fn numeric(name: &HostPort) -> Option<SocketAddr> {
    Some(SocketAddr::new(name.host.parse().ok()?, name.port))
}

/// The first server that a socket bound to `bound` can send to.
fn of_family(bound: IpAddr, servers: &[SocketAddr]) -> Option<SocketAddr> {
    let dual = bound.is_ipv6() && bound.is_unspecified();
    servers.iter().copied().find(|server| dual || server.is_ipv4() == bound.is_ipv4())
}

fn ask_relay(leg: &Leg, component: Component, servers: &[SocketAddr], login: Arc<Login>, software: bool) {
    let bound = match component {
        Component::Rtp => Some(leg.local_address()),
        Component::Rtcp => leg.rtcp_address(),
    };
    if let Some(bound) = bound
        && let Some(server) = of_family(bound.ip(), servers)
    {
        let plan = GatherPlan { turn: Some((server, login)), software, ..GatherPlan::default() };
        leg.with(|session, now| session.gather(now, component, bound, &plan));
    }
}

fn sentence(server: SocketAddr, relay: bool, failure: &Failure) -> String {
    let (kind, option, effect) = match relay {
        true => ("TURN", "turnaddr", "relayed"),
        false => ("STUN", "stunaddr", "server-reflexive"),
    };
    format!(
        "{kind} server {server} (rtp.conf: {option}) {}; calls go on without {effect} candidates from it",
        failure.sentence()
    )
}
