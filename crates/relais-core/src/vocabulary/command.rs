//! From a checked payload to a command.
//!
//! In go a [`Rule`] and its [`Values`], out comes a [`Request`]: the command, and how to answer it. Nothing is looked up
//! by name here: sources are indexes, operations are a [`Verb`].

mod items;
mod messages;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::catalogue::Takes;
use super::places::{Place, RoomId};
use super::request::{Answer, Request};
use super::rooms::{ROOM_BYTES_MAX, Rooms};
use super::rule::{Rule, Source};
use super::schema::Values;
use crate::command::{
    Actor, Command, InboxCommand, ItemAction, NewNotification, NewRelay, SeqRange, WhichRead,
};
use crate::error::{Code, Error};
use crate::ids::{AudienceKey, Conversation, Id, RoomKey, Seq, UserId};

/// Messages or users in a page, unless the client says otherwise.
const PAGE_DEFAULT: u32 = 50;
/// Facts of a relay's reply that cost a look at everyone who was reached.
const RELAY_COUNTS: [&str; 3] = ["recipients", "delivered", "online"];

/// Place of `volatile` among the parameters of `relay.send`.
const VOLATILE: usize = 2;

/// Who asks, as far as making a command needs it.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The user, or the team's backend.
    pub actor: &'a Actor,
    /// The tenant that the token, or the backend, named.
    pub tenant: &'a str,
}

/// An operation, resolved at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    JoinRoom,
    LeaveRoom,
    RoomOnline,
    AddMember,
    RemoveMember,
    ListMembers,
    Follow,
    Unfollow,
    ListRooms,
    CreateRoom,
    SendMessage,
    EditMessage,
    DeleteMessage,
    History,
    MarkRead,
    StartTyping,
    StopTyping,
    SetTyping,
    SetPresence,
    GetPresence,
    ListPresence,
    Relay,
    Notify,
    Inbox,
    ReadNotifications,
    Item(ItemAction),
    ListItems,
    Stats,
    Ping,
    /// A capability that a later version brings.
    Later,
}

impl Verb {
    pub(super) fn of(operation: &str) -> Self {
        match operation {
            "room.join" => Verb::JoinRoom,
            "room.leave" => Verb::LeaveRoom,
            "room.online" => Verb::RoomOnline,
            "room.add_member" => Verb::AddMember,
            "room.remove_member" => Verb::RemoveMember,
            "room.members" => Verb::ListMembers,
            "room.follow" => Verb::Follow,
            "room.unfollow" => Verb::Unfollow,
            "room.list" => Verb::ListRooms,
            "room.create" => Verb::CreateRoom,
            "message.send" => Verb::SendMessage,
            "message.edit" => Verb::EditMessage,
            "message.delete" => Verb::DeleteMessage,
            "message.history" => Verb::History,
            "message.read" => Verb::MarkRead,
            "typing.start" => Verb::StartTyping,
            "typing.stop" => Verb::StopTyping,
            "typing.set" => Verb::SetTyping,
            "presence.set" => Verb::SetPresence,
            "presence.get" => Verb::GetPresence,
            "presence.list" => Verb::ListPresence,
            "relay.send" => Verb::Relay,
            "notify.send" => Verb::Notify,
            "notify.list" => Verb::Inbox,
            "notify.read" => Verb::ReadNotifications,
            "item.create" => Verb::Item(ItemAction::Create),
            "item.update" => Verb::Item(ItemAction::Update),
            "item.save" => Verb::Item(ItemAction::Save),
            "item.move" => Verb::Item(ItemAction::Move),
            "item.assign" => Verb::Item(ItemAction::Assign),
            "item.claim" => Verb::Item(ItemAction::Claim),
            "item.get" => Verb::Item(ItemAction::Get),
            "item.delete" => Verb::Item(ItemAction::Delete),
            "item.attach" => Verb::Item(ItemAction::Attach),
            "file.upload" => Verb::Item(ItemAction::Upload),
            "item.list" => Verb::ListItems,
            "stats.get" => Verb::Stats,
            "session.ping" => Verb::Ping,
            _ => Verb::Later,
        }
    }
}

impl Rule {
    /// Whether this actor's role may. Relations in `also` are proved by the capability that knows the thing.
    pub(super) fn permit(&self, actor: &Actor) -> Result<(), Error> {
        let Actor::User(identity) = actor else {
            return Ok(());
        };
        let role = identity.person.role.as_ref();
        if self.roles.is_empty()
            || !self.also.is_empty()
            || role.is_some_and(|role| self.roles.contains(role))
        {
            return Ok(());
        }
        let text = format!(
            "unable to take \"{}\"; the role does not allow it",
            self.subject
        );
        Err(Error::new(Code::Forbidden, text))
    }

    /// Whether its command is stored, whatever the payload says.
    pub(super) fn is_stored(&self) -> bool {
        match self.verb {
            Verb::SendMessage => true,
            Verb::Relay => match self.sources.get(VOLATILE) {
                None | Some(None) => true,
                Some(Some(source)) => matches!(source, Source::Constant(Value::Bool(false))),
            },
            _ => false,
        }
    }

    /// The command that a checked payload asks for.
    pub(super) fn request(
        self: &Arc<Self>,
        rooms: &Arc<Rooms>,
        asker: Asker<'_>,
        values: &Values<'_>,
    ) -> Result<Request, Error> {
        let command = Reading {
            rule: self,
            rooms,
            asker,
            values,
        }
        .command()?;
        let room = match &self.reply {
            Some(_) => command.room().cloned(),
            None => None,
        };
        let answer = Answer {
            rule: self.clone(),
            rooms: rooms.clone(),
            room,
        };
        Ok(Request { command, answer })
    }

    /// Whether a field of the operation is all that came.
    pub(super) fn takes_whole(&self) -> bool {
        let mut sources = self.sources.iter().flatten();
        sources.any(|source| matches!(source, Source::Whole))
    }

    pub(super) fn refuse(&self, problem: &str) -> Error {
        let text = format!("unable to take \"{}\"; {problem}", self.subject);
        Error::new(Code::InvalidPayload, text)
    }
}

/// One payload being read.
struct Reading<'r, 'v> {
    rule: &'r Rule,
    rooms: &'r Rooms,
    asker: Asker<'r>,
    values: &'r Values<'v>,
}

impl Reading<'_, '_> {
    fn command(&self) -> Result<Command, Error> {
        Ok(match self.rule.verb {
            Verb::JoinRoom => Command::JoinRoom {
                room: self.room()?,
                with_online: self.shows(&["online"]),
                with_last_seq: self.shows(&["lastSeq"]),
                with_unread: self.shows(&["unread"]),
            },
            Verb::LeaveRoom => Command::LeaveRoom { room: self.room()? },
            Verb::RoomOnline => Command::RoomOnline { room: self.room()? },
            Verb::AddMember => Command::AddMember {
                room: self.room()?,
                user: self.required(0, Self::user)?,
            },
            Verb::RemoveMember => Command::RemoveMember {
                room: self.room()?,
                user: self.required(0, Self::user)?,
            },
            Verb::ListMembers => Command::ListMembers { room: self.room()? },
            Verb::Follow => Command::Follow { room: self.room()? },
            Verb::Unfollow => Command::Unfollow { room: self.room()? },
            Verb::ListRooms => Command::ListRooms,
            Verb::CreateRoom => Command::CreateRoom(self.new_room()?),
            Verb::SendMessage => Command::SendMessage(self.message()?),
            Verb::EditMessage => self.revision(Some(self.required(1, Self::string)?))?,
            Verb::DeleteMessage => self.revision(None)?,
            Verb::History => Command::History {
                conversation: self.conversation()?.0,
                channel: self.text(0)?,
                range: SeqRange {
                    before: self.number(1)?.map(Seq),
                    after: self.number(2)?.map(Seq),
                },
                limit: self.limit(3)?,
            },
            Verb::MarkRead => Command::MarkRead {
                conversation: self.conversation()?.0,
                seq: Seq(self.required(0, Self::number)?),
            },
            Verb::StartTyping => self.typing(true)?,
            Verb::StopTyping => self.typing(false)?,
            Verb::SetTyping => self.typing(self.required(0, Self::flag)?)?,
            Verb::SetPresence => Command::SetPresence {
                status: self.required(0, Self::text)?,
                custom_status: self.string(1)?,
            },
            Verb::GetPresence => Command::GetPresence {
                user: self.required(0, Self::user)?,
            },
            Verb::ListPresence => Command::ListPresence {
                before: self.user(0)?,
                limit: self.limit(1)?,
            },
            Verb::Relay => self.relay()?,
            Verb::Notify => Command::Inbox(InboxCommand::Send(NewNotification {
                user: self.required(0, Self::user)?,
                title: self.required(1, Self::string)?,
                message: self.required(2, Self::string)?,
                kind: self.text(3)?,
                data: self.value(4).map(Cow::into_owned),
            })),
            Verb::Inbox => Command::Inbox(InboxCommand::List {
                before: self.notification(0)?,
                limit: self.limit(1)?,
            }),
            Verb::ReadNotifications => Command::Inbox(InboxCommand::Read(self.which_read()?)),
            Verb::Item(action) => Command::Item(Box::new(self.item(action)?)),
            Verb::ListItems => Command::ListItems(Box::new(self.item_listing()?)),
            Verb::Stats => Command::Stats,
            Verb::Ping => Command::Ping,
            Verb::Later => self.later()?,
        })
    }

    /// Whether the answer shows any of these facts of the reply.
    fn shows(&self, facts: &[&str]) -> bool {
        let reply = self.rule.reply.as_ref();
        reply.is_some_and(|reply| facts.iter().any(|fact| reply.reads(fact)))
    }

    fn typing(&self, active: bool) -> Result<Command, Error> {
        Ok(Command::Typing {
            conversation: self.conversation()?.0,
            active,
            written: self.written()?,
        })
    }

    /// The id of the room of [`Self::conversation`], as the client wrote it.
    fn written(&self) -> Result<Option<UserId>, Error> {
        for place in &self.rule.places {
            match place {
                Place::Room(_, RoomId::Given(source)) | Place::Direct(source) => {
                    let Some(id) = self.person_at(source)? else {
                        continue;
                    };
                    let is_room = matches!(place, Place::Room(..));
                    return Ok(is_room.then_some(id));
                }
                Place::Room(..) => return Ok(None),
                Place::Tenant | Place::Actor | Place::User(_) | Place::Role(_) => {}
            }
        }
        Ok(None)
    }

    /// The id of a notification.
    fn notification(&self, parameter: usize) -> Result<Option<Id>, Error> {
        let text = self.text(parameter)?;
        let id = text.map(|text| {
            let id = text.parse().map(Id);
            id.map_err(|_| {
                let name = self.rule.parameters[parameter].name;
                self.refuse(&format!("\"{name}\" is not the id of a notification"))
            })
        });
        id.transpose()
    }

    fn which_read(&self) -> Result<WhichRead, Error> {
        if self.flag(1)? == Some(true) {
            return Ok(WhichRead::All);
        }
        let id = self.notification(0)?;
        id.map(WhichRead::One)
            .ok_or_else(|| self.refuse("it says neither which (\"id\") nor \"all\": true"))
    }

    fn relay(&self) -> Result<Command, Error> {
        let event = self.required(0, Self::text)?;
        super::check_event_name(&event).map_err(|problem| self.refuse(&problem))?;
        let mut to = Vec::with_capacity(self.rule.to.len());
        let mut own = Vec::new();
        for place in &self.rule.to {
            to.push(match place {
                Place::Room(kind, id) => match self.room_at(kind, id)? {
                    Some(room) => {
                        if matches!(id, RoomId::Actor) {
                            own.push(room.clone());
                        }
                        AudienceKey::Room(room)
                    }
                    None => continue,
                },
                Place::User(source) | Place::Direct(source) => match self.person_at(source)? {
                    Some(user) => AudienceKey::User(user),
                    None => continue,
                },
                Place::Tenant => AudienceKey::Tenant,
                Place::Actor => AudienceKey::User(self.actor()?),
                Place::Role(role) => AudienceKey::Role(role.clone()),
            });
        }
        if to.is_empty() {
            return Err(self.refuse("it does not say to whom"));
        }
        Ok(Command::Relay(NewRelay {
            event,
            data: self.value(1).map_or(Value::Null, Cow::into_owned),
            attachments: Vec::new(),
            to,
            own,
            durable: !self.flag(VOLATILE)?.unwrap_or(false),
            counts: self.shows(&RELAY_COUNTS),
        }))
    }

    fn later(&self) -> Result<Command, Error> {
        let mut fields = Map::new();
        for (index, parameter) in self.rule.parameters.iter().enumerate() {
            if let Some(value) = self.value(index) {
                fields.insert(parameter.name.to_owned(), value.into_owned());
            }
        }
        if let Some(item) = &self.rule.item {
            fields.insert("item".to_owned(), (**item).into());
        }
        if !self.rule.places.is_empty() {
            let room = self.room()?;
            let room = serde_json::json!({ "kind": room.kind, "id": room.id });
            fields.insert("room".to_owned(), room);
        }
        Ok(Command::Unavailable {
            operation: self.rule.operation.into(),
            fields,
        })
    }

    /// The first place of `room` whose field is there.
    fn conversation(&self) -> Result<(Conversation, Option<UserId>), Error> {
        for place in &self.rule.places {
            match place {
                Place::Room(kind, id) => {
                    if let Some(room) = self.room_at(kind, id)? {
                        return Ok((Conversation::Room(room), None));
                    }
                }
                Place::Direct(source) => {
                    if let Some(other) = self.person_at(source)? {
                        let pair = Conversation::direct(self.actor()?, other.clone());
                        return Ok((pair, Some(other)));
                    }
                }
                Place::Tenant | Place::Actor | Place::User(_) | Place::Role(_) => {}
            }
        }
        Err(self.refuse("it does not say which room or recipient"))
    }

    fn room(&self) -> Result<RoomKey, Error> {
        match self.conversation()? {
            (Conversation::Room(room), _) => Ok(room),
            (Conversation::Direct(..), _) => Err(self.refuse("it is about a room")),
        }
    }

    fn room_at(&self, kind: &Arc<str>, id: &RoomId) -> Result<Option<RoomKey>, Error> {
        let id = match id {
            RoomId::Only => Arc::from(""),
            RoomId::Tenant => self.asker.tenant.into(),
            RoomId::Actor => self.actor()?.as_str().into(),
            RoomId::Given(source) => match self.person_at(source)? {
                Some(id) => id.as_str().into(),
                None => return Ok(None),
            },
        };
        Ok(Some(RoomKey {
            kind: kind.clone(),
            id,
        }))
    }

    /// An id out of the payload: a room's is kept as its digits, a user's keeps its JSON form.
    fn person_at(&self, source: &Source) -> Result<Option<UserId>, Error> {
        self.read(source).map(|value| self.id(&value)).transpose()
    }

    fn id(&self, value: &Value) -> Result<UserId, Error> {
        let id = UserId::from_json(value)
            .ok_or_else(|| self.refuse("an id is a text or a whole number"))?;
        if id.as_str().len() > ROOM_BYTES_MAX || id.as_str().chars().any(char::is_control) {
            let text =
                format!("an id has at most {ROOM_BYTES_MAX} bytes and no control characters");
            return Err(self.refuse(&text));
        }
        Ok(id)
    }

    fn actor(&self) -> Result<UserId, Error> {
        match self.asker.actor {
            Actor::User(identity) => Ok(identity.person.id.clone()),
            Actor::Backend => {
                let text = format!(
                    "unable to take \"{}\"; it needs a user, not an API key",
                    self.rule.subject
                );
                Err(Error::new(Code::Forbidden, text))
            }
        }
    }

    fn value(&self, parameter: usize) -> Option<Cow<'_, Value>> {
        self.read(self.rule.sources.get(parameter)?.as_ref()?)
    }

    /// The same, where `null` is something else than nothing.
    fn given(&self, parameter: usize) -> Option<Cow<'_, Value>> {
        self.find(self.rule.sources.get(parameter)?.as_ref()?)
    }

    fn read<'s>(&'s self, source: &'s Source) -> Option<Cow<'s, Value>> {
        self.find(source).filter(|found| !found.is_null())
    }

    /// What a source leads to. A `null` is one inside an object whose schema allows it: a field that is null is not there.
    fn find<'s>(&'s self, source: &'s Source) -> Option<Cow<'s, Value>> {
        match source {
            Source::Field(index, steps) => {
                let mut found = self.values.get(*index)?;
                for step in steps {
                    found = found.get(&**step)?;
                }
                Some(Cow::Borrowed(found))
            }
            Source::Whole => {
                let whole = self.values.whole()?.clone();
                Some(Cow::Owned(Value::Object(whole)))
            }
            Source::Gather(parts) => {
                let part = |(name, source): &(Box<str>, Source)| {
                    Some((name.to_string(), self.find(source)?.into_owned()))
                };
                Some(Cow::Owned(parts.iter().filter_map(part).collect()))
            }
            Source::Constant(value) => Some(Cow::Borrowed(value)),
        }
    }

    fn required<T>(
        &self,
        parameter: usize,
        read: impl Fn(&Self, usize) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        read(self, parameter)?.ok_or_else(|| {
            let name = self.rule.parameters[parameter].name;
            self.refuse(&format!("\"{name}\" is missing"))
        })
    }

    fn text(&self, parameter: usize) -> Result<Option<Arc<str>>, Error> {
        self.typed(parameter, |value| match value {
            Value::String(text) => Some(text.as_str().into()),
            Value::Number(number) if self.rule.parameters[parameter].takes == Takes::Id => {
                Some(number.to_string().into())
            }
            _ => None,
        })
    }

    fn string(&self, parameter: usize) -> Result<Option<String>, Error> {
        self.typed(parameter, |value| value.as_str().map(str::to_owned))
    }

    fn number(&self, parameter: usize) -> Result<Option<u64>, Error> {
        // JSON Schema counts 2.0 among the integers.
        self.typed(parameter, |value| {
            let whole = |number: f64| {
                (number.fract() == 0.0 && (0.0..9.0e15).contains(&number)).then_some(number as u64)
            };
            value.as_u64().or_else(|| value.as_f64().and_then(whole))
        })
    }

    fn limit(&self, parameter: usize) -> Result<u32, Error> {
        let limit = self.number(parameter)?.unwrap_or(u64::from(PAGE_DEFAULT));
        Ok(u32::try_from(limit).unwrap_or(u32::MAX).max(1))
    }

    fn flag(&self, parameter: usize) -> Result<Option<bool>, Error> {
        self.typed(parameter, Value::as_bool)
    }

    fn user(&self, parameter: usize) -> Result<Option<UserId>, Error> {
        self.value(parameter)
            .map(|value| self.id(&value))
            .transpose()
    }

    fn typed<T>(
        &self,
        parameter: usize,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.value(parameter) else {
            return Ok(None);
        };
        read(&value).map(Some).ok_or_else(|| {
            let parameter = &self.rule.parameters[parameter];
            let (words, _) = parameter.takes.types();
            self.refuse(&format!("\"{}\" has to be {words}", parameter.name))
        })
    }

    fn refuse(&self, problem: &str) -> Error {
        self.rule.refuse(problem)
    }
}
