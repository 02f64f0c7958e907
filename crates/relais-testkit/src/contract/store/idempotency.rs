//! Idempotency: one key, one record, one answer.

use futures_util::future::join_all;
use relais_core::event::Message;
use relais_core::ids::{Conversation, RoomKey};
use relais_core::ports::{CommitError, Committed, Membership, Precondition, TenantStore};

use super::{Bench, StoreHarness, applied, positions, seqs};
use crate::build::{chat, id, message, room, send_keyed, tenant, user};

async fn stored(store: &dyn TenantStore, number: u64) -> Message {
    let found = store
        .message(id(number))
        .await
        .expect("messages can be read");
    found.expect("the message is stored")
}

fn duplicate(outcome: Result<Committed, CommitError>) -> Message {
    match outcome {
        Ok(Committed::Duplicate { message }) => *message,
        other => panic!("not a duplicate: {other:?}"),
    }
}

/// A client that sends again because it missed the answer gets that answer.
pub async fn the_same_key_and_body_give_the_stored_message_and_no_second_record(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    bench
        .apply(send_keyed(message(1, &chat("a"), &ann, "hello"), "k1"))
        .await;
    let again = send_keyed(message(2, &chat("a"), &ann, "hello"), "k1");
    let found = duplicate(bench.commit(again).await);
    assert_eq!(found, stored(&*bench.tenant, 1).await);
    assert_eq!((found.seq.0, found.position.0), (1, 1));
    assert_eq!(found.key.as_deref(), Some("k1"));
    assert_eq!(bench.tenant.message(id(2)).await, Ok(None));
    assert_eq!(positions(&bench.recorder.of(&tenant("one"))), [1]);
}

/// A key stands for one body.
pub async fn the_same_key_with_another_body_is_a_conflict(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    bench
        .apply(send_keyed(message(1, &chat("a"), &ann, "hello"), "k1"))
        .await;
    let other = send_keyed(message(2, &chat("a"), &ann, "goodbye"), "k1");
    let outcome = bench.commit(other).await;
    assert_eq!(outcome, Err(CommitError::IdempotencyConflict));
    assert_eq!(bench.head().0, 1);
}

/// The scope of a key is tenant, sender and conversation.
pub async fn a_key_is_free_for_another_sender_conversation_or_tenant(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let direct = Conversation::direct(ann.clone(), bob.clone());
    let sends = [
        message(1, &chat("a"), &ann, "hello"),
        message(2, &chat("a"), &bob, "hello"),
        message(3, &chat("b"), &ann, "hello"),
        message(4, &direct, &ann, "hello"),
    ];
    for sent in sends {
        bench.apply(send_keyed(sent, "k1")).await;
    }
    let store = bench.open.store();
    let other = store.tenant(&tenant("two")).await.expect("a tenant");
    let sent = send_keyed(message(1, &chat("a"), &ann, "another body"), "k1");
    applied(other.commit(sent).await);
}

/// Two sends with one key that meet in one batch are told apart as if they came one after the other.
pub async fn two_sends_with_one_key_at_once_give_one_record_and_one_answer(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    for round in 0..20 {
        let key = format!("k{round}");
        let sends = (0..8).map(|copy| {
            let sent = message(round * 10 + copy, &chat("a"), &ann, "hello");
            bench.commit(send_keyed(sent, &key))
        });
        let mut outcomes = join_all(sends).await.into_iter();
        let first = applied(outcomes.next().expect("eight outcomes"));
        assert_eq!(seqs(&first), [round + 1]);
        let original = stored(&*bench.tenant, round * 10).await;
        for outcome in outcomes {
            assert_eq!(duplicate(outcome), original);
        }
    }
    assert_eq!(bench.head().0, 20);
}

/// What is refused takes neither a position nor a seq, in the middle of a batch neither.
pub async fn duplicates_and_conflicts_leave_no_holes(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let sends = (0..60_u64).map(|number| {
        let body = if number % 3 == 2 { "other" } else { "same" };
        let sent = message(number, &chat("a"), &ann, body);
        let key = format!("k{}", number / 3);
        bench.commit(send_keyed(sent, &key))
    });
    let outcomes = join_all(sends).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match number % 3 {
            0 => assert_eq!(seqs(&applied(outcome)), [number as u64 / 3 + 1]),
            1 => drop(duplicate(outcome)),
            _ => assert_eq!(outcome, Err(CommitError::IdempotencyConflict)),
        }
    }
    let log = bench.log_after(0).await;
    assert_eq!(positions(&log), (1..=20).collect::<Vec<_>>());
    assert_eq!(seqs(&log), (1..=20).collect::<Vec<_>>());
}

/// What was acknowledged once is acknowledged again, whatever has changed since.
pub async fn a_duplicate_is_answered_even_when_its_preconditions_no_longer_hold(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    bench
        .apply(send_keyed(message(1, &chat("a"), &ann, "hello"), "k1"))
        .await;
    let mut again = send_keyed(message(2, &chat("a"), &ann, "hello"), "k1");
    again.preconditions.push(Precondition::Membership {
        room: room("a"),
        user: ann,
        expected: Membership::Member,
    });
    assert_eq!(duplicate(bench.commit(again).await).id, id(1));
}

/// Structured keys: no separator, case or NUL makes one scope look like another.
pub async fn keys_are_never_mistaken_for_others_by_their_spelling(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let room = |kind: &str, id: &str| Conversation::Room(RoomKey::new(kind, id));
    let scopes = [
        (room("a", "b:c"), "u", "k"),
        (room("a:b", "c"), "u", "k"),
        (room("a", "b"), "c:u", "k"),
        (room("a", "b"), "c", "u:k"),
        (room("A", "b"), "c", "u:k"),
        (room("a", "b "), "c", "u:k"),
        (room("a", "b\0"), "c", "u:k"),
        (room("a", "b\0x"), "c", "u:k"),
        (room("", ""), "c", ""),
        (room("a", "é"), "c", "k"),
        (room("a", "e\u{301}"), "c", "k"),
        (Conversation::direct(user("a"), user("b")), "c", "u:k"),
    ];
    for (number, (conversation, sender, key)) in scopes.into_iter().enumerate() {
        let sent = message(
            number as u64,
            &conversation,
            &user(sender),
            &format!("{number}"),
        );
        // Each has another body, so one that was taken for another would be a conflict.
        bench.apply(send_keyed(sent, key)).await;
    }
}
