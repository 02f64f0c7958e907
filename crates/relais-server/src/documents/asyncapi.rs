//! An app's events as AsyncAPI 3.0: what clients may send, with the ack, and what the server sends.

use relais_core::vocabulary::App;
use serde_json::{Map, Value, json};

use super::schema;

/// The document.
pub fn document(app: &App) -> Value {
    let (mut messages, mut known, mut operations) = (Map::new(), Map::new(), Map::new());
    let mut add = |side: &str, action: &str, name: &str, mut message: Value| {
        let mut key = format!("{side}_{}", slug(name));
        while messages.contains_key(&key) {
            key.push('_');
        }
        message["name"] = name.into();
        messages.insert(key.clone(), message);
        known.insert(
            key.clone(),
            json!({ "$ref": format!("#/components/messages/{key}") }),
        );
        let of_channel = json!([{ "$ref": format!("#/channels/socketio/messages/{key}") }]);
        let operation = json!({ "action": action, "channel": { "$ref": "#/channels/socketio" }, "messages": of_channel });
        operations.insert(key, operation);
    };
    for event in app.client.iter() {
        let answer = event
            .rule
            .reply
            .as_ref()
            .map_or_else(|| json!({}), schema::shape);
        let message = json!({
            "summary": event.rule.operation, "payload": schema::payload(event), "x-ack": answer,
        });
        add("client", "receive", &event.rule.subject, message);
    }
    let mut told: Vec<&str> = Vec::new();
    for event in app.server.iter() {
        if !told.contains(&&*event.name) {
            told.push(&event.name);
            let same = app.server.iter().filter(|other| other.name == event.name);
            let mut payloads: Vec<Value> = same.map(|one| schema::shape(&one.data)).collect();
            let payload = match payloads.len() {
                1 => payloads.remove(0),
                _ => json!({ "anyOf": payloads }),
            };
            add("server", "send", &event.name, json!({ "payload": payload }));
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": &*app.title, "version": env!("CARGO_PKG_VERSION"),
            "description": "Events over Socket.IO v5 (Engine.IO v4). `x-ack` is what an ack holds besides `success`; bare arguments are a list.",
        },
        "defaultContentType": "application/json",
        "channels": { "socketio": {
            "address": format!("/{}/socket.io/", app.name), "title": "Socket.IO", "messages": known,
        } },
        "operations": operations,
        "components": { "messages": messages },
    })
}

/// As a key of AsyncAPI may be.
fn slug(name: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    name.chars()
        .map(|one| if fits(one) { one } else { '-' })
        .collect()
}
