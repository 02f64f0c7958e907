//! What a push says: the message or notification as it is now, and its words for one user.
//!
//! Comes in: what an errand names. Goes out: the payload that a service worker gets, at most [`PAYLOAD_BYTES_MAX`] bytes:
//! `{"type", "title", "body", "tag", "at", "data": {…}}`; its form is in docs/APPS.md.

use relais_core::event::{EventKind, Message};
use relais_core::ids::{Conversation, UserId};
use relais_core::ports::{Membership, Notified, StoreError, TenantStore};
use relais_core::vocabulary::App;
use serde_json::{Map, Value, json};

use super::browser::PAYLOAD_BYTES_MAX;
use super::jobs::What;

/// Longest title, and longest body, in characters.
const TITLE_CHARS_MAX: usize = 100;
const BODY_CHARS_MAX: usize = 240;
/// What the application wants to have with a notification, as JSON; beyond it, it is left out.
const DATA_BYTES_MAX: usize = 1_500;

/// What there is to say.
pub enum Matter {
    /// A message.
    Message(Box<Message>),
    /// A notification.
    Notification(Box<Notified>),
}

/// What is said of it.
pub struct Words {
    /// In a few words.
    pub title: String,
    /// The text.
    pub body: String,
    /// When it was.
    pub at: String,
    /// What it is: the room, the message, the sender.
    pub data: Map<String, Value>,
    /// Whether it concerns this one user alone.
    pub is_urgent: bool,
}

impl Matter {
    /// What there is to say to a user: nothing, where it is gone, read, or no longer theirs.
    pub async fn find(
        store: &dyn TenantStore,
        what: &What,
        user: &UserId,
    ) -> Result<Option<Self>, StoreError> {
        if what.kind == EventKind::NotifySent {
            let found = store.notification(user, what.id).await?;
            let unread = found.filter(|found| !found.is_read);
            return Ok(unread.map(|found| Self::Notification(Box::new(found))));
        }
        let Some(message) = store.message(what.id).await? else {
            return Ok(None);
        };
        match concerns(store, &message, what.kind, user).await? {
            true => Ok(Some(Self::Message(Box::new(message)))),
            false => Ok(None),
        }
    }

    /// Its words.
    pub fn words(&self, app: &App) -> Words {
        match self {
            Matter::Message(message) => of_message(message, app),
            Matter::Notification(found) => of_notification(found),
        }
    }
}

async fn concerns(
    store: &dyn TenantStore,
    message: &Message,
    kind: EventKind,
    user: &UserId,
) -> Result<bool, StoreError> {
    let is_named = kind != EventKind::MessageMentioned || message.mentions.contains(user);
    let is_seen = message.recipient.as_ref().is_none_or(|one| one == user);
    if message.deleted_at.is_some() || !is_named || !is_seen {
        return Ok(false);
    }
    if store.read_mark(&message.conversation, user).await? >= message.seq {
        return Ok(false);
    }
    match message.conversation.room() {
        Some(room) => Ok(store.membership(room, user).await? != Membership::Removed),
        None => Ok(true),
    }
}

fn of_message(message: &Message, app: &App) -> Words {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| data.insert(name.to_owned(), value);
    if let Conversation::Room(room) = &message.conversation {
        put("room", app.rooms.wire_name(room).into());
        put("roomId", (*room.id).into());
    }
    put("messageId", message.id.to_string().into());
    put("seq", message.seq.0.into());
    put("senderId", message.sender.id.to_json());
    put("senderName", (*message.sender.name).into());
    put("kind", (*message.kind).into());
    let is_direct = matches!(message.conversation, Conversation::Direct(..));
    Words {
        title: cut(&message.sender.name, TITLE_CHARS_MAX),
        body: cut(&message.body, BODY_CHARS_MAX),
        at: message.created_at.to_string(),
        data,
        is_urgent: is_direct || message.recipient.is_some(),
    }
}

fn of_notification(found: &Notified) -> Words {
    let notification = &found.notification;
    let mut data = Map::new();
    data.insert(
        "notificationId".to_owned(),
        notification.id.to_string().into(),
    );
    if let Some(kind) = &notification.kind {
        data.insert("type".to_owned(), (**kind).into());
    }
    let own = notification.data.as_ref();
    if let Some(own) = own.filter(|own| own.to_string().len() <= DATA_BYTES_MAX) {
        data.insert("data".to_owned(), own.clone());
    }
    Words {
        title: cut(&notification.title, TITLE_CHARS_MAX),
        body: cut(&notification.message, BODY_CHARS_MAX),
        at: notification.created_at.to_string(),
        data,
        is_urgent: true,
    }
}

impl Words {
    /// The payload for a browser. Where names are so long that it does not fit, it goes without what is not to be read.
    pub fn payload(&self, what: &What, tag: &str) -> String {
        let whole = |data: &Map<String, Value>| {
            let payload = json!({
                "type": what.kind.name(),
                "title": self.title,
                "body": self.body,
                "tag": tag,
                "at": self.at,
                "data": data,
            });
            payload.to_string()
        };
        let payload = whole(&self.data);
        match payload.len() <= PAYLOAD_BYTES_MAX {
            true => payload,
            false => whole(&Map::new()),
        }
    }
}

/// The payload that takes something back.
pub fn withdrawal(tag: &str) -> String {
    json!({ "type": "withdraw", "tag": tag }).to_string()
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relais_core::ids::Id;

    #[test]
    fn a_payload_fits_whatever_is_in_it() {
        let what = What {
            kind: EventKind::MessageSent,
            id: Id(uuid::Uuid::from_u128(1)),
        };
        let mut data = Map::new();
        data.insert("room".to_owned(), "r".repeat(4_000).into());
        // Characters that JSON writes with six bytes each.
        let words = Words {
            title: cut(&"\u{1}".repeat(500), TITLE_CHARS_MAX),
            body: cut(&"\u{1}".repeat(5_000), BODY_CHARS_MAX),
            at: "2026-01-31T08:05:09.042Z".to_owned(),
            data,
            is_urgent: false,
        };
        let payload = words.payload(&what, &"t".repeat(600));
        assert!(payload.len() <= PAYLOAD_BYTES_MAX, "{}", payload.len());
        let read: Value = serde_json::from_str(&payload).expect("JSON");
        assert_eq!(read["data"], json!({}));
        assert_eq!(read["type"], "message.sent");
    }
}
