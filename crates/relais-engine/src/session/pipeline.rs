//! One session's commands in flight: events are handled in the order sent, and their acks leave in that order.
//!
//! A pipelined command runs beside others, at most `pipeline_max` of them; a barrier waits for all before it and holds all behind
//! it. What is held is the [`backlog`](super::backlog)'s affair, and so is what happens when it is too much.
//!
//! Commands that were begun are seen through when their session ends; what was not begun is forgotten.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::backlog::{Backlog, Held};
use crate::ack_id::AckId;
use crate::delivery::Form;
use crate::frame;
use crate::panics::{Guarded, guard};
use crate::service::{Event, Flow, LocalFuture, Reply, Service};
use crate::socket::Socket;

/// How long a client's last commands may take after it has gone.
const LEAVING_MAX: Duration = Duration::from_secs(5);

/// Commands in flight, and events behind them.
#[derive(Default)]
pub(super) struct Pipeline {
    entries: VecDeque<Entry>,
    backlog: Backlog,
    /// The last entry is a barrier.
    has_barrier: bool,
    /// A driver exists, with this waker once it has run.
    is_driven: bool,
    waker: Option<Waker>,
}

/// What is done with an event.
#[derive(PartialEq, Eq)]
enum Turn {
    /// It is its turn.
    Now,
    /// It was kept for later.
    Later,
    /// There is no room for it.
    Never,
}

struct Entry {
    ack: Option<AckId>,
    state: State,
}

enum State {
    Running(LocalFuture<Option<Reply>>),
    /// Taken out to be polled.
    Polling,
    Done(Option<Reply>),
}

impl Pipeline {
    fn must_hold(&self, pipeline_max: usize) -> bool {
        self.has_barrier || self.entries.len() >= pipeline_max
    }

    /// What was begun and is not done. A barrier behind others was never polled, so nothing of it has happened.
    fn begun(self) -> impl Iterator<Item = LocalFuture<Option<Reply>>> {
        let waits = self.has_barrier && self.entries.len() > 1;
        let begun = self.entries.len() - usize::from(waits);
        let entries = self.entries.into_iter().take(begun);
        entries.filter_map(|entry| match entry.state {
            State::Running(future) => Some(future),
            State::Polling | State::Done(_) => None,
        })
    }
}

/// Sees a command through whose session is gone, so that nothing is left half done: its ack has nobody to go to.
fn see_through(command: LocalFuture<Option<Reply>>) {
    tokio::task::spawn_local(tokio::time::timeout(LEAVING_MAX, Guarded(command)));
}

impl<S: Service> Session<S> {
    /// An event of the client.
    pub(crate) fn event(
        self: &Rc<Self>,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        mut ack: Option<AckId>,
    ) {
        if !self.is_open() || self.leaving.get().is_some() {
            return;
        }
        match self.hold(name, args, attachments, &mut ack) {
            Turn::Later => {}
            Turn::Now => {
                let flow = self.decide(name, args, attachments, ack.is_some());
                self.take(flow, ack);
            }
            Turn::Never => {
                let shard = &self.connection.shard;
                shard.stats.overloaded_total.add(1);
                let socket = Socket(Rc::clone(self));
                let event = event_of(name, args, attachments, ack.is_some());
                let reply = shard.service.overloaded(&socket, event);
                self.answer(ack, reply);
            }
        }
    }

    /// Something that the client asks for by other means than an event: in the order of its events, and nobody is answered.
    pub(crate) fn run(self: &Rc<Self>, flow: Flow) {
        if self.is_open() && self.leaving.get().is_none() {
            self.take(flow, None);
        }
    }

    pub(crate) fn has_commands(&self) -> bool {
        self.pipeline
            .borrow()
            .as_ref()
            .is_some_and(|pipeline| !pipeline.entries.is_empty())
    }

    /// Forgets what was not begun, and leaves the rest to itself.
    pub(super) fn drop_commands(&self) {
        let Some(pipeline) = self.pipeline.take() else {
            return;
        };
        if pipeline.backlog.is_gate_closed() {
            self.connection.open_gate();
        }
        if let Some(waker) = &pipeline.waker {
            waker.wake_by_ref();
        }
        pipeline.begun().for_each(see_through);
    }

    /// A client that has gone is not waited for without end.
    pub(super) fn limit_leaving(self: &Rc<Self>) {
        let session = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(LEAVING_MAX).await;
            if let Some(reason) = session.leaving.get() {
                session.end(reason);
            }
        });
    }

    fn decide(
        self: &Rc<Self>,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        wants_ack: bool,
    ) -> Flow {
        let event = event_of(name, args, attachments, wants_ack);
        let service = &self.connection.shard.service;
        service.event(&Socket(Rc::clone(self)), event)
    }

    /// Keeps an event for later if something before it is not done.
    fn hold(
        self: &Rc<Self>,
        name: &str,
        args: &str,
        attachments: &[Bytes],
        ack: &mut Option<AckId>,
    ) -> Turn {
        let mut pipeline = self.pipeline.borrow_mut();
        let Some(pipeline) = &mut *pipeline else {
            return Turn::Now;
        };
        let settings = self.connection.shard.settings();
        if pipeline.backlog.is_empty() && !pipeline.must_hold(settings.pipeline_max) {
            return Turn::Now;
        }
        if pipeline.backlog.refuses(settings) {
            return Turn::Never;
        }
        let held = Held {
            name: name.into(),
            args: args.into(),
            attachments: attachments.to_vec(),
            ack: ack.take(),
        };
        self.keep(&mut pipeline.backlog, held);
        Turn::Later
    }

    /// Does something with what waits, if anything is in flight at all.
    pub(super) fn change_backlog<T>(&self, change: impl FnOnce(&mut Backlog) -> T) -> Option<T> {
        let mut pipeline = self.pipeline.borrow_mut();
        pipeline
            .as_mut()
            .map(|pipeline| change(&mut pipeline.backlog))
    }

    fn take(self: &Rc<Self>, flow: Flow, ack: Option<AckId>) {
        let (future, is_barrier) = match flow {
            Flow::Done => return,
            Flow::Reply(reply) => return self.finished(ack, Some(reply)),
            Flow::Refused(reply) => return self.answer(ack, Some(reply)),
            Flow::Pipelined(future) => (future, false),
            Flow::Barrier(future) => (future, true),
        };
        if is_barrier && self.has_commands() {
            return self.enqueue(ack, State::Running(future), true);
        }
        // The first poll is what submits a command, so it comes before anything that the client sent later.
        match self.poll_at_once(future) {
            Ok(reply) => self.finished(ack, reply),
            // It has ended its session, as an answer to a command may.
            Err(future) if !self.is_open() => see_through(future),
            Err(future) => self.enqueue(ack, State::Running(future), is_barrier),
        }
    }

    /// With the driver's waker, if there is one; a driver that is still to be made polls again.
    fn poll_at_once(
        &self,
        mut future: LocalFuture<Option<Reply>>,
    ) -> Result<Option<Reply>, LocalFuture<Option<Reply>>> {
        let waker = self
            .pipeline
            .borrow()
            .as_ref()
            .and_then(|pipeline| pipeline.waker.clone());
        let waker = waker.as_ref().unwrap_or(Waker::noop());
        match future.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(reply) => Ok(reply),
            Poll::Pending => Err(future),
        }
    }

    /// Done already: answered now, or in its turn.
    fn finished(self: &Rc<Self>, ack: Option<AckId>, reply: Option<Reply>) {
        if self.has_commands() {
            self.enqueue(ack, State::Done(reply), false);
        } else {
            self.answer(ack, reply);
        }
    }

    fn enqueue(self: &Rc<Self>, ack: Option<AckId>, state: State, is_barrier: bool) {
        if !self.is_open() {
            return;
        }
        let mut pipeline = self.pipeline.borrow_mut();
        let pipeline = pipeline.get_or_insert_default();
        pipeline.entries.push_back(Entry { ack, state });
        pipeline.has_barrier |= is_barrier;
        if !pipeline.is_driven {
            pipeline.is_driven = true;
            tokio::task::spawn_local(Driver(Rc::clone(self)));
        } else if let Some(waker) = &pipeline.waker {
            waker.wake_by_ref();
        }
    }

    fn answer(&self, ack: Option<AckId>, reply: Option<Reply>) {
        let (Some(id), Some(reply), true) = (ack, reply, self.is_open()) else {
            return;
        };
        self.connection.push(match (self.form, id) {
            (Form::Plain, id) => frame::plain_ack(&id, &reply, self.now_ms()),
            (Form::Text | Form::TextWithOffset, AckId::Number(id)) => {
                frame::ack(self.namespace(), id, &reply)
            }
            // Socket.IO knows no other ids.
            (Form::Text | Form::TextWithOffset, AckId::Json(_)) => return,
        });
    }
}

fn event_of<'a>(
    name: &'a str,
    args: &'a str,
    attachments: &'a [Bytes],
    wants_ack: bool,
) -> Event<'a> {
    Event {
        name,
        args,
        attachments,
        wants_ack,
    }
}

/// The task that polls one session's commands; ends when there are none.
struct Driver<S: Service>(Rc<Session<S>>);

impl<S: Service> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let session = &self.0;
        guard(|| session.drive(context)).unwrap_or_else(|_| {
            session.connection.fail();
            Poll::Ready(())
        })
    }
}

impl<S: Service> Session<S> {
    /// As far as it goes now; ready when there is nothing left.
    fn drive(self: &Rc<Self>, context: &mut Context<'_>) -> Poll<()> {
        let session = self;
        loop {
            session.poll_entries(context);
            // A barrier that has come to the front was not polled yet, and nobody but us would wake for it.
            if session.answer_in_order() || session.admit() {
                continue;
            }
            let mut pipeline = session.pipeline.borrow_mut();
            let Some(running) = &mut *pipeline else {
                return Poll::Ready(());
            };
            if !running.entries.is_empty() {
                running.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            // An idle session keeps nothing.
            *pipeline = None;
            drop(pipeline);
            if let Some(reason) = session.leaving.take() {
                session.end(reason);
            }
            return Poll::Ready(());
        }
    }

    /// Polls what runs: all pipelined ones, a barrier only when it is first.
    fn poll_entries(&self, context: &mut Context<'_>) {
        let mut at = 0;
        while let Some(mut future) = self.take_future(at) {
            let polled = match &mut future {
                Some(future) => future.as_mut().poll(context),
                None => Poll::Pending,
            };
            let mut pipeline = self.pipeline.borrow_mut();
            // The session may have ended meanwhile, and left its commands to themselves.
            let Some(entry) = pipeline.as_mut().and_then(|p| p.entries.get_mut(at)) else {
                if let (Poll::Pending, Some(future)) = (polled, future) {
                    see_through(future);
                }
                return;
            };
            match (polled, future) {
                (Poll::Ready(reply), _) => entry.state = State::Done(reply),
                (Poll::Pending, Some(future)) => entry.state = State::Running(future),
                (Poll::Pending, None) => {}
            }
            at += 1;
        }
    }

    /// The future of an entry, taken out so that it may use the session; `None` behind the last that may run.
    #[allow(clippy::option_option)]
    fn take_future(&self, at: usize) -> Option<Option<LocalFuture<Option<Reply>>>> {
        let mut pipeline = self.pipeline.borrow_mut();
        let pipeline = pipeline.as_mut()?;
        let is_barrier = pipeline.has_barrier && at + 1 == pipeline.entries.len();
        if is_barrier && at > 0 {
            return None;
        }
        let entry = pipeline.entries.get_mut(at)?;
        match std::mem::replace(&mut entry.state, State::Polling) {
            State::Running(future) => Some(Some(future)),
            other => {
                entry.state = other;
                Some(None)
            }
        }
    }

    /// Acks leave in the order of their events. True: a barrier is at the front now that was behind something.
    fn answer_in_order(&self) -> bool {
        let mut has_answered = false;
        loop {
            let (ack, reply) = {
                let mut pipeline = self.pipeline.borrow_mut();
                let Some(pipeline) = pipeline.as_mut() else {
                    return false;
                };
                match pipeline.entries.front_mut() {
                    Some(Entry {
                        ack,
                        state: State::Done(reply),
                    }) => {
                        let done = (ack.take(), reply.take());
                        pipeline.entries.pop_front();
                        // The barrier is always the last entry.
                        pipeline.has_barrier &= !pipeline.entries.is_empty();
                        done
                    }
                    Some(_) => {
                        let is_alone = pipeline.entries.len() == 1;
                        return has_answered && is_alone && pipeline.has_barrier;
                    }
                    None => return false,
                }
            };
            has_answered = true;
            self.answer(ack, reply);
        }
    }

    /// Lets the next held event go, if it may. True: something new is to be polled or answered.
    fn admit(self: &Rc<Self>) -> bool {
        let pipeline_max = self.connection.shard.settings().pipeline_max;
        let must_hold = |pipeline: &Pipeline| pipeline.must_hold(pipeline_max);
        if self.pipeline.borrow().as_deref().is_none_or(must_hold) {
            return false;
        }
        let Some(held) = self.next_held() else {
            return false;
        };
        let wants_ack = held.ack.is_some();
        let flow = self.decide(&held.name, &held.args, &held.attachments, wants_ack);
        self.take(flow, held.ack);
        true
    }
}
