//! What is kept for the world outside: cursors of followers, errands, subscriptions.

use std::sync::Arc;

use relais_core::event::{EventKind, Facts};
use relais_core::ids::{Id, Position, TenantKey, Timestamp, UserId};
use relais_core::outside::{
    DEAD_MAX, Errand, OutsideChange, SUBSCRIPTIONS_MAX, Subscription, Waiting, Which,
};
use relais_core::ports::{Outside, StoreError};

use super::{Bench, StoreHarness};
use crate::build::{append, id, numbered_user, record, room, tenant, user};

const AT: Timestamp = Timestamp(1);

fn one() -> TenantKey {
    tenant("one")
}

fn errand(number: u64, due_at: i64) -> Errand {
    Errand {
        id: id(number),
        queue: "webhook".into(),
        due_at: Timestamp(due_at),
        attempts: 1,
        is_dead: false,
        created_at: AT,
        reason: Some("no answer".into()),
        data: Facts::from_iter([("n".to_owned(), number.into())]),
    }
}

fn dead(number: u64) -> Errand {
    Errand {
        is_dead: true,
        ..errand(number, 0)
    }
}

fn subscription(user: &UserId, endpoint: &str) -> Subscription {
    Subscription {
        user: user.clone(),
        endpoint: endpoint.into(),
        p256dh: "key".into(),
        auth: "secret".into(),
        created_at: AT,
    }
}

fn follow(position: u64) -> OutsideChange {
    OutsideChange::Follow {
        follower: "webhook".into(),
        position: Position(position),
    }
}

async fn settle(outside: &Arc<dyn Outside>, changes: impl IntoIterator<Item = OutsideChange>) {
    let changes = changes.into_iter().collect();
    assert_eq!(outside.settle(&one(), AT, changes).await, Ok(()));
}

async fn write(bench: &Bench, count: usize) {
    let records = (0..count).map(|_| record(EventKind::RelaySent, &room("a"), "x"));
    bench.apply(append(records)).await;
}

fn ids(errands: Result<Vec<Errand>, StoreError>) -> Vec<Id> {
    let errands = errands.expect("errands can be read").into_iter();
    errands.map(|errand| errand.id).collect()
}

/// What was said before anybody listened is not told; what is said in a log that is younger than the follower is.
pub async fn a_new_follower_begins_at_the_head_and_a_new_log_at_its_beginning(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let app = one().app;
    write(&bench, 3).await;
    assert_eq!(outside.follow(&app, "webhook").await, Ok(vec![]));
    assert_eq!(outside.cursor(&one(), "webhook").await, Ok(Position(3)));
    write(&bench, 1).await;
    let other = bench.open.store().tenant(&tenant("two")).await;
    let records = [record(EventKind::RelaySent, &room("a"), "x")];
    let committed = other.expect("a tenant").commit(append(records)).await;
    assert!(committed.is_ok());
    let mut behind = outside.follow(&app, "webhook").await.expect("followed");
    behind.sort();
    assert_eq!(behind, [one(), tenant("two")]);
    let cursor = outside.cursor(&tenant("two"), "webhook").await;
    assert_eq!(cursor, Ok(Position(0)));
    assert_eq!(outside.follow("another app", "webhook").await, Ok(vec![]));
    // Another follower has its own cursor.
    assert_eq!(outside.follow(&app, "push").await, Ok(vec![]));
    assert_eq!(outside.cursor(&one(), "push").await, Ok(Position(4)));
}

/// One transaction, and a follower that was slower than itself loses nothing.
pub async fn a_cursor_moves_on_with_what_is_parked_and_never_back(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    assert_eq!(outside.follow(&one().app, "webhook").await, Ok(vec![]));
    write(&bench, 2).await;
    settle(&outside, [follow(2), OutsideChange::Park(errand(1, 5))]).await;
    settle(&outside, [follow(1)]).await;
    assert_eq!(outside.cursor(&one(), "webhook").await, Ok(Position(2)));
    // Nothing new in the log, but something that waits.
    assert_eq!(outside.follow(&one().app, "webhook").await, Ok(vec![one()]));
    settle(&outside, [OutsideChange::Finish(id(1))]).await;
    assert_eq!(outside.follow(&one().app, "webhook").await, Ok(vec![]));
    assert_eq!(bench.tenant.head().position, Position(2));
}

/// To park a thing again is to say when it is tried next.
pub async fn errands_are_due_in_their_order_and_parked_once(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let due = async |by, limit| {
        let which = Which::Due(Timestamp(by));
        ids(outside.errands(&one(), "webhook", which, limit).await)
    };
    let parked = [errand(1, 30), errand(2, 10), errand(3, 20)];
    settle(&outside, parked.map(OutsideChange::Park)).await;
    assert_eq!(due(20, 100).await, [id(2), id(3)]);
    assert_eq!(due(99, 1).await, [id(2)]);
    settle(&outside, [OutsideChange::Park(errand(2, 40))]).await;
    assert_eq!(due(99, 100).await, [id(3), id(1), id(2)]);
    let waiting = outside.waiting(&one(), "webhook").await;
    let next = Some(Timestamp(20));
    assert_eq!(waiting, Ok(Waiting { count: 3, next }));
    let found = outside.errand(&one(), id(2)).await;
    assert_eq!(found, Ok(Some(errand(2, 40))));
    for (tenant, queue) in [(one(), "push"), (tenant("two"), "webhook")] {
        let waiting = outside.waiting(&tenant, queue).await;
        assert_eq!(waiting, Ok(Waiting::default()));
    }
    assert_eq!(outside.errand(&tenant("two"), id(2)).await, Ok(None));
}

/// Newest first, in pages.
pub async fn dead_errands_are_listed_and_the_oldest_of_too_many_go(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let all = DEAD_MAX as u64 + 2;
    let parked = (1..=all).map(|number| OutsideChange::Park(dead(number)));
    settle(
        &outside,
        parked.chain([OutsideChange::Park(errand(9_999, 1))]),
    )
    .await;
    let page = async |before, limit| {
        let which = Which::Dead { before };
        ids(outside.errands(&one(), "webhook", which, limit).await)
    };
    assert_eq!(page(None, 2).await, [id(all), id(all - 1)]);
    assert_eq!(page(Some(id(5)), 100).await, [id(4), id(3)]);
    let which = Which::Due(Timestamp(99));
    let due = outside.errands(&one(), "webhook", which, 100).await;
    assert_eq!(due, Ok(vec![errand(9_999, 1)]));
}

/// Whoever logs in at a browser takes over its address: the one before must not read what is not theirs.
pub async fn an_address_takes_the_pushes_of_one_user(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let (ann, bob) = (user("ann"), numbered_user(7));
    let subscribe = |user: &UserId, at| OutsideChange::Subscribe(subscription(user, at));
    settle(&outside, [subscribe(&ann, "a"), subscribe(&ann, "b")]).await;
    settle(&outside, [subscribe(&bob, "a")]).await;
    let users = [bob.clone(), ann.clone(), user("eve")];
    let found = outside.subscriptions(&one(), &users).await;
    let expected = vec![subscription(&bob, "a"), subscription(&ann, "b")];
    assert_eq!(found, Ok(expected));
    let forget = |user: &UserId, endpoint: &str| OutsideChange::Unsubscribe {
        user: user.clone(),
        endpoint: endpoint.into(),
    };
    settle(&outside, [forget(&ann, "a"), forget(&ann, "b")]).await;
    let found = outside.subscriptions(&one(), &[ann, bob.clone()]).await;
    assert_eq!(found, Ok(vec![subscription(&bob, "a")]));
    let other = outside.subscriptions(&tenant("two"), &[bob]).await;
    assert_eq!(other, Ok(vec![]));
}

/// The oldest go.
pub async fn a_user_has_a_bounded_number_of_addresses(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let (ann, bob) = (user("ann"), user("bob"));
    settle(
        &outside,
        [OutsideChange::Subscribe(subscription(&bob, "b"))],
    )
    .await;
    let many = (0..SUBSCRIPTIONS_MAX + 2).map(|n| subscription(&ann, &n.to_string()));
    settle(&outside, many.map(OutsideChange::Subscribe)).await;
    let kept = outside.subscriptions(&one(), &[ann]).await;
    let kept = kept.expect("subscriptions can be read");
    assert_eq!(kept.len(), SUBSCRIPTIONS_MAX);
    assert_eq!(&*kept[0].endpoint, "2");
    let other = outside.subscriptions(&one(), &[bob]).await;
    assert_eq!(other.map(|all| all.len()), Ok(1));
}

/// Killed or not.
pub async fn what_is_kept_for_outside_is_there_after_opening_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    assert_eq!(outside.follow(&one().app, "webhook").await, Ok(vec![]));
    write(&bench, 2).await;
    let kept = [
        follow(1),
        OutsideChange::Park(errand(1, 5)),
        OutsideChange::Subscribe(subscription(&user("ann"), "a")),
    ];
    settle(&outside, kept).await;
    drop(outside);
    let Some(bench) = bench.reopened().await else {
        return;
    };
    let outside = bench.open.outside();
    assert_eq!(outside.follow(&one().app, "webhook").await, Ok(vec![one()]));
    assert_eq!(outside.cursor(&one(), "webhook").await, Ok(Position(1)));
    assert_eq!(outside.errand(&one(), id(1)).await, Ok(Some(errand(1, 5))));
    let found = outside.subscriptions(&one(), &[user("ann")]).await;
    assert_eq!(found, Ok(vec![subscription(&user("ann"), "a")]));
}
