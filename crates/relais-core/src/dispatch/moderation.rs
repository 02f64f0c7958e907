//! Restrictions through the door: imposed and lifted, and asked about by everything else.

use super::Dispatcher;
use super::settle::{Refused, too_many_conflicts};
use super::tenant::{Tenant, read, write};
use crate::capability::moderation;
use crate::command::{Actor, Command, Identity, Invocation};
use crate::error::Error;
use crate::event::Facts;
use crate::ids::{Moment, TenantKey, Timestamp};
use crate::restriction::{Against, Closing, Hold};

impl Dispatcher {
    /// Whether a proved token is good in a tenant that is in use: it was not revoked.
    pub fn admit(&self, tenant: &TenantKey, identity: &Identity, now: Moment) -> Result<(), Error> {
        match self.in_use(tenant) {
            Some(tenant) => read(&tenant.restrictions).admit(identity, now.wall),
            None => Ok(()),
        }
    }

    pub(super) async fn impose(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        (against, hold): (&Against, Hold),
        until: Option<Timestamp>,
    ) -> Result<Facts, Error> {
        let (restriction, outcome) = moderation::impose(invocation, against, hold, until)?;
        let settled = self.settle(tenant, outcome, invocation).await;
        let settled = settled.map_err(refusal)?;
        // First it counts, then those who are there are shown out: whoever connects in between is refused.
        write(&tenant.restrictions).impose(restriction);
        if hold == Hold::Revoked {
            self.ports
                .sessions
                .close(&tenant.key, against, Closing::Revoked)
                .await;
        }
        Ok(settled.reply)
    }

    pub(super) async fn lift(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        (against, hold): (&Against, Hold),
    ) -> Result<Facts, Error> {
        let outcome = moderation::lift(invocation, against, hold)?;
        let settled = self.settle(tenant, outcome, invocation).await;
        let settled = settled.map_err(refusal)?;
        write(&tenant.restrictions).lift(against, hold);
        Ok(settled.reply)
    }
}

impl Tenant {
    /// Refuses the command of somebody who is held back.
    pub(super) fn check_restrictions(
        &self,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Actor::User(identity) = actor else {
            return Ok(());
        };
        let restrictions = read(&self.restrictions);
        if restrictions.is_empty() {
            return Ok(());
        }
        restrictions.admit(identity, now)?;
        match command.speaks() {
            true => restrictions.let_speak(identity, now),
            false => Ok(()),
        }
    }
}

fn refusal(refused: Refused) -> Error {
    match refused {
        Refused::Conflict => too_many_conflicts(),
        Refused::Error(error) => error,
    }
}
