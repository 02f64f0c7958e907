//! A service that does what its clients say, and writes down what it was told.
//!
//! Auth: `{"rooms":["a"],"recovery":true}`. A `pid` is the sid of the session; with an offset it is resumed with the stays that were kept.
//! Events: `join` and `leave` with a room, `now`, `pipe` and `barrier` with a name whose command waits for `release(name)`, `flood` with a number, `explode`.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use relais_engine::{
    Accept, CloseCode, Connect, Event, Flow, Interval, LocalFuture, Offset, Raw, RawMessage,
    Reason, Refuse, Reply, Resume, Room, Service, Sid, Socket, Wire,
};
use relais_protocol::engineio::Query;
use serde::Deserialize;
use tokio::sync::Notify;

use super::{MemoryLog, SCOPE};

pub struct TestService {
    log: Arc<MemoryLog>,
    journal: Mutex<Vec<String>>,
    /// The journal has another line.
    changed: Notify,
    stays: Mutex<HashMap<String, Vec<Interval>>>,
    released: Mutex<(HashSet<String>, Vec<Waker>)>,
}

#[derive(Default, Deserialize)]
struct Auth {
    #[serde(default)]
    rooms: Vec<String>,
    #[serde(default)]
    recovery: bool,
    #[serde(default)]
    wait: Option<String>,
    #[serde(default)]
    refuse: Option<String>,
    #[serde(default)]
    resume: Option<String>,
    #[serde(default)]
    after: Option<String>,
}

impl Auth {
    /// `?rooms=a,b&wait=NAME`: what a plain JSON client says.
    fn of_query(query: &str) -> Self {
        let text = |name| Query::value(query, name).map(|value| value.into_owned());
        let rooms = text("rooms").unwrap_or_default();
        Self {
            rooms: rooms.split(',').map(str::to_owned).collect(),
            recovery: true,
            wait: text("wait"),
            refuse: text("refuse"),
            resume: text("resume"),
            after: text("after"),
        }
    }
}

impl TestService {
    pub fn new(log: Arc<MemoryLog>) -> Self {
        Self {
            log,
            journal: Mutex::default(),
            changed: Notify::new(),
            stays: Mutex::default(),
            released: Mutex::default(),
        }
    }

    /// Lets the command of that name go on.
    pub fn release(&self, name: &str) {
        let mut released = self.released.lock().unwrap();
        released.0.insert(name.to_owned());
        for waker in released.1.drain(..) {
            waker.wake();
        }
    }

    pub fn keep_stay(&self, sid: &str, stay: Interval) {
        let mut stays = self.stays.lock().unwrap();
        stays.entry(sid.to_owned()).or_default().push(stay);
    }

    pub fn journal(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }

    /// Waits until the journal has a line that begins like this.
    pub async fn noted(&self, start: &str) -> String {
        let found = async {
            loop {
                let mut changed = pin!(self.changed.notified());
                // A line that is written while this looks is told, too.
                changed.as_mut().enable();
                let mut lines = self.journal().into_iter();
                if let Some(line) = lines.find(|line| line.starts_with(start)) {
                    return line;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(5), found).await;
        found.unwrap_or_else(|_| panic!("no line {start:?} in {:?}", self.journal()))
    }

    fn note(&self, line: impl Into<String>) {
        self.journal.lock().unwrap().push(line.into());
        self.changed.notify_waiters();
    }

    async fn until_released(&self, name: &str) {
        poll_fn(|context| {
            let mut released = self.released.lock().unwrap();
            if released.0.contains(name) {
                return Poll::Ready(());
            }
            // Woken once for a release, as a channel would: a second wake could hide that somebody waits for none.
            if !released.1.iter().any(|one| one.will_wake(context.waker())) {
                released.1.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    fn command(self: &Arc<Self>, name: &str) -> LocalFuture<Option<Reply>> {
        let (service, name) = (Arc::clone(self), name.to_owned());
        Box::pin(async move {
            service.note(format!("begin {name}"));
            service.until_released(&name).await;
            service.note(format!("end {name}"));
            Some(Reply::json(format!("\"{name}\"")))
        })
    }

    fn join(&self, socket: &Socket<Self>, room: &str) {
        use relais_engine::Log as _;
        let head = self.log.head(socket.scope()).unwrap().position;
        socket.join(&Room::from(room));
        self.keep_stay(socket.id().as_str(), super::stay(room, head, None));
    }

    fn leave(&self, socket: &Socket<Self>, room: &str) {
        let head = self.log.head_position();
        socket.leave(&Room::from(room), Some(head));
        for stay in self
            .stays
            .lock()
            .unwrap()
            .get_mut(socket.id().as_str())
            .into_iter()
            .flatten()
        {
            if stay.room == Room::from(room) && stay.until.is_none() {
                stay.until = Some(head);
            }
        }
    }
}

impl Service for TestService {
    type Data = ();

    fn connect(self: &Arc<Self>, connect: Connect) -> LocalFuture<Result<Accept<()>, Refuse>> {
        let service = Arc::clone(self);
        Box::pin(async move {
            let auth: Auth = match connect.wire {
                Wire::Plain => Auth::of_query(&connect.query),
                _ => connect
                    .auth
                    .as_deref()
                    .map(|auth| serde_json::from_slice(auth).unwrap())
                    .unwrap_or_default(),
            };
            if let Some(reason) = auth.refuse {
                let code = CloseCode::POLICY;
                return Err(Refuse::Close { code, reason });
            }
            if let Some(name) = &auth.wait {
                service.until_released(name).await;
            }
            let mut accept = Accept::fresh(SCOPE, ());
            accept.rooms = auth.rooms.iter().map(|r| Room::from(r.as_str())).collect();
            accept.recovery = auth.recovery;
            let sid = match connect.pid.or(auth.resume) {
                Some(pid) => {
                    let offset = connect.offset.or(auth.after);
                    let seen = offset.as_deref().and_then(Offset::parse);
                    accept.resume = seen.map(|seen| Resume {
                        seen,
                        intervals: service
                            .stays
                            .lock()
                            .unwrap()
                            .get(&pid)
                            .cloned()
                            .unwrap_or_default(),
                    });
                    Sid::from(pid.as_str())
                }
                None => Sid::from(format!("s{}", service.journal().len()).as_str()),
            };
            accept.pid = auth.recovery.then(|| sid.to_string());
            service.note(format!("accept {sid}"));
            accept.sid = Some(sid);
            Ok(accept)
        })
    }

    fn connected(self: &Arc<Self>, socket: &Socket<Self>) {
        self.note(format!("connected {}", socket.id()));
        socket.emit_with_cursor("connected", b"");
    }

    fn live(self: &Arc<Self>, socket: &Socket<Self>) {
        self.note(format!("live {}", socket.id()));
        socket.emit("live", b"");
    }

    fn overloaded(self: &Arc<Self>, _: &Socket<Self>, event: Event<'_>) -> Option<Reply> {
        event.wants_ack.then(|| Reply::json("\"overloaded\""))
    }

    fn event(self: &Arc<Self>, socket: &Socket<Self>, event: Event<'_>) -> Flow {
        let text: String = serde_json::from_str(event.args).unwrap_or_default();
        match event.name {
            "join" => self.join(socket, &text),
            "leave" => self.leave(socket, &text),
            "pipe" => return Flow::Pipelined(self.command(&text)),
            "barrier" => return Flow::Barrier(self.command(&text)),
            "flood" => {
                let count: usize = event.args.parse().unwrap();
                for _ in 0..count {
                    socket.emit("flood", "\"xxxxxxxxxxxxxxxx\"".as_bytes());
                }
            }
            "now" => {}
            "refuse" => return Flow::Refused(Reply::json("\"refused\"")),
            "explode" => {
                return Flow::Pipelined(Box::pin(async {
                    tokio::task::yield_now().await;
                    panic!("told to")
                }));
            }
            _ => return Flow::Done,
        }
        self.note(format!("{} {text}", event.name));
        Flow::Reply(Reply::json(format!("\"{text}\"")))
    }

    fn disconnected(self: &Arc<Self>, socket: &Socket<Self>, reason: Reason) {
        self.note(format!("disconnected {} {reason:?}", socket.id()));
    }

    fn message(self: &Arc<Self>, raw: &Raw<'_>, message: RawMessage<'_>) {
        raw.send(message);
    }
}
