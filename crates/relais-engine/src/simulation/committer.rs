//! Who writes the log and publishes, as unreliably as the weather says; and what else the outside may do to an engine.

use std::sync::Arc;

use super::chance::Chance;
use super::checks::SimulatedShard;
use super::house::House;
use super::schedule::{Character, SCOPES};
use super::service::{SimulatedService, room, user_room};
use super::truth::Stay;
use super::world::Shared;
use crate::close::CloseCode;
use crate::delivery::{Delivery, OutEvent};
use crate::handle::EngineHandle;
use crate::room::{Room, Scope, Sid};

/// Rooms that clients join.
pub(crate) const ROOMS: usize = 4;

/// Writes and publishes.
pub(crate) struct Committer {
    world: Shared,
    engine: EngineHandle,
    service: Arc<SimulatedService>,
    /// Publications that are late.
    late: Vec<Arc<Delivery>>,
}

impl Committer {
    pub(crate) fn new(house: &House) -> Self {
        Self {
            world: house.world.clone(),
            engine: house.engine.clone(),
            service: Arc::clone(&house.service),
            late: Vec::new(),
        }
    }

    pub(crate) fn act(&mut self, character: Character, chance: &mut Chance) {
        let scope = u32::try_from(chance.below(SCOPES as usize)).unwrap_or(0);
        match chance.below(100) {
            0..60 => {
                let records = 1 + chance.below(6);
                self.commit(scope, records, character, chance);
            }
            60..66 => {
                let records = *chance.pick(&[20, 60, 150]);
                self.commit(scope, records, character, chance);
            }
            66..80 => {
                let event = self
                    .service
                    .volatile(Scope(scope), chance.below(ROOMS) as u64);
                let delivery = Delivery::volatile(Scope(scope), Arc::new(event));
                self.engine.publish(Arc::new(delivery));
            }
            80..92 => self.publish_late(chance),
            92..97 => self.trim(scope, character, chance),
            _ if chance.percent(40) => self.renew(scope),
            _ => {}
        }
    }

    fn commit(&mut self, scope: u32, records: usize, character: Character, chance: &mut Chance) {
        for _ in 0..records {
            let delivery = {
                let mut world = self.world.lock();
                let world = &mut *world;
                let head = world.books[scope as usize].head();
                let count = 1 + usize::from(chance.percent(25)) + usize::from(chance.percent(10));
                let sids: Vec<&String> = world.open.keys().collect();
                let events = (0..count).map(|index| {
                    let place = (scope, head.epoch, head.position + 1, index);
                    event(place, &sids, character, chance)
                });
                let events = events.collect();
                let delivery = world.books[scope as usize].commit(events);
                world.note(|| format!("commits {scope}: {:?}", delivery.position()));
                delivery
            };
            self.publish(delivery, chance);
        }
    }

    fn publish(&mut self, delivery: Arc<Delivery>, chance: &mut Chance) {
        let weather = self.world.lock().weather;
        if chance.percent(weather.publications_late_percent) {
            self.late.push(Arc::clone(&delivery));
            // Half of the late ones are doubled, the others only late.
            if chance.percent(50) {
                return;
            }
        }
        if !chance.percent(weather.publications_lost_percent) {
            self.engine.publish(delivery);
        }
    }

    fn publish_late(&mut self, chance: &mut Chance) {
        for _ in 0..1 + chance.below(4) {
            if self.late.is_empty() {
                return;
            }
            let at = chance.below(self.late.len());
            self.engine.publish(self.late.swap_remove(at));
        }
    }

    /// Everything that is late comes now.
    pub(crate) fn release(&mut self) {
        for delivery in self.late.drain(..) {
            self.engine.publish(delivery);
        }
    }

    fn trim(&self, scope: u32, character: Character, chance: &mut Chance) {
        if character != Character::Lossy && !chance.percent(20) {
            return;
        }
        let mut world = self.world.lock();
        let head = world.books[scope as usize].head().position;
        let position = head.saturating_sub(chance.below(40) as u64);
        world.note(|| format!("trims {scope} up to {position}"));
        world.books[scope as usize].trim(position);
    }

    fn renew(&mut self, scope: u32) {
        let mut world = self.world.lock();
        world.note(|| format!("scope {scope} begins a new epoch"));
        world.books[scope as usize].renew();
    }

    /// Scope 0 begins a new epoch and is written to at once.
    pub(crate) fn renew_and_fill(&mut self, records: usize, chance: &mut Chance) {
        self.renew(0);
        self.commit(0, records, Character::Flaky, chance);
    }

    /// One more record for each scope, that reaches everyone.
    pub(crate) fn commit_one_for_everyone(&mut self) {
        for scope in 0..SCOPES {
            let mut world = self.world.lock();
            let head = world.books[scope as usize].head();
            let args = format!("{scope},{},{},0", head.epoch, head.position + 1);
            let event = OutEvent::to_room(Room::from("all"), "m", args);
            let delivery = world.books[scope as usize].commit(vec![event]);
            drop(world);
            self.engine.publish(delivery);
        }
    }

    /// The application's other threads.
    pub(crate) fn meddle(&mut self, chance: &mut Chance, shards: &[SimulatedShard]) {
        let sids: Vec<String> = self.world.lock().open.keys().cloned().collect();
        if sids.is_empty() {
            return;
        }
        let sid = chance.pick(&sids).clone();
        let number = chance.below(ROOMS) as u64;
        match chance.below(10) {
            0..4 => self.enter(sid, number, shards),
            4..8 => self.leave(sid, number),
            8 => self.close(&sid),
            _ => {
                let (engine, scope) = (self.engine.clone(), self.scope_of(&sid));
                tokio::task::spawn_local(async move {
                    engine.count(scope, &[room(number)]).await;
                    engine.members(scope, &room(number)).await;
                    engine.applied(scope).await;
                });
            }
        }
    }

    fn scope_of(&self, sid: &str) -> Scope {
        let world = self.world.lock();
        Scope(world.truths.get(sid).map_or(0, |truth| truth.scope))
    }

    fn enter(&self, sid: String, number: u64, shards: &[SimulatedShard]) {
        let scope = self.scope_of(&sid);
        let (engine, world) = (self.engine.clone(), self.world.clone());
        let applied = shards.iter().map(|shard| shard.applied(scope)).min();
        let before = stays_of(&world, &sid);
        tokio::task::spawn_local(async move {
            let entered = engine
                .enter(scope, &Sid::from(sid.as_str()), &room(number))
                .await;
            let is_same = stays_of(&world, &sid) == before;
            let mut world = world.lock();
            let head = world.books[scope.0 as usize].head().position;
            world.note(|| format!("{sid} is entered into r{number} at {head}: {entered}"));
            let world = &mut *world;
            if let Some(truth) = world.truths.get_mut(&sid)
                && entered
            {
                // A session of an older epoch counts in that one.
                let head = world.books[scope.0 as usize].end_of(truth.epoch);
                // Another connection of the session, or one that has left the room since, may or may not be in it.
                let from = if is_same { head } else { u64::MAX };
                truth.join(room(number), applied.unwrap_or(0), from);
            }
        });
    }

    fn leave(&self, sid: String, number: u64) {
        let scope = self.scope_of(&sid);
        let (engine, world) = (self.engine.clone(), self.world.clone());
        let until = world.lock().books[scope.0 as usize].head().position;
        tokio::task::spawn_local(async move {
            let who = Sid::from(sid.as_str());
            engine.leave(scope, &who, &room(number), Some(until)).await;
            let mut world = world.lock();
            world.note(|| format!("{sid} is taken out of r{number} after {until}"));
            if let Some(truth) = world.truths.get_mut(&sid) {
                // Who comes back meanwhile may still be in it: for certain nobody is any more.
                truth.leave(&room(number), until, u64::MAX);
            }
        });
    }

    fn close(&self, sid: &str) {
        let scope = self.scope_of(sid);
        let engine = self.engine.clone();
        let who = Room::from(sid);
        tokio::task::spawn_local(async move {
            engine
                .close_sessions(scope, &who, CloseCode::POLICY, "told to")
                .await;
        });
    }
}

/// On which link a session is, and what its stays are.
fn stays_of(world: &Shared, sid: &str) -> (Option<u64>, Vec<Stay>) {
    let world = world.lock();
    let stays = world.truths.get(sid).map(|truth| truth.stays.clone());
    (world.open.get(sid).copied(), stays.unwrap_or_default())
}

/// `["m",SCOPE,EPOCH,POSITION,INDEX,…]` for one or two rooms, sometimes without somebody.
fn event(
    place: (u32, u32, u64, usize),
    sids: &[&String],
    character: Character,
    chance: &mut Chance,
) -> OutEvent {
    let (scope, epoch, position, index) = place;
    let mut args = format!("{scope},{epoch},{position},{index}");
    let mut attachments = Vec::new();
    if chance.percent(10) {
        args.push_str(r#",{"_placeholder":true,"num":0}"#);
        attachments.push(bytes::Bytes::from_static(b"\x00\x01"));
    }
    let longest = if character == Character::Slow {
        1500
    } else {
        40
    };
    if chance.percent(20) {
        args.push_str(&format!(",\"{}\"", "x".repeat(chance.below(longest))));
    }
    let first = match chance.below(10) {
        0..7 => room(chance.below(ROOMS) as u64),
        7 => Room::from("all"),
        8 => user_room(chance.below(8) as u64),
        _ if sids.is_empty() => Room::from("all"),
        _ => Room::from(chance.pick(sids).as_str()),
    };
    let mut event = OutEvent::to_room(first, "m", args);
    event.attachments = attachments;
    if chance.percent(30) {
        event.to.push(room(chance.below(ROOMS) as u64));
    }
    if chance.percent(15) {
        event.except.push(match sids {
            [] => user_room(0),
            sids => Room::from(chance.pick(sids).as_str()),
        });
    }
    event
}
