//! A log in memory whose reader can be made to fail, and whose beginning can be trimmed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use relais_engine::{Delivery, Log, LogError, LogPage, OutEvent, Position, Scope};

use super::SCOPE;

#[derive(Default)]
pub struct MemoryLog {
    records: Mutex<Vec<Arc<Delivery>>>,
    trimmed: AtomicU64,
    failures: AtomicU64,
    pub reads: AtomicU64,
}

pub const EPOCH: u32 = 1;

impl MemoryLog {
    /// Commits a record without telling anybody.
    pub fn append(&self, events: Vec<OutEvent>) -> Arc<Delivery> {
        let mut records = self.records.lock().unwrap();
        let position = Position {
            epoch: EPOCH,
            position: records.len() as u64 + 1,
        };
        let delivery = Arc::new(Delivery::durable(SCOPE, position, Arc::new(events)));
        records.push(Arc::clone(&delivery));
        delivery
    }

    pub fn head_position(&self) -> u64 {
        self.records.lock().unwrap().len() as u64
    }

    pub fn trim(&self, up_to: u64) {
        self.trimmed.store(up_to, Ordering::SeqCst);
    }

    /// The next reads fail.
    pub fn fail(&self, reads: u64) {
        self.failures.store(reads, Ordering::SeqCst);
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn head(&self, scope: Scope) -> Option<Position> {
        (scope == SCOPE).then(|| Position {
            epoch: EPOCH,
            position: self.head_position(),
        })
    }

    async fn read(&self, _scope: Scope, after: u64, limit: u32) -> Result<LogPage, LogError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let failing = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if failing.is_ok() {
            return Err(LogError {
                reason: "told to fail".to_owned(),
            });
        }
        let trimmed = self.trimmed.load(Ordering::SeqCst);
        let from = usize::try_from(after.max(trimmed)).unwrap();
        let records = self.records.lock().unwrap();
        let page = records.iter().skip(from).take(limit as usize);
        Ok(LogPage {
            deliveries: page.cloned().collect(),
            trimmed,
        })
    }
}
