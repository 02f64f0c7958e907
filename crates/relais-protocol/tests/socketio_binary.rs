//! Attachments: placeholders, their order, and what may stand between a packet and its attachments.

use bytes::Bytes;
use relais_protocol::socketio::{Body, DecodeError, Decoder, Limits, Packet};

const LIMITS: Limits = Limits {
    attachments_max: 10,
    attachments_bytes_max: 100,
    depth_max: 64,
    namespace: relais_protocol::name::NameRules {
        bytes_max: 255,
        control_characters: false,
    },
    event_name: relais_protocol::name::NameRules {
        bytes_max: 255,
        control_characters: false,
    },
};

#[test]
fn a_binary_event_is_whole_after_its_last_attachment() {
    let mut decoder = Decoder::new();
    let text =
        r#"52-/admin,7["baz",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]"#;
    assert_eq!(decoder.text(text, &LIMITS), Ok(None));
    assert_eq!(
        decoder.binary(Bytes::from_static(&[1, 2]), &LIMITS),
        Ok(None)
    );
    let whole = decoder
        .binary(Bytes::from_static(&[3, 4]), &LIMITS)
        .unwrap()
        .unwrap();
    assert_eq!(whole.attachments, [&[1u8, 2][..], &[3, 4]]);
    let packet = whole.packet(&LIMITS).unwrap();
    assert_eq!(packet.namespace, "/admin");
    let Body::Event(event) = packet.body else {
        panic!("an event");
    };
    assert_eq!(
        (&*event.name, event.id, event.attachments),
        ("baz", Some(7), 2)
    );
    assert_eq!(
        event.args.raw(),
        r#"{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}"#
    );
}

#[test]
fn a_binary_ack_is_whole_after_its_attachment() {
    let mut decoder = Decoder::new();
    let text = r#"61-15["bar",{"_placeholder":true,"num":0}]"#;
    assert_eq!(decoder.text(text, &LIMITS), Ok(None));
    let whole = decoder.binary(Bytes::new(), &LIMITS).unwrap().unwrap();
    let Body::Ack(ack) = whole.packet(&LIMITS).unwrap().body else {
        panic!("an ack");
    };
    assert_eq!((ack.id, ack.attachments), (15, 1));
}

#[test]
fn plain_packets_pass_through_untouched() {
    let mut decoder = Decoder::new();
    let packet = decoder.text("2[\"a\"]", &LIMITS).unwrap().unwrap();
    assert_eq!(packet.attachments(), 0);
}

#[test]
fn text_between_a_packet_and_its_attachments_is_refused() {
    let mut decoder = Decoder::new();
    let text = r#"51-["a",{"_placeholder":true,"num":0}]"#;
    decoder.text(text, &LIMITS).unwrap();
    assert_eq!(
        decoder.text("2[\"b\"]", &LIMITS),
        Err(DecodeError::TextInsteadOfAttachment)
    );
}

#[test]
fn a_surplus_binary_message_is_refused() {
    let mut decoder = Decoder::new();
    let surplus = Err(DecodeError::UnexpectedBinary);
    assert_eq!(decoder.binary(Bytes::new(), &LIMITS), surplus);
    let text = r#"51-["a",{"_placeholder":true,"num":0}]"#;
    decoder.text(text, &LIMITS).unwrap();
    assert!(decoder.binary(Bytes::new(), &LIMITS).unwrap().is_some());
    assert_eq!(decoder.binary(Bytes::new(), &LIMITS), surplus);
}

#[test]
fn attachments_are_limited_in_all() {
    let mut decoder = Decoder::new();
    let text = r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    decoder.text(text, &LIMITS).unwrap();
    assert_eq!(decoder.binary(Bytes::from(vec![0; 60]), &LIMITS), Ok(None));
    assert_eq!(
        decoder.binary(Bytes::from(vec![0; 41]), &LIMITS),
        Err(DecodeError::AttachmentsTooBig { bytes_max: 100 })
    );
}

#[test]
fn ten_attachments_are_allowed() {
    let placeholders: Vec<String> = (0..10)
        .map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#))
        .collect();
    let text = format!("510-[\"a\",{}]", placeholders.join(","));
    let packet = Packet::decode(&text, &LIMITS).unwrap();
    assert_eq!(packet.attachments(), 10);
}

#[test]
fn placeholders_are_seen_as_a_javascript_client_would_see_them() {
    for text in [
        // In another order, with white space, with escapes, not at the top.
        r#"51-["a",{"num":0,"_placeholder":true}]"#,
        r#"51-["a", { "_placeholder" : true , "num" : 0 } ]"#,
        r#"51-["a",{"\u005fplaceholder":true,"n\u0075m":0}]"#,
        r#"51-["a",{"b":{"c":[1,{"_placeholder":true,"num":0},"d"]}}]"#,
        r#"51-[{"_placeholder":true,"num":0}]"#.replace("51-[", r#"51-["a","#).as_str(),
        // Out of order is still each one once.
        r#"52-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#,
        // Data that only resembles one.
        r#"51-["a",{"_placeholder":false,"num":5},{"_placeholder":true,"num":0}]"#,
        r#"51-["a",{"_placeholder":"true"},{"_placeholder":true,"num":0},"_placeholder"]"#,
        r#"51-["a",{"_placeholder":true,"_placeholder":false,"num":9},{"_placeholder":true,"num":0}]"#,
        r#"51-["a",{"x":"\ud83d","y":1e999},{"_placeholder":true,"num":0}]"#,
        r#"61-1[{"_placeholder":true,"num":0}]"#,
    ] {
        assert!(Packet::decode(text, &LIMITS).is_ok(), "{text}");
    }
}

#[test]
fn bad_placeholders_are_refused() {
    for text in [
        // None at all, though one is announced.
        r#"51-["a"]"#,
        r#"51-["a",{"_placeholder":true}]"#,
        // Out of range, of another type, or not a whole number.
        r#"51-["a",{"_placeholder":true,"num":1}]"#,
        r#"51-["a",{"_placeholder":true,"num":-1}]"#,
        r#"51-["a",{"_placeholder":true,"num":0.5}]"#,
        r#"51-["a",{"_placeholder":true,"num":"0"}]"#,
        r#"51-["a",{"_placeholder":true,"num":[0]}]"#,
        r#"51-["a",{"_placeholder":true,"num":99999999999999999999}]"#,
        // One good, one bad: it would disconnect whoever gets it.
        r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":99}]"#,
        r#"51-["a",{"_placeholder":true,"num":0},{"\u005fplaceholder":true,"num":99}]"#,
        r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":false,"_placeholder":true,"num":9}]"#,
        // Twice the same, and one missing.
        r#"52-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        r#"52-["a",{"_placeholder":true,"num":0}]"#,
        r#"51-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#,
        // More than a placeholder.
        r#"51-["a",{"_placeholder":true,"num":0,"x":1}]"#,
        r#"52-["a",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":1}}]"#,
    ] {
        let error = Packet::decode(text, &LIMITS).unwrap_err();
        assert_eq!(error, DecodeError::BadPlaceholder, "{text}");
    }
}
