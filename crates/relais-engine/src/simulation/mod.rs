//! The engine under a seeded schedule: real shards, sessions, hub, replay and outbox, on a clock, on sockets and on a log that are not.
//!
//! Everything runs on one thread. Time is paused and jumps to the next timer when nothing else is to be done; chance comes from a seed,
//! so a run can be repeated.

pub(crate) mod chance;
pub(crate) mod socket;
