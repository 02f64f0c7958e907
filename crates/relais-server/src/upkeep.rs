//! What has to be done again and again: ends of graces and typing, ends of tokens, presence to be stored, the log to be trimmed, gauges.
//!
//! None of it may stop while the server runs: a task that fails ends the server ([`Upkeep::failed`]), to be started again whole.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use relais_core::ids::{SessionId, TenantKey};
use relais_core::ports::Store;
use relais_engine::EngineHandle;
use relais_store::sqlite::SqliteStore;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::engines::Engines;
use crate::files::SharedFiles;
use crate::glue::apps::Apps;
use crate::glue::expiry::Expiries;
use crate::glue::renewal;
use crate::glue::scopes::Scopes;
use crate::outside::Follower;

const TICK: Duration = Duration::from_millis(200);
const PERSIST: Duration = Duration::from_secs(1);
const RETAIN: Duration = Duration::from_secs(60);

/// The tasks, until [`Upkeep::finish`].
pub struct Upkeep {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    apps: Arc<Apps>,
    clock: Clock,
}

impl Upkeep {
    /// Starts them.
    pub fn start(
        apps: Arc<Apps>,
        store: Arc<SqliteStore>,
        engine: EngineHandle,
        scopes: Arc<Scopes>,
        expiries: Arc<Expiries>,
        clock: Clock,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(tick(apps.clone(), engine.clone(), clock, stopped.clone()));
        tasks.spawn(expire(expiries, engine, clock, stopped.clone()));
        tasks.spawn(persist(apps.clone(), scopes, clock, stopped.clone()));
        tasks.spawn(retain(apps.clone(), store, clock, stopped));
        Self {
            stop,
            tasks,
            apps,
            clock,
        }
    }

    /// Removes files that belong to nothing, again and again.
    pub fn sweep_files(&mut self, files: SharedFiles, store: Arc<dyn Store>) {
        self.tasks.spawn(sweep(files, store, self.stop.subscribe()));
    }

    /// Lets engines work.
    pub fn engines(&mut self, engines: Engines) {
        let stopped = self.stop.subscribe();
        self.tasks.spawn(Arc::new(engines).run(stopped));
    }

    /// Has these follow the logs too.
    pub fn following(mut self, followers: Vec<Follower>) -> Self {
        for follower in followers {
            self.tasks.spawn(follower.run(self.stop.subscribe()));
        }
        self
    }

    /// Waits until one of them fails, which none should.
    pub async fn failed(&mut self) {
        match self.tasks.join_next().await {
            Some(Err(error)) => tracing::error!(%error, "a task of the upkeep failed"),
            Some(Ok(())) | None => tracing::error!("a task of the upkeep ended"),
        }
    }

    /// One of them panics.
    #[cfg(test)]
    pub fn fail_next_turn(&mut self) {
        self.tasks
            .spawn(async { panic!("as a task with a bug would") });
    }

    /// Stops them, and stores what still waits.
    pub async fn finish(mut self) {
        // Nobody listening means that every task has ended already.
        let _ = self.stop.send(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the upkeep failed");
            }
        }
        store_presence(&self.apps, self.clock).await;
    }
}

/// Waits for the next turn; `false` when the server stops.
async fn next(turns: &mut tokio::time::Interval, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = turns.tick() => true,
        _ = stopped.wait_for(|stopped| *stopped) => false,
    }
}

fn turns(period: Duration) -> tokio::time::Interval {
    let mut turns = interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    turns
}

async fn tick(
    apps: Arc<Apps>,
    engine: EngineHandle,
    clock: Clock,
    mut stopped: watch::Receiver<bool>,
) {
    let mut turns = turns(TICK);
    while next(&mut turns, &mut stopped).await {
        for served in apps.iter() {
            served.dispatcher.tick(clock.now());
        }
        gauges(&engine);
    }
}

/// Apart from the tick, because thousands of tokens may end in one second.
async fn expire(
    expiries: Arc<Expiries>,
    engine: EngineHandle,
    clock: Clock,
    mut stopped: watch::Receiver<bool>,
) {
    let mut turns = turns(TICK);
    while next(&mut turns, &mut stopped).await {
        renewal::sweep(&expiries, &engine, clock).await;
    }
}

fn gauges(engine: &EngineHandle) {
    let stats = engine.stats();
    metrics::gauge!("relais_connections").set(stats.connections as f64);
    metrics::gauge!("relais_websockets").set(stats.websockets as f64);
    metrics::gauge!("relais_sessions").set(stats.sessions as f64);
    metrics::counter!("relais_connections_total").absolute(stats.connections_total);
    metrics::counter!("relais_resumed_total").absolute(stats.resumed_total);
    metrics::counter!("relais_events_in_total").absolute(stats.events_in_total);
    metrics::counter!("relais_events_overloaded_total").absolute(stats.overloaded_total);
    metrics::counter!("relais_events_out_total").absolute(stats.events_out_total);
    metrics::counter!("relais_bytes_out_total").absolute(stats.bytes_out_total);
    metrics::counter!("relais_volatile_dropped_total").absolute(stats.volatile_dropped_total);
    metrics::counter!("relais_inbox_full_total").absolute(stats.inbox_full_total);
    metrics::counter!("relais_slow_consumers_total").absolute(stats.slow_consumers_total);
    metrics::counter!("relais_protocol_errors_total").absolute(stats.protocol_errors_total);
    metrics::counter!("relais_heartbeats_missed_total").absolute(stats.heartbeats_missed_total);
    metrics::counter!("relais_catch_ups_total").absolute(stats.catch_ups_total);
}

async fn persist(
    apps: Arc<Apps>,
    scopes: Arc<Scopes>,
    clock: Clock,
    mut stopped: watch::Receiver<bool>,
) {
    let mut turns = turns(PERSIST);
    while next(&mut turns, &mut stopped).await {
        store_presence(&apps, clock).await;
        scopes.tidy();
        wake_workers();
    }
}

/// A worker that nothing wakes would keep what it holds free: this makes it likely that each comes by within a few turns.
fn wake_workers() {
    for _ in 0..tokio::runtime::Handle::current().metrics().num_workers() {
        tokio::spawn(async { relais_memory::give_back() });
    }
}

async fn store_presence(apps: &Apps, clock: Clock) {
    for served in apps.iter() {
        loop {
            match served.dispatcher.persist(clock.now()).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(app = %served.name, %error, "unable to store presence; it waits");
                    break;
                }
            }
        }
    }
}

async fn sweep(files: SharedFiles, store: Arc<dyn Store>, mut stopped: watch::Receiver<bool>) {
    let (started, unfinished, stop) = (SystemTime::now(), files.clone(), stopped.clone());
    let goes_on = move || !*stop.borrow();
    let clear = move || unfinished.remove_unfinished(started, goes_on);
    if let Err(error) = tokio::task::spawn_blocking(clear).await {
        tracing::warn!(%error, "unable to clear what was half written");
    }
    let mut turns = turns(files.sweep_period());
    while next(&mut turns, &mut stopped).await {
        // A storage that is slow to answer must not hold up the stop.
        let swept = tokio::select! {
            swept = files.sweep(&store) => swept,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        if swept > 0 {
            tracing::info!(files = swept, "removed files that belonged to nothing");
        }
    }
}

async fn retain(
    apps: Arc<Apps>,
    store: Arc<SqliteStore>,
    clock: Clock,
    mut stopped: watch::Receiver<bool>,
) {
    let mut turns = turns(RETAIN);
    while next(&mut turns, &mut stopped).await {
        let alive = |tenant: &TenantKey, session: &SessionId| {
            apps.named(&tenant.app)
                .is_some_and(|served| !served.dispatcher.rooms_of(tenant, session).is_empty())
        };
        match store.retain(clock.now().wall, &alive).await {
            Ok(retained) if retained.records > 0 => {
                tracing::debug!(records = retained.records, "trimmed the log")
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "unable to trim the log"),
        }
    }
}

#[cfg(test)]
mod tests {
    use relais_core::ids::Epoch;
    use relais_store::memory::MemoryStore;

    use super::*;
    use crate::files::{FileSettings, Files, Place, S3};
    use crate::glue::ports::Hub;

    #[tokio::test]
    async fn a_sweep_that_waits_for_a_storage_without_an_answer_does_not_hold_up_the_stop() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = silent.local_addr().expect("its address");
        let incoming = std::env::temp_dir().join(format!("relais-stop-{}", std::process::id()));
        let settings = FileSettings {
            place: Place::S3(S3 {
                bucket: "pictures".to_owned(),
                prefix: String::new(),
                endpoint: Some(format!("http://{address}")),
                region: "us-east-1".to_owned(),
                access_key_id: "id".to_owned(),
                secret_access_key: "key".to_owned(),
            }),
            incoming: incoming.clone(),
            bytes_max: 1,
            pixels_max: 1,
            link_seconds: 60,
            public_url: None,
            sweep_seconds: 1,
            timeout: Duration::from_secs(1),
        };
        let files = Files::open(&settings, &"one".into(), "secret", "", Clock::start());
        let files = Arc::new(files.expect("opened"));
        let hub = Arc::new(Hub::new(Arc::new(Scopes::new([]))));
        let store = Arc::new(MemoryStore::new(hub, Arc::new(|| Epoch(1))));
        let (stop, stopped) = watch::channel(false);
        let sweeping = tokio::spawn(sweep(files, store, stopped));
        let _asked = silent.accept().await.expect("it asks");
        stop.send(true).expect("told");
        sweeping.await.expect("it ended");
        std::fs::remove_dir_all(incoming).expect("removed");
    }
}
