//! What a session that comes back has missed: the latest transition of each user, and when each session went.
//!
//! Transitions replace each other by user and subject (reach, status, each room), so somebody who flapped ten times is
//! told once. Bounded: beyond its size the oldest is forgotten, and who went before that is told that something is missing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::event::{Transition, What};
use crate::ids::{AudienceKey, Monotonic, RoomKey, SessionId, UserId};

/// What a session missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The latest transition of each user and subject, oldest first.
    pub transitions: Vec<Transition>,
    /// Whether that is all; if not, a snapshot is needed.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Reach,
    Status,
    Room(RoomKey),
}

type Key = (UserId, Subject);

/// The latest transitions, and the sessions that went.
#[derive(Debug)]
pub(super) struct Past {
    latest: HashMap<Key, u64>,
    by_number: BTreeMap<u64, (Key, Transition)>,
    next: u64,
    /// 0: nothing is kept, and nothing is missed.
    max: usize,
    /// The moment of the newest transition that was forgotten for want of space.
    forgotten: Option<Monotonic>,
    went: HashMap<SessionId, Monotonic>,
    went_order: VecDeque<SessionId>,
    ended: HashSet<SessionId>,
    ended_order: VecDeque<SessionId>,
    sessions_max: usize,
}

impl Past {
    pub(super) fn new(max: usize, sessions_max: usize) -> Self {
        Self {
            latest: HashMap::new(),
            by_number: BTreeMap::new(),
            next: 0,
            max,
            forgotten: None,
            went: HashMap::new(),
            went_order: VecDeque::new(),
            ended: HashSet::new(),
            ended_order: VecDeque::new(),
            sessions_max: sessions_max.max(1),
        }
    }

    pub(super) fn record(&mut self, transitions: &[Transition]) {
        if self.max == 0 {
            return;
        }
        for transition in transitions {
            let user = transition.shown.person.id.clone();
            let subject = match &transition.what {
                What::Online | What::Offline => Subject::Reach,
                What::Changed => Subject::Status,
                What::Joined(room) | What::Left(room) => Subject::Room(room.clone()),
            };
            if transition.what == What::Online {
                // A new life begins: what was told of the status before is no longer so.
                self.forget(&(user.clone(), Subject::Status));
            }
            let key = (user, subject);
            self.forget(&key);
            self.latest.insert(key.clone(), self.next);
            self.by_number.insert(self.next, (key, transition.clone()));
            self.next += 1;
            if self.by_number.len() > self.max
                && let Some((_, (key, oldest))) = self.by_number.pop_first()
            {
                self.latest.remove(&key);
                self.forgotten = Some(oldest.at.monotonic);
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(number) = self.latest.remove(key) {
            self.by_number.remove(&number);
        }
    }

    /// Rooms whose latest news of a user's status is that it is offline.
    pub(super) fn told_offline(&self, user: &UserId) -> BTreeSet<RoomKey> {
        let number = self.latest.get(&(user.clone(), Subject::Status));
        let told = number.and_then(|number| self.by_number.get(number));
        let offline = told.filter(|(_, told)| !told.shown.online);
        let to = offline.into_iter().flat_map(|(_, told)| &told.to);
        to.filter_map(|key| match key {
            AudienceKey::Room(room) => Some(room.clone()),
            AudienceKey::Tenant | AudienceKey::User(_) | AudienceKey::Role(_) => None,
        })
        .collect()
    }

    /// Transitions from `since` on, that moment included, which `hears` lets through.
    pub(super) fn missed(&self, since: Monotonic, hears: impl Fn(&Transition) -> bool) -> Missed {
        let newest_first = self.by_number.values().rev().map(|(_, told)| told);
        let mut transitions: Vec<_> = newest_first
            .take_while(|told| told.at.monotonic >= since)
            .filter(|told| hears(told))
            .cloned()
            .collect();
        transitions.reverse();
        Missed {
            transitions,
            complete: self.forgotten.is_none_or(|forgotten| forgotten < since),
        }
    }

    /// A session is no longer on the roster; it may come back.
    pub(super) fn departed(&mut self, session: SessionId, at: Monotonic) {
        if self.went.insert(session.clone(), at).is_none() {
            self.went_order.push_back(session);
        }
        if self.went_order.len() > self.sessions_max
            && let Some(oldest) = self.went_order.pop_front()
        {
            self.went.remove(&oldest);
        }
    }

    pub(super) fn went_at(&self, session: &SessionId) -> Option<Monotonic> {
        self.went.get(session).copied()
    }

    /// A session is over and cannot come back.
    pub(super) fn end(&mut self, session: SessionId) {
        if self.ended.insert(session.clone()) {
            self.ended_order.push_back(session);
        }
        if self.ended_order.len() > self.sessions_max
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    pub(super) fn has_ended(&self, session: &SessionId) -> bool {
        self.ended.contains(session)
    }
}
