//! Rooms through the door: standing, joins, leaves, members.

use std::sync::atomic::Ordering;

use super::settle::{Refused, store_error, too_many_conflicts};
use super::tenant::{Tenant, read};
use super::{DECISIONS_MAX, Dispatcher};
use crate::capability::room::Participation;
use crate::capability::room::sort;
use crate::capability::{Outcome, Standing, room};
use crate::command::{Actor, Identity, Invocation, NewRoom, Origin};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::ids::{Conversation, Moment, RoomKey, SessionId, UserId};
use crate::ports::{Change, Membership, RoomInfo};

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
        room::participation(policy, claimed, Membership::Unknown) == Participation::Yes
    }

    /// Whether a user is a participant of a room, by what the token says, what the store keeps, and where both say nothing the backend.
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
        let participates = match room::participation(policy, claimed, membership) {
            Participation::Yes => true,
            Participation::No => false,
            Participation::AskBackend => {
                let asked = self
                    .ports
                    .doorman
                    .may_join(&tenant.key, room, &identity.person);
                asked.await?
            }
        };
        Ok((participates, membership))
    }

    async fn join(
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
            self.learn(tenant, room).await?;
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

    /// Joins, and answers with what was asked for. The session is in the hub's room by then, so nothing falls between the last seq and what it will be sent.
    pub(super) async fn enter(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
        (with_online, with_last_seq, with_unread): (bool, bool, bool),
    ) -> Result<Facts, Error> {
        self.join(tenant, invocation, room).await?;
        let (mut last_seq, mut unread) = (None, None);
        if let (true, Actor::User(identity)) = (with_unread, &invocation.actor) {
            let user = Some(&identity.person.id);
            let states = tenant.store.rooms(user, std::slice::from_ref(room)).await;
            let state = states.map_err(store_error)?.pop();
            unread = state.as_ref().map(|state| state.unread);
            last_seq = state.map(|state| state.last_seq).filter(|_| with_last_seq);
        } else if with_last_seq {
            let conversation = Conversation::Room(room.clone());
            let newest = tenant.store.last_seq(&conversation).await;
            last_seq = Some(newest.map_err(store_error)?);
        }
        let online = with_online.then(|| read(&tenant.roster).online_in(room));
        Ok(room::joined(room, online.as_deref(), last_seq, unread))
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

    /// Whether a room is for two.
    async fn is_direct(&self, tenant: &Tenant, room: &RoomKey) -> Result<bool, Error> {
        if !self.has_sorts(room) {
            return Ok(false);
        }
        let states = tenant.store.rooms(None, std::slice::from_ref(room)).await;
        let info = states
            .map_err(store_error)?
            .pop()
            .and_then(|state| state.info);
        Ok(info.is_some_and(|info| *info.sort == *sort::DIRECT))
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
        let is_direct = self.is_direct(tenant, room).await?;
        let subject = self.subject(tenant, room).await?;
        for _ in 0..DECISIONS_MAX {
            let loaded = tenant.store.membership(room, user).await;
            let mut outcome = decide(loaded.map_err(store_error)?)?;
            if let Some(subject) = &subject {
                room::about(&mut outcome, subject);
            }
            let becomes = outcome.changes.iter().find_map(becomes);
            if is_direct && becomes == Some(Membership::Member) {
                let members = tenant.store.members(room).await.map_err(store_error)?;
                let space = sort::check_size(room, members.len())?;
                outcome.preconditions.push(space);
            }
            match self.settle(tenant, outcome, invocation).await {
                Ok(settled) => {
                    if let Some(membership) = becomes {
                        self.note_member(tenant, room, user, membership).await;
                    }
                    return Ok(settled.reply);
                }
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

    pub(super) async fn list_rooms(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
    ) -> Result<Facts, Error> {
        let Actor::User(identity) = &invocation.actor else {
            let text = "unable to list rooms; it needs a user, not a key";
            return Err(Error::new(Code::Forbidden, text));
        };
        let user = &identity.person.id;
        let kept = tenant.store.rooms_of(user).await.map_err(store_error)?;
        let claimed = identity.claimed_rooms.iter();
        // The latest memberships, where there are too many.
        let mut rooms: Vec<RoomKey> = claimed.chain(kept.iter().rev()).cloned().collect();
        rooms.truncate(sort::ROOMS_LISTED_MAX);
        rooms.sort();
        rooms.dedup();
        let states = tenant.store.rooms(Some(user), &rooms).await;
        let states = states.map_err(store_error)?;
        let shown = rooms.iter().zip(&states).filter_map(|(room, state)| {
            let policy = self.rules.rooms.get(&room.kind);
            let claimed = identity.claimed_rooms.contains(room);
            let participates = room::participation(policy, claimed, state.membership);
            let is_in = participates == Participation::Yes;
            is_in.then(|| sort::shown(policy, room, state))
        });
        Ok(sort::listed(shown.collect()))
    }

    pub(super) async fn create_room(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        new: &NewRoom,
    ) -> Result<Facts, Error> {
        let made = || invocation.new_id.to_string().into();
        let room = RoomKey::new(new.kind.clone(), new.id.clone().unwrap_or_else(made));
        let policy = self.rules.rooms.get(&room.kind);
        let user = match &invocation.actor {
            Actor::User(identity) => Some(&identity.person.id),
            Actor::Backend => None,
        };
        for _ in 0..DECISIONS_MAX {
            let states = tenant.store.rooms(user, std::slice::from_ref(&room)).await;
            let state = states.map_err(store_error)?.pop();
            let state = state.ok_or_else(|| Error::new(Code::Internal, "the store failed"))?;
            let known = tenant.store.people(&room).await.map_err(store_error)?;
            let (standing, _) = self.standing(tenant, invocation, &room).await?;
            let found = sort::Found {
                is_used: state.last_seq.0 > 0 || !known.is_empty(),
                state,
                standing,
            };
            let outcome = sort::create(invocation, &room, new, policy, &found)?;
            let info = outcome.changes.iter().find_map(said).cloned();
            match self.settle(tenant, outcome, invocation).await {
                Ok(settled) => {
                    let is_new = info.is_some();
                    info.into_iter()
                        .for_each(|info| self.note_room(tenant, info));
                    if let Some(user) = user.filter(|_| is_new) {
                        self.note_member(tenant, &room, user, Membership::Member)
                            .await;
                    }
                    return Ok(settled.reply);
                }
                Err(Refused::Conflict) => {}
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Err(too_many_conflicts())
    }
}

fn said(change: &Change) -> Option<&RoomInfo> {
    match change {
        Change::SetRoom(info) => Some(info),
        _ => None,
    }
}

/// The session over which a command came.
pub(super) fn session(invocation: &Invocation) -> Option<&SessionId> {
    match &invocation.origin {
        Origin::Session { id } => Some(id),
        Origin::Http => None,
    }
}

/// What a change makes of a membership.
fn becomes(change: &Change) -> Option<Membership> {
    match change {
        Change::AddMember { .. } => Some(Membership::Member),
        Change::RemoveMember { .. } => Some(Membership::Removed),
        Change::ForgetMember { .. } => Some(Membership::Unknown),
        _ => None,
    }
}
