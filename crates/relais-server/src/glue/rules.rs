//! What an app file says, as the plain data that the core's dispatcher takes, and as the audiences that it asks for.

use std::sync::Arc;

use relais_core::capability::room::{JoinPolicy, RoomPolicy};
use relais_core::capability::roster;
use relais_core::dispatch::Rules;
use relais_core::event::{Audience, Event};
use relais_core::ports::Audiences;
use relais_core::vocabulary::{self, App, Reach};

/// The dispatcher's rules of an app, and of the server in which it runs.
pub fn of(app: &App, session_rooms_max: usize) -> Rules {
    let policy = |policy: &vocabulary::JoinPolicy| match policy {
        vocabulary::JoinPolicy::Claim(_) => JoinPolicy::Claim,
        vocabulary::JoinPolicy::Member => JoinPolicy::Member,
        vocabulary::JoinPolicy::Open => JoinPolicy::Open,
        vocabulary::JoinPolicy::Webhook => JoinPolicy::Webhook,
    };
    let rooms = app.rooms.0.iter().map(|kind| {
        let join = kind.join.iter().map(policy).collect();
        (kind.kind.clone(), RoomPolicy { join })
    });
    let contacts = match app.presence.audience {
        Reach::Contacts => roster::Contacts::Rooms,
        Reach::Tenant => roster::Contacts::Tenant,
    };
    let presence = roster::Rules {
        statuses: app.presence.statuses.clone(),
        contacts,
        ..roster::Rules::default()
    };
    Rules {
        rooms: rooms.collect(),
        presence: Arc::new(presence),
        session_rooms_max,
    }
}

/// An app file as the core asks it who hears of an event.
pub struct FileAudiences(pub Arc<App>);

impl Audiences for FileAudiences {
    fn audience(&self, event: &Event) -> Option<Audience> {
        self.0.audience(event)
    }
}
