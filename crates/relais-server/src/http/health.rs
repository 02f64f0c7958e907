//! Health and numbers: `/healthz`, `/readyz`, `/metrics` as an app's JSON keys or as Prometheus text by `Accept`.
//!
//! Off loopback `/metrics` needs an API key.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::http::{HeaderMap, Request, StatusCode, header};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Problem, Web, app, peer};
use crate::glue::apps::Served;

/// The process answers.
pub async fn process() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Whether new clients should be sent here: the store works and the server is not about to stop.
pub async fn ready(State(web): State<Arc<Web>>) -> Response {
    let draining = web.draining.load(Ordering::Relaxed);
    let store = web.store.check().await;
    let status = if draining || store.is_err() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let reason = match (draining, &store) {
        (true, _) => "draining",
        (false, Err(_)) => "the store does not work",
        (false, Ok(())) => "ready",
    };
    (status, Json(json!({ "status": reason }))).into_response()
}

/// `/metrics` at the root: the root app's; without one, Prometheus text alone.
pub async fn root_metrics(State(web): State<Arc<Web>>, request: Request<Body>) -> Response {
    metrics(&web, web.apps.root(), &request)
}

/// Numbers of one app, over all of its tenants, or of the whole process as Prometheus text.
pub fn metrics(web: &Web, app: Option<&Arc<Served>>, request: &Request<Body>) -> Response {
    if !web.metrics_open
        && let Err(error) = app::require_key(web, request.headers(), peer(request).ip())
    {
        return Problem(error).into_response();
    }
    match app {
        _ if wants_text(request.headers()) => text(web),
        Some(app) => (
            [(header::CONTENT_TYPE, "application/json")],
            app.metrics(web.clock.now()),
        )
            .into_response(),
        None => super::no_root(web),
    }
}

fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    accept.contains("text/plain") || accept.contains("openmetrics")
}

fn text(web: &Web) -> Response {
    let mut response = web.prometheus.render().into_response();
    let content_type = ::http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
