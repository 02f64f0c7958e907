//! The packets that a server sends, to the byte, and that what is written reads back.

use proptest::prelude::*;
use relais_protocol::socketio::encode::{
    EventOut, write_ack, write_connect, write_connect_error, write_disconnect, write_placeholder,
};
use relais_protocol::socketio::{Body, Limits, Packet};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("packets are text")
}

const EVENT: EventOut<'static> = EventOut {
    namespace: "/",
    name: "message-back",
    args: "1,\"2\",{\"3\":[true]}",
    offset: None,
    id: None,
    attachments: 0,
};

#[test]
fn packets_are_those_of_the_specification() {
    assert_eq!(
        written(|out| write_connect(out, "/", "wZX3oN0bSVIhsaknAAAI", None)),
        r#"0{"sid":"wZX3oN0bSVIhsaknAAAI"}"#
    );
    assert_eq!(
        written(|out| write_connect(out, "/admin", "oSO0OpakMV_3jnilAAAA", Some("p"))),
        r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA","pid":"p"}"#
    );
    assert_eq!(
        written(|out| write_connect_error(out, "/random", "Invalid namespace", None)),
        r#"4/random,{"message":"Invalid namespace"}"#
    );
    assert_eq!(
        written(|out| write_connect_error(out, "/", "no", Some(r#"{"code":"TOKEN_EXPIRED"}"#))),
        r#"4{"message":"no","data":{"code":"TOKEN_EXPIRED"}}"#
    );
    assert_eq!(written(|out| write_disconnect(out, "/")), "1");
    assert_eq!(written(|out| write_disconnect(out, "/admin")), "1/admin,");
    assert_eq!(
        written(|out| write_ack(out, "/", 456, "1,\"2\",{\"3\":[false]}", 0)),
        r#"3456[1,"2",{"3":[false]}]"#
    );
    assert_eq!(
        written(|out| write_ack(out, "/admin", 13, "", 0)),
        "3/admin,13[]"
    );
}

#[test]
fn events_carry_what_they_are_given() {
    assert_eq!(
        written(|out| EVENT.write(out)),
        r#"2["message-back",1,"2",{"3":[true]}]"#
    );
    let bare = EventOut { args: "", ..EVENT };
    assert_eq!(written(|out| bare.write(out)), r#"2["message-back"]"#);
    let recoverable = EventOut {
        namespace: "/admin",
        args: "{}",
        offset: Some("e1.42.0"),
        id: Some(7),
        ..EVENT
    };
    assert_eq!(
        written(|out| recoverable.write(out)),
        r#"2/admin,7["message-back",{},"e1.42.0"]"#
    );
    let bare_recoverable = EventOut {
        offset: Some("o"),
        ..bare
    };
    assert_eq!(
        written(|out| bare_recoverable.write(out)),
        r#"2["message-back","o"]"#
    );
}

#[test]
fn attachments_make_the_kind_binary() {
    let args = written(|out| {
        write_placeholder(out, 0);
        out.push(b',');
        write_placeholder(out, 1);
    });
    let event = EventOut {
        args: &args,
        attachments: 2,
        ..EVENT
    };
    assert_eq!(
        written(|out| event.write(out)),
        r#"52-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
    assert_eq!(
        written(|out| write_ack(out, "/", 789, &args, 2)),
        r#"62-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#
    );
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let event = EventOut {
        name: "a\"]\n",
        args: "",
        offset: Some("\\"),
        ..EVENT
    };
    assert_eq!(written(|out| event.write(out)), r#"2["a\"]\n","\\"]"#);
    assert_eq!(
        written(|out| write_connect_error(out, "/", "\"", None)),
        r#"4{"message":"\""}"#
    );
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![Just("/".to_owned()), "/[a-z0-9é._-]{0,20}"]
}

/// Arguments as JSON values; the placeholders come behind them.
fn args() -> impl Strategy<Value = Vec<serde_json::Value>> {
    let value = prop_oneof![
        any::<String>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::json!({"_placeholder": false, "a": [1, {"b": null}]})),
    ];
    prop::collection::vec(value, 0..5)
}

proptest! {
    #[test]
    fn events_read_back_as_they_were_written(
        namespace in namespace(),
        name in "[^\\p{Cc}]{0,40}x",
        args in args(),
        id in prop::option::of(0u64..1 << 53),
        attachments in 0usize..=10,
    ) {
        let mut parts: Vec<String> = args.iter().map(ToString::to_string).collect();
        parts.extend((0..attachments).map(|num| written(|out| write_placeholder(out, num))));
        let raw = parts.join(",");
        let event = EventOut { namespace: &namespace, name: &name, args: &raw, offset: None, id, attachments };
        let text = written(|out| event.write(out));
        let packet = Packet::decode(&text, &Limits::default()).unwrap();
        prop_assert_eq!(packet.namespace, &namespace);
        let Body::Event(found) = packet.body else { panic!("an event") };
        prop_assert_eq!(&*found.name, &name);
        prop_assert_eq!(found.id, id);
        prop_assert_eq!(found.attachments, attachments);
        prop_assert_eq!(found.args.raw(), &raw);
        let walked: Vec<&str> = found.args.iter().map(|raw| raw.get()).collect();
        prop_assert_eq!(walked, parts);
    }

    #[test]
    fn acks_read_back_as_they_were_written(
        namespace in namespace(),
        args in args(),
        id in 0u64..1 << 53,
    ) {
        let parts: Vec<String> = args.iter().map(ToString::to_string).collect();
        let raw = parts.join(",");
        let text = written(|out| write_ack(out, &namespace, id, &raw, 0));
        let packet = Packet::decode(&text, &Limits::default()).unwrap();
        prop_assert_eq!(packet.namespace, &namespace);
        let Body::Ack(found) = packet.body else { panic!("an ack") };
        prop_assert_eq!((found.id, found.args.raw()), (id, &*raw));
    }

    #[test]
    fn arbitrary_texts_never_break_the_decoder(text in "[0-9/,{}\\[\\]\":a_\\\\ -]{0,40}") {
        let _ = Packet::decode(&text, &Limits::default());
    }
}
