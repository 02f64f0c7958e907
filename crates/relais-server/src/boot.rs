//! From settings to a running server, and from a stop signal to its end.
//!
//! Order of the start: app files, store (with a hub that has no engine yet), dispatchers, engine, HTTP. Order of the stop: `/readyz`
//! says no, transports are closed over the drain window, what waits is stored, the store is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use relais_core::dispatch::{Dispatcher, Ports};
use relais_core::ids::Epoch;
use relais_core::limit::{ConnectionLimiter, Rate, UserLimiter};
use relais_core::ports::{Fanout, Sessions, StoreError};
use relais_core::vocabulary::{App, CLAIMED_ROOMS_MAX, MEMBER_ROOMS_MAX};
use relais_engine::{AcceptLimits, EngineHandle, Listener, StartError};
use relais_store::retention::Retention;
use relais_store::sqlite::{OpenError, SqliteOptions, SqliteStore};
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use crate::app_files::{self, AppsError};
use crate::clock::Clock;
use crate::engines::comfy::Comfy;
use crate::engines::{Announcements, Engines, Painter};
use crate::files::{Files, SharedFiles, StorageError};
use crate::glue::apps::{Apps, Served};
use crate::glue::expiry::Expiries;
use crate::glue::ports::Hub;
use crate::glue::rules;
use crate::glue::scopes::Scopes;
use crate::glue::service::Relais;
use crate::http::{ApiKeys, BodyLimits, Landing, Peer, Web, endpoint_of, gate, router};
use crate::identity::{KeySet, Keys, PidKey};
use crate::outgoing::{Outgoing, OutgoingError};
use crate::outside;
use crate::settings::{ImageEngine, Settings, SettingsError};
use crate::upkeep::Upkeep;
use crate::{banner, demo, development, open_files};

/// Name of the development key in the data folder.
pub const DEVELOPMENT_KEY: &str = "development.key";
/// Name of the server's own key there, where tokens are proved without a shared secret.
const SERVER_KEY: &str = "server.key";

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// App files.
    #[error(transparent)]
    Apps(#[from] AppsError),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Files.
    #[error(transparent)]
    Files(#[from] StorageError),
    /// The store, once open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] StartError),
    /// Metrics.
    #[error("unable to collect metrics; {0}")]
    Metrics(#[from] BuildError),
    /// The data folder.
    #[error(
        "unable to use the data folder {path}; {reason}; another one is set with --data or RELAIS_DATA"
    )]
    Data {
        /// Which.
        path: String,
        /// Why.
        reason: io::Error,
    },
    /// The development key, or the server's own.
    #[error(
        "unable to keep a key in the data folder {path}; {reason}; another folder is set with --data or RELAIS_DATA"
    )]
    KeptKey {
        /// The data folder.
        path: String,
        /// Why.
        reason: io::Error,
    },
    /// A public key.
    #[error(
        "unable to read the public key of {of}'s tokens; it is no PEM of an RSA, P-256, P-384 or Ed25519 public key"
    )]
    PublicKey {
        /// Which app.
        of: String,
    },
    /// The settings speak of an app that is not there.
    #[error("there is no app `{name}` as in [apps.{name}]; the apps are: {known}")]
    UnknownApp {
        /// Which.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// An address that the server is to ask.
    #[error("unable to fetch a key set; {0}")]
    Outgoing(#[from] OutgoingError),
    /// What was set as the team's own backend.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its address.
    #[error("unable to use the `webhook_url` of {app}; {reason}")]
    Backend {
        /// Of which app.
        app: String,
        /// Why.
        reason: OutgoingError,
    },
    /// The address of the operator's ComfyUI.
    #[error("unable to use ComfyUI; {0}")]
    Comfy(OutgoingError),
    /// A part that must never end did.
    #[error("stopped, because a part of the server failed; see the log")]
    Upkeep,
    /// The address.
    #[error("unable to listen on {address}; {reason}; another port is set with --port or WS_PORT")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        reason: io::Error,
    },
}

/// Rooms of a session in the engine: those that the core lets it join, those that its token may name, those that it is a member of, and
/// the tenant's, its user's, its role's and its token's. The core alone refuses a room; one that only the engine refused would be silent to a client
/// that was told it is in.
fn engine_rooms_max(settings: &Settings) -> usize {
    settings.limits.session_rooms_max + CLAIMED_ROOMS_MAX + MEMBER_ROOMS_MAX + 4
}

/// Where files are found while nobody has set or asked where we are.
fn base(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("http://localhost:{}", address.port()),
        false => format!("http://{address}"),
    }
}

/// Runs until a stop signal has been carried out.
pub async fn serve(settings: Settings) -> Result<(), BootError> {
    start(settings).await?.run_to_its_end().await
}

/// A server whose parts are all up, and that answers nobody yet.
struct Running {
    settings: Settings,
    listener: Listener,
    web: Arc<Web>,
    engine: EngineHandle,
    store: Arc<SqliteStore>,
    upkeep: Upkeep,
}

impl Running {
    async fn run_to_its_end(mut self) -> Result<(), BootError> {
        let (web, settings) = (&self.web, &self.settings);
        let is_whole = run(self.listener, web, settings, &self.engine, &mut self.upkeep).await;
        self.upkeep.finish().await;
        self.engine.stop().await;
        self.store.close().await?;
        tracing::info!("stopped");
        if is_whole {
            Ok(())
        } else {
            Err(BootError::Upkeep)
        }
    }
}

/// Files that belong to nothing go, and what an engine can make is made.
fn keep_files(
    upkeep: &mut Upkeep,
    settings: &Settings,
    web: &Web,
    store: &Arc<SqliteStore>,
) -> Result<(), BootError> {
    upkeep.sweep_files(web.files.clone(), store.clone());
    let painter = match &settings.image_engine {
        ImageEngine::Embedded => Some(Painter::Embedded),
        ImageEngine::Comfy(settings) => {
            let comfy = Comfy::open(settings).map_err(BootError::Comfy)?;
            Some(Painter::Comfy(Box::new(comfy)))
        }
        ImageEngine::None => None,
    };
    if let Some(painter) = painter {
        upkeep.engines(Engines {
            painter,
            apps: web.apps.clone(),
            store: store.clone(),
            files: web.files.clone(),
            clock: web.clock,
            announcements: web.announcements.clone(),
        });
    }
    Ok(())
}

fn listen(address: SocketAddr) -> Result<Listener, BootError> {
    Listener::bind(address).map_err(|reason| BootError::Listen { address, reason })
}

async fn start(settings: Settings) -> Result<Running, BootError> {
    let clock = Clock::start();
    let apps = app_files::load(settings.apps_dir.as_deref())?;
    let apps: Vec<Arc<App>> = apps.into_iter().map(Arc::new).collect();
    let root = app_files::root(settings.app.as_deref(), &apps)?;
    let secret = secret(&settings)?;
    let listener = listen(settings.listen)?;
    let address = listener.local_addr();

    let scopes = Arc::new(Scopes::new(
        apps.iter().map(|app| (app.name.clone(), app.clone())),
    ));
    let hub = Arc::new(Hub::new(scopes.clone()));
    let store = Arc::new(open_store(&settings, hub.clone())?);
    scopes.set_store(store.clone());
    let files = open_files(&settings, &store, &secret, address, clock)?;
    scopes.set_links(files.links().clone());
    let apps = Arc::new(serve_apps(
        &settings,
        &apps,
        root.as_deref(),
        &secret,
        (&store, &files),
        (&hub, clock),
    )?);
    let expiries = Arc::new(Expiries::default());
    let service = Arc::new(Relais {
        apps: apps.clone(),
        scopes: scopes.clone(),
        pids: PidKey::derive(&secret),
        clock,
        events_per_second_max: settings.events_per_second_max,
        proxies: settings.trusted_proxies.clone(),
        expiries: expiries.clone(),
        generations: AtomicU64::new(1),
    });
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    let engine = EngineHandle::start(engine_settings(&settings), service, scopes.clone())?;
    hub.set_engine(engine.clone());
    if settings.is_development() {
        demo::seed(&apps, clock).await;
    }
    let web = Arc::new(Web {
        files,
        announcements: Arc::new(Announcements::default()),
        apps: apps.clone(),
        engine: engine.clone(),
        store: store.clone(),
        outside: (store.clone(), hub.bells.clone()),
        keys: ApiKeys::new(&settings.api_keys, &settings.limits),
        body: BodyLimits::of(&settings.limits),
        prometheus,
        clock,
        landing: Landing::new(&apps, settings.is_development()),
        development_secret: settings.is_development().then(|| secret.clone()),
        draining: Default::default(),
        metrics_open: settings.is_loopback(),
    });
    let mut upkeep = Upkeep::start(
        apps.clone(),
        store.clone(),
        engine.clone(),
        scopes,
        expiries,
        clock,
    )
    .following(outside::followers(&apps, &store, &hub.bells, clock));
    keep_files(&mut upkeep, &settings, &web, &store)?;
    banner::print(&apps, address, web.development_secret.as_deref(), clock);
    open_files::warn(&settings);
    Ok(Running {
        settings,
        listener,
        web,
        engine,
        store,
        upkeep,
    })
}

/// Serves HTTP until a stop signal or until the upkeep fails, then drains. `false`: it failed.
async fn run(
    listener: Listener,
    web: &Arc<Web>,
    settings: &Settings,
    engine: &EngineHandle,
    upkeep: &mut Upkeep,
) -> bool {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let routes = router(web.clone(), settings);
    let proxies = settings.trusted_proxies.clone();
    let handler = move |request: Request<Incoming>, peer: SocketAddr| {
        let routes = routes.clone();
        let peer = proxies.client(peer, request.headers());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            match routes.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    let (origins, limits) = (settings.allowed_origins.clone(), accept_limits(settings));
    let (engine_too, web_too) = (engine.clone(), web.clone());
    let proxies = settings.trusted_proxies.clone();
    let serving = tokio::spawn(async move {
        let web_of_gate = web_too.clone();
        let endpoint_of = move |request: &Request<()>| endpoint_of(&web_too, request);
        let gate = move |request: &Request<()>, endpoint, peer| {
            let peer = proxies.client(peer, request.headers());
            gate(&web_of_gate, &origins, request, endpoint, peer)
        };
        let stop = async { drop(stopped.await) };
        let engine = &engine_too;
        relais_engine::serve(engine, listener, limits, stop, endpoint_of, gate, handler).await
    });
    let is_whole = tokio::select! {
        () = wait_for_stop() => true,
        () = upkeep.failed() => false,
    };
    tracing::info!(
        seconds = settings.drain_seconds,
        "stopping: connections are closed over this time"
    );
    web.draining.store(true, Ordering::Relaxed);
    tokio::select! {
        () = engine.drain(Duration::from_secs(settings.drain_seconds)) => {}
        () = wait_for_stop() => tracing::warn!("stopping at once, as asked for twice"),
    }
    drop(stop);
    if let Ok(Err(error)) = serving.await {
        tracing::error!(%error, "the listener failed");
    }
    is_whole
}

async fn wait_for_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "unable to wait for signals; only SIGKILL will end this process");
            std::future::pending::<()>().await;
        }
    }
}

/// Makes the data folder, and gives the server's own secret, with which it signs what it gives to clients: the tokens' where there is one, so that all nodes share it, else
/// one that is kept in the data folder.
fn secret(settings: &Settings) -> Result<String, BootError> {
    std::fs::create_dir_all(&settings.data).map_err(|reason| BootError::Data {
        path: settings.data.display().to_string(),
        reason,
    })?;
    let name = match settings.is_development() {
        true => DEVELOPMENT_KEY,
        false => SERVER_KEY,
    };
    match &settings.token_keys.secret {
        Some(secret) => Ok(secret.clone()),
        None => {
            development::kept_secret(&settings.data, name).map_err(|reason| BootError::KeptKey {
                path: settings.data.display().to_string(),
                reason,
            })
        }
    }
}

/// What an app's tokens are proved with: its own keys where it has some, else those of all apps, else the development key.
fn token_keys(
    settings: &Settings,
    app: &str,
    secret: &str,
    outgoing: &Outgoing,
) -> Result<Keys, BootError> {
    let own = settings
        .app_token_keys
        .get(app)
        .filter(|keys| keys.is_any());
    let given = own.unwrap_or(&settings.token_keys);
    let mut keys = Keys::default().explaining(settings.is_development());
    keys = keys.only(given.issuer.clone(), given.audience.clone());
    if let Some(pem) = &given.public_key {
        let of = app.to_owned();
        keys = keys.and_public(pem).ok_or(BootError::PublicKey { of })?;
    }
    if let Some(address) = &given.jwks_url {
        outgoing.check(address)?;
        let set = KeySet::new(address, outgoing.clone(), Handle::current());
        keys = keys.and_set(Arc::new(set));
    }
    if let Some(secret) = &given.secret {
        keys = keys.and_secret(secret);
    }
    Ok(match given.is_any() {
        true => keys,
        false => keys.and_secret(secret),
    })
}

fn open_store(settings: &Settings, hub: Arc<Hub>) -> Result<SqliteStore, OpenError> {
    let mut options = SqliteOptions::new(&settings.database);
    // Two parts for the newest records, one each for the pages of the writer and of the two readers.
    let part = settings.limits.store_cache_bytes_max / 5;
    (options.recent_bytes_max, options.page_cache_bytes_max) = (2 * part, part);
    options.queue_wait_max = settings.limits.store_wait_max;
    options.retention = Retention {
        window_ms: i64::from(settings.recovery_hours) * 3_600_000,
        room_records_max: u64::from(settings.recovery_records_max),
        ..Retention::default()
    };
    SqliteStore::open(options, hub, Arc::new(|| Epoch(rand::random::<u32>() >> 1)))
}

fn open_files(
    settings: &Settings,
    store: &SqliteStore,
    secret: &str,
    address: SocketAddr,
    clock: Clock,
) -> Result<SharedFiles, BootError> {
    let files = Files::open(&settings.files, store.id(), secret, &base(address), clock)?;
    Ok(Arc::new(files))
}

fn serve_apps(
    settings: &Settings,
    apps: &[Arc<App>],
    root: Option<&str>,
    secret: &str,
    (store, files): (&Arc<SqliteStore>, &SharedFiles),
    (hub, clock): (&Arc<Hub>, Clock),
) -> Result<Apps, BootError> {
    let outgoing = Outgoing::new(&settings.outgoing_private_hosts)?;
    let browsers = outside::browsers(settings, apps, clock)?;
    if let Some(name) = settings
        .app_token_keys
        .keys()
        .find(|name| apps.iter().all(|app| *app.name != ***name))
    {
        let known: Vec<&str> = apps.iter().map(|app| &*app.name).collect();
        return Err(BootError::UnknownApp {
            name: name.clone(),
            known: known.join(", "),
        });
    }
    let per_minute = settings.connections_per_ip_per_minute_max;
    let connections = per_minute.map(|count| Rate::new(count, 60_000));
    let served = apps.iter().zip(0_u16..).map(|(app, endpoint)| {
        let backend = outside::backend(settings, app, &outgoing, clock)?;
        let ports = Ports {
            store: store.clone(),
            fanout: hub.clone() as Arc<dyn Fanout>,
            sessions: hub.clone() as Arc<dyn Sessions>,
            audiences: Arc::new(rules::FileAudiences(app.clone())),
            doorman: outside::doorman(backend.as_ref()),
            files: files.clone(),
        };
        Ok(Arc::new(Served {
            name: app.name.clone(),
            endpoint,
            app: app.clone(),
            keys: Arc::new(token_keys(settings, &app.name, secret, &outgoing)?),
            backend,
            browsers: browsers.clone().filter(|_| app.push.is_on()),
            dispatcher: Arc::new(Dispatcher::new(ports, rules::of(app, &settings.limits))),
            limits: UserLimiter::default(),
            connections: app
                .limits
                .connections
                .or(connections)
                .map(ConnectionLimiter::new),
        }))
    });
    Ok(Apps::new(served.collect::<Result<_, BootError>>()?, root))
}

fn accept_limits(settings: &Settings) -> AcceptLimits {
    let limits = &settings.limits;
    AcceptLimits {
        header_timeout: limits.header_timeout,
        headers_max: limits.headers_max,
        header_bytes_max: limits.header_bytes_max,
        connections_max: limits.http_connections_max,
        ..AcceptLimits::default()
    }
}

fn engine_settings(settings: &Settings) -> relais_engine::Settings {
    let defaults = relais_engine::Settings::default();
    let limits = &settings.limits;
    relais_engine::Settings {
        shards: if settings.shards == 0 {
            defaults.shards
        } else {
            settings.shards
        },
        ping_interval: Duration::from_millis(settings.ping_interval_ms),
        ping_timeout: Duration::from_millis(settings.ping_timeout_ms),
        max_payload_bytes: settings.payload_bytes_max,
        outbox_bytes_max: settings.outbox_bytes_max,
        outbox_frames_max: settings.outbox_frames_max,
        rooms_max: engine_rooms_max(settings),
        connect_timeout: limits.connect_timeout,
        upgrade_timeout: limits.upgrade_timeout,
        body_timeout: limits.body_timeout,
        fragments_max: limits.fragments_max,
        attachments_max: limits.attachments_max,
        json_depth_max: limits.json_depth_max,
        control_per_second: limits.control_packets_per_second_max,
        namespaces_max: limits.namespaces_max,
        name_bytes_max: limits.name_bytes_max,
        connections_max: open_files::connections_max(settings),
        credential_parameter: Some("token"),
        on_rest: Some(relais_memory::give_back),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::RawSettings;

    fn settings_with(data: &str) -> Settings {
        let flags = [("data", data), ("port", "0")];
        let flags = flags.map(|(key, text)| (key, text.to_owned())).into();
        let raw = RawSettings::gather(&flags, &|_| None, Some(std::path::Path::new("/dev/null")));
        raw.and_then(|raw| raw.check()).expect("settings")
    }

    #[test]
    fn a_file_where_the_data_folder_should_be_names_the_setting() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let error = secret(&settings_with(file)).expect_err("no folder");
        let said = error.to_string();
        assert!(
            said.contains("the data folder") && said.contains("RELAIS_DATA"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_panic_in_the_upkeep_ends_the_server() {
        let data = std::env::temp_dir().join(format!("relais-upkeep-{}", std::process::id()));
        std::fs::create_dir_all(&data).expect("a data folder");
        let text = data.display().to_string();
        let flags = [
            ("data", text.as_str()),
            ("port", "0"),
            ("drain_seconds", "0"),
        ];
        let flags = flags.map(|(key, text)| (key, text.to_owned())).into();
        let raw = RawSettings::gather(&flags, &|_| None, Some(std::path::Path::new("/dev/null")));
        let settings = raw.and_then(|raw| raw.check()).expect("settings");
        let mut server = start(settings).await.expect("started");
        server.upkeep.fail_next_turn();
        let ended = server.run_to_its_end().await;
        assert!(matches!(ended, Err(BootError::Upkeep)), "{ended:?}");
        std::fs::remove_dir_all(&data).expect("removed");
    }
}
