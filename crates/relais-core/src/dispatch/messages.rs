//! Messages and typing through the door: what is loaded for them, and how often they are decided.

use std::sync::Arc;

use super::settle::{Refused, Settled, What, store_error, too_many_conflicts};
use super::tenant::{Tenant, held};
use super::{DECISIONS_MAX, Dispatcher};
use crate::capability::message::revision;
use crate::capability::room::{JoinPolicy, may_participate};
use crate::capability::{Standing, message, typing};
use crate::command::{Actor, Invocation, NewMessage, Revision, SeqRange};
use crate::error::Error;
use crate::event::{Facts, Message};
use crate::ids::{Conversation, Id, Seq, UserId};
use crate::ports::{Change, Membership};

impl Dispatcher {
    pub(super) async fn send(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        new: &NewMessage,
    ) -> Result<Facts, Error> {
        for attempt in 0..DECISIONS_MAX {
            let place = self.place(tenant, invocation, &new.conversation);
            let (standing, membership) = place.await?;
            // A session's messages must not wait for anything before the commit, or they would lose their order:
            // so what would have to be loaded is guessed, and only loaded when the guess was wrong.
            let guess = attempt == 0 && standing == Standing::Joined;
            let recipient = self.recipient(tenant, new, guess).await?;
            let (writing, mentions) = match standing {
                Standing::Stranger => (None, Vec::new()),
                _ => {
                    let place = &new.conversation;
                    let writing = self.writing(tenant, invocation, place, guess).await?;
                    let named = self.named(tenant, place, &new.body, guess);
                    (writing, named.await?)
                }
            };
            let known = message::Known {
                standing,
                membership,
                recipient,
                writing,
                mentions,
            };
            let outcome = message::send(invocation, new, known)?;
            let message = outcome.changes.iter().find_map(inserted).cloned();
            match self.settle(tenant, outcome, invocation).await {
                Ok(settled) => {
                    self.settle_doubt(tenant, &new.conversation).await;
                    return Ok(self.sent(tenant, invocation, message, settled));
                }
                Err(Refused::Conflict) => self.doubt(tenant, &new.conversation),
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Err(too_many_conflicts())
    }

    pub(super) async fn revise(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        revision: &Revision,
    ) -> Result<Facts, Error> {
        for _ in 0..DECISIONS_MAX {
            let found = self.found(tenant, revision.id).await?;
            let place = &found.conversation;
            let (standing, _) = self.place(tenant, invocation, place).await?;
            let moderates = revision.moderates;
            let outcome = match &revision.body {
                Some(body) => {
                    let known = revision::Known {
                        standing,
                        writing: self.writing(tenant, invocation, place, false).await?,
                        mentions: self.named(tenant, place, body, false).await?,
                    };
                    revision::edit(invocation, &found, body, moderates, known)?
                }
                None => revision::delete(invocation, &found, moderates, standing)?,
            };
            match self.settle(tenant, outcome, invocation).await {
                Ok(settled) => return Ok(settled.reply),
                Err(Refused::Conflict) => self.doubt(tenant, place),
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Err(too_many_conflicts())
    }

    async fn found(&self, tenant: &Tenant, id: Id) -> Result<Message, Error> {
        let found = tenant.store.message(id).await.map_err(store_error)?;
        found.ok_or_else(revision::unknown)
    }

    /// The answer to a message, from what was committed, now or the first time.
    fn sent(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        message: Option<Message>,
        settled: Settled,
    ) -> Facts {
        let records = match settled.what {
            What::Duplicate(message) => return message::sent(&message),
            What::Applied(records) => records,
        };
        held(&tenant.messages).count(invocation.now.monotonic);
        match (message, records.first()) {
            (Some(message), Some(record)) => message::sent(&message::committed(message, record)),
            _ => settled.reply,
        }
    }

    /// What is known of the recipient of a private message.
    async fn recipient(
        &self,
        tenant: &Tenant,
        new: &NewMessage,
        guess: bool,
    ) -> Result<Option<message::Recipient>, Error> {
        let (Conversation::Room(room), Some(user)) = (&new.conversation, &new.recipient) else {
            return Ok(None);
        };
        let policy = self.rules.rooms.get(&room.kind);
        let membership = if guess {
            let by_claim = policy
                .is_some_and(|policy| policy.join.iter().any(|join| *join != JoinPolicy::Member));
            match by_claim {
                true => Membership::Unknown,
                false => Membership::Member,
            }
        } else {
            let loaded = tenant.store.membership(room, user).await;
            loaded.map_err(store_error)?
        };
        Ok(Some(message::Recipient {
            membership,
            possible: may_participate(policy, membership),
        }))
    }

    pub(super) async fn history(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        conversation: &Conversation,
        channel: Option<Arc<str>>,
        range: SeqRange,
        limit: u32,
    ) -> Result<Facts, Error> {
        let (standing, _) = self.place(tenant, invocation, conversation).await?;
        let viewer = user(invocation);
        let query = message::page_query(conversation, channel, range, limit, viewer, standing)?;
        let page = tenant.store.messages(&query).await.map_err(store_error)?;
        Ok(message::page(conversation, &page))
    }

    pub(super) async fn mark_read(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        conversation: &Conversation,
        seq: Seq,
    ) -> Result<Facts, Error> {
        for _ in 0..DECISIONS_MAX {
            let (standing, _) = self.place(tenant, invocation, conversation).await?;
            let store = &tenant.store;
            let last = store.last_seq(conversation).await.map_err(store_error)?;
            let mark = match user(invocation) {
                Some(user) => store.read_mark(conversation, user).await,
                None => Ok(Seq::default()),
            };
            let mark = mark.map_err(store_error)?;
            let outcome = message::mark_read(invocation, conversation, seq, mark, last, standing)?;
            match self.settle(tenant, outcome, invocation).await {
                Ok(settled) => return Ok(settled.reply),
                Err(Refused::Conflict) => {}
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Err(too_many_conflicts())
    }

    pub(super) async fn typing(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        conversation: &Conversation,
        (active, written): (bool, Option<&UserId>),
    ) -> Result<Facts, Error> {
        let (standing, _) = self.place(tenant, invocation, conversation).await?;
        let person = typing::allowed(invocation, conversation, standing)?;
        let writing = self.writing(tenant, invocation, conversation, true).await?;
        if let (true, Some(writing)) = (active, writing) {
            writing.check("unable to type")?;
        }
        let (session, now) = (super::rooms::session(invocation), invocation.now);
        tenant.with_typing(&self.ports, now.wall, |typing| match active {
            true => typing.start((conversation, written), person, session, now.monotonic),
            false => typing.stop(conversation, &person.id),
        });
        Ok(typing::reply(active))
    }

    /// How the one who asks stands to a conversation. A direct one is its two people's: their capability checks that.
    async fn place(
        &self,
        tenant: &Tenant,
        invocation: &Invocation,
        conversation: &Conversation,
    ) -> Result<(Standing, Option<Membership>), Error> {
        match conversation {
            Conversation::Room(room) => self.standing(tenant, invocation, room).await,
            Conversation::Direct(..) => Ok((Standing::Participant, None)),
        }
    }
}

fn user(invocation: &Invocation) -> Option<&UserId> {
    match &invocation.actor {
        Actor::User(identity) => Some(&identity.person.id),
        Actor::Backend => None,
    }
}

fn inserted(change: &Change) -> Option<&Message> {
    match change {
        Change::InsertMessage(message) => Some(message),
        _ => None,
    }
}
