//! What must hold inside of the engine at every moment, and what must be left of it when everyone has gone: nothing.

use std::rc::Rc;
use std::sync::Arc;

use super::service::SimulatedService;
use super::world::Shared;
use crate::connection::Connection;
use crate::session::Place;
use crate::shard::Shard;

pub(crate) type SimulatedShard = Rc<Shard<SimulatedService>>;

/// Between any two steps.
pub(crate) fn at_any_moment(shards: &[SimulatedShard], world: &Shared) {
    for shard in shards {
        for connection in shard.connections.borrow().values() {
            outbox_is_bounded(connection, world);
            gate_is_needed(connection, world);
        }
        places_agree(shard, world);
        counters_agree(shard, world);
    }
}

fn outbox_is_bounded(connection: &Rc<Connection<SimulatedService>>, world: &Shared) {
    let outbox = connection.outbox.borrow();
    let limits = connection.shard.limits.outbox;
    // One frame always fits, and so does the one that closes.
    let last = usize::from(!connection.is_open());
    let is_bounded = outbox.bytes() <= limits.bytes_max + 64 * last || outbox.frames() <= 1 + last;
    if !is_bounded || outbox.frames() > limits.frames_max + last {
        world.wrong(|| {
            format!(
                "an outbox holds {} bytes in {} frames",
                outbox.bytes(),
                outbox.frames()
            )
        });
    }
}

/// A gate that nobody will open is a connection that is never read again.
fn gate_is_needed(connection: &Rc<Connection<SimulatedService>>, world: &Shared) {
    let is_draining = connection.shard.engine.is_draining();
    if connection.is_gate_closed()
        && !connection.has_commands()
        && connection.connecting() == 0
        && connection.is_open()
        && !is_draining
    {
        world.wrong(|| "reading has stopped although no command is in flight".to_owned());
    }
}

/// A session is in the hub or it replays, and the hub counts both; nothing is ahead of the log.
fn places_agree(shard: &SimulatedShard, world: &Shared) {
    let sessions = shard.sessions.borrow();
    for (scope, hub) in shard.hub.borrow().iter() {
        let here = sessions.values().filter(|session| session.scope == *scope);
        let (mut members, mut replays) = (0, 0);
        for session in here {
            match session.place.get() {
                Place::Member(_) => members += 1,
                Place::Replaying => replays += 1,
                Place::Out => {}
            }
        }
        if (members, members + replays) != (hub.members.len(), hub.sessions()) {
            world.wrong(|| {
                format!(
                    "{members} members and {replays} replays, but the hub has {} of {}",
                    hub.members.len(),
                    hub.sessions()
                )
            });
        }
        let mut world = world.lock();
        let head = world.books[scope.0 as usize].head();
        if hub.applied().is_some_and(|applied| applied > head) {
            world.wrong(|| format!("{:?} is applied, the log ends at {head:?}", hub.applied()));
        }
    }
}

fn counters_agree(shard: &SimulatedShard, world: &Shared) {
    let counted = (shard.stats.connections.get(), shard.stats.sessions.get());
    let held = (
        shard.connections.borrow().values().count() as u64,
        shard.sessions.borrow().len() as u64,
    );
    if counted != held {
        world.wrong(|| {
            format!("{counted:?} connections and sessions are counted, {held:?} are held")
        });
    }
}

/// When every client has gone and had its time.
pub(crate) fn when_all_are_gone(shards: &[SimulatedShard], world: &Shared) {
    at_any_moment(shards, world);
    for shard in shards {
        let left = (
            shard.connections.borrow().values().count(),
            shard.sessions.borrow().len(),
            shard.hub.borrow().len(),
            shard.stats.websockets.get(),
        );
        if left != (0, 0, 0, 0) {
            world.wrong(|| format!("connections, sessions, scopes and sockets {left:?} are left"));
        }
    }
    let mut world = world.lock();
    // One is the world's own.
    let alive = Arc::strong_count(&world.alive) - 1;
    if alive > 0 {
        world.wrong(|| format!("the data of {alive} sessions that ended is never dropped"));
    }
    let open: Vec<_> = world.open.keys().cloned().collect();
    if !open.is_empty() {
        world.wrong(|| format!("the service was not told that {open:?} are gone"));
    }
    let running = world.turns.iter().find(|(_, turns)| turns.running > 0);
    if let Some((&whose, _)) = running {
        world.wrong(|| format!("a command of admission {whose} still runs"));
    }
}

/// What the engine holds, for the end of a trace.
pub(crate) fn describe(shards: &[SimulatedShard]) -> Vec<String> {
    let mut lines = Vec::new();
    for shard in shards {
        for (scope, hub) in shard.hub.borrow().iter() {
            lines.push(format!(
                "shard {}: {scope:?} applied {:?}, behind: {}, {} sessions",
                shard.index,
                hub.applied(),
                hub.is_behind(),
                hub.sessions()
            ));
        }
        for connection in shard.connections.borrow().values() {
            let outbox = connection.outbox.borrow();
            lines.push(format!(
                "shard {}: connection {:?} on {:?}, {} bytes in {} frames wait, gates {}, commands: {}, blocked: {}",
                shard.index,
                connection.state.get(),
                connection.transport.get(),
                outbox.bytes(),
                outbox.frames(),
                connection.gates.get(),
                connection.has_commands(),
                connection.is_blocked.get(),
            ));
            for session in connection.sessions.borrow().iter() {
                lines.push(format!(
                    "  session {} of generation {}: {:?}, open: {}, cursor {:?}",
                    session.sid,
                    session.generation(),
                    session.place.get(),
                    session.is_open(),
                    session.cursor()
                ));
            }
        }
    }
    lines
}
