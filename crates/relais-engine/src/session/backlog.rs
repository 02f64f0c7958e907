//! Events of one session that wait for their turn, and what happens when there are too many of them.
//!
//! At most so many, and so many bytes: then the connection's gate closes, and nothing more is read. That lasts for a short while only,
//! because behind the events wait heartbeats: a session that stays full is overloaded, and what it cannot hold is refused at once by the
//! service. Whose turn it is, the [`pipeline`](super::pipeline) says; nothing here knows a command.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Session;
use crate::ack_id::AckId;
use crate::service::Service;
use crate::settings::Settings;

/// What waits, and how long there has been too much of it.
#[derive(Default)]
pub(super) struct Backlog {
    events: VecDeque<Held>,
    bytes: usize,
    is_gate_closed: bool,
    /// Since when there has been too much, without a pause in which nothing was held.
    full_since: Option<Instant>,
    /// That has lasted too long: what cannot be held is refused.
    is_overloaded: bool,
}

/// An event that has to wait for its turn.
pub(super) struct Held {
    pub(super) name: Box<str>,
    pub(super) args: Box<str>,
    pub(super) attachments: Vec<Bytes>,
    pub(super) ack: Option<AckId>,
}

/// What one event more means for the reading of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    GoesOn,
    Stops,
    /// As `Stops`, for the first time since nothing was held.
    StopsFrom(Instant),
}

impl Held {
    fn bytes(&self) -> usize {
        let attached: usize = self.attachments.iter().map(Bytes::len).sum();
        self.name.len() + self.args.len() + attached
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether reading has stopped because of it.
    pub(super) fn is_gate_closed(&self) -> bool {
        self.is_gate_closed
    }

    /// Whether there is no room for another event, and reading does not stop for it any more.
    pub(super) fn refuses(&self, settings: &Settings) -> bool {
        self.is_overloaded && self.is_full(settings)
    }

    fn is_full(&self, settings: &Settings) -> bool {
        self.events.len() >= settings.held_max || self.bytes >= settings.max_payload_bytes
    }

    fn push(&mut self, held: Held, settings: &Settings) -> Reading {
        self.bytes += held.bytes();
        self.events.push_back(held);
        if !self.is_full(settings) || self.is_overloaded || self.is_gate_closed {
            return Reading::GoesOn;
        }
        self.is_gate_closed = true;
        if self.full_since.is_some() {
            return Reading::Stops;
        }
        let since = Instant::now();
        self.full_since = Some(since);
        Reading::StopsFrom(since)
    }

    /// The next event, and whether reading goes on because of it.
    fn pop(&mut self) -> Option<(Held, bool)> {
        let held = self.events.pop_front()?;
        self.bytes -= held.bytes();
        if self.events.is_empty() {
            self.full_since = None;
            self.is_overloaded = false;
        }
        Some((held, std::mem::take(&mut self.is_gate_closed)))
    }

    /// It has been too much since then, if it still is: what cannot be held is refused from now on. True: reading goes on for it.
    fn overload(&mut self, since: Instant) -> bool {
        if self.full_since != Some(since) {
            return false;
        }
        self.is_overloaded = true;
        std::mem::take(&mut self.is_gate_closed)
    }
}

impl<S: Service> Session<S> {
    /// Keeps an event for later.
    pub(super) fn keep(self: &Rc<Self>, backlog: &mut Backlog, held: Held) {
        let reading = backlog.push(held, self.connection.shard.settings());
        if reading != Reading::GoesOn {
            self.connection.close_gate();
        }
        if let Reading::StopsFrom(since) = reading {
            self.limit_fullness(since);
        }
    }

    /// Reading does not stop for longer than [`Settings::gate_closed_max`]: then the session counts as overloaded.
    fn limit_fullness(self: &Rc<Self>, since: Instant) {
        let session = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(session.connection.shard.settings().gate_closed_max).await;
            if session.change_backlog(|backlog| backlog.overload(since)) == Some(true) {
                session.connection.open_gate();
            }
        });
    }

    /// The event that has waited longest.
    pub(super) fn next_held(&self) -> Option<Held> {
        let (held, opens_gate) = self.change_backlog(Backlog::pop)??;
        if opens_gate {
            self.connection.open_gate();
        }
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(args: &str) -> Held {
        Held {
            name: "e".into(),
            args: args.into(),
            attachments: vec![Bytes::from_static(b"123")],
            ack: None,
        }
    }

    fn settings() -> Settings {
        Settings {
            held_max: 2,
            max_payload_bytes: 100,
            ..Settings::default()
        }
    }

    #[test]
    fn a_full_backlog_stops_the_reading_until_one_has_had_its_turn() {
        let (mut backlog, settings) = (Backlog::default(), settings());
        assert_eq!(backlog.push(held(""), &settings), Reading::GoesOn);
        let stopped = backlog.push(held(""), &settings);
        assert!(matches!(stopped, Reading::StopsFrom(_)));
        assert!(!backlog.refuses(&settings));
        assert!(matches!(backlog.pop(), Some((_, true))));
        // Full again before it was empty: the time runs from the first stop.
        assert_eq!(backlog.push(held(""), &settings), Reading::Stops);
        assert!(matches!(backlog.pop(), Some((_, true))));
        assert!(matches!(backlog.pop(), Some((_, false))));
        assert_eq!((backlog.bytes, backlog.full_since), (0, None));
    }

    #[test]
    fn bytes_fill_it_as_events_do() {
        let mut backlog = Backlog::default();
        let stopped = backlog.push(held(&"x".repeat(96)), &settings());
        assert!(matches!(stopped, Reading::StopsFrom(_)));
    }

    #[test]
    fn what_stays_full_refuses_until_nothing_is_held() {
        let (mut backlog, settings) = (Backlog::default(), settings());
        backlog.push(held(""), &settings);
        let Reading::StopsFrom(since) = backlog.push(held(""), &settings) else {
            panic!("it is full");
        };
        assert!(backlog.overload(since));
        assert!(backlog.refuses(&settings) && !backlog.is_gate_closed());
        backlog.pop();
        assert!(!backlog.refuses(&settings), "there is room for one");
        assert_eq!(backlog.push(held(""), &settings), Reading::GoesOn);
        assert!(backlog.refuses(&settings));
        while backlog.pop().is_some() {}
        assert!(!backlog.overload(since), "that was another time");
    }
}
