//! One user's data through the door: exported whole, erased so that neither pages nor replays show it, to nobody but the backend.

use relais_core::command::{
    Command, ExportMark, InboxCommand, ItemAction, ItemRequest, NewNotification, PersonalCommand,
    SeqRange,
};
use relais_core::error::Code;
use relais_core::ids::{AudienceKey, ItemId, ItemKey, Position};
use relais_core::restriction::{Against, Hold};
use serde_json::{Value, json};

use crate::house::*;
use crate::items::{ask, create};

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
            Some(mark) => after = Some(mark.parse::<ExportMark>().unwrap()),
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
        json!({"messages": 0, "records": 0, "memberships": 0, "items": 0, "assignments": 0})
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

/// Ann asks for a song and is given a task of Cleo's; Cleo asks for a song too.
async fn with_items() -> (House, [ItemKey; 3]) {
    let house = talked().await;
    let song = |title: &str| create("music", json!({ "title": title }));
    let mut task = create("task", json!({ "title": "lanterns" }));
    task.assignee = Some(Some(user("ann")));
    let mut keys = Vec::new();
    for (who, request) in [
        ("ann", song("secret song")),
        ("cleo", task),
        ("cleo", song("theirs")),
    ] {
        let shelf = request.shelf.clone();
        let answer = ask(&house, who, request).await.unwrap();
        let id = ItemId::text(answer["item"]["id"].as_str().unwrap());
        keys.push(ItemKey { shelf, id });
    }
    (house, keys.try_into().unwrap())
}

#[tokio::test]
async fn an_export_has_the_items_that_a_user_owns_and_was_given_and_no_others() {
    let (house, [song, task, _]) = with_items().await;
    let lines = export(&house, "ann").await;
    let items = lines.iter().filter(|line| line["type"] == "item");
    let ids: Vec<&Value> = items.map(|line| &line["data"]["id"]).collect();
    assert_eq!(ids, [&song.id.to_json(), &task.id.to_json()]);
    assert_eq!(types(&lines).last(), Some(&"message"));
}

#[tokio::test]
async fn an_erased_user_s_own_items_go_with_their_files_and_those_of_others_are_nobody_s_any_more()
{
    let (house, [song, task, other]) = with_items().await;
    let file = relais_core::event::FileInfo {
        id: relais_core::ids::Id(Default::default()),
        filename: "ann.png".into(),
        path: "p".into(),
        content_type: "image/png".into(),
        bytes: 1,
    };
    let mut attach = ItemRequest::new(ItemAction::Attach, song.shelf.clone());
    (attach.id, attach.file) = (Some(song.id.clone()), Some(file));
    ask(&house, "ann", attach).await.unwrap();
    let answer = house.by_key(erase("ann")).await.unwrap();
    assert_eq!(
        (&answer["items"], &answer["assignments"]),
        (&json!(1), &json!(1))
    );
    let forgotten = house.hub.forgotten.lock().unwrap().clone();
    let forgotten: Vec<_> = forgotten.iter().map(|file| &*file.path).collect();
    assert_eq!(forgotten, ["p"]);
    let store = house.tenant_store().await;
    assert_eq!(store.item(&song).await.unwrap(), None);
    let task = store.item(&task).await.unwrap().unwrap();
    assert_eq!(
        (task.assignee, task.owner.map(|owner| owner.id)),
        (None, Some(user("cleo")))
    );
    assert_eq!(task.fields["title"], "lanterns");
    assert!(store.item(&other).await.unwrap().is_some());
    let log = store.log(Position(0), 100).await.unwrap().records;
    let shown = format!("{log:?}");
    for word in ["secret song", "\"ann\"", "ANN"] {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    let told = log.last().unwrap();
    assert_eq!(
        (told.event.kind.name(), told.event.body.get("assignee")),
        ("item.updated", None)
    );
    assert!(export(&house, "ann").await.is_empty());
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
