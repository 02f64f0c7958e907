//! The order of a scope, fed with every kind of publication: applied is each position once, ascending, and in the end all of them.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Attendance, ScopeHub, Verdict};
use crate::delivery::{Delivery, OutEvent};
use crate::room::{Position, Room, Scope};

const EPOCH: u32 = 3;

fn at(position: u64) -> Position {
    Position {
        epoch: EPOCH,
        position,
    }
}

fn record(position: u64) -> Arc<Delivery> {
    let event = OutEvent::to_room(Room::from("a"), "msg", position.to_string());
    Arc::new(Delivery::durable(Scope(0), at(position), Arc::new(event)))
}

/// A hub with one member, and what it was given.
struct Bench {
    hub: ScopeHub<&'static str>,
    given: Vec<u64>,
    committed: u64,
    joined: Vec<(u64, u64)>,
}

impl Bench {
    fn new(head: u64) -> Self {
        let mut hub = ScopeHub::new(Some(at(head)), Attendance::begin(&Arc::default(), Scope(0)));
        let member = hub.members.insert(Room::from("sid"), "member");
        hub.join(member, &Room::from("a"), 8);
        Self {
            hub,
            given: Vec::new(),
            committed: head,
            joined: Vec::new(),
        }
    }

    fn apply(&mut self, delivery: &Arc<Delivery>) {
        let position = delivery.position().expect("records have positions");
        let given = &mut self.given;
        self.hub
            .give(delivery, |_| {}, |_, _, _| given.push(position.position));
        for (cursor, _) in self.hub.advance(position) {
            self.joined.push((cursor, position.position));
        }
    }

    fn publish(&mut self, position: u64) {
        let delivery = record(position);
        match self.hub.judge(delivery.position()) {
            Verdict::Apply => self.apply(&delivery),
            Verdict::Drop => {}
            Verdict::Read => assert!(self.hub.begin_reading().is_some()),
            Verdict::NewEpoch => panic!("there is one epoch"),
        }
    }

    /// One page of the read under way, if there is one.
    fn read_page(&mut self, records: u64) {
        if !self.hub.reading {
            return;
        }
        let from = self.hub.applied().map_or(0, |applied| applied.position);
        for position in from + 1..=self.committed.min(from + records) {
            let delivery = record(position);
            assert_eq!(self.hub.judge_page(delivery.position()), Verdict::Apply);
            self.apply(&delivery);
        }
        if !self.hub.is_behind() {
            self.hub.end_reading();
        }
    }

    fn check_head(&mut self) {
        if self.hub.judge_head(Some(at(self.committed)), false) == Verdict::Read {
            assert!(self.hub.begin_reading().is_some());
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit,
    /// Publishes a record that many before the newest.
    Publish(u64),
    ReadPage(u64),
    CheckHead,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Commit),
        4 => (0..6_u64).prop_map(Step::Publish),
        2 => (1..4_u64).prop_map(Step::ReadPage),
        1 => Just(Step::CheckHead),
    ]
}

proptest! {
    #[test]
    fn each_record_is_given_once_ascending_and_in_the_end_all_are(
        head in 0..5_u64,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut bench = Bench::new(head);
        for step in steps {
            match step {
                Step::Commit => bench.committed += 1,
                Step::Publish(back) if bench.committed > back => bench.publish(bench.committed - back),
                Step::Publish(_) => {}
                Step::ReadPage(records) => bench.read_page(records),
                Step::CheckHead => bench.check_head(),
            }
        }
        // Two checks of the head find whatever was lost.
        for _ in 0..2 {
            bench.check_head();
            while bench.hub.reading {
                bench.read_page(3);
            }
        }
        let expected: Vec<_> = (head + 1..=bench.committed).collect();
        prop_assert_eq!(bench.given, expected);
    }
}

#[test]
fn a_replay_joins_at_the_very_position_that_the_shard_reaches() {
    let mut bench = Bench::new(5);
    bench.committed = 9;
    assert_eq!(bench.hub.meet(4, &"late"), None);
    assert_eq!(bench.hub.meet(5, &"now"), Some(true));
    assert_eq!(bench.hub.meet(7, &"ahead"), Some(false));
    for position in 6..=9 {
        bench.publish(position);
    }
    assert_eq!(bench.joined, [(7, 7)]);
}

#[test]
fn a_stay_ends_with_its_last_position_and_not_before() {
    let mut bench = Bench::new(0);
    let member = bench.hub.members.insert(Room::from("other"), "other");
    bench.hub.join(member, &Room::from("b"), 8);
    bench.hub.leave(member, &Room::from("b"), Some(2));
    let hears = |bench: &mut Bench| {
        let mut heard = false;
        let rooms = [Room::from("b")];
        bench
            .hub
            .members
            .visit(&rooms, &[], |_| {}, |_| heard = true);
        heard
    };
    bench.publish(1);
    assert!(hears(&mut bench));
    bench.publish(2);
    assert!(!hears(&mut bench));
    // Whoever comes back before the end stays.
    bench.hub.join(member, &Room::from("b"), 8);
    bench.hub.leave(member, &Room::from("b"), Some(4));
    bench.hub.join(member, &Room::from("b"), 8);
    for position in 3..=5 {
        bench.publish(position);
    }
    assert!(hears(&mut bench));
}

#[test]
fn an_older_epoch_is_dropped_and_a_newer_one_is_told() {
    let mut bench = Bench::new(5);
    let of = |epoch| Some(Position { epoch, position: 6 });
    assert_eq!(bench.hub.judge(of(EPOCH - 1)), Verdict::Drop);
    assert_eq!(bench.hub.judge(of(EPOCH + 1)), Verdict::NewEpoch);
    assert_eq!(
        bench.hub.judge_head(of(EPOCH + 1), false),
        Verdict::NewEpoch
    );
}

#[test]
fn the_lag_is_what_is_known_of_and_not_applied() {
    let mut bench = Bench::new(10);
    assert_eq!(bench.hub.lag(), 0);
    assert_eq!(bench.hub.judge(Some(at(15))), Verdict::Read);
    assert_eq!(bench.hub.lag(), 5);
    bench.apply(&record(11));
    assert_eq!(bench.hub.lag(), 4);
}
