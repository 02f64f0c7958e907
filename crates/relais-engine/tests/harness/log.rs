//! A log in memory whose reader can be made to fail, and whose beginning can be trimmed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use relais_engine::{Delivery, Log, LogError, LogPage, OutEvent, Position, Room, Scope};

use super::SCOPE;

#[derive(Default)]
pub struct MemoryLog {
    records: Mutex<Vec<Arc<Delivery>>>,
    trimmed: AtomicU64,
    /// Rooms of which everything up to a position was taken away, newer records of other rooms between.
    crowded: Mutex<Vec<(Room, u64)>>,
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

    /// Takes away one room's records up to a position, and leaves those of others.
    pub fn trim_room(&self, room: &str, up_to: u64) {
        self.crowded.lock().unwrap().push((Room::from(room), up_to));
    }

    fn is_trimmed(&self, delivery: &Delivery) -> bool {
        let position = delivery.position().unwrap().position;
        let crowded = self.crowded.lock().unwrap();
        let mut gone = crowded.iter().filter(|(_, up_to)| position <= *up_to);
        gone.any(|(room, _)| {
            delivery
                .events()
                .iter()
                .any(|event| event.to.contains(room))
        })
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
        let left = records.iter().skip(from).filter(|r| !self.is_trimmed(r));
        let page: Vec<_> = left.take(limit as usize).cloned().collect();
        let first = page.first().map(|first| first.position().unwrap().position);
        Ok(LogPage {
            trimmed: first.map_or(trimmed, |first| first - 1),
            deliveries: page,
        })
    }

    async fn trimmed(&self, _scope: Scope, rooms: &[Room]) -> Result<u64, LogError> {
        let crowded = self.crowded.lock().unwrap();
        let ours = crowded.iter().filter(|(room, _)| rooms.contains(room));
        let all = self.trimmed.load(Ordering::SeqCst);
        Ok(ours.map(|(_, up_to)| *up_to).max().unwrap_or(0).max(all))
    }
}
