//! Rooms: members, removals, and the stays of sessions.

use relais_core::event::EventKind;
use relais_core::ids::{Position, RoomKey, Timestamp, UserId};
use relais_core::ports::{Change, Interval, Member, Membership, Transaction};

use super::{Bench, StoreHarness};
use crate::build::{add, append, change, numbered_user, record, remove, room, session, user};

fn join(who: &str, place: &str) -> Change {
    Change::JoinSession {
        session: session(who),
        room: room(place),
    }
}

fn leave(who: &str, place: &str) -> Change {
    Change::LeaveSession {
        session: session(who),
        room: room(place),
    }
}

fn interval(place: &str, since: u64, until: Option<u64>) -> Interval {
    Interval {
        room: room(place),
        since: Position(since),
        until: until.map(Position),
    }
}

async fn members(bench: &Bench, place: &RoomKey) -> Vec<(String, i64)> {
    let members = bench.tenant.members(place).await.expect("members");
    let pair = |member: Member| (member.user.to_string(), member.added_at.0);
    members.into_iter().map(pair).collect()
}

async fn stays(bench: &Bench, who: &str) -> Vec<Interval> {
    let stays = bench.tenant.session_rooms(&session(who)).await;
    stays.expect("stays can be read")
}

async fn advance(bench: &Bench, count: usize) {
    let relay = || record(EventKind::RelaySent, &room("a"), "x");
    bench.apply(append((0..count).map(|_| relay()))).await;
}

/// The list is stable: adding again neither moves a member nor changes its stamp.
pub async fn members_come_in_the_order_in_which_they_were_added(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (zoe, bob, ann) = (user("zoe"), numbered_user(2), user("ann"));
    for (at, who) in [(10, &zoe), (20, &bob), (20, &ann), (30, &zoe)] {
        bench.apply(change(at, [add(&room("a"), who)])).await;
    }
    bench.apply(change(40, [add(&room("b"), &zoe)])).await;
    let expected = [("zoe", 10), ("2", 20), ("ann", 20)];
    let expected = expected.map(|(who, at)| (who.to_owned(), at));
    assert_eq!(members(&bench, &room("a")).await, expected);
    let rooms = bench.tenant.rooms_of(&zoe).await;
    assert_eq!(rooms, Ok(vec![room("a"), room("b")]));
    let listed = bench.tenant.members(&room("a")).await.expect("members");
    assert_eq!(listed[1].user.to_json(), serde_json::json!(2));
    assert_eq!(bench.tenant.rooms_of(&user("nobody")).await, Ok(vec![]));
}

/// A removal outranks what a token claims, so it must not be forgotten.
pub async fn a_removal_is_remembered_until_the_member_is_added_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let of = async |who: &UserId| {
        let membership = bench.tenant.membership(&room("a"), who).await;
        membership.expect("membership can be read")
    };
    assert_eq!(of(&ann).await, Membership::Unknown);
    bench
        .apply(change(1, [add(&room("a"), &ann), add(&room("a"), &bob)]))
        .await;
    assert_eq!(of(&ann).await, Membership::Member);
    bench.apply(change(2, [remove(&room("a"), &ann)])).await;
    assert_eq!(of(&ann).await, Membership::Removed);
    assert_eq!(members(&bench, &room("a")).await, [("bob".to_owned(), 1)]);
    assert_eq!(bench.tenant.rooms_of(&ann).await, Ok(vec![]));
    let never = user("never a member");
    bench.apply(change(3, [remove(&room("a"), &never)])).await;
    assert_eq!(of(&never).await, Membership::Removed);
    bench.apply(change(4, [add(&room("a"), &ann)])).await;
    assert_eq!(of(&ann).await, Membership::Member);
    let expected = [("bob".to_owned(), 1), ("ann".to_owned(), 4)];
    assert_eq!(members(&bench, &room("a")).await, expected);
}

/// Neither a membership nor a removal is left, and they may be added again, as the latest.
pub async fn a_member_who_is_forgotten_is_unknown_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let forget = |who: &UserId| Change::ForgetMember {
        room: room("a"),
        user: who.clone(),
    };
    bench
        .apply(change(1, [add(&room("a"), &ann), add(&room("b"), &ann)]))
        .await;
    bench.apply(change(2, [remove(&room("a"), &bob)])).await;
    bench
        .apply(change(
            3,
            [forget(&ann), forget(&bob), forget(&user("never"))],
        ))
        .await;
    for who in [&ann, &bob] {
        let membership = bench.tenant.membership(&room("a"), who).await;
        assert_eq!(membership, Ok(Membership::Unknown));
    }
    assert_eq!(members(&bench, &room("a")).await, []);
    assert_eq!(bench.tenant.rooms_of(&ann).await, Ok(vec![room("b")]));
    bench.apply(change(4, [add(&room("a"), &ann)])).await;
    assert_eq!(members(&bench, &room("a")).await, [("ann".to_owned(), 4)]);
    let rooms = bench.tenant.rooms_of(&ann).await;
    assert_eq!(rooms, Ok(vec![room("b"), room("a")]));
}

/// Kind and id are two columns; what is inside them never matters.
pub async fn rooms_that_look_alike_are_different_rooms(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let alike = [
        ("a", "b:c"),
        ("a:b", "c"),
        ("a", "B:c"),
        ("a", "b:c "),
        ("a", "b:c\0"),
        ("a", "../b:c"),
        ("a", "b%3Ac"),
        ("", "ab:c"),
        ("ab:c", ""),
        ("a", "b\u{200B}:c"),
    ];
    let alike = alike.map(|(kind, id)| RoomKey::new(kind, id));
    for (number, place) in alike.iter().enumerate() {
        bench
            .apply(change(number as i64, [add(place, &user("ann"))]))
            .await;
    }
    for (number, place) in alike.iter().enumerate() {
        let expected = [("ann".to_owned(), number as i64)];
        assert_eq!(members(&bench, place).await, expected, "{place:?}");
    }
    assert_eq!(
        bench.tenant.rooms_of(&user("ann")).await,
        Ok(alike.to_vec())
    );
}

/// What was before the join is history, what was before the leave is still delivered: both ends are positions.
pub async fn a_join_is_open_from_the_head_and_a_leave_closes_after_its_own_records(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    advance(&bench, 3).await;
    let joined = Transaction {
        records: vec![record(EventKind::MemberAdded, &room("a"), "joins")],
        ..change(1, [join("s", "a")])
    };
    bench.apply(joined).await;
    assert_eq!(stays(&bench, "s").await, [interval("a", 3, None)]);
    advance(&bench, 2).await;
    let left = Transaction {
        records: vec![record(EventKind::MemberRemoved, &room("a"), "leaves")],
        ..change(2, [leave("s", "a")])
    };
    bench.apply(left).await;
    advance(&bench, 1).await;
    assert_eq!(stays(&bench, "s").await, [interval("a", 3, Some(7))]);
    assert_eq!(stays(&bench, "other").await, []);
}

/// A second join of the same room is no event; one after a leave is another stay.
pub async fn joining_twice_changes_nothing_and_joining_again_begins_another_stay(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    bench
        .apply(change(1, [join("s", "a"), join("s", "b")]))
        .await;
    advance(&bench, 2).await;
    bench.apply(change(2, [join("s", "a")])).await;
    bench
        .apply(change(3, [leave("s", "a"), leave("s", "never joined")]))
        .await;
    advance(&bench, 2).await;
    bench.apply(change(4, [leave("s", "a")])).await;
    bench.apply(change(5, [join("s", "a")])).await;
    let expected = [
        interval("a", 0, Some(2)),
        interval("b", 0, None),
        interval("a", 4, None),
    ];
    assert_eq!(stays(&bench, "s").await, expected);
}

/// Removing a member closes the stays of those sessions, in that room.
pub async fn a_removed_member_leaves_with_all_sessions(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let all = [
        join("s1", "a"),
        join("s1", "b"),
        join("s2", "a"),
        join("s3", "a"),
    ];
    bench.apply(change(1, all)).await;
    advance(&bench, 1).await;
    let removed = Transaction {
        at: Timestamp(2),
        changes: vec![
            remove(&room("a"), &user("ann")),
            Change::LeaveSessions {
                sessions: vec![session("s1"), session("s2"), session("unknown")],
                room: room("a"),
            },
        ],
        records: vec![record(EventKind::MemberRemoved, &room("a"), "ann")],
        ..Transaction::default()
    };
    bench.apply(removed).await;
    let closed = interval("a", 0, Some(2));
    assert_eq!(
        stays(&bench, "s1").await,
        [closed.clone(), interval("b", 0, None)]
    );
    assert_eq!(stays(&bench, "s2").await, [closed]);
    assert_eq!(stays(&bench, "s3").await, [interval("a", 0, None)]);
}
