//! Inboxes in the words of `stories`: what clients ask of them, and what becomes a notification.

use relais_core::command::{Command, InboxCommand, NewNotification, WhichRead};
use relais_core::error::Code;
use relais_core::event::{Event, EventKind};
use relais_core::ids::{AudienceKey, Id, RoomKey, UserId};
use relais_core::ports::Audiences;
use relais_core::vocabulary::App;
use serde_json::{Value, json};

use super::mistakes::added;
use super::{app, ask, ask_as, command, person, user};

fn item(kind: EventKind, body: Value) -> Event {
    Event {
        actor: Some(person("dj", "Marco", Some("dj"))),
        durable: true,
        ..Event::new(kind, body.as_object().unwrap().clone())
    }
}

fn user_key(id: &str) -> AudienceKey {
    AudienceKey::User(UserId::text(id))
}

/// The notices that the app makes of an event: type, to whom, title, message, data.
fn notices(app: &App, event: &Event) -> Vec<(String, Vec<AudienceKey>, Value)> {
    let made = Audiences::notices(app, event).into_iter();
    made.map(|notice| {
        let words = json!([notice.title, notice.message, notice.data]);
        (notice.kind.to_string(), notice.to, words)
    })
    .collect()
}

#[test]
fn a_story_a_chapter_and_a_follower_become_notifications() {
    let stories = app("stories");
    let body = json!({ "id": 9, "kind": "story", "fields": { "id": 9, "title": "Dawn" }, "owner": { "id": 1, "name": "Inès" } });
    let followers = vec![AudienceKey::Room(RoomKey::new("author", "1"))];
    let words = json!(["New story", "Dawn", { "storyId": 9, "authorId": 1 }]);
    assert_eq!(
        notices(&stories, &item(EventKind::ItemCreated, body)),
        [("story".to_owned(), followers, words)]
    );

    let body =
        json!({ "id": 2, "kind": "chapter", "fields": { "id": 2, "storyId": 9, "title": "Noon" } });
    let story = RoomKey::new("story", "9");
    let chapter = Event {
        room: Some(story.clone()),
        ..item(EventKind::ItemCreated, body)
    };
    let words = json!(["New chapter", "Noon", { "storyId": 9, "chapterId": 2 }]);
    assert_eq!(
        notices(&stories, &chapter),
        [("chapter".to_owned(), vec![AudienceKey::Room(story)], words)]
    );

    let follow = |kind: &str| Event {
        room: Some(RoomKey::new(kind, "1")),
        ..item(EventKind::MemberAdded, json!({ "userId": 7 }))
    };
    let words = json!(["New follower", "Marco", { "userId": "dj" }]);
    assert_eq!(
        notices(&stories, &follow("author")),
        [("follower".to_owned(), vec![user_key("1")], words)]
    );
    assert_eq!(notices(&stories, &follow("story")), []);
    let mut of_a_story = follow("story");
    let owner = json!({ "id": 5, "name": "Inès" });
    of_a_story.body.insert("owner".into(), owner);
    of_a_story.body.insert("itemId".into(), 1.into());
    let words = json!(["New follower", "Marco", { "userId": "dj", "storyId": 1 }]);
    assert_eq!(
        notices(&stories, &of_a_story),
        [("follower".to_owned(), vec![user_key("5")], words)]
    );
}

#[test]
fn without_an_owner_nobody_is_notified_of_a_story_as_a_follower() {
    let body = json!({ "id": 9, "kind": "story", "fields": { "title": "Dawn" } });
    let event = item(EventKind::ItemCreated, body);
    assert_eq!(notices(&app("stories"), &event), []);
}

fn read_of(which: WhichRead) -> Command {
    Command::Inbox(InboxCommand::Read(which))
}

#[test]
fn what_clients_ask_of_an_inbox_becomes_commands() {
    let stories = app("stories");
    let id = "0197b5e0-0000-7000-8000-000000000001";
    let read = |payload: Value| match ask(&stories, "notification:read", &[payload]) {
        Ok(request) => Ok(request.command),
        Err(error) => Err((error.code, error.message)),
    };
    let one = WhichRead::One(Id(id.parse().unwrap()));
    assert_eq!(read(json!({ "id": id })), Ok(read_of(one)));
    let all = Ok(read_of(WhichRead::All));
    assert_eq!(read(json!({ "all": true })), all);
    let neither =
        r#"unable to take "notification:read"; it says neither which ("id") nor "all": true"#;
    let refused = Err((Code::InvalidPayload, neither.to_owned()));
    assert_eq!(read(json!({})), refused);
    assert_eq!(read(json!({ "all": false })), refused);
    let foreign = r#"unable to take "notification:read"; "id" is not the id of a notification"#;
    let refused = Err((Code::InvalidPayload, foreign.to_owned()));
    assert_eq!(read(json!({ "id": 7 })), refused);
    assert_eq!(read(json!({ "id": "seven" })), refused);

    let page = command(
        &stories,
        "get:notifications",
        &[json!({ "before": id, "limit": 3 })],
    );
    let before = Some(Id(id.parse().unwrap()));
    assert_eq!(
        page,
        Command::Inbox(InboxCommand::List { before, limit: 3 })
    );

    let payload = json!({ "userId": 2, "notification": { "title": "Hi", "message": "there", "data": { "n": 1 } } });
    let author = user("1", Some("author"));
    let sent = ask_as(
        &stories,
        &author,
        "send:notification",
        std::slice::from_ref(&payload),
    );
    let expected = Command::Inbox(InboxCommand::Send(NewNotification {
        user: UserId::text("2"),
        kind: None,
        title: "Hi".to_owned(),
        message: "there".to_owned(),
        data: Some(json!({ "n": 1 })),
    }));
    assert_eq!(sent.unwrap().command, expected);
    let refused = ask(&stories, "send:notification", &[payload]).unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
}

#[test]
fn what_cannot_be_a_notification_is_told_at_start() {
    let words = "data = { title = \"=News\", message = \"=x\" }";
    let made = |on: &str, more: &str| {
        added(&format!(
            "[notify.types.news]\non = \"{on}\"\n{more}\n{words}"
        ))
    };
    assert_eq!(
        made("message.sent", "to = \"tenant\""),
        "demo.toml:20:6: \"tenant\" has no inboxes; name users, or rooms with join = [\"member\"]"
    );
    assert_eq!(
        made("message.sent", "to = [[\"actor\", \"role:dj\"]]"),
        "demo.toml:20:17: \"role:dj\" has no inboxes; name users, or rooms with join = [\"member\"]"
    );
    assert_eq!(
        made("message.sent", "to = \"lobby:{sender.id}\""),
        "demo.toml:20:6: \"lobby:{sender.id}\" has no inboxes; name users, or rooms with join = [\"member\"]"
    );
    assert_eq!(
        made("typing.changed", "to = \"actor\""),
        "demo.toml:19:6: \"typing.changed\" cannot make a notification: it is not stored, or is one itself"
    );
    assert_eq!(
        made("message.sent", ""),
        "demo.toml:18:15: \"to\" is missing; for example to = \"user:{actor.id}\""
    );
    let untitled =
        "[notify.types.news]\non = \"message.sent\"\nto = \"actor\"\ndata = { title = \"=News\" }";
    assert_eq!(
        added(untitled),
        "demo.toml:21:1: \"message\" is missing; a notification has title, message and data"
    );
}
