//! History: pages of a conversation by seq.

use relais_core::command::SeqRange;
use relais_core::event::Message;
use relais_core::ids::{Conversation, Seq, Timestamp, UserId};
use relais_core::ports::{MessagePage, MessageQuery};

use super::{Bench, StoreHarness, seqs};
use crate::build::{chat, id, message, numbered_user, send, send_keyed, user};

fn query(conversation: &Conversation, before: Option<u64>, after: Option<u64>) -> MessageQuery {
    MessageQuery {
        conversation: conversation.clone(),
        viewer: None,
        channel: None,
        range: SeqRange {
            before: before.map(Seq),
            after: after.map(Seq),
        },
        limit: 3,
    }
}

async fn page(bench: &Bench, query: &MessageQuery) -> (Vec<u64>, bool) {
    let MessagePage { messages, has_more } = bench
        .tenant
        .messages(query)
        .await
        .expect("history can be read");
    let seqs = messages.iter().map(|message| message.seq.0);
    (seqs.collect(), has_more)
}

async fn filled(harness: &dyn StoreHarness, count: u64) -> Bench {
    let bench = Bench::new(harness).await;
    for number in 1..=count {
        let sent = message(number, &chat("a"), &user("ann"), &format!("{number}"));
        bench.apply(send(sent)).await;
    }
    bench
}

/// `before` pages end right before their bound, `after` pages begin right after theirs.
pub async fn pages_go_both_ways_by_seq_and_oldest_first(harness: &dyn StoreHarness) {
    let bench = filled(harness, 8).await;
    let at = |before, after| query(&chat("a"), before, after);
    assert_eq!(
        page(&bench, &at(Some(6), None)).await,
        (vec![3, 4, 5], true)
    );
    assert_eq!(page(&bench, &at(Some(3), None)).await, (vec![1, 2], false));
    assert_eq!(
        page(&bench, &at(Some(4), None)).await,
        (vec![1, 2, 3], false)
    );
    assert_eq!(page(&bench, &at(Some(1), None)).await, (vec![], false));
    assert_eq!(
        page(&bench, &at(None, Some(2))).await,
        (vec![3, 4, 5], true)
    );
    assert_eq!(
        page(&bench, &at(None, Some(5))).await,
        (vec![6, 7, 8], false)
    );
    assert_eq!(page(&bench, &at(None, Some(7))).await, (vec![8], false));
    assert_eq!(
        page(&bench, &at(None, Some(u64::MAX))).await,
        (vec![], false)
    );
}

/// Whoever opens a room sees its end first.
pub async fn the_newest_page_comes_without_bounds(harness: &dyn StoreHarness) {
    let bench = filled(harness, 5).await;
    let newest = query(&chat("a"), None, None);
    assert_eq!(page(&bench, &newest).await, (vec![3, 4, 5], true));
    let empty = query(&chat("unused"), None, None);
    assert_eq!(page(&bench, &empty).await, (vec![], false));
}

/// With both bounds the page begins at the older one.
pub async fn both_bounds_give_what_lies_between(harness: &dyn StoreHarness) {
    let bench = filled(harness, 8).await;
    let between = query(&chat("a"), Some(5), Some(2));
    assert_eq!(page(&bench, &between).await, (vec![3, 4], false));
    let longer = query(&chat("a"), Some(8), Some(2));
    assert_eq!(page(&bench, &longer).await, (vec![3, 4, 5], true));
}

/// A private message belongs to the room's conversation, and only two people see it.
pub async fn private_messages_are_paged_by_sender_and_recipient_alone(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob, cleo) = (user("ann"), numbered_user(9), user("cleo"));
    for number in 1..=6 {
        let mut sent = message(number, &chat("a"), &ann, "hello");
        sent.recipient = (number % 2 == 0).then(|| bob.clone());
        bench.apply(send(sent)).await;
    }
    let seen_by = async |viewer: Option<&UserId>, after| {
        let mut query = query(&chat("a"), None, after);
        query.viewer = viewer.cloned();
        page(&bench, &query).await
    };
    assert_eq!(seen_by(Some(&cleo), Some(0)).await, (vec![1, 3, 5], false));
    assert_eq!(seen_by(Some(&bob), Some(0)).await, (vec![1, 2, 3], true));
    assert_eq!(seen_by(Some(&ann), None).await, (vec![4, 5, 6], true));
    assert_eq!(seen_by(None, None).await, (vec![4, 5, 6], true));
    assert_eq!(seen_by(Some(&cleo), None).await, (vec![1, 3, 5], false));
}

/// A page of one channel leaves the others out.
pub async fn a_channel_is_a_label_inside_a_conversation(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    for number in 1..=6 {
        let mut sent = message(number, &chat("a"), &user("ann"), "hello");
        sent.channel = (number % 3 == 0).then(|| "planning".into());
        bench.apply(send(sent)).await;
    }
    let mut planning = query(&chat("a"), None, None);
    planning.channel = Some("planning".into());
    assert_eq!(page(&bench, &planning).await, (vec![3, 6], false));
    let all = query(&chat("a"), None, None);
    assert_eq!(page(&bench, &all).await, (vec![4, 5, 6], true));
}

/// Whoever writes first, two people have one conversation.
pub async fn both_directions_of_a_direct_pair_are_one_conversation(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), numbered_user(9));
    let there = Conversation::direct(ann.clone(), bob.clone());
    let back = Conversation::direct(bob.clone(), ann.clone());
    let first = send(message(1, &there, &ann, "hello"));
    let second = send(message(2, &back, &bob, "hello yourself"));
    assert_eq!(seqs(&bench.apply(first).await), [1]);
    assert_eq!(seqs(&bench.apply(second).await), [2]);
    assert_eq!(
        page(&bench, &query(&back, None, None)).await,
        (vec![1, 2], false)
    );
    assert_eq!(bench.tenant.last_seq(&there).await, Ok(Seq(2)));
}

/// Nothing of a message is lost or changed on its way through the store.
pub async fn a_message_is_found_by_its_id_with_everything_that_it_had(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (numbered_user(-4), user("bob"));
    let sent = Message {
        recipient: Some(bob.clone()),
        kind: "image".into(),
        channel: Some("planning".into()),
        reply_to: Some(id(77)),
        mentions: vec![bob, numbered_user(12)],
        created_at: Timestamp(1_700_000_000_001),
        ..message(
            1,
            &chat("a"),
            &ann,
            "\u{0}\"'; DROP TABLE messages; -- \u{1F600}",
        )
    };
    bench.apply(send_keyed(sent.clone(), "k1")).await;
    let found = bench.tenant.message(id(1)).await.expect("a message");
    let found = found.expect("the message is stored");
    assert_eq!((found.seq, found.position.0), (Seq(1), 1));
    let expected = Message {
        seq: found.seq,
        position: found.position,
        key: Some("k1".into()),
        ..sent
    };
    assert_eq!(found, expected);
    assert_eq!(found.sender.id.to_json(), serde_json::json!(-4));
    assert_eq!(found.mentions[1].to_json(), serde_json::json!(12));
    assert_eq!(bench.tenant.message(id(2)).await, Ok(None));
}
