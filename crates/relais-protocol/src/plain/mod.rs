//! The envelope of applications that use a plain WebSocket: one JSON object a text message.
//!
//! From clients: `{"type":"send_message","data":{…},"id":7}`. To clients:
//! `{"type":"message","data":{…},"timestamp":"…","position":12,"id":7}`, where `position` is there when the event is stored, and `id`
//! repeats a request's. An envelope that is refused gets an `error` event, and the connection stays.

mod envelope;
mod mark;
mod request;
mod time;

pub use envelope::Envelope;
pub use mark::Mark;
pub use request::{Limits, PlainError, Request};
