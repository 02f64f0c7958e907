//! What is thrown at a connection, and what must happen: the right close, bounded memory, and nobody else disturbed.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::time::Duration;

use harness::{Client, Server, settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends one request and reads the whole answer.
async fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(query: &str, headers: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n"
    )
}

fn post(sid: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Opens a connection on polling; its sid.
async fn open_polling(address: SocketAddr, headers: &str) -> String {
    let answer = http(address, &get("", headers)).await;
    let start = answer.find("\"sid\":\"").unwrap() + 7;
    let end = start + answer[start..].find('"').unwrap();
    answer[start..end].to_owned()
}

#[tokio::test]
async fn broken_packets_close_the_connection_with_the_right_code() {
    let server = Server::start(settings(1)).await;
    let cases: [(&str, u16); 11] = [
        ("9", 1002),
        ("", 1002),
        ("4", 1002),
        ("42[\"event before CONNECT\"]", 1002),
        ("40[]", 1002),
        ("44{}", 1002),
        ("2probe", 1002),
        ("5", 1002),
        ("40/custom", 0),
        ("451-[\"e\"]", 1002),
        ("4511-[\"e\"]", 1009),
    ];
    for (packet, code) in cases {
        let mut client = Client::engine(server.address).await;
        client.send(packet).await;
        if code == 0 {
            assert!(client.text().await.starts_with("40/custom,{"));
        } else {
            assert_eq!(client.closed().await, Some(code), "{packet}");
        }
    }
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["disconnect"]"#).await;
    assert_eq!(client.closed().await, Some(1008));
}

#[tokio::test]
async fn a_polling_sid_is_of_no_use_to_another_identity() {
    let server = Server::start(settings(2)).await;
    let sid = open_polling(server.address, "Authorization: Bearer a\r\n").await;
    let query = format!("&sid={sid}");
    for headers in ["", "Authorization: Bearer b\r\n"] {
        let answer = http(server.address, &get(&query, headers)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.ends_with(r#"{"code":3,"message":"Bad request"}"#));
    }
    let answer = http(server.address, &post(&sid, "40")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // Its owner is not disturbed.
    assert_eq!(server.engine.stats().connections, 1);
}

#[tokio::test]
async fn a_credential_in_the_query_binds_a_connection_as_one_in_the_header_does() {
    let mut named = settings(2);
    named.credential_parameter = Some("token");
    let server = Server::start(named).await;
    let answer = http(server.address, &get("&token=a%2Bb", "")).await;
    let start = answer.find("\"sid\":\"").unwrap() + 7;
    let sid = &answer[start..start + answer[start..].find('"').unwrap()];
    for stolen in [format!("&sid={sid}&token=c"), format!("&sid={sid}")] {
        let answer = http(server.address, &get(&stolen, "")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let post = post(&format!("{sid}&token=a%2bb"), "40");
    let answer = http(server.address, &post).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_guessed_sid_is_unknown() {
    let server = Server::start(settings(2)).await;
    for sid in [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "x",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAP__",
    ] {
        let answer = http(server.address, &get(&format!("&sid={sid}"), "")).await;
        assert!(
            answer.ends_with(r#"{"code":1,"message":"Session ID unknown"}"#),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_payload_of_nothing_but_separators_is_refused() {
    let server = Server::start(settings(1)).await;
    let sid = open_polling(server.address, "").await;
    let separators = "\u{1e}".repeat(1_000_000);
    let answer = http(server.address, &post(&sid, &separators)).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(server.engine.stats().connections, 0);
    let sid = open_polling(server.address, "").await;
    let answer = http(server.address, &post(&sid, &"4".repeat(1_100_000))).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn floods_of_pings_and_of_connects_are_closed() {
    let server = Server::start(settings(1)).await;
    let mut client = Client::engine(server.address).await;
    for _ in 0..200 {
        client.send_frame(0x89, b"").await;
    }
    assert_eq!(client.closed().await, Some(1008));
    let mut client = Client::engine(server.address).await;
    for number in 0..9 {
        client.send(&format!("40/n{number},")).await;
    }
    let mut answers = Vec::new();
    for _ in 0..17 {
        answers.push(client.text().await);
    }
    answers.retain(|answer| answer.starts_with("44"));
    assert_eq!(answers, [r#"44/n8,{"message":"Too many namespaces"}"#]);
    for _ in 0..70 {
        client.send("40/more,").await;
    }
    assert_eq!(client.closed().await, Some(1008));
}

#[tokio::test]
async fn a_session_is_in_a_bounded_number_of_rooms() {
    let mut few = settings(1);
    few.rooms_max = 3;
    let server = Server::start(few).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    for room in ["a", "b", "c", "d"] {
        client.send(&format!(r#"42["join","{room}"]"#)).await;
    }
    client.settled().await;
    let counts = ["a", "d"].map(relais_engine::Room::from);
    let [a, d] = counts.each_ref().map(|room| {
        server
            .engine
            .count(harness::SCOPE, std::slice::from_ref(room))
    });
    assert_eq!((a.await, d.await), (1, 0));
}

#[tokio::test]
async fn who_connects_to_no_namespace_is_closed_in_time() {
    let mut quick = settings(1);
    quick.connect_timeout = Duration::from_millis(200);
    let server = Server::start(quick).await;
    let mut client = Client::engine(server.address).await;
    assert_eq!(client.closed().await, Some(1008));
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_are_refused_cheaply() {
    let mut few = settings(1);
    few.connections_max = 2;
    let server = Server::start(few).await;
    let one = Client::engine(server.address).await;
    let _two = Client::engine(server.address).await;
    let answer = http(server.address, &get("", "")).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(one);
    while !http(server.address, &get("", ""))
        .await
        .starts_with("HTTP/1.1 200")
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_of_the_application_ends_what_it_was_about_and_nothing_else() {
    let server = Server::start(settings(1)).await;
    let (mut other, _) = Client::connect(server.address, r#"{"rooms":["a"]}"#).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["flood","no number"]"#).await;
    assert_eq!(client.closed().await, Some(1011));
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["explode",""]"#).await;
    assert_eq!(client.closed().await, Some(1011));
    let mut client = Client::engine(server.address).await;
    client.send(r#"40{"rooms":"no list"}"#).await;
    assert_eq!(client.closed().await, Some(1011));
    other.settled().await;
    server.append_and_publish("a", "1");
    assert_eq!(other.text().await, r#"42["msg","1"]"#);
    let (mut next, _) = Client::connect(server.address, "{}").await;
    next.settled().await;
}

#[tokio::test]
async fn a_drain_waits_for_the_acks_of_what_was_begun() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"427["pipe","last"]"#).await;
    server.service.noted("begin last").await;
    let engine = server.engine.clone();
    let drain = tokio::spawn(async move { engine.drain(Duration::from_millis(50)).await });
    while !server.engine.is_draining() {
        tokio::task::yield_now().await;
    }
    server.service.release("last");
    assert_eq!(client.text().await, r#"437["last"]"#);
    assert_eq!(client.closed().await, Some(1012));
    drop(client);
    drain.await.unwrap();
}

#[tokio::test]
async fn a_close_packet_is_polled_alone_after_the_events_before_it() {
    let server = Server::start(settings(1)).await;
    let (mut witness, _) = Client::connect(server.address, "{}").await;
    let sid = open_polling(server.address, "").await;
    http(server.address, &post(&sid, "40")).await;
    let engine = server.engine.clone();
    let drain = tokio::spawn(async move { engine.drain(Duration::ZERO).await });
    assert_eq!(witness.closed().await, Some(1012));
    drop(witness);
    let poll = get(&format!("&sid={sid}"), "");
    let events = http(server.address, &poll).await;
    assert!(events.contains("\r\n\r\n40{"), "{events}");
    assert!(!events.ends_with("\u{1e}1"), "{events}");
    let close = http(server.address, &poll).await;
    assert!(close.ends_with("\r\n\r\n1"), "{close}");
    drain.await.unwrap();
}
