//! What somebody asks for: one typed command, the actor who asks, and what came with the request from outside.
//!
//! The vocabulary makes commands out of wire events and HTTP requests; capabilities decide them. No wire name is here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::event::{Facts, FileInfo, Person};
use crate::ids::{
    AudienceKey, Conversation, Id, ItemId, Moment, RoomKey, Seq, SessionId, Shelf, TenantKey,
    Timestamp, UserId,
};
use crate::restriction::{Against, Hold};

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Actor {
    /// A user whose token was proved.
    User(Arc<Identity>),
    /// The team's own backend, by API key: it may act on any room and user of the tenant.
    Backend,
}

/// What a proved token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Id, display name and role.
    pub person: Person,
    /// Rooms that the token itself names, through `claim:` join policies.
    pub claimed_rooms: Vec<RoomKey>,
    /// When the token ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// When the token was issued, if it says so (`iat`).
    pub issued_at: Option<Timestamp>,
    /// The token's own name, if it has one (`jti`).
    pub token_id: Option<Arc<str>>,
}

/// How the command came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Over a session. Which rooms it is in, the dispatcher's roster knows.
    Session {
        /// Which session.
        id: SessionId,
    },
    /// Over HTTP.
    Http,
}

/// A command with all that came with it: the capability needs no clock and no random numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// Whose data.
    pub tenant: TenantKey,
    /// Who asks.
    pub actor: Actor,
    /// How it came.
    pub origin: Origin,
    /// When it came: wall-clock time for people to read (never for order), monotonic time for periods.
    pub now: Moment,
    /// A fresh UUIDv7 for whatever the command creates.
    pub new_id: Id,
    /// What is asked.
    pub command: Command,
}

/// A page by `seq`: exclusive bounds, oldest first. Neither bound: the newest page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqRange {
    /// Only messages before this seq (the page that ends right before it).
    pub before: Option<Seq>,
    /// Only messages after this seq (the page that begins right after it).
    pub after: Option<Seq>,
}

/// A chat message to send.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMessage {
    /// Where it goes.
    pub conversation: Conversation,
    /// Private to this participant and the sender.
    pub recipient: Option<UserId>,
    /// `text` unless the client said otherwise.
    pub kind: Arc<str>,
    /// The text.
    pub body: String,
    /// A label inside the conversation.
    pub channel: Option<Arc<str>>,
    /// The client's temporary id.
    pub key: Option<Arc<str>>,
    /// The message that this one answers.
    pub reply_to: Option<Id>,
}

/// What is to become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Which message.
    pub id: Id,
    /// Its new text; `None`: it is deleted.
    pub body: Option<String>,
    /// Whether the actor may do it to others' messages too.
    pub moderates: bool,
}

/// A room to say what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// Which `[rooms.*]` table.
    pub kind: Arc<str>,
    /// Which one; `None`: a new one.
    pub id: Option<Arc<str>>,
    /// For people.
    pub name: Arc<str>,
    /// One of the kind's sorts; the kind itself where it has none.
    pub sort: Arc<str>,
}

/// Something to pass on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRelay {
    /// The wire name, chosen by the sender where the app file allows it.
    pub event: Arc<str>,
    /// The data itself. Attachments stand in it as `{"_placeholder":true,"num":0}`.
    pub data: Value,
    /// Binary attachments, in the order of their numbers; only where it is not durable.
    pub attachments: Vec<Bytes>,
    /// To whom.
    pub to: Vec<AudienceKey>,
    /// Those of its rooms that the app file names after the asking user (`author:{actor}`). Nobody else's word decided that, so the
    /// user need not be in them.
    pub own: Vec<RoomKey>,
    /// Stored and replayed, or at most once.
    pub durable: bool,
    /// Whether the answer counts who was reached, which takes a look at each of them.
    pub counts: bool,
}

/// A notification to send.
#[derive(Clone, Debug, PartialEq)]
pub struct NewNotification {
    /// To whom.
    pub user: UserId,
    /// What it is about, as the application calls it.
    pub kind: Option<Arc<str>>,
    /// In a few words.
    pub title: String,
    /// The text.
    pub message: String,
    /// Whatever the application wants with it.
    pub data: Option<Value>,
}

/// Which notifications were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichRead {
    /// One.
    One(Id),
    /// All of the inbox.
    All,
}

/// What can be asked of inboxes.
#[derive(Clone, Debug, PartialEq)]
pub enum InboxCommand {
    /// Put a notification into a user's inbox, and send it. Reply: `notification`.
    Send(NewNotification),
    /// A page of the actor's own inbox. Reply: `notifications`, `unread`, `hasMore`.
    List {
        /// Only those that came before this one.
        before: Option<Id>,
        /// 1 to 100.
        limit: u32,
    },
    /// The actor has read notifications. Reply: `unread`.
    Read(WhichRead),
}

/// Where a page of an export ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportMark {
    /// After what is neither an item nor a message.
    State,
    /// After everything up to this item.
    Item(u64),
    /// After all items: only messages follow.
    Items,
    /// After everything up to this message's id.
    Message(Id),
}

impl fmt::Display for ExportMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("state"),
            Self::Item(number) => write!(f, "item {number}"),
            Self::Items => f.write_str("items"),
            Self::Message(id) => id.fmt(f),
        }
    }
}

impl FromStr for ExportMark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match (text, text.strip_prefix("item ")) {
            ("state", _) => Ok(Self::State),
            ("items", _) => Ok(Self::Items),
            (_, Some(number)) => number.parse().map(Self::Item).map_err(|_| ()),
            (id, None) => id.parse().map(|id| Self::Message(Id(id))).map_err(|_| ()),
        }
    }
}

/// What can be asked about all that one user has here.
#[derive(Clone, Debug, PartialEq)]
pub enum PersonalCommand {
    /// Close all sessions of a user or a token. They may connect again.
    Disconnect {
        /// Whose.
        whose: Against,
    },
    /// A page of all that is stored about a user. Reply: `records`, `next?`.
    Export {
        /// Whose.
        user: UserId,
        /// Where the page before ended; `None`: the first.
        after: Option<ExportMark>,
    },
    /// Erase what is stored about a user. Reply: how much it was.
    Erase {
        /// Whose.
        user: UserId,
    },
}

/// What can be asked about one's own pushes.
#[derive(Clone, Debug, PartialEq)]
pub enum PushCommand {
    /// Take pushes in a browser. The address is this user's alone from now on. Reply: `subscription`.
    Subscribe {
        /// The push service's address for this browser, which the caller has looked at.
        endpoint: Arc<str>,
        /// The browser's public key, base64url.
        p256dh: Arc<str>,
        /// The secret shared with the browser, base64url.
        auth: Arc<str>,
    },
    /// Take none there any more.
    Unsubscribe {
        /// Which.
        endpoint: Arc<str>,
    },
}

/// What to do with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemAction {
    /// Make one.
    Create,
    /// Change fields, status, assignee.
    Update,
    /// Update where there is an id, else create.
    Save,
    /// To another status.
    Move,
    /// To another assignee.
    Assign,
    /// Take the oldest that is free.
    Claim,
    /// Read it.
    Get,
    /// Remove it.
    Delete,
    /// Add a file whose bytes are stored.
    Attach,
    /// Show a file whose bytes are stored, for an item that is still to be made.
    Upload,
}

/// Who may do something with an item, besides the backend. Both empty: whoever sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Those with one of these roles.
    pub roles: Vec<Arc<str>>,
    /// Those who stand so to the item.
    pub also: Vec<Relation>,
    /// Whether whoever asks has been found to stand so to something else than the item.
    pub is_granted: bool,
}

/// How a user stands to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Created it.
    Owner,
    /// Was given it.
    Assignee,
    /// Owns the item that the room is about in which it lies.
    RoomOwner,
}

/// Something to do with an item of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRequest {
    /// What.
    pub action: ItemAction,
    /// Kind and room.
    pub shelf: Shelf,
    /// Which one; chosen by the client or, where one is created, by the server.
    pub id: Option<ItemId>,
    /// Fields to replace; null clears one.
    pub fields: Facts,
    /// Status to move to.
    pub status: Option<Arc<str>>,
    /// `Some(None)`: nobody any more.
    pub assignee: Option<Option<UserId>>,
    /// In whose name the backend creates it.
    pub owner: Option<UserId>,
    /// Why.
    pub reason: Option<String>,
    /// The client's temporary id, where it creates one.
    pub key: Option<Arc<str>>,
    /// The file to attach, or that was uploaded before for an item that is created now.
    pub file: Option<FileInfo>,
    /// Who may.
    pub may: Permission,
}

impl ItemRequest {
    /// An action that asks for nothing yet, of anybody.
    pub fn new(action: ItemAction, shelf: Shelf) -> Self {
        Self {
            action,
            shelf,
            id: None,
            fields: Facts::new(),
            status: None,
            assignee: None,
            owner: None,
            reason: None,
            key: None,
            file: None,
            may: Permission::default(),
        }
    }
}

/// Which items to list.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemListing {
    /// Kind and room.
    pub shelf: Shelf,
    /// Only those with this status.
    pub status: Option<Arc<str>>,
    /// Only those that were created before this one.
    pub before: Option<ItemId>,
    /// 1 to 100.
    pub limit: u32,
    /// Who may.
    pub may: Permission,
}

/// Everything that can be asked of the core.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Enter a room with this session. Reply: `room` and, where asked for, `online`, `lastSeq`, `unread`.
    JoinRoom {
        /// Which room.
        room: RoomKey,
        /// Whether the answer lists who is in the room, which takes a look at each of them.
        with_online: bool,
        /// Whether the answer has the newest message's number, which is a read of the store.
        with_last_seq: bool,
        /// Whether it has the number of unread messages, which is another one.
        with_unread: bool,
    },
    /// Leave a room with this session.
    LeaveRoom {
        /// Which room.
        room: RoomKey,
    },
    /// Who is in the room now. Reply: `users`, `count`.
    RoomOnline {
        /// Which room.
        room: RoomKey,
    },
    /// Make a user a member (and forget an earlier removal).
    AddMember {
        /// Which room.
        room: RoomKey,
        /// Who.
        user: UserId,
    },
    /// End a membership; a removal outranks the token's claim.
    RemoveMember {
        /// Which room.
        room: RoomKey,
        /// Who.
        user: UserId,
    },
    /// All members that the server keeps. Reply: `members`.
    ListMembers {
        /// Which room.
        room: RoomKey,
    },
    /// Become a member by one's own will: whoever was removed is not let in again. Every session of the user joins at once where the
    /// room is joined by membership.
    Follow {
        /// Which room.
        room: RoomKey,
    },
    /// End one's own membership; every session of the user leaves.
    Unfollow {
        /// Which room.
        room: RoomKey,
    },
    /// The actor's rooms: claimed by the token or kept by the server, without those from which they were removed. Reply: `rooms`.
    ListRooms,
    /// Say what a room is. Reply: `room`.
    CreateRoom(NewRoom),
    /// Send a chat message. Reply: `message`.
    SendMessage(NewMessage),
    /// Edit or delete a message. Reply: `message`, or `id` where it was deleted.
    Revise(Revision),
    /// A page of a conversation, as this actor may see it. Reply: `messages`, `hasMore`.
    History {
        /// Which conversation.
        conversation: Conversation,
        /// Only this label.
        channel: Option<Arc<str>>,
        /// Which page.
        range: SeqRange,
        /// 1 to 100.
        limit: u32,
    },
    /// The actor has read a conversation up to a seq.
    MarkRead {
        /// Which conversation.
        conversation: Conversation,
        /// Up to here, inclusive.
        seq: Seq,
    },
    /// Begin (`true`) or stop typing.
    Typing {
        /// Where.
        conversation: Conversation,
        /// Whether the actor types now.
        active: bool,
        /// The room's id in the JSON form in which the client wrote it, to be told in that form.
        written: Option<UserId>,
    },
    /// Set the actor's status.
    SetPresence {
        /// One of the app's statuses.
        status: Arc<str>,
        /// Free text beside it.
        custom_status: Option<String>,
    },
    /// One user's presence. Reply: `userId`, `online`, `status`, `lastSeen`.
    GetPresence {
        /// Who.
        user: UserId,
    },
    /// Everyone online in the tenant. Reply: `users`, `hasMore`.
    ListPresence {
        /// Only users after this one in the order of ids, newest page first.
        before: Option<UserId>,
        /// 1 to 100.
        limit: u32,
    },
    /// Pass something on to an audience. Reply, where it counts: `delivered`/`recipients`, `online`.
    Relay(NewRelay),
    /// Hold a user or a token back.
    Impose {
        /// Whom.
        against: Against,
        /// From what.
        hold: Hold,
        /// Until when; `None`: until it is lifted.
        until: Option<Timestamp>,
    },
    /// Let a user or a token go again.
    Lift {
        /// Whom.
        against: Against,
        /// From what.
        hold: Hold,
    },
    /// Something of inboxes.
    Inbox(InboxCommand),
    /// Whether the server is there. Reply: `at`.
    Ping,
    /// Something about all that one user has here. Only for the team's backend.
    Personal(PersonalCommand),
    /// Something about one's own pushes.
    Push(PushCommand),
    /// Do something with an item. Reply: `item`; for a deletion nothing; for a file also `file`.
    Item(Box<ItemRequest>),
    /// A page of items, newest first, as far as this actor sees them. Reply: `items`, `hasMore`.
    ListItems(Box<ItemListing>),
    /// Numbers about the tenant. Reply: the counters that HTTP statistics map.
    Stats,
    /// An operation of a capability that a later version brings; answers `UNAVAILABLE`.
    Unavailable {
        /// The operation's name (`item.create`).
        operation: Arc<str>,
        /// The validated fields, under the core's names.
        fields: Facts,
    },
}

impl Command {
    /// Whether others hear of it, so that somebody who is muted may not.
    pub fn speaks(&self) -> bool {
        if let Command::Item(request) = self {
            return request.action != ItemAction::Get;
        }
        !matches!(
            self,
            Command::JoinRoom { .. }
                | Command::LeaveRoom { .. }
                | Command::RoomOnline { .. }
                | Command::ListMembers { .. }
                | Command::ListRooms
                | Command::History { .. }
                | Command::MarkRead { .. }
                | Command::GetPresence { .. }
                | Command::ListPresence { .. }
                | Command::Unfollow { .. }
                | Command::Inbox(InboxCommand::List { .. } | InboxCommand::Read(_))
                | Command::Ping
                | Command::Personal(_)
                | Command::Push(_)
                | Command::ListItems(_)
                | Command::Stats
        )
    }

    /// The room that the command is about, where there is one.
    pub fn room(&self) -> Option<&RoomKey> {
        match self {
            Command::JoinRoom { room, .. }
            | Command::LeaveRoom { room }
            | Command::RoomOnline { room }
            | Command::AddMember { room, .. }
            | Command::RemoveMember { room, .. }
            | Command::ListMembers { room }
            | Command::Follow { room }
            | Command::Unfollow { room } => Some(room),
            Command::SendMessage(NewMessage { conversation, .. })
            | Command::History { conversation, .. }
            | Command::MarkRead { conversation, .. }
            | Command::Typing { conversation, .. } => match conversation {
                Conversation::Room(room) => Some(room),
                Conversation::Direct(..) => None,
            },
            Command::Item(request) => request.shelf.room.as_ref(),
            Command::ListItems(listing) => listing.shelf.room.as_ref(),
            Command::ListRooms
            | Command::CreateRoom(_)
            | Command::Revise(_)
            | Command::SetPresence { .. }
            | Command::GetPresence { .. }
            | Command::ListPresence { .. }
            | Command::Relay(_)
            | Command::Impose { .. }
            | Command::Lift { .. }
            | Command::Inbox(_)
            | Command::Personal(_)
            | Command::Push(_)
            | Command::Ping
            | Command::Stats
            | Command::Unavailable { .. } => None,
        }
    }
}
