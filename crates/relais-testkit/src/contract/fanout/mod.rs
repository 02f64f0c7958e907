//! What a `Fanout` must do with records that arrive as a second node would deliver them: twice, never, or out of order.
//!
//! An implementation (the hub of the engine, later a cluster's) writes a [`FanoutHarness`] and runs
//! [`fanout_contract!`](crate::fanout_contract). The suite commits to a store whose fanout only listens, and hands
//! the records to the hub itself, spoiled. Whatever happens on the way, each subscriber must end with every record
//! of its rooms once, ascending: the hub reads the log wherever it has a hole.

pub mod delivery;
pub mod faults;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use relais_core::event::{EventKind, NewRecord, Record};
use relais_core::ids::{Position, RoomKey, SessionId, TenantKey};
use relais_core::ports::{Fanout, Store};

use super::store::Recorder;
use crate::build;

/// Makes hubs for the suite.
#[async_trait]
pub trait FanoutHarness: Send + Sync {
    /// A new, empty store that hands committed records to `fanout`.
    async fn store(&self, fanout: Arc<dyn Fanout>) -> Arc<dyn Store>;

    /// A hub that reads the logs of `store`, with no subscribers.
    async fn hub(&self, store: Arc<dyn Store>) -> Box<dyn Hub>;
}

/// A hub under test: it is the `Fanout`, with sessions behind it.
#[async_trait]
pub trait Hub: Send + Sync {
    /// Where the suite publishes.
    fn fanout(&self) -> Arc<dyn Fanout>;

    /// Opens a session in these rooms. When it returns, the session hears everything above the present head of the
    /// log, and nothing of what was before.
    async fn subscribe(&self, tenant: &TenantKey, session: &SessionId, rooms: &[RoomKey]);

    /// Takes a session out of a room, once it has been given every record up to `until`.
    async fn leave(&self, tenant: &TenantKey, session: &SessionId, room: &RoomKey, until: Position);

    /// Positions of the records that the session was given so far, in the order in which it was.
    async fn observed(&self, tenant: &TenantKey, session: &SessionId) -> Vec<Position>;

    /// Lets this much time pass (on paused time: advances it), and everything happen that is due by then.
    async fn advance(&self, time: Duration);
}

/// A loss on a live connection is found and filled within this time (C6 of the delivery contract).
pub const FILLED_WITHIN: Duration = Duration::from_secs(2);

/// A store whose records go nowhere by themselves, and a hub to which the test hands them.
pub(crate) struct Stage {
    pub(crate) hub: Box<dyn Hub>,
    store: Arc<dyn Store>,
    committed: Arc<Recorder>,
}

impl Stage {
    pub(crate) async fn new(harness: &dyn FanoutHarness) -> Self {
        let committed = Arc::new(Recorder::default());
        let store = harness.store(committed.clone()).await;
        Self {
            hub: harness.hub(store.clone()).await,
            store,
            committed,
        }
    }

    pub(crate) async fn subscribe(&self, who: &str, rooms: &[&str]) {
        let rooms: Vec<_> = rooms.iter().map(|name| build::room(name)).collect();
        self.hub
            .subscribe(&tenant(), &build::session(who), &rooms)
            .await;
    }

    /// Commits one record for each of these rooms and returns them; the hub knows nothing of them yet.
    pub(crate) async fn commit(&self, rooms: &[&str]) -> Vec<Arc<Record>> {
        self.commit_for(&tenant(), rooms).await
    }

    pub(crate) async fn commit_for(&self, tenant: &TenantKey, rooms: &[&str]) -> Vec<Arc<Record>> {
        let records = rooms.iter().map(|name| {
            let mut record = build::record(EventKind::RelaySent, &build::room(name), name);
            record.audience.except_session = None;
            record
        });
        self.commit_records(tenant, records).await
    }

    pub(crate) async fn commit_records(
        &self,
        tenant: &TenantKey,
        records: impl IntoIterator<Item = NewRecord>,
    ) -> Vec<Arc<Record>> {
        let log = self.store.tenant(tenant).await.expect("a tenant");
        let had = self.committed.of(tenant).len();
        for record in records {
            let committed = log.commit(build::append([record])).await;
            committed.expect("the store commits");
        }
        self.committed.of(tenant).split_off(had)
    }

    /// Hands records to the hub in one call.
    pub(crate) fn publish(&self, records: &[Arc<Record>]) {
        self.hub.fanout().publish(&tenant(), records);
    }

    /// What a session was given once everything due has happened.
    pub(crate) async fn settled(&self, who: &str) -> Vec<u64> {
        self.hub.advance(FILLED_WITHIN).await;
        let seen = self.hub.observed(&tenant(), &build::session(who)).await;
        seen.into_iter().map(|position| position.0).collect()
    }
}

/// The tenant of the suite.
pub(crate) fn tenant() -> TenantKey {
    build::tenant("one")
}

/// Makes a test of every promise. The argument is an expression of a [`FanoutHarness`]. The tests run on paused time.
#[macro_export]
macro_rules! fanout_contract {
    ($harness:expr) => {
        $crate::fanout_contract! { @tests $harness;
            delivery: records_that_come_in_order_are_given_once_and_in_order,
            delivery: a_session_is_given_the_records_of_its_rooms_alone,
            delivery: a_session_in_several_rooms_of_one_audience_is_given_the_record_once,
            delivery: what_was_before_a_session_came_is_not_given_to_it,
            delivery: a_session_that_leaves_is_given_what_was_before_and_nothing_after,
            delivery: tenants_with_the_same_positions_are_kept_apart,
            delivery: publishing_more_than_any_queue_holds_loses_nothing,
            faults: records_that_come_twice_are_given_once,
            faults: a_lost_record_is_read_from_the_log_before_the_next_is_given,
            faults: a_lost_record_with_nothing_behind_it_is_found_in_time,
            faults: records_that_come_in_the_wrong_order_are_given_in_the_right_one,
            faults: records_that_come_late_are_not_given_again,
            faults: when_all_is_lost_the_log_gives_all,
            faults: a_hub_that_starts_behind_a_filled_log_begins_at_its_head,
            faults: any_mixture_of_loss_repetition_and_disorder_gives_each_record_once_ascending,
        }
    };
    (@tests $harness:expr; $($module:ident: $name:ident,)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $name() {
                $crate::contract::fanout::$module::$name(&$harness).await;
            }
        )*
    };
}
