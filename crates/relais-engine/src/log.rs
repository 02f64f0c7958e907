//! What the engine asks of a log: where it ends, and pages of it.
//!
//! The engine reads a log in two cases: a shard has missed a publication, or a session resumes. It never writes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::delivery::Delivery;
use crate::room::{Position, Room, Scope};

/// The log behind durable deliveries.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Where the committed log of the scope ends now, and its epoch. Called often: must come from memory.
    ///
    /// `None`: the scope has no log; its deliveries carry no position.
    fn head(&self, scope: Scope) -> Option<Position>;

    /// Records with a position above `after`, ascending, at most `limit`; empty at the head.
    ///
    /// Where retention has taken records away, the page says up to where in [`LogPage::trimmed`], or has a hole.
    async fn read(&self, scope: Scope, after: u64, limit: u32) -> Result<LogPage, LogError>;

    /// The newest position that retention has taken away from what is heard in any of `rooms`. Asked for one session, when a page shows
    /// that something is gone, to know whether the session is to be told of a gap. By default everything may have been for everyone.
    async fn trimmed(&self, scope: Scope, rooms: &[Room]) -> Result<u64, LogError> {
        let _ = (scope, rooms);
        Ok(u64::MAX)
    }
}

/// A page of a log.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// Ascending by position; each has one.
    pub deliveries: Vec<Arc<Delivery>>,
    /// The newest position that retention has taken away: when it is above `after`, what lies between is gone.
    pub trimmed: u64,
}

impl LogPage {
    /// The first and the last position that are missing in what comes after `after`, if any are.
    pub(crate) fn missing(&self, after: u64) -> Option<(u64, u64)> {
        let mut missing: Option<(u64, u64)> = None;
        let mut add = |from: u64, to: u64| {
            if from <= to {
                missing = Some((missing.map_or(from, |(first, _)| first), to));
            }
        };
        let mut known = after;
        let positions = self.deliveries.iter().filter_map(|d| d.position());
        for position in positions.map(|position| position.position) {
            if position > known {
                add(known + 1, position - 1);
                known = position;
            }
        }
        if known == after {
            add(after + 1, self.trimmed);
        }
        missing
    }

    /// Up to where everything after `after` is missing; `after` itself if something comes right behind it.
    pub(crate) fn begins_after(&self, after: u64) -> u64 {
        let positions = self.deliveries.iter().filter_map(|d| d.position());
        let mut later = positions.map(|at| at.position).filter(|at| *at > after);
        later
            .next()
            .map_or(self.trimmed.max(after), |first| first - 1)
    }
}

/// A log could not be read now; the engine tries again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("unable to read the log: {reason}")]
pub struct LogError {
    /// For the operator's log.
    pub reason: String,
}

/// No log at all: for a plain Socket.IO server, whose deliveries carry no position.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLog;

#[async_trait]
impl Log for NoLog {
    fn head(&self, _scope: Scope) -> Option<Position> {
        None
    }

    async fn read(&self, _scope: Scope, _after: u64, _limit: u32) -> Result<LogPage, LogError> {
        Ok(LogPage {
            deliveries: Vec::new(),
            trimmed: 0,
        })
    }
}
