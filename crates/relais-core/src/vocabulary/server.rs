//! What the server sends: `[server.*]` of the app file, compiled, and the wire events that a record becomes.
//!
//! In goes a record or a volatile event, out come the app's wire events: name, JSON and audience. Encoding for a
//! protocol, and delivery, are the engine's.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use smallvec::SmallVec;

use super::audience::{To, unite};
use super::binary;
use super::facts::{self, Fact};
use super::mistake::suggestion;
use super::reader::Table;
use super::rooms::Rooms;
use super::selectors::selectors;
use super::shape::{Shape, Shapes};
use super::view::{Path, View};
use crate::event::{Audience, Event, EventKind, Record, Volatile};

/// Events of one record at most; the offset's index counts them.
pub const WIRE_EVENTS_MAX: usize = 8;

/// An event as an application's clients see it.
#[derive(Clone, Debug, PartialEq)]
pub struct WireEvent {
    /// The event's name.
    pub name: Arc<str>,
    /// Its one argument: raw JSON. Attachments stand in it as `{"_placeholder":true,"num":0}`.
    pub data: String,
    /// Binary attachments, in the order of their numbers.
    pub attachments: Vec<Bytes>,
    /// Who of those that the record (or volatile event) is for gets this event; `None`: all of them.
    /// It narrows, and never widens, the record's own audience.
    pub audience: Option<Audience>,
}

/// The wire events of one record, in the order of the file: its place in the list is the index of the offset.
pub type WireEvents = SmallVec<[WireEvent; 2]>;

/// One `[server.*]` table.
#[derive(Clone, Debug)]
pub struct ServerEvent {
    /// The event's name.
    pub name: Arc<str>,
    /// What makes it.
    pub on: On,
    /// Facts that must have one of these values.
    only: Vec<(Path, Vec<Value>)>,
    pub(super) to: Option<To>,
    /// What it carries.
    pub data: Shape,
}

impl ServerEvent {
    /// The values that a fact of the body must have, where the file says so; for documents.
    pub fn only(&self, fact: &str) -> Vec<&Value> {
        let own = self
            .only
            .iter()
            .find(|(path, _)| *path == Path::body(&[fact]));
        own.into_iter().flat_map(|(_, values)| values).collect()
    }
}

/// What makes a server event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// Something happened.
    Event(EventKind),
    /// A session began: the first event that it gets.
    Connected,
    /// The same, right after the first event.
    Ready,
}

/// All `[server.*]` tables, by what makes them.
#[derive(Clone, Debug, Default)]
pub struct ServerEvents {
    by_kind: Vec<Vec<ServerEvent>>,
    pub(super) session: Vec<ServerEvent>,
    tables: usize,
}

impl ServerEvents {
    /// Reads `[server]`.
    pub(super) fn read<'t>(
        table: Option<&Table<'t>>,
        shapes: &Shapes<'t>,
        roles: &[&'t str],
    ) -> Self {
        let mut events = Self {
            by_kind: EventKind::ALL.iter().map(|_| Vec::new()).collect(),
            session: Vec::new(),
            tables: 0,
        };
        let Some(table) = table else {
            return events;
        };
        events.tables = table.named().len();
        for entry in table.named() {
            if let Err(problem) = super::check_declared_name(entry.key) {
                table.note(entry.at.start, problem);
            }
            let Some(one) = Table::of(table.reader, entry) else {
                continue;
            };
            for event in ServerEvent::read(entry.key, &one, shapes, roles) {
                let list = match event.on {
                    On::Event(kind) => &mut events.by_kind[kind as usize],
                    On::Connected | On::Ready => &mut events.session,
                };
                if list.len() >= WIRE_EVENTS_MAX {
                    let text = format!("at most {WIRE_EVENTS_MAX} events can come of one thing");
                    table.note(entry.at.start, text);
                    continue;
                }
                list.push(event);
            }
            one.finish();
        }
        // `connected` first, whatever the order of the file.
        events
            .session
            .sort_by_key(|event| event.on != On::Connected);
        events
    }

    /// The event that greets a session, where the file does not say it.
    pub(super) fn greet(&mut self, data: impl FnOnce() -> Shape) {
        if self.session.iter().any(|event| event.on == On::Connected) {
            return;
        }
        let greeting = ServerEvent {
            name: "connected".into(),
            on: On::Connected,
            only: Vec::new(),
            to: None,
            data: data(),
        };
        self.session.insert(0, greeting);
    }

    /// How many tables the file has, whatever number of kinds each is made of.
    pub fn tables(&self) -> usize {
        self.tables
    }

    /// Every declared event, once for each kind that makes it, and the greeting.
    pub fn iter(&self) -> impl Iterator<Item = &ServerEvent> {
        self.by_kind.iter().flatten().chain(&self.session)
    }

    fn of_kind(&self, kind: EventKind) -> &[ServerEvent] {
        self.by_kind.get(kind as usize).map_or(&[], Vec::as_slice)
    }

    /// What the file makes of an event, each table once, whichever of the event's kinds it is about.
    pub(super) fn of<'s>(
        &'s self,
        event: &'s Event,
    ) -> impl Iterator<Item = &'s ServerEvent> + Clone {
        let of_kind = |kind| self.of_kind(kind);
        let kinds = event.kinds().enumerate();
        kinds.flat_map(move |(index, kind)| {
            let is_new = move |one: &&ServerEvent| {
                let mut earlier = event.kinds().take(index).flat_map(of_kind);
                !earlier.any(|other| other.name == one.name)
            };
            of_kind(kind).iter().filter(is_new)
        })
    }

    /// See [`super::App::tells`].
    pub(super) fn tells(&self, kind: EventKind) -> bool {
        kind == EventKind::RelaySent || !self.of_kind(kind).is_empty()
    }

    /// See [`super::App::audience`].
    pub(super) fn audience(&self, rooms: &Rooms, event: &Event) -> Option<Audience> {
        let view = View::of_event(rooms, event);
        if event.kind == EventKind::RelaySent {
            return event.audience.clone();
        }
        let mut made = self.of(event).filter(|one| one.wants(&view)).peekable();
        made.peek()?;
        if let Some(audience) = &event.audience {
            return Some(audience.clone());
        }
        unite(made.filter_map(|one| one.to.as_ref()?.resolve(event, &view, None)))
    }

    pub(super) fn render_record(&self, rooms: &Rooms, record: &Record) -> WireEvents {
        // For nobody, or erased since: there is nothing to write.
        if record.audience.to.is_empty() {
            return WireEvents::new();
        }
        let view = View::of_record(rooms, record);
        self.render(&record.event, &view, Some(&record.audience))
    }

    pub(super) fn render_volatile(&self, rooms: &Rooms, volatile: &Volatile) -> WireEvents {
        let view = View::of_volatile(rooms, volatile);
        self.render(&volatile.event, &view, volatile.event.audience.as_ref())
    }

    fn render(&self, event: &Event, view: &View<'_>, whole: Option<&Audience>) -> WireEvents {
        let mut wanted = self.of(event).filter(|one| one.wants(view)).peekable();
        if event.kind == EventKind::RelaySent && wanted.peek().is_none() {
            return relayed(event).into_iter().collect();
        }
        let rendered = wanted.filter_map(|one| {
            let audience = match &one.to {
                None => None,
                // Of several choices none applies: this wire event is for nobody.
                Some(to) => Some(narrow(to.resolve(event, view, whole)?, whole)),
            };
            let (data, attachments) = binary::carried(one.render(view), &event.attachments);
            Some(WireEvent {
                name: one.name.clone(),
                data,
                attachments,
                audience,
            })
        });
        rendered.take(WIRE_EVENTS_MAX).collect()
    }
}

/// Keeps a wire event inside the audience of its record, so that no file can show a private message to a room.
fn narrow(mut own: Audience, whole: Option<&Audience>) -> Audience {
    let Some(whole) = whole else {
        return own;
    };
    own.to.retain(|key| whole.to.contains(key));
    if own.to.is_empty() {
        return whole.clone();
    }
    own.except_user = own.except_user.or_else(|| whole.except_user.clone());
    own.except_session = own.except_session.or_else(|| whole.except_session.clone());
    own
}

/// A relay carries its name and data itself, unless the file has a map for it.
fn relayed(event: &Event) -> Option<WireEvent> {
    Some(WireEvent {
        name: event.body.get("event")?.as_str()?.into(),
        // Not `to_string`, which goes through a formatter: three times the instructions.
        data: serde_json::to_string(event.body.get("data").unwrap_or(&Value::Null)).ok()?,
        attachments: event.attachments.clone(),
        audience: None,
    })
}

impl ServerEvent {
    /// One for each kind of event that `on` names.
    fn read<'t>(
        name: &'t str,
        table: &Table<'t>,
        shapes: &Shapes<'t>,
        roles: &[&'t str],
    ) -> Vec<Self> {
        if table.entry("on").is_none() {
            let text = "\"on\" is missing; for example on = \"message.sent\"";
            table.note(table.at.start, text);
        }
        if table.entry("data").is_none() {
            let text = "\"data\" is missing; for example data = { id = \"id\" }";
            table.note(table.at.start, text);
        }
        // Known keys, even where `on` is wrong.
        let _ = (table.entry("to"), table.entry("only"));
        let sources = table.texts("on").unwrap_or_default();
        if sources.is_empty() && table.entry("on").is_some() {
            table.note(
                table.at.start,
                "\"on\" is empty, so nothing makes this event",
            );
        }
        let sources = sources.into_iter();
        let one = |(of, at)| Self::on(name, of, source(table, of, at)?, table, shapes, roles);
        sources.filter_map(one).collect()
    }

    fn on<'t>(
        name: &'t str,
        of: &str,
        on: On,
        table: &Table<'t>,
        shapes: &Shapes<'t>,
        roles: &[&'t str],
    ) -> Option<Self> {
        let facts: &[Fact] = match on {
            On::Event(kind) => facts::event_facts(kind),
            On::Connected | On::Ready => facts::SESSION,
        };
        let (to, only) = (table.entry("to"), table.entry("only"));
        if let (Some(entry), On::Connected | On::Ready) = (to, on) {
            let text = "what opens a session goes to that session; remove \"to\"";
            table.note(entry.at.start, text);
        }
        let to = to.map(|entry| To::compile(shapes, entry, roles, facts, of));
        let only = only.map_or_else(Vec::new, |entry| selectors(table, entry, shapes, facts, of));
        let data = shapes.compile(table.entry("data")?.node, facts, of)?;
        Some(Self {
            name: name.into(),
            on,
            only,
            to,
            data,
        })
    }

    pub(super) fn wants(&self, view: &View<'_>) -> bool {
        self.only
            .iter()
            .all(|(path, values)| view.value(path).is_some_and(|fact| values.contains(fact)))
    }

    pub(super) fn render(&self, view: &View<'_>) -> String {
        render(&self.data, view)
    }
}

/// A shape as JSON text.
pub(super) fn render(shape: &Shape, view: &View<'_>) -> String {
    let mut out = Vec::with_capacity(256);
    shape.write(view, &mut out);
    String::from_utf8(out).expect("shapes and values are written as UTF-8")
}

fn source(table: &Table<'_>, text: &str, at: usize) -> Option<On> {
    match text {
        "session.connected" => Some(On::Connected),
        "session.ready" => Some(On::Ready),
        _ => EventKind::from_name(text).map(On::Event).or_else(|| {
            let known = EventKind::ALL.iter().map(|kind| kind.name());
            let help = suggestion(text, known.chain(["session.connected", "session.ready"]));
            table.note(at, format!("unknown event kind \"{text}\"{help}"));
            None
        }),
    }
}
