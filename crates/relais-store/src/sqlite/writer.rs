//! The one thread that writes: it takes what queued while the last sync ran, commits it together, and tells the world.
//!
//! Transactions come through a bounded queue. Out go, in this order: rows (one transaction of SQLite, one sync), the
//! new heads, the records (to the `Fanout`, ascending, from here alone), the answers. It never waits for a batch to
//! fill, but for joins that come in a crowd ([`super::pace`]), and never acknowledges what was not synced. After a failure at the commit it does not know what the disk
//! holds: it reads the heads again before it goes on, and publishes what turns out to have been committed.

mod handing;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use relais_core::event::Record;
use relais_core::ids::{Position, TenantKey};
use relais_core::ports::{Change, CommitError, Committed, Fanout, StoreError, Transaction};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use super::batch::{Applied, Batch, committed};
use super::checkpoint::Checkpointer;
use super::door::Door;
use super::fault::{failed, store_error};
use super::heads::{Places, TenantLog};
use super::keys::Keys;
use super::open::Lock;
use super::pace::Pace;
use super::query;
use super::recent::Recents;
use super::rows::Prepared;
use crate::{EpochSource, LOG_PAGE_BYTES_MAX};

/// A transaction on its way, and where its answer goes.
pub(super) struct Commit {
    pub(super) tenant: Arc<TenantLog>,
    pub(super) prepared: Prepared,
    pub(super) bytes: usize,
    /// It may wait for company: see [`super::pace`].
    pub(super) is_patient: bool,
    pub(super) queued_at: Instant,
    pub(super) reply: oneshot::Sender<Result<Committed, CommitError>>,
}

/// What the thread is asked to do.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every job is a commit; a box would be an allocation for each"
)]
pub(super) enum Job {
    /// Commit a transaction, together with its neighbours.
    Commit(Commit),
    /// Something rare, between two batches: it opens a transaction of its own.
    Aside(Box<dyn FnOnce(&mut Writer) + Send>),
    /// Finish what is queued, then end.
    Close,
}

/// What the writer and the handles of tenants share.
pub(super) struct Shared {
    pub(super) recents: Recents,
    /// Bytes of the transactions that wait.
    pub(super) queued_bytes: AtomicUsize,
    /// Lets in what can be committed in time.
    pub(super) door: Door,
    /// Lets those wait for company that can.
    pub(super) pace: Pace,
    /// Whether the last attempt to write failed; a probe finds out whether it has healed.
    pub(super) failing: AtomicBool,
}

/// Limits of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) transactions_max: usize,
    pub(super) bytes_max: usize,
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    fanout: Arc<dyn Fanout>,
    queue: mpsc::Receiver<Job>,
    limits: BatchLimits,
    checkpointer: Checkpointer,
    places: Places,
    keys: Keys,
    /// Every tenant that somebody holds, so that its head exists once.
    tenants: HashMap<TenantKey, Arc<TenantLog>>,
    /// Logs whose end must be read again before anything is written to them.
    unsure: Vec<Arc<TenantLog>>,
    /// When the last batch ended.
    rested_at: Option<Instant>,
    /// Whether notifications wait to be put into inboxes.
    has_notices: bool,
    /// Released when the thread ends.
    _lock: Lock,
}

/// Why an attempt failed, and whether the disk may hold it nevertheless.
struct Failure {
    error: StoreError,
    at_commit: bool,
}

impl Writer {
    pub(super) fn new(
        (lock, connection, checkpointer): (Lock, Connection, Checkpointer),
        shared: Arc<Shared>,
        fanout: Arc<dyn Fanout>,
        queue: mpsc::Receiver<Job>,
        limits: BatchLimits,
    ) -> Self {
        Self {
            connection,
            shared,
            fanout,
            queue,
            limits,
            checkpointer,
            places: Places::default(),
            keys: Keys::default(),
            tenants: HashMap::new(),
            unsure: Vec::new(),
            rested_at: None,
            has_notices: false,
            _lock: lock,
        }
    }

    /// Works until every sender is gone or it is asked to close; then checkpoints.
    pub(super) fn run(mut self) {
        self.look_for_notices();
        while let Some(job) = self.next() {
            let Some(job) = job else {
                self.hand_out();
                continue;
            };
            if matches!(&job, Job::Commit(commit) if commit.is_patient) {
                self.shared.pace.rest(self.rested_at);
            }
            self.shared.door.begin();
            let (commits, other) = self.gather(job);
            if let Some(oldest) = commits.first() {
                let (count, waited) = (commits.len(), oldest.queued_at.elapsed());
                self.commit(commits);
                self.shared.door.end(count, waited);
                self.rested_at = Some(Instant::now());
            }
            match other {
                Some(Job::Aside(work)) => work(&mut self),
                Some(Job::Close) => self.queue.close(),
                Some(Job::Commit(_)) | None => {}
            }
            if self.has_notices {
                self.hand_out();
            }
            self.shared.door.rest();
        }
        let Self {
            connection,
            checkpointer,
            ..
        } = self;
        checkpointer.finish(&connection);
    }

    /// What is queued right now, up to the limits of a batch or to something that is not a commit.
    fn gather(&mut self, first: Job) -> (Vec<Commit>, Option<Job>) {
        let (mut commits, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(job) = next {
            match job {
                Job::Commit(commit) => {
                    bytes += commit.bytes;
                    commits.push(commit);
                }
                other => {
                    self.taken(&commits, bytes);
                    return (commits, Some(other));
                }
            }
            let full =
                commits.len() >= self.limits.transactions_max || bytes >= self.limits.bytes_max;
            next = match full {
                true => None,
                false => self.queue.try_recv().ok(),
            };
        }
        self.taken(&commits, bytes);
        (commits, None)
    }

    fn taken(&self, commits: &[Commit], bytes: usize) {
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let hurried = commits.iter().filter(|commit| !commit.is_patient);
        self.shared.pace.taken(hurried.count());
        metrics::gauge!("relais_store_queue_transactions").set(self.queue.len() as f64);
        if !commits.is_empty() {
            metrics::histogram!("relais_store_batch_transactions").record(commits.len() as f64);
        }
    }

    fn commit(&mut self, commits: Vec<Commit>) {
        let Err((commits, failure)) = self.try_together(commits) else {
            return;
        };
        let is_alone = commits.len() == 1;
        if is_alone || failure.at_commit || failure.error == StoreError::Full {
            say_refused(&failure.error, commits.len());
            refuse(commits, &failure.error);
        } else {
            self.commit_each(commits);
        }
    }

    /// One of them is to blame: each for itself, so that the others are not harmed. Said once, however many are refused.
    fn commit_each(&mut self, commits: Vec<Commit>) {
        let mut refused = None;
        for commit in commits {
            if let Err((commit, failure)) = self.try_together(vec![commit]) {
                let (_, count) = refused.get_or_insert_with(|| (failure.error.clone(), 0));
                *count += 1;
                refuse(commit, &failure.error);
            }
        }
        if let Some((first, count)) = refused {
            say_refused(&first, count);
        }
    }

    /// Commits them in one transaction and answers, or gives them back with the reason, nothing of them being open any more.
    fn try_together(&mut self, commits: Vec<Commit>) -> Result<(), (Vec<Commit>, Failure)> {
        let started = Instant::now();
        match self.attempt(&commits) {
            Ok(outcomes) => {
                self.shared.failing.store(false, Ordering::Relaxed);
                metrics::histogram!("relais_store_commit_seconds").record(started.elapsed());
                self.deliver(commits, outcomes);
                self.look_for_notices();
                self.checkpointer.after_commit(&self.connection);
                Ok(())
            }
            Err(failure) => {
                self.recover(&commits, failure.at_commit);
                Err((commits, failure))
            }
        }
    }

    fn attempt(
        &mut self,
        commits: &[Commit],
    ) -> Result<Vec<Result<Applied, CommitError>>, Failure> {
        let early = |error| Failure {
            error,
            at_commit: false,
        };
        self.reload().map_err(early)?;
        self.places.make_room();
        self.execute("BEGIN IMMEDIATE").map_err(early)?;
        let sqlite = |error: rusqlite::Error| early(store_error(&error));
        self.keys.begin(&self.connection).map_err(sqlite)?;
        let mut batch = Batch::new(&self.connection, &mut self.places, &mut self.keys);
        let mut outcomes = Vec::with_capacity(commits.len());
        for commit in commits {
            match batch.apply(&commit.tenant, &commit.prepared) {
                Err(CommitError::Store(error)) => return Err(early(error)),
                outcome => outcomes.push(outcome),
            }
        }
        batch.finish().map_err(early)?;
        self.execute("COMMIT").map_err(|error| Failure {
            error,
            at_commit: true,
        })?;
        if let Err(error) = self.keys.committed(&self.connection) {
            // The commit stands; only what memory knows about keys is in doubt.
            warn!(%error, "unable to move keys");
            self.keys.forget();
        }
        Ok(outcomes)
    }

    /// Tells the world, in the order that the port promises: heads, records, answers.
    fn deliver(&mut self, commits: Vec<Commit>, outcomes: Vec<Result<Applied, CommitError>>) {
        let mut answers = Vec::with_capacity(commits.len());
        let mut news = News::default();
        for (commit, outcome) in commits.into_iter().zip(outcomes) {
            let Commit {
                tenant,
                prepared,
                reply,
                ..
            } = commit;
            let answer = outcome.map(|applied| {
                let sizes = prepared.records.iter().map(String::len);
                let sizes: Vec<_> = sizes.collect();
                if rewrites_log(&prepared.transaction) {
                    self.shared.recents.end(tenant.id);
                }
                let answer = committed(&tenant, prepared.transaction, applied);
                if let Committed::Applied { records, .. } = &answer {
                    news.add(&tenant, records.iter().cloned().zip(sizes));
                }
                answer
            });
            answers.push((reply, answer));
        }
        self.publish(news);
        for (reply, answer) in answers {
            // Whoever asked may be gone; the commit stands.
            let _ = reply.send(answer);
        }
    }

    fn publish(&self, news: News) {
        for (tenant, records) in news.tenants {
            let Some((newest, _)) = records.last() else {
                continue;
            };
            let (newest, before) = (newest.position, tenant.head().position);
            let shared: Vec<_> = records.iter().map(|(record, _)| record.clone()).collect();
            metrics::counter!("relais_store_records_total").increment(shared.len() as u64);
            self.shared.recents.push(tenant.id, before, records);
            tenant.advance(newest);
            // A hub that panics has a mistake to be mended; the commit stands, and the hub will read the log.
            let publish = AssertUnwindSafe(|| self.fanout.publish(&tenant.key, &shared));
            if catch_unwind(publish).is_err() {
                error!("the fanout panicked; its records are in the log");
            }
        }
    }

    /// After a failure: nothing may stay open, and nothing in memory is trusted that the database does not say.
    fn recover(&mut self, commits: &[Commit], at_commit: bool) {
        self.shared.failing.store(true, Ordering::Relaxed);
        metrics::counter!("relais_store_failed_batches_total").increment(1);
        self.roll_back();
        self.places.forget();
        self.keys.rolled_back();
        if at_commit {
            self.keys.forget();
            let tenants = commits.iter().map(|commit| commit.tenant.clone());
            self.unsure.extend(tenants);
            self.unsure.sort_by_key(|tenant| tenant.id);
            self.unsure.dedup_by_key(|tenant| tenant.id);
            if let Err(error) = self.reload() {
                error!(%error, "unable to read the heads after a failed commit; trying again before the next one");
            }
        }
    }

    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            error!(%error, "unable to roll back");
        }
    }

    /// Finds out what became of commits that failed, and publishes those that are there after all.
    fn reload(&mut self) -> Result<(), StoreError> {
        while let Some(tenant) = self.unsure.last().cloned() {
            let sql = "SELECT head FROM tenants WHERE id = ?1";
            let head: i64 = self
                .connection
                .query_row(sql, [tenant.id], |row| row.get(0))
                .map_err(|error| store_error(&error))?;
            let head = Position(head as u64);
            while tenant.head().position < head {
                let log = (tenant.id, &tenant.key, tenant.epoch);
                let missed = query::log(
                    &self.connection,
                    log,
                    tenant.head().position,
                    1_000,
                    LOG_PAGE_BYTES_MAX,
                )?;
                if missed.is_empty() {
                    return Err(failed("the log ends before its head"));
                }
                let mut news = News::default();
                news.add(&tenant, missed);
                self.publish(news);
            }
            self.unsure.pop();
        }
        Ok(())
    }

    /// Runs something rare in a transaction of its own, synced when it returns.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let run = || {
            self.execute("BEGIN IMMEDIATE")?;
            let done = work(&self.connection)?;
            self.execute("COMMIT")?;
            Ok(done)
        };
        let done = run();
        if done.is_err() {
            self.shared.failing.store(true, Ordering::Relaxed);
            self.roll_back();
        }
        done
    }

    /// The log of a tenant; the tenant is made if it is new. All handles get the same one. Only a tenant that is used has
    /// its newest records in memory: retention, which goes through all of them, asks without `warm`.
    pub(super) fn tenant(
        &mut self,
        key: &TenantKey,
        epochs: &EpochSource,
        warm: bool,
    ) -> Result<Arc<TenantLog>, StoreError> {
        let tenant = match self.tenants.get(key) {
            Some(tenant) => tenant.clone(),
            None => {
                let load = |connection: &_| TenantLog::load(connection, key, || epochs());
                let tenant = self
                    .transact(|connection| load(connection).map_err(|error| store_error(&error)))?;
                let tenant = Arc::new(tenant);
                self.tenants.insert(key.clone(), tenant.clone());
                tenant
            }
        };
        if warm && !self.shared.recents.has(tenant.id) {
            self.begin(&tenant)?;
        }
        Ok(tenant)
    }

    /// Forgets logs that nobody but this thread holds: no handle, and no transaction that waits. Nobody else can take one meanwhile, so a
    /// head still exists once.
    pub(super) fn let_go(&mut self) {
        let recents = &self.shared.recents;
        self.tenants.retain(|_, tenant| {
            let is_held = Arc::strong_count(tenant) > 1;
            if !is_held {
                recents.end(tenant.id);
            }
            is_held
        });
    }

    /// A write that changes nothing: whether the disk takes one.
    pub(super) fn probe(&mut self) -> Result<(), StoreError> {
        self.transact(|connection| {
            let read = "PRAGMA user_version";
            connection
                .query_row(read, [], |row| row.get::<_, i64>(0))
                .and_then(|version| connection.pragma_update(None, "user_version", version))
                .map_err(|error| store_error(&error))
        })?;
        self.shared.failing.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Shows the newest records of a log to the cache.
    fn begin(&self, tenant: &TenantLog) -> Result<(), StoreError> {
        let limits = self.shared.recents.tenant_limits();
        let head = tenant.head().position;
        let after = query::log_tail(&self.connection, tenant.id, limits)?.unwrap_or(head);
        let log = (tenant.id, &tenant.key, tenant.epoch);
        let records = query::log(&self.connection, log, after, limits.0, usize::MAX)?;
        self.shared.recents.begin(tenant.id, after, records);
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|error| store_error(&error))
    }
}

/// Answers transactions that failed for this reason.
/// Whether records that memory may hold are no longer what the log says.
fn rewrites_log(transaction: &Transaction) -> bool {
    let mut changes = transaction.changes.iter();
    changes.any(|change| matches!(change, Change::EraseRecords { .. }))
}

fn refuse(commits: Vec<Commit>, error: &StoreError) {
    for commit in commits {
        let _ = commit.reply.send(Err(error.clone().into()));
    }
}

/// A full disk is said by the answers and by the metrics; it heals by itself.
fn say_refused(first: &StoreError, transactions: usize) {
    if *first != StoreError::Full {
        warn!(error = %first, transactions, "unable to commit");
    }
}

/// A record and about how many bytes it takes.
type Weighed = (Arc<Record>, usize);

/// Committed records by tenant, ascending.
#[derive(Default)]
struct News {
    tenants: Vec<(Arc<TenantLog>, Vec<Weighed>)>,
    index: HashMap<i64, usize>,
}

impl News {
    fn add(&mut self, tenant: &Arc<TenantLog>, records: impl IntoIterator<Item = Weighed>) {
        let next = self.tenants.len();
        let index = *self.index.entry(tenant.id).or_insert(next);
        if index == next {
            self.tenants.push((tenant.clone(), Vec::new()));
        }
        self.tenants[index].1.extend(records);
    }
}

#[cfg(test)]
mod tests;
