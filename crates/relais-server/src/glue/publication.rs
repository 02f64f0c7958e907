//! Records and volatile events on their way to the engine: given their wire names when a shard first needs them, off the
//! committer's thread, and once.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use relais_core::event::{Audience, Record, Volatile};
use relais_core::vocabulary::{App, WireEvent, WireEvents};
use relais_engine::{Delivery, OutEvent, Position, Publication, Room, Sid};
use smallvec::SmallVec;

use super::rooms;
use super::scopes::Tenant;
use crate::files::Links;

/// A committed record.
pub fn durable(tenant: &Tenant, record: &Arc<Record>) -> Arc<Delivery> {
    let position = Position {
        epoch: record.epoch.0,
        position: record.position.0,
    };
    let what = What::Record(record.clone());
    Arc::new(Delivery::durable(
        tenant.scope,
        position,
        rendered(tenant, what),
    ))
}

/// An event at most once.
pub fn volatile(tenant: &Tenant, event: Volatile) -> Arc<Delivery> {
    Arc::new(Delivery::volatile(
        tenant.scope,
        rendered(tenant, What::Volatile(Box::new(event))),
    ))
}

fn rendered(tenant: &Tenant, what: What) -> Arc<dyn Publication> {
    Arc::new(Rendered {
        app: tenant.app.clone(),
        links: tenant.links.clone(),
        what,
        events: OnceLock::new(),
    })
}

enum What {
    Record(Arc<Record>),
    Volatile(Box<Volatile>),
}

struct Rendered {
    app: Arc<App>,
    links: Option<Arc<Links>>,
    what: What,
    events: OnceLock<Vec<OutEvent>>,
}

impl Publication for Rendered {
    fn events(&self) -> &[OutEvent] {
        self.events.get_or_init(|| {
            let (events, at) = match &self.what {
                What::Record(record) => (self.render(record), record.at),
                What::Volatile(volatile) => (self.app.render_volatile(volatile), volatile.at),
            };
            let whole = self.what.audience();
            events
                .into_iter()
                .map(|event| out_event(event, whole, at.0))
                .collect()
        })
    }
}

impl Rendered {
    /// The wire events of a record, in which paths of files have become addresses.
    fn render(&self, record: &Record) -> WireEvents {
        let links = self.links.as_ref();
        match links.map(|links| links.shown_now(&record.event.body)) {
            Some(Cow::Owned(body)) => {
                let mut shown = record.clone();
                shown.event.body = body;
                self.app.render(&shown)
            }
            _ => self.app.render(record),
        }
    }
}

impl What {
    /// Whom it is for as a whole; a wire event of it may be for some of them only.
    fn audience(&self) -> Option<&Audience> {
        match self {
            What::Record(record) => Some(&record.audience),
            What::Volatile(volatile) => volatile.event.audience.as_ref(),
        }
    }
}

fn out_event(event: WireEvent, whole: Option<&Audience>, at: i64) -> OutEvent {
    let nobody = Audience::default();
    let audience = event.audience.as_ref().or(whole).unwrap_or(&nobody);
    OutEvent {
        to: audience.to.iter().map(rooms::of).collect(),
        except: except(audience),
        name: event.name,
        args: event.data.into(),
        attachments: event.attachments,
        at,
    }
}

fn except(audience: &Audience) -> SmallVec<[Room; 1]> {
    let user = audience.except_user.as_ref().map(rooms::user);
    let session = audience
        .except_session
        .as_ref()
        .map(|session| Room::from(&Sid::from(session.0.clone())));
    user.into_iter().chain(session).collect()
}
