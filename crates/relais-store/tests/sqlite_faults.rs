//! What goes wrong around the database: a full disk, a queue that is full, a second process, strange files.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use futures_util::future::join_all;
use relais_core::command::SeqRange;
use relais_core::ids::{Epoch, Timestamp};
use relais_core::ports::{CommitError, Committed, MessageQuery, Store, StoreError, TenantStore};
use relais_store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use relais_testkit::build::{chat, message, send, tenant, user};
use relais_testkit::contract::store::Recorder;

fn open_with(options: SqliteOptions, recorder: Arc<Recorder>) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(options, recorder, Arc::new(|| Epoch(1)))
}

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    open_with(SqliteOptions::new(path), Arc::default())
}

fn refusal(path: &Path) -> OpenError {
    match open(path) {
        Err(error) => error,
        Ok(_) => panic!("{} was opened", path.display()),
    }
}

/// A small file system of its own, gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder)
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        mounted.then(|| Self(folder.to_owned()))
    }

    /// Takes all space that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).expect("a file");
        while ballast.write_all(&[0; 4_096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("the ballast goes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because the store may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_reads_and_heals_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        return;
    };
    let recorder = Arc::new(Recorder::default());
    let options = SqliteOptions::new(folder.path().join("relais.db"));
    let store = open_with(options, recorder.clone()).expect("the database opens");
    let log = store.tenant(&tenant("one")).await.expect("a tenant");
    let body = "x".repeat(2_000);
    for outcome in twenty(&*log, 0, &body).await {
        outcome.expect("there is space");
    }
    disk.fill();
    let refused = fill_up(&*log, &body).await;
    let head = log.head();
    assert_eq!(store.check().await, Err(StoreError::Full));
    let page = log.messages(&newest()).await.expect("reads are live");
    assert_eq!(
        page.messages.last().map(|last| last.seq.0),
        Some(head.position.0)
    );
    let published = recorder.of(&tenant("one"));
    assert_eq!(published.len() as u64, head.position.0);

    disk.free();
    assert_eq!(store.check().await, Ok(()));
    for number in refused {
        let sent = message(number, &chat("a"), &user("ann"), &body);
        let outcome = log.commit(send(sent)).await.expect("it has healed");
        assert!(
            matches!(outcome, Committed::Applied { .. }),
            "nothing was done before"
        );
    }
    let published = recorder.of(&tenant("one"));
    let positions = published.iter().map(|record| record.position.0);
    assert!(positions.eq(1..=log.head().position.0));
    let seqs = published
        .iter()
        .map(|record| record.seq.unwrap_or_default().0);
    assert!(seqs.eq(1..=log.head().position.0));
    store.close().await.expect("the store closes");
}

async fn twenty(
    log: &dyn TenantStore,
    from: u64,
    body: &str,
) -> Vec<Result<Committed, CommitError>> {
    let sends = (from..from + 20).map(|number| {
        let sent = message(number, &chat("a"), &user("ann"), body);
        log.commit(send(sent))
    });
    join_all(sends).await
}

/// Sends until the disk takes no more, and returns what was refused. The write-ahead log may have room from before; it
/// is soon used up.
async fn fill_up(log: &dyn TenantStore, body: &str) -> Vec<u64> {
    let mut refused = Vec::new();
    let mut next = 100;
    while refused.is_empty() {
        for (number, outcome) in (next..).zip(twenty(log, next, body).await) {
            match outcome {
                Ok(_) => assert!(refused.is_empty(), "acked after a refusal"),
                Err(error) => {
                    assert_eq!(error, CommitError::Store(StoreError::Full));
                    refused.push(number);
                }
            }
        }
        next += 20;
    }
    refused
}

fn newest() -> MessageQuery {
    MessageQuery {
        conversation: chat("a"),
        viewer: None,
        channel: None,
        range: SeqRange::default(),
        limit: 10,
    }
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_at_once_and_the_rest_is_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = SqliteOptions::new(folder.path().join("relais.db"));
    options.queue_transactions_max = 8;
    let store = open_with(options, Arc::default()).expect("the database opens");
    let log = store.tenant(&tenant("one")).await.expect("a tenant");
    let sends = (0..1_000).map(|number| {
        let sent = message(number, &chat("a"), &user("ann"), "hello");
        let (store, log) = (&store, &log);
        async move { (store.is_overloaded(), log.commit(send(sent)).await) }
    });
    let (hints, outcomes): (Vec<_>, Vec<_>) = join_all(sends).await.into_iter().unzip();
    assert!(hints.contains(&true), "who asks before is told");
    assert!(!store.is_overloaded(), "nothing waits any more");
    let overloaded = CommitError::Store(StoreError::Overloaded);
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(overloaded.clone()));
    let refused = refused.count() as u64;
    assert!(refused > 0);
    assert_eq!(log.head().position.0, 1_000 - refused);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_ok() || *outcome == Err(overloaded.clone()))
    );
}

#[tokio::test]
async fn too_many_bytes_in_the_queue_are_refused_but_one_transaction_always_fits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = SqliteOptions::new(folder.path().join("relais.db"));
    options.queue_bytes_max = 1_000;
    let store = open_with(options, Arc::default()).expect("the database opens");
    let log = store.tenant(&tenant("one")).await.expect("a tenant");
    let body = "x".repeat(10_000);
    let sends = (0..100).map(|number| {
        let sent = message(number, &chat("a"), &user("ann"), &body);
        log.commit(send(sent))
    });
    let outcomes = join_all(sends).await;
    assert!(outcomes[0].is_ok());
    let overloaded = Err(CommitError::Store(StoreError::Overloaded));
    assert!(outcomes.contains(&overloaded));
}

#[tokio::test]
async fn closing_commits_what_was_queued_and_refuses_what_comes_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relais.db");
    let store = open(&path).expect("the database opens");
    let log = store.tenant(&tenant("one")).await.expect("a tenant");
    let sends = (0..200).map(|number| {
        let sent = message(number, &chat("a"), &user("ann"), "hello");
        log.commit(send(sent))
    });
    let (outcomes, closed) = tokio::join!(join_all(sends), store.close());
    closed.expect("the store closes");
    assert!(outcomes.iter().all(Result::is_ok));
    let late = log
        .commit(send(message(900, &chat("a"), &user("ann"), "late")))
        .await;
    assert!(matches!(
        late,
        Err(CommitError::Store(StoreError::Unavailable { .. }))
    ));
    assert!(matches!(
        store.check().await,
        Err(StoreError::Unavailable { .. })
    ));
    assert_eq!(
        std::fs::metadata(path.with_extension("db-wal")).map_or(0, |file| file.len()),
        0
    );
    let store = open(&path).expect("the database opens again");
    let log = store.tenant(&tenant("one")).await.expect("a tenant");
    assert_eq!(log.head().position.0, 200);
}

#[tokio::test]
async fn a_second_store_on_the_same_database_is_refused_while_the_first_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relais.db");
    let first = open(&path).expect("the database opens");
    assert!(matches!(refusal(&path), OpenError::InUse { .. }));
    first.close().await.expect("the store closes");
    open(&path).expect("the database is free again");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relais.db");
    let store = open(&path).expect("the database opens");
    store.close().await.expect("the store closes");
    let change = |sql| {
        let other = rusqlite::Connection::open(&path).expect("SQLite opens it");
        other.execute_batch(sql).expect("SQLite changes it");
    };
    let version = rusqlite::Connection::open(&path)
        .and_then(|file| file.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)))
        .expect("SQLite reads it");
    change("PRAGMA user_version = 99");
    let error = refusal(&path);
    assert!(
        matches!(error, OpenError::NewerSchema { found: 99, .. }),
        "{error}"
    );
    change(&format!("PRAGMA user_version = {version}"));
    open(&path).expect("nothing was changed");
}

#[test]
fn a_database_of_some_other_program_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.db");
    let other = rusqlite::Connection::open(&path).expect("SQLite opens it");
    other
        .execute_batch("CREATE TABLE theirs (x)")
        .expect("a table");
    assert!(matches!(refusal(&path), OpenError::Foreign { .. }));
}

#[test]
fn a_file_that_is_no_database_or_is_cut_short_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relais.db");
    std::fs::write(
        &path,
        "not a database at all, but long enough to be taken for one: ".repeat(20),
    )
    .expect("a file");
    assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
    std::fs::remove_file(&path).expect("the file goes");
    made_and_closed(&path);
    let bytes = std::fs::read(&path).expect("a database");
    let mut torn = bytes.clone();
    torn.truncate(bytes.len() / 2);
    torn[100..2_000].fill(0xff);
    std::fs::write(&path, torn).expect("a file");
    assert!(matches!(refusal(&path), OpenError::Damaged { .. }));
}

/// A database of ours, closed cleanly.
fn made_and_closed(path: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = open(path).expect("the database opens");
    runtime.block_on(store.close()).expect("the store closes");
}

#[tokio::test]
async fn retention_on_a_closed_store_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder.path().join("relais.db")).expect("the database opens");
    store.tenant(&tenant("one")).await.expect("a tenant");
    store.close().await.expect("the store closes");
    let outcome = store.retain(Timestamp(1), &|_, _| false).await;
    assert!(
        matches!(outcome, Err(StoreError::Unavailable { .. })),
        "{outcome:?}"
    );
}
