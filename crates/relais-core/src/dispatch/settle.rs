//! From an outcome to what follows from it: one commit, the volatile events, the reactions, the effects.
//!
//! Conflicts come out as such, for the command to be decided again; all other failures become public errors here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::tenant::{Tenant, read, write};
use super::{Dispatcher, RECORD_BYTES_MAX};
use crate::capability::typing::Ended;
use crate::capability::{Effect, Outcome, notify, typing};
use crate::command::Invocation;
use crate::error::{Code, Error};
use crate::event::{Audience, Event, Facts, NewRecord, Record};
use crate::ids::{Conversation, Moment, Position, RoomKey, SessionId, UserId};
use crate::ports::{Change, CommitError, Committed, StoreError, Transaction};

/// What became of an outcome.
pub(super) struct Settled {
    pub(super) reply: Facts,
    pub(super) what: What,
}

pub(super) enum What {
    /// Committed now, with these records; none where nothing was to be committed.
    Applied(Vec<Arc<Record>>),
    /// Done before, under the same temporary id.
    Duplicate(Box<crate::event::Message>),
}

/// Why an outcome was not carried out.
pub(super) enum Refused {
    /// Something changed since it was decided.
    Conflict,
    /// For good.
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Dispatcher {
    /// Commits, publishes, reacts, carries out. The transaction is with the store when this was polled once.
    pub(super) async fn settle(
        &self,
        tenant: &Tenant,
        outcome: Outcome,
        invocation: &Invocation,
    ) -> Result<Settled, Refused> {
        let now = invocation.now;
        let mut volatile = Vec::new();
        let mut records = Vec::new();
        let mut changes = outcome.changes;
        let mut reactions: Vec<Ended> = Vec::new();
        let mut notified = 0;
        for event in outcome.events {
            reactions.extend(typing::react(&event));
            if !event.durable {
                volatile.push(event);
                continue;
            }
            let notices = self.ports.audiences.notices(&event).into_iter();
            let made: Vec<_> = notices
                .filter_map(|notice| {
                    notified += 1;
                    let id = invocation.new_id.another(notified);
                    notify::react(&event, notice, (id, now.wall), self.rules.inbox_max)
                })
                .collect();
            records.extend(self.record(event)?);
            for (change, sent) in made {
                changes.push(change);
                records.extend(self.record(sent)?);
            }
        }
        let transaction = Transaction {
            at: now.wall,
            idempotency: outcome.idempotency,
            preconditions: outcome.preconditions,
            changes,
            records,
        };
        let (records, head) = match commit(tenant, transaction).await? {
            Committed::Applied { records, head } => (records, head),
            Committed::Duplicate { message } => {
                return Ok(Settled {
                    reply: outcome.reply,
                    what: What::Duplicate(message),
                });
            }
        };
        for event in volatile {
            tenant.publish(&self.ports, event, now.wall);
        }
        for Ended { conversation, user } in reactions {
            tenant.with_typing(&self.ports, now.wall, |typing| {
                typing.stop(&conversation, &user)
            });
        }
        for effect in outcome.effects {
            self.carry_out(tenant, effect, head, now).await;
        }
        Ok(Settled {
            reply: outcome.reply,
            what: What::Applied(records),
        })
    }

    /// The record that an event becomes; `None` where the app makes nothing of it and nothing counts on it.
    fn record(&self, mut event: Event) -> Result<Option<NewRecord>, Error> {
        // Before the question whether there will be a record: what is kept of the event elsewhere has the same limit.
        if json_bytes(&event.body) > RECORD_BYTES_MAX {
            let text = format!("unable to store this; it is over {RECORD_BYTES_MAX} bytes");
            return Err(Error::new(Code::TooLarge, text));
        }
        let declared = self.ports.audiences.audience(&event);
        let audience = match (event.audience.take(), declared) {
            // The core's word on who hears of it stands; the app may only leave out more.
            (Some(core), Some(app)) => Audience {
                to: core.to,
                except_user: core.except_user.or(app.except_user),
                except_session: core.except_session.or(app.except_session),
            },
            (None, Some(app)) => app,
            // A message takes its seq from its record, shown or not.
            (_, None) if event.takes_seq.is_some() => Audience::default(),
            (_, None) => return Ok(None),
        };
        Ok(Some(NewRecord { event, audience }))
    }

    async fn carry_out(&self, tenant: &Tenant, effect: Effect, head: Position, now: Moment) {
        let sessions = &self.ports.sessions;
        match effect {
            Effect::Enter { session, room } => {
                sessions.enter(&tenant.key, &session, &room).await;
                tenant.with_roster(&self.ports, |roster| roster.join(&session, room, now));
            }
            Effect::Leave { session, room } => {
                sessions.leave(&tenant.key, &session, &room, head).await;
                tenant.with_roster(&self.ports, |roster| roster.leave(&session, &room, now));
                self.stop_typing(tenant, &session, room, now);
            }
            Effect::Admit { user, room } => self.bring_in(tenant, &user, &room, now).await,
            Effect::Evict { user, room } => self.evict(tenant, &user, &room, head, now).await,
        }
    }

    /// Puts all sessions of a new member into a room that is joined by membership. A session that is on its way in meanwhile looks
    /// again, because the count of changes is raised before the roster is searched.
    async fn bring_in(&self, tenant: &Tenant, user: &UserId, room: &RoomKey, now: Moment) {
        tenant.member_changes.fetch_add(1, Ordering::SeqCst);
        let sessions = read(&tenant.roster).sessions_outside(user, room);
        for session in sessions {
            let enter = self.ports.sessions.enter(&tenant.key, &session, room);
            enter.await;
            tenant.with_roster(&self.ports, |roster| {
                roster.join(&session, room.clone(), now)
            });
        }
    }

    /// Takes all sessions of a removed user out of a room: first those who see it, then the hub, then the store, where
    /// a session that joined in the meantime may still have an open stay.
    pub(super) async fn evict(
        &self,
        tenant: &Tenant,
        user: &UserId,
        room: &RoomKey,
        head: Position,
        now: Moment,
    ) {
        tenant.member_changes.fetch_add(1, Ordering::SeqCst);
        let evicted = {
            let mut roster = write(&tenant.roster);
            let (evicted, told) = roster.evict(user, room, now);
            tenant.tell(&self.ports, &told);
            evicted
        };
        for session in &evicted {
            self.stop_typing(tenant, session, room.clone(), now);
            let leave = self.ports.sessions.leave(&tenant.key, session, room, head);
            leave.await;
        }
        if !evicted.is_empty() {
            let transaction = Transaction {
                at: now.wall,
                changes: vec![Change::LeaveSessions {
                    sessions: evicted,
                    room: room.clone(),
                }],
                ..Transaction::default()
            };
            // Closed already, nearly always. If this fails, the resume of such a session finds the removal.
            if let Err(error) = tenant.store.commit(transaction).await {
                tracing::warn!(%error, "unable to close the stays of a removed member");
            }
        }
    }

    fn stop_typing(&self, tenant: &Tenant, session: &SessionId, room: RoomKey, now: Moment) {
        let conversation = Conversation::Room(room);
        tenant.with_typing(&self.ports, now.wall, |typing| {
            typing.stop_session(session, Some(&conversation))
        });
    }
}

/// Commits, unless there is nothing to commit.
async fn commit(tenant: &Tenant, transaction: Transaction) -> Result<Committed, Refused> {
    if transaction.changes.is_empty() && transaction.records.is_empty() {
        return Ok(Committed::Applied {
            records: Vec::new(),
            head: tenant.store.head().position,
        });
    }
    match tenant.store.commit(transaction).await {
        Ok(committed) => Ok(committed),
        Err(CommitError::Conflict) => Err(Refused::Conflict),
        Err(CommitError::IdempotencyConflict) => {
            let text = "unable to send; this temporary id was used before with another body";
            Err(Error::new(Code::IdempotencyConflict, text).into())
        }
        // The store has said why, once for all that it refused together.
        Err(CommitError::Store(error)) => Err(public(&error).into()),
    }
}

/// The public form of a store's failure to read. What is not public goes to the log.
pub(super) fn store_error(error: StoreError) -> Error {
    match &error {
        StoreError::Overloaded | StoreError::Full => {}
        StoreError::Unavailable { .. } => tracing::warn!(%error, "the store is unavailable"),
        StoreError::Failed { .. } => tracing::error!(%error, "the store failed"),
    }
    public(&error)
}

fn public(error: &StoreError) -> Error {
    match error {
        StoreError::Overloaded => {
            Error::new(Code::Overloaded, "the server has too much to store now")
        }
        StoreError::Full => Error::new(Code::StorageFull, "the server has no space left"),
        StoreError::Unavailable { .. } => {
            Error::new(Code::Unavailable, "the store is not there now")
        }
        StoreError::Failed { .. } => Error::new(Code::Internal, "the store failed"),
    }
}

/// After as many conflicts as are borne.
pub(super) fn too_many_conflicts() -> Error {
    Error::new(
        Code::Overloaded,
        "others changed the same thing at the same time, several times over",
    )
}

/// Length of facts as JSON, without writing them anywhere.
fn json_bytes(facts: &Facts) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, facts) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}
