//! How records, messages and presence become rows, and rows become them again.
//!
//! What is searched by, and what a commit gives (position, seq), stands in columns; the rest is one JSON text.
//! It is written on the caller's thread, before anything waits for the writer.

use std::sync::Arc;

use relais_core::event::{
    Audience, Event, EventKind, Facts, Item, Message, NewRecord, Person, Record,
};
use relais_core::ids::{
    Conversation, Epoch, Position, RoomKey, Seq, SessionId, TenantKey, Timestamp, UserId,
};
use relais_core::ports::{Change, Notified, StoreError, StoredPresence, Transaction};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::fault::failed;

/// The only encoding so far: JSON.
pub(super) const CODEC: i64 = 1;

/// A transaction with its rows' texts.
pub(super) struct Prepared {
    pub(super) transaction: Transaction,
    /// One for each record.
    pub(super) records: Vec<String>,
    /// One for each inserted message, presence and notification, in the order of the changes.
    /// One for each inserted message, each presence and each item, in the order of the changes.
    pub(super) changes: Vec<String>,
}

impl Prepared {
    /// Encodes what will be stored.
    pub(super) fn new(transaction: Transaction) -> Result<Self, StoreError> {
        let records = transaction.records.iter().map(record_data);
        let changes = transaction
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::InsertMessage(message) => Some(message_data(message)),
                Change::SetPresence(presence) => Some(presence_data(presence)),
                Change::Notify { notification, .. } => Some(json(notification)),
                Change::PutItem(item) => Some(json(item)),
                _ => None,
            });
        Ok(Self {
            records: records.collect::<Result<_, _>>()?,
            changes: changes.collect::<Result<_, _>>()?,
            transaction,
        })
    }

    /// About how many bytes it holds.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.records.iter().chain(&self.changes);
        256 + 128 * self.transaction.changes.len() + texts.map(|text| 2 * text.len()).sum::<usize>()
    }
}

#[derive(Serialize)]
struct RecordOut<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    also: &'a [EventKind],
    #[serde(skip_serializing_if = "Option::is_none")]
    room: &'a Option<RoomKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: &'a Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: &'a Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: &'a Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq_of: &'a Option<Conversation>,
    body: &'a Facts,
    audience: &'a Audience,
}

#[derive(Deserialize)]
struct RecordIn {
    #[serde(default)]
    also: Vec<EventKind>,
    room: Option<RoomKey>,
    actor: Option<Person>,
    session: Option<SessionId>,
    target: Option<UserId>,
    seq_of: Option<Conversation>,
    body: Facts,
    audience: Audience,
}

/// A record's text without anything of what happened: only where, and which seq it took.
pub(super) fn blank_record(text: &str) -> Result<String, StoreError> {
    let data: RecordIn = parse(text)?;
    json(&RecordOut {
        also: &[],
        room: &data.room,
        actor: &None,
        session: &None,
        target: &None,
        seq_of: &data.seq_of,
        body: &Facts::new(),
        audience: &Audience::default(),
    })
}

#[derive(Serialize)]
struct PresenceOut<'a> {
    person: &'a Person,
    status: &'a str,
    custom_status: &'a Option<String>,
    rooms: &'a [RoomKey],
}

#[derive(Deserialize)]
struct PresenceIn {
    person: Person,
    status: Arc<str>,
    custom_status: Option<String>,
    rooms: Vec<RoomKey>,
}

fn record_data(record: &NewRecord) -> Result<String, StoreError> {
    let event = &record.event;
    json(&RecordOut {
        also: &event.also,
        room: &event.room,
        actor: &event.actor,
        session: &event.session,
        target: &event.target,
        seq_of: &event.takes_seq,
        body: &event.body,
        audience: &record.audience,
    })
}

/// A message's text; its seq and position are columns and mean nothing here.
pub(super) fn message_data(message: &Message) -> Result<String, StoreError> {
    json(message)
}

fn presence_data(presence: &StoredPresence) -> Result<String, StoreError> {
    json(&PresenceOut {
        person: &presence.person,
        status: &presence.status,
        custom_status: &presence.custom_status,
        rooms: &presence.rooms,
    })
}

/// Columns that [`record`] reads.
pub(super) const RECORD_COLUMNS: &str = "position, seq, at, kind, codec, data";

/// A row of the log, with about how many bytes it takes.
pub(super) fn record(
    row: &Row<'_>,
    tenant: &TenantKey,
    epoch: Epoch,
) -> Result<(Record, usize), StoreError> {
    let kind = text(row, 3)?;
    let kind = EventKind::from_name(kind)
        .ok_or_else(|| failed(format!("a record has the unknown kind {kind:?}")))?;
    if integer(row, 4)? != CODEC {
        return Err(failed("a record has an unknown encoding"));
    }
    let text = text(row, 5)?;
    let data: RecordIn = parse(text)?;
    let record = Record {
        tenant: tenant.clone(),
        epoch,
        position: Position(integer(row, 0)? as u64),
        seq: optional(row, 1)?.map(|seq| Seq(seq as u64)),
        at: Timestamp(integer(row, 2)?),
        event: Event {
            kind,
            also: data.also,
            room: data.room,
            actor: data.actor,
            session: data.session,
            target: data.target,
            durable: true,
            takes_seq: data.seq_of,
            audience: None,
            body: data.body,
            attachments: Vec::new(),
        },
        audience: data.audience,
    };
    Ok((record, text.len()))
}

/// Columns that [`message`] reads.
pub(super) const MESSAGE_COLUMNS: &str = "seq, position, data";

/// A row of the messages.
pub(super) fn message(row: &Row<'_>) -> Result<Message, StoreError> {
    let mut message: Message = parse(text(row, 2)?)?;
    message.seq = Seq(integer(row, 0)? as u64);
    message.position = Position(integer(row, 1)? as u64);
    Ok(message)
}

/// A row `online, last_seen, data` of the presences.
pub(super) fn presence(row: &Row<'_>) -> Result<StoredPresence, StoreError> {
    let data: PresenceIn = parse(text(row, 2)?)?;
    Ok(StoredPresence {
        person: data.person,
        online: integer(row, 0)? != 0,
        status: data.status,
        custom_status: data.custom_status,
        rooms: data.rooms,
        last_seen: Timestamp(integer(row, 1)?),
    })
}

/// A row `read, data` of an inbox.
pub(super) fn notified(row: &Row<'_>) -> Result<Notified, StoreError> {
    Ok(Notified {
        is_read: integer(row, 0)? != 0,
        notification: parse(text(row, 1)?)?,
    })
}

/// An item's text.
pub(super) fn item(row: &Row<'_>, column: usize) -> Result<Item, StoreError> {
    parse(text(row, column)?)
}

/// A user from its text and whether it is a JSON number.
pub(super) fn user(text: String, numeric: bool) -> UserId {
    let number = match numeric {
        true => serde_json::from_str(&text).ok(),
        false => None,
    };
    number
        .as_ref()
        .and_then(UserId::from_json)
        .unwrap_or_else(|| UserId::text(text))
}

/// An integer column.
pub(super) fn integer(row: &Row<'_>, column: usize) -> Result<i64, StoreError> {
    row.get(column).map_err(unreadable)
}

fn optional(row: &Row<'_>, column: usize) -> Result<Option<i64>, StoreError> {
    row.get(column).map_err(unreadable)
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, StoreError> {
    row.get_ref(column)
        .and_then(|value| Ok(value.as_str()?))
        .map_err(unreadable)
}

fn unreadable(error: rusqlite::Error) -> StoreError {
    failed(format!("a row cannot be read: {error}"))
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| failed(format!("a row cannot be written: {error}")))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| failed(format!("a row cannot be read: {error}")))
}
