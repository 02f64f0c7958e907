//! What an app speaks, written down for programs: JSON Schemas of what it takes and tells, AsyncAPI, TypeScript.
//!
//! Comes in: a compiled app file. Goes out: documents. The fields that clients send have the schemas that are checked; what the server
//! tells has those of the facts that the file maps.

pub mod asyncapi;
pub mod schema;
pub mod typescript;

use relais_core::error::Code;
use relais_core::vocabulary::App;
use schema::About;
use serde_json::{Value, json};

/// An event that clients may send.
struct Taken<'a> {
    name: &'a str,
    summary: &'a str,
    payload: Value,
    /// What the ack holds besides `success`.
    ack: Value,
}

/// What clients may send: what the file declares, and what every app has.
fn taken(app: &App) -> Vec<Taken<'_>> {
    let declared = app.client.iter().map(|event| {
        let reply = event.rule.reply.as_ref();
        Taken {
            name: &event.rule.subject,
            summary: event.rule.operation,
            payload: schema::payload(event),
            ack: reply.map_or_else(
                || json!({}),
                |reply| About::reply(app, &event.rule).shape(reply),
            ),
        }
    });
    let token = json!({ "type": "string", "description": "A new token of the same user." });
    let expires_at = json!({ "type": ["string", "null"], "format": "date-time" });
    let refresh = Taken {
        name: "auth:refresh",
        summary: "renews the session's token in place",
        payload: json!({ "type": "object", "properties": { "token": token }, "required": ["token"] }),
        ack: json!({ "type": "object", "properties": { "expiresAt": expires_at }, "required": ["expiresAt"] }),
    };
    declared.chain([refresh]).collect()
}

/// What the server sends, each name once: what the file declares, answers that are events too, and what every app has.
fn told(app: &App) -> Vec<(&str, Value)> {
    let declared = app
        .server
        .iter()
        .map(|one| (&*one.name, About::event(app, one).shape(&one.data)));
    let answers = app.client.iter().filter_map(|event| {
        let reply = event.rule.reply.as_ref();
        let data = reply.map_or_else(
            || json!({ "type": "object" }),
            |reply| About::reply(app, &event.rule).shape(reply),
        );
        Some((&**event.rule.answer.as_ref()?, data))
    });
    let mut told: Vec<(&str, Vec<Value>)> = Vec::new();
    for (name, data) in declared.chain(answers).chain(own()) {
        match told.iter_mut().find(|(known, _)| *known == name) {
            Some((_, several)) if several.contains(&data) => {}
            Some((_, several)) => several.push(data),
            None => told.push((name, vec![data])),
        }
    }
    let one = |mut several: Vec<Value>| match several.len() {
        1 => several.remove(0),
        _ => json!({ "anyOf": several }),
    };
    told.into_iter()
        .map(|(name, several)| (name, one(several)))
        .collect()
}

/// What the server sends in every app.
fn own() -> [(&'static str, Value); 2] {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.row().name).collect();
    let time = json!({ "type": "string", "format": "date-time" });
    let wait = json!({ "type": "integer", "minimum": 0 });
    let text = json!({ "type": "string" });
    let mut error = json!({ "code": { "enum": codes }, "message": text, "retryable": { "type": "boolean" }, "retryAfterMs": wait });
    let required = json!(["code", "message", "retryable"]);
    let inner = json!({ "type": "object", "properties": error, "required": required });
    error["event"] = json!({ "type": "string", "description": "The event that was refused." });
    error["success"] = json!({ "const": false });
    error["error"] = inner;
    [
        (
            "auth:expiring",
            json!({ "type": "object", "properties": { "expiresAt": time }, "required": ["expiresAt"] }),
        ),
        (
            "error",
            json!({ "type": "object", "properties": error, "required": required }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::app_files;

    /// Where nobody but the app's clients can say what it is.
    const OPEN: [(&str, &str); 11] = [
        ("", "Record<string, unknown>"),
        ("bam", "\"notification\": "),
        ("stories", "\"send:notification\": "),
        ("stories", "\"get:notifications\": "),
        ("stories", "\"notification:received\": "),
        ("stories", "\"profile:updated\": "),
        ("stories", "\"story:published\": "),
        ("stories", "\"story:updated\": "),
        ("stories", "\"chapter:published\": "),
        ("stories", "\"story:new\": "),
        ("stories", "\"chapter:new\": "),
    ];

    #[test]
    fn nothing_is_unknown_but_what_clients_make_up() {
        for app in app_files::load(None).expect("the built-in apps are right") {
            let types = super::typescript::declarations(&app);
            for line in types.lines().filter(|line| line.contains("unknown")) {
                let is_open = OPEN.iter().any(|(of, words)| {
                    (of.is_empty() || *of == &*app.name) && line.contains(words)
                });
                assert!(is_open, "{}: {line}", app.name);
            }
        }
    }

    #[test]
    fn what_is_told_has_exact_types() {
        let apps = app_files::load(None).expect("the built-in apps are right");
        let types = |name: &str| {
            let app = apps.iter().find(|app| *app.name == *name);
            super::typescript::declarations(app.expect("a built-in app"))
        };
        let wedding = types("wedding");
        for line in [
            r#""new_photo": (data: { "id": (string | number); "url": string; "caption": (string | null); "uploadedBy": ((string | number) | null); "uploaderName": (string | null); "createdAt": string }) => void;"#,
            r#""user_online": (data: { "userId": (string | number); "userName": string; "role": (("couple" | "planner" | "dj" | "guest" | "admin") | null) }) => void;"#,
        ] {
            let sorted = |text: &str| {
                let mut words: Vec<String> = text.split("; ").map(str::to_owned).collect();
                words.sort();
                words.join("; ")
            };
            let name = line.split(": ").next().expect("a name");
            let told = wedding
                .lines()
                .rfind(|own| own.trim_start().starts_with(name));
            let told = told.expect(name).trim_start();
            let inner = |text: &str| {
                let from = text.find("{ ").expect("an object") + 2;
                sorted(&text[from..text.rfind(" }").expect("its end")])
            };
            assert_eq!(inner(told), inner(line), "{told}");
        }
        assert!(wedding.contains(r#""status": ("todo" | "in_progress" | "done" | "cancelled")"#));
        assert!(types("studio").contains(r#""status": "SUCCESS""#));
    }

    #[test]
    fn every_event_of_every_app_is_in_both_documents_and_references_lead_somewhere() {
        for app in app_files::load(None).expect("the built-in apps are right") {
            let types = super::typescript::declarations(&app);
            let document = super::asyncapi::document(&app);
            let client = app.client.iter().map(|event| &event.rule.subject);
            let answers = app
                .client
                .iter()
                .filter_map(|event| event.rule.answer.as_ref());
            let server = app.server.iter().map(|event| &event.name);
            let declared = client.chain(answers).chain(server).map(|name| &**name);
            for name in declared.chain(["auth:refresh", "auth:expiring", "error"]) {
                assert!(types.contains(&format!("  \"{name}\": (")), "{name}");
                let messages = document["components"]["messages"].as_object();
                let mut messages = messages.into_iter().flatten();
                assert!(messages.any(|(_, one)| one["name"] == *name), "{name}");
            }
            for (key, operation) in document["operations"].as_object().into_iter().flatten() {
                let reference = operation["messages"][0]["$ref"]
                    .as_str()
                    .unwrap_or_default();
                let inner = document.pointer(reference.trim_start_matches('#'));
                let outer = inner
                    .and_then(|inner| inner["$ref"].as_str())
                    .unwrap_or_default();
                assert!(
                    document.pointer(outer.trim_start_matches('#')).is_some(),
                    "{key}"
                );
            }
        }
    }
}
