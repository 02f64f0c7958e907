//! One user's data through the door: exported whole, erased so that neither pages nor replays show it, to nobody but the backend.

use relais_core::command::{
    Command, ExportMark, InboxCommand, NewNotification, PersonalCommand, SeqRange,
};
use relais_core::error::Code;
use relais_core::ids::{AudienceKey, Position};
use relais_core::restriction::{Against, Hold};
use serde_json::{Value, json};

use crate::house::*;

async fn export(house: &House, name: &str) -> Vec<Value> {
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let command = Command::Personal(PersonalCommand::Export {
            user: user(name),
            after,
        });
        let page = house.by_key(command).await.unwrap();
        lines.extend(page["records"].as_array().unwrap().iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            None => return lines,
            Some("") => after = Some(ExportMark::State),
            Some(id) => {
                after = Some(ExportMark::Message(relais_core::ids::Id(
                    id.parse().unwrap(),
                )))
            }
        }
    }
}

fn types(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect()
}

fn erase(name: &str) -> Command {
    Command::Personal(PersonalCommand::Erase { user: user(name) })
}

async fn talked() -> House {
    let house = House::new();
    house.enter("ann", "a1").await;
    house.enter("bob", "b1").await;
    house.by_key(add("1", "ann")).await.unwrap();
    house
        .on_session("ann", "a1", keyed("1", "secret", "k1"))
        .await
        .unwrap();
    house
        .on_session("bob", "b1", send("1", "hello"))
        .await
        .unwrap();
    house
}

#[tokio::test]
async fn an_export_has_what_is_stored_about_a_user_and_nothing_of_others() {
    let house = talked().await;
    let mute = Command::Impose {
        against: Against::User(user("ann")),
        hold: Hold::Muted,
        until: None,
    };
    house.by_key(mute).await.unwrap();
    let notification = NewNotification {
        user: user("ann"),
        kind: Some("invoice".into()),
        title: "Invoice".into(),
        message: "paid".into(),
        data: None,
    };
    let notify = Command::Inbox(InboxCommand::Send(notification));
    house.by_key(notify).await.unwrap();
    let lines = export(&house, "ann").await;
    assert_eq!(
        types(&lines),
        [
            "presence",
            "membership",
            "restriction",
            "notification",
            "message"
        ]
    );
    assert_eq!(lines[0]["data"]["online"], true);
    assert_eq!(lines[2]["data"]["hold"], "muted");
    assert_eq!(lines[4]["data"]["body"], "secret");
    assert!(export(&house, "nobody").await.is_empty());
}

#[tokio::test]
async fn what_was_erased_is_in_no_page_and_no_replay_and_the_rest_is() {
    let house = talked().await;
    let answer = house.by_key(erase("ann")).await.unwrap();
    assert_eq!(
        (&answer["messages"], &answer["memberships"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        *house.hub.closed.lock().unwrap(),
        [Against::User(user("ann"))]
    );
    let page = house
        .by_key(history("1", SeqRange::default(), 10))
        .await
        .unwrap();
    let messages = page["messages"].as_array().unwrap();
    assert_eq!(
        (&messages[0]["body"], &messages[0]["sender"]["id"]),
        (&json!(""), &json!(""))
    );
    assert!(messages[0]["deletedAt"].is_string());
    assert_eq!(messages[1]["body"], "hello");
    let log = house
        .tenant_store()
        .await
        .log(Position(0), 100)
        .await
        .unwrap()
        .records;
    assert!(!format!("{log:?}").contains("secret"));
    assert!(
        log.iter()
            .any(|record| record.event.body.get("body") == Some(&json!("hello")))
    );
    let to_ann = |record: &&std::sync::Arc<relais_core::event::Record>| {
        record.audience.to == [AudienceKey::User(user("ann"))]
    };
    assert_eq!(log.iter().filter(to_ann).count(), 0);
    assert!(export(&house, "ann").await.is_empty());
    let again = house.by_key(erase("ann")).await.unwrap();
    assert_eq!(
        Value::Object(again),
        json!({"messages": 0, "records": 0, "memberships": 0})
    );
    house.dispatcher.persist(house.now()).await.unwrap();
    let house = house.restart();
    assert!(export(&house, "ann").await.is_empty());
}

#[tokio::test]
async fn an_erased_user_is_seen_leaving_and_no_session_of_theirs_comes_back() {
    let house = talked().await;
    house.told.volatile.lock().unwrap().clear();
    house.by_key(erase("ann")).await.unwrap();
    let told = std::mem::take(&mut *house.told.volatile.lock().unwrap());
    let kinds: Vec<_> = told.iter().map(|told| told.event.kind.name()).collect();
    for kind in ["room.left", "presence.offline", "room.member_removed"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert!(house.resume("ann", "a1").await.is_none());
}

#[tokio::test]
async fn only_the_backend_exports_erases_and_disconnects() {
    let house = talked().await;
    let disconnect = || {
        Command::Personal(PersonalCommand::Disconnect {
            whose: Against::User(user("bob")),
        })
    };
    let export = Command::Personal(PersonalCommand::Export {
        user: user("ann"),
        after: None,
    });
    for command in [disconnect(), export, erase("ann")] {
        assert_eq!(code(house.on_http("ann", command).await), Code::Forbidden);
    }
    house.by_key(disconnect()).await.unwrap();
    assert_eq!(
        *house.hub.closed.lock().unwrap(),
        [Against::User(user("bob"))]
    );
}
