//! The arguments of an event or an acknowledgement, as the text that stood between the brackets.
//!
//! The text is well-formed JSON values with commas between them, checked once when the packet was decoded, so it
//! can be passed on to other clients as it is. It is parsed only as far as somebody asks.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Zero or more arguments: `{"bamId":"1"},true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Args<'a>(&'a str);

impl<'a> Args<'a> {
    /// Wraps text that the decoder has checked.
    pub(super) fn checked(text: &'a str) -> Self {
        Self(text.trim_ascii())
    }

    /// The text, without white space around it; empty when there are no arguments.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The arguments one by one.
    #[must_use]
    pub fn iter(self) -> ArgsIter<'a> {
        ArgsIter { rest: self.0 }
    }

    /// The first argument as a type that may borrow from it; `None` when there are no arguments.
    ///
    /// # Errors
    /// What `serde_json` says when the argument has another shape.
    pub fn first<T: Deserialize<'a>>(self) -> Result<Option<T>, serde_json::Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        T::deserialize(&mut serde_json::Deserializer::from_str(self.0)).map(Some)
    }
}

impl<'a> IntoIterator for Args<'a> {
    type Item = &'a RawValue;
    type IntoIter = ArgsIter<'a>;

    fn into_iter(self) -> ArgsIter<'a> {
        self.iter()
    }
}

/// Iterates over [`Args`].
#[derive(Debug, Clone)]
pub struct ArgsIter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for ArgsIter<'a> {
    type Item = &'a RawValue;

    fn next(&mut self) -> Option<&'a RawValue> {
        if self.rest.is_empty() {
            return None;
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<&RawValue>();
        let value = values.next()?.ok()?;
        let after = self.rest[values.byte_offset()..].trim_ascii_start();
        self.rest = after.strip_prefix(',').unwrap_or("").trim_ascii_start();
        Some(value)
    }
}
