//! The ports to the world outside: what is kept for it, and the team's own backend. Asked for by tenant: whoever follows logs goes
//! through all of them.

use async_trait::async_trait;

use super::StoreError;
use crate::error::Error;
use crate::event::Person;
use crate::ids::{Id, Position, RoomKey, TenantKey, Timestamp, UserId};
use crate::outside::{Errand, OutsideChange, Subscription, Waiting, Which};

/// What is kept for the world outside.
#[async_trait]
pub trait Outside: Send + Sync {
    /// Makes a follower of all logs of an app known, and says which tenants have something for it: records after its cursor, or errands
    /// that wait. The first time it begins at the head of every log that there is; a log that begins later is followed from its beginning.
    async fn follow(&self, app: &str, follower: &str) -> Result<Vec<TenantKey>, StoreError>;

    /// Up to where a known follower has told a log.
    async fn cursor(&self, tenant: &TenantKey, follower: &str) -> Result<Position, StoreError>;

    /// Applies changes, all or none, and returns when they are synced.
    async fn settle(
        &self,
        tenant: &TenantKey,
        at: Timestamp,
        changes: Vec<OutsideChange>,
    ) -> Result<(), StoreError>;

    /// Errands of a queue, at most `limit` (1 to 100).
    async fn errands(
        &self,
        tenant: &TenantKey,
        queue: &str,
        which: Which,
        limit: u32,
    ) -> Result<Vec<Errand>, StoreError>;

    /// One errand.
    async fn errand(&self, tenant: &TenantKey, id: Id) -> Result<Option<Errand>, StoreError>;

    /// What waits in a queue.
    async fn waiting(&self, tenant: &TenantKey, queue: &str) -> Result<Waiting, StoreError>;

    /// Where these users take pushes, in the order of the users, oldest first.
    async fn subscriptions(
        &self,
        tenant: &TenantKey,
        users: &[UserId],
    ) -> Result<Vec<Subscription>, StoreError>;

    /// Where those take pushes who belong to a room: its kept members, and whoever's token claimed it when they were last remembered,
    /// without those who were removed. At most 10,000. Costs nearly nothing in a tenant without subscriptions.
    async fn subscribed(
        &self,
        tenant: &TenantKey,
        room: &RoomKey,
    ) -> Result<Vec<Subscription>, StoreError>;
}

/// The team's own backend, as far as it says who may join a room.
#[async_trait]
pub trait Doorman: Send + Sync {
    /// Whether it lets somebody in of whom neither token nor store say anything.
    ///
    /// Errors: `NOT_A_MEMBER` with its reason where it gave one, `UNAVAILABLE` where it did not answer. Nobody gets in by a failure.
    async fn may_join(
        &self,
        tenant: &TenantKey,
        room: &RoomKey,
        person: &Person,
    ) -> Result<bool, Error>;
}
