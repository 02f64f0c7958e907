//! What wakes a follower: the tenants of which something was committed, each once, however much it was.
//!
//! Rung by the committer, so it never waits and allocates nothing for a tenant that is in it already.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use relais_core::event::{EventKind, Record};
use relais_core::ids::TenantKey;
use tokio::sync::Notify;

/// Tenants in a bell. Beyond it the follower looks through all of them.
const TENANTS_MAX: usize = 10_000;

/// One follower's bell.
pub struct Bell {
    wanted: HashSet<EventKind>,
    rung: Mutex<Rung>,
    notify: Notify,
}

/// Since the follower last came.
#[derive(Default)]
pub struct Rung {
    /// For these tenants.
    pub tenants: HashSet<TenantKey>,
    /// For more than could be remembered.
    pub is_all: bool,
}

impl Bell {
    /// A bell that these kinds ring.
    pub fn new(wants: impl Fn(EventKind) -> bool) -> Self {
        let all = EventKind::ALL.iter().copied();
        Self {
            wanted: all.filter(|kind| wants(*kind)).collect(),
            rung: Mutex::default(),
            notify: Notify::new(),
        }
    }

    fn ring(&self, tenant: &TenantKey, records: &[Arc<Record>]) {
        let wanted = |record: &Arc<Record>| self.wanted.contains(&record.event.kind);
        if records.iter().any(wanted) {
            self.wake(tenant);
        }
    }

    fn wake(&self, tenant: &TenantKey) {
        let mut rung = self.held();
        match rung.tenants.len() < TENANTS_MAX {
            true if rung.tenants.contains(tenant) => return,
            true => {
                rung.tenants.insert(tenant.clone());
            }
            false => rung.is_all = true,
        }
        drop(rung);
        self.notify.notify_one();
    }

    /// Waits until it rings, or has rung since the last time.
    pub async fn rings(&self) {
        self.notify.notified().await;
    }

    /// Takes what it rang for.
    pub fn take(&self) -> Rung {
        std::mem::take(&mut *self.held())
    }

    fn held(&self) -> MutexGuard<'_, Rung> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bells of all apps that have any.
#[derive(Default)]
pub struct Bells(OnceLock<HashMap<Arc<str>, Vec<Arc<Bell>>>>);

impl Bells {
    /// Hangs them up; only the first time counts.
    pub fn hang(&self, bells: HashMap<Arc<str>, Vec<Arc<Bell>>>) {
        // A second call is a fault of the boot code alone, and the first ones stay right.
        let _ = self.0.set(bells);
    }

    /// Something was committed.
    pub fn ring(&self, tenant: &TenantKey, records: &[Arc<Record>]) {
        self.of(tenant).for_each(|bell| bell.ring(tenant, records));
    }

    /// Something that was given up is to be told again.
    pub fn wake(&self, tenant: &TenantKey) {
        self.of(tenant).for_each(|bell| bell.wake(tenant));
    }

    fn of(&self, tenant: &TenantKey) -> impl Iterator<Item = &Arc<Bell>> {
        let of_app = self.0.get().and_then(|bells| bells.get(&tenant.app));
        of_app.into_iter().flatten()
    }
}
