//! Company for transactions that can wait: joins and leaves of sessions and what is kept of presence are synced at most once in
//! [`APART`], unless something that is waited for more keenly comes, which takes them along.
//!
//! In: what is handed to the writer, and when it begins and ends. Out: how long the writer leaves a patient transaction in the queue. One
//! that comes after a quiet moment does not wait at all; a crowd that joins shares its syncs. Nothing is answered before its sync
//! because of this, and nothing but patient transactions ever waits here.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use relais_core::ports::{Change, Transaction};

/// Time between two batches that nobody is in a hurry for. A person who joins a room does not see it.
const APART: Duration = Duration::from_millis(10);

/// Whether a transaction may wait for company: it makes no record, and nobody but its own session waits for its answer.
pub(super) fn is_patient(transaction: &Transaction) -> bool {
    let patient = |change: &Change| {
        matches!(
            change,
            Change::JoinSession { .. }
                | Change::LeaveSession { .. }
                | Change::SetPresence(_)
                | Change::Remember { .. }
                | Change::Outside(_)
        )
    };
    transaction.records.is_empty()
        && !transaction.changes.is_empty()
        && transaction.changes.iter().all(patient)
}

/// What those who hand in and the writer share about waiting.
#[derive(Default)]
pub(super) struct Pace {
    /// Transactions in the queue, or about to be, that cannot wait.
    hurried: AtomicUsize,
    is_resting: AtomicBool,
    writer: OnceLock<Thread>,
}

impl Pace {
    /// To be called before a transaction that cannot wait is put into the queue.
    pub(super) fn hurry(&self) {
        self.hurried.fetch_add(1, Ordering::SeqCst);
    }

    /// To be called after that. A writer that began to rest before it saw the hurry is woken; one that looks later sees it.
    pub(super) fn wake(&self) {
        if self.is_resting.load(Ordering::SeqCst)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    /// As many that could not wait are out of the queue, or never came into it.
    pub(super) fn taken(&self, hurried: usize) {
        self.hurried.fetch_sub(hurried, Ordering::SeqCst);
    }

    /// The writer has a patient transaction in hand and ended its last batch then: rests until the next may begin.
    pub(super) fn rest(&self, last: Option<Instant>) {
        let Some(until) = last.map(|last| last + APART) else {
            return;
        };
        self.writer.get_or_init(thread::current);
        self.is_resting.store(true, Ordering::SeqCst);
        while self.hurried.load(Ordering::SeqCst) == 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        self.is_resting.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relais_core::ids::SessionId;
    use relais_testkit::build;

    use super::*;

    fn join() -> Transaction {
        Transaction {
            changes: vec![Change::JoinSession {
                session: SessionId("s1".into()),
                room: build::room("a"),
            }],
            ..Transaction::default()
        }
    }

    #[test]
    fn joins_can_wait_and_whatever_makes_a_record_or_changes_more_cannot() {
        assert!(is_patient(&join()));
        assert!(!is_patient(&Transaction::default()));
        let message = build::message(1, &build::chat("a"), &build::user("ann"), "hi");
        assert!(!is_patient(&build::send(message)));
        let mut member = join();
        member.changes.push(Change::AddMember {
            room: build::room("a"),
            user: build::user("ann"),
        });
        assert!(!is_patient(&member));
    }

    #[test]
    fn a_writer_that_rests_is_woken_by_a_hurry_and_does_not_rest_before_one() {
        let pace = Arc::new(Pace::default());
        let far = Instant::now() + Duration::from_secs(3_600);
        let writer = thread::spawn({
            let pace = pace.clone();
            move || pace.rest(Some(far))
        });
        while !pace.is_resting.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        pace.hurry();
        pace.wake();
        writer.join().expect("it ends");
        pace.rest(Some(far));
        pace.taken(1);
        pace.rest(None);
    }
}
