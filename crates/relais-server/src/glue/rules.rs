//! What an app file says, as the plain data that the core's dispatcher takes, and as the audiences that it asks for.

use std::sync::Arc;

use relais_core::capability::item::{ItemKind, LeaseRule, Viewers};
use relais_core::capability::room::{JoinPolicy, RoomPolicy};
use relais_core::capability::roster;
use relais_core::dispatch::Rules;
use relais_core::event::{Audience, Event, EventKind};
use relais_core::ports::{Audiences, Notice};
use relais_core::vocabulary::{self, App, Automatic, Reach};

use crate::settings::Limits;

/// The dispatcher's rules of an app, and of the server in which it runs.
pub fn of(app: &App, limits: &Limits) -> Rules {
    let policy = |policy: &vocabulary::JoinPolicy| match policy {
        vocabulary::JoinPolicy::Claim(_) => JoinPolicy::Claim,
        vocabulary::JoinPolicy::Member => JoinPolicy::Member,
        vocabulary::JoinPolicy::Open => JoinPolicy::Open,
        vocabulary::JoinPolicy::Webhook => JoinPolicy::Webhook,
    };
    let rooms = app.rooms.0.iter().map(|kind| {
        let join = kind.join.iter().map(policy).collect();
        let joins_members = kind.automatic == Some(Automatic::Member);
        let policy = RoomPolicy {
            join,
            joins_members,
            sorts: kind.sorts.clone(),
            item: kind.item.clone(),
        };
        (kind.kind.clone(), policy)
    });
    let items = app.items.0.iter();
    let items = items.map(|kind| (kind.kind.clone(), item_kind(kind)));
    let contacts = match app.presence.audience {
        Reach::Contacts => roster::Contacts::Rooms,
        Reach::Tenant => roster::Contacts::Tenant,
    };
    let ordinary = roster::Rules::default();
    let presence = roster::Rules {
        statuses: app.presence.statuses.clone(),
        contacts,
        past_max: match tells_of_people(app) {
            true => ordinary.past_max,
            false => 0,
        },
        ..ordinary
    };
    Rules {
        rooms: rooms.collect(),
        items: items.collect(),
        presence: Arc::new(presence),
        roles: app.roles.clone(),
        session_rooms_max: limits.session_rooms_max,
        inbox_max: limits.inbox_max,
        remembers: app.webhook.tells_pushes,
    }
}

/// Whether anything on the wire tells who is here.
fn tells_of_people(app: &App) -> bool {
    let kinds = [
        EventKind::PresenceOnline,
        EventKind::PresenceOffline,
        EventKind::PresenceChanged,
        EventKind::RoomJoined,
        EventKind::RoomLeft,
    ];
    kinds.into_iter().any(|kind| app.tells(kind))
}

fn item_kind(kind: &vocabulary::Item) -> ItemKind {
    let viewers = |who: &Arc<str>| match who.strip_prefix("role:") {
        Some(role) => Viewers::Role(role.into()),
        None => Viewers::All,
    };
    ItemKind {
        fields: kind.fields.clone(),
        required: kind.required.clone(),
        address: kind.address.clone(),
        statuses: kind.statuses.clone(),
        moves: kind.moves.clone(),
        see: kind.see.iter().map(viewers).collect(),
        lease: kind.lease_ms.map(|ms| LeaseRule {
            ms: i64::try_from(ms).unwrap_or(i64::MAX),
            lost_max: kind.leases_max,
            failed: kind.failed.clone(),
        }),
    }
}

/// An app file as the core asks it who hears of an event.
pub struct FileAudiences(pub Arc<App>);

impl Audiences for FileAudiences {
    /// What the backend is told of, and what pushes follow from, is stored even where no client hears of it.
    fn audience(&self, event: &Event) -> Option<Audience> {
        let App { webhook, push, .. } = &*self.0;
        let is_wanted = webhook.tells(event.kind) || push.follows(event.kind);
        let told = || is_wanted.then(Audience::default);
        self.0.audience(event).or_else(told)
    }

    fn tells(&self, kind: EventKind) -> bool {
        self.0.tells(kind) || self.0.push.is_of(kind)
    }

    fn notices(&self, event: &Event) -> Vec<Notice> {
        Audiences::notices(&*self.0, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past_max(server: &str) -> usize {
        let file = format!("name = \"a\"\ntitle = \"A\"\n{server}");
        let app = App::parse("a.toml", &file).expect("a right file");
        of(&app, &Limits::defaults()).presence.past_max
    }

    #[test]
    fn who_comes_and_goes_is_remembered_only_where_the_app_tells_of_it() {
        assert_eq!(past_max(""), 0);
        let joined = "[server.joined]\non = \"room.joined\"\ndata = { userId = \"userId\" }\n";
        assert_eq!(past_max(joined), roster::Rules::default().past_max);
    }
}
