//! Engines of this server: they claim items that an app file gives them, make what is asked for, and attach it.
//!
//! To the core an engine is a worker like those outside, with the same claims, leases and files; which items it works on, and what their
//! fields mean, stands in the app file. Work that a process leaves unfinished is free again when its lease ends, and goes on behind the
//! files that it has already.

pub mod comfy;
mod embedded;
mod task;

use std::collections::{BTreeSet, HashSet, VecDeque};
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

/// Between two looks for tenants with work: what nobody announced, and what somebody has lost, waits so long.
const ROUND: Duration = Duration::from_secs(2);
/// Tenants that were announced, and tenants whose turn will come; any more are found by a later round.
const TENANTS_MAX: usize = 10_000;
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
        if tenants.len() < TENANTS_MAX {
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

/// Tenants that may have work, each once: one item of each at a time, so that nobody waits for all that somebody else has.
#[derive(Default)]
struct Turns {
    order: VecDeque<Announced>,
    waiting: HashSet<Announced>,
}

impl Turns {
    fn extend(&mut self, tenants: impl IntoIterator<Item = Announced>) {
        for tenant in tenants {
            if self.order.len() < TENANTS_MAX && self.waiting.insert(tenant.clone()) {
                self.order.push_back(tenant);
            }
        }
    }

    fn next(&mut self) -> Option<Announced> {
        let tenant = self.order.pop_front()?;
        self.waiting.remove(&tenant);
        Some(tenant)
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// What there is to be done.
enum Next {
    /// To look for tenants with work.
    Round,
    /// To hear what was announced.
    News,
    /// To give a tenant its turn.
    Place(OwnedSemaphorePermit),
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
    /// To know which tenants have work.
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
        let (mut tasks, mut turns) = (JoinSet::new(), Turns::default());
        let mut rounds = tokio::time::interval(ROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                _ = rounds.tick() => Next::Round,
                () = self.announcements.news.notified() => Next::News,
                Some(_) = tasks.join_next() => continue,
                Ok(place) = places.clone().acquire_owned(), if !turns.is_empty() => Next::Place(place),
            };
            let place = match next {
                Next::Place(place) => place,
                Next::News => {
                    turns.extend(self.announcements.take());
                    continue;
                }
                Next::Round => {
                    turns.extend(self.with_work().await);
                    continue;
                }
            };
            let Some(tenant) = turns.next() else {
                continue;
            };
            if let Some(task) = self.claim(&tenant).await {
                // There may be more, behind everybody else's.
                turns.extend([tenant]);
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
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP, ended).await.is_err() {
            tracing::warn!("an engine was stopped in the middle of its work");
        }
    }

    /// Tenants that have something to be worked on, whether anybody has announced it or not. Others are not even taken into use.
    async fn with_work(&self) -> Vec<Announced> {
        let now = self.clock.now().wall;
        let mut found = Vec::new();
        for served in self.apps.iter() {
            for kind in works(served) {
                let asked = (&served.name, &kind.kind);
                match self.store.with_free_items(asked, now, TENANTS_MAX).await {
                    Ok(tenants) => {
                        found.extend(tenants.into_iter().map(|key| (key.app, key.tenant)))
                    }
                    Err(error) => tracing::warn!(%error, "unable to look for work"),
                }
            }
        }
        found
    }

    /// Claims one item of a tenant, if any waits.
    async fn claim(&self, (app, tenant): &Announced) -> Option<Task> {
        let served = self.apps.named(app)?;
        let key = TenantKey::new(app.clone(), tenant.clone());
        for kind in works(served) {
            match Task::claim(served, &key, kind, self.clock).await {
                Claimed::Task(task) => return Some(*task),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_has_its_turn_once_however_often_it_is_announced() {
        let of = |tenants: &'static str| {
            let one = |letter: char| (Arc::from("app"), Arc::from(letter.to_string()));
            tenants.chars().map(one)
        };
        let mut turns = Turns::default();
        turns.extend(of("aab"));
        let mut served = String::new();
        for later in ["a", "c", "a", "ac", "", "", ""] {
            // Whoever was served and has more comes back at the end.
            served.extend(turns.next().map(|(_, tenant)| tenant.to_string()));
            turns.extend(of(later));
        }
        assert_eq!(served, "abacac");
        assert!(turns.is_empty() && turns.waiting.is_empty());
        let many = (0..2 * TENANTS_MAX).map(|number| ("app".into(), number.to_string().into()));
        turns.extend(many);
        assert_eq!(turns.order.len(), TENANTS_MAX);
    }
}
