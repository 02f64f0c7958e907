//! What an app leaves to the team's own backend: `[webhook]` of the file, and `ask` on client events and routes.
//!
//! In go what a client sent and what the backend made of it, out comes what is then read like anything that a client sends. Where the
//! backend is, is the deployment's; asking it is the server's.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::client::{ClientEvent, ClientEvents};
use super::http::{Parameters, Route};
use super::mistake::suggestion;
use super::reader::Table;
use crate::command::Actor;
use crate::error::Error;
use crate::event::EventKind;
use crate::limit::Rate;

/// Kinds that are never stored, so that nobody can be told of them for certain.
const VOLATILE: [EventKind; 6] = [
    EventKind::RoomJoined,
    EventKind::RoomLeft,
    EventKind::TypingChanged,
    EventKind::PresenceOnline,
    EventKind::PresenceOffline,
    EventKind::PresenceChanged,
];

/// What the backend is told where somebody is to get a push on a telephone. No kind of event: nothing of it is stored.
const PUSH_REQUESTED: &str = "push.requested";

/// `[webhook]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhook {
    /// Kinds of event that the backend is told of.
    pub tell: Vec<EventKind>,
    /// Whether it is told of pushes, to send them on.
    pub tells_pushes: bool,
}

impl Webhook {
    pub(super) fn read(table: Option<&Table<'_>>, is_push_on: bool) -> Self {
        let mut webhook = Self::default();
        let Some(table) = table else {
            return webhook;
        };
        let stored = |kind: &&EventKind| !VOLATILE.contains(kind);
        for (name, at) in table.texts("tell").unwrap_or_default() {
            if name == PUSH_REQUESTED {
                if !is_push_on {
                    let text = "\"push.requested\" needs pushes; add push = \"away\" to [notify]";
                    table.note(at, text);
                }
                webhook.tells_pushes = true;
                continue;
            }
            match EventKind::from_name(name) {
                Some(kind) if VOLATILE.contains(&kind) => {
                    let text = format!("\"{name}\" is not stored, so nobody is told of it later");
                    table.note(at, text);
                }
                Some(kind) if webhook.tell.contains(&kind) => {
                    table.note(at, format!("\"{name}\" is there twice"));
                }
                Some(kind) => webhook.tell.push(kind),
                None => {
                    let known = EventKind::ALL.iter().filter(stored);
                    let known = known.map(|kind| kind.name()).chain([PUSH_REQUESTED]);
                    let help = suggestion(name, known);
                    table.note(at, format!("unknown event \"{name}\"{help}"));
                }
            }
        }
        table.finish();
        webhook
    }

    /// Whether the backend is told of events of this kind.
    pub fn tells(&self, kind: EventKind) -> bool {
        self.tell.contains(&kind)
    }
}

/// What the backend is asked before something becomes a command.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The client event's name, or the route.
    pub subject: Arc<str>,
    /// Its own limit for a user, to be taken before anybody is asked.
    pub limit: Option<Rate>,
    /// Parameters of a route's path.
    pub parameters: Map<String, Value>,
    /// What came, by name and not yet validated.
    pub payload: Map<String, Value>,
}

impl Route {
    /// What to ask the backend of a request, before it is validated. `None`: it is not asked.
    ///
    /// Errors: `FORBIDDEN` (who may).
    pub fn question(
        &self,
        parameters: &Parameters<'_>,
        body: Option<&Value>,
        actor: &Actor,
    ) -> Result<Option<Question>, Error> {
        if !self.rule.ask {
            return Ok(None);
        }
        self.permit(actor)?;
        let named = self.rule.fields.0.iter().zip(parameters);
        let named = named.map(|(field, text)| (field.name.to_string(), Value::from(&**text)));
        Ok(Some(Question {
            subject: self.rule.subject.clone(),
            limit: self.rule.limit,
            parameters: named.collect(),
            payload: body.and_then(Value::as_object).cloned().unwrap_or_default(),
        }))
    }
}

impl ClientEvents {
    /// What to ask the backend of a client event, before it is validated: `None`: it is not asked.
    ///
    /// Errors: `FORBIDDEN` (role). An unknown event is not asked about: whoever reads it next refuses it.
    pub(super) fn question(
        &self,
        name: &str,
        arguments: &[Value],
        actor: &Actor,
    ) -> Result<Option<Question>, Error> {
        let asks = |event: &&ClientEvent| event.rule.ask;
        let Some(event) = self.get(name).filter(asks) else {
            return Ok(None);
        };
        event.rule.permit(actor)?;
        let payload = match event.arguments.is_empty() {
            true => arguments.first().and_then(Value::as_object).cloned(),
            false => {
                let named = event.arguments.iter().zip(arguments);
                Some(
                    named
                        .map(|(name, value)| (name.to_string(), value.clone()))
                        .collect(),
                )
            }
        };
        Ok(Some(Question {
            subject: event.rule.subject.clone(),
            limit: event.rule.limit,
            parameters: Map::new(),
            payload: payload.unwrap_or_default(),
        }))
    }

    /// The arguments of a client event out of its payload by name: the other way round.
    pub(super) fn arguments(&self, name: &str, payload: Map<String, Value>) -> Vec<Value> {
        match self.get(name).map(|event| &event.arguments) {
            Some(names) if !names.is_empty() => {
                let value = |name| payload.get(name).cloned().unwrap_or_default();
                names.iter().map(|name| value(&**name)).collect()
            }
            _ => vec![payload.into()],
        }
    }
}
