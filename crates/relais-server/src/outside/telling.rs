//! Telling the team's own backend of events: one request for each, of the kinds that the app file names.
//!
//! `{"type": "message.sent", "timestamp": "…", "data": {"app", "tenant", "position", "seq"?, "room"?, "user"?, "target"?, "facts"}}`, the facts
//! under the core's names: what the app calls them on the wire may change while a request waits.

use std::sync::Arc;

use async_trait::async_trait;
use relais_core::event::{EventKind, Facts, Record};
use relais_core::ids::{Monotonic, TenantKey};
use relais_core::outside::Errand;
use relais_core::ports::StoreError;
use relais_core::vocabulary::App;
use serde_json::{Value, json};

use super::{Backend, Teller, Told, schedule};

/// The teller of one app's events.
pub struct Webhooks {
    /// Which kinds.
    pub app: Arc<App>,
    /// Whom.
    pub backend: Arc<Backend>,
}

impl Webhooks {
    /// The name of the queue.
    pub const QUEUE: &'static str = "webhook";
}

#[async_trait]
impl Teller for Webhooks {
    fn name(&self) -> &'static str {
        Self::QUEUE
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.app.webhook.tells(kind)
    }

    async fn errands(&self, records: &[Arc<Record>]) -> Result<Vec<Errand>, StoreError> {
        Ok(records.iter().map(|record| errand(record)).collect())
    }

    async fn tell(&self, _: &TenantKey, errand: &Errand) -> Told {
        let id = format!("msg_{}", errand.id.0.simple());
        self.backend.tell(&id, &errand.data).await
    }

    fn pauses_until(&self) -> Option<Monotonic> {
        self.backend.pauses_until()
    }
}

fn errand(record: &Record) -> Errand {
    Errand {
        id: schedule::id(Webhooks::QUEUE, record, ""),
        queue: Webhooks::QUEUE.into(),
        due_at: record.at,
        attempts: 0,
        is_dead: false,
        created_at: record.at,
        reason: None,
        data: body(record),
    }
}

fn body(record: &Record) -> Facts {
    let event = &record.event;
    let mut data = Facts::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.map(|value| data.insert(name.to_owned(), value));
    };
    put("app", Some((*record.tenant.app).into()));
    put("tenant", Some((*record.tenant.tenant).into()));
    put("position", Some(record.position.0.into()));
    put("seq", record.seq.map(|seq| seq.0.into()));
    put(
        "room",
        event
            .room
            .as_ref()
            .map(|room| json!({ "kind": &*room.kind, "id": &*room.id })),
    );
    put("user", event.actor.as_ref().map(|person| json!(person)));
    put("target", event.target.as_ref().map(|user| user.to_json()));
    put("facts", Some(event.body.clone().into()));
    let mut body = Facts::new();
    body.insert("type".to_owned(), event.kind.name().into());
    body.insert("timestamp".to_owned(), record.at.to_string().into());
    body.insert("data".to_owned(), data.into());
    body
}
