//! Retention on SQLite: the rules of [`Retention`] applied in small steps, each a short transaction of the writer,
//! so that commits pass in between. Looking for what may go is left to the readers.
//!
//! Messages are never touched. What was taken from each place is remembered in the same transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use relais_core::ids::{Position, SessionId, Timestamp};
use relais_core::ports::StoreError;
use rusqlite::{Connection, OptionalExtension, Params};
use tokio::sync::oneshot;

use super::Inner;
use super::fault::{closed, store_error};
use super::heads::TenantLog;
use super::writer::{Job, Writer};
use crate::retention::{Alive, Retained, Retention, StayVerdict};

/// Rows that one step looks at: a few milliseconds.
const STEP_ROWS: i64 = 500;

/// Rows that a reader walks over at a time: some ten milliseconds.
const WALK_ROWS: i64 = 10_000;

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
    total.records += trim_crowded(inner, tenant, &rule).await?;
    total.stays += stays(inner, tenant, rule, now, alive).await?;
    Ok(total)
}

/// Forgets what was held against anybody and is long over, of all tenants.
pub(super) async fn restrictions(inner: &Inner, now: Timestamp) -> Result<(), StoreError> {
    let ended = crate::retention::restrictions_ended(now);
    let delete = move |connection: &Connection| -> Sqlite<u64> {
        let sql = "SELECT tenant, subject, hold FROM restrictions
                   WHERE until IS NOT NULL AND until <= ?1 LIMIT ?2";
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map((ended.0, STEP_ROWS), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        let gone: Vec<(i64, String, String)> = rows.collect::<Sqlite<_>>()?;
        let sql = "DELETE FROM restrictions WHERE tenant = ?1 AND subject = ?2 AND hold = ?3";
        let mut delete = connection.prepare_cached(sql)?;
        for key in &gone {
            delete.execute((key.0, &key.1, &key.2))?;
        }
        Ok(gone.len() as u64)
    };
    let step = move |writer: &mut Writer| {
        writer.transact(|connection| delete(connection).map_err(|error| store_error(&error)))
    };
    steps(inner, step).await.map(drop)
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
    let positions: HashSet<_> = gone.iter().map(|(position, _)| *position).collect();
    let recents = &writer.shared.recents;
    recents.trim(tenant.id, |record| positions.contains(&record.position));
    metrics::counter!("relais_store_records_trimmed_total").increment(gone.len() as u64);
    Ok(gone.len() as u64)
}

/// Takes from every place what is more than its share, oldest first.
///
/// It walks over the log instead of asking an index by place, because that index would cost every record more than
/// this costs now and then.
async fn trim_crowded(
    inner: &Inner,
    tenant: &Arc<TenantLog>,
    rule: &Retention,
) -> Result<u64, StoreError> {
    let cuts = crowded(inner, tenant, rule).await?;
    let (mut after, mut trimmed) = (Position(0), 0);
    while let Some(last) = cuts.values().max().copied().filter(|last| after < *last) {
        let id = tenant.id;
        let page = inner.readers.ask(move |connection| {
            let sql = "SELECT position, place FROM log
                       WHERE tenant = ?1 AND position > ?2 AND position <= ?3
                       ORDER BY position LIMIT ?4";
            let params = (id, after.0 as i64, last.0 as i64, WALK_ROWS);
            places_of(connection, sql, params).map_err(|error| store_error(&error))
        });
        let page = page.await?;
        let Some((newest, _)) = page.last() else {
            break;
        };
        after = *newest;
        let gone = page.into_iter().filter(|(position, place)| {
            let cut = cuts.get(place);
            cut.is_some_and(|cut| position <= cut)
        });
        let gone: Vec<_> = gone.collect();
        for step in gone.chunks(STEP_ROWS as usize) {
            let (log, step) = (tenant.clone(), step.to_vec());
            trimmed += aside(inner, move |writer| forget(writer, &log, &step)).await?;
        }
    }
    Ok(trimmed)
}

/// Places that hold more records than they may, each with the newest position that is too much.
async fn crowded(
    inner: &Inner,
    tenant: &TenantLog,
    rule: &Retention,
) -> Result<HashMap<i64, Position>, StoreError> {
    let (id, head) = (tenant.id, tenant.head().position);
    let first = inner.readers.ask(move |connection| {
        let read = || -> Sqlite<(Option<i64>, Option<i64>)> {
            let oldest = "SELECT min(position) FROM log WHERE tenant = ?1";
            let oldest = connection.query_row(oldest, [id], |row| row.get(0))?;
            let roomless = "SELECT id FROM places WHERE tenant = ?1 AND class = 0";
            let roomless = connection.query_row(roomless, [id], |row| row.get(0));
            Ok((oldest, roomless.optional()?))
        };
        read().map_err(|error| store_error(&error))
    });
    let (oldest, roomless) = first.await?;
    let span = oldest.map_or(0, |oldest| (head.0 + 1).saturating_sub(oldest as u64));
    let mut cuts = HashMap::new();
    if span <= rule.records_max(true).min(rule.records_max(false)) {
        return Ok(cuts);
    }
    let (mut before, mut held) = (i64::MAX, HashMap::new());
    loop {
        let page = inner.readers.ask(move |connection| {
            let sql = "SELECT position, place FROM log
                       WHERE tenant = ?1 AND position < ?2 ORDER BY position DESC LIMIT ?3";
            let page = places_of(connection, sql, (id, before, WALK_ROWS));
            page.map_err(|error| store_error(&error))
        });
        let page = page.await?;
        let Some((oldest, _)) = page.last() else {
            return Ok(cuts);
        };
        before = oldest.0 as i64;
        for (position, place) in page {
            let count = held.entry(place).or_insert(0);
            *count += 1;
            if *count > rule.records_max(Some(place) == roomless) {
                cuts.entry(place).or_insert(position);
            }
        }
    }
}

fn places_of(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Sqlite<Vec<(Position, i64)>> {
    let mut select = connection.prepare_cached(sql)?;
    let rows = select.query_map(params, |row| {
        Ok((Position(row.get::<_, i64>(0)? as u64), row.get(1)?))
    })?;
    rows.collect()
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
