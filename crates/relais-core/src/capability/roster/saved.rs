//! Presence across a restart: what is to be stored, and how it is taken up again.
//!
//! Storing is lazy: changes wait here, one for each user, until they are stored. Nobody waits for that, so the last
//! moments before a crash may be missing; the grace after the restart then sorts out who is here.

use std::collections::BTreeSet;

use super::Roster;
use super::device::{Device, Place, State, User};
use crate::event::{OFFLINE, Shown, Transition, What};
use crate::ids::{AudienceKey, Moment, Monotonic, RoomKey, UserId};
use crate::ports::StoredPresence;

/// Users whose presence waits to be stored. Beyond that a change is not stored: after a restart that user is where the
/// store last saw them, until the grace ends it.
const UNSAVED_MAX: usize = 100_000;

impl Roster {
    /// Takes up what was stored before this process. Whoever was online is in grace now; whoever went shortly before
    /// is told to sessions that come back. `started` is when the process began: the grace runs from there.
    pub fn restore(&mut self, stored: Vec<StoredPresence>, started: Monotonic, now: Moment) {
        let until = started.plus(self.rules.restored_grace_ms);
        for presence in stored {
            let user = presence.person.id.clone();
            if !presence.online {
                self.restore_offline(presence, now);
            } else if !self.users.contains_key(&user) {
                self.restore_online(presence, until);
            }
        }
    }

    fn restore_online(&mut self, presence: StoredPresence, until: Monotonic) {
        let user = presence.person.id.clone();
        let place = Place::Restored(user.clone());
        let rooms: BTreeSet<_> = presence.rooms.into_iter().collect();
        for room in &rooms {
            let inside = self.rooms.entry(room.clone()).or_default();
            inside.insert(user.clone());
        }
        let entry = User {
            person: presence.person,
            places: vec![place.clone()],
            rooms: rooms.iter().map(|room| (room.clone(), 1)).collect(),
            status: presence.status.clone(),
            custom_status: presence.custom_status.clone(),
            last_seen: presence.last_seen,
            announced: true,
            owed: BTreeSet::new(),
        };
        let device = Device {
            user: user.clone(),
            generation: 0,
            state: State::Grace { until },
            lost_at: Monotonic::default(),
            rooms,
            has_chosen: presence.status != self.first_status(),
            status: presence.status,
            custom_status: presence.custom_status,
            set_at: Monotonic::default(),
        };
        self.deadlines.insert((until, place.clone()));
        self.devices.insert(place, device);
        self.users.insert(user, entry);
    }

    fn restore_offline(&mut self, presence: StoredPresence, now: Moment) {
        let contacts = match self.rules.contacts {
            super::Contacts::Tenant => vec![AudienceKey::Tenant],
            super::Contacts::Rooms => {
                let rooms = presence.rooms.iter().cloned();
                rooms.map(AudienceKey::Room).collect()
            }
        };
        let shown = Shown {
            person: presence.person,
            online: false,
            connected: false,
            status: OFFLINE.into(),
            custom_status: None,
            last_seen: presence.last_seen,
        };
        let at = Moment {
            wall: presence.last_seen,
            monotonic: now.monotonic,
        };
        let left = presence.rooms.into_iter().map(|room| {
            let to = vec![AudienceKey::Room(room.clone())];
            (What::Left(room), to)
        });
        let reach = [What::Offline, What::Changed].map(|what| (what, contacts.clone()));
        let told: Vec<_> = left
            .chain(reach)
            .filter(|(_, to)| !to.is_empty())
            .map(|(what, to)| Transition {
                what,
                shown: shown.clone(),
                to,
                at,
            })
            .collect();
        self.past.record(&told);
    }

    /// Notes that the presence of a user who is here is to be stored.
    pub(super) fn remember(&mut self, user: &UserId) {
        let Some(entry) = self.users.get(user) else {
            return;
        };
        let presence = StoredPresence {
            person: entry.person.clone(),
            online: true,
            status: entry.status.clone(),
            custom_status: entry.custom_status.clone(),
            rooms: entry.rooms.keys().cloned().collect(),
            last_seen: entry.last_seen,
        };
        self.note(presence);
    }

    /// Notes that a user went; `rooms` are those that the user was in until then.
    pub(super) fn remember_gone(&mut self, shown: &Shown, rooms: Vec<RoomKey>) {
        self.note(StoredPresence {
            person: shown.person.clone(),
            online: false,
            status: shown.status.clone(),
            custom_status: None,
            rooms,
            last_seen: shown.last_seen,
        });
    }

    fn note(&mut self, presence: StoredPresence) {
        let user = presence.person.id.clone();
        if self.unsaved.len() < UNSAVED_MAX || self.unsaved.contains_key(&user) {
            self.unsaved.insert(user, presence);
        }
    }

    /// What is not stored yet about a user.
    pub fn unsaved(&self, user: &UserId) -> Option<StoredPresence> {
        self.unsaved.get(user).cloned()
    }

    /// What is to be stored, at most `max` users. It waits on until [`Roster::saved`] says that it is stored: nobody asks in vain
    /// meanwhile, and what could not be stored need not be put back.
    pub fn all_unsaved(&self, max: usize) -> Vec<StoredPresence> {
        self.unsaved.values().take(max).cloned().collect()
    }

    /// These are stored; who has changed since then waits on.
    pub fn saved(&mut self, presences: &[StoredPresence]) {
        for presence in presences {
            let user = &presence.person.id;
            if self.unsaved.get(user) == Some(presence) {
                self.unsaved.remove(user);
            }
        }
    }
}
