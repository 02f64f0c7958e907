//! Any bytes, read at once and in pieces: the same messages and the same end.

use relais_protocol::websocket::{Limits, Message, Reader};

const LIMITS: Limits = Limits {
    message_bytes_max: 4_096,
    fragments_max: 16,
};

/// The first byte is the length of the pieces, the rest is the stream.
pub fn run(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first() else {
        return;
    };
    let at_once = outcome(bytes, bytes.len().max(1));
    let in_pieces = outcome(bytes, usize::from(*cut).max(1));
    assert_eq!(at_once, in_pieces);
}

/// A digest of every message, and the close code of the error that ended it.
fn outcome(bytes: &[u8], cut: usize) -> (Vec<(u8, Vec<u8>)>, Option<u16>) {
    let mut reader = Reader::new();
    let mut messages = Vec::new();
    for piece in bytes.chunks(cut) {
        let mut buffer = piece.to_vec();
        let mut rest = &mut buffer[..];
        loop {
            match reader.read(&mut rest, &LIMITS) {
                Ok(Some(message)) => messages.push(owned(message)),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.close_code().get())),
            }
        }
        assert!(rest.is_empty());
    }
    (messages, None)
}

fn owned(message: Message<'_>) -> (u8, Vec<u8>) {
    match message {
        Message::Text(text) => {
            assert!(text.len() <= LIMITS.message_bytes_max);
            (1, text.into())
        }
        Message::Binary(bytes) => {
            assert!(bytes.len() <= LIMITS.message_bytes_max);
            (2, bytes.into())
        }
        Message::Close(None) => (8, Vec::new()),
        Message::Close(Some(reason)) => (8, reason.text.into()),
        Message::Ping(bytes) => (9, bytes.into()),
        Message::Pong(bytes) => (10, bytes.into()),
    }
}
