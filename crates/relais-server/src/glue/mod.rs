//! What holds engine, core and store together: tenants as scopes, audience keys as rooms, records as deliveries, wire events as commands.

pub mod admission;
pub mod apps;
#[cfg(test)]
mod contract;
pub mod expiry;
mod opening;
mod pages;
mod plain;
pub mod ports;
mod publication;
pub mod questions;
mod recovery;
pub mod renewal;
pub mod rooms;
pub mod rules;
pub mod scopes;
pub mod service;
mod session;
