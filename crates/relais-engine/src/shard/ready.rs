//! Connections whose socket has something to read, or room to write again: one queue, and one task that serves it.
//!
//! A task for each connection would cost each of them a quarter of a kilobyte; what wakes a connection is instead a number that is put
//! into this queue. The I/O driver wakes on the shard's own thread, so the lock is never waited for.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::Shard;
use crate::panics::guard;
use crate::service::Service;
use crate::transport::websocket;

/// Connections served before other tasks get their turn.
const CONNECTIONS_A_TURN: usize = 256;

/// Numbers of connections that want to be served.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    numbers: Vec<u32>,
    server: Option<Waker>,
}

/// Wakes one connection.
struct Bell {
    ready: Arc<Ready>,
    number: u32,
}

impl Ready {
    /// What has the connection of this number served.
    pub(crate) fn waker(self: &Arc<Self>, number: u32) -> Waker {
        Waker::from(Arc::new(Bell {
            ready: Arc::clone(self),
            number,
        }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic while it was locked leaves a list that is still a list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_waiting(&self) -> bool {
        !self.queue().numbers.is_empty()
    }

    /// Swaps what waits into an empty list.
    fn poll_take(&self, context: &mut Context<'_>, taken: &mut Vec<u32>) -> Poll<()> {
        let mut queue = self.queue();
        if queue.numbers.is_empty() {
            queue.server = Some(context.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut queue.numbers, taken);
        Poll::Ready(())
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut queue = self.ready.queue();
        queue.numbers.push(self.number);
        let server = queue.server.take();
        drop(queue);
        if let Some(server) = server {
            server.wake();
        }
    }
}

/// Serves whoever is ready, in the order in which they became so.
///
/// A number may belong to somebody else by now: to be served for nothing does no harm.
pub(super) async fn serve<S: Service>(shard: Rc<Shard<S>>) {
    let mut numbers = Vec::new();
    loop {
        poll_fn(|context| shard.ready.poll_take(context, &mut numbers)).await;
        for (served, number) in numbers.drain(..).enumerate() {
            if served > 0 && served % CONNECTIONS_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
            let connection = shard.connections.borrow().get(number).cloned();
            if let Some(connection) = connection
                && guard(|| websocket::serve(&connection)).is_err()
            {
                connection.fail();
            }
        }
        numbers.shrink_to(CONNECTIONS_A_TURN);
        if shard.ready.is_waiting() {
            // Whoever sends without end must not keep the flusher from its work.
            tokio::task::yield_now().await;
        }
    }
}
