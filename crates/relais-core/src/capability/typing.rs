//! Who is typing where: throttled, over after five seconds, at most once on the wire, never stored.
//!
//! A [`Typing`] table belongs to one tenant. In come starts, stops and the time; out go the events to publish. It is
//! bounded: when it is full, a further person's typing is not shown.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use super::{Standing, facts};
use crate::command::Invocation;
use crate::error::Error;
use crate::event::{Audience, Event, EventKind, Facts, Person};
use crate::ids::{AudienceKey, Conversation, Monotonic, SessionId, UserId};

/// How long typing is believed without another start.
pub const EXPIRES_MS: u64 = 5_000;
/// How often at most a typing that goes on is told again.
pub const THROTTLE_MS: u64 = 3_000;
/// People who type at the same time in one tenant.
pub const TYPING_MAX: usize = 10_000;

type Key = (Conversation, UserId);

/// Who is typing in one tenant.
#[derive(Debug, Default)]
pub struct Typing {
    active: HashMap<Key, Active>,
    deadlines: BTreeSet<(Monotonic, Conversation, UserId)>,
}

#[derive(Debug)]
struct Active {
    person: Person,
    /// The room's id as the client wrote it.
    written: Option<UserId>,
    session: Option<SessionId>,
    told_at: Monotonic,
    ends_at: Monotonic,
}

/// Typing that something else ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Where.
    pub conversation: Conversation,
    /// Whose.
    pub user: UserId,
}

/// Whether the asking person may show typing there.
pub fn allowed<'a>(
    invocation: &'a Invocation,
    conversation: &Conversation,
    standing: Standing,
) -> Result<&'a Person, Error> {
    let unable = "unable to show typing";
    let person = super::person(invocation, unable)?;
    match conversation {
        Conversation::Room(_) => super::may_speak(invocation, standing, unable)?,
        Conversation::Direct(one, other) if person.id == *one || person.id == *other => {}
        Conversation::Direct(..) => return Err(super::not_a_member(unable)),
    }
    Ok(person)
}

/// The answer: `{isTyping}`.
pub fn reply(active: bool) -> Facts {
    facts::object(json!({ "isTyping": active }))
}

/// What an event means for typing: a sent message ends its sender's.
pub fn react(event: &Event) -> Option<Ended> {
    match (event.kind, &event.takes_seq, &event.actor) {
        (EventKind::MessageSent, Some(conversation), Some(sender)) => Some(Ended {
            conversation: conversation.clone(),
            user: sender.id.clone(),
        }),
        _ => None,
    }
}

impl Typing {
    /// Somebody types in a conversation, with the room's id as the client wrote it. An event comes out the first time, and then at most every [`THROTTLE_MS`].
    pub fn start(
        &mut self,
        (conversation, written): (&Conversation, Option<&UserId>),
        person: &Person,
        session: Option<&SessionId>,
        now: Monotonic,
    ) -> Option<Event> {
        let key = (conversation.clone(), person.id.clone());
        let known = self.active.get(&key);
        if known.is_none() && self.active.len() >= TYPING_MAX {
            return None;
        }
        let told_at = known
            .map(|active| active.told_at)
            .filter(|told_at| now.since(*told_at) < THROTTLE_MS);
        let active = Active {
            person: person.clone(),
            written: written.cloned(),
            session: session.cloned(),
            told_at: told_at.unwrap_or(now),
            ends_at: now.plus(EXPIRES_MS),
        };
        let deadline = (active.ends_at, key.0.clone(), key.1.clone());
        if let Some(before) = self.active.insert(key, active) {
            let (conversation, user) = (conversation.clone(), person.id.clone());
            self.deadlines.remove(&(before.ends_at, conversation, user));
        }
        self.deadlines.insert(deadline);
        told_at
            .is_none()
            .then(|| changed((conversation, written), person, session, true))
    }

    /// Somebody stops. An event comes out if it was known that they typed.
    pub fn stop(&mut self, conversation: &Conversation, user: &UserId) -> Option<Event> {
        let key = (conversation.clone(), user.clone());
        let active = self.active.remove(&key)?;
        self.deadlines.remove(&(active.ends_at, key.0, key.1));
        let session = active.session.as_ref();
        let place = (conversation, active.written.as_ref());
        Some(changed(place, &active.person, session, false))
    }

    /// A session is gone, or left `only` this conversation: what it began ends.
    pub fn stop_session(&mut self, session: &SessionId, only: Option<&Conversation>) -> Vec<Event> {
        let began = |(key, active): (&Key, &Active)| {
            let here = only.is_none_or(|only| key.0 == *only);
            (here && active.session.as_ref() == Some(session)).then(|| key.clone())
        };
        let keys: Vec<Key> = self.active.iter().filter_map(began).collect();
        let ended = keys
            .iter()
            .filter_map(|(place, user)| self.stop(place, user));
        ended.collect()
    }

    /// Ends what was not renewed in time.
    pub fn tick(&mut self, now: Monotonic) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((ends_at, conversation, user)) = self.deadlines.first().cloned() {
            if ends_at > now {
                break;
            }
            events.extend(self.stop(&conversation, &user));
        }
        events
    }

    /// Whether nobody types.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }
}

/// To the others in the room, or to the other one of the pair.
fn changed(
    (conversation, written): (&Conversation, Option<&UserId>),
    person: &Person,
    session: Option<&SessionId>,
    active: bool,
) -> Event {
    let mut body = facts::about(person);
    body.insert("isTyping".into(), active.into());
    let (key, target) = match conversation {
        Conversation::Room(room) => {
            if let Some(id) = written {
                body.insert("roomId".into(), id.to_json());
            }
            (AudienceKey::Room(room.clone()), None)
        }
        Conversation::Direct(one, other) => {
            let target = if *one == person.id { other } else { one };
            body.insert("recipient".into(), target.to_json());
            (AudienceKey::User(target.clone()), Some(target.clone()))
        }
    };
    Event {
        room: conversation.room().cloned(),
        actor: Some(person.clone()),
        session: session.cloned(),
        target,
        audience: Some(Audience {
            to: vec![key],
            except_user: Some(person.id.clone()),
            except_session: None,
        }),
        ..Event::new(EventKind::TypingChanged, body)
    }
}
