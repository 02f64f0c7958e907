//! Who is in which room of a scope, on one shard.
//!
//! Members and rooms are numbered, so that a fan-out walks a vector of numbers and leaving costs no search through a room.
//! Generic over the member, because it knows nothing of sessions.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::census::Attendance;
use crate::room::Room;

/// Members that are looked at before the first of them is given something: enough for the processor to have several fetches under
/// way, and few enough that the first is not pushed out again.
const AHEAD: usize = 16;

/// Number of a member in its scope; reused after it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemberId(u32);

/// The members and rooms of one scope.
pub(crate) struct Members<M> {
    slots: Vec<Option<Slot<M>>>,
    free_slots: Vec<u32>,
    rooms: Vec<RoomSlot>,
    free_rooms: Vec<u32>,
    names: HashMap<Room, u32>,
    /// Everyone is also alone in the room called like its session.
    own: HashMap<Room, u32>,
    /// Whoever carries the current mark has been dealt with in this fan-out.
    mark: u32,
    attendance: Attendance,
}

impl<M> Drop for Members<M> {
    fn drop(&mut self) {
        self.names
            .keys()
            .for_each(|room| self.attendance.close(room));
    }
}

struct Slot<M> {
    member: M,
    own: Room,
    mark: u32,
    /// (room, place in that room's list).
    stays: SmallVec<[(u32, u32); 4]>,
}

struct RoomSlot {
    name: Room,
    members: Vec<u32>,
}

impl<M> Members<M> {
    pub(crate) fn new(attendance: Attendance) -> Self {
        Self {
            attendance,
            slots: Vec::new(),
            free_slots: Vec::new(),
            rooms: Vec::new(),
            free_rooms: Vec::new(),
            names: HashMap::new(),
            own: HashMap::new(),
            mark: 0,
        }
    }

    pub(crate) fn insert(&mut self, own: Room, member: M) -> MemberId {
        let slot = Slot {
            member,
            own: own.clone(),
            mark: 0,
            stays: SmallVec::new(),
        };
        let id = match self.free_slots.pop() {
            Some(id) => {
                self.slots[id as usize] = Some(slot);
                id
            }
            None => {
                self.slots.push(Some(slot));
                index(self.slots.len() - 1)
            }
        };
        self.own.insert(own, id);
        MemberId(id)
    }

    pub(crate) fn remove(&mut self, id: MemberId) -> Option<M> {
        let slot = self.slots.get_mut(id.0 as usize)?.take()?;
        for (room, place) in &slot.stays {
            self.take_out(*room, *place);
        }
        // A successor of the same session may already have taken the name.
        if self.own.get(slot.own.as_bytes()) == Some(&id.0) {
            self.own.remove(slot.own.as_bytes());
        }
        self.free_slots.push(id.0);
        Some(slot.member)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free_slots.len() == self.slots.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free_slots.len()
    }

    /// Enters a room; to be in it already is fine. False when `rooms_max` are taken.
    pub(crate) fn join(&mut self, id: MemberId, room: &Room, rooms_max: usize) -> bool {
        let Some(slot) = self.slots.get(id.0 as usize).and_then(Option::as_ref) else {
            return false;
        };
        if let Some(known) = self.names.get(room.as_bytes())
            && slot.stays.iter().any(|(stay, _)| stay == known)
        {
            return true;
        }
        if slot.stays.len() >= rooms_max {
            return false;
        }
        let number = self.number(room);
        let members = &mut self.rooms[number as usize].members;
        members.push(id.0);
        let place = index(members.len() - 1);
        if let Some(slot) = &mut self.slots[id.0 as usize] {
            slot.stays.push((number, place));
        }
        true
    }

    pub(crate) fn leave(&mut self, id: MemberId, room: &Room) {
        let Some(number) = self.names.get(room.as_bytes()).copied() else {
            return;
        };
        let Some(slot) = self.slots.get_mut(id.0 as usize).and_then(Option::as_mut) else {
            return;
        };
        let Some(at) = slot.stays.iter().position(|(stay, _)| *stay == number) else {
            return;
        };
        let (_, place) = slot.stays.swap_remove(at);
        self.take_out(number, place);
    }

    /// Calls `each` once for every member of any of `to` that is in none of `except`. In a single room, `ahead` is called for some
    /// members in a row before `each` is: what it reads of them the processor then fetches at once instead of one after the other.
    pub(crate) fn visit(
        &mut self,
        to: &[Room],
        except: &[Room],
        ahead: impl Fn(&M),
        mut each: impl FnMut(&M),
    ) {
        if let ([room], []) = (to, except) {
            return self.visit_one(room, ahead, each);
        }
        self.mark = self.mark.wrapping_add(1);
        let mark = self.mark;
        for room in except {
            self.mark_room(room, mark, &mut |_| {});
        }
        for room in to {
            self.mark_room(room, mark, &mut each);
        }
    }

    /// The rooms of a member, its own included.
    pub(crate) fn rooms_of(&self, id: MemberId) -> Vec<Room> {
        let slot = self.slots.get(id.0 as usize).and_then(Option::as_ref);
        let Some(slot) = slot else {
            return Vec::new();
        };
        let stays = slot.stays.iter();
        let rooms = stays.map(|(room, _)| self.rooms[*room as usize].name.clone());
        rooms.chain([slot.own.clone()]).collect()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &M> {
        self.slots.iter().flatten().map(|slot| &slot.member)
    }

    /// No marks are needed where a member can be met only once.
    fn visit_one(&self, room: &Room, ahead: impl Fn(&M), mut each: impl FnMut(&M)) {
        let member = |id: &u32| self.slots[*id as usize].as_ref().map(|slot| &slot.member);
        for ids in self.ids(room).chunks(AHEAD) {
            ids.iter().filter_map(member).for_each(&ahead);
            ids.iter().filter_map(member).for_each(&mut each);
        }
    }

    fn ids(&self, room: &Room) -> &[u32] {
        if let Some(number) = self.names.get(room.as_bytes()) {
            return &self.rooms[*number as usize].members;
        }
        self.own
            .get(room.as_bytes())
            .map_or(&[][..], std::slice::from_ref)
    }

    fn mark_room(&mut self, room: &Room, mark: u32, each: &mut impl FnMut(&M)) {
        let ids = match self.names.get(room.as_bytes()) {
            Some(number) => self.rooms[*number as usize].members.as_slice(),
            None => self
                .own
                .get(room.as_bytes())
                .map_or(&[][..], std::slice::from_ref),
        };
        for id in ids {
            if let Some(slot) = &mut self.slots[*id as usize]
                && slot.mark != mark
            {
                slot.mark = mark;
                each(&slot.member);
            }
        }
    }

    fn number(&mut self, room: &Room) -> u32 {
        if let Some(number) = self.names.get(room.as_bytes()) {
            return *number;
        }
        let slot = RoomSlot {
            name: room.clone(),
            members: Vec::new(),
        };
        let number = match self.free_rooms.pop() {
            Some(number) => {
                self.rooms[number as usize] = slot;
                number
            }
            None => {
                self.rooms.push(slot);
                index(self.rooms.len() - 1)
            }
        };
        self.attendance.open(room);
        self.names.insert(room.clone(), number);
        number
    }

    /// Removes one place of a room's list; whoever stood last moves into it. An empty room is forgotten.
    fn take_out(&mut self, number: u32, place: u32) {
        let room = &mut self.rooms[number as usize];
        room.members.swap_remove(place as usize);
        if let Some(moved) = room.members.get(place as usize).copied() {
            let old = index(room.members.len());
            let stays = self.slots[moved as usize].as_mut().map(|s| &mut s.stays);
            for stay in stays.into_iter().flatten() {
                if *stay == (number, old) {
                    stay.1 = place;
                }
            }
        } else if room.members.is_empty() {
            room.members = Vec::new();
            self.names.remove(room.name.as_bytes());
            self.attendance.close(&room.name);
            self.free_rooms.push(number);
        }
    }
}

/// Members and rooms are bounded by the engine's connections, far under 2^32.
fn index(at: usize) -> u32 {
    u32::try_from(at).expect("members and rooms of a shard are fewer than 2^32")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hub::census::{Census, Spot};
    use crate::room::Scope;

    fn empty() -> Members<char> {
        Members::new(Attendance::begin(&Arc::default(), Scope(0)))
    }

    #[test]
    fn others_see_which_rooms_have_members() {
        let census = Arc::<Census>::default();
        let sees = |name: &str| census.has_room(Spot::of(Scope(7), &room(name)));
        let mut members = Members::new(Attendance::begin(&census, Scope(7)));
        assert!(census.has_scope(Scope(7)) && !census.has_scope(Scope(8)) && !sees("x"));
        let a = members.insert(room("sid-a"), 'a');
        let b = members.insert(room("sid-b"), 'b');
        for id in [a, b] {
            members.join(id, &room("x"), 8);
            members.join(id, &room("x"), 8);
        }
        members.join(a, &room("y"), 8);
        members.leave(a, &room("x"));
        assert!(sees("x") && sees("y") && !sees("sid-a"));
        members.remove(b);
        assert!(!sees("x"));
        drop(members);
        assert!(!sees("y") && !census.has_scope(Scope(7)));
    }

    fn room(name: &str) -> Room {
        Room::from(name)
    }

    fn heard(members: &mut Members<char>, to: &[&str], except: &[&str]) -> String {
        let to: Vec<_> = to.iter().map(|name| room(name)).collect();
        let except: Vec<_> = except.iter().map(|name| room(name)).collect();
        let mut heard = Vec::new();
        members.visit(&to, &except, |_| {}, |member| heard.push(*member));
        heard.sort_unstable();
        heard.into_iter().collect()
    }

    #[test]
    fn a_member_of_two_rooms_hears_an_event_for_both_once() {
        let mut members = empty();
        let a = members.insert(room("sid-a"), 'a');
        let b = members.insert(room("sid-b"), 'b');
        members.join(a, &room("x"), 8);
        members.join(a, &room("y"), 8);
        members.join(b, &room("y"), 8);
        assert_eq!(heard(&mut members, &["x", "y"], &[]), "ab");
        assert_eq!(heard(&mut members, &["y"], &["x"]), "b");
        assert_eq!(heard(&mut members, &["x", "y", "sid-b"], &["sid-a"]), "b");
        assert_eq!(heard(&mut members, &["sid-a"], &[]), "a");
    }

    #[test]
    fn leaving_in_any_order_keeps_everyone_elses_place() {
        let mut members = empty();
        let ids: Vec<_> = "abcdef"
            .chars()
            .map(|name| {
                let id = members.insert(room(&format!("sid-{name}")), name);
                members.join(id, &room("x"), 8);
                members.join(id, &room("y"), 8);
                id
            })
            .collect();
        members.leave(ids[1], &room("x"));
        members.remove(ids[0]);
        members.leave(ids[5], &room("x"));
        assert_eq!(heard(&mut members, &["x"], &[]), "cde");
        assert_eq!(heard(&mut members, &["y"], &[]), "bcdef");
        let again = members.insert(room("sid-g"), 'g');
        members.join(again, &room("x"), 8);
        assert_eq!(heard(&mut members, &["x"], &[]), "cdeg");
        for id in [ids[1], ids[2], ids[3], ids[4], ids[5], again] {
            members.remove(id);
        }
        assert!(members.is_empty());
        assert!(members.names.is_empty() && members.own.is_empty());
    }

    #[test]
    fn a_session_is_in_a_bounded_number_of_rooms() {
        let mut members = empty();
        let id = members.insert(room("sid"), 'a');
        assert!(members.join(id, &room("1"), 2));
        assert!(members.join(id, &room("2"), 2));
        assert!(!members.join(id, &room("3"), 2));
        assert!(members.join(id, &room("1"), 2));
    }
}
