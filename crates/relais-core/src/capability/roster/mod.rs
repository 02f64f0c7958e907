//! Who is here: the devices of one tenant's users, the rooms they are in, and what that means for others.
//!
//! In come arrivals, departures, joins, statuses and the time; out go [`Transition`]s, in order, for the caller to
//! tell. A user's devices are one: what is told is the first device and the last, online and in each room. A device
//! whose transport was lost stays for a grace ([`Roster::tick`] ends it), so that a flap is not seen. Pure: no clock, no
//! I/O. It is one node's view, and it decides nothing about permission.
//!
//! A user's status is merged from the devices on which one was chosen, by [`Rules::precedence`]: with the usual three,
//! `busy` on one device is busy (somebody who must not be disturbed must not be disturbed elsewhere), else `online` on one
//! is online, else away. A device on which nothing was chosen counts only where nothing was chosen on any.

mod device;
mod look;
#[cfg(test)]
mod model;
mod past;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::event::{Person, Shown, Transition};
use crate::ids::{Moment, Monotonic, RoomKey, SessionId, UserId};
use crate::ports::StoredPresence;

use device::{Device, Place, State, User};
pub use look::Counts;
pub use past::Missed;
use past::Past;

/// Who hears of a user's presence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contacts {
    /// People who share a room with the user now.
    #[default]
    Rooms,
    /// Everyone of the tenant.
    Tenant,
}

/// Settings of a roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Declared statuses; the first is that of a device that has set none.
    pub statuses: Vec<Arc<str>>,
    /// Which status wins when devices differ, the strongest first; those not named come after, in declared order.
    pub precedence: Vec<Arc<str>>,
    /// Who hears of presence.
    pub contacts: Contacts,
    /// How long a device whose transport was lost still counts: 5,000 ms.
    pub grace_ms: u64,
    /// The same for those who were online when the process started: 8,000 ms, more than the 5 s that stock clients
    /// wait at most between two attempts.
    pub restored_grace_ms: u64,
    /// The same for those whom the server sent away because it stops: 60,000 ms, more than a drain may take. They are taken up again by
    /// the next process.
    pub sent_grace_ms: u64,
    /// Latest transitions kept for sessions that come back: 8,192. When they are over, the oldest is forgotten. 0: the app tells nobody of
    /// any, so nobody misses one.
    pub past_max: usize,
    /// Departed sessions that are remembered: 16,384. The same.
    pub departed_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            statuses: vec!["online".into(), "away".into(), "busy".into()],
            precedence: vec!["busy".into()],
            contacts: Contacts::default(),
            grace_ms: 5_000,
            restored_grace_ms: 8_000,
            sent_grace_ms: 60_000,
            past_max: 8_192,
            departed_max: 16_384,
        }
    }
}

/// How a session's transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The client said so (DISCONNECT, close 1000), or the server ended the session for good: it is over at once.
    Clean,
    /// The transport broke: the device counts until the grace is over.
    Lost,
    /// The server sent it away because it stops, and it will be back: the device counts until the end of the process.
    Sent,
    /// The client fell silent; the heartbeat was its grace. The session can still be resumed.
    Silent,
}

/// A session that connects or comes back.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which session.
    pub session: SessionId,
    /// Its connection's number in the session, ascending: what an older one does later is ignored.
    pub generation: u64,
    /// Whose.
    pub person: Person,
    /// Rooms that it is in from the start.
    pub rooms: Vec<RoomKey>,
}

/// The roster of one tenant.
#[derive(Debug)]
pub struct Roster {
    rules: Arc<Rules>,
    devices: HashMap<Place, Device>,
    /// Users with at least one device, in the order of their ids.
    users: BTreeMap<UserId, User>,
    /// For each room, users with at least one device in it. No empty rooms.
    rooms: HashMap<RoomKey, BTreeSet<UserId>>,
    /// Ends of graces.
    deadlines: BTreeSet<(Monotonic, Place)>,
    past: Past,
    /// By user, so that many changes of one user are one write.
    unsaved: BTreeMap<UserId, StoredPresence>,
    connected: usize,
}

impl Roster {
    /// An empty roster.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            past: Past::new(rules.past_max, rules.departed_max),
            rules,
            devices: HashMap::new(),
            users: BTreeMap::new(),
            rooms: HashMap::new(),
            deadlines: BTreeSet::new(),
            unsaved: BTreeMap::new(),
            connected: 0,
        }
    }

    /// A session connects, comes back, or takes over from its own older connection.
    pub fn arrive(&mut self, arrival: Arrival, now: Moment) -> Vec<Transition> {
        let Arrival {
            session,
            generation,
            person,
            rooms,
        } = arrival;
        let place = Place::Session(session);
        let user = person.id.clone();
        let mut told = Vec::new();
        match self.devices.get(&place) {
            Some(known) if known.generation > generation || known.user != user => return told,
            Some(_) => {}
            None => told.extend(self.add_device(place.clone(), person.clone(), now)),
        }
        let device = self.devices.get_mut(&place).expect("added above");
        device.generation = generation;
        if let State::Grace { until } = device.state {
            self.deadlines.remove(&(until, place.clone()));
            device.state = State::Connected;
            self.connected += 1;
        }
        if let Some(entry) = self.users.get_mut(&user) {
            entry.person = person;
            entry.last_seen = now.wall;
        }
        let joined: Vec<_> = rooms
            .iter()
            .filter_map(|room| self.enter(&place, room.clone(), now))
            .collect();
        told.extend(self.announce(&user, &rooms, now));
        told.extend(joined);
        self.remember(&user);
        self.past.record(&told);
        told
    }

    /// A session's transport ended. `None`: of an older connection, or of a session that is not here; nothing happens.
    pub fn depart(
        &mut self,
        session: &SessionId,
        generation: u64,
        departure: Departure,
        now: Moment,
    ) -> Option<Vec<Transition>> {
        let place = Place::Session(session.clone());
        let device = self.devices.get_mut(&place)?;
        if generation < device.generation {
            return None;
        }
        let user = device.user.clone();
        if let Some(entry) = self.users.get_mut(&user) {
            entry.last_seen = now.wall;
        }
        let told = match departure {
            Departure::Lost | Departure::Sent => {
                if device.state == State::Connected {
                    let grace_ms = match departure {
                        Departure::Sent => self.rules.sent_grace_ms,
                        _ => self.rules.grace_ms,
                    };
                    let until = now.monotonic.plus(grace_ms);
                    device.state = State::Grace { until };
                    device.lost_at = now.monotonic;
                    self.deadlines.insert((until, place));
                    self.connected -= 1;
                }
                Vec::new()
            }
            Departure::Silent => {
                device.lost_at = match device.state {
                    State::Connected => now.monotonic,
                    State::Grace { .. } => device.lost_at,
                };
                self.remove_device(&place, now)
            }
            Departure::Clean => {
                let told = self.remove_device(&place, now);
                self.past.end(session.clone());
                told
            }
        };
        self.remember(&user);
        self.past.record(&told);
        Some(told)
    }

    /// A session enters a room. Nothing is told of one that is in it already, or is not here.
    pub fn join(&mut self, session: &SessionId, room: RoomKey, now: Moment) -> Vec<Transition> {
        let place = Place::Session(session.clone());
        let Some(joined) = self.enter(&place, room.clone(), now) else {
            return Vec::new();
        };
        let user = joined.shown.person.id.clone();
        let mut told = self.announce(&user, &[room], now);
        told.push(joined);
        self.remember(&user);
        self.past.record(&told);
        told
    }

    /// A session leaves a room.
    pub fn leave(&mut self, session: &SessionId, room: &RoomKey, now: Moment) -> Vec<Transition> {
        let told = self.exit(&Place::Session(session.clone()), room, now);
        if let Some(left) = &told {
            let user = left.shown.person.id.clone();
            self.remember(&user);
            self.past.record(std::slice::from_ref(left));
        }
        told.into_iter().collect()
    }

    /// All devices of a user leave a room. Out come the sessions among them.
    pub fn evict(
        &mut self,
        user: &UserId,
        room: &RoomKey,
        now: Moment,
    ) -> (Vec<SessionId>, Vec<Transition>) {
        let mut sessions = Vec::new();
        let mut told = Vec::new();
        let places = self.users.get(user).map(|entry| entry.places.clone());
        for place in places.unwrap_or_default() {
            let inside = self
                .devices
                .get(&place)
                .is_some_and(|device| device.rooms.contains(room));
            if inside {
                told.extend(self.exit(&place, room, now));
                sessions.extend(place.session().cloned());
            }
        }
        self.remember(user);
        self.past.record(&told);
        (sessions, told)
    }

    /// A user goes with all devices and cannot come back to any of their sessions; what waits to be stored about the user is dropped.
    pub fn forget(&mut self, user: &UserId, now: Moment) -> Vec<Transition> {
        let places = self.users.get(user).map(|entry| entry.places.clone());
        let mut told = Vec::new();
        for place in places.unwrap_or_default() {
            told.extend(self.remove_device(&place, now));
            if let Some(session) = place.session() {
                self.past.end(session.clone());
            }
        }
        self.unsaved.remove(user);
        self.past.record(&told);
        told
    }

    /// Sets the status of one session's device, or of all devices of the user. `None` comes out where there is none.
    pub fn set_status(
        &mut self,
        user: &UserId,
        session: Option<&SessionId>,
        status: &Arc<str>,
        custom_status: Option<&str>,
        now: Moment,
    ) -> Option<(Shown, Vec<Transition>)> {
        let entry = self.users.get_mut(user)?;
        entry.last_seen = now.wall;
        let one = session.map(|session| Place::Session(session.clone()));
        for place in &entry.places {
            if one.as_ref().is_none_or(|one| one == place)
                && let Some(device) = self.devices.get_mut(place)
            {
                device.status = status.clone();
                device.custom_status = custom_status.map(str::to_owned);
                device.has_chosen = true;
                device.set_at = now.monotonic;
            }
        }
        let told: Vec<_> = self.merge(user, now).into_iter().collect();
        self.remember(user);
        self.past.record(&told);
        Some((self.user(user)?, told))
    }

    /// Ends the graces that are over.
    pub fn tick(&mut self, now: Moment) -> Vec<Transition> {
        let mut all = Vec::new();
        while let Some((until, place)) = self.deadlines.first().cloned() {
            if until > now.monotonic {
                break;
            }
            self.deadlines.remove(&(until, place.clone()));
            if let Some(user) = self.devices.get(&place).map(|device| device.user.clone()) {
                let told = self.remove_device(&place, now);
                self.remember(&user);
                self.past.record(&told);
                all.extend(told);
            }
        }
        all
    }
}
