//! What is published: events with their audience, and the delivery that carries them to every shard.
//!
//! A delivery holds the frames of its events, encoded once for each wire form in use and shared by all shards and recipients.
//! It does not know sockets or rooms' members; those are the hub's.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::frame::{self, EventParts, FrameRef};
use crate::room::{Offset, Position, Room, Scope};

/// One event for the sessions of some rooms.
#[derive(Clone, Debug)]
pub struct OutEvent {
    /// The event's name.
    pub name: Arc<str>,
    /// Raw JSON of the arguments, comma-separated, without the brackets around them: `{"a":1},2`. May be empty.
    /// Attachments stand in it as `{"_placeholder":true,"num":0}`.
    pub args: Bytes,
    /// Binary attachments, in the order of their numbers.
    pub attachments: Vec<Bytes>,
    /// The rooms that hear of it, united: a session gets it once.
    pub to: SmallVec<[Room; 2]>,
    /// Rooms whose sessions are left out.
    pub except: SmallVec<[Room; 1]>,
    /// When it happened, in milliseconds of Unix time: `timestamp` of the plain form.
    pub at: i64,
}

impl OutEvent {
    /// An event without attachments and without exceptions for the members of one room.
    pub fn to_room(room: Room, name: impl Into<Arc<str>>, args: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            args: args.into(),
            attachments: Vec::new(),
            to: SmallVec::from_iter([room]),
            except: SmallVec::new(),
            at: 0,
        }
    }
}

/// Events of one record, or of one volatile happening, made when a shard first needs them.
///
/// So rendering stays off the committer's thread: an implementation keeps its result in a `OnceLock`.
pub trait Publication: Send + Sync {
    /// The events in their order; always the same ones. The index of an event in this slice is part of the offset.
    fn events(&self) -> &[OutEvent];
}

impl Publication for OutEvent {
    fn events(&self) -> &[OutEvent] {
        std::slice::from_ref(self)
    }
}

impl Publication for Vec<OutEvent> {
    fn events(&self) -> &[OutEvent] {
        self
    }
}

/// How an event is written for a kind of sessions. An open list: each form that is in use is encoded once for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Socket.IO text.
    Text,
    /// Socket.IO text with a recovery offset as the last argument.
    TextWithOffset,
    /// A plain JSON frame, with time and position.
    Plain,
}

const FORMS: usize = 3;

impl Form {
    /// Writes an event in this form. `offset` is left out where the form has no place for it.
    pub(crate) fn write(
        self,
        event: &OutEvent,
        namespace: &str,
        offset: Option<Offset>,
        volatile: bool,
    ) -> FrameRef {
        let offset = match self {
            Self::Plain => {
                return frame::plain_event(&event.name, &event.args, event.at, offset, volatile);
            }
            Self::Text => None,
            Self::TextWithOffset => offset,
        };
        frame::event(&EventParts {
            namespace,
            ack: None,
            name: &event.name,
            args: &event.args,
            attachments: &event.attachments,
            offset,
            volatile,
        })
    }
}

/// The frames of a delivery's events in one form.
type Frames = SmallVec<[FrameRef; 1]>;

enum Source {
    One(OutEvent),
    Many(Arc<dyn Publication>),
}

/// A publication on its way to all shards.
pub struct Delivery {
    scope: Scope,
    position: Option<Position>,
    volatile: bool,
    source: Source,
    /// For the namespace `/`; others, and offsets that depend on the shard, are encoded by the hub.
    frames: [OnceLock<Frames>; FORMS],
}

impl Delivery {
    /// A committed record: applied in the order of positions, never skipped, replayed to sessions that resume.
    pub fn durable(scope: Scope, position: Position, publication: Arc<dyn Publication>) -> Self {
        Self {
            scope,
            position: Some(position),
            volatile: false,
            source: Source::Many(publication),
            frames: Default::default(),
        }
    }

    /// Events at most once: the first to go when an outbox is full, and none for sessions that replay.
    pub fn volatile(scope: Scope, publication: Arc<dyn Publication>) -> Self {
        Self {
            scope,
            position: None,
            volatile: true,
            source: Source::Many(publication),
            frames: Default::default(),
        }
    }

    /// One event without a log: lost with the connection, but not dropped before it.
    pub fn event(scope: Scope, event: OutEvent) -> Self {
        Self {
            scope,
            position: None,
            volatile: false,
            source: Source::One(event),
            frames: Default::default(),
        }
    }

    /// Where it belongs.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Its place in the log, if it has one.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Whether it may be dropped.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    /// The frame of an event in a form, encoded the first time that it is needed.
    pub(crate) fn frame(&self, form: Form, number: usize) -> Option<&FrameRef> {
        let frames = self.frames[form as usize].get_or_init(|| self.encode(form));
        frames.get(number)
    }

    /// What a client gives back that has seen this event; `None` without a position. After the last event all of the record is seen:
    /// so a record that is cut off behind it leaves no doubt whether something is missing.
    pub(crate) fn offset(&self, number: usize) -> Option<Offset> {
        let is_last = number + 1 >= self.events().len();
        self.position.map(|position| Offset {
            epoch: position.epoch,
            position: position.position,
            index: u16::try_from(number).ok().filter(|_| !is_last),
        })
    }

    fn encode(&self, form: Form) -> Frames {
        let events = self.events().iter().enumerate();
        events
            .map(|(number, event)| form.write(event, "/", self.offset(number), self.volatile))
            .collect()
    }

    /// Its events.
    pub fn events(&self) -> &[OutEvent] {
        match &self.source {
            Source::One(event) => std::slice::from_ref(event),
            Source::Many(publication) => {
                // A record that cannot be rendered must not hold up those behind it.
                let rendered = catch_unwind(AssertUnwindSafe(|| publication.events()));
                rendered.unwrap_or_else(|_| {
                    tracing::error!(scope = self.scope.0, position = ?self.position, "a publication panicked; nobody hears of it");
                    &[]
                })
            }
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("scope", &self.scope)
            .field("position", &self.position)
            .field("volatile", &self.volatile)
            .finish_non_exhaustive()
    }
}
