//! What is asked of the database: every read, for the readers' threads and for the checks of the writer.
//!
//! Each function takes a connection and answers in the core's terms. Nothing here writes.

use std::sync::Arc;

use relais_core::event::{Message, Record};
use relais_core::ids::{
    Conversation, Epoch, Id, Position, RoomKey, Seq, SessionId, TenantKey, Timestamp, UserId,
};
use relais_core::ports::{
    Interval, Member, Membership, MessagePage, MessageQuery, StoreError, StoredPresence,
    UserMessages,
};
use relais_core::restriction::Restriction;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use uuid::Uuid;

use super::fault::{failed, store_error};
use super::heads::{Place, find};
use super::keys::Keeper;
use super::rows::{self, MESSAGE_COLUMNS, RECORD_COLUMNS};

/// All rows of a statement; statements are prepared once a connection.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let mut rows = statement.query(params).map_err(sqlite)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(sqlite)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of a statement.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    Ok(all(connection, sql, params, read)?.into_iter().next())
}

/// A page of a log, each record with about how many bytes it takes. It ends early when it holds `bytes_max`.
pub(super) fn log(
    connection: &Connection,
    (tenant, key, epoch): (i64, &TenantKey, Epoch),
    after: Position,
    limit: usize,
    bytes_max: usize,
) -> Result<Vec<(Arc<Record>, usize)>, StoreError> {
    let sql = format!(
        "SELECT {RECORD_COLUMNS} FROM log
         WHERE tenant = ?1 AND position > ?2 ORDER BY position LIMIT ?3"
    );
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let mut statement = connection.prepare_cached(&sql).map_err(sqlite)?;
    let params = (tenant, signed(after.0), limit as i64);
    let mut rows = statement.query(params).map_err(sqlite)?;
    let (mut page, mut held) = (Vec::new(), 0);
    while held < bytes_max
        && let Some(row) = rows.next().map_err(sqlite)?
    {
        let (record, bytes) = rows::record(row, key, epoch)?;
        held += bytes;
        page.push((Arc::new(record), bytes));
    }
    Ok(page)
}

/// The position below the newest `records_max` records that together hold at most `bytes_max`.
pub(super) fn log_tail(
    connection: &Connection,
    tenant: i64,
    (records_max, bytes_max): (usize, usize),
) -> Result<Option<Position>, StoreError> {
    let mut bytes = 0;
    let sql = "SELECT position, length(data) FROM log
               WHERE tenant = ?1 ORDER BY position DESC LIMIT ?2";
    let tail = all(connection, sql, (tenant, records_max as i64), |row| {
        bytes += rows::integer(row, 1)? as usize;
        Ok((rows::integer(row, 0)? as u64, bytes))
    })?;
    let fits = tail.iter().take_while(|(_, bytes)| *bytes <= bytes_max);
    Ok(fits.last().map(|(position, _)| Position(position - 1)))
}

/// Newest position that retention has taken from these rooms or from what has none.
pub(super) fn trimmed(
    connection: &Connection,
    tenant: i64,
    rooms: &[RoomKey],
) -> Result<Position, StoreError> {
    let places = rooms.iter().map(Place::from).chain([Place::Roomless]);
    let mut newest = 0;
    for place in places {
        let (class, a, b) = place.columns();
        let sql = "SELECT trimmed FROM places
                   WHERE tenant = ?1 AND class = ?2 AND a = ?3 AND b = ?4";
        let trimmed = first(connection, sql, (tenant, class, a, b), |row| {
            rows::integer(row, 0)
        })?;
        newest = newest.max(trimmed.unwrap_or_default());
    }
    Ok(Position(newest as u64))
}

/// A page of a conversation.
pub(super) fn messages(
    connection: &Connection,
    tenant: i64,
    query: &MessageQuery,
) -> Result<MessagePage, StoreError> {
    let Some(place) = find(connection, tenant, &(&query.conversation).into())? else {
        return Ok(MessagePage {
            messages: Vec::new(),
            has_more: false,
        });
    };
    let forward = query.range.after.is_some();
    let sql = format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages
         WHERE place = ?1 AND seq > ?2 AND seq < ?3
           AND (?4 IS NULL OR channel = ?4)
           AND (?5 IS NULL OR recipient IS NULL OR recipient = ?5 OR sender = ?5)
         ORDER BY seq {} LIMIT ?6",
        if forward { "ASC" } else { "DESC" }
    );
    let limit = crate::page_limit(query.limit);
    let params = (
        place,
        signed(query.range.after.map_or(0, |seq| seq.0)),
        signed(query.range.before.map_or(u64::MAX, |seq| seq.0)),
        query.channel.as_deref(),
        query.viewer.as_ref().map(UserId::as_str),
        limit as i64 + 1,
    );
    let mut messages = all(connection, &sql, params, rows::message)?;
    let has_more = messages.len() > limit;
    messages.truncate(limit);
    if !forward {
        messages.reverse();
    }
    Ok(MessagePage { messages, has_more })
}

/// A message by its id.
pub(super) fn message(
    connection: &Connection,
    tenant: i64,
    id: Id,
) -> Result<Option<Message>, StoreError> {
    let sql = format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE tenant = ?1 AND id = ?2");
    let id = id.0.as_bytes();
    first(connection, &sql, (tenant, &id[..]), rows::message)
}

/// The message at a place and seq with the hash of its original body, if it keeps just this key of this sender.
pub(super) fn keeps(
    connection: &Connection,
    keeper: Keeper,
    sender: &UserId,
    key: &str,
) -> Result<Option<([u8; 32], Message)>, StoreError> {
    let sql = "SELECT seq, position, data, body_hash FROM messages
               WHERE place = ?1 AND seq = ?2 AND sender = ?3 AND key = ?4
                 AND body_hash IS NOT NULL";
    let params = (keeper.place, signed(keeper.seq.0), sender.as_str(), key);
    first(connection, sql, params, |row| {
        let hash = row.get(3).map_err(|error| store_error(&error))?;
        Ok((hash, rows::message(row)?))
    })
}

/// The newest seq of a conversation.
pub(super) fn last_seq(
    connection: &Connection,
    tenant: i64,
    conversation: &Conversation,
) -> Result<Seq, StoreError> {
    let place = Place::from(conversation);
    let (class, a, b) = place.columns();
    let sql = "SELECT last_seq FROM places WHERE tenant = ?1 AND class = ?2 AND a = ?3 AND b = ?4";
    let seq = first(connection, sql, (tenant, class, a, b), |row| {
        rows::integer(row, 0)
    })?;
    Ok(Seq(seq.unwrap_or_default() as u64))
}

/// Messages that a user has to do with, among the next ones of the tenant.
pub(super) fn messages_of(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
    after: Option<Id>,
) -> Result<UserMessages, StoreError> {
    let sql = "SELECT messages.seq, messages.position, messages.data, messages.id,
                      sender = ?2 OR recipient IS ?2 OR (class = 2 AND (a = ?2 OR b = ?2))
               FROM messages JOIN places ON places.id = messages.place
               WHERE messages.tenant = ?1 AND messages.id > ?3 ORDER BY messages.id LIMIT ?4";
    let sqlite = |error: rusqlite::Error| store_error(&error);
    let after: &[u8] = after.as_ref().map_or(&[], |id| id.0.as_bytes());
    let limit = crate::USER_MESSAGES_SCANNED_MAX;
    let mut statement = connection.prepare_cached(sql).map_err(sqlite)?;
    let params = (tenant, user.as_str(), after, limit as i64);
    let mut rows = statement.query(params).map_err(sqlite)?;
    let (mut messages, mut scanned, mut next) = (Vec::new(), 0, None);
    while let Some(row) = rows.next().map_err(sqlite)? {
        scanned += 1;
        if row.get(4).map_err(sqlite)? {
            messages.push(rows::message(row)?);
        }
        if scanned == limit || messages.len() == crate::USER_MESSAGES_MAX {
            let id: Vec<u8> = row.get(3).map_err(sqlite)?;
            let id = Uuid::from_slice(&id).map_err(|error| failed(error.to_string()))?;
            next = Some(Id(id));
            break;
        }
    }
    Ok(UserMessages { messages, next })
}

/// How far a user has read, everywhere.
pub(super) fn marks_of(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
) -> Result<Vec<(Conversation, Seq)>, StoreError> {
    // In this order, so that the user's marks are looked at and not all places of the tenant.
    let sql = "SELECT class, a, b, seq FROM marks CROSS JOIN places ON places.id = marks.place
               WHERE marks.user = ?2 AND tenant = ?1 ORDER BY class, a, b";
    all(connection, sql, (tenant, user.as_str()), |row| {
        let room = room(row, 1)?;
        let conversation = match rows::integer(row, 0)? {
            2 => Conversation::Direct(UserId::text(room.kind), UserId::text(room.id)),
            _ => Conversation::Room(room),
        };
        Ok((conversation, Seq(rows::integer(row, 3)? as u64)))
    })
}

/// What is kept about a user in a room.
pub(super) fn membership(
    connection: &Connection,
    tenant: i64,
    room: &RoomKey,
    user: &UserId,
) -> Result<Membership, StoreError> {
    let sql = "SELECT removed FROM members WHERE user = ?4 AND place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3)";
    let params = (tenant, &*room.kind, &*room.id, user.as_str());
    let removed = first(connection, sql, params, |row| rows::integer(row, 0))?;
    Ok(match removed {
        None => Membership::Unknown,
        Some(0) => Membership::Member,
        Some(_) => Membership::Removed,
    })
}

/// All that is held against anybody.
pub(super) fn restrictions(
    connection: &Connection,
    tenant: i64,
) -> Result<Vec<Restriction>, StoreError> {
    let sql = "SELECT data FROM restrictions WHERE tenant = ?1";
    all(connection, sql, [tenant], |row| {
        let data: String = row.get(0).map_err(|error| store_error(&error))?;
        serde_json::from_str(&data).map_err(|error| failed(error.to_string()))
    })
}

/// Members of a room in the order in which they were added.
pub(super) fn members(
    connection: &Connection,
    tenant: i64,
    room: &RoomKey,
) -> Result<Vec<Member>, StoreError> {
    let sql = "SELECT user, numeric, added_at FROM members WHERE removed = 0 AND place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3)
               ORDER BY id";
    all(connection, sql, (tenant, &*room.kind, &*room.id), |row| {
        let read = || Ok((row.get(0)?, row.get(1)?));
        let (text, numeric) = read().map_err(|error| store_error(&error))?;
        Ok(Member {
            user: rows::user(text, numeric),
            added_at: Timestamp(rows::integer(row, 2)?),
        })
    })
}

/// Rooms of a user in the order in which the user was added.
pub(super) fn rooms_of(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
) -> Result<Vec<RoomKey>, StoreError> {
    let sql = "SELECT places.a, places.b FROM members JOIN places ON places.id = members.place
               WHERE members.tenant = ?1 AND members.user = ?2 AND members.removed = 0
               ORDER BY members.id";
    all(connection, sql, (tenant, user.as_str()), |row| room(row, 0))
}

/// Stays of a session in the order in which they began.
pub(super) fn session_rooms(
    connection: &Connection,
    tenant: i64,
    session: &SessionId,
) -> Result<Vec<Interval>, StoreError> {
    let sql = "SELECT places.a, places.b, stays.since, stays.until
               FROM stays JOIN places ON places.id = stays.place
               WHERE stays.tenant = ?1 AND stays.session = ?2 ORDER BY stays.id";
    all(connection, sql, (tenant, &*session.0), |row| {
        let until: Option<i64> = row.get(3).map_err(|error| store_error(&error))?;
        Ok(Interval {
            room: room(row, 0)?,
            since: Position(rows::integer(row, 2)? as u64),
            until: until.map(|until| Position(until as u64)),
        })
    })
}

/// How far a user has read.
pub(super) fn read_mark(
    connection: &Connection,
    tenant: i64,
    conversation: &Conversation,
    user: &UserId,
) -> Result<Seq, StoreError> {
    let place = Place::from(conversation);
    let (class, a, b) = place.columns();
    let sql = "SELECT seq FROM marks WHERE user = ?5 AND place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = ?2 AND a = ?3 AND b = ?4)";
    let params = (tenant, class, a, b, user.as_str());
    let seq = first(connection, sql, params, |row| rows::integer(row, 0))?;
    Ok(Seq(seq.unwrap_or_default() as u64))
}

/// Presence of one user.
pub(super) fn presence(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
) -> Result<Option<StoredPresence>, StoreError> {
    let sql = "SELECT online, last_seen, data FROM presences WHERE tenant = ?1 AND user = ?2";
    first(connection, sql, (tenant, user.as_str()), rows::presence)
}

/// Presence of users that were online or changed after `since`.
pub(super) fn presences(
    connection: &Connection,
    tenant: i64,
    since: Timestamp,
) -> Result<Vec<StoredPresence>, StoreError> {
    let sql = "SELECT online, last_seen, data FROM presences
               WHERE tenant = ?1 AND (online = 1 OR last_seen > ?2) ORDER BY user";
    all(connection, sql, (tenant, since.0), rows::presence)
}

/// Whether the database answers.
pub(super) fn answers(connection: &Connection) -> Result<(), StoreError> {
    connection
        .query_row("SELECT 1 FROM tenants LIMIT 1", [], |_| Ok(()))
        .optional()
        .map(|_| ())
        .map_err(|error| store_error(&error))
}

fn room(row: &Row<'_>, column: usize) -> Result<RoomKey, StoreError> {
    let text = |column| {
        row.get::<_, String>(column)
            .map_err(|error| store_error(&error))
    };
    Ok(RoomKey::new(text(column)?, text(column + 1)?))
}

/// A bound of a range: what is beyond SQLite's integers is beyond every position and seq.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
