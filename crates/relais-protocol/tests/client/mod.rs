//! A client's side of RFC 6455, for tests: masked frames, cut wherever a test likes, and what a reader made of
//! them. It can also write the frames that no honest client writes.

#![allow(dead_code, reason = "each test binary uses the part that it needs")]

use relais_protocol::websocket::{Limits, Message, Reader, WebSocketError};

pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with the first byte as given.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        middle @ 126..=0xFFFF => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(masked(payload));
    bytes
}

/// A payload as it travels.
pub fn masked(payload: &[u8]) -> impl Iterator<Item = u8> + '_ {
    payload
        .iter()
        .enumerate()
        .map(|(index, byte)| byte ^ MASK[index % 4])
}

/// A message that outlives its buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Message::Ping(bytes) => Self::Ping(bytes.to_owned()),
            Message::Pong(bytes) => Self::Pong(bytes.to_owned()),
            Message::Close(reason) => {
                Self::Close(reason.map(|r| (r.code.get(), r.text.to_owned())))
            }
        }
    }
}

/// Reads everything that `bytes` holds.
pub fn read_all(
    reader: &mut Reader,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Vec<Owned>, WebSocketError> {
    let mut buffer = bytes.to_vec();
    let mut rest = &mut buffer[..];
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut rest, limits)? {
        messages.push(message.into());
    }
    assert!(rest.is_empty(), "the reader takes in all that it was given");
    Ok(messages)
}

/// Feeds `bytes` one at a time; how many it took until the error, and which.
pub fn first_error(bytes: &[u8], limits: &Limits) -> Option<(usize, WebSocketError)> {
    let mut reader = Reader::new();
    for (index, byte) in bytes.iter().enumerate() {
        if let Err(error) = read_all(&mut reader, &[*byte], limits) {
            return Some((index + 1, error));
        }
    }
    None
}
