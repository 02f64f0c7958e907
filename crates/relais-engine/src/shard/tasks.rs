//! The tasks that every shard has: the inbox, the flusher, the wheel and the check of heads.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Inbox, Shard, ready};
use crate::command::Command;
use crate::connection::Connection;
use crate::delivery::Delivery;
use crate::heartbeat::slot_for;
use crate::panics::guard;
use crate::service::Service;

/// Deliveries taken from the inbox before other tasks get their turn.
const DELIVERIES_A_TURN: usize = 256;

/// Connections flushed before other tasks get their turn.
const FLUSHES_A_TURN: usize = 512;

/// Runs until the shard is told to stop.
pub(super) async fn run<S: Service>(shard: Rc<Shard<S>>, mut inbox: Inbox) {
    tokio::task::spawn_local(flush(Rc::clone(&shard)));
    // The budget of a task is meant for one connection; this one serves all, and counts for itself.
    tokio::task::spawn_local(unconstrained(ready::serve(Rc::clone(&shard))));
    tokio::task::spawn_local(turn_wheel(Rc::clone(&shard)));
    tokio::task::spawn_local(check_heads(Rc::clone(&shard)));
    let mut deliveries = Vec::with_capacity(DELIVERIES_A_TURN);
    let mut commands_first = true;
    while !shard.is_stopping.get() {
        match next(&mut inbox, &mut deliveries, commands_first).await {
            Work::Command(command) => {
                commands_first = false;
                let _ = guard(|| shard.obey(command));
            }
            Work::Deliveries(count) => {
                commands_first = true;
                for delivery in deliveries.drain(..) {
                    let _ = guard(|| shard.deliver(&delivery));
                }
                if count < DELIVERIES_A_TURN && shard.missed.swap(false, Ordering::AcqRel) {
                    let _ = guard(|| shard.check_heads_now());
                }
            }
            Work::Over => return,
        }
    }
}

/// What the inbox had.
enum Work {
    Command(Command),
    /// So many, in the buffer.
    Deliveries(usize),
    /// Nobody can send any more.
    Over,
}

/// The next piece of work. Commands and deliveries take turns when there are both, so that neither starves the other.
async fn next(
    inbox: &mut Inbox,
    deliveries: &mut Vec<Arc<Delivery>>,
    commands_first: bool,
) -> Work {
    poll_fn(|context| {
        let mut commands_too = commands_first;
        loop {
            if commands_too && let Poll::Ready(command) = inbox.commands.poll_recv(context) {
                return Poll::Ready(command.map_or(Work::Over, Work::Command));
            }
            let received = &mut inbox.deliveries;
            if let Poll::Ready(count) =
                received.poll_recv_many(context, deliveries, DELIVERIES_A_TURN)
                && count > 0
            {
                return Poll::Ready(Work::Deliveries(count));
            }
            if std::mem::replace(&mut commands_too, true) {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Woken by the first dirty connection or fan-out of a tick, and so queued behind every task that was ready then.
async fn flush<S: Service>(shard: Rc<Shard<S>>) {
    let mut batch: Vec<Rc<Connection<S>>> = Vec::new();
    loop {
        poll_fn(|context| {
            if shard.dirty.borrow().is_empty() && !shard.pace.is_begun() {
                *shard.flusher.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        std::mem::swap(&mut batch, &mut shard.dirty.borrow_mut());
        for (number, connection) in batch.drain(..).enumerate() {
            if number > 0 && number % FLUSHES_A_TURN == 0 {
                tokio::task::yield_now().await;
            }
            connection.is_dirty.set(false);
            let _ = guard(|| connection.flush());
        }
        shard.pace.end_tick();
        shard.joined.borrow_mut().forget();
        // One great fan-out must not keep its memory for ever.
        batch.shrink_to(FLUSHES_A_TURN);
    }
}

async fn turn_wheel<S: Service>(shard: Rc<Shard<S>>) {
    let settings = shard.settings();
    let slot = slot_for(settings.ping_interval.min(settings.ping_timeout));
    let mut ticks = tokio::time::interval(slot);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut due = Vec::new();
    loop {
        ticks.tick().await;
        shard.wheel.borrow_mut().expire(Instant::now(), &mut due);
        for (planned, key) in due.drain(..) {
            if let Some(connection) = shard.holder(key) {
                let _ = guard(|| connection.deadline(key.deadline(), planned));
            }
        }
    }
}

async fn check_heads<S: Service>(shard: Rc<Shard<S>>) {
    let every = shard.settings().head_check_interval;
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let _ = guard(|| shard.check_heads());
        shard.tidy();
    }
}
