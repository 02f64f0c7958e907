//! The roster against a model that is too simple to be wrong: random arrivals, losses, resumes, restarts and ticks.
//!
//! A watcher applies every transition to a view of its own and refuses one that changes nothing, so nobody is announced
//! twice; after each step the view must be what the model says, so there are no ghosts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::event::{OFFLINE, What};

const USERS: usize = 3;
const ROOMS: usize = 2;
/// In the order in which they win; the last is that of a device that has chosen none.
const STATUSES: [&str; 4] = ["busy", "online", "away", "online"];
const UNCHOSEN: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Connects or comes back, with a room from the start or none.
    Arrive(usize, usize, Option<usize>),
    Depart(usize, usize, u8),
    Join(usize, usize, usize),
    Leave(usize, usize, usize),
    Evict(usize, usize),
    Status(usize, usize, usize),
    Pass(u64),
    Restart,
    /// The watcher's own transport is lost, or is back.
    Watch(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let user = 0..USERS;
    let device = 0..2_usize;
    let room = 0..ROOMS;
    prop_oneof![
        4 => (user.clone(), device.clone(), proptest::option::of(room.clone()))
            .prop_map(|(user, device, room)| Step::Arrive(user, device, room)),
        4 => (user.clone(), device.clone(), 0..3_u8)
            .prop_map(|(user, device, how)| Step::Depart(user, device, how)),
        3 => (user.clone(), device.clone(), room.clone())
            .prop_map(|(user, device, room)| Step::Join(user, device, room)),
        2 => (user.clone(), device.clone(), room.clone())
            .prop_map(|(user, device, room)| Step::Leave(user, device, room)),
        1 => (user.clone(), room).prop_map(|(user, room)| Step::Evict(user, room)),
        2 => (user, device, 0..UNCHOSEN)
            .prop_map(|(user, device, status)| Step::Status(user, device, status)),
        4 => (1..4_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        2 => any::<bool>().prop_map(Step::Watch),
    ]
}

/// A device as the model knows it: `None` is what a restart left of a user.
#[derive(Clone, Debug)]
struct Thing {
    user: usize,
    device: Option<usize>,
    grace_until: Option<u64>,
    rooms: BTreeSet<usize>,
    /// Index into the statuses, which are in the order in which they win.
    status: usize,
}

/// What somebody sees: the status of who is online, and who is in which room.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    online: BTreeMap<String, String>,
    rooms: BTreeSet<(String, String)>,
}

impl View {
    /// Applies a transition, which must change something.
    fn apply(&mut self, told: &Transition) {
        let user = told.shown.person.id.to_string();
        let status = told.shown.status.to_string();
        let inside = |room: &RoomKey| (room.id.to_string(), user.clone());
        match &told.what {
            What::Online => assert_eq!(self.online.insert(user, status), None, "online twice"),
            What::Offline => assert!(self.online.remove(&user).is_some(), "offline twice"),
            What::Changed if *status == *OFFLINE => assert!(!self.online.contains_key(&user)),
            What::Changed => {
                let before = self.online.insert(user, status.clone());
                assert!(before.is_some_and(|before| before != status), "no change");
            }
            What::Joined(room) => assert!(self.rooms.insert(inside(room)), "joined twice"),
            What::Left(room) => assert!(self.rooms.remove(&inside(room)), "left twice"),
        }
    }

    /// Applies what was missed, of which some may be known.
    fn catch_up(&mut self, told: &Transition) {
        let user = told.shown.person.id.to_string();
        let inside = |room: &RoomKey| (room.id.to_string(), user.clone());
        match &told.what {
            What::Online => {
                let status = told.shown.status.to_string();
                self.online.insert(user, status);
            }
            What::Offline => {
                self.online.remove(&user);
            }
            What::Changed if *told.shown.status == *OFFLINE => {}
            What::Changed => {
                let status = told.shown.status.to_string();
                self.online.insert(user, status);
            }
            What::Joined(room) => {
                self.rooms.insert(inside(room));
            }
            What::Left(room) => {
                self.rooms.remove(&inside(room));
            }
        }
    }
}

struct World {
    roster: Roster,
    rules: Arc<Rules>,
    things: Vec<Thing>,
    now: u64,
    generation: u64,
    view: View,
    /// The view of the watcher when its transport went, with its being lost.
    lost: Option<View>,
}

fn name(user: usize) -> String {
    format!("user{user}")
}

fn room(room: usize) -> RoomKey {
    RoomKey::new("room", room.to_string())
}

fn session(user: usize, device: usize) -> SessionId {
    SessionId(format!("session{user}{device}").into())
}

fn person(name: String) -> Person {
    Person {
        id: UserId::text(name.as_str()),
        name: name.into(),
        role: None,
    }
}

impl World {
    fn new() -> Self {
        let rules = Arc::new(Rules {
            contacts: Contacts::Tenant,
            ..Rules::default()
        });
        let mut world = Self {
            roster: Roster::new(rules.clone()),
            rules,
            things: Vec::new(),
            now: 1_000,
            generation: 0,
            view: View::default(),
            lost: None,
        };
        world.watch();
        world
    }

    fn at(&self) -> Moment {
        Moment {
            wall: crate::ids::Timestamp(self.now as i64),
            monotonic: Monotonic(self.now),
        }
    }

    /// The watcher is in all rooms. What others see of it is not looked at.
    fn watch(&mut self) {
        self.generation += 1;
        let arrival = Arrival {
            session: SessionId("watcher".into()),
            generation: self.generation,
            person: person("watcher".to_owned()),
            rooms: (0..ROOMS).map(room).collect(),
        };
        let now = self.at();
        self.roster.arrive(arrival, now);
    }

    fn told(&mut self, told: &[Transition]) {
        for one in told {
            if &*one.shown.person.name != "watcher" {
                self.view.apply(one);
            }
        }
    }

    fn thing(&mut self, user: usize, device: usize) -> Option<&mut Thing> {
        let mut things = self.things.iter_mut();
        things.find(|thing| thing.user == user && thing.device == Some(device))
    }

    fn take(&mut self, step: &Step) {
        self.now += 1;
        let now = self.at();
        let told = match *step {
            Step::Arrive(user, device, start) => {
                self.generation += 1;
                let arrival = Arrival {
                    session: session(user, device),
                    generation: self.generation,
                    person: person(name(user)),
                    rooms: start.map(room).into_iter().collect(),
                };
                self.model_arrive(user, device, start);
                self.roster.arrive(arrival, now)
            }
            Step::Depart(user, device, how) => self.depart(user, device, how),
            Step::Join(user, device, into) => {
                if let Some(thing) = self.thing(user, device) {
                    thing.rooms.insert(into);
                }
                self.roster.join(&session(user, device), room(into), now)
            }
            Step::Leave(user, device, from) => {
                if let Some(thing) = self.thing(user, device) {
                    thing.rooms.remove(&from);
                }
                self.roster.leave(&session(user, device), &room(from), now)
            }
            Step::Evict(user, from) => {
                let all = self.things.iter_mut().filter(|thing| thing.user == user);
                all.for_each(|thing| {
                    thing.rooms.remove(&from);
                });
                let user = UserId::text(name(user));
                self.roster.evict(&user, &room(from), now).1
            }
            Step::Status(user, device, status) => self.set_status(user, device, status),
            Step::Pass(ms) => {
                self.now += ms;
                let now = self.now;
                self.things
                    .retain(|thing| thing.grace_until.is_none_or(|until| until > now));
                let now = self.at();
                self.roster.tick(now)
            }
            Step::Restart => {
                self.restart();
                Vec::new()
            }
            Step::Watch(back) => {
                self.watcher(back);
                Vec::new()
            }
        };
        self.told(&told);
    }

    fn depart(&mut self, user: usize, device: usize, how: u8) -> Vec<Transition> {
        let departures = [Departure::Lost, Departure::Silent, Departure::Clean];
        let departure = departures[usize::from(how)];
        self.model_depart(user, device, departure);
        let (session, now) = (session(user, device), self.at());
        let told = self
            .roster
            .depart(&session, self.generation, departure, now);
        told.unwrap_or_default()
    }

    fn set_status(&mut self, user: usize, device: usize, status: usize) -> Vec<Transition> {
        if let Some(thing) = self.thing(user, device) {
            thing.status = status;
        }
        let (user, session) = (UserId::text(name(user)), session(user, device));
        let (status, now) = (STATUSES[status].into(), self.at());
        let set = self
            .roster
            .set_status(&user, Some(&session), &status, None, now);
        set.map(|(_, told)| told).unwrap_or_default()
    }

    fn model_arrive(&mut self, user: usize, device: usize, start: Option<usize>) {
        let restored = self.things.iter();
        let restored = restored
            .filter(|thing| thing.user == user)
            .find(|thing| thing.device.is_none());
        let status = restored.map_or(UNCHOSEN, |thing| thing.status);
        if self.thing(user, device).is_none() {
            self.things.push(Thing {
                user,
                device: Some(device),
                grace_until: None,
                rooms: BTreeSet::new(),
                status,
            });
        }
        let thing = self.thing(user, device).expect("just pushed");
        thing.grace_until = None;
        thing.rooms.extend(start);
    }

    fn model_depart(&mut self, user: usize, device: usize, departure: Departure) {
        let until = self.now + self.rules.grace_ms;
        match departure {
            Departure::Lost | Departure::Sent => {
                if let Some(thing) = self.thing(user, device) {
                    thing.grace_until.get_or_insert(until);
                }
            }
            Departure::Clean | Departure::Silent => {
                let gone = |thing: &Thing| thing.user == user && thing.device == Some(device);
                self.things.retain(|thing| !gone(thing));
            }
        }
    }

    /// Everything was stored, the process ends, and another begins with what was stored.
    fn restart(&mut self) {
        let stored = self.roster.all_unsaved(usize::MAX);
        let (before, now) = (self.truth(), self.at());
        let mut roster = Roster::new(self.rules.clone());
        // Users who had nothing new to store were stored earlier: all who are here are stored as here.
        let mut all: BTreeMap<UserId, StoredPresence> = BTreeMap::new();
        let here: Vec<UserId> = self.roster.users.keys().cloned().collect();
        here.iter().for_each(|user| self.roster.remember(user));
        for presence in stored
            .into_iter()
            .chain(self.roster.all_unsaved(usize::MAX))
        {
            all.insert(presence.person.id.clone(), presence);
        }
        roster.restore(all.into_values().collect(), now.monotonic, now);
        self.roster = roster;
        let until = self.now + self.rules.restored_grace_ms;
        let mut restored: Vec<Thing> = Vec::new();
        for user in 0..USERS {
            let things: Vec<_> = self
                .things
                .iter()
                .filter(|thing| thing.user == user)
                .collect();
            if let Some(status) = things.iter().map(|thing| thing.status).min() {
                restored.push(Thing {
                    user,
                    device: None,
                    grace_until: Some(until),
                    rooms: things
                        .iter()
                        .flat_map(|thing| thing.rooms.clone())
                        .collect(),
                    // Only the merged status is stored, and the first of all looks the same chosen or not.
                    status: if STATUSES[status] == STATUSES[UNCHOSEN] {
                        UNCHOSEN
                    } else {
                        status
                    },
                });
            }
        }
        self.things = restored;
        assert_eq!(self.truth(), before);
        // What a session missed before a restart, while it was away, nobody knows any more: it needs a snapshot.
        self.lost = Some(self.view.clone());
        self.watcher(true);
    }

    fn watcher(&mut self, back: bool) {
        let session = SessionId("watcher".into());
        match (back, self.lost.take()) {
            (false, None) => {
                let now = self.at();
                self.roster
                    .depart(&session, self.generation, Departure::Lost, now);
                self.lost = Some(self.view.clone());
            }
            (false, lost) => self.lost = lost,
            (true, None) => {}
            (true, Some(mut view)) => {
                let since = self.roster.heard_at(&session, Monotonic(self.now));
                self.watch();
                let missed = self.roster.missed(&session, since.unwrap_or_default());
                assert!(missed.complete);
                missed
                    .transitions
                    .iter()
                    .for_each(|told| view.catch_up(told));
                assert_eq!(
                    view, self.view,
                    "a session that comes back sees what the others see"
                );
            }
        }
    }

    /// What everybody should see.
    fn truth(&self) -> View {
        let mut view = View::default();
        for thing in &self.things {
            let user = name(thing.user);
            let others = self.things.iter().filter(|other| other.user == thing.user);
            let status = others.map(|other| other.status).min().expect("itself");
            view.online
                .insert(user.clone(), STATUSES[status].to_owned());
            let rooms = thing.rooms.iter();
            view.rooms
                .extend(rooms.map(|room| (room.to_string(), user.clone())));
        }
        view
    }

    /// What the roster itself says.
    fn shown(&self) -> View {
        let (users, _) = self.roster.list(None, usize::MAX);
        let others = users
            .iter()
            .filter(|shown| &*shown.person.name != "watcher");
        let mut view = View::default();
        for shown in others {
            let user = shown.person.id.to_string();
            view.online.insert(user.clone(), shown.status.to_string());
            for number in 0..ROOMS {
                if self.roster.user_in(&shown.person.id, &room(number)) {
                    view.rooms.insert((number.to_string(), user.clone()));
                }
            }
        }
        view
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_ghosts_and_no_double_announcements(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            prop_assert_eq!(&world.view, &world.truth(), "after {:?}", step);
            prop_assert_eq!(&world.shown(), &world.truth(), "after {:?}", step);
        }
        world.watcher(true);
        // When everybody has gone and the graces are over, nothing is left.
        for user in 0..USERS {
            for device in 0..2 {
                world.take(&Step::Depart(user, device, 0));
            }
        }
        world.take(&Step::Pass(10_000));
        prop_assert_eq!(&world.view, &View::default());
        prop_assert_eq!(world.roster.counts().users, usize::from(world.lost.is_none()));
        prop_assert!(world.roster.rooms.len() <= ROOMS);
    }
}
