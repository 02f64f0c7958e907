//! Notifications for very many members: what waits to be put into inboxes, and how it gets there in pieces, between which others commit.
//!
//! A row of `notices` is committed with the cause and says who has not got it yet. A piece and the row's next place are one transaction, so that
//! whenever the process ends nobody is passed over and nobody gets it twice. To whoever looks meanwhile it is in their inbox already, as
//! its newest.

use relais_core::ids::UserId;
use relais_core::ports::{Notified, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::inbox::{cut, drop_if_unused, run};
use super::query::all;
use super::rows;

/// Members that get theirs in one transaction: some 15 ms.
pub(super) const PIECE: i64 = 1_000;

type Sqlite<T> = Result<T, rusqlite::Error>;

/// What waits for a user in a tenant, as it will stand in the inbox.
const WAITING: &str = "SELECT 0, notifications.data, notifications.id
     FROM notices
     JOIN notifications ON notifications.id = notices.notification
     JOIN members ON members.place = notices.place AND members.user = ?2
                     AND members.removed = 0 AND members.id <= notices.newest
     WHERE notices.tenant = ?1 AND notices.next <= ?2 AND ?2 IS NOT notices.left_out
       AND NOT EXISTS (SELECT 1 FROM inbox
                       WHERE inbox.notification = notifications.id AND inbox.user = ?2)
     GROUP BY notifications.id
     ORDER BY max(notices.id) DESC";

/// Whether a place has more members than one piece.
pub(super) fn is_large(connection: &Connection, place: i64) -> Sqlite<bool> {
    let sql = "SELECT 1 FROM members WHERE place = ?1 ORDER BY user LIMIT 1 OFFSET ?2";
    let mut select = connection.prepare_cached(sql)?;
    select.exists((place, PIECE))
}

/// Has a notification put into the inboxes of all who are members of a place now.
pub(super) fn put_off(
    connection: &Connection,
    (tenant, notification, place): (i64, i64, i64),
    left_out: Option<&str>,
    keep: u32,
) -> Sqlite<()> {
    run(
        connection,
        "INSERT INTO notices (tenant, notification, place, left_out, keep, next, newest)
         SELECT ?1, ?2, ?3, ?4, ?5, '', max(id) FROM members WHERE place = ?3
         ON CONFLICT DO NOTHING",
        (tenant, notification, place, left_out, keep),
    )
}

/// Whether anything waits.
pub(super) fn is_any(connection: &Connection) -> Sqlite<bool> {
    connection
        .prepare_cached("SELECT 1 FROM notices LIMIT 1")?
        .exists([])
}

struct Notice {
    id: i64,
    tenant: i64,
    notification: i64,
    place: i64,
    left_out: Option<String>,
    keep: u32,
    next: String,
    newest: i64,
}

/// Hands out one piece of the oldest that waits.
pub(super) fn hand_out(connection: &Connection) -> Sqlite<()> {
    let sql = "SELECT id, tenant, notification, place, left_out, keep, next, newest
               FROM notices ORDER BY id LIMIT 1";
    let notice = |row: &Row<'_>| {
        Ok(Notice {
            id: row.get(0)?,
            tenant: row.get(1)?,
            notification: row.get(2)?,
            place: row.get(3)?,
            left_out: row.get(4)?,
            keep: row.get(5)?,
            next: row.get(6)?,
            newest: row.get(7)?,
        })
    };
    let mut select = connection.prepare_cached(sql)?;
    let Some(notice) = select.query_row([], notice).optional()? else {
        return Ok(());
    };
    let Notice { id, tenant, .. } = notice;
    let sql = "SELECT user FROM members WHERE place = ?1 AND user >= ?2
               ORDER BY user LIMIT 1 OFFSET ?3";
    let mut select = connection.prepare_cached(sql)?;
    let after: Option<String> = select
        .query_row((notice.place, &notice.next, PIECE), |row| row.get(0))
        .optional()?;
    run(
        connection,
        "INSERT INTO inbox (tenant, user, number, notification, read)
         SELECT ?1, piece.user,
                1 + coalesce((SELECT max(number) FROM inbox
                              WHERE tenant = ?1 AND user = piece.user), 0), ?2, 0
         FROM (SELECT id, user, removed FROM members WHERE place = ?3 AND user >= ?4
               ORDER BY user LIMIT ?5) AS piece
         WHERE removed = 0 AND piece.id <= ?6 AND piece.user IS NOT ?7
         ON CONFLICT DO NOTHING",
        (
            tenant,
            notice.notification,
            notice.place,
            &notice.next,
            PIECE,
            notice.newest,
            &notice.left_out,
        ),
    )?;
    cut(
        connection,
        (tenant, notice.notification),
        &notice.next,
        notice.keep,
    )?;
    if let Some(after) = after {
        let sql = "UPDATE notices SET next = ?2 WHERE id = ?1";
        return run(connection, sql, (id, after));
    }
    run(connection, "DELETE FROM notices WHERE id = ?1", [id])?;
    drop_if_unused(connection, notice.notification)
}

/// What waits for a user, newest first.
pub(super) fn waiting(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
) -> Result<Vec<Notified>, StoreError> {
    all(connection, WAITING, (tenant, user.as_str()), rows::notified)
}

/// Gives a user now what waits, because the user does something with it.
pub(super) fn give(connection: &Connection, tenant: i64, user: &UserId) -> Sqlite<()> {
    let mut select = connection.prepare_cached(WAITING)?;
    let found = select.query_map((tenant, user.as_str()), |row| row.get(2))?;
    let found: Vec<i64> = found.collect::<Sqlite<_>>()?;
    // The oldest first: it gets the smaller number.
    for notification in found.into_iter().rev() {
        run(
            connection,
            "INSERT INTO inbox (tenant, user, number, notification, read)
             SELECT ?1, ?2, 1 + coalesce((SELECT max(number) FROM inbox
                                          WHERE tenant = ?1 AND user = ?2), 0), ?3, 0
             WHERE true
             ON CONFLICT DO NOTHING",
            (tenant, user.as_str(), notification),
        )?;
    }
    Ok(())
}
