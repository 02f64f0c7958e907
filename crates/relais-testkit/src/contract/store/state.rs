//! State: preconditions, edits, deletions, marks, presence; a transaction is applied whole or not at all.

use futures_util::future::join_all;
use relais_core::event::{EventKind, Message};
use relais_core::ids::{Seq, Timestamp};
use relais_core::ports::{Change, CommitError, Membership, Precondition, StoreError, Transaction};

use super::{Bench, StoreHarness, positions, seqs};
use crate::build::{
    change, chat, id, message, numbered_user, presence, record, room, send, send_keyed, session,
    tenant, user,
};

async fn stored(bench: &Bench, number: u64) -> Message {
    let found = bench.tenant.message(id(number)).await;
    found
        .expect("messages can be read")
        .expect("the message is stored")
}

fn edit(number: u64, body: &str) -> Change {
    Change::EditMessage {
        id: id(number),
        body: body.to_owned(),
        mentions: Vec::new(),
    }
}

fn unchanged(number: u64, edited_at: Option<i64>) -> Precondition {
    Precondition::MessageUnchanged {
        id: id(number),
        edited_at: edited_at.map(Timestamp),
    }
}

/// A conflict is decided before anything is changed, and nothing of the transaction is kept.
pub async fn a_failed_precondition_leaves_nothing_behind(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let mut sent = send_keyed(message(1, &chat("a"), &ann, "hello"), "k1");
    sent.preconditions = vec![Precondition::Membership {
        room: room("a"),
        user: ann.clone(),
        expected: Membership::Member,
    }];
    sent.changes.push(Change::SetReadMark {
        conversation: chat("a"),
        user: ann.clone(),
        seq: Seq(1),
    });
    let outcome = bench.commit(sent.clone()).await;
    assert_eq!(outcome, Err(CommitError::Conflict));
    assert_eq!(bench.head().0, 0);
    assert_eq!(bench.tenant.message(id(1)).await, Ok(None));
    assert_eq!(bench.tenant.read_mark(&chat("a"), &ann).await, Ok(Seq(0)));
    assert!(bench.recorder.of(&tenant("one")).is_empty());
    let add = Change::AddMember {
        room: room("a"),
        user: ann,
    };
    bench.apply(change(1, [add])).await;
    assert_eq!(seqs(&bench.apply(sent).await), [1]);
}

/// Two commands that were decided on the same state meet in one batch: the second is decided again.
pub async fn of_two_transactions_that_expect_the_same_only_the_first_is_applied(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    bench
        .apply(send(message(1, &chat("a"), &user("ann"), "hello")))
        .await;
    let claim = |at: i64| Transaction {
        at: Timestamp(at),
        preconditions: vec![unchanged(1, None)],
        changes: vec![edit(1, &format!("by {at}"))],
        records: vec![record(EventKind::MessageEdited, &room("a"), "edited")],
        ..Transaction::default()
    };
    let claims = (1..=10).map(|at| bench.commit(claim(at)));
    let outcomes = join_all(claims).await;
    let applied = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(applied, 1);
    assert!(outcomes[0].is_ok(), "the first that was polled wins");
    let conflicts = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(CommitError::Conflict));
    assert_eq!(conflicts.count(), 9);
    assert_eq!(stored(&bench, 1).await.body, "by 1");
    assert_eq!(positions(&bench.log_after(0).await), [1, 2]);
}

/// An edit keeps everything but the body and the stamp.
pub async fn an_edit_replaces_the_body_and_is_stamped(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    bench
        .apply(send_keyed(
            message(1, &chat("a"), &user("ann"), "hello"),
            "k1",
        ))
        .await;
    let before = stored(&bench, 1).await;
    let edited = Transaction {
        preconditions: vec![unchanged(1, None)],
        ..change(50, [edit(1, "hello, all")])
    };
    bench.apply(edited).await;
    let expected = Message {
        body: "hello, all".to_owned(),
        edited_at: Some(Timestamp(50)),
        ..before
    };
    assert_eq!(stored(&bench, 1).await, expected);
    let stale = Transaction {
        preconditions: vec![unchanged(1, None)],
        ..change(60, [edit(1, "too late")])
    };
    assert_eq!(bench.commit(stale).await, Err(CommitError::Conflict));
}

/// The stamp of an edit is what the next one is checked by, so it always differs.
pub async fn two_edits_in_one_millisecond_are_told_apart(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    bench
        .apply(send(message(1, &chat("a"), &user("ann"), "hello")))
        .await;
    bench.apply(change(50, [edit(1, "first")])).await;
    let seen = stored(&bench, 1).await.edited_at;
    bench.apply(change(50, [edit(1, "second")])).await;
    assert_ne!(stored(&bench, 1).await.edited_at, seen);
}

/// A deleted message stays in its place, without its body.
pub async fn a_deletion_blanks_the_body_and_is_final(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    bench
        .apply(send(message(1, &chat("a"), &user("ann"), "hello")))
        .await;
    let delete = || Change::DeleteMessage { id: id(1) };
    bench.apply(change(50, [delete()])).await;
    let deleted = stored(&bench, 1).await;
    assert_eq!(
        (&*deleted.body, deleted.deleted_at),
        ("", Some(Timestamp(50)))
    );
    bench.apply(change(60, [delete()])).await;
    assert_eq!(stored(&bench, 1).await, deleted);
    let checked = Transaction {
        preconditions: vec![unchanged(1, None)],
        ..change(70, [])
    };
    assert_eq!(bench.commit(checked).await, Err(CommitError::Conflict));
    let edited = bench.commit(change(70, [edit(1, "back")])).await;
    assert_eq!(edited, Err(CommitError::Conflict));
}

/// Whoever edits what was never sent has decided on something that is not so.
pub async fn an_edit_of_what_is_not_there_is_a_conflict(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let outcome = bench.commit(change(1, [edit(1, "hello")])).await;
    assert_eq!(outcome, Err(CommitError::Conflict));
    let checked = Transaction {
        preconditions: vec![unchanged(1, None)],
        ..change(1, [])
    };
    assert_eq!(bench.commit(checked).await, Err(CommitError::Conflict));
}

/// A mistake in one transaction of a batch is its own.
pub async fn a_taken_message_id_fails_alone(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let sends = (0..30_u64).map(|number| {
        // Every tenth takes the id of the one before it.
        let id = if number % 10 == 9 { number - 1 } else { number };
        bench.commit(send(message(id, &chat("a"), &ann, &number.to_string())))
    });
    for (number, outcome) in join_all(sends).await.into_iter().enumerate() {
        match number % 10 {
            9 => assert!(
                matches!(outcome, Err(CommitError::Store(StoreError::Failed { .. }))),
                "{outcome:?}"
            ),
            _ => assert!(outcome.is_ok(), "{outcome:?}"),
        }
    }
    assert_eq!(stored(&bench, 8).await.body, "8");
    let log = bench.log_after(0).await;
    assert_eq!(positions(&log), (1..=27).collect::<Vec<_>>());
    assert_eq!(seqs(&log), (1..=27).collect::<Vec<_>>());
    assert_eq!(bench.recorder.of(&tenant("one")), log);
}

/// A message without its record would have no seq.
pub async fn a_message_without_a_record_that_takes_its_seq_is_refused(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let mut sent = send(message(1, &chat("a"), &user("ann"), "hello"));
    sent.records.clear();
    let outcome = bench.commit(sent).await;
    assert!(matches!(
        outcome,
        Err(CommitError::Store(StoreError::Failed { .. }))
    ));
    assert_eq!(bench.tenant.message(id(1)).await, Ok(None));
}

/// The nth message of a conversation goes with the nth record that takes a seq of it.
pub async fn several_messages_of_one_transaction_take_their_own_seqs(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let mut all = Transaction::default();
    for (number, place) in [(1, "a"), (2, "b"), (3, "a")] {
        let sent = send(message(number, &chat(place), &ann, "hello"));
        all.changes.extend(sent.changes);
        all.records.extend(sent.records);
    }
    assert_eq!(seqs(&bench.apply(all).await), [1, 1, 2]);
    for (number, seq, position) in [(1, 1, 1), (2, 1, 2), (3, 2, 3)] {
        let found = stored(&bench, number).await;
        assert_eq!((found.seq.0, found.position.0), (seq, position));
    }
}

/// A mark that arrives late does not undo a newer one.
pub async fn read_marks_never_go_back(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    for (seq, expected) in [(3, 3), (2, 3), (7, 7)] {
        let mark = Change::SetReadMark {
            conversation: chat("a"),
            user: ann.clone(),
            seq: Seq(seq),
        };
        bench.apply(change(1, [mark])).await;
        let read = bench.tenant.read_mark(&chat("a"), &ann).await;
        assert_eq!(read, Ok(Seq(expected)));
    }
    assert_eq!(bench.tenant.read_mark(&chat("a"), &bob).await, Ok(Seq(0)));
    assert_eq!(bench.tenant.read_mark(&chat("b"), &ann).await, Ok(Seq(0)));
}

/// After a restart the server asks who was online, and who has changed since.
pub async fn presence_is_found_while_online_or_changed_since(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob, cleo) = (user("ann"), numbered_user(7), user("cleo"));
    let all = [
        presence(&ann, true, 10, &[room("a"), room("b")]),
        presence(&bob, false, 20, &[]),
        presence(&cleo, true, 5, &[room("a")]),
    ];
    for one in &all {
        bench
            .apply(change(1, [Change::SetPresence(one.clone())]))
            .await;
    }
    let found = async |since| {
        let mut found = bench
            .tenant
            .presences(Timestamp(since))
            .await
            .expect("presence");
        found.sort_by_key(|presence| presence.last_seen);
        found
    };
    assert_eq!(
        found(19).await,
        [all[2].clone(), all[0].clone(), all[1].clone()]
    );
    assert_eq!(found(20).await, [all[2].clone(), all[0].clone()]);
    let gone = presence(&cleo, false, 30, &[]);
    let gone_at = Change::SetPresence(gone.clone());
    let join = Change::JoinSession {
        session: session("s"),
        room: room("a"),
    };
    bench.apply(change(30, [gone_at, join])).await;
    assert_eq!(found(30).await, [all[0].clone()]);
    assert_eq!(found(29).await, [all[0].clone(), gone.clone()]);
    assert_eq!(bench.tenant.presence(&cleo).await, Ok(Some(gone)));
    assert_eq!(bench.tenant.presence(&user("nobody")).await, Ok(None));
}
