//! `GET /dev/token?user=alice[&app=…][&name=…][&role=…][&tenant=…][&claim=KEY:JSON][&format=text]`: a token for anybody, in development mode
//! only, and only for requests addressed to this very machine. A demo user of the app file has its claims without being asked.
//!
//! Answer: `{token, user, app, expiresInSeconds}`, or the token alone as text.

use std::sync::Arc;

use ::http::{HeaderMap, header};
use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use relais_core::error::{Code, Error};
use serde_json::{Map, Value, json};

use super::{Problem, Web, names, not_found};
use crate::glue::apps::Served;
use crate::identity::{NewToken, sign};

/// How long such a token is good for.
const TTL_SECONDS: i64 = 12 * 3_600;

/// Gives a token away.
pub async fn token(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    Query(asked): Query<Vec<(String, String)>>,
) -> Response {
    let Some(secret) = web
        .development_secret
        .as_deref()
        .filter(|_| is_this_machine(&headers))
    else {
        return not_found();
    };
    let value = |name: &str| {
        asked
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let app = match value("app") {
        Some(name) => web.apps.named(name),
        None => web.apps.root(),
    };
    let Some(app) = app else {
        let text = match value("app") {
            Some(_) => "there is no such app",
            None => "no app is at the root",
        };
        let text = format!(
            "{text}; say app= and one of: {}",
            names(&web, str::to_owned)
        );
        return Problem(Error::new(Code::NotFound, text)).into_response();
    };
    let Some(user) = value("user").filter(|user| !user.is_empty()) else {
        return Problem(Error::new(
            Code::InvalidPayload,
            "unable to sign; say ?user=",
        ))
        .into_response();
    };
    let claims = match claims(app, user, &asked) {
        Ok(claims) => claims,
        Err(error) => return Problem(error).into_response(),
    };
    let new = NewToken {
        claims,
        ttl_seconds: Some(TTL_SECONDS),
    };
    match sign(new, secret, web.clock.now().wall.0 / 1_000) {
        Ok(token) if value("format") == Some("text") => token.into_response(),
        Ok(token) => Json(json!({ "token": token, "user": user, "app": &*app.name, "expiresInSeconds": TTL_SECONDS })).into_response(),
        Err(_) => Problem(Error::new(Code::Internal, "unable to sign")).into_response(),
    }
}

fn claims(
    app: &Served,
    user: &str,
    asked: &[(String, String)],
) -> Result<Map<String, Value>, Error> {
    let mut claims = demo_claims(app, user);
    claims.insert("app".to_owned(), Value::from(&*app.name));
    if let Some(claim) = app.app.identity.user.first() {
        claims
            .entry(claim.to_string())
            .or_insert_with(|| Value::from(user));
    }
    for (key, value) in asked {
        match key.as_str() {
            "name" | "role" => drop(claims.insert(key.clone(), Value::from(value.as_str()))),
            "tenant" => {
                let claim = app.app.identity.tenant.first();
                let claim = claim
                    .ok_or_else(|| Error::new(Code::InvalidPayload, "this app has no tenants"))?;
                claims.insert(claim.to_string(), Value::from(value.as_str()));
            }
            "claim" => {
                let (name, json) = value.split_once(':').unwrap_or((value, "true"));
                let json = serde_json::from_str(json).unwrap_or_else(|_| Value::from(json));
                claims.insert(name.to_owned(), json);
            }
            _ => {}
        }
    }
    Ok(claims)
}

/// Claims of a demo user of the app file; of anybody else, none.
fn demo_claims(app: &Served, user: &str) -> Map<String, Value> {
    let is_user = |id: &Value| {
        id.as_str()
            .map_or_else(|| *id.to_string() == *user, |id| id == user)
    };
    let known = app.app.demo.users.iter().find(|known| is_user(&known.id));
    known.map(|known| known.claims.clone()).unwrap_or_default()
}

/// A page elsewhere can make a browser ask us under its own name; it must not get a token by that.
fn is_this_machine(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    crate::origin::is_loopback_authority(host)
}
