//! The engine's service: what clients' events ask of the core, and what becomes of a session that goes or comes back.
//!
//! Runs on the shards. What waits for the store waits in the futures given back to the engine; nothing here blocks. Who is let in
//! is decided in [`super::admission`].

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderName, header};
use relais_core::capability::roster::Departure;
use relais_core::command::Command;
use relais_core::error::{Code, Error};
use relais_core::event::{Facts, Volatile};
use relais_core::vocabulary::{Answer, Asker, Question, Request, SessionFacts};
use relais_engine::{
    Accept, CloseCode, Connect, Event, Flow, LocalFuture, Reason, Refuse, Reply, Service, Socket,
};
use serde_json::Value;
use smallvec::SmallVec;

use super::apps::Apps;
use super::expiry::Expiries;
use super::scopes::Scopes;
use super::session::Session;
use super::{plain, publication, renewal};
use crate::clock::Clock;
use crate::identity::PidKey;
use crate::proxies::{FORWARDED_FOR, Proxies};

/// Records that may be on their way from the log to the sessions of a shard before it takes no more: some tenths of a second of work, and no
/// more than its inbox holds, for behind a full inbox it has to read the log, which costs more when there is the least to spare.
const LAG_MAX: u64 = 4_096;

/// Users in the list that a session may get at its start.
const ONLINE_MAX: u32 = 100;

/// Who has to say something about an event next.
enum Asked {
    /// The core: it is a command.
    Us(Request),
    /// The team's own backend.
    Backend(Question),
}

/// The glue between engine and core.
pub struct Relais {
    /// Apps by endpoint.
    pub apps: Arc<Apps>,
    /// Tenants in use.
    pub scopes: Arc<Scopes>,
    /// Signs sessions.
    pub pids: PidKey,
    /// Both clocks.
    pub clock: Clock,
    /// Events a second from one session; `None`: no limit.
    pub events_per_second_max: Option<u32>,
    /// Proxies whose word on a client's address counts.
    pub proxies: Proxies,
    /// Tokens of open sessions that have an end.
    pub expiries: Arc<Expiries>,
    /// Numbers connections, so that what an older one of a session does late is known as such.
    pub generations: AtomicU64,
}
impl Service for Relais {
    type Data = Session;

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<Session>, Refuse>> {
        Box::pin(self.clone().decide(connect))
    }

    /// Those that say who it is and what its client can do: see [`super::admission`].
    fn wants_header(&self, name: &HeaderName) -> bool {
        *name == header::AUTHORIZATION
            || *name == header::USER_AGENT
            || (!self.proxies.is_empty() && *name == FORWARDED_FOR)
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        let session = socket.data();
        session.is_connected.set(true);
        renewal::watch(self, socket);
        // Revoked between the door and here, where whoever closes its sessions did not find it yet.
        let (dispatcher, now) = (&session.served.dispatcher, self.clock.now());
        if let Err(error) = dispatcher.admit(&session.tenant.key, &session.identity, now) {
            socket.close(CloseCode::POLICY, error.code.row().name);
            return;
        }
        if session.missed_since.is_none() && !self.arrived(socket) {
            return;
        }
        session.settle_rooms();
        let greeting = session.greeting.take();
        if let Some(greeting) = greeting {
            return plain::greet(self, socket, *greeting);
        }
        if session.missed_since.is_some() {
            return;
        }
        let facts = SessionFacts {
            session: &session.id,
            tenant: &session.tenant.key.tenant,
            resumed: false,
            rooms: &session.rooms,
            online: &|| self.online(session),
        };
        for event in session.served.app.welcome(&session.identity, &facts) {
            socket.emit(&event.name, event.data.as_bytes());
        }
    }

    fn live(self: &Arc<Self>, socket: &Socket<Self>) {
        let session = socket.data();
        let Some(since) = session.missed_since else {
            return;
        };
        let dispatcher = &session.served.dispatcher;
        let (missed, is_complete) = dispatcher.missed(&session.tenant.key, &session.id, since);
        let now = match is_complete {
            true => Vec::new(),
            false => dispatcher.snapshot(&session.tenant.key, &session.id, self.clock.now()),
        };
        for event in missed.into_iter().chain(now) {
            self.tell(socket, event);
        }
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        if event.name == renewal::EVENT {
            return renewal::renew(self, socket, &event);
        }
        let session = socket.data();
        if let Err(error) = session.take_event(self.clock.now().monotonic) {
            return refused(socket, event.name, event.wants_ack, &error);
        }
        // Asked before the event is even parsed, for under overload most of the work may be refusals.
        if session.served.app.is_stored(event.name) && is_overloaded(socket) {
            return shed(socket, &event);
        }
        match self.request(session, &event) {
            Err(error) => refused(socket, event.name, event.wants_ack, &error),
            Ok(Asked::Us(request)) => self.run(socket, &event, request),
            Ok(Asked::Backend(question)) => self.ask(socket, &event, question),
        }
    }

    fn unreadable(self: &Arc<Self>, socket: &Socket<Self>, problem: &str) {
        plain::unreadable(self, socket, problem);
    }

    fn overloaded(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Option<Reply> {
        turned_away(socket, &event)
    }

    fn disconnected(self: &Arc<Self>, socket: &Socket<Self>, reason: Reason) {
        renewal::forget(self, socket);
        let departure = match reason {
            Reason::ClientLeft => Departure::Clean,
            Reason::Heartbeat => Departure::Silent,
            // It comes back to the next process, or to us: others need not hear of it.
            Reason::Drain => Departure::Sent,
            Reason::TransportLost | Reason::SlowConsumer | Reason::Protocol | Reason::Closed => {
                Departure::Lost
            }
            Reason::Fenced => return,
        };
        let session = socket.data();
        let (tenant, now) = (&session.tenant.key, self.clock.now());
        session.served.dispatcher.disconnect(
            tenant,
            &session.id,
            session.generation,
            departure,
            now,
        );
    }
}

impl Relais {
    /// Tells the roster of a fresh session. False: it cannot be, and is closed.
    fn arrived(&self, socket: &Socket<Self>) -> bool {
        let session = socket.data();
        let arrival = self.arrival(session, session.id.clone());
        let dispatcher = &session.served.dispatcher;
        let arrived = dispatcher.connect(&session.tenant.key, arrival, self.clock.now());
        // The tenant was prepared a moment ago, so this does not wait; if it would, the client simply comes back.
        let has_arrived = matches!(arrived.now_or_never(), Some(Ok(_)));
        if !has_arrived {
            socket.close(CloseCode::TRY_AGAIN_LATER, "the store is not available");
        }
        has_arrived
    }

    /// What an event asks for, or why it is refused before anything is loaded.
    fn request(&self, session: &Session, event: &Event<'_>) -> Result<Asked, Error> {
        let now = self.clock.now();
        let arguments = arguments(event.args)?;
        let asker = Asker {
            actor: &session.actor,
            tenant: &session.tenant.key.tenant,
        };
        let app = &session.served.app;
        if let Some(question) = app.question(event.name, &arguments, asker.actor)? {
            session.take_limit(&question.subject, question.limit.as_ref(), now)?;
            return Ok(Asked::Backend(question));
        }
        let mut request = app.command(event.name, &arguments, asker)?;
        request.attach(event.attachments)?;
        session.take_limit(request.subject(), request.limit(), now)?;
        Ok(Asked::Us(request))
    }

    /// Asks the backend first. A barrier, so that a session's events keep their order.
    fn ask(self: &Arc<Self>, socket: &Socket<Self>, event: &Event<'_>, question: Question) -> Flow {
        let attachments = event.attachments.to_vec();
        let (wants_ack, socket) = (event.wants_ack, socket.clone());
        Flow::Barrier(Box::pin(async move {
            let session = socket.data();
            let subject = question.subject.clone();
            match session.ask(question, &attachments).await {
                Err(error) => refusal_reply(&socket, &subject, wants_ack, &error),
                Ok(Request { command, answer }) => {
                    let invocation = session.invocation(command);
                    let done = Box::pin(session.served.dispatcher.dispatch(invocation)).await;
                    answered(&socket, &answer, wants_ack, done)
                }
            }
        }))
    }

    fn run(self: &Arc<Self>, socket: &Socket<Self>, event: &Event<'_>, request: Request) -> Flow {
        let Request { command, answer } = request;
        // What is stored keeps its place by being submitted in its first poll; everything else waits for what came before it.
        let is_pipelined = match &command {
            Command::SendMessage(_) => true,
            Command::Relay(relay) => relay.durable,
            _ => false,
        };
        if is_pipelined && is_overloaded(socket) {
            return shed(socket, event);
        }
        let mut invocation = socket.data().invocation(command);
        let (wants_ack, socket) = (event.wants_ack, socket.clone());
        let done = Box::pin(async move {
            let session = socket.data();
            let dispatcher = &session.served.dispatcher;
            let publish = |event| socket.publish(publication::volatile(&session.tenant, event));
            let done = match dispatcher.pass_on(&mut invocation, publish) {
                Some(done) => done,
                // In a box of its own, so that what is passed on at once does not pay for the room that waiting takes.
                None => Box::pin(dispatcher.dispatch(invocation)).await,
            };
            answered(&socket, &answer, wants_ack, done)
        });
        if is_pipelined {
            Flow::Pipelined(done)
        } else {
            Flow::Barrier(done)
        }
    }

    /// Who is online now, for a session's first events.
    pub(super) fn online(&self, session: &Session) -> Value {
        let list = Command::ListPresence {
            before: None,
            limit: ONLINE_MAX,
        };
        let asked = session.served.dispatcher.dispatch(session.invocation(list));
        // The tenant is in use, so the list comes from memory and does not wait.
        let facts = asked
            .now_or_never()
            .and_then(Result::ok)
            .unwrap_or_default();
        facts
            .get("users")
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()))
    }

    /// An event that this session alone missed.
    fn tell(&self, socket: &Socket<Self>, event: Volatile) {
        let delivery = publication::volatile(&socket.data().tenant, event);
        for event in delivery.events() {
            socket.emit(&event.name, &event.args);
        }
    }
}

/// The arguments as values, parsed from where they stand: the text between the brackets, without a copy of it.
fn arguments(text: &str) -> Result<SmallVec<[Value; 1]>, Error> {
    let unreadable = || Error::new(Code::InvalidPayload, "unable to read the arguments");
    let mut values = SmallVec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let value = stream.next().and_then(Result::ok).ok_or_else(unreadable)?;
        values.push(value);
        let after = rest[stream.byte_offset()..].trim_ascii_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_ascii_start(),
            None if after.is_empty() => after,
            None => return Err(unreadable()),
        };
    }
    Ok(values)
}

/// What an event came to, as an ack or a refusal, and as an event of its own where the app wants one.
fn answered(
    socket: &Socket<Relais>,
    answer: &Answer,
    wants_ack: bool,
    done: Result<Facts, Error>,
) -> Option<Reply> {
    match done {
        Ok(facts) => {
            let facts = socket.data().tenant.shown(&facts);
            if let Some((name, data)) = answer.event(&facts) {
                socket.emit_with_cursor(&name, data.as_bytes());
            }
            wants_ack.then(|| Reply::json(answer.ack(&facts)))
        }
        Err(error) => refusal_reply(socket, answer.subject(), wants_ack, &error),
    }
}

fn refused(socket: &Socket<Relais>, name: &str, wants_ack: bool, error: &Error) -> Flow {
    refusal_reply(socket, name, wants_ack, error).map_or(Flow::Done, Flow::Reply)
}

/// Whether what is to be stored would wait too long for it, or then for being delivered.
fn is_overloaded(socket: &Socket<Relais>) -> bool {
    if socket.data().served.dispatcher.is_overloaded() {
        metrics::counter!("relais_store_overloaded_total").increment(1);
        return true;
    }
    let is_behind = socket.lag() > LAG_MAX;
    if is_behind {
        metrics::counter!("relais_delivery_overloaded_total").increment(1);
    }
    is_behind
}

fn shed(socket: &Socket<Relais>, event: &Event<'_>) -> Flow {
    turned_away(socket, event).map_or(Flow::Done, Flow::Refused)
}

/// The refusal of an event for which there is no room, made once: it must cost next to nothing.
fn turned_away(socket: &Socket<Relais>, event: &Event<'_>) -> Option<Reply> {
    static ACK: LazyLock<Bytes> = LazyLock::new(|| refusal(&too_much()).to_string().into());
    match event.wants_ack {
        true => Some(Reply::json(ACK.clone())),
        false => refusal_reply(socket, event.name, false, &too_much()),
    }
}

fn too_much() -> Error {
    let text = "unable to take more; what was sent before is still being stored or delivered";
    Error::new(Code::Overloaded, text)
}

fn refusal(error: &Error) -> Value {
    serde_json::json!({ "success": false, "error": error.to_json() })
}

/// A refusal as the ack, or as the event `error` where there is no ack to carry it: the ack's object with the event's name, and
/// the code and message at the top too, so that a handler need not unwrap.
pub(super) fn refusal_reply(
    socket: &Socket<Relais>,
    name: &str,
    wants_ack: bool,
    error: &Error,
) -> Option<Reply> {
    if wants_ack {
        return Some(Reply::json(refusal(error).to_string()));
    }
    tell_error(socket, Some(name), error);
    None
}

/// The event `error`, about an event of the client where there is one to name.
pub(super) fn tell_error(socket: &Socket<Relais>, name: Option<&str>, error: &Error) {
    let mut object = refusal(error);
    if let Value::Object(flat) = error.to_json() {
        flat.into_iter()
            .for_each(|(key, value)| object[key] = value);
    }
    if let Some(name) = name {
        object["event"] = name.into();
    }
    socket.emit("error", object.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_the_values_between_the_brackets() {
        for (text, values) in [
            ("", json!([])),
            ("\"b1\"", json!(["b1"])),
            (r#"{"a":[1,{"b":"},"}]}"#, json!([{"a": [1, {"b": "},"}]}])),
            (
                " 1 , true,null ,\"x,y\",[ ]",
                json!([1, true, null, "x,y", []]),
            ),
        ] {
            let parsed = arguments(text).expect("read");
            assert_eq!(Value::from(parsed.to_vec()), values, "{text}");
        }
        for broken in ["{", "1 2", "{}{}", "nul", "],["] {
            assert!(arguments(broken).is_err(), "{broken}");
        }
    }
}
