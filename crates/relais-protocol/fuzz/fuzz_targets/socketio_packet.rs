//! Any text: an event or acknowledgement that decodes is written back and decodes to the same.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::socketio_packet::run(input));
