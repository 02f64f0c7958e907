//! What rooms are, who is known of them, and what is unread there: the statements behind `rooms`, `people` and `claims`.
//!
//! Reads are asked by the readers' threads and by the checks of the writer, writes by the writer inside its open transaction.

use std::collections::HashSet;
use std::sync::Arc;

use relais_core::event::Person;
use relais_core::ids::{RoomKey, Seq, Timestamp, UserId};
use relais_core::ports::{
    Membership, ROOM_PEOPLE_MAX, RoomInfo, RoomPerson, RoomState, StoreError, UNREAD_MAX,
};
use rusqlite::{Connection, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::{failed, store_error};
use super::query::{all, first};
use super::rows;

type Sqlite<T> = Result<T, rusqlite::Error>;

/// What each of these rooms is, and how a user stands to it.
pub(super) fn states(
    connection: &Connection,
    tenant: i64,
    user: Option<&UserId>,
    rooms: &[RoomKey],
) -> Result<Vec<RoomState>, StoreError> {
    let state = |room| state(connection, tenant, user, room);
    rooms.iter().map(state).collect()
}

fn state(
    connection: &Connection,
    tenant: i64,
    user: Option<&UserId>,
    room: &RoomKey,
) -> Result<RoomState, StoreError> {
    let sql = "SELECT places.id, places.last_seq, rooms.name, rooms.sort, rooms.created_at, rooms.created_by,
                 (SELECT removed FROM members WHERE place = places.id AND user = ?4),
                 (SELECT seq FROM marks WHERE place = places.id AND user = ?4)
               FROM places LEFT JOIN rooms ON rooms.place = places.id
               WHERE places.tenant = ?1 AND places.class = 1 AND places.a = ?2 AND places.b = ?3";
    let params = (tenant, &*room.kind, &*room.id, user.map(UserId::as_str));
    let found = first(connection, sql, params, |row| {
        let (last_seq, mark) = (
            rows::integer(row, 1)?,
            optional(row, 7)?.unwrap_or_default(),
        );
        let state = RoomState {
            info: info(row, room)?,
            membership: membership(optional(row, 6)?),
            last_seq: Seq(last_seq as u64),
            unread: 0,
        };
        Ok((rows::integer(row, 0)?, mark, state))
    })?;
    let Some((place, mark, mut state)) = found else {
        return Ok(RoomState {
            info: None,
            membership: Membership::Unknown,
            last_seq: Seq(0),
            unread: 0,
        });
    };
    if let Some(user) = user
        && state.last_seq.0 > mark as u64
    {
        state.unread = unread(connection, place, mark, user)?;
    }
    Ok(state)
}

fn info(row: &Row<'_>, room: &RoomKey) -> Result<Option<RoomInfo>, StoreError> {
    let Some(name) = text(row, 2)? else {
        return Ok(None);
    };
    let created_by = text(row, 5)?.map(|json| parse(&json)).transpose()?;
    Ok(Some(RoomInfo {
        room: room.clone(),
        name: name.into(),
        sort: text(row, 3)?.unwrap_or_default().into(),
        created_at: Timestamp(rows::integer(row, 4)?),
        created_by,
    }))
}

/// Among the newest only, so that somebody who never reads costs no more than others.
fn unread(
    connection: &Connection,
    place: i64,
    mark: i64,
    user: &UserId,
) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM
                 (SELECT sender, recipient FROM messages WHERE place = ?1 AND seq > ?2
                  ORDER BY seq DESC LIMIT ?4)
               WHERE sender <> ?3 AND (recipient IS NULL OR recipient = ?3)";
    let params = (place, mark, user.as_str(), UNREAD_MAX);
    let count = first(connection, sql, params, |row| rows::integer(row, 0))?;
    Ok(count.unwrap_or_default() as u32)
}

/// Everybody that is known of a room.
pub(super) fn people(
    connection: &Connection,
    tenant: i64,
    room: &RoomKey,
) -> Result<Vec<RoomPerson>, StoreError> {
    let sql = "SELECT members.user, members.numeric, members.removed, people.data,
                 EXISTS (SELECT 1 FROM claims WHERE claims.tenant = ?1
                         AND claims.user = members.user AND claims.place = members.place)
               FROM members LEFT JOIN people
                 ON people.tenant = members.tenant AND people.user = members.user
               WHERE members.place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3)
               ORDER BY members.removed, members.id LIMIT ?4";
    let params = (tenant, &*room.kind, &*room.id, ROOM_PEOPLE_MAX as i64);
    let mut known = all(connection, sql, params, |row| {
        let read = || Ok((row.get(0)?, row.get(1)?));
        let (id, numeric) = read().map_err(|error| store_error(&error))?;
        let person = match text(row, 3)? {
            Some(data) => parse(&data)?,
            None => nameless(rows::user(id, numeric)),
        };
        Ok(RoomPerson {
            person,
            membership: membership(optional(row, 2)?),
            claims: rows::integer(row, 4)? != 0,
        })
    })?;
    let sql = "SELECT people.data FROM claims JOIN people
                 ON people.tenant = claims.tenant AND people.user = claims.user
               WHERE claims.place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3)
                 AND NOT EXISTS (SELECT 1 FROM members
                                 WHERE members.place = claims.place AND members.user = claims.user)
               ORDER BY claims.user LIMIT ?4";
    let left = ROOM_PEOPLE_MAX - known.len();
    let params = (tenant, &*room.kind, &*room.id, left as i64);
    let others = all(connection, sql, params, |row| {
        Ok(RoomPerson {
            person: parse(&text(row, 0)?.unwrap_or_default())?,
            membership: Membership::Unknown,
            claims: true,
        })
    })?;
    known.extend(others);
    Ok(known)
}

/// Somebody as they were last remembered.
pub(super) fn person(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
) -> Result<Option<Person>, StoreError> {
    let sql = "SELECT data FROM people WHERE tenant = ?1 AND user = ?2";
    first(connection, sql, (tenant, user.as_str()), |row| {
        parse(&text(row, 0)?.unwrap_or_default())
    })
}

/// Of which sort a room is, where anybody has said it.
pub(super) fn sort(
    connection: &Connection,
    tenant: i64,
    room: &RoomKey,
) -> Result<Option<Arc<str>>, StoreError> {
    let sql = "SELECT sort FROM rooms WHERE place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3)";
    let found = first(connection, sql, (tenant, &*room.kind, &*room.id), |row| {
        text(row, 0)
    })?;
    Ok(found.flatten().map(Into::into))
}

/// How many members of a room are kept.
pub(super) fn member_count(
    connection: &Connection,
    tenant: i64,
    room: &RoomKey,
) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM members WHERE removed = 0 AND place =
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3)";
    let count = first(connection, sql, (tenant, &*room.kind, &*room.id), |row| {
        rows::integer(row, 0)
    })?;
    Ok(count.unwrap_or_default() as u32)
}

/// Writes what a room is.
pub(super) fn set(connection: &Connection, place: i64, info: &RoomInfo) -> Sqlite<()> {
    let sql = "INSERT INTO rooms (place, name, sort, created_at, created_by)
               VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (place) DO UPDATE SET name = excluded.name, sort = excluded.sort,
                 created_at = excluded.created_at, created_by = excluded.created_by";
    let created_by = info.created_by.as_ref().map(json).transpose()?;
    let params = (
        place,
        &*info.name,
        &*info.sort,
        info.created_at.0,
        created_by,
    );
    connection.prepare_cached(sql)?.execute(params).map(|_| ())
}

/// Writes a person with the places that their token claims; only what differs is written.
pub(super) fn remember(
    connection: &Connection,
    tenant: i64,
    person: &Person,
    claims: &[i64],
) -> Sqlite<()> {
    let user = person.id.as_str();
    let sql = "INSERT INTO people (tenant, user, data) VALUES (?1, ?2, ?3)
               ON CONFLICT (tenant, user) DO UPDATE SET data = excluded.data
               WHERE data <> excluded.data";
    let params = (tenant, user, json(person)?);
    connection.prepare_cached(sql)?.execute(params)?;
    let sql = "SELECT place FROM claims WHERE tenant = ?1 AND user = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let before = select.query_map((tenant, user), |row| row.get(0))?;
    let before: HashSet<i64> = before.collect::<Sqlite<_>>()?;
    let after: HashSet<i64> = claims.iter().copied().collect();
    let sql = "DELETE FROM claims WHERE tenant = ?1 AND user = ?2 AND place = ?3";
    let mut delete = connection.prepare_cached(sql)?;
    for place in before.difference(&after) {
        delete.execute((tenant, user, place))?;
    }
    let sql = "INSERT INTO claims (tenant, user, place) VALUES (?1, ?2, ?3)";
    let mut insert = connection.prepare_cached(sql)?;
    for place in after.difference(&before) {
        insert.execute((tenant, user, place))?;
    }
    Ok(())
}

/// A kept member who never came.
fn nameless(id: UserId) -> Person {
    Person {
        name: id.as_str().into(),
        id,
        role: None,
    }
}

fn membership(removed: Option<i64>) -> Membership {
    match removed {
        None => Membership::Unknown,
        Some(0) => Membership::Member,
        Some(_) => Membership::Removed,
    }
}

fn text(row: &Row<'_>, column: usize) -> Result<Option<String>, StoreError> {
    row.get(column).map_err(|error| store_error(&error))
}

fn optional(row: &Row<'_>, column: usize) -> Result<Option<i64>, StoreError> {
    row.get(column).map_err(|error| store_error(&error))
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| failed(format!("a row cannot be read: {error}")))
}

fn json(value: &impl Serialize) -> Sqlite<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
