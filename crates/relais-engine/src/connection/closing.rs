//! How a connection ends, from either side.
//!
//! Order: sessions end first (and the service is told), then what waits is written, then the closing handshake, then the memory goes.

use std::rc::Rc;

use super::{Connection, State};
use crate::close::{CloseCode, Reason};
use crate::frame;
use crate::service::{Service, Transport};
use crate::shard::Deadline;

impl<S: Service> Connection<S> {
    /// Closes from our side: sessions end now, what waits is still written, then `code` follows.
    pub(crate) fn close(self: &Rc<Self>, code: CloseCode, text: &str, reason: Reason) {
        if self.state.get() != State::Open {
            return;
        }
        if reason == Reason::Protocol {
            self.shard.stats.protocol_errors_total.add(1);
            tracing::debug!(peer = %self.opening.peer(), code = code.get(), text, "connection closed for a violation");
        }
        self.end_sessions(reason);
        if self.state.get() != State::Open {
            return;
        }
        self.state.set(State::Closing);
        self.push_last(match self.transport.get() {
            Transport::WebSocket => frame::close(Some(code), text),
            Transport::Polling => frame::engine(b"1"),
        });
        if self.transport.get() == Transport::Polling && reason == Reason::Protocol {
            // Whoever broke a rule gets no further poll, but the pending one says why it ends.
            self.answer_poll();
            return self.vanish();
        }
        let wait = self.shard.settings().close_timeout;
        self.shard.after(wait, self.id, Deadline::Close);
        self.shard.mark_dirty(self);
    }

    /// The application failed in the middle of something: whoever it was about may come back.
    pub(crate) fn fail(self: &Rc<Self>) {
        self.close(
            CloseCode::INTERNAL_ERROR,
            "internal error",
            Reason::TransportLost,
        );
    }

    /// The peer's close frame came: it is answered, and then the stream ends.
    pub(crate) fn peer_closed(self: &Rc<Self>, code: Option<CloseCode>) {
        match self.state.get() {
            State::Open => {
                // `engine.close()` of stock Socket.IO clients sends no code, and is how their users cut a link to come back. A WebSocket that
                // nothing else is on is closed for good by `close()`.
                let is_clean = match code {
                    Some(code) => code == CloseCode::NORMAL,
                    None => !self.endpoint.wire.is_engineio(),
                };
                self.leave_sessions(if is_clean {
                    Reason::ClientLeft
                } else {
                    Reason::TransportLost
                });
                if self.state.get() == State::Open {
                    self.answer_close(code);
                }
            }
            State::Closing if self.outbox.borrow().is_empty() => self.vanish(),
            // Closing has a deadline already.
            State::Closing | State::Doomed(_) | State::Closed => {}
        }
    }

    /// Sends a close frame as the last thing on a WebSocket whose peer says nothing more. What waits before it is still written: the
    /// peer may read slowly and count on it.
    fn answer_close(self: &Rc<Self>, code: Option<CloseCode>) {
        self.state.set(State::Closing);
        self.push_last(frame::close(code, ""));
        self.write_out();
        if self.outbox.borrow().is_empty() {
            return self.vanish();
        }
        let wait = self.shard.settings().close_timeout;
        self.shard.after(wait, self.id, Deadline::Close);
    }

    /// The client closed its transport by an Engine.IO close packet. Who leaves for good has said DISCONNECT before.
    pub(crate) fn engine_closed(self: &Rc<Self>) {
        self.leave_sessions(Reason::TransportLost);
        if self.transport.get() == Transport::WebSocket {
            // The packet is no close frame: WebSocket wants its own.
            return self.close(CloseCode::NORMAL, "", Reason::TransportLost);
        }
        self.release_poll(b"6");
        self.vanish();
    }

    /// The stream broke, or a poll was aborted.
    pub(crate) fn lost(self: &Rc<Self>) {
        if self.is_open() {
            self.leave_sessions(Reason::TransportLost);
        }
        self.vanish();
    }

    /// A closing connection is done when everything is written: a WebSocket then waits for the peer's close frame, at most until its deadline.
    ///
    /// Where nothing that comes is read any more (the peer broke a rule of WebSocket, or has said its close already), our end of the stream
    /// is its end. What still comes is thrown away until the peer's: to drop a socket with unread bytes would take our close frame
    /// with it.
    pub(crate) fn finish_closing(self: &Rc<Self>) {
        if !self.outbox.borrow().is_empty() {
            return;
        }
        match self.transport.get() {
            Transport::Polling => self.vanish(),
            Transport::WebSocket if self.reader.borrow().is_closed() => {
                if let Some(stream) = &*self.stream.borrow() {
                    stream.end_writing();
                }
            }
            Transport::WebSocket => {}
        }
    }

    /// Ends all sessions at once; their commands in flight are abandoned.
    pub(crate) fn end_sessions(self: &Rc<Self>, reason: Reason) {
        let sessions = std::mem::take(&mut *self.sessions.borrow_mut());
        for session in sessions {
            session.end(reason);
        }
    }

    /// Ends all sessions after what their client has sent was handled.
    fn leave_sessions(self: &Rc<Self>, reason: Reason) {
        let sessions = std::mem::take(&mut *self.sessions.borrow_mut());
        for session in sessions {
            session.finish(reason);
        }
    }

    /// Takes the connection off its shard and drops the stream.
    pub(crate) fn vanish(self: &Rc<Self>) {
        if self.state.get() == State::Closed {
            return;
        }
        self.state.set(State::Closed);
        self.end_sessions(Reason::TransportLost);
        self.refuse_poll();
        self.outbox.borrow_mut().clear(&self.shard.spares);
        let known = self.forget_me();
        if known {
            self.shard.stats.connections.sub(1);
            if self.transport.get() == Transport::WebSocket {
                self.shard.stats.websockets.sub(1);
            }
            self.shard.engine.connection_gone();
        }
        // Whoever waits for it sees the state.
        self.wake();
        self.stream.take();
    }

    /// Gives its number back; false when it has done so before, or never had one.
    fn forget_me(&self) -> bool {
        let mut connections = self.shard.connections.borrow_mut();
        let number = self.id.number();
        let is_known = connections
            .get(number)
            .is_some_and(|known| known.id.is(self.id));
        is_known && connections.remove(number).is_some()
    }

    /// The peer has had its time to close. If it takes nothing, the kernel is to forget what it holds for it.
    pub(super) fn give_up(self: &Rc<Self>) {
        if !self.outbox.borrow().is_empty()
            && let Some(stream) = &*self.stream.borrow()
        {
            stream.reset_on_drop();
        }
        self.vanish();
    }
}
