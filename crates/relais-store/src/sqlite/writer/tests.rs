//! What the writer does when the disk's answer to a commit cannot be trusted.

use super::*;
use relais_core::ids::Epoch;
use relais_testkit::build;
use relais_testkit::contract::store::Recorder;

use crate::sqlite::open;
use crate::sqlite::recent::RecentLimits;

struct Stage {
    writer: Writer,
    tenant: Arc<TenantLog>,
    recorder: Arc<Recorder>,
    _folder: tempfile::TempDir,
}

fn stage() -> Stage {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relais.db");
    let (lock, mut connection) = open::writer(&path).expect("the database opens");
    let checkpointer = Checkpointer::start(&path, &mut connection).expect("a thread");
    let opened = (lock, connection, checkpointer);
    let limits = RecentLimits {
        records_max: 100,
        tenant_bytes_max: 1 << 20,
        bytes_max: 1 << 20,
    };
    let shared = Arc::new(Shared {
        recents: Recents::new(limits),
        queued_bytes: AtomicUsize::new(0),
        door: Door::new(std::time::Duration::from_millis(500)),
        pace: Pace::default(),
        failing: AtomicBool::new(false),
    });
    let recorder = Arc::new(Recorder::default());
    let (_, queue) = mpsc::channel(1);
    let limits = BatchLimits {
        transactions_max: 100,
        bytes_max: 1 << 20,
    };
    let mut writer = Writer::new(opened, shared, recorder.clone(), queue, limits);
    let epochs: EpochSource = Arc::new(|| Epoch(1));
    let tenant = writer.tenant(&build::tenant("one"), &epochs, true);
    Stage {
        tenant: tenant.expect("a tenant"),
        writer,
        recorder,
        _folder: folder,
    }
}

impl Stage {
    fn sends(&self, numbers: std::ops::Range<u64>) -> Vec<Commit> {
        let send = |number| {
            let message = build::message(number, &build::chat("a"), &build::user("ann"), "hi");
            Commit {
                tenant: self.tenant.clone(),
                prepared: Prepared::new(build::send(message)).expect("JSON"),
                bytes: 0,
                is_patient: false,
                queued_at: Instant::now(),
                reply: oneshot::channel().0,
            }
        };
        numbers.map(send).collect()
    }

    fn published(&self) -> Vec<u64> {
        let records = self.recorder.of(&build::tenant("one"));
        records.iter().map(|record| record.position.0).collect()
    }
}

#[test]
fn a_commit_that_failed_but_is_on_the_disk_is_published_before_anything_else() {
    let mut stage = stage();
    stage.writer.commit(stage.sends(0..2));
    let commits = stage.sends(2..5);
    let outcome = stage.writer.attempt(&commits);
    assert!(outcome.is_ok());
    // As if the answer of the disk to that commit had been an error.
    stage.writer.recover(&commits, true);
    assert_eq!(stage.published(), [1, 2, 3, 4, 5]);
    assert_eq!(stage.tenant.head().position, Position(5));
    stage.writer.commit(stage.sends(5..6));
    assert_eq!(stage.published(), [1, 2, 3, 4, 5, 6]);
    let page = stage
        .writer
        .shared
        .recents
        .page(stage.tenant.id, Position(0), 100);
    assert_eq!(page.map(|page| page.len()), Some(6));
}

#[test]
fn a_commit_that_failed_and_is_not_on_the_disk_leaves_no_trace() {
    let mut stage = stage();
    stage.writer.commit(stage.sends(0..2));
    let commits = stage.sends(2..5);
    stage
        .writer
        .execute("BEGIN IMMEDIATE")
        .expect("a transaction");
    let mut batch = Batch::new(
        &stage.writer.connection,
        &mut stage.writer.places,
        &mut stage.writer.keys,
    );
    for commit in &commits {
        assert!(batch.apply(&commit.tenant, &commit.prepared).is_ok());
    }
    assert_eq!(batch.finish(), Ok(()));
    stage.writer.recover(&commits, true);
    assert_eq!(stage.published(), [1, 2]);
    stage.writer.commit(commits);
    let records = stage.recorder.of(&build::tenant("one"));
    let seqs = records
        .iter()
        .map(|record| record.seq.unwrap_or_default().0);
    assert!(seqs.eq(1..=5));
    assert_eq!(stage.published(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_log_that_somebody_else_has_moved_is_not_written_to() {
    let mut stage = stage();
    stage.writer.commit(stage.sends(0..2));
    stage
        .writer
        .connection
        .execute("UPDATE tenants SET head = 9", [])
        .expect("moved");
    stage.writer.commit(stage.sends(2..3));
    assert_eq!(stage.published(), [1, 2]);
    assert_eq!(stage.tenant.head().position, Position(2));
}

struct Panics;

impl Fanout for Panics {
    fn publish(&self, _tenant: &TenantKey, _records: &[Arc<Record>]) {
        panic!("a mistake in the hub");
    }

    fn volatile(&self, _tenant: &TenantKey, _event: relais_core::event::Volatile) {}
}

#[test]
fn a_fanout_that_panics_harms_neither_the_writer_nor_the_answers() {
    let mut stage = stage();
    stage.writer.fanout = Arc::new(Panics);
    let (reply, mut answer) = oneshot::channel();
    let mut commits = stage.sends(0..1);
    commits[0].reply = reply;
    stage.writer.commit(commits);
    assert!(matches!(
        answer.try_recv(),
        Ok(Ok(Committed::Applied { .. }))
    ));
    assert_eq!(stage.tenant.head().position, Position(1));
}

/// Counts what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_batch_of_which_many_are_refused_is_said_once_and_the_others_are_committed() {
    let mut stage = stage();
    stage.writer.commit(stage.sends(0..20));
    // The ids of these are taken.
    let mut commits = stage.sends(0..20);
    commits.extend(stage.sends(20..21));
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || stage.writer.commit(commits));
    assert_eq!(stage.tenant.head().position, Position(21));
    assert_eq!(lines.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_log_that_nobody_holds_is_let_go_and_read_again_where_it_was() {
    let mut stage = stage();
    stage.writer.commit(stage.sends(0..3));
    stage.writer.let_go();
    assert_eq!(stage.writer.tenants.len(), 1, "a handle holds it");
    let id = stage.tenant.id;
    // Only a transaction that waits is left of it.
    let waiting = stage.sends(3..4);
    stage.tenant = Arc::new(
        TenantLog::load(&stage.writer.connection, &build::tenant("other"), || {
            Epoch(1)
        })
        .expect("another"),
    );
    stage.writer.let_go();
    assert_eq!(stage.writer.tenants.len(), 1, "what waits holds it");
    stage.writer.commit(waiting);
    stage.writer.let_go();
    assert_eq!(stage.writer.tenants.len(), 0);
    assert!(!stage.writer.shared.recents.has(id));
    let epochs: EpochSource = Arc::new(|| Epoch(2));
    let again = stage.writer.tenant(&build::tenant("one"), &epochs, true);
    let again = again.expect("a tenant");
    assert_eq!(
        (again.head().position, again.epoch),
        (Position(4), Epoch(1))
    );
    let page = stage.writer.shared.recents.page(id, Position(0), 100);
    assert_eq!(page.map(|page| page.len()), Some(4));
}
