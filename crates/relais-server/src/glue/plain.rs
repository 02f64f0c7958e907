//! What is different for plain JSON WebSockets: the address says the room, the session's id is what it comes back with, and a refusal is a
//! close code.
//!
//! `connected` is the first event of every such session, also of one that goes on. Its `sessionId` is a [`Pid`](crate::identity::Pid),
//! good only beside a valid token of the same user, and never shown to anybody else.

use std::sync::Arc;

use relais_core::error::{Code, Error};
use relais_core::ids::{RoomKey, SessionId};
use relais_core::vocabulary::{Asker, SessionFacts};
use relais_engine::{CloseCode, Flow, Offset, Position, Refuse, Socket};
use relais_protocol::engineio::Query;
use relais_protocol::plain::Mark;

use super::service::{Relais, tell_error};
use crate::identity::PidKey;

use super::admission::Comeback;

/// What a session is told first.
pub struct Greeting {
    /// Shown to the client as `sessionId`.
    pub credential: String,
    /// Rooms that it had joined by itself before it came back.
    pub stays: Vec<RoomKey>,
    /// The room of its address.
    pub entrance: Option<RoomKey>,
}

/// `connected`, what follows it, and the room of the address.
pub(super) fn greet(relais: &Arc<Relais>, socket: &Socket<Relais>, greeting: Greeting) {
    let session = socket.data();
    let resumed = session.missed_since.is_some();
    let rooms: Vec<RoomKey> = session
        .rooms
        .iter()
        .chain(&greeting.stays)
        .cloned()
        .collect();
    let facts = SessionFacts {
        session: &SessionId(greeting.credential.into()),
        tenant: &session.tenant.key.tenant,
        resumed,
        rooms: &rooms,
        online: &|| relais.online(session),
    };
    let events = session.served.app.welcome(&session.identity, &facts);
    // What follows `connected` is what a client that was here knows already, or is told when it has caught up.
    let told = if resumed { 1 } else { events.len() };
    for event in events.iter().take(told) {
        socket.emit_with_cursor(&event.name, event.data.as_bytes());
    }
    if let Some(room) = greeting.entrance {
        enter(socket, &room);
    }
}

/// Joins the room of the address, before anything that the client sends. Whoever may not is turned away.
fn enter(socket: &Socket<Relais>, room: &RoomKey) {
    let session = socket.data();
    let asker = Asker {
        actor: &session.actor,
        tenant: &session.tenant.key.tenant,
    };
    let entry = match session.served.app.enter(room, asker) {
        Ok(entry) => entry,
        Err(error) => return turn_away(socket, &error),
    };
    let invocation = session.invocation(entry.command);
    let (dispatcher, socket_too) = (session.served.dispatcher.clone(), socket.clone());
    socket.run(Flow::Barrier(Box::pin(async move {
        match dispatcher.dispatch(invocation).await {
            Ok(facts) => {
                let answer = entry.answer.and_then(|answer| answer.event(&facts));
                if let Some((name, data)) = answer {
                    socket_too.emit_with_cursor(&name, data.as_bytes());
                }
            }
            Err(error) => turn_away(&socket_too, &error),
        }
        None
    })));
}

fn turn_away(socket: &Socket<Relais>, error: &Error) {
    let (code, reason) = closing(error);
    socket.close(code, reason);
}

/// A message that is no frame: the event `error`, and it counts as an event of the client.
pub(super) fn unreadable(relais: &Relais, socket: &Socket<Relais>, problem: &str) {
    let counted = socket.data().take_event(relais.clock.now().monotonic);
    let error = counted.err().unwrap_or_else(|| {
        let text = format!("unable to read a frame; {problem}");
        Error::new(Code::InvalidPayload, text)
    });
    tell_error(socket, None, &error);
}

/// The refusal of a connection: accepted, and closed.
pub(super) fn refusal(error: &Error) -> Refuse {
    let (code, reason) = closing(error);
    Refuse::Close {
        code,
        reason: reason.to_owned(),
    }
}

/// The close code and reason that tell an error. What has no code of its own is for the client to mend.
fn closing(error: &Error) -> (CloseCode, &'static str) {
    let row = error.code.row();
    let code = row.close_code.and_then(|code| CloseCode::new(code).ok());
    (code.unwrap_or(CloseCode::POLICY), row.name)
}

/// `resume` and `after` of an address. What cannot be read is a fresh start.
pub(super) fn comeback(pids: &PidKey, query: &str) -> Option<Comeback> {
    let text = Query::value(query, "resume")?;
    let mark = Mark::parse(&Query::value(query, "after")?)?;
    let pid = pids.read(&text)?;
    let position = Position {
        epoch: pid.epoch?.0,
        position: mark.position,
    };
    Some(Comeback {
        pid,
        text: text.into_owned(),
        offset: Offset {
            index: mark.index,
            ..Offset::whole(position)
        },
    })
}
