//! What the reader accepts, in whatever pieces it comes.

mod client;

use client::{MASK, Owned, frame, masked, read_all};
use proptest::prelude::*;
use relais_protocol::websocket::{Limits, Message, Reader};

fn read_once(bytes: &[u8]) -> Vec<Owned> {
    read_all(&mut Reader::new(), bytes, &Limits::default()).expect("honest frames")
}

#[test]
fn the_masked_hello_of_the_rfc_is_read() {
    let bytes = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read_once(&bytes), [Owned::Text("Hello".into())]);
}

#[test]
fn a_whole_message_is_borrowed_from_the_buffer_it_came_in() {
    let mut buffer = frame(0x81, b"42[\"hello\"]");
    let range = buffer.as_ptr_range();
    let mut rest = &mut buffer[..];
    let mut reader = Reader::new();
    let Some(Message::Text(text)) = reader.read(&mut rest, &Limits::default()).unwrap() else {
        panic!("a text");
    };
    assert!(range.contains(&text.as_ptr()));
}

#[test]
fn a_ping_between_two_fragments_comes_out_before_the_message() {
    let mut bytes = frame(0x01, b"Hel");
    bytes.extend(frame(0x89, b"ping"));
    bytes.extend(frame(0x80, b"lo"));
    assert_eq!(
        read_once(&bytes),
        [Owned::Ping(b"ping".to_vec()), Owned::Text("Hello".into())]
    );
}

#[test]
fn empty_messages_and_empty_fragments_are_messages() {
    let mut bytes = frame(0x81, b"");
    bytes.extend(frame(0x02, b""));
    bytes.extend(frame(0x00, b""));
    bytes.extend(frame(0x80, b""));
    bytes.extend(frame(0x8a, b""));
    assert_eq!(
        read_once(&bytes),
        [
            Owned::Text(String::new()),
            Owned::Binary(vec![]),
            Owned::Pong(vec![])
        ]
    );
}

#[test]
fn every_length_form_is_read_at_its_edges() {
    for bytes in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 1 << 20] {
        let payload = vec![b'x'; bytes];
        let wire = frame(0x82, &payload);
        assert_eq!(read_once(&wire), [Owned::Binary(payload)], "{bytes}");
    }
}

#[test]
fn characters_cut_between_fragments_are_put_together() {
    let text = "κόσμε 𝄞 é";
    for cut in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(cut);
        let mut bytes = frame(0x01, first);
        bytes.extend(frame(0x80, second));
        assert_eq!(read_once(&bytes), [Owned::Text(text.into())], "{cut}");
    }
}

#[test]
fn close_frames_give_their_code_and_reason() {
    assert_eq!(read_once(&frame(0x88, b"")), [Owned::Close(None)]);
    for code in [
        1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
        4000, 4999,
    ] {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend("bye é".as_bytes());
        assert_eq!(
            read_once(&frame(0x88, &payload)),
            [Owned::Close(Some((code, "bye é".into())))]
        );
    }
}

#[test]
fn whatever_follows_a_close_frame_is_dropped() {
    let mut bytes = frame(0x88, &[0x03, 0xe8]);
    bytes.extend(frame(0x81, b"too late"));
    bytes.extend([0xff; 64]);
    assert_eq!(
        read_once(&bytes),
        [Owned::Close(Some((1000, String::new())))]
    );
}

#[test]
fn the_reader_is_idle_again_after_an_assembled_message() {
    let mut reader = Reader::new();
    let wire = frame(0x81, b"in two pieces");
    let begun = read_all(&mut reader, &wire[..9], &Limits::default()).unwrap();
    assert!(begun.is_empty());
    let messages = read_all(&mut reader, &wire[9..], &Limits::default()).unwrap();
    assert_eq!(messages, [Owned::Text("in two pieces".into())]);
}

#[test]
fn an_idle_reader_is_small() {
    assert!(size_of::<Reader>() <= 64, "{}", size_of::<Reader>());
}

/// A message and where it is cut into fragments.
fn wire_message() -> impl Strategy<Value = (Vec<u8>, Owned)> {
    let text =
        (any::<String>(), prop::collection::vec(0usize..40, 0..4)).prop_map(|(text, cuts)| {
            (
                fragmented(0x1, text.as_bytes(), &cuts),
                Owned::Text(text.clone()),
            )
        });
    let sized = prop_oneof![0..10usize, 120..130usize, 65_530..65_540usize];
    let binary = (sized, any::<u8>(), prop::collection::vec(0usize..200, 0..4)).prop_map(
        |(bytes, fill, cuts)| {
            let payload: Vec<u8> = (0..bytes).map(|i| fill.wrapping_add(i as u8)).collect();
            (fragmented(0x2, &payload, &cuts), Owned::Binary(payload))
        },
    );
    let control = prop::collection::vec(any::<u8>(), 0..=125);
    let ping = control
        .clone()
        .prop_map(|p| (frame(0x89, &p), Owned::Ping(p)));
    let pong = control.prop_map(|p| (frame(0x8a, &p), Owned::Pong(p)));
    prop_oneof![3 => text, 2 => binary, 1 => ping, 1 => pong]
}

fn fragmented(opcode: u8, payload: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut rest = payload;
    let mut first = opcode;
    for cut in cuts {
        let (part, after) = rest.split_at((*cut).min(rest.len()));
        wire.extend(frame(first, part));
        first = 0x0;
        rest = after;
    }
    wire.extend(frame(0x80 | first, rest));
    wire
}

proptest! {
    #[test]
    fn messages_come_out_as_they_went_in_however_the_bytes_are_cut(
        messages in prop::collection::vec(wire_message(), 0..8),
        cuts in prop::collection::vec(1usize..5000, 1..30),
    ) {
        let wire: Vec<u8> = messages.iter().flat_map(|(wire, _)| wire.clone()).collect();
        let expected: Vec<Owned> = messages.into_iter().map(|(_, owned)| owned).collect();
        let mut reader = Reader::new();
        let mut found = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            // Small cuts most of the time, so that headers and characters are cut as well.
            let here = if cut % 3 == 0 { *cut } else { cut % 7 + 1 };
            let (piece, after) = rest.split_at(here.min(rest.len()));
            found.extend(read_all(&mut reader, piece, &Limits::default()).unwrap());
            rest = after;
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn arbitrary_bytes_never_break_the_reader(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cut in 1usize..50,
    ) {
        let limits = Limits { message_bytes_max: 64, fragments_max: 4 };
        let mut whole = Reader::new();
        let at_once = outcome(&mut whole, [&bytes[..]], &limits);
        let mut cut_up = Reader::new();
        let in_pieces = outcome(&mut cut_up, bytes.chunks(cut), &limits);
        prop_assert_eq!(at_once, in_pieces);
    }
}

/// Everything that was read, and the error that ended it, if one did.
fn outcome<'p>(
    reader: &mut Reader,
    pieces: impl IntoIterator<Item = &'p [u8]>,
    limits: &Limits,
) -> (Vec<Owned>, Option<u16>) {
    let mut messages = Vec::new();
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let mut rest = &mut buffer[..];
        loop {
            match reader.read(&mut rest, limits) {
                Ok(Some(message)) => messages.push(message.into()),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.close_code().get())),
            }
        }
    }
    (messages, None)
}

#[test]
fn the_test_client_masks_as_the_rfc_says() {
    assert_eq!(
        masked(b"Hello").collect::<Vec<_>>(),
        [0x7f, 0x9f, 0x4d, 0x51, 0x58]
    );
    assert_eq!(MASK, [0x37, 0xfa, 0x21, 0x3d]);
}
