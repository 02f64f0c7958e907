//! What the messages of a plain WebSocket mean: each is one event of the connection's one session, or unreadable.
//!
//! The session was made with the connection, and nothing is read before it is there. No message closes the connection; what to say of
//! one that cannot be read is the service's.

use std::rc::Rc;

use relais_protocol::json::Json;
use relais_protocol::plain::Request;

use super::Connection;
use crate::ack_id::AckId;
use crate::service::Service;
use crate::session::Session;
use crate::socket::Socket;

impl<S: Service> Connection<S> {
    pub(super) fn plain_text(self: &Rc<Self>, text: &str) {
        let Some(session) = self.plain_session() else {
            return;
        };
        match Request::decode(text, &self.shard.limits.plain) {
            Ok(request) => {
                let args = request.data.map_or("", Json::get);
                let id = request.id.map(|id| AckId::of_json(id.get()));
                session.event(&request.event, args, &[], id);
            }
            Err(error) => self.unreadable(session, &error.to_string()),
        }
    }

    pub(super) fn plain_binary(self: &Rc<Self>) {
        if let Some(session) = self.plain_session() {
            self.unreadable(session, "a frame is text, not bytes");
        }
    }

    /// Whoever speaks is there, whether it answers pings or not.
    fn plain_session(&self) -> Option<Rc<Session<S>>> {
        self.pong_came();
        self.shard.stats.events_in_total.add(1);
        self.sessions.borrow().first().cloned()
    }

    fn unreadable(&self, session: Rc<Session<S>>, problem: &str) {
        self.shard.service.unreadable(&Socket(session), problem);
    }
}
