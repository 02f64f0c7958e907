//! By what a client tells the answer to one of its events: a number in Socket.IO, any JSON scalar in plain JSON.

use relais_protocol::json::write_integer;

/// Names an event that wants an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AckId {
    /// A whole number, which is what nearly everyone counts with.
    Number(u64),
    /// Other JSON, as the client wrote it.
    Json(Box<str>),
}

impl AckId {
    /// Keeps a JSON scalar so that it goes back byte for byte.
    pub(crate) fn of_json(text: &str) -> Self {
        let is_canonical = text == "0"
            || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        match text.parse() {
            Ok(number) if is_canonical => Self::Number(number),
            Ok(_) | Err(_) => Self::Json(text.into()),
        }
    }

    /// The JSON text of it.
    pub(crate) fn with_text<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        const DIGITS_MAX: usize = 20;
        match self {
            Self::Json(text) => with(text),
            Self::Number(number) => {
                let mut digits = [0; DIGITS_MAX];
                let mut rest = &mut digits[..];
                write_integer(&mut rest, *number);
                let used = DIGITS_MAX - rest.len();
                with(std::str::from_utf8(&digits[..used]).unwrap_or("0"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_goes_back_byte_for_byte() {
        for text in [
            "0",
            "7",
            "18446744073709551615",
            "18446744073709551616",
            "-1",
            "1.0",
            "1e3",
            "\"a\\u00e9\"",
            "true",
        ] {
            let id = AckId::of_json(text);
            assert_eq!(id.with_text(str::to_owned), text);
        }
        assert_eq!(AckId::of_json("7"), AckId::Number(7));
    }
}
