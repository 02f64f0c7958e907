//! Any text: an envelope that decodes holds well-formed parts.

use relais_protocol::plain::{Limits, Request};
use serde_json::value::RawValue;

/// The input is text.
pub fn run(input: &[u8]) {
    let text = super::text(input);
    if let Ok(request) = Request::decode(text, &Limits::default()) {
        assert!(request.event.len() <= 255);
        for part in [request.data, request.id].into_iter().flatten() {
            part.parse::<&RawValue>().expect("well-formed JSON");
        }
    }
}
