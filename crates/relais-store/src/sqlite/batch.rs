//! Applies transactions inside one transaction of SQLite: what every commit costs is in this file.
//!
//! Each one is judged first ([`verdict`]), against a database in which those before it are already applied; so two
//! sends with one key in one batch give one record. What is refused has written nothing. An error of SQLite ends
//! the whole attempt: the writer rolls back and finds out which transaction is to blame.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use relais_core::event::{Event, Message, NewRecord, Record};
use relais_core::ids::{Conversation, Id, ItemKey, Position, RoomKey, Seq, Timestamp, UserId};
use relais_core::ports::{
    Change, CommitError, Committed, Idempotency, Membership, Recipients, StoreError,
    StoredPresence, TemporaryId, Transaction,
};
use relais_core::restriction::{Against, Restriction};
use rusqlite::{Connection, Params};
use serde::Serialize;

use super::erase;
use super::fault::{failed, store_error};
use super::heads::{Place, Places, TenantLog};
use super::keys::{Keeper, KeyHash, Keys};
use super::rows::{self, CODEC, Prepared};
use super::{inbox, items, outside, query, rooms};
use crate::verdict::{self, Facts, Verdict, verdict};

/// What became of one transaction, before the commit.
pub(super) enum Applied {
    /// Its rows are written; numbers for its records.
    Written {
        /// Seq of each record.
        seqs: Vec<Option<Seq>>,
        /// Position of the last record before this transaction.
        before: Position,
    },
    /// It was done once before.
    Duplicate(Box<Message>),
}

/// Transactions that will be committed together.
pub(super) struct Batch<'w> {
    connection: &'w Connection,
    places: &'w mut Places,
    keys: &'w mut Keys,
    /// Where each touched log ends with what was applied so far.
    heads: HashMap<i64, (Arc<TenantLog>, Position)>,
}

type Sqlite<T> = Result<T, rusqlite::Error>;

impl<'w> Batch<'w> {
    /// Begins; a transaction of SQLite is open.
    pub(super) fn new(
        connection: &'w Connection,
        places: &'w mut Places,
        keys: &'w mut Keys,
    ) -> Self {
        Self {
            connection,
            places,
            keys,
            heads: HashMap::new(),
        }
    }

    /// Applies one transaction. `CommitError::Store` means that the whole batch has failed.
    pub(super) fn apply(
        &mut self,
        tenant: &Arc<TenantLog>,
        prepared: &Prepared,
    ) -> Result<Applied, CommitError> {
        let facts = InDatabase {
            connection: self.connection,
            tenant: tenant.id,
            places: self.places,
            keys: self.keys,
        };
        if let Verdict::Duplicate(message) = verdict(&prepared.transaction, &facts)? {
            return Ok(Applied::Duplicate(message));
        }
        let written = self.write(tenant, prepared);
        Ok(written.map_err(|error| store_error(&error))?)
    }

    /// Writes where logs and conversations end now, the last thing before the commit.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let mut write = || {
            self.places.write(self.connection)?;
            self.keys.step(self.connection)?;
            let sql = "UPDATE tenants SET head = ?2 WHERE id = ?1 AND head = ?3";
            let mut update = self.connection.prepare_cached(sql)?;
            for (tenant, head) in self.heads.values() {
                let before = tenant.head().position;
                if before != *head {
                    let params = (tenant.id, head.0 as i64, before.0 as i64);
                    if update.execute(params)? != 1 {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        };
        match write().map_err(|error: rusqlite::Error| store_error(&error))? {
            true => Ok(()),
            false => Err(failed("somebody else has written to the log")),
        }
    }

    fn write(&mut self, tenant: &Arc<TenantLog>, prepared: &Prepared) -> Sqlite<Applied> {
        let transaction = &prepared.transaction;
        let entry = self.heads.entry(tenant.id);
        let head = entry.or_insert_with(|| (tenant.clone(), tenant.head().position));
        let before = head.1;
        head.1.0 += transaction.records.len() as u64;
        let after = head.1;
        let mut seqs = Vec::with_capacity(transaction.records.len());
        let mut taken = VecDeque::new();
        let records = transaction.records.iter().zip(&prepared.records);
        for (number, (record, data)) in (before.0 + 1..).zip(records) {
            let position = Position(number);
            let seq = self.write_record(tenant.id, position, transaction.at, record, data)?;
            if let (Some(seq), Some(conversation)) = (seq, &record.event.takes_seq) {
                taken.push_back((conversation, seq, position));
            }
            seqs.push(seq);
        }
        let mut texts = prepared.changes.iter();
        let mut text = || texts.next().map_or("", String::as_str);
        let mut write = Write {
            connection: self.connection,
            places: self.places,
            keys: self.keys,
            tenant: tenant.id,
            at: transaction.at,
            before,
            after,
        };
        for change in &transaction.changes {
            match change {
                Change::InsertMessage(message) => {
                    let numbers = take(&mut taken, &message.conversation);
                    write.insert(message, numbers, transaction, text())?;
                }
                Change::SetPresence(presence) => write.set_presence(presence, text())?,
                Change::Notify {
                    to,
                    except,
                    notification,
                    keep,
                } => {
                    let notification = inbox::Notification {
                        id: notification.id,
                        data: text(),
                        except: except.as_ref(),
                        keep: *keep,
                    };
                    write.notify(to, &notification)?;
                }
                Change::PutItem(item) => {
                    let place = write.place(Place::of_record(item.key.shelf.room.as_ref()))?;
                    items::put(self.connection, place, item, text())?;
                }
                Change::DeleteItem(key) => {
                    let place = write.place(Place::of_record(key.shelf.room.as_ref()))?;
                    items::delete(self.connection, place, key)?;
                }
                other => write.change(other)?,
            }
        }
        Ok(Applied::Written { seqs, before })
    }

    fn write_record(
        &mut self,
        tenant: i64,
        position: Position,
        at: Timestamp,
        record: &NewRecord,
        data: &str,
    ) -> Sqlite<Option<Seq>> {
        let event = &record.event;
        let place = Place::of_record(event.room.as_ref());
        let place = self.places.id(self.connection, tenant, place)?;
        let seq = match &event.takes_seq {
            Some(conversation) => Some(self.places.next_seq(
                self.connection,
                tenant,
                conversation,
            )?),
            None => None,
        };
        let sql = "INSERT INTO log (tenant, position, place, seq, at, kind, codec, data)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.connection.prepare_cached(sql)?.execute((
            tenant,
            position.0 as i64,
            place,
            seq.map(|seq| seq.0 as i64),
            at.0,
            event.kind.name(),
            CODEC,
            data,
        ))?;
        Ok(seq)
    }
}

/// The numbers of the first record that took a seq of this conversation and has no message yet.
fn take(
    taken: &mut VecDeque<(&Conversation, Seq, Position)>,
    conversation: &Conversation,
) -> (Seq, Position) {
    let found = taken.iter().position(|(of, ..)| *of == conversation);
    let (_, seq, position) = found
        .and_then(|index| taken.remove(index))
        .expect("the verdict has matched every message with a record");
    (seq, position)
}

/// The committed records of a transaction, and the answer to its sender.
pub(super) fn committed(
    tenant: &TenantLog,
    transaction: Transaction,
    applied: Applied,
) -> Committed {
    let (seqs, before) = match applied {
        Applied::Duplicate(message) => return Committed::Duplicate { message },
        Applied::Written { seqs, before } => (seqs, before),
    };
    let at = transaction.at;
    let numbered = (before.0 + 1..).zip(seqs);
    let records: Vec<_> = numbered
        .zip(transaction.records)
        .map(|((position, seq), new)| {
            Arc::new(Record {
                tenant: tenant.key.clone(),
                epoch: tenant.epoch,
                position: Position(position),
                seq,
                at,
                event: Event {
                    audience: None,
                    ..new.event
                },
                audience: new.audience,
            })
        })
        .collect();
    let head = Position(before.0 + records.len() as u64);
    Committed::Applied { records, head }
}

/// One transaction's changes on their way into the tables.
struct Write<'b> {
    connection: &'b Connection,
    places: &'b mut Places,
    keys: &'b mut Keys,
    tenant: i64,
    at: Timestamp,
    /// Head before and after the transaction's records.
    before: Position,
    after: Position,
}

impl Write<'_> {
    fn insert(
        &mut self,
        message: &Message,
        (seq, position): (Seq, Position),
        transaction: &Transaction,
        data: &str,
    ) -> Sqlite<()> {
        let place = self.place(Place::from(&message.conversation))?;
        let kept = verdict::keeps_key(transaction, message);
        let key = transaction.idempotency.as_ref().filter(|_| kept);
        if let Some(key) = key {
            let hash = KeyHash::new(place, &key.sender, &key.key);
            self.keys
                .add(self.connection, hash, Keeper { place, seq })?;
        }
        let id = message.id.0.as_bytes();
        self.run(
            "INSERT INTO messages (place, seq, tenant, id, position, sender, recipient, channel,
                                   key, body_hash, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            (
                place,
                seq.0 as i64,
                self.tenant,
                &id[..],
                position.0 as i64,
                message.sender.id.as_str(),
                message.recipient.as_ref().map(UserId::as_str),
                message.channel.as_deref(),
                key.map(|key| &*key.key),
                key.map(|key| &key.body_hash[..]),
                data,
            ),
        )
    }

    fn change(&mut self, change: &Change) -> Sqlite<()> {
        match change {
            Change::InsertMessage(_)
            | Change::SetPresence(_)
            | Change::Notify { .. }
            | Change::PutItem(_)
            | Change::DeleteItem(_) => {
                unreachable!("written by its own function")
            }
            Change::EditMessage { id, body, mentions } => self.rewrite(*id, |message, at| {
                message.edited_at = Some(verdict::edited_at(message, at));
                message.body = body.clone();
                message.mentions = mentions.clone();
            }),
            Change::DeleteMessage { id } => self.rewrite(*id, |message, at| {
                if message.deleted_at.is_none() {
                    message.deleted_at = Some(at);
                    message.body.clear();
                    message.mentions.clear();
                }
            }),
            Change::SetReadMark {
                conversation,
                user,
                seq,
            } => self.set_mark(conversation, user, *seq),
            Change::AddMember { room, user } => self.add_member(room, user),
            Change::RemoveMember { room, user } => self.remove_member(room, user),
            Change::SetRoom(info) => {
                let place = self.place((&info.room).into())?;
                rooms::set(self.connection, place, info)
            }
            Change::Remember { person, claims } => {
                let claims = claims.iter().map(|room| self.place(room.into()));
                let claims = claims.collect::<Sqlite<Vec<_>>>()?;
                rooms::remember(self.connection, self.tenant, person, &claims)
            }
            Change::ForgetMember { room, user } => self.forget_member(room, user),
            Change::ReadNotifications { user, id } => {
                inbox::read(self.connection, self.tenant, user, *id)
            }
            Change::JoinSession { session, room } => {
                let place = self.place(room.into())?;
                self.run(
                    "INSERT INTO stays (tenant, session, place, since, seen_at)
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                    (
                        self.tenant,
                        &*session.0,
                        place,
                        self.before.0 as i64,
                        self.at.0,
                    ),
                )
            }
            Change::EraseMessages { ids } => {
                erase::messages(self.connection, self.tenant, ids, self.at)
            }
            Change::EraseRecords { positions } => {
                erase::records(self.connection, self.tenant, positions)
            }
            Change::EraseUser { user } => erase::user(self.connection, self.tenant, user),
            Change::Impose(restriction) => self.impose(restriction),
            Change::Lift { against, hold } => self.run(
                "DELETE FROM restrictions WHERE tenant = ?1 AND subject = ?2 AND hold = ?3",
                (self.tenant, subject(against)?, json(hold)?),
            ),
            Change::Outside(change) => outside::write(self.connection, self.tenant, change),
            Change::LeaveSession { session, room } => self.leave(&session.0, room),
            Change::LeaveSessions { sessions, room } => sessions
                .iter()
                .try_for_each(|session| self.leave(&session.0, room)),
        }
    }

    fn set_mark(&mut self, conversation: &Conversation, user: &UserId, seq: Seq) -> Sqlite<()> {
        let place = self.place(conversation.into())?;
        self.run(
            "INSERT INTO marks (place, user, seq) VALUES (?1, ?2, ?3)
             ON CONFLICT (place, user) DO UPDATE SET seq = max(seq, excluded.seq)",
            (place, user.as_str(), seq.0 as i64),
        )
    }

    fn rewrite(&mut self, id: Id, edit: impl FnOnce(&mut Message, Timestamp)) -> Sqlite<()> {
        let Some(mut message) = query::message(self.connection, self.tenant, id).map_err(broken)?
        else {
            return Ok(());
        };
        edit(&mut message, self.at);
        let data = rows::message_data(&message).map_err(broken)?;
        let id = id.0.as_bytes();
        self.run(
            "UPDATE messages SET data = ?3 WHERE tenant = ?1 AND id = ?2",
            (self.tenant, &id[..], data),
        )
    }

    fn remove_member(&mut self, room: &RoomKey, user: &UserId) -> Sqlite<()> {
        let place = self.place(room.into())?;
        self.run(
            "INSERT INTO members (tenant, place, user, numeric, removed, added_at)
             VALUES (?1, ?2, ?3, ?4, 1, ?5)
             ON CONFLICT (place, user) DO UPDATE SET removed = 1",
            (self.tenant, place, user.as_str(), numeric(user), self.at.0),
        )
    }

    fn forget_member(&mut self, room: &RoomKey, user: &UserId) -> Sqlite<()> {
        let place = self.place(room.into())?;
        self.run(
            "DELETE FROM members WHERE place = ?1 AND user = ?2",
            (place, user.as_str()),
        )
    }

    fn add_member(&mut self, room: &RoomKey, user: &UserId) -> Sqlite<()> {
        let place = self.place(room.into())?;
        self.run(
            "DELETE FROM members WHERE place = ?1 AND user = ?2 AND removed = 1",
            (place, user.as_str()),
        )?;
        self.run(
            "INSERT INTO members (tenant, place, user, numeric, removed, added_at)
             VALUES (?1, ?2, ?3, ?4, 0, ?5) ON CONFLICT DO NOTHING",
            (self.tenant, place, user.as_str(), numeric(user), self.at.0),
        )
    }

    fn leave(&mut self, session: &str, room: &RoomKey) -> Sqlite<()> {
        let place = self.place(room.into())?;
        self.run(
            "UPDATE stays SET until = ?4, seen_at = ?5
             WHERE tenant = ?1 AND session = ?2 AND place = ?3 AND until IS NULL",
            (self.tenant, session, place, self.after.0 as i64, self.at.0),
        )
    }

    fn set_presence(&mut self, presence: &StoredPresence, data: &str) -> Sqlite<()> {
        let params = (
            self.tenant,
            presence.person.id.as_str(),
            presence.online,
            presence.last_seen.0,
            data,
        );
        self.run(
            "INSERT INTO presences (tenant, user, online, last_seen, data)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (tenant, user) DO UPDATE
             SET online = excluded.online, last_seen = excluded.last_seen, data = excluded.data",
            params,
        )
    }

    fn impose(&self, restriction: &Restriction) -> Sqlite<()> {
        let (subject, hold) = (subject(&restriction.against)?, json(&restriction.hold)?);
        self.run(
            "INSERT INTO restrictions (tenant, subject, hold, data) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, subject, hold) DO UPDATE SET data = excluded.data",
            (self.tenant, subject, hold, json(restriction)?),
        )
    }

    fn notify(&mut self, to: &[Recipients], notification: &inbox::Notification<'_>) -> Sqlite<()> {
        let placed = to.iter().map(|recipients| {
            let place = match recipients {
                Recipients::User(_) => None,
                Recipients::Members(room) => {
                    let found = self.places.find(self.connection, self.tenant, room.into());
                    found.map_err(broken)?
                }
            };
            Ok((recipients, place))
        });
        let placed = placed.collect::<Sqlite<Vec<_>>>()?;
        inbox::notify(self.connection, self.tenant, notification, &placed)
    }

    fn place(&mut self, place: Place) -> Sqlite<i64> {
        self.places.id(self.connection, self.tenant, place)
    }

    fn run(&self, sql: &str, params: impl Params) -> Sqlite<()> {
        self.connection
            .prepare_cached(sql)?
            .execute(params)
            .map(|_| ())
    }
}

/// Whom a restriction is held against, as the key of its row: an id as text, in which form it ever came.
fn subject(against: &Against) -> Sqlite<String> {
    json(&match against {
        Against::User(user) => Against::User(UserId::text(user.as_str())),
        Against::Token(id) => Against::Token(id.clone()),
    })
}

fn json(value: &impl Serialize) -> Sqlite<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn numeric(user: &UserId) -> bool {
    user.to_json().is_number()
}

/// A row that was read while writing and could not be understood.
pub(super) fn broken(error: StoreError) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// What the checks see: the database with everything that the open transaction has written.
struct InDatabase<'b> {
    connection: &'b Connection,
    tenant: i64,
    places: &'b Places,
    keys: &'b Keys,
}

impl Facts for InDatabase<'_> {
    fn keyed(&self, key: &Idempotency) -> Result<Option<([u8; 32], Message)>, StoreError> {
        let place = Place::from(&key.conversation);
        let Some(place) = self.places.find(self.connection, self.tenant, place)? else {
            return Ok(None);
        };
        let hash = KeyHash::new(place, &key.sender, &key.key);
        let candidates = self.keys.find(self.connection, hash);
        for keeper in candidates.map_err(|error| store_error(&error))? {
            let found = query::keeps(self.connection, keeper, &key.sender, &key.key)?;
            // A place of its own in the hash is no proof of the place.
            if keeper.place == place && found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn message(&self, id: Id) -> Result<Option<Message>, StoreError> {
        query::message(self.connection, self.tenant, id)
    }

    /// The unique index finds out, and then the writer finds the one to blame: ids are hardly ever taken.
    fn id_taken(&self, _id: Id) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError> {
        query::membership(self.connection, self.tenant, room, user)
    }

    fn sort(&self, room: &RoomKey) -> Result<Option<Arc<str>>, StoreError> {
        rooms::sort(self.connection, self.tenant, room)
    }

    fn member_count(&self, room: &RoomKey) -> Result<u32, StoreError> {
        rooms::member_count(self.connection, self.tenant, room)
    }

    fn item_version(&self, key: &ItemKey) -> Result<Option<u64>, StoreError> {
        items::version(self.connection, self.tenant, key)
    }

    fn has_temporary_id(&self, temporary: &TemporaryId) -> Result<bool, StoreError> {
        Ok(items::of(self.connection, self.tenant, temporary)?.is_some())
    }
}
