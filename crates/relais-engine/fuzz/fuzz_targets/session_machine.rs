//! Any steps of any clients: bounds hold, the engine's own stream is well formed, and nothing is left of whoever has gone.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| relais_engine::fuzzing::session_machine(input));
