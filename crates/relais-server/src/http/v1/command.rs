//! What a request to the server-to-server API asks of the core: its checked body, query and path become one command.
//!
//! A message is written by the user that the body names, whom the team's backend vouches for: as a participant of the room, with the
//! restrictions that hold for that user. Everything else the backend does itself.

use std::sync::Arc;

use relais_core::command::{
    Actor, Command, Identity, InboxCommand, NewMessage, NewNotification, NewRelay, PersonalCommand,
    PushCommand, SeqRange,
};
use relais_core::error::{Code, Error};
use relais_core::event::Person;
use relais_core::ids::{AudienceKey, Conversation, Id, RoomKey, Seq, Timestamp, UserId};
use relais_core::restriction::{Against, Hold};
use relais_core::vocabulary::{App, RoomKind, check_event_name, decode};
use serde_json::Value;

use super::letters;
use super::routes::{Operation, Route};

/// A request whose route is found and whose body fits the route's schema.
pub struct Asked<'r> {
    /// The app.
    pub app: &'r App,
    /// The route.
    pub route: &'static Route,
    /// Its path's parameters.
    pub parameters: &'r [(&'static str, String)],
    /// The query, as it came.
    pub query: &'r str,
    /// The body; `null` where there is none.
    pub body: &'r Value,
    /// Now.
    pub now: Timestamp,
}

/// What a request is to do.
pub enum Wanted {
    /// Something for the dispatcher, and who acts.
    Command(Actor, Box<Command>),
    /// A page of dead letters.
    Letters(letters::Wanted),
    /// One of them again; `None`: what the path names can be none.
    Resend(Option<Id>),
}

impl Asked<'_> {
    /// What is asked.
    pub fn wanted(&self, asker: Actor) -> Result<Wanted, Error> {
        let command = match self.route.operation {
            Operation::Publish => Command::Relay(self.relay()?),
            Operation::SendMessage => return self.send(),
            Operation::DeadLetters => return self.letters().map(Wanted::Letters),
            Operation::Resend => {
                let id = self.parameter("id").and_then(|id| id.parse().ok());
                return Ok(Wanted::Resend(id.map(Id)));
            }
            Operation::Messages => self.history()?,
            Operation::Members => Command::ListMembers { room: self.room()? },
            Operation::AddMember => Command::AddMember {
                room: self.room()?,
                user: self.user("userId")?,
            },
            Operation::RemoveMember => Command::RemoveMember {
                room: self.room()?,
                user: self.user("userId")?,
            },
            Operation::RoomOnline => Command::RoomOnline { room: self.room()? },
            Operation::Presences => Command::ListPresence {
                before: self.asked("after").map(UserId::text),
                limit: self.limit()?,
            },
            Operation::Presence => Command::GetPresence {
                user: self.user("userId")?,
            },
            Operation::Notify => Command::Inbox(InboxCommand::Send(self.notification()?)),
            Operation::Disconnect => Command::Personal(PersonalCommand::Disconnect {
                whose: self.against()?,
            }),
            Operation::Mute => self.impose(Hold::Muted)?,
            Operation::Revoke => self.impose(Hold::Revoked)?,
            Operation::Unmute => self.lift(Hold::Muted)?,
            Operation::Unrevoke => self.lift(Hold::Revoked)?,
            Operation::Export => Command::Personal(PersonalCommand::Export {
                user: self.user("userId")?,
                after: None,
            }),
            Operation::Erase => Command::Personal(PersonalCommand::Erase {
                user: self.user("userId")?,
            }),
            Operation::Stats | Operation::PushKey => Command::Stats,
            Operation::Subscribe => Command::Push(PushCommand::Subscribe {
                endpoint: self.text("endpoint").unwrap_or_default().into(),
                p256dh: self.key("p256dh"),
                auth: self.key("auth"),
            }),
            Operation::Unsubscribe => Command::Push(PushCommand::Unsubscribe {
                endpoint: self.text("endpoint").unwrap_or_default().into(),
            }),
        };
        Ok(Wanted::Command(asker, Box::new(command)))
    }

    /// A key of a browser's subscription. Some write padding, which says nothing.
    fn key(&self, name: &str) -> Arc<str> {
        let text = self.body["keys"][name].as_str().unwrap_or_default();
        text.trim_end_matches('=').into()
    }

    fn letters(&self) -> Result<letters::Wanted, Error> {
        let before = self.asked("before").map(|id| {
            let id = id.parse().map(Id);
            id.map_err(|_| self.refuse("\"before\" is not an id"))
        });
        Ok(letters::Wanted {
            queue: self.asked("queue"),
            before: before.transpose()?,
            limit: self.limit()?,
        })
    }

    fn relay(&self) -> Result<NewRelay, Error> {
        let event = self.text("event").unwrap_or_default();
        check_event_name(event).map_err(|problem| self.refuse(&problem))?;
        let to = match &self.body["to"] {
            Value::Array(several) => several.iter().map(|one| self.addressee(one)).collect(),
            one => self.addressee(one).map(|one| vec![one]),
        };
        Ok(NewRelay {
            event: event.into(),
            data: self.body["data"].clone(),
            to: to?,
            durable: self.body["volatile"] != true,
            counts: true,
            ..NewRelay::default()
        })
    }

    fn addressee(&self, one: &Value) -> Result<AudienceKey, Error> {
        if let Some(user) = UserId::from_json(&one["user"]) {
            return Ok(AudienceKey::User(user));
        }
        Ok(match (one["room"].as_str(), one["role"].as_str()) {
            (Some(room), _) => AudienceKey::Room(self.room_of(room)?),
            (None, Some(role)) => AudienceKey::Role(role.into()),
            (None, None) => AudienceKey::Tenant,
        })
    }

    fn send(&self) -> Result<Wanted, Error> {
        let conversation = self.conversation()?;
        let sender = &self.body["sender"];
        let id =
            UserId::from_json(&sender["id"]).ok_or_else(|| self.refuse("who is the sender?"))?;
        let name = sender["name"].as_str().unwrap_or(id.as_str());
        let identity = Identity {
            person: Person {
                name: name.into(),
                role: sender["role"].as_str().map(Into::into),
                id,
            },
            claimed_rooms: conversation.room().cloned().into_iter().collect(),
            expires_at: None,
            issued_at: Some(self.now),
            token_id: None,
        };
        let reply_to = match self.text("replyTo").map(str::parse) {
            None => None,
            Some(Ok(id)) => Some(Id(id)),
            Some(Err(_)) => return Err(self.refuse("field \"replyTo\" is not the id of a message")),
        };
        let new = NewMessage {
            recipient: UserId::from_json(&self.body["recipient"]),
            kind: self.text("kind").unwrap_or("text").into(),
            body: self.text("body").unwrap_or_default().to_owned(),
            channel: self.text("channel").map(Into::into),
            key: self.text("key").map(Into::into),
            reply_to,
            conversation,
        };
        let actor = Actor::User(Arc::new(identity));
        Ok(Wanted::Command(actor, Box::new(Command::SendMessage(new))))
    }

    fn history(&self) -> Result<Command, Error> {
        Ok(Command::History {
            conversation: self.conversation()?,
            channel: self.asked("channel").map(Into::into),
            range: SeqRange {
                before: self.number("before", u64::MAX)?.map(Seq),
                after: self.number("after", u64::MAX)?.map(Seq),
            },
            limit: self.limit()?,
        })
    }

    fn notification(&self) -> Result<NewNotification, Error> {
        Ok(NewNotification {
            user: self.user("userId")?,
            kind: self.text("type").map(Into::into),
            title: self.text("title").unwrap_or_default().to_owned(),
            message: self.text("message").unwrap_or_default().to_owned(),
            data: self.body.get("data").cloned(),
        })
    }

    fn impose(&self, hold: Hold) -> Result<Command, Error> {
        let seconds = self.body["seconds"].as_i64();
        Ok(Command::Impose {
            against: self.against()?,
            hold,
            until: seconds.map(|seconds| Timestamp(self.now.0 + seconds * 1_000)),
        })
    }

    fn lift(&self, hold: Hold) -> Result<Command, Error> {
        Ok(Command::Lift {
            against: self.against()?,
            hold,
        })
    }

    fn against(&self) -> Result<Against, Error> {
        match self.parameter("tokenId") {
            Some(id) => Ok(Against::Token(id.into())),
            None => self.user("userId").map(Against::User),
        }
    }

    fn conversation(&self) -> Result<Conversation, Error> {
        match self.parameter("room") {
            Some(_) => self.room().map(Conversation::Room),
            None => Ok(Conversation::direct(
                self.user("userId")?,
                self.user("otherId")?,
            )),
        }
    }

    fn room(&self) -> Result<RoomKey, Error> {
        self.room_of(self.parameter("room").unwrap_or_default())
    }

    fn room_of(&self, name: &str) -> Result<RoomKey, Error> {
        self.app.rooms.parse(name).ok_or_else(|| {
            let form = |kind: &RoomKind| match &kind.parameter {
                Some(parameter) => format!("{}{{{parameter}}}{}", kind.prefix, kind.suffix),
                None => kind.prefix.to_string(),
            };
            let forms: Vec<String> = self.app.rooms.0.iter().map(form).collect();
            let known = match forms.is_empty() {
                true => "it has none".to_owned(),
                false => format!("they are called {}", forms.join(", ")),
            };
            let text = format!(
                "unable to answer; \"{name}\" is not the name of a room of this app; {known}"
            );
            Error::new(Code::NotFound, text)
        })
    }

    fn user(&self, name: &str) -> Result<UserId, Error> {
        let id = self.parameter(name).filter(|id| id.len() <= 255);
        let id = id.ok_or_else(|| self.refuse("a user's id has 1 to 255 bytes"))?;
        Ok(UserId::text(id))
    }

    fn limit(&self) -> Result<u32, Error> {
        let limit = self.number("limit", 100)?;
        match limit {
            Some(0) => Err(self.refuse("\"limit\" is 1 to 100")),
            limit => Ok(limit
                .and_then(|limit| u32::try_from(limit).ok())
                .unwrap_or(0)),
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.body[field].as_str()
    }

    fn asked(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name)
                .then(|| decode(value, true))
                .flatten()
                .map(Into::into)
        })
    }

    fn number(&self, name: &str, max: u64) -> Result<Option<u64>, Error> {
        let Some(text) = self.asked(name) else {
            return Ok(None);
        };
        let number = text.parse().ok().filter(|number| *number <= max);
        let problem = format!("\"{name}\" is not a number that fits");
        number.map(Some).ok_or_else(|| self.refuse(&problem))
    }

    fn refuse(&self, problem: &str) -> Error {
        let Route { method, path, .. } = self.route;
        Error::new(
            Code::InvalidPayload,
            format!("unable to take \"{method} {path}\"; {problem}"),
        )
    }
}
