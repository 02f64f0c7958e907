//! JSON Schemas of what an app takes and tells.

use relais_core::vocabulary::{ClientEvent, Field, Path, PersonPart, Shape};
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
    match shape {
        Shape::Constant(encoded) => match serde_json::from_str::<Value>(encoded) {
            Ok(value) => json!({ "const": value }),
            Err(_) => json!({}),
        },
        Shape::Fact(path) => fact(path),
        Shape::Object(members) => {
            let named = || members.iter().filter(|member| !member.name.is_empty());
            let properties: Map<String, Value> = named()
                .map(|member| (member.name.to_string(), self::shape(&member.shape)))
                .collect();
            let needed = named().filter(|member| !member.optional);
            let required: Vec<&str> = needed.map(|member| &*member.name).collect();
            json!({ "type": "object", "properties": properties, "required": required })
        }
        Shape::In(_, inner) => self::shape(inner),
        Shape::Each(_, inner) => json!({ "type": "array", "items": self::shape(inner) }),
    }
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
                "seq" | "lastSeq" | "count" | "unread" | "version" => json!({ "type": "integer" }),
                "online" | "isTyping" | "hasMore" | "resumed" => json!({ "type": "boolean" }),
                "createdAt" | "editedAt" | "deletedAt" | "updatedAt" | "lastSeen" | "at" => {
                    json!({ "type": "string", "format": "date-time" })
                }
                "userId" | "recipient" => id,
                "body" | "kind" | "userName" | "status" | "channel" | "key" | "title" => text,
                _ => json!({}),
            },
        },
    }
}
