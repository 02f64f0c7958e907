//! Items in the database: their reads and their writes.
//!
//! What is searched by stands in columns, the item itself in one JSON text. A place names room and tenant at once, so no statement
//! here can reach another tenant's items.

use relais_core::event::Item;
use relais_core::ids::{ItemKey, Shelf, TenantKey, Timestamp, UserId};
use relais_core::ports::{ItemPage, ItemQuery, StoreError, TemporaryId, UserItems};
use rusqlite::{Connection, Params, Row};

use super::fault::store_error;
use super::heads::{Place, find};
use super::query::{all, first};
use super::rows;

/// The place of a shelf, if anything was ever there.
fn place(connection: &Connection, tenant: i64, shelf: &Shelf) -> Result<Option<i64>, StoreError> {
    find(connection, tenant, &Place::of_record(shelf.room.as_ref()))
}

/// One item.
pub(super) fn item(
    connection: &Connection,
    tenant: i64,
    key: &ItemKey,
) -> Result<Option<Item>, StoreError> {
    let Some(place) = place(connection, tenant, &key.shelf)? else {
        return Ok(None);
    };
    let sql = "SELECT data FROM items WHERE place = ?1 AND kind = ?2 AND id = ?3";
    let params = (place, &*key.shelf.kind, key.id.as_str());
    first(connection, sql, params, |row| rows::item(row, 0))
}

/// The version of an item.
pub(super) fn version(
    connection: &Connection,
    tenant: i64,
    key: &ItemKey,
) -> Result<Option<u64>, StoreError> {
    let Some(place) = place(connection, tenant, &key.shelf)? else {
        return Ok(None);
    };
    let sql = "SELECT version FROM items WHERE place = ?1 AND kind = ?2 AND id = ?3";
    let params = (place, &*key.shelf.kind, key.id.as_str());
    let version = first(connection, sql, params, |row| rows::integer(row, 0))?;
    Ok(version.map(|version| version as u64))
}

/// The newest item that was created under a temporary id.
pub(super) fn of(
    connection: &Connection,
    tenant: i64,
    temporary: &TemporaryId,
) -> Result<Option<Item>, StoreError> {
    let Some(place) = place(connection, tenant, &temporary.shelf)? else {
        return Ok(None);
    };
    let sql = "SELECT data FROM items
               WHERE place = ?1 AND kind = ?2 AND temporary = ?3 AND owner IS ?4
               ORDER BY number DESC LIMIT 1";
    let params = (
        place,
        &*temporary.shelf.kind,
        &*temporary.key,
        temporary.owner.as_ref().map(UserId::as_str),
    );
    first(connection, sql, params, |row| rows::item(row, 0))
}

/// A page, newest first.
pub(super) fn page(
    connection: &Connection,
    tenant: i64,
    query: &ItemQuery,
) -> Result<ItemPage, StoreError> {
    let nothing = ItemPage {
        items: Vec::new(),
        has_more: false,
    };
    let Some(place) = place(connection, tenant, &query.shelf)? else {
        return Ok(nothing);
    };
    let kind = &*query.shelf.kind;
    let before = match &query.before {
        None => i64::MAX,
        Some(id) => {
            let sql = "SELECT number FROM items WHERE place = ?1 AND kind = ?2 AND id = ?3";
            let params = (place, kind, id.as_str());
            match first(connection, sql, params, |row| rows::integer(row, 0))? {
                Some(number) => number,
                None => return Ok(nothing),
            }
        }
    };
    let status = query.status.as_deref();
    let limit = crate::items_limit(query.limit);
    let wanted = limit as i64 + 1;
    let read = |row: &rusqlite::Row<'_>| rows::item(row, 0);
    let mut items = match (&query.of, status) {
        (Some(user), _) => {
            // Each half by its own index; what a user owns and was given is there once.
            let half = |column| {
                format!(
                    "SELECT * FROM (SELECT number, data FROM items
                     WHERE place = ?1 AND kind = ?2 AND {column} = ?3 AND number < ?4
                       AND (?5 IS NULL OR status = ?5) ORDER BY number DESC LIMIT ?6)"
                )
            };
            let sql = format!(
                "SELECT data FROM ({} UNION {}) ORDER BY number DESC LIMIT ?6",
                half("owner"),
                half("assignee")
            );
            let params = (place, kind, user.as_str(), before, status, wanted);
            all(connection, &sql, params, read)?
        }
        (None, Some(status)) => {
            let sql = "SELECT data FROM items
                       WHERE place = ?1 AND kind = ?2 AND status = ?3 AND number < ?4
                       ORDER BY number DESC LIMIT ?5";
            all(connection, sql, (place, kind, status, before, wanted), read)?
        }
        (None, None) => {
            let sql = "SELECT data FROM items WHERE place = ?1 AND kind = ?2 AND number < ?3
                       ORDER BY number DESC LIMIT ?4";
            all(connection, sql, (place, kind, before, wanted), read)?
        }
    };
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok(ItemPage { items, has_more })
}

/// What a user owns or was given in a tenant, oldest first.
pub(super) fn of_user(
    connection: &Connection,
    tenant: i64,
    user: &UserId,
    after: Option<u64>,
) -> Result<UserItems, StoreError> {
    // Each half by its own index, in which the user's items of other tenants stand beside; their places say so.
    let half = |column| {
        format!(
            "SELECT * FROM (SELECT number, data FROM items
             WHERE {column} = ?2 AND number > ?3
               AND EXISTS (SELECT 1 FROM places WHERE places.id = items.place AND tenant = ?1)
             ORDER BY number LIMIT ?4)"
        )
    };
    let sql = format!(
        "{} UNION {} ORDER BY number LIMIT ?4",
        half("owner"),
        half("assignee")
    );
    let limit = crate::USER_ITEMS_MAX;
    let after = after.map_or(0, |after| after as i64);
    let params = (tenant, user.as_str(), after, limit as i64 + 1);
    let read = |row: &rusqlite::Row<'_>| Ok((rows::integer(row, 0)? as u64, rows::item(row, 1)?));
    let mut found = all(connection, &sql, params, read)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|(number, _)| *number);
    let items = found.into_iter().map(|(_, item)| item).collect();
    Ok(UserItems { items, next })
}

/// The oldest that can be claimed.
pub(super) fn claimable(
    connection: &Connection,
    tenant: i64,
    shelf: &Shelf,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Item>, StoreError> {
    let Some(place) = place(connection, tenant, shelf)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT data FROM items
               WHERE place = ?1 AND kind = ?2 AND free_at IS NOT NULL AND free_at <= ?3
               ORDER BY number LIMIT ?4";
    let limit = crate::items_limit(limit) as i64;
    let params = (place, &*shelf.kind, now.0, limit);
    all(connection, sql, params, |row| rows::item(row, 0))
}

/// Tenants of an app that have an item of a kind, outside of rooms, that can be claimed; work for each that has one which can be claimed now or
/// then, and for nobody else.
pub(super) fn with_free(
    connection: &Connection,
    app: &str,
    kind: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<TenantKey>, StoreError> {
    let sql = "WITH RECURSIVE working(place) AS (
                   SELECT min(place) FROM items INDEXED BY items_free WHERE free_at IS NOT NULL
                   UNION ALL
                   SELECT (SELECT min(place) FROM items INDEXED BY items_free
                           WHERE free_at IS NOT NULL AND place > working.place)
                   FROM working WHERE working.place IS NOT NULL
               )
               SELECT tenants.app, tenants.tenant FROM working
               JOIN places ON places.id = working.place AND places.class = 0
               JOIN tenants ON tenants.id = places.tenant AND tenants.app = ?1
               WHERE EXISTS (SELECT 1 FROM items INDEXED BY items_free
                             WHERE items.place = working.place AND kind = ?2
                               AND free_at IS NOT NULL AND free_at <= ?3)
               LIMIT ?4";
    let key = |row: &Row<'_>| -> rusqlite::Result<TenantKey> {
        let (app, tenant): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(TenantKey::new(app, tenant))
    };
    let params = (app, kind, now.0, limit as i64);
    all(connection, sql, params, |row| {
        key(row).map_err(|error| store_error(&error))
    })
}

/// Stores an item, or replaces it in its place.
pub(super) fn put(
    connection: &Connection,
    place: i64,
    item: &Item,
    data: &str,
) -> rusqlite::Result<()> {
    run(
        connection,
        "INSERT INTO items (place, kind, id, version, status, owner, assignee, temporary, free_at, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (place, kind, id) DO UPDATE
         SET version = excluded.version, status = excluded.status, owner = excluded.owner,
             assignee = excluded.assignee, temporary = excluded.temporary,
             free_at = excluded.free_at, data = excluded.data",
        (
            place,
            &*item.key.shelf.kind,
            item.key.id.as_str(),
            item.version as i64,
            item.status.as_deref(),
            item.owner.as_ref().map(|owner| owner.id.as_str()),
            item.assignee.as_ref().map(UserId::as_str),
            item.temporary_id.as_deref(),
            item.lease.map(|lease| lease.free_at.0),
            data,
        ),
    )
}

/// Removes an item.
pub(super) fn delete(connection: &Connection, place: i64, key: &ItemKey) -> rusqlite::Result<()> {
    run(
        connection,
        "DELETE FROM items WHERE place = ?1 AND kind = ?2 AND id = ?3",
        (place, &*key.shelf.kind, key.id.as_str()),
    )
}

fn run(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params).map(|_| ())
}
