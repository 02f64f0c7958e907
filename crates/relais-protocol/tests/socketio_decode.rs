//! Socket.IO v5 texts: what each means, and which are refused.

use std::borrow::Cow;

use relais_protocol::json::JsonError;
use relais_protocol::name::NameError;
use relais_protocol::socketio::{
    Ack, Body, DecodeError, Event, Limits, Packet, RESERVED_EVENTS, Recovery,
};

fn decode(text: &str) -> Result<Packet<'_>, DecodeError> {
    Packet::decode(text, &Limits::default())
}

fn event(text: &str) -> Event<'_> {
    match decode(text).expect("a packet").body {
        Body::Event(event) => event,
        other => panic!("{text} is {other:?}"),
    }
}

fn ack(text: &str) -> Ack<'_> {
    match decode(text).expect("a packet").body {
        Body::Ack(ack) => ack,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn connect_may_bring_a_namespace_and_an_object() {
    for (text, namespace, auth) in [
        ("0", "/", None),
        ("0/custom", "/custom", None),
        ("0/custom,", "/custom", None),
        ("0/,", "/", None),
        ("0{\"token\":\"123\"}", "/", Some("{\"token\":\"123\"}")),
        (
            "0/admin,{\"token\":\"123\"}",
            "/admin",
            Some("{\"token\":\"123\"}"),
        ),
        ("0{}", "/", Some("{}")),
    ] {
        let packet = decode(text).unwrap();
        assert_eq!(packet.namespace, namespace);
        let Body::Connect(found) = packet.body else {
            panic!("{text}");
        };
        assert_eq!(found.map(|json| json.get()), auth, "{text}");
    }
}

#[test]
fn disconnect_brings_nothing() {
    for (text, namespace) in [("1", "/"), ("1/admin,", "/admin"), ("1/custom", "/custom")] {
        let packet = decode(text).unwrap();
        assert_eq!(packet.namespace, namespace);
        assert_eq!(packet.body, Body::Disconnect);
    }
}

#[test]
fn events_of_the_specification_decode() {
    let found = event("2[\"foo\"]");
    assert_eq!(
        (&*found.name, found.id, found.args.raw()),
        ("foo", None, "")
    );
    assert!(found.args.is_empty());

    let found = event("212[\"foo\"]");
    assert_eq!(found.id, Some(12));

    let packet = decode("2/admin,13[\"message\",1,\"2\",{\"3\":[true]}]").unwrap();
    assert_eq!(packet.namespace, "/admin");
    let Body::Event(found) = packet.body else {
        panic!("an event");
    };
    assert_eq!(found.id, Some(13));
    assert_eq!(found.args.raw(), "1,\"2\",{\"3\":[true]}");
    assert_eq!(found.attachments, 0);
}

#[test]
fn a_plain_name_is_borrowed_and_an_escaped_one_unescaped() {
    let text = r#"2["send-message",{"bamId":"1","content":"hé"}]"#;
    let found = event(text);
    let Cow::Borrowed(name) = found.name else {
        panic!("no allocation for a plain name");
    };
    assert!(text.as_bytes().as_ptr_range().contains(&name.as_ptr()));
    assert_eq!(event(r#"2["\u0061\"\\"]"#).name, "a\"\\");
}

#[test]
fn a_number_can_be_a_name() {
    let found = event("2[1,\"a\",{}]");
    assert_eq!((&*found.name, found.args.raw()), ("1", "\"a\",{}"));
}

#[test]
fn white_space_around_arguments_is_dropped() {
    let found = event("2[ \"e\" , 1 , { } ] ");
    assert_eq!((&*found.name, found.args.raw()), ("e", "1 , { }"));
}

#[test]
fn arguments_can_be_walked_and_the_first_one_parsed() {
    #[derive(serde::Deserialize)]
    struct Payload<'a> {
        content: &'a str,
    }
    let found = event("2[\"e\" , {\"content\":\"hi\"} ,[1, 2],\"s\",4 , null ]");
    let parts: Vec<&str> = found.args.iter().map(|raw| raw.get()).collect();
    assert_eq!(
        parts,
        ["{\"content\":\"hi\"}", "[1, 2]", "\"s\"", "4", "null"]
    );
    assert_eq!(
        found.args.first::<Payload<'_>>().unwrap().unwrap().content,
        "hi"
    );
    assert!(found.args.first::<String>().is_err());

    assert!(event("2[\"e\"]").args.first::<String>().unwrap().is_none());
    assert_eq!(event("2[\"e\"]").args.iter().count(), 0);
    assert_eq!(
        event("2[\"join-bam\",\"42\"]")
            .args
            .first::<&str>()
            .unwrap(),
        Some("42")
    );
    assert_eq!(
        event("2[\"join-bam\",42]").args.first::<u64>().unwrap(),
        Some(42)
    );
}

#[test]
fn acks_have_an_id_and_an_array() {
    let found = ack("312[]");
    assert_eq!((found.id, found.args.raw()), (12, ""));
    let packet = decode("3/admin,13[\"bar\"]").unwrap();
    assert_eq!(packet.namespace, "/admin");
    assert_eq!(
        ack("3456[1,\"2\",{\"3\":[false]}]").args.raw(),
        "1,\"2\",{\"3\":[false]}"
    );
    assert_eq!(ack("39007199254740991[]").id, (1 << 53) - 1);
    assert_eq!(ack("3007[]").id, 7);
}

#[test]
fn a_plain_event_may_hold_what_looks_like_a_placeholder() {
    let found = event("2[\"e\",{\"_placeholder\":true,\"num\":9}]");
    assert_eq!(found.attachments, 0);
}

#[test]
fn malformed_packets_are_refused_by_kind() {
    use DecodeError as E;
    let unexpected = |at| E::BadJson(JsonError::Unexpected { at });
    let incomplete = E::BadJson(JsonError::Incomplete);
    for (text, error) in [
        // Types.
        ("", E::UnknownType),
        ("abc", E::UnknownType),
        ("7", E::UnknownType),
        ("999", E::UnknownType),
        ("é", E::UnknownType),
        ("4{\"message\":\"x\"}", E::ConnectErrorFromClient),
        ("442[\"some\",\"data\"", E::ConnectErrorFromClient),
        // CONNECT and DISCONNECT.
        ("0/admin,\"invalid\"", E::BadShape),
        ("0[]", E::BadShape),
        ("0null", E::BadShape),
        ("0{", incomplete),
        ("0{}x", unexpected(2)),
        ("012{}", E::BadAckId),
        ("1/admin,{}", E::BadShape),
        ("1{}", E::BadShape),
        ("11", E::BadAckId),
        // Events.
        ("2", E::BadShape),
        ("2/admin", E::BadShape),
        ("2{}", E::BadShape),
        ("2/admin,{}", E::BadShape),
        ("2/admin,\"invalid", E::BadShape),
        ("2[]", E::BadShape),
        ("2[", incomplete),
        ("2[\"a\"", incomplete),
        ("2[\"a\",", incomplete),
        ("2[\"a\",]", unexpected(5)),
        ("2[\"a\"]]", unexpected(5)),
        ("2[\"a\" 1]", unexpected(5)),
        ("2[\"a\",1}", unexpected(6)),
        ("2[{\"toString\":\"foo\"}]", E::BadShape),
        ("2[true,\"foo\"]", E::BadShape),
        ("2[null,\"bar\"]", E::BadShape),
        ("2[[\"a\"]]", E::BadShape),
        ("2[1abc]", unexpected(2)),
        ("2[\"a\nb\"]", unexpected(3)),
        ("2[\"\\ud800\"]", E::ReservedEventName),
        // Acknowledgements.
        ("2abc[\"message-with-ack\",1]", E::BadShape),
        ("2-1[\"a\"]", E::BadShape),
        ("21.5[\"a\"]", E::BadShape),
        ("29007199254740992[\"a\"]", E::BadAckId),
        ("299999999999999999999[\"a\"]", E::BadAckId),
        ("3[]", E::BadAckId),
        ("312", E::BadShape),
        ("312{}", E::BadShape),
        ("312\"a\"", E::BadShape),
        // Attachments.
        ("5", E::BadAttachments),
        ("51", E::BadAttachments),
        ("5-[\"a\"]", E::BadAttachments),
        ("50-[\"a\"]", E::BadAttachments),
        ("5a-[\"a\"]", E::BadAttachments),
        ("51.23-[\"a\"]", E::BadAttachments),
        ("5-1-[\"a\"]", E::BadAttachments),
        (
            "511-[\"a\"]",
            E::TooManyAttachments {
                attachments_max: 10,
            },
        ),
        (
            "599999999999999999999-[\"a\"]",
            E::TooManyAttachments {
                attachments_max: 10,
            },
        ),
    ] {
        assert_eq!(decode(text), Err(error), "{text}");
    }
}

#[test]
fn reserved_names_are_never_events_however_they_are_written() {
    for name in RESERVED_EVENTS {
        let error = Err(DecodeError::ReservedEventName);
        assert_eq!(decode(&format!("2[\"{name}\",\"123\"]")), error);
    }
    let escaped = "2[\"\\u0063onnect\"]";
    assert_eq!(decode(escaped), Err(DecodeError::ReservedEventName));
    assert_eq!(event("2[\"Connect\"]").name, "Connect");
}

#[test]
fn names_have_a_length_and_no_control_characters() {
    let too_long = NameError::TooLong {
        bytes: 256,
        bytes_max: 255,
    };
    let long = "x".repeat(255);
    assert!(decode(&format!("2[\"{long}\"]")).is_ok());
    assert_eq!(
        decode(&format!("2[\"{long}x\"]")),
        Err(DecodeError::BadEventName(too_long))
    );
    assert!(decode(&format!("0/{}", &long[1..])).is_ok());
    assert_eq!(
        decode(&format!("0/{long}")),
        Err(DecodeError::BadNamespace(too_long))
    );
    let control = NameError::ControlCharacter;
    assert_eq!(decode("0/a\0,"), Err(DecodeError::BadNamespace(control)));
    assert_eq!(decode("0/a\u{9b}"), Err(DecodeError::BadNamespace(control)));
    for name in ["\\u0000", "a\\n", "\\u001b[31m", "\u{7f}", "\u{85}"] {
        let text = format!("2[\"{name}\"]");
        assert_eq!(
            decode(&text),
            Err(DecodeError::BadEventName(control)),
            "{name}"
        );
    }
    assert_eq!(
        event("2[\"story:published é 🎉\"]").name,
        "story:published é 🎉"
    );
}

#[test]
fn nesting_is_limited_with_the_outer_array_counted() {
    let nested = |n: usize| format!("2[\"a\",{}{}]", "[".repeat(n), "]".repeat(n));
    assert!(decode(&nested(63)).is_ok());
    let too_deep = Err(DecodeError::BadJson(JsonError::TooDeep { depth_max: 64 }));
    assert_eq!(decode(&nested(64)), too_deep);
    let bomb = format!("2[\"a\",{}", "{\"a\":".repeat(200_000));
    assert_eq!(decode(&bomb), too_deep);
    let bomb = format!("0{}", "{\"a\":".repeat(200_000));
    assert_eq!(decode(&bomb), too_deep);
    let bomb = format!("31{}", "[".repeat(1_000_000));
    assert_eq!(decode(&bomb), too_deep);
}

#[test]
fn recovery_is_read_out_of_auth_and_anything_odd_counts_as_absent() {
    let of = |text: &str| {
        let Body::Connect(Some(auth)) = decode(text).unwrap().body else {
            panic!("{text}");
        };
        let recovery = Recovery::of(auth);
        (
            recovery.pid.map(Cow::into_owned),
            recovery.offset.map(Cow::into_owned),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        of(r#"0{"pid":"p","offset":"1.2.0","token":"t"}"#),
        (some("p"), some("1.2.0"))
    );
    assert_eq!(
        of(r#"0{"pid":"p\u0031","offset":null}"#),
        (some("p1"), None)
    );
    assert_eq!(of(r#"0{"pid":1,"offset":["x"]}"#), (None, None));
    assert_eq!(of(r#"0{"token":"t"}"#), (None, None));
    assert_eq!(of(r#"0{"pid":"a","pid":"b"}"#), (None, None));
}

#[test]
fn each_refusal_leads_to_a_close_code() {
    for (error, code) in [
        (DecodeError::BadShape, 1002),
        (DecodeError::BadPlaceholder, 1002),
        (
            DecodeError::TooManyAttachments {
                attachments_max: 10,
            },
            1009,
        ),
        (DecodeError::AttachmentsTooBig { bytes_max: 1 }, 1009),
        (DecodeError::ReservedEventName, 1008),
        (DecodeError::BadNamespace(NameError::ControlCharacter), 1008),
    ] {
        assert_eq!(error.close_code().get(), code);
    }
}
