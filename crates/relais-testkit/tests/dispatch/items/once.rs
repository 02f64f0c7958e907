//! Created once, in whose name, listed and deleted.

use futures_util::future::join_all;
use relais_core::command::Relation;
use relais_core::error::Code;
use relais_core::ids::UserId;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_temporary_id_makes_one_item_however_often_it_is_sent() {
    let house = House::new();
    let keyed = |title: &str| ItemRequest {
        key: Some("k1".into()),
        ..create("task", json!({ "title": title }))
    };
    let id = made(&house, "alice", keyed("Cake")).await;
    ask(
        &house,
        "alice",
        update("task", &id, json!({ "notes": "soon" })),
    )
    .await
    .unwrap();
    told(&house);
    assert_eq!(made(&house, "alice", keyed("Cake")).await, id);
    assert_eq!(
        code(ask(&house, "alice", keyed("Rings")).await),
        Code::IdempotencyConflict
    );
    assert!(told(&house).is_empty());
    assert_ne!(made(&house, "bob", keyed("Cake")).await, id);
    let together = (0..5).map(|_| {
        let other = ItemRequest {
            key: Some("k2".into()),
            ..create("task", json!({ "title": "Rings" }))
        };
        made(&house, "alice", other)
    });
    let ids = join_all(together).await;
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn an_id_that_a_client_chose_is_kept_as_it_came_and_is_its_owner_s() {
    let house = House::new();
    let published = |title: &str| ItemRequest {
        id: Some(ItemId(UserId::from_json(&json!(9)).unwrap())),
        ..create(
            "story",
            json!({ "title": title, "cover": { "url": "c.png" } }),
        )
    };
    let answer = ask(&house, "ines", published("Dawn")).await.unwrap();
    assert_eq!(answer["item"]["id"], json!(9));
    assert_eq!(answer["item"]["fields"]["cover"], json!({ "url": "c.png" }));
    assert_eq!(told(&house), ["item.created"]);
    ask(&house, "ines", published("Dawn")).await.unwrap();
    assert!(told(&house).is_empty());
    assert_eq!(
        code(ask(&house, "ines", published("Dusk")).await),
        Code::IdempotencyConflict
    );
    assert_eq!(
        code(ask(&house, "tom", published("Dawn")).await),
        Code::IdempotencyConflict
    );
    let owner_only = Permission {
        also: vec![Relation::Owner],
        ..Permission::default()
    };
    let edit = || ItemRequest {
        may: owner_only.clone(),
        ..update("story", "9", json!({ "title": "Dawn, again" }))
    };
    assert_eq!(code(ask(&house, "tom", edit()).await), Code::Forbidden);
    ask(&house, "ines", edit()).await.unwrap();
}

#[tokio::test]
async fn the_backend_creates_in_somebody_s_name_or_in_nobody_s() {
    let house = House::new();
    house.connect("ines", "i1").await;
    let of = |owner: Option<&str>, title: &str| {
        command(ItemRequest {
            owner: owner.map(user),
            ..create("story", json!({ "title": title }))
        })
    };
    let answer = house.by_key(of(Some("ines"), "Dawn")).await.unwrap();
    assert_eq!(
        answer["item"]["owner"],
        json!({ "id": "ines", "name": "INES" })
    );
    let answer = house.by_key(of(Some("unknown"), "Dusk")).await.unwrap();
    assert_eq!(
        answer["item"]["owner"],
        json!({ "id": "unknown", "name": "unknown" })
    );
    let answer = house.by_key(of(None, "Noon")).await.unwrap();
    assert!(!answer["item"].as_object().unwrap().contains_key("owner"));
}

#[tokio::test]
async fn a_list_shows_what_its_reader_sees_newest_first() {
    let house = House::new();
    for (name, title) in [("odile", "a"), ("bob", "b"), ("odile", "c")] {
        made(&house, name, create("music", json!({ "title": title }))).await;
    }
    assert_eq!(
        list(&house, "dj", listing("music")).await,
        ("cba".to_owned(), false)
    );
    assert_eq!(
        list(&house, "odile", listing("music")).await,
        ("ca".to_owned(), false)
    );
    assert_eq!(
        list(&house, "eve", listing("music")).await,
        (String::new(), false)
    );
    let two = ItemListing {
        limit: 2,
        ..listing("music")
    };
    assert_eq!(list(&house, "dj", two).await, ("cb".to_owned(), true));
    let accepted = ItemListing {
        status: Some("accepted".into()),
        ..listing("music")
    };
    assert_eq!(list(&house, "dj", accepted).await, (String::new(), false));
    let gone = ItemListing {
        before: Some(ItemId::text("no such")),
        ..listing("music")
    };
    let answer = house
        .on_http("dj", Command::ListItems(Box::new(gone)))
        .await;
    assert_eq!(code(answer), Code::NotFound);
    let unknown = house
        .on_http("dj", Command::ListItems(Box::new(listing("x"))))
        .await;
    assert_eq!(code(unknown), Code::InvalidPayload);
}

#[tokio::test]
async fn a_deleted_item_is_gone_and_its_id_is_free() {
    let house = House::new();
    let chosen = || ItemRequest {
        id: Some(ItemId::text("s1")),
        ..create("story", json!({ "title": "Dawn" }))
    };
    ask(&house, "ines", chosen()).await.unwrap();
    let owner_only = Permission {
        also: vec![Relation::Owner],
        ..Permission::default()
    };
    let delete = || ItemRequest {
        may: owner_only.clone(),
        ..about(ItemAction::Delete, "story", "s1")
    };
    assert_eq!(code(ask(&house, "tom", delete()).await), Code::Forbidden);
    ask(&house, "ines", delete()).await.unwrap();
    assert_eq!(code(ask(&house, "ines", delete()).await), Code::NotFound);
    ask(&house, "tom", chosen()).await.unwrap();
}
