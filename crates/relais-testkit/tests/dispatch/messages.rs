//! Sending, temporary ids, private messages, pages, read marks, and what a failing store looks like from outside.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use relais_core::command::{Actor, Command, NewMessage, Origin, SeqRange};
use relais_core::error::Code;
use relais_core::event::EventKind;
use relais_core::ids::{AudienceKey, Conversation, Seq};
use relais_core::ports::{Change, CommitError, StoreError, Transaction};
use serde_json::json;

use crate::house::*;

#[tokio::test]
async fn a_message_is_answered_as_it_was_committed_and_goes_to_the_room() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let answer = house.on_session("alice", "a1", keyed("1", "hello", "t1"));
    let answer = answer.await.unwrap();
    assert_eq!(
        answer["message"],
        json!({
            "id": answer["message"]["id"],
            "room": { "kind": "bam", "id": "1" },
            "sender": { "id": "alice", "name": "ALICE" },
            "kind": "text",
            "body": "hello",
            "key": "t1",
            "mentions": [],
            "seq": 1,
            "createdAt": "2023-11-14T22:15:00.000Z",
        })
    );
    let record = house.told.records.lock().unwrap()[0].clone();
    assert_eq!(record.seq, Some(Seq(1)));
    assert_eq!(record.audience.to, [AudienceKey::Room(bam("1"))]);
    assert_eq!(record.audience.except_session, None, "the sender included");
    assert_eq!(record.event.audience, None, "it stands beside the event");
}

#[tokio::test]
async fn a_session_must_have_joined_and_http_must_not() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let send_to = |id| house.on_session("alice", "a1", send(id, "hello"));
    assert_eq!(code(send_to("1").await), Code::NotInRoom);
    assert_eq!(code(send_to("3").await), Code::NotAMember);
    house.on_http("alice", send("1", "hello")).await.unwrap();
    assert_eq!(
        code(house.on_http("alice", send("3", "hello")).await),
        Code::NotAMember
    );
    assert_eq!(
        code(house.by_key(send("1", "hello")).await),
        Code::Forbidden
    );
}

#[tokio::test]
async fn the_same_temporary_id_gives_the_same_answer_and_no_second_event() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let first = house
        .on_session("alice", "a1", keyed("1", "hello", "t1"))
        .await;
    let again = house
        .on_session("alice", "a1", keyed("1", "hello", "t1"))
        .await;
    let by_http = house.on_http("alice", keyed("1", "hello", "t1")).await;
    assert_eq!(first, again);
    assert_eq!(first, by_http);
    assert_eq!(house.told.records.lock().unwrap().len(), 1);
    let other_body = house
        .on_session("alice", "a1", keyed("1", "bye", "t1"))
        .await;
    assert_eq!(code(other_body), Code::IdempotencyConflict);
    let other_kind = Command::SendMessage(NewMessage {
        kind: "image".into(),
        key: Some("t1".into()),
        ..message("1", "hello")
    });
    let other_kind = house.on_session("alice", "a1", other_kind).await;
    assert_eq!(code(other_kind), Code::IdempotencyConflict);
}

#[tokio::test]
async fn a_temporary_id_is_one_users_in_one_room() {
    let house = House::new();
    house
        .on_http("alice", keyed("1", "hello", "t1"))
        .await
        .unwrap();
    let elsewhere = house.on_http("alice", keyed("2", "other", "t1")).await;
    assert_eq!(elsewhere.unwrap()["message"]["seq"], 1);
    let bob = house
        .on_http("bob", keyed("1", "mine", "t1"))
        .await
        .unwrap();
    assert_eq!(bob["message"]["seq"], 2);
}

#[tokio::test]
async fn a_joined_sessions_messages_are_with_the_store_after_one_poll() {
    let house = House::new();
    house.enter("alice", "a1").await;
    let faults = &house.store.faults;
    let reads = faults.memberships.load(Ordering::SeqCst);
    let commits = faults.commits.load(Ordering::SeqCst);
    faults.stuck.store(true, Ordering::SeqCst);
    for body in ["one", "two"] {
        assert!(
            house
                .on_session("alice", "a1", send("1", body))
                .now_or_never()
                .is_none()
        );
    }
    let secret = house.on_session("alice", "a1", private("1", "bob", "three"));
    assert!(secret.now_or_never().is_none());
    assert_eq!(faults.commits.load(Ordering::SeqCst), commits + 3);
    assert_eq!(faults.memberships.load(Ordering::SeqCst), reads);
}

#[tokio::test]
async fn the_future_of_a_command_may_be_driven_on_any_thread() {
    let house = Arc::new(House::new());
    let (inner, command) = (house.clone(), send("1", "hello"));
    let actor = Actor::User(Arc::new(identity("alice")));
    let sent = tokio::spawn(async move {
        let invocation = inner.invocation(actor, Origin::Http, command);
        inner.dispatcher.dispatch(invocation).await
    });
    sent.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_private_message_is_for_two_people_and_takes_a_seq_of_the_room() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house
        .on_session("alice", "a1", send("1", "to all"))
        .await
        .unwrap();
    let secret = house
        .on_session("alice", "a1", private("1", "bob", "to bob"))
        .await;
    let secret = secret.unwrap();
    assert_eq!(secret["message"]["seq"], 2);
    assert_eq!(secret["message"]["recipient"], "bob");
    let record = house.told.records.lock().unwrap()[1].clone();
    let both = ["alice", "bob"].map(|name| AudienceKey::User(user(name)));
    assert_eq!(record.audience.to, both);
    let page = |name| house.on_http(name, history("1", SeqRange::default(), 50));
    assert_eq!(seqs(&page("alice").await.unwrap()), [1, 2]);
    assert_eq!(seqs(&page("bob").await.unwrap()), [1, 2]);
    assert_eq!(seqs(&page("carol").await.unwrap()), [1]);
    let all = house.by_key(history("1", SeqRange::default(), 50)).await;
    assert_eq!(seqs(&all.unwrap()), [1, 2]);
}

#[tokio::test]
async fn a_private_message_to_somebody_who_was_removed_is_refused_over_any_way() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.by_key(remove("1", "bob")).await.unwrap();
    let to_bob = || private("1", "bob", "psst");
    assert_eq!(
        code(house.on_http("alice", to_bob()).await),
        Code::NotAMember
    );
    assert_eq!(
        code(house.on_session("alice", "a1", to_bob()).await),
        Code::NotAMember
    );
    house.by_key(add("1", "bob")).await.unwrap();
    house.on_session("alice", "a1", to_bob()).await.unwrap();
}

#[tokio::test]
async fn a_sender_over_http_who_is_removed_before_the_commit_is_refused() {
    let house = House::new();
    let removal = Transaction {
        changes: vec![Change::RemoveMember {
            room: bam("1"),
            user: user("alice"),
        }],
        ..Transaction::default()
    };
    house.store.faults.before.lock().unwrap().push_back(removal);
    assert_eq!(
        code(house.on_http("alice", send("1", "hello")).await),
        Code::NotAMember
    );
    assert!(house.told.records.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_direct_message_goes_to_both_but_not_to_the_session_that_sent_it() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let direct = Conversation::direct(user("bob"), user("alice"));
    let new = NewMessage {
        conversation: direct.clone(),
        ..message("1", "hello bob")
    };
    let answer = house.on_session("alice", "a1", Command::SendMessage(new.clone()));
    assert_eq!(answer.await.unwrap()["message"]["recipient"], "bob");
    let record = house.told.records.lock().unwrap()[0].clone();
    let both = ["alice", "bob"].map(|name| AudienceKey::User(user(name)));
    assert_eq!(record.audience.to, both);
    assert_eq!(record.audience.except_session, Some(sid("a1")));
    assert_eq!(
        code(house.on_http("carol", Command::SendMessage(new)).await),
        Code::NotAMember
    );
    let read = Command::History {
        conversation: direct,
        channel: None,
        range: SeqRange::default(),
        limit: 50,
    };
    assert_eq!(code(house.on_http("carol", read).await), Code::NotAMember);
}

#[tokio::test]
async fn pages_go_both_ways_fifty_by_default_and_a_hundred_at_most() {
    let house = House::new();
    for number in 1..=120 {
        let body = number.to_string();
        house.on_http("alice", send("1", &body)).await.unwrap();
    }
    let page = async |before: Option<u64>, after: Option<u64>, limit| {
        let range = SeqRange {
            before: before.map(Seq),
            after: after.map(Seq),
        };
        let answer = house
            .on_http("bob", history("1", range, limit))
            .await
            .unwrap();
        let seqs = seqs(&answer);
        let ends = (seqs[0], *seqs.last().unwrap(), seqs.len());
        (ends, answer["hasMore"].as_bool().unwrap())
    };
    assert_eq!(page(None, None, 0).await, ((71, 120, 50), true));
    assert_eq!(page(None, None, 1_000).await, ((21, 120, 100), true));
    assert_eq!(page(Some(11), None, 50).await, ((1, 10, 10), false));
    assert_eq!(page(None, Some(10), 3).await, ((11, 13, 3), true));
    assert_eq!(page(None, Some(118), 3).await, ((119, 120, 2), false));
}

#[tokio::test]
async fn a_read_mark_moves_forward_only_and_is_told_when_it_moves() {
    let house = House::new();
    for body in ["one", "two", "three"] {
        house.on_http("alice", send("1", body)).await.unwrap();
    }
    let mark = async |seq| {
        let command = Command::MarkRead {
            conversation: chat("1"),
            seq: Seq(seq),
        };
        house.on_http("bob", command).await.unwrap()["seq"].clone()
    };
    assert_eq!(mark(2).await, 2);
    assert_eq!(mark(1).await, 2);
    assert_eq!(mark(99).await, 3, "not beyond the newest message");
    assert_eq!(mark(3).await, 3);
    let records = house.told.records.lock().unwrap().clone();
    let told: Vec<_> = records
        .iter()
        .filter(|record| record.event.kind == EventKind::MessageRead)
        .map(|record| (record.event.body["seq"].as_u64().unwrap(), record.seq))
        .collect();
    assert_eq!(told, [(2, None), (3, None)]);
}

#[tokio::test]
async fn a_session_marks_as_read_only_where_it_has_joined() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let mark = |id| Command::MarkRead {
        conversation: chat(id),
        seq: Seq(1),
    };
    let marked = house.on_session("alice", "a1", mark("1")).await;
    assert_eq!(code(marked), Code::NotInRoom);
    let marked = house.on_session("alice", "a1", mark("3")).await;
    assert_eq!(code(marked), Code::NotAMember);
}

#[tokio::test]
async fn what_the_store_refuses_has_its_public_code() {
    let house = House::new();
    let reason = || "secret path".to_owned();
    let failures = [
        (StoreError::Overloaded, Code::Overloaded),
        (StoreError::Full, Code::StorageFull),
        (
            StoreError::Unavailable { reason: reason() },
            Code::Unavailable,
        ),
        (StoreError::Failed { reason: reason() }, Code::Internal),
    ];
    for (failure, public) in failures {
        let refusals = &house.store.faults.refusals;
        refusals
            .lock()
            .unwrap()
            .push_back(CommitError::Store(failure));
        let refused = house
            .on_http("alice", send("1", "hello"))
            .await
            .unwrap_err();
        assert_eq!(refused.code, public);
        assert!(!refused.message.contains("secret"));
    }
}

#[tokio::test]
async fn a_message_too_large_for_a_record_is_refused() {
    let house = House::new();
    let large = "\u{1}".repeat(11_000);
    assert_eq!(
        code(house.on_http("alice", send("1", &large)).await),
        Code::TooLarge
    );
    let long_key = keyed("1", "hello", &"k".repeat(256));
    assert_eq!(
        code(house.on_http("alice", long_key).await),
        Code::InvalidPayload
    );
}

#[tokio::test]
async fn what_a_later_version_brings_is_unavailable() {
    let house = House::new();
    let command = Command::Unavailable {
        operation: "item.create".into(),
        fields: Default::default(),
    };
    assert_eq!(
        code(house.on_http("alice", command).await),
        Code::Unavailable
    );
}

#[tokio::test]
async fn statistics_count_sessions_users_rooms_and_the_messages_of_the_last_minute() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("alice", "a2").await;
    house
        .on_session("alice", "a1", send("1", "hello"))
        .await
        .unwrap();
    let stats = house.by_key(Command::Stats).await.unwrap();
    let figure = |name: &str| stats[name].as_u64().unwrap();
    assert_eq!(figure("activeConnections"), 2);
    assert_eq!(figure("totalConnections"), 2);
    assert_eq!(figure("connectedUsers"), 1);
    assert_eq!(figure("rooms"), 1);
    assert_eq!(figure("messagesPerMinute"), 1);
    assert_eq!(figure("uptimeSeconds"), 100);
    house.pass(60_000);
    let later = house.dispatcher.stats(house.now().monotonic);
    assert_eq!(later.messages_per_minute, 0);
    assert_eq!(later.active_tenants, 1);
}
