//! One pass over JSON text: is it well formed (RFC 8259), is it shallow enough, where does a value end.
//!
//! In: text that is already known to be UTF-8, and a depth limit. Out: borrowed slices of it, as [`Json`].
//! The pass allocates nothing and does not recurse, so neither a megabyte of `[` nor a long string costs
//! more than reading it. It builds no values: numbers keep their digits, keys such as `__proto__` stay text.
//! Whoever wants a value asks [`Json::parse`], once, for the type that is needed.

mod scanner;

use bytes::BufMut;
use serde::Deserialize;

pub(crate) use scanner::Scanner;
use scanner::plain_run;

/// Deepest nesting that can be allowed at all: one bit of a `u128` for each open container, and what
/// `serde_json` will still parse.
pub const DEPTH_CEILING: u8 = 127;

/// Default for the nesting that a payload may have.
pub const DEPTH_MAX_DEFAULT: u8 = 64;

/// Why a text is not acceptable JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The byte at this offset cannot stand there.
    #[error("unexpected byte at offset {at}")]
    Unexpected {
        /// Offset from the start of the scanned text.
        at: usize,
    },
    /// The text ends inside a value.
    #[error("the text ends inside a value")]
    Incomplete,
    /// More containers inside one another than allowed.
    #[error("nested deeper than {depth_max}")]
    TooDeep {
        /// The limit that was passed.
        depth_max: u8,
    },
}

/// One well-formed JSON value as text, borrowed from the frame it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Checks that `text` is exactly one JSON value (white space around it is dropped).
    ///
    /// # Errors
    /// [`JsonError`]; depth counts containers, so `[[]]` has depth 2 and `1` has 0.
    pub fn check(text: &'a str, depth_max: u8) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text, depth_max);
        let value = scanner.value()?;
        scanner.finish()?;
        Ok(value)
    }

    /// The text of the value, without white space around it.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.0
    }

    /// Parses the value into a type, which may borrow from the frame.
    ///
    /// # Errors
    /// What `serde_json` says when the value has another shape.
    pub fn parse<T: Deserialize<'a>>(self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0)
    }

    /// Whether the value is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether the value is an array.
    #[must_use]
    pub fn is_array(self) -> bool {
        self.0.starts_with('[')
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut impl BufMut, text: &str) {
    if plain_run(text.as_bytes()) == text.len() {
        out.put_u8(b'"');
        out.put_slice(text.as_bytes());
        out.put_u8(b'"');
    } else {
        serde_json::to_writer(out.writer(), text)
            .expect("a string always serializes, and a growing buffer takes every write");
    }
}

/// Appends an integer in decimal.
pub fn write_integer(out: &mut impl BufMut, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut value = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_containers_and_stops_without_recursion() {
        assert_eq!(Json::check("[[1]]", 2).unwrap().get(), "[[1]]");
        assert_eq!(
            Json::check("[[1]]", 1),
            Err(JsonError::TooDeep { depth_max: 1 })
        );
        assert_eq!(
            Json::check("[{}]", 1),
            Err(JsonError::TooDeep { depth_max: 1 })
        );
        let bomb = "[".repeat(1 << 20);
        assert_eq!(
            Json::check(&bomb, 64),
            Err(JsonError::TooDeep { depth_max: 64 })
        );
    }

    #[test]
    fn the_ceiling_holds_whatever_limit_is_passed() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::check(&nested(127), 255).is_ok());
        assert_eq!(
            Json::check(&nested(128), 255),
            Err(JsonError::TooDeep { depth_max: 127 })
        );
    }

    #[test]
    fn malformed_texts_are_refused_where_they_go_wrong() {
        for (text, error) in [
            ("", JsonError::Incomplete),
            ("[1,", JsonError::Incomplete),
            ("[1,]", JsonError::Unexpected { at: 3 }),
            ("{\"a\":1,}", JsonError::Unexpected { at: 7 }),
            ("{a:1}", JsonError::Unexpected { at: 1 }),
            ("01", JsonError::Unexpected { at: 1 }),
            ("1.", JsonError::Incomplete),
            ("-", JsonError::Incomplete),
            ("\"\u{1}\"", JsonError::Unexpected { at: 1 }),
            ("\"\\x\"", JsonError::Unexpected { at: 2 }),
            ("\"\\u12g4\"", JsonError::Unexpected { at: 5 }),
            ("nul", JsonError::Incomplete),
            ("nulL", JsonError::Unexpected { at: 3 }),
            ("[1}", JsonError::Unexpected { at: 2 }),
            ("1 2", JsonError::Unexpected { at: 2 }),
            ("NaN", JsonError::Unexpected { at: 0 }),
        ] {
            assert_eq!(Json::check(text, 64), Err(error), "{text}");
        }
    }
}
