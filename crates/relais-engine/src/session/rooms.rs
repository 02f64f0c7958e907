//! A session's way into and out of the hub and its rooms.

use std::rc::Rc;

use super::{Place, Session};
use crate::hub::members::MemberId;
use crate::hub::scope::ScopeHub;
use crate::room::Room;
use crate::service::Service;

impl<S: Service> Session<S> {
    /// Becomes a member of the hub with these rooms, from the shard's position on.
    pub(crate) fn join_hub(self: &Rc<Self>, hub: &mut ScopeHub<Rc<Self>>, rooms: &[Room]) {
        let rooms_max = self.connection.shard.settings().rooms_max;
        let member = hub.members.insert(Room::from(&self.sid), Rc::clone(self));
        for room in rooms {
            if !hub.join(member, room, rooms_max) {
                tracing::warn!(
                    rooms = rooms.len(),
                    rooms_max,
                    "a session has more rooms than it may; the rest is left out"
                );
                break;
            }
        }
        self.place.set(Place::Member(member));
    }

    pub(crate) fn join(&self, room: &Room) -> bool {
        let shard = &self.connection.shard;
        let rooms_max = shard.settings().rooms_max;
        match self.place.get() {
            Place::Out => false,
            Place::Member(member) => shard
                .hub
                .borrow_mut()
                .get_mut(&self.scope)
                .is_some_and(|hub| hub.join(member, room, rooms_max)),
            Place::Replaying => {
                let applied = shard.applied(self.scope);
                self.replay
                    .borrow_mut()
                    .as_mut()
                    .is_some_and(|replay| replay.enter(room, applied, rooms_max))
            }
        }
    }

    pub(crate) fn leave(&self, room: &Room, until: Option<u64>) {
        let shard = &self.connection.shard;
        match self.place.get() {
            Place::Out => {}
            Place::Member(member) => {
                if let Some(hub) = shard.hub.borrow_mut().get_mut(&self.scope) {
                    hub.leave(member, room, until);
                }
            }
            Place::Replaying => {
                if let Some(replay) = &mut *self.replay.borrow_mut() {
                    replay.leave(room, until);
                }
            }
        }
    }

    /// Whether it replays now, and will be in one of the rooms.
    pub(crate) fn replays_into(&self, rooms: &[Room]) -> bool {
        self.replay.borrow().as_ref().is_some_and(|replay| {
            let own = self.sid.as_str().as_bytes();
            let open = replay.open_rooms();
            rooms
                .iter()
                .any(|room| room.as_bytes() == own || open.contains(room))
        })
    }

    /// Enters a room of a hub that is at hand already.
    pub(crate) fn join_room_in(
        &self,
        hub: &mut ScopeHub<Rc<Self>>,
        member: MemberId,
        room: &Room,
    ) -> bool {
        let rooms_max = self.connection.shard.settings().rooms_max;
        hub.join(member, room, rooms_max)
    }

    /// Leaves the hub, and the scope on this shard if it was the last.
    pub(super) fn leave_hub(self: &Rc<Self>) {
        let place = self.place.replace(Place::Out);
        self.replay.take();
        let mut scopes = self.connection.shard.hub.borrow_mut();
        let Some(hub) = scopes.get_mut(&self.scope) else {
            return;
        };
        match place {
            Place::Member(member) => hub.remove(member),
            Place::Replaying => hub.forget_joiner(|joiner| Rc::ptr_eq(joiner, self)),
            Place::Out => {}
        }
        if hub.is_idle() {
            scopes.remove(&self.scope);
        }
    }
}
