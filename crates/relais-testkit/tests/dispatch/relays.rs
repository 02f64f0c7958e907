//! Relays: to whom, stored or not, and what the answer counts.

use std::sync::Arc;

use relais_core::command::Command;
use relais_core::error::Code;
use relais_core::ids::AudienceKey;
use serde_json::json;

use crate::house::*;

fn relay(to: Vec<AudienceKey>, durable: bool) -> Command {
    Command::Relay {
        event: "notification".into(),
        data: json!({ "title": "hi" }),
        to,
        durable,
    }
}

fn to_user(name: &str) -> Vec<AudienceKey> {
    vec![AudienceKey::User(user(name))]
}

#[tokio::test]
async fn a_durable_relay_is_a_record_for_its_addressees() {
    let house = House::new();
    house.connect("alice", "a1").await;
    house.connect("alice", "a2").await;
    let answer = house.by_key(relay(to_user("alice"), true)).await.unwrap();
    assert_eq!(
        json!(answer),
        json!({ "recipients": 2, "delivered": 2, "online": true })
    );
    let record = house.told.records.lock().unwrap()[0].clone();
    assert_eq!(record.audience.to, to_user("alice"));
    assert_eq!(record.event.body["event"], "notification");
    assert_eq!(record.event.body["data"], json!({ "title": "hi" }));
}

#[tokio::test]
async fn a_volatile_relay_is_no_record_and_reaches_nobody_who_is_away() {
    let house = House::new();
    let answer = house.by_key(relay(to_user("alice"), false)).await.unwrap();
    assert_eq!(
        json!(answer),
        json!({ "recipients": 0, "delivered": 0, "online": false })
    );
    assert!(house.told.records.lock().unwrap().is_empty());
    assert_eq!(house.told.volatile.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_in_grace_is_online_but_not_reached() {
    let house = House::new();
    house.connect("alice", "a1").await;
    house.depart("a1", Departure::Lost);
    let answer = house.by_key(relay(to_user("alice"), true)).await.unwrap();
    assert_eq!(
        json!(answer),
        json!({ "recipients": 0, "delivered": 0, "online": true })
    );
}

#[tokio::test]
async fn each_session_is_counted_once_however_it_is_addressed() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house.connect("carol", "c1").await;
    let mut to = to_user("alice");
    to.push(AudienceKey::Room(bam("1")));
    let answer = house.by_key(relay(to, true)).await.unwrap();
    assert_eq!(answer["recipients"], 2);
    let everyone = relay(vec![AudienceKey::Tenant], true);
    assert_eq!(house.by_key(everyone).await.unwrap()["recipients"], 3);
}

#[tokio::test]
async fn a_user_relays_only_into_rooms_that_the_session_has_joined() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let to = |id| vec![AudienceKey::Room(bam(id))];
    house
        .on_session("alice", "a1", relay(to("1"), false))
        .await
        .unwrap();
    let other = house.on_session("alice", "a1", relay(to("2"), false)).await;
    assert_eq!(code(other), Code::NotInRoom);
}

#[tokio::test]
async fn a_relay_has_addressees_and_fits_a_record() {
    let house = House::new();
    assert_eq!(
        code(house.by_key(relay(Vec::new(), true)).await),
        Code::InvalidPayload
    );
    let large = Command::Relay {
        event: Arc::from("notification"),
        data: "x".repeat(70_000).into(),
        to: to_user("alice"),
        durable: true,
    };
    assert_eq!(code(house.by_key(large).await), Code::TooLarge);
}
