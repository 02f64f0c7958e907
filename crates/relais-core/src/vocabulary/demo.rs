//! People, rooms and messages for development mode: `[demo]` of the app file.
//!
//! Out come plain values; making tokens and storing messages is the server's.

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::mistake::suggestion;
use super::reader::{Entry, Table, json, kind};
use super::rooms::Rooms;
use crate::ids::RoomKey;

/// `[demo]`: what development mode starts with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demo {
    /// People to be.
    pub users: Vec<DemoUser>,
    /// Rooms that have something in them.
    pub rooms: Vec<DemoRoom>,
    /// What else they have done, in this order.
    pub events: Vec<DemoEvent>,
}

/// Something that a demo user has sent.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoEvent {
    /// Who: index into [`Demo::users`].
    pub from: usize,
    /// The client event, or method and path of a route.
    pub send: String,
    /// The payload (of bare arguments: the list of them), or the body.
    pub data: Value,
}

/// Somebody to be.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoUser {
    /// All claims of the token, under the names that `[identity]` reads first; without times.
    pub claims: Map<String, Value>,
    /// The id, as it stands in the file.
    pub id: Value,
    /// The display name.
    pub name: String,
    /// The role, if any.
    pub role: Option<String>,
}

/// A room with a past.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoRoom {
    /// Which room.
    pub room: RoomKey,
    /// What people see it called.
    pub title: String,
    /// Messages, oldest first: index into [`Demo::users`], and text.
    pub messages: Vec<(usize, String)>,
}

impl Demo {
    /// Reads `[demo]`. `claims` are the names of the claims for id, name and role.
    pub(super) fn read(
        table: Option<Table<'_>>,
        claims: [&str; 3],
        roles: &[&str],
        rooms: &Rooms,
        is_known: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut demo = Self::default();
        let Some(table) = table else {
            return demo;
        };
        for one in tables(&table, "users") {
            demo.users.extend(DemoUser::read(&one, claims, roles));
            one.finish();
        }
        for one in tables(&table, "rooms") {
            let room = DemoRoom::read(&one, rooms, &demo.users);
            demo.rooms.extend(room);
            one.finish();
        }
        for one in tables(&table, "events") {
            let event = DemoEvent::read(&one, &demo.users, is_known);
            demo.events.extend(event);
            one.finish();
        }
        table.finish();
        demo
    }
}

impl DemoEvent {
    fn read(
        table: &Table<'_>,
        users: &[DemoUser],
        is_known: &dyn Fn(&str) -> bool,
    ) -> Option<Self> {
        let from = author(table, users);
        let send = table.required_text("send", "send = \"say\", a client event or \"POST /path\"");
        let data = table.entry("data").map(|entry| json(entry.node));
        let (send, at) = send?;
        if !is_known(send) {
            let text = format!("\"{send}\" is neither a client event nor a route of this file");
            table.note(at, text);
        }
        Some(Self {
            from: from?,
            send: send.to_owned(),
            data: data.unwrap_or_else(|| Value::Object(Map::new())),
        })
    }
}

/// The demo user whom `from` names.
fn author(table: &Table<'_>, users: &[DemoUser]) -> Option<usize> {
    let entry = table.entry("from")?;
    let (from, at) = (json(entry.node), entry.node.span().start);
    let author = users.iter().position(|user| user.id == from);
    if author.is_none() {
        table.note(at, format!("{from} is not one of the demo users"));
    }
    author
}

impl DemoUser {
    fn read(table: &Table<'_>, names: [&str; 3], roles: &[&str]) -> Option<Self> {
        let id = table.entry("id").map(|entry| json(entry.node));
        let name = table.required_text("name", "name = \"Alice\"");
        let role = table.text("role");
        let more = table.entry("claims");
        let Some(id) = id.filter(|id| id.is_string() || id.is_i64()) else {
            table.note(
                table.at.start,
                "\"id\" is missing; a text or a whole number",
            );
            return None;
        };
        let name = name?.0.to_owned();
        if let Some((role, at)) = role
            && !roles.contains(&role)
        {
            let help = suggestion(role, roles.iter().copied());
            table.note(at, format!("unknown role \"{role}\"{help}"));
        }
        let mut claims = match more.map(|entry| (entry, json(entry.node))) {
            Some((_, Value::Object(claims))) => claims,
            Some((entry, _)) => {
                let text = format!("\"claims\" is a table, not {}", kind(entry.node.get_ref()));
                table.note(entry.node.span().start, text);
                Map::new()
            }
            None => Map::new(),
        };
        claims.insert(names[0].to_owned(), id.clone());
        claims.insert(names[1].to_owned(), name.as_str().into());
        if let Some((role, _)) = role {
            claims.insert(names[2].to_owned(), role.into());
        }
        Some(Self {
            claims,
            id,
            name,
            role: role.map(|(role, _)| role.to_owned()),
        })
    }
}

impl DemoRoom {
    fn read(table: &Table<'_>, rooms: &Rooms, users: &[DemoUser]) -> Option<Self> {
        let room = table.required_text("room", "room = \"lobby-1\", the name on the wire");
        let title = table.text("title");
        let mut messages = Vec::new();
        for one in tables(table, "messages") {
            let author = author(&one, users);
            let text = one.required_text("text", "text = \"Hello\"");
            one.finish();
            messages.extend(
                author
                    .zip(text)
                    .map(|(author, (text, _))| (author, text.to_owned())),
            );
        }
        let (name, at) = room?;
        let Some(room) = rooms.parse(name) else {
            let kinds: Vec<_> = rooms.0.iter().map(|kind| kind.wire_name("…")).collect();
            let help = suggestion(name, kinds.iter().map(String::as_str));
            table.note(at, format!("no room is called \"{name}\"{help}"));
            return None;
        };
        Some(Self {
            room,
            title: title.map_or(name, |(title, _)| title).to_owned(),
            messages,
        })
    }
}

/// The tables of a list of tables.
fn tables<'t>(table: &Table<'t>, key: &'static str) -> Vec<Table<'t>> {
    let Some(entry) = table.entry(key) else {
        return Vec::new();
    };
    let DeValue::Array(list) = entry.node.get_ref() else {
        let found = kind(entry.node.get_ref());
        let text = format!("\"{key}\" is a list of tables, not {found}");
        table.note(entry.node.span().start, text);
        return Vec::new();
    };
    let one = |node| {
        let entry = Entry {
            key,
            at: entry.at.clone(),
            node,
        };
        Table::of(table.reader, &entry)
    };
    list.iter()
        .filter_map(one)
        .map(|mut table| {
            // The first key of an entry is a better place for what it misses than the list's name.
            if let Some(first) = table.named().first() {
                table.at = first.at.clone();
            }
            table
        })
        .collect()
}
