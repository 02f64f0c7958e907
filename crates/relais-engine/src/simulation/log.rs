//! The log of the simulation: records in memory, a reader that may be slow or fail, retention that trims, and new epochs.
//!
//! It is the truth that deliveries are held against: whatever was committed can be looked up, trimmed or not, in each of its lives.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::service::TOLD_TO;
use super::world::Shared;
use crate::delivery::{Delivery, OutEvent};
use crate::log::{Log, LogError, LogPage};
use crate::room::{Position, Scope};

/// The logs of one scope: one life for each epoch, of which the last is the present one.
#[derive(Default)]
pub(crate) struct Book {
    scope: u32,
    lives: Vec<Vec<Arc<Delivery>>>,
    /// The newest position that retention has taken away in the present life.
    pub(crate) trimmed: u64,
}

impl Book {
    pub(crate) fn new(scope: u32) -> Self {
        Self {
            scope,
            lives: vec![Vec::new()],
            trimmed: 0,
        }
    }

    /// Counts from 1.
    pub(crate) fn epoch(&self) -> u32 {
        u32::try_from(self.lives.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn head(&self) -> Position {
        Position {
            epoch: self.epoch(),
            position: self.present().len() as u64,
        }
    }

    /// Commits a record without telling anybody.
    pub(crate) fn commit(&mut self, events: Vec<OutEvent>) -> Arc<Delivery> {
        let mut position = self.head();
        position.position += 1;
        let delivery = Arc::new(Delivery::durable(
            Scope(self.scope),
            position,
            Arc::new(events),
        ));
        if let Some(present) = self.lives.last_mut() {
            present.push(Arc::clone(&delivery));
        }
        delivery
    }

    /// Records may have been lost: the log begins another life, empty.
    pub(crate) fn renew(&mut self) {
        self.lives.push(Vec::new());
        self.trimmed = 0;
    }

    /// Retention takes all away up to `position`.
    pub(crate) fn trim(&mut self, position: u64) {
        self.trimmed = self.trimmed.max(position.min(self.head().position));
    }

    /// A record of any life, trimmed or not.
    pub(crate) fn record(&self, epoch: u32, position: u64) -> Option<&Arc<Delivery>> {
        let life = self
            .lives
            .get(usize::try_from(epoch).ok()?.checked_sub(1)?)?;
        life.get(usize::try_from(position).ok()?.checked_sub(1)?)
    }

    /// The newest record of a life.
    pub(crate) fn end_of(&self, epoch: u32) -> u64 {
        let life = usize::try_from(epoch).unwrap_or(0).wrapping_sub(1);
        self.lives.get(life).map_or(0, |life| life.len() as u64)
    }

    fn page(&self, after: u64, limit: u32) -> LogPage {
        let from = usize::try_from(after.max(self.trimmed)).unwrap_or(usize::MAX);
        let records = self.present().iter().skip(from).take(limit as usize);
        LogPage {
            deliveries: records.cloned().collect(),
            trimmed: self.trimmed,
        }
    }

    fn present(&self) -> &[Arc<Delivery>] {
        self.lives.last().map_or(&[], Vec::as_slice)
    }
}

/// The port that the engine reads.
pub(crate) struct SimulatedLog(pub(crate) Shared);

#[async_trait]
impl Log for SimulatedLog {
    fn head(&self, scope: Scope) -> Option<Position> {
        let world = self.0.lock();
        world.books.get(scope.0 as usize).map(Book::head)
    }

    async fn read(&self, scope: Scope, after: u64, limit: u32) -> Result<LogPage, LogError> {
        let is_told_to_panic = self.0.lock().panics_now("read");
        assert!(!is_told_to_panic, "{TOLD_TO}");
        let (wait_ms, fails, early) = {
            let mut world = self.0.lock();
            let (slow_ms, failing) = (world.weather.log_slow_ms, world.weather.log_fails_percent);
            let wait = world.chance.below(slow_ms + 1) as u64;
            let fails = world.chance.percent(failing);
            // Whether the page is as the log was when it was asked for, or when it answers.
            let early = world.chance.percent(50);
            (
                wait,
                fails,
                early.then(|| world.books[scope.0 as usize].page(after, limit)),
            )
        };
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        if fails {
            return Err(LogError {
                reason: "told to fail".to_owned(),
            });
        }
        Ok(match early {
            Some(page) => page,
            None => self.0.lock().books[scope.0 as usize].page(after, limit),
        })
    }
}
