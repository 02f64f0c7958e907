//! What a client event and an HTTP route have in common: an operation, where its fields come from, who may, how often.
//!
//! Out of the keys `do`, `room`, `to`, `map`, `item`, `roles`, `also`, `ask`, `limit`, `reply` and `answer` comes a [`Rule`].
//! Making a command of a checked payload is [`super::command`]'s.

use std::sync::Arc;

use serde_json::Value;
use toml::de::DeValue;

use super::between::check_items;
use super::catalogue::{self, Operation, Parameter, Takes};
use super::command::Verb;
use super::mistake::suggestion;
use super::places::Place;
use super::reader::{Node, Table, json, kind, text};
use super::schema::{Field, Fields, Types};
use super::settings::{Items, rate};
use super::shape::{Shape, Shapes};
use crate::limit::Rate;

/// The operation that takes a file before there is an item for it.
pub(super) const UPLOAD: &str = "file.upload";
/// The operation that takes a file for an item that is there.
const ATTACH: &str = "item.attach";

/// The relation of whoever owns the item that the rule's room is about.
pub(super) const ROOM_OWNER: &str = "room-owner";

/// What rules are compiled with.
pub(super) struct Compiler<'t> {
    pub(super) types: &'t Types,
    pub(super) shapes: &'t Shapes<'t>,
    pub(super) roles: &'t [&'t str],
    pub(super) items: &'t Items,
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// The client event's name, or the route's method and path.
    pub subject: Arc<str>,
    /// The operation's name.
    pub operation: &'static str,
    /// What may come.
    pub fields: Fields,
    /// Roles that may; empty: everybody.
    pub roles: Vec<Arc<str>>,
    /// Relations to the thing itself that may as well (`owner`, `assignee`, `author`, `room-owner`); their capability proves them.
    pub also: Vec<Arc<str>>,
    /// Whether the team's own backend is asked before anything is done.
    pub ask: bool,
    /// How often a user may.
    pub limit: Option<Rate>,
    /// What the ack or HTTP answer carries.
    pub reply: Option<Shape>,
    /// The event that carries the reply to the session itself as well.
    pub answer: Option<Arc<str>>,
    pub(super) verb: Verb,
    pub(super) parameters: &'static [Parameter],
    pub(super) sources: Vec<Option<Source>>,
    pub(super) places: Vec<Place>,
    pub(super) to: Vec<Place>,
    pub(super) item: Option<Arc<str>>,
}

/// Where a field of an operation comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A field of the payload, and steps into it.
    Field(usize, Box<[Box<str>]>),
    /// All that came, as it came.
    Whole,
    /// An object of some fields, each under its own (last) name.
    Gather(Vec<(Box<str>, Source)>),
    Constant(Value),
}

impl Rule {
    /// Reads the common keys. `fields` are what the payload, or path, query and body declare.
    pub(super) fn read<'t>(
        subject: &str,
        table: &Table<'t>,
        compiler: &Compiler<'t>,
        fields: Fields,
    ) -> Option<Self> {
        let named = table.required_text("do", "do = \"message.send\"");
        let operation = named.and_then(|(name, at)| operation(table, name, at));
        let map = table.table("map");
        let (room, to, reply) = (table.entry("room"), table.entry("to"), table.entry("reply"));
        let item = table.text("item");
        let roles = compiler.roles_of(table, "roles");
        let also = relations(table);
        let ask = table.flag("ask", false);
        let limit = table.text("limit").and_then(|(text, at)| {
            let parsed = rate(text);
            parsed.map_err(|problem| table.note(at, problem)).ok()
        });
        let answer = table.text("answer").map(|(name, at)| {
            if let Err(problem) = super::check_declared_name(name) {
                table.note(at, problem);
            }
            name.into()
        });
        let operation = operation?;
        let about_one = operation.name.starts_with("item.")
            || matches!(operation.name, "message.edit" | "message.delete");
        if let Some(entry) = table.entry("also").filter(|_| !about_one) {
            let text = format!("{} takes no \"also\"; nobody owns it", operation.name);
            table.note(entry.at.start, text);
        }
        let places = compiler.rooms_of(table, operation, room, &fields);
        if also.iter().any(|relation| **relation == *ROOM_OWNER) {
            compiler.check_room_owner(table, &places);
        }
        let to = compiler.targets_of(table, operation, to, &fields);
        let item = compiler.item_of(table, operation, item);
        let sources = compiler.sources_of(table, operation, map.as_ref(), &fields);
        let kind = item.as_ref().and_then(|item| compiler.items.get(item));
        let of_items = (compiler.items, kind);
        check_items(table, map.as_ref(), operation, of_items, &sources);
        let between = &compiler.shapes.between;
        between.reads(table, operation, item.as_ref(), &sources);
        let reply = reply.and_then(|entry| {
            let of = format!("the reply of {}", operation.name);
            compiler.shapes.compile(entry.node, operation.reply, &of)
        });
        Some(Self {
            subject: subject.into(),
            operation: operation.name,
            verb: Verb::of(operation.name),
            parameters: operation.parameters,
            fields,
            roles,
            also,
            ask,
            limit,
            reply,
            answer,
            sources,
            places,
            to,
            item,
        })
    }
}

impl Rule {
    /// The kind of item that it is about, where it names one.
    pub fn item(&self) -> Option<&str> {
        self.item.as_deref()
    }

    /// Whether it takes a file, which only a route with `upload` can.
    pub(super) fn takes_file(&self) -> bool {
        matches!(self.operation, UPLOAD | ATTACH)
    }
}

fn operation(table: &Table<'_>, name: &str, at: usize) -> Option<&'static Operation> {
    let found = catalogue::find(name);
    if found.is_none() {
        let help = suggestion(name, catalogue::OPERATIONS.iter().map(|known| known.name));
        table.note(at, format!("unknown operation \"{name}\"{help}"));
    }
    found
}

fn relations(table: &Table<'_>) -> Vec<Arc<str>> {
    const KNOWN: [&str; 4] = ["owner", "assignee", "author", ROOM_OWNER];
    let mut relations = Vec::new();
    for (name, at) in table.texts("also").unwrap_or_default() {
        if KNOWN.contains(&name) {
            relations.push(name.into());
        } else {
            let help = suggestion(name, KNOWN);
            table.note(at, format!("unknown relation \"{name}\"{help}"));
        }
    }
    relations
}

impl<'t> Compiler<'t> {
    /// Roles under a key, each declared in `[roles]`.
    pub(super) fn roles_of(&self, table: &Table<'t>, key: &'static str) -> Vec<Arc<str>> {
        let mut roles = Vec::new();
        for (name, at) in table.texts(key).unwrap_or_default() {
            if self.roles.contains(&name) {
                roles.push(name.into());
            } else {
                let help = suggestion(name, self.roles.iter().copied());
                table.note(at, format!("unknown role \"{name}\"{help}"));
            }
        }
        roles
    }

    /// Whoever owns the item that a room is about is somebody only where rooms are about items.
    fn check_room_owner(&self, table: &Table<'t>, places: &[Place]) {
        let is_about_item = |place: &Place| match place {
            Place::Room(kind, _) => {
                let room = self.shapes.rooms.kind(kind);
                room.is_some_and(|room| room.item.is_some())
            }
            _ => false,
        };
        if !places.iter().any(is_about_item) {
            let text = format!(
                "also = [\"{ROOM_OWNER}\"] needs \"room\", of a kind that is about an item; add item = \"story\" to its [rooms] table"
            );
            table.note(table.at.start, text);
        }
    }

    /// The fields that a table such as `payload` declares.
    pub(super) fn fields_of(&self, table: &Table<'t>, key: &'static str) -> Vec<Field> {
        let Some(declared) = table.table(key) else {
            return Vec::new();
        };
        // A field with a mistake keeps its name, so that what refers to it is not a mistake as well.
        let field = |entry| {
            let field = self.types.field(&declared, entry);
            field.or_else(|| self.types.plain(entry.key, "any", false))
        };
        declared.named().iter().filter_map(field).collect()
    }

    fn item_of(
        &self,
        table: &Table<'t>,
        operation: &Operation,
        item: Option<(&str, usize)>,
    ) -> Option<Arc<str>> {
        let is_upload = operation.name == UPLOAD;
        let about_items = operation.name.starts_with("item.") || is_upload;
        match item {
            None if about_items && operation.name != "item.list" => {
                let text = format!(
                    "{} needs \"item\": the name of an [items] table",
                    operation.name
                );
                table.note(table.at.start, text);
                None
            }
            None => None,
            Some((_, at)) if !about_items => {
                table.note(at, format!("{} takes no \"item\"", operation.name));
                None
            }
            Some((name, at)) => {
                match self.items.get(name) {
                    None => {
                        let help = suggestion(name, self.items.names());
                        table.note(at, format!("unknown item \"{name}\"{help}"));
                    }
                    Some(kind) if operation.name == "item.claim" && kind.lease_ms.is_none() => {
                        let text = format!(
                            "an item \"{name}\" cannot be claimed; add lease = \"60s\" to [items.{name}]"
                        );
                        table.note(at, text);
                    }
                    Some(kind) if is_upload && kind.address.is_none() => {
                        let text = format!(
                            "an item \"{name}\" has no field for the address of an upload; add address = \"url\" to [items.{name}]"
                        );
                        table.note(at, text);
                    }
                    Some(_) => {}
                }
                Some(name.into())
            }
        }
    }

    fn sources_of(
        &self,
        table: &Table<'t>,
        operation: &Operation,
        map: Option<&Table<'t>>,
        fields: &Fields,
    ) -> Vec<Option<Source>> {
        let entries = map.map_or(&[][..], |map| map.named());
        for entry in entries {
            if !operation
                .parameters
                .iter()
                .any(|known| known.name == entry.key)
            {
                let known = operation.parameters.iter().map(|known| known.name);
                let help = suggestion(entry.key, known);
                let text = format!("{} has no field \"{}\"{help}", operation.name, entry.key);
                table.note(entry.at.start, text);
            }
        }
        let of_parameter = |parameter: &Parameter| {
            let entry = entries.iter().find(|entry| entry.key == parameter.name);
            let (source, at) = match entry {
                Some(entry) => {
                    let at = entry.node.span().start;
                    let parsed = mapped(table, entry.node, fields);
                    (parsed.map_err(|problem| table.note(at, problem)).ok()?, at)
                }
                None => match fields.position(parameter.name) {
                    Some(index) => (Source::Field(index, Box::default()), table.at.start),
                    None if parameter.required => {
                        let text = format!(
                            "{} needs \"{}\": add it to \"map\", or a field of that name",
                            operation.name, parameter.name
                        );
                        table.note(table.at.start, text);
                        return None;
                    }
                    None => return None,
                },
            };
            let problem = misfit(&source, parameter, operation, fields);
            if let Some(problem) =
                problem.or_else(|| missing(&source, parameter, operation, fields))
            {
                table.note(at, problem);
            }
            Some(source)
        };
        operation.parameters.iter().map(of_parameter).collect()
    }
}

/// `field`, or `field.step`.
pub(super) fn source(path: &str, fields: &Fields) -> Result<Source, String> {
    let mut steps = path.split('.');
    let first = steps.next().unwrap_or(path);
    let Some(index) = fields.position(first) else {
        let help = suggestion(first, fields.names());
        return Err(format!("the payload has no field \"{first}\"{help}"));
    };
    Ok(Source::Field(index, steps.map(Into::into).collect()))
}

/// A value of `map`.
fn mapped<'t>(table: &Table<'t>, node: Node<'t>, fields: &Fields) -> Result<Source, String> {
    match node.get_ref() {
        DeValue::String(path) if path == "*" => Ok(Source::Whole),
        DeValue::String(path) => match path.strip_prefix('=') {
            Some(constant) => Ok(Source::Constant(constant.into())),
            None => source(path, fields),
        },
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
            Ok(Source::Constant(json(node)))
        }
        DeValue::Array(list) => {
            let mut gathered = Vec::new();
            for one in list {
                let Some((name, _)) = text(table.reader, "map", one) else {
                    continue;
                };
                let last = name.rsplit('.').next().unwrap_or(name);
                gathered.push((last.into(), source(name, fields)?));
            }
            Ok(Source::Gather(gathered))
        }
        other => Err(format!(
            "a field, a constant or a list of fields, not {}",
            kind(other)
        )),
    }
}

/// A field that the operation needs, and that clients may leave out.
fn missing(
    source: &Source,
    parameter: &Parameter,
    operation: &Operation,
    fields: &Fields,
) -> Option<String> {
    let Source::Field(index, steps) = source else {
        return None;
    };
    let field = fields.0.get(*index)?;
    let may_be_missing = parameter.required && !field.required && field.default.is_none();
    let (name, needed, operation) = (&field.name, parameter.name, operation.name);
    let remedy = match steps.is_empty() {
        true => "take the \"?\" or \"optional\" away, or give it a \"default\"",
        false => "take the \"?\" or \"optional\" away",
    };
    may_be_missing.then(|| {
        format!("{operation} needs \"{needed}\", and the field \"{name}\" is optional; {remedy}")
    })
}

/// Whether what a source gives can be what the operation takes, as far as the schema says.
fn misfit(
    source: &Source,
    parameter: &Parameter,
    operation: &Operation,
    fields: &Fields,
) -> Option<String> {
    let (takes, types) = parameter.takes.types();
    let (gives, fits) = match source {
        Source::Field(index, steps) if steps.is_empty() => {
            let field = fields.0.get(*index)?;
            let given = field.types()?;
            let fits = given.iter().all(|given| types.contains(given));
            (
                format!("\"{}\" gives {}", field.name, given.join(" or ")),
                fits,
            )
        }
        Source::Field(..) => return None,
        Source::Whole | Source::Gather(_) => (
            "this gives an object".to_owned(),
            parameter.takes == Takes::Object,
        ),
        Source::Constant(value) => {
            let fits = match value {
                Value::String(_) => types.contains(&"string"),
                Value::Bool(_) => types.contains(&"boolean"),
                _ => types.contains(&"integer"),
            };
            (format!("this gives {value}"), fits)
        }
    };
    (parameter.takes != Takes::Anything && !fits).then(|| {
        format!(
            "{gives}, but \"{}\" of {} takes {takes}",
            parameter.name, operation.name
        )
    })
}
