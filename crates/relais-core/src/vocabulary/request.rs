//! What a client event or an HTTP request has become, and how its answer goes back in the app's words.
//!
//! In goes the reply of the core, out come the ack, the HTTP body, and the event that carries the reply as well. How a payload
//! becomes the command is [`super::command`]'s.

use std::sync::Arc;

use bytes::Bytes;

use super::rooms::Rooms;
use super::rule::Rule;
use super::server::render;
use super::view::View;
use crate::command::Command;
use crate::error::Error;
use crate::event::Facts;
use crate::ids::RoomKey;
use crate::limit::Rate;

/// A command out of the outside world, and how its reply goes back.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// How it is answered.
    pub answer: Answer,
}

/// How a command's reply goes back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) rule: Arc<Rule>,
    pub(super) rooms: Arc<Rooms>,
    /// The command's room, where a reply may show it.
    pub(super) room: Option<RoomKey>,
}

impl Request {
    /// The client event's name, or the route.
    pub fn subject(&self) -> &Arc<str> {
        self.answer.subject()
    }

    /// The event's own limit for a user, besides the session's.
    pub fn limit(&self) -> Option<&Rate> {
        self.answer.rule.limit.as_ref()
    }

    /// Gives the command the binary attachments that came with it.
    ///
    /// Errors: `INVALID_PAYLOAD` where there are some and it is not something that is passed on at most once.
    pub fn attach(&mut self, attachments: &[Bytes]) -> Result<(), Error> {
        match &mut self.command {
            _ if attachments.is_empty() => Ok(()),
            Command::Relay(relay) if !relay.durable => {
                relay.attachments = attachments.to_vec();
                Ok(())
            }
            _ => Err(self
                .answer
                .rule
                .refuse("it takes no binary arguments; only what is not stored does")),
        }
    }
}

impl Answer {
    /// The client event's name, or the route.
    pub fn subject(&self) -> &Arc<str> {
        &self.rule.subject
    }

    /// The ack: `{"success":true, …}` with what `reply` of the app file says.
    pub fn ack(&self, facts: &Facts) -> String {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(br#"{"success":true"#);
        if let Some(reply) = &self.rule.reply {
            reply.write_fields(&self.view(facts), &mut out);
        }
        out.push(b'}');
        String::from_utf8(out).expect("shapes and values are written as UTF-8")
    }

    /// The body of an HTTP answer: the `reply` of the app file, or `{"success":true}` where it says nothing.
    pub fn body(&self, facts: &Facts) -> String {
        match &self.rule.reply {
            Some(reply) => render(reply, &self.view(facts)),
            None => r#"{"success":true}"#.to_owned(),
        }
    }

    /// The event that carries the reply to the asking session besides the ack, where the app file wants one.
    pub fn event(&self, facts: &Facts) -> Option<(Arc<str>, String)> {
        let name = self.rule.answer.clone()?;
        let data = match &self.rule.reply {
            Some(reply) => render(reply, &self.view(facts)),
            None => "{}".to_owned(),
        };
        Some((name, data))
    }

    fn view<'v>(&'v self, facts: &'v Facts) -> View<'v> {
        View {
            room: self.room.as_ref(),
            ..View::of_facts(&self.rooms, facts)
        }
    }
}
