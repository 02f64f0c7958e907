//! What other threads ask of a shard, carried out.

use std::rc::Rc;
use std::time::Duration;

use relais_protocol::engineio::HandshakeError;
use relais_protocol::websocket::Reader;
use tokio::sync::oneshot;

use super::Shard;
use crate::close::{CloseCode, Reason};
use crate::command::{
    Command, HttpCommand, Opening, PollAnswer, PostAnswer, PostBody, RoomsCommand, SessionCommand,
};
use crate::connection::Connection;
use crate::endpoint::Wire;
use crate::frame::{self, FrameRef};
use crate::room::{Room, Scope, Sid};
use crate::service::{Service, Transport};
use crate::session::{Session, connect};
use crate::sid::ConnectionId;
use crate::stream::Stream;
use crate::transport::{upgrade, websocket};

/// How long a drain waits for the commands of one connection.
const DRAIN_COMMANDS_MAX: Duration = Duration::from_secs(1);

impl<S: Service> Shard<S> {
    pub(super) fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Http(command) => self.obey_http(command),
            Command::Session(command) => self.obey_for_session(command),
            Command::Rooms(command) => self.obey_for_rooms(command),
            Command::Listen { listener, door } => self.listen(listener, door),
            Command::Drain { window } => self.drain(window),
            Command::Stop => self.is_stopping.set(true),
        }
    }

    fn obey_http(self: &Rc<Self>, command: HttpCommand) {
        match command {
            HttpCommand::OpenPolling { opening, reply } => self.open_polling(&opening, reply),
            HttpCommand::OpenWebSocket { opening, upgraded } => match upgraded.stream.attach() {
                Ok(stream) => self.open_websocket(&opening, stream, None, &upgraded.read_ahead),
                Err(_) => self.engine.connection_gone(),
            },
            HttpCommand::CheckUpgrade {
                id,
                identity,
                reply,
            } => {
                let _ = reply.send(self.check_upgrade(id, identity));
            }
            HttpCommand::Upgrade { id, upgraded } => {
                if let Some(connection) = self.connection(id) {
                    tokio::task::spawn_local(upgrade::run(connection, upgraded));
                }
            }
            HttpCommand::Poll {
                id,
                identity,
                number,
                reply,
            } => match self.connection(id) {
                Some(connection) => connection.poll(identity, number, reply),
                None => {
                    let _ = reply.send(PollAnswer::Refused(HandshakeError::SessionUnknown));
                }
            },
            HttpCommand::PollAborted { id, number } => {
                if let Some(connection) = self.connection(id) {
                    connection.poll_aborted(number);
                }
            }
            HttpCommand::Post {
                id,
                identity,
                body,
                reply,
            } => self.post(id, identity, body, reply),
        }
    }

    fn obey_for_session(self: &Rc<Self>, command: SessionCommand) {
        match command {
            SessionCommand::Enter {
                sid,
                scope,
                room,
                done,
            } => {
                let session = self.session_of(scope, &sid);
                let _ = done.send(session.is_some_and(|session| session.join(&room)));
            }
            SessionCommand::Leave {
                sid,
                scope,
                room,
                until,
                done,
            } => {
                if let Some(session) = self.session_of(scope, &sid) {
                    session.leave(&room, until);
                }
                let _ = done.send(());
            }
            SessionCommand::Fence {
                sid,
                generation,
                done,
            } => {
                self.fence(&sid, generation);
                let _ = done.send(());
            }
        }
    }

    fn obey_for_rooms(self: &Rc<Self>, command: RoomsCommand) {
        match command {
            RoomsCommand::Evict {
                scope,
                who,
                room,
                until,
                done,
            } => {
                let sessions = self.sessions_in(scope, &[who]);
                for session in &sessions {
                    session.leave(&room, until);
                }
                let _ = done.send(sids(&sessions));
            }
            RoomsCommand::CloseSessions {
                scope,
                room,
                code,
                reason,
                done,
            } => {
                let sessions = self.sessions_in(scope, &[room]);
                let _ = done.send(sessions.len());
                for session in sessions {
                    session.close_transport(code, &reason);
                }
            }
            RoomsCommand::Members { scope, rooms, done } => {
                let _ = done.send(sids(&self.sessions_in(scope, &rooms)));
            }
            RoomsCommand::Applied { scope, done } => {
                let hub = self.hub.borrow();
                let applied = hub.get(&scope).and_then(|hub| hub.applied());
                let _ = done.send(applied.map(|applied| applied.position));
            }
            RoomsCommand::Count { scope, rooms, done } => {
                let _ = done.send(self.count(scope, &rooms));
            }
        }
    }

    fn open_polling(self: &Rc<Self>, opening: &Opening, reply: oneshot::Sender<PollAnswer>) {
        let connection = Connection::open(self, opening, Transport::Polling);
        let upgrades: &[&str] = if self.settings().allow_upgrades {
            &["websocket"]
        } else {
            &[]
        };
        let body = connection.open_packet(upgrades);
        if reply.send(PollAnswer::Payload(body)).is_err() {
            connection.lost();
        }
    }

    /// `switch` is the 101, where nobody has sent it yet: it goes out with the first packet. `rest` was read before and belongs to it.
    pub(super) fn open_websocket(
        self: &Rc<Self>,
        opening: &Opening,
        stream: Stream,
        switch: Option<FrameRef>,
        rest: &[u8],
    ) {
        let connection = Connection::open(self, opening, Transport::WebSocket);
        if let Some(switch) = switch {
            connection.push(switch);
        }
        match opening.endpoint.wire {
            Wire::SocketIo | Wire::EngineIo => {
                connection.push(frame::engine(&connection.open_packet(&[])));
            }
            Wire::Plain => connect::begin_plain(&connection, opening),
            Wire::WebSocket => {}
        }
        websocket::attach(&connection, stream, Reader::new(), rest);
    }

    fn check_upgrade(&self, id: ConnectionId, identity: u64) -> Result<(), HandshakeError> {
        let connection = self
            .connection(id)
            .filter(|connection| connection.is_open())
            .ok_or(HandshakeError::SessionUnknown)?;
        connection.check_identity(identity)
    }

    fn post(
        self: &Rc<Self>,
        id: ConnectionId,
        identity: u64,
        body: oneshot::Receiver<PostBody>,
        reply: oneshot::Sender<PostAnswer>,
    ) {
        match self.connection(id) {
            Some(connection) => connection.post(identity, body, reply),
            None => {
                let _ = reply.send(PostAnswer::Refused(HandshakeError::SessionUnknown));
            }
        }
    }

    /// Ends the connection of a session that is of this generation or an older one, if it is here.
    pub(crate) fn fence(&self, sid: &Sid, generation: u64) {
        if let Some(session) = self.session(sid)
            && session.generation() <= generation
        {
            session.fence();
        }
    }

    fn session_of(&self, scope: Scope, sid: &Sid) -> Option<Rc<Session<S>>> {
        self.session(sid).filter(|session| session.scope == scope)
    }

    /// Sessions in any of the rooms, each once; those that replay too, by the rooms that they will be in.
    fn sessions_in(&self, scope: Scope, rooms: &[Room]) -> Vec<Rc<Session<S>>> {
        let mut found = Vec::new();
        if let Some(hub) = self.hub.borrow_mut().get_mut(&scope) {
            hub.members
                .visit(rooms, &[], |_| {}, |session| found.push(Rc::clone(session)));
            if !hub.has_replays() {
                return found;
            }
        }
        let sessions = self.sessions.borrow();
        let replaying = sessions
            .values()
            .filter(|session| session.scope == scope && session.replays_into(rooms));
        found.extend(replaying.cloned());
        found
    }

    fn count(&self, scope: Scope, rooms: &[Room]) -> usize {
        if rooms.is_empty() {
            let hub = self.hub.borrow();
            return hub.get(&scope).map_or(0, |hub| hub.sessions());
        }
        self.sessions_in(scope, rooms).len()
    }

    /// Closes every connection, spread over the window.
    fn drain(self: &Rc<Self>, window: Duration) {
        let mut left: Vec<_> = self.connections.borrow().values().cloned().collect();
        let shard = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let steps = u32::try_from((window.as_millis() / 50).max(1)).unwrap_or(u32::MAX);
            let a_step = left.len().div_ceil(steps as usize).max(1);
            while !left.is_empty() {
                for connection in left.split_off(left.len().saturating_sub(a_step)) {
                    tokio::task::spawn_local(drain_one(connection));
                }
                tokio::time::sleep(window / steps).await;
            }
            // Those that were on their way in when the drain began.
            let late: Vec<_> = shard.connections.borrow().values().cloned().collect();
            for connection in late {
                tokio::task::spawn_local(drain_one(connection));
            }
        });
    }
}

/// Nothing more is read, what was begun gets its ack, and then the transport goes.
async fn drain_one<S: Service>(connection: Rc<Connection<S>>) {
    connection.close_gate();
    let deadline = tokio::time::Instant::now() + DRAIN_COMMANDS_MAX;
    while connection.has_commands() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connection.open_gate();
    connection.close(CloseCode::RESTART, "draining", Reason::Drain);
}

fn sids<S: Service>(sessions: &[Rc<Session<S>>]) -> Vec<Sid> {
    sessions.iter().map(|session| session.sid.clone()).collect()
}
