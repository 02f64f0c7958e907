//! What can be asked of a tenant's state in memory. Nothing here changes anything.

use relais_core::event::{Message, Person, Record};
use relais_core::ids::{Conversation, Id, Position, RoomKey, Seq, SessionId, Timestamp, UserId};
use relais_core::ports::{
    Head, Interval, LogPage, Member, Membership, MessagePage, MessageQuery, ROOM_PEOPLE_MAX,
    RoomPerson, RoomState, StoredPresence, UNREAD_MAX,
};

use super::state::State;

impl State {
    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn log(&self, after: Position, limit: u32) -> LogPage {
        let newer = self.log.range(Position(after.0.saturating_add(1))..);
        let mut held = 0;
        let records = newer
            .take(crate::log_limit(limit))
            .take_while(|(_, record)| {
                let fits = held < crate::LOG_PAGE_BYTES_MAX;
                held += bytes(record);
                fits
            })
            .map(|(_, record)| record.clone())
            .collect();
        let trimmed = self.trimmed.values().copied().max().unwrap_or_default();
        crate::log_page(after, records, trimmed)
    }

    pub(super) fn trimmed(&self, rooms: &[RoomKey]) -> Position {
        let roomless = self.trimmed.get(&None).copied().unwrap_or_default();
        let of_rooms = rooms
            .iter()
            .filter_map(|room| self.trimmed.get(&Some(room.clone())).copied());
        of_rooms.fold(roomless, Position::max)
    }

    pub(super) fn messages(&self, query: &MessageQuery) -> MessagePage {
        let Some(thread) = self.conversations.get(&query.conversation) else {
            return MessagePage {
                messages: Vec::new(),
                has_more: false,
            };
        };
        let after = query.range.after.map_or(0, |seq| seq.0);
        let before = query.range.before.map_or(u64::MAX, |seq| seq.0);
        let fits = |seq: &Seq, message: &Message| {
            seq.0 > after
                && seq.0 < before
                && (query.channel.is_none() || message.channel == query.channel)
                && visible(message, query.viewer.as_ref())
        };
        let found = thread.messages.iter();
        let found = found.filter_map(|(seq, id)| {
            let message = self.messages.get(id)?;
            fits(seq, message).then(|| message.clone())
        });
        let limit = crate::page_limit(query.limit);
        let mut messages: Vec<_> = match query.range.after {
            Some(_) => found.take(limit + 1).collect(),
            None => found.rev().take(limit + 1).collect(),
        };
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        if query.range.after.is_none() {
            messages.reverse();
        }
        MessagePage { messages, has_more }
    }

    pub(super) fn message(&self, id: Id) -> Option<Message> {
        self.messages.get(&id).cloned()
    }

    pub(super) fn last_seq(&self, conversation: &Conversation) -> Seq {
        let thread = self.conversations.get(conversation);
        thread.map_or(Seq(0), |thread| thread.last_seq)
    }

    pub(super) fn membership(&self, room: &RoomKey, user: &UserId) -> Membership {
        let members = self.members.get(room).into_iter().flatten();
        let removed = self.removed.get(room).into_iter().flatten();
        if members.into_iter().any(|member| member.user == *user) {
            Membership::Member
        } else if removed.into_iter().any(|other| other == user) {
            Membership::Removed
        } else {
            Membership::Unknown
        }
    }

    pub(super) fn members(&self, room: &RoomKey) -> Vec<Member> {
        self.members.get(room).cloned().unwrap_or_default()
    }

    pub(super) fn rooms_of(&self, user: &UserId) -> Vec<RoomKey> {
        self.rooms_of.get(user).cloned().unwrap_or_default()
    }

    pub(super) fn rooms(&self, user: Option<&UserId>, rooms: &[RoomKey]) -> Vec<RoomState> {
        let state = |room: &RoomKey| {
            let conversation = Conversation::Room(room.clone());
            RoomState {
                info: self.infos.get(room).cloned(),
                membership: user.map_or(Membership::Unknown, |user| self.membership(room, user)),
                last_seq: self.last_seq(&conversation),
                unread: user.map_or(0, |user| self.unread(&conversation, user)),
            }
        };
        rooms.iter().map(state).collect()
    }

    fn unread(&self, conversation: &Conversation, user: &UserId) -> u32 {
        let Some(thread) = self.conversations.get(conversation) else {
            return 0;
        };
        let mark = self.read_mark(conversation, user);
        let newer = thread.messages.range(Seq(mark.0.saturating_add(1))..).rev();
        let newest = newer.take(UNREAD_MAX as usize);
        let messages = newest.filter_map(|(_, id)| self.messages.get(id));
        messages
            .filter(|message| message.sender.id != *user && visible(message, Some(user)))
            .count() as u32
    }

    pub(super) fn people(&self, room: &RoomKey) -> Vec<RoomPerson> {
        let claims = |user: &UserId| {
            let known = self.people.get(user);
            known.is_some_and(|(_, claims)| claims.contains(room))
        };
        let kept = |user: &UserId, membership| RoomPerson {
            person: self.person(user).unwrap_or_else(|| Person {
                id: user.clone(),
                name: user.as_str().into(),
                role: None,
            }),
            membership,
            claims: claims(user),
        };
        let members = self.members.get(room).into_iter().flatten();
        let members = members.map(|member| kept(&member.user, Membership::Member));
        let removed = self.removed.get(room).into_iter().flatten();
        let removed = removed.map(|user| kept(user, Membership::Removed));
        let others = self
            .people
            .keys()
            .filter(|user| claims(user) && self.membership(room, user) == Membership::Unknown);
        let others = others.map(|user| kept(user, Membership::Unknown));
        let all = members.chain(removed).chain(others);
        all.take(ROOM_PEOPLE_MAX).collect()
    }

    pub(super) fn person(&self, user: &UserId) -> Option<Person> {
        self.people.get(user).map(|(person, _)| person.clone())
    }

    pub(super) fn session_rooms(&self, session: &SessionId) -> Vec<Interval> {
        let stays = self.stays.get(session).into_iter().flatten();
        stays.map(|stay| stay.interval.clone()).collect()
    }

    pub(super) fn read_mark(&self, conversation: &Conversation, user: &UserId) -> Seq {
        let mark = self.marks.get(&(conversation.clone(), user.clone()));
        mark.copied().unwrap_or_default()
    }

    pub(super) fn presence(&self, user: &UserId) -> Option<StoredPresence> {
        self.presences.get(user).cloned()
    }

    pub(super) fn presences(&self, since: Timestamp) -> Vec<StoredPresence> {
        let all = self.presences.values();
        all.filter(|presence| presence.online || presence.last_seen > since)
            .cloned()
            .collect()
    }
}

/// About how many bytes a record takes.
fn bytes(record: &Record) -> usize {
    serde_json::to_string(&record.event.body).map_or(0, |body| body.len())
}

/// Private messages are only for their sender and their recipient.
fn visible(message: &Message, viewer: Option<&UserId>) -> bool {
    match (&message.recipient, viewer) {
        (Some(recipient), Some(viewer)) => recipient == viewer || message.sender.id == *viewer,
        _ => true,
    }
}
