//! Editing and deleting chat messages.
//!
//! In come the message as it is stored and how the one who asks stands to its conversation; out go the change, the event and the answer. The
//! author may, and whoever may moderate. A message is told to those who were told of it before: a private one stays private. Neither takes
//! a `seq`. A deleted message stays as an empty one: it can be deleted again, which changes nothing, and not be edited.

use super::{event, mention, sent};
use crate::capability::{Outcome, Standing, Writing, facts, may_look, person};
use crate::command::{Actor, Invocation};
use crate::error::{Code, Error};
use crate::event::{EventKind, Facts, Message, Person};
use crate::ids::{Conversation, Timestamp, UserId};
use crate::ports::{Change, Precondition};

/// What the dispatcher knows about the place of a message that is edited.
#[derive(Clone, Debug)]
pub struct Known {
    /// How the one who asks stands to it.
    pub standing: Standing,
    /// Whether the one who asks may write there, where the room's sort decides it.
    pub writing: Option<Writing>,
    /// Whom the new text names; those whom the text before did not name are told.
    pub mentions: Vec<UserId>,
}

/// Gives a message another body.
pub fn edit(
    invocation: &Invocation,
    found: &Message,
    body: &str,
    moderates: bool,
    known: Known,
) -> Result<Outcome, Error> {
    let unable = "unable to edit message";
    let editor = person(invocation, unable)?;
    check(invocation, found, moderates, known.standing, unable)?;
    if found.deleted_at.is_some() {
        let text = format!("{unable}; it is deleted");
        return Err(Error::new(Code::InvalidState, text));
    }
    let writing = known
        .writing
        .map(|writing| writing.check(unable))
        .transpose()?;
    if found.body == body {
        return Ok(Outcome {
            reply: sent(found),
            ..Outcome::default()
        });
    }
    let mut edited = Message {
        body: body.to_owned(),
        edited_at: Some(stamp(found, invocation.now.wall)),
        ..found.clone()
    };
    edited.mentions = mention::of(found, known.mentions);
    let mut events = vec![event(
        EventKind::MessageEdited,
        invocation,
        Some(editor),
        &edited,
    )];
    events.extend(mention::events(
        invocation,
        editor,
        &edited,
        &found.mentions,
    ));
    Ok(Outcome {
        preconditions: [unchanged(found)].into_iter().chain(writing).collect(),
        reply: sent(&edited),
        changes: vec![Change::EditMessage {
            id: edited.id,
            body: edited.body,
            mentions: edited.mentions,
        }],
        events,
        ..Outcome::default()
    })
}

/// Blanks a message for good. One that is deleted already: nothing changes and nothing is told.
pub fn delete(
    invocation: &Invocation,
    found: &Message,
    moderates: bool,
    standing: Standing,
) -> Result<Outcome, Error> {
    check(
        invocation,
        found,
        moderates,
        standing,
        "unable to delete message",
    )?;
    let mut reply = Facts::new();
    reply.insert("id".into(), found.id.to_string().into());
    if let Some(room) = found.conversation.room() {
        reply.insert("room".into(), facts::room(room));
    }
    if found.deleted_at.is_some() {
        return Ok(Outcome {
            reply,
            ..Outcome::default()
        });
    }
    let deleted = Message {
        body: String::new(),
        mentions: Vec::new(),
        deleted_at: Some(invocation.now.wall),
        ..found.clone()
    };
    let kind = EventKind::MessageDeleted;
    Ok(Outcome {
        preconditions: vec![unchanged(found)],
        events: vec![event(kind, invocation, user(invocation), &deleted)],
        changes: vec![Change::DeleteMessage { id: found.id }],
        reply,
        ..Outcome::default()
    })
}

/// What somebody asks for who does not see the message, or asks for one that there is not.
pub fn unknown() -> Error {
    Error::new(
        Code::NotFound,
        "unable to find message; there is none of that id",
    )
}

fn user(invocation: &Invocation) -> Option<&Person> {
    match &invocation.actor {
        Actor::User(identity) => Some(&identity.person),
        Actor::Backend => None,
    }
}

/// Who may: of those who see the message its author, and whoever moderates.
fn check(
    invocation: &Invocation,
    found: &Message,
    moderates: bool,
    standing: Standing,
    unable: &str,
) -> Result<(), Error> {
    let Some(asking) = user(invocation) else {
        return Ok(());
    };
    let is_party = |user: &UserId| *user == asking.id;
    let is_author = is_party(&found.sender.id);
    let sees = match &found.conversation {
        Conversation::Room(_) => found.recipient.as_ref().is_none_or(is_party) || is_author,
        Conversation::Direct(one, other) => is_party(one) || is_party(other),
    };
    if !sees {
        return Err(unknown());
    }
    if matches!(found.conversation, Conversation::Room(_)) {
        may_look(standing, unable)?;
    }
    if !is_author && !moderates {
        let text = format!("{unable}; it is somebody else's");
        return Err(Error::new(Code::Forbidden, text));
    }
    Ok(())
}

fn unchanged(found: &Message) -> Precondition {
    Precondition::MessageUnchanged {
        id: found.id,
        edited_at: found.edited_at,
    }
}

/// As a store stamps the edit: never as the one before.
fn stamp(found: &Message, now: Timestamp) -> Timestamp {
    match found.edited_at == Some(now) {
        true => Timestamp(now.0 + 1),
        false => now,
    }
}
