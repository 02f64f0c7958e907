//! Pushes through the door: subscriptions, and whether somebody is here, so that whoever pushes to who is away knows.

use super::Dispatcher;
use super::settle::{Refused, too_many_conflicts};
use super::tenant::{Tenant, read};
use crate::capability::push;
use crate::command::{Actor, Invocation, PushCommand};
use crate::error::Error;
use crate::event::Facts;
use crate::ids::{Moment, TenantKey, Timestamp, UserId};

/// How somebody is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// A session is connected.
    Here,
    /// The last transport is lost, and its grace is not over.
    Leaving,
    /// There is no session.
    Away,
    /// Whatever they proved then is worth nothing any more.
    Barred,
}

impl Dispatcher {
    pub(super) async fn push(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        asked: PushCommand,
    ) -> Result<Facts, Error> {
        if let (Actor::User(identity), PushCommand::Subscribe { .. }) = (&invocation.actor, &asked)
        {
            self.meet(&tenant.key, identity);
        }
        let outcome = push::decide(invocation, asked)?;
        match self.settle(tenant, outcome, invocation).await {
            Ok(settled) => Ok(settled.reply),
            Err(Refused::Conflict) => Err(too_many_conflicts()),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// Whether a user is here who proved who they are at `proved_at`.
    pub async fn whereabouts(
        &self,
        tenant: &TenantKey,
        user: &UserId,
        proved_at: Timestamp,
        now: Moment,
    ) -> Result<Whereabouts, Error> {
        let tenant = self.open(tenant, now).await?;
        if read(&tenant.restrictions).bars(user, proved_at, now.wall) {
            return Ok(Whereabouts::Barred);
        }
        let shown = read(&tenant.roster).user(user);
        Ok(match shown {
            None => Whereabouts::Away,
            Some(shown) if shown.connected => Whereabouts::Here,
            Some(_) => Whereabouts::Leaving,
        })
    }
}
