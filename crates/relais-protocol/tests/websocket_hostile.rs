//! What the reader refuses, with which code, and how early.

mod client;

use client::{MASK, first_error, frame, masked};
use relais_protocol::websocket::{Limits, WebSocketError};

const SMALL: Limits = Limits {
    message_bytes_max: 1_000,
    fragments_max: 4,
};

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

/// A header without its payload: first byte, second byte, extended length, mask.
fn header(first: u8, second: u8, length: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, second];
    bytes.extend(length);
    bytes.extend(MASK);
    bytes
}

#[test]
fn violations_of_framing_are_1002_at_the_byte_that_shows_them() {
    use WebSocketError as E;
    for (name, bytes, at, error) in [
        ("first reserved bit", vec![0xc1, 0x80], 1, E::ReservedBits),
        ("second reserved bit", vec![0xa1, 0x80], 1, E::ReservedBits),
        ("third reserved bit", vec![0x91, 0x80], 1, E::ReservedBits),
        (
            "all reserved bits on a ping",
            vec![0xf9],
            1,
            E::ReservedBits,
        ),
        ("opcode 3", vec![0x83], 1, E::UnknownOpcode { opcode: 3 }),
        ("opcode 7", vec![0x87], 1, E::UnknownOpcode { opcode: 7 }),
        ("opcode 11", vec![0x8b], 1, E::UnknownOpcode { opcode: 11 }),
        ("opcode 15", vec![0x8f], 1, E::UnknownOpcode { opcode: 15 }),
        ("unmasked", vec![0x81, 0x05], 2, E::Unmasked),
        ("unmasked and empty", vec![0x81, 0x00], 2, E::Unmasked),
        ("fragmented ping", vec![0x09], 1, E::FragmentedControl),
        ("fragmented close", vec![0x08], 1, E::FragmentedControl),
        ("ping of 126 bytes", vec![0x89, 0xfe], 2, E::LongControl),
        ("close of 64 KiB", vec![0x88, 0xff], 2, E::LongControl),
        (
            "125 bytes in two bytes of length",
            header(0x82, 0xfe, &125u16.to_be_bytes()),
            4,
            E::BadLength,
        ),
        (
            "65,535 bytes in eight bytes of length",
            header(0x82, 0xff, &65_535u64.to_be_bytes()),
            10,
            E::BadLength,
        ),
        (
            "a length with its top bit",
            header(0x82, 0xff, &(1u64 << 63).to_be_bytes()),
            3,
            E::BadLength,
        ),
        (
            "a continuation out of nowhere",
            vec![0x80, 0x80],
            1,
            E::UnexpectedContinuation,
        ),
        (
            "a continuation after a whole message",
            join(&[frame(0x81, b"a"), vec![0x80]]),
            8,
            E::UnexpectedContinuation,
        ),
        (
            "a text inside a fragmented text",
            join(&[frame(0x01, b"a"), vec![0x81]]),
            8,
            E::InterleavedMessage,
        ),
        (
            "a binary inside a fragmented text, after a ping",
            join(&[frame(0x01, b"a"), frame(0x89, b""), vec![0x02]]),
            14,
            E::InterleavedMessage,
        ),
        (
            "a close frame of one byte",
            frame(0x88, &[3]),
            7,
            E::HalfCloseCode,
        ),
    ] {
        assert_eq!(first_error(&bytes, &SMALL), Some((at, error)), "{name}");
        assert_eq!(error.close_code().get(), 1002, "{name}");
    }
}

#[test]
fn close_codes_that_must_not_be_sent_are_1002() {
    for code in [
        0u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        let error = first_error(&frame(0x88, &code.to_be_bytes()), &SMALL);
        assert_eq!(error, Some((8, WebSocketError::BadCloseCode { code })));
    }
}

#[test]
fn a_close_reason_that_is_not_utf8_is_1007() {
    let error = first_error(&frame(0x88, &[0x03, 0xe8, 0xce, 0xba, 0xff]), &SMALL);
    assert_eq!(error, Some((11, WebSocketError::InvalidUtf8)));
    assert_eq!(WebSocketError::InvalidUtf8.close_code().get(), 1007);
}

/// Texts that go wrong, and the offset of the first byte after which no text can come of them.
const BAD_TEXTS: [(&[u8], usize); 14] = [
    (
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
        12,
    ),
    (b"\xce\xba\xf4\x90\x80\x80edited", 3),
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"abc\xfe", 3),
    (b"abc\xff", 3),
    (b"\xc0\xaf", 0),
    (b"\xc1\xbf", 0),
    (b"\xe0\x80\xaf", 1),
    (b"\xf0\x80\x80\xaf", 1),
    (b"\xf8\x88\x80\x80\x80", 0),
    (b"\xed\xbf\xbf", 1),
    (b"\xc3(", 1),
    (b"\xe2\x82 ", 2),
];

#[test]
fn bad_text_is_1007_at_the_bad_byte_inside_a_frame_that_is_still_coming() {
    for (text, bad_at) in BAD_TEXTS {
        // More is declared than ever comes.
        let mut bytes = vec![0x81, 0x80 | 100];
        bytes.extend(MASK);
        bytes.extend(masked(text));
        let error = first_error(&bytes, &SMALL);
        assert_eq!(
            error,
            Some((6 + bad_at + 1, WebSocketError::InvalidUtf8)),
            "{text:x?}"
        );
    }
}

#[test]
fn bad_text_is_1007_at_the_bad_byte_in_whatever_fragment_it_stands() {
    for (text, bad_at) in BAD_TEXTS {
        let one_byte_frames: Vec<Vec<u8>> = text
            .iter()
            .enumerate()
            .map(|(index, byte)| frame(if index == 0 { 0x01 } else { 0x00 }, &[*byte]))
            .collect();
        let limits = Limits {
            fragments_max: 100,
            ..SMALL
        };
        let error = first_error(&one_byte_frames.concat(), &limits);
        assert_eq!(
            error,
            Some((7 * (bad_at + 1), WebSocketError::InvalidUtf8)),
            "{text:x?}"
        );
    }
}

#[test]
fn text_that_ends_inside_a_character_is_1007() {
    let bytes = frame(0x81, "é".as_bytes().split_at(1).0);
    assert_eq!(
        first_error(&bytes, &SMALL),
        Some((7, WebSocketError::InvalidUtf8))
    );
    let bytes = join(&[frame(0x01, b"ok \xf0\x9d"), frame(0x80, b"\x84")]);
    assert_eq!(
        first_error(&bytes, &SMALL),
        Some((18, WebSocketError::InvalidUtf8))
    );
}

#[test]
fn a_declared_length_over_the_limit_is_1009_before_any_payload() {
    let error = WebSocketError::MessageTooBig { bytes_max: 1_000 };
    let bytes = header(0x82, 0xfe, &1_001u16.to_be_bytes());
    assert_eq!(first_error(&bytes, &SMALL), Some((8, error)));
    let bytes = header(0x81, 0xff, &(u64::MAX >> 1).to_be_bytes());
    assert_eq!(first_error(&bytes, &SMALL), Some((14, error)));
    assert_eq!(error.close_code().get(), 1009);
    assert_eq!(first_error(&frame(0x82, &[0; 1_000]), &SMALL), None);
}

#[test]
fn an_accumulated_length_over_the_limit_is_1009_at_the_header_that_exceeds_it() {
    let bytes = join(&[
        frame(0x02, &[0; 600]),
        frame(0x00, &[0; 400]),
        frame(0x80, &[0]),
    ]);
    let error = WebSocketError::MessageTooBig { bytes_max: 1_000 };
    assert_eq!(first_error(&bytes, &SMALL), Some((608 + 408 + 6, error)));
}

#[test]
fn endless_fragments_are_1009_though_they_carry_nothing() {
    let mut bytes = frame(0x02, b"");
    for _ in 0..10 {
        bytes.extend(frame(0x00, b""));
    }
    let error = WebSocketError::TooManyFragments { fragments_max: 4 };
    assert_eq!(first_error(&bytes, &SMALL), Some((5 * 6, error)));
    assert_eq!(error.close_code().get(), 1009);
}

#[test]
fn pings_inside_a_message_are_not_fragments_of_it() {
    let mut bytes = frame(0x02, b"a");
    for _ in 0..100 {
        bytes.extend(frame(0x89, b"still there?"));
    }
    bytes.extend(frame(0x80, b"b"));
    assert_eq!(first_error(&bytes, &SMALL), None);
}
