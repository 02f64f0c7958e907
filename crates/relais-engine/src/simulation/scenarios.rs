//! Single cases that schedules have found, each in the few steps that it needs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::agent::{Agent, FAST, Identity, Phase};
use super::chance::Chance;
use super::committer::Committer;
use super::house::{self, House, Outcome};
use super::link::Pace;
use super::panics;
use super::service::{kind, room};
use super::world::{Shared, Weather};
use crate::delivery::{Delivery, OutEvent};
use crate::room::{Room, Scope};
use crate::session::Place;
use crate::settings::Settings;

/// A house with some clients in scope 0.
pub(super) struct Stage {
    pub(super) house: House,
    pub(super) agents: Vec<Agent>,
}

impl Stage {
    pub(super) fn new(settings: Settings, namespaces: &[&'static str]) -> Self {
        let house = House::build(Shared::new(1, 1, true), settings);
        let mut stage = Self {
            house,
            agents: Vec::new(),
        };
        for namespace in namespaces {
            stage.admit(namespace, false);
        }
        stage
    }

    /// One client more, that was not there yet.
    pub(super) fn admit(&mut self, namespace: &'static str, is_plain: bool) {
        let identity = Identity {
            number: self.agents.len() as u64,
            scope: 0,
            namespace,
            has_recovery: true,
            is_plain,
        };
        let (world, engine) = (self.house.world.clone(), self.house.engine.clone());
        self.agents.push(Agent::new(world, engine, &identity));
    }

    pub(super) async fn pass(&mut self, milliseconds: u64) {
        for _ in 0..=milliseconds / 10 {
            self.house.settle().await;
            for agent in &mut self.agents {
                agent.pump();
            }
            self.house.check();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Commits a record with events of these sizes for everyone in room 0, and publishes it.
    pub(super) fn commit(&self, sizes: &[usize]) {
        self.house.engine.publish(self.commit_in_silence(sizes));
    }

    /// As [`Self::commit`], and nobody is told.
    pub(super) fn commit_in_silence(&self, sizes: &[usize]) -> Arc<Delivery> {
        let mut world = self.house.world.lock();
        let position = world.books[0].head().position + 1;
        let events = sizes.iter().enumerate().map(|(index, bytes)| {
            let args = format!("0,1,{position},{index},\"{}\"", "x".repeat(*bytes));
            OutEvent::to_room(room(0), "m", args)
        });
        let events = events.collect();
        world.books[0].commit(events)
    }

    /// The first client opens its connection, with so many bytes of room in the kernel, and joins room 0.
    pub(super) async fn enter(&mut self, room_bytes: usize) {
        self.agents[0].open(1, false, room_bytes);
        self.pass(50).await;
        self.agents[0].ask(kind::JOIN, 0, true);
        self.pass(50).await;
    }

    /// Commits a record for each list of sizes while the first client reads nothing, then lets it read.
    async fn commit_to_a_stalled_reader(&mut self, records: &[&[usize]]) {
        self.agents[0].pace = STALLED;
        for sizes in records {
            self.commit(sizes);
        }
        self.pass(50).await;
        self.agents[0].pace = FAST;
        self.pass(100).await;
    }

    pub(super) async fn end(mut self) -> house::Closed {
        for agent in &mut self.agents {
            agent.cut(true);
        }
        self.pass(9000).await;
        if !self.house.has_failed() {
            super::checks::when_all_are_gone(&self.house.shards, &self.house.world);
        }
        drop(self.agents);
        self.house.close().await
    }
}

pub(super) fn play(scene: impl AsyncFnOnce() -> house::Closed) {
    panics::watch();
    let played = catch_unwind(AssertUnwindSafe(|| house::run(1, scene)));
    let seen = panics::seen();
    panics::unwatch();
    let Outcome { wrong, trace, .. } =
        played.unwrap_or_else(|_| panic!("{}", seen.unwrap_or_default()));
    assert_eq!(wrong, None, "{}", trace.join("\n"));
}

pub(super) fn settings() -> Settings {
    Settings {
        shards: 1,
        ping_interval: Duration::from_secs(5),
        ping_timeout: Duration::from_secs(3),
        ..Settings::default()
    }
}

/// An outbox that holds one event of 900 bytes.
fn small_outbox() -> Settings {
    Settings {
        outbox_bytes_max: 1000,
        ..settings()
    }
}

const STALLED: Pace = Pace {
    read_bytes: 0,
    ..FAST
};

#[test]
fn who_goes_while_the_service_decides_leaves_nothing_behind() {
    play(async || {
        let mut stage = Stage::new(settings(), &["/"]);
        stage.house.world.lock().weather = Weather {
            service_slow_ms: 3000,
            ..Weather::default()
        };
        stage.agents[0].open(1, false, 4096);
        stage.pass(10).await;
        stage.agents[0].cut(true);
        stage.end().await
    });
}

#[test]
fn everyone_hears_in_the_namespace_that_it_is_in() {
    play(async || {
        let mut stage = Stage::new(settings(), &["/n", "/", "/n"]);
        for (number, agent) in (1..).zip(&mut stage.agents) {
            agent.open(number, false, 4096);
        }
        stage.pass(50).await;
        for (number, agent) in (7..).zip(&stage.agents) {
            assert!(agent.is_connected());
            let event = OutEvent::to_room(Room::from("all"), "v", format!("0,{number}"));
            let delivery = Delivery::volatile(Scope(0), Arc::new(event));
            stage.house.engine.publish(Arc::new(delivery));
        }
        stage.pass(50).await;
        assert!(stage.agents.iter().all(|agent| agent.volatiles() == 3));
        stage.end().await
    });
}

#[test]
fn who_has_said_disconnect_hears_nothing_while_its_commands_end() {
    play(async || {
        let mut stage = Stage::new(settings(), &["/"]);
        stage.enter(4096).await;
        stage.house.world.lock().weather.service_slow_ms = 2000;
        stage.agents[0].ask(kind::PIPELINED, 0, true);
        stage.pass(10).await;
        stage.house.world.lock().weather.service_slow_ms = 0;
        stage.agents[0].forget();
        stage.agents[0].reconnect_in_place();
        stage.pass(10).await;
        stage.agents[0].ask(kind::JOIN, 0, true);
        stage.pass(10).await;
        stage.commit(&[1]);
        stage.pass(3000).await;
        assert_eq!(stage.agents[0].first_missing(1), None);
        stage.end().await
    });
}

#[test]
fn a_record_of_several_large_events_is_replayed_into_an_outbox_that_holds_one() {
    play(async || {
        let limits = Settings {
            replay_low_water_bytes: 500,
            ..small_outbox()
        };
        let mut stage = Stage::new(limits, &["/"]);
        stage.enter(4096).await;
        stage.agents[0].cut(true);
        stage.pass(50).await;
        stage.commit(&[900, 900, 900]);
        stage.agents[0].open(2, false, 200);
        stage.pass(1000).await;
        assert!(stage.agents[0].is_connected());
        assert_eq!(stage.agents[0].first_missing(1), None);
        stage.end().await
    });
}

#[test]
fn of_a_record_that_was_seen_in_part_the_rest_is_told_as_a_gap() {
    play(async || {
        let mut stage = Stage::new(small_outbox(), &["/"]);
        stage.enter(300).await;
        // The first event is on its way, the second finds no room: the reader is too slow.
        stage.commit_to_a_stalled_reader(&[&[900, 900, 900]]).await;
        assert_eq!(stage.agents[0].first_missing(1), Some((1, 1)));
        stage.house.world.lock().books[0].trim(1);
        stage.agents[0].open(2, false, 4096);
        stage.pass(100).await;
        assert_eq!(stage.agents[0].first_missing(1), None);
        stage.end().await
    });
}

#[test]
fn a_slow_reader_is_told_why_behind_a_frame_that_is_half_written() {
    play(async || {
        let mut stage = Stage::new(small_outbox(), &["/"]);
        stage.enter(300).await;
        stage.commit_to_a_stalled_reader(&[&[2000], &[2000]]).await;
        let trace = stage.house.world.lock().take_trace().join("\n");
        assert!(trace.contains("was closed with Some((4008,"), "{trace}");
        stage.end().await
    });
}

#[test]
fn a_command_that_ends_its_session_before_it_waits_is_seen_through() {
    play(async || {
        let mut stage = Stage::new(settings(), &["/"]);
        stage.enter(4096).await;
        stage.house.world.lock().weather.service_slow_ms = 2000;
        stage.agents[0].ask(kind::LEAVE_AND_WORK, 0, false);
        stage.pass(3000).await;
        stage.end().await
    });
}

#[test]
fn a_replay_that_meets_a_new_epoch_ends_with_its_session() {
    play(async || {
        let limits = Settings {
            replay_page_records: 1,
            ..settings()
        };
        let mut stage = Stage::new(limits, &["/"]);
        let mut committer = Committer::new(&stage.house);
        stage.enter(4096).await;
        stage.agents[0].cut(true);
        for _ in 0..6 {
            stage.commit(&[1]);
        }
        stage.house.world.lock().weather = Weather {
            log_slow_ms: 200,
            publications_lost_percent: 100,
            ..Weather::default()
        };
        stage.agents[0].open(2, false, 4096);
        stage.pass(150).await;
        let mut chance = Chance::new(1);
        committer.renew_and_fill(20, &mut chance);
        stage.pass(3000).await;
        assert!(!stage.agents[0].is_connected());
        stage.end().await
    });
}

/// A reader that comes back, asks for its session, and then takes nothing of what it missed.
async fn stall_in_a_replay(by_polling: bool) -> house::Closed {
    let limits = Settings {
        replay_low_water_bytes: 500,
        ..settings()
    };
    let mut stage = Stage::new(limits, &["/"]);
    stage.enter(4096).await;
    stage.agents[0].cut(true);
    stage.pass(50).await;
    for _ in 0..6 {
        stage.commit(&[900]);
    }
    stage.agents[0].open(2, by_polling, 300);
    while stage.agents[0].phase == Phase::Opening {
        stage.house.settle().await;
        stage.agents[0].pump();
    }
    stage.agents[0].pace = STALLED;
    stage.pass(100).await;
    let sessions = stage.house.shards[0].sessions.borrow().clone();
    let mut places = sessions.values().map(|session| session.place.get());
    assert_eq!(places.next(), Some(Place::Replaying));
    drop(sessions);
    stage.end().await
}

#[test]
fn who_goes_while_its_replay_waits_for_room_leaves_nothing_behind() {
    play(async || stall_in_a_replay(false).await);
    play(async || stall_in_a_replay(true).await);
}
