//! Rooms through the door: standing, joins, leaves, members.

use std::sync::atomic::Ordering;

use super::settle::{Refused, store_error, too_many_conflicts};
use super::tenant::{Tenant, read};
use super::{DECISIONS_MAX, Dispatcher};
use crate::capability::{Outcome, Standing, room};
use crate::command::{Actor, Identity, Invocation, Origin};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::ids::{Conversation, Moment, RoomKey, SessionId, UserId};
use crate::ports::Membership;

impl Dispatcher {
    /// How the one who asks stands to a room, and the membership where it had to be loaded. Does not wait for a session
    /// that has joined.
    pub(super) async fn standing(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<(Standing, Option<Membership>), Error> {
        if let Some(session) = session(invocation)
            && read(&tenant.roster).is_in(session, room)
        {
            return Ok((Standing::Joined, None));
        }
        match &invocation.actor {
            Actor::Backend => Ok((Standing::Participant, None)),
            Actor::User(identity) => {
                let (participates, membership) = self.participation(tenant, identity, room).await?;
                let standing = match participates {
                    true => Standing::Participant,
                    false => Standing::Stranger,
                };
                Ok((standing, Some(membership)))
            }
        }
    }

    /// Whether the asking user is a participant of a room if the store keeps nothing about them: the room is open, or the token
    /// names it.
    fn needs_no_membership(&self, invocation: &Invocation, room: &RoomKey) -> bool {
        let Actor::User(identity) = &invocation.actor else {
            return false;
        };
        let claimed = identity.claimed_rooms.contains(room);
        let policy = self.rules.rooms.get(&room.kind);
        matches!(
            room::participates(policy, claimed, Membership::Unknown),
            Ok(true)
        )
    }

    /// Whether a user is a participant of a room, by what the token says and what the store keeps.
    pub(super) async fn participation(
        &self,
        tenant: &Tenant,
        identity: &Identity,
        room: &RoomKey,
    ) -> Result<(bool, Membership), Error> {
        let loaded = tenant.store.membership(room, &identity.person.id).await;
        let membership = loaded.map_err(store_error)?;
        let claimed = identity.claimed_rooms.contains(room);
        let policy = self.rules.rooms.get(&room.kind);
        Ok((room::participates(policy, claimed, membership)?, membership))
    }

    pub(super) async fn join(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<(), Error> {
        let unable = "unable to join room; it needs a session";
        let session = session(invocation).ok_or_else(|| Error::new(Code::InvalidState, unable))?;
        for attempt in 0..DECISIONS_MAX {
            let before = tenant.member_changes.load(Ordering::SeqCst);
            if read(&tenant.roster).is_in(session, room) {
                return Ok(());
            }
            // The commit holds what it was decided by against what is kept, so a likely guess saves a read of the store.
            let (standing, loaded) =
                match attempt == 0 && self.needs_no_membership(invocation, room) {
                    true => (Standing::Participant, None),
                    false => self.standing(tenant, invocation, room).await?,
                };
            let loaded = loaded.unwrap_or(Membership::Unknown);
            let rooms = read(&tenant.roster).room_count(session);
            let rooms = (rooms, self.rules.session_rooms_max);
            let outcome = room::join(invocation, session, room, standing, loaded, rooms)?;
            match self.settle(tenant, outcome, invocation).await {
                Ok(_) => {
                    return self.after_removals(tenant, invocation, room, before).await;
                }
                Err(Refused::Conflict) => {}
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Err(too_many_conflicts())
    }

    /// A member who was removed, or unfollowed, between the commit of the join and the entry into the roster was not found there by the
    /// removal, so the join looks for itself.
    async fn after_removals(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
        before: u64,
    ) -> Result<(), Error> {
        let Actor::User(identity) = &invocation.actor else {
            return Ok(());
        };
        if tenant.member_changes.load(Ordering::SeqCst) == before {
            return Ok(());
        }
        match self
            .expel_outsider(tenant, identity, room, invocation.now)
            .await?
        {
            true => Err(Error::new(
                Code::NotAMember,
                "unable to join room; not a member",
            )),
            false => Ok(()),
        }
    }

    /// Takes a user out of a room if they are no participant (any more).
    pub(super) async fn expel_outsider(
        &self,
        tenant: &Tenant,
        identity: &Identity,
        room: &RoomKey,
        now: Moment,
    ) -> Result<bool, Error> {
        let (participates, _) = self.participation(tenant, identity, room).await?;
        if !participates {
            let head = tenant.store.head().position;
            let user = &identity.person.id;
            self.evict(tenant, user, room, head, now).await;
        }
        Ok(!participates)
    }

    /// The session is in the hub's room by now, so nothing falls between the last seq and what it will be sent.
    pub(super) async fn joined(
        &self,
        tenant: &Tenant,
        room: &RoomKey,
        with_online: bool,
        with_last_seq: bool,
    ) -> Result<Facts, Error> {
        let last_seq = match with_last_seq {
            true => {
                let conversation = Conversation::Room(room.clone());
                let last_seq = tenant.store.last_seq(&conversation).await;
                Some(last_seq.map_err(store_error)?)
            }
            false => None,
        };
        let online = with_online.then(|| read(&tenant.roster).online_in(room));
        Ok(room::joined(room, online.as_deref(), last_seq))
    }

    pub(super) async fn leave(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<Facts, Error> {
        let unable = "unable to leave room; it needs a session";
        let session = session(invocation).ok_or_else(|| Error::new(Code::InvalidState, unable))?;
        let standing = match read(&tenant.roster).is_in(session, room) {
            true => Standing::Joined,
            false => Standing::Stranger,
        };
        let outcome = room::leave(session, room, standing)?;
        match self.settle(tenant, outcome, invocation).await {
            Ok(settled) => Ok(settled.reply),
            Err(Refused::Conflict) => Err(too_many_conflicts()),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    pub(super) async fn room_online(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<Facts, Error> {
        let (standing, _) = self.standing(tenant, invocation, room).await?;
        let users = read(&tenant.roster).online_in(room);
        room::online(room, standing, &users)
    }

    pub(super) async fn add_member(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
        user: &UserId,
    ) -> Result<Facts, Error> {
        let policy = self.rules.rooms.get(&room.kind);
        let decide = |known| Ok(room::add_member(invocation, room, user, policy, known));
        self.change_member(tenant, invocation, room, user, decide)
            .await
    }

    pub(super) async fn remove_member(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
        user: &UserId,
    ) -> Result<Facts, Error> {
        let decide = |known| {
            let sessions = read(&tenant.roster).sessions_in(user, room);
            Ok(room::remove_member(invocation, room, user, known, sessions))
        };
        self.change_member(tenant, invocation, room, user, decide)
            .await
    }

    /// Decides by the membership that is kept, and again when it was another one by the commit.
    pub(super) async fn change_member(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
        user: &UserId,
        decide: impl Fn(Membership) -> Result<Outcome, Error>,
    ) -> Result<Facts, Error> {
        for _ in 0..DECISIONS_MAX {
            let loaded = tenant.store.membership(room, user).await;
            let outcome = decide(loaded.map_err(store_error)?)?;
            match self.settle(tenant, outcome, invocation).await {
                Ok(settled) => return Ok(settled.reply),
                Err(Refused::Conflict) => {}
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Err(too_many_conflicts())
    }

    pub(super) async fn members(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<Facts, Error> {
        let (standing, _) = self.standing(tenant, invocation, room).await?;
        if standing == Standing::Stranger {
            let text = "unable to list members; not a member";
            return Err(Error::new(Code::NotAMember, text));
        }
        let members = tenant.store.members(room).await.map_err(store_error)?;
        Ok(room::members(room, &members))
    }
}

/// The session over which a command came.
pub(super) fn session(invocation: &Invocation) -> Option<&SessionId> {
    match &invocation.origin {
        Origin::Session { id } => Some(id),
        Origin::Http => None,
    }
}
