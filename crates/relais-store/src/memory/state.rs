//! One tenant's log and state in memory, and how a transaction changes them.
//!
//! A transaction is checked as a whole first ([`verdict`]); what follows cannot fail, so nothing is ever half
//! applied. Reads are in the file beside this one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use relais_core::event::{Event, Message, NewRecord, Person, Record};
use relais_core::ids::{
    Conversation, Epoch, Id, ItemKey, Position, RoomKey, Seq, SessionId, TenantKey, Timestamp,
    UserId,
};
use relais_core::ports::{
    Change, CommitError, Committed, Head, Idempotency, Interval, Member, Membership, Notified,
    RoomInfo, StoreError, StoredPresence, TemporaryId, Transaction,
};

use relais_core::restriction::{Against, Hold, Restriction};

use super::items::Items;
use super::outside::Kept;
use crate::retention::{Alive, Retained, Retention, StayVerdict};
use crate::verdict::{Facts, Verdict, keeps_key, verdict};

type Key = (UserId, Conversation, Arc<str>);

/// Everything that one tenant has.
pub(super) struct State {
    tenant: TenantKey,
    pub(super) head: Head,
    pub(super) log: BTreeMap<Position, Arc<Record>>,
    /// By room; `None` is for what has no room.
    pub(super) trimmed: HashMap<Option<RoomKey>, Position>,
    pub(super) messages: HashMap<Id, Message>,
    pub(super) conversations: HashMap<Conversation, Thread>,
    pub(super) keys: HashMap<Key, ([u8; 32], Id)>,
    /// In the order in which they were added.
    pub(super) members: HashMap<RoomKey, Vec<Member>>,
    pub(super) removed: HashMap<RoomKey, Vec<UserId>>,
    pub(super) infos: HashMap<RoomKey, RoomInfo>,
    /// Everybody who is remembered, with the rooms that their token claims.
    pub(super) people: BTreeMap<UserId, (Person, Vec<RoomKey>)>,
    /// Rooms of each user, in the order in which the user was added.
    pub(super) rooms_of: HashMap<UserId, Vec<RoomKey>>,
    pub(super) marks: HashMap<(Conversation, UserId), Seq>,
    pub(super) stays: BTreeMap<SessionId, Vec<Stay>>,
    pub(super) presences: BTreeMap<UserId, StoredPresence>,
    pub(super) restrictions: BTreeMap<(Against, Hold), Restriction>,
    /// Oldest first.
    pub(super) inboxes: HashMap<UserId, VecDeque<Notified>>,
    pub(super) outside: Kept,
    pub(super) items: Items,
}

/// The messages of a conversation.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) last_seq: Seq,
    pub(super) messages: BTreeMap<Seq, Id>,
}

/// A session's stay in a room, and when the session was last known to live.
pub(super) struct Stay {
    pub(super) interval: Interval,
    seen_at: Timestamp,
}

impl Facts for State {
    fn keyed(&self, key: &Idempotency) -> Result<Option<([u8; 32], Message)>, StoreError> {
        let scope = (
            key.sender.clone(),
            key.conversation.clone(),
            key.key.clone(),
        );
        Ok(self
            .keys
            .get(&scope)
            .map(|(hash, id)| (*hash, self.messages[id].clone())))
    }

    fn message(&self, id: Id) -> Result<Option<Message>, StoreError> {
        Ok(self.messages.get(&id).cloned())
    }

    fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError> {
        Ok(State::membership(self, room, user))
    }

    fn sort(&self, room: &RoomKey) -> Result<Option<Arc<str>>, StoreError> {
        Ok(self.infos.get(room).map(|info| info.sort.clone()))
    }

    fn member_count(&self, room: &RoomKey) -> Result<u32, StoreError> {
        Ok(self.members.get(room).map_or(0, Vec::len) as u32)
    }

    fn item_version(&self, key: &ItemKey) -> Result<Option<u64>, StoreError> {
        Ok(self.items.get(key).map(|item| item.version))
    }

    fn has_temporary_id(&self, temporary: &TemporaryId) -> Result<bool, StoreError> {
        Ok(self.items.of(temporary).is_some())
    }
}

impl State {
    pub(super) fn new(tenant: TenantKey, epoch: Epoch) -> Self {
        let position = Position(0);
        Self {
            tenant,
            head: Head { epoch, position },
            log: BTreeMap::new(),
            trimmed: HashMap::new(),
            messages: HashMap::new(),
            conversations: HashMap::new(),
            keys: HashMap::new(),
            members: HashMap::new(),
            removed: HashMap::new(),
            infos: HashMap::new(),
            people: BTreeMap::new(),
            rooms_of: HashMap::new(),
            marks: HashMap::new(),
            stays: BTreeMap::new(),
            presences: BTreeMap::new(),
            restrictions: BTreeMap::new(),
            inboxes: HashMap::new(),
            outside: Kept::default(),
            items: Items::default(),
        }
    }

    pub(super) fn tenant(&self) -> &TenantKey {
        &self.tenant
    }

    pub(super) fn commit(
        &mut self,
        mut transaction: Transaction,
    ) -> Result<Committed, CommitError> {
        if let Verdict::Duplicate(message) = verdict(&transaction, self)? {
            return Ok(Committed::Duplicate { message });
        }
        let since = self.head.position;
        let mut taken: HashMap<Conversation, VecDeque<(Seq, Position)>> = HashMap::new();
        let mut records = Vec::with_capacity(transaction.records.len());
        for record in std::mem::take(&mut transaction.records) {
            let record = self.append(record, transaction.at);
            if let (Some(seq), Some(conversation)) = (record.seq, &record.event.takes_seq) {
                let numbers = taken.entry(conversation.clone()).or_default();
                numbers.push_back((seq, record.position));
            }
            records.push(record);
        }
        for change in std::mem::take(&mut transaction.changes) {
            match change {
                Change::InsertMessage(mut message) => {
                    let numbers = taken.get_mut(&message.conversation);
                    (message.seq, message.position) = numbers
                        .and_then(VecDeque::pop_front)
                        .expect("the verdict has matched every message with a record");
                    self.insert(message, &transaction);
                }
                other => self.apply(other, transaction.at, since),
            }
        }
        Ok(Committed::Applied {
            records,
            head: self.head.position,
        })
    }

    fn append(&mut self, new: NewRecord, at: Timestamp) -> Arc<Record> {
        self.head.position.0 += 1;
        let seq = new.event.takes_seq.as_ref().map(|conversation| {
            let thread = self.conversations.entry(conversation.clone()).or_default();
            thread.last_seq.0 += 1;
            thread.last_seq
        });
        let record = Arc::new(Record {
            tenant: self.tenant.clone(),
            epoch: self.head.epoch,
            position: self.head.position,
            seq,
            at,
            event: Event {
                audience: None,
                ..new.event
            },
            audience: new.audience,
        });
        self.log.insert(record.position, record.clone());
        record
    }

    fn insert(&mut self, message: Message, transaction: &Transaction) {
        if let (true, Some(key)) = (keeps_key(transaction, &message), &transaction.idempotency) {
            let scope = (
                key.sender.clone(),
                key.conversation.clone(),
                key.key.clone(),
            );
            self.keys.insert(scope, (key.body_hash, message.id));
        }
        let thread = self.conversations.entry(message.conversation.clone());
        thread.or_default().messages.insert(message.seq, message.id);
        self.messages.insert(message.id, message);
    }

    fn apply(&mut self, change: Change, at: Timestamp, since: Position) {
        match change {
            Change::InsertMessage(_) => unreachable!("inserted by its own function"),
            Change::EditMessage { id, body, mentions } => {
                if let Some(message) = self.messages.get_mut(&id) {
                    message.edited_at = Some(crate::verdict::edited_at(message, at));
                    message.body = body;
                    message.mentions = mentions;
                }
            }
            Change::DeleteMessage { id } => {
                if let Some(message) = self.messages.get_mut(&id)
                    && message.deleted_at.is_none()
                {
                    message.deleted_at = Some(at);
                    message.body.clear();
                    message.mentions.clear();
                }
            }
            Change::SetReadMark {
                conversation,
                user,
                seq,
            } => {
                let mark = self.marks.entry((conversation, user)).or_default();
                *mark = (*mark).max(seq);
            }
            Change::AddMember { room, user } => self.add_member(room, user, at),
            Change::RemoveMember { room, user } => self.remove_member(room, user),
            Change::SetRoom(info) => {
                self.infos.insert(info.room.clone(), info);
            }
            Change::Remember { person, claims } => {
                self.people.insert(person.id.clone(), (person, claims));
            }
            Change::ForgetMember { room, user } => self.forget_member(&room, &user),
            Change::Notify {
                to,
                except,
                notification,
                keep,
            } => self.notify(to, except.as_ref(), &notification, keep),
            Change::ReadNotifications { user, id } => self.read_notifications(&user, id),
            Change::JoinSession { session, room } => self.join(session, room, since, at),
            Change::LeaveSession { session, room } => self.leave(&session, &room, at),
            Change::LeaveSessions { sessions, room } => {
                for session in sessions {
                    self.leave(&session, &room, at);
                }
            }
            Change::SetPresence(presence) => {
                self.presences.insert(presence.person.id.clone(), presence);
            }
            Change::EraseMessages { ids } => self.erase_messages(&ids, at),
            Change::EraseRecords { positions } => self.erase_records(&positions),
            Change::EraseUser { user } => self.erase_user(&user),
            Change::Impose(restriction) => {
                let key = (restriction.against.clone(), restriction.hold);
                self.restrictions.insert(key, restriction);
            }
            Change::Lift { against, hold } => {
                self.restrictions.remove(&(against, hold));
            }
            Change::Outside(change) => self.outside.apply(change),
            Change::PutItem(item) => self.items.put(*item),
            Change::DeleteItem(key) => self.items.delete(&key),
        }
    }

    fn add_member(&mut self, room: RoomKey, user: UserId, added_at: Timestamp) {
        if let Some(removed) = self.removed.get_mut(&room) {
            removed.retain(|other| *other != user);
        }
        let members = self.members.entry(room.clone()).or_default();
        if members.iter().all(|member| member.user != user) {
            let rooms = self.rooms_of.entry(user.clone()).or_default();
            rooms.push(room);
            members.push(Member { user, added_at });
        }
    }

    fn remove_member(&mut self, room: RoomKey, user: UserId) {
        self.forget_member(&room, &user);
        self.removed.entry(room).or_default().push(user);
    }

    fn forget_member(&mut self, room: &RoomKey, user: &UserId) {
        if let Some(members) = self.members.get_mut(room) {
            members.retain(|member| member.user != *user);
        }
        if let Some(rooms) = self.rooms_of.get_mut(user) {
            rooms.retain(|other| other != room);
        }
        if let Some(removed) = self.removed.get_mut(room) {
            removed.retain(|other| other != user);
        }
    }

    fn join(&mut self, session: SessionId, room: RoomKey, since: Position, seen_at: Timestamp) {
        let stays = self.stays.entry(session).or_default();
        let open = |stay: &Stay| stay.interval.room == room && stay.interval.until.is_none();
        if !stays.iter().any(open) {
            let interval = Interval {
                room,
                since,
                until: None,
            };
            stays.push(Stay { interval, seen_at });
        }
    }

    fn leave(&mut self, session: &SessionId, room: &RoomKey, at: Timestamp) {
        let head = self.head.position;
        for stay in self.stays.get_mut(session).into_iter().flatten() {
            if stay.interval.room == *room && stay.interval.until.is_none() {
                stay.interval.until = Some(head);
                stay.seen_at = at;
            }
        }
    }

    pub(super) fn retain(
        &mut self,
        rule: &Retention,
        now: Timestamp,
        alive: Alive<'_>,
    ) -> Retained {
        let ended = crate::retention::restrictions_ended(now);
        let lasts = |one: &Restriction| one.until.is_none_or(|until| until > ended);
        self.restrictions.retain(|_, one| lasts(one));
        let page = self.log.values().map(|record| (record.position, record.at));
        let old = rule.expired_up_to(now, page).unwrap_or_default();
        let mut kept: HashMap<Option<&RoomKey>, u64> = HashMap::new();
        let mut gone = Vec::new();
        for record in self.log.values().rev() {
            let room = record.event.room.as_ref();
            let held = kept.entry(room).or_default();
            *held += 1;
            if record.position <= old || *held > rule.records_max(room.is_none()) {
                gone.push(record.position);
            }
        }
        for position in &gone {
            if let Some(record) = self.log.remove(position) {
                let trimmed = self.trimmed.entry(record.event.room.clone()).or_default();
                *trimmed = (*trimmed).max(*position);
            }
        }
        Retained {
            records: gone.len() as u64,
            stays: self.retain_stays(rule, now, alive),
        }
    }

    fn retain_stays(&mut self, rule: &Retention, now: Timestamp, alive: Alive<'_>) -> u64 {
        let mut gone = 0;
        for (session, stays) in &mut self.stays {
            let lives = alive(&self.tenant, session);
            stays.retain_mut(|stay| {
                let closed = stay.interval.until.is_some();
                match rule.stay(now, stay.seen_at, closed, lives) {
                    StayVerdict::Keep => true,
                    StayVerdict::Refresh => {
                        stay.seen_at = now;
                        true
                    }
                    StayVerdict::Remove => {
                        gone += 1;
                        false
                    }
                }
            });
        }
        self.stays.retain(|_, stays| !stays.is_empty());
        gone
    }
}
