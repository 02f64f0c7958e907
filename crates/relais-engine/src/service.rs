//! What the user of the library provides: who may connect, and what events do.
//!
//! All calls for one connection come from the one shard on which it lives, so session data needs no lock and need not be `Send`.
//! Nothing here may block: work that waits belongs in the futures, and heavy work on another thread.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::close::{CloseCode, Reason};
use crate::endpoint::Wire;
use crate::raw::{Raw, RawMessage};
use crate::room::{Offset, Room, Scope, Sid};
use crate::socket::Socket;

/// A future that stays on its shard.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T> + 'static>>;

/// The application on top of the engine.
pub trait Service: Send + Sync + Sized + 'static {
    /// What the application keeps for each session; lives on the shard.
    type Data: 'static;

    /// A client asks for a namespace, or opens a plain JSON connection, which is in `/`. May take [`crate::Settings::accept_timeout`];
    /// meanwhile nothing more is read of a plain one.
    /// A resume comes here too, and must be authenticated like any other.
    fn connect(
        self: &Arc<Self>,
        connect: Connect,
    ) -> LocalFuture<Result<Accept<Self::Data>, Refuse>>;

    /// Whether [`Connect::headers`] has to have this header of the request. What it leaves out takes no memory while the connection lasts.
    fn wants_header(&self, name: &HeaderName) -> bool {
        let _ = name;
        true
    }

    /// The session is answered, in its rooms, and nothing else was sent to it yet. What is emitted here comes first
    /// (on a resume: before the replay, with the offset that the client gave).
    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        let _ = socket;
    }

    /// A session that resumed has caught up: its replay is over and it is on the hub, so that from here on it misses nothing that is
    /// published. Told once after `connected`, for resumes only; for what no log keeps (who is here now).
    fn live(self: &Arc<Self>, socket: &Socket<Self>) {
        let _ = socket;
    }

    /// An event of a client. Decides only: whatever has an effect belongs in the returned future, which may have to wait its turn.
    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow;

    /// An event for which there is no room: more of the session's events wait than [`crate::Settings::held_max`], and that has lasted
    /// longer than [`crate::Settings::gate_closed_max`]. It has no effect; the reply leaves at once, before those of events that wait.
    /// By default there is none, and the client does not know.
    fn overloaded(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Option<Reply> {
        let _ = (socket, event);
        None
    }

    /// The session is gone from this connection; told once for each `connected`.
    fn disconnected(self: &Arc<Self>, socket: &Socket<Self>, reason: Reason) {
        let _ = (socket, reason);
    }

    /// Records that should have reached the session are no longer in the log. By default the client is told by the
    /// event `gap` with `{"from":F,"to":T,"reason":"trimmed"}`: positions `F` to `T` are missing, both included.
    fn gap(self: &Arc<Self>, socket: &Socket<Self>, from: u64, to: u64) {
        let args = format!(r#"{{"from":{from},"to":{to},"reason":"trimmed"}}"#);
        socket.emit_with_cursor("gap", args.as_bytes());
    }

    /// A message of a plain JSON session ([`crate::Wire::Plain`]) is no frame `{type, data, id}`; the session stays. By default the client
    /// is told by the event `error` with `{"message":PROBLEM}`.
    fn unreadable(self: &Arc<Self>, socket: &Socket<Self>, problem: &str) {
        let mut args = b"{\"message\":".to_vec();
        relais_protocol::json::write_string(&mut args, problem);
        args.push(b'}');
        socket.emit("error", &args);
    }

    /// A message on an endpoint that has no sessions ([`crate::Wire::EngineIo`], [`crate::Wire::WebSocket`]). Ignored by default.
    fn message(self: &Arc<Self>, raw: &Raw<'_>, message: RawMessage<'_>) {
        let _ = (raw, message);
    }
}

/// How the bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling.
    Polling,
    /// WebSocket, from the start or after an upgrade.
    WebSocket,
}

/// A client's CONNECT to a namespace. Its `Debug` shows nothing that could hold a token.
#[derive(Clone)]
pub struct Connect {
    /// The number that [`crate::EngineHandle::handle`] was given.
    pub endpoint: u16,
    /// What is spoken there.
    pub wire: Wire,
    /// Path of the request that opened a plain JSON connection, as it came; empty for Socket.IO.
    pub path: String,
    /// `/` or `/custom`.
    pub namespace: Arc<str>,
    /// Headers of the request that opened the connection, as far as [`Service::wants_header`] says.
    pub headers: HeaderMap,
    /// Its query string, as it came, without the `?`.
    pub query: String,
    /// Address of the peer.
    pub peer: SocketAddr,
    /// Raw JSON of the auth payload (always an object), if there was one.
    pub auth: Option<Bytes>,
    /// `pid` of the auth payload: this client wants to resume.
    pub pid: Option<String>,
    /// `offset` of the auth payload, as the client sent it; see [`Offset::parse`].
    pub offset: Option<String>,
    /// Transport at this moment.
    pub transport: Transport,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("endpoint", &self.endpoint)
            .field("namespace", &self.namespace)
            .field("peer", &self.peer)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// A session is accepted.
#[derive(Debug)]
pub struct Accept<D> {
    /// The application's data of the session.
    pub data: D,
    /// Its scope.
    pub scope: Scope,
    /// Rooms that it is in from the start, without an interval of their own (on a resume too).
    pub rooms: Vec<Room>,
    /// The old id on a resume: whatever connection holds it is fenced before the client is answered. `None`: a new one.
    pub sid: Option<Sid>,
    /// Sent to a Socket.IO client as `pid`, which makes it able to resume.
    pub pid: Option<String>,
    /// Whether Socket.IO events carry offsets as their last argument. Plain JSON has the position beside the data, always.
    pub recovery: bool,
    /// Replay from here before anything live.
    pub resume: Option<Resume>,
}

impl<D> Accept<D> {
    /// A fresh session without recovery.
    pub fn fresh(scope: Scope, data: D) -> Self {
        Self {
            data,
            scope,
            rooms: Vec::new(),
            sid: None,
            pid: None,
            recovery: false,
            resume: None,
        }
    }
}

/// What a resumed session has seen, and where it was.
#[derive(Clone, Debug)]
pub struct Resume {
    /// What the client has seen. Its epoch must be the log's: another one is a fresh session, which the service decides.
    pub seen: Offset,
    /// Explicit stays: an event at `position` reaches the session if `since < position <= until`. Open ones are joined again.
    pub intervals: Vec<Interval>,
}

/// A stay in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Which room.
    pub room: Room,
    /// Head of the log at the join.
    pub since: u64,
    /// Head of the log at the leave; `None`: still in it.
    pub until: Option<u64>,
}

/// A session is not accepted.
#[derive(Clone, Debug)]
pub enum Refuse {
    /// CONNECT_ERROR: final for stock clients, which do not come back from one. On plain JSON, a close with 1008.
    ConnectError {
        /// Text of the error.
        message: String,
        /// Raw JSON beside it.
        data: Option<Bytes>,
    },
    /// For failures that pass: the transport is closed, and the client comes back.
    CloseTransport(CloseCode),
    /// The transport is closed with this code and reason: the refusal where no CONNECT_ERROR is spoken.
    Close {
        /// The code.
        code: CloseCode,
        /// The reason in the close frame, at most 123 bytes.
        reason: String,
    },
}

impl Refuse {
    /// What the reference server says of a namespace that does not exist.
    pub fn invalid_namespace() -> Self {
        Self::ConnectError {
            message: "Invalid namespace".to_owned(),
            data: None,
        }
    }
}

/// An event as a client sent it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its name; never a reserved one.
    pub name: &'a str,
    /// Raw JSON of the arguments, comma-separated, without brackets. Attachments are `{"_placeholder":true,"num":0}`.
    pub args: &'a str,
    /// Binary attachments.
    pub attachments: &'a [Bytes],
    /// Whether the client waits for an ack.
    pub wants_ack: bool,
}

/// Arguments of an ack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Raw JSON of the arguments, without brackets.
    pub args: Bytes,
    /// Binary attachments.
    pub attachments: Vec<Bytes>,
}

impl Reply {
    /// A reply without attachments.
    pub fn json(args: impl Into<Bytes>) -> Self {
        Self {
            args: args.into(),
            attachments: Vec::new(),
        }
    }
}

/// What becomes of an event. Acks leave in the order of their events, refusals ([`Flow::Refused`], [`Service::overloaded`]) excepted; a
/// reply to an event that wants no ack is dropped.
pub enum Flow {
    /// Nothing more, and no ack.
    Done,
    /// Handled; the ack goes out in its turn.
    Reply(Reply),
    /// Nothing of it was done. The reply leaves at once and takes no place among what waits, so that refusing costs little when there is
    /// much to refuse.
    Refused(Reply),
    /// Polled once at once, which submits it, and then beside others: at most [`crate::Settings::pipeline_max`] in flight.
    Pipelined(LocalFuture<Option<Reply>>),
    /// Waits for everything before it, and holds everything behind it.
    Barrier(LocalFuture<Option<Reply>>),
}
