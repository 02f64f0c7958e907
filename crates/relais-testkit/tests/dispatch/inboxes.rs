//! Inboxes: what is sent, listed and read, and what events make of themselves.

use std::sync::atomic::Ordering;

use relais_core::command::{Command, InboxCommand, NewMessage, NewNotification, WhichRead};
use relais_core::dispatch::RECORD_BYTES_MAX;
use relais_core::error::Code;
use relais_core::event::{EventKind, Record};
use relais_core::ids::{AudienceKey, Conversation, Id};
use relais_core::ports::CommitError;
use serde_json::{Value, json};

use super::house::*;

fn notification(to: &str, title: &str) -> NewNotification {
    NewNotification {
        user: user(to),
        kind: Some("like".into()),
        title: title.into(),
        message: "Somebody likes it".into(),
        data: Some(json!({ "storyId": 7 })),
    }
}

fn notify(to: &str, title: &str) -> Command {
    Command::Inbox(InboxCommand::Send(notification(to, title)))
}

fn read_one(id: &Value) -> Command {
    let id = id.as_str().unwrap().parse().unwrap();
    Command::Inbox(InboxCommand::Read(WhichRead::One(Id(id))))
}

fn speak(club_of: &str, body: &str) -> Command {
    Command::SendMessage(NewMessage {
        conversation: Conversation::Room(club(club_of)),
        ..message("1", body)
    })
}

/// Types and titles of an inbox, newest first.
async fn titles(house: &House, name: &str) -> Vec<String> {
    let page = house.on_http(name, inbox()).await.unwrap();
    let all = page["notifications"].as_array().unwrap();
    all.iter()
        .map(|one| format!("{} {}", one["type"].as_str().unwrap(), one["title"]))
        .collect()
}

fn records(house: &House, kind: EventKind) -> Vec<Record> {
    let records = house.told.records.lock().unwrap();
    let of_kind = records.iter().filter(|record| record.event.kind == kind);
    of_kind.map(|record| (**record).clone()).collect()
}

#[tokio::test]
async fn a_notification_is_kept_told_listed_and_counted() {
    let house = House::new();
    let answer = house.by_key(notify("bob", "One")).await.unwrap();
    let sent = &answer["notification"];
    assert_eq!(sent["title"], "One");
    assert_eq!(sent["type"], "like");
    assert_eq!(sent["data"], json!({ "storyId": 7 }));
    assert_eq!(sent["read"], false);
    let told = &records(&house, EventKind::NotifySent)[0];
    assert_eq!(told.audience.to, [AudienceKey::User(user("bob"))]);
    assert_eq!(Value::Object(told.event.body.clone()), *sent);
    house.on_http("alice", notify("bob", "Two")).await.unwrap();
    let page = house.on_http("bob", inbox()).await.unwrap();
    assert_eq!(page["notifications"][1], *sent);
    assert_eq!(
        (&page["unread"], &page["hasMore"]),
        (&json!(2), &json!(false))
    );
    assert_eq!(titles(&house, "alice").await, [] as [&str; 0]);
    assert_eq!(code(house.by_key(inbox()).await), Code::Forbidden);
}

#[tokio::test]
async fn reading_is_told_to_the_users_other_sessions_once() {
    let house = House::new();
    house.connect("bob", "b1").await;
    let first = house.by_key(notify("bob", "One")).await.unwrap();
    for title in ["Two", "Three"] {
        house.by_key(notify("bob", title)).await.unwrap();
    }
    let id = &first["notification"]["id"];
    for _ in 0..2 {
        let answer = house.on_session("bob", "b1", read_one(id)).await.unwrap();
        assert_eq!(answer["unread"], 2);
    }
    let all = Command::Inbox(InboxCommand::Read(WhichRead::All));
    for _ in 0..2 {
        let answer = house.on_session("bob", "b1", all.clone()).await.unwrap();
        assert_eq!(answer["unread"], 0);
    }
    let told = records(&house, EventKind::NotifyRead);
    let bodies: Vec<_> = told
        .iter()
        .map(|one| one.event.body.clone().into())
        .collect::<Vec<Value>>();
    assert_eq!(
        bodies,
        [json!({ "id": id, "all": false }), json!({ "all": true })]
    );
    assert_eq!(told[0].audience.to, [AudienceKey::User(user("bob"))]);
    assert_eq!(told[0].audience.except_session, Some(sid("b1")));
}

#[tokio::test]
async fn what_an_inbox_has_not_cannot_be_read() {
    let house = House::new();
    let sent = house.by_key(notify("bob", "One")).await.unwrap();
    let read = read_one(&sent["notification"]["id"]);
    assert_eq!(
        code(house.on_http("alice", read.clone()).await),
        Code::NotFound
    );
    assert_eq!(code(house.by_key(read).await), Code::Forbidden);
}

#[tokio::test]
async fn a_notification_over_the_limit_is_refused_and_stored_nowhere() {
    let house = House::new();
    let large = Command::Inbox(InboxCommand::Send(NewNotification {
        data: Some(Value::String("x".repeat(RECORD_BYTES_MAX))),
        ..notification("bob", "Large")
    }));
    assert_eq!(code(house.by_key(large).await), Code::TooLarge);
    assert_eq!(titles(&house, "bob").await, [] as [&str; 0]);
}

#[tokio::test]
async fn an_event_makes_notifications_in_its_own_transaction() {
    let house = House::new();
    for name in ["bob", "carol"] {
        house.on_http(name, follow("alice")).await.unwrap();
    }
    let commits = house.store.faults.commits.load(Ordering::SeqCst);
    house.on_http("bob", speak("alice", "hi")).await.unwrap();
    assert_eq!(
        house.store.faults.commits.load(Ordering::SeqCst),
        commits + 1
    );
    assert_eq!(titles(&house, "carol").await, ["message.sent \"News\""]);
    assert_eq!(
        titles(&house, "bob").await,
        [] as [&str; 0],
        "not of one's own"
    );
    let told = records(&house, EventKind::NotifySent);
    let told = told.last().unwrap();
    assert_eq!(told.audience.to, [AudienceKey::Room(club("alice"))]);
    assert_eq!(told.audience.except_user, Some(user("bob")));
    let cause = records(&house, EventKind::MessageSent).pop().unwrap();
    assert_eq!(
        told.position.0,
        cause.position.0 + 1,
        "right behind its cause"
    );
}

#[tokio::test]
async fn what_is_not_committed_notifies_nobody() {
    let house = House::new();
    house.on_http("bob", follow("alice")).await.unwrap();
    let refusals = [CommitError::IdempotencyConflict];
    house.store.faults.refusals.lock().unwrap().extend(refusals);
    house
        .on_http("bob", speak("alice", "hi"))
        .await
        .unwrap_err();
    assert_eq!(titles(&house, "bob").await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_message_that_was_sent_before_notifies_nobody_again() {
    let house = House::new();
    for name in ["bob", "carol"] {
        house.on_http(name, follow("alice")).await.unwrap();
    }
    let Command::SendMessage(once) = speak("alice", "hi") else {
        panic!("a message")
    };
    let once = Command::SendMessage(NewMessage {
        key: Some("k".into()),
        ..once
    });
    for _ in 0..2 {
        house.on_http("bob", once.clone()).await.unwrap();
    }
    assert_eq!(titles(&house, "carol").await.len(), 1);
}

#[tokio::test]
async fn a_ping_is_answered_with_the_time() {
    let house = House::new();
    let answer = house.on_http("alice", Command::Ping).await.unwrap();
    assert_eq!(answer["at"], house.now().wall.to_string());
}

#[tokio::test]
async fn a_page_before_what_is_not_in_one_s_own_inbox_is_not_found() {
    let house = House::new();
    let before = |id: &Value| {
        Command::Inbox(InboxCommand::List {
            before: Some(Id(id.as_str().unwrap().parse().unwrap())),
            limit: 50,
        })
    };
    let one = house.by_key(notify("bob", "One")).await.unwrap();
    let id = &one["notification"]["id"];
    let page = house.on_http("bob", before(id)).await.unwrap();
    assert_eq!(page["notifications"], json!([]));
    assert_eq!(
        code(house.on_http("alice", before(id)).await),
        Code::NotFound
    );
}
