//! The school's file: its addresses, its answers, and what messages and rooms become.

use relais_core::command::{Command, NewRoom, Revision};
use relais_core::error::Code;
use relais_core::vocabulary::Match;
use serde_json::json;

use super::{app, ask, ask_as, user};

#[test]
fn a_classroom_s_paths_are_one_connection_for_all_rooms_or_for_one() {
    let classroom = app("classroom");
    let found = |path: &'static str| {
        let mut paths = classroom.websocket.iter();
        paths.find_map(|own| Some((own.room.clone(), own.matches(path)?)))
    };
    assert_eq!(found("/ws/chat/"), Some((None, None)));
    assert_eq!(found("/ws/chat"), Some((None, None)));
    assert_eq!(
        found("/ws/chat/5b/"),
        Some((Some("chat".into()), Some("5b")))
    );
    assert_eq!(
        found("/ws/chat/5b"),
        Some((Some("chat".into()), Some("5b")))
    );
    assert_eq!(found("/ws/chat/5b/x"), None);
    assert_eq!(found("/ws/"), None);
}

#[test]
fn a_classroom_s_join_answers_with_an_event_too_and_its_people_have_permissions() {
    let classroom = app("classroom");
    let joined = ask(&classroom, "join_room", &[json!({ "roomId": "5b" })]).unwrap();
    let facts = json!({ "room": { "kind": "chat", "id": "5b" }, "online": [], "lastSeq": 2 });
    let (name, data) = joined.answer.event(facts.as_object().unwrap()).unwrap();
    assert_eq!(
        (&*name, &*data),
        (
            "room_joined",
            r#"{"roomId":"5b","onlineUsers":[],"lastSeq":2,"unread":null}"#
        )
    );
    let pong = ask(&classroom, "ping", &[]).unwrap();
    assert_eq!(pong.command, Command::Ping);
    assert_eq!(
        pong.answer.event(&serde_json::Map::new()).unwrap(),
        ("pong".into(), "{}".to_owned())
    );
    assert_eq!(
        classroom.permissions(Some("parent")),
        [std::sync::Arc::from("write")]
    );
    assert!(classroom.permissions(None).is_empty());
}

#[test]
fn a_revision_is_the_author_s_and_a_deletion_the_moderators_too() {
    let classroom = app("classroom");
    let id = "01890000-0000-7000-8000-000000000000";
    let revised = |role, event, payload| {
        let asked = ask_as(&classroom, &user("ann", role), event, &[payload]);
        match asked.unwrap().command {
            Command::Revise(Revision {
                body, moderates, ..
            }) => (body, moderates),
            other => panic!("{other:?}"),
        }
    };
    let edit = || json!({ "messageId": id, "content": "x" });
    for role in [None, Some("student"), Some("teacher")] {
        let expected = (Some("x".to_owned()), false);
        assert_eq!(revised(role, "edit_message", edit()), expected);
        let deleted = revised(role, "delete_message", json!({ "messageId": id }));
        assert_eq!(deleted, (None, role == Some("teacher")));
    }
    let wrong = ask(&classroom, "delete_message", &[json!({ "messageId": "x" })]);
    assert_eq!(wrong.unwrap_err().code, Code::InvalidPayload);
}

#[test]
fn a_sort_says_of_which_kind_a_new_room_is() {
    let classroom = app("classroom");
    let Match::Route(route, parameters) = classroom.http.find("POST", "/api/rooms") else {
        panic!("no such route");
    };
    let teacher = user("ann", Some("teacher"));
    let asker = relais_core::vocabulary::Asker {
        actor: &teacher,
        tenant: "default",
    };
    let body = json!({ "id": 5, "name": "News", "kind": "announcement" });
    let request = classroom.request(&route, &parameters, "", Some(&body), asker);
    let expected = NewRoom {
        kind: "chat".into(),
        id: Some("5".into()),
        name: "News".into(),
        sort: "announcement".into(),
    };
    assert_eq!(request.unwrap().command, Command::CreateRoom(expected));
}
