//! The engine in its simulated house: real shards on one thread, a paused clock, a log and a service that obey the world.
//!
//! It builds the house, lets time pass in it, and tears it down; what happens inside is decided by a schedule or by a fuzzer.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use super::chance::Seeded;
use super::checks::{self, SimulatedShard};
use super::log::SimulatedLog;
use super::panics;
use super::service::SimulatedService;
use super::world::Shared;
use crate::handle::EngineHandle;
use crate::settings::Settings;
use crate::shard::Shard;
use crate::stats::Stats;

/// What is inside.
pub(crate) struct House {
    pub(crate) world: Shared,
    pub(crate) engine: EngineHandle,
    pub(crate) service: Arc<SimulatedService>,
    pub(crate) shards: Vec<SimulatedShard>,
}

/// What became of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The clause that was broken.
    pub(crate) wrong: Option<String>,
    pub(crate) trace: Vec<String>,
    /// What was reached; so that a schedule which does nothing shows.
    pub(crate) reached: Stats,
}

/// What a run hands back when its house is closed; the shards must not outlive it.
pub(crate) type Closed = (Outcome, Vec<Weak<Shard<SimulatedService>>>);

/// Runs something in a house of its own, to its end.
pub(crate) fn run(seed: u64, inside: impl AsyncFnOnce() -> Closed) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    let _seeded = Seeded::new(seed);
    let local = tokio::task::LocalSet::new();
    let (mut outcome, shards) = local.block_on(&runtime, inside());
    drop(local);
    if outcome.wrong.is_none() && shards.iter().any(|shard| shard.strong_count() > 0) {
        outcome.wrong = Some("a shard outlives its end: something holds it in a circle".to_owned());
    }
    outcome
}

impl House {
    /// An engine with its shards at work. Within [`run`] only.
    pub(crate) fn build(world: Shared, settings: Settings) -> Self {
        let service = Arc::new(SimulatedService(world.clone()));
        world.lock().held_max = settings.held_max;
        let log = Arc::new(SimulatedLog(world.clone()));
        let (engine, inboxes) =
            EngineHandle::prepare(settings).expect("the settings of a run are possible");
        let mut shards = Vec::new();
        for (index, inbox) in (0..).zip(inboxes) {
            let (service, log) = (Arc::clone(&service), Arc::clone(&log));
            let shard = Rc::new(Shard::new(index, engine.clone(), service, log, &inbox));
            tokio::task::spawn_local(Rc::clone(&shard).live(inbox));
            shards.push(shard);
        }
        Self {
            world,
            engine,
            service,
            shards,
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.world.lock().has_failed()
    }

    /// Every task that is ready has its turn.
    pub(crate) async fn settle(&self) {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }

    /// What must hold at any moment.
    pub(crate) fn check(&self) {
        checks::at_any_moment(&self.shards, &self.world);
        self.check_for_panics();
    }

    /// Stops the shards, and hands out what was found.
    pub(crate) async fn close(self) -> Closed {
        let reached = self.engine.stats();
        let state = match self.has_failed() {
            true => checks::describe(&self.shards),
            false => Vec::new(),
        };
        self.engine.stop().await;
        // Whatever still runs has heard of it by then.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        self.check_for_panics();
        let shards = self.shards.iter().map(Rc::downgrade).collect();
        let mut world = self.world.lock();
        let mut trace = world.take_trace();
        trace.extend(state);
        let outcome = Outcome {
            wrong: world.take_wrong(),
            trace,
            reached,
        };
        (outcome, shards)
    }

    fn check_for_panics(&self) {
        if let Some(panic) = panics::seen() {
            self.world.wrong(|| panic);
        }
    }
}
