//! What any `Store` must do. An implementation writes a [`StoreHarness`] and runs [`store_contract!`](crate::store_contract),
//! which makes one named test of each promise.
//!
//! Every test opens a store of its own and only speaks through the port, so that it holds for memory, SQLite and
//! whatever comes.

pub mod durable;
pub mod erasure;
pub mod history;
pub mod idempotency;
pub mod inbox;
pub mod items;
pub mod order;
pub mod outside;
pub mod people;
pub mod retention;
pub mod rooms;
pub mod state;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use relais_core::event::{Record, Volatile};
use relais_core::ids::{Position, SessionId, TenantKey, Timestamp};
use relais_core::ports::{
    CommitError, Committed, Fanout, Outside, Store, TenantStore, Transaction,
};

use crate::build;

/// Limits of retention that a test wants.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Age of the oldest record that is kept.
    pub window_ms: i64,
    /// Records that a room keeps, and what is without a room.
    pub records_max: u64,
}

impl Limits {
    /// Nothing that a test does reaches these.
    pub const WIDE: Limits = Limits {
        window_ms: 1_000_000_000,
        records_max: 1_000_000,
    };
}

/// Makes stores for the suite.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// A new, empty store that hands committed records to `fanout`.
    async fn open(&self, fanout: Arc<dyn Fanout>, limits: Limits) -> Box<dyn OpenStore>;
}

/// A store under test.
#[async_trait]
pub trait OpenStore: Send + Sync {
    /// The port.
    fn store(&self) -> Arc<dyn Store>;

    /// What it keeps for the world outside.
    fn outside(&self) -> Arc<dyn Outside>;

    /// Forgets what need not be kept at `now`; `alive` are the sessions that are open.
    async fn retain(&self, now: Timestamp, alive: &[SessionId]);

    /// Closes the store and opens it again on the same data; `None` if it keeps none.
    async fn reopen(self: Box<Self>, fanout: Arc<dyn Fanout>) -> Option<Box<dyn OpenStore>>;
}

/// A fanout that remembers what it was handed.
#[derive(Default)]
pub struct Recorder {
    seen: Mutex<Vec<(TenantKey, Arc<Record>)>>,
}

impl Recorder {
    /// Records of a tenant in the order in which they came.
    pub fn of(&self, tenant: &TenantKey) -> Vec<Arc<Record>> {
        let seen = self
            .seen
            .lock()
            .expect("no test panics while it holds this");
        let of = seen.iter().filter(|(key, _)| key == tenant);
        of.map(|(_, record)| record.clone()).collect()
    }
}

impl Fanout for Recorder {
    fn publish(&self, tenant: &TenantKey, records: &[Arc<Record>]) {
        let mut seen = self
            .seen
            .lock()
            .expect("no test panics while it holds this");
        seen.extend(
            records
                .iter()
                .map(|record| (tenant.clone(), record.clone())),
        );
    }

    fn volatile(&self, _tenant: &TenantKey, _event: Volatile) {}
}

/// An open store, one tenant of it, and what reached the fanout.
pub(crate) struct Bench {
    pub(crate) open: Box<dyn OpenStore>,
    pub(crate) tenant: Arc<dyn TenantStore>,
    pub(crate) recorder: Arc<Recorder>,
}

impl Bench {
    pub(crate) async fn new(harness: &dyn StoreHarness) -> Self {
        Self::with(harness, Limits::WIDE).await
    }

    pub(crate) async fn with(harness: &dyn StoreHarness, limits: Limits) -> Self {
        let recorder = Arc::new(Recorder::default());
        let open = harness.open(recorder.clone(), limits).await;
        Self::over(open, recorder).await
    }

    pub(crate) async fn over(open: Box<dyn OpenStore>, recorder: Arc<Recorder>) -> Self {
        let tenant = open.store().tenant(&build::tenant("one")).await;
        Self {
            tenant: tenant.expect("a tenant is made on first use"),
            open,
            recorder,
        }
    }

    /// Closes and opens again, if the store keeps its data.
    pub(crate) async fn reopened(self) -> Option<Self> {
        let recorder = Arc::new(Recorder::default());
        drop(self.tenant);
        let open = self.open.reopen(recorder.clone()).await?;
        Some(Self::over(open, recorder).await)
    }

    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<Committed, CommitError> {
        self.tenant.commit(transaction).await
    }

    /// Commits what must be applied, and returns its records.
    pub(crate) async fn apply(&self, transaction: Transaction) -> Vec<Arc<Record>> {
        applied(self.commit(transaction).await)
    }

    pub(crate) fn head(&self) -> Position {
        self.tenant.head().position
    }

    /// Everything in the log above a position.
    pub(crate) async fn log_after(&self, after: u64) -> Vec<Arc<Record>> {
        let page = self.tenant.log(Position(after), 1_000).await;
        page.expect("the log can be read").records
    }
}

/// The records of a commit that was applied.
pub(crate) fn applied(outcome: Result<Committed, CommitError>) -> Vec<Arc<Record>> {
    match outcome {
        Ok(Committed::Applied { records, .. }) => records,
        other => panic!("not applied: {other:?}"),
    }
}

/// Positions of records.
pub(crate) fn positions(records: &[Arc<Record>]) -> Vec<u64> {
    records.iter().map(|record| record.position.0).collect()
}

/// Seqs of records, 0 for those without.
pub(crate) fn seqs(records: &[Arc<Record>]) -> Vec<u64> {
    let seq = |record: &Arc<Record>| record.seq.unwrap_or_default().0;
    records.iter().map(seq).collect()
}

/// Makes a test of every promise. The argument is an expression of a [`StoreHarness`]; it is evaluated for each test.
#[macro_export]
macro_rules! store_contract {
    ($harness:expr) => {
        $crate::store_contract! { @tests $harness;
            order: positions_are_contiguous_from_one_in_the_order_of_commits,
            order: seqs_are_contiguous_in_each_conversation_on_its_own,
            order: sixty_four_writers_in_one_room_get_contiguous_seqs,
            order: commits_polled_one_after_another_keep_that_order,
            order: records_reach_the_fanout_once_and_in_order_before_the_commit_returns,
            order: the_log_gives_back_exactly_what_was_published,
            order: the_log_is_paged_ascending_up_to_the_head,
            order: a_page_of_large_records_is_shorter_and_never_empty,
            order: two_tenants_share_nothing,
            order: a_transaction_without_records_leaves_the_head_where_it_is,
            idempotency: the_same_key_and_body_give_the_stored_message_and_no_second_record,
            idempotency: the_same_key_with_another_body_is_a_conflict,
            idempotency: a_key_is_free_for_another_sender_conversation_or_tenant,
            idempotency: two_sends_with_one_key_at_once_give_one_record_and_one_answer,
            idempotency: duplicates_and_conflicts_leave_no_holes,
            idempotency: a_duplicate_is_answered_even_when_its_preconditions_no_longer_hold,
            idempotency: keys_are_never_mistaken_for_others_by_their_spelling,
            state: a_failed_precondition_leaves_nothing_behind,
            state: of_two_transactions_that_expect_the_same_only_the_first_is_applied,
            state: an_edit_replaces_the_body_and_is_stamped,
            state: two_edits_in_one_millisecond_are_told_apart,
            state: a_deletion_blanks_the_body_and_is_final,
            state: an_edit_of_what_is_not_there_is_a_conflict,
            state: a_taken_message_id_fails_alone,
            state: a_message_without_a_record_that_takes_its_seq_is_refused,
            state: several_messages_of_one_transaction_take_their_own_seqs,
            state: read_marks_never_go_back,
            state: presence_is_found_while_online_or_changed_since,
            erasure: what_a_user_has_to_do_with_is_found_page_by_page,
            erasure: an_erased_message_is_blank_and_nobody_s_and_its_key_is_free,
            erasure: an_erased_record_keeps_its_place_and_nothing_else,
            erasure: items_of_a_user_are_found_wherever_they_lie_oldest_first,
            erasure: an_erased_user_is_forgotten_in_this_tenant_and_others_are_not,
            history: pages_go_both_ways_by_seq_and_oldest_first,
            history: the_newest_page_comes_without_bounds,
            history: both_bounds_give_what_lies_between,
            history: private_messages_are_paged_by_sender_and_recipient_alone,
            history: a_channel_is_a_label_inside_a_conversation,
            history: both_directions_of_a_direct_pair_are_one_conversation,
            history: a_message_is_found_by_its_id_with_everything_that_it_had,
            rooms: members_come_in_the_order_in_which_they_were_added,
            rooms: a_removal_is_remembered_until_the_member_is_added_again,
            rooms: rooms_that_look_alike_are_different_rooms,
            rooms: a_join_is_open_from_the_head_and_a_leave_closes_after_its_own_records,
            rooms: joining_twice_changes_nothing_and_joining_again_begins_another_stay,
            rooms: a_removed_member_leaves_with_all_sessions,
            people: rooms_are_what_was_said_of_them_last,
            people: unread_are_the_visible_messages_of_others_after_the_mark,
            people: unread_are_counted_among_the_newest_thousand,
            people: members_removed_ones_and_claims_are_known_of_a_room,
            people: claims_are_replaced_and_two_tenants_share_nobody,
            people: of_two_who_say_what_a_room_is_at_once_only_the_first_does,
            people: a_room_with_enough_members_takes_no_more,
            people: rooms_and_people_are_there_after_opening_again,
            rooms: a_member_who_is_forgotten_is_unknown_again,
            inbox: a_notification_comes_into_one_inbox_and_is_unread,
            inbox: the_members_of_a_room_each_get_it_once_without_the_one_left_out,
            inbox: a_user_named_twice_gets_it_once,
            inbox: pages_go_from_the_newest_to_the_oldest,
            inbox: a_page_before_what_is_gone_is_empty,
            inbox: reading_one_or_all_counts_down_and_is_only_ones_own,
            inbox: an_inbox_keeps_the_newest_and_others_keep_theirs,
            inbox: an_inbox_that_may_hold_less_than_before_is_cut_by_the_next_notification,
            inbox: inboxes_of_two_tenants_share_nothing,
            inbox: a_refused_transaction_notifies_nobody,
            retention: records_older_than_the_window_are_trimmed_and_positions_go_on,
            retention: a_room_keeps_its_newest_records_and_others_keep_theirs,
            retention: restrictions_go_when_they_are_long_over,
            retention: what_has_no_room_is_trimmed_on_its_own_account,
            retention: messages_and_their_keys_are_never_trimmed,
            retention: stays_of_living_sessions_are_kept_and_of_dead_ones_removed_after_the_window,
            retention: many_records_are_trimmed_in_one_run_while_commits_go_on,
            outside: a_new_follower_begins_at_the_head_and_a_new_log_at_its_beginning,
            outside: a_cursor_moves_on_with_what_is_parked_and_never_back,
            outside: errands_are_due_in_their_order_and_parked_once,
            outside: dead_errands_are_listed_and_the_oldest_of_too_many_go,
            outside: an_address_takes_the_pushes_of_one_user,
            outside: a_user_has_a_bounded_number_of_addresses,
            outside: an_address_that_is_taken_again_keeps_its_age_and_what_it_shows,
            outside: what_an_address_shows_is_bounded,
            outside: those_who_belong_to_a_room_are_found_with_their_addresses,
            outside: what_is_kept_for_outside_is_there_after_opening_again,
            items: an_item_is_found_with_everything_that_it_had,
            items: items_that_look_alike_are_different_items,
            items: the_id_of_an_item_keeps_its_json_form,
            items: items_are_paged_newest_first_by_creation,
            items: items_are_listed_by_status_and_by_owner_or_assignee,
            items: an_item_is_changed_only_as_it_was_loaded,
            items: a_temporary_id_finds_its_item_and_is_taken_until_the_item_goes,
            items: items_are_claimable_oldest_first_when_their_lease_is_free,
            items: an_event_of_several_kinds_stays_one,
            items: items_are_there_after_opening_again,
            durable: everything_is_there_after_opening_again,
            durable: restrictions_are_there_after_opening_again,
            durable: a_restriction_is_one_of_a_user_in_either_form_of_the_id,
            durable: the_epoch_of_a_tenant_stays_the_same,
            durable: what_was_trimmed_is_remembered,
        }
    };
    (@tests $harness:expr; $($module:ident: $name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::contract::store::$module::$name(&$harness).await;
            }
        )*
    };
}
