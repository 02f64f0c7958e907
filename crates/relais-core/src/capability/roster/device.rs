//! A device and the user that it belongs to, and the transitions when one comes, moves or goes.
//!
//! These are the steps that the roster's doors are made of; every one leaves the indexes (users, rooms, graces) in
//! agreement. Nothing is recorded or stored here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Contacts, Roster};
use crate::event::{OFFLINE, Person, Shown, Transition, What};
use crate::ids::{AudienceKey, Moment, Monotonic, RoomKey, SessionId, Timestamp, UserId};

/// What a device is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Place {
    /// A session of this process.
    Session(SessionId),
    /// All that a user had when the process before this one ended, as one device in grace.
    Restored(UserId),
}

impl Place {
    pub(super) fn session(&self) -> Option<&SessionId> {
        match self {
            Place::Session(session) => Some(session),
            Place::Restored(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Connected,
    /// Its deadline is in the roster's list.
    Grace {
        until: Monotonic,
    },
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) user: UserId,
    pub(super) generation: u64,
    pub(super) state: State,
    pub(super) lost_at: Monotonic,
    pub(super) rooms: BTreeSet<RoomKey>,
    pub(super) status: Arc<str>,
    pub(super) custom_status: Option<String>,
    /// Whether its user chose the status there. A device that says nothing has no say beside one that does.
    pub(super) has_chosen: bool,
    pub(super) set_at: Monotonic,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) person: Person,
    /// Never empty.
    pub(super) places: Vec<Place>,
    /// For each room, how many of the devices are in it. No zeros.
    pub(super) rooms: BTreeMap<RoomKey, usize>,
    pub(super) status: Arc<str>,
    pub(super) custom_status: Option<String>,
    pub(super) last_seen: Timestamp,
    /// Whether anybody was told that the user is online.
    pub(super) announced: bool,
    /// Rooms that were told that the user went offline, and were not told otherwise since.
    pub(super) owed: BTreeSet<RoomKey>,
}

impl Roster {
    /// A connected device without rooms. It begins with what its user's devices from before a restart had set.
    pub(super) fn add_device(
        &mut self,
        place: Place,
        person: Person,
        now: Moment,
    ) -> Option<Transition> {
        let user = person.id.clone();
        let restored = self.devices.get(&Place::Restored(user.clone()));
        let (status, custom_status) = match restored {
            Some(before) => (before.status.clone(), before.custom_status.clone()),
            None => (self.first_status(), None),
        };
        let device = Device {
            user: user.clone(),
            generation: 0,
            state: State::Connected,
            lost_at: now.monotonic,
            rooms: BTreeSet::new(),
            status: status.clone(),
            custom_status: custom_status.clone(),
            has_chosen: restored.is_some_and(|before| before.has_chosen),
            set_at: now.monotonic,
        };
        self.devices.insert(place.clone(), device);
        self.connected += 1;
        if let Some(entry) = self.users.get_mut(&user) {
            entry.places.push(place);
            return self.merge(&user, now);
        }
        let owed = self.past.told_offline(&user);
        let entry = User {
            person,
            places: vec![place],
            rooms: BTreeMap::new(),
            status,
            custom_status,
            last_seen: now.wall,
            announced: false,
            owed,
        };
        self.users.insert(user, entry);
        None
    }

    /// Tells who has not heard it that a user is online: all contacts when there are some for the first time, then the
    /// entered rooms that last heard the opposite. Those hear the status too, which they have as offline.
    pub(super) fn announce(
        &mut self,
        user: &UserId,
        entered: &[RoomKey],
        now: Moment,
    ) -> Vec<Transition> {
        let contacts = self.contacts(user);
        let Some(entry) = self.users.get_mut(user) else {
            return Vec::new();
        };
        let back = entered.iter().filter(|room| entry.owed.remove(*room));
        let back: Vec<_> = back.cloned().map(AudienceKey::Room).collect();
        let online = match entry.announced {
            true => back.clone(),
            false => contacts,
        };
        entry.announced |= !online.is_empty();
        let told = [(What::Online, online), (What::Changed, back)];
        let Some(shown) = self.shown(user) else {
            return Vec::new();
        };
        let told = told.into_iter().filter(|(_, to)| !to.is_empty());
        told.map(|(what, to)| Transition {
            what,
            shown: shown.clone(),
            to,
            at: now,
        })
        .collect()
    }

    /// Takes a device out of its rooms and away; the last one takes its user along.
    pub(super) fn remove_device(&mut self, place: &Place, now: Moment) -> Vec<Transition> {
        let Some(device) = self.devices.get(place) else {
            return Vec::new();
        };
        let (user, rooms, lost_at) = (device.user.clone(), device.rooms.clone(), device.lost_at);
        match device.state {
            State::Connected => self.connected -= 1,
            State::Grace { until } => {
                self.deadlines.remove(&(until, place.clone()));
            }
        }
        // Contacts of somebody who goes are those who share a room until then.
        let contacts = self.contacts(&user);
        let rooms_until_now = self.users.get(&user).map(|entry| entry.rooms.clone());
        let mut told = Vec::new();
        for room in &rooms {
            told.extend(self.exit(place, room, now));
        }
        self.devices.remove(place);
        if let Some(session) = place.session() {
            self.past.departed(session.clone(), lost_at);
        }
        let entry = self.users.get_mut(&user);
        let entry = entry.expect("a device belongs to a user of the roster");
        entry.places.retain(|other| other != place);
        if !entry.places.is_empty() {
            told.extend(self.merge(&user, now));
            return told;
        }
        entry.status = OFFLINE.into();
        entry.custom_status = None;
        let shown = self.shown(&user).map(|shown| Shown {
            online: false,
            ..shown
        });
        self.users.remove(&user);
        let Some(shown) = shown else { return told };
        let rooms_until_now = rooms_until_now.unwrap_or_default();
        self.remember_gone(&shown, rooms_until_now.into_keys().collect());
        if !contacts.is_empty() {
            told.extend([What::Offline, What::Changed].map(|what| Transition {
                what,
                shown: shown.clone(),
                to: contacts.clone(),
                at: now,
            }));
        }
        told
    }

    /// A device enters a room.
    pub(super) fn enter(
        &mut self,
        place: &Place,
        room: RoomKey,
        now: Moment,
    ) -> Option<Transition> {
        let device = self.devices.get_mut(place)?;
        if !device.rooms.insert(room.clone()) {
            return None;
        }
        let user = device.user.clone();
        let entry = self.users.get_mut(&user)?;
        let devices = entry.rooms.entry(room.clone()).or_default();
        *devices += 1;
        if *devices > 1 {
            return None;
        }
        let inside = self.rooms.entry(room.clone()).or_default();
        inside.insert(user.clone());
        self.told(What::Joined(room), &user, now)
    }

    /// A device leaves a room.
    pub(super) fn exit(
        &mut self,
        place: &Place,
        room: &RoomKey,
        now: Moment,
    ) -> Option<Transition> {
        let device = self.devices.get_mut(place)?;
        if !device.rooms.remove(room) {
            return None;
        }
        let user = device.user.clone();
        let entry = self.users.get_mut(&user)?;
        let devices = entry.rooms.get_mut(room)?;
        *devices -= 1;
        if *devices > 0 {
            return None;
        }
        entry.rooms.remove(room);
        if let Some(inside) = self.rooms.get_mut(room) {
            inside.remove(&user);
            if inside.is_empty() {
                self.rooms.remove(room);
            }
        }
        self.told(What::Left(room.clone()), &user, now)
    }

    /// Merges the statuses of a user's devices; a transition comes out if that changed anything.
    pub(super) fn merge(&mut self, user: &UserId, now: Moment) -> Option<Transition> {
        let entry = self.users.get(user)?;
        let devices = entry
            .places
            .iter()
            .filter_map(|place| self.devices.get(place));
        // Among devices of one status, the one that set it last has the say.
        let first = devices.min_by_key(|device| {
            let newest_first = std::cmp::Reverse(device.set_at);
            (!device.has_chosen, self.rank(&device.status), newest_first)
        })?;
        let (status, custom_status) = (first.status.clone(), first.custom_status.clone());
        if entry.status == status && entry.custom_status == custom_status {
            return None;
        }
        let entry = self.users.get_mut(user)?;
        entry.status = status;
        entry.custom_status = custom_status;
        self.told(What::Changed, user, now)
    }

    fn rank(&self, status: &Arc<str>) -> usize {
        let rules = &self.rules;
        let mut ranked = rules.precedence.iter().chain(&rules.statuses);
        ranked
            .position(|other| other == status)
            .unwrap_or(usize::MAX)
    }

    pub(super) fn first_status(&self) -> Arc<str> {
        let first = self.rules.statuses.first().cloned();
        first.unwrap_or_else(|| "online".into())
    }

    /// A transition as it is told; `None` where nobody would hear of it.
    pub(super) fn told(&self, what: What, user: &UserId, at: Moment) -> Option<Transition> {
        let to = match &what {
            What::Joined(room) | What::Left(room) => vec![AudienceKey::Room(room.clone())],
            What::Online | What::Offline | What::Changed => self.contacts(user),
        };
        let shown = self.shown(user)?;
        (!to.is_empty()).then_some(Transition {
            what,
            shown,
            to,
            at,
        })
    }

    fn contacts(&self, user: &UserId) -> Vec<AudienceKey> {
        let rooms = self
            .users
            .get(user)
            .into_iter()
            .flat_map(|entry| entry.rooms.keys());
        match self.rules.contacts {
            Contacts::Tenant => vec![AudienceKey::Tenant],
            Contacts::Rooms => rooms.cloned().map(AudienceKey::Room).collect(),
        }
    }

    /// How a user with an entry looks, right now.
    pub(super) fn shown(&self, user: &UserId) -> Option<Shown> {
        let entry = self.users.get(user)?;
        let mut devices = entry
            .places
            .iter()
            .filter_map(|place| self.devices.get(place));
        Some(Shown {
            person: entry.person.clone(),
            online: !entry.places.is_empty(),
            connected: devices.any(|device| device.state == State::Connected),
            status: entry.status.clone(),
            custom_status: entry.custom_status.clone(),
            last_seen: entry.last_seen,
        })
    }
}
