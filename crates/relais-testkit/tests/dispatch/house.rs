//! A whole core on a store in memory, a hub that only remembers, and a clock that is turned by hand.
//!
//! The store can be made to refuse, to change something right before a commit, or to keep a commit waiting.

mod hooked;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use relais_core::capability::room::{JoinPolicy, RoomPolicy};
use relais_core::capability::roster;
use relais_core::command::{Actor, Command, Identity, Invocation, Origin};
use relais_core::dispatch::{Dispatcher, Ports, Resumed, Rules};
use relais_core::error::{Code, Error};
use relais_core::event::{
    Audience, Event, EventKind, Facts, FileInfo, Item, Message, Person, Record, Volatile,
};
use relais_core::ids::*;
use relais_core::outside::Subscription;
use relais_core::ports::*;
use relais_core::restriction::{Against, Closing, Restriction};
use relais_store::memory::MemoryStore;

use hooked::HookedTenant;

pub use crate::words::*;
pub use roster::{Arrival, Contacts, Departure};

/// What went out, in order.
#[derive(Default)]
pub struct Told {
    pub records: Mutex<Vec<Arc<Record>>>,
    pub volatile: Mutex<Vec<Volatile>>,
}

impl Fanout for Told {
    fn publish(&self, _: &TenantKey, records: &[Arc<Record>]) {
        self.records.lock().unwrap().extend(records.iter().cloned());
    }
    fn volatile(&self, _: &TenantKey, event: Volatile) {
        self.volatile.lock().unwrap().push(event);
    }
}

/// The hub: who is in which room, and in which order sessions were moved.
#[derive(Default)]
pub struct Hub {
    pub rooms: Mutex<BTreeSet<(SessionId, RoomKey)>>,
    pub left_at: Mutex<Vec<(SessionId, Position)>>,
    pub closed: Mutex<Vec<Against>>,
    /// What the backend says of rooms; it does not answer for others.
    pub doors: Mutex<HashMap<RoomKey, Result<bool, Error>>>,
    /// Who was asked for there.
    pub asked: Mutex<Vec<(RoomKey, UserId)>>,
    /// Uploads, by their address.
    pub uploads: Mutex<HashMap<String, Uploaded>>,
    /// Files that were removed.
    pub forgotten: Mutex<Vec<FileInfo>>,
    /// What happens while the next session enters.
    pub meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
}

#[async_trait]
impl Sessions for Hub {
    async fn enter(&self, _: &TenantKey, session: &SessionId, room: &RoomKey) {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        let mut rooms = self.rooms.lock().unwrap();
        rooms.insert((session.clone(), room.clone()));
    }
    async fn close(&self, _: &TenantKey, whose: &Against, _: Closing) {
        self.closed.lock().unwrap().push(whose.clone());
    }
    async fn leave(&self, _: &TenantKey, session: &SessionId, room: &RoomKey, until: Position) {
        let mut rooms = self.rooms.lock().unwrap();
        rooms.remove(&(session.clone(), room.clone()));
        self.left_at.lock().unwrap().push((session.clone(), until));
    }
}

#[async_trait]
impl ItemFiles for Hub {
    async fn forget(&self, files: &[FileInfo]) {
        self.forgotten.lock().unwrap().extend_from_slice(files);
    }
    async fn address(&self, _: &TenantKey, _: &Shelf, address: &str) -> Result<Address, Error> {
        let uploads = self.uploads.lock().unwrap();
        let upload = uploads.get(address).cloned().map(Address::Upload);
        Ok(upload.unwrap_or(match address.starts_with("https://") {
            true => Address::Https,
            false => Address::Unknown,
        }))
    }
}

#[async_trait]
impl Doorman for Hub {
    async fn may_join(&self, _: &TenantKey, room: &RoomKey, who: &Person) -> Result<bool, Error> {
        let mut asked = self.asked.lock().unwrap();
        asked.push((room.clone(), who.id.clone()));
        let doors = self.doors.lock().unwrap();
        let nobody = || Err(Error::new(Code::Unavailable, "no answer"));
        doors.get(room).cloned().unwrap_or_else(nobody)
    }
}

/// An app that makes something of every event but new members.
struct Everything;

impl Audiences for Everything {
    fn audience(&self, event: &Event) -> Option<Audience> {
        (event.kind != EventKind::MemberAdded).then(Audience::default)
    }
    /// Whoever owns the story that a club is about, else the person whose name it has, hears of its new members; members hear of what is said there.
    fn notices(&self, event: &Event) -> Vec<Notice> {
        let Some(room) = event.room.clone().filter(|room| &*room.kind == "club") else {
            return Vec::new();
        };
        let to = match event.kind {
            EventKind::MemberAdded => {
                let owner = event.body.get("owner").map(|owner| &owner["id"]);
                let owner = owner.and_then(UserId::from_json);
                AudienceKey::User(owner.unwrap_or(UserId::text(room.id)))
            }
            EventKind::MessageSent => AudienceKey::Room(room),
            _ => return Vec::new(),
        };
        vec![Notice {
            kind: event.kind.name().into(),
            to: vec![to],
            title: "News".into(),
            message: "There is news".into(),
            data: None,
        }]
    }
}

/// An app that puts nothing of what is volatile on the wire.
struct NothingVolatile;

impl Audiences for NothingVolatile {
    fn audience(&self, event: &Event) -> Option<Audience> {
        Everything.audience(event)
    }
    fn tells(&self, _: EventKind) -> bool {
        false
    }
}

/// A store in memory with hooks.
pub struct Hooked {
    inner: MemoryStore,
    pub faults: Arc<Faults>,
}

/// What is to go wrong.
#[derive(Default)]
pub struct Faults {
    /// Answers of the next commits, instead of committing.
    pub refusals: Mutex<VecDeque<CommitError>>,
    /// Transactions to commit right before the next ones.
    pub before: Mutex<VecDeque<Transaction>>,
    /// Commits that were handed over.
    pub commits: AtomicU64,
    /// Reads of memberships.
    pub memberships: AtomicU64,
    /// Reads of who is known of a room.
    pub people: AtomicU64,
    /// While set, commits are handed over and do not come back.
    pub stuck: AtomicBool,
    /// While set, reads of rooms do not come back.
    pub reads_stuck: AtomicBool,
}

#[async_trait]
impl Store for Hooked {
    async fn tenant(&self, key: &TenantKey) -> Result<Arc<dyn TenantStore>, StoreError> {
        let inner = self.inner.tenant(key).await?;
        let faults = self.faults.clone();
        Ok(Arc::new(HookedTenant { inner, faults }))
    }
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
    fn is_overloaded(&self) -> bool {
        false
    }
}

/// Everything together. Room kinds: `bam` (claim, member), `club` (member, joined at once, about a story), `hall` (open), `team` (webhook), `school`
/// (claim, member; with sorts: `class`, `announcement`, `direct`). Whoever is called `teacher` is one and may announce.
pub struct House {
    pub dispatcher: Arc<Dispatcher>,
    pub told: Arc<Told>,
    pub hub: Arc<Hub>,
    pub store: Arc<Hooked>,
    pub now_ms: AtomicU64,
    ids: AtomicU64,
    contacts: Contacts,
}

pub fn tenant() -> TenantKey {
    TenantKey::new("bam", "default")
}

pub fn bam(id: &str) -> RoomKey {
    RoomKey::new("bam", id)
}

pub fn chat(id: &str) -> Conversation {
    Conversation::Room(bam(id))
}

pub fn sid(session: &str) -> SessionId {
    SessionId(session.into())
}

pub fn user(name: &str) -> UserId {
    UserId::text(name)
}

/// A room with a sort.
pub fn school(id: &str) -> RoomKey {
    RoomKey::new("school", id)
}

/// A user whose token names the BAMs 1 and 2 and the class 5b; whose name begins with `dj` is one, and `teacher` too.
pub fn identity(name: &str) -> Identity {
    Identity {
        person: Person {
            id: user(name),
            name: name.to_uppercase().into(),
            role: ["dj", "teacher"]
                .into_iter()
                .find(|role| name.starts_with(role))
                .map(Into::into),
        },
        claimed_rooms: vec![bam("1"), bam("2"), school("5b")],
        expires_at: None,
        issued_at: None,
        token_id: None,
    }
}

fn rules(contacts: Contacts) -> Rules {
    use JoinPolicy::{Claim, Member, Open, Webhook};
    let kinds = [
        ("bam", vec![Claim, Member]),
        ("club", vec![Member]),
        ("hall", vec![Open]),
        ("team", vec![Webhook]),
    ];
    let rooms = kinds.map(|(kind, join)| {
        let joins_members = kind == "club";
        let policy = RoomPolicy {
            join,
            joins_members,
            sorts: Vec::new(),
            item: (kind == "club").then(|| "story".into()),
        };
        (kind.into(), policy)
    });
    let mut rooms = HashMap::from(rooms);
    let sorts = [
        ("class", "all"),
        ("announcement", "announce"),
        ("direct", "all"),
    ];
    let school = RoomPolicy {
        join: vec![Claim, Member],
        joins_members: false,
        sorts: sorts
            .map(|(sort, takes)| (sort.into(), takes.into()))
            .into(),
        item: None,
    };
    rooms.insert("school".into(), school);
    Rules {
        items: crate::items::kinds(),
        rooms,
        roles: vec![("teacher".into(), vec!["announce".into()])],
        presence: Arc::new(roster::Rules {
            contacts,
            ..roster::Rules::default()
        }),
        ..Rules::default()
    }
}

impl House {
    pub fn new() -> Self {
        Self::with(Contacts::Rooms)
    }

    pub fn with(contacts: Contacts) -> Self {
        let told = Arc::new(Told::default());
        let store = Arc::new(Hooked {
            inner: MemoryStore::new(told.clone(), Arc::new(|| Epoch(7))),
            faults: Arc::default(),
        });
        Self::on(store, told, contacts, Arc::new(Everything))
    }

    /// With an app that tells nobody who comes and goes.
    pub fn telling_nothing() -> Self {
        let Self { store, told, .. } = Self::new();
        Self::on(store, told, Contacts::Rooms, Arc::new(NothingVolatile))
    }

    fn on(
        store: Arc<Hooked>,
        told: Arc<Told>,
        contacts: Contacts,
        audiences: Arc<dyn Audiences>,
    ) -> Self {
        let hub = Arc::new(Hub::default());
        let ports = Ports {
            store: store.clone(),
            fanout: told.clone(),
            sessions: hub.clone(),
            audiences,
            doorman: hub.clone(),
            files: hub.clone(),
        };
        Self {
            dispatcher: Arc::new(Dispatcher::new(ports, rules(contacts))),
            told,
            hub,
            store,
            now_ms: AtomicU64::new(100_000),
            ids: AtomicU64::new(1),
            contacts,
        }
    }

    /// The process is killed and starts again on the same disk: monotonic time begins anew.
    pub fn restart(self) -> Self {
        let house = Self::on(self.store, self.told, self.contacts, Arc::new(Everything));
        house.now_ms.store(1_000, Ordering::SeqCst);
        house.told.volatile.lock().unwrap().clear();
        house
    }

    pub fn now(&self) -> Moment {
        let ms = self.now_ms.load(Ordering::SeqCst);
        Moment {
            wall: Timestamp(1_700_000_000_000 + ms as i64),
            monotonic: Monotonic(ms),
        }
    }

    /// Lets time pass, with a tick at the end.
    pub fn pass(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
        self.dispatcher.tick(self.now());
    }

    pub fn arrival(&self, name: &str, session: &str) -> Arrival {
        Arrival {
            session: sid(session),
            generation: 1,
            person: identity(name).person,
            rooms: Vec::new(),
        }
    }

    pub async fn connect(&self, name: &str, session: &str) {
        let arrival = self.arrival(name, session);
        let (tenant, now) = (tenant(), self.now());
        let connected = self.dispatcher.connect(&tenant, arrival, now);
        connected.await.unwrap();
    }

    /// Connects with a token that was proved, as the server does.
    pub async fn meet(&self, name: &str, session: &str) {
        self.connect(name, session).await;
        self.dispatcher.meet(&tenant(), &identity(name));
    }

    /// From the beginning of the log.
    pub async fn resume(&self, name: &str, session: &str) -> Option<Resumed> {
        let seen = Head {
            epoch: Epoch(7),
            position: Position(0),
        };
        self.resume_from(name, session, seen).await
    }

    pub async fn resume_from(&self, name: &str, session: &str, seen: Head) -> Option<Resumed> {
        let arrival = Arrival {
            generation: 2,
            ..self.arrival(name, session)
        };
        let (tenant, identity, now) = (tenant(), identity(name), self.now());
        let dispatcher = &self.dispatcher;
        let resumed = dispatcher.resume(&tenant, arrival, &identity, seen, now);
        resumed.await.unwrap()
    }

    pub fn depart(&self, session: &str, departure: Departure) {
        let now = self.now();
        self.dispatcher
            .disconnect(&tenant(), &sid(session), 9, departure, now);
    }

    pub fn invocation(&self, actor: Actor, origin: Origin, command: Command) -> Invocation {
        let id = self.ids.fetch_add(1, Ordering::SeqCst);
        Invocation {
            tenant: tenant(),
            actor,
            origin,
            now: self.now(),
            new_id: Id(uuid::Uuid::from_u128(id.into())),
            command,
        }
    }

    /// Over a session.
    pub async fn on_session(&self, name: &str, session: &str, command: Command) -> Answer {
        let origin = Origin::Session { id: sid(session) };
        let actor = Actor::User(Arc::new(identity(name)));
        let invocation = self.invocation(actor, origin, command);
        self.dispatcher.dispatch(invocation).await
    }

    /// Over HTTP with a user's token.
    pub async fn on_http(&self, name: &str, command: Command) -> Answer {
        let actor = Actor::User(Arc::new(identity(name)));
        let invocation = self.invocation(actor, Origin::Http, command);
        self.dispatcher.dispatch(invocation).await
    }

    /// Over HTTP with the key.
    pub async fn by_key(&self, command: Command) -> Answer {
        let invocation = self.invocation(Actor::Backend, Origin::Http, command);
        self.dispatcher.dispatch(invocation).await
    }

    /// Connects and joins BAM 1.
    pub async fn enter(&self, name: &str, session: &str) {
        self.connect(name, session).await;
        let joined = self.on_session(name, session, join("1")).await;
        joined.unwrap();
    }

    pub async fn tenant_store(&self) -> Arc<dyn TenantStore> {
        self.store.inner.tenant(&tenant()).await.unwrap()
    }

    pub fn memory(&self) -> &MemoryStore {
        &self.store.inner
    }

    pub fn in_hub(&self, session: &str, room: &RoomKey) -> bool {
        let rooms = self.hub.rooms.lock().unwrap();
        rooms.contains(&(sid(session), room.clone()))
    }

    /// Volatile events since the last call, as `kind user detail`.
    pub fn heard(&self) -> Vec<String> {
        let events = std::mem::take(&mut *self.told.volatile.lock().unwrap());
        events.iter().map(|told| line(&told.event)).collect()
    }
}

pub type Answer = Result<Facts, Error>;

pub fn line(event: &Event) -> String {
    let user = event.body["userId"].as_str().unwrap();
    let detail = match event.kind {
        EventKind::RoomJoined | EventKind::RoomLeft => event.room.as_ref().unwrap().id.to_string(),
        EventKind::TypingChanged => event.body["isTyping"].to_string(),
        _ => event.body["status"].as_str().unwrap_or_default().to_owned(),
    };
    format!("{} {user} {detail}", event.kind.name())
}
