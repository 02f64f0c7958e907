//! Field maps: how facts under the core's names become an application's JSON.
//!
//! At start a map of the file is compiled into [`Shape`]: paths are resolved, constants and keys are encoded, names are
//! checked against the [facts](super::facts). While events flow, [`Shape::write`] only copies. Which facts there
//! are is a [`View`]'s business.

use std::sync::Arc;

use serde_json::Value;
use toml::de::DeValue;

use super::between::Between;
use super::facts::{ENVELOPE, Fact, Holds, Type};
use super::mistake::suggestion;
use super::reader::{Node, Reader, entries, json, kind};
use super::rooms::Rooms;
use super::settings::Items;
use super::view::{Path, RoomPart, View};

/// Shapes inside shapes.
const DEPTH_MAX: usize = 16;

/// A compiled field map.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Encoded JSON.
    Constant(Box<str>),
    /// A fact as it is; `null` where it is absent.
    Fact(Told),
    /// An object.
    Object(Arc<[Member]>),
    /// A fact that is an object, in another shape; without a fact, all of them.
    In(Option<Told>, Arc<Shape>),
    /// Each object of a list, in another shape.
    Each(Told, Arc<Shape>),
}

/// A fact that a map shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Where it is.
    pub path: Path,
    /// What it holds, for documents.
    pub holds: Type,
    /// Whether it is always there.
    pub is_always: bool,
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The field's name; empty for a spread.
    pub name: Box<str>,
    /// `"name":`, encoded.
    key: Box<str>,
    /// Left out where its fact is absent.
    pub optional: bool,
    /// Spreads an object's fields here, except those that the map itself names.
    spread: bool,
    /// What it holds.
    pub shape: Shape,
}

impl Shape {
    /// Writes the JSON; `null` where it is a fact that is absent.
    pub(super) fn write(&self, view: &View<'_>, out: &mut Vec<u8>) {
        match self {
            Shape::Constant(encoded) => out.extend_from_slice(encoded.as_bytes()),
            Shape::Fact(told) => view.write(&told.path, out),
            Shape::Object(members) => {
                out.push(b'{');
                write_members(members, view, out);
                out.push(b'}');
            }
            Shape::In(None, shape) => shape.write(view, out),
            Shape::In(Some(told), shape) => match view.value(&told.path) {
                Some(one) => write_in(one, shape, view, out),
                None => out.extend_from_slice(b"null"),
            },
            Shape::Each(told, shape) => match view.value(&told.path) {
                Some(Value::Array(list)) => {
                    out.push(b'[');
                    for (index, one) in list.iter().enumerate() {
                        if index > 0 {
                            out.push(b',');
                        }
                        write_in(one, shape, view, out);
                    }
                    out.push(b']');
                }
                Some(_) | None => out.extend_from_slice(b"null"),
            },
        }
    }

    /// Whether it is an object whatever the facts are (or nothing where its fact is absent).
    pub(super) fn is_object(&self) -> bool {
        match self {
            Shape::Object(_) => true,
            Shape::In(_, shape) => shape.is_object(),
            Shape::Constant(_) | Shape::Fact(_) | Shape::Each(..) => false,
        }
    }

    /// Writes only the fields, without braces, after what is there already. `false` where the shape is no object.
    pub(super) fn write_fields(&self, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        match self {
            Shape::Object(members) => {
                write_members(members, view, out);
                true
            }
            Shape::In(None, shape) => shape.write_fields(view, out),
            Shape::In(Some(told), shape) => match view.value(&told.path) {
                Some(Value::Object(facts)) => shape.write_fields(&view.inside(facts), out),
                _ => false,
            },
            Shape::Constant(_) | Shape::Fact(_) | Shape::Each(..) => false,
        }
    }

    /// Whether it looks at this fact of the body.
    pub(super) fn reads(&self, fact: &str) -> bool {
        match self {
            Shape::Constant(_) => false,
            Shape::Fact(told) | Shape::In(Some(told), _) | Shape::Each(told, _) => {
                told.path.reads(fact)
            }
            Shape::In(None, shape) => shape.reads(fact),
            Shape::Object(members) => members.iter().any(|member| member.shape.reads(fact)),
        }
    }

    fn is_absent(&self, view: &View<'_>) -> bool {
        match self {
            Shape::Fact(told) | Shape::In(Some(told), _) | Shape::Each(told, _) => {
                !view.has(&told.path)
            }
            Shape::Constant(_) | Shape::Object(_) | Shape::In(None, _) => false,
        }
    }
}

fn write_in(one: &Value, shape: &Shape, view: &View<'_>, out: &mut Vec<u8>) {
    match one {
        Value::Object(facts) => shape.write(&view.inside(facts), out),
        other => write_json(other, out),
    }
}

fn write_members(members: &[Member], view: &View<'_>, out: &mut Vec<u8>) {
    for member in members {
        if member.spread {
            spread(member, members, view, out);
        } else if !(member.optional && member.shape.is_absent(view)) {
            separate(out);
            out.extend_from_slice(member.key.as_bytes());
            member.shape.write(view, out);
        }
    }
}

fn spread(member: &Member, members: &[Member], view: &View<'_>, out: &mut Vec<u8>) {
    let Shape::Fact(told) = &member.shape else {
        return;
    };
    let Some(Value::Object(facts)) = view.value(&told.path) else {
        return;
    };
    for (name, value) in facts {
        if !members.iter().any(|own| *own.name == **name) {
            separate(out);
            write_json(&Value::String(name.clone()), out);
            out.push(b':');
            write_json(value, out);
        }
    }
}

fn separate(out: &mut Vec<u8>) {
    if out.last().is_some_and(|last| *last != b'{') {
        out.push(b',');
    }
}

/// Writes a JSON value.
pub(super) fn write_json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing JSON values into memory cannot fail");
}

/// Compiles the maps of one file.
pub(super) struct Shapes<'t> {
    pub(super) reader: &'t Reader<'t>,
    pub(super) rooms: &'t Rooms,
    /// Fields of the file's items; `None`: some item takes any.
    pub(super) item_fields: Option<Vec<&'t str>>,
    /// Item kinds, and what presence can be, for what is compared with them.
    pub(super) items: &'t Items,
    pub(super) statuses: &'t [Arc<str>],
    pub(super) between: Between,
    named: Vec<(&'t str, usize, Node<'t>)>,
    used: std::cell::RefCell<Vec<&'t str>>,
}

impl<'t> Shapes<'t> {
    pub(super) fn new(
        reader: &'t Reader<'t>,
        rooms: &'t Rooms,
        (items, statuses): (&'t Items, &'t [Arc<str>]),
        named: Vec<(&'t str, usize, Node<'t>)>,
    ) -> Self {
        Self {
            reader,
            rooms,
            item_fields: items.fields(),
            items,
            statuses,
            between: Between::default(),
            named,
            used: Default::default(),
        }
    }

    /// Compiles a map over these facts. `of` names their origin in mistakes: `"message.sent"`.
    pub(super) fn compile(&self, node: Node<'t>, facts: &[Fact], of: &str) -> Option<Shape> {
        self.shape(node, facts, of, 0)
    }

    /// Reports shapes that nothing uses: they have never been checked.
    pub(super) fn finish(&self) {
        for (name, at, _) in &self.named {
            if !self.used.borrow().contains(name) {
                let text =
                    format!("shape \"{name}\" is used nowhere; write \"as {name}\" in a map");
                self.reader.note(*at, text);
            }
        }
    }

    fn shape(&self, node: Node<'t>, facts: &[Fact], of: &str, depth: usize) -> Option<Shape> {
        let at = node.span().start;
        if depth > DEPTH_MAX {
            let text = format!("shapes are at most {DEPTH_MAX} deep; does one hold itself?");
            self.reader.note(at, text);
            return None;
        }
        match node.get_ref() {
            DeValue::Table(table) => {
                let mut members = Vec::new();
                for entry in entries(table) {
                    let shape = self.shape(entry.node, facts, of, depth + 1);
                    let optional =
                        matches!(entry.node.get_ref(), DeValue::String(text) if is_optional(text));
                    let spread = entry.key == "...";
                    if spread && !matches!(shape, None | Some(Shape::Fact(_))) {
                        let text = "\"...\" spreads a fact that is an object, such as \"fields\"";
                        self.reader.note(entry.at.start, text);
                    }
                    members.extend(shape.map(|shape| member(entry.key, shape, optional, spread)));
                }
                Some(Shape::Object(members.into()))
            }
            DeValue::String(text) => self.text(text, at, facts, of, depth),
            DeValue::Array(_) | DeValue::Datetime(_) => {
                let text = format!(
                    "a fact, a constant or a table, not {}",
                    kind(node.get_ref())
                );
                self.reader.note(at, text);
                None
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                Some(Shape::Constant(json(node).to_string().into()))
            }
        }
    }

    /// `"=text"`, `"as shape"`, `"path as shape"` or `"path"`; the `?` that a path may end with is [`is_optional`]'s.
    fn text(
        &self,
        text: &'t str,
        at: usize,
        facts: &[Fact],
        of: &str,
        depth: usize,
    ) -> Option<Shape> {
        if let Some(constant) = text.strip_prefix('=') {
            return Some(Shape::Constant(Value::from(constant).to_string().into()));
        }
        let text = text.trim();
        if let Some(name) = text.strip_prefix("as ") {
            let shape = self.named(name.trim(), at, facts, of, depth)?;
            return Some(Shape::In(None, Arc::new(shape)));
        }
        let (path, name) = match text.split_once(" as ") {
            Some((path, name)) => (path.trim(), Some(name.trim())),
            None => (text, None),
        };
        let told = match self.path(path, facts, of) {
            Ok(told) => told,
            Err(problem) => {
                self.reader.note(at, problem);
                return None;
            }
        };
        let Some(name) = name else {
            return Some(Shape::Fact(told));
        };
        let (Type::Object(below) | Type::List(below)) = told.holds else {
            let text = format!("\"{text}\": only an object or a list of them takes a shape");
            self.reader.note(at, text);
            return None;
        };
        let shape = Arc::new(self.named(name, at, below, of, depth)?);
        Some(match told.holds {
            Type::List(_) => Shape::Each(told, shape),
            _ => Shape::In(Some(told), shape),
        })
    }

    fn named(
        &self,
        name: &str,
        at: usize,
        facts: &[Fact],
        of: &str,
        depth: usize,
    ) -> Option<Shape> {
        let Some((known, _, node)) = self.named.iter().find(|(known, ..)| *known == name) else {
            let help = suggestion(name, self.named.iter().map(|(known, ..)| *known));
            self.reader
                .note(at, format!("unknown shape \"{name}\"{help}"));
            return None;
        };
        self.used.borrow_mut().push(known);
        self.shape(node, facts, of, depth + 1)
    }

    /// Resolves a path over these facts.
    pub(super) fn path(&self, text: &str, facts: &[Fact], of: &str) -> Result<Told, String> {
        let text = text.strip_suffix('?').unwrap_or(text);
        let (first, rest) = text.split_once('.').unwrap_or((text, ""));
        let own = facts.iter().find(|fact| fact.0 == first);
        if own.is_none() && first == "room" {
            return self.room_part(rest).map(|part| Told {
                path: Path::Room(part),
                holds: Type::Plain(Holds::Text),
                is_always: false,
            });
        }
        let Some(mut found) = own.or_else(|| ENVELOPE.iter().find(|fact| fact.0 == first)) else {
            let known = facts.iter().chain(ENVELOPE).map(|fact| fact.0);
            let help = suggestion(first, known);
            return Err(format!("{of} has no fact \"{first}\"{help}"));
        };
        let mut steps: Vec<&str> = rest.split('.').filter(|step| !step.is_empty()).collect();
        if first == "fields" && found.1 == Type::Open {
            self.item_field(&steps)?;
        }
        let mut is_always = found.2;
        for step in &steps {
            found = match found.1 {
                Type::Open => {
                    is_always = false;
                    break;
                }
                Type::Object(below) => match below.iter().find(|fact| fact.0 == *step) {
                    Some(fact) => fact,
                    None => {
                        let help = suggestion(step, below.iter().map(|fact| fact.0));
                        return Err(format!("\"{first}\" of {of} has no \"{step}\"{help}"));
                    }
                },
                Type::Plain(_) | Type::List(_) => {
                    return Err(format!("\"{text}\": \"{}\" has nothing below it", found.0));
                }
            };
            is_always &= found.2;
        }
        let path = match own {
            None => Path::envelope(first, &steps),
            Some(_) => {
                steps.insert(0, first);
                Path::body(&steps)
            }
        };
        Ok(Told {
            path,
            holds: found.1,
            is_always,
        })
    }

    fn room_part(&self, name: &str) -> Result<RoomPart, String> {
        match name {
            "" => Err("\"room\" needs a part: \"room.id\", \"room.name\" or \"room.kind\"".into()),
            "id" => Ok(RoomPart::Id),
            "kind" => Ok(RoomPart::Kind),
            "name" => Ok(RoomPart::Name),
            _ => {
                let of_name =
                    |kind: &&super::rooms::RoomKind| kind.parameter.as_deref() == Some(name);
                let kinds: Vec<_> = self.rooms.0.iter().filter(of_name).collect();
                if kinds.is_empty() {
                    let known = self
                        .rooms
                        .0
                        .iter()
                        .filter_map(|kind| kind.parameter.as_deref());
                    let help = suggestion(name, known.chain(["id", "name", "kind"]));
                    return Err(format!("\"room\" has no part \"{name}\"{help}"));
                }
                Ok(RoomPart::IdOf(
                    kinds.iter().map(|kind| kind.kind.clone()).collect(),
                ))
            }
        }
    }

    fn item_field(&self, steps: &[&str]) -> Result<(), String> {
        match (steps.first(), &self.item_fields) {
            (Some(step), Some(known)) if !known.contains(step) => {
                let help = suggestion(step, known.iter().copied());
                Err(format!("no item has the field \"{step}\"{help}"))
            }
            _ => Ok(()),
        }
    }
}

/// `"path?"` and `"path? as shape"` are left out where their fact is absent.
fn is_optional(text: &str) -> bool {
    let path = text.split(" as ").next().unwrap_or(text);
    !text.starts_with('=') && path.trim().ends_with('?')
}

fn member(key: &str, shape: Shape, optional: bool, spread: bool) -> Member {
    let name = if spread { "" } else { key };
    Member {
        key: format!("{}:", Value::from(name)).into(),
        name: name.into(),
        optional,
        spread,
        shape,
    }
}
