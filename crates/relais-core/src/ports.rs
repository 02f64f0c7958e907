//! The small traits through which the core reaches the world, with what each promises.
//!
//! Handed out per tenant ([`Store::tenant`]), so that no capability can name another tenant's data.

mod files;
mod inbox;
mod items;
mod outside;

mod failure;

mod rooms;

use std::sync::Arc;

use async_trait::async_trait;

use crate::command::SeqRange;
use crate::event::{
    Audience, Event, EventKind, Item, Message, NewRecord, Notification, Person, Record, Volatile,
};
use crate::ids::{
    AudienceKey, Conversation, Epoch, Id, ItemKey, Position, RoomKey, Seq, SessionId, Shelf,
    TenantKey, Timestamp, UserId,
};
use crate::outside::{OutsideChange, Subscription};
use crate::restriction::{Against, Closing, Hold, Restriction};

pub use files::{Address, ItemFiles, Uploaded};
pub use inbox::{InboxPage, InboxQuery, Notified, Recipients};
pub use items::{ItemPage, ItemQuery, TemporaryId, UserItems};
pub use outside::{Doorman, Outside};

pub use failure::{CommitError, StoreError};

pub use rooms::{ROOM_PEOPLE_MAX, RoomInfo, RoomPerson, RoomState, UNREAD_MAX};

/// The log and the state behind it.
#[async_trait]
pub trait Store: Send + Sync {
    /// The part of the store that belongs to one tenant; loads the head of its log on first use.
    async fn tenant(&self, key: &TenantKey) -> Result<Arc<dyn TenantStore>, StoreError>;

    /// Whether reads and writes work now (for `/readyz`).
    async fn check(&self) -> Result<(), StoreError>;

    /// Whether a commit would be refused as [`StoreError::Overloaded`] at this moment. Cheap, from memory: for those who want to refuse
    /// before they have made anything. A hint: the commit itself has the last word.
    fn is_overloaded(&self) -> bool;
}

/// One tenant's log and state.
///
/// Promises: a commit that returned `Ok` is synced to disk; positions are contiguous and in the order of commits;
/// `seq` is contiguous in its conversation; committed records are handed to the [`Fanout`] that the store was opened
/// with, in position order, before the commit returns; a transaction that fails leaves nothing behind and does not harm the others of its batch.
#[async_trait]
pub trait TenantStore: Send + Sync {
    /// Where the committed log ends now. Cheap: from memory.
    fn head(&self) -> Head;

    /// Applies a transaction. Calls are committed in the order in which they were first polled.
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError>;

    /// Records after `after`, ascending, at most `limit` (1 to 1,000), fewer if they are large; none only at the head.
    async fn log(&self, after: Position, limit: u32) -> Result<LogPage, StoreError>;

    /// The newest position that retention has taken away from any of these rooms, or from records without a room.
    async fn trimmed(&self, rooms: &[RoomKey]) -> Result<Position, StoreError>;

    /// A page of a conversation, oldest first, with private messages only where `viewer` is sender or recipient (`None`: all).
    async fn messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError>;

    /// One message, deleted ones included.
    async fn message(&self, id: Id) -> Result<Option<Message>, StoreError>;

    /// The newest committed seq of a conversation.
    async fn last_seq(&self, conversation: &Conversation) -> Result<Seq, StoreError>;

    /// What the server keeps about a user's membership.
    async fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError>;

    /// All members that the server keeps, in the order in which they were added.
    async fn members(&self, room: &RoomKey) -> Result<Vec<Member>, StoreError>;

    /// What these rooms are, in this order; with a user, how that user stands to them and what is unread there.
    async fn rooms(
        &self,
        user: Option<&UserId>,
        rooms: &[RoomKey],
    ) -> Result<Vec<RoomState>, StoreError>;

    /// Everybody that is known of a room: kept members, those who were removed, and whoever's token claimed it when they were last
    /// remembered ([`Change::Remember`]). At most 10,000, members first.
    async fn people(&self, room: &RoomKey) -> Result<Vec<RoomPerson>, StoreError>;

    /// Somebody as they were last remembered.
    async fn person(&self, user: &UserId) -> Result<Option<Person>, StoreError>;

    /// Rooms that the user is a kept member of.
    async fn rooms_of(&self, user: &UserId) -> Result<Vec<RoomKey>, StoreError>;

    /// Explicit joins of a session, open and closed ones, for replay.
    async fn session_rooms(&self, session: &SessionId) -> Result<Vec<Interval>, StoreError>;

    /// How far a user has read a conversation.
    async fn read_mark(
        &self,
        conversation: &Conversation,
        user: &UserId,
    ) -> Result<Seq, StoreError>;

    /// Messages that a user wrote, got privately, or has in a direct conversation, ascending by id. Looks at a bounded number of messages
    /// of the tenant, so a page may be empty though more follow: the end is where `next` is `None`.
    async fn messages_of(
        &self,
        user: &UserId,
        after: Option<Id>,
    ) -> Result<UserMessages, StoreError>;

    /// How far a user has read, in each conversation.
    async fn marks_of(&self, user: &UserId) -> Result<Vec<(Conversation, Seq)>, StoreError>;

    /// All that is held against anybody of the tenant.
    async fn restrictions(&self) -> Result<Vec<Restriction>, StoreError>;

    /// A page of a user's inbox, newest first, and how much of the whole of it is unread.
    async fn inbox(&self, query: &InboxQuery) -> Result<InboxPage, StoreError>;

    /// One notification of a user's inbox; `None` where it was never there or is gone.
    async fn notification(&self, user: &UserId, id: Id) -> Result<Option<Notified>, StoreError>;

    /// Where a user takes pushes, oldest first.
    async fn subscriptions(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError>;

    /// How many notifications of a user's inbox are unread.
    async fn unread_notifications(&self, user: &UserId) -> Result<u64, StoreError>;

    /// What was last stored about one user's presence. A store that can look it up directly overrides this.
    async fn presence(&self, user: &UserId) -> Result<Option<StoredPresence>, StoreError> {
        let all = self.presences(Timestamp(i64::MIN)).await?;
        Ok(all.into_iter().find(|found| found.person.id == *user))
    }

    /// What was last stored about presence of all users that were online, or changed after `since`.
    async fn presences(&self, since: Timestamp) -> Result<Vec<StoredPresence>, StoreError>;

    /// One item.
    async fn item(&self, key: &ItemKey) -> Result<Option<Item>, StoreError>;

    /// The item that was created under a client's temporary id and is still there.
    async fn item_of(&self, temporary: &TemporaryId) -> Result<Option<Item>, StoreError>;

    /// A page of items, newest first by the order of their creation.
    async fn items(&self, query: &ItemQuery) -> Result<ItemPage, StoreError>;

    /// Items that a user owns or was given, wherever they lie, in the order of their creation. `after` is the [`UserItems::next`] of the
    /// page before.
    async fn items_of(&self, user: &UserId, after: Option<u64>) -> Result<UserItems, StoreError>;

    /// The oldest items that can be claimed at `now`, at most `limit` (1 to 100).
    async fn claimable(
        &self,
        shelf: &Shelf,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError>;
}

/// End of a committed log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log's life.
    pub epoch: Epoch,
    /// Position of the newest committed record, 0 in an empty log.
    pub position: Position,
}

/// All that one command changes, or nothing of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    /// Stamp of the command.
    pub at: Timestamp,
    /// Set where the client gave a temporary id. Scope: (tenant, sender, conversation, key).
    pub idempotency: Option<Idempotency>,
    /// Checked inside the transaction, before anything is changed.
    pub preconditions: Vec<Precondition>,
    /// Changes of state, in order.
    pub changes: Vec<Change>,
    /// Records to append, in order.
    pub records: Vec<NewRecord>,
}

/// A client's temporary id and what it stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Who sent it.
    pub sender: UserId,
    /// Into which conversation.
    pub conversation: Conversation,
    /// The temporary id.
    pub key: Arc<str>,
    /// SHA-256 of the original body.
    pub body_hash: [u8; 32],
}

/// What must still be so when the transaction is applied; else [`CommitError::Conflict`] and the command is decided again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The membership is as it was loaded.
    Membership {
        /// Which room.
        room: RoomKey,
        /// Whose.
        user: UserId,
        /// As loaded.
        expected: Membership,
    },
    /// The message was neither edited nor deleted since it was loaded.
    MessageUnchanged {
        /// Which message.
        id: Id,
        /// As loaded.
        edited_at: Option<Timestamp>,
    },
    /// The room is of this sort, or nobody has said what it is.
    RoomSort {
        /// Which room.
        room: RoomKey,
        /// As loaded, or as guessed.
        expected: Option<Arc<str>>,
    },
    /// The room has fewer kept members than this.
    MembersBelow {
        /// Which room.
        room: RoomKey,
        /// The most it may have, the new one included.
        count: u32,
    },
    /// The item is as it was loaded.
    ItemUnchanged {
        /// Which item.
        key: ItemKey,
        /// As loaded; `None`: there is none.
        version: Option<u64>,
    },
    /// No item is there that was created under this temporary id.
    TemporaryIdFree(TemporaryId),
}

/// One change of state.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Store a chat message. Its `seq` and `position` are those of the transaction's record that takes a seq
    /// of the same conversation; the values given here are ignored.
    InsertMessage(Message),
    /// Replace a message's body. It is stamped with the transaction's time, or a millisecond after the edit before where that is the same.
    EditMessage {
        /// Which.
        id: Id,
        /// The new text.
        body: String,
        /// Who is named in it.
        mentions: Vec<UserId>,
    },
    /// Blank a message's body and mentions, and mark it deleted.
    DeleteMessage {
        /// Which.
        id: Id,
    },
    /// Advance a read mark; never backwards.
    SetReadMark {
        /// Which conversation.
        conversation: Conversation,
        /// Whose mark.
        user: UserId,
        /// Up to here.
        seq: Seq,
    },
    /// Make a user a member, and forget a removal.
    AddMember {
        /// Which room.
        room: RoomKey,
        /// Who.
        user: UserId,
    },
    /// Remember a removal, which outranks a token's claim until the member is added again.
    RemoveMember {
        /// Which room.
        room: RoomKey,
        /// Who.
        user: UserId,
    },
    /// Say what a room is; in the place of what was said before.
    SetRoom(RoomInfo),
    /// Remember a person, and which rooms their token claims; in the place of what was remembered before.
    Remember {
        /// Who.
        person: Person,
        /// All rooms that the token claims.
        claims: Vec<RoomKey>,
    },
    /// Forget what is kept about a user in a room, a removal too.
    ForgetMember {
        /// Which room.
        room: RoomKey,
        /// Who.
        user: UserId,
    },
    /// Put a notification into inboxes, unread; each user gets it once, whichever of `to` names them. Nobody new: no change.
    Notify {
        /// United.
        to: Vec<Recipients>,
        /// Left out although `to` has them.
        except: Option<UserId>,
        /// Its id is new.
        notification: Notification,
        /// How many an inbox keeps (at least 1): the oldest beyond that go.
        keep: u32,
    },
    /// Mark one notification of a user's inbox as read, or all of them. One that is not there: no change.
    ReadNotifications {
        /// Whose inbox.
        user: UserId,
        /// Which; `None`: all.
        id: Option<Id>,
    },
    /// Remember that a session joined a room: the interval is open from the head of the log at this commit. Joined already: no change.
    JoinSession {
        /// Which session.
        session: SessionId,
        /// Which room.
        room: RoomKey,
    },
    /// Close that interval after the records of this transaction.
    LeaveSession {
        /// Which session.
        session: SessionId,
        /// Which room.
        room: RoomKey,
    },
    /// Close the intervals of all of a user's sessions in the room (a removed member). `sessions` are those known to be open.
    LeaveSessions {
        /// Which sessions.
        sessions: Vec<SessionId>,
        /// Which room.
        room: RoomKey,
    },
    /// What is to be known about presence after a restart.
    SetPresence(StoredPresence),
    /// Blank messages for good, with who wrote them: body, mentions, temporary id and key go, the sender is [`Person::erased`]. One that is
    /// not there is left out.
    EraseMessages {
        /// Which.
        ids: Vec<Id>,
    },
    /// Blank records of the log, so that a replay shows nothing of them to anybody: position, seq, kind and room stay, all else goes.
    EraseRecords {
        /// Which.
        positions: Vec<Position>,
    },
    /// Forget a user: memberships (removals too), read marks, presence, the inbox, what was remembered of the person, and that rooms are of
    /// their making.
    EraseUser {
        /// Whose.
        user: UserId,
    },
    /// Hold somebody back; in the place of an earlier one of the same kind.
    Impose(Restriction),
    /// Let somebody go again.
    Lift {
        /// Whom.
        against: Against,
        /// From what.
        hold: Hold,
    },
    /// What is kept for the world outside: cursors of followers, errands, subscriptions.
    Outside(OutsideChange),
    /// Store an item, or replace it, which keeps its place in the order of creation.
    PutItem(Box<Item>),
    /// Remove an item, and with it what is known of its temporary id.
    DeleteItem(ItemKey),
}

/// Outcome of a commit.
#[derive(Clone, Debug, PartialEq)]
pub enum Committed {
    /// Applied: its records, with position and seq.
    Applied {
        /// In the order of the transaction.
        records: Vec<Arc<Record>>,
        /// Head of the log right after this transaction.
        head: Position,
    },
    /// The same key with the same body was there before: nothing was changed.
    Duplicate {
        /// What was stored then.
        message: Box<Message>,
    },
}

/// A page of the log. Positions that are missing in it, or before it, were taken away by retention: one loud room may lose
/// records that are newer than what a quiet one keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// Ascending; empty at the head.
    pub records: Vec<Arc<Record>>,
    /// Above the asked position: every record from there up to this position is gone. Else nothing is missing right after
    /// the asked position. Whether it concerns a session, [`TenantStore::trimmed`] says for its rooms.
    pub trimmed: Position,
}

/// Which messages to read.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageQuery {
    /// Which conversation.
    pub conversation: Conversation,
    /// Who looks; `None` sees private messages too.
    pub viewer: Option<UserId>,
    /// Only this label.
    pub channel: Option<Arc<str>>,
    /// Which page.
    pub range: SeqRange,
    /// 1 to 100.
    pub limit: u32,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq)]
pub struct MessagePage {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Whether there are more in the direction of the page.
    pub has_more: bool,
}

/// A page of what a user has to do with.
#[derive(Clone, Debug, PartialEq)]
pub struct UserMessages {
    /// Ascending by id.
    pub messages: Vec<Message>,
    /// What to ask for next; `None`: there is nothing more.
    pub next: Option<Id>,
}

/// What the server keeps about one user in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Nothing: the token's claim decides.
    Unknown,
    /// A member.
    Member,
    /// Removed: outranks a claim.
    Removed,
}

/// A kept member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub added_at: Timestamp,
}

/// A session's stay in a room: records with `since < position <= until` are for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Which room.
    pub room: RoomKey,
    /// Head of the log at the join.
    pub since: Position,
    /// Head of the log at the leave; `None` while the session is in the room.
    pub until: Option<Position>,
}

/// Presence as it is stored, to be known after a restart.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPresence {
    /// Who.
    pub person: Person,
    /// Whether a device was connected.
    pub online: bool,
    /// The merged status.
    pub status: Arc<str>,
    /// Free text beside it.
    pub custom_status: Option<String>,
    /// Rooms that the user's devices were in.
    pub rooms: Vec<RoomKey>,
    /// Last change or sign of life.
    pub last_seen: Timestamp,
}

/// Where committed records and volatile events go to reach sessions. Never blocks and never fails: a hub that cannot take
/// a record now reads the log later.
pub trait Fanout: Send + Sync {
    /// Committed records of one tenant, ascending, from one place.
    fn publish(&self, tenant: &TenantKey, records: &[Arc<Record>]);

    /// An event at most once. Called under a lock of the tenant's, so that events about one user come in order: it must
    /// not call back into the dispatcher.
    fn volatile(&self, tenant: &TenantKey, event: Volatile);

    /// Records that were published earlier have been blanked in the log: what is kept of it is to be read again.
    fn rewritten(&self, tenant: &TenantKey) {
        let _ = tenant;
    }
}

/// The sessions of this node, as the dispatcher moves them.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Puts a session into a room of the hub; when it returns, every record above the hub's position reaches the session.
    async fn enter(&self, tenant: &TenantKey, session: &SessionId, room: &RoomKey);

    /// Closes all sessions of a user, or of a token.
    async fn close(&self, tenant: &TenantKey, whose: &Against, why: Closing);

    /// Takes a session out once it has been given every record up to `until`.
    async fn leave(&self, tenant: &TenantKey, session: &SessionId, room: &RoomKey, until: Position);
}

/// Who hears of a durable event, as the application decides it; asked right before the event is committed.
pub trait Audiences: Send + Sync {
    /// The union of the audiences of all wire events that the app makes of it. `None`: the app makes none, so that no
    /// record is needed.
    fn audience(&self, event: &Event) -> Option<Audience>;

    /// Whether the app makes a wire event of any event of this kind; if not, nobody needs to be told of a volatile one.
    fn tells(&self, kind: EventKind) -> bool {
        let _ = kind;
        true
    }

    /// The notifications that the app makes of a durable event, to be committed together with it. An app that makes none need not
    /// say so.
    fn notices(&self, _event: &Event) -> Vec<Notice> {
        Vec::new()
    }
}

/// A notification that an application makes of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The type.
    pub kind: Arc<str>,
    /// Users and rooms; a room stands for its kept members.
    pub to: Vec<AudienceKey>,
    /// In a few words.
    pub title: String,
    /// The text.
    pub message: String,
    /// Whatever the application wants with it.
    pub data: Option<serde_json::Value>,
}
