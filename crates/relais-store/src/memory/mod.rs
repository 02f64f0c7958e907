//! A store that lives in memory: complete, fast, and gone with the process. For tests and for trying things out.
//!
//! Transactions come in and are applied one at a time under a lock that is never held across an `.await`; the
//! records go to the `Fanout` before the lock is let go, so their order there is the order of commits. It keeps
//! every promise of the port except that nothing survives the process, and it is never full.

mod erase;
mod inbox;
mod items;
mod outside;
mod read;
mod state;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use relais_core::event::{Item, Message, Person};
use relais_core::ids::{
    Conversation, Id, ItemKey, Position, RoomKey, Seq, SessionId, Shelf, TenantKey, Timestamp,
    UserId,
};
use relais_core::outside::Subscription;
use relais_core::ports::{
    CommitError, Committed, Fanout, Head, InboxPage, InboxQuery, Interval, ItemPage, ItemQuery,
    LogPage, Member, Membership, MessagePage, MessageQuery, Notified, RoomPerson, RoomState, Store,
    StoreError, StoredPresence, TemporaryId, TenantStore, Transaction, UserItems, UserMessages,
};

use relais_core::restriction::Restriction;

use crate::EpochSource;
use crate::retention::{Alive, Retained, Retention};
use state::State;

/// The store; one for a whole server.
pub struct MemoryStore {
    fanout: Arc<dyn Fanout>,
    epochs: EpochSource,
    retention: Retention,
    tenants: Mutex<HashMap<TenantKey, Arc<MemoryTenant>>>,
    /// App and name of those that follow its logs.
    followers: Mutex<HashSet<(Arc<str>, Arc<str>)>>,
}

impl MemoryStore {
    /// An empty store that hands committed records to `fanout`. A tenant gets its epoch from `epochs` on first use.
    pub fn new(fanout: Arc<dyn Fanout>, epochs: EpochSource) -> Self {
        Self {
            fanout,
            epochs,
            retention: Retention::default(),
            tenants: Mutex::default(),
            followers: Mutex::default(),
        }
    }

    /// The same with other limits of retention.
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    fn handle(&self, key: &TenantKey) -> Arc<MemoryTenant> {
        let mut tenants = held(&self.tenants);
        let tenant = tenants.entry(key.clone()).or_insert_with(|| {
            Arc::new(MemoryTenant {
                fanout: self.fanout.clone(),
                state: Mutex::new(State::new(key.clone(), (self.epochs)())),
            })
        });
        tenant.clone()
    }

    /// Forgets what is older than the window or too much for its room.
    pub fn retain(&self, now: Timestamp, alive: Alive<'_>) -> Retained {
        let tenants: Vec<_> = held(&self.tenants).values().cloned().collect();
        let mut total = Retained::default();
        for tenant in tenants {
            let done = tenant.held().retain(&self.retention, now, alive);
            total.records += done.records;
            total.stays += done.stays;
        }
        total
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn tenant(&self, key: &TenantKey) -> Result<Arc<dyn TenantStore>, StoreError> {
        let tenant = self.handle(key);
        Ok(tenant)
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Never: nothing waits here.
    fn is_overloaded(&self) -> bool {
        false
    }
}

struct MemoryTenant {
    fanout: Arc<dyn Fanout>,
    state: Mutex<State>,
}

impl MemoryTenant {
    fn held(&self) -> MutexGuard<'_, State> {
        held(&self.state)
    }
}

/// A panic while a lock was held is some test's failure already; the state is whole, since changes cannot panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl TenantStore for MemoryTenant {
    fn head(&self) -> Head {
        self.held().head()
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let mut state = self.held();
        let committed = state.commit(transaction)?;
        if let Committed::Applied { records, .. } = &committed
            && !records.is_empty()
        {
            self.fanout.publish(state.tenant(), records);
        }
        Ok(committed)
    }

    async fn log(&self, after: Position, limit: u32) -> Result<LogPage, StoreError> {
        Ok(self.held().log(after, limit))
    }

    async fn trimmed(&self, rooms: &[RoomKey]) -> Result<Position, StoreError> {
        Ok(self.held().trimmed(rooms))
    }

    async fn messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        Ok(self.held().messages(query))
    }

    async fn message(&self, id: Id) -> Result<Option<Message>, StoreError> {
        Ok(self.held().message(id))
    }

    async fn last_seq(&self, conversation: &Conversation) -> Result<Seq, StoreError> {
        Ok(self.held().last_seq(conversation))
    }

    async fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError> {
        Ok(self.held().membership(room, user))
    }

    async fn members(&self, room: &RoomKey) -> Result<Vec<Member>, StoreError> {
        Ok(self.held().members(room))
    }

    async fn rooms_of(&self, user: &UserId) -> Result<Vec<RoomKey>, StoreError> {
        Ok(self.held().rooms_of(user))
    }

    async fn rooms(
        &self,
        user: Option<&UserId>,
        rooms: &[RoomKey],
    ) -> Result<Vec<RoomState>, StoreError> {
        Ok(self.held().rooms(user, rooms))
    }

    async fn people(&self, room: &RoomKey) -> Result<Vec<RoomPerson>, StoreError> {
        Ok(self.held().people(room))
    }

    async fn person(&self, user: &UserId) -> Result<Option<Person>, StoreError> {
        Ok(self.held().person(user))
    }

    async fn session_rooms(&self, session: &SessionId) -> Result<Vec<Interval>, StoreError> {
        Ok(self.held().session_rooms(session))
    }

    async fn read_mark(
        &self,
        conversation: &Conversation,
        user: &UserId,
    ) -> Result<Seq, StoreError> {
        Ok(self.held().read_mark(conversation, user))
    }

    async fn inbox(&self, query: &InboxQuery) -> Result<InboxPage, StoreError> {
        Ok(self.held().inbox(query))
    }

    async fn notification(&self, user: &UserId, id: Id) -> Result<Option<Notified>, StoreError> {
        Ok(self.held().notification(user, id))
    }

    async fn subscriptions(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError> {
        let users = std::slice::from_ref(user);
        Ok(self.held().outside.subscriptions(users))
    }

    async fn unread_notifications(&self, user: &UserId) -> Result<u64, StoreError> {
        Ok(self.held().unread_notifications(user))
    }

    async fn presence(&self, user: &UserId) -> Result<Option<StoredPresence>, StoreError> {
        Ok(self.held().presence(user))
    }

    async fn messages_of(
        &self,
        user: &UserId,
        after: Option<Id>,
    ) -> Result<UserMessages, StoreError> {
        Ok(self.held().messages_of(user, after))
    }

    async fn marks_of(&self, user: &UserId) -> Result<Vec<(Conversation, Seq)>, StoreError> {
        Ok(self.held().marks_of(user))
    }

    async fn restrictions(&self) -> Result<Vec<Restriction>, StoreError> {
        Ok(self.held().restrictions.values().cloned().collect())
    }

    async fn presences(&self, since: Timestamp) -> Result<Vec<StoredPresence>, StoreError> {
        Ok(self.held().presences(since))
    }

    async fn item(&self, key: &ItemKey) -> Result<Option<Item>, StoreError> {
        Ok(self.held().items.get(key).cloned())
    }

    async fn item_of(&self, temporary: &TemporaryId) -> Result<Option<Item>, StoreError> {
        Ok(self.held().items.of(temporary).cloned())
    }

    async fn items(&self, query: &ItemQuery) -> Result<ItemPage, StoreError> {
        Ok(self.held().items.page(query))
    }

    async fn items_of(&self, user: &UserId, after: Option<u64>) -> Result<UserItems, StoreError> {
        Ok(self.held().items.items_of(user, after))
    }

    async fn claimable(
        &self,
        shelf: &Shelf,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        Ok(self.held().items.claimable(shelf, now, limit))
    }
}
