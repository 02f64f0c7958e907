//! The awkward cases of the other four apps: they prove the grammar before their capabilities come.

use relais_core::command::{Command, ItemAction, ItemRequest, NewRelay};
use relais_core::error::Code;
use relais_core::event::{Audience, Event, EventKind, Record, Volatile};
use relais_core::ids::{
    AudienceKey, Conversation, Epoch, Position, RoomKey, SessionId, TenantKey, Timestamp, UserId,
};
use relais_core::vocabulary::{App, Asker, Match, SessionFacts};
use serde_json::{Value, json};

use super::{app, ask, ask_as, command, person, user};

/// What an item request says, as the core will read it.
pub(super) fn asked(app: &App, event: &str, payload: Value) -> (ItemAction, Value) {
    let actor = user("alice", Some("admin"));
    match ask_as(app, &actor, event, &[payload]).unwrap().command {
        Command::Item(request) => (request.action, said(&request)),
        other => panic!("{other:?}"),
    }
}

/// The parts that are there.
fn said(request: &ItemRequest) -> Value {
    let mut said = json!({ "item": request.shelf.kind, "fields": request.fields });
    let room = request.shelf.room.as_ref();
    let parts = [
        ("room", room.map(|room| json!(room))),
        ("id", request.id.as_ref().map(|id| json!(id))),
        (
            "status",
            request.status.as_ref().map(|status| json!(status)),
        ),
        (
            "assignee",
            request.assignee.as_ref().map(|user| json!(user)),
        ),
        (
            "reason",
            request.reason.as_ref().map(|reason| json!(reason)),
        ),
        ("key", request.key.as_ref().map(|key| json!(key))),
    ];
    for (name, value) in parts {
        if let Some(value) = value {
            said[name] = value;
        }
    }
    said
}

pub(super) fn item(kind: EventKind, body: Value) -> Event {
    Event {
        actor: Some(person("dj", "Marco", Some("dj"))),
        session: Some(SessionId("s-1".into())),
        durable: true,
        ..Event::new(kind, body.as_object().unwrap().clone())
    }
}

/// Renders what the app decides about: name, data, and the audience of each wire event.
pub(super) fn rendered(app: &App, event: Event) -> Vec<(String, String, Audience)> {
    let record = Record {
        tenant: TenantKey::new(app.name.clone(), "w1"),
        epoch: Epoch(1),
        position: Position(1),
        seq: None,
        at: Timestamp(0),
        audience: app.audience(&event).unwrap_or_default(),
        event,
    };
    let events = app.render(&record).into_iter();
    events
        .map(|one| {
            (
                one.name.to_string(),
                one.data,
                one.audience.unwrap_or_default(),
            )
        })
        .collect()
}

pub(super) fn to(keys: &[AudienceKey]) -> Audience {
    Audience {
        to: keys.to_vec(),
        ..Audience::default()
    }
}

pub(super) fn user_key(id: &str) -> AudienceKey {
    AudienceKey::User(UserId::text(id))
}

#[test]
fn a_wedding_message_goes_to_a_person_or_else_to_the_wedding_of_the_token() {
    let wedding = app("wedding");
    let place = |payload: Value| match command(&wedding, "send_message", &[payload]) {
        Command::SendMessage(message) => (message.conversation, message.recipient, message.channel),
        other => panic!("{other:?}"),
    };
    let pair = Conversation::direct(UserId::text("alice"), UserId::text("bob"));
    let bob = Some(UserId::text("bob"));
    assert_eq!(
        place(json!({ "recipientId": "bob", "content": "hi" })),
        (pair, bob, None)
    );
    let whole = Conversation::Room(RoomKey::new("wedding", "w1"));
    // Whatever a payload says, the wedding is the token's.
    let spoofed = json!({ "weddingId": "w2", "content": "hi", "channel": "general" });
    assert_eq!(
        place(spoofed),
        (whole.clone(), None, Some("general".into()))
    );
    let typing = command(&wedding, "typing", &[json!({ "isTyping": false })]);
    assert_eq!(
        typing,
        Command::Typing {
            conversation: whole,
            active: false,
            written: None,
        }
    );
}

#[test]
fn a_wedding_s_direct_message_leaves_out_the_session_that_sent_it() {
    let body = json!({ "id": "m", "sender": { "id": "alice", "name": "Alice" }, "recipient": "bob", "kind": "text", "body": "hi", "mentions": [], "createdAt": "t" });
    let direct = Event {
        target: Some(UserId::text("bob")),
        ..item(EventKind::MessageSent, body)
    };
    let (name, data, audience) = rendered(&app("wedding"), direct).remove(0);
    assert_eq!(name, "new_message");
    assert_eq!(
        data,
        r#"{"id":"m","content":"hi","senderId":"alice","senderName":"Alice","recipientId":"bob","channel":null,"tempId":null,"seq":null,"createdAt":"t"}"#
    );
    let expected = Audience {
        except_session: Some(SessionId("s-1".into())),
        ..to(&[user_key("bob"), user_key("dj")])
    };
    assert_eq!(audience, expected);
}

#[test]
fn a_music_request_is_snake_case_and_for_the_dj() {
    let wedding = app("wedding");
    let payload = json!({ "songTitle": "Volare", "artist": "Modugno", "requested_by": "mallory" });
    let (action, fields) = asked(&wedding, "music_request", payload);
    assert_eq!(action, ItemAction::Create);
    assert_eq!(
        fields,
        json!({ "item": "music", "fields": { "songTitle": "Volare", "artist": "Modugno" } })
    );

    let body = json!({ "id": "r", "kind": "music", "status": "pending", "fields": { "songTitle": "Volare", "artist": "Modugno" }, "owner": { "id": 3, "name": "Odile" }, "createdAt": "t" });
    let made = rendered(&wedding, item(EventKind::ItemCreated, body.clone()));
    let data = r#"{"id":"r","song_title":"Volare","artist":"Modugno","dedicated_to":null,"status":"pending","requested_by":3,"requester_name":"Odile","created_at":"t"}"#;
    let dj = to(&[AudienceKey::Role("dj".into())]);
    assert_eq!(made, [("music_request".to_owned(), data.to_owned(), dj)]);

    let mut moved = body;
    moved["status"] = "accepted".into();
    let made = rendered(&wedding, item(EventKind::ItemMoved, moved));
    assert_eq!(made[0].0, "music_request_updated");
    let both = to(&[
        AudienceKey::Role("dj".into()),
        AudienceKey::User(UserId::text("3")),
    ]);
    assert_eq!(made[0].2, both);
}

#[test]
fn only_the_dj_answers_requests() {
    let wedding = app("wedding");
    let payload = [json!({ "requestId": "r" })];
    let refused = ask_as(
        &wedding,
        &user("g", Some("guest")),
        "accept_music",
        &payload,
    )
    .unwrap_err();
    assert_eq!(refused.code, Code::Forbidden);
    assert_eq!(
        refused.message,
        r#"unable to take "accept_music"; the role does not allow it"#
    );
    let (action, fields) = asked(&wedding, "accept_music", payload[0].clone());
    assert_eq!(action, ItemAction::Move);
    assert_eq!(
        fields,
        json!({ "item": "music", "id": "r", "status": "accepted", "fields": {} })
    );
}

#[test]
fn a_mic_request_is_always_urgent() {
    let body = json!({ "id": "r", "kind": "mic", "status": "pending", "fields": { "purpose": "a toast", "duration": 60 }, "owner": { "id": 3, "name": "Odile" }, "createdAt": "t" });
    let made = rendered(&app("wedding"), item(EventKind::ItemCreated, body));
    assert_eq!(
        made[0].1,
        r#"{"id":"r","purpose":"a toast","duration":60,"urgent":true,"status":"pending","requested_by":3,"requester_name":"Odile","created_at":"t"}"#
    );
}

#[test]
fn a_wedding_has_its_own_limit_metrics_and_first_events() {
    let wedding = app("wedding");
    let request = ask(&wedding, "send_message", &[json!({ "content": "hi" })]).unwrap();
    let limit = request.limit().unwrap();
    assert_eq!((limit.count, limit.period_ms), (50, 60_000));
    let counters = json!({ "activeConnections": 2, "totalConnections": 9, "connectedUsers": 1, "messagesPerMinute": 4, "activeTenants": 3 });
    assert_eq!(
        wedding.metrics(counters.as_object().unwrap()),
        r#"{"totalConnections":9,"activeConnections":2,"messagesPerMinute":4,"connectedUsers":1,"activeWeddings":3}"#
    );
    let claims = json!({ "sub": 2, "name": "DJ Marco", "role": "dj", "weddingId": "w1" });
    let (tenant, identity) = wedding.identity(claims.as_object().unwrap()).unwrap();
    let session = SessionFacts {
        session: &SessionId("s-1".into()),
        tenant: &tenant,
        resumed: false,
        rooms: &[],
        online: &|| json!([{ "userId": 1, "userName": "Camille", "role": "couple", "status": "online" }]),
    };
    let welcome = wedding.welcome(&identity, &session);
    let welcome: Vec<(&str, &str)> = welcome.iter().map(|one| (&*one.name, &*one.data)).collect();
    assert_eq!(
        welcome,
        [
            (
                "connected",
                r#"{"userId":2,"userName":"DJ Marco","role":"dj","weddingId":"w1","sessionId":"s-1"}"#
            ),
            (
                "online_users",
                r#"[{"userId":1,"userName":"Camille","role":"couple","status":"online"}]"#
            ),
        ]
    );
}

#[test]
fn the_room_of_an_address_is_joined_by_the_app_s_own_event() {
    let classroom = app("classroom");
    let leo = user("leo", None);
    let asker = Asker {
        actor: &leo,
        tenant: "",
    };
    assert_eq!(classroom.entrance("/ws/chat/"), Some(None));
    assert_eq!(classroom.entrance("/ws/chat/5b/x"), None);
    assert_eq!(classroom.entrance("/ws/chat/%zz/"), None, "broken encoding");
    let room = classroom.entrance("/ws/chat/5%20b/").unwrap().unwrap();
    assert_eq!(room, RoomKey::new("chat", "5 b"));
    let entry = classroom.enter(&room, asker).unwrap();
    let Command::JoinRoom {
        room: joined,
        with_online,
        ..
    } = entry.command
    else {
        panic!("{:?}", entry.command);
    };
    assert_eq!((joined, with_online), (room, true));
    let (name, _) = entry
        .answer
        .unwrap()
        .event(&serde_json::Map::new())
        .unwrap();
    assert_eq!(&*name, "room_joined");
    let long = RoomKey::new("chat", "x".repeat(256));
    let refused = classroom.enter(&long, asker).unwrap_err();
    assert_eq!(refused.code, Code::InvalidPayload);
}

#[test]
fn an_address_may_name_a_room_that_no_event_joins() {
    let text = "name = \"a\"\ntitle = \"A\"\n[websocket]\npaths = [\"/ws/{id}\"]\n[rooms.place]\nname = \"{id}\"\njoin = [\"open\"]";
    let app = App::parse("a.toml", text).unwrap();
    let somebody = user("leo", None);
    let asker = Asker {
        actor: &somebody,
        tenant: "",
    };
    let room = app.entrance("/ws/x").unwrap().unwrap();
    let entry = app.enter(&room, asker).unwrap();
    assert!(matches!(&entry.command, Command::JoinRoom { room: joined, .. } if *joined == room));
    assert!(entry.answer.is_none());
    let refused = app
        .enter(&RoomKey::new("place", "a\nb"), asker)
        .unwrap_err();
    assert_eq!(refused.code, Code::InvalidPayload);
}

#[test]
fn a_story_s_extra_fields_pass_through_and_what_the_server_knows_outranks_them() {
    let stories = app("stories");
    let payload = json!({ "id": 9, "title": "Dawn", "author": "Inès", "cover": "c.png", "authorId": "mallory" });
    let (action, fields) = asked(&stories, "story:published", payload.clone());
    assert_eq!(action, ItemAction::Create);
    assert_eq!(fields["fields"], payload);

    let body = json!({ "id": 9, "kind": "story", "fields": payload, "owner": { "id": 1, "name": "Inès" }, "createdAt": "t" });
    let made = rendered(&stories, item(EventKind::ItemCreated, body));
    assert_eq!(made.len(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(&made[0].1).unwrap(),
        json!({ "id": 9, "title": "Dawn", "author": "Inès", "cover": "c.png", "authorId": 1 })
    );
    assert_eq!(made[0].2, to(&[AudienceKey::Tenant]));
    assert_eq!(stories.notifications.iter().count(), 3);
}

#[test]
fn a_reader_types_to_somebody_or_in_a_story_and_two_events_tell_of_it() {
    let stories = app("stories");
    let place = |payload: Value| match ask(&stories, "typing:start", &[payload]) {
        Ok(request) => Ok(request.command),
        Err(error) => Err(error.message),
    };
    let typing = |conversation, written| Command::Typing {
        conversation,
        active: true,
        written,
    };
    let pair = Conversation::direct(UserId::text("alice"), UserId::text("7"));
    assert_eq!(place(json!({ "recipientId": 7 })), Ok(typing(pair, None)));
    let story = Conversation::Room(RoomKey::new("story", "9"));
    assert_eq!(
        place(json!({ "storyId": 9 })),
        Ok(typing(story, Some(UserId::text("9"))))
    );
    let text = r#"unable to take "typing:start"; it does not say which room or recipient"#;
    assert_eq!(place(json!({})), Err(text.to_owned()));

    for (is_typing, name) in [(true, "user:typing"), (false, "user:stopped_typing")] {
        let body = json!({ "userId": 7, "userName": "Zoé", "isTyping": is_typing, "roomId": 9 });
        let event = Event {
            room: Some(RoomKey::new("story", "9")),
            ..item(EventKind::TypingChanged, body)
        };
        let made = stories.render_volatile(&Volatile {
            at: Timestamp(0),
            event,
        });
        assert_eq!(made.len(), 1);
        assert_eq!(
            (&*made[0].name, &*made[0].data),
            (name, r#"{"userId":7,"userName":"Zoé","storyId":9}"#)
        );
    }
}

#[test]
fn a_profile_is_an_object_and_not_nothing() {
    let stories = app("stories");
    for payloads in [vec![], vec![json!(null)], vec![json!(5)], vec![json!([1])]] {
        let refused = ask(&stories, "profile:updated", &payloads).unwrap_err();
        let text = "unable to take \"profile:updated\"; expected one object";
        assert_eq!(
            (refused.code, &*refused.message),
            (Code::InvalidPayload, text)
        );
    }
}

#[test]
fn a_profile_goes_to_followers_and_the_user_s_other_sessions_with_the_sender_stamped() {
    let stories = app("stories");
    let payload = json!({ "bio": "writes", "userId": "mallory" });
    let relay = command(&stories, "profile:updated", std::slice::from_ref(&payload));
    let followers = RoomKey::new("author", "alice");
    let expected = Command::Relay(NewRelay {
        event: "profile:updated".into(),
        data: payload.clone(),
        to: vec![AudienceKey::Room(followers.clone()), user_key("alice")],
        own: vec![followers],
        durable: true,
        ..NewRelay::default()
    });
    assert_eq!(relay, expected);
    let whole = to(&[
        AudienceKey::Room(RoomKey::new("author", "alice")),
        user_key("alice"),
    ]);
    let event = Event {
        actor: Some(person("alice", "Alice", None)),
        audience: Some(whole),
        ..item(
            EventKind::RelaySent,
            json!({ "event": "profile:updated", "data": payload }),
        )
    };
    let event = Event {
        actor: Some(person("alice", "Alice", None)),
        ..event
    };
    let (name, data, audience) = rendered(&stories, event).remove(0);
    assert_eq!(name, "profile:updated");
    assert_eq!(
        data,
        r#"{"userId":"alice","profile":{"bio":"writes","userId":"mallory"}}"#
    );
    assert_eq!(audience.except_session, Some(SessionId("s-1".into())));
}

#[test]
fn who_is_online_in_stories_is_a_list_of_ids() {
    let stories = app("stories");
    let (tenant, identity) = stories
        .identity(json!({ "id": 3 }).as_object().unwrap())
        .unwrap();
    let session = SessionFacts {
        session: &SessionId("s-1".into()),
        tenant: &tenant,
        resumed: false,
        rooms: &[],
        online: &|| json!([{ "userId": 1 }, { "userId": 2 }]),
    };
    let welcome = stories.welcome(&identity, &session);
    assert_eq!(
        (&*welcome[1].name, &*welcome[1].data),
        ("users:online", "[1,2]")
    );
}

#[test]
fn a_finished_task_of_the_studio_is_told_twice_to_its_owner() {
    let studio = app("studio");
    let body = json!({
        "id": "t-1", "kind": "task", "status": "SUCCESS", "fields": { "promptId": "p", "comfyClientId": "c", "progress": 100 },
        "owner": { "id": "alice", "name": "Alice" }, "files": [{ "id": "f", "filename": "f.png", "url": "http://x/f.png" }], "createdAt": "t",
    });
    let made = rendered(&studio, item(EventKind::ItemMoved, body));
    let files = r#"[{"id":"f","filename":"f.png","s3Url":"http://x/f.png","fileType":"images"}]"#;
    let owner = to(&[user_key("alice")]);
    let updated = format!(
        r#"{{"taskId":"t-1","status":"SUCCESS","promptId":"p","comfyClientId":"c","progress":100,"files":{files}}}"#
    );
    let uploaded = format!(
        r#"{{"taskId":"t-1","status":"SUCCESS","promptId":"p","comfyClientId":"c","files":{files}}}"#
    );
    assert_eq!(
        made,
        [
            ("task.updated".to_owned(), updated, owner.clone()),
            ("task.files.uploaded".to_owned(), uploaded, owner),
        ]
    );
}

#[test]
fn the_studio_s_routes_have_their_status_and_defaults() {
    let studio = app("studio");
    let Match::Route(route, parameters) = studio.http.find("POST", "/tasks") else {
        panic!("a route");
    };
    let asker = relais_core::vocabulary::Asker {
        actor: &user("alice", None),
        tenant: "default",
    };
    let request = studio
        .request(
            &route,
            &parameters,
            "",
            Some(&json!({ "prompt": "a cat" })),
            asker,
        )
        .unwrap();
    assert_eq!(route.status, 202);
    let Command::Item(request) = request.command else {
        panic!("an item");
    };
    assert_eq!(
        said(&request)["fields"],
        json!({ "prompt": "a cat", "width": 512, "height": 512, "count": 1 })
    );
    let Match::Route(route, _) = studio.http.find("POST", "/tasks/claim") else {
        panic!("a route");
    };
    assert_eq!(&*route.path, "/tasks/claim");
    let Match::Route(route, _) = studio.http.find("POST", "/tasks/t-1/files") else {
        panic!("a route");
    };
    assert_eq!((route.status, route.upload.as_deref()), (201, Some("file")));
}
