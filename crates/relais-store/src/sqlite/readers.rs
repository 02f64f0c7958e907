//! A small pool of connections that only read, each on a thread of its own, beside the writer.
//!
//! A question comes in as a closure, its answer goes out through a oneshot channel. Bounded: when every thread
//! has its fill, the answer is `Overloaded` at once. A question whose asker has gone away is not asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use relais_core::ports::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault::{OpenError, closed};
use super::{SqliteOptions, open};

/// Questions that wait for one thread: so many that all clients of a node may come back at once. Each is a few hundred bytes.
const WAITING_MAX: usize = 8_192;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The pool. Its threads end when it is dropped.
pub(super) struct Readers {
    threads: Vec<mpsc::Sender<Question>>,
    next: AtomicUsize,
}

impl Readers {
    /// Opens as many connections to the database as the options say.
    pub(super) fn open(options: &SqliteOptions) -> Result<Self, OpenError> {
        let path = &options.path;
        let threads = (0..options.readers.max(1)).map(|number| {
            let connection = open::reader(path)?;
            open::set_page_cache(&connection, options.page_cache_bytes_max)
                .map_err(|error| OpenError::new(path, &error))?;
            let (sender, mut questions) = mpsc::channel::<Question>(WAITING_MAX);
            std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    while let Some(question) = questions.blocking_recv() {
                        question(&connection);
                    }
                })
                .map_err(|source| OpenError::Io {
                    path: path.to_owned(),
                    source,
                })?;
            Ok(sender)
        });
        Ok(Self {
            threads: threads.collect::<Result<_, OpenError>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// Asks the next thread that has room.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let mut question: Question = Box::new(move |connection| {
            if !reply.is_closed() {
                // The asker may go away meanwhile; then nobody needs the answer.
                let _ = reply.send(question(connection));
            }
        });
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..self.threads.len() {
            let thread = &self.threads[(first + offset) % self.threads.len()];
            match thread.try_send(question) {
                Ok(()) => return answer.await.map_err(|_| closed())?,
                Err(error) => question = error.into_inner(),
            }
        }
        Err(StoreError::Overloaded)
    }
}
