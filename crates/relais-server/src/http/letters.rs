//! Dead letters: what could not be told to the world outside and was given up; listed, and sent again by hand.
//!
//! `GET /{app}/v1/dead-letters?queue=&before=&limit=` and `POST /{app}/v1/dead-letters/{id}/resend`, with an API key, for the tenant of the header
//! `relais-tenant`. Sending again is carried out by the follower whose letter it is; here it is only made due.

use ::http::{Method, Request, StatusCode};
use axum::body::Body;
use axum::extract::Query;
use axum::response::{IntoResponse as _, Response};
use relais_core::error::{Code, Error};
use relais_core::ids::{Id, TenantKey};
use relais_core::outside::{Errand, OutsideChange, Which};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::app::{TENANT_HEADER, json_headers, require_key};
use super::{Problem, Web, method_not_allowed, not_found, peer};
use crate::glue::apps::Served;
use crate::outside::Webhooks;

const LETTERS: &str = "/v1/dead-letters";
/// Letters of a page, unless it is said otherwise.
const PAGE: u32 = 50;
const PAGE_MAX: u32 = 100;

/// Which letters.
#[derive(Deserialize)]
struct Wanted {
    queue: Option<String>,
    before: Option<Uuid>,
    limit: Option<u32>,
}

/// Whether a path of an app is about dead letters.
pub fn is_ours(path: &str) -> bool {
    path == LETTERS
        || path
            .strip_prefix(LETTERS)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// Answers a request for one of those paths.
pub async fn answer(web: &Web, served: &Served, path: &str, request: Request<Body>) -> Response {
    let rest = path.strip_prefix(LETTERS).unwrap_or_default();
    let id = rest
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix("/resend"));
    let wanted = Query::<Wanted>::try_from_uri(request.uri()).map_err(|error| {
        let text = format!("unable to list dead letters; {}", error.body_text());
        Error::new(Code::InvalidPayload, text)
    });
    let tenant = allowed(web, served, &request);
    let method = request.method().clone();
    drop(request);
    let answered = match (method, id) {
        (Method::GET, None) if rest.is_empty() => list(web, tenant, wanted).await,
        (Method::POST, Some(id)) => resend(web, tenant, id).await,
        (_, None) if !rest.is_empty() => return not_found(),
        _ => return method_not_allowed(),
    };
    match answered {
        Ok((status, body)) => (status, json_headers(), body.to_string()).into_response(),
        Err(error) => Problem(error).into_response(),
    }
}

type Answered = Result<(StatusCode, Value), Error>;

/// `{"deadLetters": […], "hasMore"}`, newest first.
async fn list(
    web: &Web,
    tenant: Result<TenantKey, Error>,
    wanted: Result<Query<Wanted>, Error>,
) -> Answered {
    let (tenant, Query(wanted)) = (tenant?, wanted?);
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let which = Which::Dead {
        before: wanted.before.map(Id),
    };
    let queue = wanted.queue.as_deref().unwrap_or(Webhooks::QUEUE);
    let found = web.outside.0.errands(&tenant, queue, which, limit).await;
    let found = found.map_err(unavailable)?;
    let has_more = found.len() == limit as usize;
    let letters: Vec<Value> = found.iter().map(letter).collect();
    let body = json!({ "deadLetters": letters, "hasMore": has_more });
    Ok((StatusCode::OK, body))
}

/// 202 with the letter, which is tried again from the beginning.
async fn resend(web: &Web, tenant: Result<TenantKey, Error>, id: &str) -> Answered {
    let tenant = tenant?;
    let unknown = || Error::new(Code::NotFound, "there is no such dead letter");
    let id = Uuid::parse_str(id).map_err(|_| unknown())?;
    let found = web.outside.0.errand(&tenant, Id(id)).await;
    let found = found.map_err(unavailable)?;
    let mut errand = found.filter(|errand| errand.is_dead).ok_or_else(unknown)?;
    let now = web.clock.now().wall;
    (errand.is_dead, errand.attempts, errand.due_at) = (false, 0, now);
    let body = letter(&errand);
    let change = OutsideChange::Park(errand);
    let settled = web.outside.0.settle(&tenant, now, vec![change]).await;
    settled.map_err(unavailable)?;
    web.outside.1.wake(&tenant);
    Ok((StatusCode::ACCEPTED, body))
}

fn allowed(web: &Web, served: &Served, request: &Request<Body>) -> Result<TenantKey, Error> {
    require_key(web, request.headers(), peer(request).ip())?;
    let named = request.headers().get(TENANT_HEADER);
    let named = named.and_then(|value| value.to_str().ok());
    let tenant = served.app.identity.named_tenant(named).ok_or_else(|| {
        let text = format!("unable to answer; say the tenant in the header {TENANT_HEADER}");
        Error::new(Code::TenantRequired, text)
    })?;
    Ok(TenantKey::new(served.name.clone(), tenant))
}

fn letter(errand: &Errand) -> Value {
    json!({
        "id": errand.id.0,
        "queue": &*errand.queue,
        "attempts": errand.attempts,
        "reason": errand.reason.as_deref(),
        "createdAt": errand.created_at.to_string(),
        "data": &errand.data,
    })
}

fn unavailable(error: relais_core::ports::StoreError) -> Error {
    tracing::warn!(%error, "unable to read or write dead letters");
    Error::new(
        Code::Unavailable,
        "unable to answer; the store is not available",
    )
}
