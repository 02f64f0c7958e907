//! The plain JSON WebSocket, frame by frame: events, acks by id, what is no frame, refusals, heartbeats, sessions that come back.

mod harness;

use std::time::Duration;

use harness::{Client, Incoming, Server, event, settings};
use relais_engine::{CloseCode, Delivery, OutEvent, Room, Settings};

/// What stands behind the data of a frame that the server makes now.
const NOW: &str = r#""timestamp":"2026-01-02T03:04:05.678Z""#;

async fn open(server: &Server, query: &str) -> Client {
    Client::open(server.address, &format!("/plain?{query}")).await
}

async fn greeted(server: &Server, query: &str) -> Client {
    let mut client = open(server, query).await;
    let first = client.text().await;
    assert!(
        first.starts_with(
            r#"{"type":"connected","data":null,"timestamp":"2026-01-02T03:04:05.678Z","position":"#
        ),
        "{first}"
    );
    client
}

#[tokio::test]
async fn events_go_in_and_their_acks_come_out_in_order_with_the_id_as_it_was() {
    let server = Server::start(settings(1)).await;
    let mut client = greeted(&server, "").await;
    for frame in [
        r#"{"type":"pipe","data":"a","id":7}"#,
        r#"{"id":"\u00e9","type":"now","data":"b"}"#,
        r#"{"type":"now","data":"unanswered"}"#,
        r#"{"type":"barrier","data":"c","id":true}"#,
        r#"{"type":"now","data":"d","id":1.50}"#,
        r#"{"type":"nobody knows this","id":9}"#,
        r#"{"type":"now","id":18446744073709551616}"#,
    ] {
        client.send(frame).await;
    }
    server.service.release("a");
    server.service.release("c");
    for (data, id) in [
        ("\"a\"", "7"),
        ("\"b\"", r#""\u00e9""#),
        ("\"c\"", "true"),
        ("\"d\"", "1.50"),
        ("\"\"", "18446744073709551616"),
    ] {
        let ack = format!(r#"{{"type":"ack","data":{data},{NOW},"id":{id}}}"#);
        assert_eq!(client.text().await, ack);
    }
}

#[tokio::test]
async fn an_event_of_the_log_has_its_time_and_position_and_a_volatile_one_only_its_time() {
    let server = Server::start(settings(2)).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(greeted(&server, "rooms=a").await);
    }
    let (mut stock, _) = Client::connect(server.address, r#"{"rooms":["a"]}"#).await;
    let at = |name: &str, args: &'static str| OutEvent {
        at: 951_782_400_000,
        ..OutEvent::to_room(Room::from("a"), name, args)
    };
    let record = vec![at("one", "{}"), at("two", "1,2"), at("three", "")];
    server.engine.publish(server.log.append(record));
    let volatile = Delivery::volatile(harness::SCOPE, std::sync::Arc::new(at("v", "null")));
    for client in &mut clients {
        for frame in [
            r#"{"type":"one","data":{},"timestamp":"2000-02-29T00:00:00.000Z","position":0.001}"#,
            r#"{"type":"two","data":[1,2],"timestamp":"2000-02-29T00:00:00.000Z","position":0.002}"#,
            r#"{"type":"three","data":null,"timestamp":"2000-02-29T00:00:00.000Z","position":1}"#,
        ] {
            assert_eq!(client.text().await, frame);
        }
    }
    server.engine.publish(std::sync::Arc::new(volatile));
    for client in &mut clients {
        let frame = r#"{"type":"v","data":null,"timestamp":"2000-02-29T00:00:00.000Z"}"#;
        assert_eq!(client.text().await, frame);
    }
    for packet in [
        r#"42["one",{}]"#,
        r#"42["two",1,2]"#,
        r#"42["three"]"#,
        r#"42["v",null]"#,
    ] {
        assert_eq!(stock.text().await, packet);
    }
}

#[tokio::test]
async fn what_is_no_frame_is_told_and_the_connection_stays() {
    let server = Server::start(settings(1)).await;
    let mut client = greeted(&server, "").await;
    client.send("hello").await;
    client.send(r#"{"type":7}"#).await;
    client.send_frame(0x82, b"{}").await;
    for problem in [
        "not a JSON object: unexpected byte at offset 0",
        "`type` has to be a string",
        "a frame is text, not bytes",
    ] {
        let frame = format!(r#"{{"type":"error","data":{{"message":"{problem}"}},{NOW}}}"#);
        assert_eq!(client.text().await, frame);
    }
    client
        .send(r#"{"type":"now","data":"still here","id":1}"#)
        .await;
    assert!(client.text().await.contains("still here"));
}

#[tokio::test]
async fn what_a_client_sends_before_it_is_let_in_waits_and_is_handled_in_order() {
    let server = Server::start(settings(1)).await;
    let mut client = open(&server, "wait=door").await;
    for number in 0..3 {
        client
            .send(&format!(
                r#"{{"type":"now","data":"{number}","id":{number}}}"#
            ))
            .await;
    }
    server.service.release("door");
    let first = client.text().await;
    assert!(first.starts_with(r#"{"type":"connected""#), "{first}");
    for number in 0..3 {
        let ack = client.text().await;
        assert!(ack.ends_with(&format!(r#""id":{number}}}"#)), "{ack}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_close_code_and_nothing_before_it() {
    let server = Server::start(settings(1)).await;
    let mut client = open(&server, "refuse=TOKEN_MISSING").await;
    assert_eq!(client.next().await, Incoming::Close(Some(1008)));
}

#[tokio::test]
async fn a_connection_whose_service_does_not_decide_in_time_is_closed() {
    let server = Server::start(Settings {
        accept_timeout: Duration::from_millis(30),
        ..settings(1)
    })
    .await;
    let mut client = open(&server, "wait=never").await;
    assert_eq!(
        client.closed().await,
        Some(CloseCode::TRY_AGAIN_LATER.get())
    );
}

#[tokio::test]
async fn it_is_pinged_as_a_websocket_and_any_frame_shows_that_it_is_there() {
    let server = Server::start(Settings {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(400),
        ..settings(1)
    })
    .await;
    let mut client = greeted(&server, "").await;
    for number in 0..20 {
        while client.next().await != Incoming::Ping {}
        client
            .send(&format!(r#"{{"type":"now","data":"{number}"}}"#))
            .await;
    }
    assert_eq!(client.closed().await, None);
    server.service.noted("disconnected s0 Heartbeat").await;
}

#[tokio::test]
async fn a_session_that_comes_back_is_given_the_rest_of_a_record_and_takes_over_what_is_still_open()
{
    let server = Server::start(settings(2)).await;
    let mut older = greeted(&server, "rooms=auto").await;
    let events = ["a", "b", "c"].map(|text| {
        let mut events = event("auto", text);
        events.remove(0)
    });
    server.engine.publish(server.log.append(events.into()));
    for _ in 0..3 {
        older.text().await;
    }
    server.append_and_publish("auto", "d");
    let mut newer = greeted(&server, "rooms=auto&resume=s0&after=1.1.0").await;
    let live = format!(r#"{{"type":"live","data":null,{NOW}}}"#);
    let mut texts = Vec::new();
    loop {
        let text = newer.text().await;
        if text == live {
            break;
        }
        texts.push(text);
    }
    let frame = |text: &str, position: &str| {
        format!(
            r#"{{"type":"msg","data":"{text}","timestamp":"1970-01-01T00:00:00.000Z","position":{position}}}"#
        )
    };
    assert_eq!(
        texts,
        [frame("b", "0.002"), frame("c", "1"), frame("d", "2")]
    );
    assert_eq!(older.closed().await, Some(1000));
    server.append_and_publish("auto", "e");
    assert_eq!(newer.text().await, frame("e", "3"));
}

#[tokio::test]
async fn a_close_without_a_code_is_a_leave_as_one_with_1000_is() {
    let server = Server::start(settings(1)).await;
    for (payload, reason) in [
        (&[][..], "ClientLeft"),
        (&1000_u16.to_be_bytes()[..], "ClientLeft"),
        (&1001_u16.to_be_bytes()[..], "TransportLost"),
    ] {
        let mut client = greeted(&server, "").await;
        let journal = server.service.journal();
        let mut lines = journal.iter().rev();
        let sid = lines.find_map(|line| line.strip_prefix("connected "));
        let sid = sid.unwrap();
        client.send_frame(0x88, payload).await;
        server
            .service
            .noted(&format!("disconnected {sid} {reason}"))
            .await;
    }
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009_and_the_name_of_the_error() {
    let small = Settings {
        max_payload_bytes: 1_024,
        ..settings(1)
    };
    let server = Server::start(small).await;
    let mut client = greeted(&server, "").await;
    client.send(&"x".repeat(1_025)).await;
    assert_eq!(client.closed().await, Some(1009));
    assert_eq!(client.close_reason, "TOO_LARGE");
}
