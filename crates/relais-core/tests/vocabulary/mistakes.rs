//! One test for each kind of mistake in an app file: where it is, and what would be right.

use relais_core::vocabulary::App;

/// A small app that is right, to put a mistake into.
const RIGHT: &str = r#"name = "demo"
[roles]
dj = []
[rooms.lobby]
name = "lobby-{lobbyId}"
join = ["open"]
[items.song]
fields = ["title"]
statuses = ["new", "played"]
[client.say]
do = "message.send"
room = "lobby"
payload.lobbyId = "id"
payload.body = "text"
[server.said]
on = "message.sent"
data = { text = "body", lobbyId = "room.lobbyId" }
"#;

/// Replaces one line of the app that is right, and gives what is said about it.
fn said(line: usize, text: &str) -> String {
    let mut lines: Vec<&str> = RIGHT.lines().collect();
    lines[line - 1] = text;
    App::parse("demo.toml", &lines.join("\n"))
        .unwrap_err()
        .to_string()
}

/// Adds lines to the app that is right; the first is line 18.
fn added(text: &str) -> String {
    App::parse("demo.toml", &format!("{RIGHT}{text}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn the_app_without_a_mistake_is_an_app() {
    assert!(App::parse("demo.toml", RIGHT).is_ok());
}

#[test]
fn toml_that_is_none() {
    assert_eq!(
        said(1, "name = \"demo"),
        "demo.toml:1:13: invalid basic string, expected `\"`"
    );
    assert_eq!(added("[rooms.lobby]"), "demo.toml:18:8: duplicate key");
}

#[test]
fn an_unknown_key_is_told_the_nearest_known_one() {
    assert_eq!(said(13, "paylod.lobbyId = \"id\""),
        "demo.toml:13:1: unknown key \"paylod\"; did you mean \"payload\"?\ndemo.toml:12:8: room \"lobby\" needs the field \"lobbyId\", which the payload does not have; add it, or write \"lobby:{field}\""
            .lines().rev().collect::<Vec<_>>().join("\n"));
    assert_eq!(
        added("[srver.x]"),
        "demo.toml:18:2: unknown key \"srver\"; did you mean \"server\"?"
    );
    assert_eq!(
        said(6, "joins = [\"open\"]"),
        "demo.toml:6:1: unknown key \"joins\"; did you mean \"join\"?"
    );
}

#[test]
fn a_value_of_the_wrong_kind() {
    assert_eq!(
        said(1, "name = 5"),
        "demo.toml:1:8: \"name\" is a text, not a number"
    );
    assert_eq!(
        said(1, "name = \"demo\"\nroot = \"yes\""),
        "demo.toml:2:8: \"root\" is true or false, not a text"
    );
    assert_eq!(
        said(3, "dj = true"),
        "demo.toml:3:6: a role has a list of permissions, which may be empty, not true or false"
    );
    assert_eq!(
        added("[http]\n\"GET /x\" = 1"),
        "demo.toml:19:12: \"GET /x\" is a table, not a number"
    );
    assert_eq!(
        added("[http.\"GET /x\"]\nauth = \"key\"\ndo = \"stats.get\"\nstatus = 404"),
        "demo.toml:21:10: \"status\" is a whole number from 200 to 299"
    );
}

#[test]
fn something_that_has_to_be_there() {
    assert_eq!(
        said(1, ""),
        "demo.toml:1:1: \"name\" is missing; for example name = \"chat\""
    );
    assert_eq!(
        said(5, ""),
        "demo.toml:4:8: \"name\" is missing; for example name = \"room:{roomId}\"\ndemo.toml:12:8: unknown room \"lobby\"; there are none\ndemo.toml:17:35: \"room\" has no part \"lobbyId\"; known: \"id\", \"kind\", \"name\""
    );
    assert_eq!(
        said(11, ""),
        "demo.toml:10:9: \"do\" is missing; for example do = \"message.send\""
    );
    assert_eq!(
        said(12, ""),
        "demo.toml:10:9: message.send needs \"room\": the name of a [rooms] table"
    );
    assert_eq!(
        said(14, ""),
        "demo.toml:10:9: message.send needs \"body\": add it to \"map\", or a field of that name"
    );
    assert_eq!(
        said(16, ""),
        "demo.toml:15:9: \"on\" is missing; for example on = \"message.sent\""
    );
    assert_eq!(
        said(17, ""),
        "demo.toml:15:9: \"data\" is missing; for example data = { id = \"id\" }"
    );
    assert_eq!(
        added("[http.\"GET /x\"]\ndo = \"stats.get\""),
        "demo.toml:18:7: \"auth\" is missing; for example auth = [\"key\", \"user\"]"
    );
    assert_eq!(
        added("[client.play]\ndo = \"item.create\""),
        "demo.toml:18:9: item.create needs \"item\": the name of an [items] table"
    );
    assert_eq!(
        added("[client.shout]\ndo = \"relay.send\"\nmap = { event = \"=shout\" }"),
        "demo.toml:18:9: relay.send needs \"to\", such as \"tenant\", \"user:{userId}\" or a room"
    );
}

#[test]
fn a_name_that_cannot_be() {
    assert_eq!(
        added("[client.\"auth:refresh\"]\ndo = \"stats.get\""),
        "demo.toml:18:9: \"auth:refresh\" is an event that every app has already"
    );
    assert_eq!(
        said(1, "name = \"My App\""),
        "demo.toml:1:8: \"My App\" cannot be an app's name; it stands in addresses: 1 to 32 of a-z, 0-9 and -"
    );
    assert_eq!(
        added("[client.connect]\ndo = \"stats.get\""),
        "demo.toml:18:9: \"connect\" is a name that Socket.IO keeps for itself"
    );
    assert_eq!(
        added("[rooms.user]\nname = \"u\""),
        "demo.toml:18:8: a room kind cannot be called \"user\"; the word has a meaning of its own"
    );
}

#[test]
fn an_unknown_operation() {
    assert_eq!(
        said(11, "do = \"message.sned\""),
        "demo.toml:11:6: unknown operation \"message.sned\"; did you mean \"message.send\"?"
    );
}

#[test]
fn an_unknown_event_kind() {
    assert_eq!(
        said(16, "on = \"message.send\""),
        "demo.toml:16:6: unknown event kind \"message.send\"; did you mean \"message.sent\"?"
    );
}

#[test]
fn an_unknown_room() {
    assert_eq!(
        said(12, "room = \"loby\""),
        "demo.toml:12:8: unknown room \"loby\"; did you mean \"lobby\"?"
    );
}

#[test]
fn a_placeholder_that_no_payload_field_gives() {
    assert_eq!(
        said(12, "room = \"lobby:{lobyId}\""),
        "demo.toml:12:8: the payload has no field \"lobyId\"; did you mean \"lobbyId\"?"
    );
    assert_eq!(
        said(12, "room = [\"direct:{toId}\", \"lobby\"]"),
        "demo.toml:12:9: the payload has no field \"toId\"; known: \"body\", \"lobbyId\""
    );
    assert_eq!(
        said(12, "room = \"direct\""),
        "demo.toml:12:8: \"direct\" has to say who: \"direct:{userId}\""
    );
    assert_eq!(
        said(5, "name = \"lobby-{lobbyId\""),
        "demo.toml:5:8: \"lobby-{lobbyId\" has a \"{\" without its \"}\"\ndemo.toml:12:8: unknown room \"lobby\"; there are none\ndemo.toml:17:35: \"room\" has no part \"lobbyId\"; known: \"id\", \"kind\", \"name\""
    );
}

#[test]
fn a_map_to_a_field_that_does_not_exist() {
    assert_eq!(
        said(13, "payload.lobbyId = \"id\"\nmap = { bdy = \"body\" }"),
        "demo.toml:14:9: message.send has no field \"bdy\"; did you mean \"body\"?"
    );
    assert_eq!(
        said(13, "payload.lobbyId = \"id\"\nmap = { kind = \"type\" }"),
        "demo.toml:14:16: the payload has no field \"type\"; known: \"body\", \"lobbyId\""
    );
}

#[test]
fn a_field_that_cannot_be_what_the_operation_takes() {
    assert_eq!(
        said(14, "payload.body = { type = \"integer\" }"),
        "demo.toml:10:9: \"body\" gives integer, but \"body\" of message.send takes a text"
    );
    assert_eq!(
        said(13, "payload.lobbyId = \"id\"\nmap = { kind = 5 }"),
        "demo.toml:14:16: this gives 5, but \"kind\" of message.send takes a text"
    );
}

#[test]
fn a_schema_that_is_none() {
    assert_eq!(
        said(14, "payload.body = { type = \"strin\" }"),
        "demo.toml:14:16: unknown JSON type \"strin\"; did you mean \"string\"?"
    );
    assert_eq!(
        said(14, "payload.body = { type = \"string\", maxLenght = 5 }"),
        "demo.toml:14:16: unknown JSON Schema keyword \"maxLenght\"; did you mean \"maxLength\"?"
    );
    assert_eq!(
        said(14, "payload.body = \"txt\""),
        "demo.toml:14:16: unknown type \"txt\"; did you mean \"text\"?"
    );
    assert_eq!(
        said(14, "payload.body = 5"),
        "demo.toml:14:16: a field is the name of a type or a JSON Schema, not a number"
    );
    assert_eq!(
        said(
            14,
            "payload.body = { type = \"string\", maxLength = 2, default = \"long\" }"
        ),
        "demo.toml:14:16: the default \"long\" does not fit the schema"
    );
    assert!(
        said(
            14,
            "payload.body = { \"$ref\" = \"http://example.com/x.json\" }"
        )
        .starts_with("demo.toml:14:16: not a JSON Schema: ")
    );
}

#[test]
fn a_fact_that_does_not_exist() {
    assert_eq!(
        said(17, "data = { text = \"bdy\" }"),
        "demo.toml:17:17: message.sent has no fact \"bdy\"; did you mean \"body\"?"
    );
    assert_eq!(
        said(17, "data = { text = \"sender.nam\" }"),
        "demo.toml:17:17: \"sender\" of message.sent has no \"nam\"; did you mean \"name\"?"
    );
    assert_eq!(
        said(17, "data = { text = \"body.x\" }"),
        "demo.toml:17:17: \"body.x\": \"body\" has nothing below it"
    );
    assert_eq!(
        said(17, "data = { text = \"room.loby\" }"),
        "demo.toml:17:17: \"room\" has no part \"loby\"; did you mean \"lobbyId\"?"
    );
    assert_eq!(
        said(17, "data = { text = \"room\" }"),
        "demo.toml:17:17: \"room\" needs a part: \"room.id\", \"room.name\" or \"room.kind\""
    );
    assert_eq!(
        added("[server.x]\non = \"item.created\"\ndata = { t = \"fields.titel\" }"),
        "demo.toml:20:14: no item has the field \"titel\"; did you mean \"title\"?"
    );
    assert_eq!(
        said(17, "data = { text = [1] }"),
        "demo.toml:17:17: a fact, a constant or a table, not a list"
    );
    assert_eq!(
        added("[client.x]\ndo = \"stats.get\"\nreply = { a = \"romms\" }"),
        "demo.toml:20:15: the reply of stats.get has no fact \"romms\"; did you mean \"rooms\"?"
    );
}

#[test]
fn a_shape_that_does_not_exist_that_nothing_uses_or_that_holds_itself() {
    assert_eq!(
        said(
            17,
            "data = \"as mesage\"\n[shapes]\nmessage = { id = \"id\" }"
        ),
        "demo.toml:17:8: unknown shape \"mesage\"; did you mean \"message\"?\ndemo.toml:19:1: shape \"message\" is used nowhere; write \"as message\" in a map"
    );
    assert_eq!(
        said(
            17,
            "data = \"as message\"\n[shapes]\nmessage = { more = \"as message\" }"
        ),
        "demo.toml:19:11: shapes are at most 16 deep; does one hold itself?"
    );
    assert_eq!(
        said(
            17,
            "data = { a = \"body as message\" }\n[shapes]\nmessage = { id = \"id\" }"
        ),
        "demo.toml:17:14: \"body as message\": only an object or a list of them takes a shape\ndemo.toml:19:1: shape \"message\" is used nowhere; write \"as message\" in a map"
    );
    assert_eq!(
        said(17, "data = { \"...\" = \"=x\" }"),
        "demo.toml:17:10: \"...\" spreads a fact that is an object, such as \"fields\""
    );
}

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
            "data = { id = \"id\" }\nto = [[\"role:dj\", \"owner\"]]"
        ),
        "demo.toml:18:19: message.sent has no fact \"owner\"; did you mean \"sender\"?"
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
