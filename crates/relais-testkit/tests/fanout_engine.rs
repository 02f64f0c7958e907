//! The fanout contract, held by the engine: shards, sockets on loopback, the store in memory behind its log.
//!
//! The suite runs on paused time and the engine on a runtime of its own, in real time: to advance is to wait until every shard has
//! applied what is committed, and every client has what was written to it.

#![expect(clippy::unwrap_used, reason = "a harness for tests")]

#[path = "../../relais-engine/tests/harness/client.rs"]
#[allow(dead_code)]
mod client;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use client::Client;
use relais_core::event::{Record, Volatile};
use relais_core::ids::{AudienceKey, Epoch, Position, RoomKey, SessionId, TenantKey};
use relais_core::ports::{Fanout, Store, TenantStore};
use relais_engine as engine;
use relais_engine::{
    Accept, AcceptLimits, Connect, Delivery, EngineHandle, Event, Flow, LocalFuture, Log, LogError,
    LogPage, OutEvent, Publication, Refuse, Reply, Room, Scope, Service, Settings, Sid, Socket,
};
use relais_store::memory::MemoryStore;
use relais_testkit::contract::fanout::{FanoutHarness, Hub};
use serde::Deserialize;

relais_testkit::fanout_contract!(Engine);

struct Engine;

#[async_trait]
impl FanoutHarness for Engine {
    async fn store(&self, fanout: Arc<dyn Fanout>) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new(fanout, Arc::new(|| Epoch(1))))
    }

    async fn hub(&self, store: Arc<dyn Store>) -> Box<dyn Hub> {
        on_engine(async move { Box::new(EngineHub::start(store).await) as Box<dyn Hub> }).await
    }
}

/// Runs on the engine's runtime, whose clock is not paused.
async fn on_engine<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    });
    runtime.spawn(work).await.unwrap()
}

/// Scopes of the engine and the tenants that they stand for.
struct Tenants {
    store: Arc<dyn Store>,
    known: Mutex<Vec<(TenantKey, Arc<dyn TenantStore>)>>,
}

impl Tenants {
    async fn scope(&self, key: &TenantKey) -> Scope {
        let log = self.store.tenant(key).await.unwrap();
        let mut known = self.known.lock().unwrap();
        let at = known.iter().position(|(tenant, _)| tenant == key);
        let at = at.unwrap_or_else(|| {
            known.push((key.clone(), log));
            known.len() - 1
        });
        Scope(u32::try_from(at).unwrap())
    }

    fn scope_if_known(&self, key: &TenantKey) -> Option<Scope> {
        let known = self.known.lock().unwrap();
        let at = known.iter().position(|(tenant, _)| tenant == key)?;
        u32::try_from(at).ok().map(Scope)
    }

    fn log(&self, scope: Scope) -> Option<Arc<dyn TenantStore>> {
        let known = self.known.lock().unwrap();
        known.get(scope.0 as usize).map(|(_, log)| Arc::clone(log))
    }

    fn scopes(&self) -> Vec<Scope> {
        let known = self.known.lock().unwrap().len();
        (0..u32::try_from(known).unwrap()).map(Scope).collect()
    }
}

#[async_trait]
impl Log for Tenants {
    fn head(&self, scope: Scope) -> Option<engine::Position> {
        let head = self.log(scope)?.head();
        Some(engine::Position {
            epoch: head.epoch.0,
            position: head.position.0,
        })
    }

    async fn read(&self, scope: Scope, after: u64, limit: u32) -> Result<LogPage, LogError> {
        let failed = |reason: String| LogError { reason };
        let log = self
            .log(scope)
            .ok_or_else(|| failed("unknown".to_owned()))?;
        let page = log.log(Position(after), limit).await;
        let page = page.map_err(|error| failed(error.to_string()))?;
        Ok(LogPage {
            deliveries: page.records.iter().map(|r| delivery(scope, r)).collect(),
            trimmed: page.trimmed.0,
        })
    }
}

/// A record as one wire event without arguments: its position comes as the offset.
struct Rendered(OnceLock<Vec<OutEvent>>, Arc<Record>);

impl Publication for Rendered {
    fn events(&self) -> &[OutEvent] {
        self.0.get_or_init(|| {
            let mut event = OutEvent::to_room(Room::from(""), "record", "");
            event.to = self.1.audience.to.iter().map(room_of).collect();
            vec![event]
        })
    }
}

fn room_of(key: &AudienceKey) -> Room {
    Room::from(format!("{key:?}").as_str())
}

fn delivery(scope: Scope, record: &Arc<Record>) -> Arc<Delivery> {
    let position = engine::Position {
        epoch: record.epoch.0,
        position: record.position.0,
    };
    let rendered = Rendered(OnceLock::new(), Arc::clone(record));
    Arc::new(Delivery::durable(scope, position, Arc::new(rendered)))
}

struct Publisher {
    engine: EngineHandle,
    tenants: Arc<Tenants>,
}

impl Fanout for Publisher {
    fn publish(&self, tenant: &TenantKey, records: &[Arc<Record>]) {
        // A tenant without sessions needs no publication.
        if let Some(scope) = self.tenants.scope_if_known(tenant) {
            for record in records {
                self.engine.publish(delivery(scope, record));
            }
        }
    }

    fn volatile(&self, _tenant: &TenantKey, _event: Volatile) {}
}

/// Lets in whoever names a session, a scope and rooms.
struct Doorman;

#[derive(Deserialize)]
struct Auth {
    session: String,
    scope: u32,
    rooms: Vec<String>,
}

impl Service for Doorman {
    type Data = ();

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<()>, Refuse>> {
        Box::pin(async move {
            let auth: Auth = serde_json::from_slice(&connect.auth.unwrap()).unwrap();
            let mut accept = Accept::fresh(Scope(auth.scope), ());
            accept.sid = Some(Sid::from(auth.session.as_str()));
            accept.rooms = auth.rooms.iter().map(|r| Room::from(r.as_str())).collect();
            accept.recovery = true;
            Ok(accept)
        })
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        socket.emit("connected", b"");
    }

    fn event(self: &Arc<Self>, _socket: &Socket<Self>, event: Event<'_>) -> Flow {
        Flow::Reply(Reply::json(event.args.to_owned()))
    }
}

type Clients = HashMap<(Scope, String), (Client, Vec<Position>)>;

struct EngineHub {
    engine: EngineHandle,
    address: SocketAddr,
    tenants: Arc<Tenants>,
    clients: Arc<tokio::sync::Mutex<Clients>>,
}

impl EngineHub {
    async fn start(store: Arc<dyn Store>) -> Self {
        let tenants = Arc::new(Tenants {
            store,
            known: Mutex::default(),
        });
        let settings = Settings {
            shards: 2,
            head_check_interval: Duration::from_millis(10),
            ..Settings::default()
        };
        let log = Arc::clone(&tenants);
        let engine = EngineHandle::start(settings, Arc::new(Doorman), log).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handle = engine.clone();
        let forever = std::future::pending();
        tokio::spawn(engine::serve(
            listener,
            AcceptLimits::default(),
            forever,
            move |request, peer| {
                let engine = handle.clone();
                async move { engine.handle(request, 0, peer).await }
            },
        ));
        Self {
            engine,
            address,
            tenants,
            clients: Arc::default(),
        }
    }
}

impl Drop for EngineHub {
    fn drop(&mut self) {
        let engine = self.engine.clone();
        drop(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(engine.stop());
        }));
    }
}

#[async_trait]
impl Hub for EngineHub {
    fn fanout(&self) -> Arc<dyn Fanout> {
        Arc::new(Publisher {
            engine: self.engine.clone(),
            tenants: Arc::clone(&self.tenants),
        })
    }

    async fn subscribe(&self, tenant: &TenantKey, session: &SessionId, rooms: &[RoomKey]) {
        let scope = self.tenants.scope(tenant).await;
        let name = format!("{session:?}");
        let rooms = rooms.iter().map(|room| {
            let room = AudienceKey::Room(room.clone());
            format!("{room:?}")
        });
        let auth = serde_json::json!({
            "session": name, "scope": scope.0, "rooms": rooms.collect::<Vec<_>>(),
        });
        let (address, clients) = (self.address, Arc::clone(&self.clients));
        on_engine(async move {
            let (client, _) = Client::connect(address, &auth.to_string()).await;
            clients
                .lock()
                .await
                .insert((scope, name), (client, Vec::new()));
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
        let scope = self.tenants.scope(tenant).await;
        let sid = Sid::from(format!("{session:?}").as_str());
        let room = room_of(&AudienceKey::Room(room.clone()));
        self.engine.leave(scope, &sid, &room, Some(until.0)).await;
    }

    async fn observed(&self, tenant: &TenantKey, session: &SessionId) -> Vec<Position> {
        let key = (self.tenants.scope(tenant).await, format!("{session:?}"));
        self.clients.lock().await[&key].1.clone()
    }

    async fn advance(&self, _time: Duration) {
        let (engine, tenants) = (self.engine.clone(), Arc::clone(&self.tenants));
        let clients = Arc::clone(&self.clients);
        on_engine(async move {
            for scope in tenants.scopes() {
                let head = tenants.head(scope).map(|head| head.position);
                while engine
                    .applied(scope)
                    .await
                    .is_some_and(|at| Some(at) != head)
                {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            for (client, seen) in clients.lock().await.values_mut() {
                let texts = client.settled().await;
                seen.extend(texts.iter().filter_map(|text| position_of(text)));
            }
        })
        .await;
    }
}

/// `42["record","1.7.0"]` is position 7.
fn position_of(text: &str) -> Option<Position> {
    let offset = text
        .strip_prefix(r#"42["record",""#)?
        .strip_suffix(r#""]"#)?;
    engine::Offset::parse(offset).map(|offset| Position(offset.position))
}
