//! Engine.IO v4 as the specification writes it, and what must be refused.

use proptest::prelude::*;
use relais_protocol::engineio::{
    EngineError, Handshake, HandshakeError, OpenPacket, Packet, PacketType, Payload, PayloadLimits,
    PayloadPacket, PayloadWriter, Query, QueryPairs, Transport, handshake, write_packet,
};

const LIMITS: PayloadLimits = PayloadLimits {
    payload_bytes_max: 1_000_000,
    packets_max: 1_024,
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Text(PacketType, String),
    Binary(Vec<u8>),
}

fn decode_all(body: &[u8]) -> Result<Vec<Owned>, EngineError> {
    Payload::decode(body, &LIMITS)?
        .map(|packet| match packet? {
            PayloadPacket::Text(packet) => Ok(Owned::Text(packet.kind, packet.data.to_owned())),
            PayloadPacket::Binary(base64) => base64.decode().map(Owned::Binary),
        })
        .collect()
}

#[test]
fn packets_of_the_specification_decode() {
    for (text, kind, data) in [
        (
            "0{\"sid\":\"lv_VI97HAXpY6yYWAAAC\"}",
            PacketType::Open,
            "{\"sid\":\"lv_VI97HAXpY6yYWAAAC\"}",
        ),
        ("1", PacketType::Close, ""),
        ("2", PacketType::Ping, ""),
        ("2probe", PacketType::Ping, "probe"),
        ("3", PacketType::Pong, ""),
        ("3probe", PacketType::Pong, "probe"),
        ("4hello", PacketType::Message, "hello"),
        ("4€", PacketType::Message, "€"),
        ("5", PacketType::Upgrade, ""),
        ("6", PacketType::Noop, ""),
    ] {
        let packet = Packet::decode(text).unwrap();
        assert_eq!(packet, Packet { kind, data });
        assert_eq!(packet.is_probe(), text == "2probe");
        let mut out = Vec::new();
        write_packet(&mut out, kind, data);
        assert_eq!(out, text.as_bytes());
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    assert_eq!(Packet::decode(""), Err(EngineError::EmptyPacket));
    for text in ["7", "abc", "-1", "€", "\0", "b", "bAQ=="] {
        let byte = text.as_bytes()[0];
        let error = EngineError::UnknownType { byte };
        assert_eq!(Packet::decode(text), Err(error), "{text}");
        assert_eq!(error.status(), 400);
        assert_eq!(error.close_code().get(), 1002);
    }
}

#[test]
fn payloads_of_the_specification_decode() {
    use PacketType::Message;
    let text = |data: &str| Owned::Text(Message, data.to_owned());
    assert_eq!(
        decode_all(b"4test1\x1e4test2\x1e4test3"),
        Ok(vec![text("test1"), text("test2"), text("test3")])
    );
    assert_eq!(
        decode_all(b"4hello\x1ebAQIDBA=="),
        Ok(vec![text("hello"), Owned::Binary(vec![1, 2, 3, 4])])
    );
    assert_eq!(
        decode_all(b"42[\"hello\"]\x1e42[\"world\"]"),
        Ok(vec![text("2[\"hello\"]"), text("2[\"world\"]")])
    );
    assert_eq!(decode_all(b"b"), Ok(vec![Owned::Binary(vec![])]));
}

#[test]
fn base64_without_padding_is_understood() {
    assert_eq!(
        decode_all(b"bAQIDBA"),
        Ok(vec![Owned::Binary(vec![1, 2, 3, 4])])
    );
}

#[test]
fn bad_payloads_are_refused_with_their_status() {
    for (body, error, status) in [
        (&b""[..], EngineError::EmptyPacket, 400),
        (b"\x1e", EngineError::EmptyPacket, 400),
        (b"4a\x1e", EngineError::EmptyPacket, 400),
        (b"4a\x1e\x1e4b", EngineError::EmptyPacket, 400),
        (b"abc", EngineError::UnknownType { byte: b'a' }, 400),
        (b"4a\x1e9", EngineError::UnknownType { byte: b'9' }, 400),
        (b"b!!!!", EngineError::InvalidBase64, 400),
        (b"bAQ=I", EngineError::InvalidBase64, 400),
        (b"4\xff\xfe", EngineError::InvalidUtf8, 400),
    ] {
        assert_eq!(decode_all(body), Err(error), "{body:?}");
        assert_eq!(error.status(), status);
    }
}

#[test]
fn a_megabyte_of_separators_is_refused_before_any_packet() {
    let body = vec![0x1e; 1_000_000];
    let error = EngineError::TooManyPackets { packets_max: 1_024 };
    assert_eq!(Payload::decode(&body, &LIMITS).err(), Some(error));
    let body = vec![b'4'; 1_000_001];
    let error = EngineError::PayloadTooBig {
        bytes_max: 1_000_000,
    };
    assert_eq!(Payload::decode(&body, &LIMITS).err(), Some(error));
    assert_eq!(error.status(), 413);
    assert_eq!(error.close_code().get(), 1009);
}

#[test]
fn as_many_packets_as_allowed_are_allowed() {
    let limits = PayloadLimits {
        packets_max: 2,
        ..LIMITS
    };
    assert!(Payload::decode(b"2\x1e2", &limits).is_ok());
    assert!(Payload::decode(b"2\x1e2\x1e2", &limits).is_err());
}

#[test]
fn nothing_comes_after_a_bad_packet() {
    let mut payload = Payload::decode(b"4a\x1ex\x1e4b", &LIMITS).unwrap();
    assert!(payload.next().unwrap().is_ok());
    assert!(payload.next().unwrap().is_err());
    assert_eq!(payload.next(), None);
}

#[test]
fn a_poll_is_answered_with_separated_packets() {
    let mut out = Vec::new();
    let mut writer = PayloadWriter::new(&mut out);
    assert!(writer.is_empty());
    writer.packet(PacketType::Message, "hello");
    writer.binary(&[1, 2, 3, 4]);
    writer.encoded(b"42[\"a\"]");
    writer.packet(PacketType::Noop, "");
    assert!(!writer.is_empty());
    assert_eq!(out, b"4hello\x1ebAQIDBA==\x1e42[\"a\"]\x1e6");
}

#[test]
fn the_open_packet_has_the_keys_and_types_that_clients_insist_on() {
    let open = OpenPacket {
        sid: "lv_VI97HAXpY6yYWAAAC",
        upgrades: &["websocket"],
        ping_interval_ms: 25_000,
        ping_timeout_ms: 5_000,
        max_payload_bytes: 1_000_000,
    };
    let mut out = Vec::new();
    open.write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000,"maxPayload":1000000}"#
    );
    let mut out = Vec::new();
    OpenPacket {
        upgrades: &[],
        ..open
    }
    .write(&mut out);
    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains(r#""upgrades":[],"#)
    );
}

#[test]
fn handshake_errors_have_the_reference_servers_bodies() {
    for (error, status, body) in [
        (
            HandshakeError::TransportUnknown,
            400,
            r#"{"code":0,"message":"Transport unknown"}"#,
        ),
        (
            HandshakeError::SessionUnknown,
            400,
            r#"{"code":1,"message":"Session ID unknown"}"#,
        ),
        (
            HandshakeError::BadMethod,
            400,
            r#"{"code":2,"message":"Bad handshake method"}"#,
        ),
        (
            HandshakeError::BadRequest,
            400,
            r#"{"code":3,"message":"Bad request"}"#,
        ),
        (
            HandshakeError::Forbidden,
            403,
            r#"{"code":4,"message":"Forbidden"}"#,
        ),
        (
            HandshakeError::UnsupportedVersion,
            400,
            r#"{"code":5,"message":"Unsupported protocol version"}"#,
        ),
    ] {
        assert_eq!(error.status(), status);
        assert_eq!(error.body(), body);
        assert_eq!(error.to_string(), error.message());
    }
}

/// What comes of a GET (or not) that asks for an upgrade (or not), with that query.
fn asked(raw: &str, is_get: bool, is_upgrade: bool) -> Result<Handshake<'_>, HandshakeError> {
    handshake(&Query::parse(raw), is_get, is_upgrade)
}

#[test]
fn requests_are_what_their_query_method_and_upgrade_make_them() {
    let resume = |transport| {
        Ok(Handshake::Resume {
            transport,
            sid: "s".into(),
        })
    };
    let polling = Ok(Handshake::Open(Transport::Polling));
    let websocket = Ok(Handshake::Open(Transport::WebSocket));
    assert_eq!(asked("EIO=4&transport=polling", true, false), polling);
    assert_eq!(asked("EIO=4&transport=websocket", true, true), websocket);
    // Native Dart clients ask for polling and upgrade all the same.
    assert_eq!(asked("EIO=4&transport=polling", true, true), websocket);
    assert_eq!(asked("EIO=4&transport=polling&sid=", true, false), polling);
    let known = "EIO=4&transport=polling&sid=s";
    assert_eq!(asked(known, true, false), resume(Transport::Polling));
    assert_eq!(asked(known, false, false), resume(Transport::Polling));
    let upgrade = "EIO=4&transport=websocket&sid=s";
    assert_eq!(asked(upgrade, true, true), resume(Transport::WebSocket));
}

#[test]
fn requests_that_are_none_are_refused_with_their_code() {
    use HandshakeError as E;
    for (raw, is_get, is_upgrade, error) in [
        (
            "EIO=4&transport=websocket&sid=s",
            true,
            false,
            E::BadRequest,
        ),
        // A version is a part of every request, not of the first alone.
        ("transport=polling&sid=s", true, false, E::BadRequest),
        ("", true, false, E::TransportUnknown),
        ("EIO=4", true, false, E::TransportUnknown),
        ("EIO=4&transport=abc", true, false, E::TransportUnknown),
        (
            "EIO=4&transport=webtransport",
            true,
            true,
            E::TransportUnknown,
        ),
        (
            "EIO=4&transport=__proto__",
            true,
            false,
            E::TransportUnknown,
        ),
        ("EIO=4&transport=polling", false, false, E::BadMethod),
        ("EIO=4&transport=websocket", true, false, E::BadRequest),
        ("transport=polling", true, false, E::UnsupportedVersion),
        (
            "EIO=3&transport=polling",
            true,
            false,
            E::UnsupportedVersion,
        ),
        (
            "EIO=abc&transport=polling",
            true,
            false,
            E::UnsupportedVersion,
        ),
        (
            "EIO=4&EIO=3&transport=polling",
            true,
            false,
            E::UnsupportedVersion,
        ),
    ] {
        assert_eq!(asked(raw, is_get, is_upgrade), Err(error), "{raw}");
    }
}

#[test]
fn queries_are_decoded_like_forms() {
    let query = Query::parse("EIO=4&transport=polling&t=N8hyd6w&b64=1&sid=a%2Fb+c&x");
    assert_eq!(query.sid.as_deref(), Some("a/b c"));
    assert_eq!(query.transport.as_deref(), Some("polling"));
    let pairs: Vec<_> = QueryPairs::new("a=1&&b&=c&%zz=%&d=%e9&e=%C3%A9").collect();
    let expected = [
        ("a", "1"),
        ("b", ""),
        ("", "c"),
        ("%zz", "%"),
        ("d", "\u{fffd}"),
        ("e", "é"),
    ];
    assert_eq!(pairs.len(), expected.len());
    for ((name, value), expected) in pairs.iter().zip(expected) {
        assert_eq!((&**name, &**value), expected);
    }
}

#[test]
fn values_of_the_application_may_be_json_strings() {
    let raw = "token=abc&room=%22a+b%22&quote=%22&n=1";
    assert_eq!(Query::value(raw, "token").as_deref(), Some("abc"));
    assert_eq!(Query::value(raw, "room").as_deref(), Some("a b"));
    assert_eq!(Query::value(raw, "quote").as_deref(), Some("\""));
    assert_eq!(Query::value(raw, "n").as_deref(), Some("1"));
    assert_eq!(Query::value(raw, "missing"), None);
}

fn packet() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<String>()
            .prop_map(|data| Owned::Text(PacketType::Message, data.replace('\u{1e}', ""))),
        Just(Owned::Text(PacketType::Pong, String::new())),
        prop::collection::vec(any::<u8>(), 0..2_000).prop_map(Owned::Binary),
    ]
}

proptest! {
    #[test]
    fn payloads_decode_to_what_was_written(packets in prop::collection::vec(packet(), 1..20)) {
        let mut out = Vec::new();
        let mut writer = PayloadWriter::new(&mut out);
        for packet in &packets {
            match packet {
                Owned::Text(kind, data) => writer.packet(*kind, data),
                Owned::Binary(data) => writer.binary(data),
            }
        }
        prop_assert_eq!(decode_all(&out), Ok(packets));
    }

    #[test]
    fn arbitrary_bodies_never_break_the_decoder(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_all(&body);
        let text = String::from_utf8_lossy(&body);
        let _ = Packet::decode(&text);
        let _ = Query::parse(&text);
    }
}
