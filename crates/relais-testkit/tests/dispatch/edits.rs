//! Editing and deleting messages: who may, who hears of it, and what is left.

use std::sync::Arc;

use relais_core::command::{Command, NewMessage, Revision};
use relais_core::error::Code;
use relais_core::event::{EventKind, Facts, Record};
use relais_core::ids::{AudienceKey, Conversation, Id};
use relais_core::ports::{Change, Precondition, Transaction};
use serde_json::{Value, json};

use crate::house::*;

fn edit(message: &Value, body: &str) -> Command {
    Command::Revise(Revision {
        id: id(message),
        body: Some(body.into()),
        moderates: false,
    })
}

fn delete(message: &Value, moderates: bool) -> Command {
    Command::Revise(Revision {
        id: id(message),
        body: None,
        moderates,
    })
}

fn id(message: &Value) -> Id {
    Id(message["id"].as_str().unwrap().parse().unwrap())
}

async fn said(house: &House, name: &str, command: Command) -> Value {
    let answer = house.on_http(name, command).await.unwrap();
    answer["message"].clone()
}

async fn page(house: &House, name: &str) -> Facts {
    let newest = history("1", Default::default(), 10);
    house.on_http(name, newest).await.unwrap()
}

fn last(house: &House) -> Arc<Record> {
    house.told.records.lock().unwrap().last().unwrap().clone()
}

#[tokio::test]
async fn an_edit_of_the_author_is_told_to_the_room_and_takes_no_seq() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let message = said(&house, "alice", send("1", "hello")).await;
    house.pass(1_000);
    let answer = house.on_session("alice", "a1", edit(&message, "hello, all"));
    let edited = answer.await.unwrap()["message"].clone();
    let mut expected = message.clone();
    expected["body"] = "hello, all".into();
    expected["editedAt"] = "2023-11-14T22:15:01.000Z".into();
    assert_eq!(edited, expected);
    let record = last(&house);
    assert_eq!(record.event.kind, EventKind::MessageEdited);
    assert_eq!(record.seq, None);
    assert_eq!(Value::Object(record.event.body.clone()), expected);
    assert_eq!(record.audience.to, [AudienceKey::Room(bam("1"))]);
    assert_eq!(page(&house, "bob").await["messages"], json!([expected]));
    let next = said(&house, "alice", send("1", "next")).await;
    assert_eq!(next["seq"], 2);
}

#[tokio::test]
async fn two_edits_in_one_millisecond_are_answered_as_they_are_stored() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let message = said(&house, "alice", send("1", "one")).await;
    for body in ["two", "three"] {
        let edited = house.on_http("alice", edit(&message, body)).await.unwrap();
        assert_eq!(page(&house, "bob").await["messages"][0], edited["message"]);
    }
    let before = house.told.records.lock().unwrap().len();
    house
        .on_http("alice", edit(&message, "three"))
        .await
        .unwrap();
    let after = house.told.records.lock().unwrap().len();
    assert_eq!(after, before, "nothing has changed, so nobody is told");
}

#[tokio::test]
async fn only_the_author_edits_and_the_author_or_a_moderator_deletes() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let message = said(&house, "alice", send("1", "hello")).await;
    let foreign = house.on_http("bob", edit(&message, "bye")).await;
    assert_eq!(code(foreign), Code::Forbidden);
    let foreign = house.on_http("bob", delete(&message, false)).await;
    assert_eq!(code(foreign), Code::Forbidden);
    let answer = house.on_http("bob", delete(&message, true)).await.unwrap();
    assert_eq!(answer["id"], message["id"]);
    let record = last(&house);
    assert_eq!(record.event.kind, EventKind::MessageDeleted);
    assert_eq!(record.event.actor.as_ref().unwrap().id, user("bob"));
    assert_eq!(record.event.body["body"], "");
    let second = said(&house, "alice", send("1", "again")).await;
    house.by_key(delete(&second, true)).await.unwrap();
    assert_eq!(last(&house).event.actor, None);
}

#[tokio::test]
async fn whoever_was_removed_changes_nothing_any_more() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let message = said(&house, "alice", send("1", "hello")).await;
    house.by_key(remove("1", "alice")).await.unwrap();
    let edited = house.on_http("alice", edit(&message, "bye")).await;
    assert_eq!(code(edited), Code::NotAMember);
    let deleted = house.on_http("alice", delete(&message, true)).await;
    assert_eq!(code(deleted), Code::NotAMember);
}

#[tokio::test]
async fn a_deleted_message_is_empty_stays_deleted_and_cannot_be_edited() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let message = said(&house, "alice", keyed("1", "hello", "t1")).await;
    house
        .on_http("alice", delete(&message, false))
        .await
        .unwrap();
    let stored = page(&house, "bob").await["messages"][0].clone();
    assert_eq!(stored["body"], "");
    assert_eq!(stored["deletedAt"], "2023-11-14T22:15:00.000Z");
    let records = house.told.records.lock().unwrap().len();
    house
        .on_http("alice", delete(&message, false))
        .await
        .unwrap();
    assert_eq!(house.told.records.lock().unwrap().len(), records);
    let edited = house.on_http("alice", edit(&message, "back")).await;
    assert_eq!(code(edited), Code::InvalidState);
    let again = said(&house, "alice", keyed("1", "hello", "t1")).await;
    assert_eq!(again, stored, "the temporary id still stands for it");
}

#[tokio::test]
async fn an_unknown_message_is_not_found() {
    let house = House::new();
    let message = json!({ "id": "01890000-0000-7000-8000-000000000000" });
    let edited = house.on_http("alice", edit(&message, "x")).await;
    assert_eq!(code(edited), Code::NotFound);
    let deleted = house.on_http("alice", delete(&message, true)).await;
    assert_eq!(code(deleted), Code::NotFound);
}

#[tokio::test]
async fn a_private_message_stays_private_when_it_is_edited_or_deleted() {
    let house = House::new();
    for (name, session) in [("alice", "a1"), ("bob", "b1"), ("eve", "e1")] {
        house.enter(name, session).await;
    }
    let message = said(&house, "alice", private("1", "bob", "psst")).await;
    for moderates in [false, true] {
        let deleted = house.on_http("eve", delete(&message, moderates)).await;
        assert_eq!(code(deleted), Code::NotFound, "eve does not see it");
    }
    let both = [
        AudienceKey::User(user("alice")),
        AudienceKey::User(user("bob")),
    ];
    house
        .on_http("alice", edit(&message, "psst!"))
        .await
        .unwrap();
    assert_eq!(last(&house).audience.to, both);
    house
        .on_http("alice", delete(&message, false))
        .await
        .unwrap();
    assert_eq!(last(&house).audience.to, both);
}

#[tokio::test]
async fn a_message_of_a_direct_pair_is_theirs_alone() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let pair = Conversation::direct(user("alice"), user("bob"));
    let new = NewMessage {
        conversation: pair,
        recipient: Some(user("bob")),
        ..crate::house::message("1", "hello")
    };
    let message = said(&house, "alice", Command::SendMessage(new)).await;
    let edited = house.on_http("eve", edit(&message, "x")).await;
    assert_eq!(code(edited), Code::NotFound);
    let edited = house.on_http("bob", edit(&message, "x")).await;
    assert_eq!(code(edited), Code::Forbidden);
    house.on_http("alice", edit(&message, "bye")).await.unwrap();
    let both = [
        AudienceKey::User(user("alice")),
        AudienceKey::User(user("bob")),
    ];
    assert_eq!(last(&house).audience.to, both);
}

#[tokio::test]
async fn an_edit_that_meets_another_one_is_decided_again() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let message = said(&house, "alice", send("1", "hello")).await;
    let meanwhile = Transaction {
        preconditions: vec![Precondition::MessageUnchanged {
            id: id(&message),
            edited_at: None,
        }],
        changes: vec![Change::DeleteMessage { id: id(&message) }],
        ..Transaction::default()
    };
    let before = &house.store.faults.before;
    before.lock().unwrap().push_back(meanwhile);
    let edited = house.on_http("alice", edit(&message, "bye")).await;
    assert_eq!(code(edited), Code::InvalidState);
}
