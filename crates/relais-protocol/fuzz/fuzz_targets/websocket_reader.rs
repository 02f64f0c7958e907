//! Any bytes, read at once and in pieces: the same messages and the same end.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::websocket_reader::run(input));
