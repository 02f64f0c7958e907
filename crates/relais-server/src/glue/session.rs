//! What is kept for a session on its shard.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use bytes::Bytes;
use relais_core::capability::roster::Departure;
use relais_core::command::{Actor, Command, Identity, Invocation, Origin};
use relais_core::error::Error;
use relais_core::ids::{Moment, Monotonic, RoomKey, SessionId};
use relais_core::limit::{Rate, TokenBucket};
use relais_core::vocabulary::{Asker, Question, Request};

use super::apps::Served;
use super::plain::Greeting;
use super::questions;
use super::scopes::Tenant;
use crate::clock::Clock;

/// What is kept for a session on its shard.
pub struct Session {
    pub(super) served: Arc<Served>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) actor: Actor,
    pub(super) identity: Arc<Identity>,
    pub(super) id: SessionId,
    pub(super) generation: u64,
    pub(super) rooms: Vec<RoomKey>,
    /// How often memberships of the tenant had changed right before this user's were read.
    pub(super) member_changes: u64,
    /// On a resume: since when it may have missed presence.
    pub(super) missed_since: Option<Monotonic>,
    /// The engine has it: from then on the engine also says when it goes.
    pub(super) is_connected: Cell<bool>,
    pub(super) clock: Clock,
    pub(super) bucket: RefCell<Option<TokenBucket>>,
    /// What a plain JSON session is told first, until it is.
    pub(super) greeting: RefCell<Option<Box<Greeting>>>,
    /// Its place among the tokens that have an end.
    pub(super) expiry: Cell<Option<u64>>,
}

impl Drop for Session {
    /// A resume whose connection went before the engine could take it: the roster knows the session as here, and nobody else would tell it.
    fn drop(&mut self) {
        if self.missed_since.is_some() && !self.is_connected.get() {
            let (tenant, now) = (&self.tenant.key, self.clock.now());
            self.served.dispatcher.disconnect(
                tenant,
                &self.id,
                self.generation,
                Departure::Lost,
                now,
            );
        }
    }
}

impl Session {
    /// Counts one event of the client.
    pub(super) fn take_event(&self, now: Monotonic) -> Result<(), Error> {
        match self.bucket.borrow_mut().as_mut() {
            Some(bucket) => bucket.take(now).map_err(|wait_ms| {
                Error::rate_limited("too many events from this session", wait_ms)
            }),
            None => Ok(()),
        }
    }

    /// Counts against the limit that the app file sets for one kind of event of a user, where it sets one.
    pub(super) fn take_limit(
        &self,
        subject: &Arc<str>,
        limit: Option<&Rate>,
        now: Moment,
    ) -> Result<(), Error> {
        let Some(limit) = limit else {
            return Ok(());
        };
        let (tenant, user) = (&self.tenant.key, &self.identity.person.id);
        let limits = &self.served.limits;
        limits.take(tenant, user, subject, limit, now.monotonic)
    }

    /// What an event asks for once the backend has been asked.
    pub(super) async fn ask(
        &self,
        question: Question,
        attachments: &[Bytes],
    ) -> Result<Request, Error> {
        let from = questions::From {
            tenant: &self.tenant.key,
            actor: &self.actor,
        };
        let (app, name) = (&self.served.app, question.subject.clone());
        let payload = questions::ask(&self.served, from, question).await?;
        let asker = Asker {
            actor: &self.actor,
            tenant: &self.tenant.key.tenant,
        };
        let mut request = app.command(&name, &app.arguments(&name, payload), asker)?;
        request.attach(attachments)?;
        Ok(request)
    }

    /// Memberships may have changed between their reading and now, when the hub has the session.
    pub(super) fn settle_rooms(&self) {
        let (tenant, user) = (&self.tenant.key, &self.identity.person.id);
        let before = self.member_changes;
        let dispatcher = &self.served.dispatcher;
        dispatcher.settle_rooms(tenant, &self.id, user, before);
    }

    /// A command of this session's user, stamped now.
    pub(super) fn invocation(&self, command: Command) -> Invocation {
        Invocation {
            tenant: self.tenant.key.clone(),
            actor: self.actor.clone(),
            origin: Origin::Session {
                id: self.id.clone(),
            },
            now: self.clock.now(),
            new_id: self.clock.new_id(),
            command,
        }
    }
}
