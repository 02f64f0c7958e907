//! Who hears of a wire event: `to` of the app file, compiled.
//!
//! `to` is a list of choices, tried in order; each choice is a union. A choice counts when everything it names is
//! there: `[["recipient", "sender"], "room"]` is the two people where there is a recipient, else the room.

use std::sync::Arc;

use serde_json::Value;

use super::facts::Fact;
use super::mistake::suggestion;
use super::reader::{Entry, texts};
use super::rooms::template;
use super::shape::Shapes;
use super::view::{Path, PersonPart, View};
use crate::event::{Audience, Event, EventKind};
use crate::ids::{AudienceKey, RoomKey, UserId};

/// The words that `to` understands besides room kinds, `role:NAME`, `user:{fact}` and `KIND:{fact}`.
const WORDS: &[&str] = &[
    "room",
    "others",
    "sender",
    "actor",
    "other-sessions",
    "recipient",
    "target",
    "owner",
    "assignee",
    "contacts",
    "tenant",
];

/// One word of a choice.
#[derive(Clone, Debug, PartialEq)]
enum Who {
    Room,
    Actor,
    Target,
    Tenant,
    Role(Arc<str>),
    User(Path),
    RoomOf(Arc<str>, Path),
    /// Whom the core named itself.
    Core,
    /// The notified user, or whom the core named.
    Notified,
}

/// A union, and whom it leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
struct Choice {
    who: Vec<Who>,
    without_actor: bool,
    without_session: bool,
}

/// Compiled `to`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct To(Vec<Choice>);

impl To {
    /// Compiles `to`: a text, or a list whose entries are texts or lists of texts.
    pub(super) fn compile(
        shapes: &Shapes<'_>,
        entry: &Entry<'_>,
        roles: &[&str],
        facts: &[Fact],
        of: &str,
    ) -> Self {
        let mut choices = Vec::new();
        let mut add = |words: Vec<(&str, usize)>| {
            let mut choice = Choice::default();
            for (word, at) in words {
                if let Err(problem) = choice.add(word, shapes, roles, facts, of) {
                    shapes.reader.note(at, problem);
                }
            }
            choices.push(choice);
        };
        match entry.node.get_ref() {
            toml::de::DeValue::Array(list) => {
                for node in list {
                    add(texts(shapes.reader, "to", node));
                }
            }
            _ => add(texts(shapes.reader, "to", entry.node)),
        }
        if choices.iter().all(|choice| choice.who.is_empty()) {
            let text = "\"to\" names nobody; leave it out for those whom the core names";
            shapes.reader.note(entry.node.span().start, text);
        }
        Self(choices)
    }

    /// The first choice of which everything is there.
    /// `core` is whom the core named itself.
    pub(super) fn resolve(
        &self,
        event: &Event,
        view: &View<'_>,
        core: Option<&Audience>,
    ) -> Option<Audience> {
        let mut choices = self.0.iter();
        choices.find_map(|choice| choice.resolve(event, view, core))
    }
}

impl Choice {
    fn add(
        &mut self,
        word: &str,
        shapes: &Shapes<'_>,
        roles: &[&str],
        facts: &[Fact],
        of: &str,
    ) -> Result<(), String> {
        let fact = |path: &str| shapes.path(path, facts, of).map(|told| told.path);
        let who = match word {
            "room" => Who::Room,
            "others" => {
                self.without_actor = true;
                Who::Room
            }
            "sender" | "actor" => Who::Actor,
            "other-sessions" => {
                self.without_session = true;
                Who::Actor
            }
            // A notification may be for the members of a room, which the core names.
            "recipient" | "target" if of == EventKind::NotifySent.name() => Who::Notified,
            "recipient" | "target" => Who::Target,
            "owner" => Who::User(fact("owner.id")?),
            "assignee" => Who::User(fact("assignee")?),
            "contacts" => {
                self.without_actor = true;
                Who::Core
            }
            "tenant" => Who::Tenant,
            _ => self.kind_of(word, shapes, roles, fact)?,
        };
        self.who.push(who);
        Ok(())
    }

    fn kind_of(
        &self,
        word: &str,
        shapes: &Shapes<'_>,
        roles: &[&str],
        fact: impl Fn(&str) -> Result<Path, String>,
    ) -> Result<Who, String> {
        let (kind, name) = word.split_once(':').unwrap_or((word, ""));
        if kind == "role" {
            return match roles.contains(&name) {
                true => Ok(Who::Role(name.into())),
                false => {
                    let help = suggestion(name, roles.iter().copied());
                    Err(format!("unknown role \"{name}\"{help}"))
                }
            };
        }
        let room = shapes.rooms.kind(kind);
        if kind != "user" && room.is_none() {
            let kinds = shapes.rooms.0.iter().map(|room| &*room.kind);
            let known = WORDS.iter().copied().chain(kinds);
            let help = suggestion(word, known.chain(["role:NAME", "user:{fact}"]));
            return Err(format!("unknown audience \"{word}\"{help}"));
        }
        let Ok(("", Some(path), "")) = template(name) else {
            return Err(format!(
                "\"{word}\" has to say which {kind}: \"{kind}:{{fact}}\", such as \"{kind}:{{actor.id}}\""
            ));
        };
        let path = fact(path)?;
        Ok(match room {
            Some(room) => Who::RoomOf(room.kind.clone(), path),
            None => Who::User(path),
        })
    }

    fn resolve(&self, event: &Event, view: &View<'_>, core: Option<&Audience>) -> Option<Audience> {
        let mut audience = Audience::default();
        for who in &self.who {
            let key = match who {
                Who::Room => AudienceKey::Room(event.room.clone()?),
                Who::Actor => AudienceKey::User(event.actor.as_ref()?.id.clone()),
                Who::Target => AudienceKey::User(event.target.clone()?),
                Who::Tenant => AudienceKey::Tenant,
                Who::Role(role) => AudienceKey::Role(role.clone()),
                Who::User(path) => AudienceKey::User(user(path, event, view)?),
                Who::RoomOf(kind, path) => {
                    let id = user(path, event, view)?;
                    AudienceKey::Room(RoomKey::new(kind.clone(), id.as_str()))
                }
                Who::Notified if event.target.is_some() => AudienceKey::User(event.target.clone()?),
                Who::Core | Who::Notified => {
                    audience.to.extend(core?.to.iter().cloned());
                    continue;
                }
            };
            audience.to.push(key);
        }
        if self.without_actor {
            audience.except_user = event.actor.as_ref().map(|actor| actor.id.clone());
        }
        if self.without_session {
            audience.except_session = event.session.clone();
        }
        let mut seen = Vec::with_capacity(audience.to.len());
        audience.to.retain(|key| {
            let new = !seen.contains(key);
            seen.push(key.clone());
            new
        });
        Some(audience)
    }
}

/// The id that a path leads to.
fn user(path: &Path, event: &Event, view: &View<'_>) -> Option<UserId> {
    match path {
        Path::Actor(PersonPart::Id) => Some(event.actor.as_ref()?.id.clone()),
        Path::Target => event.target.clone(),
        // Of another kind of room, the id is nobody's.
        Path::Room(part) => view.room_part(part).map(UserId::text),
        _ => match view.value(path)? {
            Value::Object(person) => UserId::from_json(person.get("id")?),
            id => UserId::from_json(id),
        },
    }
}

/// The union of several audiences. Somebody is left out only where all of them leave them out.
pub(super) fn unite(audiences: impl IntoIterator<Item = Audience>) -> Option<Audience> {
    let mut audiences = audiences.into_iter();
    let mut union = audiences.next()?;
    for audience in audiences {
        for key in audience.to {
            if !union.to.contains(&key) {
                union.to.push(key);
            }
        }
        if union.except_user != audience.except_user {
            union.except_user = None;
        }
        if union.except_session != audience.except_session {
            union.except_session = None;
        }
    }
    Some(union)
}
