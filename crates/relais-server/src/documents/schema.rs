//! JSON Schemas of what an app takes and tells.

use relais_core::vocabulary::{ClientEvent, Field, Member, Path, PersonPart, Shape};
use serde_json::{Map, Value, json};

/// Fields as the schema of one object.
pub fn object(fields: &[Field]) -> Value {
    let named = fields.iter();
    let properties: Map<String, Value> = named
        .map(|field| (field.name.to_string(), field.schema.clone()))
        .collect();
    let needed = fields.iter().filter(|field| field.required);
    let required: Vec<&str> = needed.map(|field| &*field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// What a client event carries: an object, or its bare arguments as a list.
pub fn payload(event: &ClientEvent) -> Value {
    let fields: Vec<&Field> = event.rule.fields.iter().collect();
    if event.arguments.is_empty() {
        let named = fields.iter();
        let properties: Map<String, Value> = named
            .map(|field| (field.name.to_string(), field.schema.clone()))
            .collect();
        let needed = fields.iter().filter(|field| field.required);
        let required: Vec<&str> = needed.map(|field| &*field.name).collect();
        return json!({ "type": "object", "properties": properties, "required": required });
    }
    let named = event.arguments.iter();
    let items: Vec<Value> = named
        .map(|name| {
            let field = fields.iter().find(|field| field.name == *name);
            field.map_or_else(|| json!({}), |field| field.schema.clone())
        })
        .collect();
    let needed = fields.iter().filter(|field| field.required).count();
    json!({ "type": "array", "prefixItems": items, "minItems": needed })
}

/// What a field map writes.
pub fn shape(shape: &Shape) -> Value {
    written(shape, false)
}

/// `left_out`: where its fact is absent nothing is written; otherwise `null`.
fn written(shape: &Shape, left_out: bool) -> Value {
    match shape {
        Shape::Constant(encoded) => match serde_json::from_str::<Value>(encoded) {
            Ok(value) => json!({ "const": value }),
            Err(_) => json!({}),
        },
        Shape::Fact(path) if left_out => fact(path),
        Shape::Fact(path) => or_null(fact(path), path),
        Shape::Object(members) => {
            let named = || members.iter().filter(|member| !member.name.is_empty());
            let one = |member: &Member| written(&member.shape, member.optional);
            let properties: Map<String, Value> = named()
                .map(|member| (member.name.to_string(), one(member)))
                .collect();
            let needed = named().filter(|member| !member.optional);
            let required: Vec<&str> = needed.map(|member| &*member.name).collect();
            json!({ "type": "object", "properties": properties, "required": required })
        }
        Shape::In(_, inner) => written(inner, left_out),
        Shape::Each(path, inner) => {
            let list = json!({ "type": "array", "items": written(inner, false) });
            if left_out { list } else { or_null(list, path) }
        }
    }
}

/// The same, or `null`, for a fact that is not always there.
fn or_null(mut schema: Value, path: &Path) -> Value {
    let absent = match path {
        Path::Target | Path::Actor(_) => true,
        Path::Body(steps) => match steps.last().map_or("", |last| &**last) {
            "assignee" | "channel" | "customStatus" | "deletedAt" | "editedAt" | "files"
            | "key" | "lastSeen" | "reason" | "recipient" | "replyTo" | "role" | "roomId"
            | "type" => true,
            _ => steps.first().is_some_and(|first| **first == *"owner"),
        },
        Path::Seq | Path::Position | Path::At | Path::Tenant | Path::Room(_) => false,
    };
    let kinds = match &schema["type"] {
        Value::String(one) => vec![Value::from(one.as_str())],
        Value::Array(several) => several.clone(),
        _ => return schema,
    };
    if absent {
        schema["type"] = kinds.into_iter().chain(["null".into()]).collect();
    }
    schema
}

/// What a fact is, by the name that the core gives it.
fn fact(path: &Path) -> Value {
    let text = json!({ "type": "string" });
    let id = json!({ "type": ["string", "integer"] });
    match path {
        Path::Seq | Path::Position => json!({ "type": "integer" }),
        Path::At => json!({ "type": "string", "format": "date-time" }),
        Path::Target | Path::Actor(PersonPart::Id) => id,
        Path::Actor(PersonPart::Whole) => json!({ "type": "object" }),
        Path::Tenant | Path::Actor(PersonPart::Name | PersonPart::Role) | Path::Room(_) => text,
        Path::Body(steps) => match steps.first().map(|first| &**first) {
            // Whatever the application put there.
            Some("data" | "fields") => json!({}),
            _ => match steps.last().map_or("", |last| &**last) {
                "activeConnections" | "activeTenants" | "bytes" | "connectedUsers" | "count"
                | "delivered" | "lastSeq" | "messagesPerMinute" | "recipients" | "seq"
                | "totalConnections" | "unread" | "uptimeSeconds" => {
                    json!({ "type": "integer" })
                }
                "hasMore" | "isTyping" | "online" | "read" | "resumed" => {
                    json!({ "type": "boolean" })
                }
                "addedAt" | "at" | "createdAt" | "deletedAt" | "editedAt" | "lastSeen"
                | "updatedAt" => {
                    json!({ "type": "string", "format": "date-time" })
                }
                "assignee" | "id" | "recipient" | "roomId" | "userId" => id,
                "mentions" => json!({ "type": "array", "items": id }),
                "permissions" => json!({ "type": "array", "items": text }),
                "body" | "channel" | "contentType" | "customStatus" | "excerpt" | "filename"
                | "key" | "kind" | "message" | "messageId" | "name" | "reason" | "replyTo"
                | "role" | "sessionId" | "status" | "tenant" | "title" | "type" | "url"
                | "userName" => text,
                _ => json!({}),
            },
        },
    }
}
