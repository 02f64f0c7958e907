//! Any query string: decoding and classifying never panic.

#![no_main]

#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::engineio_query::run(input));
