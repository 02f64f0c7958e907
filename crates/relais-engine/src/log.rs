//! What the engine asks of a log: where it ends, and pages of it.
//!
//! The engine reads a log in two cases: a shard has missed a publication, or a session resumes. It never writes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::delivery::Delivery;
use crate::room::{Position, Scope};

/// The log behind durable deliveries.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Where the committed log of the scope ends now, and its epoch. Called often: must come from memory.
    ///
    /// `None`: the scope has no log; its deliveries carry no position.
    fn head(&self, scope: Scope) -> Option<Position>;

    /// Records with a position above `after`, ascending and without holes, at most `limit`; empty at the head.
    async fn read(&self, scope: Scope, after: u64, limit: u32) -> Result<LogPage, LogError>;
}

/// A page of a log.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// Ascending by position; each has one.
    pub deliveries: Vec<Arc<Delivery>>,
    /// The newest position that retention has taken away: when it is above `after`, what lies between is gone.
    pub trimmed: u64,
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
