//! What tests of the other crates are made of: contract suites for the ports of core, and builders of values.
//!
//! A suite says in tests what a port promises in words; whoever implements the port runs it. Nothing here is
//! part of the server.

pub mod build;
pub mod contract;
