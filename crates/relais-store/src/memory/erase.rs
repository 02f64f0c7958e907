//! What is stored about one user in memory: found whole, and erased.

use std::sync::Arc;

use relais_core::event::{Audience, Event, Facts, Message, Record};
use relais_core::ids::{Conversation, Id, Position, Seq, Timestamp, UserId};
use relais_core::ports::UserMessages;

use super::state::State;

impl State {
    pub(super) fn messages_of(&self, user: &UserId, after: Option<Id>) -> UserMessages {
        let mut newer: Vec<&Message> = self.messages.values().collect();
        newer.retain(|message| after.is_none_or(|after| message.id.0 > after.0));
        newer.sort_by_key(|message| message.id.0);
        let seen = &newer[..newer.len().min(crate::USER_MESSAGES_SCANNED_MAX)];
        let more = seen.len() < newer.len();
        let theirs = seen.iter().filter(|message| is_theirs(message, user));
        let mut messages: Vec<Message> = theirs.map(|message| (*message).clone()).collect();
        let mut next = seen.last().filter(|_| more).map(|last| last.id);
        if messages.len() > crate::USER_MESSAGES_MAX {
            messages.truncate(crate::USER_MESSAGES_MAX);
            next = messages.last().map(|last| last.id);
        }
        UserMessages { messages, next }
    }

    pub(super) fn marks_of(&self, user: &UserId) -> Vec<(Conversation, Seq)> {
        let marks = self.marks.iter().filter(|((_, reader), _)| reader == user);
        let mut marks: Vec<_> = marks
            .map(|((conversation, _), seq)| (conversation.clone(), *seq))
            .collect();
        marks.sort_by(|one, other| format!("{one:?}").cmp(&format!("{other:?}")));
        marks
    }

    pub(super) fn erase_messages(&mut self, ids: &[Id], at: Timestamp) {
        for id in ids {
            if let Some(message) = self.messages.get_mut(id) {
                crate::verdict::erase(message, at);
            }
        }
        self.keys.retain(|_, (_, id)| !ids.contains(id));
    }

    pub(super) fn erase_records(&mut self, positions: &[Position]) {
        for position in positions {
            if let Some(record) = self.log.get_mut(position) {
                *record = Arc::new(blank(record));
            }
        }
    }

    pub(super) fn erase_user(&mut self, user: &UserId) {
        for members in self.members.values_mut() {
            members.retain(|member| member.user != *user);
        }
        for removed in self.removed.values_mut() {
            removed.retain(|other| other != user);
        }
        self.rooms_of.remove(user);
        self.marks.retain(|(_, reader), _| reader != user);
        self.presences.remove(user);
        self.people.remove(user);
        self.inboxes.remove(user);
        self.outside.erase_user(user);
        for info in self.infos.values_mut() {
            info.created_by.take_if(|by| by == user);
        }
    }
}

fn is_theirs(message: &Message, user: &UserId) -> bool {
    let is_direct = match &message.conversation {
        Conversation::Room(_) => false,
        Conversation::Direct(one, other) => one == user || other == user,
    };
    is_direct || message.sender.id == *user || message.recipient.as_ref() == Some(user)
}

fn blank(record: &Record) -> Record {
    let event = &record.event;
    Record {
        event: Event {
            room: event.room.clone(),
            durable: true,
            takes_seq: event.takes_seq.clone(),
            ..Event::new(event.kind, Facts::new())
        },
        audience: Audience::default(),
        ..record.clone()
    }
}
