//! Every fuzz target's body over the corpus that is kept for it: what a fuzzer has once found stays found.

use std::fs;
use std::path::Path;

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

/// Runs a body over the corpus of its target.
fn over_the_corpus(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut count = 0;
    for file in files {
        let path = file.expect("the folder can be read").path();
        let input = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        run(&input);
        count += 1;
    }
    assert!(count > 3, "the corpus of {target} is empty");
}

macro_rules! corpora {
    ($($target:ident,)*) => {
        $(#[test]
        fn $target() {
            over_the_corpus(stringify!($target), bodies::$target::run);
        })*
    };
}

corpora! {
    engineio_payload,
    engineio_query,
    json_scanner,
    plain_request,
    socketio_decoder,
    socketio_packet,
    websocket_reader,
}
