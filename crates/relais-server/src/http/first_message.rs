//! The lines of the landing page that join a demo room and say something there, where the app file has what it takes.
//!
//! Comes in: an app. Goes out: JavaScript that may stand between the single quotes of a shell. It knows no app.

use relais_core::vocabulary::{App, ClientEvent};
use serde_json::{Map, Value, json};

/// Joins and sends when the socket has connected. `None`: no demo room has events that take its id and a text alone.
pub fn lines(app: &App) -> Option<String> {
    app.demo.rooms.iter().find_map(|demo| {
        let kind = app.rooms.kind(&demo.room.kind)?;
        let (parameter, id) = (kind.parameter.as_deref()?, &*demo.room.id);
        let join = app.client.iter().find(|event| {
            event.rule.operation == "room.join" && required(event) == [parameter]
        })?;
        let send = app.client.iter().find(|event| {
            let needed = required(event);
            event.rule.operation == "message.send"
                && needed.len() == 2
                && needed.contains(&parameter)
        })?;
        let said = |event: &ClientEvent| {
            let value = |name: &str| if name == parameter { json!(id) } else { json!("Hello!") };
            let name = quoted(&json!(&*event.rule.subject));
            match event.arguments.is_empty() {
                true => {
                    let fields = required(event).into_iter();
                    let object: Map<String, Value> =
                        fields.map(|field| (field.to_owned(), value(field))).collect();
                    format!("{name}, {}", quoted(&object.into()))
                }
                false => {
                    let fields = required(event).into_iter();
                    fields.fold(name, |all, field| format!("{all}, {}", quoted(&value(field))))
                }
            }
        };
        Some(format!(
            "socket.on(\"connect\", async () => {{\n  console.log(await socket.emitWithAck({}));\n  console.log(await socket.emitWithAck({}));\n}});\n",
            said(join),
            said(send)
        ))
    })
}

fn required(event: &ClientEvent) -> Vec<&str> {
    let fields = event.rule.fields.iter().filter(|field| field.required);
    fields.map(|field| &*field.name).collect()
}

/// JSON that ends no single quote.
fn quoted(value: &Value) -> String {
    value.to_string().replace('\'', "\\u0027")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: &str = r#"name = "chat"
[rooms.class]
name = "room:{roomId}"
join = ["open"]
[client.join]
args = ["roomId"]
do = "room.join"
room = "class"
[client."it's"]
do = "message.send"
room = "class"
payload.roomId = "id"
payload.body = "text"
[server.said]
on = "message.sent"
data = { text = "body" }
[[demo.users]]
id = "alice"
name = "Alice"
[[demo.rooms]]
room = "room:5b"
title = "5b"
"#;

    #[test]
    fn the_demo_room_is_joined_and_written_to_as_the_app_file_says() {
        let app = App::parse("chat.toml", CHAT).expect("right");
        assert_eq!(
            lines(&app).expect("it can be said"),
            "socket.on(\"connect\", async () => {\n  console.log(await socket.emitWithAck(\"join\", \"5b\"));\n  console.log(await socket.emitWithAck(\"it\\u0027s\", {\"body\":\"Hello!\",\"roomId\":\"5b\"}));\n});\n"
        );
    }
}
