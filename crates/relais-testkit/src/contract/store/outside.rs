//! What is kept for the world outside: cursors of followers, errands, subscriptions.

use std::sync::Arc;

use relais_core::event::{EventKind, Facts, Person};
use relais_core::ids::{Id, Position, TenantKey, Timestamp, UserId};
use relais_core::outside::{
    DEAD_MAX, Errand, OutsideChange, SHOWN_MAX, SUBSCRIPTIONS_MAX, Shown, Subscription, Waiting,
    Which,
};
use relais_core::ports::{Change, Outside, StoreError, Transaction};

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
        proved_at: AT,
        shown: Vec::new(),
    }
}

fn shown(tag: &str, order: u64) -> Shown {
    Shown {
        tag: tag.into(),
        order,
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

/// Pages subscribe each time they are loaded; what their browser shows is not forgotten by it.
pub async fn an_address_that_is_taken_again_keeps_its_age_and_what_it_shows(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let ann = user("ann");
    let show = |endpoint: &str, tag: &str, order| OutsideChange::Show {
        user: user("ann"),
        endpoint: endpoint.into(),
        shown: shown(tag, order),
    };
    let first = OutsideChange::Subscribe(subscription(&ann, "a"));
    let shows = [show("a", "x", 1), show("a", "y", 2), show("a", "x", 3)];
    settle(&outside, [first].into_iter().chain(shows)).await;
    // Not theirs, or not there: no change.
    settle(&outside, [show("b", "x", 1)]).await;
    let hide = OutsideChange::Hide {
        user: user("bob"),
        endpoint: "a".into(),
        tag: "y".into(),
    };
    settle(&outside, [hide]).await;
    let again = Subscription {
        p256dh: "another key".into(),
        created_at: Timestamp(9),
        proved_at: Timestamp(9),
        ..subscription(&ann, "a")
    };
    settle(&outside, [OutsideChange::Subscribe(again.clone())]).await;
    let mut expected = Subscription {
        created_at: AT,
        shown: vec![shown("y", 2), shown("x", 3)],
        ..again
    };
    let kept = async || {
        let of_ann = [user("ann"), user("bob")];
        let kept = outside.subscriptions(&one(), &of_ann).await;
        kept.expect("subscriptions can be read")
    };
    assert_eq!(kept().await, [expected.clone()]);
    let hide = OutsideChange::Hide {
        user: user("ann"),
        endpoint: "a".into(),
        tag: "y".into(),
    };
    settle(&outside, [hide]).await;
    expected.hide("y");
    assert_eq!(kept().await, [expected]);
    assert_eq!(bench.tenant.subscriptions(&ann).await, Ok(kept().await));
    // Somebody else begins anew there.
    let bobs = subscription(&user("bob"), "a");
    settle(&outside, [OutsideChange::Subscribe(bobs.clone())]).await;
    assert_eq!(kept().await, [bobs]);
}

/// The oldest are forgotten.
pub async fn what_an_address_shows_is_bounded(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let ann = user("ann");
    settle(
        &outside,
        [OutsideChange::Subscribe(subscription(&ann, "a"))],
    )
    .await;
    let all = SHOWN_MAX as u64 + 3;
    let shows = (0..all).map(|order| OutsideChange::Show {
        user: user("ann"),
        endpoint: "a".into(),
        shown: shown(&order.to_string(), order),
    });
    settle(&outside, shows).await;
    let kept = outside.subscriptions(&one(), &[ann]).await;
    let kept = kept.expect("subscriptions can be read");
    assert_eq!(kept[0].shown.len(), SHOWN_MAX);
    assert_eq!((kept[0].shown("2"), kept[0].shown("3")), (None, Some(3)));
}

/// Members, and those whose token claims the room; in this tenant alone, and nobody who was removed.
pub async fn those_who_belong_to_a_room_are_found_with_their_addresses(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outside = bench.open.outside();
    let [ann, bob, eve, dan, kim] = ["ann", "bob", "eve", "dan", "kim"].map(user);
    assert_eq!(outside.subscribed(&one(), &room("a")).await, Ok(vec![]));
    let remember = |id: &UserId| Change::Remember {
        person: Person {
            id: id.clone(),
            name: id.as_str().into(),
            role: None,
        },
        claims: vec![room("a")],
    };
    let member = |user: &UserId| Change::AddMember {
        room: room("a"),
        user: user.clone(),
    };
    let removed = Change::RemoveMember {
        room: room("a"),
        user: eve.clone(),
    };
    // Ann is both, Bob a member, Eve removed though her token claims the room, Dan claims it, Kim has to do with another room.
    let elsewhere = Change::AddMember {
        room: room("b"),
        user: kim.clone(),
    };
    let people = [member(&ann), remember(&ann), member(&bob), remember(&eve)];
    let rest = [removed, remember(&dan), elsewhere];
    bench
        .apply(Transaction {
            changes: people.into_iter().chain(rest).collect(),
            ..Transaction::default()
        })
        .await;
    let all = [
        (&ann, "1"),
        (&ann, "2"),
        (&eve, "3"),
        (&dan, "4"),
        (&kim, "5"),
    ];
    let all = all.map(|(user, endpoint)| OutsideChange::Subscribe(subscription(user, endpoint)));
    settle(&outside, all).await;
    let found = async |tenant, room| {
        let found = outside.subscribed(&tenant, &room).await;
        let found = found.expect("subscriptions can be read");
        let mut found: Vec<_> = found.iter().map(|one| one.endpoint.to_string()).collect();
        found.sort();
        found
    };
    assert_eq!(found(one(), room("a")).await, ["1", "2", "4"]);
    assert_eq!(found(one(), room("b")).await, ["5"]);
    assert!(found(one(), room("c")).await.is_empty());
    assert!(found(tenant("two"), room("a")).await.is_empty());
    bench
        .apply(Transaction {
            changes: vec![Change::EraseUser { user: ann.clone() }],
            ..Transaction::default()
        })
        .await;
    assert_eq!(found(one(), room("a")).await, ["4"]);
    assert_eq!(bench.tenant.subscriptions(&ann).await, Ok(vec![]));
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
