//! Files that are uploaded before there is an item for them, and fields that an item needs.

use relais_core::error::Code;
use relais_core::event::FileInfo;
use relais_core::ids::Id;
use relais_core::ports::Uploaded;
use serde_json::json;

use super::*;

/// Puts an upload where the files are, under an address.
fn uploaded(house: &House, address: &str, number: u128, is_late: bool) -> Uploaded {
    let id = Id(uuid::Uuid::from_u128(number));
    let upload = Uploaded {
        item: ItemId::text(id.to_string()),
        file: FileInfo {
            id,
            filename: "cake.png".into(),
            path: format!("photos/{number}.png").into(),
            content_type: "image/png".into(),
            bytes: 7,
        },
        is_late,
    };
    let mut uploads = house.hub.uploads.lock().unwrap();
    uploads.insert(address.to_owned(), upload.clone());
    upload
}

fn photo(url: Value) -> ItemRequest {
    create("photo", json!({ "url": url, "caption": "Cake" }))
}

#[tokio::test]
async fn an_item_made_of_an_upload_has_its_file_and_a_reference_in_the_place_of_its_address() {
    let house = House::new();
    let upload = uploaded(&house, "signed", 5, false);
    let item = ask(&house, "odile", photo("signed".into())).await.unwrap()["item"].clone();
    assert_eq!(item["id"], upload.item.to_json());
    assert_eq!(item["fields"]["url"], "/files/photos/5.png");
    assert_eq!(item["files"][0]["filename"], "cake.png");
    assert_eq!(told(&house), ["item.created"]);
    // Another address of the same file, which came when the first one was not answered.
    uploaded(&house, "signed again", 5, true);
    assert_eq!(
        made(&house, "odile", photo("signed again".into())).await,
        upload.item.as_str()
    );
    assert!(told(&house).is_empty());
    let others = ask(&house, "bob", photo("signed".into())).await;
    assert_eq!(code(others), Code::IdempotencyConflict);
}

#[tokio::test]
async fn an_upload_that_may_be_swept_at_any_moment_is_not_taken_any_more() {
    let house = House::new();
    uploaded(&house, "late", 6, true);
    let late = ask(&house, "odile", photo("late".into())).await;
    assert_eq!(code(late), Code::InvalidPayload);
}

#[tokio::test]
async fn an_address_is_https_or_an_upload_and_nothing_else() {
    let house = House::new();
    let elsewhere = "https://example.org/a.png";
    let item = ask(&house, "odile", photo(elsewhere.into())).await.unwrap()["item"].clone();
    assert_eq!(
        (&item["fields"]["url"], item.get("files")),
        (&json!(elsewhere), None)
    );
    for url in [
        json!("http://example.org/a.png"),
        json!("/files/x"),
        json!(5),
        json!({}),
    ] {
        let refused = ask(&house, "odile", photo(url.clone())).await;
        assert_eq!(code(refused), Code::InvalidPayload, "{url}");
    }
}

#[tokio::test]
async fn a_changed_item_may_be_given_its_own_upload_and_no_other_one() {
    let house = House::new();
    uploaded(&house, "first", 7, false);
    uploaded(&house, "second", 8, false);
    let id = made(&house, "odile", photo("first".into())).await;
    told(&house);
    let same = update("photo", &id, json!({ "url": "first" }));
    let item = ask(&house, "odile", same).await.unwrap()["item"].clone();
    assert_eq!(item["files"].as_array().unwrap().len(), 1);
    assert!(told(&house).is_empty());
    let other = update("photo", &id, json!({ "url": "second" }));
    assert_eq!(
        code(ask(&house, "odile", other).await),
        Code::InvalidPayload
    );
}

#[tokio::test]
async fn an_upload_is_shown_to_whoever_may_and_makes_nothing() {
    let house = House::new();
    let upload = uploaded(&house, "signed", 9, false);
    let with_file = |kind: &str| ItemRequest {
        file: Some(upload.file.clone()),
        ..request(ItemAction::Upload, kind)
    };
    let answer = ask(&house, "odile", with_file("photo")).await.unwrap();
    assert_eq!(answer["file"]["url"], "photos/9.png");
    assert!(told(&house).is_empty());
    let (found, _) = list_ids(&house, "photo").await;
    assert!(found.is_empty());
    let mut for_djs = with_file("photo");
    for_djs.may.roles = words(&["dj"]);
    assert_eq!(code(ask(&house, "odile", for_djs).await), Code::Forbidden);
    assert_eq!(
        code(ask(&house, "odile", with_file("task")).await),
        Code::InvalidState
    );
    let without = request(ItemAction::Upload, "photo");
    assert_eq!(
        code(ask(&house, "odile", without).await),
        Code::InvalidPayload
    );
}

async fn list_ids(house: &House, kind: &str) -> (Vec<String>, bool) {
    let command = Command::ListItems(Box::new(listing(kind)));
    let answer = house.on_http("odile", command).await.unwrap();
    let items = answer["items"].as_array().unwrap().iter();
    let ids = items.map(|item| item["id"].as_str().unwrap().to_owned());
    (ids.collect(), answer["hasMore"].as_bool().unwrap())
}

#[tokio::test]
async fn an_item_is_made_with_the_fields_that_it_needs_and_keeps_them() {
    let house = House::new();
    let without = |action| ItemRequest {
        fields: fields(json!({ "notes": "soon" })),
        status: Some("doing".into()),
        ..request(action, "task")
    };
    for action in [ItemAction::Create, ItemAction::Save] {
        let refused = ask(&house, "alice", without(action)).await;
        assert_eq!(code(refused), Code::InvalidPayload);
    }
    assert!(told(&house).is_empty());
    let id = made(&house, "alice", create("task", json!({ "title": "Cake" }))).await;
    let notes = update("task", &id, json!({ "notes": "soon" }));
    ask(&house, "alice", notes).await.unwrap();
    let cleared = update("task", &id, json!({ "title": null }));
    assert_eq!(
        code(ask(&house, "alice", cleared).await),
        Code::InvalidPayload
    );
}
