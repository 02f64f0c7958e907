//! What is kept in memory for the world outside: cursors, errands, subscriptions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use relais_core::ids::{Id, Position, RoomKey, TenantKey, Timestamp, UserId};
use relais_core::outside::{
    DEAD_MAX, Errand, OutsideChange, SUBSCRIBED_MAX, SUBSCRIPTIONS_MAX, Subscription, Waiting,
    Which,
};
use relais_core::ports::{Membership, Outside, StoreError, TenantStore as _};

use super::{MemoryStore, held};

/// Of one tenant.
#[derive(Default)]
pub(super) struct Kept {
    cursors: HashMap<Arc<str>, Position>,
    errands: BTreeMap<Id, Errand>,
    /// Oldest first.
    subscriptions: Vec<Subscription>,
}

impl Kept {
    pub(super) fn apply(&mut self, change: OutsideChange) {
        match change {
            OutsideChange::Follow { follower, position } => {
                let cursor = self.cursors.entry(follower).or_default();
                *cursor = (*cursor).max(position);
            }
            OutsideChange::Park(errand) => {
                let (queue, is_dead) = (errand.queue.clone(), errand.is_dead);
                self.errands.insert(errand.id, errand);
                if is_dead {
                    self.bury(&queue);
                }
            }
            OutsideChange::Finish(id) => {
                self.errands.remove(&id);
            }
            OutsideChange::Subscribe(mut new) => {
                let same = |kept: &Subscription| kept.endpoint == new.endpoint;
                if let Some(index) = self.subscriptions.iter().position(same) {
                    new.replace(self.subscriptions.remove(index));
                }
                let user = new.user.clone();
                self.subscriptions.push(new);
                let theirs = |kept: &&Subscription| kept.user == user;
                if self.subscriptions.iter().filter(theirs).count() > SUBSCRIPTIONS_MAX {
                    let oldest = self.subscriptions.iter().position(|kept| kept.user == user);
                    oldest.map(|index| self.subscriptions.remove(index));
                }
            }
            OutsideChange::Unsubscribe { user, endpoint } => self
                .subscriptions
                .retain(|kept| kept.user != user || kept.endpoint != endpoint),
            OutsideChange::Show {
                user,
                endpoint,
                shown,
            } => self.change(&user, &endpoint, |kept| kept.show(shown)),
            OutsideChange::Hide {
                user,
                endpoint,
                tag,
            } => self.change(&user, &endpoint, |kept| kept.hide(&tag)),
        }
    }

    fn change(&mut self, user: &UserId, endpoint: &str, change: impl FnOnce(&mut Subscription)) {
        let theirs = |kept: &&mut Subscription| kept.user == *user && *kept.endpoint == *endpoint;
        if let Some(kept) = self.subscriptions.iter_mut().find(theirs) {
            change(kept);
        }
    }

    /// Of these users, in their order.
    pub(super) fn subscriptions(&self, users: &[UserId]) -> Vec<Subscription> {
        let of = |user: &UserId| {
            let user = user.clone();
            let all = self.subscriptions.iter();
            all.filter(move |kept| kept.user == user).cloned()
        };
        users.iter().flat_map(of).collect()
    }

    pub(super) fn erase_user(&mut self, user: &UserId) {
        self.subscriptions.retain(|kept| kept.user != *user);
    }

    /// Lets go of the oldest dead ones when there are too many.
    fn bury(&mut self, queue: &str) {
        let dead = self.of(queue, true).map(|errand| errand.id);
        let dead: Vec<Id> = dead.collect();
        let gone = dead.len().saturating_sub(DEAD_MAX);
        for id in &dead[..gone] {
            self.errands.remove(id);
        }
    }

    fn of(&self, queue: &str, is_dead: bool) -> impl DoubleEndedIterator<Item = &Errand> {
        self.errands
            .values()
            .filter(move |errand| *errand.queue == *queue && errand.is_dead == is_dead)
    }

    fn errands(&self, queue: &str, which: Which, limit: usize) -> Vec<Errand> {
        let mut found: Vec<Errand> = match which {
            Which::Due(by) => {
                let due = self.of(queue, false).filter(|errand| errand.due_at <= by);
                let mut due: Vec<_> = due.cloned().collect();
                due.sort_by_key(|errand| (errand.due_at, errand.id));
                due
            }
            Which::Dead { before } => {
                let dead = self.of(queue, true).rev();
                dead.filter(|errand| before.is_none_or(|before| errand.id < before))
                    .cloned()
                    .collect()
            }
        };
        found.truncate(limit);
        found
    }
}

#[async_trait]
impl Outside for MemoryStore {
    async fn follow(&self, app: &str, follower: &str) -> Result<Vec<TenantKey>, StoreError> {
        let is_new = held(&self.followers).insert((app.into(), follower.into()));
        let tenants: Vec<_> = held(&self.tenants).clone().into_iter().collect();
        let of_app = tenants.into_iter().filter(|(key, _)| *key.app == *app);
        let mut behind = Vec::new();
        for (key, tenant) in of_app {
            let mut state = tenant.held();
            let position = state.head().position;
            if is_new {
                let follower = follower.into();
                state
                    .outside
                    .apply(OutsideChange::Follow { follower, position });
            }
            let cursor = state.outside.cursors.get(follower).copied();
            let waits = state.outside.of(follower, false).next().is_some();
            if waits || cursor.unwrap_or_default() < position {
                behind.push(key);
            }
        }
        Ok(behind)
    }

    async fn cursor(&self, tenant: &TenantKey, follower: &str) -> Result<Position, StoreError> {
        let tenant = self.handle(tenant);
        let cursor = tenant.held().outside.cursors.get(follower).copied();
        Ok(cursor.unwrap_or_default())
    }

    async fn settle(
        &self,
        tenant: &TenantKey,
        at: Timestamp,
        changes: Vec<OutsideChange>,
    ) -> Result<(), StoreError> {
        let transaction = crate::outside(at, changes);
        crate::settled(self.handle(tenant).commit(transaction).await)
    }

    async fn errands(
        &self,
        tenant: &TenantKey,
        queue: &str,
        which: Which,
        limit: u32,
    ) -> Result<Vec<Errand>, StoreError> {
        let limit = crate::page_limit(limit);
        let tenant = self.handle(tenant);
        let found = tenant.held().outside.errands(queue, which, limit);
        Ok(found)
    }

    async fn errand(&self, tenant: &TenantKey, id: Id) -> Result<Option<Errand>, StoreError> {
        let tenant = self.handle(tenant);
        let found = tenant.held().outside.errands.get(&id).cloned();
        Ok(found)
    }

    async fn waiting(&self, tenant: &TenantKey, queue: &str) -> Result<Waiting, StoreError> {
        let tenant = self.handle(tenant);
        let state = tenant.held();
        Ok(Waiting {
            count: state.outside.of(queue, false).count() as u64,
            next: state.outside.of(queue, false).map(|one| one.due_at).min(),
        })
    }

    async fn subscriptions(
        &self,
        tenant: &TenantKey,
        users: &[UserId],
    ) -> Result<Vec<Subscription>, StoreError> {
        let tenant = self.handle(tenant);
        let found = tenant.held().outside.subscriptions(users);
        Ok(found)
    }

    async fn subscribed(
        &self,
        tenant: &TenantKey,
        room: &RoomKey,
    ) -> Result<Vec<Subscription>, StoreError> {
        let tenant = self.handle(tenant);
        let people = tenant.people(room).await?;
        let belongs = people
            .into_iter()
            .filter(|one| one.membership != Membership::Removed);
        let users: Vec<UserId> = belongs.map(|one| one.person.id).collect();
        let mut found = tenant.held().outside.subscriptions(&users);
        found.truncate(SUBSCRIBED_MAX);
        Ok(found)
    }
}
