//! Any text: the scanner and `serde_json` agree about what is JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relais_protocol::json::{DEPTH_CEILING, Json, JsonError};
use serde_json::value::RawValue;

fuzz_target!(|text: &str| {
    let reference = serde_json::from_str::<&RawValue>(text);
    match (Json::check(text, DEPTH_CEILING), reference) {
        (Ok(ours), Ok(reference)) => assert_eq!(ours.get(), reference.get()),
        (Err(_), Err(_)) | (Err(JsonError::TooDeep { .. }), Ok(_)) => {}
        (ours, reference) => panic!("{ours:?} but {reference:?}"),
    }
});
