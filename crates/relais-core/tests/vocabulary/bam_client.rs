//! `bam`, client to server: each event as a stock client sends it, the command that it becomes, and its ack.

use relais_core::command::{Command, NewMessage, SeqRange};
use relais_core::error::{Code, Error};
use relais_core::ids::{Conversation, RoomKey, Seq, UserId};
use serde_json::{Value, json};

use super::{app, ask, command};

fn bam_42() -> RoomKey {
    RoomKey::new("bam", "42")
}

fn here() -> Conversation {
    Conversation::Room(bam_42())
}

fn refused(event: &str, arguments: &[Value]) -> Error {
    ask(&app("bam"), event, arguments).unwrap_err()
}

fn ack(event: &str, arguments: &[Value], facts: Value) -> String {
    let request = ask(&app("bam"), event, arguments).unwrap();
    request.answer.ack(facts.as_object().unwrap())
}

#[test]
fn join_and_leave_take_a_bare_room_id() {
    let bam = app("bam");
    let joined = Command::JoinRoom {
        room: bam_42(),
        with_online: true,
        with_last_seq: true,
        with_unread: false,
    };
    assert_eq!(command(&bam, "join-bam", &[json!("42")]), joined);
    for wrong in [json!({ "bamId": "42" }), json!(["42"]), json!(true)] {
        assert_eq!(refused("join-bam", &[wrong]).code, Code::InvalidPayload);
    }
    let left = Command::LeaveRoom { room: bam_42() };
    assert_eq!(command(&bam, "leave-bam", &[json!("42")]), left);
}

#[test]
fn a_number_as_a_room_id_is_kept_as_its_digits() {
    let joined = Command::JoinRoom {
        room: bam_42(),
        with_online: true,
        with_last_seq: true,
        with_unread: false,
    };
    assert_eq!(command(&app("bam"), "join-bam", &[json!(42)]), joined);
}

#[test]
fn a_message_is_sent_to_the_room_under_its_temporary_id() {
    let payload = json!({ "bamId": "42", "content": "hello", "tempId": "t-1" });
    let expected = NewMessage {
        conversation: here(),
        recipient: None,
        kind: "text".into(),
        body: "hello".into(),
        channel: None,
        key: Some("t-1".into()),
        reply_to: None,
    };
    let sent = command(&app("bam"), "send-message", &[payload]);
    assert_eq!(sent, Command::SendMessage(expected));
}

#[test]
fn fields_that_nobody_declared_are_ignored_a_spoofed_sender_among_them() {
    let payload = json!({
        "bamId": "42", "content": "hello", "type": "image", "tempId": null,
        "sender": { "id": "mallory" }, "userId": "mallory", "seq": 99, "toUserId": "bob", "__proto__": {},
    });
    let Command::SendMessage(sent) = command(&app("bam"), "send-message", &[payload]) else {
        panic!("a message");
    };
    assert_eq!((&*sent.kind, &*sent.body), ("image", "hello"));
    assert_eq!((sent.recipient, sent.key), (None, None));
}

#[test]
fn pages_marks_typing_and_status_become_their_commands() {
    let bam = app("bam");
    let history = |payload| command(&bam, "get-messages", &[payload]);
    let page = |before: Option<u64>, after: Option<u64>, limit| Command::History {
        conversation: here(),
        channel: None,
        range: SeqRange {
            before: before.map(Seq),
            after: after.map(Seq),
        },
        limit,
    };
    assert_eq!(history(json!({ "bamId": "42" })), page(None, None, 50));
    let asked = json!({ "bamId": "42", "before": 10, "limit": 20 });
    assert_eq!(history(asked), page(Some(10), None, 20));
    let asked = json!({ "bamId": "42", "after": 3.0, "limit": 100 });
    assert_eq!(history(asked), page(None, Some(3), 100));

    let marked = command(&bam, "mark-read", &[json!({ "bamId": "42", "seq": 7 })]);
    let expected = Command::MarkRead {
        conversation: here(),
        seq: Seq(7),
    };
    assert_eq!(marked, expected);

    for (event, active) in [("typing-start", true), ("typing-stop", false)] {
        let typing = Command::Typing {
            conversation: here(),
            active,
            written: Some(UserId::text("42")),
        };
        assert_eq!(command(&bam, event, &[json!("42")]), typing);
    }

    let status = command(&bam, "status-change", &[json!("away")]);
    let expected = Command::SetPresence {
        status: "away".into(),
        custom_status: None,
    };
    assert_eq!(status, expected);
}

#[test]
fn a_refusal_says_which_field_and_what_was_expected() {
    let cases = [
        (
            "send-message",
            vec![json!({ "content": "hi" })],
            r#"unable to take "send-message"; field "bamId" is missing: expected a text of 1 to 255 characters or a whole number"#,
        ),
        (
            "send-message",
            vec![json!({ "bamId": "42" })],
            r#"unable to take "send-message"; field "content" is missing: expected a text of 1 to 4000 characters"#,
        ),
        (
            "send-message",
            vec![json!({ "bamId": "42", "content": "" })],
            r#"unable to take "send-message"; field "content" does not fit: expected a text of 1 to 4000 characters"#,
        ),
        (
            "send-message",
            vec![json!({ "bamId": "42", "content": "é".repeat(4001) })],
            r#"unable to take "send-message"; field "content" does not fit: expected a text of 1 to 4000 characters"#,
        ),
        (
            "send-message",
            vec![json!({ "bamId": "42", "content": "hi", "type": "video" })],
            r#"unable to take "send-message"; field "type" does not fit: expected one of "text", "image", "file""#,
        ),
        (
            "send-message",
            vec![json!("hi")],
            r#"unable to take "send-message"; expected one object"#,
        ),
        (
            "send-message",
            vec![],
            r#"unable to take "send-message"; field "bamId" is missing: expected a text of 1 to 255 characters or a whole number"#,
        ),
        (
            "join-bam",
            vec![],
            r#"unable to take "join-bam"; field "bamId" is missing: expected a text of 1 to 255 characters or a whole number"#,
        ),
        (
            "join-bam",
            vec![json!(["42"])],
            r#"unable to take "join-bam"; field "bamId" does not fit: expected a text of 1 to 255 characters or a whole number"#,
        ),
        (
            "join-bam",
            vec![json!("4\u{0}2")],
            r#"unable to take "join-bam"; an id has at most 255 bytes and no control characters"#,
        ),
        (
            "status-change",
            vec![json!("invisible")],
            r#"unable to take "status-change"; field "status" does not fit: expected one of "online", "away", "busy""#,
        ),
        (
            "get-messages",
            vec![json!({ "bamId": "42", "limit": 101 })],
            r#"unable to take "get-messages"; field "limit" does not fit: expected a whole number of 1 to 100"#,
        ),
        (
            "mark-read",
            vec![json!({ "bamId": "42", "seq": -1 })],
            r#"unable to take "mark-read"; field "seq" does not fit: expected a whole number of at least 0"#,
        ),
    ];
    for (event, arguments, message) in cases {
        let expected = Error::new(Code::InvalidPayload, message);
        assert_eq!(
            refused(event, &arguments),
            expected,
            "{event} {arguments:?}"
        );
    }
}

#[test]
fn an_unknown_event_is_told_the_nearest_known_one() {
    let expected = Error::new(
        Code::UnknownEvent,
        r#"unknown event "send_message"; did you mean "send-message"?"#,
    );
    assert_eq!(refused("send_message", &[]), expected);
    // What a client sent is not echoed at any length.
    assert!(refused(&"x".repeat(100_000), &[]).message.len() < 300);
}

#[test]
fn acks_carry_what_the_file_says_and_success() {
    let room = json!({ "kind": "bam", "id": "42" });
    let message = json!({
        "id": "018f-1", "room": room, "sender": { "id": 7, "name": "Alice", "role": "admin" }, "kind": "text",
        "body": "he said \"hi\"\n", "key": "t-1", "mentions": [], "seq": 3, "createdAt": "2026-01-31T08:05:09.042Z",
    });
    let shown = r#"{"id":"018f-1","bamId":"42","content":"he said \"hi\"\n","type":"text","tempId":"t-1","seq":3,"createdAt":"2026-01-31T08:05:09.042Z","sender":{"id":7,"name":"Alice"}}"#;
    let payload = json!({ "bamId": "42", "content": "hello" });
    assert_eq!(
        ack("send-message", &[payload], json!({ "message": message })),
        format!(r#"{{"success":true,"message":{shown}}}"#)
    );
    assert_eq!(
        ack(
            "get-messages",
            &[json!({ "bamId": 42 })],
            json!({ "room": room, "messages": [message, message], "hasMore": true })
        ),
        format!(r#"{{"success":true,"messages":[{shown},{shown}],"hasMore":true}}"#)
    );
    let someone = json!({ "userId": 7, "userName": "Alice", "role": "admin", "status": "away", "customStatus": "lunch" });
    let other = json!({ "userId": "b", "userName": "Bob", "status": "online" });
    assert_eq!(
        ack(
            "join-bam",
            &[json!(42)],
            json!({ "room": room, "online": [someone, other], "lastSeq": 3 })
        ),
        r#"{"success":true,"bamId":"42","onlineUsers":[{"userId":7,"userName":"Alice","role":"admin","status":"away","customStatus":"lunch"},{"userId":"b","userName":"Bob","role":null,"status":"online"}],"lastSeq":3}"#
    );
    assert_eq!(
        ack("leave-bam", &[json!("42")], json!({ "room": room })),
        r#"{"success":true,"bamId":"42"}"#
    );
    assert_eq!(
        ack(
            "mark-read",
            &[json!({ "bamId": "42", "seq": 7 })],
            json!({ "room": room, "seq": 5 })
        ),
        r#"{"success":true,"bamId":"42","seq":5}"#
    );
    assert_eq!(
        ack("typing-start", &[json!("42")], json!({ "isTyping": true })),
        r#"{"success":true}"#
    );
}

#[test]
fn user_ids_in_payloads_keep_their_json_form() {
    let wedding = app("wedding");
    let sent = |to: Value| {
        command(
            &wedding,
            "send_message",
            &[json!({ "recipientId": to, "content": "hi" })],
        )
    };
    let Command::SendMessage(message) = sent(json!(7)) else {
        panic!("a message");
    };
    let seven = UserId::from_json(&json!(7)).unwrap();
    assert_eq!(
        message.recipient.as_ref().map(UserId::to_json),
        Some(json!(7))
    );
    assert_eq!(
        message.conversation,
        Conversation::direct(UserId::text("alice"), seven)
    );
}
