//! One tenant's handle: commands go to the writer, questions to memory or to the readers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use async_trait::async_trait;
use relais_core::event::{Item, Message, Person};
use relais_core::ids::{
    Conversation, Id, ItemKey, Position, RoomKey, Seq, SessionId, Shelf, Timestamp, UserId,
};
use relais_core::outside::Subscription;
use relais_core::ports::{
    CommitError, Committed, Head, InboxPage, InboxQuery, Interval, ItemPage, ItemQuery, LogPage,
    Member, Membership, MessagePage, MessageQuery, Notified, RoomPerson, RoomState, StoreError,
    StoredPresence, TemporaryId, TenantStore, Transaction, UserItems, UserMessages,
};
use relais_core::restriction::Restriction;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Inner;
use super::fault::closed;
use super::heads::TenantLog;
use super::pace;
use super::rows::Prepared;
use super::writer::{Commit, Job};
use super::{inbox, items, outside};
use super::{query, rooms};

/// The handle; cheap, one for a tenant.
pub(super) struct SqliteTenant {
    pub(super) inner: Arc<Inner>,
    pub(super) log: Arc<TenantLog>,
}

impl SqliteTenant {
    /// Queues a transaction, or refuses it when more waits than the store takes on.
    fn enqueue(
        &self,
        transaction: Transaction,
    ) -> Result<oneshot::Receiver<Result<Committed, CommitError>>, StoreError> {
        // Before anything is made of it: what is refused should cost next to nothing.
        if !self.inner.lets_in() && !self.inner.queue.is_closed() {
            metrics::counter!("relais_store_overloaded_total").increment(1);
            return Err(StoreError::Overloaded);
        }
        let prepared = Prepared::new(transaction)?;
        let bytes = prepared.bytes();
        let queued = &self.inner.shared.queued_bytes;
        let before = queued.fetch_add(bytes, Ordering::Relaxed);
        let refuse = |error| {
            queued.fetch_sub(bytes, Ordering::Relaxed);
            metrics::counter!("relais_store_overloaded_total").increment(1);
            error
        };
        // A single transaction always fits, however large it is.
        if before > 0 && before + bytes > self.inner.queue_bytes_max {
            return Err(refuse(StoreError::Overloaded));
        }
        let (reply, answer) = oneshot::channel();
        let is_patient = pace::is_patient(&prepared.transaction);
        let commit = Commit {
            tenant: self.log.clone(),
            prepared,
            bytes,
            is_patient,
            queued_at: Instant::now(),
            reply,
        };
        use tokio::sync::mpsc::error::TrySendError;
        let pace = &self.inner.shared.pace;
        if !is_patient {
            pace.hurry();
        }
        let sent = self.inner.queue.try_send(Job::Commit(commit));
        match (is_patient, sent.is_ok()) {
            (true, _) => {}
            (false, true) => pace.wake(),
            (false, false) => pace.taken(1),
        }
        match sent {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(refuse(StoreError::Overloaded)),
            Err(TrySendError::Closed(_)) => Err(refuse(closed())),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tenant = self.log.id;
        let ask = self
            .inner
            .readers
            .ask(move |connection| question(connection, tenant));
        ask.await
    }
}

#[async_trait]
impl TenantStore for SqliteTenant {
    fn head(&self) -> Head {
        self.log.head()
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        let answer = self.enqueue(transaction)?;
        answer.await.map_err(|_| closed())?
    }

    async fn log(&self, after: Position, limit: u32) -> Result<LogPage, StoreError> {
        let limit = crate::log_limit(limit);
        let recents = &self.inner.shared.recents;
        let records = match recents.page(self.log.id, after, limit) {
            Some(records) => records,
            None => {
                metrics::counter!("relais_store_log_pages_read_total").increment(1);
                let log = self.log.clone();
                let page = self.ask(move |connection, tenant| {
                    let log = (tenant, &log.key, log.epoch);
                    query::log(connection, log, after, limit, crate::LOG_PAGE_BYTES_MAX)
                });
                page.await?.into_iter().map(|(record, _)| record).collect()
            }
        };
        // Read last: what was trimmed while the page was read must not go unsaid.
        Ok(crate::log_page(after, records, self.log.trimmed()))
    }

    async fn trimmed(&self, rooms: &[RoomKey]) -> Result<Position, StoreError> {
        if self.log.trimmed() == Position(0) {
            return Ok(Position(0));
        }
        let rooms = rooms.to_vec();
        self.ask(move |connection, tenant| query::trimmed(connection, tenant, &rooms))
            .await
    }

    async fn messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        let query = query.clone();
        self.ask(move |connection, tenant| query::messages(connection, tenant, &query))
            .await
    }

    async fn message(&self, id: Id) -> Result<Option<Message>, StoreError> {
        self.ask(move |connection, tenant| query::message(connection, tenant, id))
            .await
    }

    async fn last_seq(&self, conversation: &Conversation) -> Result<Seq, StoreError> {
        let conversation = conversation.clone();
        self.ask(move |connection, tenant| query::last_seq(connection, tenant, &conversation))
            .await
    }

    async fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError> {
        let (room, user) = (room.clone(), user.clone());
        self.ask(move |connection, tenant| query::membership(connection, tenant, &room, &user))
            .await
    }

    async fn members(&self, room: &RoomKey) -> Result<Vec<Member>, StoreError> {
        let room = room.clone();
        self.ask(move |connection, tenant| query::members(connection, tenant, &room))
            .await
    }

    async fn rooms_of(&self, user: &UserId) -> Result<Vec<RoomKey>, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| query::rooms_of(connection, tenant, &user))
            .await
    }

    async fn rooms(
        &self,
        user: Option<&UserId>,
        rooms: &[RoomKey],
    ) -> Result<Vec<RoomState>, StoreError> {
        let (user, rooms) = (user.cloned(), rooms.to_vec());
        self.ask(move |connection, tenant| rooms::states(connection, tenant, user.as_ref(), &rooms))
            .await
    }

    async fn people(&self, room: &RoomKey) -> Result<Vec<RoomPerson>, StoreError> {
        let room = room.clone();
        self.ask(move |connection, tenant| rooms::people(connection, tenant, &room))
            .await
    }

    async fn person(&self, user: &UserId) -> Result<Option<Person>, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| rooms::person(connection, tenant, &user))
            .await
    }

    async fn session_rooms(&self, session: &SessionId) -> Result<Vec<Interval>, StoreError> {
        let session = session.clone();
        self.ask(move |connection, tenant| query::session_rooms(connection, tenant, &session))
            .await
    }

    async fn read_mark(
        &self,
        conversation: &Conversation,
        user: &UserId,
    ) -> Result<Seq, StoreError> {
        let (conversation, user) = (conversation.clone(), user.clone());
        self.ask(move |connection, tenant| {
            query::read_mark(connection, tenant, &conversation, &user)
        })
        .await
    }

    async fn inbox(&self, query: &InboxQuery) -> Result<InboxPage, StoreError> {
        let query = query.clone();
        self.ask(move |connection, tenant| inbox::page(connection, tenant, &query))
            .await
    }

    async fn notification(&self, user: &UserId, id: Id) -> Result<Option<Notified>, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| inbox::notification(connection, tenant, &user, id))
            .await
    }

    async fn subscriptions(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError> {
        let users = vec![user.clone()];
        self.ask(move |connection, tenant| outside::subscriptions(connection, tenant, &users))
            .await
    }

    async fn unread_notifications(&self, user: &UserId) -> Result<u64, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| inbox::unread(connection, tenant, &user))
            .await
    }

    async fn presence(&self, user: &UserId) -> Result<Option<StoredPresence>, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| query::presence(connection, tenant, &user))
            .await
    }

    async fn messages_of(
        &self,
        user: &UserId,
        after: Option<Id>,
    ) -> Result<UserMessages, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| query::messages_of(connection, tenant, &user, after))
            .await
    }

    async fn marks_of(&self, user: &UserId) -> Result<Vec<(Conversation, Seq)>, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| query::marks_of(connection, tenant, &user))
            .await
    }

    async fn restrictions(&self) -> Result<Vec<Restriction>, StoreError> {
        self.ask(query::restrictions).await
    }

    async fn presences(&self, since: Timestamp) -> Result<Vec<StoredPresence>, StoreError> {
        self.ask(move |connection, tenant| query::presences(connection, tenant, since))
            .await
    }

    async fn item(&self, key: &ItemKey) -> Result<Option<Item>, StoreError> {
        let key = key.clone();
        self.ask(move |connection, tenant| items::item(connection, tenant, &key))
            .await
    }

    async fn item_of(&self, temporary: &TemporaryId) -> Result<Option<Item>, StoreError> {
        let temporary = temporary.clone();
        self.ask(move |connection, tenant| items::of(connection, tenant, &temporary))
            .await
    }

    async fn items(&self, query: &ItemQuery) -> Result<ItemPage, StoreError> {
        let query = query.clone();
        self.ask(move |connection, tenant| items::page(connection, tenant, &query))
            .await
    }

    async fn items_of(&self, user: &UserId, after: Option<u64>) -> Result<UserItems, StoreError> {
        let user = user.clone();
        self.ask(move |connection, tenant| items::of_user(connection, tenant, &user, after))
            .await
    }

    async fn claimable(
        &self,
        shelf: &Shelf,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        let shelf = shelf.clone();
        self.ask(move |connection, tenant| items::claimable(connection, tenant, &shelf, now, limit))
            .await
    }
}
