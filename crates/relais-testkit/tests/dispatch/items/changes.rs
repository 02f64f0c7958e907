//! Which moves there are, what is told of a change, who may, and what happens when two do the same thing at once.

use relais_core::command::Relation;
use relais_core::error::Code;
use relais_core::ports::{Change, Transaction};
use serde_json::json;

use super::*;

#[tokio::test]
async fn an_item_begins_in_its_first_status_and_belongs_to_who_created_it() {
    let house = House::new();
    let asked = ItemRequest {
        owner: Some(user("mallory")),
        ..create("music", json!({ "title": "Volare", "sneaky": 1 }))
    };
    let answer = ask(&house, "odile", asked).await.unwrap();
    let item = &answer["item"];
    assert_eq!(item["status"], "pending");
    assert_eq!(item["fields"], json!({ "title": "Volare" }));
    assert_eq!(item["owner"], json!({ "id": "odile", "name": "ODILE" }));
    assert_eq!(told(&house), ["item.created"]);
}

#[tokio::test]
async fn only_declared_moves_are_made_and_a_final_status_is_final() {
    let house = House::new();
    let id = made(
        &house,
        "odile",
        create("music", json!({ "title": "Volare" })),
    )
    .await;
    told(&house);
    let unknown = ask(&house, "dj", to_status("music", &id, "played")).await;
    assert_eq!(code(unknown), Code::InvalidPayload);
    let reasoned = ItemRequest {
        reason: Some("a classic".into()),
        ..to_status("music", &id, "accepted")
    };
    let answer = ask(&house, "dj", reasoned).await.unwrap();
    assert_eq!(answer["item"]["status"], "accepted");
    assert_eq!(answer["item"]["reason"], "a classic");
    for status in ["accepted", "rejected", "pending"] {
        let again = ask(&house, "dj", to_status("music", &id, status)).await;
        assert_eq!(code(again), Code::InvalidState, "{status}");
    }
    assert_eq!(told(&house), ["item.moved"]);
}

#[tokio::test]
async fn of_two_who_answer_at_once_one_wins_and_the_other_is_told_so() {
    let house = House::new();
    let id = made(
        &house,
        "odile",
        create("music", json!({ "title": "Volare" })),
    )
    .await;
    told(&house);
    // Loaded by both, decided by both, then committed one after the other.
    let first = house.tenant_store().await;
    let key = relais_core::ids::ItemKey {
        shelf: listing("music").shelf,
        id: ItemId::text(id.as_str()),
    };
    let mut answered = first.item(&key).await.unwrap().unwrap();
    answered.status = Some("accepted".into());
    answered.version += 1;
    let meanwhile = Transaction {
        changes: vec![Change::PutItem(Box::new(answered))],
        ..Transaction::default()
    };
    house
        .store
        .faults
        .before
        .lock()
        .unwrap()
        .push_back(meanwhile);
    let second = ask(&house, "dj", to_status("music", &id, "rejected")).await;
    assert_eq!(code(second), Code::InvalidState);
    assert!(told(&house).is_empty());
}

#[tokio::test]
async fn who_does_not_see_an_item_is_told_that_it_is_not_there() {
    let house = House::new();
    let id = made(
        &house,
        "odile",
        create("music", json!({ "title": "Volare" })),
    )
    .await;
    for name in ["odile", "dj"] {
        ask(&house, name, about(ItemAction::Get, "music", &id))
            .await
            .unwrap();
    }
    let stranger = ask(&house, "bob", about(ItemAction::Get, "music", &id)).await;
    assert_eq!(code(stranger), Code::NotFound);
    let hidden = ask(&house, "bob", to_status("music", &id, "accepted")).await;
    assert_eq!(code(hidden), Code::NotFound);
    // Its owner sees it, and may not answer it.
    let owner = ask(&house, "odile", to_status("music", &id, "accepted")).await;
    assert_eq!(code(owner), Code::Forbidden);
    let missing = ask(&house, "dj", to_status("music", "no such", "accepted")).await;
    assert_eq!(code(missing), Code::NotFound);
    let nameless = ask(&house, "dj", request(ItemAction::Get, "music")).await;
    assert_eq!(code(nameless), Code::InvalidPayload);
}

#[tokio::test]
async fn given_fields_replace_an_explicit_null_clears_and_the_rest_stays() {
    let house = House::new();
    let id = made(
        &house,
        "alice",
        create("task", json!({ "title": "Cake", "notes": "three tiers" })),
    )
    .await;
    told(&house);
    let answer = ask(
        &house,
        "bob",
        update("task", &id, json!({ "title": "The cake", "other": 1 })),
    )
    .await
    .unwrap();
    assert_eq!(
        answer["item"]["fields"],
        json!({ "title": "The cake", "notes": "three tiers" })
    );
    let answer = ask(&house, "bob", update("task", &id, json!({ "notes": null })))
        .await
        .unwrap();
    assert_eq!(answer["item"]["fields"], json!({ "title": "The cake" }));
    assert_eq!(told(&house), ["item.updated", "item.updated"]);
    // What changes nothing is told to nobody.
    ask(
        &house,
        "bob",
        update("task", &id, json!({ "title": "The cake" })),
    )
    .await
    .unwrap();
    assert!(told(&house).is_empty());
}

#[tokio::test]
async fn one_change_of_fields_status_and_assignee_is_one_record() {
    let house = House::new();
    let id = made(&house, "alice", create("task", json!({ "title": "Cake" }))).await;
    told(&house);
    let all = ItemRequest {
        action: ItemAction::Save,
        status: Some("doing".into()),
        assignee: Some(Some(user("bob"))),
        ..update("task", &id, json!({ "title": "The cake" }))
    };
    ask(&house, "alice", all.clone()).await.unwrap();
    assert_eq!(told(&house), ["item.updated+item.moved+item.assigned"]);
    // The same again: nothing is new, and a status that is there already is no move.
    ask(&house, "alice", all).await.unwrap();
    assert!(told(&house).is_empty());
    let nobody = ItemRequest {
        assignee: Some(None),
        ..update("task", &id, json!({}))
    };
    let answer = ask(&house, "alice", nobody).await.unwrap();
    assert!(!answer["item"].as_object().unwrap().contains_key("assignee"));
    assert_eq!(told(&house), ["item.updated"]);
}

#[tokio::test]
async fn a_save_without_an_id_creates_and_needs_a_field() {
    let house = House::new();
    let save = |of: Value| ItemRequest {
        action: ItemAction::Save,
        assignee: Some(Some(user("bob"))),
        ..create("task", of)
    };
    let id = made(&house, "alice", save(json!({ "title": "Cake" }))).await;
    assert_eq!(told(&house), ["item.created+item.assigned"]);
    assert_eq!(
        code(ask(&house, "alice", save(json!({}))).await),
        Code::InvalidPayload
    );
    let missing = ItemRequest {
        id: Some(ItemId::text("no such")),
        ..save(json!({ "title": "Cake" }))
    };
    assert_eq!(code(ask(&house, "alice", missing).await), Code::NotFound);
    let begun = ItemRequest {
        status: Some("doing".into()),
        ..save(json!({ "title": "Rings" }))
    };
    let answer = ask(&house, "alice", begun).await.unwrap();
    assert_eq!(answer["item"]["status"], "doing");
    assert_ne!(answer["item"]["id"], json!(id));
}

#[tokio::test]
async fn the_assignee_may_where_the_event_says_so_and_others_may_not() {
    let house = House::new();
    let may = Permission {
        roles: words(&["dj"]),
        also: vec![Relation::Assignee],
        ..Permission::default()
    };
    let given = ItemRequest {
        assignee: Some(Some(user("bob"))),
        ..create("task", json!({ "title": "Cake" }))
    };
    let id = made(&house, "alice", given).await;
    let done = || ItemRequest {
        status: Some("done".into()),
        may: may.clone(),
        ..update("task", &id, json!({}))
    };
    assert_eq!(code(ask(&house, "alice", done()).await), Code::Forbidden);
    ask(&house, "bob", done()).await.unwrap();
    ask(
        &house,
        "dj",
        update("task", &id, json!({ "notes": "good" })),
    )
    .await
    .unwrap();
    // A new one is nobody's yet: there the role decides.
    let new = ItemRequest {
        may: may.clone(),
        ..create("task", json!({ "title": "Rings" }))
    };
    assert_eq!(code(ask(&house, "bob", new.clone()).await), Code::Forbidden);
    ask(&house, "dj", new).await.unwrap();
}

#[tokio::test]
async fn items_of_a_room_are_for_those_in_it_or_with_the_role() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.connect("bob", "b1").await;
    house.connect("eve", "e1").await;
    let in_room = |room: &str| ItemRequest {
        shelf: Shelf {
            kind: "task".into(),
            room: Some(bam(room)),
        },
        ..create("task", json!({ "title": "Cake" }))
    };
    let on = |name: &'static str, session: &'static str, request: ItemRequest| {
        house.on_session(name, session, command(request))
    };
    on("alice", "a1", in_room("1")).await.unwrap();
    let record = house.told.records.lock().unwrap().last().unwrap().clone();
    assert_eq!(record.event.room, Some(bam("1")));
    assert_eq!(code(on("bob", "b1", in_room("1")).await), Code::NotInRoom);
    assert_eq!(code(on("eve", "e1", in_room("9")).await), Code::NotAMember);
    let as_dj = ItemRequest {
        may: Permission {
            roles: words(&["dj"]),
            ..Permission::default()
        },
        ..in_room("9")
    };
    house.connect("dj", "d1").await;
    on("dj", "d1", as_dj).await.unwrap();
}

/// A task in the club of a story, for its owner and for DJs.
fn in_club(story: &str, title: &str) -> ItemRequest {
    let mut request = create("task", json!({ "title": title }));
    request.shelf.room = Some(club(story));
    request.may = Permission {
        roles: words(&["dj"]),
        also: vec![Relation::RoomOwner],
        ..Permission::default()
    };
    request
}

#[tokio::test]
async fn what_lies_in_a_room_may_be_for_the_owner_of_what_the_room_is_about() {
    let house = House::new();
    let story = made(&house, "ines", create("story", json!({ "title": "Dawn" }))).await;
    told(&house);
    // Neither has joined the club.
    let chapter = made(&house, "ines", in_club(&story, "One")).await;
    for (who, about) in [("max", &*story), ("ines", "unknown")] {
        let refused = ask(&house, who, in_club(about, "Two")).await;
        assert_eq!(code(refused), Code::Forbidden, "{who}");
    }
    assert_eq!(told(&house), ["item.created"]);
    made(&house, "dj", in_club("unknown", "Three")).await;
    house
        .by_key(command(in_club("other", "Four")))
        .await
        .unwrap();
    let edit = |title: &str| ItemRequest {
        id: Some(ItemId::text(chapter.as_str())),
        action: ItemAction::Update,
        ..in_club(&story, title)
    };
    ask(&house, "ines", edit("Five")).await.unwrap();
    assert_eq!(
        code(ask(&house, "max", edit("Six")).await),
        Code::NotAMember
    );
    house.on_http("max", follow(&story)).await.unwrap();
    assert_eq!(code(ask(&house, "max", edit("Six")).await), Code::Forbidden);
}
