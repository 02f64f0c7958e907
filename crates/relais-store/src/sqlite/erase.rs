//! Erasing: what a change takes out of the tables for good.
//!
//! Messages and records stay in their places, blank; everything else of a user goes. The records that memory holds of a log are the
//! writer's to forget.

use relais_core::ids::{Id, Position, Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension};

use super::batch::broken;
use super::{query, rows};
use crate::verdict;

type Sqlite<T> = Result<T, rusqlite::Error>;

/// What a user alone has, by tenant and user. Each by an index that begins with the user, or with tenant and user: nobody else's rows are
/// looked at but those of the same id in other tenants.
const OF_USER: &[&str] = &[
    "DELETE FROM members WHERE tenant = ?1 AND user = ?2",
    "DELETE FROM marks
     WHERE user = ?2 AND EXISTS (SELECT 1 FROM places WHERE places.id = marks.place AND tenant = ?1)",
    "DELETE FROM presences WHERE tenant = ?1 AND user = ?2",
    "DELETE FROM inbox WHERE tenant = ?1 AND user = ?2",
    "DELETE FROM people WHERE tenant = ?1 AND user = ?2",
    "DELETE FROM claims WHERE tenant = ?1 AND user = ?2",
    "DELETE FROM subscriptions WHERE tenant = ?1 AND user = ?2",
    "UPDATE rooms SET created_by = NULL
     WHERE created_by IN (?2, json_quote(?2))
       AND EXISTS (SELECT 1 FROM places WHERE places.id = rooms.place AND tenant = ?1)",
];

/// Blanks messages, with who wrote them and the key under which they would be found.
pub(super) fn messages(
    connection: &Connection,
    tenant: i64,
    ids: &[Id],
    at: Timestamp,
) -> Sqlite<()> {
    let sql = "UPDATE messages SET sender = ?3, key = NULL, body_hash = NULL, data = ?4
               WHERE tenant = ?1 AND id = ?2";
    let mut update = connection.prepare_cached(sql)?;
    for id in ids {
        let found = query::message(connection, tenant, *id).map_err(broken)?;
        let Some(mut message) = found else { continue };
        verdict::erase(&mut message, at);
        let data = rows::message_data(&message).map_err(broken)?;
        let id = id.0.as_bytes();
        update.execute((tenant, &id[..], message.sender.id.as_str(), data))?;
    }
    Ok(())
}

/// Blanks records of the log.
pub(super) fn records(connection: &Connection, tenant: i64, positions: &[Position]) -> Sqlite<()> {
    let sql = "SELECT data FROM log WHERE tenant = ?1 AND position = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let sql = "UPDATE log SET data = ?3 WHERE tenant = ?1 AND position = ?2";
    let mut update = connection.prepare_cached(sql)?;
    for position in positions {
        let position = position.0 as i64;
        let data = select.query_row((tenant, position), |row| row.get::<_, String>(0));
        if let Some(data) = data.optional()? {
            let blank = rows::blank_record(&data).map_err(broken)?;
            update.execute((tenant, position, blank))?;
        }
    }
    Ok(())
}

/// Forgets a user.
pub(super) fn user(connection: &Connection, tenant: i64, user: &UserId) -> Sqlite<()> {
    OF_USER.iter().try_for_each(|sql| {
        let mut erase = connection.prepare_cached(sql)?;
        erase.execute((tenant, user.as_str())).map(|_| ())
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn what_one_user_has_is_found_by_an_index() {
        let connection = Connection::open_in_memory().expect("a database");
        super::super::open::migrate_new(&connection);
        for sql in OF_USER {
            let mut explain = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .expect(sql);
            let plan = explain.query_map((1, "ann"), |row| row.get::<_, String>(3));
            let plan: Vec<String> = plan.expect(sql).map(|step| step.expect(sql)).collect();
            let is_by_user =
                |step: &String| step.contains("user=?") || step.contains("created_by=?");
            assert!(plan.iter().any(is_by_user), "{sql}: {plan:?}");
            assert!(
                !plan.iter().any(|step| step.contains("SCAN")),
                "{sql}: {plan:?}"
            );
        }
    }
}
