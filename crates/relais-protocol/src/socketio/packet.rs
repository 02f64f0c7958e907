//! The packets that a client can send, as types: what cannot come cannot be expressed.

use std::borrow::Cow;

use serde::Deserialize;

use super::Args;
use crate::json::Json;

/// The seven kinds of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PacketType {
    /// `0`: asks for a namespace, or grants it.
    Connect = b'0',
    /// `1`: leaves a namespace.
    Disconnect = b'1',
    /// `2`: an event.
    Event = b'2',
    /// `3`: the answer to an event that asked for one.
    Ack = b'3',
    /// `4`: a namespace refused; only the server sends it.
    ConnectError = b'4',
    /// `5`: an event with attachments.
    BinaryEvent = b'5',
    /// `6`: an answer with attachments.
    BinaryAck = b'6',
}

impl PacketType {
    /// The kind that this first byte of a packet stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    /// Whether attachments follow.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// One packet, borrowed from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The namespace, with its slash; `/` when the text names none.
    pub namespace: &'a str,
    /// What it says.
    pub body: Body<'a>,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// Asks for the namespace, with the client's `auth` object when it has one.
    Connect(Option<Json<'a>>),
    /// Leaves the namespace.
    Disconnect,
    /// An event.
    Event(Event<'a>),
    /// The answer to an event of the server.
    Ack(Ack<'a>),
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The name, unescaped; borrowed unless it held escapes. Never one of the reserved names. A number as
    /// name, which the reference parser allows, is its digits.
    pub name: Cow<'a, str>,
    /// Set when the client wants an acknowledgement.
    pub id: Option<u64>,
    /// The arguments after the name.
    pub args: Args<'a>,
    /// How many binary attachments belong to the arguments; 0 in a plain event.
    pub attachments: usize,
}

/// The answer to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The id that the server put into its event.
    pub id: u64,
    /// The answer's arguments, possibly none.
    pub args: Args<'a>,
    /// How many binary attachments belong to the arguments.
    pub attachments: usize,
}

impl Packet<'_> {
    /// How many binary messages follow this packet.
    #[must_use]
    pub fn attachments(&self) -> usize {
        match &self.body {
            Body::Event(event) => event.attachments,
            Body::Ack(ack) => ack.attachments,
            Body::Connect(_) | Body::Disconnect => 0,
        }
    }
}

/// What a client that comes back puts beside its `auth` fields: `{"pid":"…","offset":"…",…}`.
///
/// Anything but a string, such as the `null` that Dart clients send, counts as absent: a resume that cannot be
/// is a fresh session, never an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery<'a> {
    /// The private session id that the server gave with its CONNECT.
    pub pid: Option<Cow<'a, str>>,
    /// The last offset that the client has seen in this namespace.
    pub offset: Option<Cow<'a, str>>,
}

impl<'a> Recovery<'a> {
    /// Reads the two fields out of a CONNECT's payload.
    #[must_use]
    pub fn of(auth: Json<'a>) -> Self {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            pid: Option<&'a serde_json::value::RawValue>,
            #[serde(borrow)]
            offset: Option<&'a serde_json::value::RawValue>,
        }
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

        let text = |raw: Option<&'a serde_json::value::RawValue>| {
            let parsed: Text<'a> = serde_json::from_str(raw?.get()).ok()?;
            Some(parsed.0)
        };
        match auth.parse::<Fields<'a>>() {
            Ok(fields) => Self {
                pid: text(fields.pid),
                offset: text(fields.offset),
            },
            Err(_) => Self::default(),
        }
    }
}
