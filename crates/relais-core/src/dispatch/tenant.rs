//! What the dispatcher keeps in memory for each tenant in use, and how a tenant is taken into use.
//!
//! Locks are short and never held across an `.await`. Events about one user are published under the lock under which
//! they arose, so that they go out in order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::items::Claims;
use super::settle::store_error;
use super::stats::PerMinute;
use super::{Dispatcher, Ports};
use crate::capability::directory::Directory;
use crate::capability::roster::Roster;
use crate::capability::typing::Typing;
use crate::capability::{presence, room};
use crate::error::Error;
use crate::event::Transition;
use crate::event::{Event, Volatile};
use crate::ids::{Moment, Monotonic, RoomKey, SessionId, TenantKey, Timestamp, UserId};
use crate::ports::TenantStore;
use crate::restriction::Restrictions;

/// Who went offline this long before a start is told to sessions that come back.
const RECENT_MS: i64 = 60_000;
/// A tenant without sessions is let go after that.
const IDLE_MS: u64 = 600_000;

pub(super) struct Tenant {
    pub(super) key: TenantKey,
    pub(super) store: Arc<dyn TenantStore>,
    pub(super) roster: RwLock<Roster>,
    pub(super) typing: Mutex<Typing>,
    /// Stays of sessions that are over, to be closed in the store when there is time.
    pub(super) closing: Mutex<Vec<(SessionId, RoomKey)>>,
    /// How many memberships began or ended. Raised after the commit and before the roster is searched, so that a session
    /// which the search did not find sees that it has to look again.
    pub(super) member_changes: AtomicU64,
    /// Sessions whose rooms by membership have to be looked at again when there is time.
    pub(super) unsettled: Mutex<Vec<(SessionId, UserId)>>,
    pub(super) connections: AtomicU64,
    pub(super) messages: Mutex<PerMinute>,
    /// What rooms are, and who can be named in them.
    pub(super) directory: RwLock<Directory>,
    /// Who is held back.
    pub(super) restrictions: RwLock<Restrictions>,
    /// Items that are being claimed, each by one command.
    pub(super) claims: Claims,
    used_at: AtomicU64,
}

impl Tenant {
    pub(super) fn touch(&self, now: Monotonic) {
        self.used_at.fetch_max(now.0, Ordering::Relaxed);
    }

    pub(super) fn is_idle(&self, now: Monotonic) -> bool {
        let used_at = Monotonic(self.used_at.load(Ordering::Relaxed));
        now.since(used_at) > IDLE_MS
            && read(&self.roster).is_idle()
            && held(&self.typing).is_empty()
            && held(&self.closing).is_empty()
            && held(&self.unsettled).is_empty()
            && read(&self.directory).is_stored()
    }

    /// Publishes what the roster told. The caller holds the roster's lock.
    pub(super) fn tell(&self, ports: &Ports, told: &[Transition]) {
        let told = told.iter();
        for transition in told.filter(|told| ports.audiences.tells(told.what.kind())) {
            let event = presence::event(transition).or_else(|| room::event(transition));
            if let Some(event) = event {
                self.publish(ports, event, transition.at.wall);
            }
        }
    }

    /// Publishes a volatile event.
    pub(super) fn publish(&self, ports: &Ports, event: Event, at: Timestamp) {
        ports.fanout.volatile(&self.key, Volatile { at, event });
    }

    /// Changes the roster and publishes what comes of it.
    pub(super) fn with_roster(
        &self,
        ports: &Ports,
        change: impl FnOnce(&mut Roster) -> Vec<Transition>,
    ) {
        let mut roster = write(&self.roster);
        let told = change(&mut roster);
        self.tell(ports, &told);
    }

    /// Changes who is typing and publishes what comes of it.
    pub(super) fn with_typing<E: IntoIterator<Item = Event>>(
        &self,
        ports: &Ports,
        at: Timestamp,
        change: impl FnOnce(&mut Typing) -> E,
    ) {
        let mut typing = held(&self.typing);
        for event in change(&mut typing) {
            self.publish(ports, event, at);
        }
    }
}

impl Dispatcher {
    /// The tenant, taken into use if it is not. Does not wait when it is.
    pub(super) async fn open(&self, key: &TenantKey, now: Moment) -> Result<Arc<Tenant>, Error> {
        if let Some(tenant) = self.in_use(key) {
            tenant.touch(now.monotonic);
            return Ok(tenant);
        }
        let store = self.ports.store.tenant(key).await.map_err(store_error)?;
        let recently = Timestamp(now.wall.0 - RECENT_MS);
        let stored = store.presences(recently).await.map_err(store_error)?;
        let restrictions = store.restrictions().await.map_err(store_error)?;
        let mut roster = Roster::new(self.rules.presence.clone());
        roster.restore(stored, Monotonic::default(), now);
        let tenant = Arc::new(Tenant {
            key: key.clone(),
            store,
            roster: RwLock::new(roster),
            typing: Mutex::default(),
            closing: Mutex::default(),
            member_changes: AtomicU64::new(0),
            unsettled: Mutex::default(),
            connections: AtomicU64::new(0),
            messages: Mutex::default(),
            directory: RwLock::default(),
            restrictions: RwLock::new(Restrictions::new(restrictions, now.wall)),
            claims: Claims::default(),
            used_at: AtomicU64::new(now.monotonic.0),
        });
        // Somebody else may have been quicker; then theirs is the one.
        let tenant = {
            let mut tenants = write(&self.tenants);
            tenants.entry(key.clone()).or_insert(tenant).clone()
        };
        // Long after the start, the grace of who was online before it is over already.
        tenant.with_roster(&self.ports, |roster| roster.tick(now));
        Ok(tenant)
    }

    /// The tenant, if it is in use.
    pub(super) fn in_use(&self, key: &TenantKey) -> Option<Arc<Tenant>> {
        read(&self.tenants).get(key).cloned()
    }

    pub(super) fn all_in_use(&self) -> Vec<Arc<Tenant>> {
        read(&self.tenants).values().cloned().collect()
    }

    /// Lets go of tenants that nobody has used for a while.
    pub(super) fn let_go(&self, now: Monotonic) {
        let idle = |tenant: &Arc<Tenant>| Arc::strong_count(tenant) == 1 && tenant.is_idle(now);
        if read(&self.tenants).values().any(idle) {
            write(&self.tenants).retain(|_, tenant| !idle(tenant));
        }
    }
}

// A panic under one of these locks leaves whole values behind, so the lock is taken all the same.

pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
