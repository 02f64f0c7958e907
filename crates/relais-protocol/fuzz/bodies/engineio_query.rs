//! Any query string: decoding and classifying never panic.

use relais_protocol::engineio::{Query, QueryPairs, handshake};

/// The first byte says which kind of request it is, the rest is the query.
pub fn run(input: &[u8]) {
    let Some((kind, query)) = input.split_first() else {
        return;
    };
    let (is_get, is_upgrade) = (kind & 1 == 1, kind & 2 == 2);
    let raw = super::text(query);
    let query = Query::parse(raw);
    let _ = handshake(&query, is_get, is_upgrade);
    let _ = Query::value(raw, "token");
    for (name, value) in QueryPairs::new(raw) {
        assert!(name.len() <= 3 * raw.len() && value.len() <= 3 * raw.len());
    }
}
