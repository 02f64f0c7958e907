//! One pass over JSON text: is it well formed (RFC 8259), is it shallow enough, where does a value end.
//!
//! In: text that is already known to be UTF-8, and a depth limit. Out: borrowed slices of it, as [`Json`].
//! The pass allocates nothing and does not recurse, so neither a megabyte of `[` nor a long string costs
//! more than reading it. It builds no values: numbers keep their digits, keys such as `__proto__` stay text.
//! Whoever wants a value asks [`Json::parse`], once, for the type that is needed.

use serde::Deserialize;
use serde_json::value::RawValue;

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

    /// The value as `serde_json`'s own raw type (a second pass over the text).
    ///
    /// # Errors
    /// None in practice: the text is one well-formed value.
    pub fn raw_value(self) -> Result<&'a RawValue, serde_json::Error> {
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

/// A string token inside scanned text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StringToken<'a> {
    /// With its quotes.
    pub(crate) quoted: &'a str,
    /// Whether it holds an escape sequence.
    pub(crate) escaped: bool,
}

impl<'a> StringToken<'a> {
    /// The characters that the token stands for.
    ///
    /// Fails only for a lone surrogate, which JSON allows and Rust strings cannot hold.
    pub(crate) fn unescape(self) -> Result<std::borrow::Cow<'a, str>, serde_json::Error> {
        if self.escaped {
            serde_json::from_str::<String>(self.quoted).map(std::borrow::Cow::Owned)
        } else {
            Ok(std::borrow::Cow::Borrowed(
                &self.quoted[1..self.quoted.len() - 1],
            ))
        }
    }
}

/// The cursor that the decoders of this crate drive over a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Containers that the caller itself has opened around the cursor.
    depth: u8,
    depth_max: u8,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, depth_max: u8) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            depth_max: depth_max.min(DEPTH_CEILING),
        }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a str {
        &self.text[from..to]
    }

    /// The next byte that is not white space, not consumed.
    pub(crate) fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Consumes `byte` (after white space) if it comes next.
    pub(crate) fn accept(&mut self, byte: u8) -> bool {
        let found = self.next_byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Consumes `byte` (after white space) or fails.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.accept(byte) {
            Ok(())
        } else {
            Err(self.refuse())
        }
    }

    /// Enters a container that the caller takes apart itself.
    pub(crate) fn enter(&mut self, open: u8) -> Result<(), JsonError> {
        self.expect(open)?;
        if self.depth >= self.depth_max {
            return Err(self.too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    /// Nothing but white space may be left.
    pub(crate) fn finish(&mut self) -> Result<(), JsonError> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(JsonError::Unexpected { at: self.at }),
        }
    }

    /// One string.
    pub(crate) fn string(&mut self) -> Result<StringToken<'a>, JsonError> {
        self.expect(b'"')?;
        let start = self.at - 1;
        let escaped = self.string_rest()?;
        Ok(StringToken {
            quoted: &self.text[start..self.at],
            escaped,
        })
    }

    /// One value of any kind.
    pub(crate) fn value(&mut self) -> Result<Json<'a>, JsonError> {
        self.next_byte();
        let start = self.at;
        // One bit a container, the innermost lowest: 1 for an object, 0 for an array.
        let mut objects: u128 = 0;
        let mut depth = self.depth;
        loop {
            if let Some(is_object) = self.scalar_or_open()? {
                if depth >= self.depth_max {
                    return Err(self.too_deep());
                }
                let close = if is_object { b'}' } else { b']' };
                if !self.accept(close) {
                    depth += 1;
                    objects = objects << 1 | u128::from(is_object);
                    if is_object {
                        self.key()?;
                    }
                    continue;
                }
            }
            // A value has just ended: close what it closes, or go on to the next one.
            loop {
                if depth == self.depth {
                    return Ok(Json(&self.text[start..self.at]));
                }
                let in_object = objects & 1 == 1;
                if self.accept(b',') {
                    if in_object {
                        self.key()?;
                    }
                    break;
                }
                self.expect(if in_object { b'}' } else { b']' })?;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// Consumes a scalar whole, or the opening byte of a container; then says whether it was an object.
    fn scalar_or_open(&mut self) -> Result<Option<bool>, JsonError> {
        match self.next_byte() {
            Some(b'"') => {
                self.at += 1;
                self.string_rest()?;
            }
            Some(b'{') => {
                self.at += 1;
                return Ok(Some(true));
            }
            Some(b'[') => {
                self.at += 1;
                return Ok(Some(false));
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            _ => return Err(self.refuse()),
        }
        Ok(None)
    }

    /// An object's key and its colon.
    fn key(&mut self) -> Result<(), JsonError> {
        self.expect(b'"')?;
        self.string_rest()?;
        self.expect(b':')
    }

    /// What follows an opening quote; says whether there was an escape.
    fn string_rest(&mut self) -> Result<bool, JsonError> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            self.at += plain_run(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.refuse()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        match bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match bytes.get(self.at) {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        _ => return Err(self.refuse()),
                    }
                }
                Ok(())
            }
            _ => Err(self.refuse()),
        }
    }

    pub(crate) fn number(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.refuse()),
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        let run = bytes[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += run;
        if run == 0 { Err(self.refuse()) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        let same = rest
            .iter()
            .zip(word.as_bytes())
            .take_while(|(a, b)| a == b)
            .count();
        self.at += same;
        if same == word.len() {
            Ok(())
        } else {
            Err(self.refuse())
        }
    }

    pub(crate) fn refuse(&self) -> JsonError {
        if self.at < self.text.len() {
            JsonError::Unexpected { at: self.at }
        } else {
            JsonError::Incomplete
        }
    }

    fn too_deep(&self) -> JsonError {
        JsonError::TooDeep {
            depth_max: self.depth_max,
        }
    }
}

/// How many bytes from the start can stand in a JSON string as they are: no quote, no backslash, nothing
/// under 0x20. Eight bytes a step.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    let mut run = 0;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        let quote = word ^ QUOTES;
        let backslash = word ^ BACKSLASHES;
        // Each term has the high bit of a byte set where that byte is a hit. A borrow can only disturb bytes
        // after the first hit, and only the first one is used.
        let hits = (word.wrapping_sub(ONES * 0x20) & !word)
            | (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash);
        let hits = hits & HIGHS;
        if hits != 0 {
            return run + hits.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    run + chunks
        .remainder()
        .iter()
        .take_while(|byte| **byte >= 0x20 && **byte != b'"' && **byte != b'\\')
        .count()
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut impl bytes::BufMut, text: &str) {
    use bytes::BufMut;
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
pub fn write_integer(out: &mut impl bytes::BufMut, value: u64) {
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
    fn a_plain_run_stops_at_the_first_special_byte_wherever_it_stands() {
        for at in 0..40 {
            for special in [b'"', b'\\', 0x00, 0x1f] {
                let mut bytes = vec![b'a'; 40];
                bytes[at] = special;
                assert_eq!(plain_run(&bytes), at);
            }
            for plain in [0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                let mut bytes = vec![b'a'; 40];
                bytes[at] = plain;
                assert_eq!(plain_run(&bytes), 40);
            }
        }
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
