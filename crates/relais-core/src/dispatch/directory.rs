//! What rooms are and who is known of them, through the door: read when it is needed for the first time, kept in memory, stored when there is time.
//!
//! Only for apps whose file has sorts of rooms, tells people that they were named, or has pushes requested for who is away; for all others
//! nothing is read and nothing kept.

use std::sync::Arc;

use super::Dispatcher;
use super::settle::store_error;
use super::tenant::{Tenant, read, write};
use crate::capability::Writing;
use crate::capability::room::sort;
use crate::command::{Actor, Identity, Invocation};
use crate::error::Error;
use crate::event::Person;
use crate::ids::{Conversation, RoomKey, TenantKey, UserId};
use crate::ports::{Membership, RoomInfo};

/// How often a room is read again because something changed meanwhile.
const READS_MAX: u32 = 3;

impl Dispatcher {
    /// Somebody comes, with a token that was proved: from now on they can be named where it lets them in.
    pub fn meet(&self, tenant: &TenantKey, identity: &Identity) {
        let is_remembered = self.mentions || self.rules.remembers;
        if let (true, Some(tenant)) = (is_remembered, self.in_use(tenant)) {
            write(&tenant.directory).meet(identity);
        }
    }

    /// Reads what has to be known of rooms that a session is in from the start, so that its messages need not wait.
    pub async fn prepare_rooms(&self, tenant: &TenantKey, rooms: &[RoomKey]) -> Result<(), Error> {
        let Some(tenant) = self.in_use(tenant) else {
            return Ok(());
        };
        for room in rooms {
            self.learn(&tenant, room).await?;
        }
        Ok(())
    }

    /// Whether the sort of this kind of room decides anything.
    pub(super) fn has_sorts(&self, room: &RoomKey) -> bool {
        let policy = self.rules.rooms.get(&room.kind);
        policy.is_some_and(|policy| !policy.sorts.is_empty())
    }

    /// Reads what has to be known of a room, unless it is known.
    pub(super) async fn learn(&self, tenant: &Tenant, room: &RoomKey) -> Result<(), Error> {
        if !(self.mentions || self.has_sorts(room)) || read(&tenant.directory).knows(room) {
            return Ok(());
        }
        for _ in 0..READS_MAX {
            let before = read(&tenant.directory).changes();
            let states = tenant.store.rooms(None, std::slice::from_ref(room)).await;
            let info = states
                .map_err(store_error)?
                .pop()
                .and_then(|state| state.info);
            let people = match self.mentions {
                true => tenant.store.people(room).await.map_err(store_error)?,
                false => Vec::new(),
            };
            let mut directory = write(&tenant.directory);
            let is_current = directory.changes() == before;
            let in_use = |room: &RoomKey| read(&tenant.roster).is_used(room);
            directory.take(room, info, people, in_use);
            if is_current {
                break;
            }
        }
        Ok(())
    }

    /// Whether the one who asks may write in a room, where its sort decides it. `guess`: without waiting for the store; what is
    /// guessed is held against what is kept at the commit.
    pub(super) async fn writing(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        conversation: &Conversation,
        guess: bool,
    ) -> Result<Option<Writing>, Error> {
        let (Conversation::Room(room), Actor::User(identity)) = (conversation, &invocation.actor)
        else {
            return Ok(None);
        };
        if !self.has_sorts(room) {
            return Ok(None);
        }
        if !guess {
            self.learn(tenant, room).await?;
        }
        let sort = {
            let directory = read(&tenant.directory);
            let info = directory.info(room).flatten();
            info.map(|info| info.sort.clone())
        };
        let policy = self.rules.rooms.get(&room.kind);
        let permissions = self.permissions(identity);
        Ok(sort::writing(policy, room, sort, permissions))
    }

    fn permissions(&self, identity: &Identity) -> &[Arc<str>] {
        let role = identity.person.role.as_ref();
        let mut roles = self.rules.roles.iter();
        let known = roles.find(|(name, _)| Some(name) == role);
        known.map_or(&[], |(_, permissions)| permissions)
    }

    /// Whom a text names among the people of a room. `guess`: without waiting for the store, unless nothing at all is known of the room, which nobody
    /// has joined then.
    pub(super) async fn named(
        &self,
        tenant: &Tenant,
        conversation: &Conversation,
        text: &str,
        guess: bool,
    ) -> Result<Vec<UserId>, Error> {
        let Conversation::Room(room) = conversation else {
            return Ok(Vec::new());
        };
        if !self.mentions || !text.contains('@') {
            return Ok(Vec::new());
        }
        if !(guess && read(&tenant.directory).doubts(room)) {
            self.learn(tenant, room).await?;
        }
        let named = read(&tenant.directory).named(room, text);
        Ok(named.unwrap_or_default())
    }

    /// What is known of a room was perhaps a guess.
    pub(super) fn doubt(&self, tenant: &Tenant, conversation: &Conversation) {
        if let Some(room) = conversation.room().filter(|room| self.has_sorts(room)) {
            write(&tenant.directory).doubt(room);
        }
    }

    /// Reads a room again that is in doubt, where nothing waits for it any more.
    pub(super) async fn settle_doubt(&self, tenant: &Tenant, conversation: &Conversation) {
        let Some(room) = conversation.room() else {
            return;
        };
        let doubted = read(&tenant.directory).doubts(room);
        if doubted && let Err(error) = self.learn(tenant, room).await {
            tracing::warn!(%error, "unable to read a room that is in doubt; it stays so");
        }
    }

    /// Somebody has said what a room is.
    pub(super) fn note_room(&self, tenant: &Tenant, info: RoomInfo) {
        write(&tenant.directory).say(info);
    }

    /// A membership changed.
    pub(super) async fn note_member(
        &self,
        tenant: &Tenant,
        room: &RoomKey,
        user: &UserId,
        membership: Membership,
    ) {
        if !self.mentions || !read(&tenant.directory).knows(room) {
            return;
        }
        let person = match tenant.store.person(user).await {
            Ok(person) => person,
            Err(error) => {
                // Who can be named is read again from the store when it is there.
                tracing::warn!(%error, "unable to read who became a member");
                write(&tenant.directory).doubt(room);
                return;
            }
        };
        let person = person.unwrap_or_else(|| Person {
            id: user.clone(),
            name: user.as_str().into(),
            role: None,
        });
        write(&tenant.directory).set_member(room, person, membership);
    }
}
