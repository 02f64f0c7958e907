//! Mentions: those whom a message names are told, each by an event of their own.
//!
//! In come a message and whom its text names; out go those of them whom it is told to, and the events. Finding names in a text is the
//! directory's.

use serde_json::json;

use crate::capability::{facts, session};
use crate::command::Invocation;
use crate::event::{Audience, Event, EventKind, Message, Person};
use crate::ids::{AudienceKey, UserId};

/// Characters of an excerpt.
pub const EXCERPT_CHARS_MAX: usize = 140;

/// Those of the named whom a message may be told to: nobody is named to themselves, and a private message names only its recipient.
pub(super) fn of(message: &Message, mut named: Vec<UserId>) -> Vec<UserId> {
    named.retain(|user| {
        let may_see = message.recipient.as_ref().is_none_or(|one| one == user);
        may_see && *user != message.sender.id
    });
    named
}

/// Tells those whom a message names, `before` left out: they were told already.
pub(super) fn events(
    invocation: &Invocation,
    actor: &Person,
    message: &Message,
    before: &[UserId],
) -> Vec<Event> {
    let new = message
        .mentions
        .iter()
        .filter(|user| !before.contains(user));
    let event = |user: &UserId| {
        let body = facts::object(json!({
            "messageId": message.id.to_string(),
            "excerpt": excerpt(&message.body),
        }));
        Event {
            room: message.conversation.room().cloned(),
            actor: Some(actor.clone()),
            session: session(invocation).cloned(),
            target: Some(user.clone()),
            durable: true,
            audience: Some(Audience {
                to: vec![AudienceKey::User(user.clone())],
                ..Audience::default()
            }),
            ..Event::new(EventKind::MessageMentioned, body)
        }
    };
    new.map(event).collect()
}

/// The beginning of a text, for whom it names.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt("short"), "short");
        let long = "é".repeat(200);
        assert_eq!(excerpt(&long).chars().count(), EXCERPT_CHARS_MAX + 1);
    }
}
