//! Any text: an envelope that decodes holds well-formed parts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relais_protocol::plain::{Limits, Request};

fuzz_target!(|text: &str| {
    if let Ok(request) = Request::decode(text, &Limits::default()) {
        assert!(request.event.len() <= 255);
        for part in [request.data, request.id].into_iter().flatten() {
            part.raw_value().expect("well-formed JSON");
        }
    }
});
