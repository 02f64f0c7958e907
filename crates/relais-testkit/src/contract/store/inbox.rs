//! Inboxes: who gets a notification, in which order they are paged, what is read, what is kept.

use relais_core::ids::{Id, RoomKey, UserId};
use relais_core::ports::{
    Change, CommitError, InboxPage, InboxQuery, Membership, Precondition, Recipients, Transaction,
};

use super::{Bench, StoreHarness};
use crate::build::{change, id, notification, notify, numbered_user, room, tenant, user};

/// Nothing that a test sends reaches this.
const MANY: u32 = 1_000;

fn one(user: &UserId) -> [Recipients; 1] {
    [Recipients::User(user.clone())]
}

fn members(room: &RoomKey) -> Recipients {
    Recipients::Members(room.clone())
}

fn add(room: &RoomKey, user: &UserId) -> Change {
    Change::AddMember {
        room: room.clone(),
        user: user.clone(),
    }
}

async fn page(bench: &Bench, user: &UserId, before: Option<u64>, limit: u32) -> InboxPage {
    let query = InboxQuery {
        user: user.clone(),
        before: before.map(id),
        limit,
    };
    let page = bench.tenant.inbox(&query).await;
    page.expect("an inbox can be read")
}

/// What an inbox holds, newest first, each with whether it was read.
async fn inbox(bench: &Bench, user: &UserId) -> Vec<(Id, bool)> {
    let page = page(bench, user, None, 100).await;
    let unread = page.notifications.iter().filter(|one| !one.is_read);
    assert_eq!(page.unread, unread.count() as u64);
    assert_eq!(
        bench.tenant.unread_notifications(user).await,
        Ok(page.unread)
    );
    let all = page.notifications.iter();
    all.map(|one| (one.notification.id, one.is_read)).collect()
}

fn unread(numbers: impl IntoIterator<Item = u64>) -> Vec<(Id, bool)> {
    numbers
        .into_iter()
        .map(|number| (id(number), false))
        .collect()
}

async fn send(bench: &Bench, number: u64, to: &UserId, keep: u32) {
    bench
        .apply(change(1, [notify(number, one(to), None, keep)]))
        .await;
}

/// Everything that it said is there again.
pub async fn a_notification_comes_into_one_inbox_and_is_unread(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, seven) = (user("ann"), numbered_user(7));
    send(&bench, 6, &ann, MANY).await;
    send(&bench, 7, &seven, MANY).await;
    for (number, of) in [(6, &ann), (7, &seven)] {
        assert_eq!(inbox(&bench, of).await, unread([number]));
        let found = bench.tenant.notification(of, id(number)).await;
        let found = found.expect("read").expect("it is there");
        assert_eq!(found.notification, notification(number));
        assert!(!found.is_read);
    }
    assert_eq!(bench.tenant.notification(&ann, id(7)).await, Ok(None));
    assert_eq!(inbox(&bench, &user("nobody")).await, []);
}

/// Members at this commit: neither those who came later nor those who were removed.
pub async fn the_members_of_a_room_each_get_it_once_without_the_one_left_out(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let place = room("a");
    let all = ["ann", "bob", "removed", "forgotten"].map(user);
    let seven = numbered_user(7);
    let added = all.iter().chain([&seven]).map(|user| add(&place, user));
    bench.apply(change(1, added)).await;
    let gone = [
        Change::RemoveMember {
            room: place.clone(),
            user: user("removed"),
        },
        Change::ForgetMember {
            room: place.clone(),
            user: user("forgotten"),
        },
        add(&room("b"), &user("other")),
    ];
    bench.apply(change(2, gone)).await;
    let ann = user("ann");
    bench
        .apply(change(3, [notify(1, [members(&place)], Some(&ann), MANY)]))
        .await;
    bench.apply(change(4, [add(&place, &user("late"))])).await;
    for name in ["ann", "removed", "forgotten", "late", "other"] {
        assert_eq!(inbox(&bench, &user(name)).await, [], "{name}");
    }
    assert_eq!(inbox(&bench, &user("bob")).await, unread([1]));
    assert_eq!(inbox(&bench, &seven).await, unread([1]));
    bench
        .apply(change(5, [notify(2, [members(&room("none"))], None, MANY)]))
        .await;
    assert_eq!(inbox(&bench, &user("bob")).await, unread([1]));
}

/// By name and as a member of two rooms.
pub async fn a_user_named_twice_gets_it_once(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let both = ["a", "b"].map(|name| add(&room(name), &ann));
    bench.apply(change(1, both)).await;
    bench.apply(change(1, [add(&room("b"), &bob)])).await;
    let to = [
        Recipients::User(ann.clone()),
        members(&room("a")),
        members(&room("b")),
        Recipients::User(ann.clone()),
    ];
    bench.apply(change(2, [notify(1, to, None, MANY)])).await;
    assert_eq!(inbox(&bench, &ann).await, unread([1]));
    assert_eq!(inbox(&bench, &bob).await, unread([1]));
}

/// The order is that of the commits, whatever ids and clocks say.
pub async fn pages_go_from_the_newest_to_the_oldest(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    for number in [5, 3, 9, 1, 7] {
        send(&bench, number, &ann, MANY).await;
        send(&bench, number + 20, &user("bob"), MANY).await;
    }
    let ids = |page: &InboxPage| -> Vec<Id> {
        let all = page.notifications.iter();
        all.map(|one| one.notification.id).collect()
    };
    let first = page(&bench, &ann, None, 2).await;
    assert_eq!((ids(&first), first.has_more), (vec![id(7), id(1)], true));
    let second = page(&bench, &ann, Some(1), 2).await;
    assert_eq!((ids(&second), second.has_more), (vec![id(9), id(3)], true));
    let third = page(&bench, &ann, Some(3), 2).await;
    assert_eq!((ids(&third), third.has_more), (vec![id(5)], false));
    let last = page(&bench, &ann, Some(5), 2).await;
    assert_eq!((ids(&last), last.has_more), (vec![], false));
    assert_eq!((first.unread, last.unread), (5, 5));
    let least = page(&bench, &ann, None, 0).await;
    assert_eq!((ids(&least), least.has_more), (vec![id(7)], true));
    let exact = page(&bench, &ann, None, 5).await;
    assert_eq!((exact.notifications.len(), exact.has_more), (5, false));
}

/// What is gone is gone with everything before it; somebody else's notification is no place in one's own inbox.
pub async fn a_page_before_what_is_gone_is_empty(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    for number in 1..=4 {
        send(&bench, number, &ann, 2).await;
    }
    send(&bench, 9, &user("bob"), 2).await;
    for before in [1, 2, 9, 77] {
        let page = page(&bench, &ann, Some(before), 10).await;
        assert_eq!((page.notifications, page.has_more), (vec![], false));
        assert_eq!(page.unread, 2);
    }
}

/// A second reading, and one of what is not there, change nothing.
pub async fn reading_one_or_all_counts_down_and_is_only_ones_own(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let both = [Recipients::User(ann.clone()), Recipients::User(bob.clone())];
    for number in 1..=3 {
        let change = change(1, [notify(number, both.clone(), None, MANY)]);
        bench.apply(change).await;
    }
    let read = |id: Option<Id>| Change::ReadNotifications {
        user: ann.clone(),
        id,
    };
    for number in [2, 2, 77] {
        bench.apply(change(2, [read(Some(id(number)))])).await;
        let expected = [(id(3), false), (id(2), true), (id(1), false)];
        assert_eq!(inbox(&bench, &ann).await, expected);
    }
    let found = bench.tenant.notification(&ann, id(2)).await;
    assert!(found.expect("read").is_some_and(|found| found.is_read));
    bench.apply(change(3, [read(None), read(None)])).await;
    let expected = [(id(3), true), (id(2), true), (id(1), true)];
    assert_eq!(inbox(&bench, &ann).await, expected);
    send(&bench, 4, &ann, MANY).await;
    assert_eq!(bench.tenant.unread_notifications(&ann).await, Ok(1));
    assert_eq!(inbox(&bench, &bob).await, unread([3, 2, 1]));
}

/// Read or not, the oldest go, of every member of a room on their own.
pub async fn an_inbox_keeps_the_newest_and_others_keep_theirs(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let place = room("a");
    bench
        .apply(change(1, [add(&place, &ann), add(&place, &bob)]))
        .await;
    for number in 1..=3 {
        send(&bench, number, &ann, 3).await;
    }
    for number in 4..=5 {
        let to = [members(&place)];
        bench.apply(change(2, [notify(number, to, None, 3)])).await;
    }
    assert_eq!(inbox(&bench, &ann).await, unread([5, 4, 3]));
    assert_eq!(inbox(&bench, &bob).await, unread([5, 4]));
    assert_eq!(bench.tenant.notification(&ann, id(2)).await, Ok(None));
}

/// The limit is a setting, and may be lowered.
pub async fn an_inbox_that_may_hold_less_than_before_is_cut_by_the_next_notification(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    for number in 1..=5 {
        send(&bench, number, &ann, MANY).await;
    }
    send(&bench, 6, &ann, 2).await;
    assert_eq!(inbox(&bench, &ann).await, unread([6, 5]));
}

/// The same user, and even the same id.
pub async fn inboxes_of_two_tenants_share_nothing(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let other = bench.open.store().tenant(&tenant("two")).await;
    let other = other.expect("a tenant is made on first use");
    send(&bench, 1, &ann, 1).await;
    let theirs = change(1, [notify(1, one(&ann), None, 1)]);
    other.commit(theirs).await.expect("committed");
    let read = Change::ReadNotifications {
        user: ann.clone(),
        id: Some(id(1)),
    };
    other.commit(change(2, [read])).await.expect("committed");
    let next = change(3, [notify(2, one(&ann), None, 1)]);
    other.commit(next).await.expect("committed");
    assert_eq!(other.notification(&ann, id(1)).await, Ok(None));
    assert_eq!(inbox(&bench, &ann).await, unread([1]));
}

/// Nothing of a transaction is done when a precondition fails.
pub async fn a_refused_transaction_notifies_nobody(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let ann = user("ann");
    let refused = Transaction {
        preconditions: vec![Precondition::Membership {
            room: room("a"),
            user: ann.clone(),
            expected: Membership::Member,
        }],
        ..change(1, [notify(1, one(&ann), None, MANY)])
    };
    assert_eq!(bench.commit(refused).await, Err(CommitError::Conflict));
    assert_eq!(inbox(&bench, &ann).await, []);
}
