//! Where every log and conversation ends, in the writer's memory, and the ids of what rows name.
//!
//! Only the writer moves these, and only while it has a transaction open; after a failure it forgets the places
//! and reads the heads again, so what stands here is what the database says or what is about to be committed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use relais_core::ids::{Conversation, Epoch, Position, RoomKey, Seq, TenantKey, UserId};
use relais_core::ports::{Head, StoreError};
use rusqlite::{Connection, OptionalExtension};

use super::fault::store_error;

/// What all handles of a tenant share.
pub(super) struct TenantLog {
    pub(super) key: TenantKey,
    pub(super) id: i64,
    pub(super) epoch: Epoch,
    position: AtomicU64,
    trimmed: AtomicU64,
}

impl TenantLog {
    /// The tenant's row, made with `epoch` if there is none yet.
    pub(super) fn load(
        connection: &Connection,
        key: &TenantKey,
        epoch: impl FnOnce() -> Epoch,
    ) -> Result<Self, rusqlite::Error> {
        let select = "SELECT id, epoch, head, trimmed FROM tenants WHERE app = ?1 AND tenant = ?2";
        let read = || {
            connection
                .query_row(select, (&*key.app, &*key.tenant), |row| {
                    Ok(Self {
                        key: key.clone(),
                        id: row.get(0)?,
                        epoch: Epoch(row.get(1)?),
                        position: AtomicU64::new(row.get::<_, i64>(2)? as u64),
                        trimmed: AtomicU64::new(row.get::<_, i64>(3)? as u64),
                    })
                })
                .optional()
        };
        if let Some(found) = read()? {
            return Ok(found);
        }
        connection.execute(
            "INSERT INTO tenants (app, tenant, epoch) VALUES (?1, ?2, ?3)",
            (&*key.app, &*key.tenant, epoch().0),
        )?;
        read()?.ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    /// End of the committed log.
    pub(super) fn head(&self) -> Head {
        Head {
            epoch: self.epoch,
            position: Position(self.position.load(Ordering::Acquire)),
        }
    }

    /// The newest position that retention has taken from this tenant.
    pub(super) fn trimmed(&self) -> Position {
        Position(self.trimmed.load(Ordering::Acquire))
    }

    pub(super) fn advance(&self, head: Position) {
        self.position.store(head.0, Ordering::Release);
    }

    pub(super) fn trim(&self, up_to: Position) {
        self.trimmed.fetch_max(up_to.0, Ordering::AcqRel);
    }
}

/// What records and messages lie in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The one place of everything without a room.
    Roomless,
    /// A room, and its chat.
    Room(RoomKey),
    /// A direct conversation.
    Direct(UserId, UserId),
}

impl Place {
    /// The place of a record.
    pub(super) fn of_record(room: Option<&RoomKey>) -> Self {
        room.map_or(Self::Roomless, |room| Self::Room(room.clone()))
    }

    /// Its columns: class, a, b.
    pub(super) fn columns(&self) -> (i64, &str, &str) {
        match self {
            Self::Roomless => (0, "", ""),
            Self::Room(room) => (1, &room.kind, &room.id),
            Self::Direct(one, other) => (2, one.as_str(), other.as_str()),
        }
    }
}

impl From<&Conversation> for Place {
    fn from(conversation: &Conversation) -> Self {
        match conversation {
            Conversation::Room(room) => Self::Room(room.clone()),
            Conversation::Direct(one, other) => Self::Direct(one.clone(), other.clone()),
        }
    }
}

impl From<&RoomKey> for Place {
    fn from(room: &RoomKey) -> Self {
        Self::Room(room.clone())
    }
}

/// Ids and last seqs of places that were used lately.
#[derive(Default)]
pub(super) struct Places {
    known: HashMap<(i64, Place), Known>,
    /// Places whose seq was moved by the open transaction: id and last seq.
    moved: HashMap<i64, Seq>,
}

#[derive(Clone, Copy)]
struct Known {
    id: i64,
    last_seq: Seq,
}

/// About 16 MiB. Beyond it, everything is forgotten and read again as needed.
const PLACES_KNOWN_MAX: usize = 65_536;

impl Places {
    /// Called between transactions, since what an open one has moved must not be forgotten.
    pub(super) fn make_room(&mut self) {
        if self.known.len() > PLACES_KNOWN_MAX {
            self.forget();
        }
    }

    /// Called after a failure: what was in memory may not have been committed.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.moved.clear();
    }

    /// The id of a place, if it was ever used.
    pub(super) fn find(
        &self,
        connection: &Connection,
        tenant: i64,
        place: Place,
    ) -> Result<Option<i64>, StoreError> {
        let key = (tenant, place);
        match self.known.get(&key) {
            Some(known) => Ok(Some(known.id)),
            None => find(connection, tenant, &key.1),
        }
    }

    /// The id of a place, which is made if it was never used.
    pub(super) fn id(
        &mut self,
        connection: &Connection,
        tenant: i64,
        place: Place,
    ) -> Result<i64, rusqlite::Error> {
        self.known(connection, tenant, place).map(|known| known.id)
    }

    /// Takes the next seq of a conversation.
    pub(super) fn next_seq(
        &mut self,
        connection: &Connection,
        tenant: i64,
        conversation: &Conversation,
    ) -> Result<Seq, rusqlite::Error> {
        let known = self.known(connection, tenant, conversation.into())?;
        known.last_seq.0 += 1;
        let Known { id, last_seq } = *known;
        self.moved.insert(id, last_seq);
        Ok(last_seq)
    }

    /// Writes the seqs that the open transaction has moved.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let mut update =
            connection.prepare_cached("UPDATE places SET last_seq = ?2 WHERE id = ?1")?;
        for (id, seq) in self.moved.drain() {
            update.execute((id, seq.0 as i64))?;
        }
        Ok(())
    }

    fn known(
        &mut self,
        connection: &Connection,
        tenant: i64,
        place: Place,
    ) -> Result<&mut Known, rusqlite::Error> {
        use std::collections::hash_map::Entry;
        match self.known.entry((tenant, place)) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let known = load(connection, tenant, &entry.key().1)?;
                Ok(entry.insert(known))
            }
        }
    }
}

fn load(connection: &Connection, tenant: i64, place: &Place) -> Result<Known, rusqlite::Error> {
    let (class, a, b) = place.columns();
    connection
        .prepare_cached(
            "INSERT INTO places (tenant, class, a, b) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, class, a, b) DO UPDATE SET last_seq = last_seq
             RETURNING id, last_seq",
        )?
        .query_row((tenant, class, a, b), |row| {
            Ok(Known {
                id: row.get(0)?,
                last_seq: Seq(row.get::<_, i64>(1)? as u64),
            })
        })
}

/// The id of a place as the database knows it.
pub(super) fn find(
    connection: &Connection,
    tenant: i64,
    place: &Place,
) -> Result<Option<i64>, StoreError> {
    let (class, a, b) = place.columns();
    let select = "SELECT id FROM places WHERE tenant = ?1 AND class = ?2 AND a = ?3 AND b = ?4";
    connection
        .prepare_cached(select)
        .and_then(|mut select| {
            select
                .query_row((tenant, class, a, b), |row| row.get(0))
                .optional()
        })
        .map_err(|error| store_error(&error))
}
