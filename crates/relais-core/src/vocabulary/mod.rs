//! An application's words: the app file, read once, checked, and compiled.
//!
//! [`App::parse`] turns a TOML file into an [`App`], or into every mistake in it with its place and what would be right.
//! After that nothing is parsed or matched by text: a client event is one hash lookup and becomes a
//! [`Command`](crate::command::Command); a record becomes the app's wire events by compiled field maps; a token's claims
//! become an identity; a request finds its route. Only this module knows a name of an application, and it knows none but
//! by the file. It decides nothing about rooms, messages or people: that is the capabilities'.
//!
//! The grammar is documented, key by key, in `docs/APPS.md`.

mod audience;
mod between;
mod binary;
mod body;
mod catalogue;
mod client;
mod command;
mod compile;
mod demo;
#[cfg(test)]
mod documents;
mod entrance;
mod facts;
mod fields;
mod http;
mod identity;
mod mistake;
mod notices;
mod places;
mod push;
mod reader;
mod request;
mod rooms;
mod rule;
mod schema;
mod selectors;
mod server;
mod settings;
mod shape;
mod view;
mod webhook;
mod work;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::command::{Actor, Identity};
use crate::error::Error;
use crate::event::{Audience, Event, EventKind, Facts, Record, Volatile};
use crate::ids::{RoomKey, SessionId};
use crate::ports::{Audiences, Notice};

pub use body::BodySchema;
pub use client::{ClientEvent, ClientEvents};
pub use command::Asker;
pub use demo::{Demo, DemoEvent, DemoRoom, DemoUser};
pub use entrance::Entry;
pub use facts::{Fact, Holds, Type};
pub use fields::ItemField;
pub use http::{Auth, Match, Parameters, Route, Routes, decode};
pub use identity::{CLAIMED_ROOMS_MAX, IdentityRules, NAME_CHARS_MAX};
pub use mistake::{Mistake, Mistakes, suggestion};
pub use notices::Notices;
pub use push::{Push, When};
pub use request::{Answer, Request};
pub use rooms::{Automatic, JoinPolicy, MEMBER_ROOMS_MAX, ROOM_BYTES_MAX, RoomKind, Rooms};
pub use rule::Rule;
pub use schema::{Field, Fields};
pub use server::{On, ServerEvent, ServerEvents, WIRE_EVENTS_MAX, WireEvent, WireEvents};
pub use settings::{Item, Items, Limits, Presence, Reach, SocketPath};
pub use shape::{Member, Shape, Told};
pub use view::{Path, PersonPart, RoomPart};
pub use webhook::{Question, Webhook};
pub use work::Work;

/// Bytes that an event's name may have.
pub const EVENT_NAME_BYTES_MAX: usize = 255;

/// Names that Socket.IO keeps for itself.
const RESERVED_EVENTS: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Events that the server handles or sends in every app.
const OWN_EVENTS: [&str; 3] = ["auth:refresh", "auth:expiring", "error"];

/// A compiled app file.
#[derive(Debug)]
pub struct App {
    /// By which the app is known in addresses (`/bam/`), tokens and logs.
    pub name: Arc<str>,
    /// For people.
    pub title: Arc<str>,
    /// Whether the app wants to be served at the root as well.
    pub root: bool,
    /// Whether Socket.IO clients get state recovery unless they say otherwise.
    pub recovery: bool,
    /// Roles, each with its permissions.
    pub roles: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Claims that say who somebody is.
    pub identity: IdentityRules,
    /// Room kinds.
    pub rooms: Arc<Rooms>,
    /// Statuses, and who hears of them.
    pub presence: Presence,
    /// The app's own limits.
    pub limits: Limits,
    /// Item kinds.
    pub items: Items,
    /// What goes out as a push besides.
    pub push: Push,
    /// What the team's own backend is told of.
    pub webhook: Webhook,
    /// Paths of the plain JSON WebSocket, below the app's own address.
    pub websocket: Vec<SocketPath>,
    /// What clients may send.
    pub client: ClientEvents,
    /// What the server sends.
    pub server: ServerEvents,
    /// HTTP routes.
    pub http: Routes,
    /// What development mode starts with.
    pub demo: Demo,
    /// Notifications that events make: type, what makes it, to whom, and its fields.
    pub notifications: Notices,
    metrics: Shape,
    /// What is right in the file and yet likely not meant.
    pub warnings: Vec<Mistake>,
}

/// What a new session is told about itself.
#[derive(Clone)]
pub struct SessionFacts<'a> {
    /// The session's public id.
    pub session: &'a SessionId,
    /// Its tenant.
    pub tenant: &'a str,
    /// Whether it goes on where an earlier connection ended.
    pub resumed: bool,
    /// Rooms that it is in.
    pub rooms: &'a [RoomKey],
    /// Who is online: objects with the facts of presence. Asked for only where the file shows it.
    pub online: &'a dyn Fn() -> Value,
}

impl App {
    /// Reads, checks and compiles an app file. `file` is what mistakes are reported under.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistakes> {
        compile::app(file, text)
    }

    /// The command that a client event asks for.
    ///
    /// `arguments` are the event's, without what a protocol adds. Errors: `UNKNOWN_EVENT`, `FORBIDDEN` (role),
    /// `INVALID_PAYLOAD` with the field and what was expected.
    pub fn command(
        &self,
        event: &str,
        arguments: &[Value],
        asker: Asker<'_>,
    ) -> Result<Request, Error> {
        self.client.command(&self.rooms, event, arguments, asker)
    }

    /// Whether what this client event asks for is always stored, whatever its payload says: a message, or a relay that cannot be volatile.
    pub fn is_stored(&self, event: &str) -> bool {
        self.client.is_stored(event)
    }

    /// What to ask the team's own backend of a client event before it becomes a command. `None`: it is not asked.
    ///
    /// Errors: `FORBIDDEN` (role).
    pub fn question(
        &self,
        event: &str,
        arguments: &[Value],
        actor: &Actor,
    ) -> Result<Option<Question>, Error> {
        self.client.question(event, arguments, actor)
    }

    /// The arguments of a client event out of the payload that the backend has made of it.
    pub fn arguments(&self, event: &str, payload: Map<String, Value>) -> Vec<Value> {
        self.client.arguments(event, payload)
    }

    /// The command that a matched HTTP request asks for. `query` is raw, `body` the parsed JSON if there was any.
    ///
    /// Errors: `FORBIDDEN` (who may), `INVALID_PAYLOAD`.
    pub fn request(
        &self,
        route: &Route,
        parameters: &Parameters<'_>,
        query: &str,
        body: Option<&Value>,
        asker: Asker<'_>,
    ) -> Result<Request, Error> {
        route.request(&self.rooms, parameters, query, body, asker)
    }

    /// Who hears of an event: what the core decided, else the union of what the app's wire events say.
    /// `None`: the app makes nothing of it.
    pub fn audience(&self, event: &Event) -> Option<Audience> {
        self.server.audience(&self.rooms, event)
    }

    /// Whether any wire event can come of events of this kind.
    pub fn tells(&self, kind: EventKind) -> bool {
        self.server.tells(kind)
    }

    /// The wire events that a record becomes, live or replayed, always the same and in the same order.
    pub fn render(&self, record: &Record) -> WireEvents {
        self.server.render_record(&self.rooms, record)
    }

    /// The wire events that a volatile event becomes.
    pub fn render_volatile(&self, volatile: &Volatile) -> WireEvents {
        self.server.render_volatile(&self.rooms, volatile)
    }

    /// Tenant and identity out of the claims of a proved token.
    ///
    /// Errors: `TOKEN_INVALID` (no user, too many rooms), `TENANT_REQUIRED`.
    pub fn identity(&self, claims: &Map<String, Value>) -> Result<(Arc<str>, Identity), Error> {
        self.identity.prove(claims, &self.roles, &self.rooms)
    }

    /// Permissions of a role; none for somebody without one.
    pub fn permissions(&self, role: Option<&str>) -> &[Arc<str>] {
        let known = self.roles.iter().find(|(name, _)| Some(&**name) == role);
        known.map_or(&[], |(_, permissions)| permissions)
    }

    /// The first events of a session, for it alone: `connected`, then what the app wants to follow it.
    pub fn welcome(&self, identity: &Identity, session: &SessionFacts<'_>) -> WireEvents {
        let person = &identity.person;
        let mut facts = Facts::new();
        facts.insert("user".into(), serde_json::json!(person));
        let permissions = self.permissions(person.role.as_deref());
        facts.insert("permissions".into(), serde_json::json!(permissions));
        facts.insert("tenant".into(), session.tenant.into());
        facts.insert("sessionId".into(), (*session.session.0).into());
        facts.insert("resumed".into(), session.resumed.into());
        let ids: Vec<Value> = session.rooms.iter().map(|room| (*room.id).into()).collect();
        facts.insert("rooms".into(), ids.into());
        if self
            .server
            .session
            .iter()
            .any(|event| event.data.reads("online"))
        {
            facts.insert("online".into(), (session.online)());
        }
        let view = view::View::of_facts(&self.rooms, &facts);
        let events = self.server.session.iter().map(|event| WireEvent {
            name: event.name.clone(),
            data: event.render(&view),
            attachments: Vec::new(),
            audience: None,
        });
        events.collect()
    }

    /// Counters under the app's own names, for `GET /metrics` as JSON.
    pub fn metrics(&self, counters: &Facts) -> String {
        server::render(&self.metrics, &view::View::of_facts(&self.rooms, counters))
    }

    /// The rooms that a new session joins at once.
    pub fn automatic_rooms(
        &self,
        tenant: &str,
        identity: &Identity,
        memberships: &[RoomKey],
    ) -> Vec<RoomKey> {
        self.rooms.automatic(tenant, identity, memberships)
    }
}

impl Audiences for App {
    fn audience(&self, event: &Event) -> Option<Audience> {
        self.server.audience(&self.rooms, event)
    }

    fn tells(&self, kind: EventKind) -> bool {
        self.server.tells(kind)
    }

    fn notices(&self, event: &Event) -> Vec<Notice> {
        self.notifications.of(&self.rooms, event)
    }
}

/// Whether an app file can declare an event of that name.
fn check_declared_name(name: &str) -> Result<(), String> {
    if OWN_EVENTS.contains(&name) {
        return Err(format!("\"{name}\" is an event that every app has already"));
    }
    check_event_name(name)
}

/// Whether something can be an event's name.
pub fn check_event_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > EVENT_NAME_BYTES_MAX {
        return Err(format!(
            "an event's name has 1 to {EVENT_NAME_BYTES_MAX} bytes"
        ));
    }
    if name.chars().any(char::is_control) {
        return Err("an event's name has no control characters".to_owned());
    }
    if RESERVED_EVENTS.contains(&name) {
        return Err(format!(
            "\"{name}\" is a name that Socket.IO keeps for itself"
        ));
    }
    Ok(())
}
