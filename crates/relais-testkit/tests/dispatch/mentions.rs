//! Who is named by `@`: people of the room, joined or not, in the transaction of the message that names them.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use relais_core::command::{Actor, Command, NewMessage, Origin, Revision};
use relais_core::event::EventKind;
use relais_core::ids::{AudienceKey, Id, Position, UserId};
use serde_json::{Value, json};

use crate::house::*;

/// Who was told by a record of their own, and what.
fn told(house: &House) -> Vec<(String, Value)> {
    let records = house.told.records.lock().unwrap();
    let mentions = records
        .iter()
        .filter(|record| record.event.kind == EventKind::MessageMentioned);
    let row = mentions.map(|record| {
        let target: &UserId = record.event.target.as_ref().unwrap();
        assert_eq!(record.audience.to, [AudienceKey::User(target.clone())]);
        assert_eq!(record.event.room, Some(bam("1")));
        (target.to_string(), Value::Object(record.event.body.clone()))
    });
    row.collect()
}

fn names(house: &House) -> Vec<String> {
    told(house).into_iter().map(|(name, _)| name).collect()
}

async fn say(house: &House, body: &str) -> Value {
    let answer = house.on_session("alice", "a1", send("1", body)).await;
    answer.unwrap()["message"].clone()
}

#[tokio::test]
async fn somebody_who_has_not_joined_is_named_by_name_or_id_with_the_message_itself() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.enter("alice", "a1").await;
    let message = say(&house, "Hello @BOB, look").await;
    assert_eq!(message["mentions"], json!(["bob"]));
    let expected = json!({ "messageId": message["id"], "excerpt": "Hello @BOB, look" });
    assert_eq!(told(&house), [("bob".to_owned(), expected)]);
    let records = house.told.records.lock().unwrap();
    let positions: Vec<_> = records.iter().map(|record| record.position).collect();
    assert_eq!(positions, [Position(1), Position(2)]);
    assert_eq!(house.store.faults.people.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_came_before_the_restart_is_still_known() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.dispatcher.persist(house.now()).await.unwrap();
    let house = house.restart();
    house.enter("alice", "a1").await;
    assert_eq!(say(&house, "@bob").await["mentions"], json!(["bob"]));
}

#[tokio::test]
async fn a_member_who_never_came_is_named_by_id_and_a_removed_one_is_not() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.enter("alice", "a1").await;
    house.by_key(add("1", "dan")).await.unwrap();
    house.by_key(remove("1", "bob")).await.unwrap();
    say(&house, "@dan and @bob").await;
    assert_eq!(names(&house), ["dan"]);
    house.by_key(add("1", "bob")).await.unwrap();
    house.by_key(remove("1", "dan")).await.unwrap();
    say(&house, "@dan and @bob").await;
    assert_eq!(names(&house), ["dan", "bob"]);
}

#[tokio::test]
async fn nobody_is_named_to_themselves_nor_twice_nor_without_being_in_the_room() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.enter("alice", "a1").await;
    let message = say(&house, "@alice @bob @BOB @stranger").await;
    assert_eq!(message["mentions"], json!(["bob"]));
    assert_eq!(names(&house), ["bob"]);
}

#[tokio::test]
async fn a_private_message_names_only_its_recipient() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.meet("eve", "e1").await;
    house.enter("alice", "a1").await;
    let psst = private("1", "bob", "@eve must not know, @bob");
    house.on_session("alice", "a1", psst).await.unwrap();
    assert_eq!(names(&house), ["bob"]);
}

#[tokio::test]
async fn an_edit_tells_only_those_whom_the_text_did_not_name_before() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.meet("eve", "e1").await;
    house.enter("alice", "a1").await;
    let message = say(&house, "@bob").await;
    let edit = |body: &str| {
        Command::Revise(Revision {
            id: Id(message["id"].as_str().unwrap().parse().unwrap()),
            body: Some(body.into()),
            moderates: false,
        })
    };
    let edited = house.on_session("alice", "a1", edit("@bob @eve")).await;
    assert_eq!(
        edited.unwrap()["message"]["mentions"],
        json!(["bob", "eve"])
    );
    assert_eq!(names(&house), ["bob", "eve"]);
    let edited = house.on_session("alice", "a1", edit("nobody")).await;
    assert_eq!(edited.unwrap()["message"]["mentions"], json!([]));
    assert_eq!(names(&house), ["bob", "eve"]);
}

#[tokio::test]
async fn the_same_temporary_id_tells_nobody_twice() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.enter("alice", "a1").await;
    for _ in 0..2 {
        let keyed = keyed("1", "@bob", "t1");
        house.on_session("alice", "a1", keyed).await.unwrap();
    }
    assert_eq!(names(&house), ["bob"]);
}

#[tokio::test]
async fn a_message_that_names_somebody_is_with_the_store_when_it_was_polled_once() {
    let house = House::new();
    house.meet("bob", "b1").await;
    house.enter("alice", "a1").await;
    house.store.faults.stuck.store(true, Ordering::SeqCst);
    let before = house.store.faults.commits.load(Ordering::SeqCst);
    let actor = Actor::User(std::sync::Arc::new(identity("alice")));
    let origin = Origin::Session { id: sid("a1") };
    let sends: Vec<_> = (0..3)
        .map(|number| {
            let command = Command::SendMessage(NewMessage {
                ..message("1", &format!("{number} @bob"))
            });
            let invocation = house.invocation(actor.clone(), origin.clone(), command);
            let mut sent = Box::pin(house.dispatcher.dispatch(invocation));
            assert!((&mut sent).now_or_never().is_none());
            sent
        })
        .collect();
    let after = house.store.faults.commits.load(Ordering::SeqCst);
    assert_eq!(after - before, sends.len() as u64);
}
