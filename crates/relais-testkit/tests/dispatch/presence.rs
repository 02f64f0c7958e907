//! Presence through the door: who hears of what, what is stored of it, and how it survives a restart.

use std::pin::pin;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use relais_core::command::Command;
use relais_core::error::Code;
use relais_core::ids::{AudienceKey, Timestamp};
use serde_json::json;

use crate::house::*;

fn get(name: &str) -> Command {
    Command::GetPresence { user: user(name) }
}

#[tokio::test]
async fn a_status_is_told_once_to_the_rooms_that_the_user_is_in() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.on_session("alice", "a1", join("2")).await.unwrap();
    house.told.volatile.lock().unwrap().clear();
    house
        .on_session("alice", "a1", status("away"))
        .await
        .unwrap();
    house
        .on_session("alice", "a1", status("away"))
        .await
        .unwrap();
    let told = house.told.volatile.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "the same status again costs nothing");
    let audience = told[0].event.audience.clone().unwrap();
    assert_eq!(audience.to, [bam("1"), bam("2")].map(AudienceKey::Room));
    assert_eq!(audience.except_user, Some(user("alice")));
    assert_eq!(told[0].event.body["status"], "away");
}

#[tokio::test]
async fn what_the_app_puts_in_no_event_is_told_to_nobody_and_known_all_the_same() {
    let house = House::telling_nothing();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house
        .on_session("alice", "a1", status("away"))
        .await
        .unwrap();
    assert!(house.told.volatile.lock().unwrap().is_empty());
    let seen = house.on_session("bob", "b1", get("alice")).await.unwrap();
    assert_eq!(seen["status"], "away");
}

#[tokio::test]
async fn an_undeclared_status_is_refused_and_so_is_one_without_a_session() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let asleep = house.on_session("alice", "a1", status("asleep")).await;
    assert_eq!(code(asleep), Code::InvalidPayload);
    assert_eq!(
        code(house.on_http("bob", status("away")).await),
        Code::InvalidState
    );
    assert_eq!(code(house.by_key(status("away")).await), Code::Forbidden);
    house.on_http("alice", status("busy")).await.unwrap();
    assert_eq!(house.heard().len(), 0, "nobody shares a room with her");
}

#[tokio::test]
async fn with_the_whole_tenant_as_contacts_everybody_hears_of_coming_and_going() {
    let house = House::with(Contacts::Tenant);
    house.connect("alice", "a1").await;
    house.connect("alice", "a2").await;
    house.depart("a1", Departure::Clean);
    assert_eq!(house.heard(), ["presence.online alice online"]);
    house.depart("a2", Departure::Clean);
    assert_eq!(
        house.heard(),
        [
            "presence.offline alice offline",
            "presence.changed alice offline"
        ]
    );
}

#[tokio::test]
async fn a_lost_transport_is_seen_after_the_grace_and_a_flap_never() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.heard();
    house.depart("a1", Departure::Lost);
    house.pass(4_999);
    assert!(house.heard().is_empty());
    house.resume("alice", "a1").await.unwrap();
    house.pass(60_000);
    assert!(house.heard().is_empty());
    house.depart("a1", Departure::Lost);
    house.pass(5_000);
    let gone = [
        "room.left alice 1",
        "presence.offline alice offline",
        "presence.changed alice offline",
    ];
    assert_eq!(house.heard(), gone);
}

#[tokio::test]
async fn presence_of_one_user_is_known_online_in_grace_and_afterwards() {
    let house = House::new();
    let unknown = house.by_key(get("alice")).await.unwrap();
    assert_eq!(
        json!(unknown),
        json!({ "userId": "alice", "online": false, "status": "offline" })
    );
    house.connect("alice", "a1").await;
    house.pass(1_000);
    let online = house.by_key(get("alice")).await.unwrap();
    assert_eq!(
        (&online["online"], &online["status"]),
        (&json!(true), &json!("online"))
    );
    assert_eq!(online["lastSeen"], house.now().wall.to_string());
    house.depart("a1", Departure::Lost);
    let lost_at = house.now().wall.to_string();
    house.pass(1_000);
    let in_grace = house.by_key(get("alice")).await.unwrap();
    assert_eq!(
        (&in_grace["online"], &in_grace["lastSeen"]),
        (&json!(true), &json!(lost_at))
    );
    house.pass(9_000);
    for stored in [false, true] {
        let offline = house.by_key(get("alice")).await.unwrap();
        assert_eq!(offline["online"], false);
        assert_eq!(offline["lastSeen"], lost_at);
        assert_eq!(
            house.dispatcher.persist(house.now()).await,
            Ok(false),
            "{stored}"
        );
    }
}

#[tokio::test]
async fn who_has_just_left_is_known_while_that_is_being_stored() {
    let house = House::new();
    house.connect("alice", "a1").await;
    house.depart("a1", Departure::Clean);
    house.store.faults.stuck.store(true, Ordering::SeqCst);
    let mut storing = pin!(house.dispatcher.persist(house.now()));
    assert!(storing.as_mut().now_or_never().is_none());
    let alice = house.by_key(get("alice")).await.unwrap();
    assert_eq!(alice["online"], false);
    assert_eq!(alice["lastSeen"], house.now().wall.to_string());
}

#[tokio::test]
async fn the_people_online_come_in_pages() {
    let house = House::new();
    for name in ["carol", "alice", "bob"] {
        house.connect(name, name).await;
    }
    let page = async |before: Option<&str>, limit| {
        let before = before.map(user);
        house
            .by_key(Command::ListPresence { before, limit })
            .await
            .unwrap()
    };
    let first = page(None, 2).await;
    assert_eq!(
        (users(&first["users"]), &first["hasMore"]),
        (vec!["alice", "bob"], &json!(true))
    );
    let last = page(Some("bob"), 2).await;
    assert_eq!(
        (users(&last["users"]), &last["hasMore"]),
        (vec!["carol"], &json!(false))
    );
}

#[tokio::test]
async fn connecting_stores_nothing_and_presence_follows_when_there_is_time() {
    let house = House::new();
    house.connect("alice", "a1").await;
    let store = house.tenant_store().await;
    assert!(store.presences(Timestamp(0)).await.unwrap().is_empty());
    house
        .on_session("alice", "a1", status("busy"))
        .await
        .unwrap();
    assert_eq!(house.dispatcher.persist(house.now()).await, Ok(false));
    let stored = store.presences(Timestamp(0)).await.unwrap();
    assert_eq!(stored.len(), 1, "two changes of one user are one write");
    assert_eq!((stored[0].online, &*stored[0].status), (true, "busy"));
}

#[tokio::test]
async fn what_could_not_be_stored_is_stored_later() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.depart("a1", Departure::Clean);
    let full = relais_core::ports::StoreError::Full;
    house
        .store
        .faults
        .refusals
        .lock()
        .unwrap()
        .push_back(full.into());
    let refused = house.dispatcher.persist(house.now()).await.unwrap_err();
    assert_eq!(refused.code, Code::StorageFull);
    assert_eq!(house.dispatcher.persist(house.now()).await, Ok(false));
    let store = house.tenant_store().await;
    assert!(
        !store
            .presence(&user("alice"))
            .await
            .unwrap()
            .unwrap()
            .online
    );
    let stays = store.session_rooms(&sid("a1")).await.unwrap();
    assert!(stays[0].until.is_some(), "a clean leave closes the stay");
}

#[tokio::test]
async fn after_a_restart_who_resumes_is_not_announced_and_who_does_not_is() {
    let house = House::new();
    house.enter("alice", "a1").await;
    house.enter("bob", "b1").await;
    house
        .on_session("alice", "a1", status("busy"))
        .await
        .unwrap();
    house.dispatcher.persist(house.now()).await.unwrap();
    let house = house.restart();
    house.resume("alice", "a1").await.unwrap();
    let online = house
        .by_key(Command::RoomOnline { room: bam("1") })
        .await
        .unwrap();
    assert_eq!(users(&online["users"]), ["alice", "bob"], "bob is in grace");
    assert_eq!(online["users"][0]["status"], "busy");
    house.pass(6_000);
    assert!(house.heard().is_empty());
    house.pass(1_000);
    let gone = [
        "room.left bob 1",
        "presence.offline bob offline",
        "presence.changed bob offline",
    ];
    assert_eq!(house.heard(), gone);
    house.pass(60_000);
    assert!(house.heard().is_empty());
    let alice = house.by_key(get("alice")).await.unwrap();
    assert_eq!(alice["status"], "busy");
}

#[tokio::test]
async fn a_tenant_that_nobody_uses_is_let_go_and_taken_up_again() {
    let house = House::new();
    house.connect("alice", "a1").await;
    house.depart("a1", Departure::Clean);
    house.dispatcher.persist(house.now()).await.unwrap();
    house.pass(600_001);
    let stats = house.dispatcher.stats(house.now().monotonic);
    assert_eq!(stats.total_connections, 0, "its figures are gone with it");
    house.connect("alice", "a2").await;
    house.pass(600_001);
    let stats = house.dispatcher.stats(house.now().monotonic);
    assert_eq!((stats.total_connections, stats.active_connections), (1, 1));
}
