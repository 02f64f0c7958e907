//! Demo data of development mode: the rooms and messages that the app files' `[demo]` tables name, written once.

use std::sync::Arc;

use relais_core::command::{Actor, Command, Invocation, NewMessage, Origin};
use relais_core::error::Error;
use relais_core::ids::{Conversation, TenantKey};
use relais_core::vocabulary::DemoRoom;

use crate::clock::Clock;
use crate::glue::apps::{Apps, Served};

/// Writes what is not there yet; each message has a key, so a second start writes nothing.
pub async fn seed(apps: &Apps, clock: Clock) {
    for served in apps.iter() {
        for room in &served.app.demo.rooms {
            if let Err(error) = seed_room(served, room, clock).await {
                tracing::warn!(app = %served.name, %error, "unable to write demo data");
            }
        }
    }
}

async fn seed_room(served: &Served, room: &DemoRoom, clock: Clock) -> Result<(), Error> {
    for (number, (author, text)) in room.messages.iter().enumerate() {
        let Some(author) = served.app.demo.users.get(*author) else {
            continue;
        };
        let (tenant, identity) = served.app.identity(&author.claims)?;
        let message = NewMessage {
            conversation: Conversation::Room(room.room.clone()),
            recipient: None,
            kind: "text".into(),
            body: text.clone(),
            channel: None,
            key: Some(format!("demo-{number}").into()),
            reply_to: None,
        };
        let invocation = Invocation {
            tenant: TenantKey::new(served.name.clone(), tenant),
            actor: Actor::User(Arc::new(identity)),
            origin: Origin::Http,
            now: clock.now(),
            new_id: clock.new_id(),
            command: Command::SendMessage(message),
        };
        served.dispatcher.dispatch(invocation).await?;
    }
    Ok(())
}
