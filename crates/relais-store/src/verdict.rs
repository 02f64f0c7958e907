//! Whether a transaction may be applied: the checks that every store makes before it changes anything.
//!
//! A store lends its [`Facts`]; out comes a [`Verdict`]. Because all that can fail is found here, a refused
//! transaction has written nothing, takes no position and no seq, and cannot harm its batch.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use relais_core::event::{Message, Person};
use relais_core::ids::{Conversation, Id, ItemKey, RoomKey, Timestamp, UserId};
use relais_core::ports::{
    Change, CommitError, Idempotency, Membership, Precondition, StoreError, TemporaryId,
    Transaction,
};

/// What the checks need to know about the present state, earlier transactions of the same batch included.
pub trait Facts {
    /// The message that was stored under this key, with the hash of its original body.
    fn keyed(&self, key: &Idempotency) -> Result<Option<([u8; 32], Message)>, StoreError>;

    /// A message by its id.
    fn message(&self, id: Id) -> Result<Option<Message>, StoreError>;

    /// Whether a message has this id already. A store whose index would refuse it may say no.
    fn id_taken(&self, id: Id) -> Result<bool, StoreError> {
        Ok(self.message(id)?.is_some())
    }

    /// What is kept about a user in a room.
    fn membership(&self, room: &RoomKey, user: &UserId) -> Result<Membership, StoreError>;

    /// Of which sort a room is, where anybody has said it.
    fn sort(&self, room: &RoomKey) -> Result<Option<Arc<str>>, StoreError>;

    /// How many members of a room are kept.
    fn member_count(&self, room: &RoomKey) -> Result<u32, StoreError>;
    /// The version of an item, if it is there.
    fn item_version(&self, key: &ItemKey) -> Result<Option<u64>, StoreError>;

    /// Whether an item is there that was created under this temporary id.
    fn has_temporary_id(&self, temporary: &TemporaryId) -> Result<bool, StoreError>;
}

/// What to do with a transaction.
#[derive(Debug)]
pub enum Verdict {
    /// Apply it.
    Apply,
    /// Change nothing and answer with what was stored under the same key.
    Duplicate(Box<Message>),
}

/// Checks a transaction: its key first (what was done once is answered, whatever has changed since), then its
/// preconditions, then whether its changes fit.
pub fn verdict(transaction: &Transaction, facts: &impl Facts) -> Result<Verdict, CommitError> {
    if let Some(key) = &transaction.idempotency
        && let Some((hash, message)) = facts.keyed(key)?
    {
        return match hash == key.body_hash {
            true => Ok(Verdict::Duplicate(Box::new(message))),
            false => Err(CommitError::IdempotencyConflict),
        };
    }
    for precondition in &transaction.preconditions {
        if !holds(precondition, facts)? {
            return Err(CommitError::Conflict);
        }
    }
    check_changes(transaction, facts)?;
    Ok(Verdict::Apply)
}

fn holds(precondition: &Precondition, facts: &impl Facts) -> Result<bool, StoreError> {
    Ok(match precondition {
        Precondition::Membership {
            room,
            user,
            expected,
        } => facts.membership(room, user)? == *expected,
        Precondition::MessageUnchanged { id, edited_at } => facts
            .message(*id)?
            .is_some_and(|found| found.deleted_at.is_none() && found.edited_at == *edited_at),
        Precondition::RoomSort { room, expected } => facts.sort(room)? == *expected,
        Precondition::MembersBelow { room, count } => facts.member_count(room)? < *count,
        Precondition::ItemUnchanged { key, version } => facts.item_version(key)? == *version,
        Precondition::TemporaryIdFree(temporary) => !facts.has_temporary_id(temporary)?,
    })
}

/// An edit of a message that is not there (any more) is a conflict; anything else that does not fit is a mistake of
/// the caller and named as such.
fn check_changes(transaction: &Transaction, facts: &impl Facts) -> Result<(), CommitError> {
    let mut seqs_free = seqs_taken(transaction);
    let mut inserted = HashSet::new();
    let mut keeps = 0;
    for change in &transaction.changes {
        match change {
            Change::InsertMessage(message) => {
                match seqs_free.get_mut(&message.conversation) {
                    Some(free) if *free > 0 => *free -= 1,
                    _ => return Err(unfit("a message has no record that takes its seq")),
                }
                if !inserted.insert(message.id) {
                    return Err(unfit("the id of a message is taken"));
                }
                keeps += usize::from(keeps_key(transaction, message));
            }
            Change::EditMessage { id, .. } | Change::DeleteMessage { id } => {
                let known = inserted.contains(id)
                    || facts.message(*id)?.is_some_and(|found| {
                        found.deleted_at.is_none() || matches!(change, Change::DeleteMessage { .. })
                    });
                if !known {
                    return Err(CommitError::Conflict);
                }
            }
            _ => {}
        }
    }
    if keeps != usize::from(transaction.idempotency.is_some()) {
        return Err(unfit("a key comes without the one message that keeps it"));
    }
    // Last, because a store may leave this to its index.
    for id in inserted {
        if facts.id_taken(id)? {
            return Err(unfit("the id of a message is taken"));
        }
    }
    Ok(())
}

fn seqs_taken(transaction: &Transaction) -> HashMap<&Conversation, u32> {
    let mut seqs = HashMap::new();
    for record in &transaction.records {
        if let Some(conversation) = &record.event.takes_seq {
            *seqs.entry(conversation).or_insert(0) += 1;
        }
    }
    seqs
}

/// Whether this is the message with which the transaction's key is kept.
pub fn keeps_key(transaction: &Transaction, message: &Message) -> bool {
    transaction.idempotency.as_ref().is_some_and(|key| {
        message.key.as_ref() == Some(&key.key)
            && message.sender.id == key.sender
            && message.conversation == key.conversation
    })
}

fn unfit(reason: &str) -> CommitError {
    CommitError::Store(StoreError::Failed {
        reason: reason.to_owned(),
    })
}

/// Blanks a message for good, with who wrote it.
pub fn erase(message: &mut Message, at: Timestamp) {
    message.deleted_at.get_or_insert(at);
    message.body.clear();
    message.mentions.clear();
    message.key = None;
    message.sender = Person::erased();
}

/// The stamp of an edit. It always differs from that of the edit before, because [`Precondition::MessageUnchanged`]
/// tells edits apart by it.
pub fn edited_at(message: &Message, at: Timestamp) -> Timestamp {
    match message.edited_at == Some(at) {
        true => Timestamp(at.0 + 1),
        false => at,
    }
}
