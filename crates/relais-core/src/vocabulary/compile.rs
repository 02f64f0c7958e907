//! From the text of an app file to an [`App`]: the order in which its tables are read, and the keys at its top.
//!
//! Tables that others refer to come first (roles, rooms, types, items, shapes), then those that refer to them. Every
//! table is read even where an earlier one has mistakes, so that one start reports them all.

use std::sync::Arc;

use toml::de::DeTable;

use super::App;
use super::client::ClientEvents;
use super::demo::Demo;
use super::facts::{COUNTERS, Fact, SESSION};
use super::http::{Match, Routes};
use super::identity::IdentityRules;
use super::mistake::{Mistakes, suggestion};
use super::notices::Notices;
use super::push::Push;
use super::reader::{Node, Reader, Table};
use super::rooms::Rooms;
use super::rule::Compiler;
use super::schema::Types;
use super::server::ServerEvents;
use super::settings::{Items, Limits, Presence, SocketPath, roles};
use super::shape::{Shape, Shapes};
use super::webhook::Webhook;

/// What every session is told first, unless the file says it in its own way.
const CONNECTED: &str = r#"map = { userId = "user.id", userName = "user.name", role = "user.role", sessionId = "sessionId" }"#;

/// The same where plain JSON clients come too, who learn from it whether they go on where they were.
const CONNECTED_PLAIN: &str = r#"map = { userId = "user.id", userName = "user.name", role = "user.role", sessionId = "sessionId", resumed = "resumed" }"#;

/// What `GET /metrics` says, unless the file says it in its own way.
const METRICS: &str = r#"map = { totalConnections = "totalConnections", activeConnections = "activeConnections", messagesPerMinute = "messagesPerMinute", connectedUsers = "connectedUsers" }"#;

/// See [`App::parse`].
pub(super) fn app(file: &str, text: &str) -> Result<App, Mistakes> {
    let reader = Reader::new(file, text);
    let document = reader.document();
    if reader.has_mistakes() {
        return Err(reader.finish());
    }
    let app = read(&reader, document.get_ref());
    match app {
        Some(app) if !reader.has_mistakes() => Ok(app),
        _ => Err(reader.finish()),
    }
}

fn read(reader: &Reader<'_>, document: &DeTable<'_>) -> Option<App> {
    let top = Table::new(reader, 0..0, document);
    let name = name(&top);
    let title = top.text("title").map(|(title, _)| title);
    let (root, recovery) = (top.flag("root", false), top.flag("recovery", true));

    let roles_table = top.table("roles");
    let roles = roles(roles_table.as_ref());
    let role_names: Vec<&str> = roles.iter().map(|(name, _)| *name).collect();
    let identity_table = top.table("identity");
    let identity = IdentityRules::read(identity_table.as_ref());
    finish(identity_table.as_ref());
    let rooms = Arc::new(Rooms::read(top.table("rooms").as_ref()));
    check_sorts(&top, &rooms, &roles);
    let presence = Presence::read(top.table("presence"));
    let limits = Limits::read(top.table("limits"));
    let websocket = SocketPath::read(top.table("websocket"), &rooms);
    let items = Items::read(top.table("items").as_ref(), &role_names);
    check_rooms_items(&top, &rooms, &items);
    let types = Types::read(top.table("types"), &presence.statuses);
    let named = named_shapes(top.table("shapes").as_ref());
    let shapes = Shapes::new(reader, &rooms, (&items, &presence.statuses), named);

    let compiler = Compiler {
        types: &types,
        shapes: &shapes,
        roles: &role_names,
        items: &items,
    };
    let mut server = ServerEvents::read(top.table("server").as_ref(), &shapes, &role_names);
    server.greet(|| match websocket.is_empty() {
        true => built_in(CONNECTED, SESSION),
        false => built_in(CONNECTED_PLAIN, SESSION),
    });
    let (push, notifications) = notify(&top, &shapes, &role_names, &rooms);
    let client = ClientEvents::read(top.table("client").as_ref(), &compiler);
    let http = Routes::read(top.table("http").as_ref(), &compiler);
    let metrics = match top.entry("metrics") {
        Some(entry) => shapes.compile(entry.node, COUNTERS, "the counters"),
        None => Some(built_in(METRICS, COUNTERS)),
    };
    shapes.finish();
    shapes.between.finish(reader);
    let claims = identity.first_claims();
    let demo = Demo::read(top.table("demo"), claims, &role_names, &rooms, &|name| {
        is_sent(name, &client, &http)
    });
    let webhook = Webhook::read(top.table("webhook").as_ref(), push.is_on());
    top.finish();
    let name = name?;
    Some(App {
        title: title.map_or_else(|| name.clone(), Into::into),
        name,
        root,
        recovery,
        roles: roles
            .into_iter()
            .map(|(name, permissions)| (name.into(), permissions))
            .collect(),
        identity,
        rooms,
        presence,
        limits,
        items,
        push,
        webhook,
        websocket,
        client,
        server,
        http,
        demo,
        notifications,
        metrics: metrics?,
        warnings: reader.warnings(),
    })
}

/// What rooms are about is declared, and such a room has an id.
fn check_rooms_items(top: &Table<'_>, rooms: &Rooms, items: &Items) {
    let Some(table) = top.table("rooms") else {
        return;
    };
    for entry in table.named() {
        let one = Table::of(table.reader, entry);
        let (Some(one), Some(kind)) = (one, rooms.kind(entry.key)) else {
            continue;
        };
        let Some((item, at)) = one.text("item") else {
            continue;
        };
        if items.get(item).is_none() {
            let help = suggestion(item, items.names());
            one.note(at, format!("unknown item \"{item}\"{help}"));
        }
        if kind.parameter.is_none() {
            let text = "there is one room of this kind, so it is about no item; give its name a placeholder";
            one.note(at, text);
        }
    }
}

/// Whether a name is that of a client event, or method and path of a route.
fn is_sent(name: &str, client: &ClientEvents, http: &Routes) -> bool {
    let route = name.split_once(' ');
    let route = route.map(|(method, path)| http.find(method, path));
    client.knows(name) || matches!(route, Some(Match::Route(..)))
}

fn finish(table: Option<&Table<'_>>) {
    if let Some(table) = table {
        table.finish();
    }
}

fn notify<'t>(
    top: &Table<'t>,
    shapes: &Shapes<'t>,
    roles: &[&'t str],
    rooms: &Rooms,
) -> (Push, Notices) {
    let Some(table) = top.table("notify") else {
        return (Push::default(), Notices::default());
    };
    let made = Notices::read(table.table("types").as_ref(), shapes, roles, rooms);
    let push = Push::read(&table, &made);
    table.finish();
    (push, made)
}

/// The name stands in addresses: `/chat/socket.io/`.
fn name(top: &Table<'_>) -> Option<Arc<str>> {
    let (name, at) = top.required_text("name", "name = \"chat\"")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
        let text = format!(
            "\"{name}\" cannot be an app's name; it stands in addresses: 1 to 32 of a-z, 0-9 and -"
        );
        top.note(at, text);
    }
    Some(name.into())
}

/// The permissions that sorts of room take have to be somebody's.
fn check_sorts(top: &Table<'_>, rooms: &Rooms, roles: &[(&str, Vec<Arc<str>>)]) {
    let known = || roles.iter().flat_map(|(_, permissions)| permissions);
    let sorts = rooms.0.iter().flat_map(|room| &room.sorts);
    for (sort, permission) in
        sorts.filter(|(_, permission)| **permission != *super::rooms::EVERYBODY)
    {
        if !known().any(|known| known == permission) {
            let help = suggestion(permission, known().map(|known| &**known));
            let text =
                format!("sort \"{sort}\": no role has the permission \"{permission}\"{help}");
            top.note(top.at.start, text);
        }
    }
}

fn named_shapes<'t>(table: Option<&Table<'t>>) -> Vec<(&'t str, usize, Node<'t>)> {
    let entries = table.map_or(&[][..], Table::named).iter();
    entries
        .map(|entry| (entry.key, entry.at.start, entry.node))
        .collect()
}

/// A map that is part of the program.
fn built_in(text: &'static str, facts: &[Fact]) -> Shape {
    let reader = Reader::new("built in", text);
    let document = reader.document();
    let rooms = Rooms::default();
    let items = Items::default();
    let shapes = Shapes::new(&reader, &rooms, (&items, &[]), Vec::new());
    let table = Table::new(&reader, 0..0, document.get_ref());
    let map = table
        .entry("map")
        .and_then(|map| shapes.compile(map.node, facts, "it"));
    map.expect("the built-in maps fit the catalogue")
}
