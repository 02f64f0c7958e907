//! The engine's service: who connects, what their events ask of the core, and what becomes of a session that goes or comes back.
//!
//! Runs on the shards. What waits for the store waits in the futures given back to the engine; nothing here blocks.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use rand::RngCore as _;
use relais_core::capability::roster::{Arrival, Departure};
use relais_core::command::{Actor, Command, Identity, Invocation, Origin};
use relais_core::error::{Code, Error};
use relais_core::event::Volatile;
use relais_core::ids::{AudienceKey, Epoch, Monotonic, Position, RoomKey, SessionId, TenantKey};
use relais_core::limit::{Rate, TokenBucket};
use relais_core::ports::StoreError;
use relais_core::vocabulary::{Asker, Automatic, Request, RoomKind, SessionFacts};
use relais_engine::{
    Accept, CloseCode, Connect, Event, Flow, Interval, LocalFuture, Offset, Reason, Refuse, Reply,
    Resume, Room, Service, Sid, Socket,
};
use serde_json::Value;

use super::apps::{Apps, Served};
use super::scopes::{Scopes, Tenant};
use super::{publication, recovery, rooms};
use crate::clock::Clock;
use crate::identity::{Pid, PidKey, find_token};

/// Users in the list that a session may get at its start.
const ONLINE_MAX: u32 = 100;

/// The glue between engine and core.
pub struct Relais {
    /// Apps by endpoint.
    pub apps: Arc<Apps>,
    /// Tenants in use.
    pub scopes: Arc<Scopes>,
    /// Signs sessions.
    pub pids: PidKey,
    /// Both clocks.
    pub clock: Clock,
    /// Events a second from one session; `None`: no limit.
    pub events_per_second_max: Option<u32>,
    /// Numbers connections, so that what an older one of a session does late is known as such.
    pub generations: AtomicU64,
}

/// What is kept for a session on its shard.
pub struct Session {
    served: Arc<Served>,
    tenant: Arc<Tenant>,
    actor: Actor,
    identity: Arc<Identity>,
    id: SessionId,
    generation: u64,
    rooms: Vec<RoomKey>,
    /// On a resume: since when it may have missed presence.
    missed_since: Option<Monotonic>,
    /// The engine has it: from then on the engine also says when it goes.
    is_connected: Cell<bool>,
    clock: Clock,
    bucket: RefCell<Option<TokenBucket>>,
}

impl Drop for Session {
    /// A resume whose connection went before the engine could take it: the roster knows the session as here, and nobody else would tell it.
    fn drop(&mut self) {
        if self.missed_since.is_some() && !self.is_connected.get() {
            let (tenant, now) = (&self.tenant.key, self.clock.now());
            self.served.dispatcher.disconnect(
                tenant,
                &self.id,
                self.generation,
                Departure::Lost,
                now,
            );
        }
    }
}

/// A resume that may be: what the client's pid and offset said, checked.
struct Comeback {
    pid: Pid,
    /// As the client has it: a stock client is recovered when the very same comes back.
    text: String,
    offset: Offset,
}

impl Relais {
    async fn decide(self: Arc<Self>, connect: Connect) -> Result<Accept<Session>, Refuse> {
        if &*connect.namespace != "/" {
            return Err(Refuse::ConnectError {
                message: "Invalid namespace".to_owned(),
                data: None,
            });
        }
        let served = self
            .apps
            .at(connect.endpoint)
            .cloned()
            .ok_or(Refuse::CloseTransport(CloseCode::INTERNAL_ERROR))?;
        let auth: Option<Value> = connect
            .auth
            .as_deref()
            .and_then(|auth| serde_json::from_slice(auth).ok());
        let (tenant, identity) = self
            .authenticate(&served, &connect, auth.as_ref())
            .map_err(refusal)?;
        let tenant = self.scopes.load(&tenant).await.map_err(refusal)?;
        let agent = connect
            .headers
            .get(http::header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let recovery =
            recovery::is_wanted(served.app.recovery, auth.as_ref(), &connect.query, agent);
        let session = self
            .session(served, tenant, identity)
            .await
            .map_err(refusal)?;
        let comeback = if recovery {
            self.comeback(&session, &connect)
        } else {
            None
        };
        let accept = match comeback {
            Some(comeback) => self.resume(session, comeback).await.map_err(refusal)?,
            None => fresh(session),
        };
        Ok(self.signed(accept, recovery))
    }

    fn authenticate(
        &self,
        served: &Served,
        connect: &Connect,
        auth: Option<&Value>,
    ) -> Result<(TenantKey, Identity), Error> {
        let header = connect
            .headers
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let query = token_of_query(&connect.query);
        let token = find_token(auth, header, query.as_deref())?;
        let claims = served
            .keys
            .prove(&token, &served.name, self.clock.now().wall)?;
        let (tenant, identity) = served.app.identity(&claims)?;
        Ok((TenantKey::new(served.name.clone(), tenant), identity))
    }

    async fn session(
        &self,
        served: Arc<Served>,
        tenant: Arc<Tenant>,
        identity: Identity,
    ) -> Result<Session, Error> {
        let joins_kept = |kind: &RoomKind| kind.automatic == Some(Automatic::Member);
        let kept = match served.app.rooms.0.iter().any(joins_kept) {
            true => tenant
                .store
                .rooms_of(&identity.person.id)
                .await
                .map_err(unavailable)?,
            false => Vec::new(),
        };
        let rooms = served
            .app
            .automatic_rooms(&tenant.key.tenant, &identity, &kept);
        let identity = Arc::new(identity);
        let rate = served.app.limits.events;
        let rate = rate.or_else(|| self.events_per_second_max.map(Rate::per_second));
        let bucket = rate.map(TokenBucket::new);
        Ok(Session {
            served,
            tenant,
            actor: Actor::User(identity.clone()),
            identity,
            id: new_session_id(),
            generation: self.generations.fetch_add(1, Ordering::Relaxed),
            rooms,
            missed_since: None,
            is_connected: Cell::new(false),
            clock: self.clock,
            bucket: RefCell::new(bucket),
        })
    }

    /// Whether the client asks for a session that is this user's own. A foreign or unreadable pid, or an offset that is none, is a
    /// fresh session: stock clients do not come back from an error.
    fn comeback(&self, session: &Session, connect: &Connect) -> Option<Comeback> {
        let pid = self.pids.read(connect.pid.as_deref()?)?;
        let offset = Offset::parse(connect.offset.as_deref()?)?;
        let own = pid.tenant == session.tenant.key && pid.user == session.identity.person.id;
        let text = connect.pid.clone()?;
        own.then_some(Comeback { pid, text, offset })
    }

    async fn resume(
        &self,
        mut session: Session,
        comeback: Comeback,
    ) -> Result<Accept<Session>, Error> {
        let Comeback { pid, text, offset } = comeback;
        let dispatcher = session.served.dispatcher.clone();
        let key = session.tenant.key.clone();
        let now = self.clock.now();
        let stays = session
            .tenant
            .store
            .session_rooms(&pid.session)
            .await
            .map_err(unavailable)?;
        let all_rooms: Vec<RoomKey> = session
            .rooms
            .iter()
            .cloned()
            .chain(stays.into_iter().map(|stay| stay.room))
            .collect();
        let (epoch, position) = (Epoch(offset.epoch), Position(offset.position));
        if !dispatcher
            .recoverable(&key, epoch, position, &all_rooms, now)
            .await?
        {
            return Ok(fresh(session));
        }
        let arrival = self.arrival(&session, pid.session.clone());
        let Some(resumed) = dispatcher
            .resume(&key, arrival, &session.identity, None, now)
            .await?
        else {
            return Ok(fresh(session));
        };
        let interval = |stay: relais_core::ports::Interval| Interval {
            room: rooms::room(&stay.room),
            since: stay.since.0,
            until: stay.until.map(|until| until.0),
        };
        session.missed_since = Some(resumed.since);
        session.id = pid.session;
        let mut accept = fresh(session);
        accept.pid = Some(text);
        accept.resume = Some(Resume {
            seen: offset,
            intervals: resumed.stays.into_iter().map(interval).collect(),
        });
        Ok(accept)
    }

    /// Gives the session the id and pid that it needs to come back.
    fn signed(&self, mut accept: Accept<Session>, recovery: bool) -> Accept<Session> {
        if recovery && accept.pid.is_none() {
            let pid = Pid {
                session: accept.data.id.clone(),
                tenant: accept.data.tenant.key.clone(),
                user: accept.data.identity.person.id.clone(),
                began: self.clock.now().wall,
            };
            accept.pid = Some(self.pids.sign(&pid));
        }
        accept.recovery = recovery;
        accept.sid = Some(Sid::from(accept.data.id.0.clone()));
        accept
    }

    fn arrival(&self, session: &Session, id: SessionId) -> Arrival {
        Arrival {
            session: id,
            generation: session.generation,
            person: session.identity.person.clone(),
            rooms: session.rooms.clone(),
        }
    }
}

fn fresh(session: Session) -> Accept<Session> {
    let mut keys = vec![
        AudienceKey::Tenant,
        AudienceKey::User(session.identity.person.id.clone()),
    ];
    keys.extend(session.identity.person.role.clone().map(AudienceKey::Role));
    keys.extend(session.rooms.iter().cloned().map(AudienceKey::Room));
    let rooms: Vec<Room> = keys.iter().map(rooms::of).collect();
    let mut accept = Accept::fresh(session.tenant.scope, session);
    accept.rooms = rooms;
    accept
}

impl Service for Relais {
    type Data = Session;

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<Session>, Refuse>> {
        Box::pin(self.clone().decide(connect))
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        let session = socket.data();
        session.is_connected.set(true);
        if session.missed_since.is_some() {
            return;
        }
        let arrival = self.arrival(session, session.id.clone());
        let arrived =
            session
                .served
                .dispatcher
                .connect(&session.tenant.key, arrival, self.clock.now());
        // The tenant was opened a moment ago, so this does not wait; if it would, the client simply comes back.
        if !matches!(arrived.now_or_never(), Some(Ok(_))) {
            socket.close(CloseCode::TRY_AGAIN_LATER, "the store is not available");
            return;
        }
        let facts = SessionFacts {
            session: &session.id,
            tenant: &session.tenant.key.tenant,
            resumed: false,
            rooms: &session.rooms,
            online: self.online(session),
        };
        for event in session.served.app.welcome(&session.identity, &facts) {
            socket.emit(&event.name, event.data.as_bytes());
        }
    }

    fn live(self: &Arc<Self>, socket: &Socket<Self>) {
        let session = socket.data();
        let Some(since) = session.missed_since else {
            return;
        };
        let (missed, _complete) =
            session
                .served
                .dispatcher
                .missed(&session.tenant.key, &session.id, since);
        for event in missed {
            self.tell(socket, event);
        }
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        match self.request(socket.data(), &event) {
            Err(error) => refused(socket, event.name, event.wants_ack, &error),
            Ok(request) => self.run(socket, &event, request),
        }
    }

    fn disconnected(self: &Arc<Self>, socket: &Socket<Self>, reason: Reason) {
        let departure = match reason {
            Reason::ClientLeft => Departure::Clean,
            Reason::Heartbeat => Departure::Silent,
            Reason::TransportLost
            | Reason::SlowConsumer
            | Reason::Drain
            | Reason::Protocol
            | Reason::Closed => Departure::Lost,
            Reason::Fenced => return,
        };
        let session = socket.data();
        let (tenant, now) = (&session.tenant.key, self.clock.now());
        session.served.dispatcher.disconnect(
            tenant,
            &session.id,
            session.generation,
            departure,
            now,
        );
    }
}

impl Relais {
    /// What an event asks for, or why it is refused before anything is loaded.
    fn request(&self, session: &Session, event: &Event<'_>) -> Result<Request, Error> {
        let now = self.clock.now();
        if let Some(bucket) = session.bucket.borrow_mut().as_mut() {
            bucket
                .take(now.monotonic)
                .map_err(|wait| Error::rate_limited("too many events from this session", wait))?;
        }
        if !event.attachments.is_empty() {
            return Err(Error::new(
                Code::InvalidPayload,
                "unable to take binary arguments here",
            ));
        }
        let arguments: Vec<Value> = serde_json::from_str(&format!("[{}]", event.args))
            .map_err(|_| Error::new(Code::InvalidPayload, "unable to read the arguments"))?;
        let asker = Asker {
            actor: &session.actor,
            tenant: &session.tenant.key.tenant,
        };
        let request = session.served.app.command(event.name, &arguments, asker)?;
        if let Some(limit) = request.limit() {
            let user = &session.identity.person.id;
            session.served.limits.take(
                &session.tenant.key,
                user,
                request.subject(),
                limit,
                now.monotonic,
            )?;
        }
        Ok(request)
    }

    fn run(self: &Arc<Self>, socket: &Socket<Self>, event: &Event<'_>, request: Request) -> Flow {
        let session = socket.data();
        let invocation = self.invocation(session, request.command.clone());
        // A send keeps its place by being submitted in its first poll; everything else waits for what came before it.
        let pipelined = matches!(invocation.command, Command::SendMessage(_));
        let (name, wants_ack, socket) = (event.name.to_owned(), event.wants_ack, socket.clone());
        let dispatcher = session.served.dispatcher.clone();
        let done = Box::pin(async move {
            match dispatcher.dispatch(invocation).await {
                Ok(facts) => {
                    if let Some((name, data)) = request.answer(&facts) {
                        socket.emit(&name, data.as_bytes());
                    }
                    wants_ack.then(|| Reply::json(request.ack(&facts)))
                }
                Err(error) => refusal_reply(&socket, &name, wants_ack, &error),
            }
        });
        if pipelined {
            Flow::Pipelined(done)
        } else {
            Flow::Barrier(done)
        }
    }

    /// Who is online now, for a session's first events.
    fn online(&self, session: &Session) -> Value {
        let list = Command::ListPresence {
            before: None,
            limit: ONLINE_MAX,
        };
        let asked = session
            .served
            .dispatcher
            .dispatch(self.invocation(session, list));
        // The tenant is in use, so the list comes from memory and does not wait.
        let facts = asked
            .now_or_never()
            .and_then(Result::ok)
            .unwrap_or_default();
        facts
            .get("users")
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()))
    }

    fn invocation(&self, session: &Session, command: Command) -> Invocation {
        Invocation {
            tenant: session.tenant.key.clone(),
            actor: session.actor.clone(),
            origin: Origin::Session {
                id: session.id.clone(),
            },
            now: self.clock.now(),
            new_id: self.clock.new_id(),
            command,
        }
    }

    /// An event that this session alone missed.
    fn tell(&self, socket: &Socket<Self>, event: Volatile) {
        let delivery = publication::volatile(&socket.data().tenant, event);
        for event in delivery.events() {
            socket.emit(&event.name, &event.args);
        }
    }
}

fn refused(socket: &Socket<Relais>, name: &str, wants_ack: bool, error: &Error) -> Flow {
    refusal_reply(socket, name, wants_ack, error).map_or(Flow::Done, Flow::Reply)
}

/// A refusal as the ack, or as the event `error` where there is no ack to carry it: the ack's object with the event's name, and
/// the code and message at the top too, so that a handler need not unwrap.
fn refusal_reply(
    socket: &Socket<Relais>,
    name: &str,
    wants_ack: bool,
    error: &Error,
) -> Option<Reply> {
    if error.code == Code::Internal {
        tracing::error!(event = name, %error, "unable to handle an event");
    }
    let mut object = serde_json::json!({ "success": false, "error": error.to_json() });
    if wants_ack {
        return Some(Reply::json(object.to_string()));
    }
    if let Value::Object(flat) = error.to_json() {
        flat.into_iter()
            .for_each(|(key, value)| object[key] = value);
    }
    object["event"] = name.into();
    socket.emit("error", object.to_string().as_bytes());
    None
}

/// A refused CONNECT. What passes closes the transport, because stock clients do not come back from CONNECT_ERROR.
fn refusal(error: Error) -> Refuse {
    match error.code {
        Code::TokenMissing
        | Code::TokenInvalid
        | Code::TokenExpired
        | Code::TenantRequired
        | Code::Forbidden
        | Code::NotFound => {
            let data = serde_json::json!({ "code": error.code.row().name });
            Refuse::ConnectError {
                message: error.message,
                data: Some(Bytes::from(data.to_string())),
            }
        }
        _ => Refuse::CloseTransport(CloseCode::TRY_AGAIN_LATER),
    }
}

/// The token of a query string, percent-decoded; `+` is a space, and a value in JSON quotes loses them (as some clients send it).
pub fn token_of_query(query: &str) -> Option<String> {
    let value = relais_protocol::engineio::Query::value(query, "token")?;
    Some(value.trim_matches('"').to_owned()).filter(|token| !token.is_empty())
}

/// A fresh session id: 160 random bits.
fn new_session_id() -> SessionId {
    let mut bytes = [0_u8; 20];
    rand::rng().fill_bytes(&mut bytes);
    SessionId(URL_SAFE_NO_PAD.encode(bytes).into())
}

fn unavailable(error: StoreError) -> Error {
    tracing::error!(%error, "unable to read what a connecting session needs");
    Error::new(Code::Unavailable, "unable to reach the store")
}
