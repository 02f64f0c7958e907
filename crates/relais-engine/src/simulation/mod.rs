//! The engine under a seeded schedule: real shards, sessions, hub, replay and outbox, on a clock, on sockets and on a log that are not.
//!
//! Everything runs on one thread. Time is paused and jumps to the next timer when nothing else is to be done; chance comes from a seed,
//! so a run can be repeated.

mod agent;
pub(crate) mod chance;
mod checks;
mod clients;
mod committer;
mod hearing;
mod house;
mod link;
mod log;
pub(crate) mod machine;
mod panics;
mod plain;
mod schedule;
mod service;
pub(crate) mod socket;
mod truth;
mod wire;
mod world;

#[cfg(test)]
mod connects;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
