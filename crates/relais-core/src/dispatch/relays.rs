//! Relays through the door: those over a session are decided at once, for nothing has to be loaded for them.

use super::Dispatcher;
use super::rooms::session;
use super::settle::{Refused, too_many_conflicts};
use super::tenant::{Tenant, read};
use crate::capability::{Outcome, relay};
use crate::command::{Actor, Command, Invocation, NewRelay};
use crate::error::Error;
use crate::event::{Event, Facts, Volatile};
use crate::ids::AudienceKey;

impl Dispatcher {
    /// A volatile relay, decided, published and answered before this returns. `publish` is a nearer way to the hub than the port
    /// for who is on a shard of it; it is called at most once.
    ///
    /// `None`, and the invocation as it was, where it has to go through [`Dispatcher::dispatch`]: it is no volatile relay of a
    /// session, or its tenant is not in use.
    pub fn pass_on(
        &self,
        invocation: &mut Invocation,
        publish: impl FnOnce(Volatile),
    ) -> Option<Result<Facts, Error>> {
        let tenant = match &invocation.command {
            Command::Relay(relay) if !relay.durable => self.in_use(&invocation.tenant)?,
            _ => return None,
        };
        session(invocation)?;
        tenant.touch(invocation.now.monotonic);
        let wall = invocation.now.wall;
        if let Err(error) = tenant.check_restrictions(&invocation.actor, &invocation.command, wall)
        {
            return Some(Err(error));
        }
        let Command::Relay(relay) = &mut invocation.command else {
            return None;
        };
        let relay = std::mem::take(relay);
        let counted = relay.counts.then(|| relay.to.clone());
        let event = match of_session(&tenant, invocation, relay) {
            Ok(event) => event,
            Err(error) => return Some(Err(error)),
        };
        publish(Volatile {
            at: invocation.now.wall,
            event,
        });
        Some(Ok(counted.map_or_else(Facts::new, |to| tenant.reached(&to))))
    }

    pub(super) async fn relay(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        relay: NewRelay,
    ) -> Result<Facts, Error> {
        let counted = relay.counts.then(|| relay.to.clone());
        let event = match session(invocation) {
            Some(_) => of_session(tenant, invocation, relay)?,
            None => self.over_http(tenant, invocation, relay).await?,
        };
        let outcome = Outcome {
            events: vec![event],
            ..Outcome::default()
        };
        match self.settle(tenant, outcome, invocation).await {
            Ok(_) => Ok(counted.map_or_else(Facts::new, |to| tenant.reached(&to))),
            Err(Refused::Conflict) => Err(too_many_conflicts()),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// No session that could be in a room: a user who may join may send.
    async fn over_http(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        relay: NewRelay,
    ) -> Result<Event, Error> {
        let mut open = Vec::new();
        if let Actor::User(identity) = &invocation.actor {
            for room in relay::needed(&relay).take(relay::ADDRESSEES_MAX) {
                if self.participation(tenant, identity, room).await?.0 {
                    open.push(room.clone());
                }
            }
        }
        relay::event(invocation, relay, |room| open.contains(room))
    }
}

fn of_session(tenant: &Tenant, invocation: &Invocation, relay: NewRelay) -> Result<Event, Error> {
    let roster = read(&tenant.roster);
    relay::event(invocation, relay, |room| {
        session(invocation).is_some_and(|session| roster.is_in(session, room))
    })
}

impl Tenant {
    /// What a relay's answer counts.
    fn reached(&self, to: &[AudienceKey]) -> Facts {
        let roster = read(&self.roster);
        let recipients = roster.reach(to);
        let online = recipients > 0 || relay::users(to).any(|user| roster.user(user).is_some());
        relay::sent(recipients, online)
    }
}
