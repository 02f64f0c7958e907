//! Presence through the door.

use std::sync::Arc;

use super::Dispatcher;
use super::rooms::session;
use super::settle::store_error;
use super::tenant::{Tenant, read, write};
use crate::capability::{message, presence};
use crate::command::{Actor, Invocation};
use crate::error::{Code, Error};
use crate::event::Facts;
use crate::ids::UserId;

impl Dispatcher {
    pub(super) fn set_presence(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        status: &Arc<str>,
        custom_status: Option<&str>,
    ) -> Result<Facts, Error> {
        let Actor::User(identity) = &invocation.actor else {
            let text = "unable to set status; it needs a user, not a key";
            return Err(Error::new(Code::Forbidden, text));
        };
        presence::settable(&self.rules.presence.statuses, status, custom_status)?;
        let (user, now) = (&identity.person.id, invocation.now);
        let mut roster = write(&tenant.roster);
        let set = roster.set_status(user, session(invocation), status, custom_status, now);
        let shown = set.map(|(shown, told)| {
            tenant.tell(&self.ports, &told);
            shown
        });
        presence::set(shown)
    }

    pub(super) async fn get_presence(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        user: &UserId,
    ) -> Result<Facts, Error> {
        let (shown, unsaved) = {
            let roster = read(&tenant.roster);
            (roster.user(user), roster.unsaved(user))
        };
        let stored = match (&shown, unsaved) {
            (Some(_), _) => None,
            (None, Some(newer)) => Some(newer),
            (None, None) => tenant.store.presence(user).await.map_err(store_error)?,
        };
        Ok(presence::one(user, shown, stored, invocation.now.wall))
    }

    pub(super) fn list_presence(
        &self,
        tenant: &Tenant,
        before: Option<&UserId>,
        limit: u32,
    ) -> Facts {
        let limit = match limit {
            0 => message::PAGE_DEFAULT,
            limit => limit.min(message::PAGE_MAX),
        };
        let (users, has_more) = read(&tenant.roster).list(before, limit as usize);
        presence::list(&users, has_more)
    }
}
