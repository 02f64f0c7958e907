//! What becomes a notification: `[notify.types.*]` of the app file, compiled, and the notices that an event makes.
//!
//! In goes a durable event, out come [`Notice`]s: type, users and rooms, and the words. Whose inboxes that is, and that it is
//! committed with its cause, is the core's.

use serde_json::Value;

use super::reader::{Node, Table};
use super::rooms::{JoinPolicy, Rooms};
use super::server::{On, ServerEvents};
use super::shape::Shapes;
use super::view::View;
use crate::event::{Event, EventKind};
use crate::ports::Notice;

/// The events of `[notify.types.*]`, each under the name of its type.
#[derive(Clone, Debug, Default)]
pub struct Notices(pub(super) ServerEvents);

impl Notices {
    /// Reads `[notify.types]`.
    pub(super) fn read<'t>(
        table: Option<&Table<'t>>,
        shapes: &Shapes<'t>,
        roles: &[&'t str],
        rooms: &Rooms,
    ) -> Self {
        let made = ServerEvents::read(table, shapes, roles);
        for entry in table.map_or(&[][..], Table::named) {
            let Some(one) = table.and_then(|table| Table::of(table.reader, entry)) else {
                continue;
            };
            check_words(&one);
            match one.entry("to") {
                Some(to) => check_recipients(&one, to.node, rooms),
                None => {
                    let text = "\"to\" is missing; for example to = \"user:{actor.id}\"";
                    one.note(entry.at.start, text);
                }
            }
            for (on, at) in one.texts("on").unwrap_or_default() {
                if !EventKind::from_name(on).is_none_or(can_notify) {
                    let text = format!(
                        "\"{on}\" cannot make a notification: it is not stored, or is one itself"
                    );
                    one.note(at, text);
                }
            }
        }
        for event in &made.session {
            if let (On::Connected | On::Ready, Some(table)) = (event.on, table) {
                table.note(table.at.start, "what opens a session makes no notification");
            }
        }
        Self(made)
    }

    /// Every declared type.
    pub fn iter(&self) -> impl Iterator<Item = &super::ServerEvent> {
        self.0.iter()
    }

    /// The notices of an event, in the order of the file.
    pub(super) fn of(&self, rooms: &Rooms, event: &Event) -> Vec<Notice> {
        let mut made = self.0.of(event).peekable();
        if made.peek().is_none() {
            return Vec::new();
        }
        let view = View::of_event(rooms, event);
        let wanted = made.filter(|one| one.wants(&view));
        let notices = wanted.filter_map(|one| {
            let to = one.to.as_ref()?.resolve(event, &view, None)?.to;
            let words: Value = serde_json::from_str(&one.render(&view)).ok()?;
            let data = words.get("data").filter(|data| !data.is_null());
            Some(Notice {
                kind: one.name.clone(),
                to,
                title: text(words.get("title")),
                message: text(words.get("message")),
                data: data.cloned(),
            })
        });
        notices.collect()
    }
}

/// A fact as the text of a notification; nothing is no text.
fn text(fact: Option<&Value>) -> String {
    match fact {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Events that are stored, and do not come of notifications.
fn can_notify(kind: EventKind) -> bool {
    match kind {
        EventKind::RoomJoined
        | EventKind::RoomLeft
        | EventKind::TypingChanged
        | EventKind::PresenceOnline
        | EventKind::PresenceOffline
        | EventKind::PresenceChanged
        | EventKind::RelaySent
        | EventKind::NotifySent
        | EventKind::NotifyRead => false,
        EventKind::MessageSent
        | EventKind::MessageEdited
        | EventKind::MessageDeleted
        | EventKind::MessageRead
        | EventKind::MessageMentioned
        | EventKind::MemberAdded
        | EventKind::MemberRemoved
        | EventKind::ItemCreated
        | EventKind::ItemUpdated
        | EventKind::ItemMoved
        | EventKind::ItemAssigned
        | EventKind::ItemFileAttached => true,
    }
}

/// `data` has the words of a notification.
fn check_words(table: &Table<'_>) {
    let Some(entry) = table.entry("data") else {
        return;
    };
    let Some(data) = entry.node.get_ref().as_table() else {
        return;
    };
    for word in ["title", "message"] {
        if !data.keys().any(|key| key.get_ref() == word) {
            let text = format!("\"{word}\" is missing; a notification has title, message and data");
            table.note(entry.at.start, text);
        }
    }
}

/// Who has no list of members has no inboxes.
fn check_recipients(table: &Table<'_>, node: Node<'_>, rooms: &Rooms) {
    use toml::de::DeValue;
    match node.get_ref() {
        DeValue::String(word) => {
            let kind = word.split_once(':').map_or(&**word, |(kind, _)| kind);
            let has_members = |kind: &str| {
                let room = rooms.kind(kind);
                room.is_none_or(|room| room.join.contains(&JoinPolicy::Member))
            };
            if matches!(kind, "tenant" | "role" | "contacts") || !has_members(kind) {
                let text = format!(
                    "\"{word}\" has no inboxes; name users, or rooms with join = [\"member\"]"
                );
                table.note(node.span().start, text);
            }
        }
        DeValue::Array(list) => {
            for one in list {
                check_recipients(table, one, rooms);
            }
        }
        _ => {}
    }
}
