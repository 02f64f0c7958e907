//! An app's events as AsyncAPI 3.0: what clients may send, with the ack, and what the server sends; over Socket.IO, and at the addresses of
//! the plain JSON WebSocket where the app has some.

use relais_core::vocabulary::{App, SocketPath};
use serde_json::{Map, Value, json};

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
    for event in super::taken(app) {
        let message =
            json!({ "summary": event.summary, "payload": event.payload, "x-ack": event.ack });
        add("client", "receive", event.name, message);
    }
    for (name, payload) in super::told(app) {
        add("server", "send", name, json!({ "payload": payload }));
    }
    let mut channels = Map::new();
    for (index, path) in app.websocket.iter().enumerate() {
        channels.insert(format!("websocket{}", index + 1), plain(app, path, &known));
    }
    let address = format!("/{}/socket.io/", app.name);
    channels.insert(
        "socketio".to_owned(),
        json!({ "address": address, "title": "Socket.IO", "messages": known }),
    );
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": &*app.title, "version": env!("CARGO_PKG_VERSION"),
            "description": "Events over Socket.IO v5 (Engine.IO v4). `x-ack` is what an ack holds besides `success`; bare arguments are a list.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages },
    })
}

/// The same events on an address of the plain JSON WebSocket.
fn plain(app: &App, path: &SocketPath, known: &Map<String, Value>) -> Value {
    let text = "Each message is one frame `{type, data, id?}`: its name, its payload, and an id where an ack is wanted. \
        The server's frames have a `timestamp` too, and a `position` when they are stored.";
    let id = path.room.as_ref().map_or("", |_| "{roomId}");
    let address = format!("/{}{}{id}{}", app.name, path.prefix, path.suffix);
    let mut channel = json!({ "address": address, "title": "Plain JSON WebSocket", "description": text, "messages": known });
    if path.room.is_some() {
        channel["parameters"] =
            json!({ "roomId": { "description": "The room that is joined at once." } });
    }
    channel
}

/// As a key of AsyncAPI may be.
fn slug(name: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    name.chars()
        .map(|one| if fits(one) { one } else { '-' })
        .collect()
}
