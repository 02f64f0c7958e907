//! What can be asked of a roster. Nothing here changes anything.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::device::{Place, State};
use super::{Contacts, Missed, Roster};
use crate::event::{Shown, Transition, What};
use crate::ids::{AudienceKey, Moment, Monotonic, RoomKey, SessionId, UserId};

/// Figures about a roster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions with a transport.
    pub connected: usize,
    /// Users with a device, in grace or not.
    pub users: usize,
    /// Rooms with somebody in them.
    pub rooms: usize,
}

impl Roster {
    /// Whether a session is in a room.
    pub fn is_in(&self, session: &SessionId, room: &RoomKey) -> bool {
        let device = self.devices.get(&Place::Session(session.clone()));
        device.is_some_and(|device| device.rooms.contains(room))
    }

    /// The rooms that a session is in.
    pub fn rooms_of(&self, session: &SessionId) -> Vec<RoomKey> {
        let device = self.devices.get(&Place::Session(session.clone()));
        device.map_or_else(Vec::new, |device| device.rooms.iter().cloned().collect())
    }

    /// How many rooms a session is in.
    pub fn room_count(&self, session: &SessionId) -> usize {
        let device = self.devices.get(&Place::Session(session.clone()));
        device.map_or(0, |device| device.rooms.len())
    }

    /// Whether a session is here, in grace or not.
    pub fn knows(&self, session: &SessionId) -> bool {
        self.devices.contains_key(&Place::Session(session.clone()))
    }

    /// Whether a session left for good and cannot come back.
    pub fn has_ended(&self, session: &SessionId) -> bool {
        self.past.has_ended(session)
    }

    /// The sessions of a user that are in a room.
    pub fn sessions_in(&self, user: &UserId, room: &RoomKey) -> Vec<SessionId> {
        let places = self
            .users
            .get(user)
            .into_iter()
            .flat_map(|entry| &entry.places);
        places
            .filter(|place| {
                let device = self.devices.get(place);
                device.is_some_and(|device| device.rooms.contains(room))
            })
            .filter_map(|place| place.session().cloned())
            .collect()
    }

    /// The sessions of a user that are not in a room.
    pub fn sessions_outside(&self, user: &UserId, room: &RoomKey) -> Vec<SessionId> {
        let entry = self.users.get(user).into_iter();
        let places = entry.flat_map(|entry| &entry.places);
        let outside = places.filter(|place| {
            let device = self.devices.get(place);
            device.is_some_and(|device| !device.rooms.contains(room))
        });
        outside
            .filter_map(|place| place.session().cloned())
            .collect()
    }

    /// Whether anybody is in a room.
    pub fn is_used(&self, room: &RoomKey) -> bool {
        self.rooms.contains_key(room)
    }

    /// Everyone in a room, in the order of ids.
    pub fn online_in(&self, room: &RoomKey) -> Vec<Shown> {
        let inside = self.rooms.get(room).into_iter().flatten();
        inside.filter_map(|user| self.shown(user)).collect()
    }

    /// Whether a user has a device in a room.
    pub fn user_in(&self, user: &UserId, room: &RoomKey) -> bool {
        self.rooms
            .get(room)
            .is_some_and(|inside| inside.contains(user))
    }

    /// A user who has a device.
    pub fn user(&self, user: &UserId) -> Option<Shown> {
        self.shown(user)
    }

    /// Users after `after` in the order of ids, at most `limit`, and whether there are more.
    pub fn list(&self, after: Option<&UserId>, limit: usize) -> (Vec<Shown>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut users = self.users.range::<UserId, _>((from, Bound::Unbounded));
        let page = users.by_ref().take(limit);
        let page = page.filter_map(|(user, _)| self.shown(user)).collect();
        (page, users.next().is_some())
    }

    /// How many connected sessions an audience has, each counted once.
    pub fn reach(&self, to: &[AudienceKey]) -> usize {
        if to.contains(&AudienceKey::Tenant) {
            return self.connected;
        }
        let mut counted: BTreeSet<&Place> = BTreeSet::new();
        for key in to {
            match key {
                AudienceKey::Tenant => {}
                AudienceKey::User(user) => self.count(user, |_| true, &mut counted),
                AudienceKey::Room(room) => {
                    for user in self.rooms.get(room).into_iter().flatten() {
                        self.count(
                            user,
                            |place| self.devices[place].rooms.contains(room),
                            &mut counted,
                        );
                    }
                }
                AudienceKey::Role(role) => {
                    for (user, entry) in &self.users {
                        if entry.person.role.as_ref() == Some(role) {
                            self.count(user, |_| true, &mut counted);
                        }
                    }
                }
            }
        }
        counted.len()
    }

    fn count<'a>(
        &'a self,
        user: &UserId,
        counts: impl Fn(&Place) -> bool,
        counted: &mut BTreeSet<&'a Place>,
    ) {
        let places = self
            .users
            .get(user)
            .into_iter()
            .flat_map(|entry| &entry.places);
        counted.extend(
            places.filter(|place| self.devices[*place].state == State::Connected && counts(place)),
        );
    }

    /// When a session was last heard of: now if it is connected, else when its transport went. `None` after a restart.
    pub fn heard_at(&self, session: &SessionId, now: Monotonic) -> Option<Monotonic> {
        match self.devices.get(&Place::Session(session.clone())) {
            Some(device) if device.state == State::Connected => Some(now),
            Some(device) => Some(device.lost_at),
            None => self.past.went_at(session),
        }
    }

    /// What a session would have been told since then, for the rooms that it is in.
    pub fn missed(&self, session: &SessionId, since: Monotonic) -> Missed {
        let Some(device) = self.devices.get(&Place::Session(session.clone())) else {
            let transitions = Vec::new();
            return Missed {
                transitions,
                complete: true,
            };
        };
        self.past.missed(since, |told| {
            told.shown.person.id != device.user
                && told.to.iter().any(|key| match key {
                    AudienceKey::Tenant => true,
                    AudienceKey::Room(room) => device.rooms.contains(room),
                    AudienceKey::User(_) | AudienceKey::Role(_) => false,
                })
        })
    }

    /// How everybody whom a session hears of looks now, as if each had just come: online, with which status, in which of its rooms.
    /// For a session whose [`Missed`] is not complete. At most `users_max` users, in the order of ids.
    pub fn snapshot(&self, session: &SessionId, users_max: usize, now: Moment) -> Vec<Transition> {
        let Some(device) = self.devices.get(&Place::Session(session.clone())) else {
            return Vec::new();
        };
        let heard: BTreeSet<&UserId> = match self.rules.contacts {
            Contacts::Tenant => self.users.keys().collect(),
            Contacts::Rooms => {
                let rooms = device.rooms.iter();
                rooms
                    .filter_map(|room| self.rooms.get(room))
                    .flatten()
                    .collect()
            }
        };
        let others = heard.into_iter().filter(|user| **user != device.user);
        let looks = |user: &UserId| {
            let entry = self.users.get(user).into_iter();
            let rooms = entry.flat_map(|entry| entry.rooms.keys());
            let shared = rooms.filter(|room| device.rooms.contains(*room)).cloned();
            let whats = [What::Online, What::Changed].into_iter();
            let whats = whats.chain(shared.map(What::Joined));
            let looks = whats.filter_map(|what| self.told(what, user, now));
            looks.collect::<Vec<_>>()
        };
        others.take(users_max).flat_map(looks).collect()
    }

    /// Figures.
    pub fn counts(&self) -> Counts {
        Counts {
            connected: self.connected,
            users: self.users.len(),
            rooms: self.rooms.len(),
        }
    }

    /// Whether there is nobody, and nothing left to store.
    pub fn is_idle(&self) -> bool {
        self.devices.is_empty() && self.unsaved.is_empty()
    }
}
