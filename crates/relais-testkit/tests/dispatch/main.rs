//! The core as a whole, through its one door, on a store in memory.

// The lint lets tests be, but not what they share.
#![allow(clippy::unwrap_used)]

mod following;
mod house;
mod inboxes;

mod items;
mod messages;
mod moderation;
mod personal;
mod presence;
mod relays;
mod resume;
mod rooms;
mod typing;
