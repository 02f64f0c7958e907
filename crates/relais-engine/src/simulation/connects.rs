//! Connections and their sessions: those that have none, and those that want the same one.

use std::time::Duration;

use super::agent::FAST;
use super::house;
use super::link::{Came, Link};
use super::scenarios::{Stage, play, settings};
use super::service::NOWHERE;
use crate::endpoint::Wire;
use crate::settings::Settings;

/// Reads a link for a while; whether the server has ended it.
async fn is_ended_within(stage: &mut Stage, link: &mut Link, milliseconds: u64) -> bool {
    for _ in 0..=milliseconds / 10 {
        stage.pass(0).await;
        for came in link.pump(FAST).unwrap_or_default() {
            match came {
                Came::Text(ping) if ping == "2" => link.send("3"),
                Came::Closed(_) | Came::Lost => return true,
                _ => {}
            }
        }
    }
    false
}

/// A connection that says this, with waits of so many milliseconds between, and then nothing more; whether it was ended within a time.
async fn say_and_wait(packets: &[&str], milliseconds: u64) -> (bool, house::Closed) {
    let limits = Settings {
        connect_timeout: Duration::from_secs(2),
        ..settings()
    };
    let mut stage = Stage::new(limits, &[]);
    let mut link = Link::websocket(&stage.house.engine, 1, "l=1", 4096, Wire::SocketIo);
    for packet in packets {
        match packet.strip_prefix("wait ").map(str::parse) {
            Some(wait) => {
                let wait = wait.expect("a number of milliseconds");
                is_ended_within(&mut stage, &mut link, wait).await;
            }
            None => link.send(packet),
        }
    }
    let is_ended = is_ended_within(&mut stage, &mut link, milliseconds).await;
    link.cut(true);
    (is_ended, stage.end().await)
}

#[test]
fn who_has_left_its_last_namespace_has_as_long_for_another_as_at_first() {
    play(async || {
        let (is_ended, closed) = say_and_wait(&["40", "wait 1000", "41"], 1500).await;
        assert!(!is_ended, "it was closed before its time");
        closed
    });
    play(async || {
        let (is_ended, closed) = say_and_wait(&["40", "wait 3000", "41"], 2500).await;
        assert!(is_ended, "it stays without a session");
        closed
    });
}

#[test]
fn who_is_refused_behind_the_deadline_does_not_stay_without_a_session() {
    play(async || {
        let refused = format!("40{NOWHERE},");
        let packets = ["40", "wait 3000", "41", "wait 1900", &refused];
        let (is_ended, closed) = say_and_wait(&packets, 2500).await;
        assert!(is_ended, "it stays without a session");
        closed
    });
}

#[test]
fn of_three_connections_of_a_session_the_last_is_answered_when_both_others_are_fenced() {
    play(async || {
        let limits = Settings {
            shards: 3,
            inbox_max: 1,
            ..settings()
        };
        let mut stage = Stage::new(limits, &["/"]);
        stage.enter(4096).await;
        let first = stage.house.engine.port(0).map(|port| port.commands.clone());
        // The shard of the first has so much to do that nothing more can be asked of it.
        let busy = first.and_then(|commands| commands.try_reserve_owned().ok());
        assert!(busy.is_some());
        stage.agents[0].open(2, false, 4096);
        stage.pass(50).await;
        stage.agents[0].open(3, false, 4096);
        stage.pass(50).await;
        assert!(!stage.agents[0].is_connected());
        drop(busy);
        stage.pass(50).await;
        assert!(stage.agents[0].is_connected());
        stage.end().await
    });
}

#[test]
fn a_client_that_answers_no_ping_is_gone_after_one_interval_and_one_timeout() {
    play(async || {
        // 5 s and 3 s, and a slot of the wheel more.
        let mut stage = Stage::new(settings(), &["/"]);
        stage.agents[0].open(1, false, 4096);
        stage.agents[0].is_mute = true;
        stage.pass(7700).await;
        assert_eq!(stage.house.engine.stats().connections, 1);
        stage.pass(500).await;
        let stats = stage.house.engine.stats();
        assert_eq!((stats.connections, stats.heartbeats_missed_total), (0, 1));
        stage.end().await
    });
}

/// Settings that many teams bring along: a client may take longer for its answer than the next ping is away.
fn patient() -> Settings {
    Settings {
        ping_timeout: Duration::from_secs(12),
        ..settings()
    }
}

#[test]
fn pings_come_at_the_interval_also_where_a_client_may_take_longer_for_its_answer() {
    play(async || {
        let mut stage = Stage::new(patient(), &[]);
        let mut link = Link::websocket(&stage.house.engine, 1, "l=1", 4096, Wire::SocketIo);
        link.send("40");
        let mut pings = 0;
        for _ in 0..210 {
            stage.pass(100).await;
            for came in link.pump(FAST).unwrap_or_default() {
                if matches!(&came, Came::Text(ping) if ping == "2") {
                    pings += 1;
                    link.send("3");
                }
            }
        }
        assert_eq!(pings, 4, "after 5, 10, 15 and 20 of 21 s");
        link.send("41");
        link.send("1");
        assert!(is_ended_within(&mut stage, &mut link, 1_000).await);
        stage.end().await
    });
}

#[test]
fn a_client_that_may_take_longer_than_the_interval_is_gone_after_its_whole_time_all_the_same() {
    play(async || {
        let mut stage = Stage::new(patient(), &["/"]);
        stage.agents[0].open(1, false, 4096);
        stage.agents[0].is_mute = true;
        stage.pass(16_500).await;
        assert_eq!(stage.house.engine.stats().connections, 1);
        stage.pass(1_000).await;
        let stats = stage.house.engine.stats();
        assert_eq!((stats.connections, stats.heartbeats_missed_total), (0, 1));
        stage.end().await
    });
}
