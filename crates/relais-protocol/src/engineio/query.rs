//! The query string of an Engine.IO request.
//!
//! In: what stands after the `?`. Out: the parameters that the protocol knows, decoded; and all pairs, for those
//! that applications add. `+` is a space, `%XX` is a byte, the last of several equal names wins, as in the
//! reference server. Values may hold tokens: none is ever logged or put into an error here.

use std::borrow::Cow;

/// The protocol's own parameters that mean something. All optional: which are needed is [`handshake`](super::handshake)'s question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `EIO`: the protocol version, `4`.
    pub eio: Option<Cow<'a, str>>,
    /// `transport`: `polling` or `websocket`.
    pub transport: Option<Cow<'a, str>>,
    /// `sid`: the session, absent in a handshake. An empty one counts as absent.
    pub sid: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads the parameters out of a query string (without `?`). Never fails: what cannot be decoded stays as
    /// it is, bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn parse(raw: &'a str) -> Self {
        let mut query = Self::default();
        for (name, value) in QueryPairs::new(raw) {
            match &*name {
                "EIO" => query.eio = Some(value),
                "transport" => query.transport = Some(value),
                "sid" => query.sid = Some(value).filter(|sid| !sid.is_empty()),
                // `t` only defeats caches; `b64` asked older versions for text, which every payload is now.
                _ => {}
            }
        }
        query
    }

    /// One parameter of an application, such as `token`: the last with this name. Some clients encode values
    /// as JSON, so a value that is a JSON string is unwrapped.
    #[must_use]
    pub fn value(raw: &'a str, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = QueryPairs::new(raw).filter(|(n, _)| n == name).last()?;
        if value.len() >= 2
            && value.starts_with('"')
            && value.ends_with('"')
            && let Ok(inner) = serde_json::from_str::<String>(&value)
        {
            return Some(Cow::Owned(inner));
        }
        Some(value)
    }
}

/// All pairs of a query string, decoded, in order.
#[derive(Debug, Clone)]
pub struct QueryPairs<'a> {
    rest: &'a str,
}

impl<'a> QueryPairs<'a> {
    /// Over a query string without its `?`.
    #[must_use]
    pub fn new(raw: &'a str) -> Self {
        Self { rest: raw }
    }
}

impl<'a> Iterator for QueryPairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = self.rest.split_once('&').unwrap_or((self.rest, ""));
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                return Some((percent_decoded(name), percent_decoded(value)));
            }
        }
        None
    }
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'%', b'+', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*byte),
        }
    }
    Cow::Owned(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
