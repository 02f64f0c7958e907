//! Values that the unit tests of this folder share.

use std::sync::Arc;

use relais_core::event::{Audience, Event, EventKind, Facts, Record};
use relais_core::ids::{Epoch, Position, TenantKey, Timestamp};

/// A record at a position, about nothing.
pub(super) fn record(position: u64) -> Arc<Record> {
    Arc::new(Record {
        tenant: TenantKey::new("app", "default"),
        epoch: Epoch(1),
        position: Position(position),
        seq: None,
        at: Timestamp(0),
        event: Event {
            durable: true,
            ..Event::new(EventKind::RelaySent, Facts::new())
        },
        audience: Audience::default(),
    })
}
