//! The API that every app has: `/v1/…`, for the team's backend with an API key, and for a user's own pushes with a token.
//!
//! A request becomes one command and goes through the same dispatcher as everything else. Answers are the core's facts, with rooms under
//! the names that clients know. An export is written line by line as it is read.

mod command;
mod letters;
mod pushes;
pub mod routes;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ::http::{HeaderValue, Request, StatusCode, header, request::Parts};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use relais_core::command::{Actor, Command, ExportMark, Invocation, Origin, PersonalCommand};
use relais_core::error::{Code, Error};
use relais_core::event::Facts;
use relais_core::ids::{RoomKey, TenantKey, UserId};
use relais_core::vocabulary::{App, BodySchema};
use serde_json::Value;

use super::app::{authenticate, json_headers, other_methods};
use super::body::read_json;
use super::{Problem, Web, not_found, peer};
use crate::clock::Clock;
use crate::files::SharedFiles;
use crate::glue::apps::Served;
use command::{Asked, Wanted};
use routes::{Found, Operation, ROUTES, Route};

/// Whether a path is one of this API's.
pub fn is_ours(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// Answers a request for one of those paths.
pub async fn answer(
    web: &Web,
    served: &Arc<Served>,
    path: &str,
    request: Request<Body>,
) -> Response {
    let peer = peer(&request).ip();
    let (parts, body) = request.into_parts();
    let found = routes::find(parts.method.as_str(), path);
    let answer = match &found {
        Found::Nothing => return not_found(),
        Found::OtherMethods(methods) => return other_methods(methods),
        Found::Route(route, parameters) => {
            let request = (&parts, body);
            do_it(web, served, (route, parameters), request, peer).await
        }
    };
    answer.unwrap_or_else(|error| Problem(error).into_response())
}

async fn do_it(
    web: &Web,
    served: &Arc<Served>,
    (route, parameters): (&'static Route, &[(&'static str, String)]),
    (parts, body): (&Parts, Body),
    peer: IpAddr,
) -> Result<Response, Error> {
    let (actor, tenant) = authenticate(web, served, parts, peer).await?;
    permit(route, &actor)?;
    let body = read_json(body, &web.body).await?.unwrap_or_default();
    check(route, &body)?;
    let asked = Asked {
        app: &served.app,
        route,
        parameters,
        query: parts.uri.query().unwrap_or_default(),
        body: &body,
        now: web.clock.now().wall,
    };
    if route.is_for_users()
        && let Some(answer) = pushes::look(web, served, route, (&tenant, &actor), &body)?
    {
        return Ok((StatusCode::OK, json_headers(), answer.to_string()).into_response());
    }
    let (actor, command) = match asked.wanted(actor)? {
        Wanted::Command(actor, command) => (actor, *command),
        Wanted::Letters(wanted) => {
            let page = letters::list(web, &tenant, wanted).await?;
            return Ok((StatusCode::OK, json_headers(), page.to_string()).into_response());
        }
        Wanted::Resend(id) => {
            let letter = letters::resend(web, &tenant, id).await?;
            return Ok((StatusCode::ACCEPTED, json_headers(), letter.to_string()).into_response());
        }
    };
    let door = Door {
        served: served.clone(),
        clock: web.clock,
        files: web.files.clone(),
        tenant,
    };
    if let Command::Personal(PersonalCommand::Export { user, .. }) = command {
        return export(door, user).await;
    }
    let facts = door.dispatch(actor, command).await?;
    let status = StatusCode::from_u16(route.status).unwrap_or(StatusCode::OK);
    if route.status == 204 {
        return Ok(status.into_response());
    }
    let facts = web.files.links().shown_now(&facts).into_owned();
    let answer = shown(route.operation, facts, &served.app);
    Ok((status, json_headers(), answer.to_string()).into_response())
}

fn permit(route: &Route, actor: &Actor) -> Result<(), Error> {
    let takes = match (route.is_for_users(), actor) {
        (true, Actor::Backend) => "a user's token",
        (false, Actor::User(_)) => "an API key",
        (true, Actor::User(_)) | (false, Actor::Backend) => return Ok(()),
    };
    let Route { method, path, .. } = route;
    let text = format!("unable to call \"{method} {path}\"; it takes {takes}");
    Err(Error::new(Code::Forbidden, text))
}

/// The way to the dispatcher for one request.
#[derive(Clone)]
struct Door {
    served: Arc<Served>,
    clock: Clock,
    files: SharedFiles,
    tenant: TenantKey,
}

impl Door {
    async fn dispatch(&self, actor: Actor, command: Command) -> Result<Facts, Error> {
        let invocation = Invocation {
            tenant: self.tenant.clone(),
            actor,
            origin: Origin::Http,
            now: self.clock.now(),
            new_id: self.clock.new_id(),
            command,
        };
        // In a task of its own: a client that goes away must not stop a command between its commit and what follows it.
        let dispatcher = self.served.dispatcher.clone();
        let done = tokio::spawn(async move { dispatcher.dispatch(invocation).await });
        done.await.map_err(|error| {
            tracing::error!(%error, "a command did not end");
            Error::new(Code::Internal, "unable to answer; the command failed")
        })?
    }

    /// A line of an export, with names of rooms and addresses of files.
    fn line(&self, mut line: Value) -> Value {
        if let Some(data) = line.get_mut("data").and_then(Value::as_object_mut) {
            *data = self.files.links().shown_now(data).into_owned();
        }
        named(line, &self.served.app)
    }

    async fn page(&self, user: &UserId, after: Option<ExportMark>) -> Result<Facts, Error> {
        let user = user.clone();
        let command = Command::Personal(PersonalCommand::Export { user, after });
        self.dispatch(Actor::Backend, command).await
    }
}

/// Every page as lines. What goes wrong with the first one is an error; later the body breaks off.
async fn export(door: Door, user: UserId) -> Result<Response, Error> {
    let first = door.page(&user, None).await?;
    let pages = stream::try_unfold(Some(first), move |page| {
        let (door, user) = (door.clone(), user.clone());
        async move {
            let Some(mut page) = page else {
                return Ok::<_, Error>(None);
            };
            let records = page.remove("records").unwrap_or_default();
            let records = records.as_array().into_iter().flatten();
            let lines: String = records
                .map(|line| door.line(line.clone()).to_string() + "\n")
                .collect();
            let next = match page.get("next").and_then(Value::as_str) {
                None => None,
                Some(mark) => {
                    let mark = mark.parse::<ExportMark>().map_err(|()| {
                        Error::new(Code::Internal, "unable to export; the page has no end")
                    })?;
                    Some(door.page(&user, Some(mark)).await?)
                }
            };
            Ok(Some((Bytes::from(lines), next)))
        }
    });
    let mut headers = json_headers();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// Whether a body fits what its route takes.
fn check(route: &Route, body: &Value) -> Result<(), Error> {
    static SCHEMAS: LazyLock<Vec<Option<BodySchema>>> = LazyLock::new(|| {
        let compile = |schema| BodySchema::new(&schema).expect("a test compiles all of them");
        let all = ROUTES.iter();
        all.map(|route| route.body().map(compile)).collect()
    });
    let index = ROUTES.iter().position(|other| other.id == route.id);
    match index.and_then(|index| SCHEMAS[index].as_ref()) {
        None => Ok(()),
        Some(_) if body.is_null() && route.body_is_optional() => Ok(()),
        Some(schema) => schema.check(&format!("{} {}", route.method, route.path), body),
    }
}

fn shown(operation: Operation, mut facts: Facts, app: &App) -> Value {
    match operation {
        // Under the name that the app files have for it as well.
        Operation::Publish => drop(facts.remove("delivered")),
        Operation::Messages => drop(facts.remove("room")),
        _ => facts.retain(|_, value| !value.is_null()),
    }
    named(Value::Object(facts), app)
}

/// Puts the names of rooms where the core has kind and id: at the top, and in the objects and lists right below it.
fn named(mut value: Value, app: &App) -> Value {
    let name = |object: &mut Value| {
        let Some(room) = object.get_mut("room") else {
            return;
        };
        if let (Some(kind), Some(id)) = (room["kind"].as_str(), room["id"].as_str()) {
            *room = app.rooms.wire_name(&RoomKey::new(kind, id)).into();
        }
    };
    name(&mut value);
    for below in value
        .as_object_mut()
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        match below {
            Value::Array(list) => list.iter_mut().for_each(name),
            one => name(one),
        }
    }
    value
}
