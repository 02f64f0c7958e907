//! The fanout contract, held by the server's own hub: [`Hub`] over an engine with two shards, [`Scopes`] as its log, a store in
//! memory, and Socket.IO clients on loopback.
//!
//! The suite runs on paused time, the engine and the clients on a runtime of their own in real time. To advance is to wait until
//! every shard has applied what is committed, but no longer than the suite allows, and then until every client has read a volatile
//! event that was published behind everything else: what comes twice or late has come by then too.

#[path = "../../../relais-engine/tests/harness/client.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod client;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use relais_core::event::{Audience, Event, EventKind, Facts, Volatile};
use relais_core::ids::{AudienceKey, Epoch, Position, RoomKey, SessionId, TenantKey, Timestamp};
use relais_core::ports::{Fanout, Sessions as _, Store};
use relais_core::vocabulary::App;
use relais_engine::{
    Accept, AcceptLimits, CloseCode, Connect, EngineHandle, Flow, Listener, LocalFuture, Log as _,
    Offset, Refuse, Service, Settings, Sid, Socket, serve_endpoints,
};
use relais_store::memory::MemoryStore;
use relais_testkit::contract::fanout::{self, FanoutHarness, faults};
use serde_json::{Value, json};

use super::ports::Hub;
use super::rooms;
use super::scopes::Scopes;
use client::Client;

relais_testkit::fanout_contract!(Server::with_checks_each(Duration::from_millis(20)));

/// C6, with the interval that the server ships: nothing shows the loss but the head of the log.
#[tokio::test(start_paused = true)]
async fn with_default_settings_a_loss_that_nothing_shows_is_filled_within_two_seconds() {
    let server = Server::with_checks_each(Settings::default().head_check_interval);
    faults::a_lost_record_with_nothing_behind_it_is_found_in_time(&server).await;
}

/// An app whose records and ticks have wire events; the file form, because that is what the hub renders by.
const APP: &str = r#"
name = "app"
title = "What the contract commits"

[identity]
user = ["sub"]
tenant = ["tenant"]

[presence]
statuses = ["online"]
audience = "tenant"

[rooms.place]
name = "{id}"
join = ["open"]

[server.record]
on = "relay.sent"
data = { position = "position" }

[server.tick]
on = "presence.changed"
data = { number = "customStatus" }
"#;

struct Server {
    head_check_interval: Duration,
}

impl Server {
    fn with_checks_each(head_check_interval: Duration) -> Self {
        Self {
            head_check_interval,
        }
    }
}

#[async_trait]
impl FanoutHarness for Server {
    async fn store(&self, fanout: Arc<dyn Fanout>) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new(fanout, Arc::new(|| Epoch(1))))
    }

    async fn hub(&self, store: Arc<dyn Store>) -> Box<dyn fanout::Hub> {
        let interval = self.head_check_interval;
        in_real_time(async move { Box::new(Stage::start(store, interval).await) as _ }).await
    }
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let built = builder.worker_threads(2).enable_all().build();
        built.expect("a runtime")
    })
}

async fn in_real_time<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    runtime()
        .spawn(work)
        .await
        .expect("the work does not panic")
}

/// Lets in whoever names a tenant, a session and rooms, as the admission does after its proofs.
struct Doorman(Arc<Scopes>);

impl Service for Doorman {
    type Data = ();

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<()>, Refuse>> {
        let scopes = self.0.clone();
        Box::pin(async move {
            let auth: Value = serde_json::from_slice(&connect.auth.unwrap_or_default())
                .map_err(|_| Refuse::invalid_namespace())?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = TenantKey::new("app", text(&auth["tenant"]));
            let tenant = scopes.load(&key).await;
            let tenant = tenant.map_err(|_| Refuse::CloseTransport(CloseCode::INTERNAL_ERROR))?;
            let mut accept = Accept::fresh(tenant.scope, ());
            accept.sid = Some(Sid::from(text(&auth["session"]).as_str()));
            accept.recovery = true;
            accept.rooms = vec![rooms::tenant()];
            for room in auth["rooms"].as_array().into_iter().flatten() {
                accept
                    .rooms
                    .push(rooms::room(&RoomKey::new("room", text(room))));
            }
            Ok(accept)
        })
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        socket.emit("connected", b"");
    }

    fn event(self: &Arc<Self>, _: &Socket<Self>, _: relais_engine::Event<'_>) -> Flow {
        Flow::Done
    }
}

/// A client, and what it was given.
struct Subscriber {
    client: Client,
    seen: Vec<Position>,
}

impl Subscriber {
    /// Reads up to a tick.
    async fn read_up_to(&mut self, tick: u64) {
        let tick = Value::from(tick.to_string());
        loop {
            let text = self.client.text().await;
            let packet = text.strip_prefix("42").expect("an event");
            let (name, data, offset): (String, Value, String) =
                serde_json::from_str(packet).expect("a name, data and an offset");
            let offset = Offset::parse(&offset).expect("an offset");
            if name == "record" {
                assert_eq!(data["position"], offset.position, "data and offset agree");
                self.seen.push(Position(offset.position));
            } else if data["number"] == tick {
                return;
            }
        }
    }
}

type Subscribers = BTreeMap<(TenantKey, SessionId), Subscriber>;

/// The hub with everything around it.
struct Stage {
    hub: Arc<Hub>,
    scopes: Arc<Scopes>,
    engine: EngineHandle,
    address: SocketAddr,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    subscribers: Arc<tokio::sync::Mutex<Subscribers>>,
    ticks: std::sync::atomic::AtomicU64,
}

impl Stage {
    async fn start(store: Arc<dyn Store>, head_check_interval: Duration) -> Self {
        let app = Arc::new(App::parse("app.toml", APP).expect("the file is right"));
        let scopes = Arc::new(Scopes::new([(app.name.clone(), app)]));
        let hub = Arc::new(Hub::new(scopes.clone()));
        scopes.set_store(store);
        let settings = Settings {
            shards: 2,
            head_check_interval,
            ..Settings::default()
        };
        let doorman = Arc::new(Doorman(scopes.clone()));
        let engine = EngineHandle::start(settings, doorman, scopes.clone()).expect("an engine");
        hub.set_engine(engine.clone());
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let address = listener.local_addr();
        let (limits, never) = (AcceptLimits::default(), std::future::pending());
        let served = engine.clone();
        let serving = tokio::spawn(async move {
            serve_endpoints(served, listener, limits, never, |_| Some(0.into())).await
        });
        Self {
            hub,
            scopes,
            engine,
            address,
            serving,
            subscribers: Arc::default(),
            ticks: Default::default(),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
        let engine = self.engine.clone();
        runtime().spawn(async move { engine.stop().await });
    }
}

#[async_trait]
impl fanout::Hub for Stage {
    fn fanout(&self) -> Arc<dyn Fanout> {
        self.hub.clone()
    }

    async fn subscribe(&self, tenant: &TenantKey, session: &SessionId, rooms: &[RoomKey]) {
        let rooms: Vec<&str> = rooms.iter().map(|room| &*room.id).collect();
        let auth = json!({ "tenant": &*tenant.tenant, "session": &*session.0, "rooms": rooms });
        let (address, subscribers) = (self.address, self.subscribers.clone());
        let key = (tenant.clone(), session.clone());
        in_real_time(async move {
            let (client, _) = Client::connect(address, &auth.to_string()).await;
            let seen = Vec::new();
            let mut subscribers = subscribers.lock().await;
            subscribers.insert(key, Subscriber { client, seen });
        })
        .await;
    }

    async fn leave(
        &self,
        tenant: &TenantKey,
        session: &SessionId,
        room: &RoomKey,
        until: Position,
    ) {
        self.hub.leave(tenant, session, room, until).await;
    }

    async fn observed(&self, tenant: &TenantKey, session: &SessionId) -> Vec<Position> {
        let subscribers = self.subscribers.lock().await;
        subscribers[&(tenant.clone(), session.clone())].seen.clone()
    }

    async fn advance(&self, time: Duration) {
        let tick = 1 + self
            .ticks
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (hub, scopes, engine) = (self.hub.clone(), self.scopes.clone(), self.engine.clone());
        let subscribers = self.subscribers.clone();
        in_real_time(async move {
            let mut subscribers = subscribers.lock().await;
            let mut tenants: Vec<_> = subscribers.keys().map(|(key, _)| key.clone()).collect();
            tenants.dedup();
            let deadline = Instant::now() + time;
            for key in &tenants {
                let scope = scopes.find(key).expect("it has a session").scope;
                let head = scopes.head(scope).map(|head| head.position);
                while engine.applied(scope).await != head && Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                hub.volatile(key, tick_event(tick));
            }
            for subscriber in subscribers.values_mut() {
                subscriber.read_up_to(tick).await;
            }
        })
        .await;
    }
}

/// Something for everybody that is in no log.
fn tick_event(number: u64) -> Volatile {
    let mut body = Facts::new();
    body.insert("customStatus".to_owned(), number.to_string().into());
    let event = Event {
        audience: Some(Audience {
            to: vec![AudienceKey::Tenant],
            ..Audience::default()
        }),
        ..Event::new(EventKind::PresenceChanged, body)
    };
    Volatile {
        at: Timestamp(0),
        event,
    }
}
