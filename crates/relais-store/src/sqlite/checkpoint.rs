//! Moves the write-ahead log into the database, beside the writer.
//!
//! A thread with a connection of its own copies what is new whenever the log has grown by a few megabytes, so that no
//! commit waits for it. While commits keep coming it never quite catches up, and the log would never begin anew:
//! so when the log is long, the writer copies the small rest itself, between two commits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tracing::warn;

use super::fault::OpenError;
use super::open;

/// Pages that the log grows by before the thread copies them: 4 MiB.
const BESIDE_PAGES: i32 = 1_024;

/// Pages after which the writer copies the rest: 16 MiB. A log that is overwritten syncs faster than one that grows, so
/// it should begin anew soon.
const OWN_PAGES: i32 = 4_096;

/// The thread, and how long the log is.
pub(super) struct Checkpointer {
    /// Set by SQLite after each commit of the writer's connection.
    pages: Arc<AtomicI32>,
    asked_at: i32,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Checkpointer {
    /// Takes over checkpoints from `writer`, which would else make them inside its commits.
    pub(super) fn start(path: &Path, writer: &mut Connection) -> Result<Self, OpenError> {
        let pages = Arc::new(AtomicI32::new(0));
        let length = pages.clone();
        writer
            .wal_hook(Some(move |_: &mut _, pages| {
                length.store(pages, Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| OpenError::new(path, &error))?;
        let connection = open::beside(path)?;
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || {
                while asked.recv().is_ok() {
                    checkpoint(&connection);
                }
            })
            .map_err(|source| OpenError::Io {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            pages,
            asked_at: 0,
            thread: Some((ask, thread)),
        })
    }

    /// Called by the writer after each commit, when the answers are on their way.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.asked_at {
            // The log has begun anew.
            self.asked_at = 0;
        }
        if pages >= OWN_PAGES {
            checkpoint(writer);
        } else if pages - self.asked_at >= BESIDE_PAGES
            && let Some((ask, _)) = &self.thread
            && ask.try_send(()).is_ok()
        {
            self.asked_at = pages;
        }
    }

    /// Ends the thread and copies everything, so that the next start finds an empty log.
    pub(super) fn finish(mut self, writer: &Connection) {
        if let Some((ask, thread)) = self.thread.take() {
            drop(ask);
            if thread.join().is_err() {
                warn!("the thread that checkpoints ended by a panic");
            }
        }
        let truncated = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = truncated {
            warn!(%error, "unable to checkpoint on closing; the next start reads the write-ahead log");
        }
    }
}

/// Copies what no reader needs in the log any more. Nobody waits for it, and it waits for nobody.
fn checkpoint(connection: &Connection) {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = copied {
        // The log stays as it is, and grows; commits tell whether there is space.
        warn!(%error, "unable to checkpoint");
    }
}
