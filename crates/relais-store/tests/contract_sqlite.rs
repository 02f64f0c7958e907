//! The store contract, held by the store on SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use relais_core::ids::{Epoch, SessionId, Timestamp};
use relais_core::ports::{Fanout, Outside, Store};
use relais_store::retention::Retention;
use relais_store::sqlite::{SqliteOptions, SqliteStore};
use relais_testkit::contract::store::{Limits, OpenStore, StoreHarness};
use tempfile::TempDir;

struct Sqlite;

struct Open {
    store: Arc<SqliteStore>,
    options: SqliteOptions,
    folder: TempDir,
}

/// Every epoch that is drawn is another one, so that a second draw for one tenant would show.
static EPOCHS: AtomicU32 = AtomicU32::new(1);

fn open(options: &SqliteOptions, fanout: Arc<dyn Fanout>) -> Arc<SqliteStore> {
    let epochs = Arc::new(|| Epoch(EPOCHS.fetch_add(1, Ordering::Relaxed)));
    let store = SqliteStore::open(options.clone(), fanout, epochs);
    Arc::new(store.expect("the database opens"))
}

#[async_trait]
impl StoreHarness for Sqlite {
    async fn open(&self, fanout: Arc<dyn Fanout>, limits: Limits) -> Box<dyn OpenStore> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = SqliteOptions::new(folder.path().join("relais.db"));
        options.retention = Retention {
            window_ms: limits.window_ms,
            room_records_max: limits.records_max,
            roomless_records_max: limits.records_max,
        };
        Box::new(Open {
            store: open(&options, fanout),
            options,
            folder,
        })
    }
}

#[async_trait]
impl OpenStore for Open {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn outside(&self) -> Arc<dyn Outside> {
        self.store.clone()
    }

    async fn retain(&self, now: Timestamp, alive: &[SessionId]) {
        let alive = |_: &_, session: &_| alive.contains(session);
        let done = self.store.retain(now, &alive).await;
        done.expect("retention works");
    }

    async fn reopen(self: Box<Self>, fanout: Arc<dyn Fanout>) -> Option<Box<dyn OpenStore>> {
        self.store.close().await.expect("the store closes");
        Some(Box::new(Open {
            store: open(&self.options, fanout),
            options: self.options,
            folder: self.folder,
        }))
    }
}

relais_testkit::store_contract!(Sqlite);
