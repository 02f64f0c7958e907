//! One session on its shard: a client in a namespace, with its place in the hub, its commands in flight and its acks.
//!
//! Born by [`connect`], ended by [`Session::end`] once. It writes to its connection only; it never touches a socket.

mod acks;
mod backlog;
pub(crate) mod connect;
mod pipeline;
mod rooms;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::close::{CloseCode, Reason};
use crate::connection::Connection;
use crate::delivery::{Delivery, Form};
use crate::frame::{self, EventParts};
use crate::handle::EngineHandle;
use crate::hub::members::MemberId;
use crate::panics::guard;
use crate::replay::Replay;
use crate::room::{Offset, Scope, Sid};
use crate::service::{Service, Transport};
use crate::socket::Socket;

/// Where a session stands towards the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not yet, or no longer, anywhere.
    Out,
    /// In the hub: gets what the shard applies.
    Member(MemberId),
    /// Off the hub: gets what its replay reads.
    Replaying,
}

/// One session.
pub(crate) struct Session<S: Service> {
    pub(crate) sid: Sid,
    pub(crate) scope: Scope,
    pub(crate) form: Form,
    namespace: Arc<str>,
    data: S::Data,
    generation: u64,
    pub(crate) connection: Rc<Connection<S>>,
    pub(crate) place: Cell<Place>,
    is_open: Cell<bool>,
    /// The client has gone; what it sent before is still handled.
    leaving: Cell<Option<Reason>>,
    pipeline: RefCell<Option<Box<pipeline::Pipeline>>>,
    acks: RefCell<Option<Box<acks::Acks>>>,
    pub(crate) replay: RefCell<Option<Box<Replay>>>,
}

impl<S: Service> Session<S> {
    pub(crate) fn sid(&self) -> &Sid {
        &self.sid
    }

    pub(crate) fn data(&self) -> &S::Data {
        &self.data
    }

    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn transport(&self) -> Transport {
        self.connection.transport.get()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.connection.shard.engine
    }

    /// What it has been given of the log.
    pub(crate) fn cursor(&self) -> Option<Offset> {
        match self.place.get() {
            Place::Replaying => self.replay.borrow().as_ref().map(|replay| replay.cursor()),
            Place::Member(_) | Place::Out => {
                let hub = self.connection.shard.hub.borrow();
                hub.get(&self.scope)?.applied().map(Offset::whole)
            }
        }
    }

    pub(crate) fn lag(&self) -> u64 {
        let hub = self.connection.shard.hub.borrow();
        hub.get(&self.scope).map_or(0, |hub| hub.lag())
    }

    pub(crate) fn publish(&self, delivery: Arc<Delivery>) {
        let shard = &self.connection.shard;
        if delivery.position().is_none() {
            shard.deliver(&delivery);
            shard.engine.publish_from(shard.index, &delivery);
        } else {
            shard.engine.publish(delivery);
        }
    }

    pub(crate) fn emit(&self, name: &str, args: &[u8], attachments: &[Bytes], volatile: bool) {
        let offset = match self.form {
            Form::TextWithOffset => self.cursor(),
            Form::Text | Form::Plain => None,
        };
        self.write(name, args, attachments, offset, volatile);
    }

    /// As [`Self::emit`], and in every form the event says how far the session is.
    pub(crate) fn emit_with_cursor(&self, name: &str, args: &[u8]) {
        let offset = match self.form {
            Form::TextWithOffset | Form::Plain => self.cursor(),
            Form::Text => None,
        };
        self.write(name, args, &[], offset, false);
    }

    fn write(
        &self,
        name: &str,
        args: &[u8],
        attachments: &[Bytes],
        offset: Option<Offset>,
        volatile: bool,
    ) {
        if !self.is_open() {
            return;
        }
        self.connection.push(match self.form {
            Form::Plain => frame::plain_event(name, args, self.now_ms(), offset, volatile),
            Form::Text | Form::TextWithOffset => frame::event(&EventParts {
                namespace: &self.namespace,
                ack: None,
                name,
                args,
                attachments,
                offset,
                volatile,
            }),
        });
    }

    /// Milliseconds of Unix time, for people to read.
    fn now_ms(&self) -> i64 {
        (self.connection.shard.settings().wall_clock)()
    }

    /// DISCONNECT from us: this session ends, the connection stays. A plain connection has nothing else to stay for.
    pub(crate) fn disconnect(self: &Rc<Self>) {
        if !self.is_open() {
            return;
        }
        if self.form == Form::Plain {
            return self.close_transport(CloseCode::NORMAL, "");
        }
        self.connection.push(frame::disconnect(&self.namespace));
        self.connection.mark_left(&self.namespace);
        self.detach();
        self.end(Reason::Closed);
    }

    /// DISCONNECT from the client: what it sent before is handled first. It hears nothing more meanwhile, for it may already be back on
    /// this very connection, as another session.
    pub(crate) fn client_left(self: &Rc<Self>) {
        self.detach();
        self.leave_hub();
        self.finish(Reason::ClientLeft);
    }

    pub(crate) fn close_transport(&self, code: CloseCode, reason: &str) {
        self.connection.close(code, reason, Reason::Closed);
    }

    /// Ends the session once what its client has sent is handled.
    pub(crate) fn finish(self: &Rc<Self>, reason: Reason) {
        if !self.is_open() {
            return;
        }
        if self.has_commands() {
            self.leaving.set(Some(reason));
            self.limit_leaving();
        } else {
            self.end(reason);
        }
    }

    /// Ends the session now. Only the first call has an effect.
    pub(crate) fn end(self: &Rc<Self>, reason: Reason) {
        if !self.is_open.replace(false) {
            return;
        }
        let shard = &self.connection.shard;
        self.leave_hub();
        self.drop_commands();
        self.acks.take();
        let is_ours = shard
            .sessions
            .borrow()
            .get(&self.sid)
            .is_some_and(|known| Rc::ptr_eq(known, self));
        if is_ours {
            shard.sessions.borrow_mut().remove(&self.sid);
        }
        shard.engine.registry().release(&self.sid, self.generation);
        shard.stats.sessions.sub(1);
        // Whoever ends it is in the middle of ending more, and does not stop for a panic of the application.
        let _ = guard(|| {
            let socket = Socket(Rc::clone(self));
            shard.service.disconnected(&socket, reason);
        });
    }

    /// A newer connection has taken over: nothing more is read here, and the transport goes.
    pub(crate) fn fence(self: &Rc<Self>) {
        // After a DISCONNECT the transport is not the session's any more: the newer one may be on it.
        let has_left = self.leaving.get().is_some();
        self.end(Reason::Fenced);
        if has_left {
            return;
        }
        self.connection
            .close(CloseCode::NORMAL, "taken over", Reason::TransportLost);
    }

    /// Calls the application about this session, outside of anything that would be left half done. A panic costs it the connection.
    pub(crate) fn tell(self: &Rc<Self>, call: impl FnOnce(&Arc<S>, &Socket<S>)) {
        let service = &self.connection.shard.service;
        if guard(|| call(service, &Socket(Rc::clone(self)))).is_err() {
            self.connection.fail();
        }
    }

    fn detach(&self) {
        self.connection
            .sessions
            .borrow_mut()
            .retain(|session| session.sid != self.sid);
        self.connection.left_alone();
    }
}
