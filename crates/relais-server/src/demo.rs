//! Demo data of development mode: what the app files' `[demo]` tables say, written once.

use std::sync::Arc;

use relais_core::command::{Actor, Command, Invocation, NewMessage, Origin};
use relais_core::error::{Code, Error};
use relais_core::ids::{Conversation, TenantKey};
use relais_core::vocabulary::{Asker, DemoEvent, DemoRoom, DemoUser, Match};
use serde_json::Value;

use crate::clock::Clock;
use crate::glue::apps::{Apps, Served};

/// Writes what is not there yet.
pub async fn seed(apps: &Apps, clock: Clock) {
    for served in apps.iter() {
        if let Err(error) = seed_app(served, clock).await {
            tracing::warn!(app = %served.name, %error, "unable to write demo data");
        }
    }
}

async fn seed_app(served: &Served, clock: Clock) -> Result<(), Error> {
    // Messages have a key, so that a second start writes none; of what else was done, a log that is not empty is the sign.
    let mut fresh = Vec::new();
    for user in &served.app.demo.users {
        let (tenant, _) = served.app.identity(&user.claims)?;
        let tenant = TenantKey::new(served.name.clone(), tenant);
        if !fresh.contains(&tenant) && served.dispatcher.is_empty(&tenant, clock.now()).await? {
            fresh.push(tenant);
        }
    }
    for room in &served.app.demo.rooms {
        seed_room(served, room, clock).await?;
    }
    for event in &served.app.demo.events {
        let Some(user) = served.app.demo.users.get(event.from) else {
            continue;
        };
        let (tenant, _) = served.app.identity(&user.claims)?;
        if fresh.contains(&TenantKey::new(served.name.clone(), tenant)) {
            seed_event(served, user, event, clock).await?;
        }
    }
    Ok(())
}

async fn seed_room(served: &Served, room: &DemoRoom, clock: Clock) -> Result<(), Error> {
    for (number, (author, text)) in room.messages.iter().enumerate() {
        let Some(author) = served.app.demo.users.get(*author) else {
            continue;
        };
        let message = NewMessage {
            conversation: Conversation::Room(room.room.clone()),
            recipient: None,
            kind: "text".into(),
            body: text.clone(),
            channel: None,
            key: Some(format!("demo-{number}").into()),
            reply_to: None,
        };
        run(served, author, clock, |_| Ok(Command::SendMessage(message))).await?;
    }
    Ok(())
}

/// What a client would send, through the same checks.
async fn seed_event(
    served: &Served,
    user: &DemoUser,
    event: &DemoEvent,
    clock: Clock,
) -> Result<(), Error> {
    let app = &served.app;
    run(served, user, clock, |asker| {
        let route = event.send.split_once(' ');
        let request = match route.map(|(method, path)| app.http.find(method, path)) {
            Some(Match::Route(route, parameters)) => {
                app.request(&route, &parameters, "", Some(&event.data), asker)
            }
            _ => {
                let arguments = match &event.data {
                    Value::Array(bare) => bare.as_slice(),
                    object => std::slice::from_ref(object),
                };
                app.command(&event.send, arguments, asker)
            }
        };
        request.map(|request| request.command)
    })
    .await
}

async fn run(
    served: &Served,
    user: &DemoUser,
    clock: Clock,
    command: impl FnOnce(Asker<'_>) -> Result<Command, Error>,
) -> Result<(), Error> {
    let (tenant, identity) = served.app.identity(&user.claims)?;
    let actor = Actor::User(Arc::new(identity));
    let asker = Asker {
        actor: &actor,
        tenant: &tenant,
    };
    let command = command(asker)?;
    let invocation = Invocation {
        tenant: TenantKey::new(served.name.clone(), tenant),
        actor,
        origin: Origin::Http,
        now: clock.now(),
        new_id: clock.new_id(),
        command,
    };
    match served.dispatcher.dispatch(invocation).await {
        // Somebody has been here before: what is there stays.
        Err(error) if matches!(error.code, Code::IdempotencyConflict | Code::InvalidState) => {
            Ok(())
        }
        other => other.map(|_| ()),
    }
}
