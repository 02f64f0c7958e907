//! The core as a whole, through its one door, on a store in memory.

// The lint lets tests be, but not what they share.
#![allow(clippy::unwrap_used)]

mod following;
mod house;
mod inboxes;
mod words;

mod edits;
mod items;
mod mentions;
mod messages;
mod moderation;
mod personal;
mod presence;
mod pushes;
mod relays;
mod resume;
mod rooms;
mod sorts;
mod typing;
