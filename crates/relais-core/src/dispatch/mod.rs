//! The one door to an application: commands in, answers out.
//!
//! [`Dispatcher::dispatch`] loads what a capability needs, lets it decide, commits the outcome through the store,
//! publishes what is volatile, lets other capabilities react, and carries out the effects on sessions. It alone commits
//! and publishes. Sessions come and go through [`Dispatcher::connect`], [`Dispatcher::resume`] and
//! [`Dispatcher::disconnect`]; time passes through [`Dispatcher::tick`]. One dispatcher serves one application, all its
//! tenants. It knows no wire name, no socket and no clock.
//!
//! Promise to the engine: a [`Command::SendMessage`] or durable [`Command::Relay`] from a session that has joined the room of a
//! tenant in use has been handed to the store when its future was polled once, so those polled one after the other are committed
//! in that order. What decides a message besides (the sort of the room, the names of its people) is in memory once a session has joined the room;
//! if it was forgotten for want of space, a message that needs it waits for the store.
//!
//! A future of this file should be driven to its end. When one is dropped after its commit, what is committed stays,
//! and what should follow it (hub, roster) is only put right by the next resume.

mod directory;
mod following;
mod inboxes;
mod items;
mod messages;
mod moderation;
mod personal;
mod presences;
mod pushes;
mod relays;
mod rooms;
mod sessions;
mod settle;
mod stats;
mod tenant;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use crate::capability::item::ItemKind;
use crate::capability::notify::INBOX_MAX;
use crate::capability::room::{RoomPolicy, SESSION_ROOMS_MAX};
use crate::capability::{facts, roster};
use crate::command::{Command, Invocation};
use crate::error::{Code, Error};
use crate::event::{EventKind, Facts};
use crate::ids::TenantKey;
use crate::ports::{Audiences, Doorman, Fanout, ItemFiles, Sessions, Store};

pub use pushes::Whereabouts;
pub use sessions::Resumed;
pub use stats::Stats;
use tenant::Tenant;

/// Decisions of one command at most: the first, and two after conflicts.
pub const DECISIONS_MAX: u32 = 3;
/// A record's facts as JSON, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// The world, as the dispatcher reaches it.
#[derive(Clone)]
pub struct Ports {
    /// The log and the state.
    pub store: Arc<dyn Store>,
    /// Where volatile events go. Committed records go there from the store.
    pub fanout: Arc<dyn Fanout>,
    /// The hub's sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Who hears of what, as the app file says.
    pub audiences: Arc<dyn Audiences>,
    /// The team's own backend, where it says who may join.
    pub doorman: Arc<dyn Doorman>,
    /// The bytes of items' files.
    pub files: Arc<dyn ItemFiles>,
}

/// What the app file says to the capabilities, as plain data.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who may join rooms, by the kind of the room. A kind that is not here lets nobody in.
    pub rooms: HashMap<Arc<str>, RoomPolicy>,
    /// Kinds of item.
    pub items: HashMap<Arc<str>, ItemKind>,
    /// Statuses, contacts, graces.
    pub presence: Arc<roster::Rules>,
    /// Roles, each with its permissions.
    pub roles: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// Most rooms of one session: [`SESSION_ROOMS_MAX`].
    pub session_rooms_max: usize,
    /// Notifications that an inbox keeps, at least 1: [`INBOX_MAX`].
    pub inbox_max: u32,
    /// Whether everybody who comes is remembered with the rooms that their token claims, for who wants to know it while they are away.
    pub remembers: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rooms: HashMap::new(),
            items: HashMap::new(),
            presence: Arc::default(),
            roles: Vec::new(),
            session_rooms_max: SESSION_ROOMS_MAX,
            inbox_max: INBOX_MAX,
            remembers: false,
        }
    }
}

/// The door to one application.
pub struct Dispatcher {
    ports: Ports,
    rules: Rules,
    /// Whether the app tells anybody that a message names them.
    mentions: bool,
    tenants: RwLock<HashMap<TenantKey, Arc<Tenant>>>,
}

impl Dispatcher {
    /// A dispatcher with no tenant in use yet.
    pub fn new(ports: Ports, rules: Rules) -> Self {
        Self {
            mentions: ports.audiences.tells(EventKind::MessageMentioned),
            ports,
            rules,
            tenants: RwLock::default(),
        }
    }

    /// Whether what is to be stored would be refused as `OVERLOADED` at this moment. Cheap: to be asked before a command is made.
    pub fn is_overloaded(&self) -> bool {
        self.ports.store.is_overloaded()
    }

    /// Decides and carries out one command. The answer has facts under the core's names, listed in
    /// [`facts`](crate::capability::facts).
    pub async fn dispatch(&self, mut invocation: Invocation) -> Result<Facts, Error> {
        let tenant = self.open(&invocation.tenant, invocation.now).await?;
        // Taken out, so that what is passed on is moved and never copied. No capability looks at it again.
        let command = std::mem::replace(&mut invocation.command, Command::Stats);
        tenant.check_restrictions(&invocation.actor, &command, invocation.now.wall)?;
        let (at, by) = (&*tenant, &invocation);
        match command {
            Command::SendMessage(new) => self.send(at, by, &new).await,
            Command::JoinRoom {
                room,
                with_online,
                with_last_seq,
                with_unread,
            } => {
                let with = (with_online, with_last_seq, with_unread);
                self.enter(at, by, &room, with).await
            }
            Command::LeaveRoom { room } => self.leave(at, by, &room).await,
            Command::RoomOnline { room } => self.room_online(at, by, &room).await,
            Command::AddMember { room, user } => self.add_member(at, by, &room, &user).await,
            Command::RemoveMember { room, user } => self.remove_member(at, by, &room, &user).await,
            Command::Follow { room } => self.follow(at, by, &room).await,
            Command::Unfollow { room } => self.unfollow(at, by, &room).await,
            Command::ListMembers { room } => self.members(at, by, &room).await,
            Command::ListRooms => self.list_rooms(at, by).await,
            Command::CreateRoom(new) => self.create_room(at, by, &new).await,
            Command::Revise(revision) => self.revise(at, by, &revision).await,
            Command::History {
                conversation,
                channel,
                range,
                limit,
            } => {
                self.history(at, by, &conversation, channel, range, limit)
                    .await
            }
            Command::MarkRead { conversation, seq } => {
                self.mark_read(at, by, &conversation, seq).await
            }
            Command::Typing {
                conversation,
                active,
                written,
            } => {
                let how = (active, written.as_ref());
                self.typing(at, by, &conversation, how).await
            }
            Command::SetPresence {
                status,
                custom_status,
            } => self.set_presence(at, by, &status, custom_status.as_deref()),
            Command::GetPresence { user } => self.get_presence(at, by, &user).await,
            Command::ListPresence { before, limit } => {
                Ok(self.list_presence(at, before.as_ref(), limit))
            }
            Command::Relay(relay) => self.relay(at, by, relay).await,
            Command::Impose {
                against,
                hold,
                until,
            } => self.impose(at, by, (&against, hold), until).await,
            Command::Lift { against, hold } => self.lift(at, by, (&against, hold)).await,
            Command::Inbox(asked) => self.inbox(at, by, asked).await,
            Command::Personal(asked) => self.personal(at, by, asked).await,
            Command::Push(asked) => self.push(at, by, asked).await,
            Command::Item(request) => self.item(at, by, &request).await,
            Command::ListItems(listing) => self.list_items(at, by, &listing).await,
            Command::Stats => Ok(tenant.stats(invocation.now.monotonic).facts()),
            Command::Ping => Ok(facts::pong(invocation.now.wall)),
            Command::Unavailable { operation, .. } => {
                let text = format!("unable to do {operation}; it is not available yet");
                Err(Error::new(Code::Unavailable, text))
            }
        }
    }
}
