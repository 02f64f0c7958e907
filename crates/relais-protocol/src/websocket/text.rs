//! Text that arrives in pieces cut anywhere, also inside a character.
//!
//! In: chunks of bytes. Out: a `String` that is valid at all times, and an error at the first byte that can
//! no longer become UTF-8, without waiting for the rest.

use super::WebSocketError;

/// Text so far, and the bytes of a character that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct TextAssembly {
    text: String,
    /// The first `carry_bytes` are a proper prefix of one character.
    carry: [u8; 4],
    carry_bytes: usize,
}

impl TextAssembly {
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.carry_bytes
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        bytes_max: usize,
    ) -> Result<(), WebSocketError> {
        let more = super::reader::growth(
            self.text.len(),
            self.text.capacity(),
            chunk.len() + self.carry_bytes,
            bytes_max,
        );
        self.text.reserve_exact(more);
        while self.carry_bytes > 0 {
            let Some((byte, rest)) = chunk.split_first() else {
                return Ok(());
            };
            chunk = rest;
            self.carry[self.carry_bytes] = *byte;
            self.carry_bytes += 1;
            match std::str::from_utf8(&self.carry[..self.carry_bytes]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.carry_bytes = 0;
                }
                Err(error) if error.error_len().is_some() => {
                    return Err(WebSocketError::InvalidUtf8);
                }
                Err(_) => {}
            }
        }
        let valid_bytes = match std::str::from_utf8(chunk) {
            Ok(_) => chunk.len(),
            Err(error) if error.error_len().is_some() => return Err(WebSocketError::InvalidUtf8),
            Err(error) => error.valid_up_to(),
        };
        let (valid, rest) = chunk.split_at(valid_bytes);
        self.text
            .push_str(std::str::from_utf8(valid).map_err(|_| WebSocketError::InvalidUtf8)?);
        self.carry[..rest.len()].copy_from_slice(rest);
        self.carry_bytes = rest.len();
        Ok(())
    }

    /// The text must not end inside a character.
    pub(super) fn finish(&self) -> Result<(), WebSocketError> {
        if self.carry_bytes == 0 {
            Ok(())
        } else {
            Err(WebSocketError::InvalidUtf8)
        }
    }
}
