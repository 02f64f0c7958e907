//! The engine as every thread sees it: publish, move sessions between rooms, count, drain.
//!
//! Only sends messages to shards; owns none of what they own. HTTP is answered in [`crate::http`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use crate::close::CloseCode;
use crate::command::{Command, HttpCommand, RoomsCommand, SessionCommand, ShardPort};
use crate::delivery::Delivery;
use crate::hub::census::{Census, Spot};
use crate::log::Log;
use crate::registry::{Entry, Registry};
use crate::room::{Room, Scope, Sid};
use crate::service::Service;
use crate::settings::Settings;
use crate::shard::{Inbox, Shard};
use crate::stats::{ShardStats, Stats};

/// How long a drain waits after its window for connections to go.
const DRAIN_EXTRA: Duration = Duration::from_secs(2);

/// The engine, from any thread. Cheap to clone.
#[derive(Clone)]
pub struct EngineHandle {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    ports: Box<[ShardPort]>,
    registry: Registry,
    /// Connections on all shards, and those on their way to one.
    connections: AtomicUsize,
    /// Round robin over shards.
    next_shard: AtomicUsize,
    next_poll: AtomicU64,
    is_draining: AtomicBool,
    /// Makes identities comparable here and meaningless elsewhere.
    identity_key: std::hash::RandomState,
}

/// The engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is out of its range.
    #[error("invalid setting: {name}")]
    Setting {
        /// Which.
        name: &'static str,
    },
    /// A shard's thread or runtime could not be made.
    #[error("unable to start a shard")]
    Shard(#[source] std::io::Error),
}

impl EngineHandle {
    /// Starts the shards.
    ///
    /// # Errors
    /// A setting out of range, or no threads left.
    pub fn start<S: Service>(
        settings: Settings,
        service: Arc<S>,
        log: Arc<dyn Log>,
    ) -> Result<Self, StartError> {
        let (engine, inboxes) = Self::prepare(settings)?;
        for (index, inbox) in (0..).zip(inboxes) {
            let engine = engine.clone();
            let service = Arc::clone(&service);
            let log = Arc::clone(&log);
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            if let Some(on_rest) = engine.settings().on_rest {
                runtime.on_thread_park(on_rest);
            }
            let runtime = runtime.enable_all().build().map_err(StartError::Shard)?;
            std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || Shard::run(index, engine, service, log, inbox, &runtime))
                .map_err(StartError::Shard)?;
        }
        Ok(engine)
    }

    /// An engine whose shards nobody runs yet.
    pub(crate) fn prepare(settings: Settings) -> Result<(Self, Vec<Inbox>), StartError> {
        settings.check()?;
        let (ports, inboxes): (Vec<_>, Vec<_>) = (0..settings.shards)
            .map(|_| port(settings.inbox_max))
            .unzip();
        let engine = Self {
            shared: Arc::new(Shared {
                settings,
                ports: ports.into(),
                registry: Registry::default(),
                connections: AtomicUsize::new(0),
                next_shard: AtomicUsize::new(0),
                next_poll: AtomicU64::new(0),
                is_draining: AtomicBool::new(false),
                identity_key: std::hash::RandomState::new(),
            }),
        };
        Ok((engine, inboxes))
    }

    /// The settings that it runs with.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Gives a delivery to every shard where somebody may hear of it. Never blocks and never fails: a shard whose inbox is full reads a durable
    /// delivery from the log within 2 s; one without position is lost there, and counted.
    ///
    /// Durable deliveries of a scope should come in the order of their positions; any other order costs reads of the log.
    pub fn publish(&self, delivery: Arc<Delivery>) {
        self.offer_all(&delivery, None);
    }

    /// As [`Self::publish`], except to the shard that it comes from.
    pub(crate) fn publish_from(&self, shard: u16, delivery: &Arc<Delivery>) {
        self.offer_all(delivery, Some(shard));
    }

    /// Gives a delivery to the shards on which somebody may hear of it: all with sessions of its scope, for a record, which each of
    /// them has to count; those with members of its rooms, for one without position.
    fn offer_all(&self, delivery: &Arc<Delivery>, except: Option<u16>) {
        let is_asked = |index| except.is_none_or(|except| index != usize::from(except));
        let ports = self.shared.ports.iter().enumerate();
        let mut ports = ports
            .filter(|(index, port)| is_asked(*index) && port.census.has_scope(delivery.scope()))
            .peekable();
        if self.shared.ports.len() == 1 || delivery.position().is_some() || ports.peek().is_none() {
            return ports.for_each(|(_, port)| offer(port, delivery));
        }
        let rooms = delivery.events().iter().flat_map(|event| &event.to);
        let spots: SmallVec<[(Spot, Option<usize>); 4]> = rooms
            .map(|room| {
                let spot = Spot::of(delivery.scope(), room);
                (spot, self.shared.registry.shard_of(room).map(usize::from))
            })
            .collect();
        for (index, port) in ports {
            let hears = |(spot, own): &(Spot, Option<usize>)| {
                port.census.has_room(*spot) || *own == Some(index)
            };
            if spots.iter().any(hears) {
                offer(port, delivery);
            }
        }
    }

    /// Puts a session into a room. When it returns true, every record above the position that its shard has applied reaches it.
    /// False: no such session here, or too many rooms.
    pub async fn enter(&self, scope: Scope, sid: &Sid, room: &Room) -> bool {
        let entered = self.ask_holder(sid, |done| SessionCommand::Enter {
            sid: sid.clone(),
            scope,
            room: room.clone(),
            done,
        });
        entered.await.unwrap_or(false)
    }

    /// Takes a session out of a room once it was given every record up to `until`; `None`: now.
    pub async fn leave(&self, scope: Scope, sid: &Sid, room: &Room, until: Option<u64>) {
        let left = self.ask_holder(sid, |done| SessionCommand::Leave {
            sid: sid.clone(),
            scope,
            room: room.clone(),
            until,
            done,
        });
        left.await.unwrap_or(());
    }

    /// Takes every session in `who` out of `room`, once each was given every record up to `until`. Returns the sessions concerned.
    pub async fn evict(
        &self,
        scope: Scope,
        who: &Room,
        room: &Room,
        until: Option<u64>,
    ) -> Vec<Sid> {
        let evicted = self.ask_all(|done| RoomsCommand::Evict {
            scope,
            who: who.clone(),
            room: room.clone(),
            until,
            done,
        });
        evicted.await.into_iter().flatten().collect()
    }

    /// Closes the transports of all sessions in a room, with what waits for them written first. Returns how many.
    pub async fn close_sessions(
        &self,
        scope: Scope,
        room: &Room,
        code: CloseCode,
        reason: &str,
    ) -> usize {
        let reason: Arc<str> = Arc::from(reason);
        let closed = self.ask_all(|done| RoomsCommand::CloseSessions {
            scope,
            room: room.clone(),
            code,
            reason: Arc::clone(&reason),
            done,
        });
        closed.await.into_iter().sum()
    }

    /// How many sessions are in any of the rooms (each once); of the whole scope when `rooms` is empty.
    pub async fn count(&self, scope: Scope, rooms: &[Room]) -> usize {
        let counts = self.ask_all(|done| RoomsCommand::Count {
            scope,
            rooms: rooms.to_vec(),
            done,
        });
        counts.await.into_iter().sum()
    }

    /// Ids of the sessions in a room.
    pub async fn members(&self, scope: Scope, room: &Room) -> Vec<Sid> {
        let members = self.ask_all(|done| RoomsCommand::Members {
            scope,
            rooms: vec![room.clone()],
            done,
        });
        members.await.into_iter().flatten().collect()
    }

    /// Whether a session is connected here now.
    pub fn is_connected(&self, sid: &Sid) -> bool {
        self.shared.registry.find(sid).is_some()
    }

    /// What all shards that have sessions of the scope have applied; `None` where none has, or there is no log. For measuring lag.
    pub async fn applied(&self, scope: Scope) -> Option<u64> {
        let applied = self.ask_all(|done| RoomsCommand::Applied { scope, done });
        applied.await.into_iter().flatten().min()
    }

    /// Counters, all shards together.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for port in &self.shared.ports {
            stats.add(&port.stats);
        }
        stats
    }

    /// Refuses new connections with 503 and closes the transports of all others with 1012, spread over `window`;
    /// returns when none is left, or 2 s after the window. Sessions stay resumable.
    pub async fn drain(&self, window: Duration) {
        self.shared.is_draining.store(true, Ordering::Release);
        for port in &self.shared.ports {
            let _ = port.commands.send(Command::Drain { window }).await;
        }
        let deadline = tokio::time::Instant::now() + window + DRAIN_EXTRA;
        while self.shared.connections.load(Ordering::Acquire) > 0
            && tokio::time::Instant::now() < deadline
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether [`Self::drain`] has begun.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining.load(Ordering::Acquire)
    }

    /// Ends the shards' threads, and with them every connection. For after [`Self::drain`].
    pub async fn stop(&self) {
        for port in &self.shared.ports {
            let _ = port.commands.send(Command::Stop).await;
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub(crate) fn identity_key(&self) -> &std::hash::RandomState {
        &self.shared.identity_key
    }

    pub(crate) fn next_poll(&self) -> u64 {
        self.shared.next_poll.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn ports(&self) -> &[ShardPort] {
        &self.shared.ports
    }

    /// The port of a shard, if there is such a one.
    pub(crate) fn port(&self, shard: u16) -> Option<&ShardPort> {
        self.shared.ports.get(usize::from(shard))
    }

    /// The port for a new connection.
    fn any_port(&self) -> &ShardPort {
        let at = self.shared.next_shard.fetch_add(1, Ordering::Relaxed);
        &self.shared.ports[at % self.shared.ports.len()]
    }

    /// Has a shard open a connection that was admitted. False, and its place given back, when no shard takes it any more.
    pub(crate) async fn open(&self, command: HttpCommand) -> bool {
        let sent = self.any_port().commands.send(command.into()).await;
        if sent.is_err() {
            self.connection_gone();
        }
        sent.is_ok()
    }

    /// Takes a place for a connection; false when there is none, or while draining. Given back by [`Self::connection_gone`].
    pub(crate) fn admit(&self) -> bool {
        if self.is_draining() {
            return false;
        }
        let before = self.shared.connections.fetch_add(1, Ordering::AcqRel);
        if before >= self.shared.settings.connections_max {
            self.connection_gone();
            return false;
        }
        true
    }

    pub(crate) fn connection_gone(&self) {
        self.shared.connections.fetch_sub(1, Ordering::AcqRel);
    }

    /// Ends an older connection of a session on another shard; returns when it is fenced.
    pub(crate) async fn fence(&self, sid: &Sid, older: Entry) {
        let (done, fenced) = oneshot::channel();
        let command = SessionCommand::Fence {
            sid: sid.clone(),
            generation: older.generation,
            done,
        };
        if let Some(port) = self.port(older.shard)
            && port.commands.send(command.into()).await.is_ok()
        {
            let _ = fenced.await;
        }
    }

    /// Asks the shard that holds a session.
    async fn ask_holder<T>(
        &self,
        sid: &Sid,
        command: impl FnOnce(oneshot::Sender<T>) -> SessionCommand,
    ) -> Option<T> {
        let entry = self.shared.registry.find(sid)?;
        let (done, answer) = oneshot::channel();
        let port = self.port(entry.shard)?;
        port.commands.send(command(done).into()).await.ok()?;
        answer.await.ok()
    }

    /// Asks every shard.
    async fn ask_all<T>(&self, command: impl Fn(oneshot::Sender<T>) -> RoomsCommand) -> Vec<T> {
        let mut waiting = Vec::with_capacity(self.shared.ports.len());
        for port in &self.shared.ports {
            let (done, answer) = oneshot::channel();
            if port.commands.send(command(done).into()).await.is_ok() {
                waiting.push(answer);
            }
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            if let Ok(answer) = answer.await {
                answers.push(answer);
            }
        }
        answers
    }
}

fn port(inbox_max: usize) -> (ShardPort, Inbox) {
    let (deliveries, deliveries_in) = mpsc::channel(inbox_max);
    let (commands, commands_in) = mpsc::channel(inbox_max);
    let missed = Arc::new(AtomicBool::new(false));
    let stats = Arc::new(ShardStats::default());
    let census = Arc::new(Census::default());
    let port = ShardPort {
        deliveries,
        commands,
        missed: Arc::clone(&missed),
        stats: Arc::clone(&stats),
        census: Arc::clone(&census),
    };
    let inbox = Inbox {
        deliveries: deliveries_in,
        commands: commands_in,
        missed,
        stats,
        census,
    };
    (port, inbox)
}

/// A shard that has no room for a delivery is told that it missed one.
fn offer(port: &ShardPort, delivery: &Arc<Delivery>) {
    if port.deliveries.try_send(Arc::clone(delivery)).is_err() {
        port.stats.inbox_full_total.add_shared(1);
        if delivery.position().is_none() {
            let lost = delivery.events().len() as u64;
            port.stats.volatile_dropped_total.add_shared(lost);
        }
        port.missed.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::OutEvent;
    use crate::hub::census::Attendance;
    use crate::room::Position;

    #[test]
    fn what_a_full_inbox_loses_is_counted_as_dropped_and_what_the_log_has_is_not() {
        let settings = Settings {
            shards: 1,
            inbox_max: 1,
            ..Settings::default()
        };
        let (engine, _inboxes) = EngineHandle::prepare(settings).unwrap();
        let scope = Scope(1);
        let _attendance = Attendance::begin(&engine.ports()[0].census, scope);
        let event = Arc::new(OutEvent::to_room(Room::from("a"), "typing", "true"));
        for _ in 0..3 {
            engine.publish(Arc::new(Delivery::volatile(scope, event.clone())));
        }
        let position = Position {
            epoch: 1,
            position: 1,
        };
        engine.publish(Arc::new(Delivery::durable(scope, position, event)));
        let stats = engine.stats();
        assert_eq!(
            (stats.inbox_full_total, stats.volatile_dropped_total),
            (3, 2)
        );
    }
}
