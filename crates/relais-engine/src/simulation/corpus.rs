//! The fuzz target `session_machine` over the corpus that is kept for it: what a fuzzer has once found stays found.

use std::fs;
use std::path::Path;

use super::{machine, panics};

#[test]
fn session_machine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/session_machine");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        let input = fs::read(&path).unwrap();
        panics::watch();
        machine::run(&input);
        panics::unwatch();
        count += 1;
    }
    assert!(count > 3, "the corpus is empty");
}
