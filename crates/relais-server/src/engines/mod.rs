//! Engines of this server: they claim items that an app file gives them, make what is asked for, and attach it.
//!
//! To the core an engine is a worker like those outside, with the same claims, leases and files; which items it works on, and what their
//! fields mean, stands in the app file. Work that a process leaves unfinished is free again when its lease ends, and goes on behind the
//! files that it has already.

pub mod comfy;
mod embedded;
mod task;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relais_core::command::{Command, ItemAction};
use relais_core::ids::TenantKey;
use relais_store::sqlite::SqliteStore;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::files::SharedFiles;
use crate::glue::apps::{Apps, Served};

use task::{Claimed, Task};

/// Between two looks at all tenants: what nobody announced, and what somebody has lost, waits so long.
const ROUND: Duration = Duration::from_secs(2);
/// Tenants that were announced and not looked at; who comes later is found by the next round.
const ANNOUNCED_MAX: usize = 10_000;
/// Tasks that are worked on at once.
const TASKS_MAX: usize = 4;
/// What is under way at a stop has so long to notice.
const STOP: Duration = Duration::from_secs(5);

/// Told of new work.
#[derive(Default)]
pub struct Announcements {
    tenants: Mutex<BTreeSet<Announced>>,
    news: Notify,
}

/// A tenant, with the name of its app.
type Announced = (Arc<str>, Arc<str>);

impl Announcements {
    /// A command was carried out: if it made an item, there may be work.
    pub fn after(&self, tenant: &TenantKey, made_item: bool) {
        if !made_item {
            return;
        }
        let mut tenants = self.held();
        if tenants.len() < ANNOUNCED_MAX {
            tenants.insert((tenant.app.clone(), tenant.tenant.clone()));
        }
        self.news.notify_one();
    }

    fn take(&self) -> BTreeSet<Announced> {
        std::mem::take(&mut *self.held())
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<Announced>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a command makes an item.
pub fn makes_item(command: &Command) -> bool {
    matches!(command, Command::Item(request) if matches!(request.action, ItemAction::Create | ItemAction::Save))
}

/// What makes pictures.
pub enum Painter {
    /// The painter in this program.
    Embedded,
    /// A ComfyUI.
    Comfy(Box<comfy::Comfy>),
}

/// All that engines need.
pub struct Engines {
    /// What makes pictures.
    pub painter: Painter,
    /// Apps, with their dispatchers.
    pub apps: Arc<Apps>,
    /// To know which tenants there are.
    pub store: Arc<SqliteStore>,
    /// Where results go.
    pub files: SharedFiles,
    /// Both clocks.
    pub clock: Clock,
    /// Told of new work.
    pub announcements: Arc<Announcements>,
}

impl Painter {
    /// Tasks at once: painting takes a core each, and the shards need theirs; ComfyUI has its own queue, of which more is nothing faster.
    fn tasks_max(&self) -> usize {
        match self {
            Self::Embedded => std::thread::available_parallelism()
                .map_or(1, |cores| (cores.get() / 2).clamp(1, TASKS_MAX)),
            Self::Comfy(_) => TASKS_MAX,
        }
    }
}

impl Engines {
    /// Works until the server stops.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        if self
            .apps
            .iter()
            .all(|served| works(served).next().is_none())
        {
            // Nothing to do for as long as the server runs.
            let _ = stopped.wait_for(|stopped| *stopped).await;
            return;
        }
        let places = Arc::new(Semaphore::new(self.painter.tasks_max()));
        let mut tasks = JoinSet::new();
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_round = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                _ = rounds.tick() => true,
                () = self.announcements.news.notified() => false,
            };
            let mut tenants = self.announcements.take();
            if is_round {
                tenants.extend(self.all_tenants().await);
            }
            for tenant in &tenants {
                while let Some((task, place)) = self.next_task(tenant, &places, &mut stopped).await
                {
                    let (engines, mut stopped) = (self.clone(), stopped.clone());
                    tasks.spawn(async move {
                        tokio::select! {
                            () = engines.work(task) => {}
                            _ = stopped.wait_for(|stopped| *stopped) => {}
                        }
                        drop(place);
                    });
                }
            }
            while tasks.try_join_next().is_some() {}
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP, ended).await.is_err() {
            tracing::warn!("an engine was stopped in the middle of its work");
        }
    }

    async fn all_tenants(&self) -> BTreeSet<Announced> {
        let keys = self.store.tenant_keys().await;
        let keys = keys.inspect_err(|error| tracing::warn!(%error, "unable to look for work"));
        let of_ours = keys.unwrap_or_default().into_iter().filter(|key| {
            let served = self.apps.named(&key.app);
            served.is_some_and(|served| works(served).next().is_some())
        });
        of_ours.map(|key| (key.app, key.tenant)).collect()
    }

    /// Waits for a free place, then claims one item of a tenant, if any waits.
    async fn next_task(
        &self,
        (app, tenant): &Announced,
        places: &Arc<Semaphore>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Option<(Task, OwnedSemaphorePermit)> {
        let served = self.apps.named(app)?;
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place.ok()?,
            _ = stopped.wait_for(|stopped| *stopped) => return None,
        };
        let key = TenantKey::new(app.clone(), tenant.clone());
        for kind in works(served) {
            match Task::claim(served, &key, kind, self.clock).await {
                Claimed::Task(task) => return Some((*task, place)),
                Claimed::Nothing => {}
            }
        }
        None
    }

    async fn work(&self, mut task: Task) {
        let made = match &self.painter {
            Painter::Embedded => embedded::work(&mut task, &self.files).await,
            Painter::Comfy(comfy) => comfy::work(&mut task, &self.files, comfy).await,
        };
        if let Err(error) = made {
            task.fail(error).await;
        }
    }
}

/// Kinds of items of an app that an engine works on.
fn works(served: &Arc<Served>) -> impl Iterator<Item = &relais_core::vocabulary::Item> {
    served.app.items.0.iter().filter(|item| item.work.is_some())
}
