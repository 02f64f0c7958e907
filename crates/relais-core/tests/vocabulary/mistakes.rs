//! One test for each kind of mistake in an app file: where it is, and what would be right.

use relais_core::vocabulary::App;

/// A small app that is right, to put a mistake into.
pub const RIGHT: &str = r#"name = "demo"
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
pub fn said(line: usize, text: &str) -> String {
    let mut lines: Vec<&str> = RIGHT.lines().collect();
    lines[line - 1] = text;
    App::parse("demo.toml", &lines.join("\n"))
        .unwrap_err()
        .to_string()
}

/// Adds lines to the app that is right; the first is line 18.
pub fn added(text: &str) -> String {
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
fn a_pattern_that_could_take_long() {
    assert_eq!(
        said(
            14,
            "payload.body = { type = \"string\", pattern = \"(?=a)b\" }"
        ),
        "demo.toml:14:16: \"(?=a)b\" is not a pattern; look-around and references back are not possible"
    );
}

#[test]
fn an_ack_that_is_no_object() {
    assert_eq!(
        said(12, "room = \"lobby\"\nreply = \"message\""),
        "demo.toml:13:9: an ack is an object: reply = { messages = \"messages\" }"
    );
}

#[test]
fn a_list_that_is_empty() {
    assert_eq!(
        said(16, "on = []"),
        "demo.toml:15:9: \"on\" is empty, so nothing makes this event"
    );
    assert_eq!(
        said(17, "data = { id = \"id\" }\nto = [[]]"),
        "demo.toml:18:6: \"to\" names nobody; leave it out for those whom the core names"
    );
    assert_eq!(
        added("[http.\"GET /x\"]\nauth = []\ndo = \"stats.get\""),
        "demo.toml:18:7: \"auth\" is empty, so nobody may call this route"
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
        "demo.toml:17:17: \"room\" has no part \"loby\"; known: \"id\", \"kind\", \"lobbyId\", \"name\""
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
fn an_item_that_has_no_such_field() {
    assert_eq!(
        said(8, "fields = [\"title\"]\nrequired = [\"titel\"]"),
        "demo.toml:9:13: unknown field \"titel\"; did you mean \"title\"?"
    );
    assert_eq!(
        said(8, "fields = [\"title\"]\naddress = \"link\""),
        "demo.toml:9:11: unknown field \"link\"; known: \"title\""
    );
}

#[test]
fn a_file_where_none_can_come_or_is_kept() {
    let route = |keys: &str| {
        added(&format!(
            "[http.\"POST /songs\"]\nauth = [\"user\"]\nitem = \"song\"\n{keys}"
        ))
    };
    assert_eq!(
        route("do = \"file.upload\"\nupload = \"file\""),
        "demo.toml:20:8: an item \"song\" has no field for the address of an upload; add address = \"url\" to [items.song]"
    );
    assert_eq!(
        route("do = \"item.create\"\nupload = \"file\""),
        "demo.toml:18:7: \"upload\" is for do = \"file.upload\" and \"item.attach\""
    );
    assert_eq!(
        route("do = \"item.attach\"\nbody.id = \"id\""),
        "demo.toml:18:7: this takes a file; say in which form field: upload = \"file\""
    );
    assert_eq!(
        added("[client.attach]\ndo = \"item.attach\"\nitem = \"song\"\npayload.id = \"id\""),
        "demo.toml:18:9: item.attach takes a file, which comes by HTTP alone"
    );
}

#[test]
fn a_room_that_is_about_nothing() {
    assert_eq!(
        said(6, "join = [\"open\"]\nitem = \"sogn\""),
        "demo.toml:7:8: unknown item \"sogn\"; did you mean \"song\"?"
    );
    assert_eq!(
        said(5, "name = \"lobby\"\nitem = \"song\"").lines().next(),
        Some(
            "demo.toml:6:8: there is one room of this kind, so it is about no item; give its name a placeholder"
        )
    );
    assert_eq!(
        added(
            "[client.add]\ndo = \"item.create\"\nitem = \"song\"\nroom = \"lobby\"\nalso = [\"room-owner\"]\npayload.lobbyId = \"id\""
        ),
        "demo.toml:18:9: also = [\"room-owner\"] needs \"room\", of a kind that is about an item; add item = \"story\" to its [rooms] table"
    );
}
