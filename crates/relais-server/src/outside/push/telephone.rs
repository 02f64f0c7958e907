//! Pushes to telephones, through the team's own backend: it keeps their tokens, and is asked to send.
//!
//! Goes out: `push.requested` with the users who are away and a message as FCM's HTTP v1 API takes it, but for the token. Its form is in
//! docs/APPS.md.

use relais_core::event::Facts;
use relais_core::ids::{TenantKey, Timestamp, UserId};
use serde_json::{Map, Value, json};

use super::browser::{TTL_SECONDS, topic};
use super::jobs::What;
use super::matter::Words;

/// Users that one request names.
pub const USERS_MAX: usize = 1_000;

/// The body of one request.
pub fn request(
    tenant: &TenantKey,
    users: &[UserId],
    (what, words, tag): (&What, &Words, &str),
    now: Timestamp,
) -> Facts {
    let users: Vec<Value> = users.iter().map(UserId::to_json).collect();
    let data = json!({
        "app": &*tenant.app,
        "tenant": &*tenant.tenant,
        "users": users,
        "tag": tag,
        "message": message(what, words, tag, now),
    });
    let mut body = Facts::new();
    body.insert("type".to_owned(), "push.requested".into());
    body.insert("timestamp".to_owned(), now.to_string().into());
    body.insert("data".to_owned(), data);
    body
}

/// FCM takes texts alone in `data`, and one name for what takes the place of an older one.
fn message(what: &What, words: &Words, tag: &str, now: Timestamp) -> Value {
    let (collapse, expires) = (topic(tag), now.0 / 1_000 + i64::from(TTL_SECONDS));
    let priority = if words.is_urgent { "HIGH" } else { "NORMAL" };
    let mut data = Map::new();
    data.insert("event".to_owned(), what.kind.name().into());
    data.insert("tag".to_owned(), tag.into());
    for (name, value) in &words.data {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        data.insert(name.clone(), text.into());
    }
    json!({
        "notification": { "title": words.title, "body": words.body },
        "data": data,
        "android": {
            "collapse_key": collapse,
            "priority": priority,
            "ttl": format!("{TTL_SECONDS}s"),
            "notification": { "tag": tag },
        },
        "apns": {
            "headers": {
                "apns-collapse-id": collapse,
                "apns-expiration": expires.to_string(),
                "apns-priority": if words.is_urgent { "10" } else { "5" },
            },
            "payload": { "aps": { "thread-id": tag } },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use relais_core::event::EventKind;
    use relais_core::ids::Id;

    #[test]
    fn a_request_has_the_form_that_fcm_takes() {
        let what = What {
            kind: EventKind::MessageSent,
            id: Id(uuid::Uuid::from_u128(1)),
        };
        let data = json!({ "room": "bam-1", "seq": 7 });
        let words = Words {
            title: "Ann".to_owned(),
            body: "Hello".to_owned(),
            at: String::new(),
            data: data.as_object().cloned().unwrap_or_default(),
            is_urgent: false,
        };
        let users = [UserId::text("bob")];
        let tenant = TenantKey::new("bam", "default");
        let body = request(&tenant, &users, (&what, &words, "bam-1"), Timestamp(0));
        let topic = topic("bam-1");
        let expected = json!({
            "type": "push.requested",
            "timestamp": "1970-01-01T00:00:00.000Z",
            "data": {
                "app": "bam",
                "tenant": "default",
                "users": ["bob"],
                "tag": "bam-1",
                "message": {
                    "notification": { "title": "Ann", "body": "Hello" },
                    "data": { "event": "message.sent", "tag": "bam-1", "room": "bam-1", "seq": "7" },
                    "android": {
                        "collapse_key": topic,
                        "priority": "NORMAL",
                        "ttl": "86400s",
                        "notification": { "tag": "bam-1" },
                    },
                    "apns": {
                        "headers": { "apns-collapse-id": topic, "apns-expiration": "86400", "apns-priority": "5" },
                        "payload": { "aps": { "thread-id": "bam-1" } },
                    },
                },
            },
        });
        assert_eq!(Value::Object(body), expected);
    }
}
