//! Placeholders: where in a payload its binary attachments belong.
//!
//! In: a payload that has been checked to be JSON, and the announced number of attachments. Out: nothing, or
//! [`DecodeError::BadPlaceholder`]. A placeholder is an object whose `_placeholder` is `true`; it must have `num` beside
//! it and nothing else, and every attachment must be named once. This is checked here, exactly as a client's JSON
//! parser would see the keys (escapes, the last of equal keys), because the text is passed on: a bad placeholder
//! that got through would disconnect whoever receives it.

use super::DecodeError;
use crate::json::Scanner;

/// What an object has shown so far.
#[derive(Default)]
struct ObjectState {
    keys: u32,
    is_placeholder: bool,
    num: Option<usize>,
    key: Key,
    expects_key: bool,
}

#[derive(Default, Clone, Copy)]
enum Key {
    Placeholder,
    Num,
    #[default]
    Other,
}

/// A value, as far as placeholders care.
#[derive(Clone, Copy)]
enum Seen {
    True,
    Index(usize),
    Other,
}

/// Checks the placeholders of a payload. Not recursive: open containers are on a stack, which the depth limit
/// of the pass before has bounded.
pub(super) fn check_placeholders(payload: &str, attachments: usize) -> Result<(), DecodeError> {
    let mut used: u128 = 0;
    // `None` is an array.
    let mut open: Vec<Option<ObjectState>> = Vec::new();
    let mut scanner = Scanner::new(payload, crate::json::DEPTH_CEILING);
    while let Some(byte) = scanner.next_byte() {
        let mut seen = None;
        match byte {
            b'[' => open.push(None),
            b'{' => open.push(Some(ObjectState {
                expects_key: true,
                ..ObjectState::default()
            })),
            b']' => {
                open.pop();
                seen = Some(Seen::Other);
            }
            b'}' => {
                if let Some(Some(object)) = open.pop() {
                    take_placeholder(&object, attachments, &mut used)?;
                }
                seen = Some(Seen::Other);
            }
            b',' => {
                if let Some(Some(object)) = open.last_mut() {
                    object.expects_key = true;
                }
            }
            b':' => {}
            _ => seen = scalar(&mut scanner, open.last_mut())?,
        }
        if matches!(byte, b'[' | b'{' | b']' | b'}' | b',' | b':') {
            scanner.expect(byte)?;
        }
        if let (Some(seen), Some(Some(object))) = (seen, open.last_mut()) {
            object.keys += 1;
            match object.key {
                Key::Placeholder => object.is_placeholder = matches!(seen, Seen::True),
                Key::Num => {
                    object.num = match seen {
                        Seen::Index(index) => Some(index),
                        Seen::True | Seen::Other => None,
                    }
                }
                Key::Other => {}
            }
        }
    }
    if used.count_ones() as usize == attachments {
        Ok(())
    } else {
        Err(DecodeError::BadPlaceholder)
    }
}

/// A string, number or literal; `None` when it was a key, which the object remembers.
fn scalar(
    scanner: &mut Scanner<'_>,
    innermost: Option<&mut Option<ObjectState>>,
) -> Result<Option<Seen>, DecodeError> {
    if scanner.next_byte() != Some(b'"') {
        let text = scanner.value()?.get();
        return Ok(Some(match text {
            "true" => Seen::True,
            _ => text.parse().map_or(Seen::Other, Seen::Index),
        }));
    }
    let token = scanner.string()?;
    match innermost {
        Some(Some(object)) if object.expects_key => {
            object.expects_key = false;
            object.key = match token.unescape().as_deref() {
                Ok("_placeholder") => Key::Placeholder,
                Ok("num") => Key::Num,
                Ok(_) | Err(_) => Key::Other,
            };
            Ok(None)
        }
        _ => Ok(Some(Seen::Other)),
    }
}

/// An object has ended: if it is a placeholder, it uses up one attachment.
fn take_placeholder(
    object: &ObjectState,
    attachments: usize,
    used: &mut u128,
) -> Result<(), DecodeError> {
    if !object.is_placeholder {
        return Ok(());
    }
    match object.num {
        Some(index) if index < attachments && index < 128 && object.keys == 2 => {
            let bit = 1u128 << index;
            if *used & bit != 0 {
                return Err(DecodeError::BadPlaceholder);
            }
            *used |= bit;
            Ok(())
        }
        _ => Err(DecodeError::BadPlaceholder),
    }
}
