//! What is known of rooms without asking the store: what each is, and who can be named there.
//!
//! In come rooms as they were read ([`Directory::take`]) and whatever changes afterwards; a message is decided by what stands here, so that it
//! need not wait. People who come are collected here too, until somebody stores them ([`Directory::to_store`]). Bounded: rooms that nobody is in are
//! forgotten when there are too many names. Pure: no clock, no I/O.

mod names;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use self::names::Names;
use crate::command::Identity;
use crate::event::Person;
use crate::ids::{RoomKey, UserId};
use crate::ports::{Membership, RoomInfo, RoomPerson};

/// People that are known, each once for every room: about 50 MiB.
pub const PEOPLE_MAX: usize = 100_000;
/// People of whom it is known that the store has them as they are.
const STORED_MAX: usize = 65_536;
/// People who wait to be stored.
const WAITING_MAX: usize = 65_536;

/// What is known of one tenant's rooms.
#[derive(Debug, Default)]
pub struct Directory {
    rooms: HashMap<RoomKey, Room>,
    /// The rooms in which somebody is known, so that whoever comes costs no look at all others.
    rooms_of: HashMap<UserId, HashSet<RoomKey>>,
    /// With one more for each room.
    people: usize,
    /// Counts changes that somebody who reads a room meanwhile would miss, so that they read it again.
    changes: u64,
    waiting: HashMap<UserId, (Person, Vec<RoomKey>)>,
    /// What the store has of somebody, as a hash.
    stored: HashMap<UserId, u64>,
}

/// One room.
#[derive(Debug, Default)]
struct Room {
    info: Option<RoomInfo>,
    people: HashMap<UserId, RoomPerson>,
    names: Names,
    doubted: bool,
}

impl Directory {
    /// Whether a room is known, for all that anybody has heard.
    pub fn knows(&self, room: &RoomKey) -> bool {
        self.rooms.get(room).is_some_and(|known| !known.doubted)
    }

    /// Whether a room is known, and perhaps not as it is.
    pub fn doubts(&self, room: &RoomKey) -> bool {
        self.rooms.get(room).is_some_and(|known| known.doubted)
    }

    /// What somebody said that a known room is.
    pub fn info(&self, room: &RoomKey) -> Option<Option<&RoomInfo>> {
        self.rooms.get(room).map(|known| known.info.as_ref())
    }

    /// Whom a text names in a known room.
    pub fn named(&self, room: &RoomKey, text: &str) -> Option<Vec<UserId>> {
        self.rooms.get(room).map(|known| known.names.find(text))
    }

    /// How often anything changed.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes a room as it was read. Rooms for which `in_use` says no make place for it.
    pub fn take(
        &mut self,
        room: &RoomKey,
        info: Option<RoomInfo>,
        people: Vec<RoomPerson>,
        in_use: impl Fn(&RoomKey) -> bool,
    ) {
        self.remove(room);
        if self.people + people.len() >= PEOPLE_MAX {
            let unused = self.rooms.keys().filter(|room| !in_use(room));
            for room in unused.cloned().collect::<Vec<_>>() {
                self.remove(&room);
            }
        }
        let mut known = Room {
            info,
            ..Room::default()
        };
        for person in people {
            known.set(person);
        }
        // Who came a moment ago is not in the store yet.
        for (person, claims) in self.waiting.values() {
            known.meet(person, claims.binary_search(room).is_ok());
        }
        self.people += known.weight();
        for user in known.people.keys() {
            let rooms = self.rooms_of.entry(user.clone()).or_default();
            rooms.insert(room.clone());
        }
        self.rooms.insert(room.clone(), known);
    }

    /// What is known of a room is perhaps not so, and to be read again. Until then it is what there is: whoever must not wait takes it.
    pub fn doubt(&mut self, room: &RoomKey) {
        self.changes += 1;
        if let Some(known) = self.rooms.get_mut(room) {
            known.doubted = true;
        }
    }

    fn remove(&mut self, room: &RoomKey) {
        let Some(known) = self.rooms.remove(room) else {
            return;
        };
        self.people -= known.weight();
        for user in known.people.keys() {
            self.unlist(user, room);
        }
    }

    /// Somebody is not known in a room any more.
    fn unlist(&mut self, user: &UserId, room: &RoomKey) {
        if let Some(rooms) = self.rooms_of.get_mut(user) {
            rooms.remove(room);
            if rooms.is_empty() {
                self.rooms_of.remove(user);
            }
        }
    }

    /// Somebody has said what a room is.
    pub fn say(&mut self, info: RoomInfo) {
        self.changes += 1;
        if let Some(known) = self.rooms.get_mut(&info.room) {
            known.info = Some(info);
        }
    }

    /// A membership changed. `person` is who the store knows them as.
    pub fn set_member(&mut self, room: &RoomKey, person: Person, membership: Membership) {
        self.changes += 1;
        let Some(known) = self.rooms.get_mut(room) else {
            return;
        };
        let before = known.weight();
        let found = known.people.get(&person.id);
        let person = match found {
            Some(found) => RoomPerson {
                membership,
                ..found.clone()
            },
            None => RoomPerson {
                person: match self.waiting.get(&person.id) {
                    Some((newer, _)) => newer.clone(),
                    None => person,
                },
                membership,
                claims: false,
            },
        };
        let rooms = self.rooms_of.entry(person.person.id.clone()).or_default();
        rooms.insert(room.clone());
        known.set(person);
        self.people += known.weight() - before;
    }

    /// Somebody comes, with what the token says.
    pub fn meet(&mut self, identity: &Identity) {
        let (person, claims) = (&identity.person, &identity.claimed_rooms);
        if self.stored.get(&person.id) == Some(&digest(person, claims)) {
            return;
        }
        let mut rooms = self.rooms_of.remove(&person.id).unwrap_or_default();
        rooms.extend(claims.iter().cloned());
        rooms.retain(|room| {
            let Some(known) = self.rooms.get_mut(room) else {
                return false;
            };
            let before = known.weight();
            known.meet(person, claims.binary_search(room).is_ok());
            self.people += known.weight();
            self.people -= before;
            known.people.contains_key(&person.id)
        });
        if !rooms.is_empty() {
            self.rooms_of.insert(person.id.clone(), rooms);
        }
        if self.waiting.len() < WAITING_MAX || self.waiting.contains_key(&person.id) {
            let waits = (person.clone(), claims.clone());
            self.waiting.insert(person.id.clone(), waits);
        }
    }

    /// Forgets somebody for good.
    pub fn erase(&mut self, user: &UserId) {
        self.changes += 1;
        self.waiting.remove(user);
        self.stored.remove(user);
        for room in self.rooms_of.remove(user).unwrap_or_default() {
            if let Some(known) = self.rooms.get_mut(&room)
                && let Some(gone) = known.people.remove(user)
            {
                known.names.remove(&gone.person);
                self.people -= 1;
            }
        }
    }

    /// People that wait to be stored, at most so many.
    pub fn to_store(&self, people_max: usize) -> Vec<(Person, Vec<RoomKey>)> {
        self.waiting.values().take(people_max).cloned().collect()
    }

    /// These were stored. Who came again meanwhile with something else waits on.
    pub fn stored(&mut self, people: &[(Person, Vec<RoomKey>)]) {
        // Whoever read a room before that has not seen them, and will not find them waiting.
        self.changes += 1;
        if self.stored.len() + people.len() > STORED_MAX {
            self.stored.clear();
        }
        for (person, claims) in people {
            let digest = digest(person, claims);
            let waits = self.waiting.get(&person.id);
            if waits.is_some_and(|(person, claims)| self::digest(person, claims) == digest) {
                self.waiting.remove(&person.id);
                self.stored.insert(person.id.clone(), digest);
            }
        }
    }

    /// Whether nobody waits to be stored.
    pub fn is_stored(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Room {
    /// A room that nobody is known of takes place too.
    fn weight(&self) -> usize {
        1 + self.people.len()
    }

    /// Who was removed is known, but nobody names them.
    fn set(&mut self, person: RoomPerson) {
        if let Some(before) = self.people.get(&person.person.id) {
            self.names.remove(&before.person);
        }
        let can_be_named = match person.membership {
            Membership::Member => true,
            Membership::Removed => false,
            Membership::Unknown => person.claims,
        };
        if can_be_named {
            self.names.insert(&person.person);
        }
        self.people.insert(person.person.id.clone(), person);
    }

    /// Somebody came, whose token claims the room or not.
    fn meet(&mut self, person: &Person, claims: bool) {
        let known = self.people.get(&person.id);
        let membership = known.map_or(Membership::Unknown, |known| known.membership);
        if known.is_some() || claims {
            self.set(RoomPerson {
                person: person.clone(),
                membership,
                claims,
            });
        }
        if membership == Membership::Unknown && !claims {
            self.people.remove(&person.id);
        }
    }
}

fn digest(person: &Person, claims: &[RoomKey]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let Person { id, name, role } = person;
    let role: &Option<Arc<str>> = role;
    (id, name, role, claims).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, name: &str) -> Person {
        Person {
            id: UserId::text(id),
            name: name.into(),
            role: None,
        }
    }

    fn room(id: &str) -> RoomKey {
        RoomKey::new("room", id)
    }

    fn identity(id: &str, name: &str, rooms: &[&str]) -> Identity {
        Identity {
            person: person(id, name),
            claimed_rooms: rooms.iter().map(|id| room(id)).collect(),
            expires_at: None,
            issued_at: None,
            token_id: None,
        }
    }

    #[test]
    fn whoever_comes_costs_no_look_at_rooms_of_others() {
        let mut directory = Directory::default();
        let listed = |directory: &Directory| {
            let mut of_rooms: Vec<(UserId, RoomKey)> = Vec::new();
            for (room, known) in &directory.rooms {
                of_rooms.extend(known.people.keys().map(|user| (user.clone(), room.clone())));
            }
            of_rooms.sort();
            let of_users = directory.rooms_of.iter();
            let of_users =
                of_users.flat_map(|(user, rooms)| rooms.iter().map(move |room| (user, room)));
            let mut of_users: Vec<_> = of_users
                .map(|(user, room)| (user.clone(), room.clone()))
                .collect();
            of_users.sort();
            assert_eq!(
                of_users, of_rooms,
                "the list holds who is known where, and nothing else"
            );
            of_rooms.len()
        };
        let take = |directory: &mut Directory, place: &str| {
            directory.take(&room(place), None, Vec::new(), |_| true);
        };
        (0..100).for_each(|number| take(&mut directory, &number.to_string()));
        directory.meet(&identity("ann", "Ann", &["1", "2", "unknown"]));
        assert_eq!(listed(&directory), 2);
        directory.set_member(&room("3"), person("ann", "Ann"), Membership::Member);
        directory.set_member(&room("3"), person("bob", "Bob"), Membership::Member);
        assert_eq!(listed(&directory), 4);
        directory.meet(&identity("ann", "Ann", &["1"]));
        assert_eq!(
            listed(&directory),
            3,
            "the token named room 2 before; she is a member of 3"
        );
        take(&mut directory, "unknown");
        directory.meet(&identity("ann", "Ann", &["unknown"]));
        assert_eq!(listed(&directory), 3);
        directory.remove(&room("unknown"));
        assert_eq!(listed(&directory), 2);
        directory.erase(&UserId::text("ann"));
        assert_eq!(listed(&directory), 1);
        take(&mut directory, "3");
        assert_eq!(listed(&directory), 0);
        assert!(directory.rooms_of.is_empty());
    }

    fn named(directory: &Directory, place: &str, text: &str) -> Vec<String> {
        let named = directory.named(&room(place), text).unwrap().into_iter();
        named.map(|user| user.to_string()).collect()
    }

    #[test]
    fn whoever_comes_can_be_named_in_the_rooms_of_the_token_until_it_says_otherwise() {
        let mut directory = Directory::default();
        directory.take(&room("a"), None, Vec::new(), |_| true);
        directory.meet(&identity("ann", "Ann", &["a", "b"]));
        directory.take(&room("b"), None, Vec::new(), |_| true);
        assert_eq!(named(&directory, "a", "@Ann"), ["ann"]);
        assert_eq!(named(&directory, "b", "@ann"), ["ann"]);
        directory.meet(&identity("ann", "Anna", &["b"]));
        assert_eq!(named(&directory, "a", "@ann @Anna"), [""; 0]);
        assert_eq!(named(&directory, "b", "@Ann"), [""; 0]);
        assert_eq!(named(&directory, "b", "@Anna"), ["ann"]);
    }

    #[test]
    fn a_removal_outranks_the_claim_until_the_member_is_added_again() {
        let mut directory = Directory::default();
        directory.take(&room("a"), None, Vec::new(), |_| true);
        directory.meet(&identity("ann", "Ann", &["a"]));
        let ann = || person("ann", "Ann");
        directory.set_member(&room("a"), ann(), Membership::Removed);
        directory.meet(&identity("ann", "Ann B", &["a"]));
        assert_eq!(named(&directory, "a", "@ann @Ann B"), [""; 0]);
        directory.set_member(&room("a"), ann(), Membership::Member);
        assert_eq!(named(&directory, "a", "@Ann B"), ["ann"]);
    }

    #[test]
    fn a_member_without_a_claim_has_the_name_with_which_they_came_last() {
        let mut directory = Directory::default();
        directory.take(&room("a"), None, Vec::new(), |_| true);
        directory.meet(&identity("ann", "Ann Lee", &[]));
        directory.set_member(&room("a"), person("ann", "ann"), Membership::Member);
        assert_eq!(named(&directory, "a", "@Ann Lee"), ["ann"]);
        directory.meet(&identity("ann", "Anna", &[]));
        assert_eq!(named(&directory, "a", "@Anna @Ann Lee"), ["ann"]);
        let member = RoomPerson {
            person: person("ann", "ann"),
            membership: Membership::Member,
            claims: false,
        };
        directory.take(&room("b"), None, vec![member], |_| true);
        assert_eq!(named(&directory, "b", "@Anna"), ["ann"]);
    }

    #[test]
    fn somebody_waits_until_stored_and_is_not_stored_twice() {
        let mut directory = Directory::default();
        let ann = identity("ann", "Ann", &["a"]);
        directory.meet(&ann);
        let batch = directory.to_store(10);
        directory.meet(&identity("ann", "Anna", &["a"]));
        directory.stored(&batch);
        assert!(!directory.is_stored(), "she came again under another name");
        directory.stored(&directory.to_store(10));
        assert!(directory.is_stored());
        directory.meet(&identity("ann", "Anna", &["a"]));
        assert!(directory.is_stored());
    }

    #[test]
    fn somebody_who_was_erased_is_neither_named_nor_stored() {
        let mut directory = Directory::default();
        directory.take(&room("a"), None, Vec::new(), |_| true);
        directory.meet(&identity("ann", "Ann", &["a"]));
        directory.erase(&UserId::text("ann"));
        assert_eq!(named(&directory, "a", "@Ann @ann"), [""; 0]);
        assert!(directory.is_stored());
        assert_eq!(directory.people, 1, "the room itself");
    }

    #[test]
    fn rooms_that_nobody_is_in_make_place_for_others() {
        let mut directory = Directory::default();
        let crowd = |of: &str| {
            let one = |number| RoomPerson {
                person: person(&format!("{of}{number}"), of),
                membership: Membership::Member,
                claims: false,
            };
            (0..PEOPLE_MAX / 2).map(one).collect::<Vec<_>>()
        };
        directory.take(&room("a"), None, crowd("a"), |_| true);
        directory.take(&room("b"), None, crowd("b"), |_| true);
        directory.take(&room("c"), None, crowd("c"), |used| *used == room("b"));
        assert!(!directory.knows(&room("a")));
        assert!(directory.knows(&room("b")) && directory.knows(&room("c")));
        assert_eq!(directory.people, PEOPLE_MAX + 2);
    }
}
