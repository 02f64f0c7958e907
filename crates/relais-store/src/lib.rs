//! The log and the state behind core's `Store` port: SQLite, and memory for tests.
//!
//! Transactions come in, committed records go out: to the `Fanout` that a store was opened with, in position
//! order, and then to the caller. Every rule that needs no I/O stands apart, so that all stores share it:
//! [`verdict`](mod@verdict) says whether a transaction may be applied, [`retention`] what may be forgotten.
//! This crate decides nothing about an application, reads no clock and makes no ids: time and the epochs of new
//! tenants are given to it.

pub mod memory;
pub mod retention;
pub mod sqlite;
pub mod verdict;

use std::sync::Arc;

use relais_core::event::Record;
use relais_core::ids::{Epoch, Position, Timestamp};
use relais_core::outside::OutsideChange;
use relais_core::ports::{Change, CommitError, Committed, LogPage, StoreError, Transaction};

/// Where the epoch of a tenant's log comes from when the tenant is first used. It should be random, so that the
/// log of a restored or emptied store is not taken for the one that was lost.
pub type EpochSource = Arc<dyn Fn() -> Epoch + Send + Sync>;

/// Records of a page of the log: 1 to 1,000.
fn log_limit(limit: u32) -> usize {
    limit.clamp(1, 1_000) as usize
}

/// Bytes of a page of the log, about: it ends after the record that reaches this.
const LOG_PAGE_BYTES_MAX: usize = 4 << 20;

/// Messages or notifications of a page: 1 to 100.
fn page_limit(limit: u32) -> usize {
    limit.clamp(1, 100) as usize
}

/// What followers of the log have done, as one transaction.
fn outside(at: Timestamp, changes: Vec<OutsideChange>) -> Transaction {
    Transaction {
        at,
        changes: changes.into_iter().map(Change::Outside).collect(),
        ..Transaction::default()
    }
}

/// The outcome of a transaction that nothing can conflict with.
fn settled(outcome: Result<Committed, CommitError>) -> Result<(), StoreError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Failed {
            reason: error.to_string(),
        }),
    }
}

/// Messages that a search for one user's looks at before it answers.
const USER_MESSAGES_SCANNED_MAX: usize = 5_000;

/// Messages of one user in one answer.
const USER_MESSAGES_MAX: usize = 200;
/// Items of one user in one answer.
const USER_ITEMS_MAX: usize = 100;
/// Items of a page, or that can be claimed: 1 to 100.
fn items_limit(limit: u32) -> usize {
    limit.clamp(1, 100) as usize
}

/// A page of the log; `trimmed` is the newest position that retention has taken from the whole log.
fn log_page(after: Position, records: Vec<Arc<Record>>, trimmed: Position) -> LogPage {
    let trimmed = match records.first() {
        // Positions are contiguous, so what is missing before the first record was trimmed.
        Some(first) if first.position.0 > after.0 + 1 => Position(first.position.0 - 1),
        Some(_) => trimmed.min(after),
        None => trimmed,
    };
    LogPage { records, trimmed }
}
