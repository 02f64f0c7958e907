//! The one part of the opening handshake that is not plain HTTP: the answer to `Sec-WebSocket-Key`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A `Sec-WebSocket-Key` that is not the base64 of 16 bytes: answer HTTP 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Sec-WebSocket-Key is not the base64 of 16 bytes")]
pub struct InvalidKey;

/// The value for `Sec-WebSocket-Accept`.
///
/// # Errors
/// [`InvalidKey`] unless the key is the base64 of exactly 16 bytes.
pub fn accept_key(sec_websocket_key: &str) -> Result<String, InvalidKey> {
    let key = sec_websocket_key.trim_matches([' ', '\t']);
    // 16 bytes take 22 characters and two of padding. The last character's spare bits are not checked:
    // clients exist that fill them, and every server lets them in.
    let is_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key.as_bytes() {
        [body @ .., b'=', b'='] if body.len() == 22 && body.iter().all(is_alphabet) => {}
        _ => return Err(InvalidKey),
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Ok(STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_gives_the_answer_of_the_rfc() {
        assert_eq!(
            accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
            Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned())
        );
    }

    #[test]
    fn keys_of_another_size_or_alphabet_are_refused() {
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZSE=",
            "dGhlIHNhbXBsZSBub25jZ_==",
        ] {
            assert_eq!(accept_key(key), Err(InvalidKey), "{key}");
        }
    }
}
