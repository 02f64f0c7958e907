//! The application of the simulation: lets everyone in, keeps their stays, does what events say, and notices what an engine must not do.
//!
//! Who a client is stands in its query: `u` (user), `s` (scope), `r` (recovery), `l` (number of the link). What it sends is
//! `["c",NUMBER,KIND,ARGUMENT]`, or `{"type":"c","data":[NUMBER,KIND,ARGUMENT]}`; the numbers of a link count from 1, so that a lost, doubled or overtaken event shows.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relais_protocol::engineio::Query;

use super::truth::{Heard, Stay, Truth};
use super::wire::numbers;
use super::world::Shared;
use crate::close::{CloseCode, Reason};
use crate::delivery::{Delivery, OutEvent};
use crate::raw::{Raw, RawMessage};
use crate::room::{Offset, Room, Scope, Sid};
use crate::service::{Accept, Connect, Event, Flow, LocalFuture, Refuse, Reply, Resume, Service};
use crate::socket::Socket;

/// What an event asks for.
pub(crate) mod kind {
    pub(crate) const DONE: u64 = 0;
    pub(crate) const REPLY: u64 = 1;
    pub(crate) const PIPELINED: u64 = 2;
    pub(crate) const BARRIER: u64 = 3;
    pub(crate) const JOIN: u64 = 4;
    pub(crate) const LEAVE: u64 = 5;
    pub(crate) const EMIT: u64 = 6;
    pub(crate) const PUBLISH: u64 = 7;
    pub(crate) const ASK: u64 = 8;
    pub(crate) const EXPLODE: u64 = 9;
    pub(crate) const DISCONNECT: u64 = 10;
    pub(crate) const CLOSE: u64 = 11;
    pub(crate) const REFUSE: u64 = 12;
    pub(crate) const LEAVE_AND_WORK: u64 = 13;
}

/// What the ack of an event begins with for which there was no room; its number follows.
pub(crate) const REFUSED: &str = "\"overloaded\",";

/// A namespace that there never is.
pub(crate) const NOWHERE: &str = "/nowhere";

/// Text of the panics that are part of the schedule.
pub(crate) const TOLD_TO: &str = "told to panic";

pub(crate) struct SimulatedService(pub(crate) Shared);

/// What the service keeps of a session.
pub(crate) struct Data {
    link: u64,
    /// Its number among all that were let in.
    admission: u64,
    /// What it will have heard when it begins, and its stays, on a resume.
    resumed: Option<(Offset, Vec<Stay>)>,
    user: u64,
    always: Vec<Room>,
    /// There for the count of those who hold it.
    _alive: Arc<()>,
}

/// A room by its number.
pub(crate) fn room(number: u64) -> Room {
    Room::from(format!("r{number}").as_str())
}

/// Everyone of a user is in it, from the start.
pub(crate) fn user_room(user: u64) -> Room {
    Room::from(format!("user:{user}").as_str())
}

fn number_in(query: &str, name: &str) -> u64 {
    let value = Query::value(query, name);
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

impl SimulatedService {
    /// Panics in this callback if the schedule wants it.
    fn may_panic(&self, callback: &str) {
        // The lock is not held while it panics.
        let is_told = self.0.lock().panics_now(callback);
        assert!(!is_told, "{TOLD_TO}");
    }

    fn decide(&self, connect: &Connect) -> Result<Accept<Data>, Refuse> {
        let mut world = self.0.lock();
        let refusing = world.weather.service_refuses_percent;
        if &*connect.namespace == NOWHERE {
            return Err(Refuse::invalid_namespace());
        }
        if world.chance.percent(refusing) {
            return Err(match world.chance.percent(30) {
                true => Refuse::invalid_namespace(),
                false => Refuse::CloseTransport(CloseCode::TRY_AGAIN_LATER),
            });
        }
        let query = &connect.query;
        let scope = number_in(query, "s") % world.books.len().max(1) as u64;
        let scope = u32::try_from(scope).unwrap_or(0);
        let user = number_in(query, "u");
        let recovery = number_in(query, "r") == 1;
        let epoch = world.books[scope as usize].epoch();
        // Plain JSON has no CONNECT to say it in.
        let in_query = |name| Query::value(query, name).map(|value| value.into_owned());
        let offset = connect.offset.clone().or_else(|| in_query("o"));
        let pid = connect.pid.clone().or_else(|| in_query("p"));
        let seen = offset.as_deref().and_then(Offset::parse);
        let known = pid.as_deref().and_then(|pid| pid.strip_prefix("p-"));
        let comeback = known.zip(seen).and_then(|(sid, seen)| {
            let truth = world.truths.get(sid)?;
            let is_own = truth.user == user && truth.scope == scope;
            (is_own && seen.epoch == epoch).then(|| (sid.to_owned(), seen, truth.stays.clone()))
        });
        world.next_admission += 1;
        let always = vec![user_room(user), Room::from("all")];
        let (sid, resumed) = match comeback {
            Some((sid, seen, stays)) => (sid, Some((seen, stays))),
            None => {
                world.next_sid += 1;
                (format!("s{}", world.next_sid), None)
            }
        };
        let intervals = |stays: &[Stay]| stays.iter().map(Stay::interval).collect();
        let resume = resumed.as_ref().map(|(seen, stays)| Resume {
            seen: *seen,
            intervals: intervals(stays),
        });
        Ok(Accept {
            scope: Scope(scope),
            rooms: always.clone(),
            sid: Some(Sid::from(sid.as_str())),
            pid: recovery.then(|| format!("p-{sid}")),
            recovery,
            resume,
            data: Data {
                link: number_in(query, "l"),
                admission: world.next_admission,
                resumed,
                user,
                always,
                _alive: Arc::clone(&world.alive),
            },
        })
    }

    /// A session begins or goes on: from here on the truth is what the engine was told.
    fn begin(&self, socket: &Socket<Self>, at: Heard) {
        let (sid, data) = (socket.id().as_str(), socket.data());
        let mut world = self.0.lock();
        world.note(|| format!("connected {sid} on link {}, heard {at:?}", data.link));
        if let Some(older) = world.open.insert(sid.to_owned(), data.link) {
            world.wrong(|| format!("{sid} is connected while link {older} still holds it"));
        }
        world.ended.remove(&data.link);
        let epoch = world.books[socket.scope().0 as usize].epoch();
        if let Some((seen, stays)) = &data.resumed {
            if *seen == socket.cursor().unwrap_or(*seen) {
                world.not_live.insert(sid.to_owned(), data.link);
            } else {
                world.wrong(|| format!("{sid} does not begin where it was told to"));
            }
            if let Some(truth) = world.truths.get_mut(sid) {
                truth.stays.clone_from(stays);
            }
            return;
        }
        let mut always = data.always.clone();
        always.push(Room::from(sid));
        let truth = Truth {
            scope: socket.scope().0,
            epoch: socket.cursor().map_or(epoch, |cursor| cursor.epoch),
            user: data.user,
            always,
            stays: Vec::new(),
            heard: at,
        };
        world.truths.insert(sid.to_owned(), truth);
    }

    /// An event must be the next of its link, and its session must be connected on that link.
    fn check_turn(&self, socket: &Socket<Self>, number: u64, kind: u64) {
        let (sid, link) = (socket.id().as_str(), socket.data().link);
        let mut world = self.0.lock();
        world.note(|| format!("event {number} of {sid} on link {link}, kind {kind}"));
        if world.open.get(sid) != Some(&link) {
            world.wrong(|| {
                format!("event {number} of link {link} was handled after {sid} had left it")
            });
        }
        let turns = world.turns(socket.data().admission);
        let (expected, in_barrier) = (turns.next(), turns.in_barrier);
        turns.handled = number;
        if number != expected && world.is_strict {
            world.wrong(|| format!("event {number} of link {link} came instead of {expected}"));
        }
        if in_barrier {
            world.wrong(|| format!("event {number} of link {link} did not wait for the barrier"));
        }
    }

    /// An event may be refused while as many wait before it as the engine holds, and at no other time.
    fn refuse(&self, socket: &Socket<Self>, number: u64) {
        let (sid, link) = (socket.id().as_str(), socket.data().link);
        let mut world = self.0.lock();
        world.note(|| format!("event {number} of {sid} on link {link} is refused"));
        if world.open.get(sid) != Some(&link) {
            world.wrong(|| format!("event {number} was refused after {sid} had left link {link}"));
        }
        let (held_max, is_strict) = (world.held_max, world.is_strict);
        let turns = world.turns(socket.data().admission);
        let waiting = turns.waiting_before(number);
        let is_new = number > turns.handled && turns.refused.insert(number);
        if is_strict && (!is_new || waiting < held_max) {
            world.wrong(|| format!("event {number} was refused behind {waiting} that wait"));
        }
    }

    fn command(
        &self,
        socket: &Socket<Self>,
        number: u64,
        is_barrier: bool,
    ) -> LocalFuture<Option<Reply>> {
        let world = self.0.clone();
        let whose = socket.data().admission;
        Box::pin(async move {
            let mut running = Running::begin(world.clone(), whose, is_barrier);
            let wait = {
                let mut world = world.lock();
                let slow = world.weather.service_slow_ms;
                world.chance.below(slow + 1) as u64
            };
            if wait > 0 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            running.2 = true;
            drop(running);
            Some(reply(number))
        })
    }

    fn ask(&self, socket: &Socket<Self>, number: u64) -> LocalFuture<Option<Reply>> {
        let asked =
            socket.emit_with_ack("q", number.to_string().as_bytes(), Duration::from_secs(1));
        let world = self.0.clone();
        Box::pin(async move {
            if let Ok(answer) = asked.await
                && answer.args != number.to_string()
                && world.lock().is_strict
            {
                world.wrong(|| format!("question {number} was answered by {:?}", answer.args));
            }
            Some(reply(number))
        })
    }

    fn join(&self, socket: &Socket<Self>, number: u64) {
        let room = room(number);
        let head = self.0.lock().books[socket.scope().0 as usize]
            .head()
            .position;
        let applied = socket.0.connection.shard.applied(socket.scope());
        if socket.join(&room) {
            let mut world = self.0.lock();
            world.note(|| {
                format!(
                    "{} joins {room:?} at {head}, applied {applied}",
                    socket.id()
                )
            });
            let world = &mut *world;
            if let Some(truth) = world.truths.get_mut(socket.id().as_str()) {
                // A session of an older epoch counts in that one.
                let book = &world.books[socket.scope().0 as usize];
                truth.join(room, applied, book.end_of(truth.epoch));
            }
        }
    }

    fn leave(&self, socket: &Socket<Self>, number: u64) {
        let room = room(number);
        let mut guard = self.0.lock();
        let world = &mut *guard;
        let book = &world.books[socket.scope().0 as usize];
        let head = book.head().position;
        if let Some(truth) = world.truths.get_mut(socket.id().as_str()) {
            // A session of an older epoch may still hear what was committed in that one.
            truth.leave(&room, head, book.end_of(truth.epoch));
        }
        guard.note(|| format!("{} leaves {room:?} at {head}", socket.id()));
        drop(guard);
        socket.leave(&room, Some(head));
    }

    fn publish(&self, socket: &Socket<Self>, number: u64) {
        let event = self.volatile(socket.scope(), number);
        socket.publish(Arc::new(Delivery::volatile(
            socket.scope(),
            Arc::new(event),
        )));
    }

    /// A volatile event for a room: `["v",SCOPE,NUMBER]`.
    pub(crate) fn volatile(&self, scope: Scope, number: u64) -> OutEvent {
        let mut world = self.0.lock();
        world.next_volatile += 1;
        let args = format!("{},{}", scope.0, world.next_volatile);
        OutEvent::to_room(room(number), "v", args)
    }
}

fn reply(number: u64) -> Reply {
    Reply::json(number.to_string())
}

fn refusal(number: u64) -> Reply {
    Reply::json(format!("{REFUSED}{number}"))
}

/// A command in flight: of which admission, and whether it is done.
struct Running(Shared, u64, bool);

impl Running {
    fn begin(world: Shared, whose: u64, is_barrier: bool) -> Self {
        {
            let mut guard = world.lock();
            let turns = guard.turns(whose);
            turns.running += 1;
            turns.in_barrier = is_barrier;
            let others = turns.running - 1;
            if is_barrier && others > 0 {
                guard.wrong(|| {
                    format!("a barrier of admission {whose} began beside {others} others")
                });
            }
        }
        Self(world, whose, false)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut world = self.0.lock();
        let turns = world.turns(self.1);
        turns.running -= 1;
        turns.in_barrier = false;
        if !self.2 && world.is_strict {
            world.wrong(|| format!("a command of admission {} was abandoned", self.1));
        }
    }
}

impl Service for SimulatedService {
    type Data = Data;

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<Data>, Refuse>> {
        self.may_panic("connect");
        let service = Arc::clone(self);
        Box::pin(async move {
            let wait = {
                let mut world = service.0.lock();
                let slow = world.weather.service_slow_ms;
                world.chance.below(slow + 1) as u64
            };
            if wait > 0 {
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            service.decide(&connect)
        })
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        let cursor = socket.cursor();
        let at = cursor.map(Heard::of).unwrap_or_default();
        self.begin(socket, at);
        self.may_panic("connected");
        let epoch = cursor.map_or(0, |cursor| cursor.epoch);
        let greeting = format!("{},{},{epoch},\"{}\"", at.position, at.index, socket.id());
        socket.emit_with_cursor("connected", greeting.as_bytes());
    }

    fn live(self: &Arc<Self>, socket: &Socket<Self>) {
        self.may_panic("live");
        let mut world = self.0.lock();
        world.note(|| format!("live {}", socket.id()));
        if world.not_live.remove(socket.id().as_str()) != Some(socket.data().link) {
            world.wrong(|| format!("{} is told to be live, which it is", socket.id()));
        }
        drop(world);
        socket.emit("live", b"");
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        // Plain JSON has one list of them.
        let mut words = numbers(event.args.trim_matches(['[', ']']));
        let (Some(number), Some(kind)) = (words.next(), words.next()) else {
            return Flow::Done;
        };
        let argument = words.next().unwrap_or(0);
        self.check_turn(socket, number, kind);
        match kind {
            kind::PIPELINED => return Flow::Pipelined(self.command(socket, number, false)),
            kind::BARRIER => return Flow::Barrier(self.command(socket, number, true)),
            kind::JOIN => self.join(socket, argument),
            kind::LEAVE => self.leave(socket, argument),
            kind::EMIT => {
                for _ in 0..argument.min(64) {
                    socket.emit("x", b"\"some words that nobody reads\"");
                }
            }
            kind::PUBLISH => self.publish(socket, argument),
            kind::ASK => return Flow::Pipelined(self.ask(socket, number)),
            kind::EXPLODE if self.0.lock().is_strict => panic!("{TOLD_TO}"),
            kind::LEAVE_AND_WORK => {
                let command = self.command(socket, number, false);
                let session = Socket(Rc::clone(&socket.0));
                return Flow::Pipelined(Box::pin(async move {
                    session.disconnect();
                    command.await
                }));
            }
            kind::DISCONNECT => socket.disconnect(),
            kind::CLOSE => socket.close(CloseCode::POLICY, "told to"),
            kind::REFUSE => return Flow::Refused(refusal(number)),
            kind::REPLY => {}
            _ => return Flow::Done,
        }
        Flow::Reply(Reply {
            args: Bytes::from(number.to_string()),
            attachments: Vec::new(),
        })
    }

    fn overloaded(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Option<Reply> {
        let number = numbers(event.args.trim_matches(['[', ']'])).next()?;
        self.refuse(socket, number);
        event.wants_ack.then(|| refusal(number))
    }

    fn disconnected(self: &Arc<Self>, socket: &Socket<Self>, reason: Reason) {
        let (sid, link) = (socket.id().as_str(), socket.data().link);
        let mut world = self.0.lock();
        world.note(|| format!("disconnected {sid} from link {link}: {reason:?}"));
        let head = world.books[socket.scope().0 as usize].head();
        world.not_live.remove(sid);
        if world.open.remove(sid) != Some(link) {
            world.wrong(|| format!("{sid} left link {link}, where it was not"));
        }
        // A client may already be back on the same link, as another session.
        if !world.open.values().any(|open| *open == link) {
            world.ended.insert(link, head);
        }
        drop(world);
        self.may_panic("disconnected");
    }

    fn gap(self: &Arc<Self>, socket: &Socket<Self>, from: u64, to: u64) {
        self.may_panic("gap");
        self.0
            .note(|| format!("gap for {}: {from} to {to}", socket.id()));
        socket.emit_with_cursor("gap", format!("{from},{to}").as_bytes());
    }

    fn message(self: &Arc<Self>, raw: &Raw<'_>, message: RawMessage<'_>) {
        raw.send(message);
    }
}
