//! Chat messages: send, page, read marks. Editing and deleting them is [`revision`]'s.
//!
//! In come a command and how its sender stands to the conversation, out go the change, the event and the answer. A
//! message takes the next `seq` of its conversation when it is committed, so the answer is built after the commit, by
//! [`sent`], from what was stored: then or, for a temporary id that was used before, the first time.

mod mention;
pub mod revision;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Outcome, Standing, Writing, facts};
use crate::command::{Invocation, NewMessage, SeqRange};
use crate::error::{Code, Error};
use crate::event::{Audience, Event, EventKind, Facts, Message, Person, Record};
use crate::ids::{AudienceKey, Conversation, Position, RoomKey, Seq, UserId};
use crate::ports::{Change, Idempotency, Membership, MessagePage, MessageQuery, Precondition};

/// Temporary ids, in bytes.
pub const KEY_BYTES_MAX: usize = 255;
/// Messages of a page when the client names no limit.
pub const PAGE_DEFAULT: u32 = 50;
/// Messages of a page at most.
pub const PAGE_MAX: u32 = 100;

/// What the dispatcher knows, or guesses at first, about the recipient of a private message in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Kept membership, as loaded; a wrong guess makes the commit conflict, and the command is decided again.
    pub membership: Membership,
    /// Whether the recipient may be a participant, as far as known.
    pub possible: bool,
}

/// What the dispatcher knows about the place of a message.
#[derive(Clone, Debug)]
pub struct Known {
    /// How the sender stands to it.
    pub standing: Standing,
    /// Membership of the sender, where it had to be loaded.
    pub membership: Option<Membership>,
    /// Of the recipient of a private message in a room.
    pub recipient: Option<Recipient>,
    /// Whether the sender may write there, where the room's sort decides it.
    pub writing: Option<Writing>,
    /// Whom the text names.
    pub mentions: Vec<UserId>,
}

/// Sends a message.
pub fn send(invocation: &Invocation, new: &NewMessage, known: Known) -> Result<Outcome, Error> {
    let unable = "unable to send message";
    let sender = super::person(invocation, unable)?;
    check_place(invocation, new, sender, known.standing)?;
    if new
        .key
        .as_ref()
        .is_some_and(|key| key.len() > KEY_BYTES_MAX)
    {
        let text = format!("{unable}; its temporary id is over {KEY_BYTES_MAX} bytes");
        return Err(Error::new(Code::InvalidPayload, text));
    }
    let mut preconditions = Vec::new();
    if let Some(writing) = &known.writing {
        preconditions.push(writing.check(unable)?);
    }
    if let Conversation::Room(room) = &new.conversation {
        let own = known.membership;
        preconditions.extend(own.map(|expected| expect(room, &sender.id, expected)));
        if let (Some(user), Some(known)) = (&new.recipient, known.recipient) {
            if !known.possible {
                let text = format!("{unable}; the recipient is not a participant");
                return Err(Error::new(Code::NotAMember, text));
            }
            preconditions.push(expect(room, user, known.membership));
        }
    }
    let mut message = compose(invocation, new, sender);
    message.mentions = mention::of(&message, known.mentions);
    let mut events = vec![sent_event(invocation, &message)];
    events.extend(mention::events(invocation, sender, &message, &[]));
    Ok(Outcome {
        idempotency: new.key.as_ref().map(|key| Idempotency {
            sender: sender.id.clone(),
            conversation: new.conversation.clone(),
            key: key.clone(),
            body_hash: body_hash(new),
        }),
        preconditions,
        events,
        changes: vec![Change::InsertMessage(message)],
        ..Outcome::default()
    })
}

/// A direct conversation belongs to its two people; a room to who speaks in it.
fn check_place(
    invocation: &Invocation,
    new: &NewMessage,
    sender: &Person,
    standing: Standing,
) -> Result<(), Error> {
    let unable = "unable to send message";
    match &new.conversation {
        Conversation::Room(_) => super::may_speak(invocation, standing, unable),
        Conversation::Direct(one, other) if sender.id == *one || sender.id == *other => Ok(()),
        Conversation::Direct(..) => Err(super::not_a_member(unable)),
    }
}

fn expect(room: &RoomKey, user: &UserId, expected: Membership) -> Precondition {
    Precondition::Membership {
        room: room.clone(),
        user: user.clone(),
        expected,
    }
}

fn compose(invocation: &Invocation, new: &NewMessage, sender: &Person) -> Message {
    Message {
        id: invocation.new_id,
        conversation: new.conversation.clone(),
        seq: Seq::default(),
        position: Position::default(),
        sender: sender.clone(),
        recipient: match new.conversation {
            Conversation::Room(_) => new.recipient.clone(),
            Conversation::Direct(..) => None,
        },
        kind: new.kind.clone(),
        body: new.body.clone(),
        channel: new.channel.clone(),
        key: new.key.clone(),
        reply_to: new.reply_to,
        mentions: Vec::new(),
        created_at: invocation.now.wall,
        edited_at: None,
        deleted_at: None,
    }
}

/// To the room, sender included; a private one to its two people; in a direct pair not to the session that sent it,
/// which has the answer.
fn sent_event(invocation: &Invocation, message: &Message) -> Event {
    Event {
        takes_seq: Some(message.conversation.clone()),
        ..event(
            EventKind::MessageSent,
            invocation,
            Some(&message.sender),
            message,
        )
    }
}

/// Something that happened to a message, for those who may see it.
fn event(
    kind: EventKind,
    invocation: &Invocation,
    actor: Option<&Person>,
    message: &Message,
) -> Event {
    let session = super::session(invocation).cloned();
    let both = |one: &UserId, other: &UserId| {
        let mut to = vec![AudienceKey::User(one.clone())];
        if one != other {
            to.push(AudienceKey::User(other.clone()));
        }
        to
    };
    let (to, except_session) = match (&message.conversation, &message.recipient) {
        (Conversation::Room(room), None) => (vec![AudienceKey::Room(room.clone())], None),
        (Conversation::Room(_), Some(recipient)) => (both(&message.sender.id, recipient), None),
        (Conversation::Direct(one, other), _) => (both(one, other), session.clone()),
    };
    let target = match &message.conversation {
        Conversation::Room(_) => message.recipient.clone(),
        Conversation::Direct(one, other) if *one == message.sender.id => Some(other.clone()),
        Conversation::Direct(one, _) => Some(one.clone()),
    };
    Event {
        room: message.conversation.room().cloned(),
        actor: actor.cloned(),
        session,
        target,
        durable: true,
        audience: Some(Audience {
            to,
            except_user: None,
            except_session,
        }),
        ..Event::new(kind, facts::message(message))
    }
}

/// SHA-256 over everything that the client chose, each part with its length before it, so that no two differ only in
/// where one part ends.
pub fn body_hash(new: &NewMessage) -> [u8; 32] {
    let reply_to = new.reply_to.map(|id| id.to_string());
    let parts = [
        Some(&*new.kind),
        Some(new.body.as_str()),
        new.recipient.as_ref().map(UserId::as_str),
        new.channel.as_deref(),
        reply_to.as_deref(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        // A part that is missing and one that is empty are different bodies.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().into()
}

/// The message as it was committed with this record.
pub fn committed(mut message: Message, record: &Record) -> Message {
    message.position = record.position;
    message.seq = record.seq.unwrap_or_default();
    message
}

/// The answer to a message that is stored: `{message}`.
pub fn sent(message: &Message) -> Facts {
    facts::object(json!({ "message": facts::message(message) }))
}

/// Which page to read, as the asking person may see it.
pub fn page_query(
    conversation: &Conversation,
    channel: Option<std::sync::Arc<str>>,
    range: SeqRange,
    limit: u32,
    viewer: Option<&UserId>,
    standing: Standing,
) -> Result<MessageQuery, Error> {
    may_read(conversation, viewer, standing, "unable to read messages")?;
    Ok(MessageQuery {
        conversation: conversation.clone(),
        viewer: viewer.cloned(),
        channel,
        range,
        limit: match limit {
            0 => PAGE_DEFAULT,
            limit => limit.min(PAGE_MAX),
        },
    })
}

/// The answer with a page: `{room?, messages, hasMore}`.
pub fn page(conversation: &Conversation, page: &MessagePage) -> Facts {
    let messages: Vec<_> = page.messages.iter().map(facts::message).collect();
    let mut reply = facts::object(json!({ "messages": messages, "hasMore": page.has_more }));
    if let Some(room) = conversation.room() {
        reply.insert("room".into(), facts::room(room));
    }
    reply
}

/// Moves a read mark forward. `mark` is where it is, `last` the newest seq; a mark beyond that is taken as that, and one
/// that does not move tells nobody.
pub fn mark_read(
    invocation: &Invocation,
    conversation: &Conversation,
    seq: Seq,
    mark: Seq,
    last: Seq,
    standing: Standing,
) -> Result<Outcome, Error> {
    let unable = "unable to mark messages as read";
    let reader = super::person(invocation, unable)?;
    match conversation {
        Conversation::Room(_) => super::may_speak(invocation, standing, unable)?,
        Conversation::Direct(..) => may_read(conversation, Some(&reader.id), standing, unable)?,
    }
    let read = seq.min(last).max(mark);
    let mut reply = facts::object(json!({ "seq": read.0 }));
    if let Some(room) = conversation.room() {
        reply.insert("room".into(), facts::room(room));
    }
    if read == mark {
        return Ok(Outcome {
            reply,
            ..Outcome::default()
        });
    }
    Ok(Outcome {
        changes: vec![Change::SetReadMark {
            conversation: conversation.clone(),
            user: reader.id.clone(),
            seq: read,
        }],
        events: vec![read_event(invocation, conversation, reader, read)],
        reply,
        ..Outcome::default()
    })
}

fn read_event(
    invocation: &Invocation,
    conversation: &Conversation,
    reader: &Person,
    read: Seq,
) -> Event {
    let mut body = facts::about(reader);
    body.insert("seq".into(), read.0.into());
    let (to, target) = match conversation {
        Conversation::Room(room) => (vec![AudienceKey::Room(room.clone())], None),
        Conversation::Direct(one, other) => {
            let target = if *one == reader.id { other } else { one };
            body.insert("recipient".into(), target.to_json());
            let both = [one, other].map(|user| AudienceKey::User(user.clone()));
            (both.to_vec(), Some(target.clone()))
        }
    };
    Event {
        room: conversation.room().cloned(),
        actor: Some(reader.clone()),
        session: super::session(invocation).cloned(),
        target,
        durable: true,
        audience: Some(Audience {
            to,
            ..Audience::default()
        }),
        ..Event::new(EventKind::MessageRead, body)
    }
}

/// Participants read a room, and its two people a direct conversation; the backend (no viewer) reads all.
fn may_read(
    conversation: &Conversation,
    viewer: Option<&UserId>,
    standing: Standing,
    unable: &str,
) -> Result<(), Error> {
    match (conversation, viewer) {
        (Conversation::Room(_), _) => super::may_look(standing, unable),
        (Conversation::Direct(one, other), Some(viewer)) if viewer == one || viewer == other => {
            Ok(())
        }
        (Conversation::Direct(..), None) => Ok(()),
        (Conversation::Direct(..), Some(_)) => Err(super::not_a_member(unable)),
    }
}
