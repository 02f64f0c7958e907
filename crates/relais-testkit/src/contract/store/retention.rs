//! Retention: the log is trimmed by age and by count, and says so; nothing else is forgotten.

use relais_core::event::EventKind;
use relais_core::ids::{Position, Seq, Timestamp};
use relais_core::ports::{Change, Committed, Transaction};
use relais_core::restriction::{Against, Hold, Restriction};

use super::{Bench, Limits, StoreHarness, positions, seqs};
use crate::build::{
    append, change, chat, id, message, notice, record, room, send, send_keyed, session, user,
};

const BY_AGE: Limits = Limits {
    window_ms: 8_000,
    records_max: 1_000_000,
};

const BY_COUNT: Limits = Limits {
    window_ms: 1_000_000_000,
    records_max: 10,
};

async fn relay(bench: &Bench, at: i64, place: &str, count: usize) {
    let one = || record(EventKind::RelaySent, &room(place), "x");
    let all = Transaction {
        at: Timestamp(at),
        ..append((0..count).map(|_| one()))
    };
    bench.apply(all).await;
}

async fn trimmed(bench: &Bench, rooms: &[&str]) -> u64 {
    let rooms: Vec<_> = rooms.iter().map(|name| room(name)).collect();
    let trimmed = bench.tenant.trimmed(&rooms).await;
    trimmed.expect("trimmed can be read").0
}

/// What is older than the window goes; the head and the numbers stay what they were.
pub async fn records_older_than_the_window_are_trimmed_and_positions_go_on(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::with(harness, BY_AGE).await;
    relay(&bench, 1_000, "a", 2).await;
    relay(&bench, 2_000, "b", 2).await;
    relay(&bench, 5_000, "a", 1).await;
    bench.open.retain(Timestamp(9_000), &[]).await;
    assert_eq!(positions(&bench.log_after(0).await), [1, 2, 3, 4, 5]);
    bench.open.retain(Timestamp(10_500), &[]).await;
    let page = bench.tenant.log(Position(0), 100).await.expect("a page");
    assert_eq!(positions(&page.records), [5]);
    assert_eq!(page.trimmed, Position(4));
    assert_eq!(trimmed(&bench, &["a"]).await, 2);
    assert_eq!(trimmed(&bench, &["b"]).await, 4);
    assert_eq!(trimmed(&bench, &["a", "b", "unused"]).await, 4);
    assert_eq!(trimmed(&bench, &["unused"]).await, 0);
    bench.open.retain(Timestamp(100_000), &[]).await;
    let page = bench.tenant.log(Position(0), 100).await.expect("a page");
    assert_eq!((page.records.len(), page.trimmed), (0, Position(5)));
    assert_eq!(bench.head(), Position(5));
    let next = record(EventKind::RelaySent, &room("a"), "x");
    assert_eq!(positions(&bench.apply(append([next])).await), [6]);
}

/// One loud room does not shorten what a quiet one keeps.
pub async fn a_room_keeps_its_newest_records_and_others_keep_theirs(harness: &dyn StoreHarness) {
    let bench = Bench::with(harness, BY_COUNT).await;
    relay(&bench, 1, "quiet", 3).await;
    relay(&bench, 1, "loud", 15).await;
    bench.open.retain(Timestamp(2), &[]).await;
    let page = bench.tenant.log(Position(0), 100).await.expect("a page");
    let kept: Vec<u64> = (1..=3).chain(9..=18).collect();
    assert_eq!(positions(&page.records), kept);
    assert_eq!(
        page.trimmed,
        Position(0),
        "nothing is missing before the first record"
    );
    let page = bench.tenant.log(Position(3), 100).await.expect("a page");
    assert_eq!(positions(&page.records), kept[3..]);
    assert_eq!(page.trimmed, Position(8), "everything from 4 to 8 is gone");
    let page = bench.tenant.log(Position(12), 100).await.expect("a page");
    assert!(page.trimmed <= Position(12));
    assert_eq!(trimmed(&bench, &["quiet"]).await, 0);
    assert_eq!(trimmed(&bench, &["quiet", "loud"]).await, 8);
    bench.open.retain(Timestamp(2), &[]).await;
    assert_eq!(positions(&bench.log_after(0).await), kept);
}

/// What was held against somebody goes an hour after its end, so that a clock that jumps takes nothing that lasts; what has no end stays.
pub async fn restrictions_go_when_they_are_long_over(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let impose = |token: &str, until: Option<i64>| {
        Change::Impose(Restriction {
            against: Against::Token(token.into()),
            hold: Hold::Revoked,
            at: Timestamp(0),
            until: until.map(Timestamp),
        })
    };
    let changes = [("a", Some(10)), ("b", Some(20)), ("c", None)];
    let changes = changes.map(|(token, until)| impose(token, until));
    bench.apply(change(1, changes)).await;
    let held = async || {
        let held = bench.tenant.restrictions().await.expect("they can be read");
        let tokens = held.into_iter().map(|one| match one.against {
            Against::Token(token) => token.to_string(),
            Against::User(user) => panic!("nothing was held against {user}"),
        });
        let mut tokens: Vec<String> = tokens.collect();
        tokens.sort();
        tokens
    };
    const HOUR_MS: i64 = 3_600_000;
    for (now, left) in [
        (15, &["a", "b", "c"][..]),
        (HOUR_MS + 9, &["a", "b", "c"]),
        (HOUR_MS + 10, &["b", "c"]),
        (HOUR_MS * 9, &["c"]),
    ] {
        bench.open.retain(Timestamp(now), &[]).await;
        assert_eq!(held().await, left, "at {now}");
    }
}

/// Direct messages and notices count as one place, and their trimming concerns every session.
pub async fn what_has_no_room_is_trimmed_on_its_own_account(harness: &dyn StoreHarness) {
    let bench = Bench::with(harness, BY_COUNT).await;
    relay(&bench, 1, "a", 10).await;
    let notices = (0..12).map(|number| notice(&user("ann"), &format!("{number}")));
    bench.apply(append(notices)).await;
    bench.open.retain(Timestamp(2), &[]).await;
    let kept: Vec<u64> = (1..=10).chain(13..=22).collect();
    assert_eq!(positions(&bench.log_after(0).await), kept);
    assert_eq!(trimmed(&bench, &[]).await, 12);
    assert_eq!(trimmed(&bench, &["a"]).await, 12);
}

/// The log is for recovery; history is for ever, and so are its keys.
pub async fn messages_and_their_keys_are_never_trimmed(harness: &dyn StoreHarness) {
    let bench = Bench::with(harness, BY_AGE).await;
    let ann = user("ann");
    bench
        .apply(send_keyed(message(1, &chat("a"), &ann, "hello"), "k1"))
        .await;
    bench.open.retain(Timestamp(1_000_000), &[]).await;
    assert!(bench.log_after(0).await.is_empty());
    let found = bench
        .tenant
        .message(id(1))
        .await
        .expect("messages can be read");
    assert_eq!(found.map(|message| message.body), Some("hello".to_owned()));
    let again = send_keyed(message(2, &chat("a"), &ann, "hello"), "k1");
    let outcome = bench.commit(again).await;
    assert!(
        matches!(outcome, Ok(Committed::Duplicate { .. })),
        "{outcome:?}"
    );
    assert_eq!(bench.tenant.last_seq(&chat("a")).await, Ok(Seq(1)));
    let next = bench
        .apply(send(message(3, &chat("a"), &ann, "next")))
        .await;
    assert_eq!(seqs(&next), [2]);
}

/// A session that is open is never forgotten; one that is gone is, after it could have come back.
pub async fn stays_of_living_sessions_are_kept_and_of_dead_ones_removed_after_the_window(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::with(harness, BY_AGE).await;
    let join = |who: &str, place: &str| Change::JoinSession {
        session: session(who),
        room: room(place),
    };
    let joins = [
        join("living", "a"),
        join("living", "b"),
        join("dead", "a"),
        join("back", "a"),
    ];
    bench.apply(change(0, joins)).await;
    let left = Change::LeaveSession {
        session: session("living"),
        room: room("b"),
    };
    bench.apply(change(0, [left])).await;
    let stays = async |who: &str| {
        let stays = bench.tenant.session_rooms(&session(who)).await;
        stays.expect("stays can be read").len()
    };
    let living = [session("living")];
    for now in (1_000..=7_000).step_by(1_000) {
        bench.open.retain(Timestamp(now), &living).await;
    }
    assert_eq!((stays("living").await, stays("dead").await), (2, 1));
    let both = [session("living"), session("back")];
    bench.open.retain(Timestamp(7_900), &both).await;
    for now in (9_000..=15_000).step_by(1_000) {
        bench.open.retain(Timestamp(now), &living).await;
    }
    assert_eq!(
        stays("living").await,
        1,
        "the closed stay is of no use any more"
    );
    assert_eq!(stays("dead").await, 0);
    assert_eq!(stays("back").await, 1, "it was seen within the window");
    for now in (16_000..=30_000).step_by(1_000) {
        bench.open.retain(Timestamp(now), &living).await;
    }
    assert_eq!((stays("living").await, stays("back").await), (1, 0));
}

/// Trimming much is done in steps, and commits made meanwhile are as good as any.
pub async fn many_records_are_trimmed_in_one_run_while_commits_go_on(harness: &dyn StoreHarness) {
    let bench = Bench::with(harness, BY_COUNT).await;
    for _ in 0..30 {
        relay(&bench, 1, "a", 100).await;
    }
    let commits = async {
        for number in 0..50 {
            let sent = message(number, &chat("b"), &user("ann"), "hello");
            bench.apply(send(sent)).await;
        }
    };
    tokio::join!(bench.open.retain(Timestamp(2), &[]), commits);
    bench.open.retain(Timestamp(2), &[]).await;
    let kept: Vec<u64> = (2_991..=3_000).chain(3_041..=3_050).collect();
    assert_eq!(positions(&bench.log_after(0).await), kept);
    assert_eq!(trimmed(&bench, &["a"]).await, 2_990);
    assert_eq!(trimmed(&bench, &["b"]).await, 3_040);
}
