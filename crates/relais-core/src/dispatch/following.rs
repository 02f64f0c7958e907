//! Membership by a user's own will, and rooms that sessions are in because their user is a member.
//!
//! A session reads its user's memberships when it connects, and the hub has it only a moment later. What changes in between is
//! found by the count of changes: such a session is put down to be looked at again ([`Dispatcher::settle_rooms`]), which
//! [`Dispatcher::persist`] does.

use std::sync::atomic::Ordering;

use super::Dispatcher;
use super::settle::store_error;
use super::tenant::{Tenant, held, read};
use crate::capability::room;
use crate::capability::room::JoinPolicy;
use crate::command::{Actor, Invocation};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::ids::{Moment, RoomKey, SessionId, TenantKey, UserId};

/// Sessions that wait to be looked at again. Beyond that a session hears of a room that its user joined meanwhile only once it
/// connects again.
const UNSETTLED_MAX: usize = 100_000;
/// Sessions that are looked at in one go.
const SETTLE_BATCH: usize = 500;

impl Dispatcher {
    pub(super) async fn follow(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<Facts, Error> {
        let user = asking(invocation, "unable to follow")?;
        let policy = self.rules.rooms.get(&room.kind);
        let kept = tenant.store.rooms_of(user).await.map_err(store_error)?;
        let decide = |known| room::follow(invocation, room, user, policy, known, kept.len());
        self.change_member(tenant, invocation, room, user, decide)
            .await
    }

    pub(super) async fn unfollow(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        room: &RoomKey,
    ) -> Result<Facts, Error> {
        let user = asking(invocation, "unable to unfollow")?;
        let decide = |known| {
            let sessions = read(&tenant.roster).sessions_in(user, room);
            Ok(room::unfollow(invocation, room, user, known, sessions))
        };
        self.change_member(tenant, invocation, room, user, decide)
            .await
    }

    /// How many memberships of a tenant have begun or ended. To be read before a connecting session's memberships are, for
    /// [`Dispatcher::settle_rooms`].
    pub fn member_changes(&self, tenant: &TenantKey) -> u64 {
        let tenant = self.in_use(tenant);
        tenant.map_or(0, |tenant| tenant.member_changes.load(Ordering::SeqCst))
    }

    /// A session is in the hub and the roster, with rooms by memberships that were read when the count of changes was `before`.
    /// Where it has changed since, the session is looked at again by the next [`Dispatcher::persist`].
    pub fn settle_rooms(&self, key: &TenantKey, session: &SessionId, user: &UserId, before: u64) {
        let Some(tenant) = self.in_use(key) else {
            return;
        };
        if tenant.member_changes.load(Ordering::SeqCst) != before {
            let mut unsettled = held(&tenant.unsettled);
            if unsettled.len() < UNSETTLED_MAX {
                unsettled.push((session.clone(), user.clone()));
            }
        }
    }

    /// Looks again at the sessions that connected while memberships changed. `true`: more wait.
    pub(super) async fn settle_waiting(&self, tenant: &Tenant, now: Moment) -> Result<bool, Error> {
        let (batch, waits): (Vec<_>, bool) = {
            let mut unsettled = held(&tenant.unsettled);
            let count = unsettled.len().min(SETTLE_BATCH);
            (unsettled.drain(..count).collect(), !unsettled.is_empty())
        };
        for (at, (session, user)) in batch.iter().enumerate() {
            if let Err(error) = self.settle_session(tenant, session, user, now).await {
                held(&tenant.unsettled).extend_from_slice(&batch[at..]);
                return Err(error);
            }
        }
        Ok(waits)
    }

    async fn settle_session(
        &self,
        tenant: &Tenant,
        session: &SessionId,
        user: &UserId,
        now: Moment,
    ) -> Result<(), Error> {
        let kept = tenant.store.rooms_of(user).await.map_err(store_error)?;
        let rooms = read(&tenant.roster).rooms_of(session);
        let automatic = |room: &&RoomKey| {
            let policy = self.rules.rooms.get(&room.kind);
            policy.is_some_and(|policy| policy.joins_members)
        };
        for room in kept.iter().filter(automatic) {
            if !rooms.contains(room) && read(&tenant.roster).knows(session) {
                let enter = self.ports.sessions.enter(&tenant.key, session, room);
                enter.await;
                tenant.with_roster(&self.ports, |roster| {
                    roster.join(session, room.clone(), now)
                });
            }
        }
        let head = tenant.store.head().position;
        for room in rooms.iter().filter(automatic) {
            let policy = self.rules.rooms.get(&room.kind);
            // Who may be there for another reason is left there.
            let by_membership = policy
                .is_some_and(|policy| policy.join.iter().all(|join| *join == JoinPolicy::Member));
            if by_membership && !kept.contains(room) {
                let leave = self.ports.sessions.leave(&tenant.key, session, room, head);
                leave.await;
                tenant.with_roster(&self.ports, |roster| roster.leave(session, room, now));
            }
        }
        Ok(())
    }
}

fn asking<'a>(invocation: &'a Invocation, unable: &str) -> Result<&'a UserId, Error> {
    match &invocation.actor {
        Actor::User(identity) => Ok(&identity.person.id),
        Actor::Backend => {
            let text = format!("{unable}; it needs a user, not a key");
            Err(Error::new(Code::Forbidden, text))
        }
    }
}
