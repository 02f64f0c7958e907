//! What an app file says of pushes, and what is wrong with it.

use relais_core::event::EventKind;
use relais_core::vocabulary::{App, When};

use super::app;
use super::mistakes::{RIGHT, added};

fn with(text: &str) -> App {
    let read = App::parse("demo.toml", &format!("{RIGHT}{text}"));
    read.map_err(|mistakes| mistakes.to_string()).unwrap()
}

#[test]
fn messages_are_pushed_unless_the_file_says_what_is() {
    let bam = app("bam").push;
    assert_eq!(bam.when, When::Away);
    assert!(bam.is_of(EventKind::MessageSent) && !bam.is_of(EventKind::MessageMentioned));
    let classroom = app("classroom").push;
    assert!(!classroom.is_of(EventKind::MessageSent));
    assert!(classroom.is_of(EventKind::MessageMentioned));
    for push in [bam, classroom] {
        for kind in [EventKind::MessageRead, EventKind::MessageDeleted] {
            assert!(push.follows(kind));
        }
        assert!(!push.follows(EventKind::NotifyRead));
    }
    let off = with("").push;
    assert!(!off.is_on() && EventKind::ALL.iter().all(|kind| !off.follows(*kind)));
}

#[test]
fn notifications_are_pushed_all_or_those_of_a_type() {
    let all = with("[notify]\npush = \"always\"\npush_on = \"notify.sent\"\n").push;
    assert_eq!(all.when, When::Always);
    assert!(all.is_of_notification(None) && all.is_of_notification(Some("song")));
    assert!(all.follows(EventKind::NotifyRead) && !all.follows(EventKind::MessageRead));
    let one = with(
        "[notify]\npush = \"away\"\npush_on = [\"notify.sent:song\"]\n[notify.types.song]\non = \"item.created\"\n\
         to = \"user:{actor.id}\"\ndata = { title = \"=A song\", message = \"fields.title\" }\n",
    );
    assert!(one.push.is_of_notification(Some("song")));
    assert!(!one.push.is_of_notification(Some("other")) && !one.push.is_of_notification(None));
}

#[test]
fn a_push_that_cannot_be() {
    assert_eq!(
        added("[notify]\npush = \"awya\""),
        "demo.toml:19:8: unknown value \"awya\" of \"push\"; did you mean \"away\"?"
    );
    assert_eq!(
        added("[notify]\npush = \"away\"\npush_on = [\"message.send\"]"),
        "demo.toml:20:1: \"push_on\" names nothing that could be pushed\n\
         demo.toml:20:12: \"message.send\" is nothing that can be pushed; did you mean \"message.sent\"?"
    );
    assert_eq!(
        added("[notify]\npush = \"away\"\npush_on = [\"message.sent\", \"message.sent\"]"),
        "demo.toml:20:28: \"message.sent\" is there twice"
    );
    assert_eq!(
        added("[notify]\npush = \"away\"\npush_on = [\"message.sent\", \"notify.sent:sogn\"]"),
        "demo.toml:20:28: \"notify.sent:sogn\": no [notify.types.sogn]; there are none"
    );
    assert_eq!(
        added("[notify]\npush_on = [\"message.sent\"]"),
        "demo.toml:19:1: \"push_on\" is of \"push\"; add push = \"away\""
    );
    assert_eq!(
        added("[notify]\npush = \"away\"\npush_no = []"),
        "demo.toml:20:1: unknown key \"push_no\"; did you mean \"push_on\"?"
    );
}

#[test]
fn a_backend_is_told_of_pushes_only_where_there_are_any() {
    let told = with("[notify]\npush = \"away\"\n[webhook]\ntell = [\"push.requested\"]\n");
    assert!(told.webhook.tells_pushes && told.webhook.tell.is_empty());
    assert_eq!(
        added("[webhook]\ntell = [\"push.requested\"]"),
        "demo.toml:19:9: \"push.requested\" needs pushes; add push = \"away\" to [notify]"
    );
    assert_eq!(
        added("[webhook]\ntell = [\"push.requestd\"]"),
        "demo.toml:19:9: unknown event \"push.requestd\"; did you mean \"push.requested\"?"
    );
}
