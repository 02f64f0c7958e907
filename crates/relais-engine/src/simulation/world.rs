//! What everyone in the simulation shares: the logs, the weather, what sessions may hear, the trace, and the first thing that went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::chance::Chance;
use super::log::Book;
use super::truth::Truth;
use crate::room::Position;

/// How hard life is at the moment. Times are the longest; each one is drawn anew.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) log_slow_ms: usize,
    pub(crate) log_fails_percent: usize,
    pub(crate) service_slow_ms: usize,
    pub(crate) service_refuses_percent: usize,
    /// Publications that never reach the hub.
    pub(crate) publications_lost_percent: usize,
    /// Publications that come once more, later.
    pub(crate) publications_late_percent: usize,
}

/// What a session has asked for on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    /// The last event handled; each carries its number.
    pub(crate) handled: u64,
    /// Events for which there was no room: they are never handled.
    pub(crate) refused: BTreeSet<u64>,
    /// Commands in flight, and whether one of them is a barrier.
    pub(crate) running: u32,
    pub(crate) in_barrier: bool,
}

/// All of it.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) weather: Weather,
    pub(crate) books: Vec<Book>,
    /// What each session that ever was may hear, by sid.
    pub(crate) truths: BTreeMap<String, Truth>,
    /// Sessions that are connected, by sid, with the link that they are on.
    pub(crate) open: BTreeMap<String, u64>,
    /// Sessions that resumed and were not told that they are live.
    pub(crate) not_live: BTreeMap<String, u64>,
    /// By the number of the admission: what a session has begun is seen through while it may be back already, even on the same link.
    pub(crate) turns: BTreeMap<u64, Turns>,
    /// The engine's limit of events that wait for their turn.
    pub(crate) held_max: usize,
    /// Head of the log when the session of a link ended: nothing newer may reach that link.
    pub(crate) ended: BTreeMap<u64, Position>,
    pub(crate) next_sid: u64,
    pub(crate) next_admission: u64,
    pub(crate) next_volatile: u64,
    /// Held by the service's data of every session, so that what is never dropped shows.
    pub(crate) alive: Arc<()>,
    /// The callback of the application that panics the next time that it is called.
    pub(crate) panics_in: Option<&'static str>,
    /// Whether the schedule knows what each session is to hear. A fuzzer does not: it only wants no panic and no leak.
    pub(crate) is_strict: bool,
    started: Instant,
    trace: Option<Vec<String>>,
    wrong: Option<String>,
}

/// The world, shared with service and log.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(seed: u64, scopes: u32, is_traced: bool) -> Self {
        Self(Arc::new(Mutex::new(World {
            chance: Chance::new(seed ^ 0x5eed),
            weather: Weather::default(),
            books: (0..scopes).map(Book::new).collect(),
            truths: BTreeMap::new(),
            open: BTreeMap::new(),
            not_live: BTreeMap::new(),
            turns: BTreeMap::new(),
            held_max: 0,
            ended: BTreeMap::new(),
            next_sid: 0,
            next_admission: 0,
            next_volatile: 0,
            alive: Arc::new(()),
            panics_in: None,
            is_strict: true,
            started: Instant::now(),
            trace: is_traced.then(Vec::new),
            wrong: None,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of the trace; only written when there is one.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        self.lock().note(line);
    }

    /// A clause of the contract is broken.
    pub(crate) fn wrong(&self, what: impl FnOnce() -> String) {
        self.lock().wrong(what);
    }
}

impl Turns {
    /// The event whose turn it is.
    pub(crate) fn next(&self) -> u64 {
        let mut next = self.handled + 1;
        while self.refused.contains(&next) {
            next += 1;
        }
        next
    }

    /// How many events before this one wait for their turn.
    pub(crate) fn waiting_before(&self, number: u64) -> usize {
        let between = self.handled + 1..number;
        between.filter(|n| !self.refused.contains(n)).count()
    }
}

impl World {
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.started.elapsed().as_secs_f64();
            trace.push(format!("{at:>8.3}  {}", line()));
        }
    }

    pub(crate) fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            let what = what();
            self.note(|| format!("WRONG: {what}"));
            self.wrong = Some(what);
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.wrong.is_some()
    }

    pub(crate) fn take_wrong(&mut self) -> Option<String> {
        self.wrong.take()
    }

    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// Whether the application is to panic in this callback, now.
    pub(crate) fn panics_now(&mut self, callback: &str) -> bool {
        self.panics_in.take_if(|told| *told == callback).is_some()
    }

    pub(crate) fn turns(&mut self, admission: u64) -> &mut Turns {
        self.turns.entry(admission).or_default()
    }
}
