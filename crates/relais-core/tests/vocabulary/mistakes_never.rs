//! Files that are right table by table and can never work, because the tables do not meet.

use relais_core::vocabulary::App;

use super::mistakes::{RIGHT, added, said};

/// The items of the app that is right, with a status that moves, and an event that makes one.
fn with_songs(text: &str) -> String {
    let moves = "statuses = [\"new\", \"played\"]\nmoves = { new = [\"played\"] }";
    let right = RIGHT.replace("statuses = [\"new\", \"played\"]", moves);
    format!("{right}{text}")
}

fn warned(text: &str) -> Vec<String> {
    let app = App::parse("demo.toml", text).expect("right");
    app.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_fixed_kind_or_status_that_no_item_has() {
    let server = |only: &str| {
        added(&format!(
            "[server.x]\non = [\"item.created\", \"item.moved\"]\nonly = {only}\ndata = {{ a = \"id\" }}"
        ))
    };
    assert_eq!(
        server("{ kind = \"qq\" }"),
        "demo.toml:20:17: unknown item \"qq\"; known: \"song\""
    );
    assert_eq!(
        server("{ status = \"c\" }"),
        "demo.toml:20:19: item \"song\" has no status \"c\"; known: \"new\", \"played\""
    );
    assert_eq!(
        server("{ kind = \"song\", status = [\"new\", \"plaid\"] }"),
        "demo.toml:20:42: item \"song\" has no status \"plaid\"; did you mean \"played\"?"
    );
    assert_eq!(
        added(
            "[server.x]\non = \"presence.changed\"\nonly = { status = \"awy\" }\ndata = { a = \"userId\" }\n[presence]\nstatuses = [\"online\", \"away\"]"
        ),
        "demo.toml:20:19: unknown status \"awy\"; did you mean \"away\"?"
    );
}

#[test]
fn a_fixed_kind_of_message_is_whatever_clients_and_the_backend_write() {
    let only = "data = { id = \"id\" }\nonly = { kind = \"photo\" }";
    let right = RIGHT.replace(
        "data = { text = \"body\", lobbyId = \"room.lobbyId\" }",
        only,
    );
    assert!(warned(&right).is_empty());
}

#[test]
fn a_status_that_the_kind_does_not_have_or_that_nothing_moves_to() {
    let of = |map: &str| {
        let event = format!("[client.play]\ndo = \"item.move\"\nitem = \"song\"\nmap = {map}");
        App::parse("demo.toml", &with_songs(&event))
            .err()
            .map_or_else(String::new, |mistakes| mistakes.to_string())
    };
    assert_eq!(of("{ status = \"=played\" }"), "");
    assert_eq!(
        of("{ status = \"=z\" }"),
        "demo.toml:22:18: item \"song\" has no status \"z\"; known: \"new\", \"played\""
    );
    assert_eq!(
        of("{ status = \"=new\" }"),
        "demo.toml:22:18: nothing moves an item \"song\" to \"new\"; say from where in [items.song]: moves = { FROM = [\"new\"] }"
    );
    assert_eq!(
        said(
            10,
            "[items.photo]\n[client.play]\ndo = \"item.move\"\nitem = \"photo\"\nmap = { status = \"=z\" }\n[client.say]"
        ),
        "demo.toml:14:18: item \"photo\" has no status \"z\"; add statuses = [\"z\"] to [items.photo]"
    );
    assert_eq!(
        added(
            "[items.photo]\n[client.play]\ndo = \"item.move\"\nitem = \"photo\"\npayload.status = \"text\""
        ),
        "demo.toml:19:9: item \"photo\" has no statuses to move between; add \"statuses\" and \"moves\" to [items.photo]"
    );
    assert_eq!(
        added("[client.songs]\ndo = \"item.list\"\nmap = { kind = \"=sing\" }"),
        "demo.toml:20:16: unknown item \"sing\"; did you mean \"song\"?"
    );
}

#[test]
fn a_field_that_the_operation_needs_and_clients_may_leave_out() {
    assert_eq!(
        said(14, "payload.body = \"text?\""),
        "demo.toml:10:9: message.send needs \"body\", and the field \"body\" is optional; take the \"?\" or \"optional\" away, or give it a \"default\""
    );
    assert_eq!(
        said(14, "payload.words = \"text?\"\nmap = { body = \"words\" }"),
        "demo.toml:15:16: message.send needs \"body\", and the field \"words\" is optional; take the \"?\" or \"optional\" away, or give it a \"default\""
    );
    let given = RIGHT.replace(
        "body = \"text\"",
        "body = { type = \"string\", default = \"hi\" }",
    );
    assert!(App::parse("demo.toml", &given).is_ok());
}

#[test]
fn items_that_are_made_in_rooms_and_changed_outside_of_them() {
    let create = "[client.add]\ndo = \"item.create\"\nitem = \"song\"\npayload.lobbyId = \"id\"\n";
    let play = "[client.play]\ndo = \"item.move\"\nitem = \"song\"\npayload.lobbyId = \"id\"\nmap = { status = \"=played\" }\n";
    let room = "room = \"lobby\"\n";
    let mistake = |text: String| {
        App::parse("demo.toml", &with_songs(&text))
            .err()
            .map_or_else(String::new, |mistakes| mistakes.to_string())
    };
    assert_eq!(mistake(format!("{create}{room}{play}{room}")), "");
    assert_eq!(mistake(format!("{create}{play}")), "");
    assert_eq!(
        mistake(format!("{create}{room}{play}")),
        "demo.toml:24:9: item.create makes \"song\" only in rooms, and item.move without \"room\" finds none of them; add \"room\" as there"
    );
    assert_eq!(
        mistake(format!("{create}{play}{room}")),
        "demo.toml:28:1: item.create makes \"song\" without \"room\", and item.move in a room finds none of them; remove \"room\", or add it there"
    );
}

#[test]
fn a_relay_that_only_the_backend_can_send_is_a_warning() {
    let draw =
        "[client.draw]\ndo = \"relay.send\"\nto = \"tenant\"\nmap = { event = \"=drawn\" }\n";
    let server = |name: &str| {
        format!(
            "[server.x]\non = \"relay.sent\"\nonly = {{ event = \"{name}\" }}\ndata = {{ a = \"data\" }}\n"
        )
    };
    let with = |text: String| warned(&format!("{RIGHT}{text}"));
    assert!(with(format!("{draw}{}", server("drawn"))).is_empty());
    assert_eq!(
        with(format!("{draw}{}", server("drwan"))),
        [
            "demo.toml:24:18: no client event or route sends \"drwan\", only the backend can, by POST /v1/events; did you mean \"drawn\"?"
        ]
    );
    let any = "payload.event = \"text\"\n";
    let named = draw.replace("map = { event = \"=drawn\" }\n", any);
    assert!(with(format!("{named}{}", server("never"))).is_empty());
}

#[test]
fn server_events_are_counted_as_the_file_has_them() {
    let app = App::parse("demo.toml", RIGHT).expect("right");
    assert_eq!(app.server.tables(), 1);
    let three = "[server.a]\non = [\"item.created\", \"item.moved\"]\ndata = { a = \"id\" }\n[server.b]\non = \"session.connected\"\ndata = { a = \"tenant\" }\n";
    let app = App::parse("demo.toml", &format!("{RIGHT}{three}")).expect("right");
    assert_eq!(app.server.tables(), 3);
}
