//! What the server sends: `{"type":"message","data":{…},"timestamp":"…","position":12,"id":7}`.
//!
//! In: encoded parts; out: one JSON object, appended to a buffer. Knows no event and no session.

use bytes::BufMut;

use super::mark::Mark;
use super::time;
use crate::json::{Scanner, write_string};

/// What a server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `type`.
    pub event: &'a str,
    /// `data`: encoded JSON, any number of values with commas between them. One stands as it is, none is `null`, several are a list.
    pub data: &'a str,
    /// `timestamp`: milliseconds of Unix time, written as ISO 8601, UTC, with milliseconds.
    pub at_ms: i64,
    /// `position` in the tenant's log, when the event is stored.
    pub position: Option<Mark>,
    /// `id` of the request that this answers, encoded, as [`super::Request::id`] had it.
    pub id: Option<&'a str>,
}

impl Envelope<'_> {
    /// Bytes that it takes, about; never fewer where nothing has to be escaped.
    #[must_use]
    pub fn bytes_about(&self) -> usize {
        const AROUND: usize = 96;
        self.event.len() + self.data.len() + self.id.map_or(0, str::len) + AROUND
    }

    /// Appends the envelope.
    pub fn write(&self, out: &mut impl BufMut) {
        out.put_slice(b"{\"type\":");
        write_string(out, self.event);
        out.put_slice(b",\"data\":");
        match count(self.data) {
            Count::None => out.put_slice(b"null"),
            Count::One => out.put_slice(self.data.as_bytes()),
            Count::Several => {
                out.put_u8(b'[');
                out.put_slice(self.data.as_bytes());
                out.put_u8(b']');
            }
        }
        out.put_slice(b",\"timestamp\":\"");
        time::write(out, self.at_ms);
        out.put_u8(b'"');
        if let Some(position) = self.position {
            out.put_slice(b",\"position\":");
            position.write(out);
        }
        if let Some(id) = self.id {
            out.put_slice(b",\"id\":");
            out.put_slice(id.as_bytes());
        }
        out.put_u8(b'}');
    }
}

enum Count {
    None,
    One,
    Several,
}

/// How many values stand there. What is none is the caller's fault, and left as it is.
fn count(values: &str) -> Count {
    if values.trim_ascii().is_empty() {
        return Count::None;
    }
    let mut scanner = Scanner::new(values, crate::json::DEPTH_CEILING);
    match scanner.value() {
        Ok(_) if scanner.accept(b',') => Count::Several,
        Ok(_) | Err(_) => Count::One,
    }
}
