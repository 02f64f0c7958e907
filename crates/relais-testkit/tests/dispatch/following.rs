//! Membership by one's own will, and rooms that sessions are in because of it.

use relais_core::command::Command;
use relais_core::error::Code;
use relais_core::event::EventKind;
use relais_core::ports::{Change, Membership, Transaction};

use super::house::*;

async fn membership(house: &House, name: &str) -> Membership {
    let store = house.tenant_store().await;
    let membership = store.membership(&club("alice"), &user(name)).await;
    membership.unwrap()
}

async fn notified(house: &House, name: &str) -> usize {
    let page = house.on_http(name, inbox()).await.unwrap();
    page["notifications"].as_array().unwrap().len()
}

fn remove_from_club(name: &str) -> Command {
    Command::RemoveMember {
        room: club("alice"),
        user: user(name),
    }
}

fn add_to_club(name: &str) -> Command {
    Command::AddMember {
        room: club("alice"),
        user: user(name),
    }
}

#[tokio::test]
async fn a_follower_is_in_the_room_at_once_in_every_open_session() {
    let house = House::new();
    for session in ["b1", "b2"] {
        house.connect("bob", session).await;
    }
    house.connect("carol", "c1").await;
    house
        .on_session("bob", "b1", follow("alice"))
        .await
        .unwrap();
    assert!(house.in_hub("b1", &club("alice")) && house.in_hub("b2", &club("alice")));
    assert!(!house.in_hub("c1", &club("alice")));
    let heard = house.heard().into_iter();
    let joined: Vec<_> = heard.filter(|line| line.starts_with("room")).collect();
    assert_eq!(joined, ["room.joined bob alice"], "a person, not a device");
    house.on_http("bob", unfollow("alice")).await.unwrap();
    assert!(!house.in_hub("b1", &club("alice")) && !house.in_hub("b2", &club("alice")));
    assert_eq!(membership(&house, "bob").await, Membership::Unknown);
}

#[tokio::test]
async fn following_twice_is_told_once_and_so_is_unfollowing() {
    let house = House::new();
    for _ in 0..2 {
        house.on_http("bob", follow("alice")).await.unwrap();
    }
    assert_eq!(notified(&house, "alice").await, 1);
    for _ in 0..2 {
        house.on_http("bob", unfollow("alice")).await.unwrap();
    }
    let records = house.told.records.lock().unwrap().clone();
    let removals = records
        .iter()
        .filter(|record| record.event.kind == EventKind::MemberRemoved);
    assert_eq!(removals.count(), 1);
    house.on_http("bob", follow("alice")).await.unwrap();
    assert_eq!(notified(&house, "alice").await, 2);
}

#[tokio::test]
async fn two_follows_at_once_are_one() {
    let house = House::new();
    let both = Transaction {
        changes: vec![Change::AddMember {
            room: club("alice"),
            user: user("bob"),
        }],
        ..Transaction::default()
    };
    house.store.faults.before.lock().unwrap().push_back(both);
    house.on_http("bob", follow("alice")).await.unwrap();
    assert_eq!(
        notified(&house, "alice").await,
        0,
        "the other one has told it"
    );
    assert_eq!(membership(&house, "bob").await, Membership::Member);
}

#[tokio::test]
async fn nobody_follows_their_own_way_back_in() {
    let house = House::new();
    house.on_http("bob", follow("alice")).await.unwrap();
    house.by_key(remove_from_club("bob")).await.unwrap();
    assert_eq!(
        code(house.on_http("bob", follow("alice")).await),
        Code::Forbidden
    );
    house.on_http("bob", unfollow("alice")).await.unwrap();
    assert_eq!(membership(&house, "bob").await, Membership::Removed);
    house.by_key(add_to_club("bob")).await.unwrap();
    assert_eq!(membership(&house, "bob").await, Membership::Member);
}

#[tokio::test]
async fn following_needs_a_user_and_ends_somewhere() {
    let house = House::new();
    assert_eq!(code(house.by_key(follow("alice")).await), Code::Forbidden);
    assert_eq!(code(house.by_key(unfollow("alice")).await), Code::Forbidden);
    let many = (0..1_024).map(|number| Change::AddMember {
        room: club(&format!("author {number}")),
        user: user("bob"),
    });
    let many = Transaction {
        changes: many.collect(),
        ..Transaction::default()
    };
    house.tenant_store().await.commit(many).await.unwrap();
    assert_eq!(
        code(house.on_http("bob", follow("alice")).await),
        Code::InvalidState
    );
    house.on_http("bob", follow("author 7")).await.unwrap();
}

#[tokio::test]
async fn whom_the_backend_adds_is_in_the_room_at_once_too() {
    let house = House::new();
    house.connect("bob", "b1").await;
    house.by_key(add_to_club("bob")).await.unwrap();
    assert!(house.in_hub("b1", &club("alice")));
    house.by_key(remove_from_club("bob")).await.unwrap();
    assert!(!house.in_hub("b1", &club("alice")));
    house.by_key(add("9", "bob")).await.unwrap();
    assert!(
        !house.in_hub("b1", &bam("9")),
        "this room is joined by asking"
    );
}

#[tokio::test]
async fn a_session_that_connects_meanwhile_is_looked_at_again() {
    let house = House::new();
    house.connect("carol", "c1").await;
    house.on_http("bob", follow("dora")).await.unwrap();
    let before = house.dispatcher.member_changes(&tenant());
    // Its memberships are read here: dora's club. Then one begins and another ends, and only now the hub has it.
    house.on_http("bob", follow("alice")).await.unwrap();
    house.on_http("bob", unfollow("dora")).await.unwrap();
    let arrival = Arrival {
        rooms: vec![club("dora")],
        ..house.arrival("bob", "b1")
    };
    let now = house.now();
    let connected = house.dispatcher.connect(&tenant(), arrival, now).await;
    connected.unwrap();
    house
        .dispatcher
        .settle_rooms(&tenant(), &sid("b1"), &user("bob"), before);
    assert!(!house.in_hub("b1", &club("alice")));
    assert_eq!(house.dispatcher.persist(now).await, Ok(false));
    let rooms = house.dispatcher.rooms_of(&tenant(), &sid("b1"));
    assert_eq!(rooms, [club("alice")]);
    assert!(house.in_hub("b1", &club("alice")));
}

#[tokio::test]
async fn the_owner_of_what_a_room_is_about_is_said_of_its_new_members() {
    let house = House::new();
    let story = crate::items::create("story", serde_json::json!({ "title": "Dawn" }));
    let story = crate::items::made(&house, "ines", story).await;
    house.on_http("bob", follow(&story)).await.unwrap();
    assert_eq!(notified(&house, "ines").await, 1);
    house.on_http("ines", follow(&story)).await.unwrap();
    assert_eq!(notified(&house, "ines").await, 1, "not of oneself");
    let add = Command::AddMember {
        room: club(&story),
        user: user("carol"),
    };
    house.by_key(add).await.unwrap();
    assert_eq!(notified(&house, "ines").await, 2);
}
