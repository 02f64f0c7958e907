//! The store on SQLite: one file, nothing to install, every commit synced.
//!
//! One thread writes ([`writer`]) and owns where every log ends; a few threads read beside it ([`readers`]); the
//! newest records are also in memory ([`recent`]). Handles of tenants ([`tenant`]) are what the core is given.
//! SQLite is called straight from these threads, without a task or a hop for each statement.

mod batch;
mod checkpoint;
mod door;
mod erase;
mod fault;
mod heads;
mod inbox;
mod items;
mod keys;
mod notices;
mod open;
mod outside;
mod pace;
mod query;
mod readers;
mod recent;
mod rooms;
mod rows;
mod tenant;
#[cfg(test)]
mod tests_support;
mod trim;
mod writer;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use relais_core::ids::{TenantKey, Timestamp};
use relais_core::ports::{Fanout, Store, StoreError, TenantStore};
use tokio::sync::mpsc;

pub use fault::OpenError;

use crate::EpochSource;
use crate::retention::{Alive, Retained, Retention};
use checkpoint::Checkpointer;
use door::Door;
use fault::{closed, failed, store_error};

use heads::TenantLog;
use pace::Pace;
use readers::Readers;
use recent::{RecentLimits, Recents};
use tenant::SqliteTenant;
use writer::{BatchLimits, Job, Shared, Writer};

/// Where the database is and how much it may take.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file; its folder is made if it is missing. Beside it lie `-wal`, `-shm` and `.lock`.
    pub path: PathBuf,
    /// Connections that read. Default 2.
    pub readers: usize,
    /// Transactions that wait for the writer; more are refused as `Overloaded`. Default 16,384.
    pub queue_transactions_max: usize,
    /// Bytes of the transactions that wait, about. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// How long a transaction may have to wait for the writer: more than are committed in that time are refused as `Overloaded`
    /// while the writer is behind. Default 500 ms.
    pub queue_wait_max: Duration,
    /// Transactions that are committed together. Default 1,024.
    pub batch_transactions_max: usize,
    /// Bytes that are committed together, about. Default 4 MiB.
    pub batch_bytes_max: usize,
    /// Newest records of one tenant that are kept in memory. Default 10,000, of at most 16 MiB.
    pub recent_records_max: usize,
    /// Bytes of the newest records of all tenants in memory, about. Default 64 MiB.
    pub recent_bytes_max: usize,
    /// Bytes of pages that the writer and each reader keep in memory. Default 32 MiB.
    pub page_cache_bytes_max: usize,
    /// What is forgotten, and when.
    pub retention: Retention,
}

impl SqliteOptions {
    /// The defaults, for a database at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 2,
            queue_transactions_max: 16_384,
            queue_bytes_max: 64 << 20,
            queue_wait_max: Duration::from_millis(500),
            batch_transactions_max: 1_024,
            batch_bytes_max: 4 << 20,
            recent_records_max: 10_000,
            recent_bytes_max: 64 << 20,
            page_cache_bytes_max: 32 << 20,
            retention: Retention::default(),
        }
    }
}

/// The store; one for a whole server. Dropping it finishes what is queued in the background; [`SqliteStore::close`]
/// waits for that.
pub struct SqliteStore {
    inner: Arc<Inner>,
    id: Arc<str>,
    epochs: EpochSource,
    retention: Retention,
    tenants: Mutex<HashMap<TenantKey, Arc<SqliteTenant>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What every handle needs.
struct Inner {
    queue: mpsc::Sender<Job>,
    queue_bytes_max: usize,
    readers: Readers,
    shared: Arc<Shared>,
}

impl Inner {
    /// Whether one more transaction may wait for the writer, bytes aside.
    fn lets_in(&self) -> bool {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        self.queue.capacity() > 0 && self.shared.door.lets_in(waiting)
    }
}

impl SqliteStore {
    /// Opens or creates the database and starts its threads. Committed records go to `fanout`; a tenant gets its epoch
    /// from `epochs` when it is first used. Blocks for a moment: call it while the server starts.
    pub fn open(
        options: SqliteOptions,
        fanout: Arc<dyn Fanout>,
        epochs: EpochSource,
    ) -> Result<Self, OpenError> {
        let (lock, mut connection) = open::writer(&options.path)?;
        open::set_page_cache(&connection, options.page_cache_bytes_max)
            .map_err(|error| OpenError::new(&options.path, &error))?;
        let id = open::id(&connection, &options.path)?;
        let checkpointer = Checkpointer::start(&options.path, &mut connection)?;
        let opened = (lock, connection, checkpointer);
        let readers = Readers::open(&options)?;
        let (sender, queue) = mpsc::channel(options.queue_transactions_max.max(1));
        let shared = Arc::new(Shared {
            recents: Recents::new(RecentLimits {
                records_max: options.recent_records_max,
                tenant_bytes_max: options.recent_bytes_max.min(16 << 20),
                bytes_max: options.recent_bytes_max,
            }),
            queued_bytes: AtomicUsize::new(0),
            door: Door::new(options.queue_wait_max),
            pace: Pace::default(),
            failing: AtomicBool::new(false),
        });
        let limits = BatchLimits {
            transactions_max: options.batch_transactions_max.max(1),
            bytes_max: options.batch_bytes_max,
        };
        let writer = Writer::new(opened, shared.clone(), fanout, queue, limits);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io {
                path: options.path.clone(),
                source,
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                queue: sender,
                queue_bytes_max: options.queue_bytes_max,
                readers,
                shared,
            }),
            id,
            epochs,
            retention: options.retention,
            tenants: Mutex::default(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Who this database is: sixteen hexadecimal digits, made once, and the same in every copy of it.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Forgets what is older than the window or too much for its room, in steps between which commits pass. `alive`
    /// says which sessions are open. Call it at least once in an eighth of the window.
    pub async fn retain(&self, now: Timestamp, alive: Alive<'_>) -> Result<Retained, StoreError> {
        let mut total = Retained::default();
        for key in self.tenant_keys().await? {
            let log = self.log_of(&key, false).await?;
            let done = trim::retain(&self.inner, &log, self.retention, now, alive).await?;
            total.records += done.records;
            total.stays += done.stays;
        }
        trim::restrictions(&self.inner, now).await?;
        self.let_go().await?;
        Ok(total)
    }

    /// Forgets tenants whose handles are held by nobody; they are read again when somebody asks.
    async fn let_go(&self) -> Result<(), StoreError> {
        held(&self.tenants).retain(|_, tenant| Arc::strong_count(tenant) > 1);
        trim::aside(&self.inner, |writer| {
            writer.let_go();
            Ok(())
        })
        .await
    }

    /// Finishes what is queued, checkpoints and lets go of the database. What comes later is refused as `Unavailable`.
    pub async fn close(&self) -> Result<(), StoreError> {
        let thread = held(&self.thread).take();
        let Some(thread) = thread else {
            return Ok(());
        };
        // The thread may have ended already; then there is nobody to tell.
        let _ = self.inner.queue.send(Job::Close).await;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(())) => Ok(()),
            _ => Err(failed("the writer ended by a panic")),
        }
    }

    /// All tenants that the database knows, used since the start or not.
    async fn tenant_keys(&self) -> Result<Vec<TenantKey>, StoreError> {
        let read = |connection: &rusqlite::Connection| -> Result<_, rusqlite::Error> {
            let mut select = connection.prepare_cached("SELECT app, tenant FROM tenants")?;
            let keys = select.query_map([], |row| {
                let (app, tenant): (String, String) = (row.get(0)?, row.get(1)?);
                Ok(TenantKey::new(app, tenant))
            })?;
            keys.collect()
        };
        let ask = self
            .inner
            .readers
            .ask(move |connection| read(connection).map_err(|error| store_error(&error)));
        ask.await
    }

    /// Tenants of an app that have an item of a kind, outside of rooms, that can be claimed now, at most `limit`. No tenant is taken into use
    /// for it.
    pub async fn with_free_items(
        &self,
        (app, kind): (&Arc<str>, &Arc<str>),
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<TenantKey>, StoreError> {
        let (app, kind) = (app.clone(), kind.clone());
        let ask = self
            .inner
            .readers
            .ask(move |connection| items::with_free(connection, &app, &kind, now, limit));
        ask.await
    }

    async fn log_of(&self, key: &TenantKey, warm: bool) -> Result<Arc<TenantLog>, StoreError> {
        let (key, epochs) = (key.clone(), self.epochs.clone());
        trim::aside(&self.inner, move |writer| {
            writer.tenant(&key, &epochs, warm)
        })
        .await
    }

    async fn handle(&self, key: &TenantKey) -> Result<Arc<SqliteTenant>, StoreError> {
        if let Some(tenant) = held(&self.tenants).get(key) {
            return Ok(tenant.clone());
        }
        let log = self.log_of(key, true).await?;
        let tenant = Arc::new(SqliteTenant {
            inner: self.inner.clone(),
            log,
        });
        Ok(held(&self.tenants)
            .entry(key.clone())
            .or_insert(tenant)
            .clone())
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn tenant(&self, key: &TenantKey) -> Result<Arc<dyn TenantStore>, StoreError> {
        let tenant = self.handle(key).await?;
        Ok(tenant)
    }

    /// Asks a reader, and after a failure also the disk, by a write that changes nothing.
    async fn check(&self) -> Result<(), StoreError> {
        if self.inner.queue.is_closed() {
            return Err(closed());
        }
        if self.inner.shared.failing.load(Ordering::Relaxed) {
            trim::aside(&self.inner, Writer::probe).await?;
        }
        self.inner.readers.ask(query::answers).await
    }

    fn is_overloaded(&self) -> bool {
        !self.inner.lets_in()
    }
}

/// The maps behind these locks are whole at every moment, so a panic elsewhere does not spoil them.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
