//! The text of one packet, read in a single pass from left to right.
//!
//! In: the text after the Engine.IO digit, and the limits. Out: a borrowed [`Packet`]. An event with a plain name costs no
//! allocation. Stricter than the reference parser where that parser lets nonsense through: an
//! acknowledgement id where none belongs, an acknowledgement without one, unused attachments.

use super::packet::{Ack, Body, Event, Packet, PacketType};
use super::{ACK_ID_MAX, Args, DecodeError, Limits, RESERVED_EVENTS, attachments};
use crate::json::{Json, JsonError, Scanner};

impl<'a> Packet<'a> {
    /// Decodes one packet of a client. Attachments, when it announces some, come after it:
    /// [`Decoder`](super::Decoder) collects them.
    ///
    /// # Errors
    /// [`DecodeError`]: the connection is to be closed.
    pub fn decode(text: &'a str, limits: &Limits) -> Result<Self, DecodeError> {
        let kind = text.as_bytes().first().copied();
        let kind = kind
            .and_then(PacketType::from_byte)
            .ok_or(DecodeError::UnknownType)?;
        if kind == PacketType::ConnectError {
            return Err(DecodeError::ConnectErrorFromClient);
        }
        let rest = &text[1..];
        let (attachments, rest) = match kind.is_binary() {
            true => attachments_count(rest, limits.attachments_max)?,
            false => (0, rest),
        };
        let (namespace, rest) = namespace(rest, limits)?;
        let (id, payload) = ack_id(rest)?;
        let body = match kind {
            PacketType::Connect => connect(id, payload, limits)?,
            PacketType::Disconnect => disconnect(id, payload)?,
            PacketType::Event | PacketType::BinaryEvent => {
                Body::Event(event(id, payload, attachments, limits)?)
            }
            PacketType::Ack | PacketType::BinaryAck => {
                let id = id.ok_or(DecodeError::BadAckId)?;
                Body::Ack(ack(id, payload, attachments, limits)?)
            }
            PacketType::ConnectError => return Err(DecodeError::ConnectErrorFromClient),
        };
        if attachments > 0 {
            attachments::check_placeholders(payload, attachments)?;
        }
        Ok(Self { namespace, body })
    }
}

/// `2-` and the rest.
fn attachments_count(text: &str, attachments_max: usize) -> Result<(usize, &str), DecodeError> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(DecodeError::BadAttachments)?;
    match digits.parse::<usize>() {
        Ok(0) => Err(DecodeError::BadAttachments),
        Ok(count) if count <= attachments_max => Ok((count, rest)),
        // Too many digits for a usize are too many attachments as well.
        Err(_) if digits.is_empty() => Err(DecodeError::BadAttachments),
        Ok(_) | Err(_) => Err(DecodeError::TooManyAttachments { attachments_max }),
    }
}

/// `/admin,` and the rest; without a comma the namespace is all there is.
fn namespace<'a>(text: &'a str, limits: &Limits) -> Result<(&'a str, &'a str), DecodeError> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    let (namespace, rest) = match memchr::memchr(b',', text.as_bytes()) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    limits
        .namespace
        .check(namespace)
        .map_err(DecodeError::BadNamespace)?;
    Ok((namespace, rest))
}

/// `12` and the rest.
fn ack_id(text: &str) -> Result<(Option<u64>, &str), DecodeError> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse::<u64>() {
        Ok(id) if id <= ACK_ID_MAX => Ok((Some(id), rest)),
        Ok(_) | Err(_) => Err(DecodeError::BadAckId),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

fn connect<'a>(
    id: Option<u64>,
    payload: &'a str,
    limits: &Limits,
) -> Result<Body<'a>, DecodeError> {
    if id.is_some() {
        return Err(DecodeError::BadAckId);
    }
    if payload.is_empty() {
        return Ok(Body::Connect(None));
    }
    let auth = Json::check(payload, limits.depth_max)?;
    if !auth.is_object() {
        return Err(DecodeError::BadShape);
    }
    Ok(Body::Connect(Some(auth)))
}

fn disconnect(id: Option<u64>, payload: &str) -> Result<Body<'_>, DecodeError> {
    match (id, payload) {
        (Some(_), _) => Err(DecodeError::BadAckId),
        (None, "") => Ok(Body::Disconnect),
        (None, _) => Err(DecodeError::BadShape),
    }
}

/// `["name",…]`
fn event<'a>(
    id: Option<u64>,
    payload: &'a str,
    attachments: usize,
    limits: &Limits,
) -> Result<Event<'a>, DecodeError> {
    let mut scanner = array(payload, limits.depth_max)?;
    let name = match scanner.next_byte() {
        Some(b'"') => {
            let name = scanner.string()?;
            name.unescape()
                .map_err(|_| DecodeError::ReservedEventName)?
        }
        Some(b'-' | b'0'..=b'9') => {
            let start = scanner.at();
            scanner.number()?;
            scanner.slice(start, scanner.at()).into()
        }
        Some(_) => return Err(DecodeError::BadShape),
        None => return Err(JsonError::Incomplete.into()),
    };
    limits
        .event_name
        .check(&name)
        .map_err(DecodeError::BadEventName)?;
    if RESERVED_EVENTS.contains(&&*name) {
        return Err(DecodeError::ReservedEventName);
    }
    let args = if scanner.accept(b',') {
        values(&mut scanner)?
    } else {
        scanner.expect(b']')?;
        scanner.finish()?;
        Args::default()
    };
    Ok(Event {
        name,
        id,
        args,
        attachments,
    })
}

/// `[…]`
fn ack<'a>(
    id: u64,
    payload: &'a str,
    attachments: usize,
    limits: &Limits,
) -> Result<Ack<'a>, DecodeError> {
    let mut scanner = array(payload, limits.depth_max)?;
    let args = if scanner.accept(b']') {
        scanner.finish()?;
        Args::default()
    } else {
        values(&mut scanner)?
    };
    Ok(Ack {
        id,
        args,
        attachments,
    })
}

/// A scanner behind the opening bracket of a payload that has to be an array.
fn array(payload: &str, depth_max: u8) -> Result<Scanner<'_>, DecodeError> {
    let mut scanner = Scanner::new(payload, depth_max);
    if scanner.next_byte() != Some(b'[') {
        return Err(DecodeError::BadShape);
    }
    scanner.enter(b'[')?;
    Ok(scanner)
}

/// At least one value, up to the closing bracket and the end of the text.
fn values<'a>(scanner: &mut Scanner<'a>) -> Result<Args<'a>, DecodeError> {
    let start = scanner.at();
    loop {
        scanner.value()?;
        if !scanner.accept(b',') {
            break;
        }
    }
    scanner.expect(b']')?;
    let end = scanner.at() - 1;
    scanner.finish()?;
    Ok(Args::checked(scanner.slice(start, end)))
}
