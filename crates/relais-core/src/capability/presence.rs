//! Presence: what a user may set, and how presence is told.
//!
//! In come commands and what the roster shows; out go events and answers. Merging the devices of a user, the grace
//! over flaps and who shares a room with whom are the roster's.

use std::sync::Arc;

use serde_json::{Value, json};

use super::facts;
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts, OFFLINE, Shown, Transition, What};
use crate::ids::{Timestamp, UserId};
use crate::ports::StoredPresence;

/// Free text beside a status, in bytes.
pub const CUSTOM_STATUS_BYTES_MAX: usize = 512;

/// Whether this status may be set: one that the app declares, with a short text beside it.
pub fn settable(
    declared: &[Arc<str>],
    status: &Arc<str>,
    custom_status: Option<&str>,
) -> Result<(), Error> {
    let unable = "unable to set status";
    if !declared.contains(status) {
        let text = format!("{unable}; the application does not declare it");
        return Err(Error::new(Code::InvalidPayload, text));
    }
    if custom_status.is_some_and(|text| text.len() > CUSTOM_STATUS_BYTES_MAX) {
        let text = format!("{unable}; its text is over {CUSTOM_STATUS_BYTES_MAX} bytes");
        return Err(Error::new(Code::InvalidPayload, text));
    }
    Ok(())
}

/// The answer to a status that was set, or the refusal where no device of the user is connected.
pub fn set(shown: Option<Shown>) -> Result<Facts, Error> {
    shown.map(|shown| facts::presence(&shown)).ok_or_else(|| {
        let text = "unable to set status; no session is connected";
        Error::new(Code::InvalidState, text)
    })
}

/// One user's presence from the roster, else from the store; somebody unknown is offline and was never seen.
/// While a device is connected, `lastSeen` is `now`.
pub fn one(
    user: &UserId,
    shown: Option<Shown>,
    stored: Option<StoredPresence>,
    now: Timestamp,
) -> Facts {
    if let Some(mut shown) = shown {
        if shown.connected {
            shown.last_seen = now;
        }
        return facts::presence(&shown);
    }
    let mut facts = facts::object(
        json!({ "userId": user.to_json(), "online": false, "status": Value::from(OFFLINE) }),
    );
    if let Some(stored) = stored {
        facts.insert("userName".into(), (*stored.person.name).into());
        facts.insert("lastSeen".into(), stored.last_seen.to_string().into());
    }
    facts
}

/// The answer to who is online: `{users, hasMore}`.
pub fn list(users: &[Shown], has_more: bool) -> Facts {
    facts::object(json!({ "users": facts::people(users), "hasMore": has_more }))
}

/// The event of a transition of presence; `None` for those of rooms.
pub fn event(transition: &Transition) -> Option<Event> {
    let kind = match transition.what {
        What::Online => EventKind::PresenceOnline,
        What::Offline => EventKind::PresenceOffline,
        What::Changed => EventKind::PresenceChanged,
        What::Joined(_) | What::Left(_) => return None,
    };
    Some(Event {
        actor: Some(transition.shown.person.clone()),
        audience: Some(Audience {
            to: transition.to.clone(),
            except_user: Some(transition.shown.person.id.clone()),
            except_session: None,
        }),
        ..Event::new(kind, facts::presence(&transition.shown))
    })
}
