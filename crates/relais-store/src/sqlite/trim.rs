//! Retention on SQLite: the rules of [`Retention`] applied in small steps, each a short transaction of the writer,
//! so that commits pass in between. Looking for what may go is left to the readers.
//!
//! Messages are never touched. What was taken from each place is remembered in the same transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use relais_core::ids::{Position, SessionId, Timestamp};
use relais_core::ports::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Inner;
use super::fault::{closed, store_error};
use super::heads::TenantLog;
use super::writer::{Job, Writer};
use crate::retention::{Alive, Retained, Retention, StayVerdict};

/// Rows that one step looks at: a few milliseconds.
const STEP_ROWS: i64 = 500;

type Sqlite<T> = Result<T, rusqlite::Error>;

/// Forgets what one tenant need not keep.
pub(super) async fn retain(
    inner: &Inner,
    tenant: &Arc<TenantLog>,
    rule: Retention,
    now: Timestamp,
    alive: Alive<'_>,
) -> Result<Retained, StoreError> {
    let mut total = Retained::default();
    let log = tenant.clone();
    total.records += steps(inner, move |writer| age_step(writer, &log, &rule, now)).await?;
    let id = tenant.id;
    let places = inner
        .readers
        .ask(move |connection| crowded(connection, id, &rule));
    for (place, cut) in places.await? {
        let log = tenant.clone();
        total.records += steps(inner, move |writer| count_step(writer, &log, place, cut)).await?;
    }
    total.stays += stays(inner, tenant, rule, now, alive).await?;
    Ok(total)
}

/// Repeats a step until it finds nothing more, and says how much it has done.
async fn steps(
    inner: &Inner,
    step: impl Fn(&mut Writer) -> Result<u64, StoreError> + Clone + Send + 'static,
) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let step = step.clone();
        let done = aside(inner, move |writer| step(writer)).await?;
        total += done;
        if done == 0 {
            return Ok(total);
        }
    }
}

/// Has the writer do something between two batches. Waits for a place in its queue.
pub(super) async fn aside<T: Send + 'static>(
    inner: &Inner,
    work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    let work = Job::Aside(Box::new(move |writer| {
        // Whoever asked may be gone; what was done stands.
        let _ = reply.send(work(writer));
    }));
    inner.queue.send(work).await.map_err(|_| closed())?;
    answer.await.map_err(|_| closed())?
}

fn age_step(
    writer: &mut Writer,
    tenant: &TenantLog,
    rule: &Retention,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let read = |connection: &Connection| -> Sqlite<Vec<(Position, i64, Timestamp)>> {
        let sql = "SELECT position, place, at FROM log
                   WHERE tenant = ?1 ORDER BY position LIMIT ?2";
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map((tenant.id, STEP_ROWS), |row| {
            Ok((
                Position(row.get::<_, i64>(0)? as u64),
                row.get(1)?,
                Timestamp(row.get(2)?),
            ))
        })?;
        rows.collect()
    };
    let page = read(&writer.connection).map_err(|error| store_error(&error))?;
    let stamps = page.iter().map(|(position, _, at)| (*position, *at));
    let Some(cut) = rule.expired_up_to(now, stamps) else {
        return Ok(0);
    };
    let gone = page.into_iter().filter(|(position, ..)| *position <= cut);
    let gone: Vec<_> = gone.map(|(position, place, _)| (position, place)).collect();
    forget(writer, tenant, &gone)
}

fn count_step(
    writer: &mut Writer,
    tenant: &TenantLog,
    place: i64,
    cut: Position,
) -> Result<u64, StoreError> {
    let read = |connection: &Connection| -> Sqlite<Vec<(Position, i64)>> {
        let sql = "SELECT position FROM log
                   WHERE place = ?1 AND position <= ?2 ORDER BY position LIMIT ?3";
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map((place, cut.0 as i64, STEP_ROWS), |row| {
            Ok((Position(row.get::<_, i64>(0)? as u64), place))
        })?;
        rows.collect()
    };
    let gone = read(&writer.connection).map_err(|error| store_error(&error))?;
    forget(writer, tenant, &gone)
}

/// Deletes these records and remembers, in the same transaction, up to where each place was trimmed.
fn forget(
    writer: &mut Writer,
    tenant: &TenantLog,
    gone: &[(Position, i64)],
) -> Result<u64, StoreError> {
    let Some(newest) = gone.iter().map(|(position, _)| *position).max() else {
        return Ok(0);
    };
    let mut trimmed = BTreeMap::new();
    for (position, place) in gone {
        let newest = trimmed.entry(*place).or_insert(*position);
        *newest = (*newest).max(*position);
    }
    let write = |connection: &Connection| -> Sqlite<()> {
        let delete = "DELETE FROM log WHERE tenant = ?1 AND position = ?2";
        let mut delete = connection.prepare_cached(delete)?;
        for (position, _) in gone {
            delete.execute((tenant.id, position.0 as i64))?;
        }
        let mark = "UPDATE places SET trimmed = max(trimmed, ?2) WHERE id = ?1";
        let mut mark = connection.prepare_cached(mark)?;
        for (place, position) in &trimmed {
            mark.execute((place, position.0 as i64))?;
        }
        connection.execute(
            "UPDATE tenants SET trimmed = max(trimmed, ?2) WHERE id = ?1",
            (tenant.id, newest.0 as i64),
        )?;
        Ok(())
    };
    // Said before it is done: a page that is read meanwhile may miss them, and must not look complete.
    tenant.trim(newest);
    writer.transact(|connection| write(connection).map_err(|error| store_error(&error)))?;
    let positions: std::collections::HashSet<_> =
        gone.iter().map(|(position, _)| *position).collect();
    let recents = &writer.shared.recents;
    recents.trim(tenant.id, |record| positions.contains(&record.position));
    metrics::counter!("relais_store_records_trimmed_total").increment(gone.len() as u64);
    Ok(gone.len() as u64)
}

/// Places that hold more records than they may, each with the newest position that is too much.
fn crowded(
    connection: &Connection,
    tenant: i64,
    rule: &Retention,
) -> Result<Vec<(i64, Position)>, StoreError> {
    let read = || -> Sqlite<Vec<(i64, Position)>> {
        let sql = "SELECT id, class FROM places WHERE tenant = ?1 AND
                   (SELECT count(*) FROM log WHERE log.place = places.id) >
                   CASE class WHEN 0 THEN ?2 ELSE ?3 END";
        let (roomless, room) = (rule.records_max(true), rule.records_max(false));
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map((tenant, roomless as i64, room as i64), |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let sql = "SELECT position FROM log
                   WHERE place = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2";
        let mut newest = connection.prepare_cached(sql)?;
        rows.map(|row| {
            let (place, class) = row?;
            let kept = if class == 0 { roomless } else { room };
            let cut: i64 = newest.query_row((place, kept as i64), |row| row.get(0))?;
            Ok((place, Position(cut as u64)))
        })
        .collect()
    };
    read().map_err(|error| store_error(&error))
}

/// A stay that may be due: id, session, when it was seen, whether it is closed.
type Due = (i64, SessionId, Timestamp, bool);

async fn stays(
    inner: &Inner,
    tenant: &TenantLog,
    rule: Retention,
    now: Timestamp,
    alive: Alive<'_>,
) -> Result<u64, StoreError> {
    let (mut last, mut removed) = (0, 0);
    loop {
        let (id, before) = (tenant.id, rule.stays_due_before(now));
        let due = inner
            .readers
            .ask(move |connection| due(connection, id, before, last));
        let due = due.await?;
        let Some((newest, ..)) = due.last() else {
            return Ok(removed);
        };
        last = *newest;
        let verdicts = due.into_iter().map(|(id, session, seen_at, closed)| {
            let lives = !closed && alive(&tenant.key, &session);
            (id, seen_at, rule.stay(now, seen_at, closed, lives))
        });
        let verdicts: Vec<_> = verdicts.collect();
        removed += aside(inner, move |writer| {
            writer.transact(|connection| {
                settle(connection, &verdicts, now).map_err(|error| store_error(&error))
            })
        })
        .await?;
    }
}

fn due(
    connection: &Connection,
    tenant: i64,
    before: Timestamp,
    after_id: i64,
) -> Result<Vec<Due>, StoreError> {
    let read = || -> Sqlite<Vec<Due>> {
        let sql = "SELECT id, session, seen_at, until IS NOT NULL FROM stays
                   WHERE tenant = ?1 AND seen_at < ?2 AND id > ?3 ORDER BY id LIMIT ?4";
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map((tenant, before.0, after_id, STEP_ROWS), |row| {
            Ok((
                row.get(0)?,
                SessionId(row.get::<_, String>(1)?.into()),
                Timestamp(row.get(2)?),
                row.get(3)?,
            ))
        })?;
        rows.collect()
    };
    read().map_err(|error| store_error(&error))
}

/// Applies verdicts, each only if the stay was not touched since it was looked at.
fn settle(
    connection: &Connection,
    verdicts: &[(i64, Timestamp, StayVerdict)],
    now: Timestamp,
) -> Sqlite<u64> {
    let mut removed = 0;
    for (id, seen_at, verdict) in verdicts {
        match verdict {
            StayVerdict::Keep => {}
            StayVerdict::Refresh => {
                let sql = "UPDATE stays SET seen_at = ?3
                           WHERE id = ?1 AND seen_at = ?2 AND until IS NULL";
                let mut update = connection.prepare_cached(sql)?;
                update.execute((id, seen_at.0, now.0))?;
            }
            StayVerdict::Remove => {
                let sql = "DELETE FROM stays WHERE id = ?1 AND seen_at = ?2";
                let mut delete = connection.prepare_cached(sql)?;
                removed += delete.execute((id, seen_at.0))? as u64;
            }
        }
    }
    Ok(removed)
}
