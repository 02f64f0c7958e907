//! Mistakes that lie between tables: audiences, roles, rooms, routes, and several at once.

use relais_core::vocabulary::App;

use super::mistakes::{RIGHT, added, said};

#[test]
fn an_audience_that_does_not_exist() {
    assert_eq!(
        said(17, "data = { id = \"id\" }\nto = \"rom\""),
        "demo.toml:18:6: unknown audience \"rom\"; did you mean \"room\"?"
    );
    assert_eq!(
        said(17, "data = { id = \"id\" }\nto = \"lobby\""),
        "demo.toml:18:6: \"lobby\" has to say which lobby: \"lobby:{fact}\", such as \"lobby:{actor.id}\""
    );
    assert_eq!(
        said(
            17,
            "data = { id = \"id\" }\nto = [[\"role:dj\", \"user:{sendr.id}\"]]"
        ),
        "demo.toml:18:19: message.sent has no fact \"sendr\"; did you mean \"sender\"?"
    );
    assert_eq!(
        added(
            "[server.hi]\non = \"session.connected\"\nto = \"tenant\"\ndata = { a = \"tenant\" }"
        ),
        "demo.toml:20:1: what opens a session goes to that session; remove \"to\""
    );
    assert_eq!(
        said(12, "room = \"lobby\"\nto = \"tenant\""),
        "demo.toml:13:1: message.send takes no \"to\"; who hears of it is said in [server]"
    );
    assert_eq!(
        said(6, "join = [\"open\"]\n[presence]\naudience = \"all\""),
        "demo.toml:8:12: unknown audience \"all\"; known: \"contacts\", \"tenant\""
    );
}

#[test]
fn a_fixed_value_that_cannot_be() {
    assert_eq!(
        said(17, "data = { id = \"id\" }\nonly = { knd = \"x\" }"),
        "demo.toml:18:10: message.sent has no fact \"knd\"; did you mean \"kind\"?"
    );
    assert_eq!(
        said(17, "data = { id = \"id\" }\nonly = { kind = { a = 1 } }"),
        "demo.toml:18:17: a value or a list of values, not a table"
    );
    assert_eq!(
        said(17, "data = { id = \"id\" }\nonly = { position = 1 }"),
        "demo.toml:18:10: only facts of the body can be fixed here"
    );
}

#[test]
fn a_role_a_relation_a_limit_a_status_or_an_item_that_does_not_exist() {
    assert_eq!(
        said(13, "payload.lobbyId = \"id\"\nroles = [\"jd\"]"),
        "demo.toml:14:10: unknown role \"jd\"; did you mean \"dj\"?"
    );
    assert_eq!(
        said(13, "payload.lobbyId = \"id\"\nalso = [\"owner\"]"),
        "demo.toml:14:1: message.send takes no \"also\"; nobody owns it"
    );
    assert_eq!(
        added("[client.play]\ndo = \"item.move\"\nitem = \"song\"\nalso = [\"ower\"]"),
        "demo.toml:21:9: unknown relation \"ower\"; did you mean \"owner\"?"
    );
    assert_eq!(
        said(13, "payload.lobbyId = \"id\"\nlimit = \"50/minute\""),
        "demo.toml:14:9: \"50/minute\" is not a limit; write a count and a period, such as \"50/min\" (s, min or h)"
    );
    assert_eq!(
        said(
            9,
            "statuses = [\"new\", \"played\"]\nmoves = { new = [\"plaid\"] }"
        ),
        "demo.toml:10:18: unknown status \"plaid\"; did you mean \"played\"?"
    );
    assert_eq!(
        said(9, "see = [\"role:jd\"]"),
        "demo.toml:9:8: unknown value \"role:jd\" of \"see\"; did you mean \"role:dj\"?"
    );
    assert_eq!(
        added("[client.play]\ndo = \"item.move\"\nitem = \"sing\""),
        "demo.toml:20:8: unknown item \"sing\"; did you mean \"song\"?"
    );
}

#[test]
fn rooms_that_cannot_be_told_apart_or_joined() {
    assert_eq!(
        added("[rooms.other]\nname = \"lobby-{otherId}\""),
        "demo.toml:18:8: the names of room kinds \"lobby\" and \"other\" cannot be told apart"
    );
    assert_eq!(
        said(6, "join = [\"claim\"]"),
        "demo.toml:6:9: unknown join policy \"claim\"; known: \"claim:NAME\", \"member\", \"open\", \"webhook\""
    );
    assert_eq!(
        said(6, "auto = \"tenat\""),
        "demo.toml:6:8: unknown value \"tenat\" of \"auto\"; did you mean \"tenant\"?"
    );
    assert_eq!(
        said(6, "auto = \"claim\""),
        "demo.toml:4:8: auto = \"claim\" needs a policy such as join = [\"claim:rooms\"]"
    );
    assert_eq!(
        said(6, "sorts = { class = \"writ\" }"),
        "demo.toml:1:1: sort \"class\": no role has the permission \"writ\"; there are none"
    );
}

#[test]
fn two_routes_that_collide() {
    let routes = |one: &str, other: &str| {
        added(&format!(
            "[http.\"{one}\"]\nauth = \"key\"\ndo = \"stats.get\"\n[http.\"{other}\"]\nauth = \"key\"\ndo = \"stats.get\""
        ))
    };
    assert_eq!(
        routes("GET /a/{x}", "GET /a/{y}/"),
        "demo.toml:21:7: this route collides with \"GET /a/{x}\": one request would match both"
    );
    assert_eq!(
        routes("GET /a/{x}", "GET /{y}/b"),
        "demo.toml:21:7: this route collides with \"GET /a/{x}\": one request would match both"
    );
    assert!(App::parse("demo.toml", &format!("{RIGHT}[http.\"GET /a/{{x}}\"]\nauth = \"key\"\ndo = \"stats.get\"\n[http.\"GET /a/b\"]\nauth = \"key\"\ndo = \"stats.get\"")).is_ok());
}

#[test]
fn a_route_that_is_none() {
    let route = |route: &str| {
        added(&format!(
            "[http.\"{route}\"]\nauth = \"key\"\ndo = \"stats.get\""
        ))
    };
    assert_eq!(
        route("GIT /a"),
        "demo.toml:18:7: unknown method \"GIT\"; did you mean \"GET\"?"
    );
    assert_eq!(
        route("/a"),
        "demo.toml:18:7: \"/a\" is not a route; write \"GET /path/{parameter}\""
    );
    assert_eq!(
        route("GET a"),
        "demo.toml:18:7: \"a\" is not a path; it begins with \"/\" and has no query"
    );
    for below in ["/v1", "/v1/presence", "/v1/{any}"] {
        assert_eq!(
            route(&format!("GET {below}")),
            format!(
                "demo.toml:18:7: \"{below}\" is below \"/v1\", where every app has its server-to-server API"
            )
        );
    }
    for taken in [
        "/",
        "/metrics",
        "/socket.io/",
        "/dev/token",
        "/docs",
        "/openapi.json",
    ] {
        assert_eq!(
            route(&format!("GET {taken}")),
            format!("demo.toml:18:7: \"{taken}\" is a path that every server answers itself")
        );
    }
    assert_eq!(
        route("GET /a-{b}"),
        "demo.toml:18:7: \"a-{b}\": a parameter is a whole segment, \"/{roomId}/\""
    );
    assert_eq!(
        route("GET /{a}/{a}"),
        "demo.toml:18:7: parameter \"{a}\" is there twice"
    );
    let text = "[http.\"GET /x\"]\nauth = [\"keys\"]\ndo = \"stats.get\"\nbody.a = \"id\"";
    assert_eq!(
        added(text),
        "demo.toml:18:7: a GET request has no body; use \"query\"\ndemo.toml:19:9: unknown \"auth\" \"keys\"; did you mean \"key\"?"
    );
    let text = "[http.\"GET /{a}\"]\nauth = \"participant\"\ndo = \"stats.get\"\nquery.b = \"id\"";
    assert_eq!(
        added(text),
        "demo.toml:18:7: auth \"participant\" needs \"room\": a participant of what?"
    );
    let text = "[http.\"GET /{a}\"]\nauth = \"key\"\ndo = \"stats.get\"\nquery.a = \"id\"";
    assert_eq!(
        added(text),
        "demo.toml:18:7: field \"a\" is in path, query or body twice"
    );
}

#[test]
fn bare_arguments_that_leave_a_field_out() {
    let text = "[client.join]\nargs = [\"lobbyId\", \"lobbyId\"]\ndo = \"room.join\"\nroom = \"lobby\"\npayload.other = \"id\"";
    assert_eq!(
        added(text),
        "demo.toml:18:9: \"args\" does not have the payload's field \"other\", so nobody can send it\ndemo.toml:19:20: argument \"lobbyId\" is there twice"
    );
}

#[test]
fn websocket_paths_and_demo_data_that_cannot_be() {
    assert_eq!(
        added("[websocket]\npaths = [\"ws\"]"),
        "demo.toml:19:10: a path begins with \"/\": \"/ws\""
    );
    assert_eq!(
        added("[websocket]\npaths = [\"/ws/{lobyId}\"]"),
        "demo.toml:19:10: no room is named by \"{lobyId}\"; did you mean \"lobbyId\"?"
    );
    assert_eq!(
        added("[[demo.users]]\nid = \"a\"\nname = \"A\"\n[[demo.rooms]]\nroom = \"loby-1\""),
        "demo.toml:22:8: no room is called \"loby-1\"; did you mean \"lobby-…\"?"
    );
    assert_eq!(
        added(
            "[[demo.users]]\nid = \"a\"\nname = \"A\"\n[[demo.rooms]]\nroom = \"lobby-1\"\nmessages = [{ from = \"b\", text = \"x\" }]"
        ),
        "demo.toml:23:22: \"b\" is not one of the demo users"
    );
}

#[test]
fn several_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = RIGHT
        .replace("message.send", "message.sned")
        .replace("lobby-{lobbyId}", "lobby")
        .replace("\"body\"", "\"bdy\"");
    let mistakes = App::parse("demo.toml", &text).unwrap_err();
    let places: Vec<(usize, usize)> = mistakes
        .0
        .iter()
        .map(|mistake| (mistake.line, mistake.column))
        .collect();
    assert_eq!(places, [(11, 6), (17, 17), (17, 34)]);
}
