//! What clients may send: `[client.*]` of the app file, compiled, and looked up by name.
//!
//! In go an event's name and arguments, out comes a [`Request`] or the refusal that the client gets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::command::Asker;
use super::mistake::suggestion;
use super::reader::Table;
use super::request::Request;
use super::rooms::Rooms;
use super::rule::{Compiler, Rule};
use super::schema::{FIELDS_MAX, Fields};
use crate::error::{Code, Error};

/// One `[client.*]` table.
#[derive(Clone, Debug)]
pub struct ClientEvent {
    /// How bare arguments are called, in order; empty: one object is sent.
    pub arguments: Vec<Arc<str>>,
    /// The rest.
    pub rule: Arc<Rule>,
}

/// All `[client.*]` tables.
#[derive(Clone, Debug, Default)]
pub struct ClientEvents {
    by_name: HashMap<Arc<str>, ClientEvent>,
    order: Vec<Arc<str>>,
}

impl ClientEvents {
    /// Reads `[client]`.
    pub(super) fn read<'t>(table: Option<&Table<'t>>, compiler: &Compiler<'t>) -> Self {
        let mut events = Self::default();
        let Some(table) = table else {
            return events;
        };
        for entry in table.named() {
            if let Err(problem) = super::check_declared_name(entry.key) {
                table.note(entry.at.start, problem);
            }
            let Some(one) = Table::of(table.reader, entry) else {
                continue;
            };
            let event = ClientEvent::read(entry.key, &one, compiler);
            one.finish();
            if let Some(event) = event {
                events.order.push(event.rule.subject.clone());
                events.by_name.insert(event.rule.subject.clone(), event);
            }
        }
        events
    }

    /// Whether an event of that name is declared.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Every declared event, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ClientEvent> {
        self.order.iter().filter_map(|name| self.by_name.get(name))
    }

    /// The event of that name.
    pub(super) fn get(&self, name: &str) -> Option<&ClientEvent> {
        self.by_name.get(name)
    }

    /// See [`super::App::command`].
    pub(super) fn command(
        &self,
        rooms: &Arc<Rooms>,
        name: &str,
        arguments: &[Value],
        asker: Asker<'_>,
    ) -> Result<Request, Error> {
        let Some(event) = self.by_name.get(name) else {
            return Err(Error::new(Code::UnknownEvent, self.unknown(name)));
        };
        event.rule.permit(asker.actor)?;
        event.command(rooms, arguments, asker)
    }

    /// See [`super::App::is_stored`].
    pub(super) fn is_stored(&self, name: &str) -> bool {
        let event = self.by_name.get(name);
        event.is_some_and(|event| event.rule.is_stored())
    }

    fn unknown(&self, name: &str) -> String {
        // What a client sent is not echoed at any length.
        let shown: String = name.chars().take(64).filter(|c| !c.is_control()).collect();
        let known = self.order.iter().map(|known| &**known);
        format!("unknown event \"{shown}\"{}", suggestion(&shown, known))
    }
}

impl ClientEvent {
    fn read<'t>(name: &str, table: &Table<'t>, compiler: &Compiler<'t>) -> Option<Self> {
        let mut fields = compiler.fields_of(table, "payload");
        let mut arguments = Vec::new();
        for (argument, at) in table.texts("args").unwrap_or_default() {
            let (argument, optional) = match argument.strip_suffix('?') {
                Some(argument) => (argument, true),
                None => (argument, false),
            };
            if arguments
                .iter()
                .any(|known: &Arc<str>| **known == *argument)
            {
                table.note(at, format!("argument \"{argument}\" is there twice"));
                continue;
            }
            arguments.push(Arc::from(argument));
            if !fields.iter().any(|field| &*field.name == argument) {
                fields.extend(compiler.types.plain(argument, "id", optional));
            }
        }
        if !arguments.is_empty()
            && let Some(field) = fields.iter().find(|field| !arguments.contains(&field.name))
        {
            let text = format!(
                "\"args\" does not have the payload's field \"{}\", so nobody can send it",
                field.name
            );
            table.note(table.at.start, text);
        }
        if fields.len() > FIELDS_MAX {
            let text = format!("an event has at most {FIELDS_MAX} fields");
            table.note(table.at.start, text);
        }
        let rule = Rule::read(name, table, compiler, Fields(fields))?;
        if rule.takes_file() {
            let text = format!("{} takes a file, which comes by HTTP alone", rule.operation);
            table.note(table.at.start, text);
        }
        if let (Some(reply), Some(entry)) = (&rule.reply, table.entry("reply"))
            && !reply.is_object()
        {
            let text = "an ack is an object: reply = { messages = \"messages\" }";
            table.note(entry.node.span().start, text);
        }
        Some(Self {
            arguments,
            rule: Arc::new(rule),
        })
    }

    fn command(
        &self,
        rooms: &Arc<Rooms>,
        arguments: &[Value],
        asker: Asker<'_>,
    ) -> Result<Request, Error> {
        let subject = &*self.rule.subject;
        let fields = &self.rule.fields;
        let object = self.object(arguments);
        let values = match object {
            Some(object) => fields.check(subject, Some(object), |_, field| {
                object.get(&*field.name).map(Cow::Borrowed)
            })?,
            None if self.arguments.is_empty() => {
                // Nothing is as good as an object without fields, unless all that comes is passed on.
                if self.rule.takes_whole() || !arguments.first().is_none_or(Value::is_null) {
                    let text = format!("unable to take \"{subject}\"; expected one object");
                    return Err(Error::new(Code::InvalidPayload, text));
                }
                fields.check(subject, None, |_, _| None)?
            }
            None => fields.check(subject, None, |_, field| {
                let place = self.arguments.iter().position(|name| *name == field.name)?;
                arguments.get(place).map(Cow::Borrowed)
            })?,
        };
        self.rule.request(rooms, asker, &values)
    }

    /// The one object of an event that declares no bare arguments.
    fn object<'a>(&self, arguments: &'a [Value]) -> Option<&'a Map<String, Value>> {
        match self.arguments.is_empty() {
            true => arguments.first()?.as_object(),
            false => None,
        }
    }
}
