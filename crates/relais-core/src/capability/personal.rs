//! What is stored about one user: given out whole, and erased.
//!
//! In come what the dispatcher loaded and who asks, out go the lines of an export and the changes of an erasure. Only the team's backend
//! may. What is erased stays in its place, blank, so that no `seq` and no position is missing to others. Restrictions outlive an erasure:
//! they are the team's word, not the user's.
//!
//! A line is `{type, data}`:
//!
//! | `type` | `data` |
//! |---|---|
//! | `person` | `id name role?`, as last remembered |
//! | `presence` | `userId online status lastSeen?` and, where known, `userName customStatus` |
//! | `membership` | `room` |
//! | `read` | `seq` and `room`, or `with` (the other one of a direct conversation) |
//! | `restriction` | `hold` (`muted` or `revoked`), `at`, `until?` |
//! | `subscription` | where a browser takes pushes: `endpoint` (of its address only the push service), `createdAt` |
//! | `notification` | a notification of the user's inbox ([`facts::notification`]), newest first |
//! | `item` | an item ([`facts::item`]) that the user owns or was given, oldest first |
//! | `message` | a message ([`facts::message`]) that the user wrote, got privately, or has in a direct conversation |

use serde_json::{Value, json};

use super::facts;
use crate::command::{Actor, ExportMark, Invocation, ItemAction, ItemRequest};
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts, Item, Message, Person, Record};
use crate::ids::{AudienceKey, Conversation, RoomKey, Seq, UserId};
use crate::ports::{Notified, UserItems, UserMessages};
use crate::restriction::{Against, Hold, Restriction};

/// Refuses everybody but the team's backend.
pub fn may(invocation: &Invocation) -> Result<(), Error> {
    match invocation.actor {
        Actor::Backend => Ok(()),
        Actor::User(_) => Err(Error::new(
            Code::Forbidden,
            "unable to do this to a user; it takes an API key",
        )),
    }
}

/// What is stored about a user besides messages.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// As last remembered.
    pub person: Option<Person>,
    /// The facts of presence, where anything is known.
    pub presence: Option<Facts>,
    /// Kept memberships.
    pub rooms: Vec<RoomKey>,
    /// Read marks.
    pub marks: Vec<(Conversation, Seq)>,
    /// What is held against the user.
    pub restrictions: Vec<Restriction>,
    /// Notifications, newest first.
    pub inbox: Vec<Notified>,
    /// The facts of subscriptions to pushes.
    pub subscriptions: Vec<Facts>,
}

/// The first page of an export: everything but items and messages.
pub fn state(user: &UserId, stored: Stored) -> Facts {
    let mut lines = Vec::new();
    let person = stored.person.iter();
    lines.extend(person.map(|person| line("person", facts::person(person))));
    let presence = stored.presence.into_iter();
    lines.extend(presence.map(|facts| line("presence", Value::Object(facts))));
    let rooms = stored.rooms.iter();
    lines.extend(rooms.map(|room| line("membership", json!({ "room": facts::room(room) }))));
    let marks = stored.marks.iter();
    lines.extend(marks.map(|(conversation, seq)| line("read", mark(conversation, *seq, user))));
    let theirs = |one: &&Restriction| one.against == Against::User(user.clone());
    let restrictions = stored.restrictions.iter().filter(theirs);
    lines.extend(restrictions.map(|one| line("restriction", restriction(one))));
    let subscriptions = stored.subscriptions.into_iter();
    lines.extend(subscriptions.map(|facts| line("subscription", Value::Object(facts))));
    lines.extend(stored.inbox.iter().map(|one| {
        let facts = facts::notification(&one.notification, one.is_read);
        line("notification", Value::Object(facts))
    }));
    page(lines, Some(ExportMark::State))
}

fn mark(conversation: &Conversation, seq: Seq, user: &UserId) -> Value {
    match conversation {
        Conversation::Room(room) => json!({ "room": facts::room(room), "seq": seq.0 }),
        Conversation::Direct(one, other) => {
            let with = if one == user { other } else { one };
            json!({ "with": with.to_json(), "seq": seq.0 })
        }
    }
}

/// A further page: items.
pub fn items(found: &UserItems) -> Facts {
    let lines = found.items.iter();
    let lines = lines.map(|item| line("item", facts::item(item)));
    let next = found.next.map_or(ExportMark::Items, ExportMark::Item);
    page(lines.collect(), Some(next))
}

/// A further page: messages.
pub fn messages(found: &UserMessages) -> Facts {
    let lines = found.messages.iter();
    let lines = lines.map(|message| line("message", Value::Object(facts::message(message))));
    page(lines.collect(), found.next.map(ExportMark::Message))
}

fn page(lines: Vec<Value>, next: Option<ExportMark>) -> Facts {
    let mut facts = facts::object(json!({ "records": lines }));
    if let Some(next) = next {
        facts.insert("next".into(), next.to_string().into());
    }
    facts
}

fn line(kind: &str, data: Value) -> Value {
    json!({ "type": kind, "data": data })
}

fn restriction(one: &Restriction) -> Value {
    let hold = match one.hold {
        Hold::Muted => "muted",
        Hold::Revoked => "revoked",
    };
    let mut data = json!({ "hold": hold, "at": one.at.to_string() });
    if let Some(until) = one.until {
        data["until"] = until.to_string().into();
    }
    data
}

/// Whether a user wrote a message, so that an erasure blanks it. What others wrote to the user is theirs.
pub fn wrote(message: &Message, user: &UserId) -> bool {
    message.sender.id == *user
}

/// Whether a record of the log is one user's: caused by the user, about the user or something that the user owns or was given, or for the
/// user alone.
pub fn is_of(record: &Record, user: &UserId) -> bool {
    let event = &record.event;
    let is_user = |value: Option<&Value>| value.and_then(UserId::from_json).as_ref() == Some(user);
    let id_of = |person| event.body.get(person).and_then(|person| person.get("id"));
    let only = [AudienceKey::User(user.clone())];
    event.actor.as_ref().is_some_and(|actor| actor.id == *user)
        || is_user(event.body.get("userId"))
        || is_user(id_of("sender"))
        || is_user(id_of("owner"))
        || is_user(event.body.get("assignee"))
        || record.audience.to == only
}

/// What those in a room are told of a member who was erased: at most once, and nowhere stored.
pub fn left(room: &RoomKey, user: &UserId) -> Event {
    Event {
        room: Some(room.clone()),
        target: Some(user.clone()),
        audience: Some(Audience {
            to: vec![AudienceKey::Room(room.clone())],
            ..Audience::default()
        }),
        ..Event::new(
            EventKind::MemberRemoved,
            facts::object(json!({ "userId": user.to_json() })),
        )
    }
}

/// What an erasure does to an item: the user's own go, those of others are taken from the user. `None`: it is not the user's at all.
pub fn erasing(item: &Item, user: &UserId) -> Option<ItemRequest> {
    let owner = item.owner.as_ref();
    let (action, assignee) = match &item.assignee {
        _ if owner.is_some_and(|owner| owner.id == *user) => (ItemAction::Delete, None),
        Some(assignee) if assignee == user => (ItemAction::Assign, Some(None)),
        _ => return None,
    };
    Some(ItemRequest {
        id: Some(item.key.id.clone()),
        assignee,
        ..ItemRequest::new(action, item.key.shelf.clone())
    })
}

/// How much an erasure has erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Messages that the user wrote.
    pub messages: usize,
    /// Records of the log.
    pub records: usize,
    /// Kept memberships.
    pub memberships: usize,
    /// Items that the user owned.
    pub items: usize,
    /// Items of others that the user was given.
    pub assignments: usize,
}

/// The answer to an erasure.
pub fn erased(erased: Erased) -> Facts {
    facts::object(json!({
        "messages": erased.messages,
        "records": erased.records,
        "memberships": erased.memberships,
        "items": erased.items,
        "assignments": erased.assignments,
    }))
}
