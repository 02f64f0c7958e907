//! Order: positions, seqs, the fanout and the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use relais_core::event::EventKind;
use relais_core::ids::{Position, Seq};
use relais_core::ports::{Change, Committed};

use super::{Bench, StoreHarness, applied, positions, seqs};
use crate::build::{append, change, chat, message, notice, record, room, send, tenant, user};

/// Positions count 1, 2, 3… over everything that a tenant commits.
pub async fn positions_are_contiguous_from_one_in_the_order_of_commits(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    assert_eq!(bench.head(), Position(0));
    let relay = |fact| record(EventKind::RelaySent, &room("a"), fact);
    let first = bench.apply(append([relay("1")])).await;
    assert_eq!(positions(&first), [1]);
    let outcome = bench.commit(append([relay("2"), relay("3")])).await;
    let Ok(Committed::Applied { records, head }) = outcome else {
        panic!("not applied: {outcome:?}");
    };
    assert_eq!((positions(&records), head), (vec![2, 3], Position(3)));
    assert_eq!(bench.head(), Position(3));
}

/// Every conversation counts its own messages, and other records take no seq.
pub async fn seqs_are_contiguous_in_each_conversation_on_its_own(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let mut taken = Vec::new();
    for (number, place) in ["a", "b", "a", "a", "b"].into_iter().enumerate() {
        let sent = send(message(number as u64, &chat(place), &ann, "hello"));
        taken.extend(seqs(&bench.apply(sent).await));
        let other = record(EventKind::MemberAdded, &room(place), "none");
        assert_eq!(seqs(&bench.apply(append([other])).await), [0]);
    }
    assert_eq!(taken, [1, 1, 2, 3, 2]);
    let last = bench.tenant.last_seq(&chat("a")).await;
    assert_eq!(last, Ok(Seq(3)));
    assert_eq!(bench.tenant.last_seq(&chat("unused")).await, Ok(Seq(0)));
}

/// However many write at once, a room has no hole and no number twice.
pub async fn sixty_four_writers_in_one_room_get_contiguous_seqs(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let writers = (0..64).map(|writer: u64| {
        let tenant = bench.tenant.clone();
        tokio::spawn(async move {
            let mut own = Vec::new();
            for number in 0..8 {
                let from = user(&format!("writer-{writer}"));
                let sent = message(writer * 100 + number, &chat("a"), &from, "hello");
                let records = applied(tenant.commit(send(sent)).await);
                own.extend(seqs(&records));
            }
            own
        })
    });
    let mut all = BTreeSet::new();
    for own in join_all(writers).await {
        let own = own.expect("a writer finishes");
        assert!(own.is_sorted(), "a writer's messages keep their order");
        all.extend(own);
    }
    assert_eq!(all, (1..=512).collect());
    let log = bench.log_after(0).await;
    assert_eq!(positions(&log), (1..=512).collect::<Vec<_>>());
    assert_eq!(seqs(&log), (1..=512).collect::<Vec<_>>());
    let published = bench.recorder.of(&tenant("one"));
    assert_eq!(positions(&published), (1..=512).collect::<Vec<_>>());
}

/// Sends pipeline: whoever polls its commits in a row finds them in the log in that order.
pub async fn commits_polled_one_after_another_keep_that_order(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let commits = (0..100).map(|number| {
        let sent = message(number, &chat("a"), &ann, &number.to_string());
        bench.commit(send(sent))
    });
    for (number, outcome) in join_all(commits).await.into_iter().enumerate() {
        let records = applied(outcome);
        assert_eq!(seqs(&records), [number as u64 + 1]);
    }
}

/// By the time the sender has its answer, the fanout has the record, once and in order.
pub async fn records_reach_the_fanout_once_and_in_order_before_the_commit_returns(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let writers = (0..16).map(|writer: u64| {
        let (store, recorder) = (bench.tenant.clone(), bench.recorder.clone());
        tokio::spawn(async move {
            for number in 0..10 {
                let sent = message(writer * 100 + number, &chat("a"), &user("ann"), "hello");
                for record in applied(store.commit(send(sent)).await) {
                    let seen = recorder.of(&tenant("one"));
                    assert!(seen.contains(&record), "published before the answer");
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("a writer finishes");
    }
    let seen = bench.recorder.of(&tenant("one"));
    assert_eq!(positions(&seen), (1..=160).collect::<Vec<_>>());
}

/// Replay and live delivery read the same record, field by field.
pub async fn the_log_gives_back_exactly_what_was_published(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), crate::build::numbered_user(42));
    let direct = relais_core::ids::Conversation::direct(ann.clone(), bob.clone());
    let mut odd = record(EventKind::RelaySent, &room("a"), "ünï\u{1F600}\"\\\n");
    odd.event.body.insert(
        "deep".to_owned(),
        serde_json::json!({"list": [1, null, true, {"x": -5}], "empty": {}}),
    );
    odd.audience.except_user = Some(bob.clone());
    // What the core proposed; the record has its audience beside the event.
    odd.event.audience = Some(odd.audience.clone());
    bench.apply(append([odd, notice(&bob, "for bob")])).await;
    let mut sent = message(1, &direct, &bob, "to ann");
    sent.created_at = relais_core::ids::Timestamp(1_700_000_000_123);
    bench.apply(send(sent)).await;
    let published = bench.recorder.of(&tenant("one"));
    assert_eq!(published.len(), 3);
    assert_eq!(bench.log_after(0).await, published);
    if let Some(bench) = bench.reopened().await {
        assert_eq!(bench.log_after(0).await, published);
        let actor = |log: &[Arc<relais_core::event::Record>]| {
            serde_json::to_value(&log[1].event.target).expect("a user is JSON")
        };
        assert_eq!(actor(&bench.log_after(0).await), serde_json::json!(42));
    }
}

/// Pages follow each other without a hole and end at the head.
pub async fn the_log_is_paged_ascending_up_to_the_head(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let relay = |number: u32| record(EventKind::RelaySent, &room("a"), &number.to_string());
    bench.apply(append((0..25).map(relay))).await;
    let (mut after, mut all) = (Position(0), Vec::new());
    loop {
        let page = bench.tenant.log(after, 10).await.expect("a page");
        assert!(page.records.len() <= 10);
        assert_eq!(page.trimmed, Position(0));
        let Some(last) = page.records.last() else {
            break;
        };
        after = last.position;
        all.extend(positions(&page.records));
    }
    assert_eq!(all, (1..=25).collect::<Vec<_>>());
    assert!(bench.log_after(u64::MAX).await.is_empty());
}

/// Neither positions nor seqs nor anything else crosses over to another tenant.
pub async fn two_tenants_share_nothing(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let store = bench.open.store();
    let other = store.tenant(&tenant("two")).await.expect("a tenant");
    let ann = user("ann");
    let add = Change::AddMember {
        room: room("a"),
        user: ann.clone(),
    };
    bench.apply(change(1, [add])).await;
    bench.apply(send(message(1, &chat("a"), &ann, "one"))).await;
    bench.apply(send(message(2, &chat("a"), &ann, "two"))).await;
    let records = applied(
        other
            .commit(send(message(1, &chat("a"), &ann, "three")))
            .await,
    );
    assert_eq!((positions(&records), seqs(&records)), (vec![1], vec![1]));
    assert_eq!(other.head().position, Position(1));
    assert_eq!(other.members(&room("a")).await, Ok(vec![]));
    let found = other.message(crate::build::id(2)).await;
    assert_eq!(found, Ok(None));
    assert_eq!(positions(&bench.recorder.of(&tenant("two"))), [1]);
    let again = store.tenant(&tenant("one")).await.expect("a tenant");
    assert_eq!(again.head(), bench.tenant.head());
}

/// Positions count records, not transactions.
pub async fn a_transaction_without_records_leaves_the_head_where_it_is(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let add = Change::AddMember {
        room: room("a"),
        user: user("ann"),
    };
    let outcome = bench.commit(change(1, [add])).await;
    let nothing = Committed::Applied {
        records: vec![],
        head: Position(0),
    };
    assert_eq!(outcome, Ok(nothing));
    assert!(bench.recorder.of(&tenant("one")).is_empty());
}

/// A page of large records ends early, and the next one goes on from there.
pub async fn a_page_of_large_records_is_shorter_and_never_empty(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let large = "x".repeat(60_000);
    for _ in 0..10 {
        let relays = (0..10).map(|_| record(EventKind::RelaySent, &room("a"), &large));
        bench.apply(append(relays)).await;
    }
    let first = bench.log_after(0).await;
    assert!((1..100).contains(&first.len()), "{} records", first.len());
    let (mut after, mut all) = (0, Vec::new());
    while after < 100 {
        let page = bench.log_after(after).await;
        after = page.last().expect("not at the head").position.0;
        all.extend(positions(&page));
    }
    assert_eq!(all, (1..=100).collect::<Vec<_>>());
}
