//! Every decision of Relais, and nothing else.
//!
//! Commands come in, outcomes go out: this crate knows no socket, SQL, Redis, HTTP or clock. What it needs
//! from the world it asks for through the traits of [`ports`]; time and new ids come with each command.
//!
//! Inside, knowledge points one way: nouns ([`ids`], [`command`], [`event`], [`error`]) <- [`ports`] <- capabilities;
//! the dispatcher alone commits and publishes; the vocabulary alone knows an application's names.

pub mod capability;
pub mod command;
pub mod dispatch;
pub mod error;
pub mod event;
pub mod ids;
pub mod limit;
pub mod outside;
pub mod ports;
pub mod restriction;
pub mod vocabulary;
