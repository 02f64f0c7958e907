//! Which clients' keys were used, and by which message: the index behind idempotency.
//!
//! Keys are random, so a plain index would cost every message a page of its own, written twice. Instead the newest
//! keys are in memory and in a table that only grows at its end; when there are many, they are moved into the sorted
//! table a few hundred at a time, in its order, along with commits that are made anyway. Only the writer uses this.
//!
//! What comes out are candidates: whoever asks compares sender and key with the message itself.

use std::collections::HashMap;

use relais_core::ids::{Seq, UserId};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

type Sqlite<T> = Result<T, rusqlite::Error>;

/// Keys in memory before they are moved: about 6 MiB, twice that while the next ones come.
const NEW_MAX: usize = 131_072;

/// Keys that one commit moves at least, and rows that it takes out of the table of the newest.
const STEP_KEYS: usize = 512;
const STEP_ROWS: i64 = 4_096;

/// The message that keeps a key: its place and seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Keeper {
    pub(super) place: i64,
    pub(super) seq: Seq,
}

/// The short form of a key in its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct KeyHash(i64);

impl KeyHash {
    pub(super) fn new(place: i64, sender: &UserId, key: &str) -> Self {
        let sender = sender.as_str();
        let mut hash = Sha256::new();
        hash.update(place.to_le_bytes());
        // The length keeps sender and key apart, whatever is in them.
        hash.update((sender.len() as u64).to_le_bytes());
        hash.update(sender);
        hash.update(key);
        let hash: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Self(i64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// One keeper for nearly every hash; a second one where two keys share a hash.
type Held = HashMap<KeyHash, (Keeper, Vec<Keeper>)>;

/// All keys.
pub(super) struct Keys {
    /// So many are in memory before they are moved.
    newest_max: usize,
    /// Whether memory says what the table of the newest says.
    loaded: bool,
    newest: Held,
    moving: Option<Moving>,
    /// What the open transaction has done, taken back if it fails.
    added: Vec<KeyHash>,
    stepped: Option<Step>,
}

/// Keys on their way into the sorted table.
struct Moving {
    held: Held,
    sorted: Vec<(KeyHash, Keeper)>,
    /// How many are there already.
    moved: usize,
    /// Their rows among the newest: all up to this id; and up to where they are gone.
    last_row: i64,
    dropped: i64,
}

/// What a commit has moved on.
#[derive(Clone, Copy)]
struct Step {
    moved: usize,
    dropped: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self::holding(NEW_MAX)
    }
}

impl Keys {
    fn holding(newest_max: usize) -> Self {
        Self {
            newest_max,
            loaded: false,
            newest: Held::new(),
            moving: None,
            added: Vec::new(),
            stepped: None,
        }
    }

    /// Called when a transaction begins: reads the newest keys if memory does not have them.
    pub(super) fn begin(&mut self, connection: &Connection) -> Sqlite<()> {
        if self.loaded {
            return Ok(());
        }
        self.forget();
        let mut select = connection.prepare_cached("SELECT hash, place, seq FROM keys_new")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let seq = Seq(row.get::<_, i64>(2)? as u64);
            let place = row.get(1)?;
            hold(
                &mut self.newest,
                KeyHash(row.get(0)?),
                Keeper { place, seq },
            );
        }
        self.loaded = true;
        Ok(())
    }

    /// Messages that may keep this key.
    pub(super) fn find(&self, connection: &Connection, hash: KeyHash) -> Sqlite<Vec<Keeper>> {
        let mut found = Vec::new();
        let moving = self.moving.as_ref().map(|moving| &moving.held);
        for held in [Some(&self.newest), moving].into_iter().flatten() {
            if let Some((first, others)) = held.get(&hash) {
                found.push(*first);
                found.extend(others);
            }
        }
        let sql = "SELECT place, seq FROM keys WHERE hash = ?1";
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query([hash.0])?;
        while let Some(row) = rows.next()? {
            found.push(Keeper {
                place: row.get(0)?,
                seq: Seq(row.get::<_, i64>(1)? as u64),
            });
        }
        Ok(found)
    }

    /// Remembers a key in the open transaction.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        hash: KeyHash,
        keeper: Keeper,
    ) -> Sqlite<()> {
        let sql = "INSERT INTO keys_new (hash, place, seq) VALUES (?1, ?2, ?3)";
        let mut insert = connection.prepare_cached(sql)?;
        insert.execute((hash.0, keeper.place, keeper.seq.0 as i64))?;
        hold(&mut self.newest, hash, keeper);
        self.added.push(hash);
        Ok(())
    }

    /// Moves a few keys within the open transaction, if it is time to.
    pub(super) fn step(&mut self, connection: &Connection) -> Sqlite<()> {
        let Some(moving) = &self.moving else {
            return Ok(());
        };
        // Faster than new ones come, so that what is moving is gone before the next is due.
        let many = STEP_KEYS.max(2 * self.added.len());
        let next = moving.sorted.len().min(moving.moved + many);
        let sql = "INSERT OR IGNORE INTO keys (hash, place, seq) VALUES (?1, ?2, ?3)";
        let mut insert = connection.prepare_cached(sql)?;
        for (hash, keeper) in &moving.sorted[moving.moved..next] {
            insert.execute((hash.0, keeper.place, keeper.seq.0 as i64))?;
        }
        let mut dropped = moving.dropped;
        if moving.moved == moving.sorted.len() {
            let many = STEP_ROWS.max(2 * self.added.len() as i64);
            dropped = moving.last_row.min(dropped + many);
            let mut delete = connection.prepare_cached("DELETE FROM keys_new WHERE id <= ?1")?;
            delete.execute([dropped])?;
        }
        self.stepped = Some(Step {
            moved: next,
            dropped,
        });
        Ok(())
    }

    /// The transaction is on the disk.
    pub(super) fn committed(&mut self, connection: &Connection) -> Sqlite<()> {
        self.added.clear();
        if let (Some(step), Some(moving)) = (self.stepped.take(), &mut self.moving) {
            (moving.moved, moving.dropped) = (step.moved, step.dropped);
            if moving.dropped >= moving.last_row {
                self.moving = None;
            }
        }
        if self.moving.is_none() && self.newest.len() >= self.newest_max {
            self.begin_moving(connection)?;
        }
        Ok(())
    }

    /// The transaction was rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.stepped = None;
        for hash in self.added.drain(..) {
            if let Some((_, others)) = self.newest.get_mut(&hash)
                && others.pop().is_none()
            {
                self.newest.remove(&hash);
            }
        }
    }

    /// Nobody knows what became of the transaction: the next one reads the newest keys again.
    pub(super) fn forget(&mut self) {
        *self = Self::holding(self.newest_max);
    }

    fn begin_moving(&mut self, connection: &Connection) -> Sqlite<()> {
        let sql = "SELECT min(id), max(id) FROM keys_new";
        let (first, last_row): (Option<i64>, Option<i64>) =
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let held = std::mem::take(&mut self.newest);
        let mut sorted = Vec::with_capacity(held.len());
        for (hash, (keeper, others)) in &held {
            sorted.push((*hash, *keeper));
            sorted.extend(others.iter().map(|keeper| (*hash, *keeper)));
        }
        sorted.sort_unstable();
        self.moving = Some(Moving {
            held,
            sorted,
            moved: 0,
            last_row: last_row.unwrap_or_default(),
            dropped: first.unwrap_or(1) - 1,
        });
        Ok(())
    }
}

fn hold(held: &mut Held, hash: KeyHash, keeper: Keeper) {
    use std::collections::hash_map::Entry;
    match held.entry(hash) {
        Entry::Vacant(entry) => {
            entry.insert((keeper, Vec::new()));
        }
        Entry::Occupied(mut entry) => entry.get_mut().1.push(keeper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(seq: u64) -> Keeper {
        Keeper {
            place: 1,
            seq: Seq(seq),
        }
    }

    fn database() -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        let schema = include_str!("../../migrations/sqlite/0001_log_and_state.sql");
        connection.execute_batch(schema).expect("the schema");
        connection
    }

    fn count(connection: &Connection, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        connection
            .query_row(&sql, [], |row| row.get(0))
            .expect("a count")
    }

    /// Adds keys `from..to`, each in a commit with a thousand others.
    fn add(keys: &mut Keys, connection: &Connection, from: i64, to: i64) {
        for first in (from..to).step_by(1_000) {
            connection.execute_batch("BEGIN").expect("a transaction");
            keys.begin(connection).expect("keys are read");
            for number in first..to.min(first + 1_000) {
                let hash = KeyHash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64));
                let added = keys.add(connection, hash, keeper(number as u64));
                added.expect("a key is added");
            }
            keys.step(connection).expect("a step");
            connection.execute_batch("COMMIT").expect("a commit");
            keys.committed(connection).expect("committed");
        }
    }

    fn find(keys: &Keys, connection: &Connection, number: i64) -> Vec<Keeper> {
        let hash = KeyHash(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64));
        let mut found = keys.find(connection, hash).expect("keys are found");
        found.dedup();
        found
    }

    #[test]
    fn every_key_is_found_before_while_and_after_it_is_moved() {
        let connection = database();
        let full = 20_000;
        let mut keys = Keys::holding(full as usize);
        let mut last = 0;
        for next in [1_000, full, full + 4_000, full + 15_000, 3 * full, 5 * full] {
            add(&mut keys, &connection, last, next);
            last = next;
            for number in (0..last).step_by(97) {
                let found = find(&keys, &connection, number);
                assert_eq!(found, [keeper(number as u64)], "{number} of {last}");
            }
            assert_eq!(find(&keys, &connection, last), []);
        }
        assert!(count(&connection, "keys") >= full);
        assert!(count(&connection, "keys_new") < 2 * full);
        keys.forget();
        keys.begin(&connection).expect("keys are read");
        for number in (0..last).step_by(97) {
            assert_eq!(find(&keys, &connection, number), [keeper(number as u64)]);
        }
    }

    #[test]
    fn a_key_of_a_transaction_that_was_rolled_back_was_never_there() {
        let connection = database();
        let mut keys = Keys::default();
        add(&mut keys, &connection, 0, 1);
        connection.execute_batch("BEGIN").expect("a transaction");
        for number in [5, 0] {
            let hash = KeyHash(number);
            keys.add(&connection, hash, keeper(9))
                .expect("a key is added");
        }
        connection.execute_batch("ROLLBACK").expect("a rollback");
        keys.rolled_back();
        assert_eq!(keys.find(&connection, KeyHash(5)), Ok(vec![]));
        assert_eq!(find(&keys, &connection, 0), [keeper(0)]);
    }

    #[test]
    fn two_keys_with_one_hash_are_both_candidates() {
        let connection = database();
        let mut keys = Keys::default();
        keys.begin(&connection).expect("keys are read");
        for seq in [1, 2] {
            let added = keys.add(&connection, KeyHash(7), keeper(seq));
            added.expect("a key is added");
        }
        let found = keys.find(&connection, KeyHash(7));
        assert_eq!(found, Ok(vec![keeper(1), keeper(2)]));
    }
}
