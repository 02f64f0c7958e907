//! The Relais binary.
fn main() {}
