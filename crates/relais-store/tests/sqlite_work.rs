//! What the SQLite store knows over all tenants: who it is, and which of them have something to be worked on.

use std::sync::Arc;

use relais_core::event::{Item, Lease};
use relais_core::ids::{Epoch, ItemKey, Shelf, TenantKey, Timestamp};
use relais_core::ports::{Change, Store};
use relais_store::sqlite::{SqliteOptions, SqliteStore};
use relais_testkit::build::{change, item, shelf, tenant};
use relais_testkit::contract::store::Recorder;

fn open(folder: &std::path::Path) -> SqliteStore {
    let options = SqliteOptions::new(folder.join("relais.db"));
    SqliteStore::open(options, Arc::<Recorder>::default(), Arc::new(|| Epoch(1))).expect("opened")
}

/// Stores an item that is free from `free_at` on.
async fn put(store: &SqliteStore, of: &TenantKey, shelf: Shelf, id: &str, free_at: Option<i64>) {
    let lease = free_at.map(|free_at| Lease {
        free_at: Timestamp(free_at),
        is_taken: free_at > 0,
        lost: 0,
    });
    let made = item("a", id);
    let key = ItemKey {
        shelf,
        ..made.key.clone()
    };
    let item = Item { key, lease, ..made };
    let tenant = store.tenant(of).await.expect("a tenant");
    let done = tenant.commit(change(1, [Change::PutItem(Box::new(item))]));
    done.await.expect("stored");
}

#[tokio::test]
async fn a_database_is_the_same_when_it_is_opened_again_and_no_other() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(one.path());
    let id = first.id().clone();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    first.close().await.expect("closed");
    assert_eq!(*open(one.path()).id(), id);
    assert_ne!(*open(other.path()).id(), id);
}

#[tokio::test]
async fn tenants_with_work_are_those_with_an_item_that_is_free_now() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let of_kind = |kind: &str| Shelf {
        kind: kind.into(),
        room: None,
    };
    let task = || of_kind("task");
    for id in ["1", "2"] {
        put(&store, &tenant("busy"), task(), id, Some(50)).await;
    }
    put(&store, &tenant("busy"), task(), "3", Some(0)).await;
    put(&store, &tenant("later"), task(), "1", Some(50)).await;
    put(&store, &tenant("done"), task(), "1", None).await;
    put(&store, &tenant("in a room"), shelf("a"), "1", Some(0)).await;
    put(
        &store,
        &tenant("other kind"),
        of_kind("photo"),
        "1",
        Some(0),
    )
    .await;
    put(
        &store,
        &TenantKey::new("other", "app"),
        task(),
        "1",
        Some(0),
    )
    .await;
    put(&store, &tenant("free"), task(), "1", Some(0)).await;
    let working = async |now, limit| {
        let asked = (&"app".into(), &"task".into());
        let found = store.with_free_items(asked, Timestamp(now), limit).await;
        let found = found.expect("asked").into_iter();
        found.map(|key| key.tenant.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(working(10, 9).await, ["busy", "free"]);
    assert_eq!(working(50, 9).await, ["busy", "later", "free"]);
    assert_eq!(working(50, 1).await, ["busy"]);
}
