//! Delivery on a good day: the right records, to the right sessions, once.

use relais_core::event::EventKind;
use relais_core::ids::{AudienceKey, Position};

use super::{FILLED_WITHIN, FanoutHarness, Stage, tenant};
use crate::build;

/// The simplest case: what is committed arrives.
pub async fn records_that_come_in_order_are_given_once_and_in_order(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a"; 10]).await;
    stage.publish(&records[..4]);
    stage.publish(&records[4..]);
    assert_eq!(stage.settled("s").await, (1..=10).collect::<Vec<_>>());
}

/// Positions are of the tenant; a session sees those of its rooms.
pub async fn a_session_is_given_the_records_of_its_rooms_alone(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("in-a", &["a"]).await;
    stage.subscribe("in-b", &["b"]).await;
    stage.subscribe("in-both", &["a", "b"]).await;
    stage.subscribe("in-none", &[]).await;
    let records = stage.commit(&["a", "b", "c", "b", "a"]).await;
    stage.publish(&records);
    assert_eq!(stage.settled("in-a").await, [1, 5]);
    assert_eq!(stage.settled("in-b").await, [2, 4]);
    assert_eq!(stage.settled("in-both").await, [1, 2, 4, 5]);
    assert!(stage.settled("in-none").await.is_empty());
}

/// An audience is a union.
pub async fn a_session_in_several_rooms_of_one_audience_is_given_the_record_once(
    harness: &dyn FanoutHarness,
) {
    let stage = Stage::new(harness).await;
    stage.subscribe("both", &["a", "b"]).await;
    stage.subscribe("other", &["b"]).await;
    let mut record = build::record(EventKind::RelaySent, &build::room("a"), "shared");
    record.audience.to.push(AudienceKey::Room(build::room("b")));
    record.audience.except_session = None;
    let records = stage.commit_records(&tenant(), [record]).await;
    stage.publish(&records);
    assert_eq!(stage.settled("both").await, [1]);
    assert_eq!(stage.settled("other").await, [1]);
}

/// What was before the join is history.
pub async fn what_was_before_a_session_came_is_not_given_to_it(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("early", &["a"]).await;
    let before = stage.commit(&["a", "a"]).await;
    stage.publish(&before);
    stage.hub.advance(FILLED_WITHIN).await;
    stage.subscribe("late", &["a"]).await;
    let after = stage.commit(&["a"]).await;
    stage.publish(&after);
    assert_eq!(stage.settled("late").await, [3]);
    assert_eq!(stage.settled("early").await, [1, 2, 3]);
}

/// What was before the leave is still delivered, even if the hub hears of it later.
pub async fn a_session_that_leaves_is_given_what_was_before_and_nothing_after(
    harness: &dyn FanoutHarness,
) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a", "b"]).await;
    let records = stage.commit(&["a", "b", "a"]).await;
    let (session, room) = (build::session("s"), build::room("a"));
    let tenant = tenant();
    let leave = stage.hub.leave(&tenant, &session, &room, Position(3));
    let publish = async { stage.publish(&records) };
    tokio::join!(leave, publish);
    let later = stage.commit(&["a", "b"]).await;
    stage.publish(&later);
    assert_eq!(stage.settled("s").await, [1, 2, 3, 5]);
}

/// Position 1 of one tenant is not position 1 of another.
pub async fn tenants_with_the_same_positions_are_kept_apart(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    let two = build::tenant("two");
    let (session, room) = (build::session("of-two"), build::room("a"));
    stage.subscribe("of-one", &["a"]).await;
    stage.hub.subscribe(&two, &session, &[room]).await;
    let of_two = stage.commit_for(&two, &["a", "b", "a"]).await;
    let of_one = stage.commit(&["a"]).await;
    stage.hub.fanout().publish(&two, &of_two);
    stage.publish(&of_one);
    assert_eq!(stage.settled("of-one").await, [1]);
    let seen = stage.hub.observed(&two, &session).await;
    assert_eq!(seen, [Position(1), Position(3)]);
}

/// Publishing never waits: what a channel cannot take, the hub reads from the log.
pub async fn publishing_more_than_any_queue_holds_loses_nothing(harness: &dyn FanoutHarness) {
    let stage = Stage::new(harness).await;
    stage.subscribe("s", &["a"]).await;
    let records = stage.commit(&["a"; 5_000]).await;
    for record in &records {
        stage.publish(std::slice::from_ref(record));
    }
    assert_eq!(stage.settled("s").await, (1..=5_000).collect::<Vec<_>>());
}
