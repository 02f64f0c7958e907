//! One connection's events are handled in the order sent; what waits is bounded; a slow reader costs nobody else anything.

mod harness;

use std::time::Duration;

use harness::{Client, Incoming, Server, settings};

#[tokio::test]
async fn pipelined_commands_run_beside_each_other_and_their_acks_leave_in_order() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    for (id, name) in ["a", "b", "c"].iter().enumerate() {
        client.send(&format!(r#"42{id}["pipe","{name}"]"#)).await;
    }
    client.send(r#"423["now","d"]"#).await;
    server.service.noted("now d").await;
    assert_eq!(
        server.service.journal()[2..],
        ["begin a", "begin b", "begin c", "now d"]
    );
    server.service.release("c");
    server.service.noted("end c").await;
    server.service.release("b");
    server.service.release("a");
    for ack in [r#"430["a"]"#, r#"431["b"]"#, r#"432["c"]"#, r#"433["d"]"#] {
        assert_eq!(client.text().await, ack);
    }
}

#[tokio::test]
async fn a_barrier_waits_for_all_before_it_and_holds_all_behind_it() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    for packet in [
        r#"420["pipe","send"]"#,
        r#"421["barrier","join"]"#,
        r#"422["now","typing"]"#,
        r#"423["pipe","next"]"#,
    ] {
        client.send(packet).await;
    }
    server.service.noted("begin send").await;
    server.service.release("next");
    server.service.release("send");
    assert_eq!(client.text().await, r#"430["send"]"#);
    server.service.noted("begin join").await;
    assert!(
        !server
            .service
            .journal()
            .iter()
            .any(|line| line == "now typing")
    );
    server.service.release("join");
    for ack in [r#"431["join"]"#, r#"432["typing"]"#, r#"433["next"]"#] {
        assert_eq!(client.text().await, ack);
    }
    let lines = server.service.journal();
    assert_eq!(
        lines[2..],
        [
            "begin send",
            "end send",
            "begin join",
            "end join",
            "now typing",
            "begin next",
            "end next"
        ]
    );
}

#[tokio::test]
async fn a_barrier_behind_a_command_runs_when_that_is_done_though_nothing_else_happens() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"420["pipe","send"]"#).await;
    client.send(r#"421["barrier","join"]"#).await;
    // Both were taken when the pong comes.
    client.send_frame(0x89, b"").await;
    while client.next().await != Incoming::Pong {}
    server.service.release("send");
    assert_eq!(client.text().await, r#"430["send"]"#);
    server.service.noted("begin join").await;
    server.service.release("join");
    assert_eq!(client.text().await, r#"431["join"]"#);
}

#[tokio::test]
async fn behind_a_barrier_reading_stops_and_nothing_is_lost() {
    let mut small = settings(1);
    small.held_max = 4;
    small.gate_closed_max = Duration::from_secs(3600);
    let server = Server::start(small).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["barrier","gate"]"#).await;
    server.service.noted("begin gate").await;
    let (mut reading, mut writing) = client.stream.into_split();
    let writer = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let text = "x".repeat(1000);
        for number in 0..20_000 {
            let packet = format!(r#"42{number}["now","{text}"]"#);
            let mut frame = vec![0x81, 0x80 | 126];
            frame.extend_from_slice(&u16::try_from(packet.len()).unwrap().to_be_bytes());
            frame.extend_from_slice(&[0; 4]);
            frame.extend_from_slice(packet.as_bytes());
            writing.write_all(&frame).await.unwrap();
        }
    });
    // 20 MB do not fit into the kernel's buffers: the writer has to wait for the reader that stopped.
    let stuck = tokio::time::timeout(Duration::from_millis(300), async {
        while !writer.is_finished() {
            tokio::task::yield_now().await;
        }
    });
    assert!(stuck.await.is_err());
    assert_eq!(server.engine.stats().events_in_total, 5);
    server.service.release("gate");
    let drain = tokio::spawn(async move {
        let mut sink = tokio::io::sink();
        let _ = tokio::io::copy(&mut reading, &mut sink).await;
    });
    writer.await.unwrap();
    while server.engine.stats().events_in_total < 20_001 {
        tokio::task::yield_now().await;
    }
    drain.abort();
}

#[tokio::test]
async fn a_session_that_stays_full_is_read_on_and_refused_what_it_cannot_hold() {
    let mut small = settings(1);
    small.held_max = 4;
    small.gate_closed_max = Duration::from_millis(50);
    let server = Server::start(small).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"420["barrier","gate"]"#).await;
    for id in 1..=6 {
        client.send(&format!(r#"42{id}["now","n{id}"]"#)).await;
    }
    // One at work, four held: the others are refused, before the answers of those that wait.
    for id in [5, 6] {
        assert_eq!(client.text().await, format!(r#"43{id}["overloaded"]"#));
    }
    assert_eq!(server.engine.stats().overloaded_total, 2);
    server.service.release("gate");
    assert_eq!(client.text().await, r#"430["gate"]"#);
    for id in 1..=4 {
        assert_eq!(client.text().await, format!(r#"43{id}["n{id}"]"#));
    }
    client.send(r#"427["now","n7"]"#).await;
    assert_eq!(client.text().await, r#"437["n7"]"#);
}

#[tokio::test]
async fn a_refusal_leaves_at_once_and_takes_no_place_among_what_waits() {
    let mut small = settings(1);
    small.pipeline_max = 2;
    let server = Server::start(small).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"420["pipe","a"]"#).await;
    for id in 1..=5 {
        client.send(&format!(r#"42{id}["refuse"]"#)).await;
        assert_eq!(client.text().await, format!(r#"43{id}["refused"]"#));
    }
    client.send(r#"426["pipe","b"]"#).await;
    server.service.noted("begin b").await;
    server.service.release("b");
    server.service.release("a");
    for ack in [r#"430["a"]"#, r#"436["b"]"#] {
        assert_eq!(client.text().await, ack);
    }
}

#[tokio::test]
async fn a_client_whose_own_commands_hold_up_the_reading_does_not_miss_its_heartbeat() {
    let mut small = settings(1);
    small.held_max = 1;
    small.ping_interval = Duration::from_millis(100);
    small.ping_timeout = Duration::from_millis(100);
    small.gate_closed_max = Duration::from_secs(3600);
    let server = Server::start(small).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"420["barrier","gate"]"#).await;
    client.send(r#"421["now","held"]"#).await;
    while !matches!(client.next().await, Incoming::Text(text) if text == "2") {}
    client.send("3").await;
    // Long after the pong was due, it still lies unread behind what waits.
    tokio::time::timeout(Duration::from_millis(500), client.text())
        .await
        .expect_err("nothing is said, and the connection is there");
    server.service.release("gate");
    assert_eq!(client.text().await, r#"430["gate"]"#);
    assert_eq!(client.text().await, r#"431["held"]"#);
    assert_eq!(server.engine.stats().heartbeats_missed_total, 0);
}

#[tokio::test]
async fn a_command_that_was_begun_is_seen_through_when_its_session_is_ended() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["pipe","begun"]"#).await;
    client.send(r#"42["barrier","waits"]"#).await;
    server.service.noted("begin begun").await;
    // A breach of the protocol: the session is ended at once.
    client.send("9").await;
    server.service.noted("disconnected").await;
    server.service.release("waits");
    server.service.release("begun");
    server.service.noted("end begun").await;
    let journal = server.service.journal();
    assert!(!journal.iter().any(|line| line == "begin waits"));
}

#[tokio::test]
async fn what_a_client_sent_before_it_left_is_still_handled() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["barrier","join"]"#).await;
    client.send(r#"42["now","last"]"#).await;
    client.send("41").await;
    drop(client);
    server.service.noted("begin join").await;
    server.service.release("join");
    server.service.noted("disconnected").await;
    let lines = server.service.journal();
    assert_eq!(lines[3..5], ["end join", "now last"]);
    assert!(lines[5].ends_with("ClientLeft"));
}

/// Publishes to a room, which `quick` reads, until somebody else in it was too slow.
async fn publish_until_somebody_is_too_slow(server: &Server, quick: &mut Client) {
    let text = "y".repeat(8000);
    let mut number = 0_u64;
    while server.engine.stats().slow_consumers_total == 0 {
        for _ in 0..16 {
            server.append_and_publish("a", &text);
            number += 1;
        }
        for _ in 0..16 {
            assert!(quick.text().await.contains("yyyy"));
        }
        assert!(number < 10_000, "the slow reader was never closed");
    }
    server.service.noted("disconnected").await;
    let lines = server.service.journal();
    assert!(lines.iter().any(|line| line.ends_with("SlowConsumer")));
}

#[tokio::test]
async fn a_reader_that_never_reads_is_closed_and_others_are_not_disturbed() {
    let mut impatient = settings(1);
    impatient.close_timeout = Duration::from_millis(50);
    let server = Server::start(impatient).await;
    let auth = r#"{"rooms":["a"]}"#;
    let (mut slow, _) = Client::connect(server.address, auth).await;
    let (mut quick, _) = Client::connect(server.address, auth).await;
    publish_until_somebody_is_too_slow(&server, &mut quick).await;
    while server.engine.stats().connections != 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.closed().await, None, "it was reset");
    server.append_and_publish("a", "and on");
    assert!(quick.text().await.contains("and on"));
}

#[tokio::test]
async fn a_reader_that_was_too_slow_is_told_so_when_it_reads_on() {
    let server = Server::start(settings(1)).await;
    let auth = r#"{"rooms":["a"]}"#;
    let (mut slow, _) = Client::connect(server.address, auth).await;
    let (mut quick, _) = Client::connect(server.address, auth).await;
    publish_until_somebody_is_too_slow(&server, &mut quick).await;
    assert_eq!(slow.closed().await, Some(4008));
}

#[tokio::test]
async fn a_burst_in_one_tick_is_no_slow_reader() {
    let server = Server::start(settings(1)).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    client.send(r#"42["flood",5000]"#).await;
    for _ in 0..5000 {
        assert!(client.text().await.starts_with(r#"42["flood""#));
    }
    assert_eq!(server.engine.stats().slow_consumers_total, 0);
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_gone() {
    let mut quick = settings(1);
    quick.ping_interval = Duration::from_millis(200);
    quick.ping_timeout = Duration::from_millis(100);
    let server = Server::start(quick).await;
    let (mut client, _) = Client::connect(server.address, "{}").await;
    assert_eq!(client.next().await, Incoming::Text("2".to_owned()));
    assert_eq!(client.next().await, Incoming::Lost);
    server.service.noted("disconnected").await;
    assert!(server.service.journal()[2].ends_with("Heartbeat"));
    assert_eq!(server.engine.stats().heartbeats_missed_total, 1);
}

#[tokio::test]
async fn a_drain_closes_everyone_with_1012_and_refuses_the_next() {
    let server = Server::start(settings(2)).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(Client::connect(server.address, "{}").await.0);
    }
    let engine = server.engine.clone();
    let drain = tokio::spawn(async move { engine.drain(Duration::from_millis(200)).await });
    for client in &mut clients {
        assert_eq!(client.closed().await, Some(1012));
    }
    drop(clients);
    drain.await.unwrap();
    assert_eq!(server.engine.stats().connections, 0);
    let mut stream = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request =
        b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 2"), "{answer}");
}
