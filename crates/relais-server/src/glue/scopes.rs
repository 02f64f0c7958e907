//! Tenants as the engine's scopes: a number for each tenant that somebody has connected to, and the engine's way to a tenant's log.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use relais_core::error::{Code, Error};
use relais_core::event::Facts;
use relais_core::ids::{RoomKey, TenantKey};
use relais_core::ports::{Store, StoreError, TenantStore};
use relais_core::vocabulary::App;
use relais_engine::{Log, LogError, LogPage, Room, Scope};

use super::opening::Opening;
use super::pages::Pages;
use super::rooms;
use crate::files::Links;

/// Tenants that one process serves at once.
const TENANTS_MAX: usize = 100_000;
/// A tenant without sessions is let go when nobody has asked for it for that long.
const IDLE: Duration = Duration::from_secs(600);

/// A tenant in use.
pub struct Tenant {
    /// Its key.
    pub key: TenantKey,
    /// Its number: a tenant that was let go and comes back has another one, so that nothing under way meets strangers.
    pub scope: Scope,
    /// The app file that gives its records their names.
    pub app: Arc<App>,
    /// Its part of the store.
    pub store: Arc<dyn TenantStore>,
    /// Makes addresses of the paths of files.
    pub links: Option<Arc<Links>>,
    /// Taken into use by one session at a time.
    pub opening: Opening,
    /// Seconds after the start at which it was last asked for.
    used_at: AtomicU64,
}

impl Tenant {
    /// Facts as they are shown: with addresses where paths of files are.
    pub fn shown<'f>(&self, facts: &'f Facts) -> Cow<'f, Facts> {
        match &self.links {
            Some(links) => links.shown_now(facts),
            None => Cow::Borrowed(facts),
        }
    }
}

/// All tenants in use.
pub struct Scopes {
    apps: HashMap<Arc<str>, Arc<App>>,
    store: OnceLock<Arc<dyn Store>>,
    links: OnceLock<Arc<Links>>,
    known: RwLock<Known>,
    pages: Pages,
    started: Instant,
}

#[derive(Default)]
struct Known {
    by_key: HashMap<TenantKey, Arc<Tenant>>,
    by_scope: HashMap<Scope, Arc<Tenant>>,
    /// Scopes given out since the start.
    scopes: u32,
}

impl Scopes {
    /// No tenant yet. The store comes by [`Self::set_store`], because it is opened with a fan-out that needs the scopes.
    pub fn new(apps: impl IntoIterator<Item = (Arc<str>, Arc<App>)>) -> Self {
        Self {
            apps: apps.into_iter().collect(),
            store: OnceLock::new(),
            links: OnceLock::new(),
            known: RwLock::default(),
            pages: Pages::default(),
            started: Instant::now(),
        }
    }

    /// Gives the store; only the first one counts.
    pub fn set_store(&self, store: Arc<dyn Store>) {
        // A second call is a fault of the boot code alone, and the first store stays right.
        let _ = self.store.set(store);
    }

    /// Gives what makes addresses of files; only the first one counts.
    pub fn set_links(&self, links: Arc<Links>) {
        // As with the store.
        let _ = self.links.set(links);
    }

    /// The tenant, if it is in use.
    pub fn find(&self, key: &TenantKey) -> Option<Arc<Tenant>> {
        self.read().by_key.get(key).cloned()
    }

    /// The tenant, loaded on first use.
    pub async fn load(&self, key: &TenantKey) -> Result<Arc<Tenant>, Error> {
        if let Some(tenant) = self.find(key) {
            tenant.used_at.store(self.seconds(), Ordering::Relaxed);
            return Ok(tenant);
        }
        let unavailable = || Error::new(Code::Unavailable, "unable to reach the store");
        let app = self
            .apps
            .get(&key.app)
            .ok_or_else(|| Error::new(Code::NotFound, "there is no such app"))?;
        let store = self
            .store
            .get()
            .ok_or_else(unavailable)?
            .tenant(key)
            .await
            .map_err(|error| {
                tracing::error!(%error, "unable to load a tenant");
                unavailable()
            })?;
        if self.read().by_key.len() >= TENANTS_MAX {
            self.let_go(Duration::ZERO);
        }
        let mut known = self.write();
        if let Some(tenant) = known.by_key.get(key) {
            return Ok(tenant.clone());
        }
        let next = known.scopes.checked_add(1);
        let (true, Some(next)) = (known.by_key.len() < TENANTS_MAX, next) else {
            return Err(Error::new(
                Code::Overloaded,
                "this server has no room for another tenant",
            ));
        };
        let tenant = Arc::new(Tenant {
            key: key.clone(),
            scope: Scope(known.scopes),
            app: app.clone(),
            store,
            links: self.links.get().cloned(),
            opening: Opening::default(),
            used_at: AtomicU64::new(self.seconds()),
        });
        known.scopes = next;
        known.by_key.insert(key.clone(), tenant.clone());
        known.by_scope.insert(tenant.scope, tenant.clone());
        Ok(tenant)
    }

    /// The log of a tenant was rewritten: its pages are read again.
    pub fn forget_pages(&self, tenant: &TenantKey) {
        if let Some(tenant) = self.find(tenant) {
            self.pages.forget(tenant.scope);
        }
    }

    /// Lets go of pages that nobody reads and of tenants that nobody uses. To be called every few seconds.
    pub fn tidy(&self) {
        self.pages.tidy(Instant::now());
        self.let_go(IDLE);
    }

    /// Lets go of tenants that no session holds and that nobody has asked for in `idle`.
    fn let_go(&self, idle: Duration) {
        let now = self.seconds();
        let is_idle = |tenant: &Arc<Tenant>| {
            // One for each of the two maps. Whoever takes another does so under their lock.
            Arc::strong_count(tenant) == 2
                && now.saturating_sub(tenant.used_at.load(Ordering::Relaxed)) >= idle.as_secs()
        };
        if !self.read().by_key.values().any(is_idle) {
            return;
        }
        let mut known = self.write();
        let Known {
            by_key, by_scope, ..
        } = &mut *known;
        by_key.retain(|_, tenant| {
            let goes = is_idle(tenant);
            if goes {
                by_scope.remove(&tenant.scope);
            }
            !goes
        });
    }

    fn at(&self, scope: Scope) -> Option<Arc<Tenant>> {
        self.read().by_scope.get(&scope).cloned()
    }

    fn seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Log for Scopes {
    fn head(&self, scope: Scope) -> Option<relais_engine::Position> {
        let head = self.at(scope)?.store.head();
        Some(relais_engine::Position {
            epoch: head.epoch.0,
            position: head.position.0,
        })
    }

    async fn read(&self, scope: Scope, after: u64, limit: u32) -> Result<LogPage, LogError> {
        let tenant = self.tenant(scope)?;
        let page = self.pages.read(&tenant, after, limit).await;
        page.map_err(log_error)
    }

    async fn trimmed(&self, scope: Scope, rooms: &[Room]) -> Result<u64, LogError> {
        let tenant = self.tenant(scope)?;
        let rooms: Vec<RoomKey> = rooms.iter().filter_map(rooms::key).collect();
        let trimmed = tenant.store.trimmed(&rooms).await.map_err(log_error)?;
        Ok(trimmed.0)
    }
}

impl Scopes {
    fn tenant(&self, scope: Scope) -> Result<Arc<Tenant>, LogError> {
        self.at(scope).ok_or_else(|| LogError {
            reason: "unknown scope".to_owned(),
        })
    }
}

fn log_error(error: StoreError) -> LogError {
    LogError {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use relais_core::ids::Epoch;
    use relais_store::memory::MemoryStore;

    use super::super::ports::Hub;
    use super::*;

    fn scopes() -> Arc<Scopes> {
        let app = App::parse("app.toml", "name = \"app\"\ntitle = \"App\"").expect("an app");
        let scopes = Arc::new(Scopes::new([(app.name.clone(), Arc::new(app))]));
        let hub = Arc::new(Hub::new(scopes.clone()));
        scopes.set_store(Arc::new(MemoryStore::new(hub, Arc::new(|| Epoch(1)))));
        scopes
    }

    #[tokio::test]
    async fn a_tenant_that_nobody_holds_is_let_go_and_comes_back_under_another_number() {
        let scopes = scopes();
        let (one, two) = (TenantKey::new("app", "one"), TenantKey::new("app", "two"));
        let held = scopes.load(&one).await.expect("loaded");
        let gone = scopes.load(&two).await.expect("loaded").scope;
        scopes.let_go(IDLE);
        assert!(scopes.find(&two).is_some(), "it was used a moment ago");
        scopes.let_go(Duration::ZERO);
        assert!(scopes.find(&one).is_some(), "a session holds it");
        assert!(scopes.find(&two).is_none());
        assert!(scopes.head(gone).is_none());
        let back = scopes.load(&two).await.expect("loaded").scope;
        assert!(back != gone && back != held.scope);
    }
}
