//! The cursor that the decoders of this crate drive over a JSON text.
//!
//! In: text and a depth limit. Out: tokens and whole values as slices of the text, or the error at the byte that
//! shows it. Never recursive: open containers are bits of one integer.

use std::borrow::Cow;

use super::{DEPTH_CEILING, Json, JsonError};

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
    pub(crate) fn unescape(self) -> Result<Cow<'a, str>, serde_json::Error> {
        if self.escaped {
            serde_json::from_str::<String>(self.quoted).map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(&self.quoted[1..self.quoted.len() - 1]))
        }
    }
}

/// A position in a text, and how deep it is.
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

#[cfg(test)]
mod tests {
    use super::plain_run;

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
}
