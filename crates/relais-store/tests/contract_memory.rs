//! The store contract, held by the store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use relais_core::ids::{Epoch, SessionId, Timestamp};
use relais_core::ports::{Fanout, Outside, Store};
use relais_store::memory::MemoryStore;
use relais_store::retention::Retention;
use relais_testkit::contract::store::{Limits, OpenStore, StoreHarness};

struct Memory;

struct Open(Arc<MemoryStore>);

#[async_trait]
impl StoreHarness for Memory {
    async fn open(&self, fanout: Arc<dyn Fanout>, limits: Limits) -> Box<dyn OpenStore> {
        let retention = Retention {
            window_ms: limits.window_ms,
            room_records_max: limits.records_max,
            roomless_records_max: limits.records_max,
        };
        let store = MemoryStore::new(fanout, Arc::new(|| Epoch(7)));
        Box::new(Open(Arc::new(store.with_retention(retention))))
    }
}

#[async_trait]
impl OpenStore for Open {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }

    fn outside(&self) -> Arc<dyn Outside> {
        self.0.clone()
    }

    async fn retain(&self, now: Timestamp, alive: &[SessionId]) {
        self.0.retain(now, &|_, session| alive.contains(session));
    }

    async fn reopen(self: Box<Self>, _fanout: Arc<dyn Fanout>) -> Option<Box<dyn OpenStore>> {
        None
    }
}

relais_testkit::store_contract!(Memory);
