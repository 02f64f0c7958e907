//! An application that panics, in each of its callbacks: that costs a connection, and nothing else.

use super::scenarios::{Stage, play, settings};
use super::service::kind;
use crate::settings::Settings;

/// The first client comes in while the application panics in `callback`; then it comes again.
fn comes_twice(callback: &'static str, is_plain: bool) {
    play(async || {
        let mut stage = Stage::new(settings(), &[]);
        stage.admit("/", is_plain);
        stage.house.world.lock().panics_in = Some(callback);
        stage.agents[0].open(1, false, 4096);
        stage.pass(100).await;
        assert!(stage.agents[0].link.is_none(), "it was not closed");
        stage.agents[0].open(2, false, 4096);
        stage.pass(100).await;
        assert!(stage.agents[0].is_connected());
        stage.end().await
    });
}

#[test]
fn a_panic_while_a_client_connects_closes_its_connection() {
    for is_plain in [false, true] {
        comes_twice("connect", is_plain);
        comes_twice("connected", is_plain);
    }
}

/// Two clients in room 0.
async fn two_that_listen() -> Stage {
    let mut stage = Stage::new(settings(), &["/", "/"]);
    for (number, agent) in (1..).zip(&mut stage.agents) {
        agent.open(number, false, 4096);
    }
    stage.pass(50).await;
    for agent in &mut stage.agents {
        agent.ask(kind::JOIN, 0, true);
    }
    stage.pass(50).await;
    stage
}

/// Retention takes two records away, and the application panics in `callback`.
fn lose_two_and_panic_in(stage: &Stage, callback: &'static str) {
    let mut world = stage.house.world.lock();
    world.books[0].trim(2);
    world.panics_in = Some(callback);
}

#[test]
fn a_panic_about_a_gap_holds_nobody_else_up() {
    play(async || {
        let mut stage = two_that_listen().await;
        for _ in 0..3 {
            stage.commit_in_silence(&[1]);
        }
        lose_two_and_panic_in(&stage, "gap");
        stage.pass(3000).await;
        stage.commit(&[1]);
        stage.pass(1000).await;
        let gone = stage.agents.iter().position(|agent| agent.link.is_none());
        let gone = gone.expect("who was to be told of the gap is closed");
        assert_eq!(stage.agents[1 - gone].first_missing(4), None);
        stage.agents[gone].open(3, false, 4096);
        stage.pass(100).await;
        assert_eq!(stage.agents[gone].first_missing(4), None);
        stage.end().await
    });
}

#[test]
fn a_log_that_panics_is_read_again() {
    play(async || {
        let mut stage = two_that_listen().await;
        stage.commit_in_silence(&[1]);
        stage.house.world.lock().panics_in = Some("read");
        stage.pass(3000).await;
        assert_eq!(stage.house.world.lock().panics_in, None);
        for agent in &stage.agents {
            assert_eq!(agent.first_missing(1), None);
        }
        stage.end().await
    });
}

#[test]
fn a_panic_in_the_middle_of_a_replay_closes_the_connection() {
    for callback in ["gap", "live", "read"] {
        play(async || {
            let mut stage = Stage::new(settings(), &["/"]);
            stage.enter(4096).await;
            stage.agents[0].cut(true);
            stage.pass(50).await;
            for _ in 0..3 {
                stage.commit(&[1]);
            }
            lose_two_and_panic_in(&stage, callback);
            stage.agents[0].open(2, false, 4096);
            stage.pass(100).await;
            assert!(
                stage.agents[0].link.is_none(),
                "{callback}: it was not closed"
            );
            stage.agents[0].open(3, false, 4096);
            stage.pass(100).await;
            assert_eq!(stage.agents[0].first_missing(3), None);
            stage.end().await
        });
    }
}

#[test]
fn a_panic_about_a_session_that_ends_keeps_nothing_of_it() {
    play(async || {
        let limits = Settings {
            ping_interval: std::time::Duration::from_secs(1),
            ..settings()
        };
        let mut stage = Stage::new(limits, &["/"]);
        stage.enter(4096).await;
        stage.agents[0].is_mute = true;
        stage.house.world.lock().panics_in = Some("disconnected");
        stage.pass(9000).await;
        assert_eq!(stage.house.engine.stats().connections, 0);
        stage.end().await
    });
}
