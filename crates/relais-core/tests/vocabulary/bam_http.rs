//! `bam`, HTTP: each route with who may, the command that a request becomes, and its answer.

use relais_core::command::{Actor, Command, NewRelay};
use relais_core::error::{Code, Error};
use relais_core::ids::{AudienceKey, RoomKey, UserId};
use relais_core::vocabulary::{App, Asker, Match, Request};
use serde_json::{Value, json};

use super::{app, user};

/// Sends a request and gives its status with the request that came of it.
fn call(
    app: &App,
    actor: &Actor,
    line: &str,
    body: Option<Value>,
) -> Result<(u16, Request), Error> {
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Match::Route(route, parameters) = app.http.find(method, path) else {
        panic!("no route for {line}");
    };
    let asker = Asker {
        actor,
        tenant: "default",
    };
    let request = app.request(&route, &parameters, query, body.as_ref(), asker)?;
    Ok((route.status, request))
}

fn by_key(line: &str, body: Option<Value>) -> Command {
    call(&app("bam"), &Actor::Backend, line, body)
        .unwrap()
        .1
        .command
}

fn bam_42() -> RoomKey {
    RoomKey::new("bam", "42")
}

#[test]
fn questions_become_their_commands() {
    assert_eq!(by_key("GET /websocket/stats", None), Command::Stats);
    let user = UserId::text("zoé");
    assert_eq!(
        by_key("GET /websocket/presence/zo%C3%A9", None),
        Command::GetPresence { user }
    );
    assert_eq!(
        by_key("GET /websocket/bam/42/online", None),
        Command::RoomOnline { room: bam_42() }
    );
    assert_eq!(
        by_key("GET /bams/42/participants/", None),
        Command::ListMembers { room: bam_42() }
    );
}

#[test]
fn members_come_and_go() {
    let (room, user) = (bam_42(), UserId::text("bob"));
    let added = Command::AddMember {
        room: room.clone(),
        user: user.clone(),
    };
    assert_eq!(by_key("PUT /bams/42/participants/bob", None), added);
    assert_eq!(
        by_key("DELETE /bams/42/participants/bob", None),
        Command::RemoveMember { room, user }
    );
}

#[test]
fn relays_go_to_a_user_to_a_room_or_to_everybody() {
    let relay = |event: &str, data: Value, to: AudienceKey, durable| {
        Command::Relay(NewRelay {
            event: event.into(),
            data,
            to: vec![to],
            durable,
            counts: true,
            ..NewRelay::default()
        })
    };
    let bob = AudienceKey::User(UserId::text("7"));
    assert_eq!(
        by_key(
            "POST /websocket/notify",
            Some(json!({ "userId": 7, "data": { "a": 1 } }))
        ),
        relay("notification", json!({ "a": 1 }), bob.clone(), true)
    );
    assert_eq!(
        by_key(
            "POST /websocket/notify",
            Some(json!({ "userId": 7, "event": "x", "data": [1], "volatile": true }))
        ),
        relay("x", json!([1]), bob, false)
    );
    assert_eq!(
        by_key(
            "POST /websocket/broadcast",
            Some(json!({ "event": "x", "data": "text" }))
        ),
        relay("x", json!("text"), AudienceKey::Tenant, true)
    );
    assert_eq!(
        by_key(
            "POST /websocket/bam/42/emit",
            Some(json!({ "event": "x", "data": 1 }))
        ),
        relay("x", json!(1), AudienceKey::Room(bam_42()), true)
    );
}

#[test]
fn a_relay_cannot_take_a_name_of_the_protocol() {
    let body = json!({ "event": "disconnect", "data": {} });
    let refused = call(
        &app("bam"),
        &Actor::Backend,
        "POST /websocket/broadcast",
        Some(body),
    );
    let text = r#"unable to take "POST /websocket/broadcast"; "disconnect" is a name that Socket.IO keeps for itself"#;
    assert_eq!(refused.unwrap_err(), Error::new(Code::InvalidPayload, text));
}

#[test]
fn a_participant_sends_and_reads_by_http() {
    let bam = app("bam");
    let alice = user("alice", None);
    let body = json!({ "text": "hello", "toUserId": "bob", "tempId": "t-1" });
    let (status, request) = call(&bam, &alice, "POST /bams/42/messages", Some(body)).unwrap();
    assert_eq!(status, 201);
    let Command::SendMessage(message) = &request.command else {
        panic!("a message");
    };
    assert_eq!(
        (message.recipient.clone(), &*message.kind),
        (Some(UserId::text("bob")), "text")
    );
    let facts = json!({ "message": {
        "id": "0198-a", "room": { "kind": "bam", "id": "42" }, "sender": { "id": "alice", "name": "Alice" }, "recipient": "bob",
        "kind": "text", "body": "hello", "key": "t-1", "mentions": [], "seq": 1, "createdAt": "2026-01-31T08:05:09.042Z",
    } });
    assert_eq!(
        request.answer.body(facts.as_object().unwrap()),
        r#"{"id":"0198-a","bamId":"42","content":"hello","type":"text","tempId":"t-1","toUserId":"bob","seq":1,"createdAt":"2026-01-31T08:05:09.042Z","sender":{"id":"alice","name":"Alice"}}"#
    );

    let (_, request) = call(
        &bam,
        &alice,
        "GET /bams/42/messages?limit=2&before=10",
        None,
    )
    .unwrap();
    let Command::History { range, limit, .. } = &request.command else {
        panic!("a page");
    };
    assert_eq!(
        (range.before.map(|seq| seq.0), range.after, *limit),
        (Some(10), None, 2)
    );
    let facts = json!({ "messages": [], "hasMore": false });
    assert_eq!(
        request.answer.body(facts.as_object().unwrap()),
        r#"{"messages":[],"hasMore":false}"#
    );
}

#[test]
fn a_query_that_does_not_fit_is_refused() {
    let refused = call(
        &app("bam"),
        &user("alice", None),
        "GET /bams/42/messages?limit=lots",
        None,
    );
    let text = r#"unable to take "GET /bams/{bamId}/messages"; field "limit" does not fit: expected a whole number of 1 to 100"#;
    assert_eq!(refused.unwrap_err(), Error::new(Code::InvalidPayload, text));
}

#[test]
fn a_body_has_to_be_an_object() {
    let refused = call(
        &app("bam"),
        &Actor::Backend,
        "POST /websocket/broadcast",
        Some(json!([1])),
    );
    let text = r#"unable to take "POST /websocket/broadcast"; the body has to be a JSON object"#;
    assert_eq!(refused.unwrap_err(), Error::new(Code::InvalidPayload, text));
}

#[test]
fn who_may_call_is_the_file_s_to_say() {
    let bam = app("bam");
    let may = |actor: &Actor, line: &str, body: Value| {
        call(&bam, actor, line, Some(body))
            .err()
            .map(|error| error.code)
    };
    let (alice, admin) = (user("alice", None), user("root", Some("admin")));
    assert_eq!(
        may(&alice, "GET /websocket/stats", json!({})),
        Some(Code::Forbidden)
    );
    assert_eq!(may(&admin, "GET /websocket/stats", json!({})), None);
    assert_eq!(may(&alice, "GET /websocket/presence/bob", json!({})), None);
    assert_eq!(may(&alice, "GET /websocket/bam/42/online", json!({})), None);
    let body = json!({ "event": "x", "data": 1 });
    assert_eq!(
        may(&admin, "POST /websocket/broadcast", body.clone()),
        Some(Code::Forbidden)
    );
    assert_eq!(
        may(&Actor::Backend, "POST /bams/42/messages", body),
        Some(Code::Forbidden)
    );
    let error = call(&bam, &alice, "GET /websocket/stats", None).unwrap_err();
    assert_eq!(
        error.message,
        r#"unable to call "GET /websocket/stats"; it takes an API key or the role "admin""#
    );
}

#[test]
fn an_unknown_path_and_a_wrong_method_are_told_apart() {
    let bam = app("bam");
    assert!(matches!(
        bam.http.find("GET", "/websocket/nothing"),
        Match::Unknown
    ));
    assert!(matches!(
        bam.http.find("GET", "/bams//messages"),
        Match::Unknown
    ));
    assert!(matches!(
        bam.http.find("GET", "/bams/%zz/messages"),
        Match::Unknown
    ));
    let Match::OtherMethods(methods) = bam.http.find("PATCH", "/bams/42/messages") else {
        panic!("405");
    };
    assert_eq!(
        methods.iter().map(|method| &**method).collect::<Vec<_>>(),
        ["POST", "GET"]
    );
}

#[test]
fn statistics_and_presence_are_answered_in_the_app_s_words() {
    let answer = |line: &str, facts: Value| {
        let (_, request) = call(&app("bam"), &Actor::Backend, line, None).unwrap();
        request.answer.body(facts.as_object().unwrap())
    };
    let counters = json!({
        "activeConnections": 1, "totalConnections": 2, "connectedUsers": 3, "rooms": 4, "messagesPerMinute": 5, "uptimeSeconds": 6,
        "activeTenants": 1,
    });
    assert_eq!(
        answer("GET /websocket/stats", counters),
        r#"{"activeConnections":1,"totalConnections":2,"connectedUsers":3,"rooms":4,"messagesPerMinute":5,"uptimeSeconds":6}"#
    );
    assert_eq!(
        answer(
            "GET /websocket/presence/nobody",
            json!({ "userId": "nobody", "online": false, "status": "offline" })
        ),
        r#"{"userId":"nobody","online":false,"status":"offline","lastSeen":null}"#
    );
    let users = json!([{ "userId": 7, "userName": "Alice", "status": "online" }]);
    assert_eq!(
        answer(
            "GET /websocket/bam/42/online",
            json!({ "room": { "kind": "bam", "id": "42" }, "users": users, "count": 1 })
        ),
        r#"{"bamId":"42","users":[{"userId":7,"userName":"Alice","role":null,"status":"online"}],"count":1}"#
    );
    assert_eq!(
        answer(
            "GET /bams/42/participants",
            json!({ "members": [{ "userId": "b", "addedAt": "2026-01-31T08:05:09.042Z" }] })
        ),
        r#"{"bamId":"42","participants":[{"userId":"b","addedAt":"2026-01-31T08:05:09.042Z"}]}"#
    );
}
