//! Builders of the core's values for tests: short names in, valid values out.
//!
//! Everything is deterministic; ids are numbers in a UUID's clothes.

use std::sync::Arc;

use relais_core::event::{
    Audience, Event, EventKind, Facts, FileInfo, Item, Lease, Message, NewRecord, Notification,
    Person,
};
use relais_core::ids::{
    AudienceKey, Conversation, Id, ItemId, ItemKey, Position, RoomKey, Seq, SessionId, Shelf,
    TenantKey, Timestamp, UserId,
};
use relais_core::ports::{Change, Idempotency, Recipients, RoomInfo, StoredPresence, Transaction};
use uuid::Uuid;

/// A tenant of the app `app`.
pub fn tenant(name: &str) -> TenantKey {
    TenantKey::new("app", name)
}

/// A room of the kind `room`.
pub fn room(id: &str) -> RoomKey {
    RoomKey::new("room", id)
}

/// The chat of that room.
pub fn chat(id: &str) -> Conversation {
    Conversation::Room(room(id))
}

/// A user whose id is a JSON string.
pub fn user(id: &str) -> UserId {
    UserId::text(id)
}

/// A user whose id is a JSON number.
pub fn numbered_user(id: i64) -> UserId {
    UserId::from_json(&id.into()).expect("an integer is a user id")
}

/// That user with a name and a role.
pub fn person(id: &UserId) -> Person {
    Person {
        id: id.clone(),
        name: format!("Name of {id}").into(),
        role: Some("guest".into()),
    }
}

/// A session.
pub fn session(id: &str) -> SessionId {
    SessionId(id.into())
}

/// The id with that number.
pub fn id(number: u64) -> Id {
    Id(Uuid::from_u128(
        0x7000_8000_0000_0000_0000 << 40 | u128::from(number),
    ))
}

/// A message that is not stored yet.
pub fn message(number: u64, conversation: &Conversation, sender: &UserId, body: &str) -> Message {
    Message {
        id: id(number),
        conversation: conversation.clone(),
        seq: Seq(0),
        position: Position(0),
        sender: person(sender),
        recipient: None,
        kind: "text".into(),
        body: body.to_owned(),
        channel: None,
        key: None,
        reply_to: None,
        mentions: Vec::new(),
        created_at: Timestamp(0),
        edited_at: None,
        deleted_at: None,
    }
}

/// A durable event of a kind in a room, for the room.
pub fn record(kind: EventKind, room: &RoomKey, fact: &str) -> NewRecord {
    let mut body = Facts::new();
    body.insert("fact".to_owned(), fact.into());
    NewRecord {
        event: Event {
            room: Some(room.clone()),
            actor: Some(person(&user("actor"))),
            session: Some(session("cause")),
            durable: true,
            ..Event::new(kind, body)
        },
        audience: Audience {
            to: vec![AudienceKey::Room(room.clone())],
            except_user: None,
            except_session: Some(session("cause")),
        },
    }
}

/// A durable event without a room, for one user.
pub fn notice(to: &UserId, fact: &str) -> NewRecord {
    let mut notice = record(EventKind::NotifySent, &room("none"), fact);
    notice.event.room = None;
    notice.event.target = Some(to.clone());
    notice.audience.to = vec![AudienceKey::User(to.clone())];
    notice
}

/// Appends records and changes nothing else.
pub fn append(records: impl IntoIterator<Item = NewRecord>) -> Transaction {
    Transaction {
        records: records.into_iter().collect(),
        ..Transaction::default()
    }
}

/// Changes state without a record.
pub fn change(at: i64, changes: impl IntoIterator<Item = Change>) -> Transaction {
    Transaction {
        at: Timestamp(at),
        changes: changes.into_iter().collect(),
        ..Transaction::default()
    }
}

/// Stores a message with its record, as `message.send` does.
pub fn send(message: Message) -> Transaction {
    let mut record = match &message.conversation {
        Conversation::Room(room) => record(EventKind::MessageSent, room, &message.body),
        Conversation::Direct(_, other) => {
            let mut record = notice(other, &message.body);
            record.event.kind = EventKind::MessageSent;
            record
        }
    };
    record.event.takes_seq = Some(message.conversation.clone());
    Transaction {
        at: message.created_at,
        changes: vec![Change::InsertMessage(message)],
        records: vec![record],
        ..Transaction::default()
    }
}

/// The same with the client's key; the hash stands for the body.
pub fn send_keyed(mut message: Message, key: &str) -> Transaction {
    let key: Arc<str> = key.into();
    message.key = Some(key.clone());
    let idempotency = Idempotency {
        sender: message.sender.id.clone(),
        conversation: message.conversation.clone(),
        key,
        body_hash: hash(&message.body),
    };
    Transaction {
        idempotency: Some(idempotency),
        ..send(message)
    }
}

/// Something that differs for different short bodies, in the place of a SHA-256.
pub fn hash(body: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    for (index, byte) in body.bytes().enumerate() {
        hash[index % 32] ^= byte.rotate_left((index / 32) as u32);
    }
    hash[31] ^= body.len() as u8;
    hash
}

/// What a user said that a room is.
pub fn info(room: &RoomKey, sort: &str, created_by: Option<&UserId>) -> RoomInfo {
    RoomInfo {
        room: room.clone(),
        name: format!("Name of {}", room.id).into(),
        sort: sort.into(),
        created_at: Timestamp(7),
        created_by: created_by.cloned(),
    }
}

/// A notification with that number.
pub fn notification(number: u64) -> Notification {
    Notification {
        id: id(number),
        kind: number.is_multiple_of(2).then(|| "story".into()),
        title: format!("Title {number}"),
        message: format!("Message {number}"),
        data: number
            .is_multiple_of(3)
            .then(|| serde_json::json!({ "number": number })),
        created_at: Timestamp(number as i64),
    }
}

/// Puts that notification into inboxes that keep so many.
pub fn notify(
    number: u64,
    to: impl IntoIterator<Item = Recipients>,
    except: Option<&UserId>,
    keep: u32,
) -> Change {
    Change::Notify {
        to: to.into_iter().collect(),
        except: except.cloned(),
        notification: notification(number),
        keep,
    }
}

/// Presence of a user, online in these rooms or offline.
pub fn presence(of: &UserId, online: bool, last_seen: i64, rooms: &[RoomKey]) -> StoredPresence {
    StoredPresence {
        person: person(of),
        online,
        status: if online { "online" } else { "offline" }.into(),
        custom_status: online.then(|| "at the bar".to_owned()),
        rooms: rooms.to_vec(),
        last_seen: Timestamp(last_seen),
    }
}

/// Tasks of a room.
pub fn shelf(of: &str) -> Shelf {
    Shelf {
        kind: "task".into(),
        room: Some(room(of)),
    }
}

/// A task of a room.
pub fn item_key(of: &str, id: &str) -> ItemKey {
    ItemKey {
        shelf: shelf(of),
        id: ItemId::text(id),
    }
}

/// A task with everything that an item can have, created by `ann` under the temporary id `k`.
pub fn item(of: &str, name: &str) -> Item {
    let mut fields = Facts::new();
    fields.insert("title".to_owned(), name.into());
    Item {
        key: item_key(of, name),
        status: Some("todo".into()),
        fields,
        owner: Some(person(&user("ann"))),
        assignee: Some(numbered_user(4)),
        reason: Some("why not".to_owned()),
        files: vec![FileInfo {
            id: id(1),
            filename: "cake.png".into(),
            path: "a/b".into(),
            content_type: "image/png".into(),
            bytes: 7,
        }],
        lease: Some(Lease {
            free_at: Timestamp(5),
            is_taken: true,
            lost: 1,
        }),
        temporary_id: Some("k".into()),
        origin: "0f".into(),
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
        version: 1,
    }
}

/// Makes somebody a member.
pub fn add(place: &RoomKey, who: &UserId) -> Change {
    Change::AddMember {
        room: place.clone(),
        user: who.clone(),
    }
}

/// Ends a membership.
pub fn remove(place: &RoomKey, who: &UserId) -> Change {
    Change::RemoveMember {
        room: place.clone(),
        user: who.clone(),
    }
}
