//! Sessions as they come, come back and go, and time as it passes.
//!
//! What others see of it is told through the fan-out. Nothing here waits for the disk when a session connects or goes;
//! what is to be stored of it waits for [`Dispatcher::persist`].

use std::sync::atomic::Ordering;

use super::Dispatcher;
use super::settle::{store_error, too_many_conflicts};
use super::tenant::{Tenant, held, read, write};
use crate::capability::roster::{Arrival, Departure};
use crate::capability::{presence, room};
use crate::command::Identity;
use crate::error::Error;
use crate::event::{Transition, Volatile};
use crate::ids::{Moment, Monotonic, Position, RoomKey, SessionId, TenantKey};
use crate::ports::{Change, CommitError, Head, Interval, Transaction};

/// A connected session that is taken over was last heard of at most this long ago: the heartbeat would have ended it.
const SILENCE_MS: u64 = 45_000;
/// Users and stays that one transaction of [`Dispatcher::persist`] stores.
const PERSIST_BATCH: usize = 500;
/// Stays that wait to be closed. Beyond that they stay open until retention ends them; nobody can resume them.
const CLOSING_MAX: usize = 100_000;

/// Users in a snapshot.
const SNAPSHOT_USERS_MAX: usize = 1_000;

/// A session that came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Resumed {
    /// Its explicit stays, open and closed, without rooms that it may no longer be in: what to replay.
    pub stays: Vec<Interval>,
    /// Since when it may have missed presence; for [`Dispatcher::missed`].
    pub since: Monotonic,
}

impl Dispatcher {
    /// Takes a tenant into use, so that a [`Dispatcher::connect`] right after it need not wait for the store.
    pub async fn prepare(&self, tenant: &TenantKey, now: Moment) -> Result<(), Error> {
        self.open(tenant, now).await.map(|_| ())
    }

    /// Whether a tenant is in use, so that [`Dispatcher::prepare`] has nothing to do. It stays in use for a while.
    pub fn is_prepared(&self, tenant: &TenantKey, now: Moment) -> bool {
        let tenant = self.in_use(tenant);
        tenant
            .inspect(|tenant| tenant.touch(now.monotonic))
            .is_some()
    }

    /// Whether nothing was ever stored in a tenant's log.
    pub async fn is_empty(&self, tenant: &TenantKey, now: Moment) -> Result<bool, Error> {
        let tenant = self.open(tenant, now).await?;
        Ok(tenant.store.head().position == Position::default())
    }

    /// A new session. Call it once the hub has it, with the rooms it is in from the start; then nothing that is told of
    /// others from now on is missed. Out comes the end of the log, for the session's first offset.
    pub async fn connect(
        &self,
        tenant: &TenantKey,
        arrival: Arrival,
        now: Moment,
    ) -> Result<Head, Error> {
        let tenant = self.open(tenant, now).await?;
        tenant.connections.fetch_add(1, Ordering::Relaxed);
        tenant.with_roster(&self.ports, |roster| roster.arrive(arrival, now));
        Ok(tenant.store.head())
    }

    /// A session comes back, whose `pid` and token were checked: over a new transport, after a restart, or taking over
    /// from a connection that is still open. `arrival.rooms` are its automatic rooms; explicit ones come from the store,
    /// checked again against token and membership. `seen` is how far its client has the log.
    /// `None`: it left for good, or what came after `seen` can no longer be replayed, and it has to begin anew.
    pub async fn resume(
        &self,
        tenant: &TenantKey,
        mut arrival: Arrival,
        identity: &Identity,
        seen: Head,
        now: Moment,
    ) -> Result<Option<Resumed>, Error> {
        let tenant = self.open(tenant, now).await?;
        let session = arrival.session.clone();
        if read(&tenant.roster).has_ended(&session) {
            return Ok(None);
        }
        let removals = tenant.member_changes.load(Ordering::SeqCst);
        let stays = tenant.store.session_rooms(&session).await;
        let stays = stays.map_err(store_error)?;
        let rooms = stays.iter().map(|stay| &stay.room);
        let rooms: Vec<RoomKey> = arrival.rooms.iter().chain(rooms).cloned().collect();
        if !recoverable(&tenant, seen, &rooms).await? {
            return Ok(None);
        }
        let stays = self
            .allowed(&tenant, &session, stays, identity, now)
            .await?;
        self.meet(&tenant.key, identity);
        let open = stays.iter().filter(|stay| stay.until.is_none());
        let joined: Vec<RoomKey> = open.map(|stay| stay.room.clone()).collect();
        arrival.rooms.extend(joined.iter().cloned());
        self.prepare_rooms(&tenant.key, &arrival.rooms).await?;
        let since = {
            let mut roster = write(&tenant.roster);
            let known = roster.heard_at(&session, now.monotonic);
            let silent = Monotonic(now.monotonic.0.saturating_sub(SILENCE_MS));
            let told = roster.arrive(arrival, now);
            tenant.tell(&self.ports, &told);
            match known {
                Some(known) if known == now.monotonic => silent,
                Some(known) => known,
                None => Monotonic::default(),
            }
        };
        tenant.connections.fetch_add(1, Ordering::Relaxed);
        if tenant.member_changes.load(Ordering::SeqCst) != removals {
            for room in &joined {
                self.expel_outsider(&tenant, identity, room, now).await?;
            }
        }
        Ok(Some(Resumed { stays, since }))
    }

    /// The explicit stays of a session without those in rooms that its user may no longer be in; these are closed for good.
    async fn allowed(
        &self,
        tenant: &Tenant,
        session: &SessionId,
        mut stays: Vec<Interval>,
        identity: &Identity,
        now: Moment,
    ) -> Result<Vec<Interval>, Error> {
        let mut refused = Vec::new();
        for stay in stays.iter().filter(|stay| stay.until.is_none()) {
            let (participates, _) = self.participation(tenant, identity, &stay.room).await?;
            if !participates {
                refused.push(stay.room.clone());
            }
        }
        if !refused.is_empty() {
            stays.retain(|stay| stay.until.is_some() || !refused.contains(&stay.room));
            let closed = refused.into_iter().map(|room| Change::LeaveSession {
                session: session.clone(),
                room,
            });
            self.store_changes(tenant, closed.collect(), now).await?;
        }
        Ok(stays)
    }

    /// A session's transport ended, or the session. Never waits, never fails; of an older generation it is ignored.
    pub fn disconnect(
        &self,
        tenant: &TenantKey,
        session: &SessionId,
        generation: u64,
        departure: Departure,
        now: Moment,
    ) {
        let Some(tenant) = self.in_use(tenant) else {
            return;
        };
        {
            let mut roster = write(&tenant.roster);
            let rooms = roster.rooms_of(session);
            let Some(told) = roster.depart(session, generation, departure, now) else {
                return;
            };
            tenant.tell(&self.ports, &told);
            if departure == Departure::Clean {
                let mut closing = held(&tenant.closing);
                let space = CLOSING_MAX.saturating_sub(closing.len());
                let stays = rooms.into_iter().take(space);
                closing.extend(stays.map(|room| (session.clone(), room)));
            }
        }
        tenant.with_typing(&self.ports, now.wall, |typing| {
            typing.stop_session(session, None)
        });
    }

    /// Ends what is over: graces, typing, tenants that nobody uses. To be called several times a second; what it ends is
    /// late by at most the time between two calls.
    pub fn tick(&self, now: Moment) {
        for tenant in self.all_in_use() {
            tenant.with_roster(&self.ports, |roster| roster.tick(now));
            tenant.with_typing(&self.ports, now.wall, |typing| typing.tick(now.monotonic));
        }
        self.let_go(now.monotonic);
    }

    /// Stores what waits to be stored about presence and ended sessions (and looks again at the rooms of sessions that connected
    /// while memberships changed), one transaction for each tenant. `true`: more
    /// waits. What could not be stored waits on, and the last error comes out. To be called about once a second, and
    /// before the process ends.
    pub async fn persist(&self, now: Moment) -> Result<bool, Error> {
        let mut more = Ok(false);
        for tenant in self.all_in_use() {
            let unsettled = self.settle_waiting(&tenant, now).await;
            let persisted = self.persist_one(&tenant, now).await;
            let waits = unsettled.and_then(|unsettled| persisted.map(|waits| waits || unsettled));
            more = match (waits, more) {
                (Ok(waits), Ok(waited)) => Ok(waits || waited),
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            };
        }
        more
    }

    async fn persist_one(&self, tenant: &Tenant, now: Moment) -> Result<bool, Error> {
        let presences = read(&tenant.roster).all_unsaved(PERSIST_BATCH);
        let stays: Vec<_> = {
            let mut closing = held(&tenant.closing);
            let batch = closing.len().min(PERSIST_BATCH);
            closing.drain(..batch).collect()
        };
        let people = read(&tenant.directory).to_store(PERSIST_BATCH);
        let closed = stays.iter().cloned();
        let closed = closed.map(|(session, room)| Change::LeaveSession { session, room });
        let changes = presences.iter().cloned().map(Change::SetPresence);
        let remembered = people.iter().cloned();
        let remembered = remembered.map(|(person, claims)| Change::Remember { person, claims });
        let changes: Vec<_> = changes.chain(closed).chain(remembered).collect();
        if changes.is_empty() {
            return Ok(false);
        }
        match self.store_changes(tenant, changes, now).await {
            Ok(()) => {
                write(&tenant.roster).saved(&presences);
                if !people.is_empty() {
                    write(&tenant.directory).stored(&people);
                }
                let most = presences.len().max(stays.len()).max(people.len());
                Ok(most == PERSIST_BATCH)
            }
            Err(error) => {
                held(&tenant.closing).extend(stays);
                Err(error)
            }
        }
    }

    /// Commits changes of state that make no record.
    async fn store_changes(
        &self,
        tenant: &Tenant,
        changes: Vec<Change>,
        now: Moment,
    ) -> Result<(), Error> {
        let transaction = Transaction {
            at: now.wall,
            changes,
            ..Transaction::default()
        };
        match tenant.store.commit(transaction).await {
            Ok(_) => Ok(()),
            Err(CommitError::Store(error)) => Err(store_error(error)),
            Err(CommitError::Conflict | CommitError::IdempotencyConflict) => {
                Err(too_many_conflicts())
            }
        }
    }

    /// What a session that came back has missed of presence and of who is in its rooms: the latest of each. To be called
    /// once the hub has the session again, after its replay. `false`: that is not all, and it needs [`Dispatcher::snapshot`] too.
    pub fn missed(
        &self,
        tenant: &TenantKey,
        session: &SessionId,
        since: Monotonic,
    ) -> (Vec<Volatile>, bool) {
        let Some(tenant) = self.in_use(tenant) else {
            return (Vec::new(), true);
        };
        let missed = read(&tenant.roster).missed(session, since);
        (events(&missed.transitions), missed.complete)
    }

    /// Everybody whom a session hears of as they are now, in the events that would tell of their coming: for a session that has
    /// missed more than is remembered. At most 1,000 users.
    pub fn snapshot(&self, tenant: &TenantKey, session: &SessionId, now: Moment) -> Vec<Volatile> {
        let Some(tenant) = self.in_use(tenant) else {
            return Vec::new();
        };
        let looks = read(&tenant.roster).snapshot(session, SNAPSHOT_USERS_MAX, now);
        events(&looks)
    }

    /// Rooms that a session is in now, automatic ones included.
    pub fn rooms_of(&self, tenant: &TenantKey, session: &SessionId) -> Vec<RoomKey> {
        let tenant = self.in_use(tenant);
        tenant.map_or_else(Vec::new, |tenant| read(&tenant.roster).rooms_of(session))
    }
}

/// Whether everything after what a client has seen can still be replayed from the log, for a session in these rooms: the
/// same life of the log, a position that exists, and nothing trimmed since.
async fn recoverable(tenant: &Tenant, seen: Head, rooms: &[RoomKey]) -> Result<bool, Error> {
    let head = tenant.store.head();
    if seen.epoch != head.epoch || seen.position > head.position {
        return Ok(false);
    }
    let trimmed = tenant.store.trimmed(rooms).await.map_err(store_error)?;
    Ok(seen.position >= trimmed)
}

/// Transitions as one session is told of them.
fn events(told: &[Transition]) -> Vec<Volatile> {
    let events = told.iter().filter_map(|told| {
        let event = presence::event(told).or_else(|| room::event(told))?;
        let at = told.at.wall;
        Some(Volatile { at, event })
    });
    events.collect()
}
