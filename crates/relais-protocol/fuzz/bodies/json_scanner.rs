//! Any text: the scanner and `serde_json` agree about what is JSON.

use relais_protocol::json::{DEPTH_CEILING, Json, JsonError};
use serde_json::value::RawValue;

/// The input is text.
pub fn run(input: &[u8]) {
    let text = super::text(input);
    let reference = serde_json::from_str::<&RawValue>(text);
    match (Json::check(text, DEPTH_CEILING), reference) {
        (Ok(ours), Ok(reference)) => assert_eq!(ours.get(), reference.get()),
        (Err(_), Err(_)) | (Err(JsonError::TooDeep { .. }), Ok(_)) => {}
        (ours, reference) => panic!("{ours:?} but {reference:?}"),
    }
}
