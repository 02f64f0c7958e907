//! A client's side of the wire, written apart from the engine's: masked frames out, and a strict reader of what a server may send.
//!
//! It understands just enough to notice a stream that is not well formed, in WebSocket, Engine.IO and Socket.IO.

/// A masked frame of a client.
pub(crate) fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap_or(0)),
        middle @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(middle).unwrap_or(0).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// Code and reason.
    Close(Option<(u16, String)>),
    Ping,
    Pong,
}

/// Takes a server's stream apart. An error says what no server may send.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    has_closed: bool,
}

impl Frames {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether the stream stands between two frames.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn next(&mut self) -> Result<Option<Frame>, String> {
        let [first, second, ..] = self.bytes[..] else {
            return Ok(None);
        };
        if self.has_closed {
            return Err("a frame after the close frame".to_owned());
        }
        if first & 0xf0 != 0x80 || second & 0x80 != 0 {
            return Err(format!("a header of {first:#04x} {second:#04x}"));
        }
        let (from, length) = match second {
            126 => (4, self.number(2..4)),
            127 => (10, self.number(2..10)),
            short => (2, Some(usize::from(short))),
        };
        let Some(length) = length.filter(|length| self.bytes.len() >= from + length) else {
            return Ok(None);
        };
        let payload: Vec<u8> = self.bytes.drain(..from + length).skip(from).collect();
        match first & 0x0f {
            1 => String::from_utf8(payload)
                .map(|text| Some(Frame::Text(text)))
                .map_err(|_| "text that is not UTF-8".to_owned()),
            2 => Ok(Some(Frame::Binary(payload))),
            8 => {
                self.has_closed = true;
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                Ok(Some(Frame::Close(
                    code.map(|code| (code, reason.into_owned())),
                )))
            }
            9 => Ok(Some(Frame::Ping)),
            10 => Ok(Some(Frame::Pong)),
            opcode => Err(format!("opcode {opcode}")),
        }
    }

    fn number(&self, places: std::ops::Range<usize>) -> Option<usize> {
        let bytes = self.bytes.get(places)?;
        Some(
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    }
}

/// A Socket.IO packet of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) kind: u8,
    pub(crate) namespace: String,
    pub(crate) attachments: usize,
    pub(crate) id: Option<u64>,
    pub(crate) json: String,
}

impl Packet {
    /// Reads what follows the `4` of an Engine.IO message.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let kind = *text.as_bytes().first()?;
        let mut rest = text.get(1..)?;
        let mut attachments = 0;
        if matches!(kind, b'5' | b'6') {
            let (count, after) = rest.split_once('-')?;
            attachments = count.parse().ok()?;
            rest = after;
        }
        let mut namespace = "/".to_owned();
        if rest.starts_with('/') {
            let (name, after) = rest.split_once(',')?;
            namespace = name.to_owned();
            rest = after;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let id = match &rest[..digits] {
            "" => None,
            digits => Some(digits.parse().ok()?),
        };
        Some(Self {
            kind,
            namespace,
            attachments,
            id,
            json: rest[digits..].to_owned(),
        })
    }

    /// Name of an event, and the rest of its arguments as they stand between the brackets.
    pub(crate) fn event(&self) -> Option<(&str, &str)> {
        let inner = self.json.strip_prefix("[\"")?.strip_suffix(']')?;
        let (name, rest) = inner.split_once('"')?;
        Some((name, rest.strip_prefix(',').unwrap_or(rest)))
    }

    /// The offset: the last argument, when it is a string of the right shape.
    pub(crate) fn offset(&self) -> Option<&str> {
        let inner = self.json.strip_suffix("\"]")?;
        let (_, last) = inner.rsplit_once('"')?;
        last.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
            .then_some(last)
    }

    /// A string of the object in a CONNECT.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.json.split_once(&format!("\"{name}\":\""))?;
        Some(rest.split_once('"')?.0)
    }
}

/// The numbers at the beginning of arguments.
pub(crate) fn numbers(args: &str) -> impl Iterator<Item = u64> + '_ {
    args.split(',').map_while(|word| word.trim().parse().ok())
}
