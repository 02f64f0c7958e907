//! `GET /{app}/openapi.json`: the HTTP side of an app as OpenAPI 3.1, written from what the server itself matches and checks.
//!
//! Comes in: the table of the server-to-server API and the compiled routes of the app file, whose fields are JSON Schema already. Goes
//! out: one document. What an app file's answers hold is told by name; their types are the facts' of docs/APPS.md.

use ::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relais_core::error::Code;
use relais_core::vocabulary::{self, Field};
use serde_json::{Map, Value, json};

use super::app::{json_headers, other_methods};
use super::v1::routes::{self, Operation, ROUTES};
use crate::documents::schema::{self, About};
use crate::glue::apps::Served;

/// Answers with the document. `base` is what stands before the paths in the address that was asked.
pub fn answer(served: &Served, method: &Method, base: &str) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return other_methods(&["GET", "HEAD"]);
    }
    let mut headers = json_headers();
    headers.remove(header::CACHE_CONTROL);
    (StatusCode::OK, headers, document(served, base).to_string()).into_response()
}

/// The document.
pub fn document(served: &Served, base: &str) -> Value {
    let mut paths = Map::new();
    for route in served.app.http.iter() {
        put(
            &mut paths,
            &route.path,
            &route.method,
            of_app(&served.app, route),
        );
    }
    for route in ROUTES {
        put(&mut paths, route.path, route.method, built_in(route));
    }
    for (path, summary) in [
        ("/healthz", "Whether the process lives"),
        ("/readyz", "Whether the server takes work"),
    ] {
        let answers =
            json!({ "200": { "description": "Yes" }, "503": { "description": "Not now" } });
        let operation = json!({ "operationId": path.trim_start_matches('/'), "summary": summary, "tags": ["server"], "security": [], "responses": answers });
        put(&mut paths, path, "GET", operation);
        paths[path]["servers"] = json!([{ "url": "/" }]);
    }
    let url = if base.is_empty() { "/" } else { base };
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": &*served.app.title,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "The routes of the app file, and under /v1 what every app has: the server-to-server API, and a user's pushes.",
        },
        "servers": [{ "url": url }],
        "tags": [
            { "name": "app", "description": "What the app file declares" },
            { "name": "v1", "description": "For the team's backend, with an API key; and for a user's own pushes, with a token" },
            { "name": "server", "description": "The server itself" },
        ],
        "paths": paths,
        "components": { "schemas": schemas(), "responses": responses(), "securitySchemes": {
            "apiKey": { "type": "http", "scheme": "bearer", "description": "An API key of the team's backend." },
            "userToken": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's token." },
        } },
    })
}

fn put(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    item[method.to_lowercase()] = operation;
}

fn built_in(route: &routes::Route) -> Value {
    let mut parameters = Vec::new();
    for name in route.path.split('/').filter_map(routes::parameter) {
        let schema = json!({ "type": "string", "minLength": 1 });
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
    for (name, schema, description) in route.query() {
        parameters.push(
            json!({ "name": name, "in": "query", "schema": schema, "description": description }),
        );
    }
    if !route.is_for_users() {
        parameters.push(json!({ "name": "relais-tenant", "in": "header", "schema": { "type": "string" },
            "description": "Which tenant, in an app that has tenants; without it the app's default tenant." }));
    }
    let media = match route.operation {
        Operation::Export => "application/x-ndjson",
        _ => "application/json",
    };
    let answer = match route.answer() {
        Some(schema) => {
            json!({ "description": "Done", "content": { media: { "schema": schema } } })
        }
        None => json!({ "description": "Done" }),
    };
    let security = match route.is_for_users() {
        true => json!({ "userToken": [] }),
        false => json!({ "apiKey": [] }),
    };
    let mut operation = json!({
        "operationId": route.id, "summary": route.summary, "tags": ["v1"],
        "security": [security], "parameters": parameters,
        "responses": with_errors(route.status, answer),
    });
    if let Some(schema) = route.body() {
        operation["requestBody"] = json!({ "required": !route.body_is_optional(), "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn of_app(app: &vocabulary::App, route: &vocabulary::Route) -> Value {
    let (path, query, body) = route.fields();
    let parameter = |place: &str, field: &Field| {
        let required = place == "path" || field.required;
        json!({ "name": &*field.name, "in": place, "required": required, "schema": field.schema })
    };
    let of_path = path.iter().map(|field| parameter("path", field));
    let parameters: Vec<Value> = of_path
        .chain(query.iter().map(|field| parameter("query", field)))
        .collect();
    let schema = route.rule.reply.as_ref().map_or_else(
        || json!({ "type": "object" }),
        |reply| About::reply(app, &route.rule).shape(reply),
    );
    let answer =
        json!({ "description": "Done", "content": { "application/json": { "schema": schema } } });
    let mut security = Vec::new();
    if route.auth.key {
        security.push(json!({ "apiKey": [] }));
    }
    if route.auth.user || route.auth.participant || !route.auth.roles.is_empty() {
        security.push(json!({ "userToken": [] }));
    }
    let mut operation = json!({
        "operationId": operation_id(&route.method, &route.path),
        "summary": format!("{}; {}", route.rule.operation, route.auth), "tags": ["app"],
        "security": security, "parameters": parameters,
        "responses": with_errors(route.status, answer),
    });
    if let Some(file) = &route.upload {
        let schema = json!({ "type": "object", "properties": { &**file: { "type": "string", "contentMediaType": "application/octet-stream" } }, "required": [&**file] });
        operation["requestBody"] =
            json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } });
    } else if !body.is_empty() {
        let required = body.iter().any(|field| field.required);
        operation["requestBody"] = json!({ "required": required, "content": { "application/json": { "schema": schema::object(body) } } });
    }
    operation
}

/// `get_bams_bamId_messages`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.fold(method.to_lowercase(), |id, word| format!("{id}_{word}"))
}

fn with_errors(status: u16, answer: Value) -> Value {
    let mut all = json!({ "default": { "$ref": "#/components/responses/Problem" } });
    all[status.to_string()] = answer;
    all
}

fn responses() -> Value {
    let problem = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    json!({ "Problem": { "description": "Refused: a problem document (RFC 9457)", "content": { "application/problem+json": problem } } })
}

fn schemas() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.row().name).collect();
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let (id, time, text) = (
        reference("UserId"),
        reference("Time"),
        json!({ "type": "string" }),
    );
    let object = |properties: Value, required: Value| json!({ "type": "object", "properties": properties, "required": required });
    let sender = object(
        json!({ "id": id, "name": text, "role": text }),
        json!(["id", "name"]),
    );
    let message = json!({
        "id": { "type": "string", "format": "uuid" }, "room": text, "sender": sender, "recipient": id, "kind": text, "body": text,
        "channel": text, "key": text, "replyTo": { "type": "string", "format": "uuid" }, "mentions": { "type": "array", "items": id },
        "seq": { "type": "integer", "minimum": 1 }, "createdAt": time, "editedAt": time, "deletedAt": time,
    });
    let someone = json!({ "userId": id, "userName": text, "role": text, "status": text, "customStatus": text });
    let mut presence = someone.clone();
    presence["online"] = json!({ "type": "boolean" });
    presence["lastSeen"] = time.clone();
    let problem = json!({
        "type": { "const": "about:blank" }, "title": text, "status": { "type": "integer" }, "detail": text,
        "code": { "enum": codes }, "retryable": { "type": "boolean" }, "retryAfterMs": { "type": "integer", "minimum": 0 },
    });
    let kinds = [
        "person",
        "presence",
        "membership",
        "read",
        "restriction",
        "subscription",
        "notification",
        "item",
        "message",
    ];
    json!({
        "UserId": { "type": ["string", "integer"], "description": "In the JSON form that the token has." },
        "Time": { "type": "string", "format": "date-time", "description": "UTC, with milliseconds." },
        "Message": object(message, json!(["id", "sender", "kind", "body", "mentions", "createdAt"])),
        "Someone": object(someone, json!(["userId", "userName", "status"])),
        "Presence": object(presence, json!(["userId", "online", "status"])),
        "Problem": object(problem, json!(["type", "title", "status", "detail", "code", "retryable"])),
        "DeadLetter": object(json!({
            "id": { "type": "string", "format": "uuid" }, "queue": text, "attempts": { "type": "integer", "minimum": 0 },
            "reason": { "type": ["string", "null"] }, "createdAt": time, "data": { "description": "The body of the request." },
        }), json!(["id", "queue", "attempts", "reason", "createdAt", "data"])),
        "ExportLine": object(json!({ "type": { "enum": kinds }, "data": { "type": "object" } }), json!(["type", "data"])),
    })
}
