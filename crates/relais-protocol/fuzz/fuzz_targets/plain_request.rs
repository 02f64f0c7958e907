//! Any text: an envelope that decodes holds well-formed parts.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::plain_request::run(input));
