//! A tenant's store that fails, waits or changes something when a test wants it to; everything else it passes on.

use super::*;

pub struct HookedTenant {
    pub inner: Arc<dyn TenantStore>,
    pub faults: Arc<Faults>,
}

#[async_trait]
impl TenantStore for HookedTenant {
    fn head(&self) -> Head {
        self.inner.head()
    }
    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.faults.commits.fetch_add(1, Ordering::SeqCst);
        if self.faults.stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let before = self.faults.before.lock().unwrap().pop_front();
        if let Some(before) = before {
            self.inner.commit(before).await?;
        }
        let refusal = self.faults.refusals.lock().unwrap().pop_front();
        match refusal {
            Some(refusal) => Err(refusal),
            None => self.inner.commit(transaction).await,
        }
    }
    async fn log(&self, after: Position, limit: u32) -> Result<LogPage, StoreError> {
        self.inner.log(after, limit).await
    }
    async fn trimmed(&self, rooms: &[RoomKey]) -> Result<Position, StoreError> {
        self.inner.trimmed(rooms).await
    }
    async fn messages(&self, query: &MessageQuery) -> Result<MessagePage, StoreError> {
        self.inner.messages(query).await
    }
    async fn message(&self, id: Id) -> Result<Option<Message>, StoreError> {
        self.inner.message(id).await
    }
    async fn last_seq(&self, conversation: &Conversation) -> Result<Seq, StoreError> {
        self.inner.last_seq(conversation).await
    }
    async fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError> {
        self.faults.memberships.fetch_add(1, Ordering::SeqCst);
        self.inner.membership(room, user).await
    }
    async fn members(&self, room: &RoomKey) -> Result<Vec<Member>, StoreError> {
        self.inner.members(room).await
    }
    async fn rooms_of(&self, user: &UserId) -> Result<Vec<RoomKey>, StoreError> {
        self.inner.rooms_of(user).await
    }
    async fn rooms(
        &self,
        user: Option<&UserId>,
        rooms: &[RoomKey],
    ) -> Result<Vec<RoomState>, StoreError> {
        if self.faults.reads_stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.rooms(user, rooms).await
    }
    async fn people(&self, room: &RoomKey) -> Result<Vec<RoomPerson>, StoreError> {
        self.faults.people.fetch_add(1, Ordering::SeqCst);
        self.inner.people(room).await
    }
    async fn person(&self, user: &UserId) -> Result<Option<Person>, StoreError> {
        self.inner.person(user).await
    }
    async fn session_rooms(&self, session: &SessionId) -> Result<Vec<Interval>, StoreError> {
        self.inner.session_rooms(session).await
    }
    async fn read_mark(&self, place: &Conversation, user: &UserId) -> Result<Seq, StoreError> {
        self.inner.read_mark(place, user).await
    }
    async fn messages_of(
        &self,
        user: &UserId,
        after: Option<Id>,
    ) -> Result<UserMessages, StoreError> {
        self.inner.messages_of(user, after).await
    }
    async fn marks_of(&self, user: &UserId) -> Result<Vec<(Conversation, Seq)>, StoreError> {
        self.inner.marks_of(user).await
    }
    async fn restrictions(&self) -> Result<Vec<Restriction>, StoreError> {
        self.inner.restrictions().await
    }

    async fn inbox(&self, query: &InboxQuery) -> Result<InboxPage, StoreError> {
        self.inner.inbox(query).await
    }
    async fn notification(&self, user: &UserId, id: Id) -> Result<Option<Notified>, StoreError> {
        self.inner.notification(user, id).await
    }
    async fn subscriptions(&self, user: &UserId) -> Result<Vec<Subscription>, StoreError> {
        self.inner.subscriptions(user).await
    }
    async fn unread_notifications(&self, user: &UserId) -> Result<u64, StoreError> {
        self.inner.unread_notifications(user).await
    }
    async fn presences(&self, since: Timestamp) -> Result<Vec<StoredPresence>, StoreError> {
        self.inner.presences(since).await
    }
    async fn item(&self, key: &ItemKey) -> Result<Option<Item>, StoreError> {
        self.inner.item(key).await
    }
    async fn item_of(&self, temporary: &TemporaryId) -> Result<Option<Item>, StoreError> {
        self.inner.item_of(temporary).await
    }
    async fn items(&self, query: &ItemQuery) -> Result<ItemPage, StoreError> {
        self.inner.items(query).await
    }
    async fn items_of(&self, user: &UserId, after: Option<u64>) -> Result<UserItems, StoreError> {
        self.inner.items_of(user, after).await
    }

    async fn claimable(
        &self,
        shelf: &Shelf,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Item>, StoreError> {
        self.inner.claimable(shelf, now, limit).await
    }
}
