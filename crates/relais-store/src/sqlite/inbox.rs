//! Inboxes as rows: what a notification costs, however many get it, and how an inbox is read.
//!
//! The members of a room get theirs in one statement, unless there are very many ([`notices`]); what is too much in any of their inboxes
//! goes row by row. Numbers, not times or ids, are the order: they follow the commits.

use relais_core::ids::{Id, UserId};
use relais_core::ports::{InboxPage, InboxQuery, Notified, Recipients, StoreError};
use rusqlite::{Connection, Params};

use super::fault::store_error;
use super::query::{all, first};
use super::{notices, rows};

type Sqlite<T> = Result<T, rusqlite::Error>;

/// A notification on its way into inboxes.
pub(super) struct Notification<'n> {
    pub(super) id: Id,
    pub(super) data: &'n str,
    pub(super) except: Option<&'n UserId>,
    pub(super) keep: u32,
}

/// Puts a notification into the inboxes of `to`, rooms by the id of their place (`None`: nobody was ever in it).
pub(super) fn notify(
    connection: &Connection,
    tenant: i64,
    notification: &Notification<'_>,
    to: &[(&Recipients, Option<i64>)],
) -> Sqlite<()> {
    let uuid = notification.id.0.as_bytes();
    let except = notification.except.map(UserId::as_str);
    run(
        connection,
        "INSERT INTO notifications (tenant, uuid, data) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        (tenant, &uuid[..], notification.data),
    )?;
    let id: i64 = connection
        .prepare_cached("SELECT id FROM notifications WHERE tenant = ?1 AND uuid = ?2")?
        .query_row((tenant, &uuid[..]), |row| row.get(0))?;
    for (recipients, place) in to {
        match recipients {
            Recipients::User(user) => run(
                connection,
                "INSERT INTO inbox (tenant, user, number, notification, read)
                 SELECT ?1, ?2, 1 + coalesce((SELECT max(number) FROM inbox
                                              WHERE tenant = ?1 AND user = ?2), 0), ?3, 0
                 WHERE ?2 IS NOT ?4
                 ON CONFLICT DO NOTHING",
                (tenant, user.as_str(), id, except),
            )?,
            Recipients::Members(_) if is_large(connection, *place)? => {
                let place = place.unwrap_or_default();
                let keep = notification.keep.max(1);
                notices::put_off(connection, (tenant, id, place), except, keep)?;
            }
            Recipients::Members(_) => run(
                connection,
                "INSERT INTO inbox (tenant, user, number, notification, read)
                 SELECT ?1, members.user,
                        1 + coalesce((SELECT max(number) FROM inbox
                                      WHERE tenant = ?1 AND user = members.user), 0), ?3, 0
                 FROM members
                 WHERE place = ?2 AND removed = 0 AND user IS NOT ?4
                 ON CONFLICT DO NOTHING",
                (tenant, *place, id, except),
            )?,
        }
    }
    cut(connection, (tenant, id), "", notification.keep.max(1))?;
    drop_if_unused(connection, id)
}

fn is_large(connection: &Connection, place: Option<i64>) -> Sqlite<bool> {
    match place {
        Some(place) => notices::is_large(connection, place),
        None => Ok(false),
    }
}

/// A notification that is in nobody's inbox and on the way to nobody is not kept.
pub(super) fn drop_if_unused(connection: &Connection, notification: i64) -> Sqlite<()> {
    run(
        connection,
        "DELETE FROM notifications WHERE id = ?1
           AND NOT EXISTS (SELECT 1 FROM inbox WHERE notification = ?1)
           AND NOT EXISTS (SELECT 1 FROM notices WHERE notification = ?1)",
        [notification],
    )
}

/// Takes away what is too much in the inboxes that just got a notification, of users from `first` on. Row by row: a deletion by a list of
/// rows would look through all inboxes of the tenant.
pub(super) fn cut(
    connection: &Connection,
    (tenant, notification): (i64, i64),
    first: &str,
    keep: u32,
) -> Sqlite<()> {
    let sql = "SELECT old.user, old.number FROM inbox AS new JOIN inbox AS old
                 ON old.tenant = new.tenant AND old.user = new.user
                    AND old.number <= new.number - ?2
               WHERE new.notification = ?1 AND new.user >= ?3";
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map((notification, i64::from(keep), first), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let old: Vec<(String, i64)> = rows.collect::<Sqlite<_>>()?;
    for (user, number) in old {
        run(
            connection,
            "DELETE FROM inbox WHERE tenant = ?1 AND user = ?2 AND number = ?3",
            (tenant, user, number),
        )?;
    }
    Ok(())
}

/// Marks one as read, or all.
pub(super) fn read(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
    id: Option<Id>,
) -> Sqlite<()> {
    notices::give(connection, tenant, user)?;
    match id {
        Some(id) => run(
            connection,
            "UPDATE inbox SET read = 1 WHERE user = ?2 AND notification =
               (SELECT id FROM notifications WHERE tenant = ?1 AND uuid = ?3)",
            (tenant, user.as_str(), &id.0.as_bytes()[..]),
        ),
        None => run(
            connection,
            "UPDATE inbox SET read = 1 WHERE tenant = ?1 AND user = ?2 AND read = 0",
            (tenant, user.as_str()),
        ),
    }
}

pub(super) fn run(connection: &Connection, sql: &str, params: impl Params) -> Sqlite<()> {
    connection.prepare_cached(sql)?.execute(params).map(|_| ())
}

/// A page of an inbox: what is on its way into it first, then what is there.
pub(super) fn page(
    connection: &Connection,
    tenant: i64,
    query: &InboxQuery,
) -> Result<InboxPage, StoreError> {
    let user = query.user.as_str();
    let _one = one_commit(connection)?;
    let mut notifications = notices::waiting(connection, tenant, &query.user)?;
    let passed = query.before.map(|id| {
        notifications
            .iter()
            .position(|one| one.notification.id == id)
    });
    let before = match (query.before, passed) {
        (None, _) => i64::MAX,
        // From one on that is still on its way: behind it are those that came before it.
        (_, Some(Some(passed))) => {
            notifications.drain(..=passed);
            i64::MAX
        }
        (Some(id), _) => {
            notifications.clear();
            let sql = "SELECT number FROM inbox WHERE user = ?2 AND notification =
                         (SELECT id FROM notifications WHERE tenant = ?1 AND uuid = ?3)";
            let params = (tenant, user, &id.0.as_bytes()[..]);
            first(connection, sql, params, |row| rows::integer(row, 0))?.unwrap_or_default()
        }
    };
    let limit = crate::page_limit(query.limit);
    let sql = "SELECT inbox.read, notifications.data
               FROM inbox JOIN notifications ON notifications.id = inbox.notification
               WHERE inbox.tenant = ?1 AND inbox.user = ?2 AND inbox.number < ?3
               ORDER BY inbox.number DESC LIMIT ?4";
    let params = (tenant, user, before, limit as i64 + 1);
    notifications.extend(all(connection, sql, params, rows::notified)?);
    let has_more = notifications.len() > limit;
    notifications.truncate(limit);
    Ok(InboxPage {
        notifications,
        has_more,
        unread: count_unread(connection, tenant, &query.user)?,
    })
}

/// One notification of an inbox.
pub(super) fn notification(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
    id: Id,
) -> Result<Option<Notified>, StoreError> {
    let sql = "SELECT inbox.read, notifications.data
               FROM notifications JOIN inbox ON inbox.notification = notifications.id
               WHERE notifications.tenant = ?1 AND notifications.uuid = ?3 AND inbox.user = ?2";
    let params = (tenant, user.as_str(), &id.0.as_bytes()[..]);
    let _one = one_commit(connection)?;
    if let Some(found) = first(connection, sql, params, rows::notified)? {
        return Ok(Some(found));
    }
    let waiting = notices::waiting(connection, tenant, user)?;
    Ok(waiting.into_iter().find(|one| one.notification.id == id))
}

/// Until it is dropped, all questions see the same commit: what is on its way into an inbox is seen once, on its way or there.
fn one_commit(connection: &Connection) -> Result<rusqlite::Transaction<'_>, StoreError> {
    let begun = connection.unchecked_transaction();
    begun.map_err(|error| store_error(&error))
}

/// How many of an inbox are unread.
pub(super) fn unread(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
) -> Result<u64, StoreError> {
    let _one = one_commit(connection)?;
    count_unread(connection, tenant, user)
}

fn count_unread(connection: &Connection, tenant: i64, user: &UserId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM inbox WHERE tenant = ?1 AND user = ?2 AND read = 0";
    let count = first(connection, sql, (tenant, user.as_str()), |row| {
        rows::integer(row, 0)
    })?;
    let waiting = notices::waiting(connection, tenant, user)?;
    Ok(count.unwrap_or_default() as u64 + waiting.len() as u64)
}
