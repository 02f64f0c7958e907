//! The world outside: what happens here is told to the team's own backend and to browsers that are closed, and the backend is asked.
//!
//! Comes in: committed records, by a [`Bell`] that the hub rings and from the log itself. Goes out: requests, through
//! [`Outgoing`](crate::outgoing::Outgoing) alone. A [`Follower`] reads the logs of one app from where it was, so that nothing is lost by a kill at any
//! moment, and has a [`Teller`] tell what it finds: at least once, each thing under an id that is the same every time. An app that uses
//! none of it has no follower, and its records ring no bell.

mod asking;
mod backend;
mod bell;
mod follower;
mod push;
mod schedule;
mod start;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use relais_core::event::{EventKind, Record};
use relais_core::ids::{Monotonic, TenantKey};
use relais_core::outside::{Errand, OutsideChange};
use relais_core::ports::StoreError;

pub use asking::{Answer, Backend, Door};
pub use backend::Address;
pub use bell::{Bell, Bells};
pub use follower::Follower;
pub use push::{Browsers, Pushes, Vapid, VapidError};
pub use start::{backend, browsers, doorman, followers};
pub use telling::Webhooks;

/// What became of an errand.
#[derive(Debug)]
pub enum Told {
    /// It is done, and this is to be kept of it.
    Done(Vec<OutsideChange>),
    /// It may work later; after so long, if whoever refused it said so.
    Later(String, Option<Duration>),
    /// It was not tried, because nothing has worked a moment ago, or because it is too early.
    NotNow,
    /// It will never work.
    Never(String),
}

/// Who tells the world of records.
#[async_trait]
pub trait Teller: Send + Sync {
    /// Its queue, and its name as a follower.
    fn name(&self) -> &'static str;

    /// Whether it has to do with events of this kind.
    fn wants(&self, kind: EventKind) -> bool;

    /// What is to be told of records. The same record always makes errands with the same ids.
    async fn errands(&self, records: &[Arc<Record>]) -> Result<Vec<Errand>, StoreError>;

    /// Tells.
    async fn tell(&self, tenant: &TenantKey, errand: &Errand) -> Told;

    /// Whether what is found in the log is kept first and then told one by one, each settled as it is told, so that a kill repeats as little as
    /// can be. Else only what could not be told is kept.
    fn keeps_first(&self) -> bool {
        false
    }

    /// Until when there is no sense in trying.
    fn pauses_until(&self) -> Option<Monotonic>;
}
