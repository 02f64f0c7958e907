//! Tenants as the engine's scopes: a number for each tenant that somebody has connected to, and the engine's way to a tenant's log.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};

use async_trait::async_trait;
use relais_core::error::{Code, Error};
use relais_core::ids::{Position, TenantKey};
use relais_core::ports::{Store, TenantStore};
use relais_core::vocabulary::App;
use relais_engine::{Log, LogError, LogPage, Scope};

use super::publication;

/// Tenants that one process serves at once.
const TENANTS_MAX: usize = 100_000;

/// A tenant in use.
pub struct Tenant {
    /// Its key.
    pub key: TenantKey,
    /// Its number.
    pub scope: Scope,
    /// The app file that gives its records their names.
    pub app: Arc<App>,
    /// Its part of the store.
    pub store: Arc<dyn TenantStore>,
}

/// All tenants in use.
pub struct Scopes {
    apps: HashMap<Arc<str>, Arc<App>>,
    store: OnceLock<Arc<dyn Store>>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_key: HashMap<TenantKey, Arc<Tenant>>,
    by_scope: Vec<Arc<Tenant>>,
}

impl Scopes {
    /// No tenant yet. The store comes by [`Self::set_store`], because it is opened with a fan-out that needs the scopes.
    pub fn new(apps: impl IntoIterator<Item = (Arc<str>, Arc<App>)>) -> Self {
        Self {
            apps: apps.into_iter().collect(),
            store: OnceLock::new(),
            known: RwLock::default(),
        }
    }

    /// Gives the store; only the first one counts.
    pub fn set_store(&self, store: Arc<dyn Store>) {
        // A second call is a fault of the boot code alone, and the first store stays right.
        let _ = self.store.set(store);
    }

    /// The tenant, if somebody has connected to it.
    pub fn find(&self, key: &TenantKey) -> Option<Arc<Tenant>> {
        self.read().by_key.get(key).cloned()
    }

    /// The tenant, loaded on first use.
    pub async fn load(&self, key: &TenantKey) -> Result<Arc<Tenant>, Error> {
        if let Some(tenant) = self.find(key) {
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
        let mut known = self
            .known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(tenant) = known.by_key.get(key) {
            return Ok(tenant.clone());
        }
        if known.by_scope.len() >= TENANTS_MAX {
            return Err(Error::new(
                Code::Overloaded,
                "this server has no room for another tenant",
            ));
        }
        let scope = Scope(u32::try_from(known.by_scope.len()).unwrap_or(u32::MAX));
        let tenant = Arc::new(Tenant {
            key: key.clone(),
            scope,
            app: app.clone(),
            store,
        });
        known.by_key.insert(key.clone(), tenant.clone());
        known.by_scope.push(tenant.clone());
        Ok(tenant)
    }

    fn at(&self, scope: Scope) -> Option<Arc<Tenant>> {
        self.read().by_scope.get(scope.0 as usize).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known
            .read()
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
        let tenant = self.at(scope).ok_or_else(|| LogError {
            reason: "unknown scope".to_owned(),
        })?;
        let page = tenant
            .store
            .log(Position(after), limit)
            .await
            .map_err(|error| LogError {
                reason: error.to_string(),
            })?;
        let deliveries = page
            .records
            .iter()
            .map(|record| publication::durable(&tenant, record))
            .collect();
        Ok(LogPage {
            deliveries,
            trimmed: page.trimmed.0,
        })
    }
}
