//! The hub fed with deliveries that come twice, never, or out of order: it reads the log, and never skips.

mod harness;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use harness::{Client, SCOPE, Server, event, settings};
use relais_engine::{Delivery, OutEvent, Room};

fn msgs(texts: &[String]) -> Vec<u64> {
    let numbers = texts.iter().filter_map(|text| {
        let rest = text.strip_prefix("42[\"msg\",\"")?;
        rest.split('"').next()?.parse().ok()
    });
    numbers.collect()
}

/// Waits until the newest record has come, and returns the numbers of all.
async fn up_to(client: &mut Client, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        seen.extend(msgs(&[client.text().await]));
    }
    seen.extend(msgs(&client.settled().await));
    seen
}

#[tokio::test]
async fn records_come_once_and_in_order_whatever_the_publications_did() {
    for shards in [1, 3] {
        let server = Server::start(settings(shards)).await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            let auth = r#"{"rooms":["a"],"recovery":true}"#;
            clients.push(Client::connect(server.address, auth).await.0);
        }
        let mut chance = 0x9e37_79b9_u64;
        let mut below = move |bound: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % bound
        };
        let mut held = Vec::new();
        for number in 1..=500 {
            let delivery = server.log.append(event("a", &number.to_string()));
            match below(6) {
                0 => {}
                1 => held.push(delivery),
                2 => {
                    server.engine.publish(Arc::clone(&delivery));
                    server.engine.publish(delivery);
                }
                _ => server.engine.publish(delivery),
            }
            if below(5) == 0 {
                for late in held.drain(..).rev() {
                    server.engine.publish(late);
                }
            }
            if below(50) == 0 {
                server.log.fail(1);
            }
        }
        for client in &mut clients {
            assert_eq!(up_to(client, 500).await, (1..=500).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_publication_that_never_comes_is_found_by_the_head() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, r#"{"rooms":["a"]}"#).await;
    server.log.append(event("a", "1"));
    assert_eq!(up_to(&mut client, 1).await, [1]);
}

#[tokio::test]
async fn more_than_an_inbox_holds_is_read_from_the_log() {
    let mut few = settings(1);
    few.inbox_max = 8;
    let server = Server::start(few).await;
    let (mut client, _) = Client::connect(server.address, r#"{"rooms":["a"]}"#).await;
    for number in 1..=5000 {
        server.append_and_publish("a", &number.to_string());
    }
    assert_eq!(
        up_to(&mut client, 5000).await,
        (1..=5000).collect::<Vec<_>>()
    );
    assert!(server.engine.stats().inbox_full_total > 0);
    assert!(server.log.reads.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_volatile_event_carries_what_the_shard_has_applied_and_nothing_newer() {
    let server = Server::start(settings(1)).await;
    let auth = r#"{"rooms":["a"],"recovery":true}"#;
    let (mut client, _) = Client::connect(server.address, auth).await;
    server.append_and_publish("a", "1");
    assert_eq!(client.text().await, r#"42["msg","1","1.1"]"#);
    // Committed, but not here yet.
    server.log.fail(u64::MAX);
    server.log.append(event("a", "2"));
    let typing = OutEvent::to_room(Room::from("a"), "typing", "true");
    let volatile = Delivery::volatile(SCOPE, Arc::new(typing));
    server.engine.publish(Arc::new(volatile));
    assert_eq!(client.text().await, r#"42["typing",true,"1.1"]"#);
    server.log.fail(0);
    assert_eq!(client.text().await, r#"42["msg","2","1.2"]"#);
}

#[tokio::test]
async fn an_event_for_several_rooms_comes_once_and_not_to_those_left_out() {
    let server = Server::start(settings(2)).await;
    let auth = r#"{"rooms":["a","b"]}"#;
    let (mut one, answer) = Client::connect(server.address, auth).await;
    let (mut two, _) = Client::connect(server.address, auth).await;
    let sid = answer["sid"].as_str().unwrap();
    let mut to_both = OutEvent::to_room(Room::from("a"), "msg", "\"1\"");
    to_both.to.push(Room::from("b"));
    to_both.except.push(Room::from(sid));
    server.engine.publish(server.log.append(vec![to_both]));
    server.append_and_publish(sid, "2");
    server.append_and_publish("b", "3");
    assert_eq!(up_to(&mut one, 3).await, [2, 3]);
    assert_eq!(up_to(&mut two, 3).await, [1, 3]);
}

#[tokio::test]
async fn who_leaves_is_given_what_was_committed_before_and_nothing_after() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, r#"{"rooms":["b"]}"#).await;
    client.send(r#"42["join","a"]"#).await;
    client.settled().await;
    let first = server.log.append(event("a", "1"));
    // Left with record 1 committed and not yet applied.
    client.send(r#"42["leave","a"]"#).await;
    server.service.noted("leave a").await;
    server.engine.publish(first);
    server.append_and_publish("a", "2");
    server.append_and_publish("b", "3");
    assert_eq!(up_to(&mut client, 3).await, [1, 3]);
}

#[tokio::test]
async fn what_was_trimmed_before_a_shard_could_read_it_is_told() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, r#"{"rooms":["a"]}"#).await;
    server.log.fail(3);
    for number in 1..=5 {
        server.log.append(event("a", &number.to_string()));
    }
    server.log.trim(3);
    assert_eq!(
        client.text().await,
        r#"42["gap",{"from":1,"to":3,"reason":"trimmed"}]"#
    );
    assert_eq!(up_to(&mut client, 5).await, [4, 5]);
}

#[tokio::test]
async fn sessions_on_other_shards_hear_of_their_rooms_their_own_included() {
    let server = Server::start(settings(3)).await;
    let publish = |room: &str, text: &str| {
        let event = OutEvent::to_room(Room::from(room), "msg", text.to_owned());
        let delivery = Delivery::event(SCOPE, event);
        server.engine.publish(Arc::new(delivery));
    };
    let mut clients = Vec::new();
    for number in 0..6 {
        let auth = format!(r#"{{"rooms":["all","room-{number}"]}}"#);
        clients.push(Client::connect(server.address, &auth).await);
    }
    for (number, (client, answer)) in clients.iter_mut().enumerate() {
        let own = answer["sid"].as_str().unwrap();
        let (sid, late) = (own.into(), Room::from("late"));
        assert!(server.engine.enter(SCOPE, &sid, &late).await);
        publish(own, "1");
        publish("late", "2");
        publish(&format!("room-{number}"), "3");
        for text in [1, 2, 3] {
            assert_eq!(client.text().await, format!(r#"42["msg",{text}]"#));
        }
        server.engine.leave(SCOPE, &sid, &late, None).await;
    }
    publish("all", "4");
    for (client, _) in &mut clients {
        assert_eq!(client.text().await, r#"42["msg",4]"#);
    }
}

#[tokio::test]
async fn a_shard_that_catches_up_passes_over_what_a_loud_room_has_lost_and_tells_its_members() {
    let server = Server::start(settings(1)).await;
    let connect = async |auth: &str| Client::connect(server.address, auth).await.0;
    let mut listener = connect(r#"{"rooms":["loud"],"recovery":true}"#).await;
    let mut other = connect(r#"{"rooms":["quiet"],"recovery":true}"#).await;
    for (number, room) in (1..).zip(["quiet", "loud", "loud", "quiet"]) {
        server.log.append(event(room, &number.to_string()));
    }
    server.log.trim_room("loud", 3);
    server.append_and_publish("loud", "5");
    assert_eq!(up_to(&mut other, 4).await, [1, 4]);
    let gap = listener.text().await;
    assert!(
        gap.contains(r#"{"from":2,"to":3,"reason":"trimmed"}"#),
        "{gap}"
    );
    assert_eq!(up_to(&mut listener, 5).await, [5]);
}
