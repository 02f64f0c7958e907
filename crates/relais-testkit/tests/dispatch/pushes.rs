//! Pushes through the door: subscriptions of the one who asks, whom they make known, and how somebody is here.

use relais_core::command::{Command, PersonalCommand, PushCommand};
use relais_core::dispatch::Whereabouts;
use relais_core::error::Code;
use relais_core::ids::Timestamp;
use relais_core::ports::{Membership, Outside as _};
use relais_core::restriction::{Against, Hold};
use serde_json::json;

use crate::house::*;

fn subscribe(endpoint: &str) -> Command {
    Command::Push(PushCommand::Subscribe {
        endpoint: endpoint.into(),
        p256dh: "B".repeat(87).into(),
        auth: "a".repeat(22).into(),
    })
}

fn unsubscribe(endpoint: &str) -> Command {
    Command::Push(PushCommand::Unsubscribe {
        endpoint: endpoint.into(),
    })
}

async fn whereabouts(house: &House, name: &str, proved_at: Timestamp) -> Whereabouts {
    let (tenant, user, now) = (tenant(), user(name), house.now());
    let dispatcher = &house.dispatcher;
    let found = dispatcher.whereabouts(&tenant, &user, proved_at, now);
    found.await.unwrap()
}

#[tokio::test]
async fn a_subscription_is_kept_and_who_never_came_is_known_in_the_rooms_that_the_token_claims() {
    let house = House::new();
    let secret = "https://push.example/send/secret";
    let answer = house.on_http("ann", subscribe(secret)).await.unwrap();
    let at = house.now().wall.to_string();
    assert_eq!(
        answer["subscription"],
        json!({ "endpoint": "https://push.example", "createdAt": at })
    );
    let store = house.tenant_store().await;
    let kept = store.subscriptions(&user("ann")).await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(&*kept[0].endpoint, secret);
    let people = store.people(&bam("1")).await.unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!(people[0].person, identity("ann").person);
    assert!(people[0].claims && people[0].membership == Membership::Unknown);
    let found = house.memory().subscribed(&tenant(), &bam("2")).await;
    assert_eq!(found.map(|found| found.len()), Ok(1));

    house.on_http("bob", unsubscribe(secret)).await.unwrap();
    assert_eq!(store.subscriptions(&user("ann")).await.unwrap().len(), 1);
    house.on_http("ann", unsubscribe(secret)).await.unwrap();
    assert_eq!(store.subscriptions(&user("ann")).await, Ok(vec![]));
}

#[tokio::test]
async fn the_backend_has_no_browser_and_a_key_is_one() {
    let house = House::new();
    let refused = house.by_key(subscribe("https://a.example/")).await;
    assert_eq!(refused.unwrap_err().code, Code::Forbidden);
    let wrong = Command::Push(PushCommand::Subscribe {
        endpoint: "https://a.example/".into(),
        p256dh: "short".into(),
        auth: "a".repeat(22).into(),
    });
    let refused = house.on_http("ann", wrong).await;
    assert_eq!(refused.unwrap_err().code, Code::InvalidPayload);
}

#[tokio::test]
async fn an_export_has_the_push_service_alone_and_an_erasure_leaves_nothing() {
    let house = House::new();
    let subscribed = house.on_http("ann", subscribe("https://push.example/send/secret"));
    subscribed.await.unwrap();
    let export = || {
        Command::Personal(PersonalCommand::Export {
            user: user("ann"),
            after: None,
        })
    };
    let page = house.by_key(export()).await.unwrap();
    let lines = page["records"].to_string();
    assert!(lines.contains("https://push.example") && !lines.contains("secret"));
    let erase = Command::Personal(PersonalCommand::Erase { user: user("ann") });
    house.by_key(erase).await.unwrap();
    let page = house.by_key(export()).await.unwrap();
    assert!(!page["records"].to_string().contains("push.example"));
    let store = house.tenant_store().await;
    assert_eq!(store.subscriptions(&user("ann")).await, Ok(vec![]));
}

#[tokio::test]
async fn somebody_is_here_then_leaving_for_the_grace_and_then_away_after_a_restart_too() {
    let house = House::new();
    let now = house.now().wall;
    assert_eq!(whereabouts(&house, "ann", now).await, Whereabouts::Away);
    house.connect("ann", "a1").await;
    assert_eq!(whereabouts(&house, "ann", now).await, Whereabouts::Here);
    house.depart("a1", Departure::Lost);
    assert_eq!(whereabouts(&house, "ann", now).await, Whereabouts::Leaving);
    house.pass(6_000);
    assert_eq!(whereabouts(&house, "ann", now).await, Whereabouts::Away);
    house.connect("ann", "a2").await;
    house.dispatcher.persist(house.now()).await.unwrap();
    let house = house.restart();
    let now = house.now().wall;
    assert_eq!(whereabouts(&house, "ann", now).await, Whereabouts::Leaving);
    house.pass(10_000);
    assert_eq!(whereabouts(&house, "ann", now).await, Whereabouts::Away);
}

#[tokio::test]
async fn what_was_proved_before_a_revocation_counts_for_nothing_and_what_comes_after_it_does() {
    let house = House::new();
    house.connect("ann", "a1").await;
    let before = house.now().wall;
    let revoke = Command::Impose {
        against: Against::User(user("ann")),
        hold: Hold::Revoked,
        until: None,
    };
    house.by_key(revoke).await.unwrap();
    let found = whereabouts(&house, "ann", before).await;
    assert_eq!(found, Whereabouts::Barred);
    let after = Timestamp(before.0 + 1);
    assert_eq!(whereabouts(&house, "ann", after).await, Whereabouts::Here);
}
