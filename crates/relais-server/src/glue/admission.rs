//! Who is let in: a client's CONNECT becomes a session, fresh or resumed, or a refusal.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use rand::RngCore as _;
use relais_core::capability::roster::Arrival;
use relais_core::command::{Actor, Identity};
use relais_core::error::{Code, Error};
use relais_core::ids::{AudienceKey, Epoch, Position, SessionId, TenantKey};
use relais_core::limit::{Rate, TokenBucket};
use relais_core::ports::{Head, StoreError};
use relais_core::vocabulary::{Automatic, RoomKind};
use relais_engine::{
    Accept, CloseCode, Connect, Interval, Offset, Refuse, Resume, Room, Sid, Wire,
};
use serde_json::Value;

use super::apps::Served;
use super::plain::{self, Greeting};
use super::scopes::Tenant;
use super::service::Relais;
use super::session::Session;
use super::{recovery, rooms};
use crate::identity::{Pid, find_token};

/// A resume that may be: what the client's pid and offset said, checked.
pub(super) struct Comeback {
    pub(super) pid: Pid,
    /// As the client has it: a stock client is recovered when the very same comes back.
    pub(super) text: String,
    pub(super) offset: Offset,
}

impl Relais {
    pub(super) async fn decide(
        self: Arc<Self>,
        connect: Connect,
    ) -> Result<Accept<Session>, Refuse> {
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
        let refusal = match connect.wire {
            Wire::Plain => plain::refusal,
            Wire::SocketIo | Wire::EngineIo | Wire::WebSocket => refusal,
        };
        self.admit(served, &connect)
            .await
            .map_err(|error| refusal(&error))
    }

    async fn admit(
        &self,
        served: Arc<Served>,
        connect: &Connect,
    ) -> Result<Accept<Session>, Error> {
        let auth: Option<Value> = connect
            .auth
            .as_deref()
            .and_then(|auth| serde_json::from_slice(auth).ok());
        let (tenant, identity) = self.authenticate(&served, connect, auth.as_ref()).await?;
        let tenant = self.scopes.load(&tenant).await?;
        let is_prepared = || served.dispatcher.is_prepared(&tenant.key, self.clock.now());
        let prepare = || served.dispatcher.prepare(&tenant.key, self.clock.now());
        let prepared = tenant.opening.once(is_prepared, prepare);
        prepared.await?;
        served
            .dispatcher
            .admit(&tenant.key, &identity, self.clock.now())?;
        let agent = connect
            .headers
            .get(http::header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok());
        let is_plain = connect.wire == Wire::Plain;
        let recovery = is_plain
            || recovery::is_wanted(served.app.recovery, auth.as_ref(), &connect.query, agent);
        let session = self.session(served, tenant, identity).await?;
        let dispatcher = &session.served.dispatcher;
        dispatcher.meet(&session.tenant.key, &session.identity);
        dispatcher
            .prepare_rooms(&session.tenant.key, &session.rooms)
            .await?;
        let comeback = match is_plain {
            true => plain::comeback(&self.pids, &connect.query),
            false if recovery => self.comeback(connect),
            false => None,
        };
        let accept = match comeback {
            Some(comeback) if comeback.is_of(&session) => self.resume(session, comeback).await?,
            Some(_) | None => fresh(session),
        };
        // Who comes back is no new connection: a crowd behind one address is not shut out after a restart.
        if accept.resume.is_some()
            && let Some(limiter) = &accept.data.served.connections
        {
            let client = self.proxies.client(connect.peer, &connect.headers);
            limiter.give_back(client.ip());
        }
        let accept = self.signed(accept, recovery, is_plain);
        Ok(match is_plain {
            true => self.greeted(accept, &connect.path),
            false => accept,
        })
    }

    /// A plain JSON session is told by an event what a Socket.IO one learns from CONNECT, and more.
    fn greeted(&self, mut accept: Accept<Session>, path: &str) -> Accept<Session> {
        let session = &accept.data;
        let intervals = accept.resume.iter().flat_map(|resume| &resume.intervals);
        let open = intervals.filter(|stay| stay.until.is_none());
        let rest = self.apps.of_path(path).map_or("", |(_, rest)| rest);
        let greeting = Greeting {
            credential: accept.pid.take().unwrap_or_default(),
            stays: open.filter_map(|stay| rooms::key(&stay.room)).collect(),
            entrance: session.served.app.entrance(rest).flatten(),
        };
        session.greeting.replace(Some(Box::new(greeting)));
        accept
    }

    async fn authenticate(
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
        served.prove(&token, self.clock.now().wall).await
    }

    async fn session(
        &self,
        served: Arc<Served>,
        tenant: Arc<Tenant>,
        identity: Identity,
    ) -> Result<Session, Error> {
        let member_changes = served.dispatcher.member_changes(&tenant.key);
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
            member_changes,
            missed_since: None,
            is_connected: Cell::new(false),
            clock: self.clock,
            bucket: RefCell::new(bucket),
            greeting: RefCell::default(),
            expiry: Cell::new(None),
        })
    }

    /// What a Socket.IO client wants to go on with. An unreadable pid, or an offset that is none, is a fresh session: stock clients do
    /// not come back from an error.
    fn comeback(&self, connect: &Connect) -> Option<Comeback> {
        let text = connect.pid.clone()?;
        Some(Comeback {
            pid: self.pids.read(&text)?,
            offset: Offset::parse(connect.offset.as_deref()?)?,
            text,
        })
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
        let seen = Head {
            epoch: Epoch(offset.epoch),
            position: Position(offset.position),
        };
        let arrival = self.arrival(&session, pid.session.clone());
        let Some(resumed) = dispatcher
            .resume(&key, arrival, &session.identity, seen, now)
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
    fn signed(
        &self,
        mut accept: Accept<Session>,
        recovery: bool,
        with_epoch: bool,
    ) -> Accept<Session> {
        if recovery && accept.pid.is_none() {
            let pid = Pid {
                session: accept.data.id.clone(),
                tenant: accept.data.tenant.key.clone(),
                user: accept.data.identity.person.id.clone(),
                epoch: with_epoch.then(|| accept.data.tenant.store.head().epoch),
            };
            accept.pid = Some(self.pids.sign(&pid));
        }
        accept.recovery = recovery;
        accept.sid = Some(Sid::from(accept.data.id.0.clone()));
        accept
    }

    pub(super) fn arrival(&self, session: &Session, id: SessionId) -> Arrival {
        Arrival {
            session: id,
            generation: session.generation,
            person: session.identity.person.clone(),
            rooms: session.rooms.clone(),
        }
    }
}

impl Comeback {
    /// Whether it is of this very user. A foreign one is as good as none.
    fn is_of(&self, session: &Session) -> bool {
        self.pid.tenant == session.tenant.key && self.pid.user == session.identity.person.id
    }
}

fn fresh(session: Session) -> Accept<Session> {
    let mut keys = vec![
        AudienceKey::Tenant,
        AudienceKey::User(session.identity.person.id.clone()),
    ];
    keys.extend(session.identity.person.role.clone().map(AudienceKey::Role));
    keys.extend(session.rooms.iter().cloned().map(AudienceKey::Room));
    let mut rooms: Vec<Room> = keys.iter().map(rooms::of).collect();
    rooms.extend(session.identity.token_id.as_deref().map(rooms::token));
    let mut accept = Accept::fresh(session.tenant.scope, session);
    accept.rooms = rooms;
    accept
}
/// A refused CONNECT. What passes closes the transport, because stock clients do not come back from CONNECT_ERROR.
fn refusal(error: &Error) -> Refuse {
    match error.code {
        Code::TokenMissing
        | Code::TokenInvalid
        | Code::TokenExpired
        | Code::TenantRequired
        | Code::Forbidden
        | Code::NotFound => {
            let data = serde_json::json!({ "code": error.code.row().name });
            Refuse::ConnectError {
                message: error.message.clone(),
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
