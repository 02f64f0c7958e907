//! `bam`, server to client: each event of the core, and what clients get, byte for byte.

use relais_core::event::{Audience, Event, EventKind, Facts, Record, Volatile};
use relais_core::ids::{
    AudienceKey, Conversation, Epoch, Position, RoomKey, Seq, SessionId, TenantKey, Timestamp,
    UserId,
};
use relais_core::vocabulary::{SessionFacts, WireEvent};
use serde_json::{Value, json};

use super::{app, person};

const AT: Timestamp = Timestamp(1_769_846_709_042);

fn facts(value: Value) -> Facts {
    value.as_object().unwrap().clone()
}

fn bam_42() -> RoomKey {
    RoomKey::new("bam", "42")
}

fn event(kind: EventKind, body: Value) -> Event {
    Event {
        room: Some(bam_42()),
        actor: Some(person("alice", "Alice", None)),
        session: Some(SessionId("s-1".into())),
        ..Event::new(kind, facts(body))
    }
}

fn to(keys: &[AudienceKey]) -> Audience {
    Audience {
        to: keys.to_vec(),
        ..Audience::default()
    }
}

fn record(event: Event, audience: Audience, seq: Option<u64>) -> Record {
    Record {
        tenant: TenantKey::new("bam", "default"),
        epoch: Epoch(1),
        position: Position(17),
        seq: seq.map(Seq),
        at: AT,
        event,
        audience,
    }
}

fn volatile(event: Event) -> Vec<WireEvent> {
    app("bam")
        .render_volatile(&Volatile { at: AT, event })
        .into_vec()
}

fn message(recipient: Option<&str>) -> Event {
    let mut body = json!({
        "id": "0198-a", "room": { "kind": "bam", "id": "42" }, "sender": { "id": "alice", "name": "Alice" }, "kind": "text",
        "body": "hello", "key": "t-1", "mentions": [], "createdAt": "2026-01-31T08:05:09.042Z",
    });
    if let Some(recipient) = recipient {
        body["recipient"] = recipient.into();
    }
    Event {
        target: recipient.map(UserId::text),
        durable: true,
        takes_seq: Some(Conversation::Room(bam_42())),
        ..event(EventKind::MessageSent, body)
    }
}

#[test]
fn a_message_goes_to_the_room_sender_included() {
    let bam = app("bam");
    let room = to(&[AudienceKey::Room(bam_42())]);
    assert_eq!(bam.audience(&message(None)), Some(room.clone()));
    let rendered = bam.render(&record(message(None), room.clone(), Some(3)));
    let expected = WireEvent {
        name: "new-message".into(),
        data: r#"{"id":"0198-a","bamId":"42","content":"hello","type":"text","tempId":"t-1","seq":3,"createdAt":"2026-01-31T08:05:09.042Z","sender":{"id":"alice","name":"Alice"}}"#.into(),
        attachments: Vec::new(),
        audience: Some(room),
    };
    assert_eq!(rendered.into_vec(), [expected]);
}

#[test]
fn a_private_message_goes_to_two_people_and_says_to_whom() {
    let bam = app("bam");
    let both = to(&[
        AudienceKey::User(UserId::text("bob")),
        AudienceKey::User(UserId::text("alice")),
    ]);
    assert_eq!(bam.audience(&message(Some("bob"))), Some(both.clone()));
    let rendered = bam.render(&record(message(Some("bob")), both.clone(), Some(4)));
    assert!(rendered[0].data.contains(r#""toUserId":"bob","seq":4"#));
    assert_eq!(rendered[0].audience, Some(both));
}

#[test]
fn no_file_can_show_a_private_message_to_a_room() {
    let careless = "name = \"a\"\n[rooms.bam]\nname = \"bam-{bamId}\"\n[server.leak]\non = \"message.sent\"\nto = \"room\"\ndata = { id = \"id\" }";
    let careless = relais_core::vocabulary::App::parse("a.toml", careless).unwrap();
    let both = to(&[
        AudienceKey::User(UserId::text("alice")),
        AudienceKey::User(UserId::text("bob")),
    ]);
    let private = Event {
        audience: Some(both.clone()),
        ..message(Some("bob"))
    };
    assert_eq!(careless.audience(&private), Some(both.clone()));
    let rendered = careless.render(&record(private, both.clone(), Some(4)));
    assert_eq!(rendered[0].audience, Some(both));
}

#[test]
fn coming_going_and_typing_are_told_to_the_others() {
    let others = Some(Audience {
        except_user: Some(UserId::text("alice")),
        ..to(&[AudienceKey::Room(bam_42())])
    });
    let about =
        json!({ "userId": "alice", "userName": "Alice", "role": "admin", "status": "online" });
    let typing = json!({ "userId": "alice", "userName": "Alice", "isTyping": true });
    let who = r#"{"bamId":"42","userId":"alice","userName":"Alice"}"#;
    let cases = [
        (EventKind::RoomJoined, &about, "user-joined-bam", who),
        (EventKind::RoomLeft, &about, "user-left-bam", who),
        (
            EventKind::TypingChanged,
            &typing,
            "typing-status",
            r#"{"bamId":"42","userId":"alice","userName":"Alice","isTyping":true}"#,
        ),
    ];
    for (kind, body, name, data) in cases {
        let event = event(kind, body.clone());
        assert_eq!(app("bam").audience(&event), others, "{name}");
        let expected = WireEvent {
            name: name.into(),
            data: data.into(),
            attachments: Vec::new(),
            audience: others.clone(),
        };
        assert_eq!(volatile(event), [expected]);
    }
}

#[test]
fn presence_goes_to_whom_the_core_counts_as_contacts() {
    let contacts = Audience {
        except_user: Some(UserId::text("alice")),
        ..to(&[
            AudienceKey::Room(bam_42()),
            AudienceKey::Room(RoomKey::new("bam", "7")),
        ])
    };
    let body = json!({
        "userId": "alice", "userName": "Alice", "status": "offline", "online": false, "lastSeen": "2026-01-31T08:05:09.042Z",
    });
    let changed = Event {
        room: None,
        audience: Some(contacts.clone()),
        ..event(EventKind::PresenceChanged, body.clone())
    };
    let expected = WireEvent {
        name: "presence-update".into(),
        data: r#"{"userId":"alice","userName":"Alice","status":"offline","lastSeen":"2026-01-31T08:05:09.042Z"}"#.into(),
        attachments: Vec::new(),
        audience: Some(contacts),
    };
    assert_eq!(volatile(changed), [expected]);
    // This app has no word for it: nobody is bothered.
    let online = event(EventKind::PresenceOnline, body);
    assert_eq!(app("bam").audience(&online), None);
    assert!(volatile(online).is_empty());
}

#[test]
fn a_read_mark_and_a_notification_have_their_words() {
    let room = to(&[AudienceKey::Room(bam_42())]);
    let read = event(
        EventKind::MessageRead,
        json!({ "userId": 7, "userName": "Alice", "seq": 5 }),
    );
    let rendered = app("bam").render(&record(read, room, None));
    assert_eq!(&*rendered[0].name, "messages-read");
    assert_eq!(rendered[0].data, r#"{"bamId":"42","userId":7,"seq":5}"#);

    let notification = Event {
        target: Some(UserId::text("bob")),
        ..event(
            EventKind::NotifySent,
            json!({ "id": "n-1", "title": "T", "message": "M", "data": { "deep": [1, null] }, "createdAt": "2026-01-31T08:05:09.042Z" }),
        )
    };
    let bob = to(&[AudienceKey::User(UserId::text("bob"))]);
    assert_eq!(app("bam").audience(&notification), Some(bob.clone()));
    let rendered = app("bam").render(&record(notification, bob, None));
    assert_eq!(
        rendered[0].data,
        r#"{"id":"n-1","title":"T","message":"M","data":{"deep":[1,null]},"createdAt":"2026-01-31T08:05:09.042Z"}"#
    );
}

#[test]
fn a_relay_carries_its_own_name_and_data() {
    let everybody = to(&[AudienceKey::Tenant]);
    let relay = Event {
        audience: Some(everybody.clone()),
        ..event(
            EventKind::RelaySent,
            json!({ "event": "price:changed", "data": { "to": 12.5 } }),
        )
    };
    assert_eq!(app("bam").audience(&relay), Some(everybody));
    let expected = WireEvent {
        name: "price:changed".into(),
        data: r#"{"to":12.5}"#.into(),
        attachments: Vec::new(),
        audience: None,
    };
    assert_eq!(volatile(relay), [expected]);
}

#[test]
fn connected_is_the_first_event_of_a_session() {
    let bam = app("bam");
    let claims = json!({ "sub": 7, "name": "Alice", "role": "admin", "bams": ["42"] });
    let (tenant, identity) = bam.identity(claims.as_object().unwrap()).unwrap();
    let welcome = bam.welcome(
        &identity,
        &SessionFacts {
            session: &SessionId("s-1".into()),
            tenant: &tenant,
            resumed: false,
            rooms: &[],
            online: &|| json!([]),
        },
    );
    assert_eq!(welcome.len(), 1);
    assert_eq!(&*welcome[0].name, "connected");
    assert_eq!(
        welcome[0].data,
        r#"{"userId":7,"userName":"Alice","role":"admin","sessionId":"s-1"}"#
    );
}
