//! What rooms are, who is known of them, and what is unread there.

use futures_util::future::join_all;
use relais_core::event::Person;
use relais_core::ids::{RoomKey, Seq, Timestamp, UserId};
use relais_core::ports::{
    Change, CommitError, Membership, Precondition, RoomState, Transaction, UNREAD_MAX,
};

use super::{Bench, StoreHarness};
use crate::build::{
    add, change, chat, info, message, numbered_user, person, remove, room, send, tenant, user,
};

fn remember(who: &UserId, claims: &[RoomKey]) -> Change {
    Change::Remember {
        person: person(who),
        claims: claims.to_vec(),
    }
}

async fn state(bench: &Bench, who: &UserId, place: &str) -> RoomState {
    let states = bench.tenant.rooms(Some(who), &[room(place)]).await;
    let mut states = states.expect("rooms can be read");
    assert_eq!(states.len(), 1);
    states.remove(0)
}

/// Id, name, membership and claim of everybody who is known of a room.
async fn known(bench: &Bench, place: &str) -> Vec<(String, String, Membership, bool)> {
    let people = bench.tenant.people(&room(place)).await;
    let people = people.expect("people can be read").into_iter();
    let row = |known: relais_core::ports::RoomPerson| {
        let Person { id, name, .. } = known.person;
        (
            id.to_string(),
            name.to_string(),
            known.membership,
            known.claims,
        )
    };
    people.map(row).collect()
}

/// A room that nobody has said anything of has no info, and rooms come in the order in which they were asked.
pub async fn rooms_are_what_was_said_of_them_last(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let first = info(&room("a"), "class", Some(&numbered_user(7)));
    bench
        .apply(change(1, [Change::SetRoom(first.clone())]))
        .await;
    let unknown = RoomState {
        info: None,
        membership: Membership::Unknown,
        last_seq: Seq(0),
        unread: 0,
    };
    let states = bench.tenant.rooms(None, &[room("b"), room("a")]).await;
    let named = RoomState {
        info: Some(first),
        ..unknown.clone()
    };
    assert_eq!(states, Ok(vec![unknown, named]));
    let second = info(&room("a"), "announcement", None);
    bench
        .apply(change(
            2,
            [Change::SetRoom(second.clone()), add(&room("a"), &ann)],
        ))
        .await;
    let found = state(&bench, &ann, "a").await;
    assert_eq!(found.info, Some(second));
    assert_eq!(found.membership, Membership::Member);
}

/// Own messages and private ones of others are not unread; the mark moves what is.
pub async fn unread_are_the_visible_messages_of_others_after_the_mark(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob, eve) = (user("ann"), user("bob"), user("eve"));
    for (number, sender, recipient) in [
        (1, &bob, None),
        (2, &bob, None),
        (3, &ann, None),
        (4, &bob, Some(&eve)),
        (5, &bob, Some(&ann)),
    ] {
        let mut message = message(number, &chat("a"), sender, "hello");
        message.recipient = recipient.cloned();
        bench.apply(send(message)).await;
    }
    let unread = async |who| {
        let found = state(&bench, who, "a").await;
        assert_eq!(found.last_seq, Seq(5));
        found.unread
    };
    assert_eq!(unread(&ann).await, 3);
    assert_eq!(unread(&eve).await, 4);
    assert_eq!(unread(&bob).await, 1);
    let mark = Change::SetReadMark {
        conversation: chat("a"),
        user: ann.clone(),
        seq: Seq(2),
    };
    bench.apply(change(1, [mark])).await;
    assert_eq!(unread(&ann).await, 1);
    assert_eq!(state(&bench, &ann, "b").await.unread, 0);
}

/// Counting does not cost more for somebody who never reads.
pub async fn unread_are_counted_among_the_newest_thousand(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let sends = (1..=u64::from(UNREAD_MAX) + 10).map(|number| {
        let sender = if number == 1_000 { &ann } else { &bob };
        bench.commit(send(message(number, &chat("a"), sender, "x")))
    });
    assert!(join_all(sends).await.iter().all(Result::is_ok));
    assert_eq!(state(&bench, &ann, "a").await.unread, UNREAD_MAX - 1);
}

/// A member who never came is known by the id.
pub async fn members_removed_ones_and_claims_are_known_of_a_room(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob, eve, dan) = (user("ann"), numbered_user(7), user("eve"), user("dan"));
    let places = [room("a"), room("b")];
    let changes = [
        remember(&ann, &places),
        remember(&eve, &places),
        remember(&dan, &places[1..]),
        add(&places[0], &bob),
        add(&places[0], &ann),
        remove(&places[0], &eve),
    ];
    bench.apply(change(1, changes)).await;
    let row = |id: &str, name: &str, membership, claims| {
        (id.to_owned(), name.to_owned(), membership, claims)
    };
    let expected = [
        row("7", "7", Membership::Member, false),
        row("ann", "Name of ann", Membership::Member, true),
        row("eve", "Name of eve", Membership::Removed, true),
    ];
    assert_eq!(known(&bench, "a").await, expected);
    let names: Vec<_> = known(&bench, "b")
        .await
        .into_iter()
        .map(|row| row.0)
        .collect();
    assert_eq!(names, ["ann", "dan", "eve"]);
    assert_eq!(bench.tenant.person(&ann).await, Ok(Some(person(&ann))));
    assert_eq!(bench.tenant.person(&bob).await, Ok(None));
    let people = bench.tenant.people(&places[0]).await.expect("people");
    assert!(people[0].person.id.to_json().is_number());
}

/// Who comes with another token claims what that one says.
pub async fn claims_are_replaced_and_two_tenants_share_nobody(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    bench
        .apply(change(1, [remember(&ann, &[room("a"), room("b")])]))
        .await;
    let renamed = Change::Remember {
        person: Person {
            name: "Anna".into(),
            ..person(&ann)
        },
        claims: vec![room("b"), room("c")],
    };
    bench.apply(change(2, [renamed.clone()])).await;
    bench.apply(change(3, [renamed])).await;
    assert_eq!(known(&bench, "a").await, []);
    for place in ["b", "c"] {
        let known = known(&bench, place).await;
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].1, "Anna");
    }
    let other = bench
        .open
        .store()
        .tenant(&tenant("two"))
        .await
        .expect("a tenant");
    assert_eq!(other.people(&room("b")).await, Ok(Vec::new()));
    assert_eq!(other.person(&ann).await, Ok(None));
}

/// Two that name one room meet in one batch: the second is decided again.
pub async fn of_two_who_say_what_a_room_is_at_once_only_the_first_does(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let name = |sort: &str, expected: Option<&str>| Transaction {
        preconditions: vec![Precondition::RoomSort {
            room: room("a"),
            expected: expected.map(Into::into),
        }],
        ..change(1, [Change::SetRoom(info(&room("a"), sort, None))])
    };
    let both = join_all([
        bench.commit(name("class", None)),
        bench.commit(name("direct", None)),
    ]);
    let both = both.await;
    assert!(both[0].is_ok());
    assert_eq!(both[1], Err(CommitError::Conflict));
    let wrong = bench.commit(name("direct", Some("direct"))).await;
    assert_eq!(wrong, Err(CommitError::Conflict));
    assert!(bench.commit(name("direct", Some("class"))).await.is_ok());
}

/// Two who are added at once do not both take the last place.
pub async fn a_room_with_enough_members_takes_no_more(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let join = |name: &str| Transaction {
        preconditions: vec![Precondition::MembersBelow {
            room: room("a"),
            count: 2,
        }],
        ..change(1, [add(&room("a"), &user(name))])
    };
    assert!(bench.commit(join("ann")).await.is_ok());
    let both = join_all([bench.commit(join("bob")), bench.commit(join("eve"))]);
    let both = both.await;
    assert!(both[0].is_ok());
    assert_eq!(both[1], Err(CommitError::Conflict));
    bench
        .apply(change(2, [remove(&room("a"), &user("bob"))]))
        .await;
    assert!(bench.commit(join("eve")).await.is_ok());
}

/// What was said and who was remembered outlives the process.
pub async fn rooms_and_people_are_there_after_opening_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = numbered_user(7);
    let said = info(&room("a"), "class", Some(&ann));
    let changes = [Change::SetRoom(said.clone()), remember(&ann, &[room("a")])];
    bench.apply(change(Timestamp(5).0, changes)).await;
    let Some(bench) = bench.reopened().await else {
        return;
    };
    let found = state(&bench, &ann, "a").await.info;
    assert_eq!(found, Some(said));
    assert_eq!(
        found
            .and_then(|info| info.created_by)
            .map(|id| id.to_json()),
        Some(7.into())
    );
    assert_eq!(known(&bench, "a").await.len(), 1);
}
