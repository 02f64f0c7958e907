//! Relays: to whom, stored or not, and what the answer counts.

use std::sync::Arc;

use bytes::Bytes;
use relais_core::command::{Actor, Command, NewRelay, Origin};
use relais_core::error::Code;
use relais_core::event::Volatile;
use relais_core::ids::{AudienceKey, RoomKey};
use serde_json::json;

use crate::house::*;

fn relay(to: Vec<AudienceKey>, durable: bool) -> Command {
    Command::Relay(NewRelay {
        event: "notification".into(),
        data: json!({ "title": "hi" }),
        to,
        durable,
        counts: true,
        ..NewRelay::default()
    })
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
    let large = Command::Relay(NewRelay {
        event: Arc::from("notification"),
        data: "x".repeat(70_000).into(),
        to: to_user("alice"),
        durable: true,
        ..NewRelay::default()
    });
    assert_eq!(code(house.by_key(large).await), Code::TooLarge);
}

#[tokio::test]
async fn a_user_need_not_be_in_a_room_that_the_file_names_after_them() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let relay = |own: Vec<RoomKey>| {
        Command::Relay(NewRelay {
            event: "profile".into(),
            to: vec![AudienceKey::Room(bam("alice"))],
            own,
            durable: true,
            ..NewRelay::default()
        })
    };
    let own = house.on_session("alice", "a1", relay(vec![bam("alice")]));
    assert_eq!(own.await.unwrap().len(), 0);
    let other = house.on_session("alice", "a1", relay(Vec::new())).await;
    assert_eq!(code(other), Code::NotInRoom);
    assert_eq!(house.told.records.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_sent_it_stands_beside_the_data() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let to = vec![AudienceKey::Room(bam("1"))];
    let sent = house.on_session("alice", "a1", relay(to, true)).await;
    sent.unwrap();
    let record = house.told.records.lock().unwrap()[0].clone();
    let actor = record.event.actor.as_ref().map(|actor| actor.id.as_str());
    assert_eq!(actor, Some("alice"));
    assert_eq!(record.event.session, Some(sid("a1")));
    assert_eq!(record.event.room, Some(bam("1")));
}

#[tokio::test]
async fn durable_relays_are_stored_in_the_order_in_which_they_were_asked_for() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let to = vec![AudienceKey::Room(bam("1"))];
    let ask = |number: u32| {
        let command = Command::Relay(NewRelay {
            event: "numbered".into(),
            data: number.into(),
            to: to.clone(),
            durable: true,
            ..NewRelay::default()
        });
        house.on_session("alice", "a1", command)
    };
    let (one, two, three) = tokio::join!(ask(1), ask(2), ask(3));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    let records = house.told.records.lock().unwrap();
    let numbers: Vec<_> = records
        .iter()
        .map(|r| r.event.body["data"].clone())
        .collect();
    assert_eq!(numbers, [json!(1), json!(2), json!(3)]);
}

#[tokio::test]
async fn what_cannot_be_stored_has_no_binary_arguments() {
    let house = House::new();
    let binary = |durable| {
        Command::Relay(NewRelay {
            event: "image".into(),
            attachments: vec![Bytes::from_static(b"png")],
            to: to_user("alice"),
            durable,
            ..NewRelay::default()
        })
    };
    assert_eq!(code(house.by_key(binary(true)).await), Code::InvalidPayload);
    house.by_key(binary(false)).await.unwrap();
    let told = house.told.volatile.lock().unwrap();
    assert_eq!(told[0].event.attachments, [Bytes::from_static(b"png")]);
}

/// What is passed on at once: the answer, and what was published the near way.
fn pass_on(house: &House, command: Command) -> (Option<Answer>, Vec<Volatile>, Command) {
    let origin = Origin::Session { id: sid("a1") };
    let actor = Actor::User(Arc::new(identity("alice")));
    let mut invocation = house.invocation(actor, origin, command);
    let mut published = Vec::new();
    let publish = |event| published.push(event);
    let answer = house.dispatcher.pass_on(&mut invocation, publish);
    (answer, published, invocation.command)
}

#[tokio::test]
async fn a_volatile_relay_of_a_session_is_published_the_near_way_before_the_call_returns() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house.heard();
    let to = |id| vec![AudienceKey::Room(bam(id))];
    let (answer, published, _) = pass_on(&house, relay(to("1"), false));
    assert_eq!(answer.unwrap().unwrap()["recipients"], 2);
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].event.body["data"], json!({ "title": "hi" }));
    assert!(house.heard().is_empty());

    let (refused, published, _) = pass_on(&house, relay(to("2"), false));
    assert_eq!(code(refused.unwrap()), Code::NotInRoom);
    assert!(published.is_empty());
}

#[tokio::test]
async fn what_has_to_wait_is_not_passed_on_at_once_and_stays_as_it_was() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let durable = relay(vec![AudienceKey::Room(bam("1"))], true);
    for command in [durable, send("1", "hi")] {
        let (answer, published, left) = pass_on(&house, command.clone());
        assert!(answer.is_none() && published.is_empty());
        assert_eq!(left, command);
    }
}
