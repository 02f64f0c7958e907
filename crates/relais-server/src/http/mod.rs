//! Everything that answers HTTP: the engine's endpoints, the routes of the app files, health, metrics, the landing page.
//!
//! Comes in: requests from the accept loop, with the peer's address. Goes out: responses; upgrades are the engine's. Decides nothing
//! about an app: a route of a file becomes a command, and the dispatcher's answer a response.

mod app;
mod body;
mod development;
mod files;
mod first_message;
mod health;
mod keys;
mod landing;
mod openapi;
mod problem;
mod reading;
mod upload;
pub mod v1;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::http::{HeaderValue, Request, Uri, header};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use metrics_exporter_prometheus::PrometheusHandle;
use relais_core::error::{Code, Error};
use relais_core::ports::{Outside, Store};
use relais_engine::{Endpoint, EngineHandle, Wire};
use relais_protocol::engineio::Query;

use crate::clock::Clock;
use crate::engines::Announcements;
use crate::files::SharedFiles;
use crate::glue::apps::{Apps, Served};
use crate::origin;
use crate::outside::Bells;
use crate::settings::{Origins, Settings};

pub use body::BodyLimits;
pub use keys::ApiKeys;
pub use landing::Landing;
pub use problem::Problem;

/// What all handlers share.
pub struct Web {
    /// Apps, with their dispatcher.
    pub apps: Arc<Apps>,
    /// The engine.
    pub engine: EngineHandle,
    /// For `/readyz`.
    pub store: Arc<dyn Store>,
    /// What is kept for the world outside, and what wakes those who tell it.
    pub outside: (Arc<dyn Outside>, Arc<Bells>),
    /// Keys of the team's backend.
    pub keys: ApiKeys,
    /// Files that clients sent.
    pub files: SharedFiles,
    /// Told of items that an engine may want.
    pub announcements: Arc<Announcements>,
    /// What a body for a route may be.
    pub body: BodyLimits,
    /// Prometheus text.
    pub prometheus: PrometheusHandle,
    /// Both clocks.
    pub clock: Clock,
    /// The page at `/`.
    pub landing: Landing,
    /// The key of development mode, when it is on.
    pub development_secret: Option<String>,
    /// Set once the server stops.
    pub draining: AtomicBool,
    /// Whether `/metrics` is open to anybody who reaches us: on loopback.
    pub metrics_open: bool,
}

/// The whole HTTP side.
pub fn router(web: Arc<Web>, settings: &Settings) -> Router {
    let origins: Arc<Origins> = Arc::new(settings.allowed_origins.clone());
    Router::new()
        .route("/", get(landing_page))
        .route("/relais.css", get(async || Landing::style()))
        .route("/healthz", get(health::process))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::root_metrics))
        .route("/dev/token", get(development::token))
        .route("/files/{*path}", get(files::show))
        .method_not_allowed_fallback(async || method_not_allowed())
        .fallback(by_app)
        .layer(middleware::from_fn_with_state(origins, origin::guard))
        .layer(middleware::map_response(never_sniffed))
        .with_state(web)
}

/// A browser takes an answer for what it says it is, never for markup that somebody put into it.
async fn never_sniffed(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// The address that the request came from, set by the accept loop.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The peer of a request.
fn peer(request: &Request<Body>) -> SocketAddr {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    request
        .extensions()
        .get::<Peer>()
        .map_or(unknown, |peer| peer.0)
}

async fn landing_page(State(web): State<Arc<Web>>, request: Request<Body>) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    web.landing.page(host)
}

/// Finds the app of a path, `/{app}/…` first and the root app after it, and what of the app is meant.
async fn by_app(State(web): State<Arc<Web>>, request: Request<Body>) -> Response {
    let path = request.uri().path();
    let Some((app, rest)) = web.apps.of_path(path) else {
        return no_root(&web);
    };
    let (app, rest) = (app.clone(), rest.to_owned());
    let is_prefixed = is_prefixed(&app, path);
    let base = || match is_prefixed {
        true => format!("/{}", app.name),
        false => String::new(),
    };
    match rest.as_str() {
        path if is_socketio(path) => {
            let endpoint = Endpoint::new(app.endpoint, Wire::SocketIo);
            engine(&web, &app, endpoint, request).await
        }
        path if app.app.entrance(path).is_some() => {
            let endpoint = Endpoint::new(app.endpoint, Wire::Plain);
            engine(&web, &app, endpoint, request).await
        }
        "/openapi.json" => openapi::answer(&app, request.method(), &base()),
        "/docs" => reading::answer(&app, request.method(), &base()),
        path if v1::is_ours(path) => v1::answer(&web, &app, path, request).await,
        "/metrics" => health::metrics(&web, Some(&app), &request),
        _ => app::route(&web, &app, &rest, request).await,
    }
}

/// An Engine.IO request, or the opening of a plain JSON WebSocket. Refusals are cheap and come before any token is looked at.
async fn engine(web: &Web, app: &Served, endpoint: Endpoint, request: Request<Body>) -> Response {
    let peer = peer(&request);
    if let Err(refusal) = let_in(web, app, endpoint.wire, request.uri(), peer) {
        return Problem(refusal).into_response();
    }
    web.engine
        .handle(request, endpoint, peer)
        .await
        .map(Body::new)
}

/// Whether a request may open the session that it wants to, if it wants to.
fn let_in(web: &Web, app: &Served, wire: Wire, uri: &Uri, peer: SocketAddr) -> Result<(), Error> {
    if wire != Wire::Plain && !opens_session(uri.query().unwrap_or_default()) {
        return Ok(());
    }
    if web.draining.load(Ordering::Relaxed) {
        return Err(retry_soon("unable to connect; the server stops"));
    }
    let Some(limiter) = &app.connections else {
        return Ok(());
    };
    limiter
        .take(peer.ip(), web.clock.now().monotonic)
        .map_err(|wait_ms| Error::rate_limited("too many connections from this address", wait_ms))
}

/// Where a request to the engine leads to, of whichever app.
pub fn endpoint_of(web: &Web, request: &Request<()>) -> Option<Endpoint> {
    let (app, rest) = web.apps.of_path(request.uri().path())?;
    let wire = match is_socketio(rest) {
        true => Wire::SocketIo,
        false => app.app.entrance(rest).map(|_| Wire::Plain)?,
    };
    Some(Endpoint::new(app.endpoint, wire))
}

/// Whether the opening handshake of a WebSocket may come in without its way through the routes; if so, it is counted. No is no refusal:
/// whoever speaks against it there has the words for it, and counts it.
pub fn gate(
    web: &Web,
    origins: &Origins,
    request: &Request<()>,
    endpoint: Endpoint,
    peer: SocketAddr,
) -> bool {
    web.apps.at(endpoint.id).is_some_and(|app| {
        origin::passes(origins, request.headers())
            && let_in(web, app, endpoint.wire, request.uri(), peer).is_ok()
    })
}

/// Whether a path begins with the name of its app.
fn is_prefixed(app: &Served, path: &str) -> bool {
    let first = path.split('/').nth(1);
    first == Some(&*app.name)
}

fn is_socketio(path: &str) -> bool {
    matches!(path, "/socket.io" | "/socket.io/")
}

/// Whether an Engine.IO request opens a new session: it names none yet. Read as the engine reads it, or who writes `sid` twice would
/// open sessions that nobody counts.
fn opens_session(query: &str) -> bool {
    Query::parse(query).sid.is_none()
}

fn retry_soon(text: &str) -> Error {
    Error {
        retry_after_ms: Some(1_000),
        ..Error::new(Code::Unavailable, text)
    }
}

fn method_not_allowed() -> Response {
    Problem(Error::new(
        Code::MethodNotAllowed,
        "unable to answer; this address knows other methods",
    ))
    .into_response()
}

/// Without an app at the root, whoever leaves its name out is told the names; the landing page has them too.
fn no_root(web: &Web) -> Response {
    let text = format!(
        "there is nothing at this address; no app is at the root, name one: {}",
        names(web, |name| format!("/{name}/"))
    );
    Problem(Error::new(Code::NotFound, text)).into_response()
}

/// The names of the apps, each as `shown`.
fn names(web: &Web, shown: impl Fn(&str) -> String) -> String {
    let shown: Vec<String> = web.apps.iter().map(|app| shown(&app.name)).collect();
    shown.join(", ")
}

fn not_found() -> Response {
    Problem(Error::new(
        Code::NotFound,
        "there is nothing at this address",
    ))
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::opens_session;

    #[test]
    fn a_request_opens_a_session_exactly_when_the_engine_would_open_one() {
        for resumes in ["sid=x", "EIO=4&sid=x", "s%69d=x", "sid=&sid=x"] {
            assert!(!opens_session(resumes), "{resumes}");
        }
        for opens in ["", "EIO=4", "sid=", "sid=x&sid=", "xsid=x", "sid%3Dx"] {
            assert!(opens_session(opens), "{opens}");
        }
    }
}
