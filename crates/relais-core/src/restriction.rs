//! What is held against a user or a token: it may no longer connect, or no longer speak.
//!
//! Comes in: what the store keeps and what the team's backend decides. Goes out: whether somebody is held back. In memory for each tenant
//! in use, because every command asks. Who may impose one is [`capability::moderation`](crate::capability::moderation)'s.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::command::Identity;
use crate::error::{Code, Error};
use crate::ids::{Timestamp, UserId};

/// Against what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Against {
    /// A user, with all tokens.
    User(UserId),
    /// The one token that has this `jti`.
    Token(Arc<str>),
}

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Hold {
    /// Tokens that were issued up to then are worth nothing.
    Revoked,
    /// Connecting and reading go on; whatever others would hear of is refused.
    Muted,
}

/// Why sessions are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// What they came with is worth nothing any more.
    Revoked,
    /// The team's backend wants it; they may come again.
    Asked,
}

/// Something that is held against somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// Against what.
    pub against: Against,
    /// What.
    pub hold: Hold,
    /// Since when.
    pub at: Timestamp,
    /// Until when; `None`: until it is lifted.
    pub until: Option<Timestamp>,
}

/// All that is held against anybody of one tenant; one for each pair of `against` and `hold`, the latest. Every command asks, so it is
/// looked up, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Restrictions(HashMap<(Against, Hold), Restriction>);

impl Restrictions {
    /// As they were stored, without what is over.
    pub fn new(stored: Vec<Restriction>, now: Timestamp) -> Self {
        let lasting = stored.into_iter().filter(|one| one.lasts(now));
        Self(lasting.map(|one| (one.key(), one)).collect())
    }

    /// Nobody is held back, which is nearly always so.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Imposes one, in the place of an earlier one.
    pub fn impose(&mut self, restriction: Restriction) {
        let now = restriction.at;
        self.0.retain(|_, other| other.lasts(now));
        self.0.insert(restriction.key(), restriction);
    }

    /// Lifts one.
    pub fn lift(&mut self, against: &Against, hold: Hold) {
        self.0.remove(&(against.clone(), hold));
    }

    /// Refuses a token that was revoked.
    pub fn admit(&self, identity: &Identity, now: Timestamp) -> Result<(), Error> {
        let revoked = self.holding(Hold::Revoked, identity, now).any(|one| {
            match one.against {
                Against::Token(_) => true,
                // A token that does not say when it was issued may be of any time.
                Against::User(_) => identity.issued_at.is_none_or(|issued| issued <= one.at),
            }
        });
        match revoked {
            true => Err(Error::new(
                Code::TokenInvalid,
                "unable to identify; the token was revoked",
            )),
            false => Ok(()),
        }
    }

    /// Whether what a user proved at some time is worth nothing any more.
    pub fn bars(&self, user: &UserId, proved_at: Timestamp, now: Timestamp) -> bool {
        if self.is_empty() {
            return false;
        }
        let found = self.0.get(&(Against::User(user.clone()), Hold::Revoked));
        found.is_some_and(|one| one.lasts(now) && proved_at <= one.at)
    }

    /// Refuses to let a muted user speak.
    pub fn let_speak(&self, identity: &Identity, now: Timestamp) -> Result<(), Error> {
        let Some(mute) = self.holding(Hold::Muted, identity, now).next() else {
            return Ok(());
        };
        let left = mute.until.map(|until| until.0.saturating_sub(now.0));
        Err(Error {
            retry_after_ms: left.and_then(|ms| u64::try_from(ms).ok()),
            ..Error::new(Code::Forbidden, "unable to send; the user is muted")
        })
    }

    fn holding(
        &self,
        hold: Hold,
        identity: &Identity,
        now: Timestamp,
    ) -> impl Iterator<Item = &Restriction> {
        // Without a restriction there is nothing to make keys for.
        let is_any = !self.is_empty();
        let user = is_any.then(|| Against::User(identity.person.id.clone()));
        let token = identity.token_id.clone().filter(|_| is_any);
        let theirs = user.into_iter().chain(token.map(Against::Token));
        let found = theirs.filter_map(move |against| self.0.get(&(against, hold)));
        found.filter(move |one| one.lasts(now))
    }
}

impl Restriction {
    fn key(&self) -> (Against, Hold) {
        (self.against.clone(), self.hold)
    }

    fn lasts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
