//! Sessions that come back: replay with intervals, offsets inside a record, takeover of a connection that is still open.

mod harness;

use harness::{Client, Incoming, Server, event, settings, stay};
use relais_engine::{OutEvent, Room, Settings};

fn resume(pid: &serde_json::Value, offset: &str) -> String {
    format!(r#"{{"rooms":["auto"],"recovery":true,"pid":{pid},"offset":"{offset}"}}"#)
}

async fn fresh(server: &Server) -> (Client, serde_json::Value) {
    Client::connect(server.address, r#"{"rooms":["auto"],"recovery":true}"#).await
}

/// Texts up to `live`, which follows a replay.
async fn replayed(client: &mut Client) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let text = client.text().await;
        if text.starts_with("42[\"live\"") {
            return texts;
        }
        texts.push(text);
    }
}

#[tokio::test]
async fn a_resumed_session_gets_what_its_stays_allow_and_then_what_is_live() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    let pid = &answer["pid"];
    drop(client);
    let sid = pid.as_str().unwrap();
    server
        .service
        .noted(&format!("disconnected {sid} TransportLost"))
        .await;
    server.service.keep_stay(sid, stay("x", 1, Some(3)));
    server.service.keep_stay(sid, stay("y", 4, None));
    for room in ["x", "x", "x", "x", "y", "auto", "other"] {
        let number = server.log.head_position() + 1;
        server.append_and_publish(room, &number.to_string());
    }
    let (mut client, again) = Client::connect(server.address, &resume(pid, "1.0")).await;
    assert_eq!(again["pid"], *pid);
    assert_eq!(again["sid"], answer["sid"]);
    let texts = replayed(&mut client).await;
    let expected: Vec<_> = [2, 3, 5, 6]
        .map(|n| format!(r#"42["msg","{n}","1.{n}"]"#))
        .into();
    assert_eq!(texts, expected);
    server.append_and_publish("y", "8");
    server.append_and_publish("x", "9");
    server.append_and_publish("auto", "10");
    assert_eq!(client.text().await, r#"42["msg","8","1.8"]"#);
    assert_eq!(client.text().await, r#"42["msg","10","1.10"]"#);
}

#[tokio::test]
async fn what_was_before_a_join_is_not_given_by_a_shard_that_is_behind() {
    let settings = Settings {
        head_check_interval: std::time::Duration::from_secs(60),
        ..settings(1)
    };
    let server = Server::start(settings).await;
    // Keeps the scope in use, at the beginning of the log.
    let (_witness, _) = fresh(&server).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    let sid = answer["sid"].as_str().unwrap();
    let gone = format!("disconnected {sid} TransportLost");
    server.service.noted(&gone).await;
    server.service.keep_stay(sid, stay("x", 2, None));
    for number in 1..=3 {
        server.log.append(event("x", &number.to_string()));
    }
    let auth = resume(&answer["pid"], "1.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    assert_eq!(client.text().await, r#"42["msg","3","1.3"]"#);
    server.append_and_publish("x", "4");
    let mut texts = client.settled().await;
    texts.retain(|text| !text.starts_with("42[\"live\""));
    while texts.is_empty() {
        texts = client.settled().await;
        texts.retain(|text| !text.starts_with("42[\"live\""));
    }
    assert_eq!(texts, [r#"42["msg","4","1.4"]"#]);
}

#[tokio::test]
async fn of_a_record_with_several_events_only_those_not_seen_are_replayed() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    let events = ["a", "b", "c"].map(|text| {
        let mut events = event("auto", text);
        events.remove(0)
    });
    server.engine.publish(server.log.append(events.into()));
    let auth = resume(&answer["pid"], "1.1.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    assert_eq!(
        replayed(&mut client).await,
        [r#"42["msg","b","1.1.1"]"#, r#"42["msg","c","1.1"]"#]
    );
    let auth = resume(&answer["pid"], "1.1.2");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    assert_eq!(replayed(&mut client).await, [""; 0]);
}

#[tokio::test]
async fn a_slow_reader_replays_ten_thousand_records_in_order_while_others_are_committed() {
    let server = Server::start(settings(2)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    for number in 1..=10_000 {
        server.append_and_publish("auto", &format!("{number:0>200}"));
    }
    let auth = resume(&answer["pid"], "1.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    for number in 1..=12_000_u64 {
        if number % 5 == 0 && number <= 10_000 {
            let next = server.log.head_position() + 1;
            server.append_and_publish("auto", &format!("{next:0>200}"));
        }
        let text = loop {
            let text = client.text().await;
            if !text.starts_with("42[\"live\"") {
                break text;
            }
        };
        assert_eq!(text, format!(r#"42["msg","{number:0>200}","1.{number}"]"#));
    }
}

#[tokio::test]
async fn a_takeover_fences_the_older_connection_before_the_newer_is_answered() {
    for shards in [1, 3] {
        let server = Server::start(settings(shards)).await;
        let (mut older, answer) = fresh(&server).await;
        let sid = answer["sid"].as_str().unwrap().to_owned();
        older.send(r#"427["barrier","never"]"#).await;
        server.service.noted("begin never").await;
        for turn in 0..3 {
            let auth = resume(&answer["pid"], &format!("1.{turn}"));
            let (mut newer, again) = Client::connect(server.address, &auth).await;
            assert_eq!(again["sid"].as_str(), Some(sid.as_str()));
            assert_eq!(older.closed().await, Some(1000));
            assert_eq!(replayed(&mut newer).await, [""; 0]);
            // What the older one still says is void, its close included.
            let number = server.append_and_publish("auto", &turn.to_string());
            assert_eq!(
                newer.text().await,
                format!(r#"42["msg","{turn}","1.{number}"]"#)
            );
            older = newer;
        }
        let lines = server.service.journal();
        let fenced = lines.iter().filter(|line| line.ends_with("Fenced")).count();
        assert_eq!(fenced, 3, "{lines:?}");
        let first_fence = lines.iter().position(|line| line.ends_with("Fenced"));
        let connects = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| **line == format!("connected {sid}"));
        let second_connect = connects.map(|(at, _)| at).nth(1);
        assert!(first_fence < second_connect);
        assert!(!lines.iter().any(|line| line == "end never"));
        assert!(server.engine.is_connected(&sid.as_str().into()));
    }
}

#[tokio::test]
async fn many_takeovers_at_once_leave_exactly_one_connection() {
    let server = Server::start(settings(3)).await;
    let (_, answer) = fresh(&server).await;
    let sid = answer["sid"].as_str().unwrap().to_owned();
    let mut racing = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (address, auth) = (server.address, resume(&answer["pid"], "1.0"));
        racing.spawn(async move {
            let mut client = Client::engine(address).await;
            client.send(&format!("40{auth}")).await;
            client
        });
    }
    let mut clients = racing.join_all().await;
    let mut alive = 0;
    let published = server.append_and_publish("auto", "who");
    for client in &mut clients {
        loop {
            match client.next().await {
                Incoming::Text(text) if text.contains("\"who\"") => {
                    alive += 1;
                    break;
                }
                Incoming::Close(_) | Incoming::Lost => break,
                _ => {}
            }
        }
    }
    assert_eq!(published, 1);
    // Those that were fenced after they had got the record count too; but one connection alone is left.
    assert!(alive >= 1);
    let members = server
        .engine
        .members(harness::SCOPE, &Room::from("auto"))
        .await;
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].as_str(), sid);
}

#[tokio::test]
async fn a_replay_whose_records_were_trimmed_tells_the_gap_and_goes_on() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    for number in 1..=6 {
        server.append_and_publish("auto", &number.to_string());
    }
    server.log.trim(4);
    let auth = resume(&answer["pid"], "1.2");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    let texts = replayed(&mut client).await;
    assert_eq!(
        texts,
        [
            r#"42["gap",{"from":3,"to":4,"reason":"trimmed"},"1.4"]"#,
            r#"42["msg","5","1.5"]"#,
            r#"42["msg","6","1.6"]"#
        ]
    );
}

/// Six records, of which the loud room has lost its own: 1, 2, 4 and 5.
fn a_loud_room_loses_its_share(server: &Server) {
    for (number, room) in (1..).zip(["loud", "loud", "auto", "loud", "loud", "auto"]) {
        server.append_and_publish(room, &number.to_string());
    }
    server.log.trim_room("loud", 5);
}

#[tokio::test]
async fn who_was_not_in_the_room_that_lost_records_is_told_of_no_gap() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    a_loud_room_loses_its_share(&server);
    let auth = resume(&answer["pid"], "1.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    assert_eq!(
        replayed(&mut client).await,
        [r#"42["msg","3","1.3"]"#, r#"42["msg","6","1.6"]"#]
    );
}

#[tokio::test]
async fn who_was_in_it_is_told_also_of_what_is_missing_between_others() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    let sid = answer["pid"].as_str().unwrap();
    server.service.keep_stay(sid, stay("loud", 0, None));
    a_loud_room_loses_its_share(&server);
    let auth = resume(&answer["pid"], "1.3.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    assert_eq!(
        replayed(&mut client).await,
        [
            r#"42["gap",{"from":4,"to":5,"reason":"trimmed"},"1.3.0"]"#,
            r#"42["msg","6","1.6"]"#
        ]
    );
}

#[tokio::test]
async fn a_place_that_the_log_does_not_know_is_told_as_a_gap() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    server.append_and_publish("auto", "1");
    for offset in ["9.1", "1.50"] {
        let auth = resume(&answer["pid"], offset);
        let (mut client, _) = Client::connect(server.address, &auth).await;
        assert!(client.text().await.starts_with("42[\"gap\""), "{offset}");
        let number = server.append_and_publish("auto", "next");
        let text = loop {
            let text = client.text().await;
            if text.contains("msg") {
                break text;
            }
        };
        assert_eq!(text, format!(r#"42["msg","next","1.{number}"]"#));
    }
}

#[tokio::test]
async fn a_log_that_fails_for_a_while_delays_a_replay_and_loses_nothing() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    for number in 1..=3 {
        server.append_and_publish("auto", &number.to_string());
    }
    server.log.fail(3);
    let auth = resume(&answer["pid"], "1.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    assert_eq!(replayed(&mut client).await.len(), 3);
}

#[tokio::test]
async fn nothing_volatile_reaches_a_session_that_replays() {
    let server = Server::start(settings(1)).await;
    let (client, answer) = fresh(&server).await;
    drop(client);
    server.append_and_publish("auto", "1");
    server.log.fail(2);
    let auth = resume(&answer["pid"], "1.0");
    let (mut client, _) = Client::connect(server.address, &auth).await;
    let typing = OutEvent::to_room(Room::from("auto"), "typing", "true");
    let volatile = relais_engine::Delivery::volatile(harness::SCOPE, std::sync::Arc::new(typing));
    server.engine.publish(std::sync::Arc::new(volatile));
    assert_eq!(replayed(&mut client).await, [r#"42["msg","1","1.1"]"#]);
}

#[tokio::test]
async fn a_session_that_left_and_comes_back_on_its_connection_keeps_the_connection() {
    let server = Server::start(settings(1)).await;
    let (mut client, answer) = fresh(&server).await;
    client.send(r#"42["barrier","slow"]"#).await;
    server.service.noted("begin slow").await;
    client.send("41").await;
    client
        .send(&format!("40{}", resume(&answer["pid"], "1.0")))
        .await;
    assert!(client.text().await.starts_with("40{"));
    assert_eq!(client.text().await, r#"42["connected","1.0"]"#);
    replayed(&mut client).await;
    server.append_and_publish("auto", "still here");
    assert_eq!(client.text().await, r#"42["msg","still here","1.1"]"#);
}
