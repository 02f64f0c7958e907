//! Any sequence of texts and binary messages: a packet is whole when all its attachments are there.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::socketio_decoder::run(input));
