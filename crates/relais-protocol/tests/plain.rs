//! The plain JSON envelope, both ways.

use std::borrow::Cow;

use proptest::prelude::*;
use relais_protocol::json::JsonError;
use relais_protocol::name::NameError;
use relais_protocol::plain::{Envelope, Limits, Mark, PlainError, Request};

fn decode(text: &str) -> Result<Request<'_>, PlainError> {
    Request::decode(text, &Limits::default())
}

#[test]
fn a_request_keeps_its_data_and_id_as_they_stood() {
    let request =
        decode(r#" {"id": "a\u00e9", "type":"send_message", "x":[{}], "data" : {"roomId":"1"} } "#)
            .unwrap();
    assert!(matches!(request.event, Cow::Borrowed("send_message")));
    assert_eq!(request.data.unwrap().get(), r#"{"roomId":"1"}"#);
    assert_eq!(request.id.unwrap().get(), r#""a\u00e9""#);
}

#[test]
fn data_and_id_are_optional() {
    let request = decode(r#"{"type":"ping"}"#).unwrap();
    assert_eq!((request.data, request.id), (None, None));
    let request = decode(r#"{"type":"ping","data":null,"id":null}"#).unwrap();
    assert_eq!(request.data.unwrap().get(), "null");
    assert_eq!(request.id, None);
}

#[test]
fn ids_may_be_any_scalar() {
    for id in ["1", "-1.5e3", "\"x\"", "true", "\"\""] {
        let text = format!(r#"{{"type":"t","id":{id}}}"#);
        assert_eq!(decode(&text).unwrap().id.unwrap().get(), id);
    }
}

#[test]
fn escaped_types_and_keys_mean_what_they_say() {
    let request = decode(r#"{"t\u0079pe":"p\u0069ng"}"#).unwrap();
    assert_eq!(request.event, "ping");
}

#[test]
fn keys_that_mean_something_to_javascript_are_plain_data() {
    let text = r#"{"__proto__":{"type":"x"},"type":"t","data":{"__proto__":{"admin":true}}}"#;
    let request = decode(text).unwrap();
    assert_eq!(request.event, "t");
    assert_eq!(
        request.data.unwrap().get(),
        r#"{"__proto__":{"admin":true}}"#
    );
}

#[test]
fn unreadable_envelopes_are_refused_by_kind() {
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(256));
    let long_id = format!(r#"{{"type":"t","id":"{}"}}"#, "x".repeat(254));
    let deep = format!(
        r#"{{"type":"t","data":{}{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    for (text, error) in [
        ("", PlainError::BadJson(JsonError::Incomplete)),
        (
            "hello",
            PlainError::BadJson(JsonError::Unexpected { at: 0 }),
        ),
        ("{", PlainError::BadJson(JsonError::Incomplete)),
        (
            r#"{"type":"t",}"#,
            PlainError::BadJson(JsonError::Unexpected { at: 12 }),
        ),
        (
            r#"{"type":"t"}x"#,
            PlainError::BadJson(JsonError::Unexpected { at: 12 }),
        ),
        ("[]", PlainError::NotAnObject),
        ("null", PlainError::NotAnObject),
        ("\"type\"", PlainError::NotAnObject),
        ("{}", PlainError::BadType),
        (r#"{"type":1}"#, PlainError::BadType),
        (r#"{"type":null}"#, PlainError::BadType),
        (r#"{"type":"\ud800"}"#, PlainError::BadType),
        (
            r#"{"type":"a\u0000"}"#,
            PlainError::BadName(NameError::ControlCharacter),
        ),
        (
            &long,
            PlainError::BadName(NameError::TooLong {
                bytes: 256,
                bytes_max: 255,
            }),
        ),
        (r#"{"type":"t","id":{}}"#, PlainError::BadId),
        (r#"{"type":"t","id":[1]}"#, PlainError::BadId),
        (&long_id, PlainError::BadId),
        (r#"{"type":"t","type":"u"}"#, PlainError::DuplicateField),
        (
            r#"{"type":"t","data":1,"d\u0061ta":2}"#,
            PlainError::DuplicateField,
        ),
        (
            &deep,
            PlainError::BadJson(JsonError::TooDeep { depth_max: 64 }),
        ),
    ] {
        assert_eq!(decode(text), Err(error), "{text}");
    }
}

#[test]
fn the_servers_envelope_has_its_fields_in_order_and_only_those_that_are() {
    let mut out = Vec::new();
    let mut envelope = Envelope {
        event: "message",
        data: r#"{"id":"1"}"#,
        at_ms: 1_767_323_045_678,
        position: Some(Mark {
            position: 12,
            index: None,
        }),
        id: Some("7"),
    };
    envelope.write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"type":"message","data":{"id":"1"},"timestamp":"2026-01-02T03:04:05.678Z","position":12,"id":7}"#
    );
    (envelope.position, envelope.id) = (None, None);
    let mut out = Vec::new();
    envelope.write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"type":"message","data":{"id":"1"},"timestamp":"2026-01-02T03:04:05.678Z"}"#
    );
}

#[test]
fn an_event_without_arguments_or_with_several_still_has_one_data() {
    for (data, shown) in [
        ("", "null"),
        ("1", "1"),
        (r#""a,b""#, r#""a,b""#),
        (r#"{"a":[1,2]},"b""#, r#"[{"a":[1,2]},"b"]"#),
    ] {
        let mut out = Vec::new();
        let envelope = Envelope {
            event: "e",
            data,
            at_ms: 0,
            position: None,
            id: None,
        };
        envelope.write(&mut out);
        let text = String::from_utf8(out).unwrap();
        let expected =
            format!(r#"{{"type":"e","data":{shown},"timestamp":"1970-01-01T00:00:00.000Z"}}"#);
        assert_eq!(text, expected);
    }
}

proptest! {
    #[test]
    fn an_envelope_reads_back_as_a_request(
        event in "[^\\p{Cc}]{0,60}",
        data in any::<String>(),
        position in any::<Option<(u64, Option<u16>)>>(),
        id in any::<Option<u32>>(),
    ) {
        let data = serde_json::to_string(&data).unwrap();
        let id = id.map(|id| id.to_string());
        let mut out = Vec::new();
        let position = position.map(|(position, index)| Mark { position, index });
        Envelope { event: &event, data: &data, at_ms: 0, position, id: id.as_deref() }
            .write(&mut out);
        let text = String::from_utf8(out).unwrap();
        let request = decode(&text).unwrap();
        prop_assert_eq!(&*request.event, event);
        prop_assert_eq!(request.data.unwrap().get(), data);
        prop_assert_eq!(request.id.map(|id| id.get().to_owned()), id);
    }

    #[test]
    fn arbitrary_texts_never_break_the_decoder(text in any::<String>()) {
        let _ = decode(&text);
    }
}
