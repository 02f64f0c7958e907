//! One session's commands in flight: events are handled in the order sent, and their acks leave in that order.
//!
//! A pipelined command runs beside others, at most `pipeline_max` of them; a barrier waits for all before it and holds all behind
//! it. What is held is bounded too: then the connection's gate closes, and nothing more is read.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::Session;
use crate::ack_id::AckId;
use crate::delivery::Form;
use crate::frame;
use crate::panics::guard;
use crate::service::{Event, Flow, LocalFuture, Reply, Service};
use crate::socket::Socket;

/// How long a client's last commands may take after it has gone.
const LEAVING_MAX: Duration = Duration::from_secs(5);

/// Commands in flight, and events behind them.
#[derive(Default)]
pub(super) struct Pipeline {
    entries: VecDeque<Entry>,
    held: VecDeque<Held>,
    held_bytes: usize,
    /// The last entry is a barrier.
    has_barrier: bool,
    /// A driver exists, with this waker once it has run.
    is_driven: bool,
    waker: Option<Waker>,
    is_gate_closed: bool,
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

/// An event that has to wait for its turn.
struct Held {
    name: Box<str>,
    args: Box<str>,
    attachments: Vec<Bytes>,
    ack: Option<AckId>,
}

impl Pipeline {
    fn must_hold(&self, pipeline_max: usize) -> bool {
        self.has_barrier || self.entries.len() >= pipeline_max
    }
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
        if self.hold(name, args, attachments, &mut ack) {
            return;
        }
        let flow = self.decide(name, args, attachments, ack.is_some());
        self.take(flow, ack);
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

    /// Abandons what is in flight.
    pub(super) fn drop_commands(&self) {
        let Some(pipeline) = self.pipeline.take() else {
            return;
        };
        if pipeline.is_gate_closed {
            self.connection.open_gate();
        }
        if let Some(waker) = &pipeline.waker {
            waker.wake_by_ref();
        }
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
        let event = Event {
            name,
            args,
            attachments,
            wants_ack,
        };
        let service = &self.connection.shard.service;
        service.event(&Socket(Rc::clone(self)), event)
    }

    /// Keeps an event for later if something before it is not done. True: kept.
    fn hold(&self, name: &str, args: &str, attachments: &[Bytes], ack: &mut Option<AckId>) -> bool {
        let mut pipeline = self.pipeline.borrow_mut();
        let Some(pipeline) = &mut *pipeline else {
            return false;
        };
        let settings = self.connection.shard.settings();
        if pipeline.held.is_empty() && !pipeline.must_hold(settings.pipeline_max) {
            return false;
        }
        let attached: usize = attachments.iter().map(Bytes::len).sum();
        pipeline.held_bytes += name.len() + args.len() + attached;
        pipeline.held.push_back(Held {
            name: name.into(),
            args: args.into(),
            attachments: attachments.to_vec(),
            ack: ack.take(),
        });
        let is_full = pipeline.held.len() >= settings.held_max
            || pipeline.held_bytes >= settings.max_payload_bytes;
        if is_full && !pipeline.is_gate_closed {
            pipeline.is_gate_closed = true;
            self.connection.close_gate();
        }
        true
    }

    fn take(self: &Rc<Self>, flow: Flow, ack: Option<AckId>) {
        let (future, is_barrier) = match flow {
            Flow::Done => return,
            Flow::Reply(reply) => return self.finished(ack, Some(reply)),
            Flow::Pipelined(future) => (future, false),
            Flow::Barrier(future) => (future, true),
        };
        if is_barrier && self.has_commands() {
            return self.enqueue(ack, State::Running(future), true);
        }
        // The first poll is what submits a command, so it comes before anything that the client sent later.
        match self.poll_at_once(future) {
            Ok(reply) => self.finished(ack, reply),
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
            // The session may have ended meanwhile, and its commands with it.
            let Some(entry) = pipeline.as_mut().and_then(|p| p.entries.get_mut(at)) else {
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
        let held = {
            let mut pipeline = self.pipeline.borrow_mut();
            let Some(pipeline) = pipeline.as_mut() else {
                return false;
            };
            if pipeline.must_hold(self.connection.shard.settings().pipeline_max) {
                return false;
            }
            let Some(held) = pipeline.held.pop_front() else {
                return false;
            };
            let attached: usize = held.attachments.iter().map(Bytes::len).sum();
            pipeline.held_bytes -= held.name.len() + held.args.len() + attached;
            if pipeline.is_gate_closed {
                pipeline.is_gate_closed = false;
                self.connection.open_gate();
            }
            held
        };
        let wants_ack = held.ack.is_some();
        let flow = self.decide(&held.name, &held.args, &held.attachments, wants_ack);
        self.take(flow, held.ack);
        true
    }
}
