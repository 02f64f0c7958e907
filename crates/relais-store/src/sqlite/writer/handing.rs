//! Between two batches, one piece of what waits to be put into very many inboxes, so that whoever commits never waits for all of it.

use tokio::sync::mpsc::error::TryRecvError;
use tracing::warn;

use super::{Job, Writer};
use crate::sqlite::fault::store_error;
use crate::sqlite::notices;

impl Writer {
    /// The next job; none where there is only something to hand out. `None`: it is over.
    pub(super) fn next(&mut self) -> Option<Option<Job>> {
        if !self.has_notices {
            return self.queue.blocking_recv().map(Some);
        }
        match self.queue.try_recv() {
            Ok(job) => Some(Some(job)),
            Err(TryRecvError::Empty) => Some(None),
            // What waits is handed out after the next start.
            Err(TryRecvError::Disconnected) => None,
        }
    }

    pub(super) fn look_for_notices(&mut self) {
        let found = notices::is_any(&self.connection);
        self.has_notices = found.unwrap_or_else(|error| {
            warn!(%error, "unable to look for what is to be put into inboxes");
            false
        });
    }

    /// Puts one piece of what waits into inboxes.
    pub(super) fn hand_out(&mut self) {
        let handed = self.transact(|connection| {
            notices::hand_out(connection).map_err(|error| store_error(&error))
        });
        match handed {
            Ok(()) => {
                self.checkpointer.after_commit(&self.connection);
                self.look_for_notices();
            }
            Err(error) => {
                warn!(%error, "unable to put notifications into inboxes; they wait for the next commit");
                self.has_notices = false;
            }
        }
    }
}
