//! Routes out of an app file: credentials, the command that the request asks for, and the dispatcher's answer.
//!
//! An API key acts as the team's backend, on the tenant that the header `relais-tenant` names (default: the app's default tenant);
//! a token acts as its user.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Request, StatusCode, header, request::Parts};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use relais_core::command::{Actor, Command, Invocation, Origin};
use relais_core::error::{Code, Error};
use relais_core::event::Facts;
use relais_core::ids::{Moment, TenantKey};
use relais_core::limit::Rate;
use relais_core::vocabulary::{self, Asker, Match, Parameters, Route};

use serde_json::Value;

use super::body::read_json;
use super::{Problem, Web, method_not_allowed, not_found, peer, upload};
use crate::engines::makes_item;
use crate::glue::admission::token_of_query;
use crate::glue::apps::Served;
use crate::glue::questions;
use crate::identity::{bearer, find_token};

/// The tenant that a request with an API key is about.
pub const TENANT_HEADER: &str = "relais-tenant";

/// Answers a request for a path of this app, `path` being without the app's name.
pub async fn route(
    web: &Web,
    served: &Arc<Served>,
    path: &str,
    request: Request<Body>,
) -> Response {
    let peer = peer(&request).ip();
    let (parts, body) = request.into_parts();
    match served.app.http.find(parts.method.as_str(), path) {
        Match::Unknown => not_found(),
        Match::OtherMethods(methods) => other_methods(&methods),
        Match::Route(route, parameters) => {
            match answer(web, served, (&route, &parameters), (&parts, body), peer).await {
                Ok(response) => response,
                Err(error) => Problem(error).into_response(),
            }
        }
    }
}

pub(super) fn other_methods(methods: &[impl AsRef<str>]) -> Response {
    let methods: Vec<&str> = methods.iter().map(AsRef::as_ref).collect();
    let mut response = method_not_allowed();
    if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

async fn answer(
    web: &Web,
    served: &Arc<Served>,
    (route, parameters): (&Arc<Route>, &Parameters<'_>),
    (parts, body): (&Parts, Body),
    peer: IpAddr,
) -> Result<Response, Error> {
    let (actor, tenant) = match admit(web, served, route, parts, peer).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            if route.upload.is_some() {
                upload::forget(body).await;
            }
            return Err(refusal);
        }
    };
    let from = questions::From {
        tenant: &tenant,
        actor: &actor,
    };
    let (body, incoming) = match &route.upload {
        None => (read_json(body, &web.body).await?, None),
        Some(field) => {
            let route = (&**route, &**field);
            let incoming = upload::receive(web, served, from, route, (parts, body)).await?;
            (None, Some(incoming))
        }
    };
    let query = parts.uri.query().unwrap_or_default();
    let now = web.clock.now();
    let request = understood(served, from, (route, parameters, query, body), now).await?;
    let vocabulary::Request {
        mut command,
        answer,
    } = request;
    let kept = match incoming {
        Some(incoming) => Some(upload::keep(web, &tenant, &mut command, incoming).await?),
        None => None,
    };
    let facts = carried_out(web, served, (&actor, &tenant), command, kept).await?;
    let base = base_of(web, &parts.headers);
    let facts = web.files.links().shown(base.as_deref(), &facts, now.wall);
    let status = StatusCode::from_u16(route.status).unwrap_or(StatusCode::OK);
    Ok((status, json_headers(), answer.body(&facts)).into_response())
}

/// Gives a command to the core, in a task of its own: a client that goes away must not stop it between its commit and what follows. `kept`
/// is the path of a file that nothing shows should it be refused.
async fn carried_out(
    web: &Web,
    served: &Arc<Served>,
    (actor, tenant): (&Actor, &TenantKey),
    command: Command,
    kept: Option<String>,
) -> Result<Facts, Error> {
    let makes_item = makes_item(&command);
    let invocation = Invocation {
        tenant: tenant.clone(),
        actor: actor.clone(),
        origin: Origin::Http,
        now: web.clock.now(),
        new_id: web.clock.new_id(),
        command,
    };
    let (dispatcher, files) = (served.dispatcher.clone(), web.files.clone());
    let (announcements, tenant) = (web.announcements.clone(), tenant.clone());
    let done = tokio::spawn(async move {
        let done = dispatcher.dispatch(invocation).await;
        if let (Err(error), Some(path)) = (&done, kept)
            && upload::is_certain(error)
        {
            files.discard(&path).await;
        }
        announcements.after(&tenant, makes_item && done.is_ok());
        done
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "a command did not end");
        Error::new(Code::Internal, "unable to answer; the command failed")
    })?
}

/// Who asks, if they may call the route at all.
async fn admit(
    web: &Web,
    served: &Served,
    route: &Route,
    parts: &Parts,
    peer: IpAddr,
) -> Result<(Actor, TenantKey), Error> {
    let (actor, tenant) = authenticate(web, served, parts, peer).await?;
    route.permit(&actor)?;
    Ok((actor, tenant))
}

/// The command that a request asks for, once the team's own backend was asked where the app file wants that.
async fn understood(
    served: &Served,
    from: questions::From<'_>,
    (route, parameters, query, body): (&Route, &Parameters<'_>, &str, Option<Value>),
    now: Moment,
) -> Result<vocabulary::Request, Error> {
    let asker = Asker {
        actor: from.actor,
        tenant: &from.tenant.tenant,
    };
    let app = &served.app;
    // A file was counted before it was read.
    let is_counted = route.upload.is_some();
    let Some(question) = route.question(parameters, body.as_ref(), from.actor)? else {
        let request = app.request(route, parameters, query, body.as_ref(), asker)?;
        if !is_counted {
            take(served, from, (request.subject(), request.limit()), now)?;
        }
        return Ok(request);
    };
    if !is_counted {
        let limit = (&question.subject, question.limit.as_ref());
        take(served, from, limit, now)?;
    }
    let body = Value::from(questions::ask(served, from, question).await?);
    app.request(route, parameters, query, Some(&body), asker)
}

/// Counts against the limit that the app file sets for one kind of request of a user, where it sets one.
pub(super) fn take(
    served: &Served,
    from: questions::From<'_>,
    (subject, limit): (&Arc<str>, Option<&Rate>),
    now: Moment,
) -> Result<(), Error> {
    let (Some(limit), Actor::User(identity)) = (limit, from.actor) else {
        return Ok(());
    };
    let user = &identity.person.id;
    let limits = &served.limits;
    limits.take(from.tenant, user, subject, limit, now.monotonic)
}

/// What addresses in an answer begin with, unless it was set: where this request came to.
fn base_of(web: &Web, headers: &HeaderMap) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    let host = text_of(headers, header::HOST.as_str());
    let host = host.filter(|host| !host.is_empty() && host.bytes().all(is_plain));
    match web.files.public_url() {
        Some(_) => None,
        None => host.map(|host| format!("http://{host}")),
    }
}

pub fn json_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

/// Who asks: the backend by its key, or a user by a token.
pub(super) async fn authenticate(
    web: &Web,
    served: &Served,
    parts: &Parts,
    peer: IpAddr,
) -> Result<(Actor, TenantKey), Error> {
    let now = web.clock.now();
    let authorization = text_of(&parts.headers, header::AUTHORIZATION.as_str());
    let query = token_of_query(parts.uri.query().unwrap_or_default());
    let credential = find_token(None, authorization, query.as_deref())?;
    if !looks_like_a_token(&credential) {
        web.keys.check_delay(peer, now.monotonic.0)?;
        if !web.keys.matches(&credential) {
            return Err(web.keys.failed(peer, now.monotonic.0));
        }
        web.keys.succeeded(peer);
        let tenant = served
            .app
            .identity
            .named_tenant(text_of(&parts.headers, TENANT_HEADER))
            .ok_or_else(|| {
                let text =
                    format!("unable to answer; say the tenant in the header {TENANT_HEADER}");
                Error::new(Code::TenantRequired, text)
            })?;
        return Ok((Actor::Backend, TenantKey::new(served.name.clone(), tenant)));
    }
    let (tenant, identity) = served.prove(&credential, now.wall).await?;
    Ok((Actor::User(Arc::new(identity)), tenant))
}

/// A JWT has two dots. It is signed, so guessing one is hopeless and not counted; an API key is compared, and guesses are.
fn looks_like_a_token(credential: &str) -> bool {
    credential.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// Demands an API key.
pub fn require_key(web: &Web, headers: &HeaderMap, peer: IpAddr) -> Result<(), Error> {
    let now_ms = web.clock.now().monotonic.0;
    web.keys.check_delay(peer, now_ms)?;
    match text_of(headers, header::AUTHORIZATION.as_str()).and_then(bearer) {
        None => Err(Error::new(
            Code::TokenMissing,
            "unable to answer; it takes an API key",
        )),
        Some(key) if web.keys.matches(key) => {
            web.keys.succeeded(peer);
            Ok(())
        }
        Some(_) => Err(web.keys.failed(peer, now_ms)),
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
