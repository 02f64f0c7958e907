//! `relay.send` out of an app file: what is checked, to whom it goes, binary arguments, and what the file shows of the sender.

use bytes::Bytes;
use relais_core::command::{Command, NewRelay};
use relais_core::error::Code;
use relais_core::event::{Audience, Event, EventKind, Volatile};
use relais_core::ids::{AudienceKey, RoomKey, Timestamp};
use relais_core::vocabulary::App;
use serde_json::{Value, json};

use super::{ask, command, person};

const BOARD: &str = r#"
name = "board"
title = "A drawing board"

[roles]
teacher = []

[rooms.board]
name = "board:{boardId}"
join = ["open"]

[client.draw]
do = "relay.send"
to = ["board", "role:teacher"]
map = { event = "=drawn", data = "stroke", volatile = true }
payload.boardId = "id"
payload.stroke = { type = "object", required = ["points"], properties = { points = { type = "array" } } }

[client.pin]
do = "relay.send"
to = "board"
map = { event = "=pinned", data = "note" }
payload.boardId = "id"
payload.note = "any"
reply = { reached = "recipients" }

[client.wave]
do = "relay.send"
to = "tenant"
map = { event = "=waved", data = "*", volatile = "quickly" }
payload.quickly = "boolean?"

[client.enter]
do = "room.join"
room = "board"
payload.boardId = "id"
payload.picture = "any?"

[server.drawn]
on = "relay.sent"
only = { event = "drawn" }
to = "others"
data = { by = "actor.id", image = "data.image", boardId = "room.boardId" }
"#;

fn board() -> App {
    match App::parse("board.toml", BOARD) {
        Ok(app) => app,
        Err(mistakes) => panic!("\n{mistakes}"),
    }
}

fn relay(event: &str, payload: Value) -> NewRelay {
    match command(&board(), event, &[payload]) {
        Command::Relay(relay) => relay,
        other => panic!("{other:?}"),
    }
}

fn room() -> AudienceKey {
    AudienceKey::Room(RoomKey::new("board", "1"))
}

#[test]
fn the_data_fits_its_schema_and_goes_to_all_that_the_file_names() {
    let stroke = json!({ "points": [1, 2] });
    let drawn = relay("draw", json!({ "boardId": 1, "stroke": stroke }));
    let expected = NewRelay {
        event: "drawn".into(),
        data: stroke,
        to: vec![room(), AudienceKey::Role("teacher".into())],
        ..NewRelay::default()
    };
    assert_eq!(drawn, expected);
    let refused = ask(
        &board(),
        "draw",
        &[json!({ "boardId": 1, "stroke": { "x": 1 } })],
    );
    assert_eq!(refused.unwrap_err().code, Code::InvalidPayload);
}

#[test]
fn it_is_stored_unless_file_or_client_says_volatile_and_counted_only_where_the_file_shows_it() {
    let pinned = relay("pin", json!({ "boardId": 1, "note": "n" }));
    assert!(pinned.durable && pinned.counts);
    assert!(!relay("draw", json!({ "boardId": 1, "stroke": { "points": [] } })).counts);
    assert!(relay("wave", json!({})).durable);
    assert!(!relay("wave", json!({ "quickly": true })).durable);
}

#[test]
fn what_is_stored_whatever_comes_with_it_is_known_by_its_name() {
    let board = board();
    let stored = ["pin", "draw", "wave", "enter", "unknown"].map(|name| board.is_stored(name));
    assert_eq!(stored, [true, false, false, false, false]);
}

#[test]
fn binary_arguments_are_taken_where_nothing_is_stored_and_nowhere_else() {
    let image = [Bytes::from_static(b"png")];
    let attach = |event: &str, payload: Value| {
        let mut request = ask(&board(), event, &[payload]).unwrap();
        request.attach(&image).map(|()| request.command)
    };
    let held = json!({ "_placeholder": true, "num": 0 });
    let stroke = json!({ "points": [], "image": held });
    let drawn = attach("draw", json!({ "boardId": 1, "stroke": stroke })).unwrap();
    let Command::Relay(drawn) = drawn else {
        panic!("{drawn:?}");
    };
    assert_eq!(drawn.attachments, image);
    for (event, payload) in [
        ("pin", json!({ "boardId": 1, "note": held })),
        ("enter", json!({ "boardId": 1, "picture": held })),
    ] {
        let refused = attach(event, payload).unwrap_err();
        assert_eq!(refused.code, Code::InvalidPayload, "{event}");
    }
}

#[test]
fn a_server_event_stamps_the_sender_and_carries_the_binary_that_it_shows() {
    let data = json!({
        "by": "mallory",
        "sound": { "_placeholder": true, "num": 0 },
        "image": { "_placeholder": true, "num": 1 },
    });
    let event = Event {
        room: Some(RoomKey::new("board", "1")),
        actor: Some(person("alice", "Alice", None)),
        audience: Some(Audience {
            to: vec![room()],
            ..Audience::default()
        }),
        attachments: vec![Bytes::from_static(b"wav"), Bytes::from_static(b"png")],
        ..Event::new(
            EventKind::RelaySent,
            json!({ "event": "drawn", "data": data })
                .as_object()
                .cloned()
                .unwrap_or_default(),
        )
    };
    let at = Timestamp(0);
    let made = board().render_volatile(&Volatile { at, event });
    assert_eq!(made.len(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(&made[0].data).unwrap(),
        json!({ "by": "alice", "image": { "_placeholder": true, "num": 0 }, "boardId": "1" })
    );
    assert_eq!(made[0].attachments, [Bytes::from_static(b"png")]);
    let audience = made[0].audience.as_ref().unwrap();
    assert_eq!(audience.to, [room()]);
    assert_eq!(
        audience.except_user.as_ref().map(|user| user.as_str()),
        Some("alice")
    );
}

#[test]
fn the_benchmark_s_file_is_right_and_passes_on_what_it_says() {
    let path = format!("{}/../../bench/apps/bench.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let bench = App::parse("bench/apps/bench.toml", &text).unwrap();
    // An ack that shows nothing of the room asks for nothing of it.
    let joined = Command::JoinRoom {
        room: RoomKey::new("hall", "room-0"),
        with_online: false,
        with_last_seq: false,
        with_unread: false,
    };
    assert_eq!(command(&bench, "join", &[json!("room-0")]), joined);
    let published = command(&bench, "pub", &[json!("room-0"), json!({ "t": 1 })]);
    let expected = NewRelay {
        event: "msg".into(),
        data: json!({ "t": 1 }),
        to: vec![AudienceKey::Room(RoomKey::new("hall", "room-0"))],
        ..NewRelay::default()
    };
    assert_eq!(published, Command::Relay(expected));
}
