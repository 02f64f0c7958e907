//! The app files that come with Relais are apps.

use super::app;

#[test]
fn each_app_file_is_an_app_of_its_own_name() {
    for name in ["studio", "wedding", "bam", "classroom", "stories"] {
        assert_eq!(&*app(name).name, name);
    }
}

#[test]
fn one_app_wants_the_root() {
    let wanting = ["studio", "wedding", "bam", "classroom", "stories"]
        .into_iter()
        .filter(|name| app(name).root);
    assert_eq!(wanting.collect::<Vec<_>>(), ["bam"]);
}

#[test]
fn clients_that_would_see_the_offset_as_an_argument_do_not_get_one() {
    assert!(app("bam").recovery && app("wedding").recovery);
    assert!(!app("stories").recovery);
}

#[test]
fn the_demo_has_people_and_a_past() {
    let demo = app("bam").demo;
    assert_eq!(demo.users[0].claims["sub"], "alice");
    assert_eq!(demo.users[0].claims["bams"], serde_json::json!(["42", "7"]));
    assert_eq!(demo.users[2].claims["role"], "admin");
    let room = &demo.rooms[0];
    assert_eq!((&*room.room.kind, &*room.room.id), ("bam", "42"));
    assert_eq!(
        room.messages[1],
        (1, "On the hook behind the door.".to_owned())
    );
}

#[test]
fn an_app_without_a_word_about_it_greets_and_counts_all_the_same() {
    let app = relais_core::vocabulary::App::parse("a.toml", "name = \"a\"").unwrap();
    assert_eq!(app.server.iter().count(), 1);
    let counters = serde_json::json!({ "activeConnections": 2, "totalConnections": 9, "connectedUsers": 1, "messagesPerMinute": 4 });
    assert_eq!(
        app.metrics(counters.as_object().unwrap()),
        r#"{"totalConnections":9,"activeConnections":2,"messagesPerMinute":4,"connectedUsers":1}"#
    );
}
