//! The fanout contract, held by the simplest hub that can: it shows that the suite asks for nothing impossible.
//!
//! The model applies position p + 1 only and reads the log for everything else, on one lock and without sockets.

#![expect(clippy::unwrap_used, reason = "a model for tests")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use relais_core::event::{Record, Volatile};
use relais_core::ids::{AudienceKey, Position, RoomKey, SessionId, TenantKey};
use relais_core::ports::{Fanout, Store};
use relais_store::memory::MemoryStore;
use relais_testkit::contract::fanout::{FanoutHarness, Hub};

struct Model;

/// Where each tenant's hub is, and its sessions.
type Tenants = Arc<Mutex<HashMap<TenantKey, Tenant>>>;

#[derive(Default)]
struct Tenant {
    applied: Option<Position>,
    sessions: BTreeMap<SessionId, Session>,
}

#[derive(Default)]
struct Session {
    /// Rooms, each with the last position that the session hears of there.
    rooms: Vec<(RoomKey, Option<Position>)>,
    since: Position,
    seen: Vec<Position>,
}

struct ModelHub {
    store: Arc<dyn Store>,
    tenants: Tenants,
}

struct ModelFanout(Tenants);

impl Tenant {
    fn apply(&mut self, record: &Record) {
        if self
            .applied
            .is_none_or(|applied| record.position.0 != applied.0 + 1)
        {
            return;
        }
        self.applied = Some(record.position);
        for session in self.sessions.values_mut() {
            let hears = session.rooms.iter().any(|(room, until)| {
                record
                    .audience
                    .to
                    .contains(&AudienceKey::Room(room.clone()))
                    && until.is_none_or(|until| record.position <= until)
            });
            if hears && record.position > session.since {
                session.seen.push(record.position);
            }
        }
    }
}

impl Fanout for ModelFanout {
    fn publish(&self, tenant: &TenantKey, records: &[Arc<Record>]) {
        let mut tenants = self.0.lock().unwrap();
        let tenant = tenants.entry(tenant.clone()).or_default();
        for record in records {
            tenant.apply(record);
        }
    }

    fn volatile(&self, _tenant: &TenantKey, _event: Volatile) {}
}

#[async_trait]
impl FanoutHarness for Model {
    async fn store(&self, fanout: Arc<dyn Fanout>) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new(
            fanout,
            Arc::new(|| relais_core::ids::Epoch(1)),
        ))
    }

    async fn hub(&self, store: Arc<dyn Store>) -> Box<dyn Hub> {
        Box::new(ModelHub {
            store,
            tenants: Tenants::default(),
        })
    }
}

#[async_trait]
impl Hub for ModelHub {
    fn fanout(&self) -> Arc<dyn Fanout> {
        Arc::new(ModelFanout(self.tenants.clone()))
    }

    async fn subscribe(&self, tenant: &TenantKey, session: &SessionId, rooms: &[RoomKey]) {
        let head = self.store.tenant(tenant).await.unwrap().head().position;
        let mut tenants = self.tenants.lock().unwrap();
        let tenant = tenants.entry(tenant.clone()).or_default();
        tenant.applied.get_or_insert(head);
        let session = tenant.sessions.entry(session.clone()).or_default();
        session.since = head;
        session.rooms = rooms.iter().map(|room| (room.clone(), None)).collect();
    }

    async fn leave(
        &self,
        tenant: &TenantKey,
        session: &SessionId,
        room: &RoomKey,
        until: Position,
    ) {
        let mut tenants = self.tenants.lock().unwrap();
        let tenant = tenants.entry(tenant.clone()).or_default();
        if let Some(session) = tenant.sessions.get_mut(session) {
            for (_, leaves) in session.rooms.iter_mut().filter(|(left, _)| left == room) {
                *leaves = Some(until);
            }
        }
    }

    async fn observed(&self, tenant: &TenantKey, session: &SessionId) -> Vec<Position> {
        let tenants = self.tenants.lock().unwrap();
        tenants[tenant].sessions[session].seen.clone()
    }

    async fn advance(&self, _time: Duration) {
        let keys: Vec<_> = self.tenants.lock().unwrap().keys().cloned().collect();
        for key in keys {
            let log = self.store.tenant(&key).await.unwrap();
            loop {
                let applied = self.tenants.lock().unwrap()[&key].applied;
                let page = log
                    .log(applied.unwrap_or(log.head().position), 100)
                    .await
                    .unwrap();
                if page.records.is_empty() {
                    break;
                }
                let mut tenants = self.tenants.lock().unwrap();
                for record in &page.records {
                    tenants.get_mut(&key).unwrap().apply(record);
                }
            }
        }
    }
}

relais_testkit::fanout_contract!(Model);
