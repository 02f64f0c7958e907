//! Items: what is stored is found again, pages go by the order of creation, and of two who change the same item one is refused.

use futures_util::future::join_all;
use relais_core::event::{EventKind, Item, Lease};
use relais_core::ids::{ItemId, ItemKey, Shelf, Timestamp};
use relais_core::ports::{
    Change, CommitError, ItemQuery, Precondition, TemporaryId, TenantStore, Transaction,
};

use super::{Bench, StoreHarness};
use crate::build::{
    change, item, item_key, numbered_user, person, record, room, shelf, tenant, user,
};

fn put(item: &Item) -> Transaction {
    change(1, [Change::PutItem(Box::new(item.clone()))])
}

fn query(shelf: Shelf) -> ItemQuery {
    ItemQuery {
        shelf,
        status: None,
        of: None,
        before: None,
        limit: 2,
    }
}

/// Ids of a page, and whether there are more.
async fn page(tenant: &dyn TenantStore, query: &ItemQuery) -> (Vec<String>, bool) {
    let page = tenant.items(query).await.expect("a page");
    let ids = page
        .items
        .iter()
        .map(|item| item.key.id.as_str().to_owned());
    (ids.collect(), page.has_more)
}

/// Everything that an item has comes back, and a second put replaces all of it.
pub async fn an_item_is_found_with_everything_that_it_had(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let full = item("a", "i");
    assert_eq!(bench.tenant.item(&full.key).await, Ok(None));
    bench.apply(put(&full)).await;
    assert_eq!(bench.tenant.item(&full.key).await, Ok(Some(full.clone())));
    let bare = Item {
        status: None,
        owner: None,
        assignee: None,
        reason: None,
        files: Vec::new(),
        lease: None,
        temporary_id: None,
        version: 8,
        ..full.clone()
    };
    bench.apply(put(&bare)).await;
    assert_eq!(bench.tenant.item(&full.key).await, Ok(Some(bare.clone())));
    bench
        .apply(change(1, [Change::DeleteItem(full.key.clone())]))
        .await;
    assert_eq!(bench.tenant.item(&full.key).await, Ok(None));
    // Once more changes nothing.
    bench.apply(change(1, [Change::DeleteItem(full.key)])).await;
}

/// Kind, room and id are the key; no spelling of one is mistaken for another, and no tenant sees another's.
pub async fn items_that_look_alike_are_different_items(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let shelves = [
        Shelf {
            kind: "task".into(),
            room: None,
        },
        Shelf {
            kind: "task".into(),
            room: Some(room("")),
        },
        Shelf {
            kind: "task".into(),
            room: Some(room("a")),
        },
        Shelf {
            kind: "task:a".into(),
            room: None,
        },
    ];
    for (number, shelf) in shelves.iter().enumerate() {
        let mut one = item("a", "1");
        one.key.shelf = shelf.clone();
        one.version = number as u64;
        bench.apply(put(&one)).await;
    }
    for (number, shelf) in shelves.iter().enumerate() {
        let key = ItemKey {
            shelf: shelf.clone(),
            id: ItemId::text("1"),
        };
        let found = bench.tenant.item(&key).await.expect("a read");
        assert_eq!(found.map(|item| item.version), Some(number as u64));
        assert_eq!(
            page(&*bench.tenant, &query(shelf.clone())).await,
            (vec!["1".to_owned()], false)
        );
    }
    let other = bench
        .open
        .store()
        .tenant(&tenant("two"))
        .await
        .expect("a tenant");
    let key = ItemKey {
        shelf: shelves[0].clone(),
        id: ItemId::text("1"),
    };
    assert_eq!(other.item(&key).await, Ok(None));
    assert_eq!(
        page(&*other, &query(shelves[0].clone())).await,
        (Vec::new(), false)
    );
}

/// An id is compared as text and keeps the JSON form that it had.
pub async fn the_id_of_an_item_keeps_its_json_form(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let mut numbered = item("a", "9");
    numbered.key.id = ItemId(numbered_user(9));
    bench.apply(put(&numbered)).await;
    let found = bench
        .tenant
        .item(&item_key("a", "9"))
        .await
        .expect("a read");
    assert_eq!(
        found.expect("an item").key.id.to_json(),
        serde_json::json!(9)
    );
}

/// Newest first by creation, whatever was changed since; `before` is exclusive, and nothing comes before what is not there.
pub async fn items_are_paged_newest_first_by_creation(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    for id in ["c", "a", "e", "b", "d"] {
        bench.apply(put(&item("a", id))).await;
    }
    let mut changed = item("a", "c");
    changed.version += 1;
    bench.apply(put(&changed)).await;
    bench
        .apply(change(1, [Change::DeleteItem(item_key("a", "e"))]))
        .await;
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let newest = query(shelf("a"));
    assert_eq!(
        page(&*bench.tenant, &newest).await,
        (texts(&["d", "b"]), true)
    );
    let older = ItemQuery {
        before: Some(ItemId::text("b")),
        ..newest.clone()
    };
    assert_eq!(
        page(&*bench.tenant, &older).await,
        (texts(&["a", "c"]), false)
    );
    let gone = ItemQuery {
        before: Some(ItemId::text("e")),
        ..newest
    };
    assert_eq!(page(&*bench.tenant, &gone).await, (Vec::new(), false));
}

/// A page of one status, or of what one user owns or was given, or of both at once.
pub async fn items_are_listed_by_status_and_by_owner_or_assignee(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let (ann, bob) = (user("ann"), user("bob"));
    let all = [
        ("1", "todo", &ann, &ann),
        ("2", "done", &ann, &bob),
        ("3", "todo", &bob, &ann),
        ("4", "todo", &bob, &bob),
    ];
    for (id, status, owner, assignee) in all {
        let one = Item {
            status: Some(status.into()),
            owner: Some(person(owner)),
            assignee: Some(assignee.clone()),
            ..item("a", id)
        };
        bench.apply(put(&one)).await;
    }
    let list = async |status: Option<&str>, of: Option<&str>| {
        let query = ItemQuery {
            status: status.map(Into::into),
            of: of.map(user),
            limit: 10,
            ..query(shelf("a"))
        };
        page(&*bench.tenant, &query).await.0.join("")
    };
    assert_eq!(list(None, None).await, "4321");
    assert_eq!(list(Some("todo"), None).await, "431");
    assert_eq!(list(None, Some("ann")).await, "321");
    assert_eq!(list(None, Some("bob")).await, "432");
    assert_eq!(list(Some("todo"), Some("ann")).await, "31");
    assert_eq!(list(Some("none"), Some("ann")).await, "");
}

/// Of several who decided on the same version only the first is applied.
pub async fn an_item_is_changed_only_as_it_was_loaded(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let created = item("a", "i");
    let on = |version: Option<u64>, next: u64| Transaction {
        preconditions: vec![Precondition::ItemUnchanged {
            key: created.key.clone(),
            version,
        }],
        records: vec![record(EventKind::ItemMoved, &room("a"), "moved")],
        ..put(&Item {
            version: next,
            ..created.clone()
        })
    };
    assert_eq!(
        bench.commit(on(Some(1), 2)).await,
        Err(CommitError::Conflict)
    );
    let outcomes = join_all((0..5).map(|_| bench.commit(on(None, 1)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let outcomes = join_all((0..5).map(|_| bench.commit(on(Some(1), 2)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(bench.log_after(0).await.len(), 2);
    bench
        .apply(change(1, [Change::DeleteItem(created.key.clone())]))
        .await;
    assert_eq!(
        bench.commit(on(Some(2), 3)).await,
        Err(CommitError::Conflict)
    );
}

/// A temporary id is one shelf's and one owner's, and free again once its item is deleted.
pub async fn a_temporary_id_finds_its_item_and_is_taken_until_the_item_goes(
    harness: &dyn StoreHarness,
) {
    let bench = Bench::new(harness).await;
    let made = item("a", "i");
    let temporary = TemporaryId::of(&made).expect("a temporary id");
    let free = |id: &str| Transaction {
        preconditions: vec![Precondition::TemporaryIdFree(temporary.clone())],
        ..put(&item("a", id))
    };
    let outcomes = join_all(["i", "j"].map(|id| bench.commit(free(id)))).await;
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(CommitError::Conflict));
    assert_eq!(
        bench.tenant.item_of(&temporary).await,
        Ok(Some(made.clone()))
    );
    let others = [
        TemporaryId {
            owner: None,
            ..temporary.clone()
        },
        TemporaryId {
            owner: Some(user("bob")),
            ..temporary.clone()
        },
        TemporaryId {
            shelf: shelf("b"),
            ..temporary.clone()
        },
        TemporaryId {
            key: "other".into(),
            ..temporary.clone()
        },
    ];
    for other in others {
        assert_eq!(bench.tenant.item_of(&other).await, Ok(None));
    }
    bench.apply(change(1, [Change::DeleteItem(made.key)])).await;
    assert_eq!(bench.tenant.item_of(&temporary).await, Ok(None));
    bench.apply(free("j")).await;
}

/// The oldest first; what is taken comes back when its lease ends, and what has none never.
pub async fn items_are_claimable_oldest_first_when_their_lease_is_free(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let leases = [
        ("1", Some(30)),
        ("2", None),
        ("3", Some(0)),
        ("4", Some(20)),
    ];
    for (id, free_at) in leases {
        let lease = free_at.map(|free_at| Lease {
            free_at: Timestamp(free_at),
            is_taken: free_at > 0,
            lost: 0,
        });
        bench
            .apply(put(&Item {
                lease,
                ..item("a", id)
            }))
            .await;
    }
    let free = async |now, limit| {
        let found = bench
            .tenant
            .claimable(&shelf("a"), Timestamp(now), limit)
            .await;
        let found = found.expect("a read");
        let ids = found.iter().map(|item| item.key.id.as_str().to_owned());
        ids.collect::<String>()
    };
    assert_eq!(free(19, 10).await, "3");
    assert_eq!(free(20, 10).await, "34");
    assert_eq!(free(30, 10).await, "134");
    assert_eq!(free(30, 2).await, "13");
}

/// An event of several kinds is read again as it was.
pub async fn an_event_of_several_kinds_stays_one(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    let mut both = record(EventKind::ItemUpdated, &room("a"), "both");
    both.event.also = vec![EventKind::ItemMoved, EventKind::ItemAssigned];
    bench.apply(crate::build::append([both])).await;
    let Some(bench) = bench.reopened().await else {
        return;
    };
    let log = bench.log_after(0).await;
    let kinds: Vec<_> = log[0].event.kinds().map(EventKind::name).collect();
    assert_eq!(kinds, ["item.updated", "item.moved", "item.assigned"]);
}

/// Items are state, not log: they outlive the process.
pub async fn items_are_there_after_opening_again(harness: &dyn StoreHarness) {
    let bench = Bench::new(harness).await;
    for id in ["1", "2", "3"] {
        bench.apply(put(&item("a", id))).await;
    }
    let Some(bench) = bench.reopened().await else {
        return;
    };
    let found = bench.tenant.item(&item_key("a", "2")).await;
    assert_eq!(found, Ok(Some(item("a", "2"))));
    let (ids, more) = page(&*bench.tenant, &query(shelf("a"))).await;
    assert_eq!((ids.join(""), more), ("32".to_owned(), true));
}
