//! Any text: the scanner and `serde_json` agree about what is JSON.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::json_scanner::run(input));
