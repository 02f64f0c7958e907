//! Any query string: decoding and classifying never panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relais_protocol::engineio::{Query, QueryPairs, handshake};

fuzz_target!(|input: (&str, bool, bool)| {
    let (raw, is_get, is_upgrade) = input;
    let query = Query::parse(raw);
    let _ = handshake(&query, is_get, is_upgrade);
    let _ = Query::value(raw, "token");
    for (name, value) in QueryPairs::new(raw) {
        assert!(name.len() <= 3 * raw.len() && value.len() <= 3 * raw.len());
    }
});
