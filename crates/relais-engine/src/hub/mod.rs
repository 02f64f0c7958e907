//! The hub of a shard: deliveries in, frames into the outboxes of the right sessions.
//!
//! [`scope`] keeps the order of one scope, [`members`] who is in which room; here they meet frames, sessions and the log.
//! Nothing here calls the service in the middle of a fan-out.

mod catch_up;
pub(crate) mod census;
pub(crate) mod members;
pub(crate) mod scope;

use std::cell::RefMut;
use std::rc::Rc;
use std::sync::Arc;

use crate::chance::Map;
use crate::close::{CloseCode, Reason};
use crate::delivery::{Delivery, Form, OutEvent};
use crate::frame::FrameRef;
use crate::room::{Offset, Scope};
use crate::service::Service;
use crate::session::Session;
use crate::shard::Shard;
use census::Attendance;
use scope::{ScopeHub, Verdict};

/// The scopes of a shard.
pub(crate) type Scopes<S> = Map<Scope, ScopeHub<Rc<Session<S>>>>;

impl<S: Service> Shard<S> {
    /// The hub of a scope; made, with the head of now, when this is its first session here.
    pub(crate) fn scope_hub<'a>(
        &self,
        scopes: &'a mut RefMut<'_, Scopes<S>>,
        scope: Scope,
    ) -> &'a mut ScopeHub<Rc<Session<S>>> {
        scopes.entry(scope).or_insert_with(|| {
            let attendance = Attendance::begin(&self.census, scope);
            ScopeHub::new(self.log.head(scope), attendance)
        })
    }

    /// What this shard has applied of a scope; 0 where there is no log.
    pub(crate) fn applied(&self, scope: Scope) -> u64 {
        let hub = self.hub.borrow();
        let applied = hub.get(&scope).and_then(ScopeHub::applied);
        applied.map_or(0, |applied| applied.position)
    }

    /// A publication.
    pub(crate) fn deliver(self: &Rc<Self>, delivery: &Arc<Delivery>) {
        let mut scopes = self.hub.borrow_mut();
        let Some(hub) = scopes.get_mut(&delivery.scope()) else {
            return;
        };
        match hub.judge(delivery.position()) {
            Verdict::Apply => self.apply(hub, delivery),
            Verdict::Drop => {}
            Verdict::Read => self.start_catch_up(hub, delivery.scope()),
            Verdict::NewEpoch => {
                drop(scopes);
                self.begin_epoch(delivery.scope());
            }
        }
    }

    /// Gives a delivery to its members and takes its position as applied.
    fn apply(self: &Rc<Self>, hub: &mut ScopeHub<Rc<Session<S>>>, delivery: &Arc<Delivery>) {
        let suffix = hub.applied().map(Offset::whole);
        let mut frames = LocalFrames::new(delivery, suffix);
        let mut given = 0;
        let ahead = |session: &Rc<Session<S>>| session.touch();
        hub.give(delivery, ahead, |number, event, session| {
            given += 1;
            session.connection.give(frames.get(number, event, session));
        });
        self.stats.events_out_total.add(given);
        if given > 0 {
            self.wake_flusher();
        }
        if let Some(position) = delivery.position() {
            for (cursor, session) in hub.advance(position) {
                if cursor == position.position {
                    session.end_replay(hub);
                } else {
                    // The shard jumped over it: it reads on.
                    crate::replay::begin(&session);
                }
            }
        }
    }

    /// A replay is at `position`; see [`ScopeHub::meet`]. True when the replay has nothing left to do.
    pub(crate) fn meet_replay(self: &Rc<Self>, session: &Rc<Session<S>>, position: u64) -> bool {
        let mut scopes = self.hub.borrow_mut();
        let Some(hub) = scopes.get_mut(&session.scope) else {
            return true;
        };
        match hub.meet(position, session) {
            Some(true) => {
                session.end_replay(hub);
                true
            }
            Some(false) => true,
            None => false,
        }
    }

    /// Ends a replay that cannot be, at what the shard has applied.
    pub(crate) fn join_now(self: &Rc<Self>, session: &Rc<Session<S>>) {
        if let Some(hub) = self.hub.borrow_mut().get_mut(&session.scope) {
            session.end_replay(hub);
        }
    }

    /// The log has begun another life: whoever is connected has seen what may no longer be. They reconnect, and the service decides.
    fn begin_epoch(self: &Rc<Self>, scope: Scope) {
        let sessions: Vec<_> = {
            let sessions = self.sessions.borrow();
            let concerned = sessions.values().filter(|session| session.scope == scope);
            concerned.cloned().collect()
        };
        tracing::warn!(
            scope = scope.0,
            sessions = sessions.len(),
            "the log has begun a new epoch"
        );
        for session in sessions {
            session.connection.close(
                CloseCode::RESTART,
                "the log has begun a new epoch",
                Reason::TransportLost,
            );
            // Also one whose client has gone already, and that only finishes what it was told.
            session.end(Reason::TransportLost);
        }
        // Whatever is left joins at the new head.
        self.hub.borrow_mut().remove(&scope);
    }
}

impl<S: Service> Session<S> {
    /// Reads what a fan-out is about to need of it, and does nothing with it: between two messages the kernel's work has pushed
    /// it out of the caches, and fetching it was most of what a recipient cost here.
    fn touch(&self) {
        std::hint::black_box((self.form, self.namespace().len()));
        self.connection.touch();
    }

    /// The frame of one event of a record, with its own offset where the session wants offsets.
    pub(crate) fn durable_frame(
        &self,
        delivery: &Arc<Delivery>,
        number: usize,
    ) -> Option<FrameRef> {
        if self.namespace() == "/" {
            return delivery.frame(self.form, number).cloned();
        }
        let event = delivery.events().get(number);
        event.map(|event| encode(delivery, number, event, self, None))
    }
}

/// The frames of one delivery on this shard: shared ones where the bytes are the same everywhere, else encoded once here.
struct LocalFrames<'a> {
    delivery: &'a Arc<Delivery>,
    /// What events without a position of their own carry: what this shard has applied, never anything newer.
    suffix: Option<Offset>,
    /// Event number, form, namespace (by address: they are shared), frame.
    local: Vec<(usize, Form, *const u8, FrameRef)>,
}

impl<'a> LocalFrames<'a> {
    fn new(delivery: &'a Arc<Delivery>, suffix: Option<Offset>) -> Self {
        Self {
            delivery,
            suffix,
            local: Vec::new(),
        }
    }

    fn get<S: Service>(
        &mut self,
        number: usize,
        event: &OutEvent,
        session: &Session<S>,
    ) -> &FrameRef {
        let has_local_offset = session.form == Form::TextWithOffset
            && self.delivery.position().is_none()
            && self.suffix.is_some();
        let is_root = session.namespace() == "/";
        if is_root
            && !has_local_offset
            && let Some(frame) = self.delivery.frame(session.form, number)
        {
            return frame;
        }
        let namespace = session.namespace().as_ptr();
        let known = self.local.iter().position(|(at, form, name, _)| {
            *at == number && *form == session.form && *name == namespace
        });
        let at = known.unwrap_or_else(|| {
            let frame = encode(self.delivery, number, event, session, self.suffix);
            self.local.push((number, session.form, namespace, frame));
            self.local.len() - 1
        });
        &self.local[at].3
    }
}

fn encode<S: Service>(
    delivery: &Delivery,
    number: usize,
    event: &OutEvent,
    session: &Session<S>,
    suffix: Option<Offset>,
) -> FrameRef {
    let offset = delivery.offset(number).or(suffix);
    session
        .form
        .write(event, session.namespace(), offset, delivery.is_volatile())
}
