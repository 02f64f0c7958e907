//! Typing is shown to others, throttled, and always ends.

use relais_core::command::Command;
use relais_core::error::Code;
use relais_core::ids::{AudienceKey, Conversation};

use crate::house::*;

async fn typing_house() -> House {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.heard();
    house
        .on_session("alice", "a1", typing("1", true))
        .await
        .unwrap();
    assert_eq!(house.heard(), ["typing.changed alice true"]);
    house
}

#[tokio::test]
async fn typing_goes_to_the_others_in_the_room_and_is_not_stored() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.heard();
    house
        .on_session("alice", "a1", typing("1", true))
        .await
        .unwrap();
    let told = house.told.volatile.lock().unwrap()[0].clone();
    let audience = told.event.audience.unwrap();
    assert_eq!(audience.to, [AudienceKey::Room(bam("1"))]);
    assert_eq!(audience.except_user, Some(user("alice")));
    assert!(house.told.records.lock().unwrap().is_empty());
}

#[tokio::test]
async fn typing_that_goes_on_is_told_every_three_seconds_at_most() {
    let house = typing_house().await;
    for _ in 0..10 {
        house
            .on_session("alice", "a1", typing("1", true))
            .await
            .unwrap();
    }
    assert!(house.heard().is_empty());
    house.pass(3_000);
    house
        .on_session("alice", "a1", typing("1", true))
        .await
        .unwrap();
    assert_eq!(house.heard(), ["typing.changed alice true"]);
}

#[tokio::test]
async fn typing_ends_by_itself_five_seconds_after_the_last_start() {
    let house = typing_house().await;
    house.pass(2_000);
    house
        .on_session("alice", "a1", typing("1", true))
        .await
        .unwrap();
    house.pass(4_999);
    assert!(house.heard().is_empty());
    house.pass(1);
    assert_eq!(house.heard(), ["typing.changed alice false"]);
    house.pass(10_000);
    assert!(house.heard().is_empty());
}

#[tokio::test]
async fn a_sent_message_ends_its_senders_typing() {
    let house = typing_house().await;
    house
        .on_session("alice", "a1", send("1", "hello"))
        .await
        .unwrap();
    assert_eq!(house.heard(), ["typing.changed alice false"]);
    house
        .on_session("alice", "a1", typing("1", false))
        .await
        .unwrap();
    assert!(house.heard().is_empty(), "nothing to stop any more");
}

#[tokio::test]
async fn typing_ends_with_the_session_the_stay_or_the_membership() {
    for departure in [Departure::Clean, Departure::Lost, Departure::Silent] {
        let house = typing_house().await;
        house.depart("a1", departure);
        assert!(
            house
                .heard()
                .contains(&"typing.changed alice false".to_owned())
        );
    }
    let house = typing_house().await;
    house.on_session("alice", "a1", leave("1")).await.unwrap();
    assert_eq!(
        house.heard(),
        ["room.left alice 1", "typing.changed alice false"]
    );
    let house = typing_house().await;
    house.by_key(remove("1", "alice")).await.unwrap();
    assert_eq!(
        house.heard(),
        ["room.left alice 1", "typing.changed alice false"]
    );
}

#[tokio::test]
async fn typing_needs_to_have_joined() {
    let house = House::new();
    house.connect("alice", "a1").await;
    assert_eq!(
        code(house.on_session("alice", "a1", typing("1", true)).await),
        Code::NotInRoom
    );
    assert_eq!(
        code(house.on_session("alice", "a1", typing("3", true)).await),
        Code::NotAMember
    );
}

#[tokio::test]
async fn typing_in_a_direct_conversation_goes_to_the_other_one() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let command = Command::Typing {
        conversation: Conversation::direct(user("alice"), user("bob")),
        active: true,
        written: None,
    };
    house
        .on_session("alice", "a1", command.clone())
        .await
        .unwrap();
    let told = house.told.volatile.lock().unwrap()[0].clone();
    assert_eq!(
        told.event.audience.unwrap().to,
        [AudienceKey::User(user("bob"))]
    );
    assert_eq!(told.event.body["recipient"], "bob");
    assert_eq!(
        code(house.on_http("carol", command).await),
        Code::NotAMember
    );
}
