//! What clients send: `{"type":"send_message","data":{…},"id":7}`, where `data` and `id` are optional and other fields are ignored.
//!
//! In: text and limits; out: borrowed parts. Types mean nothing here.

use std::borrow::Cow;

use crate::json::{DEPTH_MAX_DEFAULT, Json, JsonError, Scanner};
use crate::name::{NameError, NameRules};

/// What one envelope may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting, the envelope's own braces included. Default 64, at most 127.
    pub depth_max: u8,
    /// The rule for `type`.
    pub event_name: NameRules,
    /// Longest `id`, in bytes of JSON. Default 255.
    pub id_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: DEPTH_MAX_DEFAULT,
            event_name: NameRules::default(),
            id_bytes_max: 255,
        }
    }
}

/// Why an envelope is refused: the code `INVALID_PAYLOAD`. The connection stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlainError {
    /// Not JSON, or nested too deep.
    #[error("not a JSON object: {0}")]
    BadJson(#[from] JsonError),
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// No `type`, or one that is not a string.
    #[error("`type` has to be a string")]
    BadType,
    /// `type` breaks the rule for names.
    #[error("bad `type`: {0}")]
    BadName(NameError),
    /// `id` is an object or an array, or too long.
    #[error("`id` has to be a short string, number, boolean or null")]
    BadId,
    /// `type`, `data` or `id` occurs twice.
    #[error("a field occurs twice")]
    DuplicateField,
}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// `type`, unescaped; borrowed unless it held escapes.
    pub event: Cow<'a, str>,
    /// `data`, as it stood.
    pub data: Option<Json<'a>>,
    /// `id`, any JSON scalar, as it stood: it goes back into the answer. `null` counts as absent.
    pub id: Option<Json<'a>>,
}

impl<'a> Request<'a> {
    /// Decodes one text message in one pass, without allocating unless `type` holds escapes.
    ///
    /// # Errors
    /// [`PlainError`].
    pub fn decode(text: &'a str, limits: &Limits) -> Result<Self, PlainError> {
        let mut scanner = Scanner::new(text, limits.depth_max);
        if scanner.next_byte().is_some_and(|byte| byte != b'{') {
            return match Json::check(text, limits.depth_max) {
                Ok(_) => Err(PlainError::NotAnObject),
                Err(error) => Err(error.into()),
            };
        }
        scanner.enter(b'{')?;
        let (mut event, mut data, mut id) = (None, None, None);
        if !scanner.accept(b'}') {
            loop {
                let key = scanner.string()?;
                scanner.expect(b':')?;
                let slot = match key.unescape().as_deref() {
                    Ok("type") => Some(&mut event),
                    Ok("data") => Some(&mut data),
                    Ok("id") => Some(&mut id),
                    Ok(_) | Err(_) => None,
                };
                let value = scanner.value()?;
                if slot.is_some_and(|slot| slot.replace(value).is_some()) {
                    return Err(PlainError::DuplicateField);
                }
                if !scanner.accept(b',') {
                    break;
                }
            }
            scanner.expect(b'}')?;
        }
        scanner.finish()?;
        Ok(Self {
            event: event_name(event, limits)?,
            data,
            id: request_id(id, limits)?,
        })
    }
}

fn event_name<'a>(value: Option<Json<'a>>, limits: &Limits) -> Result<Cow<'a, str>, PlainError> {
    let text = value.ok_or(PlainError::BadType)?.get();
    let token = Scanner::new(text, 0)
        .string()
        .map_err(|_| PlainError::BadType)?;
    let name = token.unescape().map_err(|_| PlainError::BadType)?;
    limits
        .event_name
        .check(&name)
        .map_err(PlainError::BadName)?;
    Ok(name)
}

fn request_id<'a>(
    value: Option<Json<'a>>,
    limits: &Limits,
) -> Result<Option<Json<'a>>, PlainError> {
    match value {
        None => Ok(None),
        Some(id) if id.get() == "null" => Ok(None),
        Some(id) if id.is_object() || id.is_array() => Err(PlainError::BadId),
        Some(id) if id.get().len() > limits.id_bytes_max => Err(PlainError::BadId),
        Some(id) => Ok(Some(id)),
    }
}
