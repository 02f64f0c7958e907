//! What is kept for the world outside: the statements behind `followers`, `cursors`, `errands` and `subscriptions`.
//!
//! Changes are written by the writer inside its open transaction, together with those of others; questions go to the readers' threads.

use async_trait::async_trait;
use relais_core::ids::{Id, Position, RoomKey, TenantKey, Timestamp, UserId};
use relais_core::outside::{
    DEAD_MAX, Errand, OutsideChange, SUBSCRIBED_MAX, SUBSCRIPTIONS_MAX, Subscription, Waiting,
    Which,
};
use relais_core::ports::{Outside, StoreError, TenantStore as _};
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::batch::broken;
use super::fault::{failed, store_error};
use super::query::{all, first};
use super::{SqliteStore, rows, trim};

type Sqlite<T> = Result<T, rusqlite::Error>;

/// Writes one change.
pub(super) fn write(connection: &Connection, tenant: i64, change: &OutsideChange) -> Sqlite<()> {
    match change {
        OutsideChange::Follow { follower, position } => run(
            connection,
            "INSERT INTO cursors (tenant, follower, position) VALUES (?1, ?2, ?3)
             ON CONFLICT (tenant, follower) DO UPDATE SET position = max(position, excluded.position)",
            (tenant, &**follower, position.0 as i64),
        ),
        OutsideChange::Park(errand) => park(connection, tenant, errand),
        OutsideChange::Finish(id) => run(
            connection,
            "DELETE FROM errands WHERE tenant = ?1 AND id = ?2",
            (tenant, &id.0.as_bytes()[..]),
        ),
        OutsideChange::Subscribe(new) => subscribe(connection, tenant, new),
        OutsideChange::Unsubscribe { user, endpoint } => run(
            connection,
            "DELETE FROM subscriptions WHERE tenant = ?1 AND endpoint = ?2 AND user = ?3",
            (tenant, &**endpoint, user.as_str()),
        ),
        OutsideChange::Show {
            user,
            endpoint,
            shown,
        } => rewrite(connection, tenant, (user, endpoint), |kept| {
            kept.show(shown.clone())
        }),
        OutsideChange::Hide {
            user,
            endpoint,
            tag,
        } => rewrite(connection, tenant, (user, endpoint), |kept| kept.hide(tag)),
    }
}

/// Changes a subscription, if it is there and this user's.
fn rewrite(
    connection: &Connection,
    tenant: i64,
    (user, endpoint): (&UserId, &str),
    change: impl FnOnce(&mut Subscription),
) -> Sqlite<()> {
    let Some(mut kept) = subscription(connection, tenant, endpoint)? else {
        return Ok(());
    };
    if kept.user != *user {
        return Ok(());
    }
    change(&mut kept);
    let sql = "UPDATE subscriptions SET data = ?3 WHERE tenant = ?1 AND endpoint = ?2";
    run(connection, sql, (tenant, endpoint, json(&kept)?))
}

fn subscription(
    connection: &Connection,
    tenant: i64,
    endpoint: &str,
) -> Sqlite<Option<Subscription>> {
    let sql = "SELECT data FROM subscriptions WHERE tenant = ?1 AND endpoint = ?2";
    let read = |row: &Row<'_>| parse(&text(row)?);
    first(connection, sql, (tenant, endpoint), read).map_err(broken)
}

fn run(connection: &Connection, sql: &str, params: impl Params) -> Sqlite<()> {
    connection.prepare_cached(sql)?.execute(params).map(|_| ())
}

fn park(connection: &Connection, tenant: i64, errand: &Errand) -> Sqlite<()> {
    let params = (
        tenant,
        &errand.id.0.as_bytes()[..],
        &*errand.queue,
        errand.is_dead,
        errand.due_at.0,
        json(errand)?,
    );
    let sql = "INSERT INTO errands (tenant, id, queue, is_dead, due_at, data)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (tenant, id) DO UPDATE SET queue = excluded.queue,
                 is_dead = excluded.is_dead, due_at = excluded.due_at, data = excluded.data";
    run(connection, sql, params)?;
    if !errand.is_dead {
        return Ok(());
    }
    let sql = "DELETE FROM errands WHERE tenant = ?1 AND queue = ?2 AND is_dead = 1 AND id <=
                 (SELECT id FROM errands WHERE tenant = ?1 AND queue = ?2 AND is_dead = 1
                  ORDER BY id DESC LIMIT 1 OFFSET ?3)";
    run(connection, sql, (tenant, &*errand.queue, DEAD_MAX as i64))
}

fn subscribe(connection: &Connection, tenant: i64, new: &Subscription) -> Sqlite<()> {
    let mut new = new.clone();
    if let Some(old) = subscription(connection, tenant, &new.endpoint)? {
        new.replace(old);
    }
    let sql = "DELETE FROM subscriptions WHERE tenant = ?1 AND endpoint = ?2";
    run(connection, sql, (tenant, &*new.endpoint))?;
    let (user, data) = (new.user.as_str(), json(&new)?);
    let sql = "INSERT INTO subscriptions (tenant, user, endpoint, data) VALUES (?1, ?2, ?3, ?4)";
    run(connection, sql, (tenant, user, &*new.endpoint, data))?;
    let sql = "DELETE FROM subscriptions WHERE tenant = ?1 AND user = ?2 AND id <=
                 (SELECT id FROM subscriptions WHERE tenant = ?1 AND user = ?2
                  ORDER BY id DESC LIMIT 1 OFFSET ?3)";
    run(connection, sql, (tenant, user, SUBSCRIPTIONS_MAX as i64))
}

/// Makes a follower known; the first time it has told every log that there is.
fn begin(connection: &Connection, app: &str, follower: &str) -> Sqlite<()> {
    let sql = "INSERT INTO followers (app, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    if connection.prepare_cached(sql)?.execute((app, follower))? == 0 {
        return Ok(());
    }
    let sql = "INSERT INTO cursors (tenant, follower, position)
               SELECT id, ?2, head FROM tenants WHERE app = ?1";
    run(connection, sql, (app, follower))
}

fn behind(
    connection: &Connection,
    app: &str,
    follower: &str,
) -> Result<Vec<TenantKey>, StoreError> {
    let sql = "SELECT tenants.tenant FROM tenants LEFT JOIN cursors
                 ON cursors.tenant = tenants.id AND cursors.follower = ?2
               WHERE tenants.app = ?1 AND (tenants.head > coalesce(cursors.position, 0)
                 OR EXISTS (SELECT 1 FROM errands WHERE errands.tenant = tenants.id
                            AND errands.queue = ?2 AND errands.is_dead = 0))";
    all(connection, sql, (app, follower), |row| {
        Ok(TenantKey::new(app, text(row)?))
    })
}

fn errands(
    connection: &Connection,
    tenant: i64,
    queue: &str,
    which: Which,
    limit: usize,
) -> Result<Vec<Errand>, StoreError> {
    let read = |row: &Row<'_>| parse(&text(row)?);
    match which {
        Which::Due(by) => {
            let sql = "SELECT data FROM errands
                       WHERE tenant = ?1 AND queue = ?2 AND is_dead = 0 AND due_at <= ?3
                       ORDER BY due_at, id LIMIT ?4";
            all(connection, sql, (tenant, queue, by.0, limit as i64), read)
        }
        Which::Dead { before } => {
            let before = before.map(|id| id.0.as_bytes().to_vec());
            let sql = "SELECT data FROM errands
                       WHERE tenant = ?1 AND queue = ?2 AND is_dead = 1
                         AND (?3 IS NULL OR id < ?3)
                       ORDER BY id DESC LIMIT ?4";
            all(connection, sql, (tenant, queue, before, limit as i64), read)
        }
    }
}

fn waiting(connection: &Connection, tenant: i64, queue: &str) -> Result<Waiting, StoreError> {
    let sql = "SELECT count(*), min(due_at) FROM errands
               WHERE tenant = ?1 AND queue = ?2 AND is_dead = 0";
    let found = first(connection, sql, (tenant, queue), |row| {
        let next: Option<i64> = row.get(1).map_err(|error| store_error(&error))?;
        Ok(Waiting {
            count: rows::integer(row, 0)? as u64,
            next: next.map(Timestamp),
        })
    })?;
    Ok(found.unwrap_or_default())
}

pub(super) fn subscriptions(
    connection: &Connection,
    tenant: i64,
    users: &[UserId],
) -> Result<Vec<Subscription>, StoreError> {
    let sql = "SELECT data FROM subscriptions WHERE tenant = ?1 AND user = ?2 ORDER BY id";
    let mut found = Vec::new();
    for user in users {
        let params = (tenant, user.as_str());
        found.extend(all(connection, sql, params, |row| parse(&text(row)?))?);
    }
    Ok(found)
}

/// Through the people of the room, and not at all where nobody has subscribed.
fn subscribed(
    connection: &Connection,
    tenant: i64,
    room: &RoomKey,
) -> Result<Vec<Subscription>, StoreError> {
    let sql = "WITH room AS MATERIALIZED
                 (SELECT id FROM places WHERE tenant = ?1 AND class = 1 AND a = ?2 AND b = ?3
                    AND EXISTS (SELECT 1 FROM subscriptions WHERE tenant = ?1)),
               belonging AS MATERIALIZED
                 (SELECT members.user FROM room CROSS JOIN members ON members.place = room.id
                  WHERE members.removed = 0
                  UNION
                  SELECT claims.user FROM room CROSS JOIN claims ON claims.place = room.id
                  WHERE NOT EXISTS (SELECT 1 FROM members WHERE members.place = room.id
                                    AND members.user = claims.user AND members.removed <> 0))
               SELECT subscriptions.data FROM belonging CROSS JOIN subscriptions
                 ON subscriptions.tenant = ?1 AND subscriptions.user = belonging.user
               LIMIT ?4";
    let params = (tenant, &*room.kind, &*room.id, SUBSCRIBED_MAX as i64);
    all(connection, sql, params, |row| parse(&text(row)?))
}

impl SqliteStore {
    async fn ask_of<T: Send + 'static>(
        &self,
        tenant: &TenantKey,
        question: impl FnOnce(&Connection, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let id = self.handle(tenant).await?.log.id;
        let ask = self.inner.readers.ask(move |found| question(found, id));
        ask.await
    }
}

#[async_trait]
impl Outside for SqliteStore {
    async fn follow(&self, app: &str, follower: &str) -> Result<Vec<TenantKey>, StoreError> {
        let (app, follower) = (app.to_owned(), follower.to_owned());
        trim::aside(&self.inner, move |writer| {
            writer.transact(|connection| {
                begin(connection, &app, &follower).map_err(|error| store_error(&error))?;
                behind(connection, &app, &follower)
            })
        })
        .await
    }

    async fn cursor(&self, tenant: &TenantKey, follower: &str) -> Result<Position, StoreError> {
        let follower = follower.to_owned();
        self.ask_of(tenant, move |connection, tenant| {
            let sql = "SELECT position FROM cursors WHERE tenant = ?1 AND follower = ?2";
            let found = first(connection, sql, (tenant, &follower), |row| {
                rows::integer(row, 0)
            })?;
            Ok(Position(found.unwrap_or_default() as u64))
        })
        .await
    }

    async fn settle(
        &self,
        tenant: &TenantKey,
        at: Timestamp,
        changes: Vec<OutsideChange>,
    ) -> Result<(), StoreError> {
        let transaction = crate::outside(at, changes);
        crate::settled(self.handle(tenant).await?.commit(transaction).await)
    }

    async fn errands(
        &self,
        tenant: &TenantKey,
        queue: &str,
        which: Which,
        limit: u32,
    ) -> Result<Vec<Errand>, StoreError> {
        let (queue, limit) = (queue.to_owned(), crate::page_limit(limit));
        self.ask_of(tenant, move |connection, tenant| {
            errands(connection, tenant, &queue, which, limit)
        })
        .await
    }

    async fn errand(&self, tenant: &TenantKey, id: Id) -> Result<Option<Errand>, StoreError> {
        self.ask_of(tenant, move |connection, tenant| {
            let sql = "SELECT data FROM errands WHERE tenant = ?1 AND id = ?2";
            let params = (tenant, &id.0.as_bytes()[..]);
            first(connection, sql, params, |row| parse(&text(row)?))
        })
        .await
    }

    async fn waiting(&self, tenant: &TenantKey, queue: &str) -> Result<Waiting, StoreError> {
        let queue = queue.to_owned();
        self.ask_of(tenant, move |connection, tenant| {
            waiting(connection, tenant, &queue)
        })
        .await
    }

    async fn subscriptions(
        &self,
        tenant: &TenantKey,
        users: &[UserId],
    ) -> Result<Vec<Subscription>, StoreError> {
        let users = users.to_vec();
        self.ask_of(tenant, move |connection, tenant| {
            subscriptions(connection, tenant, &users)
        })
        .await
    }

    async fn subscribed(
        &self,
        tenant: &TenantKey,
        room: &RoomKey,
    ) -> Result<Vec<Subscription>, StoreError> {
        let room = room.clone();
        self.ask_of(tenant, move |connection, tenant| {
            subscribed(connection, tenant, &room)
        })
        .await
    }
}

fn text(row: &Row<'_>) -> Result<String, StoreError> {
    row.get(0).map_err(|error| store_error(&error))
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| failed(format!("a row cannot be read: {error}")))
}

fn json(value: &impl Serialize) -> Sqlite<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
