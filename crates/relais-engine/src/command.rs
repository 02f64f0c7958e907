//! What other threads ask of a shard, and the ports through which they do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use relais_protocol::engineio::HandshakeError;
use tokio::sync::{mpsc, oneshot};

use crate::accept::Door;
use crate::close::CloseCode;
use crate::delivery::Delivery;
use crate::endpoint::Endpoint;
use crate::hub::census::Census;
use crate::room::{Room, Scope, Sid};
use crate::sid::ConnectionId;
use crate::stats::ShardStats;
use crate::stream::Detached;

/// The way to one shard. All its channels are bounded.
pub(crate) struct ShardPort {
    pub(crate) deliveries: mpsc::Sender<Arc<Delivery>>,
    pub(crate) commands: mpsc::Sender<Command>,
    /// A delivery found the inbox full: the shard has to look at the heads of its scopes.
    pub(crate) missed: Arc<AtomicBool>,
    pub(crate) stats: Arc<ShardStats>,
    /// Whether anybody there could hear of a delivery.
    pub(crate) census: Arc<Census>,
}

/// What a request showed when it opened a connection.
pub(crate) struct Opening {
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: SocketAddr,
    pub(crate) headers: HeaderMap,
    pub(crate) query: String,
    /// Kept for [`crate::Wire::Plain`] only, where it may say something.
    pub(crate) path: String,
    /// Hash of the credentials that came with it; later requests have to bring the same.
    pub(crate) identity: u64,
}

/// A socket that was taken out of HTTP.
pub(crate) struct Upgraded {
    pub(crate) stream: Detached,
    /// What had been read beyond the request.
    pub(crate) read_ahead: Bytes,
}

/// Answer to a GET.
#[derive(Debug)]
pub(crate) enum PollAnswer {
    /// 200 with packets.
    Payload(Vec<u8>),
    /// 400 (or 403) with the reference server's body.
    Refused(HandshakeError),
}

/// What a POST brought.
#[derive(Debug)]
pub(crate) enum PostBody {
    /// All of it.
    Whole(Bytes),
    /// It cannot be a payload.
    Invalid,
    /// More than a payload may be.
    TooBig,
}

/// Answer to a POST.
#[derive(Debug)]
pub(crate) enum PostAnswer {
    /// 200 `ok`.
    Ok,
    /// With the reference server's body.
    Refused(HandshakeError),
    /// Something in the body broke a rule; the connection is closed.
    Invalid,
    /// 413.
    TooBig,
}

/// Number of a GET, to tell which one was aborted.
pub(crate) type PollNumber = u64;

/// A request to a shard.
pub(crate) enum Command {
    Http(HttpCommand),
    Session(SessionCommand),
    Rooms(RoomsCommand),
    /// Accept connections of this socket.
    Listen {
        listener: std::net::TcpListener,
        door: Arc<Door>,
    },
    Drain {
        window: Duration,
    },
    Stop,
}

/// Requests of the HTTP side.
pub(crate) enum HttpCommand {
    OpenPolling {
        opening: Box<Opening>,
        reply: oneshot::Sender<PollAnswer>,
    },
    OpenWebSocket {
        opening: Box<Opening>,
        upgraded: Upgraded,
    },
    /// Asked before the 101, so that a refusal can still be one.
    CheckUpgrade {
        id: ConnectionId,
        identity: u64,
        reply: oneshot::Sender<Result<(), HandshakeError>>,
    },
    Upgrade {
        id: ConnectionId,
        upgraded: Upgraded,
    },
    Poll {
        id: ConnectionId,
        identity: u64,
        number: PollNumber,
        reply: oneshot::Sender<PollAnswer>,
    },
    /// The GET's connection went away before its answer.
    PollAborted {
        id: ConnectionId,
        number: PollNumber,
    },
    /// Sent when the POST begins, so that a second one beside it is noticed; the body follows. Without one, the POST was aborted.
    Post {
        id: ConnectionId,
        identity: u64,
        body: oneshot::Receiver<PostBody>,
        reply: oneshot::Sender<PostAnswer>,
    },
}

/// Requests about one session.
pub(crate) enum SessionCommand {
    Enter {
        sid: Sid,
        scope: Scope,
        room: Room,
        done: oneshot::Sender<bool>,
    },
    Leave {
        sid: Sid,
        scope: Scope,
        room: Room,
        until: Option<u64>,
        done: oneshot::Sender<()>,
    },
    /// End the session's connection of this generation, whose successor is about to be answered.
    Fence {
        sid: Sid,
        generation: u64,
        done: oneshot::Sender<()>,
    },
}

/// Requests about all sessions of rooms or of a scope.
pub(crate) enum RoomsCommand {
    Evict {
        scope: Scope,
        who: Room,
        room: Room,
        until: Option<u64>,
        done: oneshot::Sender<Vec<Sid>>,
    },
    CloseSessions {
        scope: Scope,
        room: Room,
        code: CloseCode,
        reason: Arc<str>,
        done: oneshot::Sender<usize>,
    },
    Members {
        scope: Scope,
        rooms: Vec<Room>,
        done: oneshot::Sender<Vec<Sid>>,
    },
    Applied {
        scope: Scope,
        done: oneshot::Sender<Option<u64>>,
    },
    Count {
        scope: Scope,
        rooms: Vec<Room>,
        done: oneshot::Sender<usize>,
    },
}

impl From<HttpCommand> for Command {
    fn from(command: HttpCommand) -> Self {
        Self::Http(command)
    }
}

impl From<SessionCommand> for Command {
    fn from(command: SessionCommand) -> Self {
        Self::Session(command)
    }
}

impl From<RoomsCommand> for Command {
    fn from(command: RoomsCommand) -> Self {
        Self::Rooms(command)
    }
}
