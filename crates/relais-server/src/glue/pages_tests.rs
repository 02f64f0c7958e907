//! What a crowd of readers costs the store, and that what one reader gets is what the store has.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use relais_core::event::{Audience, Event, EventKind, Message, NewRecord, Person, Volatile};
use relais_core::ids::{
    AudienceKey, Conversation, Epoch, Id, RoomKey, Seq, SessionId, TenantKey, Timestamp, UserId,
};
use relais_core::outside::Subscription;
use relais_core::ports::{
    self, CommitError, Committed, Fanout, Head, Interval, Member, Membership, MessageQuery, Store,
    StoredPresence, TenantStore, Transaction, UserItems, UserMessages,
};
use relais_core::vocabulary::App;
use relais_store::memory::MemoryStore;

use super::super::scopes::Scopes;
use super::*;

struct Nobody;

impl Fanout for Nobody {
    fn publish(&self, _tenant: &TenantKey, _records: &[Arc<Record>]) {}
    fn volatile(&self, _tenant: &TenantKey, _event: Volatile) {}
}

/// A store that counts how often its log is read.
struct Counting {
    inner: MemoryStore,
    reads: Arc<AtomicUsize>,
}

struct CountingTenant {
    inner: Arc<dyn TenantStore>,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl Store for Counting {
    async fn tenant(&self, key: &TenantKey) -> Result<Arc<dyn TenantStore>, StoreError> {
        let inner = self.inner.tenant(key).await?;
        let reads = self.reads.clone();
        Ok(Arc::new(CountingTenant { inner, reads }))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.inner.check().await
    }

    fn is_overloaded(&self) -> bool {
        self.inner.is_overloaded()
    }
}

type Answer<T> = Result<T, StoreError>;

#[async_trait]
impl TenantStore for CountingTenant {
    fn head(&self) -> Head {
        self.inner.head()
    }

    async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.inner.commit(transaction).await
    }

    async fn log(&self, after: Position, limit: u32) -> Answer<ports::LogPage> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.inner.log(after, limit).await
    }

    async fn trimmed(&self, rooms: &[RoomKey]) -> Answer<Position> {
        self.inner.trimmed(rooms).await
    }

    async fn messages(&self, query: &MessageQuery) -> Answer<ports::MessagePage> {
        self.inner.messages(query).await
    }

    async fn message(&self, id: Id) -> Answer<Option<Message>> {
        self.inner.message(id).await
    }

    async fn last_seq(&self, conversation: &Conversation) -> Answer<Seq> {
        self.inner.last_seq(conversation).await
    }

    async fn membership(&self, room: &RoomKey, user: &UserId) -> Answer<Membership> {
        self.inner.membership(room, user).await
    }

    async fn members(&self, room: &RoomKey) -> Answer<Vec<Member>> {
        self.inner.members(room).await
    }

    async fn rooms_of(&self, user: &UserId) -> Answer<Vec<RoomKey>> {
        self.inner.rooms_of(user).await
    }

    async fn rooms(
        &self,
        user: Option<&UserId>,
        rooms: &[RoomKey],
    ) -> Answer<Vec<ports::RoomState>> {
        self.inner.rooms(user, rooms).await
    }

    async fn people(&self, room: &RoomKey) -> Answer<Vec<ports::RoomPerson>> {
        self.inner.people(room).await
    }

    async fn person(&self, user: &UserId) -> Answer<Option<Person>> {
        self.inner.person(user).await
    }

    async fn session_rooms(&self, session: &SessionId) -> Answer<Vec<Interval>> {
        self.inner.session_rooms(session).await
    }

    async fn read_mark(&self, conversation: &Conversation, user: &UserId) -> Answer<Seq> {
        self.inner.read_mark(conversation, user).await
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

    async fn restrictions(&self) -> Answer<Vec<relais_core::restriction::Restriction>> {
        self.inner.restrictions().await
    }

    async fn inbox(&self, query: &ports::InboxQuery) -> Answer<ports::InboxPage> {
        self.inner.inbox(query).await
    }

    async fn notification(&self, user: &UserId, id: Id) -> Answer<Option<ports::Notified>> {
        self.inner.notification(user, id).await
    }

    async fn subscriptions(&self, user: &UserId) -> Answer<Vec<Subscription>> {
        self.inner.subscriptions(user).await
    }

    async fn unread_notifications(&self, user: &UserId) -> Answer<u64> {
        self.inner.unread_notifications(user).await
    }

    async fn presences(&self, since: Timestamp) -> Answer<Vec<StoredPresence>> {
        self.inner.presences(since).await
    }

    async fn item(
        &self,
        key: &relais_core::ids::ItemKey,
    ) -> Answer<Option<relais_core::event::Item>> {
        self.inner.item(key).await
    }

    async fn item_of(
        &self,
        temporary: &ports::TemporaryId,
    ) -> Answer<Option<relais_core::event::Item>> {
        self.inner.item_of(temporary).await
    }

    async fn items(&self, query: &ports::ItemQuery) -> Answer<ports::ItemPage> {
        self.inner.items(query).await
    }

    async fn items_of(&self, user: &UserId, after: Option<u64>) -> Result<UserItems, StoreError> {
        self.inner.items_of(user, after).await
    }

    async fn claimable(
        &self,
        shelf: &relais_core::ids::Shelf,
        now: Timestamp,
        limit: u32,
    ) -> Answer<Vec<relais_core::event::Item>> {
        self.inner.claimable(shelf, now, limit).await
    }
}

struct Stage {
    tenant: Arc<Tenant>,
    pages: Pages,
    reads: Arc<AtomicUsize>,
}

impl Stage {
    async fn with(records: u64) -> Self {
        let file = "name = \"app\"\ntitle = \"App\"";
        let app = Arc::new(App::parse("app.toml", file).expect("an app"));
        let scopes = Scopes::new([(app.name.clone(), app)]);
        let reads = Arc::new(AtomicUsize::new(0));
        scopes.set_store(Arc::new(Counting {
            inner: MemoryStore::new(Arc::new(Nobody), Arc::new(|| Epoch(1))),
            reads: reads.clone(),
        }));
        let tenant = scopes.load(&TenantKey::new("app", "t")).await;
        let stage = Self {
            tenant: tenant.expect("a tenant"),
            pages: Pages::default(),
            reads,
        };
        stage.commit(records).await;
        stage
    }

    async fn commit(&self, records: u64) {
        for _ in 0..records {
            let event = Event {
                durable: true,
                ..Event::new(EventKind::MemberAdded, Default::default())
            };
            let audience = Audience {
                to: vec![AudienceKey::Tenant],
                ..Audience::default()
            };
            let transaction = Transaction {
                records: vec![NewRecord { event, audience }],
                ..Transaction::default()
            };
            let committed = self.tenant.store.commit(transaction).await;
            committed.expect("committed");
        }
    }

    /// All that a reader gets who has seen up to `after`.
    async fn all(&self, mut after: u64) -> Vec<u64> {
        let mut all = Vec::new();
        loop {
            let page = self.pages.read(&self.tenant, after, 1_000).await;
            let page = page.expect("a page");
            let positions = page.deliveries.iter().filter_map(|d| d.position());
            all.extend(positions.map(|at| at.position));
            match all.last() {
                Some(last) if *last > after => after = *last,
                _ => return all,
            }
        }
    }
}

#[tokio::test]
async fn a_crowd_that_reads_the_same_reads_the_store_once_a_page() {
    let stage = Stage::with(300).await;
    let everyone = (0..500).map(|number| stage.all(number % 250));
    for (number, all) in (0..).zip(futures_util::future::join_all(everyone).await) {
        let after = number % 250;
        assert_eq!(all, (after + 1..=300).collect::<Vec<_>>());
    }
    assert_eq!(stage.reads.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_last_page_grows_with_its_log_and_keeps_what_was_encoded() {
    let stage = Stage::with(5).await;
    let first = stage
        .pages
        .read(&stage.tenant, 0, 10)
        .await
        .expect("a page");
    stage.commit(3).await;
    let more = stage
        .pages
        .read(&stage.tenant, 0, 10)
        .await
        .expect("a page");
    assert_eq!(more.deliveries.len(), 8);
    for (before, now) in first.deliveries.iter().zip(&more.deliveries) {
        assert!(Arc::ptr_eq(before, now));
    }
    let rest = stage
        .pages
        .read(&stage.tenant, 8, 10)
        .await
        .expect("a page");
    assert!(rest.deliveries.is_empty());
}

#[tokio::test]
async fn a_page_ends_where_its_reader_wants_no_more() {
    let stage = Stage::with(20).await;
    let page = stage.pages.read(&stage.tenant, 3, 2).await.expect("a page");
    let positions: Vec<_> = page
        .deliveries
        .iter()
        .filter_map(|d| d.position())
        .collect();
    let positions: Vec<_> = positions.into_iter().map(|at| at.position).collect();
    assert_eq!((positions, page.trimmed), (vec![4, 5], 3));
}

#[tokio::test]
async fn pages_that_nobody_reads_are_let_go() {
    let stage = Stage::with(5).await;
    stage.all(0).await;
    stage.pages.tidy(Instant::now());
    assert_eq!(stage.pages.held().pages.len(), 1);
    stage.pages.tidy(Instant::now() + IDLE);
    let held = stage.pages.held();
    assert_eq!((held.pages.len(), held.bytes), (0, 0));
}
