//! `only = { … }` of a server event or a notification: facts of the body that must have one of some values.
//!
//! Out of the table come paths with their values. A value that the fact can never have is noted where it stands.

use serde_json::Value;
use toml::de::DeValue;

use super::between::{unknown_kind, unknown_status};
use super::facts::Fact;
use super::mistake::suggestion;
use super::reader::{Entry, Node, Table, json, kind};
use super::settings::Item;
use super::shape::Shapes;
use super::view::Path;

/// Reads the table `only` for one kind of event, called `of`.
pub(super) fn selectors<'t>(
    table: &Table<'t>,
    entry: &Entry<'t>,
    shapes: &Shapes<'t>,
    facts: &[Fact],
    of: &str,
) -> Vec<(Path, Vec<Value>)> {
    let Some(only) = Table::of(table.reader, entry) else {
        return Vec::new();
    };
    let kinds = kinds(&only, shapes);
    let mut selectors = Vec::new();
    for entry in only.named() {
        let values = match json(entry.node) {
            Value::Array(values) => values,
            Value::Object(_) | Value::Null => {
                let text = format!(
                    "a value or a list of values, not {}",
                    kind(entry.node.get_ref())
                );
                only.note(entry.node.span().start, text);
                continue;
            }
            value => vec![value],
        };
        match shapes.path(entry.key, facts, of).map(|told| told.path) {
            Ok(path @ (Path::Body(_) | Path::Seq)) => {
                for (value, at) in values.iter().zip(places(entry.node)) {
                    check(&only, shapes, &kinds, (of, entry.key), (value, at));
                }
                selectors.push((path, values));
            }
            Ok(_) => only.note(entry.at.start, "only facts of the body can be fixed here"),
            Err(problem) => only.note(entry.at.start, problem),
        }
    }
    selectors
}

/// Where each value stands.
fn places(node: Node<'_>) -> Vec<usize> {
    match node.get_ref() {
        DeValue::Array(list) => list.iter().map(|one| one.span().start).collect(),
        _ => vec![node.span().start],
    }
}

/// The kinds of item that the table's `kind` leaves; all, where it says none that there is.
fn kinds<'s>(only: &Table<'_>, shapes: &'s Shapes<'_>) -> Vec<&'s Item> {
    let all = || shapes.items.0.iter();
    let entry = only.named().iter().find(|entry| entry.key == "kind");
    let named = match entry.map(|entry| json(entry.node)) {
        Some(Value::Array(named)) => named,
        Some(one) => vec![one],
        None => return all().collect(),
    };
    let left: Vec<&Item> = all()
        .filter(|item| named.iter().any(|name| name == &*item.kind))
        .collect();
    if left.is_empty() {
        all().collect()
    } else {
        left
    }
}

/// Notes a value that this fact of this event never has.
fn check(
    only: &Table<'_>,
    shapes: &Shapes<'_>,
    kinds: &[&Item],
    (of, fact): (&str, &str),
    (value, at): (&Value, usize),
) {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let about_items = of.starts_with("item.");
    let about_people = of.starts_with("presence.") || matches!(of, "room.joined" | "room.left");
    let problem = match fact {
        "kind" if about_items => unknown_kind(shapes.items, &text),
        "status" if about_items => unknown_status(kinds, &text),
        "status" if about_people => {
            let declared = shapes.statuses.iter().map(|status| &**status);
            let known: Vec<&str> = declared.chain(["online", "offline"]).collect();
            (!known.contains(&text.as_str()))
                .then(|| format!("unknown status \"{text}\"{}", suggestion(&text, known)))
        }
        "event" if of == "relay.sent" => {
            shapes.between.awaits(&text, at);
            None
        }
        _ => None,
    };
    if let Some(problem) = problem {
        only.note(at, problem);
    }
}
