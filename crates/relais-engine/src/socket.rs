//! The application's handle on one session, on its shard.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::close::CloseCode;
use crate::delivery::Delivery;
use crate::handle::EngineHandle;
use crate::room::{Offset, Room, Scope, Sid};
use crate::service::{Flow, LocalFuture, Reply, Service, Transport};
use crate::session::Session;

/// One session on its shard: cheap to clone, never leaves the shard's thread.
///
/// Everything here returns at once; on a session that is gone it does nothing.
pub struct Socket<S: Service>(pub(crate) Rc<Session<S>>);

impl<S: Service> Clone for Socket<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: Service> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("sid", self.id())
            .field("scope", &self.scope())
            .finish_non_exhaustive()
    }
}

impl<S: Service> Socket<S> {
    /// The session's id, which a resume keeps.
    pub fn id(&self) -> &Sid {
        self.0.sid()
    }

    /// What the application keeps for it.
    pub fn data(&self) -> &S::Data {
        self.0.data()
    }

    /// Its scope.
    pub fn scope(&self) -> Scope {
        self.0.scope()
    }

    /// How many records of its scope are known to its shard and not delivered yet: while there are many, more of them only come later.
    pub fn lag(&self) -> u64 {
        self.0.lag()
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.0.namespace()
    }

    /// How its bytes travel now.
    pub fn transport(&self) -> Transport {
        self.0.transport()
    }

    /// Whether it is still connected here: neither closed nor fenced.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// What this session has been given of the log; `None` where the scope has no log.
    pub fn cursor(&self) -> Option<Offset> {
        self.0.cursor()
    }

    /// The engine, to publish to others.
    pub fn engine(&self) -> &EngineHandle {
        self.0.engine()
    }

    /// Publishes to all shards as [`EngineHandle::publish`] does; on this shard a delivery without position is applied
    /// before the call returns, so it can neither overtake nor be lost.
    pub fn publish(&self, delivery: Arc<Delivery>) {
        self.0.publish(delivery);
    }

    /// Sends an event to this session alone. `args` is raw JSON without the brackets around the arguments.
    pub fn emit(&self, name: &str, args: &[u8]) {
        self.0.emit(name, args, &[], false);
    }

    /// As [`Self::emit`], and a plain JSON frame too says how far in the log the session is, in `position`.
    pub fn emit_with_cursor(&self, name: &str, args: &[u8]) {
        self.0.emit_with_cursor(name, args);
    }

    /// As [`Self::emit`], with attachments. A plain JSON frame carries none: their placeholders stay.
    pub fn emit_binary(&self, name: &str, args: &[u8], attachments: &[Bytes]) {
        self.0.emit(name, args, attachments, false);
    }

    /// As [`Self::emit`], but the first to be dropped when the reader is slow.
    pub fn emit_volatile(&self, name: &str, args: &[u8]) {
        self.0.emit(name, args, &[], true);
    }

    /// Sends an event and waits for the client's ack, at most `timeout`.
    /// Sent at once; the future only waits. Never carries an offset.
    pub fn emit_with_ack(
        &self,
        name: &str,
        args: &[u8],
        timeout: Duration,
    ) -> LocalFuture<Result<Reply, AckError>> {
        self.0.emit_with_ack(name, args, timeout)
    }

    /// Does something as if the client had sent an event for it just now: after what it sent before, and before what it sends next as far
    /// as the flow says so. A reply goes nowhere.
    pub fn run(&self, flow: Flow) {
        self.0.run(flow);
    }

    /// Enters a room. False when the session is in [`crate::Settings::rooms_max`] rooms already, or gone.
    pub fn join(&self, room: &Room) -> bool {
        self.0.join(room)
    }

    /// Leaves a room once everything up to `until` was delivered; `None`: now.
    pub fn leave(&self, room: &Room, until: Option<u64>) {
        self.0.leave(room, until);
    }

    /// Sends DISCONNECT and ends this session; stock clients do not come back from it. Other namespaces stay. A plain JSON connection is
    /// closed with 1000.
    pub fn disconnect(&self) {
        self.0.disconnect();
    }

    /// Closes the transport with everything on it, after what waits was written.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.close_transport(code, reason);
    }
}

/// Why there is no ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// It did not come in time.
    #[error("no ack in time")]
    Timeout,
    /// The session ended before.
    #[error("the session ended before its ack")]
    Gone,
    /// [`crate::Settings::acks_max`] acks are awaited already; nothing was sent.
    #[error("too many acks are awaited")]
    TooMany,
    /// Clients of plain JSON give none; nothing was sent.
    #[error("plain JSON knows no acks of clients")]
    Unknown,
}
