//! What several tables of an app file have to say alike: what a relay is called, in which rooms items lie, what status they have.
//!
//! Rules and server events tell it what they do while they are read; at the end it notes what can never meet. A name that
//! somebody outside of the file may still use is a warning, not a mistake.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use super::catalogue::Operation;
use super::mistake::suggestion;
use super::reader::{Reader, Table};
use super::rule::Source;
use super::settings::{Item, Items};

/// What was read so far.
#[derive(Default)]
pub(super) struct Between {
    awaited: RefCell<Vec<(usize, String)>>,
    /// Names of relays; `None`: whatever the payload says.
    sent: RefCell<Vec<Option<String>>>,
    uses: RefCell<Vec<Use>>,
}

/// An operation on items of one kind.
struct Use {
    kind: Arc<str>,
    operation: &'static str,
    is_in_room: bool,
    at: usize,
}

impl Use {
    fn makes(&self) -> bool {
        matches!(self.operation, "item.create" | "item.save")
    }
}

impl Between {
    /// A server event is made of relays of this name alone.
    pub(super) fn awaits(&self, name: &str, at: usize) {
        self.awaited.borrow_mut().push((at, name.to_owned()));
    }

    /// A rule, once its fields are known.
    pub(super) fn reads(
        &self,
        table: &Table<'_>,
        operation: &'static Operation,
        item: Option<&Arc<str>>,
        sources: &[Option<Source>],
    ) {
        if operation.name == "relay.send" {
            let name = match constant(operation, "event", sources) {
                Some(Value::String(name)) => Some(name.clone()),
                _ => None,
            };
            self.sent.borrow_mut().push(name);
        }
        let room = table.entry("room");
        if let (true, Some(kind)) = (operation.name.starts_with("item."), item) {
            self.uses.borrow_mut().push(Use {
                kind: kind.clone(),
                operation: operation.name,
                is_in_room: room.is_some(),
                at: room.map_or(table.at.start, |room| room.at.start),
            });
        }
    }

    /// Notes what can never meet.
    pub(super) fn finish(&self, reader: &Reader<'_>) {
        let sent = self.sent.borrow();
        if sent.iter().all(Option::is_some) {
            let known = || sent.iter().flatten().map(String::as_str);
            for (at, name) in self.awaited.borrow().iter() {
                if !known().any(|known| known == name) {
                    let help = suggestion(name, known());
                    let text = format!(
                        "no client event or route sends \"{name}\", only the backend can, by POST /v1/events{help}"
                    );
                    reader.warn(*at, text);
                }
            }
        }
        let uses = self.uses.borrow();
        for one in uses.iter() {
            let mut makers = uses
                .iter()
                .filter(|other| other.makes() && other.kind == one.kind)
                .peekable();
            let Some(maker) = makers.peek().map(|maker| maker.operation) else {
                continue;
            };
            if makers.any(|maker| maker.is_in_room == one.is_in_room) {
                continue;
            }
            let (kind, operation) = (&one.kind, one.operation);
            let text = match one.is_in_room {
                false => format!(
                    "{maker} makes \"{kind}\" only in rooms, and {operation} without \"room\" finds none of them; add \"room\" as there"
                ),
                true => format!(
                    "{maker} makes \"{kind}\" without \"room\", and {operation} in a room finds none of them; remove \"room\", or add it there"
                ),
            };
            reader.note(one.at, text);
        }
    }
}

/// The constant that an operation's field is given.
fn constant<'s>(
    operation: &Operation,
    name: &str,
    sources: &'s [Option<Source>],
) -> Option<&'s Value> {
    let mut parameters = operation.parameters.iter();
    let index = parameters.position(|known| known.name == name)?;
    match sources.get(index)? {
        Some(Source::Constant(value)) => Some(value),
        _ => None,
    }
}

/// Kind and status of items, where an operation names constants.
pub(super) fn check_items(
    table: &Table<'_>,
    map: Option<&Table<'_>>,
    operation: &Operation,
    (items, item): (&Items, Option<&Item>),
    sources: &[Option<Source>],
) {
    if !operation.name.starts_with("item.") {
        return;
    }
    let at = |name: &str| {
        let entries = map.map_or(&[][..], |map| map.named());
        let entry = entries.iter().find(|entry| entry.key == name);
        entry.map_or(table.at.start, |entry| entry.node.span().start)
    };
    let named = constant(operation, "kind", sources).and_then(Value::as_str);
    if let Some(problem) = named.and_then(|kind| unknown_kind(items, kind)) {
        table.note(at("kind"), problem);
        return;
    }
    let item = item.or_else(|| items.get(named?));
    let status = constant(operation, "status", sources).and_then(Value::as_str);
    let kinds: Vec<&Item> = item.map_or_else(|| items.0.iter().collect(), |item| vec![item]);
    if let Some(problem) = status.and_then(|status| unknown_status(&kinds, status)) {
        table.note(at("status"), problem);
    } else if let (Some(item), "item.move") = (item, operation.name)
        && let Some(problem) = never_moves(item, status)
    {
        table.note(at("status"), problem);
    }
}

/// A kind of item that no table declares.
pub(super) fn unknown_kind(items: &Items, kind: &str) -> Option<String> {
    let help = suggestion(kind, items.names());
    items
        .get(kind)
        .is_none()
        .then(|| format!("unknown item \"{kind}\"{help}"))
}

/// A status that none of these kinds has.
pub(super) fn unknown_status(kinds: &[&Item], status: &str) -> Option<String> {
    let known = || kinds.iter().flat_map(|item| &item.statuses);
    if known().any(|known| **known == *status) {
        return None;
    }
    let what = match kinds {
        [one] => format!("item \"{}\" has no status \"{status}\"", one.kind),
        _ => format!("no item has the status \"{status}\""),
    };
    Some(match (known().next(), kinds) {
        (None, [one]) => format!(
            "{what}; add statuses = [\"{status}\"] to [items.{}]",
            one.kind
        ),
        _ => format!(
            "{what}{}",
            suggestion(status, known().map(|known| &**known))
        ),
    })
}

/// Why an item of this kind never moves to this status.
fn never_moves(item: &Item, status: Option<&str>) -> Option<String> {
    let kind = &item.kind;
    if item.statuses.is_empty() {
        return Some(format!(
            "item \"{kind}\" has no statuses to move between; add \"statuses\" and \"moves\" to [items.{kind}]"
        ));
    }
    let status = status?;
    let mut targets = item.moves.iter().flat_map(|(_, to)| to);
    (!targets.any(|to| **to == *status)).then(|| {
        format!(
            "nothing moves an item \"{kind}\" to \"{status}\"; say from where in [items.{kind}]: moves = {{ FROM = [\"{status}\"] }}"
        )
    })
}
