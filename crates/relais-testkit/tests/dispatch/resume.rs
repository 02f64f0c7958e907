//! Sessions that come back: with their rooms, with what they missed, and only where they may still be.

use relais_core::ids::{Epoch, Monotonic, Position};
use relais_core::ports::Head;

use crate::house::*;

fn missed(house: &House, session: &str, since: Monotonic) -> Vec<String> {
    let (events, complete) = house.dispatcher.missed(&tenant(), &sid(session), since);
    assert!(complete);
    events.iter().map(|told| line(&told.event)).collect()
}

#[tokio::test]
async fn a_session_comes_back_into_its_rooms_even_after_a_restart() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.on_session("alice", "a1", join("2")).await.unwrap();
    house.on_session("alice", "a1", leave("2")).await.unwrap();
    let house = house.restart();
    let resumed = house.resume("alice", "a1").await.unwrap();
    let stays: Vec<_> = resumed
        .stays
        .iter()
        .map(|stay| (&*stay.room.id, stay.until.is_some()))
        .collect();
    assert_eq!(stays, [("1", false), ("2", true)]);
    assert_eq!(house.dispatcher.rooms_of(&tenant(), &sid("a1")), [bam("1")]);
    house
        .on_session("alice", "a1", send("1", "back"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_that_left_for_good_does_not_come_back() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.depart("a1", Departure::Clean);
    assert_eq!(house.resume("alice", "a1").await, None);
}

#[tokio::test]
async fn a_session_gets_the_latest_transition_of_each_user_that_it_missed() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house.pass(1_000);
    house.depart("a1", Departure::Lost);
    house.pass(1);
    house.depart("b1", Departure::Clean);
    for _ in 0..5 {
        house.enter("carol", "c1").await;
        house.depart("c1", Departure::Silent);
    }
    house.enter("carol", "c2").await;
    house
        .on_session("carol", "c2", status("busy"))
        .await
        .unwrap();
    let resumed = house.resume("alice", "a1").await.unwrap();
    let told = missed(&house, "a1", resumed.since);
    let expected = [
        "room.left bob 1",
        "presence.offline bob offline",
        "presence.changed bob offline",
        "presence.online carol online",
        "room.joined carol 1",
        "presence.changed carol busy",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_session_that_missed_more_than_is_remembered_gets_everybody_as_they_are_now() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house.pass(1);
    house.depart("a1", Departure::Lost);
    house.pass(1);
    house.enter("carol", "c1").await;
    let busy = house.on_session("carol", "c1", status("busy"));
    busy.await.unwrap();
    // In a room of Alice's and in one that is not.
    let elsewhere = house.on_session("carol", "c1", join("2"));
    elsewhere.await.unwrap();
    house.connect("dave", "d1").await;
    house.on_session("dave", "d1", join("2")).await.unwrap();
    house.pass(1);
    // More transitions than are kept, of people who are gone again.
    for number in 0..3_000 {
        let name = format!("passer-{number}");
        house.enter(&name, &name).await;
        house.depart(&name, Departure::Clean);
    }
    let resumed = house.resume("alice", "a1").await.unwrap();
    let dispatcher = &house.dispatcher;
    let (_, complete) = dispatcher.missed(&tenant(), &sid("a1"), resumed.since);
    assert!(!complete);
    let now = dispatcher.snapshot(&tenant(), &sid("a1"), house.now());
    let told: Vec<_> = now.iter().map(|told| line(&told.event)).collect();
    let expected = [
        "presence.online bob online",
        "presence.changed bob online",
        "room.joined bob 1",
        "presence.online carol busy",
        "presence.changed carol busy",
        "room.joined carol 1",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_session_that_missed_nothing_is_told_nothing() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house.pass(1);
    house.depart("a1", Departure::Lost);
    house.pass(1_000);
    let resumed = house.resume("alice", "a1").await.unwrap();
    assert!(missed(&house, "a1", resumed.since).is_empty());
}

#[tokio::test]
async fn a_takeover_is_told_what_came_while_the_old_connection_may_have_been_dead() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.pass(60_000);
    house.enter("bob", "b1").await;
    house.pass(10_000);
    let resumed = house.resume("alice", "a1").await.unwrap();
    let told = missed(&house, "a1", resumed.since);
    assert_eq!(told, ["presence.online bob online", "room.joined bob 1"]);
    let stats = house.dispatcher.stats(house.now().monotonic);
    assert_eq!(stats.active_connections, 2);
}

#[tokio::test]
async fn what_an_older_connection_of_a_session_does_late_is_ignored() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.resume("alice", "a1").await.unwrap();
    house.heard();
    let now = house.now();
    house
        .dispatcher
        .disconnect(&tenant(), &sid("a1"), 1, Departure::Clean, now);
    house.pass(60_000);
    assert!(house.heard().is_empty());
    assert_eq!(house.dispatcher.rooms_of(&tenant(), &sid("a1")), [bam("1")]);
}

#[tokio::test]
async fn after_the_grace_a_session_can_still_come_back_and_is_announced_again() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.depart("a1", Departure::Lost);
    house.pass(3_600_000);
    house.heard();
    house.resume("alice", "a1").await.unwrap();
    let back = [
        "presence.online alice online",
        "presence.changed alice online",
        "room.joined alice 1",
    ];
    assert_eq!(house.heard(), back);
}

#[tokio::test]
async fn a_member_who_was_removed_meanwhile_does_not_come_back_into_the_room() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.depart("a1", Departure::Lost);
    house.pass(60_000);
    house.by_key(remove("1", "alice")).await.unwrap();
    let house = house.restart();
    let resumed = house.resume("alice", "a1").await.unwrap();
    assert!(resumed.stays.is_empty());
    assert!(house.dispatcher.rooms_of(&tenant(), &sid("a1")).is_empty());
    let stays = house
        .tenant_store()
        .await
        .session_rooms(&sid("a1"))
        .await
        .unwrap();
    assert!(stays[0].until.is_some());
}

#[tokio::test]
async fn a_session_comes_back_from_a_position_of_the_same_log_up_to_its_head() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house
        .on_session("alice", "a1", send("1", "hello"))
        .await
        .unwrap();
    let comes_back = async |epoch, position| {
        let (epoch, position) = (Epoch(epoch), Position(position));
        let seen = Head { epoch, position };
        house.resume_from("alice", "a1", seen).await.is_some()
    };
    assert!(comes_back(7, 0).await);
    assert!(comes_back(7, 1).await);
    assert!(!comes_back(7, 2).await, "beyond the head");
    assert!(!comes_back(6, 1).await, "another life of the log");
}
