//! Notifications: a user's inbox, what comes into it, what was read of it.
//!
//! In come commands with what the store says, and notices that an application makes of events; out go changes of inboxes, the
//! events that tell of them, and answers. Which event makes a notice, for whom and with what words, is the application's. Pushes
//! to who is away are others'.

use serde_json::{Value, json};

use super::{Outcome, facts};
use crate::command::{Actor, Invocation, NewNotification, WhichRead};
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts, Notification, Person};
use crate::ids::{AudienceKey, Id, Timestamp, UserId};
use crate::ports::{Change, InboxPage, InboxQuery, Notice, Notified, Recipients};

/// Notifications that an inbox keeps, unless the settings say otherwise.
pub const INBOX_MAX: u32 = 1_000;

/// Puts a notification into one user's inbox. Who may is the application's word.
pub fn send(invocation: &Invocation, new: NewNotification, keep: u32) -> Outcome {
    let NewNotification {
        user,
        kind,
        title,
        message,
        data,
    } = new;
    let notification = Notification {
        id: invocation.new_id,
        kind,
        title,
        message,
        data,
        created_at: invocation.now.wall,
    };
    let fresh = facts::notification(&notification, false);
    let event = Event {
        actor: actor(invocation).cloned(),
        session: super::session(invocation).cloned(),
        target: Some(user.clone()),
        ..sent(&notification, vec![AudienceKey::User(user.clone())])
    };
    Outcome {
        changes: vec![Change::Notify {
            to: vec![Recipients::User(user)],
            except: None,
            notification,
            keep,
        }],
        events: vec![event],
        reply: facts::object(json!({ "notification": fresh })),
        ..Outcome::default()
    }
}

/// What a notice of an event means: who it names gets it once, without the one who caused the event. `None`: it names nobody else.
pub fn react(
    cause: &Event,
    notice: Notice,
    (id, at): (Id, Timestamp),
    keep: u32,
) -> Option<(Change, Event)> {
    let except = cause.actor.as_ref().map(|actor| actor.id.clone());
    let (to, keys) = recipients(&notice.to, except.as_ref());
    if to.is_empty() {
        return None;
    }
    let notification = Notification {
        id,
        kind: Some(notice.kind),
        title: notice.title,
        message: notice.message,
        data: notice.data,
        created_at: at,
    };
    let mut event = Event {
        actor: cause.actor.clone(),
        session: cause.session.clone(),
        ..sent(&notification, keys)
    };
    match &*to {
        [Recipients::User(user)] => event.target = Some(user.clone()),
        [Recipients::Members(room)] => event.room = Some(room.clone()),
        _ => {}
    }
    if let Some(audience) = &mut event.audience {
        audience.except_user = except.clone();
    }
    let change = Change::Notify {
        to,
        except,
        notification,
        keep,
    };
    Some((change, event))
}

/// Inboxes, and the audience that is the same people. Everybody and a role have no list of members, so they have no inboxes.
fn recipients(
    keys: &[AudienceKey],
    except: Option<&UserId>,
) -> (Vec<Recipients>, Vec<AudienceKey>) {
    let mut found = (Vec::new(), Vec::new());
    for key in keys {
        let one = match key {
            AudienceKey::User(user) if Some(user) == except => continue,
            AudienceKey::User(user) => Recipients::User(user.clone()),
            AudienceKey::Room(room) => Recipients::Members(room.clone()),
            AudienceKey::Tenant | AudienceKey::Role(_) => continue,
        };
        if !found.0.contains(&one) {
            found.0.push(one);
            found.1.push(key.clone());
        }
    }
    found
}

fn sent(notification: &Notification, to: Vec<AudienceKey>) -> Event {
    Event {
        durable: true,
        audience: Some(Audience {
            to,
            ..Audience::default()
        }),
        ..Event::new(
            EventKind::NotifySent,
            facts::notification(notification, false),
        )
    }
}

/// The page of the asking user's own inbox.
pub fn page_query(
    invocation: &Invocation,
    before: Option<Id>,
    limit: u32,
) -> Result<InboxQuery, Error> {
    let person = super::person(invocation, "unable to read the inbox")?;
    Ok(InboxQuery {
        user: person.id.clone(),
        before,
        limit,
    })
}

/// The answer: `{notifications, unread, hasMore}`.
pub fn page(page: &InboxPage) -> Facts {
    let one = |notified: &Notified| -> Value {
        facts::notification(&notified.notification, notified.is_read).into()
    };
    let notifications: Vec<Value> = page.notifications.iter().map(one).collect();
    facts::object(json!({
        "notifications": notifications,
        "unread": page.unread,
        "hasMore": page.has_more,
    }))
}

/// Whose inbox a command is about.
pub fn reader(invocation: &Invocation) -> Result<&Person, Error> {
    super::person(invocation, "unable to mark notifications as read")
}

/// What is in the inbox of that which was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The one is not there.
    Nothing,
    /// The one, or so many, are unread.
    Unread(u64),
    /// It is read already, or all are.
    Read,
}

/// Marks as read. What is read already changes nothing and is told to nobody. The user's other sessions hear of it.
pub fn read(invocation: &Invocation, which: WhichRead, found: Found) -> Result<Outcome, Error> {
    let person = reader(invocation)?;
    let id = match which {
        WhichRead::One(id) => Some(id),
        WhichRead::All => None,
    };
    match found {
        Found::Nothing => {
            let text = "unable to mark as read; the inbox has no such notification";
            return Err(Error::new(Code::NotFound, text));
        }
        Found::Read => return Ok(Outcome::default()),
        Found::Unread(_) => {}
    }
    let body = match id {
        Some(id) => json!({ "id": id.to_string(), "all": false }),
        None => json!({ "all": true }),
    };
    let session = super::session(invocation).cloned();
    let event = Event {
        actor: Some(person.clone()),
        session: session.clone(),
        target: Some(person.id.clone()),
        durable: true,
        audience: Some(Audience {
            to: vec![AudienceKey::User(person.id.clone())],
            except_user: None,
            except_session: session,
        }),
        ..Event::new(EventKind::NotifyRead, facts::object(body))
    };
    Ok(Outcome {
        changes: vec![Change::ReadNotifications {
            user: person.id.clone(),
            id,
        }],
        events: vec![event],
        ..Outcome::default()
    })
}

/// The answer to what was read: `{unread}`, as it is now.
pub fn unread(count: u64) -> Facts {
    facts::object(json!({ "unread": count }))
}

fn actor(invocation: &Invocation) -> Option<&Person> {
    match &invocation.actor {
        Actor::User(identity) => Some(&identity.person),
        Actor::Backend => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RoomKey;

    fn cause(actor: &str) -> Event {
        Event {
            actor: Some(Person {
                id: UserId::text(actor),
                name: actor.into(),
                role: None,
            }),
            ..Event::new(EventKind::ItemCreated, Facts::new())
        }
    }

    fn notice(to: Vec<AudienceKey>) -> Notice {
        Notice {
            kind: "story".into(),
            to,
            title: "New story".to_owned(),
            message: "Once".to_owned(),
            data: None,
        }
    }

    fn user(id: &str) -> AudienceKey {
        AudienceKey::User(UserId::text(id))
    }

    fn reaction(to: Vec<AudienceKey>) -> Option<(Change, Event)> {
        let stamp = (Id(uuid::Uuid::from_u128(1)), Timestamp(0));
        react(&cause("ann"), notice(to), stamp, 10)
    }

    #[test]
    fn nobody_is_notified_of_what_they_did_themselves() {
        assert_eq!(reaction(vec![user("ann")]), None);
        let (change, event) = reaction(vec![user("ann"), user("bob")]).expect("Bob is left");
        let Change::Notify { to, except, .. } = change else {
            panic!("a notification")
        };
        assert_eq!(to, [Recipients::User(UserId::text("bob"))]);
        assert_eq!(except, Some(UserId::text("ann")));
        assert_eq!(event.target, Some(UserId::text("bob")));
    }

    #[test]
    fn somebody_named_twice_is_named_once_and_who_has_no_inbox_is_left_out() {
        let room = AudienceKey::Room(RoomKey::new("author", "1"));
        let keys = vec![
            user("bob"),
            AudienceKey::Tenant,
            room.clone(),
            user("bob"),
            room,
        ];
        let (change, event) = reaction(keys).expect("somebody is named");
        let Change::Notify { to, .. } = change else {
            panic!("a notification")
        };
        assert_eq!(to.len(), 2);
        let audience = event.audience.expect("the core names whom it is for");
        assert_eq!(audience.to.len(), 2);
        assert_eq!(audience.except_user, Some(UserId::text("ann")));
    }
}
